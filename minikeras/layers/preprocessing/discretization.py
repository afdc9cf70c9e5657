"""Discretization: numbers as the intervals they fall into."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np

from minikeras.config import floatx
from minikeras.layers.layer import Layer
from minikeras.ops.encoding import encode
from minikeras.ops.quantiles import boundaries, merge, summarize
from minikeras.registry import public, suggest
from minikeras.symbolic import KerasTensor

if TYPE_CHECKING:
    from minikeras.gradients import Gradients

MODES = ("int", "one_hot", "multi_hot", "count")


@public("keras.layers")
class Discretization(Layer):
    """Replaces each number by that of the bin it falls into.

    Args:
        bin_boundaries: sorted list: `[0, 1]` makes the bins (-inf, 0), [0, 1) and
            [1, inf).
        num_bins: instead: how many bins `adapt` is to make, with equally many numbers.
        epsilon: how exact the quantiles are that `adapt` estimates.
        output_mode: `"int"` for the numbers of bins; or they are encoded as by
            `CategoryEncoding`: `"one_hot"`, `"multi_hot"`, `"count"`.
        sparse: False only; NumPy has no sparse arrays.
        dtype: of encoded outputs.
        name: the layer's name.

    Input shape:
        (N, ...).

    Output shape:
        With `"int"` the same, int32; otherwise (..., bins), see `CategoryEncoding`.

    **Formula**: `y = number of boundaries that are <= x`. NB: as in Keras, boundaries
    are rounded to float32.

    **Gradient**: none; the function is constant between its jumps.

    **Keeps**: nothing.

    >>> Discretization([0.0, 1.0])(np.array([-1.0, 0.0, 0.5, 7.0]))
    array([0, 1, 1, 2], dtype=int32)
    """

    def __init__(
        self,
        bin_boundaries: Any = None,
        num_bins: int | None = None,
        epsilon: float = 0.01,
        output_mode: str = "int",
        sparse: bool = False,
        dtype: Any = None,
        name: str | None = None,
    ):
        super().__init__(name=name, dtype=dtype)
        if output_mode not in MODES:
            raise ValueError(
                "Unknown value for `output_mode` argument of Discretization. Allowed "
                f"values are: {MODES}. Received: output_mode={output_mode!r}."
                f"{suggest(output_mode, MODES)}"
            )
        if sparse:
            raise ValueError(
                "`sparse=True` is not implemented in minikeras: NumPy has no sparse "
                "arrays."
            )
        if num_bins is not None and num_bins < 0:
            raise ValueError(
                "`num_bins` must be greater than or equal to 0. Received: "
                f"`num_bins={num_bins}`"
            )
        if num_bins is not None and bin_boundaries is not None:
            raise ValueError(
                "Both `num_bins` and `bin_boundaries` should not be set. Received: "
                f"`num_bins={num_bins}` and `bin_boundaries={bin_boundaries}`"
            )
        if num_bins is None and bin_boundaries is None:
            raise ValueError("You need to set either `num_bins` or `bin_boundaries`.")
        self.bin_boundaries = bin_boundaries
        self.num_bins = num_bins
        self.epsilon = epsilon
        self.output_mode = output_mode
        self.sparse = False
        self.reset_state()

    @property
    def input_dtype(self) -> str:
        """Inputs are compared in `floatx`, whatever the dtype of the outputs."""
        return floatx()

    @property
    def output_dtype(self) -> str:
        """int32, or the compute dtype for encoded outputs."""
        return "int32" if self.output_mode == "int" else self.compute_dtype

    def adapt(self, data: Any, steps: int | None = None) -> None:
        """Finds boundaries between which equally many numbers lie.

        Args:
            data: an array; or an iterable of batches, such as a list of arrays.
            steps: how many batches to look at; None for all.
        """
        if self.num_bins is None:
            raise ValueError(
                "Cannot adapt a Discretization layer that has been initialized with "
                "`bin_boundaries`, use `num_bins` instead."
            )
        self.reset_state()
        batches = [data] if isinstance(data, np.ndarray) else data
        for batch in itertools.islice(batches, steps):
            self.update_state(batch)
        self.finalize_state()

    def update_state(self, data: Any) -> None:
        """Adds a batch to what the boundaries are made from."""
        batch = summarize(np.array(data).astype("float32"), self.epsilon)
        self.summary = merge(batch, self.summary, self.epsilon)

    def finalize_state(self) -> None:
        """Makes the boundaries."""
        if self.num_bins is not None:
            self.bin_boundaries = boundaries(self.summary, self.num_bins).tolist()

    def reset_state(self) -> None:
        """Forgets the batches."""
        self.summary = np.zeros((2, 0), "float32")

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, None]:
        """The numbers of the bins, or their encoding."""
        if self.bin_boundaries is None:
            raise ValueError(
                "You need to either pass the `bin_boundaries` argument at construction "
                "time or call `adapt(dataset)` before you can start using the "
                f"`Discretization` layer. This is layer '{self.name}'."
            )
        limits = np.asarray(self.bin_boundaries, "float32")
        bins = np.searchsorted(limits.astype(np.float64), x, side="right")
        if self.output_mode == "int":
            return bins.astype("int32"), None
        depth = len(limits) + 1
        return encode(bins, depth, self.output_mode, self.output_dtype), None

    def backward(self, dy: Any, residuals: None, grads: Gradients) -> None:
        """None."""
        return None

    def compute_output_shape(self, input_shape: Any) -> tuple:
        """The input's, or with the number of bins at the end."""
        shape = tuple(input_shape)
        if self.output_mode == "int":
            return shape
        known = self.bin_boundaries is not None
        depth = len(self.bin_boundaries) + 1 if known else self.num_bins
        if self.output_mode == "one_hot":
            drops = len(shape) > 1 and shape[-1] == 1
            return (*(shape[:-1] if drops else shape), depth)
        return (shape[0], *shape[2:], depth) if len(shape) >= 2 else (depth,)

    def compute_output_spec(self, inputs: KerasTensor) -> KerasTensor:
        """Integers or floats."""
        return KerasTensor(self.compute_output_shape(inputs.shape), self.output_dtype)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, and the boundaries found."""
        return {
            "bin_boundaries": self.bin_boundaries,
            "num_bins": self.num_bins,
            "epsilon": self.epsilon,
            "output_mode": self.output_mode,
            "sparse": self.sparse,
            "name": self.name,
            "dtype": self.dtype,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """The inverse of `get_config`; it may have boundaries beside `num_bins`."""
        config = dict(config)
        found = None
        if config.get("num_bins") is not None:
            found = config.pop("bin_boundaries", None)
        layer = super().from_config(config)
        if found is not None:
            layer.bin_boundaries = found
        return layer
