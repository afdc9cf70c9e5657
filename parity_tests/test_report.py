"""The report: what is red, what the pages say."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import pytest

from minikeras import absent, registry
from parity_tests import records, report, report_names, report_pages
from parity_tests.records import Record
from parity_tests.tolerance import assert_equal

GOOD = Record("layer", "Dense", "float64", "forward", 3, 9, 2.0, 4e-16, 0.1)


def _report(*rows: Record) -> report.Report:
    made_with = {"keras": "3.15.1", "numpy": "2.4"}
    missing = {"layer": ["JaxLayer", "TFSMLayer"], "loss": ["CTC"], "metric": []}
    lines = report.collect(rows)
    return report.Report(lines, made_with, "2026-01-02", "9 passed", missing)


def _line(found: report.Report, kind: str, name: str, dtype: str) -> report.Line:
    lines = [x for x in found.of_kind(kind) if (x.name, x.dtype) == (name, dtype)]
    assert_equal(len(lines), 1)
    return lines[0]


def test_what_was_not_compared_is_red() -> None:
    found = _report(GOOD)
    assert_equal(
        _line(found, "layer", "Dense", "float64").problem, "not compared: gradients"
    )
    assert_equal(_line(found, "layer", "LSTM", "float32").problem, "not compared")
    assert_equal(_line(found, "optimizer", "Adam", "float64").problem, "not compared")
    assert_equal(_line(found, "schedule", "CosineDecay", "float32").cases, 0)


def test_what_was_compared_and_is_close_is_not_red() -> None:
    gradients = Record("layer", "Dense", "float64", "gradients", 5, 5, 1.0, 2e-16, 0.1)
    line = _line(_report(GOOD, gradients), "layer", "Dense", "float64")
    assert_equal((line.problem, line.cases), ("", 5))


def test_what_is_over_tolerance_is_red() -> None:
    over = Record("loss", "Huber", "float32", "forward", 1, 1, 9e9, 1.0, 8.0, 1)
    line = _line(_report(over), "loss", "Huber", "float32")
    assert_equal(line.problem, "over tolerance: forward")


def test_float64_keeps_the_promise() -> None:
    depth = "gradients"
    for relative, problem in ((9e-13, ""), (2e-12, "above 1e-12: gradients")):
        rows = [GOOD, Record("layer", "Dense", "float64", depth, 1, 1, 9e3, relative)]
        assert_equal(
            _line(_report(*rows), "layer", "Dense", "float64").problem, problem
        )


def test_expected_are_the_public_names_without_aliases() -> None:
    expected = {(kind, name) for kind, name, _, _ in report_names.expected_subjects()}
    assert expected >= {
        ("layer", "Conv2D"),
        ("activation", "gelu"),
        ("metric", "Mean"),
        ("initializer", "HeNormal"),
        ("callback", "History"),
    }
    for alias in (
        ("layer", "Convolution2D"),
        ("activation", "swish"),
        ("initializer", "he_normal"),
    ):
        assert alias not in expected
    assert ("layer", "InputLayer") not in expected


def test_every_class_of_keras_is_expected_left_out_or_refused() -> None:
    expected = {(kind, name) for kind, name, _, _ in report_names.expected_subjects()}
    absent = report_names.not_there()
    for title, kind in report_names.KINDS.items():
        for names in report_names.public_names(kind):
            places = [
                any((title, name) in expected for name in names),
                names[0] in kind.left_out,
                names[0] in absent[title],
            ]
            assert_equal(sum(places), 1, name=f"{title} {names}")


def test_what_is_neither_here_nor_refused_is_red(monkeypatch) -> None:
    assert "TFSMLayer" in report_names.not_there()["layer"]
    monkeypatch.setitem(absent.NAMES, "layers", "JaxLayer")
    assert "JaxLayer" in report_names.not_there()["layer"]
    line = _line(_report(GOOD), "layer", "TFSMLayer", "float32")
    assert_equal(line.problem, "not compared")


def test_what_is_here_needs_a_record_even_if_nobody_registered_it(monkeypatch) -> None:
    monkeypatch.setattr(registry, "find", lambda module, name: None)
    found = _report()
    assert_equal(_line(found, "layer", "Dense", "float32").problem, "not compared")
    assert_equal(len(found.of_kind("callback")), 2 * 13)


class _Tags(HTMLParser):
    """Checks that every tag is closed, and collects what is in them."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.count: dict[str, int] = {}

    def handle_starttag(self, tag, attrs) -> None:
        self.count[tag] = self.count.get(tag, 0) + 1
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag) -> None:
        assert_equal(self.open.pop(), tag)


