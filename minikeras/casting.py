"""The way Keras turns a Python number into an array of a given dtype."""

from __future__ import annotations

from typing import Any

import numpy as np

from minikeras.variables import Variable, standardize_dtype


def cast(value: Any, dtype: Any) -> np.ndarray:
    """`keras.ops.cast`: Python floats pass through float32 on their way.

    NB: Keras on TensorFlow makes a float32 tensor of a Python float first and casts it
    then, so in a float64 run 0.1 becomes 0.10000000149011612. Arrays keep their digits.
    Runs in float64 agree with Keras only if this is copied.

    Args:
        value: a number, a (nested) list of numbers, an array or a Variable.
        dtype: the wanted dtype; None is `config.floatx()`.

    >>> float(cast(0.1, "float64")), float(cast(np.float64(0.1), "float64"))
    (0.10000000149011612, 0.1)
    """
    if isinstance(value, Variable):
        value = value.value
    array = np.asarray(value)
    if array.dtype == np.float64 and not isinstance(value, np.ndarray | np.generic):
        array = array.astype(np.float32)
    if isinstance(dtype, np.dtype) and array.dtype == dtype:
        return array  # the common case, without asking for the dtype's name
    return array.astype(standardize_dtype(dtype), copy=False)
