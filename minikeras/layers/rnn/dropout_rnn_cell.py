"""Dropout inside recurrent cells: masks drawn once per sequence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from minikeras import random

if TYPE_CHECKING:
    from minikeras.random import SeedGenerator


class DropoutMasks(NamedTuple):
    """The masks of one sequence; None where nothing is dropped.

    Attributes:
        inputs: (G, N, D), for x: one mask for all gates (G = 1) or one for each.
        recurrent: (G, N, units), for h.

    An entry is 0, or `1 / (1 - rate)` so that the expected value stays the same.
    """

    inputs: np.ndarray | None = None
    recurrent: np.ndarray | None = None


class DropoutRNNCell:
    """What a recurrent cell with dropout has besides its own maths (a mix-in).

    The masks are the same at every step of a sequence: a unit that is dropped is
    dropped for the whole sequence. So they are not drawn in `forward`, which sees one
    step, but before the first one, by `draw_masks`, and handed to every step as
    `masks=`.

    A class that mixes this in sets `dropout`, `recurrent_dropout` (both in [0, 1]),
    `seed_generator`, and `dropout_mask_count`, the number of gates with a mask of their
    own, or None: one mask for all gates.

    Reference: Gal and Ghahramani (2016), A Theoretically Grounded Application of
    Dropout in Recurrent Neural Networks.
    """

    name: str
    dropout: float
    recurrent_dropout: float
    seed_generator: SeedGenerator
    dropout_mask_count: int | None = None

    _dropout_mask: np.ndarray | None = None
    _recurrent_dropout_mask: np.ndarray | None = None

    def draw_masks(
        self, inputs: np.ndarray, states: Any, training: bool = False
    ) -> DropoutMasks:
        """The masks for a sequence: first all for the inputs, then all for the state.

        NB: Keras draws in inference too and ignores the result. The numbers are not
        needed, but the generator moves on, and later masks depend on that.

        Args:
            inputs: (N, D), the input of one step.
            states: the states before it, h first.
            training: whether masks are wanted.
        """
        h = states[0] if isinstance(states, list | tuple) else states
        return DropoutMasks(
            self._draw(inputs, self.dropout, training),
            self._draw(h, self.recurrent_dropout, training),
        )

    def get_dropout_mask(self, step_input: np.ndarray) -> np.ndarray | None:
        """The input masks (G, N, D) of a cell that is called by itself.

        Drawn the first time and kept until `reset_dropout_mask`, so that a loop over
        steps drops the same units at each. (A cell inside an `RNN` keeps nothing.)
        """
        if self._dropout_mask is None:
            self._dropout_mask = self._draw(step_input, self.dropout, True)
        return self._dropout_mask

    def get_recurrent_dropout_mask(self, step_input: np.ndarray) -> np.ndarray | None:
        """The masks (G, N, units) of h; kept until `reset_recurrent_dropout_mask`."""
        if self._recurrent_dropout_mask is None:
            drawn = self._draw(step_input, self.recurrent_dropout, True)
            self._recurrent_dropout_mask = drawn
        return self._recurrent_dropout_mask

    def reset_dropout_mask(self) -> None:
        """Forgets the input masks: for a new sequence."""
        self._dropout_mask = None

    def reset_recurrent_dropout_mask(self) -> None:
        """Forgets the masks of h: for a new sequence."""
        self._recurrent_dropout_mask = None

    def _kept_masks(self, inputs: np.ndarray, h: np.ndarray) -> DropoutMasks:
        """The masks of a training step outside of an RNN."""
        masks = DropoutMasks(
            self.get_dropout_mask(inputs), self.get_recurrent_dropout_mask(h)
        )
        for mask, x in zip(masks, (inputs, h), strict=True):
            if mask is not None and mask.shape[1:] != x.shape:
                raise ValueError(
                    f"The dropout masks kept by the cell '{self.name}' are for a step "
                    f"of shape {mask.shape[1:]}. Received: shape {x.shape}. Before a "
                    "new sequence call `reset_dropout_mask()` and "
                    "`reset_recurrent_dropout_mask()`."
                )
        return masks

    def _draw(self, x: np.ndarray, rate: float, training: bool) -> np.ndarray | None:
        """`dropout_mask_count` masks in the shape of x; None if nothing is dropped."""
        if rate in (0, 1):  # NB: in Keras's recurrent cells 1 means no dropout, too.
            return None
        count = self.dropout_mask_count or 1
        if not training:
            for _ in range(count):
                self.seed_generator.next()
            return None
        ones = np.ones_like(x)
        masks = [
            random.dropout(ones, rate, seed=self.seed_generator) for _ in range(count)
        ]
        return np.stack(masks)
