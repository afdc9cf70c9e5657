"""Optimizer: what all update rules share."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from minikeras import config, naming
from minikeras.gradients import Gradients
from minikeras.messages import did_you_mean, warn
from minikeras.optimizers.rule import UpdateRule
from minikeras.optimizers.schedules.learning_rate_schedule import LearningRateSchedule
from minikeras.registry import public
from minikeras.row_gradient import RowGradient
from minikeras.variables import Variable


@public("keras.optimizers")
@public("keras")
class Optimizer(UpdateRule):
    """The base of all optimizers.

    Args:
        learning_rate: float, a `LearningRateSchedule`, or a callable without arguments.
        weight_decay: float; each step first takes `learning_rate * weight_decay` of
            every variable away, biases included unless `exclude_from_weight_decay`.
        clipnorm: float; longest norm of the gradient of each variable.
        clipvalue: float; largest size of any gradient element.
        global_clipnorm: float; longest norm of all gradients together. Only one of the
            three may be given.
        use_ema: whether to keep an exponential moving average of the variables;
            `fit` ends with the variables set to it (`finalize_variable_values`).
        ema_momentum: float in [0, 1], the part of the old average that is kept.
        ema_overwrite_frequency: int; also overwrite the variables by the average
            every so many steps.
        loss_scale_factor: float; the loss is multiplied (`scale_loss`) and gradients
            are divided by it.
        gradient_accumulation_steps: int >= 2; gradients are averaged over so many
            calls of `apply`, and only the last of them changes the variables.
        name: defaults to the class name in snake case, numbered. Also part of the
            paths of the optimizer's variables.

    One step, in this order: divide by the loss scale; accumulate; clip; decay the
    weights; `update_step` for each variable; average; constraints; count.

    To write one of your own, override `build` (make the state with
    `add_optimizer_variables`), `update_step` and `get_config`:

    >>> class SignDescent(Optimizer):
    ...     def update_step(self, gradient, variable, learning_rate):
    ...         self.assign_sub(variable, learning_rate * np.sign(gradient))
    >>> w = Variable(np.array([1.0, 2.0]), name="w")
    >>> SignDescent(learning_rate=0.5).apply([np.array([3.0, -0.1])], [w])
    >>> w.numpy()
    array([0.5, 2.5])

    A rule that treats each element by itself is better said as a function of arrays,
    `elementwise_step`: then small variables are updated together and large ones in
    pieces, see `UpdateRule`.
    """

    in_compiled_step = False  # set by `Model.compile`

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule | Callable[[], Any],
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
        **kwargs: Any,
    ):
        self._start_tracking()
        if kwargs.pop("decay", None) is not None:
            warn("Argument `decay` is no longer supported and will be ignored.")
        if kwargs:
            known = inspect.signature(type(self).__init__).parameters
            hint = did_you_mean(kwargs, known)
            raise ValueError(f"Argument(s) not recognized: {kwargs}.{hint}")
        self.name = name or naming.auto_name(self.__class__.__name__)
        self.weight_decay = weight_decay
        self.clipnorm = clipnorm
        self.clipvalue = clipvalue
        self.global_clipnorm = global_clipnorm
        self.use_ema = use_ema
        self.ema_momentum = ema_momentum
        self.ema_overwrite_frequency = ema_overwrite_frequency
        self.loss_scale_factor = loss_scale_factor
        self.gradient_accumulation_steps = gradient_accumulation_steps
        self._check_arguments()
        self.built = False
        self._trainable_variables: list[Variable] = []
        self._indices: dict[int, int] = {}
        self._start_stages()
        self._start_rule()
        self._iterations = self.add_variable((), dtype="int64", name="iteration")
        self._learning_rate = self._standardize_learning_rate(learning_rate)

    def _check_arguments(self) -> None:
        steps = self.gradient_accumulation_steps
        if steps and not steps >= 2:
            raise ValueError(
                "`gradient_accumulation_steps` must be an integer >= 2. Received: "
                f"gradient_accumulation_steps={steps}"
            )
        if self.use_ema:
            if not 0 <= self.ema_momentum <= 1:
                raise ValueError(
                    "`ema_momentum` must be in the range [0, 1]. Received: "
                    f"ema_momentum={self.ema_momentum}"
                )
            every = self.ema_overwrite_frequency
            if every and (not isinstance(every, int) or every < 1):
                raise ValueError(
                    "`ema_overwrite_frequency` must be an integer >= 1 or None. "
                    f"Received: ema_overwrite_frequency={every}"
                )
        clips = (self.clipnorm, self.clipvalue, self.global_clipnorm)
        if sum(clip is not None for clip in clips) > 1:
            raise ValueError(
                "Only one of `clipnorm`, `clipvalue` and `global_clipnorm` can be set. "
                f"Received: clipnorm={self.clipnorm}, clipvalue={self.clipvalue}, "
                f"global_clipnorm={self.global_clipnorm}"
            )

    def _standardize_learning_rate(self, learning_rate: Any) -> Any:
        if isinstance(learning_rate, LearningRateSchedule) or callable(learning_rate):
            return learning_rate
        if not isinstance(learning_rate, float):
            raise ValueError(
                "Argument `learning_rate` should be float, or an instance of "
                "LearningRateSchedule, or a callable that returns the learning rate. "
                f"Received instead: learning_rate={learning_rate!r}"
            )
        # NB: Keras keeps it in floatx, whatever the dtype of the model: 0.001 is
        # 0.0010000000474974513.
        variable = self.add_variable((), dtype=config.floatx(), name="learning_rate")
        variable.assign(learning_rate)
        return variable

    def build(self, variables: Sequence[Variable]) -> None:
        """Makes the state for these variables; they are the only ones from now on."""
        variables = list(variables)
        if self.use_ema:
            self._averages = self.add_optimizer_variables(variables, "average")
        if self.gradient_accumulation_steps:
            self._accumulators = [
                self.add_variable_from_reference(v, "gradient_accumulator")
                for v in variables
            ]
        self._indices = {id(v): i for i, v in enumerate(variables)}
        self._trainable_variables = variables
        self.built = True

    def _get_variable_index(self, variable: Variable) -> int:
        return self._indices[id(variable)]

    @property
    def iterations(self) -> Any:
        """How many updates were made: the Variable that counts calls of `apply`, or
        its integer quotient by `gradient_accumulation_steps`."""
        if self.gradient_accumulation_steps:
            return self._iterations.value // self.gradient_accumulation_steps
        return self._iterations

    @property
    def learning_rate(self) -> Any:
        """The current rate: a Variable, or what the schedule or callable returns."""
        if isinstance(self._learning_rate, LearningRateSchedule):
            # NB: Keras counts every call of `apply` here, accumulating or not.
            return self._learning_rate(self._iterations)
        if isinstance(self._learning_rate, Variable):
            return self._learning_rate
        return self._learning_rate()

    def _learning_rate_of_step(self) -> Any:
        # NB: Keras rounds schedules in another way where it compiles: see `Formula`.
        if self.in_compiled_step and isinstance(
            self._learning_rate, LearningRateSchedule
        ):
            return self._learning_rate.in_compiled_step(self._iterations)
        return self.learning_rate

    @learning_rate.setter
    def learning_rate(self, learning_rate: Any) -> None:
        previous = self._learning_rate
        if callable(learning_rate):
            self._learning_rate = learning_rate
            if isinstance(previous, Variable):
                self._untrack_variable(previous)
        elif isinstance(previous, Variable):
            previous.assign(learning_rate)
        else:
            raise TypeError(
                "This optimizer was created with a `LearningRateSchedule` object or a "
                "callable as its `learning_rate` constructor argument, hence its "
                "learning rate is not settable. If you need the learning rate to be "
                "settable, you should instantiate the optimizer with a float "
                "`learning_rate` argument."
            )

    def apply_gradients(self, grads_and_vars: Iterable[tuple[Any, Variable]]) -> Any:
        """`apply` for pairs (gradient, variable); returns the iteration count."""
        pairs = list(grads_and_vars)
        self.apply([g for g, _ in pairs], [v for _, v in pairs])
        return self._iterations

    def apply(
        self,
        grads: Gradients | Sequence[Any],
        trainable_variables: Sequence[Variable] | None = None,
    ) -> None:
        """One optimization step.

        Args:
            grads: a `Gradients`, or a list with one array for each variable. Missing
                ones (None) are skipped with a warning.
            trainable_variables: the variables; builds the optimizer if that has not
                been done. Default: those it was built with.

        Raises:
            ValueError: if it is not built and gets no variables, or gets others than
                it was built with; if no gradient is there, or one has a wrong shape.
                Nothing is changed then.
        """
        variables = self._variables_to_update(grads, trainable_variables)
        checked = isinstance(grads, Gradients)  # by its `add`
        if isinstance(grads, Gradients):
            grads = [grads.get(v) for v in variables]
        if len(grads) == 0:
            return
        gradients = list(grads)
        if not checked or self._looks_at_each(gradients, variables):
            pairs = self._matched(grads, variables)
            pairs = [(g, v) for g, v in pairs if not self._overwritten(g, v)]
            gradients, variables = [g for g, _ in pairs], [v for _, v in pairs]
        if variables:
            with np.errstate(all="ignore"):  # inf and NaN pass through, as in Keras
                self._apply(gradients, variables)
            for variable in variables:
                if variable.constraint is not None:
                    variable.assign(variable.constraint(variable.value))
        self._iterations._array += 1

    def _variables_to_update(
        self, grads: Any, variables: Sequence[Variable] | None
    ) -> list[Variable]:
        if variables is not None:
            variables = list(variables)
            if not self.built:
                with naming.name_scope(self.name, caller=self):
                    self.build(variables)
                self.built = True
            if variables == self._trainable_variables:  # the same ones, one by one
                return variables
            for v in variables:
                if id(v) not in self._indices:
                    raise ValueError(
                        f"Unknown variable: <Variable path={v.path}, shape={v.shape}, "
                        f"dtype={v.dtype}>. This optimizer can only be called for the "
                        "variables it was originally built with. In a model, after "
                        "unfreezing or adding layers, call `compile` with a new one."
                    )
            return variables
        if not self.built:
            raise ValueError(
                "When passing `grads` without `variables`, the optimizer must already "
                "be built on a list of variables. Call "
                "`optimizer.build(trainable_variables)` first."
            )
        if len(grads) and not isinstance(grads, Gradients):
            if len(grads) != len(self._trainable_variables):
                raise ValueError(
                    "When passing `grads` as a list of gradient tensors, the gradients "
                    "must match the variables of the optimizer one-to-one. Received a "
                    f"list of {len(grads)} gradients, but the optimizer is tracking "
                    f"{len(self._trainable_variables)} trainable variables."
                )
        return self._trainable_variables

    def _looks_at_each(self, gradients: list[Any], variables: list[Variable]) -> bool:
        """Whether gradients are missing, to be made dense, or not to be applied."""
        if self.gradient_accumulation_steps or self.loss_scale_factor:
            return True
        return any(
            [
                gradient is None or variable.overwrite_with_gradient
                for gradient, variable in zip(gradients, variables, strict=True)
            ]
        )

    def _matched(
        self, grads: Sequence[Any], variables: list[Variable]
    ) -> list[tuple[Any, Variable]]:
        """(gradient, variable) pairs, checked, without the missing ones."""
        if len(grads) != len(variables):
            raise ValueError(
                f"Expected one gradient for each variable. Received: {len(grads)} "
                f"gradients for {len(variables)} variables."
            )
        pairs, missing = [], []
        for gradient, variable in zip(grads, variables, strict=True):
            if gradient is None:
                missing.append(variable.path)
                continue
            if type(gradient) is RowGradient:
                if self.gradient_accumulation_steps or self.loss_scale_factor:
                    gradient = gradient.dense()
            elif type(gradient) is not np.ndarray:
                gradient = np.asarray(gradient)
            if gradient.shape != variable.shape:
                raise ValueError(
                    f"The gradient of variable '{variable.path}' must have its shape "
                    f"{variable.shape}. Received: a gradient of shape {gradient.shape}."
                )
            if gradient.dtype != variable.value.dtype:
                gradient = gradient.astype(variable.value.dtype)
            pairs.append((gradient, variable))
        if not pairs:
            raise ValueError("No gradients provided for any variable.")
        if missing:
            warn(
                f"Gradients do not exist for variables {missing} when minimizing the "
                "loss. If using `model.compile()`, did you forget to provide a `loss` "
                "argument?",
            )
        return pairs

    def _apply(self, gradients: list[Any], variables: list[Variable]) -> None:
        """The step itself: see the order in the docstring of the class."""
        if self.loss_scale_factor is not None:
            gradients = [g / self.loss_scale_factor for g in gradients]
        if self._is_update_step():
            if self.gradient_accumulation_steps:
                gradients = self._accumulated(gradients, variables)
            gradients = self._clipped(gradients)
            learning_rate = self._learning_rate_of_step()
            self._apply_weight_decay(variables, learning_rate)
            self._update(gradients, variables, learning_rate)
        else:
            self._accumulate(gradients, variables)
        if self.use_ema:
            self._update_averages()

    def scale_loss(self, loss: Any) -> Any:
        """The loss times `loss_scale_factor`, if there is one."""
        if self.loss_scale_factor is None:
            return loss
        return loss * self.loss_scale_factor

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, with the current learning rate."""
        learning_rate = self._learning_rate
        if isinstance(learning_rate, Variable):
            learning_rate = float(learning_rate)
        else:
            from minikeras.serialization import serialize_keras_object

            learning_rate = serialize_keras_object(learning_rate)
        plain = (
            "weight_decay clipnorm global_clipnorm clipvalue use_ema ema_momentum "
            "ema_overwrite_frequency loss_scale_factor gradient_accumulation_steps"
        ).split()
        config = {key: getattr(self, key) for key in plain}
        return {"name": self.name, "learning_rate": learning_rate, **config}

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> Optimizer:
        """The optimizer, without state, that `get_config` described."""
        config = dict(config)
        if isinstance(config.get("learning_rate"), dict):
            from minikeras.serialization import deserialize_keras_object

            config["learning_rate"] = deserialize_keras_object(
                config["learning_rate"], custom_objects=custom_objects
            )
        return cls(**config)
