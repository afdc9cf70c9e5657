"""Embedding: a trainable vector for each integer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from minikeras import constraints, initializers, regularizers
from minikeras.layers.core.refusals import refuse
from minikeras.layers.layer import Layer
from minikeras.messages import warn
from minikeras.ops.embedding import embedding_lookup
from minikeras.registry import public
from minikeras.row_gradient import RowGradient

if TYPE_CHECKING:
    from minikeras.gradients import Gradients
    from minikeras.variables import Variable


class EmbeddingResiduals(NamedTuple):
    """What `Embedding.backward` needs.

    Attributes:
        ids: the row numbers looked up, all in [0, input_dim).
    """

    ids: np.ndarray


@public("keras.layers")
class Embedding(Layer):
    """Replaces integers by rows of a trainable table.

    Args:
        input_dim: V, the largest id + 1.
        output_dim: D, the length of each vector.
        embeddings_initializer: how the table starts.
        embeddings_regularizer: penalty on the table.
        embeddings_constraint: projection of the table after each update.
        mask_zero: whether id 0 is padding, masked in the layers that follow.
        weights: the table itself, as an array (V, D), or a list of that one array.
        lora_rank, lora_alpha, quantization_config: None only.
        **kwargs: `name`, `dtype`, `trainable`, `activity_regularizer`; and
            `input_length`, which Keras no longer needs and warns about.

    Input shape:
        (N, ...), integers. Floats are truncated, as in Keras.

    Output shape:
        (N, ..., D).

    Weights:
        `embeddings` (V, D).

    **Formula**: `y[...] = embeddings[ids[...]]`.

    **Gradient**: `dembeddings[v]` is the sum of `dy` over the positions where `v` was
    looked up; rows not looked up get 0. Ids have no gradient. The rows are handed on as
    a `RowGradient`, which adds them up when asked: see there why.

    **Keeps**: the ids.

    NB: Keras on TensorFlow lets the ids -V..-1 count from the end of the table; so
    here. Others raise a ValueError (there, TensorFlow's `InvalidArgumentError`).

    >>> layer = Embedding(3, 2, weights=np.arange(6.0).reshape(3, 2))
    >>> layer(np.array([[2, 0]]))
    array([[[4., 5.],
            [0., 1.]]], dtype=float32)
    """

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        embeddings_initializer: Any = "uniform",
        embeddings_regularizer: Any = None,
        embeddings_constraint: Any = None,
        mask_zero: bool = False,
        weights: Any = None,
        lora_rank: int | None = None,
        lora_alpha: float | None = None,
        quantization_config: Any = None,
        **kwargs: Any,
    ):
        for name, size in (("input_dim", input_dim), ("output_dim", output_dim)):
            if not isinstance(size, int) or isinstance(size, bool) or size <= 0:
                raise ValueError(
                    f"`{name}` must be a positive integer. Received: {name}={size} (of "
                    f"type {type(size).__name__})."
                )
        refuse(
            "Embedding",
            lora_rank=lora_rank,
            lora_alpha=lora_alpha,
            quantization_config=quantization_config,
        )
        if kwargs.pop("input_length", None) is not None:
            warn("Argument `input_length` is deprecated. Just remove it.")
        super().__init__(**kwargs)
        self.input_dim = input_dim
        self.output_dim = output_dim
        self.embeddings_initializer = initializers.get(embeddings_initializer)
        self.embeddings_regularizer = regularizers.get(embeddings_regularizer)
        self.embeddings_constraint = constraints.get(embeddings_constraint)
        self.mask_zero = mask_zero
        self.supports_masking = mask_zero
        self.makes_mask = bool(mask_zero)
        self.autocast = False
        if weights is not None:
            self.build()
            single = isinstance(weights, list) and len(weights) == 1
            self.set_weights(weights if single else [weights])

    def build(self, input_shape: Any = None) -> None:
        """Makes the table, whose shape does not depend on the input."""
        if self.built:
            return
        self._embeddings = self.add_weight(
            name="embeddings",
            shape=(self.input_dim, self.output_dim),
            initializer=self.embeddings_initializer,
            regularizer=self.embeddings_regularizer,
            constraint=self.embeddings_constraint,
        )

    @property
    def embeddings(self) -> Variable:
        """The table (V, D)."""
        if not self.built:
            raise AttributeError(
                "You must build the layer before accessing `embeddings`. Layer "
                f"'{self.name}' has not seen an input yet."
            )
        return self._embeddings

    def forward(self, ids: np.ndarray) -> tuple[np.ndarray, EmbeddingResiduals]:
        """`embeddings[ids]`."""
        ids = self._row_numbers(ids)
        y = embedding_lookup(self.embeddings.value, ids)  # (...) -> (..., D)
        return y, EmbeddingResiduals(ids)

    def backward(
        self, dy: np.ndarray, residuals: EmbeddingResiduals, grads: Gradients
    ) -> None:
        """None: integers have no gradient. Adds dembeddings."""
        if grads.wants(self.embeddings):
            # in forward: y = embeddings[ids]
            gradient = RowGradient(residuals.ids, dy, self.input_dim)
            grads.add(self.embeddings, gradient)

    def _row_numbers(self, ids: np.ndarray) -> np.ndarray:
        """Integers in [0, input_dim), or an error that shows the first id outside."""
        rows = self.input_dim
        if ids.dtype.kind not in "biuf":
            raise ValueError(
                f"Embedding layer '{self.name}' expects integer ids. Received: an "
                f"array of dtype {ids.dtype}. Turn words into numbers first."
            )
        if ids.size:
            low, high = ids.min(), ids.max()
            if not (low >= -rows and high < rows):  # also false for NaN
                inside = (ids >= -rows) & (ids < rows)
                where = tuple(int(i) for i in np.argwhere(~inside)[0])
                raise ValueError(
                    f"Embedding layer '{self.name}' has input_dim={rows}, so ids must "
                    f"lie in [0, {rows}). Received: id {ids[where]} at position "
                    f"{where}. `input_dim` must be the largest id + 1."
                )
        if ids.dtype.kind == "f" and (fractions := np.trunc(ids) != ids).any():
            # Keras cuts the fraction off; a mistake is more likely.
            where = tuple(int(i) for i in np.argwhere(fractions)[0])
            raise ValueError(
                f"Embedding layer '{self.name}' expects integer ids (as floats too). "
                f"Received: {ids[where]} at position {where}."
            )
        if ids.dtype.kind != "i":
            ids = ids.astype(np.int32)
        if ids.size and low < 0:
            ids = np.where(ids < 0, ids + ids.dtype.type(rows), ids)
        return ids

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """True where the id is not 0, if `mask_zero`."""
        return inputs != 0 if self.mask_zero else None

    def compute_output_shape(self, input_shape: Any) -> tuple:
        """(N, ..., D)."""
        return (*input_shape, self.output_dim)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, without `weights`."""
        activity_regularizer = regularizers.serialize(self.activity_regularizer)
        return {
            **super().get_config(),
            "input_dim": self.input_dim,
            "output_dim": self.output_dim,
            "embeddings_initializer": initializers.serialize(
                self.embeddings_initializer
            ),
            "embeddings_regularizer": regularizers.serialize(
                self.embeddings_regularizer
            ),
            "activity_regularizer": activity_regularizer,
            "embeddings_constraint": constraints.serialize(self.embeddings_constraint),
            "mask_zero": self.mask_zero,
            "quantization_config": None,
        }
