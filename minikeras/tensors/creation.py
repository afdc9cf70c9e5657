"""`keras.ops`: new arrays, and conversions. None of them has a gradient."""

from __future__ import annotations

from typing import Any

import numpy as np

from minikeras import config
from minikeras.ops.stable import as_array
from minikeras.sizes import with_sizes
from minikeras.symbolic import is_keras_tensor
from minikeras.tensors.base import NUMPY, Constant, apply, operation
from minikeras.tensors.growing import broadcast_to
from minikeras.tensors.network import cast
from minikeras.variables import Variable


def _dtype(dtype: Any) -> str:
    return config.floatx() if dtype is None else dtype


@with_sizes
def zeros(shape: Any, dtype: Any = None) -> np.ndarray:
    """Zeros, of dtype `floatx` unless given."""
    return np.zeros(shape, _dtype(dtype))


@with_sizes
def ones(shape: Any, dtype: Any = None) -> np.ndarray:
    """Ones, of dtype `floatx` unless given."""
    return np.ones(shape, _dtype(dtype))


@with_sizes
def empty(shape: Any, dtype: Any = None) -> np.ndarray:
    """Zeros, as in Keras on TensorFlow."""
    return np.zeros(shape, _dtype(dtype))


@with_sizes
def _full(shape: Any, fill_value: Any, dtype: Any) -> np.ndarray:
    return np.full(shape, fill_value, dtype)


def full(shape: Any, fill_value: Any, dtype: Any = None) -> Any:
    """An array of one value."""
    if is_keras_tensor(fill_value):
        return broadcast_to(cast(fill_value, _dtype(dtype)), shape)
    return _full(shape, fill_value, _dtype(dtype))


@with_sizes
def eye(N: int, M: int | None = None, k: int = 0, dtype: Any = None) -> np.ndarray:
    """Ones on the k-th diagonal, else zeros."""
    return np.eye(N, M, k, _dtype(dtype))


@with_sizes
def identity(n: int, dtype: Any = None) -> np.ndarray:
    """Ones on the diagonal of a square matrix."""
    return np.eye(n, dtype=_dtype(dtype))


@with_sizes
def arange(
    start: Any, stop: Any = None, step: Any = None, dtype: Any = None
) -> np.ndarray:
    """Numbers from `start` to before `stop`; int32, or `floatx` if one is a float."""
    given = [start, 0 if stop is None else stop, 1 if step is None else step]
    if dtype is None:
        whole = all(isinstance(n, int) for n in given)
        dtype = "int32" if whole else config.floatx()
    if stop is None:
        return np.arange(0, start, given[2], dtype)
    return np.arange(start, stop, given[2], dtype)


@with_sizes
def linspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    retstep: bool = False,
    dtype: Any = None,
    axis: int = 0,
) -> Any:
    """`num` numbers at equal distances."""
    found = np.linspace(start, stop, num, endpoint, retstep, _dtype(dtype), axis)
    if retstep:
        return found[0], np.asarray(found[1], _dtype(dtype))
    return found


@operation(NUMPY)
class ZerosLike(Constant):
    """Zeros in the shape of x."""

    def forward(self, x: Any, dtype: Any = None) -> tuple[np.ndarray, None]:
        """The dtype of x unless given."""
        return np.zeros_like(as_array(x), dtype), None


@operation(NUMPY)
class OnesLike(Constant):
    """Ones in the shape of x."""

    def forward(self, x: Any, dtype: Any = None) -> tuple[np.ndarray, None]:
        """The dtype of x unless given."""
        return np.ones_like(as_array(x), dtype), None


@operation(NUMPY)
class FullLike(Constant):
    """One value in the shape of x."""

    def forward(
        self, x: Any, fill_value: Any, dtype: Any = None
    ) -> tuple[np.ndarray, None]:
        """The dtype of x unless given."""
        return np.full_like(as_array(x), fill_value, dtype), None


def zeros_like(x: Any, dtype: Any = None) -> Any:
    """Zeros in the shape of `x`."""
    return apply(ZerosLike, x, *(() if dtype is None else (dtype,)))


def ones_like(x: Any, dtype: Any = None) -> Any:
    """Ones in the shape of `x`."""
    return apply(OnesLike, x, *(() if dtype is None else (dtype,)))


def full_like(x: Any, fill_value: Any, dtype: Any = None) -> Any:
    """One value in the shape of `x`."""
    return apply(FullLike, x, fill_value, *(() if dtype is None else (dtype,)))


def convert_to_tensor(x: Any, dtype: Any = None, sparse: Any = None) -> Any:
    """An array; symbolic tensors pass, Python floats become float32, as in Keras."""
    if sparse:
        raise NotImplementedError(
            "minikeras has no sparse tensors. Received: sparse=True"
        )
    if is_keras_tensor(x):
        return x
    x = x.value if isinstance(x, Variable) else x
    return as_array(x) if dtype is None else np.asarray(x, dtype)


def array(x: Any, dtype: Any = None) -> Any:
    """`convert_to_tensor`."""
    return convert_to_tensor(x, dtype)


def convert_to_numpy(x: Any) -> np.ndarray:
    """An array of the user's own."""
    if is_keras_tensor(x):
        raise ValueError("A symbolic tensor has no values to convert to NumPy.")
    return np.array(x.value if isinstance(x, Variable) else x)


def is_tensor(x: Any) -> bool:
    """Whether it is an array or a symbolic tensor."""
    return isinstance(x, np.ndarray) or is_keras_tensor(x)
