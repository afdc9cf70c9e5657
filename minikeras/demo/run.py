"""What `python -m minikeras demo` prints."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from minikeras import config, random
from minikeras.demo.tasks import Task, digits_task, forecast_errors, sunspots_task

# What the axes of the usual weights are.
MEANINGS = {
    ("Dense", "kernel"): "inputs, units",
    ("Dense", "bias"): "units",
    ("Conv2D", "kernel"): "height, width, in, filters",
    ("Conv2D", "bias"): "filters",
    ("LSTM", "kernel"): "inputs, units of i f c o",
    ("LSTM", "recurrent_kernel"): "units, units of i f c o",
    ("LSTM", "bias"): "units of i f c o",
}


def run_demo(seed: int = 42, with_keras: bool = True) -> int:
    """Trains both models, shows what happened, compares with Keras if it is there."""
    from rich.console import Console

    console = Console(highlight=False)
    start = time.perf_counter()
    config.enable_interactive_logging()
    random.set_random_seed(seed)
    digits, sunspots = digits_task(), sunspots_task()

    _train(console, digits, verbose=1)
    loss, accuracy = digits.model.evaluate(*digits.test, verbose=0)
    console.print(
        f"Test accuracy on {len(digits.test[1])} images: [bold]{accuracy:.1%}[/]"
        f" (loss {loss:.3f})"
    )

    _train(console, sunspots, verbose=0)
    forecast, persistence = forecast_errors(sunspots)
    console.print(
        f"Error over the last {len(sunspots.test[1])} years (RMSE, in sunspots): LSTM "
        f'[bold]{forecast:.1f}[/], "as many as last year" {persistence:.1f}: '
        f"{1 - forecast / persistence:.0%} smaller"
    )
    console.print(f"\nTrained in {time.perf_counter() - start:.1f} s with NumPy alone.")
    if with_keras:
        _compare(console, [digits, sunspots])
    return 0


def _train(console: Any, task: Task, verbose: int) -> None:
    console.rule(f"[bold]{task.title}")
    task.model.summary()
    before = [v.numpy() for v in task.model.weights]
    start = time.perf_counter()
    history = task.model.fit(
        *task.train, batch_size=task.batch_size, epochs=task.epochs, verbose=verbose
    )
    losses = history.history["loss"]
    console.print(
        f"\n{task.epochs} epochs in {time.perf_counter() - start:.1f} s: loss "
        f"{losses[0]:.4f} -> {losses[-1]:.4f}"
    )
    console.print(_weights_table(task.model, before, narrow=console.width < 72))


def _weights_table(model: Any, before: list[np.ndarray], narrow: bool) -> Any:
    """Every array of `get_weights()`, what its axes are, what training changed."""
    from rich.table import Table

    table = Table(
        title="get_weights() before training, and what training changed",
        title_justify="left",
    )
    table.add_column("weight", no_wrap=True)
    table.add_column("shape", no_wrap=not narrow)
    table.add_column("axes")
    table.add_column("mean |w|", justify="right")
    table.add_column("mean |change|", justify="right", min_width=8)
    separator = "\n" if narrow else ""
    owners = {id(v): layer for layer in model.layers for v in layer.weights}
    for variable, old in zip(model.weights, before, strict=True):
        layer = owners[id(variable)]
        table.add_row(
            f"{layer.name}/{separator}{variable.name}",
            str(variable.shape),
            MEANINGS.get((type(layer).__name__, variable.name), ""),
            f"{np.abs(old).mean():.4f}",
            f"{np.abs(variable.value - old).mean():.4f}",
        )
    return table


def _compare(console: Any, tasks: list[Task]) -> None:
    from rich.table import Table

    from minikeras.demo.parity import compare, keras_is_installed, without_stderr

    console.rule("[bold]The same models in Keras")
    if not keras_is_installed():
        console.print(
            'Keras is not installed. With it (pip install -e ".[parity]") this table '
            "shows how closely minikeras follows it.",
            markup=False,
        )
        return
    table = Table()
    table.add_column("model")
    table.add_column("compared")
    table.add_column("max difference", justify="right")
    table.add_column("in ULP of the largest value", justify="right")
    for task in tasks:
        with without_stderr():
            rows = list(compare(task))
        for row in rows:
            table.add_row(
                task.model.name, row.what, f"{row.largest:.1e}", f"{row.ulp:.1f}"
            )
    console.print(table)
