"""Layer: weights, a forward and, under it, its backward.

Writing one takes three methods:

    class Scale(Layer):
        def build(self, input_shape):
            self.scale = self.add_weight(shape=(input_shape[-1],), name="scale")

        def forward(self, x, *, training=False, mask=None):
            return x * self.scale.value, x          # the output, and the residuals

        def backward(self, dy, residuals, grads):
            x = residuals
            grads.add(self.scale, (dy * x).reshape(-1, x.shape[-1]).sum(axis=0))
            return dy * self.scale.value
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from minikeras import dtype_policies, tree
from minikeras.comparisons import KerasTensor  # with its operators
from minikeras.layers.building import Buildable, get_regularizer
from minikeras.layers.calls import CallRecord, fresh, pair_of
from minikeras.layers.configured import Configured
from minikeras.layers.input_spec import check_inputs
from minikeras.layers.symbolic_masks import add_mask, mark_outputs
from minikeras.messages import check_call, did_you_mean, warn
from minikeras.shape_trials import infer_output_spec
from minikeras.symbolic import (
    Node,
    Operation,
    any_symbolic,
    is_keras_tensor,
)
from minikeras.tracing import refuse_value, tracing
from minikeras.variables import Variable, dtype_name

if TYPE_CHECKING:
    from minikeras.gradients import Gradients


class Layer(Buildable, Configured, Operation):
    """The base of all layers.

    Args:
        activity_regularizer: penalty on the outputs, added to the loss and divided by
            the batch size.
        trainable: whether the weights are trained.
        dtype: name or `DTypePolicy`; defaults to `config.dtype_policy()`.
        autocast: whether float inputs are cast to the compute dtype.
        name: defaults to the class name in snake case, numbered.

    A subclass defines `build(input_shape)`, `forward(...) -> (y, residuals)` and
    `backward(dy, residuals, grads) -> dx`; `forward` and `backward` keep nothing on
    `self`. A subclass that is only made of other layers defines `call` instead, and its
    backward follows from theirs.
    """

    # True where the result for one example depends on the others in its batch.
    couples_examples = False
    # True where `compute_mask` makes a mask although none came in.
    makes_mask = False
    # True where `forward` ends in `self.activation`, and linear without it: see logits.
    ends_in_activation: Any = False
    # True for models: `training=None` leaves it to the calls in their graph.
    _passes_training_on = False
    # How often `add_loss` was given a number, anywhere: what `fit` cannot train.
    _numbers_added = 0
    # Whether any layer ever had `losses` from a call: else there are none to forget.
    _losses_exist = False

    _forward_takes: frozenset[str] = frozenset({"training", "mask"})
    _backward_takes_need_dx = False
    # Whether the gradient of an output that nobody used is zeros instead of None.
    _wants_zeros = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Looks at the signatures once, so that no call has to."""
        super().__init_subclass__(**kwargs)
        if "forward" in cls.__dict__:
            # What another forward ends in is for its author to say.
            if "ends_in_activation" not in cls.__dict__:
                cls.ends_in_activation = False
            cls._forward_takes = accepts(cls.forward, ("training", "mask"))
        elif "call" in cls.__dict__:
            cls._forward_takes = accepts(cls.call, ("mask",)) | {"training"}
        if "backward" in cls.__dict__:
            takes = accepts(cls.backward, ("need_dx",))
            cls._backward_takes_need_dx = bool(takes)
            cls._wants_zeros = not cls.__module__.startswith("minikeras.")

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        if args or kwargs:  # none when it is copied
            check_call(cls.__init__, args, kwargs, cls.__name__)
        layer = super().__new__(cls)
        object.__setattr__(layer, "_init_arguments", (args, kwargs))
        return layer

    def __init__(
        self,
        *,
        activity_regularizer: Any = None,
        trainable: bool = True,
        dtype: Any = None,
        autocast: bool = True,
        name: str | None = None,
        **kwargs: Any,
    ):
        self._trainable_variables: list[Variable] = []
        self._non_trainable_variables: list[Variable] = []
        Operation.__init__(self, name=name)
        self._dtype_policy = dtype_policies.get(dtype)
        self.activity_regularizer = get_regularizer(activity_regularizer)
        self._input_shape_arg = _pop_input_shape(kwargs)
        if kwargs:
            raise ValueError(
                f"Unrecognized keyword arguments passed to {type(self).__name__}: "
                f"{kwargs}.{self._hint(kwargs)}"
            )
        if not isinstance(trainable, bool):
            raise ValueError(
                "Expected `trainable` to be a boolean. Received: "
                f"trainable={trainable} (of type {type(trainable)})"
            )
        self._trainable = trainable
        self.autocast = autocast
        self.input_spec: Any = None
        self._built = False
        self._building = False
        self._path: str | None = None
        self._parent_path: str | None = None
        self._build_shapes: dict[str, Any] | None = None
        self._call_losses: list[Any] = []
        self._traced_losses: list[Any] | None = None
        self._supports_masking = _overrides(self, "compute_mask")

    def _hint(self, unknown: dict[str, Any]) -> str:
        known = [
            name
            for cls in type(self).__mro__
            if issubclass(cls, Layer)
            for name in inspect.signature(cls.__init__).parameters
        ]
        return did_you_mean(unknown, known)

    def _is_made_of_layers(self) -> bool:
        return _overrides(self, "call")

    # --- The maths: forward and backward ----------------------------------------------

    def forward(
        self, *args: Any, training: bool = False, mask: Any = None, **kwargs: Any
    ):
        """`(y, residuals)`. For a layer made of layers: follows its `call`."""
        if not _overrides(self, "call"):
            raise NotImplementedError(
                f"Layer {type(self).__name__} does not have a `forward()` method "
                "implemented. Define `forward(self, x, *, training=False, mask=None)` "
                "returning (y, residuals), and `backward(self, dy, residuals, grads)`; "
                "or a `call()` made of other layers only."
            )
        from minikeras.layers.composite import trace

        if mask is not None and "mask" in self._forward_takes:
            kwargs = {**kwargs, "mask": mask}  # `call` uses it itself
        return trace(self, args, kwargs, training).forward(args, kwargs, training, mask)

    def backward(self, dy: Any, residuals: Any, grads: Gradients, need_dx: bool = True):
        """`dx`; adds the gradients of the weights to `grads`."""
        from minikeras.layers.composite import TracedResiduals

        if isinstance(residuals, TracedResiduals):
            return residuals.trace.backward(dy, residuals, grads, need_dx)
        raise NotImplementedError(
            f"Layer {type(self).__name__} (named '{self.name}') has no `backward()` "
            "method, so nothing before it can be trained. Define `backward(self, dy, "
            "residuals, grads)` beside its `forward`."
        )

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """The output alone: `forward(...)[0]`."""
        return self.forward(*args, **kwargs)[0]

    def run_forward(
        self, args: tuple, kwargs: dict[str, Any], training: bool | None, mask: Any
    ) -> tuple[Any, Any]:
        """`forward`, given the arguments of a call and what travels beside them."""
        if "training" in self._forward_takes:
            # NB: as in Keras, what the run says outdoes what the graph says.
            if training is None:
                training = kwargs.get("training")
            if not self._passes_training_on:
                training = bool(training)
            kwargs = {**kwargs, "training": training}
        elif "training" in kwargs:
            kwargs = {k: v for k, v in kwargs.items() if k != "training"}
        traced = type(self).forward is Layer.forward  # masks travel inside it
        takes_mask = traced or "mask" in self._forward_takes
        if mask is not None and takes_mask and "mask" not in kwargs:
            kwargs = {**kwargs, "mask": mask}
        args = tuple([self._cast(a) for a in args])
        return pair_of(self, self.forward(*args, **kwargs))

    def run_backward(
        self, dy: Any, residuals: Any, grads: Gradients, need_dx: bool
    ) -> Any:
        """`backward`, told whether the gradient of the inputs is wanted."""
        if self._backward_takes_need_dx or type(self).backward is Layer.backward:
            return self.backward(dy, residuals, grads, need_dx=need_dx)
        return self.backward(dy, residuals, grads)

    def _cast(self, x: Any) -> Any:
        """Float arrays to the compute dtype; all else as it is."""
        if isinstance(x, np.ndarray):
            if x.dtype.kind == "f" and self.autocast:
                dtype = self.input_dtype
                return x if dtype_name(x.dtype) == dtype else x.astype(dtype)
            return x
        if isinstance(x, list | tuple | dict):
            return tree.map_structure(self._cast, x)
        if isinstance(x, Variable):
            if tracing():
                from minikeras.operations import read

                return read(x)
            return self._cast(x.value)
        if not is_keras_tensor(x) and hasattr(x, "__array__"):
            return self._cast(np.asarray(x))
        return x

    # --- Calling ----------------------------------------------------------------------

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Builds if needed; arrays give arrays, symbolic tensors record a node."""
        if "_trainable_variables" not in self.__dict__:
            self._track_variable(None)  # type: ignore[arg-type] # raises
        args = tuple(self._cast(a) for a in args)
        kwargs = {k: v if k == "training" else self._cast(v) for k, v in kwargs.items()}
        self._check_positional(args)
        first = args[0] if args else next(iter(kwargs.values()), None)
        check_inputs(self.input_spec, first, self.name)
        self._maybe_build(args, kwargs)
        # `build` may have narrowed the input_spec (Dense learns its last axis).
        check_inputs(self.input_spec, first, self.name)
        if any_symbolic((args, kwargs)):
            kwargs = add_mask(self, args, kwargs)
            with self._open_name_scope():
                outputs = self.compute_output_spec(*args, **kwargs)
            self._built = True
            Node(self, args, kwargs, outputs)
            mark_outputs(self, args, kwargs, outputs)
            return outputs
        with self._open_name_scope():
            outputs = self._call_on_arrays(args, dict(kwargs))
            outputs = fresh(outputs, [*args, *kwargs.values()])
        self._built = True
        return outputs

    @np.errstate(all="ignore")  # inf and NaN go on without a word, as in Keras
    def _call_on_arrays(self, args: tuple, kwargs: dict[str, Any]) -> Any:
        training = kwargs.pop("training", None)
        mask = kwargs.pop("mask", None)
        if Layer._losses_exist:
            for layer in (self, *self._all_sublayers()):
                layer._call_losses = []
        if _overrides(self, "call") and type(self).forward is Layer.forward:
            from minikeras.layers.composite import trace

            try:  # as in a model, so that `training` and masks reach the layers inside
                uses_mask = mask is not None and "mask" in self._forward_takes
                given = {**kwargs, "mask": mask} if uses_mask else kwargs
                trace(self, args, given, training)
            except Exception:  # made of more than layers: runs on arrays as it is
                takes = accepts(type(self).call, ("training", "mask"))
                given = {"training": bool(training), "mask": mask}
                return self.call(*args, **kwargs, **{k: given[k] for k in takes})
        outputs, residuals = self.run_forward(args, kwargs, training, mask)
        self._call_losses += getattr(residuals, "penalties", ())
        if self.activity_regularizer is not None:
            for y in tree.flatten(outputs):
                penalty = self.activity_regularizer(y) / y.dtype.type(max(len(y), 1))
                self._call_losses.append(penalty)
        if self._call_losses:
            Layer._losses_exist = True
        return outputs

    def _check_positional(self, args: tuple) -> None:
        for leaf in tree.flatten(list(args)):
            if leaf is not None and not isinstance(leaf, np.ndarray | KerasTensor):
                raise ValueError(
                    "Only input tensors may be passed as positional arguments. The "
                    "following argument value should be passed as a keyword argument: "
                    f"{leaf} (of type {type(leaf)}) to layer '{self.name}'"
                    + (". Pass numbers as `np.array(...)`" if _is_number(leaf) else "")
                )

    # --- Shapes and masks -------------------------------------------------------------

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The output shape for an input shape; found by a trial run by default."""
        spec = tree.map_structure(
            lambda s: KerasTensor(s.shape, self.compute_dtype),
            Shapes.wrap(input_shape),
        )
        return tree.map_structure(lambda t: t.shape, self.compute_output_spec(spec))

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """Symbolic outputs for symbolic inputs."""
        if _overrides(self, "compute_output_shape"):
            call = CallRecord.bind(self, args, kwargs)
            parameters = list(inspect.signature(self.compute_output_shape).parameters)
            if len(parameters) == 1:
                shapes = self.compute_output_shape(call.first_shape)
            else:
                shapes = self.compute_output_shape(**call.shapes_for(parameters))
            return tree.map_structure(
                lambda s: KerasTensor(s.shape, self.compute_dtype), Shapes.wrap(shapes)
            )
        if _overrides(self, "call") and type(self).forward is Layer.forward:
            from minikeras.layers.composite import trace

            return trace(self, args, kwargs, False).output_spec()
        return infer_output_spec(
            lambda *a, **k: self.run_forward(a, k, False, None)[0],
            args,
            kwargs,
            self.name,
        )

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        """The mask of the outputs; by default that of the inputs."""
        return previous_mask

    @property
    def supports_masking(self) -> bool:
        """Whether a mask that comes in goes out again."""
        return self._supports_masking

    @supports_masking.setter
    def supports_masking(self, value: bool) -> None:
        self._supports_masking = value

    # --- Losses -----------------------------------------------------------------------

    @property
    def losses(self) -> list[Any]:
        """Penalties: of activities in the last call on arrays, then of the weights."""
        refuse_value(f"`losses` of layer '{self.name}'")
        found = list(self._call_losses)
        for layer in self._all_sublayers():
            found.extend(layer._call_losses)
        for variable in self.trainable_weights:
            if variable.regularizer is not None:
                found.append(variable.regularizer(variable.value))
        return found

    def add_loss(self, loss: Any) -> None:
        """Adds to the loss of the model this layer is in.

        To be called in a `call` made of layers and operators, on what it computed: the
        sum of the value is added to the loss, and its gradient flows back. After a call
        on arrays the values are in `losses`.

        Args:
            loss: a tensor or a list of them.

        Raises:
            ValueError: for a number that does not depend on the inputs.
        """
        for value in tree.flatten(loss):
            if self._traced_losses is None:
                Layer._numbers_added += 1
                Layer._losses_exist = True
                self._call_losses.append(value)
            elif is_keras_tensor(value):
                self._traced_losses.append(value)
            elif value is not None:
                raise ValueError(
                    f"`add_loss` in the `call` of layer '{self.name}' expects a tensor "
                    f"that depends on the inputs. Received: {value!r}"
                )

    def _all_sublayers(self) -> list[Layer]:
        found: dict[int, Layer] = {}
        for layer in self._sublayers():
            found.setdefault(id(layer), layer)
            for inner in layer._all_sublayers():
                found.setdefault(id(inner), inner)
        return list(found.values())

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}, built={self.built}>"


