"""`python -m minikeras exercises`: parts of the library to write again."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from minikeras.registry import suggest

COMMAND = "python -m minikeras exercises"
ACTIONS = {
    "list": "all exercises in their order, and which are begun in this directory",
    "start": "write NAME.py, with a part to fill in, into this directory",
    "check": "run NAME.py and compare it with the library; without NAME, all here",
    "hint": "the first hint; with a number, the hints up to that one",
    "solution": "the library's own source",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of this command."""
    lines = [f"{name:10}{text}" for name, text in ACTIONS.items()]
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description = "\n".join([f"{parser.description}.", "", *lines])
    parser.add_argument(
        "action", nargs="?", default="list", metavar="ACTION", help="one of the above"
    )
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="of an exercise (hint: NAME [NUMBER])"
    )
    parser.add_argument(
        "--keras", action="store_true", help="check: ask Keras too, if it is installed"
    )


def run(options: argparse.Namespace) -> int:
    """Runs an action; returns the exit status."""
    actions: dict[str, Callable[[Any], int]] = {
        "list": _list,
        "start": _start,
        "check": _check,
        "hint": _hint,
        "solution": _solution,
    }
    if options.action not in actions:
        raise ValueError(
            f"exercises {options.action}: there is no such action."
            f"{suggest(options.action, actions)} Known: {', '.join(actions)}."
        )
    return actions[options.action](options)


def _exercises(options: argparse.Namespace) -> list[Any]:
    from minikeras.teach.exercises import find

    if not options.names:
        raise ValueError(f"exercises {options.action}: which one? See: {COMMAND} list")
    return [find(name) for name in options.names]


def _file(name: str) -> Path:
    return Path.cwd() / f"{name}.py"


# --- list, start, hint, solution ------------------------------------------------------


def _list(options: argparse.Namespace) -> int:
    from rich.table import Table

    from minikeras.teach.exercises import exercises

    table = Table("", "exercise", "what", "here", box=None, pad_edge=False)
    table.columns[0].justify = "right"
    counts = {"begun": 0, "written": 0}
    for number, exercise in enumerate(exercises().values(), start=1):
        state = _state(exercise.name)
        if state:
            counts[state] += 1
        table.add_row(str(number), exercise.name, exercise.title, state)
    console = _console()
    console.print(table)
    console.print()
    if not any(counts.values()):
        console.print(f"Begin with: {COMMAND} start {next(iter(exercises()))}")
    else:
        text = f"Here: {counts['written']} written, {counts['begun']} begun."
        console.print(f"{text} Are they right? {COMMAND} check")
    return 0


def _state(name: str) -> str:
    """What there is in this directory, by a look at the file, which is not run."""
    from minikeras.teach.exercises.source import YOUR_TURN

    try:
        text = _file(name).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return "begun" if YOUR_TURN in text else "written"


def _start(options: argparse.Namespace) -> int:
    from minikeras.teach.exercises.source import YOUR_TURN, render

    console = _console()
    for exercise in _exercises(options):
        path, text = _file(exercise.name), render(exercise)
        try:
            with open(path, "x", encoding="utf-8") as file:
                file.write(text)
        except FileExistsError:
            raise FileExistsError(
                f"{path.name} is here already, and is yours: it is not written over. "
                f"Check it with: {COMMAND} check {exercise.name}. To begin again, "
                "rename it first."
            ) from None
        except OSError as error:
            raise OSError(
                f"Cannot write {path.name} into {path.parent}: {error.strerror}. Go to "
                "a directory in which you may write."
            ) from error
        lines = text.splitlines()
        places = [i for i, line in enumerate(lines, 1) if line.strip() == YOUR_TURN]
        word = "line" if len(places) == 1 else "lines"
        console.print(f"{path.name}: your turn in {word} {_listed(places)}.")
        console.print(f"Then: {COMMAND} check {exercise.name}")
    return 0


def _listed(items: Sequence[Any]) -> str:
    texts = [str(item) for item in items]
    return " and ".join([", ".join(texts[:-1]), texts[-1]]) if texts[1:] else texts[0]


def _hint(options: argparse.Namespace) -> int:
    *_, last = options.names or [""]
    number = 1
    if len(options.names) > 1 and last.isdigit():
        number = int(last)
        options.names = options.names[:-1]
    console = _console()
    for exercise in _exercises(options):
        count = len(exercise.hints)
        if not 1 <= number <= count:
            raise ValueError(
                f"{exercise.name} has hints 1 to {count}. Received: {number}"
            )
        for k, hint in enumerate(exercise.hints[:number], start=1):
            console.print(f"Hint {k} of {count}: {hint}")
        more = f"hint {exercise.name} {number + 1}"
        if number == count:
            more = f"solution {exercise.name}"
        console.print(f"\nMore: {COMMAND} {more}")
    return 0


