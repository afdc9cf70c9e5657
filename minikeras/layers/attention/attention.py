"""Attention: each query gets a mean of the values, weighted by how well keys fit it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from minikeras import random
from minikeras.comparisons import ConvertToTensor
from minikeras.layers.layer import Layer
from minikeras.layers.regularization.dropout import DropoutResiduals
from minikeras.ops.attention import (
    SoftmaxResiduals,
    causal_mask,
    dot_scores,
    dot_scores_grad,
    masked_softmax,
    masked_softmax_grad,
    mean_of_values,
    mean_of_values_grad,
    tanh_scores,
    tanh_scores_grad,
)
from minikeras.registry import public
from minikeras.symbolic import KerasTensor

if TYPE_CHECKING:
    from minikeras.gradients import Gradients

# NB: Keras subtracts this from the scores where the mask is False.
_FAR = 1e9


class AttentionResiduals(NamedTuple):
    """What `Attention.backward` needs.

    Attributes:
        inputs: [query, value] or [query, value, key].
        scores: what the scores kept.
        softmax: what the softmax kept.
        weights: (N, T, S), after dropout.
        dropout: what the dropout kept.
        query_mask: (N, T, 1) or None.
        two: whether the output was a pair with the weights.
    """

    inputs: list[np.ndarray]
    scores: Any
    softmax: SoftmaxResiduals
    weights: np.ndarray
    dropout: DropoutResiduals | None
    query_mask: np.ndarray | None
    two: bool


@public("keras.layers")
class Attention(Layer):
    """Dot-product attention.

    Args:
        use_scale: multiply the scores by a trainable number.
        score_mode: `"dot"`: query times key; `"concat"`: the tanh of their sum.
        dropout: share of the weights to drop in training.
        seed: of the dropout.
        **kwargs: `name`, `dtype`, `trainable`, `activity_regularizer`.

    Call arguments:
        inputs: the list [query, value] or [query, value, key]: (N, T, D), (N, S, D'),
            (N, S, D). Without a key, the value is the key.
        mask: list [query_mask, value_mask], (N, T) and (N, S), each may be None: where
            the second is False, a value has no weight; where the first is, the output
            is 0.
        training: whether to drop.
        return_attention_scores: return `(output, weights)`, the weights being (N, T,
            S).
        use_causal_mask: query t sees the values 0 .. t only.

    Output shape:
        (N, T, D').

    Weights:
        `scale` () if `use_scale`; `concat_score_weight` () for "concat".

    **Formula**

        scores = scale * query @ key.T                                        (dot)
        scores = concat_score_weight * sum(tanh(scale * (query + key)))    (concat)
        scores = scores - 1e9 where masked
        weights = dropout(softmax(scores))
        y = weights @ value

    **Gradient** back through the five lines, see `minikeras.ops.attention`; `dscale =
    sum(dscores * scores) / scale` is computed as `sum(dscores * (query @ key.T))`. If
    the value is the key, its two gradients add.

    **Keeps** the inputs and the weights, for "concat" also the tanh of all pairs.

    Reference: Luong, Pham and Manning (2015), arXiv:1508.04025.

    >>> query, value = np.zeros((1, 1, 2)), np.array([[[1.0, 3.0], [3.0, 5.0]]])
    >>> Attention(dtype="float64")([query, value])
    array([[[2., 4.]]])
    """

    records_mask = False  # Keras has it in no node

    def __init__(
        self,
        use_scale: bool = False,
        score_mode: str = "dot",
        dropout: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.use_scale = use_scale
        self.score_mode = score_mode
        self.dropout = dropout
        self.seed = seed
        if dropout > 0:
            self.seed_generator = random.SeedGenerator(seed)
        if score_mode not in ("dot", "concat"):
            raise ValueError(
                "Invalid value for argument score_mode. Expected one of {'dot', "
                f"'concat'}}. Received: score_mode={score_mode}"
            )

    def build(self, input_shape: Any) -> None:
        """Makes `scale` and `concat_score_weight`, where wanted."""
        self._check(input_shape)
        self.scale = self.concat_score_weight = None
        if self.use_scale:
            self.scale = self.add_weight(name="scale", shape=(), initializer="ones")
        if self.score_mode == "concat":
            self.concat_score_weight = self.add_weight(
                name="concat_score_weight", shape=(), initializer="ones"
            )

    # --- Scores -----------------------------------------------------------------------

    def score(self, query: np.ndarray, key: np.ndarray) -> tuple[np.ndarray, Any]:
        """`scores, residuals`: (N, T, D), (N, S, D) -> (N, T, S)."""
        scale = None if self.scale is None else self.scale.value
        if self.score_mode == "concat":
            return tanh_scores(query, key, self.concat_score_weight.value, scale)
        scores = dot_scores(query, key)
        return (scores, None) if scale is None else (scores * scale, scores)

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
        if self.score_mode == "concat":
            weight = self.concat_score_weight
            dquery, dkey, dweight, dscale = tanh_scores_grad(
                dscores, residuals, weight.value, scale
            )
            grads.add(weight, dweight)
            if scale is not None:
                grads.add(self.scale, dscale)
            return dquery, dkey
        if scale is not None:  # in forward: scores = dot_scores * scale
            grads.add(self.scale, np.asarray((dscores * residuals).sum()))
            dscores = dscores * scale
        return dot_scores_grad(dscores, query, key)

    # --- Forward and backward -------------------------------------------------------

    def forward(
        self,
        inputs: Any,
        *,
        mask: Any = None,
        training: bool = False,
        return_attention_scores: bool = False,
        use_causal_mask: bool = False,
    ) -> tuple[Any, AttentionResiduals]:
        """The values' means, or `(means, weights)`."""
        self._check(inputs, mask)
        query, value, *rest = inputs
        key = rest[0] if rest else value
        query_mask, value_mask = mask[:2] if mask else (None, None)
        scores, kept = self.score(query, key)
        seen = _seen(scores.shape, value_mask, use_causal_mask)
        if seen is not None:
            scores = np.where(seen, scores, scores - scores.dtype.type(_FAR))
        weights, softmax = masked_softmax(scores)
        dropout = None
        if training and self.dropout > 0:
            dropout = self._draw(weights)
            weights = _dropped(weights, dropout)
        y = mean_of_values(weights, value)
        if query_mask is not None:
            query_mask = np.asarray(query_mask).astype(bool)[..., None]
            y = np.where(query_mask, y, y.dtype.type(0))
        two = bool(return_attention_scores)
        residuals = AttentionResiduals(
            list(inputs), kept, softmax, weights, dropout, query_mask, two
        )
        return ((y, weights) if two else y), residuals

    def backward(
        self, dy: Any, residuals: AttentionResiduals, grads: Gradients
    ) -> list[np.ndarray]:
        """`[dquery, dvalue]`, or `[dquery, dvalue, dkey]`."""
        inputs, kept, softmax, weights, dropout, query_mask, two = residuals
        query, value, *rest = inputs
        dy, d_returned = dy if two else (dy, None)
        if dy is None:
            dweights, dvalue = np.zeros_like(weights), np.zeros_like(value)
        else:
            if query_mask is not None:  # in forward: y = where(query_mask, y, 0)
                dy = np.where(query_mask, dy, dy.dtype.type(0))
            # in forward: y = weights @ value
            dweights, dvalue = mean_of_values_grad(dy, weights, value)
        if d_returned is not None:
            dweights = dweights + d_returned
        if dropout is not None:  # in forward: weights = dropout(weights)
            dweights = _dropped(dweights, dropout)
        # in forward: weights = softmax(scores), or of scores - 1e9
        dscores = masked_softmax_grad(dweights, softmax)
        key = rest[0] if rest else value
        dquery, dkey = self.score_grad(dscores, query, key, kept, grads)
        return [dquery, dvalue, dkey] if rest else [dquery, dvalue + dkey]

    def _draw(self, weights: np.ndarray) -> DropoutResiduals:
        """A new mask for the weights."""
        if self.dropout == 1:  # NB: as in Keras, nothing is drawn
            return DropoutResiduals(np.zeros((1,) * weights.ndim, bool), 0.0)
        keep = random.dropout_mask(
            weights.shape, self.dropout, weights.dtype, seed=self.seed_generator
        )
        return DropoutResiduals(keep, 1.0 / (1.0 - self.dropout))

    # --- Shapes, masks and configuration ----------------------------------------------

    def _check(self, inputs: Any, mask: Any = None) -> None:
        kind = type(self).__name__
        if not isinstance(inputs, list):
            raise ValueError(
                f"{kind} layer must be called on a list of inputs, namely [query, "
                f"value] or [query, value, key]. Received: inputs={inputs}."
            )
        if len(inputs) not in (2, 3):
            raise ValueError(
                f"{kind} layer accepts inputs list of length 2 or 3, namely [query, "
                f"value] or [query, value, key]. Received length: {len(inputs)}."
            )
        if mask is None:
            return
        if not isinstance(mask, list):
            raise ValueError(
                f"{kind} layer mask must be a list, namely [query_mask, value_mask]. "
                f"Received: mask={mask}."
            )
        if len(mask) not in (2, 3):
            raise ValueError(
                f"{kind} layer accepts mask list of length 2 or 3. Received: "
                f"inputs={inputs}, mask={mask}."
            )

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """The query's mask."""
        self._check(inputs, mask)
        found = None if mask is None else mask[0]
        if isinstance(found, KerasTensor):  # a node of its own, as in Keras
            return ConvertToTensor()(found)
        return found

    def compute_output_shape(self, input_shape: Any) -> tuple:
        """(N, T, D')."""
        query, value, *_ = input_shape
        return (*query[:-1], value[-1])

    def compute_output_spec(
        self, inputs: Any, return_attention_scores: bool = False, **kwargs: Any
    ) -> Any:
        """Symbolic outputs for symbolic inputs."""
        self._check(inputs)
        shapes = [tensor.shape for tensor in inputs]
        y = KerasTensor(self.compute_output_shape(shapes), self.compute_dtype)
        if not return_attention_scores:
            return y
        scores = (*shapes[0][:-1], shapes[-1][-2])
        return y, KerasTensor(scores, self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "use_scale": self.use_scale,
            "score_mode": self.score_mode,
            "dropout": self.dropout,
            "seed": self.seed,
        }


def _seen(
    shape: tuple[int, ...], value_mask: Any, use_causal_mask: bool
) -> np.ndarray | None:
    """Which value each query may look at: broadcasts to (N, T, S)."""
    seen = None
    if value_mask is not None:
        seen = np.asarray(value_mask).astype(bool)
        seen = seen[..., None, :] if use_causal_mask or seen.ndim == 2 else seen
    if use_causal_mask:
        causal = causal_mask(*shape[-2:])[None]
        seen = causal if seen is None else seen & causal
    return seen


def _dropped(weights: np.ndarray, dropout: DropoutResiduals) -> np.ndarray:
    """What a dropout leaves, scaled; of a gradient likewise."""
    zero = weights.dtype.type(0)
    return np.where(dropout.keep, weights * dropout.scale, zero)
