"""How a layer makes its weights: `build`, `add_weight`, and the names they get."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from minikeras import naming
from minikeras.layers.calls import CallRecord
from minikeras.layers.tracking import LOCKED, Tracked
from minikeras.variables import Variable, standardize_dtype


class Buildable(Tracked):
    """The part of `Layer` that makes its weights."""

    _built: bool
    _building: bool
    _path: str | None
    _parent_path: str | None
    _build_shapes: dict[str, Any] | None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Puts every `build` into its layer's name scope."""
        super().__init_subclass__(**kwargs)
        if "build" in cls.__dict__:
            cls.build = _in_name_scope(cls.__dict__["build"])  # type: ignore

    @property
    def path(self) -> str | None:
        """Its place, such as `"sequential/dense"`; None before it is built."""
        return self._path

    @property
    def built(self) -> bool:
        """Whether the weights exist. A layer without any is built at once."""
        if not self._built and not self._has_own_build():
            return not self._sublayers() and not self._is_made_of_layers()
        return self._built

    @built.setter
    def built(self, value: bool) -> None:
        self._built = bool(value)

    def _has_own_build(self) -> bool:
        return getattr(type(self).build, "_makes_weights", False)

    def _is_made_of_layers(self) -> bool:
        return False

    def build(self, input_shape: Any) -> None:
        """Makes the weights. Subclasses with weights override this.

        Args:
            input_shape: shape of the first input, the batch axis included (None).
        """
        self._built = True

    def add_weight(
        self,
        shape: Any = None,
        initializer: Any = None,
        dtype: Any = None,
        trainable: bool = True,
        autocast: bool = True,
        regularizer: Any = None,
        constraint: Any = None,
        aggregation: str = "none",
        overwrite_with_gradient: bool = False,
        name: str | None = None,
    ) -> Variable:
        """Makes a variable that belongs to this layer.

        Args:
            shape: tuple of ints; `()` by default.
            initializer: name or object; `"glorot_uniform"` by default for floats,
                `"zeros"` for others.
            dtype: the layer's variable dtype by default.
            trainable: whether it is trained.
            autocast, aggregation: accepted as in Keras, see `Variable`.
            regularizer: penalty on its value, added to the loss.
            constraint: projection applied after each update.
            overwrite_with_gradient: False only (Keras uses True for float8 training).
            name: its name, the last part of its path.
        """
        if isinstance(shape, str):
            raise ValueError(
                "`name` must be passed as a keyword argument. Received: "
                f"add_weight('{shape}', ...). Use: add_weight(shape=..., "
                f"name='{shape}')."
            )
        if overwrite_with_gradient:
            raise ValueError(
                "`overwrite_with_gradient=True` is not implemented in minikeras."
            )
        if "_trainable_variables" not in self.__dict__:
            self._track_variable(None)  # type: ignore[arg-type] # raises
        if self._is_locked:
            raise ValueError(f"{LOCKED} Layer: '{self.name}'. Received: name={name}")
        shape = () if shape is None else shape
        shape = (shape,) if isinstance(shape, int) else shape
        dtype = standardize_dtype(dtype or self.variable_dtype)
        if initializer is None:
            initializer = "glorot_uniform" if "float" in dtype else "zeros"
        regularizer = get_regularizer(regularizer)
        constraint = get_constraint(constraint)
        with naming.name_scope(self.name, caller=self):
            variable = Variable(
                get_initializer(initializer),
                shape=shape,
                dtype=dtype,
                trainable=trainable,
                autocast=autocast,
                aggregation=aggregation,
                name=name,
            )
        variable.regularizer = regularizer
        variable.constraint = constraint
        self._track_variable(variable)
        return variable

    add_variable = add_weight

    def get_build_config(self) -> dict[str, Any] | None:
        """The shapes `build` was called with: enough to make the weights again."""
        if self._build_shapes is None:
            return None
        if len(self._build_shapes) == 1:
            return {"input_shape": next(iter(self._build_shapes.values()))}
        return {"shapes_dict": self._build_shapes}

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Builds from what `get_build_config` returned."""
        if config and "input_shape" in config:
            self.build(_tuples(config["input_shape"]))
        elif config and "shapes_dict" in config:
            self.build(**{k: _tuples(v) for k, v in config["shapes_dict"].items()})

    def _open_name_scope(self) -> Any:
        if self._parent_path is None:
            self._parent_path = naming.current_path()
        return naming.name_scope(self.name, caller=self)

    def _maybe_build(self, args: tuple, kwargs: dict[str, Any]) -> None:
        if self._built:
            return
        with self._open_name_scope():
            if not self._has_own_build():
                if not self._sublayers():
                    self._built = True
                return  # sublayers build themselves as they are called
            parameters = list(inspect.signature(self.build).parameters)
            call = CallRecord.bind(self, args, kwargs)
            if len(parameters) == 1:
                self.build(call.first_shape)
            else:
                self.build(**call.shapes_for(parameters))


def _in_name_scope(build: Callable[..., None]) -> Callable[..., None]:
    """`build`, inside the layer's name scope; afterwards the layer counts as built."""

    @functools.wraps(build)
    def wrapper(self: Buildable, *args: Any, **kwargs: Any) -> None:
        if self._building:  # super().build(...) from inside a build
            return build(self, *args, **kwargs)
        self._building = True
        try:
            with self._open_name_scope():
                self._path = naming.current_path()
                build(self, *args, **kwargs)
        finally:
            self._building = False
        bound = inspect.signature(build).bind(self, *args, **kwargs).arguments
        self._build_shapes = dict(list(bound.items())[1:])
        self._built = True

    wrapper._makes_weights = True  # type: ignore[attr-defined]
    return wrapper


def get_regularizer(identifier: Any) -> Any:
    """A regularizer from its identifier; the module is loaded only if needed."""
    if identifier is None:
        return None
    from minikeras import regularizers

    return regularizers.get(identifier)


def get_constraint(identifier: Any) -> Any:
    """A constraint from its identifier, likewise."""
    if identifier is None:
        return None
    from minikeras import constraints

    return constraints.get(identifier)


def get_initializer(identifier: Any) -> Any:
    """An initializer from its identifier, likewise."""
    if callable(identifier) and not isinstance(identifier, type):
        return identifier
    from minikeras import initializers

    return initializers.get(identifier)


def _tuples(shape: Any) -> Any:
    """JSON has no tuples: lists of sizes become shapes again."""
    if isinstance(shape, dict):
        return {k: _tuples(v) for k, v in shape.items()}
    if isinstance(shape, list | tuple):
        if any(isinstance(item, list | tuple | dict) for item in shape):
            return [_tuples(item) for item in shape]
        return tuple(shape)
    return shape
