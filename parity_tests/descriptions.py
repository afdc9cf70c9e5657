"""What a layer says about itself, against Keras: weights, config, output shapes."""

from __future__ import annotations

import json
from typing import Any

from minikeras import tree
from parity_tests.tolerance import assert_equal

# Keys that Keras 3.15 writes and minikeras need not: they are None unless quantization
# or an initializer with fans by axes is used.
_OPTIONAL_WHEN_NONE = frozenset({"quantization_config", "input_axes", "output_axes"})
# Numbers given by the process, not by the config.
_ANONYMOUS = frozenset({"shared_object_id", "registered_name", "build_config"})


def assert_same_weights(layer: Any, twin: Any) -> None:
    """Paths, names, shapes, dtypes, order and trainability of all variables."""

    def rows(variables: Any) -> list[tuple]:
        return [
            (v.path, v.name, tuple(v.shape), _dtype(v), bool(v.trainable))
            for v in variables
        ]

    for attribute in (
        "weights",
        "trainable_weights",
        "non_trainable_weights",
        "variables",
    ):
        assert_equal(
            rows(getattr(layer, attribute)),
            rows(getattr(twin, attribute)),
            name=f"{layer.name}.{attribute}",
        )
    assert_equal(layer.built, twin.built, name=f"{layer.name}.built")
    assert_equal(layer.count_params(), twin.count_params(), name="count_params()")


def _dtype(variable: Any) -> str:
    return str(variable.dtype).replace("<dtype: '", "").replace("'>", "")


def assert_same_config(layer: Any, twin: Any) -> None:
    """`get_config()` equals Keras's, is plain JSON, and makes the same layer again."""
    config, expected = layer.get_config(), twin.get_config()
    ours, theirs = normalized(config), normalized(expected)
    for key in sorted({*ours, *theirs}):
        if key not in ours or key not in theirs:
            side = "get_config() lacks" if key in theirs else "only get_config() has"
            value = theirs.get(key, ours.get(key))
            raise AssertionError(f"{layer.name}: {side} {key!r} (value {value!r}).")
        assert_equal(ours[key], theirs[key], name=f"{layer.name}: config[{key!r}]")
    again = type(layer).from_config(json.loads(json.dumps(config)))
    assert_equal(
        normalized(again.get_config()), ours, name=f"{layer.name}: config round trip"
    )


def normalized(config: Any) -> Any:
    """Plain JSON without the parts that differ from one process to the next."""
    return _strip(json.loads(json.dumps(config)))


def _strip(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: _strip(item)
            for key, item in value.items()
            if key not in _ANONYMOUS
            and not (key in _OPTIONAL_WHEN_NONE and item is None)
        }
    if isinstance(value, list):
        return [_strip(item) for item in value]
    return value


def assert_same_output_shapes(
    layer: Any, twin: Any, inputs: Any, call_kwargs: dict[str, Any]
) -> None:
    """`compute_output_shape` for this shape and for an unknown batch size."""
    if any(hasattr(leaf, "shape") for leaf in tree.flatten(call_kwargs)):
        return  # shapes of several arguments: the forward comparison covers it
    for unknown_batch in (False, True):
        shape = _shapes(inputs, unknown_batch)
        assert_equal(
            _plain(layer.compute_output_shape(shape)),
            _plain(twin.compute_output_shape(shape)),
            name=f"{layer.name}.compute_output_shape({shape})",
        )


def _shapes(structure: Any, unknown_batch: bool) -> Any:
    if isinstance(structure, dict):
        return {k: _shapes(v, unknown_batch) for k, v in structure.items()}
    if isinstance(structure, list | tuple):
        return type(structure)(_shapes(item, unknown_batch) for item in structure)
    return (None, *structure.shape[1:]) if unknown_batch else structure.shape


def _plain(shape: Any) -> Any:
    """Shapes as tuples; structures of shapes as lists of them."""
    if isinstance(shape, dict):
        return {key: _plain(item) for key, item in shape.items()}
    if all(n is None or isinstance(n, int) for n in shape):
        return tuple(shape)
    return [_plain(item) for item in shape]
