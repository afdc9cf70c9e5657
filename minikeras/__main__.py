"""`python -m minikeras`: the command line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import NoReturn

from minikeras.registry import suggest
from minikeras.version import KERAS_VERSION, __version__

COMMANDS = {
    "demo": "train a ConvNet on digits and an LSTM on sunspots, and compare with Keras",
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


def make_parser() -> argparse.ArgumentParser:
    """The options and commands."""
    parser = _Parser(
        prog="python -m minikeras",
        description="Keras 3 in NumPy, readable to the bottom.",
    )
    parser.add_argument(
        "--version",
        action="version",
        version=f"minikeras {__version__} (follows Keras {KERAS_VERSION})",
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    demo = commands.add_parser("demo", help=COMMANDS["demo"])
    demo.add_argument("--seed", type=int, default=42, help="random seed (default 42)")
    demo.add_argument(
        "--no-keras", action="store_true", help="leave out the comparison with Keras"
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; returns the exit status."""
    parser = make_parser()
    options = parser.parse_args(arguments)
    if options.command is None:
        parser.print_help()
        return 0
    from minikeras.demo import run_demo

    return run_demo(seed=options.seed, with_keras=not options.no_keras)


if __name__ == "__main__":
    raise SystemExit(main())
