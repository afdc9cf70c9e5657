"""What `gradcheck` found: a table, and what it means in words."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

WIDTH = 80  # columns
_NAME_WIDTH = 24  # of which a name may take so many
_METHODS = {
    "central differences": (
        "One number is moved a little up and down, everything else stays: numeric is "
        "by how much the output, weighted with random numbers, follows it. backward "
        "must say the same."
    ),
    "complex steps": (
        "One number is moved by a tiny imaginary step: what becomes imaginary in the "
        "output is its derivative, to the last digits. backward must say the same."
    ),
}


@dataclass(frozen=True)
class ArrayCheck:
    """The verdict on the gradient of one array, and its worst derivative.

    Attributes:
        name: `"input"`, `"input[1]"`, `"initial_state[0]"` or a variable's path.
        shape: the array's shape.
        checked: how many derivatives were compared.
        index: where the worst one is; None if it is a derivative along a direction, or
            if nothing could be compared.
        analytic, numeric: from `backward`, and from differences.
        error: their distance, relative to the largest gradient in the array.
        kinks: how many derivatives differ only because of a kink.
        verdict: `"ok"`, `"kink"` or `"WRONG"`.
        diagnosis: what the mistake looks like, if it looks like a known one.
    """

    name: str
    shape: tuple[int, ...]
    checked: int
    index: tuple[int, ...] | None
    analytic: float
    numeric: float
    error: float
    kinks: int
    verdict: str
    diagnosis: str = ""

    @property
    def along(self) -> bool:
        """Whether the derivatives are along directions, not along single numbers."""
        return bool(self.checked) and self.index is None

    def row(self) -> tuple[str, ...]:
        """Its line in the table."""
        if not self.checked:
            return self.name, "", "", "", "", self.verdict
        return (
            self.name,
            "direction" if self.index is None else _place(self.index),
            f"{self.analytic:.5g}",
            f"{self.numeric:.5g}",
            f"{self.error:.0e}",
            self.verdict,
        )

    def notes(self) -> Iterator[str]:
        """What is to be said of it under the table."""
        if self.kinks:
            many = self.kinks > 1
            yield (
                f"{self.name}: {self.kinks} at kinks. The function has a corner just "
                f"{'at these places' if many else 'there'} (ReLU at 0, a tie in max "
                "pooling): the slopes on its two sides differ, and backward may "
                "return either. A little beside it the two agree"
                f"{'.' if self.verdict == 'WRONG' else ', so nothing is wrong.'}"
            )
        if self.verdict != "WRONG":
            return
        if self.index is not None:
            yield (
                f"{self.name}: when the number at {_place(self.index)} moves, the "
                f"weighted output moves {self.numeric:.6g} times as far; backward says "
                f"{self.analytic:.6g}."
            )
        else:
            yield f"{self.name}:"
        yield self.diagnosis or (
            "None of the known mistakes gives these numbers. Write the forward line by "
            "line, and under each its derivative with the shapes."
        )


@dataclass(frozen=True)
class GradcheckResult:
    """What `gradcheck` found: prints as a table, `.ok` says whether all is well.

    Attributes:
        target: what was checked.
        method: `"central differences"` or `"complex steps"`.
        arrays: one `ArrayCheck` for each array.
    """

    target: str
    method: str
    arrays: tuple[ArrayCheck, ...]

    @property
    def ok(self) -> bool:
        """Whether no gradient is wrong. A kink is not wrong."""
        return all(check.verdict != "WRONG" for check in self.arrays)

    @property
    def wrong(self) -> list[str]:
        """The names of the arrays whose gradient is wrong."""
        return [check.name for check in self.arrays if check.verdict == "WRONG"]

    def raise_if_failed(self) -> GradcheckResult:
        """For tests: raises AssertionError with the table if a gradient is wrong."""
        if not self.ok:
            raise AssertionError(
                f"The gradient of {self.wrong} is wrong in {self.target}.\n{self}"
            )
        return self

    def __rich__(self) -> Any:
        """The table, for `rich.print`."""
        from rich.box import SIMPLE_HEAD
        from rich.console import Group
        from rich.markup import escape
        from rich.padding import Padding
        from rich.table import Table
        from rich.text import Text

        colours = {"ok": "green", "kink": "yellow", "WRONG": "bold red"}
        table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
        title = "array, shape, checked"
        table.add_column(title, overflow="fold", min_width=_NAME_WIDTH)
        table.add_column("worst at", overflow="fold")
        for title in ("backward", "numeric", "error"):
            table.add_column(title, justify="right", overflow="fold")
        table.add_column("verdict", no_wrap=True)
        short = _shortened([check.name for check in self.arrays])
        for check in self.arrays:
            _, *cells, verdict = map(escape, check.row())
            name = escape(short[check.name])
            size = 1
            for n in check.shape:
                size *= n
            of = "all" if check.checked == size else f"{check.checked} of {size:,}"
            of = f"{check.checked} directions" if check.along else of
            name = f"{name}\n  {escape(_place(check.shape))}, {of}"
            table.add_row(name, *cells, Text(verdict, colours[verdict]))
        parts: list[Any] = [
            Text(f"gradcheck of {self.target}, {self.method}, in float64", "bold"),
            Text(textwrap.fill(_METHODS.get(self.method, ""), WIDTH)),
            table,
        ]
        for check in self.arrays:
            for k, note in enumerate(check.notes()):
                parts.append(Padding(Text(note), (0, 0, 0, 2 if k else 0)))
        parts.append(Text(self._verdict(), "bold"))
        return Group(*parts)

    def _verdict(self) -> str:
        wrong, count = len(self.wrong), len(self.arrays)
        if not wrong:
            return (
                "The gradient is right." if count == 1 else "All gradients are right."
            )
        verb = "is" if wrong == 1 else "are"
        return f"{wrong} of {count} gradient{'s' * (count > 1)} {verb} wrong."

    def __str__(self) -> str:
        """The table as text, 80 columns wide."""
        from rich.console import Console

        console = Console(
            width=WIDTH, color_system=None, force_terminal=False, highlight=False
        )
        with console.capture() as capture:
            console.print(self.__rich__())
        return "\n".join(line.rstrip() for line in capture.get().rstrip().split("\n"))

    __repr__ = __str__


def _shortened(names: list[str]) -> dict[str, str]:
    """Names for the table: long ones in lines, without the model's own name.

    >>> print(_shortened(["net/lstm/lstm_cell/recurrent_kernel"]).popitem()[1])
    lstm/lstm_cell/
    recurrent_kernel
    """
    paths = [name for name in names if name.count("/") > 1]
    owners = {path.split("/")[0] for path in paths}
    result = {}
    for name in names:
        parts = name.split("/")
        if name in paths and len(owners) == 1:
            parts = parts[1:]
        lines = [parts[0]]
        for part in parts[1:]:
            if len(lines[-1]) + 1 + len(part) <= _NAME_WIDTH:
                lines[-1] += f"/{part}"
            else:
                lines[-1] += "/"
                lines.append(part)
        result[name] = "\n".join(lines)
    return result


def _place(index: tuple[int, ...]) -> str:
    return f"({', '.join(map(str, index))}{',' if len(index) == 1 else ''})"
