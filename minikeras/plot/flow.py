"""The gradient of every weight, from input to output, and what may be wrong with it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from minikeras import teach
from minikeras.plot.canvas import BLUE, GREY, RED, one, plain
from minikeras.plot.passes import check_model, layer_outputs, loss_and_gradients

# Rules of thumb, not laws: they say where to look.
VANISHING = 1e-3  # of the largest layer's gradient: it learns a thousand times slower
EXPLODING = 10.0  # times the weights: a learning rate of 0.1 takes all of them away
DEAD = 0.1  # share of units whose output is 0 for every example
SATURATED = 0.5  # share of values within `NEAR_END` of the ends of a sigmoid or tanh
NEAR_END = 0.05

_ENDS = {"sigmoid": (0.0, 1.0), "tanh": (-1.0, 1.0)}


class Hint(NamedTuple):
    """What may be wrong with a layer.

    Attributes:
        layer: its name.
        kind: "vanishing", "exploding", "not finite", "dead ReLU" or "saturated".
        text: the same in words, with the number found.
    """

    layer: str
    kind: str
    text: str


class _Row(NamedTuple):
    layer: str
    path: str
    gradient: float  # root mean square
    weight: float


def gradient_flow(model: Any, x: Any, y: Any, loss: Any = None, ax: Any = None) -> Any:
    """How large the gradient of every weight is, and hints where it looks wrong.

    Args:
        model: a built model, compiled (or pass `loss`). It is left as it was.
        x, y: a batch; its gradients are computed as in a training step.
        loss: instead of the compiled one.
        ax: matplotlib's Axes; new ones by default.

    Returns:
        The Axes: a bar for each trainable array, the first layer at the top. Its length
        is the root mean square of the gradient; the grey line is that of the weights.
        The hints stand under the picture, and are what `flow.hints` returns:

        - vanishing: a layer's gradient is below 1/1,000 of the largest layer's.
        - exploding: a gradient is more than 10 times its weights.
        - not finite: NaN or infinity in a gradient.
        - dead ReLU: a tenth of the units or more give 0 for every example of `x`.
        - saturated: half of the values or more of a sigmoid, a tanh or a gate lie
          within 0.05 of an end, where the derivative is near 0.

    >>> import minikeras as keras
    >>> out = keras.layers.Dense(1, name="out")
    >>> model = keras.Sequential([keras.Input((2,)), out])
    >>> ax = gradient_flow(model, np.ones((3, 2)), np.ones((3, 1)), loss="mse")
    >>> [label.get_text() for label in ax.get_yticklabels()]
    ['out/kernel', 'out/bias']
    """
    check_model(model, "gradient_flow")
    rows = _rows(model, x, y, loss)
    found = _hints(model, x, rows)
    ax = one(ax, (7.2, 1.6 + 0.34 * len(rows) + 0.22 * len(found)))
    _draw(ax, rows, {hint.layer for hint in found})
    if found:
        text = "\n".join(f"{hint.kind}: {hint.text}" for hint in found)
        ax.set_xlabel(f"{ax.get_xlabel()}\n\n{text}", fontsize="medium")
    return ax


def hints(model: Any, x: Any, y: Any, loss: Any = None) -> list[Hint]:
    """What may be wrong with the layers of a model; see `gradient_flow`."""
    check_model(model, "gradient_flow")
    return _hints(model, x, _rows(model, x, y, loss))


def _rows(model: Any, x: Any, y: Any, loss: Any) -> list[_Row]:
    if not model.trainable_variables:
        raise ValueError(f"Model '{model.name}' has no trainable weights: no gradients")
    _, grads = loss_and_gradients(model, x, y, loss)
    rows = []
    for variable in model.trainable_variables:
        gradient = grads.get(variable)
        size = 0.0 if gradient is None else _rms(np.asarray(gradient))
        path = variable.path.removeprefix(f"{model.name}/")
        layer = path.rsplit("/", 1)[0]
        rows.append(_Row(layer, path, size, _rms(variable.numpy())))
    return rows


def _rms(array: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(array, dtype=np.float64))))


def _draw(ax: Any, rows: list[_Row], marked: set[str]) -> None:
    from matplotlib.patches import Patch

    sizes = [row.gradient if np.isfinite(row.gradient) else 0.0 for row in rows]
    colours = [RED if _is_marked(row, marked) else BLUE for row in rows]
    places = np.arange(len(rows))
    ax.barh(places, sizes, color=colours, height=0.6)
    weights = [row.weight for row in rows]
    (tick,) = ax.plot(weights, places, "|", color=GREY, ms=12, mew=2, label="weights")
    keys = [tick, Patch(color=BLUE, label="gradient")]
    if RED in colours:
        keys.append(Patch(color=RED, label="gradient, see the hint"))
    positive = [s for s in (*sizes, *weights) if s > 0]
    if positive:
        ax.set_xscale("log")
        ax.set_xlim(min(positive) / 5, max(positive) * 5)
    ax.set_yticks(places, [row.path for row in rows])
    ax.invert_yaxis()  # the first layer at the top
    for place, row in zip(places, rows, strict=True):
        if not row.gradient > 0:
            text = "0" if row.gradient == 0 else "not finite"
            ax.annotate(text, (ax.get_xlim()[0], place), (4, 0),
                        textcoords="offset points", va="center")  # fmt: skip
    ax.set_xlabel("root mean square")
    ax.legend(
        handles=keys, frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=3
    )
    plain(ax)


def _is_marked(row: _Row, marked: set[str]) -> bool:
    return any(row.layer == name or name in row.layer.split("/") for name in marked)


def _hints(model: Any, x: Any, rows: list[_Row]) -> list[Hint]:
    return [*_of_gradients(rows), *_of_outputs(model, x), *_of_gates(model, x)]


def _of_gradients(rows: list[_Row]) -> Iterator[Hint]:
    layers: dict[str, float] = {}
    for row in rows:
        layers[row.layer] = max(layers.get(row.layer, 0.0), row.gradient)
        if not np.isfinite(row.gradient):
            text = f"{row.path}: the gradient holds NaN or infinity"
            yield Hint(row.layer, "not finite", text)
        elif row.weight > 0 and row.gradient > EXPLODING * row.weight:
            times = row.gradient / row.weight
            text = f"{row.path}: the gradient is {times:,.0f} times the weights"
            yield Hint(row.layer, "exploding", text)
    largest = max((g for g in layers.values() if np.isfinite(g)), default=0.0)
    for layer, size in layers.items():
        if size < VANISHING * largest:
            share = f"1/{largest / size:,.0f} of" if size else "0, beside"
            text = f"{layer}: the gradient is {share} the largest ({largest:.2g})"
            yield Hint(layer, "vanishing", text)


def _of_outputs(model: Any, x: Any) -> Iterator[Hint]:
    for layer, output in layer_outputs(model, x):
        activation = _activation(layer)
        if not isinstance(output, np.ndarray) or not output.size:
            continue
        if activation == "relu":
            flat = output.reshape(-1, output.shape[-1])  # (everything else, units)
            dead = int((flat == 0).all(axis=0).sum())
            if dead >= DEAD * flat.shape[1]:
                text = f"{layer.name}: {dead} of {flat.shape[1]} units are 0 for all x"
                yield Hint(layer.name, "dead ReLU", text)
        elif activation in _ENDS:
            hint = _saturated(layer.name, "", output, _ENDS[activation])
            if hint is not None:
                yield hint


def _activation(layer: Any) -> str | None:
    """The name of the function that a layer ends in; None for a recurrent layer."""
    if type(layer).__name__ == "ReLU":
        return "relu"
    if hasattr(layer, "cell"):
        return None
    return getattr(getattr(layer, "activation", None), "__name__", None)


def _of_gates(model: Any, x: Any) -> Iterator[Hint]:
    for layer in model.layers:
        if type(layer).__name__ not in ("LSTM", "GRU"):
            continue
        found = teach.gates(model, layer.name, x)
        for name in ("i", "f", "o", "z", "r"):
            values = getattr(found, name, None)
            if values is not None:
                hint = _saturated(layer.name, f"gate {name}: ", values, (0.0, 1.0))
                if hint is not None:
                    yield hint


def _saturated(
    layer: str, part: str, values: np.ndarray, ends: tuple[float, float]
) -> Hint | None:
    known = values[np.isfinite(values)]  # gates are NaN where the mask skips
    low, high = ends
    near = (known < low + NEAR_END) | (known > high - NEAR_END)
    share = float(near.mean()) if known.size else 0.0
    if share < SATURATED:
        return None
    text = f"{layer}: {part}{share:.0%} of the values are near {low:g} or {high:g}"
    return Hint(layer, "saturated", text)
