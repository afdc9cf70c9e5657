"""`python -m benchmarks.run [name ...] [--quick] [--json out.json] [--keep]`.

Ratios between processes measured in turn in one run mean something; absolute times are
those of one machine at one moment.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import minikeras
from benchmarks import (
    ceilings,
    import_time,
    keeping,
    layers,
    random_streams,
    sweeps,
    training,
    tricks,
)
from benchmarks.backends import BACKENDS, installed

# Parts of a run: name -> (what it is, its module).
PARTS: dict[str, tuple[str, Any]] = {
    "workloads": ("Milliseconds per training step", training),
    "threads": ("The same weights on 1 and 2 threads", None),
    "layers": ("Milliseconds of single layers", layers),
    "sweeps": ("How the cost grows", sweeps),
    "ceilings": ("What the machine can do", ceilings),
    "tricks": ("What each trick of docs/speed.md is worth", tricks),
    "import": ("Importing", import_time),
    "random": ("Random numbers", random_streams),
}
QUICK_PARTS = ("workloads", "threads", "ceilings")


def machine() -> dict[str, Any]:
    """What the numbers were measured on."""
    return {
        "date": time.strftime("%Y-%m-%d"),
        "python": platform.python_version(),
        "versions": {"numpy": np.__version__, "minikeras": minikeras.__version__},
        "system": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "load_before": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
    }


def _processor() -> str:
    """The processor's name, and its widest vectors, where Linux tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    fields = dict(line.split(":", 1) for line in reversed(lines) if ":" in line)
    fields = {key.strip(): value.strip() for key, value in fields.items()}
    name = fields.get("model name", platform.machine())
    return f"{name}, AVX-512" if "avx512f" in fields.get("flags", "") else name


def measure(
    names: list[str],
    backends: list[str],
    quick: bool,
    report: Callable[[str, dict[str, Any]], Any],
) -> dict[str, Any]:
    """Runs the named parts and workloads; `report` gets the tables as they come, and
    all results until then."""
    fits = [name for name in names if name in training.NAMES]
    if "workloads" in names:
        fits = list(training.NAMES)
    results: dict[str, Any] = {"machine": machine(), "quick": quick}
    for name, (title, module) in PARTS.items():
        if name not in names and not (fits and name in ("workloads", "threads")):
            continue
        if name == "workloads":
            found = training.run(fits, backends, quick)
            for versions in found.get("versions", {}).values():
                results["machine"]["versions"].update(versions)
            tables = [training.table(found), training.memory_table(found)]
        elif name == "threads":
            found = training.same_on_threads(fits or list(training.NAMES))
            tables = [
                f"- {key}: {'equal' if same else 'DIFFERENT'}, bit for bit"
                for key, same in found.items()
            ]
            tables = ["\n".join(tables)]
        elif name == "layers":
            found = layers.run(backends, quick)
            tables = [layers.table(found)]
        else:
            found = module.run(quick)
            tables = [module.table(found)]
        results[name] = found
        shown = [text for text in tables if text]
        report("\n\n".join([f"## {title}", *shown]) if shown else "", results)
    return results


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the named parts, all by default, and prints a table of each."""
    there_are = [*PARTS, *training.NAMES]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run")
    parser.add_argument("names", nargs="*", help=f"of {', '.join(there_are)}")
    parser.add_argument("--quick", action="store_true", help="3 minutes, fewer runs")
    parser.add_argument("--json", type=Path, help="where to write the numbers")
    parser.add_argument(
        "--backends", nargs="+", choices=list(BACKENDS), help="default: all installed"
    )
    parser.add_argument(
        "--keep",
        action="store_true",
        help="write benchmarks/results/ and the table in README.md",
    )
    options = parser.parse_args(arguments)
    unknown = sorted(set(options.names) - set(there_are))
    if unknown:
        parser.error(f"unknown name {unknown[0]!r}; there are: {', '.join(there_are)}")
    names = options.names or list(QUICK_PARTS if options.quick else PARTS)
    pages: list[str] = []

    def report(page: str, results: dict[str, Any]) -> None:
        """After each part: a run that is interrupted keeps what it has."""
        if page:
            pages.append(page)
            print(f"{page}\n", flush=True)
        if options.json:
            keeping.write_json(results, options.json)
        if options.keep:
            head = f"# The last run\n\n{keeping.machine_line(results['machine'])}"
            keeping.keep(results, "\n\n".join([head, *pages]))

    results = measure(names, installed(options.backends), options.quick, report)
    print(keeping.machine_line(results["machine"]))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
