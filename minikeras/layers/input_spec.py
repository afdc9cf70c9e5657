"""InputSpec: what a layer expects of its inputs, checked before it runs."""

from __future__ import annotations

from typing import Any

import numpy as np

from minikeras import tree
from minikeras.registry import public
from minikeras.variables import standardize_dtype, standardize_shape


@public("keras")
class InputSpec:
    """Rank, axes, shape and dtype that an input must have. None is anything.

    Args:
        dtype: expected dtype.
        shape: expected shape; None entries are free. Sets `ndim`.
        ndim, max_ndim, min_ndim: expected, largest and smallest rank.
        axes: dict from axis to its expected size.
        allow_last_axis_squeeze: let a last axis of size 1 be there or not.
        name: key of the input in a dict of inputs.
        optional: whether None may be passed.

    >>> InputSpec(ndim=3)
    InputSpec(ndim=3)
    """

    def __init__(
        self,
        dtype: Any = None,
        shape: Any = None,
        ndim: int | None = None,
        max_ndim: int | None = None,
        min_ndim: int | None = None,
        axes: dict[int, int | None] | None = None,
        allow_last_axis_squeeze: bool = False,
        name: str | None = None,
        optional: bool = False,
    ):
        self.dtype = None if dtype is None else standardize_dtype(dtype)
        self.shape = None if shape is None else standardize_shape(shape)
        self.ndim = len(self.shape) if self.shape is not None else ndim
        self.max_ndim = max_ndim
        self.min_ndim = min_ndim
        self.name = name
        self.optional = optional
        self.allow_last_axis_squeeze = allow_last_axis_squeeze
        try:
            self.axes = {int(k): v for k, v in (axes or {}).items()}
        except (ValueError, TypeError, AttributeError):
            raise TypeError(
                "Argument `axes` must be a dict with integer keys. "
                f"Received: axes={axes}"
            ) from None
        rank = self.ndim if self.ndim is not None else self.max_ndim
        if self.axes and rank is not None and max(self.axes) > rank - 1:
            raise ValueError(
                f"Axis {max(self.axes)} is greater than the maximum allowed value: "
                f"{rank - 1}"
            )

    def get_config(self) -> dict[str, Any]:
        """The rank and shape constraints."""
        keys = ("dtype", "shape", "ndim", "max_ndim", "min_ndim", "axes")
        return {key: getattr(self, key) for key in keys}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> InputSpec:
        """The inverse of `get_config`."""
        return cls(**config)

    def __repr__(self) -> str:
        keys = ("dtype", "shape", "ndim", "max_ndim", "min_ndim", "axes")
        shown = [f"{k}={getattr(self, k)}" for k in keys if getattr(self, k)]
        return f"InputSpec({', '.join(shown)})"


def check_inputs(specs: Any, inputs: Any, layer_name: str) -> None:
    """Raises a ValueError naming the layer if `inputs` do not fit `specs`.

    Works on shapes and dtypes alone, so on arrays and on symbolic tensors.
    """
    if not specs:
        return
    if isinstance(specs, InputSpec) and hasattr(inputs, "shape"):
        _check_one(specs, inputs, 0, layer_name)  # the common case, without flattening
        return
    specs = tree.flatten(specs)
    if isinstance(inputs, dict) and all(getattr(s, "name", None) for s in specs):
        missing = [s.name for s in specs if s.name not in inputs]
        if missing:
            raise ValueError(
                f'Missing data for input "{missing[0]}". You passed a data dictionary '
                f"with keys {list(inputs)}. Expected the following keys: "
                f"{[s.name for s in specs]}"
            )
        inputs = [inputs[s.name] for s in specs]
    flat = tree.flatten(inputs)
    if len(flat) != len(specs):
        raise ValueError(
            f'Layer "{layer_name}" expects {len(specs)} input(s), but it received '
            f"{len(flat)} input tensors. Inputs received: {_shapes(flat)}"
        )
    for index, (spec, x) in enumerate(zip(specs, flat, strict=True)):
        if spec is None or (x is None and spec.optional):
            continue
        _check_one(spec, x, index, layer_name)


def _shapes(flat: list[Any]) -> list[Any]:
    return [getattr(x, "shape", x) for x in flat]


def _check_one(spec: InputSpec, x: Any, index: int, layer_name: str) -> None:
    if not hasattr(x, "shape"):
        raise ValueError(
            f"Inputs to a layer should be tensors. Got '{x}' (of type {type(x)}) as "
            f"input for layer '{layer_name}'."
        )
    shape = tuple(x.shape)
    problem = _rank_problem(spec, len(shape)) or _axis_problem(spec, x, shape)
    if problem:
        named = f" with name '{spec.name}'" if spec.name else ""
        wanted = spec.ndim or spec.min_ndim
        raise ValueError(
            f"Input {index}{named} of layer '{layer_name}' is incompatible with the "
            f"layer: {problem}. Full shape received: {shape}"
            f"{_hint(wanted, len(shape), isinstance(x, np.ndarray))}"
        )


def _hint(wanted: int | None, ndim: int, is_array: bool) -> str:
    """Which axis is missing, probably."""
    if ndim + 1 != wanted:
        return ""
    hint = ". For a single example add a batch axis: x[None]" if is_array else ""
    if wanted == 3:
        hint += ". Sequences are (batch, steps, features): with one number per step, "
        hint += "x[..., None]" if is_array else "Input((steps, 1))"
        if not is_array:
            hint += "; from one recurrent layer to the next, return_sequences=True"
    elif wanted == 4:
        hint += ". Images have an axis of channels: with one channel, "
        hint += "x[..., None]" if is_array else "Input((rows, columns, 1))"
    return hint


def _rank_problem(spec: InputSpec, ndim: int) -> str | None:
    if spec.ndim is not None and not spec.allow_last_axis_squeeze and ndim != spec.ndim:
        return f"expected ndim={spec.ndim}, found ndim={ndim}"
    if spec.max_ndim is not None and ndim > spec.max_ndim:
        return f"expected max_ndim={spec.max_ndim}, found ndim={ndim}"
    if spec.min_ndim is not None and ndim < spec.min_ndim:
        return f"expected min_ndim={spec.min_ndim}, found ndim={ndim}"
    return None


def _axis_problem(spec: InputSpec, x: Any, shape: tuple) -> str | None:
    if spec.dtype is not None and standardize_dtype(x.dtype) != spec.dtype:
        return f"expected dtype={spec.dtype}, found dtype={standardize_dtype(x.dtype)}"
    for axis, size in spec.axes.items():
        if size is not None and shape[axis] not in (size, None):
            return (
                f"expected axis {axis} of input shape to have value {size}, but "
                f"received input with shape {shape}"
            )
    if spec.shape is not None:
        expected, received = spec.shape, shape
        if spec.allow_last_axis_squeeze:
            expected = expected[:-1] if expected and expected[-1] == 1 else expected
            received = received[:-1] if received and received[-1] == 1 else received
        for want, got in zip(expected, received, strict=False):
            if want is not None and got is not None and want != got:
                return f"expected shape={spec.shape}, found shape={shape}"
    return None
