"""What happens to gradients and variables around the update rule itself."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from minikeras.optimizers.blocks import in_blocks
from minikeras.optimizers.clipping import (
    Gradient,
    clip_by_global_norm,
    clip_by_norm,
    clip_by_value,
)
from minikeras.optimizers.scalars import cast
from minikeras.optimizers.state import OptimizerState
from minikeras.variables import Variable


def decay_weights(value: np.ndarray, *, decay: Any, rate: Any) -> None:
    """`w -= w * decay * rate`, in place.

    Reference: Loshchilov & Hutter 2019, Decoupled weight decay, algorithm 2, line 12.
    """
    step = value * decay
    step *= rate
    value -= step


def average_in(average: np.ndarray, value: np.ndarray, *, momentum: Any) -> None:
    """`average = momentum * average + (1 - momentum) * value`, in place."""
    average *= momentum
    average += (1 - momentum) * value


class Stages(OptimizerState):
    """Accumulation, clipping, weight decay and averaging of an optimizer."""

    iterations: Any
    _iterations: Variable
    _trainable_variables: list[Variable]
    _indices: dict[int, int]

    def _start_stages(self) -> None:
        self._exclude_ids: set[int] = set()
        self._exclude_pattern: re.Pattern | None = None

    # --- gradient accumulation -------------------------------------------------------

    def _is_update_step(self) -> bool:
        steps = self.gradient_accumulation_steps
        return not steps or (int(self._iterations) + 1) % steps == 0

    def _accumulated(
        self, gradients: list[np.ndarray], variables: list[Variable]
    ) -> list[np.ndarray]:
        """The mean over the accumulated calls; the accumulators start again at 0."""
        steps = self.gradient_accumulation_steps
        sums = [self._accumulators[self._indices[id(v)]] for v in variables]
        means = [(g + s.value) / steps for g, s in zip(gradients, sums, strict=True)]
        for accumulator in self._accumulators:
            accumulator._array[...] = 0
        return means

    def _accumulate(
        self, gradients: list[np.ndarray], variables: list[Variable]
    ) -> None:
        for gradient, variable in zip(gradients, variables, strict=True):
            self._accumulators[self._indices[id(variable)]]._array += gradient

    def _overwritten(self, gradient: Any, variable: Variable) -> bool:
        """Stores the gradient itself in a variable marked `overwrite_with_gradient`.

        Keras keeps the scales of float8 training this way, and accumulates them by
        their maximum.
        """
        if not variable.overwrite_with_gradient:
            return False
        gradient = np.asarray(gradient)
        if self.gradient_accumulation_steps:
            accumulator = self._accumulators[self._indices[id(variable)]]
            largest = np.maximum(gradient, accumulator.value)
            if self._is_update_step():
                variable.assign(largest)
                accumulator.assign(np.zeros_like(largest))
            else:
                accumulator.assign(largest)
        else:
            variable.assign(gradient)
        return True

    # --- clipping --------------------------------------------------------------------

    def _clipped(self, gradients: list[Gradient]) -> list[Gradient]:
        if self.clipnorm and self.clipnorm > 0:
            return [clip_by_norm(g, self.clipnorm) for g in gradients]
        if self.global_clipnorm and self.global_clipnorm > 0:
            return clip_by_global_norm(gradients, self.global_clipnorm)
        if self.clipvalue and self.clipvalue > 0:
            return [clip_by_value(g, self.clipvalue) for g in gradients]
        return gradients

    # --- weight decay ----------------------------------------------------------------

    def exclude_from_weight_decay(
        self,
        var_list: Iterable[Variable] | None = None,
        var_names: Sequence[str] | None = None,
    ) -> None:
        """Names the variables that `weight_decay` leaves alone.

        Args:
            var_list: the variables themselves.
            var_names: regular expressions, searched for in the paths of variables:
                `["bias"]` excludes every bias. (NB: Keras searches the name, which on
                TensorFlow is the path.)

        A further call replaces what the last one said.
        """
        self._exclude_ids = {id(v) for v in var_list or ()}
        pattern = "|".join(var_names) if var_names else ""
        self._exclude_pattern = re.compile(pattern) if pattern else None

    def _use_weight_decay(self, variable: Variable) -> bool:
        if id(variable) in self._exclude_ids:
            return False
        pattern = self._exclude_pattern
        return pattern is None or pattern.search(variable.path) is None

    def _apply_weight_decay(self, variables: list[Variable], rate: Any) -> None:
        if self.weight_decay is None:
            return
        scalars: dict[np.dtype, dict[str, Any]] = {}
        for variable in variables:
            dtype = variable.value.dtype
            if dtype not in scalars:
                decay = cast(self.weight_decay, dtype)  # NB: Keras: through float32
                scalars[dtype] = {"decay": decay, "rate": cast(rate, dtype)}
            if self._use_weight_decay(variable):
                in_blocks(decay_weights, variable, **scalars[dtype])

    # --- exponential moving average --------------------------------------------------

    def _update_averages(self) -> None:
        iterations = int(self.iterations)
        # NB: the average starts as a copy of the variable, not at 0.
        momentum = self.ema_momentum if iterations else 0.0
        for variable, average in self._averaged():
            scalar = variable._array.dtype.type(momentum)
            in_blocks(average_in, average, variable, momentum=scalar)
        every = self.ema_overwrite_frequency
        if every and (iterations + 1) % every == 0:
            self._overwrite_by_averages()

    def _averaged(self) -> list[tuple[Variable, Variable]]:
        pairs = zip(self._trainable_variables, self._averages, strict=True)
        return [(v, average) for v, average in pairs if average is not None]

    def _overwrite_by_averages(self) -> None:
        for variable, average in self._averaged():
            variable.assign(average.value)

    def finalize_variable_values(self, var_list: Sequence[Variable]) -> None:
        """Ends training: with `use_ema`, the variables become their averages.

        Args:
            var_list: the variables the optimizer was built with.
        """
        if not self.use_ema:
            return
        if len(var_list) != len(self._averages):
            raise ValueError(
                f"The length of model variables ({len(var_list)}) to override does not "
                "match the length of model variables stored in the optimizer "
                f"({len(self._averages)}). Please check if the optimizer was called on "
                "your model."
            )
        for variable, average in zip(var_list, self._averages, strict=True):
            if average is not None:
                variable.assign(average.value)
