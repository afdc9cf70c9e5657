"""What a layer was made with: dtypes, configuration, and its variables in a store."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

from minikeras import dtype_policies
from minikeras.layers.tracking import Tracked

_BASE_ARGUMENTS = ("name", "trainable", "dtype", "autocast", "activity_regularizer")


class Configured(Tracked):
    """The part of `Layer` that describes it."""

    _dtype_policy: dtype_policies.DTypePolicy
    activity_regularizer: Any

    @property
    def dtype_policy(self) -> dtype_policies.DTypePolicy:
        """Settable before the layer is built."""
        return self._dtype_policy

    @dtype_policy.setter
    def dtype_policy(self, value: Any) -> None:
        self._dtype_policy = dtype_policies.get(value)

    @property
    def dtype(self) -> str:
        """Same as `variable_dtype`."""
        return self._dtype_policy.variable_dtype

    @property
    def variable_dtype(self) -> str:
        """The dtype of the weights."""
        return self._dtype_policy.variable_dtype

    @property
    def compute_dtype(self) -> str:
        """The dtype of outputs."""
        return self._dtype_policy.compute_dtype

    @property
    def input_dtype(self) -> str:
        """The dtype float inputs are cast to."""
        return self._dtype_policy.compute_dtype

    @property
    def quantization_mode(self) -> None:
        """Always None: quantization is not implemented."""
        return None

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, as plain values, in Keras's form."""
        config: dict[str, Any] = {
            "name": self.name,
            "trainable": self.trainable,
            "dtype": dtype_policies.serialize(self._dtype_policy),
        }
        if self.activity_regularizer is not None:
            from minikeras import regularizers

            config["activity_regularizer"] = regularizers.serialize(
                self.activity_regularizer
            )
        if type(self).get_config is Configured.get_config:
            config.update(_own_arguments(self))
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """A new layer, with new weights, from what `get_config` returned."""
        config = dict(config)
        if isinstance(config.get("dtype"), dict):
            config["dtype"] = dtype_policies.deserialize(config["dtype"]).name
        try:
            return cls(**config)
        except Exception as error:
            raise TypeError(
                f"Error when deserializing class '{cls.__name__}' using "
                f"config={config}.\n\nException encountered: {error}"
            ) from error

    def save_own_variables(self, store: Any) -> None:
        """Writes this layer's own variables to `store["0"]`, `store["1"]`, ..."""
        own = [*self._trainable_variables, *self._non_trainable_variables]
        for i, variable in enumerate(own):
            store[f"{i}"] = variable.numpy()

    def load_own_variables(self, store: Any) -> None:
        """Reads them back, all or nothing."""
        own = [*self._trainable_variables, *self._non_trainable_variables]
        if len(store) != len(own):
            hint = (
                f"Layer '{self.name}' was never built and thus it doesn't have any "
                "variables."
                if not own and not self.built
                else f"Layer '{self.name}' expected {len(own)} variables."
            )
            raise ValueError(
                f"{hint} Received {len(store)} variables: {sorted(store)}. The file "
                "was probably made with another architecture."
            )
        arrays = [np.asarray(store[f"{i}"]) for i in range(len(own))]
        for variable, array in zip(own, arrays, strict=True):
            if variable.shape != array.shape:
                raise ValueError(
                    f"Layer '{self.name}': variable '{variable.path}' has shape "
                    f"{variable.shape}. Received: shape {array.shape}"
                )
        for variable, array in zip(own, arrays, strict=True):
            variable.assign(array)


def _own_arguments(layer: Any) -> dict[str, Any]:
    """The constructor arguments of a subclass that wrote no `get_config`."""
    args, kwargs = layer._init_arguments
    signature = inspect.signature(type(layer).__init__)
    bound = signature.bind(layer, *args, **kwargs)
    bound.apply_defaults()
    found: dict[str, Any] = {}
    for name, parameter in list(signature.parameters.items())[1:]:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        if name in _BASE_ARGUMENTS:
            continue
        found[name] = bound.arguments[name]
    plain = (str, int, float, bool, type(None), list, tuple, dict)
    unknown = [name for name, value in found.items() if not isinstance(value, plain)]
    if unknown:
        raise NotImplementedError(
            f"Object {type(layer).__name__} was created by passing non-serializable "
            f"argument values in `__init__()` ({unknown}), and therefore the object "
            "must override `get_config()` in order to be serializable."
        )
    return found
