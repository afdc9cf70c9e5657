"""Keras on TensorFlow, the reference. Nothing else in this project imports them.

Every value comes back as a NumPy array whose dtype has been checked: a "float64" oracle
that silently computes in float32 proves nothing.
"""

from __future__ import annotations

import os

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")

import contextlib
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # what they deprecate at import is their business
    import keras
    import tensorflow as tf
    from keras.src import backend as keras_backend

from minikeras import tree

if keras.backend.backend() != "tensorflow":
    raise RuntimeError(
        "The reference must be Keras on TensorFlow: the other backends compute float64 "
        f"layers in float32. Received: backend {keras.backend.backend()!r}. Was keras "
        "imported before parity_tests.oracle?"
    )

Arrays = Any  # an array, or arrays nested in lists, tuples and dicts


def versions() -> dict[str, str]:
    """What the numbers in the report were computed with."""
    return {
        "keras": keras.__version__,
        "tensorflow": tf.__version__,
        "numpy": np.__version__,
    }


@contextlib.contextmanager
def default_dtype(dtype: str) -> Iterator[None]:
    """Keras's floatx and dtype policy are `dtype` inside."""
    before = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx(dtype)
    keras.config.set_dtype_policy(dtype)
    try:
        yield
    finally:
        keras.config.set_floatx(before[0])
        keras.config.set_dtype_policy(before[1])


def clear_session() -> None:
    """Layer names are counted from the start again (fast: nothing is collected)."""
    keras.utils.clear_session(free_memory=False)


def is_float(array: Any) -> bool:
    """Whether it is an array of floats, and so has a gradient."""
    return isinstance(array, np.ndarray) and array.dtype.kind == "f"


def tensors(structure: Arrays) -> Any:
    """Arrays to tensors of the same dtype; anything else stays as it is."""
    return tree.map_structure(
        lambda a: tf.constant(a) if isinstance(a, np.ndarray) else a, structure
    )


def arrays(structure: Any, dtype: str | None = None) -> Arrays:
    """Tensors to arrays. Floats must have `dtype` (None: any)."""
    return tree.map_structure(lambda t: _array(t, dtype), structure)


def _array(tensor: Any, dtype: str | None) -> np.ndarray | None:
    if tensor is None:
        return None
    if isinstance(tensor, tf.IndexedSlices):  # the gradient of an embedding
        tensor = tf.convert_to_tensor(tensor)
    # NB: tensor.numpy() of a scalar is a NumPy number, not an array.
    array = np.asarray(tensor.numpy() if hasattr(tensor, "numpy") else tensor)
    if dtype is not None and array.dtype.kind == "f" and array.dtype != dtype:
        raise AssertionError(
            f"The reference returned {array.dtype} where {dtype} was asked for: it is "
            "no referee at that precision."
        )
    return array


@dataclass
class Reference:
    """What Keras computes for one call. Gradients that do not exist are None."""

    y: Arrays
    mask: Arrays = None
    dy: Arrays = None
    dx: Arrays = None
    dkwargs: dict[str, Arrays] = field(default_factory=dict)
    dweights: list[np.ndarray | None] = field(default_factory=list)
    losses: list[np.ndarray] = field(default_factory=list)


def run_layer(
    layer: Any,
    inputs: Arrays,
    *,
    dy: Callable[[Arrays], Arrays] | Arrays = None,
    training: bool | None = None,
    mask: Arrays = None,
    call_kwargs: dict[str, Any] | None = None,
    with_losses: bool = False,
    dtype: str | None = None,
) -> Reference:
    """A Keras layer or model: forward, and the gradients of `sum(dy * y)`.

    Args:
        layer: a Keras layer, built or not.
        inputs: arrays in the structure the layer takes as first argument.
        dy: the cotangent in the structure of the output (None leaves for outputs
            without gradient), or a function that makes it from the output; None
            computes no gradients.
        training: passed on when not None.
        mask: attached to the inputs, as an upstream layer would do.
        call_kwargs: further arguments; float arrays among them get gradients.
        with_losses: whether `layer.losses` (penalties) are added before the gradient.
        dtype: the float dtype everything must have; default the layer's own.

    Returns:
        A `Reference`; `dweights` follows `layer.trainable_weights`.
    """
    x = tensors(inputs)
    extra = {k: tensors(v) for k, v in (call_kwargs or {}).items()}
    dtype = dtype or layer.compute_dtype
    options: dict[str, Any] = {} if training is None else {"training": training}
    if mask is not None and any(tf.is_tensor(t) for t in tree.flatten(extra)):
        options["mask"] = tensors(mask)  # Keras finds masks of single arguments only
    elif mask is not None:
        attach_masks(x, mask)
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch([t for t in tree.flatten([x, extra]) if _differentiable(t)])
        if not layer.built:  # building must not be recorded
            with tape.stop_recording():
                layer(x, **extra, **options)
        variables = layer.trainable_weights
        for variable in variables:
            tape.watch(variable.value)
        y = layer(x, **extra, **options)
        losses = list(layer.losses)
        y_arrays = arrays(y, dtype)
        reference = Reference(y_arrays, _masks(y), losses=arrays(losses, None))
        if dy is None:
            return reference
        reference.dy = dy(y_arrays) if callable(dy) else dy
        target = _inner(y, reference.dy, losses if with_losses else [])
    if target is None:
        return reference
    sources = (x, extra, [v.value for v in variables])
    wanted = [t for t in tree.flatten(sources) if _differentiable(t)]
    found = iter(tape.gradient(target, wanted))
    gradients = tree.map_structure(
        lambda t: next(found) if _differentiable(t) else None, _sorted(sources)
    )
    reference.dx, reference.dkwargs, reference.dweights = arrays(gradients, dtype)
    return reference


