"""The benchmarks run: one small workload, with minikeras alone."""

from __future__ import annotations

import json

import pytest

from benchmarks import compare, keeping, run, sweeps
from benchmarks.comparison import UnequalResults, check_equal
from benchmarks.comparison import compare as ratio
from benchmarks.workloads import WORKLOADS, build, work


def test_a_quick_run_writes_its_numbers(tmp_path, capsys):
    path = tmp_path / "out.json"
    run.main(["tiny", "--quick", "--backends", "minikeras", "--json", str(path)])
    assert "| tiny: Dense 2-4-1, batch 32 | **" in capsys.readouterr().out
    results = json.loads(path.read_text(encoding="utf-8"))
    row = results["workloads"]["workloads"]["tiny"]
    assert 0 < row["times"]["minikeras"]["median_s"] < 1
    assert 0 < row["roofline"]["fraction"] < 1
    assert results["workloads"]["ceilings"]["flops_one"] > 1e8
    assert results["threads"] == {"tiny": True}
    assert "tiny" in compare.table(results, results)


def test_unknown_names_are_refused(capsys):
    with pytest.raises(SystemExit):
        run.main(["huge"])
    assert "unknown name 'huge'" in capsys.readouterr().err


def test_unequal_results_stop_a_run():
    check_equal("x", {"a": [1.0, 2.0], "b": [1.0, 2.0]})
    for other in ([1.0, 2.1], [1.0], [1.0, float("nan")]):
        with pytest.raises(UnequalResults, match="x: b gives"):
            check_equal("x", {"a": [1.0, 2.0], "b": other})


def test_ratio_is_to_the_fastest_other():
    seconds = {"minikeras": 1.0, "jax": 2.0, "torch": 3.0}
    found = ratio({name: {"median_s": s} for name, s in seconds.items()})
    assert found == {"fastest": "jax", "ratio": 2.0}


def test_work_of_a_step():
    import minikeras

    workload = WORKLOADS["mlp"]
    # x @ kernel and dkernel, and dx of all but the first layer
    products = 2 * 784 * 512 + 3 * 512 * 512 + 3 * 512 * 10
    weights = 784 * 512 + 512 + 512 * 512 + 512 + 512 * 10 + 10
    found = work(build(minikeras, workload), workload)
    assert found == (2 * 128 * products, 28 * weights)


def test_bend_of_a_line_and_of_a_parabola():
    sizes = [1, 2, 4, 8, 16]
    assert sweeps.bend(sizes, [3 + 2 * n for n in sizes]) == 1
    assert sweeps.bend(sizes, [n * n for n in sizes]) > 2


def test_table_goes_between_the_marks():
    begin, end = keeping.MARKS
    once = keeping.between_marks(f"a\n\n{begin}\n{end}\n\nb", "new")
    assert keeping.between_marks(once, "new") == once
    with pytest.raises(ValueError, match="no place for the table"):
        keeping.between_marks("a", "new")