def _solution(options: argparse.Namespace) -> int:
    from rich.syntax import Syntax

    from minikeras.teach.exercises.source import solution

    console = _console()
    for exercise in _exercises(options):
        for place, text in solution(exercise):
            console.print(f"# {place}")
            if console.is_terminal:
                syntax = Syntax(text, "python", background_color="default")
                console.print(syntax.highlight(text), soft_wrap=True)
            else:
                print(text)
            console.print()
    return 0


# --- check ----------------------------------------------------------------------------


def _check(options: argparse.Namespace) -> int:
    from minikeras.teach.exercises import exercises
    from minikeras.teach.exercises.checking import check

    if not options.names:
        options.names = [name for name in exercises() if _file(name).is_file()]
        if not options.names:
            raise FileNotFoundError(
                f"There is no exercise in this directory. Write one with: {COMMAND} "
                f"start {next(iter(exercises()))}"
            )
    chosen = _exercises(options)
    keras = None
    if options.keras:
        from minikeras.interop.frameworks import import_keras

        keras = import_keras()
    console, status = _console(), 0
    for k, exercise in enumerate(chosen):
        if k:
            console.print()
        report = check(exercise, _file(exercise.name), keras)
        _print(console, report)
        status = status if report.ok else 1
    return status


def _print(console: Any, report: Any) -> None:
    exercise = report.exercise
    console.print(f"{exercise.name}: {exercise.title}", style="bold")
    console.print()
    hint = f"A hint: {COMMAND} hint {exercise.name}"
    if report.arrays:
        console.print(_table(report))
        console.print()
    said: dict[str, list[str]] = {}
    for array in report.arrays:
        if array.diagnosis:
            said.setdefault(array.diagnosis, []).append(array.name)
    for text, names in said.items():
        console.print(f"{_listed(names)}: {text}\n")
    if report.trouble:
        console.print(report.trouble, style="" if report.unwritten else "red")
        console.print(f"\n{hint}")
        return
    count = len(report.arrays)
    right = sum(a.verdict != "WRONG" for a in report.arrays)
    tried = f"on {report.inputs} inputs"
    if not report.ok:
        console.print(f"{right} of {count} right, {tried}.", style="red")
        console.print(hint)
        return
    console.print(f"Right, {tried}: {_meaning(report)}", style="green")
    console.print(_next(exercise.name))


def _table(report: Any) -> Any:
    from rich.table import Table
    from rich.text import Text

    others = {"numeric": any(a.numeric is not None for a in report.arrays)}
    others["keras"] = any(a.keras is not None for a in report.arrays)
    shown = [name for name, there in others.items() if there]
    headings = ["array", "verdict", "difference", "worst at", "yours", "truth", *shown]
    table = Table(*headings, box=None, pad_edge=False)
    styles = {"WRONG": "bold red", "exact": "green", "close": "green"}
    for a in report.arrays:
        cells = [a.name, Text(a.verdict, styles[a.verdict])]
        if a.index is None:
            cells += ["0" if a.verdict == "exact" else "", "", "", ""]
        else:
            cells += [f"{a.error:.1e}", str(a.index), f"{a.yours:.5g}"]
            cells += [f"{a.truth:.5g}"]
        for name in shown:
            value = getattr(a, name)
            cells.append("" if value is None else f"{value:.0e}")
        table.add_row(*cells)
    return table


def _meaning(report: Any) -> str:
    """What the verdicts and columns mean, as far as they are there."""
    verdicts = {a.verdict for a in report.arrays}
    parts = []
    if "exact" in verdicts:
        parts.append("exact is every bit of the library's result")
    if "close" in verdicts:
        parts.append("close is up to rounding")
    if any(a.numeric is not None for a in report.arrays):
        parts.append("numeric is the distance from differences of the forward pass")
    if report.keras_version:
        parts.append(f"keras that from Keras {report.keras_version}")
    return f"{', '.join(parts)}."


def _next(name: str) -> str:
    from minikeras.teach.exercises import exercises

    order = list(exercises())
    following = order[order.index(name) + 1 :] + order
    for other in following:
        if not _file(other).is_file():
            return f"Next: {COMMAND} start {other}"
    return f"That was the last one. All of them: {COMMAND} check"


def _console() -> Any:
    from rich.console import Console

    return Console(highlight=False, markup=False, soft_wrap=False)
