"""What `verify` found: as plain data, and as a table."""

from __future__ import annotations

import argparse
from typing import Any

from minikeras.command_line.verify_run import Verification
from minikeras.version import KERAS_VERSION

_KINDS = {
    "weights": "weights",
    "forward": "forward",
    "training": "in training",
    "gradients": "gradients",
    "updates": "after steps",
}


def report(
    verification: Verification,
    options: argparse.Namespace,
    notes: list[str],
    read: list[dict[str, Any]] | None,
) -> dict[str, Any]:
    """All of it as plain data.

    Args:
        verification: after its comparisons.
        options: of the command line.
        notes: what the user should know.
        read: the differences between the configurations, if Keras read the file too.
    """
    first = verification.first
    if read and first is None:
        first = {"layer": None, "kind": "configuration", **_reading_of(read)}
    elif read and first is not None:
        first["likely_cause"] = _reading_of(read)["likely_cause"]
    rows = [
        {
            "layer": row.path,
            "class_name": row.class_name,
            **{
                kind: {
                    "relative": found.relative,
                    "ulp": found.ulp,
                    "problem": found.problem,
                }
                for kind, found in row.found.items()
            },
        }
        for row in verification.rows.values()
        if row.found
    ]
    steps = len(verification.losses)
    return {
        "file": options.file,
        "same": first is None,
        "first_difference": first,
        "minikeras_follows": KERAS_VERSION,
        "keras_version": verification.keras.__version__,
        "read_by": "both" if options.keras_reads_file else "minikeras",
        "configuration": read or [],
        "layers": rows,
        "steps": steps,
        "losses": verification.losses,
        "notes": notes,
    }


def _reading_of(read: list[dict[str, Any]]) -> dict[str, str]:
    one = read[0]
    text = (
        f"at {one['path']}, minikeras reads {one['a']!r} and Keras {one['b']!r}: see "
        "'Where minikeras differs from Keras 3 when it reads old files', docs/files.md"
    )
    return {
        "what": "the configuration",
        "problem": f"{len(read)} differences",
        "likely_cause": f"The two libraries read the file differently: {text}.",
    }


def print_report(found: dict[str, Any]) -> None:
    """A table of the layers, the losses and the verdict."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console()
    kinds = [k for k in _KINDS if any(k in row for row in found["layers"])]
    table = Table("layer", *(f"{_KINDS[k]}\nrel.   ulp" for k in kinds), box=None)
    for row in found["layers"]:
        cells = [_cell(row.get(kind)) for kind in kinds]
        if any(cells):
            table.add_row(escape(f"{row['layer']} ({row['class_name']})"), *cells)
    console.print(table)
    for step, losses in enumerate(found["losses"], start=1):
        ours, theirs = losses["minikeras"], losses["keras"]
        console.print(f"loss of step {step}: {ours:.7g}, in Keras {theirs:.7g}")
    for note in found["notes"]:
        console.print(note, highlight=False, markup=False)
    print(_verdict(found))


def _cell(found: dict[str, Any] | None) -> str:
    if found is None:
        return ""
    if not found["relative"] and not found["problem"]:
        return "equal"
    text = f"{found['relative']:.0e} {min(found['ulp'], 99999):5.0f}"
    return f"[bold red]{text} differs[/]" if found["problem"] else text


def _verdict(found: dict[str, Any]) -> str:
    first = found["first_difference"]
    version = found["keras_version"]
    if first is None:
        return (
            f"The same as Keras {version} in every layer, gradient and update "
            f"({found['steps']} training steps). Differences are relative to the "
            "largest number of an array; ulp: units in its last place."
        )
    where = first["layer"] or "the file"
    lines = [
        f"DIFFERS from Keras {version}, first in {where}: {first['what']}.",
        f"  {first['problem']}",
        f"  Likely cause: {first['likely_cause']}",
    ]
    return "\n".join(lines)
