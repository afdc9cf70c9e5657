"""The update rule of an optimizer, and how it is applied to many variables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minikeras.optimizers import blocks
from minikeras.optimizers.flat import FlatGroups
from minikeras.optimizers.scalars import cast
from minikeras.optimizers.stages import Stages
from minikeras.row_gradient import RowGradient, parts
from minikeras.variables import Variable


class UpdateRule(Stages):
    """Applies `update_step`, or what is faster and equal to it.

    An optimizer says its rule in one of two ways.

    - It overrides `update_step(gradient, variable, learning_rate)`, which changes one
      variable. That is how a user does it, as in Keras; and how a rule is written that
      looks at a variable as a whole (LAMB's norms, Adafactor's rows and columns).
    - Or the rule treats each element by itself. Then the optimizer has

      `elementwise_step(value, gradient, squares, *state, **scalars)`, a static method
      that changes the arrays `value` and `state` in place, with ufuncs only. It must
      not change `gradient`. `squares` is None, or stands for `gradient * gradient`
      where that is not the same (see `RowGradient`);

      `_slots`, set by `build`: for each kind of state a list with a Variable for each
      model variable, or `[None] * len(variables)` where that kind is not used;

      `scalars(rate, dtype)`: the keyword arguments, in the dtype of the arrays.
      Python floats are taken in the dtype of the arrays by NumPy itself.

      `update_step` is then this rule on the arrays of one variable. In `apply`, small
      variables are updated together (`FlatGroup`), large ones in pieces (`blocks`),
      which gives the same to the last bit.
    """

    # Whether the rule can take a RowGradient; if not, it gets the dense sum.
    takes_row_gradients = False
    elementwise_step: Callable[..., None] | None = None
    square: Callable[..., np.ndarray] = np.square  # or np.abs: what it does with rows

    def _start_rule(self) -> None:
        self._slots: Sequence[list[Any]] = ()
        self._flat_groups = FlatGroups()
        self._known_scalars: dict[np.dtype, tuple[Any, dict[str, Any]]] = {}

    def _update(
        self, gradients: list[Any], variables: list[Variable], learning_rate: Any
    ) -> None:
        """The rule for all these variables."""
        if not self.takes_row_gradients:
            gradients = [
                g.dense() if isinstance(g, RowGradient) else g for g in gradients
            ]
        others: Sequence[int] = range(len(variables))
        if self._is_elementwise() and len(variables) > 1:
            groups, others = self._flat_groups.of(variables, self._indices, self._slots)
            for group, positions in groups:
                scalars = self._step_scalars(group.dtype, learning_rate)
                chosen = [gradients[i] for i in positions]
                group.update(self.elementwise_step, chosen, scalars, self.square)
        if not self._is_elementwise():
            for i in others:
                self.update_step(gradients[i], variables[i], learning_rate)
            return
        work: list[blocks.Piece] = []  # of all variables, for all threads at once
        for i in others:
            work += self._pieces(gradients[i], variables[i], learning_rate)
        blocks.run(work)

    def _is_elementwise(self) -> bool:
        """Whether `update_step` is nothing else than `elementwise_step`."""
        is_rule = type(self).update_step is UpdateRule.update_step
        return is_rule and self.elementwise_step is not None

    def update_step(
        self, gradient: np.ndarray, variable: Variable, learning_rate: Any
    ) -> None:
        """Changes one variable, given its gradient. The update rule.

        Args:
            gradient: array of the variable's shape and dtype; not to be changed.
            variable: one of the variables the optimizer was built with.
            learning_rate: a Variable, array or number.
        """
        if self.elementwise_step is None:
            raise NotImplementedError(
                f"Optimizer '{self.__class__.__name__}' must override "
                "`update_step(self, gradient, variable, learning_rate)`."
            )
        blocks.run(self._pieces(gradient, variable, learning_rate))

    def _pieces(
        self, gradient: Any, variable: Variable, learning_rate: Any
    ) -> list[blocks.Piece]:
        """The elementwise rule for one variable, in pieces."""
        index = self._indices[id(variable)]
        dense, squares = parts(gradient, self.square)
        state = [slot[index] for slot in self._slots]
        scalars = self._step_scalars(variable.value.dtype, learning_rate)
        rule = self.elementwise_step
        return blocks.pieces(rule, variable, dense, squares, *state, **scalars)

    def _step_scalars(self, dtype: np.dtype, learning_rate: Any) -> dict[str, Any]:
        """`self.scalars(...)`, computed once per step, not once per variable."""
        key = (float(learning_rate), self._iterations._array.item())
        known = self._known_scalars.get(dtype)
        if known is None or known[0] != key:
            known = (key, self.scalars(cast(learning_rate, dtype), dtype))
            self._known_scalars[dtype] = known
        return known[1]

    def scalars(self, rate: Any, dtype: np.dtype) -> dict[str, Any]:
        """What the elementwise rule needs besides arrays, in their dtype."""
        return {"rate": rate}
