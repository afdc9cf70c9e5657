"""What `gates` returns: the gates and states of a recurrent layer, and their plot."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

# field -> (label, colour, line style, width); the states are drawn over the gates
_STYLES = {
    "i": ("i: input gate", "#0072b2", "-", 1.2),
    "f": ("f: forget gate", "#009e73", "-", 1.2),
    "o": ("o: output gate", "#e69f00", "-", 1.2),
    "c": ("c: candidate", "#999999", "--", 1.0),
    "z": ("z: update gate", "#0072b2", "-", 1.2),
    "r": ("r: reset gate", "#e69f00", "-", 1.2),
    "h": ("h: candidate", "#999999", "--", 1.0),
    "cell": ("cell state", "#cc3311", "-", 1.8),
    "hidden": ("hidden state", "#000000", "-", 1.8),
}


class LSTMGates(NamedTuple):
    """The gates and states of an LSTM: arrays (N, T, units) of its compute dtype.

    At a masked step the gates are NaN, since they had no effect, and the states stay.

    Attributes:
        i: input gate, how much of the candidate is added to the cell state.
        f: forget gate, how much of the cell state stays.
        c: candidate, what may be added; `g` in the formulas of the layer.
        o: output gate, how much of the cell state is let out.
        cell: the cell state after each step, `f * cell_before + i * c`.
        hidden: the hidden state after each step, `o * tanh(cell)`: the layer's output
            with `return_sequences`. (With `zero_output_for_mask` the output is zero at
            masked steps; the state is not.)
        time: (T,), the place in the sequence that each step read: 0, 1, ..., or the
            reverse with `go_backwards`.
        mask: (N, T), True where a step counted; None if there was no mask.
        layer: the layer's name.
    """

    i: np.ndarray
    f: np.ndarray
    c: np.ndarray
    o: np.ndarray
    cell: np.ndarray
    hidden: np.ndarray
    time: np.ndarray
    mask: np.ndarray | None
    layer: str

    def __repr__(self) -> str:
        return _described(self)

    def plot(
        self, example: int = 0, unit: int = 0, ax: Any = None, times: Any = None
    ) -> Any:
        """Draws the gates, the candidate and the states of one unit over time.

        Args:
            example, unit: which ones.
            ax: matplotlib's Axes to draw on; a new one by default.
            times: what to write at the time axis, one value for each step of the
                sequence, such as years; by default the number of the step.

        Returns:
            The Axes.
        """
        return _plot(self, ("i", "f", "o", "c"), example, unit, ax, times)


class GRUGates(NamedTuple):
    """The gates and states of a GRU: arrays (N, T, units) of its compute dtype.

    At a masked step the gates are NaN, since they had no effect, and the state stays.

    Attributes:
        z: update gate, how much of the hidden state stays.
        r: reset gate, how much of the hidden state the candidate sees.
        h: candidate, what takes the place of the rest; `g` in the layer's formulas.
        hidden: the hidden state after each step, `z * hidden_before + (1 - z) * h`: the
            layer's output with `return_sequences`.
        time, mask, layer: see `LSTMGates`.
    """

    z: np.ndarray
    r: np.ndarray
    h: np.ndarray
    hidden: np.ndarray
    time: np.ndarray
    mask: np.ndarray | None
    layer: str

    def __repr__(self) -> str:
        return _described(self)

    def __getattr__(self, name: str) -> Any:
        hint = ""
        if name in LSTMGates._fields:
            hint = " That is an LSTM's; a GRU has z, r, h (candidate) and hidden."
        raise AttributeError(f"'GRUGates' object has no attribute {name!r}.{hint}")

    def plot(
        self, example: int = 0, unit: int = 0, ax: Any = None, times: Any = None
    ) -> Any:
        """Draws the gates, the candidate and the state of one unit over time.

        Args and returns: see `LSTMGates.plot`.
        """
        return _plot(self, ("z", "r", "h"), example, unit, ax, times)


def _described(values: Any) -> str:
    """What there is, a line for each array, instead of all the numbers."""
    n, steps, units = values.hidden.shape
    lines = [
        f"{type(values).__name__} of '{values.layer}': (N, T, units) = "
        f"({n}, {steps}, {units})"
    ]
    for name in values._fields[: values._fields.index("time")]:
        array = getattr(values, name)
        label = _STYLES[name][0].rpartition(": ")[2]
        line = f"  .{name:7}{label:14}"
        seen = array[np.isfinite(array)]
        if seen.size:
            line += f"{seen.min():7.3f} to {seen.max():6.3f}, mean {seen.mean():6.3f}"
        lines.append(line)
    if values.mask is not None:
        skipped = int((~values.mask).sum())
        lines.append(f"  .mask   {skipped} of {n * steps} steps masked")
    return "\n".join(lines)


def _plot(
    values: Any, gates: tuple[str, ...], example: int, unit: int, ax: Any, times: Any
) -> Any:
    n, steps, units = values.hidden.shape
    _check_index("example", example, n)
    _check_index("unit", unit, units)
    if times is None:
        times = np.arange(steps)
    times = np.asarray(times)
    if times.shape != (steps,):
        raise ValueError(
            f"`times` must have one value for each of the {steps} steps. Received: "
            f"shape {times.shape}"
        )
    if times.dtype.kind == "f" and not np.isfinite(times).all():
        raise ValueError(
            "`times` must be numbers or dates. Received: NaN or infinity. Dates of a "
            'file are read with np.genfromtxt(..., dtype="datetime64[D]").'
        )
    if ax is None:
        ax = _new_axes()
    order = np.argsort(values.time)  # a layer that goes backwards: left is early too
    states = ("cell", "hidden") if "cell" in values._fields else ("hidden",)
    ax.axhline(0, color="#bbbbbb", linewidth=0.6)
    # A gate goes from 0 to 1: the band shows where.
    ax.axhspan(0, 1, color="#f3f3f3", zorder=0)
    for name in (*gates, *states):
        label, color, style, width = _STYLES[name]
        y = getattr(values, name)[example, order, unit]
        marker = "." if steps <= 30 else None
        ax.plot(
            times, y, style, color=color, linewidth=width, label=label, marker=marker
        )
    if values.mask is not None:
        low, high = ax.get_ylim()
        skipped = ~values.mask[example, order]
        if skipped.any():
            _shade(ax, times, skipped)
            ax.set_ylim(low, high)
    if times.dtype.kind in "iu":
        ax.xaxis.get_major_locator().set_params(integer=True)
    ax.set_xlabel("time step" if times.dtype.kind in "iu" and times[0] == 0 else "time")
    ax.set_title(f"{values.layer}: unit {unit}, example {example}")
    ax.margins(x=0.01)
    ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False)
    return ax


def _shade(ax: Any, times: np.ndarray, skipped: np.ndarray) -> None:
    """A grey band over each masked step."""
    label = "masked"
    for k in np.flatnonzero(skipped):
        before, after = times[max(k - 1, 0)], times[min(k + 1, len(times) - 1)]
        left, right = times[k] - (times[k] - before) / 2, (times[k] + after) / 2
        ax.axvspan(left, right, color="#cccccc", alpha=0.6, linewidth=0, label=label)
        label = None


def _new_axes() -> Any:
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise ImportError(
            "`plot` needs matplotlib: pip install matplotlib. The arrays are there "
            "without it."
        ) from error
    return pyplot.subplots(figsize=(10, 4), layout="constrained")[1]


def _check_index(name: str, index: int, size: int) -> None:
    if not -size <= index < size:
        raise IndexError(
            f"`{name}` must be between 0 and {size - 1}. Received: {name}={index}"
        )
