"""The parity report: what was compared with Keras, how often, and how far apart it was.

    python -m parity_tests.report                   # run the tests, write docs/parity.*
    python -m parity_tests.report --records folder  # from records made before
    python -m parity_tests.report --check           # no pages, only the exit status

Runs the parity tests with `MINIKERAS_PARITY_RECORD` set (see records.py), collects what
every process wrote, and writes a Markdown and an HTML page. If the variable is set
already, as by a run of the tests just before, its folder is used and nothing is run. A
line is red if a number was over its tolerance or, in float64, above 1e-12 of its scale,
or if a public class of Keras was not compared and is not refused by name either (see
report_names.py). Exit status 1 if any line is red or a test failed.
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from parity_tests import records
from parity_tests.records import Record
from parity_tests.report_names import KINDS, expected_subjects, not_there
from parity_tests.tolerance import FLOAT64_PROMISE


@dataclass
class Line:
    """One subject in one dtype: a row of the report."""

    kind: str
    name: str
    dtype: str
    depths: dict[str, Record] = field(default_factory=dict)
    missing: tuple[str, ...] = ()

    @property
    def cases(self) -> int:
        """How often it was compared."""
        return max((r.cases for r in self.depths.values()), default=0)

    @property
    def problem(self) -> str:
        """Why the line is red; empty if it is not."""
        over = [d for d, r in self.depths.items() if r.over]
        if over:
            return f"over tolerance: {', '.join(over)}"
        if not self.depths:
            return "not compared"
        far = [d for d, r in self.depths.items() if r.relative > FLOAT64_PROMISE]
        if far and self.dtype == "float64":
            return f"above {FLOAT64_PROMISE:g}: {', '.join(far)}"
        if self.missing:
            return f"not compared: {', '.join(self.missing)}"
        return ""


@dataclass
class Report:
    """All lines, and with what they were made."""

    lines: list[Line]
    versions: dict[str, str]
    date: str
    tests: str
    not_there: dict[str, list[str]] = field(default_factory=dict)

    @property
    def red(self) -> list[Line]:
        """The lines with a problem."""
        return [line for line in self.lines if line.problem]

    def of_kind(self, kind: str) -> list[Line]:
        """The lines of layers, or activations, ..."""
        return [line for line in self.lines if line.kind == kind]

    @property
    def kinds(self) -> list[str]:
        """In the order of the tables, those without expectations last."""
        present = {line.kind for line in self.lines}
        known = [kind for kind in KINDS if kind in present]
        return known + sorted(present - set(known))


def collect(rows: Iterable[Record]) -> list[Line]:
    """Records arranged in lines, with a line for all that is missing."""
    lines: dict[tuple[str, str, str], Line] = {}
    for record in rows:
        key = (record.kind, record.name, record.dtype)
        lines.setdefault(key, Line(*key)).depths[record.depth] = record
    for kind, name, dtype, depths in expected_subjects():
        line = lines.setdefault((kind, name, dtype), Line(kind, name, dtype))
        line.missing = tuple(d for d in depths if d not in line.depths)
    return [lines[key] for key in sorted(lines, key=lambda k: (k[0], k[1].lower(), k))]


def versions() -> dict[str, str]:
    """Of all that had a part in the numbers."""
    import minikeras
    from parity_tests import oracle

    return {
        "minikeras": minikeras.__version__,
        **oracle.versions(),
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
    }


def run_tests(folder: Path, arguments: Sequence[str]) -> tuple[int, str]:
    """Runs pytest with records going to `folder`: (exit status, its last line)."""
    environment = {**os.environ, records.FOLDER_VARIABLE: str(folder)}
    command = [sys.executable, "-m", "pytest", "-q", *arguments]
    done = subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, text=True, check=False
    )
    lines = [line for line in done.stdout.splitlines() if line.strip()]
    if done.returncode:
        print(done.stdout, file=sys.stderr)
    return done.returncode, lines[-1].strip("= ") if lines else "no output"


def build(folder: Path, tests: str) -> Report:
    """The report on what was recorded in `folder`."""
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    lines = collect(records.read(folder))
    return Report(lines, versions(), today, tests, not_there())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m parity_tests.report", description=__doc__.split("\n\n")[0]
    )
    parser.add_argument(
        "--html", type=Path, default=Path("docs/parity.html"), help="where to write it"
    )
    parser.add_argument(
        "--markdown",
        type=Path,
        default=Path("docs/parity.md"),
        help="where to write it",
    )
    parser.add_argument(
        "--readme", type=Path, help="put the summary between the parity marks there"
    )
    parser.add_argument(
        "--records",
        type=Path,
        default=os.environ.get(records.FOLDER_VARIABLE),
        help="use these records instead of running the tests",
    )
    parser.add_argument(
        "--check", action="store_true", help="write nothing: only say what is red"
    )
    parser.add_argument(
        "pytest", nargs="*", help="arguments for pytest (default: parity_tests)"
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    from parity_tests import report_pages

    options = _parser().parse_args(arguments)
    status, tests = 0, "from records"
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(options.records or temporary)
        if options.records is None:
            status, tests = run_tests(folder, options.pytest or ["parity_tests"])
        report = build(folder, tests)
    print(report_pages.summary(report))
    for line in report.red:
        print(f"RED  {line.kind} {line.name} ({line.dtype}): {line.problem}")
    if not options.check:
        _write(report, options)
    return status or int(bool(report.red))


def _write(report: Report, options: argparse.Namespace) -> None:
    from parity_tests import report_pages

    options.markdown.write_text(report_pages.markdown(report), encoding="utf-8")
    options.html.write_text(report_pages.html(report), encoding="utf-8")
    if options.readme is not None:
        text = options.readme.read_text(encoding="utf-8")
        text = report_pages.with_summary(text, report)
        options.readme.write_text(text, encoding="utf-8")
    print(f"Wrote {options.markdown} and {options.html}.")


if __name__ == "__main__":
    sys.exit(main())
