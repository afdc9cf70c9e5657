"""The variables of an optimizer: made, named, saved, loaded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minikeras import naming, tree
from minikeras.messages import warn
from minikeras.variables import Variable

# Attributes that hold variables of the model, which are not the optimizer's own.
_FOREIGN = ("_trainable_variables",)


class OptimizerState:
    """Keeps the list of an optimizer's variables, in Keras's order.

    A Variable assigned to an attribute, alone or in a list, joins the list; so do those
    made by `add_variable` and its relatives.
    """

    name: str
    built: bool

    def _start_tracking(self) -> None:
        self.__dict__.update(_variables=[], _tracked=set())

    def __setattr__(self, name: str, value: Any) -> None:
        self._check_super_called()
        super().__setattr__(name, value)
        if name not in _FOREIGN and isinstance(value, Variable | list | tuple | dict):
            for leaf in tree.flatten(value):
                if isinstance(leaf, Variable):
                    self._track_variable(leaf)

    def _track_variable(self, variable: Variable) -> None:
        if id(variable) not in self._tracked:
            self._tracked.add(id(variable))
            self._variables.append(variable)

    def _untrack_variable(self, variable: Variable) -> None:
        self._tracked.discard(id(variable))
        self._variables[:] = [v for v in self._variables if v is not variable]

    def _check_super_called(self) -> None:
        if "_variables" not in self.__dict__:
            raise RuntimeError(
                f"In optimizer '{self.__class__.__name__}', you forgot to call "
                "`super().__init__()` as the first statement in the `__init__()` "
                "method."
            )

    @property
    def variables(self) -> list[Variable]:
        """Iteration, learning rate (unless scheduled), then the state, in order."""
        return self._variables[:]

    def add_variable(
        self,
        shape: Sequence[int],
        initializer: Any = "zeros",
        dtype: Any = None,
        aggregation: str = "none",
        layout: Any = None,
        name: str | None = None,
    ) -> Variable:
        """Makes a variable of the optimizer.

        Args:
            shape: its shape.
            initializer: name, callable or `Initializer`.
            dtype: defaults to `config.floatx()`.
            aggregation: accepted as in Keras, see `Variable`.
            layout: None only; there are no devices to lay it out over.
            name: defaults to `variable`, `variable_1`, ...
        """
        self._check_super_called()
        if layout is not None:
            raise ValueError(
                "Tensor layouts are not implemented in minikeras. Received: "
                f"layout={layout!r}"
            )
        if initializer == "zeros":
            initializer = np.zeros
        with naming.name_scope(self.name, caller=self):
            variable = Variable(
                initializer,
                shape=tuple(shape),
                dtype=dtype,
                trainable=False,
                aggregation=aggregation,
                name=name,
            )
        self._track_variable(variable)
        return variable

    def add_variable_from_reference(
        self,
        reference_variable: Variable,
        name: str | None = None,
        initializer: Any = "zeros",
    ) -> Variable:
        """A variable of the shape and dtype of a model variable, named after it.

        The momentum of `sequential/dense/kernel` is `sequential_dense_kernel_momentum`.
        """
        owner = reference_variable.path.replace("/", "_")
        return self.add_variable(
            shape=reference_variable.shape,
            initializer=initializer,
            dtype=reference_variable.dtype,
            name=f"{owner}_{name or 'var'}",
        )

    def add_optimizer_variables(
        self,
        trainable_variables: Sequence[Variable],
        name: str | Sequence[str],
        initializer: Any = "zeros",
    ) -> Any:
        """One variable for each model variable, or several if `name` is a list.

        With several names they are made in turn for each model variable: the order in
        which Keras keeps and saves them.

        Args:
            trainable_variables: the model's.
            name: one name, or a list.
            initializer: one for all, or a list as long as `name`.

        Returns:
            A list; with several names, a tuple of lists. None stands where a variable
            has `overwrite_with_gradient` and so needs no state.
        """
        names = [name] if isinstance(name, str) else list(name)
        if isinstance(initializer, list | tuple):
            initializers = list(initializer)
        else:
            initializers = [initializer] * len(names)
        if len(names) != len(initializers):
            raise ValueError(
                "The number of provided names must match the number of provided "
                f"initializers. Received: name={name!r}, initializer={initializer!r}"
            )
        lists: tuple[list[Variable | None], ...] = tuple([] for _ in names)
        for variable in trainable_variables:
            for slot, slot_name, start in zip(lists, names, initializers, strict=True):
                if variable.overwrite_with_gradient:
                    slot.append(None)
                else:
                    slot.append(
                        self.add_variable_from_reference(variable, slot_name, start)
                    )
        return lists[0] if isinstance(name, str) else lists

    def assign(self, variable: Variable, value: Any) -> None:
        """`variable = value`."""
        variable.assign(value)

    def assign_add(self, variable: Variable, value: Any) -> None:
        """`variable += value`."""
        variable.assign_add(value)

    def assign_sub(self, variable: Variable, value: Any) -> None:
        """`variable -= value`."""
        variable.assign_sub(value)

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Writes all variables, all or none of them.

        Raises:
            ValueError: before `build`; for a wrong number or a wrong shape.
        """
        if not self.built:
            raise ValueError(
                "You are calling `set_weights()` on an optimizer that has not yet been "
                "built. Please call `optimizer.build(trainable_variables)` to create "
                "the optimizer weights before calling `set_weights()`."
            )
        arrays = [np.asarray(weight) for weight in weights]
        if len(arrays) != len(self._variables):
            raise ValueError(
                f"Optimizer '{self.name}' has {len(self._variables)} variables. "
                f"Received: {len(arrays)} weights."
            )
        for variable, array in zip(self._variables, arrays, strict=True):
            if variable.shape != array.shape:
                raise ValueError(
                    f"Optimizer variable {variable.path} has shape {variable.shape} "
                    f"not compatible with provided weight shape {array.shape}."
                )
        for variable, array in zip(self._variables, arrays, strict=True):
            variable.assign(array)

    def save_own_variables(self, store: Any) -> None:
        """Writes the variables into `store` as "0", "1", ... (used by saving)."""
        for i, variable in enumerate(self._variables):
            store[str(i)] = variable.numpy()

    def load_own_variables(self, store: Any) -> None:
        """Reads what `save_own_variables` wrote.

        If the number of variables differs, nothing is loaded and a warning says so, as
        in Keras: the weights of a model are of use without its optimizer's state.
        """
        if len(store.keys()) != len(self._variables):
            warn(
                f"Skipping variable loading for optimizer '{self.name}', because it "
                f"has {len(self._variables)} variables whereas the saved optimizer has "
                f"{len(store.keys())} variables.",
            )
            return
        arrays = [np.asarray(store[str(i)]) for i in range(len(self._variables))]
        for variable, array in zip(self._variables, arrays, strict=True):
            if variable.shape != array.shape:
                raise ValueError(
                    f"Cannot load variable '{variable.path}' of optimizer "
                    f"'{self.name}': it has shape {variable.shape}. Received: shape "
                    f"{array.shape}."
                )
        for variable, array in zip(self._variables, arrays, strict=True):
            variable.assign(array)
