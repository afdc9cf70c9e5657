"""`python -m minikeras demo`."""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of this command."""
    parser.add_argument("--seed", type=int, default=42, help="random seed (default 42)")
    parser.add_argument(
        "--no-keras", action="store_true", help="leave out the comparison with Keras"
    )


def run(options: argparse.Namespace) -> int:
    """Runs the demonstration; returns the exit status."""
    from minikeras.demo import run_demo

    return run_demo(seed=options.seed, with_keras=not options.no_keras)
