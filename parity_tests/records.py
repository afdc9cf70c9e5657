"""What was compared, and how far apart it was: the raw material of the report.

`MINIKERAS_PARITY_RECORD=folder pytest` writes one JSON file per test process there.
Without the variable nothing is kept. `python -m parity_tests.report` sets it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from parity_tests.tolerance import Difference

FOLDER_VARIABLE = "MINIKERAS_PARITY_RECORD"
DEPTHS = ("forward", "gradients", "weights")


@dataclass
class Record:
    """The worst difference seen for one subject, dtype and depth."""

    kind: str  # layer, activation, loss, optimizer, schedule, metric, ...
    name: str
    dtype: str
    depth: str
    cases: int = 0
    comparisons: int = 0
    ulp: float = 0.0
    relative: float = 0.0
    tolerances: float = 0.0
    over: int = 0

    def merge(self, other: Record) -> None:
        """Takes another record of the same subject into account."""
        self.cases += other.cases
        self.comparisons += other.comparisons
        self.over += other.over
        self.ulp = max(self.ulp, other.ulp)
        self.relative = max(self.relative, other.relative)
        self.tolerances = max(self.tolerances, other.tolerances)


_records: dict[tuple[str, str, str, str], Record] = {}
_cases: list[tuple[str, str, str, set[str]]] = []
_off = 0


def enabled() -> bool:
    """Whether somebody asked for records."""
    return bool(os.environ.get(FOLDER_VARIABLE)) and not _off


@contextmanager
def parity_case(kind: str, name: str, dtype: str) -> Iterator[None]:
    """Every comparison inside counts for this subject; the whole is one case.

    Args:
        kind: `"layer"`, `"activation"`, `"loss"`, `"optimizer"`, `"schedule"`,
            `"metric"`, `"initializer"`, `"regularizer"`, `"constraint"` or `"model"`.
        name: Keras's name: `"Dense"`, `"relu"`.
        dtype: `"float32"` or `"float64"`.

    Inside another case nothing changes: the outer one counts.
    """
    if _cases:
        yield
        return
    _cases.append((kind, name, dtype, set()))
    try:
        yield
    finally:
        _cases.pop()


@contextmanager
def not_recorded() -> Iterator[None]:
    """Comparisons inside are not part of the report (planted bugs)."""
    global _off
    _off += 1
    try:
        yield
    finally:
        _off -= 1


def add(depth: str | None, difference: Difference | None) -> None:
    """Called by every comparison in tolerance.py. A difference of None is equality;
    a depth of None is what the kind is about: optimizers are about weights."""
    if not enabled() or not _cases:
        return
    kind, name, dtype, seen = _cases[-1]
    depth = depth or ("weights" if kind == "optimizer" else "forward")
    key = (kind, name, dtype, depth)
    record = _records.setdefault(key, Record(*key))
    record.cases += depth not in seen
    seen.add(depth)
    record.comparisons += 1
    if difference is not None:
        record.ulp = max(record.ulp, difference.ulp)
        record.relative = max(record.relative, difference.relative)
        record.tolerances = max(record.tolerances, difference.tolerances)
        record.over += not difference.ok


def write(folder: str | None = None) -> None:
    """Writes this process's records as `records-<process id>.json`."""
    folder = folder or os.environ.get(FOLDER_VARIABLE)
    if not folder or not _records:
        return
    path = Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    rows = [asdict(record) for record in _records.values()]
    (path / f"records-{os.getpid()}.json").write_text(json.dumps(rows))


def read(folder: str | Path) -> list[Record]:
    """All records written there, merged over processes."""
    merged: dict[tuple[str, str, str, str], Record] = {}
    for path in sorted(Path(folder).glob("records-*.json")):
        for row in json.loads(path.read_text()):
            record = Record(**row)
            key = (record.kind, record.name, record.dtype, record.depth)
            if key in merged:
                merged[key].merge(record)
            else:
                merged[key] = record
    return [merged[key] for key in sorted(merged)]
