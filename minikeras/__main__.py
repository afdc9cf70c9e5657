"""`python -m minikeras`: the command line."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import warnings
from collections.abc import Sequence
from typing import Any, NoReturn

from minikeras.registry import suggest
from minikeras.version import KERAS_VERSION, __version__

# Command -> (module, what it does). The modules are loaded when they are wanted.
COMMANDS = {
    "demo": (
        "minikeras.command_line.demo",
        "train a ConvNet on digits and an LSTM on sunspots, and compare with Keras",
    ),
    "inspect": (
        "minikeras.command_line.inspect_file",
        "what is in a model or weights file: layers, weights, optimizer state",
    ),
    "summary": (
        "minikeras.command_line.summary",
        "make the model of a file and print its summary",
    ),
    "diff": (
        "minikeras.command_line.diff",
        "compare two files: configuration and weights (status 1 if they differ)",
    ),
    "convert": (
        "minikeras.command_line.convert",
        "write a model or its weights in another format",
    ),
    "verify": (
        "minikeras.command_line.verify",
        "run a model here and in Keras, and compare every layer, gradient and step",
    ),
    "exercises": (
        "minikeras.command_line.exercises",
        "write a gradient yourself and have it checked: list, start, check, hint",
    ),
}


class _Parser(argparse.ArgumentParser):
    """An argument parser that names the command one probably meant."""

    def error(self, message: str) -> NoReturn:
        """Exits with status 2."""
        hint = ""
        if "invalid choice" in message:
            hint = suggest(message.split("'")[1], COMMANDS)
        print(f"minikeras: {message}{hint}", file=sys.stderr)
        print("Try: python -m minikeras --help", file=sys.stderr)
        raise SystemExit(2)


def make_parser(command: str | None = None) -> argparse.ArgumentParser:
    """The options and commands; the arguments of `command` only, if it is given."""
    parser = _Parser(
        prog="python -m minikeras",
        description="Keras 3 in NumPy, readable to the bottom.",
        epilog="Status: 0 success, 1 they differ (diff, verify, exercises check), "
        "2 an error.",
    )
    parser.add_argument(
        "--version",
        action="version",
        version=f"minikeras {__version__} (follows Keras {KERAS_VERSION})",
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for name, (module, text) in COMMANDS.items():
        sub = commands.add_parser(name, help=text, description=text)
        if name == command:
            importlib.import_module(module).add_arguments(sub)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; returns the exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    named = next((argument for argument in given if argument in COMMANDS), None)
    options = make_parser(named).parse_args(given)
    if options.command is None:
        make_parser().print_help()
        return 0
    run = importlib.import_module(COMMANDS[options.command][0]).run
    with warnings.catch_warnings():
        warnings.showwarning = _show_warning
        try:
            status = run(options)
            sys.stdout.flush()
            return status
        except BrokenPipeError:  # the reader, such as `head`, has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        except SystemExit as stop:  # rich's word for it
            if isinstance(stop.__context__, BrokenPipeError):
                return 0
            raise
        except _EXPECTED as error:
            _say(str(error) or type(error).__name__)
            return 2


# A file can be too much in any of these ways; none of them is a difference.
_EXPECTED = (ValueError, TypeError, OSError, ImportError, MemoryError, RecursionError)


def _say(text: str) -> None:
    from minikeras.saving.errors import visible

    print(f"minikeras: {visible(text)}", file=sys.stderr)


def _show_warning(message: Any, *args: Any, **kwargs: Any) -> None:
    _say(f"warning: {message}")


if __name__ == "__main__":
    raise SystemExit(main())
