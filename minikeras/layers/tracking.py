"""What a layer owns: variables, sublayers, seed generators and metrics."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from minikeras.layers.containers import OwnedDict, OwnedList
from minikeras.variables import Variable

# Attributes that may hold layers without owning them.
_NOT_OWNED = frozenset(
    {
        "_inbound_nodes",
        "_outbound_nodes",
        "_init_arguments",
        "_traces",
        "_loss_tracker",
        "_compile_loss",
        "_compile_metrics",
        "_compile_config",
        "_kept_plan",
        "_trainable_states",
        "_trainable_variables",
        "_non_trainable_variables",
        "_call_losses",
        "_traced_losses",
        "_build_shapes",
        "_input_structure",
        "_output_structure",
        "_output_example",
        "_input_shape_arg",
        "optimizer",
        "loss",
        "history",
    }
)


LOCKED = (
    "You cannot add new elements of state (variables or sub-layers) to a layer that is "
    "already built. All state must be created in the `__init__()` method or in the "
    "`build()` method."
)

_OWNED = {list: OwnedList, dict: OwnedDict}
_OURS = "minikeras."


class Tracked:
    """The part of `Layer` that knows its weights.

    A variable belongs to the layer that made it with `add_weight` or to which it was
    assigned as an attribute; a layer found in an attribute, or in lists and dicts
    there, is a sublayer. Order is order of creation.
    """

    _trainable_variables: list[Variable]
    _non_trainable_variables: list[Variable]
    _trainable: bool
    name: str

    # True for models that are a graph: their layers are known from it.
    _never_locked = False
    _built = False
    _building = False

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in _NOT_OWNED:
            self._take_in(value)
            if type(value) in _OWNED and not type(self).__module__.startswith(_OURS):
                value = _OWNED[type(value)](value, self)
        object.__setattr__(self, name, value)

    @property
    def _is_locked(self) -> bool:
        """Whether it is too late for new variables and sublayers, as in Keras."""
        return self._built and not self._building and not self._never_locked

    def _take_in(self, value: Any) -> None:
        """Tracks the variables in a new attribute, or in an item of an old one."""
        if self._is_locked:
            self._refuse_new_state(value)
        if isinstance(value, Variable):
            self._track_variable(value)
        elif isinstance(value, list | tuple | dict) and value:
            for leaf in _leaves(value):
                if isinstance(leaf, Variable):
                    self._track_variable(leaf)

    def _refuse_new_state(self, value: Any) -> None:
        known = {id(leaf) for leaf in self._owned()}
        known.update(id(v) for v in self.__dict__.get("_trainable_variables", ()))
        known.update(id(v) for v in self.__dict__.get("_non_trainable_variables", ()))
        for leaf in _leaves(value):
            if _is_state(leaf) and id(leaf) not in known:
                raise ValueError(f"{LOCKED} Layer: '{self.name}'. Received: {leaf!r}")

    def _track_variable(self, variable: Variable) -> None:
        own = self.__dict__.get("_trainable_variables")
        if own is None:
            raise RuntimeError(
                f"In layer '{type(self).__name__}', you forgot to call "
                "`super().__init__()` as the first statement in the `__init__()` "
                "method."
            )
        known = [*own, *self._non_trainable_variables]
        if not any(variable is v for v in known):
            (own if variable.trainable else self._non_trainable_variables).append(
                variable
            )
        if not self.__dict__.get("_trainable", True):  # made in a frozen layer
            variable.trainable = False

    def _owned(self) -> Iterator[Any]:
        for key, value in vars(self).items():
            if key not in _NOT_OWNED:
                yield from _leaves(value)

    def _sublayers(self) -> list[Any]:
        """The layers directly inside this one, each once."""
        found: dict[int, Any] = {}
        for leaf in self._owned():
            if isinstance(leaf, Tracked) and leaf is not self:
                found.setdefault(id(leaf), leaf)
        return list(found.values())

    @property
    def _layers(self) -> list[Any]:
        return self._sublayers()

    @property
    def _seed_generators(self) -> list[Any]:
        from minikeras.random import SeedGenerator

        return [leaf for leaf in self._owned() if isinstance(leaf, SeedGenerator)]

    @property
    def _metrics(self) -> list[Any]:
        return [leaf for leaf in self._owned() if _is_metric(leaf)]

    def _collect(self, include_seeds: bool) -> list[Variable]:
        found: dict[int, Variable] = {}
        for v in [*self._trainable_variables, *self._non_trainable_variables]:
            found.setdefault(id(v), v)
        if include_seeds:
            for generator in self._seed_generators:
                found.setdefault(id(generator.state), generator.state)
        for layer in self._sublayers():
            for v in layer._collect(include_seeds):
                found.setdefault(id(v), v)
        return list(found.values())

    @property
    def weights(self) -> list[Variable]:
        """All weights: own trainable, own non-trainable, then those of sublayers."""
        return self._collect(include_seeds=False)

    @property
    def variables(self) -> list[Variable]:
        """`weights` and the states of seed generators."""
        return self._collect(include_seeds=True)

    @property
    def trainable_weights(self) -> list[Variable]:
        """The weights training changes; none if the layer is frozen."""
        return [v for v in self.weights if v.trainable] if self._trainable else []

    @property
    def non_trainable_weights(self) -> list[Variable]:
        """The weights training does not change."""
        weights = self.weights
        return [v for v in weights if not v.trainable] if self._trainable else weights

    @property
    def trainable_variables(self) -> list[Variable]:
        """Same as `trainable_weights`: seeds are not trained."""
        return [v for v in self.variables if v.trainable] if self._trainable else []

    @property
    def non_trainable_variables(self) -> list[Variable]:
        """`non_trainable_weights` and the states of seed generators."""
        found = self.variables
        return [v for v in found if not v.trainable] if self._trainable else found

    @property
    def metrics(self) -> list[Any]:
        """The metrics of this layer and its sublayers."""
        found = list(self._metrics)
        for layer in self._sublayers():
            found.extend(layer.metrics)
        return found

    @property
    def metrics_variables(self) -> list[Variable]:
        """The variables of those metrics."""
        return [v for metric in self.metrics for v in metric.variables]

    @property
    def trainable(self) -> bool:
        """Settable: False freezes this layer and all inside it."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        value = bool(value)
        self._trainable = value
        for variable in self._trainable_variables:
            variable.trainable = value
        for layer in self._sublayers():
            layer.trainable = value

    def get_weights(self) -> list[np.ndarray]:
        """The values of `weights`, as copies."""
        return [v.numpy() for v in self.weights]

    def set_weights(self, weights: Any) -> None:
        """Sets all weights from arrays in the order of `get_weights()`.

        All or nothing: every array is checked before the first is written.

        Raises:
            ValueError: if the count or a shape differs, or an array is not numeric.
        """
        variables = self.weights
        if not isinstance(weights, list | tuple):
            raise ValueError(
                f"`set_weights` of layer '{self.name}' expects a list of arrays, as "
                f"`get_weights()` returns. Received: {type(weights)}"
            )
        if len(variables) != len(weights):
            hint = ""
            if not variables and not getattr(self, "built", True):
                hint = (
                    " The layer has no weights yet because it was never built: call it "
                    "on data, or `build` it, first."
                )
            raise ValueError(
                f"You called `set_weights(weights)` on layer '{self.name}' with a "
                f"weight list of length {len(weights)}, but the layer was expecting "
                f"{len(variables)} weights.{hint} Expected: "
                f"{[(v.path, v.shape) for v in variables]}"
            )
        arrays = []
        for variable, value in zip(variables, weights, strict=True):
            array = _numeric_array(value, variable)
            if array.shape != variable.shape:
                raise ValueError(
                    f"Layer {self.name} weight shape {variable.shape} is not "
                    f"compatible with provided weight shape {array.shape}, for weight "
                    f"'{variable.path}'.{_transposed_hint(array, variable)}"
                )
            arrays.append(array)
        for variable, array in zip(variables, arrays, strict=True):
            variable.assign(array)

    def count_params(self) -> int:
        """The number of elements in `weights`.

        Raises:
            ValueError: if the layer is not built yet.
        """
        if not self.built:  # type: ignore[attr-defined]
            raise ValueError(
                f"You tried to call `count_params` on layer '{self.name}', but the "
                "layer isn't built. You can build it manually via: "
                f"`{self.name}.build(input_shape)`."
            )
        return int(sum(v.size for v in self.weights))


