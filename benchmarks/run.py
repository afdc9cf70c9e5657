"""`python -m benchmarks.run [name ...] [--quick] [--json out.json]`.

Ratios between processes measured in turn in one run mean something; absolute times are
those of one machine at one moment.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import minikeras
from benchmarks import import_time, random_streams

CASES: dict[str, Any] = {"import": import_time, "random": random_streams}


def machine() -> dict[str, Any]:
    """What the numbers were measured on."""
    return {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "minikeras": minikeras.__version__,
        "system": platform.platform(),
        "cores": os.cpu_count(),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the named cases, all by default, and prints a table of each."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run")
    parser.add_argument("names", nargs="*", help=f"of {', '.join(CASES)}; default all")
    parser.add_argument("--quick", action="store_true", help="fewer runs")
    parser.add_argument("--json", type=Path, help="where to write the numbers")
    options = parser.parse_args(arguments)
    unknown = sorted(set(options.names) - set(CASES))
    if unknown:
        parser.error(f"unknown case {unknown[0]!r}; there are: {', '.join(CASES)}")
    results: dict[str, Any] = {"machine": machine()}
    for name in options.names or CASES:
        results[name] = CASES[name].run(options.quick)
        print(f"## {name}\n\n{CASES[name].table(results[name])}\n")
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
