"""Where the last full run is kept, and the table in README.md."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
MARKS = ("<!-- speed: begin -->", "<!-- speed: end -->")


def write_json(results: dict[str, Any], path: Path) -> None:
    """The numbers."""
    path.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


def keep(results: dict[str, Any], page: str) -> None:
    """Writes `benchmarks/results/`: numbers, tables, pictures; and README's table."""
    from benchmarks import plots, training

    RESULTS.mkdir(exist_ok=True)
    write_json(results, RESULTS / "latest.json")
    pictures = plots.save_all(results, RESULTS)
    shown = "\n\n".join(f"![{path.stem}]({path.name})" for path in pictures)
    (RESULTS / "latest.md").write_text(f"{page}\n\n{shown}\n", encoding="utf-8")
    if "workloads" in results:
        readme = ROOT / "README.md"
        text = readme.read_text(encoding="utf-8")
        note = f"{machine_line(results['machine'])}\n\n"
        table = note + training.short_table(results["workloads"])
        readme.write_text(between_marks(text, table), encoding="utf-8")


def machine_line(machine: dict[str, Any]) -> str:
    """The machine and the versions in a sentence."""
    versions = ", ".join(f"{k} {v}" for k, v in machine["versions"].items())
    return (
        f"Measured {machine['date']} on {machine['cores']} cores of "
        f"{machine['processor']}, Python {machine['python']}, {versions}."
    )


def between_marks(text: str, new: str) -> str:
    """The text with `new` between the marks.

    >>> begin, end = MARKS
    >>> between_marks(f"a {begin} old {end} b", "x").split()
    ['a', '<!--', 'speed:', 'begin', '-->', 'x', '<!--', 'speed:', 'end', '-->', 'b']
    """
    begin, end = MARKS
    if begin not in text or end not in text:
        raise ValueError(f"README.md has no place for the table: {begin} ... {end}")
    before, rest = text.split(begin)
    _, after = rest.split(end)
    return f"{before}{begin}\n\n{new}\n\n{end}{after}"
