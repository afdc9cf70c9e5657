"""What a user sees of a model, and what it computes, in both libraries."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minikeras import tree
from parity_tests.functions import default_dtype
from parity_tests.model_twins import (
    Twins,
    call,
    compare_gradients,
    compare_numbers,
    compiled,
    pair,
)
from parity_tests.tolerance import assert_equal


def shape_of(structure: Any) -> Any:
    """Shapes, nested as the structure."""
    if isinstance(structure, dict):
        return {key: shape_of(value) for key, value in structure.items()}
    if isinstance(structure, list | tuple):
        return type(structure)(shape_of(item) for item in structure)
    return tuple(structure.shape)


def names_of(model: Any) -> dict[str, Any]:
    """Names, orders and shapes that a user sees."""
    return {
        "name": model.name,
        "layers": [layer.name for layer in model.layers],
        "weights": [(w.path, tuple(w.shape)) for w in model.weights],
        "inputs": [(input_name(t), tuple(t.shape), str(t.dtype)) for t in model.inputs],
        "outputs": [(tuple(t.shape), str(t.dtype)) for t in model.outputs],
        "input_shape": plain(model.input_shape),
        "output_shape": plain(model.output_shape),
        "output_names": list(getattr(model, "output_names", ())),
        "operations": [x.name for x in getattr(model, "operations", ())],
        "count": model.count_params(),
    }


def input_name(tensor: Any) -> str:
    """Its name, if somebody gave it one: automatic ones count inner tensors too."""
    return "" if tensor.name.startswith("keras_tensor") else tensor.name


def plain(shape: Any) -> Any:
    """Shapes as tuples, in lists and dicts."""
    if isinstance(shape, dict):
        return {key: plain(value) for key, value in shape.items()}
    if all(n is None or isinstance(n, int) for n in shape):
        return tuple(shape)
    return [plain(item) for item in shape]


def check_model(
    make: Callable[[Any], Any], *calls: Any, y: Any = None, seed: int = 0
) -> Twins:
    """Names, predictions for each of `calls`, and gradients, against Keras."""
    with default_dtype("float64"):
        twins = pair(make, seed)
        assert_same(names_of(twins.ours), names_of(twins.theirs))
        for inputs in calls:
            ours, theirs = twins.ours(inputs), twins.theirs(inputs)
            assert_equal(shape_of(ours), shape_of(theirs))
            theirs = tree.map_structure(np.asarray, theirs)
            compare_numbers(ours, theirs)
            predicted = [call(m, "predict", inputs, batch_size=4) for m in twins[:2]]
            compare_numbers(*predicted)
        if y is not None:
            for model in twins[:2]:
                compiled(model, loss="mse")
            compare_gradients(twins, calls[0], y)
    return twins


def assert_same(ours: Any, theirs: Any, name: str = "") -> None:
    """Equal, or says at which place of nested lists and dicts not."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        assert_equal(sorted(ours), sorted(theirs), name=f"keys of {name}")
        for key in theirs:
            assert_same(ours[key], theirs[key], f"{name}[{key!r}]")
    elif isinstance(ours, list) and isinstance(theirs, list):
        assert_equal(len(ours), len(theirs), name=f"length of {name}")
        for i, (a, b) in enumerate(zip(ours, theirs, strict=True)):
            assert_same(a, b, f"{name}[{i}]")
    else:
        assert_equal(ours, theirs, name=name)
