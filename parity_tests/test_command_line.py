"""`python -m minikeras`, and what the demonstration claims."""

from __future__ import annotations

import re
import subprocess
import sys

import numpy as np
import pytest

import minikeras
from minikeras.__main__ import main
from minikeras.demo import run
from minikeras.demo.parity import compare, difference
from minikeras.demo.tasks import digits_task, sunspots_task
from parity_tests import oracle  # noqa: F401 - before the demo imports Keras itself


def test_help_and_version(capsys):
    assert main([]) == 0
    assert "demo" in capsys.readouterr().out
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0
    assert minikeras.__version__ in capsys.readouterr().out
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    assert stop.value.code == 0


def test_a_mistyped_command_names_the_right_one(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["dmeo"])
    assert stop.value.code == 2
    assert "Did you mean 'demo'?" in capsys.readouterr().err


def test_it_runs_as_a_module():
    done = subprocess.run(
        [sys.executable, "-m", "minikeras", "--version"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith(f"minikeras {minikeras.__version__}")


def test_the_demo_reaches_its_goals(capsys):
    assert run.run_demo(seed=42, with_keras=False) == 0
    text = capsys.readouterr().out
    accuracy = float(re.search(r"images: ([\d.]+)%", text).group(1))
    assert accuracy >= 97
    errors = re.search(r"LSTM\s+([\d.]+),.*?last\s+year\"\s+([\d.]+)", text, re.DOTALL)
    forecast, persistence = map(float, errors.groups())
    assert forecast < 0.75 * persistence
    for word in ("conv2d/kernel", "lstm/recurrent_kernel", "(32, 128)", "Epoch 1/"):
        assert word in text


@pytest.mark.parametrize("make", [digits_task, sunspots_task])
def test_the_parity_table_holds(make):
    minikeras.utils.set_random_seed(7)
    rows = {row.what: row for row in compare(make(), steps=4)}
    assert len(rows) == 4
    for row in rows.values():
        assert row.ulp < 500, row  # a wrong gradient is off by a million


def test_difference_in_units_of_the_last_place():
    a = np.array([1.0, 2.0], "float32")
    b = np.array([1.0, 2.0 + 2**-22], "float32")
    found = difference("x", [a], [b])
    assert found.largest == 2**-22
    assert found.ulp == 1.0
