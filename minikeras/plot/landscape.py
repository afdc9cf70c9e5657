"""The loss along a line through the weights."""

from __future__ import annotations

from typing import Any

import numpy as np

from minikeras import random
from minikeras.plot.canvas import BLUE, RED, one, plain
from minikeras.plot.passes import as_before, check_model, loss_and_gradients


def loss_landscape(
    model: Any,
    x: Any,
    y: Any,
    direction: Any = None,
    *,
    radius: float = 1.0,
    steps: int = 41,
    seed: int = 0,
    loss: Any = None,
    ax: Any = None,
) -> Any:
    """The loss at weights `w + t * direction`, for t from -radius to radius.

    Args:
        model: a built model, compiled (or pass `loss`). Its weights are moved meanwhile
            and are afterwards what they were.
        x, y: data; all of it is evaluated at each of the `steps` points.
        direction: None for a random one; `"gradient"` for the direction in which the
            loss falls fastest; or a list of arrays like `model.trainable_weights`, such
            as weights after training minus weights before. The first two are scaled,
            array by array, to the length of the weights, so that t = 1 is as far as the
            weights are long.
        radius, steps: how far to go, and how many points to compute.
        seed: of the random direction.
        loss: instead of the compiled one.
        ax: matplotlib's Axes; new ones by default.

    Returns:
        The Axes. The dot is where the weights are.

    Reference: the scaling is that of Li, Xu, Taylor, Studer and Goldstein, "Visualizing
    the Loss Landscape of Neural Nets" (2018), section 4, for whole arrays.
    """
    check_model(model, "loss_landscape")
    if steps < 3 or radius <= 0:
        raise ValueError(
            "`steps` must be at least 3 and `radius` above 0. Received: "
            f"steps={steps}, radius={radius}"
        )
    variables = model.trainable_variables
    arrows, label = _direction(model, x, y, direction, seed, loss)
    distances = np.linspace(-radius, radius, steps)
    distances[np.abs(distances) < 1e-12] = 0.0
    values = []
    with as_before(model):
        start = [v.numpy().copy() for v in variables]
        for t in distances:
            for variable, w, arrow in zip(variables, start, arrows, strict=True):
                variable.assign(w + w.dtype.type(t) * arrow)
            values.append(loss_and_gradients(model, x, y, loss, gradients=False)[0])
    here = loss_and_gradients(model, x, y, loss, gradients=False)[0]
    ax = one(ax)
    ax.plot(distances, values, color=BLUE)
    ax.plot([0], [here], "o", color=RED, label=f"the weights now: {here:.3g}")
    ax.set_xlabel(f"distance t along {label}")
    ax.set_ylabel("loss")
    ax.legend(frameon=False)
    plain(ax)
    return ax


def _direction(
    model: Any, x: Any, y: Any, direction: Any, seed: int, loss: Any
) -> tuple[list[np.ndarray], str]:
    """(one array for each trainable weight, what to call it)."""
    variables = model.trainable_variables
    if direction is None:
        seeds = random.SeedGenerator(seed)
        arrows = [np.asarray(random.normal(v.shape, seed=seeds)) for v in variables]
        return _scaled(arrows, variables), f"a random direction (seed {seed})"
    if isinstance(direction, str):
        if direction != "gradient":
            raise ValueError(
                "`direction` must be None, 'gradient' or a list of arrays. Received: "
                f"direction={direction!r}"
            )
        _, grads = loss_and_gradients(model, x, y, loss)
        zeros = [np.zeros(v.shape, v.dtype) for v in variables]
        found = [
            zero if grads.get(v) is None else -grads[v]
            for v, zero in zip(variables, zeros, strict=True)
        ]
        return _scaled(found, variables), "the falling gradient"
    arrows = [np.asarray(a) for a in direction]
    shapes = [tuple(v.shape) for v in variables]
    if [a.shape for a in arrows] != shapes:
        raise ValueError(
            "`direction` must have one array for each of `model.trainable_weights`, "
            f"of shapes {shapes}. Received: shapes {[a.shape for a in arrows]}"
        )
    found = [a.astype(v.value.dtype) for a, v in zip(arrows, variables, strict=True)]
    return found, "the given direction"


def _scaled(arrows: list[np.ndarray], variables: list[Any]) -> list[np.ndarray]:
    """Each array as long as the weight it belongs to (a bias of zeros stays)."""
    found = []
    for arrow, variable in zip(arrows, variables, strict=True):
        length = float(np.linalg.norm(arrow))
        factor = float(np.linalg.norm(variable.value)) / length if length else 0.0
        found.append((arrow * factor).astype(variable.value.dtype))
    return found