def test_the_pages() -> None:
    found = _report(GOOD, Record("model", "Sequential", "float64", "weights", 2, 8))
    text = report_pages.markdown(found)
    for part in (
        "2026-01-02. keras 3.15.1, numpy 2.4",
        "Tests: 9 passed",
        "| `Dense` | float64 | 3 | 4.0e-16 (2.0 ULP) |",
        "**RED: not compared: gradients**",
        "## Whole models",
        "| `Sequential` | float64 | 2 | — | — | equal | ok |",
        "## Initializers",
        "## Callbacks",
        "| `TFSMLayer` | layer | not there yet |",
        "| `Wrapper` | layer | a base class: compared through its subclasses |",
    ):
        assert part in text
    page = report_pages.html(found)
    tags = _Tags()
    tags.feed(page)
    assert_equal(tags.open, [])
    assert_equal(tags.count["table"], len(found.kinds) + 3)
    assert page.count('class="red"') >= len(found.red)
    for name in ("JaxLayer", "CTC", "Wrapper"):
        assert f"<code>{name}</code>" in page
    assert "prefers-color-scheme: dark" in page
    assert "<script" not in page


def test_the_summary_goes_between_the_marks() -> None:
    found = _report(GOOD)
    readme = f"before\n{report_pages.BEGIN}\nold\n{report_pages.END}\nafter\n"
    text = report_pages.with_summary(readme, found)
    assert text.startswith("before\n") and text.endswith("\nafter\n")
    assert "old" not in text and "| Layers | float64 |" in text
    assert "Not there yet, and refused by name: 2 layers, 1 loss." in text
    assert_equal(report_pages.with_summary(text, found), text)
    with pytest.raises(ValueError, match="Expected the marks"):
        report_pages.with_summary("nothing here", found)


def test_the_command_line(tmp_path: Path, capsys, monkeypatch) -> None:
    monkeypatch.setattr(records, "_records", {(0, 0, 0, 0): GOOD})
    records.write(str(tmp_path))
    pages = tmp_path / "p.md", tmp_path / "p.html"
    options = ["--records", str(tmp_path), "--markdown", str(pages[0])]
    options += ["--html", str(pages[1])]
    assert_equal(report.main([*options, "--check"]), 1)
    assert not pages[0].exists()
    assert_equal(report.main(options), 1)
    assert pages[0].read_text().startswith("# minikeras beside Keras")
    assert pages[1].read_text().startswith("<!doctype html>")
    out = capsys.readouterr().out
    assert "RED  layer Dense (float64): not compared: gradients" in out


def test_records_of_several_processes_are_merged(tmp_path: Path, monkeypatch) -> None:
    other = Record("layer", "Dense", "float64", "forward", 2, 4, 7.0, 1e-16, 0.4, 1)
    for process, record in ((1, GOOD), (2, other)):
        monkeypatch.setattr(records.os, "getpid", lambda process=process: process)
        monkeypatch.setattr(records, "_records", {(0, 0, 0, 0): record})
        records.write(str(tmp_path))
    (merged,) = records.read(tmp_path)
    assert_equal((merged.cases, merged.comparisons, merged.over), (5, 13, 1))
    assert_equal((merged.ulp, merged.relative), (7.0, 4e-16))
