"""`keras.backend`: the global defaults under their older names."""

from minikeras.absent import getattr_for
from minikeras.config import (
    backend,
    epsilon,
    floatx,
    image_data_format,
    set_epsilon,
    set_floatx,
    set_image_data_format,
)
from minikeras.naming import clear_session, get_uid, name_scope
from minikeras.symbolic import KerasTensor, is_keras_tensor
from minikeras.variables import Variable, standardize_dtype, standardize_shape


def is_float_dtype(dtype: object) -> bool:
    """Whether a dtype is floating point."""
    return "float" in standardize_dtype(dtype)


def is_int_dtype(dtype: object) -> bool:
    """Whether a dtype is an integer type."""
    return "int" in standardize_dtype(dtype)


__all__ = [
    "KerasTensor",
    "Variable",
    "backend",
    "clear_session",
    "epsilon",
    "floatx",
    "get_uid",
    "image_data_format",
    "is_float_dtype",
    "is_int_dtype",
    "is_keras_tensor",
    "name_scope",
    "set_epsilon",
    "set_floatx",
    "set_image_data_format",
    "standardize_dtype",
    "standardize_shape",
]

__getattr__ = getattr_for("backend", __all__)
