"""AdditiveAttention: scores by a small network instead of a product."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from minikeras.layers.attention.attention import Attention
from minikeras.ops.attention import tanh_scores, tanh_scores_grad
from minikeras.registry import public

if TYPE_CHECKING:
    from minikeras.gradients import Gradients


@public("keras.layers")
class AdditiveAttention(Attention):
    """Additive attention, as in the first translators with attention.

    Args:
        use_scale: whether `scale` exists.
        dropout, seed: see `Attention`.
        **kwargs: `name`, `dtype`, `trainable`, `activity_regularizer`.

    Call arguments:
        inputs, mask, training, return_attention_scores, use_causal_mask: see
            `Attention`.

    Output shape:
        (N, T, D').

    Weights:
        `scale` (D,), if `use_scale`.

    **Formula** `scores = sum_d scale[d] * tanh(query[d] + key[d])` for each pair of a
    query and a key; the rest is as in `Attention`.

    **Gradient** see `minikeras.ops.attention.tanh_scores`.

    **Keeps** what `Attention` does, and the tanh of all pairs.

    Reference: Bahdanau, Cho and Bengio (2015), arXiv:1409.0473.

    >>> layer = AdditiveAttention(use_scale=False, dtype="float64")
    >>> query, value = np.zeros((1, 1, 1)), np.array([[[2.0], [2.0]]])
    >>> layer([query, value])
    array([[[2.]]])
    """

    def __init__(self, use_scale: bool = True, dropout: float = 0.0, **kwargs: Any):
        super().__init__(use_scale=use_scale, dropout=dropout, **kwargs)

    def build(self, input_shape: Any) -> None:
        """Makes `scale`, if wanted."""
        self._check(input_shape)
        self.scale = None
        if self.use_scale:
            self.scale = self.add_weight(
                name="scale",
                shape=(input_shape[0][-1],),
                initializer="glorot_uniform",
            )

    def score(self, query: np.ndarray, key: np.ndarray) -> tuple[np.ndarray, Any]:
        """`scores, residuals`: (N, T, D), (N, S, D) -> (N, T, S)."""
        scale = None if self.scale is None else self.scale.value
        return tanh_scores(query, key, scale)

    def score_grad(
        self,
        dscores: np.ndarray,
        query: np.ndarray,
        key: np.ndarray,
        residuals: Any,
        grads: Gradients,
    ) -> tuple[np.ndarray, np.ndarray]:
        """The gradient of `score`: `dquery, dkey`."""
        scale = None if self.scale is None else self.scale.value
        dquery, dkey, dscale, _ = tanh_scores_grad(dscores, residuals, scale)
        if scale is not None:
            grads.add(self.scale, dscale)
        return dquery, dkey

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        config = super().get_config()
        del config["score_mode"]
        return config
