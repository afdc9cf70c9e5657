"""The gates of an LSTM or GRU over time."""

from __future__ import annotations

from typing import Any

import numpy as np

from minikeras.plot.canvas import ONE_SIDED, TWO_SIDED, one, several
from minikeras.plot.images import draw
from minikeras.teach.gate_values import GRUGates, LSTMGates

_NAMES = {
    "i": "i: input gate",
    "f": "f: forget gate",
    "o": "o: output gate",
    "c": "c: candidate",
    "z": "z: update gate",
    "r": "r: reset gate",
    "h": "h: candidate",
    "cell": "cell state",
    "hidden": "hidden state",
}


def gates(
    gates: Any,
    example: int = 0,
    unit: int | None = 0,
    ax: Any = None,
    times: Any = None,
) -> Any:
    """The gates, the candidate and the states over time.

    Args:
        gates: what `teach.gates(model, layer, x)` returned.
        example: which one of the batch.
        unit: which unit, as curves; None for all units, as a heat map of each gate and
            state.
        ax: matplotlib's Axes (for `unit=None` an array of them); new ones by default.
        times: what to write at the time axis, one value for each step, such as years;
            by default the number of the step. Only for curves.

    Returns:
        The Axes; for `unit=None` an array of them, one for each gate and state.
    """
    if not isinstance(gates, LSTMGates | GRUGates):
        raise TypeError(
            "`gates` must be what `teach.gates(model, layer, x)` returns. Received: "
            f"{type(gates).__name__}"
        )
    if unit is not None:
        return gates.plot(example, unit, one(ax, (8.4, 3.8)), times)
    names = [name for name in gates._fields if name in _NAMES]
    axes = several(ax, len(names), 3, (3.1, 2.3))
    order = np.argsort(gates.time)  # a layer that goes backwards: left is early too
    for panel, name in zip(axes, names, strict=True):
        values = getattr(gates, name)[example, order].T  # (T, units) -> (units, T)
        if name in ("i", "f", "o", "z", "r"):
            scale = (0.0, 1.0, ONE_SIDED)
        else:
            far = max(float(np.nanmax(np.abs(values), initial=0)), 1e-12)
            scale = (-far, far, TWO_SIDED)
        image = draw(panel, values, scale)
        panel.set_title(_NAMES[name], fontsize="medium")
        panel.set_xlabel("time step")
        panel.set_ylabel("unit")
        panel.get_figure().colorbar(image, ax=panel)
    return axes