def _leaves(value: Any) -> Iterator[Any]:
    """The leaves of an attribute: itself, or what its containers hold."""
    if isinstance(value, dict):
        for item in value.values():
            yield from _leaves(item)
    elif isinstance(value, list | tuple | set):
        for item in value:
            yield from _leaves(item)
    else:
        yield value


def _is_state(value: Any) -> bool:
    from minikeras.random import SeedGenerator

    return isinstance(value, Variable | Tracked | SeedGenerator) or _is_metric(value)


def _is_metric(value: Any) -> bool:
    return hasattr(value, "update_state") and hasattr(value, "reset_state")


def _numeric_array(value: Any, variable: Variable) -> np.ndarray:
    array = np.asarray(value)
    if array.dtype.kind not in "biuf":
        raise ValueError(
            f"Expected an array of numbers for weight '{variable.path}' of shape "
            f"{variable.shape}. Received: dtype {array.dtype}"
        )
    return array


def _transposed_hint(array: np.ndarray, variable: Variable) -> str:
    if array.ndim > 1 and array.T.shape == variable.shape:
        return " It has the transposed shape: did you mean `array.T`?"
    if sorted(array.shape) == sorted(variable.shape):
        return (
            " The axes seem to be in another order (PyTorch keeps (out, in, height, "
            "width), Keras (height, width, in, out))."
        )
    return ""