def _sorted(structure: Any) -> Any:
    """Dicts in the order of `tree.flatten`, so that a plain walk meets it."""
    if isinstance(structure, dict):
        return {key: _sorted(structure[key]) for key in sorted(structure)}
    if isinstance(structure, list | tuple):
        return type(structure)(_sorted(item) for item in structure)
    return structure


def _inner(y: Any, dy: Arrays, losses: Sequence[Any]) -> Any:
    """sum(dy * y) over the outputs that have a cotangent, plus the layer's losses."""
    terms = [
        tf.reduce_sum(out * tf.constant(cotangent))
        for out, cotangent in zip(tree.flatten(y), tree.flatten(dy), strict=True)
        if cotangent is not None
    ]
    terms += list(losses)
    return tf.add_n(terms) if terms else None


def _differentiable(tensor: Any) -> bool:
    return tf.is_tensor(tensor) and tensor.dtype.is_floating


def attach_masks(x: Any, mask: Arrays) -> None:
    """Masks travel on Keras's tensors; None is no mask."""
    for tensor, m in zip(tree.flatten(x), tree.flatten(mask), strict=True):
        if m is not None:
            keras_backend.set_keras_mask(tensor, tf.constant(m))


def _masks(y: Any) -> Arrays:
    """The masks attached to the outputs, None where there is none."""
    return arrays(tree.map_structure(keras_backend.get_keras_mask, y))


def run_function(
    function: Callable[..., Any],
    *args: Arrays,
    dy: Callable[[Arrays], Arrays] | Arrays = None,
    wrt: int = 0,
    dtype: str | None = None,
    **kwargs: Any,
) -> tuple[Arrays, Arrays, Arrays]:
    """A Keras function (activation, loss, op): its value and one gradient.

    Args:
        function: called with tensors and `kwargs`.
        args: arrays.
        dy: the cotangent, or a function making it from the value; None: no gradient.
        wrt: the index of the argument whose gradient is wanted.
        dtype: the float dtype that all results must have.

    Returns:
        (value, gradient or None, the cotangent).
    """
    tensor_args = [tensors(a) for a in args]
    with tf.GradientTape() as tape:
        tape.watch([t for t in tree.flatten(tensor_args[wrt]) if _differentiable(t)])
        y = function(*tensor_args, **kwargs)
        value = arrays(y, dtype)
        if dy is None:
            return value, None, None
        dy = dy(value) if callable(dy) else dy
        target = _inner(y, dy, [])
    gradient = tape.gradient(
        target, tensor_args[wrt], unconnected_gradients=tf.UnconnectedGradients.ZERO
    )
    return value, arrays(gradient, dtype), dy


def all_variables(layer: Any) -> list[Any]:
    """`layer.variables`, and the states of a stateful RNN, which no list contains."""
    states = tree.flatten(getattr(layer, "states", None))
    return [*layer.variables, *(s for s in states if hasattr(s, "assign"))]


def variables_of(layer: Any) -> list[np.ndarray]:
    """Copies of all variables of a layer or model: seed and RNN states included."""
    return [v.value.numpy().copy() for v in all_variables(layer)]


def set_variables(layer: Any, values: Sequence[np.ndarray]) -> None:
    """Writes all variables, in the order of `variables_of`."""
    for variable, value in zip(all_variables(layer), values, strict=True):
        variable.assign(value)


def apply_gradients(optimizer: Any, layer: Any, reference: Reference) -> None:
    """One update of a Keras layer or model with the gradients of a `run_layer`."""
    optimizer.apply_gradients(
        [
            (tf.constant(gradient), variable)
            for gradient, variable in zip(
                reference.dweights, layer.trainable_weights, strict=True
            )
            if gradient is not None
        ]
    )