class Shapes:
    """One shape as a leaf: tuples of ints would look like structures of tensors."""

    def __init__(self, shape: tuple):
        self.shape = shape

    @staticmethod
    def wrap(shapes: Any) -> Any:
        if isinstance(shapes, dict):
            return {k: Shapes.wrap(v) for k, v in shapes.items()}
        if all(n is None or hasattr(n, "__index__") for n in shapes):
            return Shapes(tuple(shapes))
        return type(shapes)(Shapes.wrap(s) for s in shapes)


def accepts(function: Callable[..., Any], names: tuple[str, ...]) -> frozenset[str]:
    """Those of `names` that the function has a parameter for."""
    parameters = inspect.signature(function).parameters
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return frozenset(names)
    return frozenset(name for name in names if name in parameters)


def _is_number(leaf: Any) -> bool:
    return isinstance(leaf, int | float)


def _overrides(layer: Layer, method: str) -> bool:
    return getattr(type(layer), method) is not getattr(Layer, method)


def _pop_input_shape(kwargs: dict[str, Any]) -> Any:
    if kwargs.get("input_dim") is not None:
        shape = (kwargs.pop("input_dim"),)
    else:
        kwargs.pop("input_dim", None)
        shape = kwargs.pop("input_shape", None)
    if shape is not None:
        warn(
            "Do not pass an `input_shape`/`input_dim` argument to a layer. When using "
            "Sequential models, prefer using an `Input(shape)` object as the first "
            "layer in the model instead.",
        )
    return shape
