"""`python -m benchmarks.compare a.json b.json`: what moved between two runs.

Absolute times of two runs differ with the machine and its other users. So each time is
also shown in units of the fastest other backend of its own run.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.comparison import OURS, format_seconds


def rows(results: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """(name, times and ratio) of every comparison in a run."""
    for name, row in results.get("workloads", {}).get("workloads", {}).items():
        yield name, row
    for name, row in results.get("layers", {}).items():
        for part, text in (("forward", "forward"), ("both", "forward and backward")):
            yield f"{name}, {text}", row[part]


def table(before: dict[str, Any], after: dict[str, Any]) -> str:
    """Markdown: ours before and after, and both beside the fastest other."""
    lines = [
        "| | before, ms | after, ms | after / before | ratio before | ratio after |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    old_rows = dict(rows(before))
    for name, new in rows(after):
        if name not in old_rows or OURS not in new["times"]:
            continue
        old = old_rows[name]
        a, b = (row["times"][OURS]["median_s"] for row in (old, new))
        ratios = [f"{r['ratio']:.2f}" if "ratio" in r else "--" for r in (old, new)]
        mark = " **" if not 0.9 < b / a < 1.1 else " "
        lines.append(
            f"| {name} | {format_seconds(a)} | {format_seconds(b)} |{mark}{b / a:.2f}"
            f"{mark.rstrip()} | {ratios[0]} | {ratios[1]} |"
        )
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compare")
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    options = parser.parse_args(arguments)
    runs = (
        json.loads(path.read_text(encoding="utf-8"))
        for path in (options.before, options.after)
    )
    print(table(*runs))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
