"""Metric: a number that is updated batch by batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minikeras import config, dtype_policies, naming, tree
from minikeras.messages import Checked
from minikeras.registry import public
from minikeras.variables import Variable


@public("keras.metrics")
@public("keras")
class Metric(Checked):
    """The base of all metrics.

    Args:
        dtype: of its variables and results; defaults to `config.floatx()`.
        name: defaults to the class name in snake case, numbered.

    A metric keeps what it has seen in variables, so that its result is over all
    batches since `reset_state`, not the mean of the batches' results.

    >>> class Largest(Metric):
    ...     def __init__(self, name="largest", **kwargs):
    ...         super().__init__(name=name, **kwargs)
    ...         self.largest = self.add_variable((), "zeros", name="largest")
    ...     def update_state(self, y_true, y_pred, sample_weight=None):
    ...         self.largest.assign(max(float(self.largest), np.max(y_pred)))
    ...     def result(self):
    ...         return self.largest.value
    >>> metric = Largest()
    >>> metric.update_state(None, [0.5, 2.5])
    >>> float(metric(None, [1.0]))
    2.5
    """

    def __init__(self, dtype: Any = None, name: str | None = None):
        self.__dict__.update(_variables=[], _metrics=[], _tracked=set())
        self.name = name or naming.auto_name(self.__class__.__name__)
        self._dtype_policy = dtype_policies.get(dtype or config.floatx())
        self._dtype = self._dtype_policy.compute_dtype

    def __setattr__(self, name: str, value: Any) -> None:
        """Variables and metrics given to an attribute, also in lists, are tracked."""
        super().__setattr__(name, value)
        if "_tracked" in self.__dict__ and not isinstance(value, str):
            for leaf in tree.flatten(value):
                if isinstance(leaf, Variable):
                    self._track(leaf, self._variables)
                elif isinstance(leaf, Metric):
                    self._track(leaf, self._metrics)

    def _track(self, item: Any, store: list[Any]) -> None:
        if id(item) not in self._tracked:
            self._tracked.add(id(item))
            store.append(item)

    def _check_super_called(self) -> None:
        if "_tracked" not in self.__dict__:
            raise RuntimeError(
                f"In metric '{self.__class__.__name__}', you forgot to call "
                "`super().__init__()` in the `__init__()` method."
            )

    @property
    def dtype(self) -> str:
        """The dtype of its variables and results."""
        return self._dtype

    @property
    def variables(self) -> list[Variable]:
        """Its own variables, then those of the metrics it holds."""
        return self._variables + [v for m in self._metrics for v in m.variables]

    def add_variable(
        self,
        shape: Sequence[int],
        initializer: Any,
        dtype: Any = None,
        aggregation: str = "sum",
        name: str | None = None,
    ) -> Variable:
        """Makes a variable.

        Args:
            shape: its shape.
            initializer: name, callable or `Initializer`.
            dtype: defaults to `config.floatx()`.
            aggregation: accepted as in Keras, see `Variable`.
            name: the last part of its path, `"mean/total"`.
        """
        self._check_super_called()
        if initializer == "zeros":
            initializer = np.zeros
        with naming.name_scope(self.name.replace("/", ">"), caller=self):
            variable = Variable(
                initializer,
                shape=tuple(shape),
                dtype=dtype,
                trainable=False,
                aggregation=aggregation,
                synchronization="on_read",
                name=name,
            )
        self._track(variable, self._variables)
        return variable

    def add_weight(
        self,
        shape: Sequence[int] = (),
        initializer: Any = None,
        dtype: Any = None,
        name: str | None = None,
    ) -> Variable:
        """`add_variable` under its older name."""
        return self.add_variable(shape, initializer, dtype=dtype, name=name)

    def reset_state(self) -> None:
        """Sets all variables to 0, as at the start of each epoch."""
        for variable in self.variables:
            variable.assign(np.zeros(variable.shape))

    def update_state(self, *args: Any, **kwargs: Any) -> None:
        """Takes a batch into account: `(y_true, y_pred, sample_weight=None)`."""
        raise NotImplementedError(
            f"Metric '{self.__class__.__name__}' must override `update_state`."
        )

    def result(self) -> Any:
        """The value so far: a number, or a dict of numbers."""
        raise NotImplementedError(
            f"Metric '{self.__class__.__name__}' must override `result`."
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """`update_state`, then `result`."""
        self._check_super_called()
        self.update_state(*args, **kwargs)
        return self.result()

    def stateless_update_state(
        self, metric_variables: Sequence[Any], *args: Any, **kwargs: Any
    ) -> list[np.ndarray]:
        """`update_state` from given values of the variables; returns the new ones."""

        def update() -> list[np.ndarray]:
            self.update_state(*args, **kwargs)
            return [v.numpy() for v in self.variables]

        return self._with_variables(metric_variables, update)

    def stateless_result(self, metric_variables: Sequence[Any]) -> Any:
        """`result` for given values of the variables."""
        return self._with_variables(metric_variables, self.result)

    def stateless_reset_state(self) -> list[np.ndarray]:
        """The values of the variables after `reset_state`."""

        def reset() -> list[np.ndarray]:
            self.reset_state()
            return [v.numpy() for v in self.variables]

        return self._with_variables([v.numpy() for v in self.variables], reset)

    def _with_variables(self, values: Sequence[Any], function: Callable) -> Any:
        """Runs `function` with other values in the variables, and puts back theirs."""
        if len(values) != len(self.variables):
            raise ValueError(
                "Argument `metric_variables` must be a list of tensors corresponding "
                f"1:1 to {self.__class__.__name__}().variables. Received list with "
                f"length {len(values)}, but expected {len(self.variables)} variables."
            )
        before = [v.numpy() for v in self.variables]
        try:
            for variable, value in zip(self.variables, values, strict=True):
                variable.assign(value)
            return function()
        finally:
            for variable, value in zip(self.variables, before, strict=False):
                variable.assign(value)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments as plain data."""
        return {"name": self.name, "dtype": self.dtype}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Metric:
        """The metric, without state, that `get_config` described."""
        return cls(**config)

    def __repr__(self) -> str:
        return f"<{self.__class__.__name__} name={self.name}>"
