"""Dtype policies: in which type a layer computes, and in which it keeps its weights."""

from __future__ import annotations

from typing import Any

from minikeras import config
from minikeras.absent import getattr_for
from minikeras.registry import public, suggest

# Known to Keras; minikeras has no float16/bfloat16 or quantized arithmetic.
_UNSUPPORTED = ("mixed_float16", "mixed_bfloat16", "float16", "bfloat16")
_PLAIN = ("float32", "float64", "int8", "int16", "int32", "int64", "uint8", "bool")


@public("keras")
class DTypePolicy:
    """The pair (compute dtype, variable dtype) of a layer.

    Args:
        name: `"float32"` or `"float64"`; integer names are for layers whose outputs
            are integers. Both dtypes are equal. Defaults to `config.floatx()`.

    Raises:
        ValueError: for mixed precision (`"mixed_float16"`, ...) and quantized policies,
            which are Keras's but not implemented here, and for unknown names.

    >>> DTypePolicy("float64").compute_dtype
    'float64'
    """

    quantization_mode = None

    def __init__(self, name: str | None = None, source_name: str | None = None):
        if source_name is not None:
            raise ValueError(
                "Quantized dtype policies are not implemented in minikeras. "
                f"Received: name={name!r}, source_name={source_name!r}"
            )
        name = config.floatx() if name is None else name
        if not isinstance(name, str):
            raise TypeError(f"'name' must be a string, such as 'float32'. Got: {name}")
        if name in _UNSUPPORTED or "_from_" in name:
            raise ValueError(
                f"The dtype policy {name!r} is Keras's but not implemented: minikeras "
                "computes in 'float32' and 'float64'."
            )
        if name not in _PLAIN:
            raise ValueError(
                f"Cannot convert {name!r} to a dtype policy. Expected 'float32' or "
                f"'float64'.{suggest(name, _PLAIN)}"
            )
        self._name = name

    @property
    def name(self) -> str:
        """The policy's name."""
        return self._name

    @property
    def compute_dtype(self) -> str:
        """The dtype inputs are cast to, and results have."""
        return self._name

    @property
    def variable_dtype(self) -> str:
        """The dtype of the weights."""
        return self._name

    def get_config(self) -> dict[str, Any]:
        """`{"name": ...}`."""
        return {"name": self._name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> DTypePolicy:
        """The inverse of `get_config`."""
        return cls(**config)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DTypePolicy) and other.name == self.name

    def __hash__(self) -> int:
        return hash(self._name)

    def __repr__(self) -> str:
        return f'<DTypePolicy "{self._name}">'


def get(identifier: Any) -> DTypePolicy:
    """A policy from None (the default), a name, a config dict or a policy."""
    if identifier is None:
        return config.dtype_policy()
    if isinstance(identifier, DTypePolicy):
        return identifier
    if isinstance(identifier, dict):
        from minikeras.serialization import deserialize_keras_object

        return deserialize_keras_object(identifier)
    if isinstance(identifier, str):
        return DTypePolicy(identifier)
    try:  # a NumPy dtype or scalar type
        import numpy as np

        return DTypePolicy(np.dtype(identifier).name)
    except TypeError:
        raise TypeError(
            "Cannot interpret `dtype` argument. Expected a string or a DTypePolicy. "
            f"Received: dtype={identifier}"
        ) from None


def serialize(dtype_policy: DTypePolicy) -> dict[str, Any]:
    """The policy as a plain dict, in Keras's form."""
    from minikeras.serialization import serialize_keras_object

    return serialize_keras_object(dtype_policy)


def deserialize(config: dict[str, Any], custom_objects: Any = None) -> DTypePolicy:
    """The inverse of `serialize`."""
    from minikeras.serialization import deserialize_keras_object

    return deserialize_keras_object(config, custom_objects=custom_objects)


__getattr__ = getattr_for(
    "dtype_policies", ["DTypePolicy", "deserialize", "get", "serialize"]
)
