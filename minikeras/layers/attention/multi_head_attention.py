"""MultiHeadAttention: several attentions side by side, each on its own projections."""

from __future__ import annotations

import inspect
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from minikeras import constraints, initializers, regularizers
from minikeras.layers.activations.softmax import Softmax
from minikeras.layers.attention.heads import (
    MultiHeadAttentionResiduals,
    attend_heads,
    attend_heads_grad,
)
from minikeras.layers.attention.projections import (
    check_flash,
    check_same_places,
    check_sizes,
    checked_output_shape,
    copied,
    projection,
)
from minikeras.layers.core.einsum_dense import EinsumDense
from minikeras.layers.inner_calls import backward_inner, forward_inner
from minikeras.layers.layer import Layer
from minikeras.layers.regularization.dropout import Dropout
from minikeras.messages import warn
from minikeras.ops.attention import combined_mask
from minikeras.registry import public
from minikeras.symbolic import KerasTensor

if TYPE_CHECKING:
    from minikeras.gradients import Gradients


@public("keras.layers")
class MultiHeadAttention(Layer):
    """Multi-head attention, the layer of transformers.

    Args:
        num_heads: H, how many attentions.
        key_dim: K, size of each head's queries and keys.
        value_dim: V, size of each head's values; K by default.
        dropout: share of the weights to drop in training.
        use_bias: whether the dense layers have biases.
        output_shape: sizes of the output's last axes; by default the query's last.
        attention_axes: axes to attend over; by default all but the first and the last.
        sliding_window: a query sees only values less than this many steps away.
        flash_attention: None or False; True raises when the layer runs, as in Keras on
            TensorFlow.
        kernel_initializer, bias_initializer: how the weights start; each dense layer
            has its own copy.
        kernel_regularizer, bias_regularizer, activity_regularizer: penalties, of each
            dense layer.
        kernel_constraint, bias_constraint: projections after each update.
        use_gate: multiply each head's output by a sigmoid of the query's projection.
        seed: of the dropout.
        **kwargs: `name`, `dtype`, `trainable`.

    Call arguments:
        query: (N, T, D).
        value: (N, S, D').
        key: (N, S, D''); the value by default.
        query_mask, value_mask, key_mask: (N, T), (N, S), (N, S). They come by
            themselves from a layer that makes masks. NB: Keras does not listen to a
            `query_mask` that is passed by hand.
        attention_mask: (N, T, S), True where the query may look at the value.
        return_attention_scores: return `(output, weights)`, the weights being (N, H, T,
            S).
        training: whether to drop.
        use_causal_mask: query t sees the values 0 .. t only.

    Output shape:
        (N, T, D), or (N, T, *output_shape).

    Weights:
        `query/kernel` (D, H, K), `query/bias` (H, K), likewise `key` and `value` (H,
        V), `attention_output/kernel` (H, V, D), `attention_output/bias` (D,).

    **Formula** for each head h:

        q, k, v = query @ W_q[:, h] + b_q[h], key @ W_k[:, h] + ..., value @ W_v[:, h]
        weights = softmax(q @ k.T / sqrt(K)), over what the masks leave
        o[:, h] = dropout(weights) @ v
        y = sum_h o[:, h] @ W_o[h] + b_o

    **Gradient** the same lines from last to first, see `minikeras.ops.attention`; each
    projection is an `EinsumDense`. The gradients of query, value and key are those of
    their projections; where one tensor is all three, the graph adds them.

    **Keeps** the inputs, their projections and the weights: N * H * T * S numbers.

    NB: where all values are masked for a query, Keras's two ways of computing differ,
    and so do these: without dropout and without `return_attention_scores` the output is
    the mean of all values, otherwise 0.

    Reference: Vaswani et al. (2017), Attention is all you need, arXiv:1706.03762.

    >>> layer = MultiHeadAttention(num_heads=2, key_dim=3, name="heads")
    >>> x = np.zeros((1, 5, 4), "float32")
    >>> layer(x, x).shape, layer.weights[0].path, layer.weights[0].shape
    ((1, 5, 4), 'heads/query/kernel', (4, 2, 3))
    """

    # Arguments of a call that a graph fills with the masks of others.
    mask_arguments = ("query_mask", "value_mask", "key_mask", "attention_mask")

    def __init__(
        self,
        num_heads: int,
        key_dim: int,
        value_dim: int | None = None,
        dropout: float = 0.0,
        use_bias: bool = True,
        output_shape: Any = None,
        attention_axes: Any = None,
        sliding_window: int | None = None,
        flash_attention: bool | None = None,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        use_gate: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ):
        check_sizes(num_heads, key_dim, value_dim, sliding_window)
        super().__init__(**kwargs)
        self.supports_masking = True
        self.num_heads = num_heads
        self.key_dim = key_dim
        self.value_dim = value_dim or key_dim
        self.dropout = dropout
        self.use_bias = use_bias
        self.use_gate = use_gate
        self._output_shape = checked_output_shape(output_shape)
        self._flash_attention = flash_attention
        self._kernel_initializer = initializers.get(kernel_initializer)
        self._bias_initializer = initializers.get(bias_initializer)
        self._kernel_regularizer = regularizers.get(kernel_regularizer)
        self._bias_regularizer = regularizers.get(bias_regularizer)
        self._activity_regularizer = regularizers.get(activity_regularizer)
        self._kernel_constraint = constraints.get(kernel_constraint)
        self._bias_constraint = constraints.get(bias_constraint)
        if isinstance(attention_axes, int):
            attention_axes = (attention_axes,)
        elif attention_axes and not isinstance(attention_axes, list | tuple):
            raise ValueError(
                "`attention_axes` must be an int, list, or tuple."
                f"Received: attention_axes={attention_axes}"
            )
        self.attention_axes = attention_axes
        self.sliding_window = sliding_window
        self.seed = seed
        if flash_attention and dropout > 0.0:
            raise ValueError(
                "Dropout is not supported when flash attention is enabled. Please set "
                "dropout to 0.0 to use flash attention."
            )

    # --- Building ---------------------------------------------------------------------

    def build(self, query_shape: Any, value_shape: Any, key_shape: Any = None) -> None:
        """Makes and builds the dense layers."""
        key_shape = value_shape if key_shape is None else key_shape
        check_same_places(value_shape, key_shape)
        heads = {"key": self.key_dim, "value": self.value_dim}
        self.query_dense = self._dense("query", query_shape, 1, heads["key"])
        self.key_dense = self._dense("key", key_shape, 1, heads["key"])
        self._gate_dense = None
        if self.use_gate:
            self._gate_dense = self._dense(
                "gate", query_shape, 1, heads["value"], activation="sigmoid"
            )
        self.value_dense = self._dense("value", value_shape, 1, heads["value"])
        rank = len(value_shape) + 1
        axes = self.attention_axes
        if axes is None:
            axes = range(1, rank - 2)
        axes = tuple(axis if axis >= 0 else rank - 1 + axis for axis in axes)
        self.attention_axes = axes
        # Keras makes a Softmax here: it takes a name. `masked_softmax` computes it.
        scores_rank = rank - 1 + len(axes)
        norm_axes = tuple(range(scores_rank - len(axes), scores_rank))
        self._softmax = Softmax(axis=norm_axes, dtype=self.dtype_policy)
        self._dropout_layer = Dropout(
            self.dropout, dtype=self.dtype_policy, seed=self.seed
        )
        projected = self.query_dense.compute_output_shape(query_shape)
        shape = (*projected[:-1], self.value_dim)
        sizes = self._output_shape or (query_shape[-1],)
        self.output_dense = self._dense("attention_output", shape, 2, *sizes)

    def _dense(
        self, name: str, shape: Any, bound: int, *sizes: int, activation: Any = None
    ) -> EinsumDense:
        """A dense layer over the last `bound` axes, built."""
        sizes = (self.num_heads, *sizes) if bound == 1 else sizes
        options = {
            "kernel_initializer": copied(self._kernel_initializer),
            "bias_initializer": copied(self._bias_initializer),
            "kernel_regularizer": self._kernel_regularizer,
            "bias_regularizer": self._bias_regularizer,
            "activity_regularizer": self._activity_regularizer,
            "kernel_constraint": self._kernel_constraint,
            "bias_constraint": self._bias_constraint,
            "activation": activation,
            "dtype": self.dtype_policy,
            "name": name,
        }
        dense = projection(len(shape), bound, sizes, self.use_bias, **options)
        dense.build(shape)
        return dense

    @property
    def couples_examples(self) -> bool:  # type: ignore[override]
        """Whether the dense layers have a penalty that the batch size divides."""
        return self._activity_regularizer is not None

    # --- Forward and backward -------------------------------------------------------

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """See `Layer`; arguments in the order of the signature."""
        if kwargs.get("query_mask") is not None:
            warn(
                f"`query_mask` passed to layer '{self.name}' has no effect: Keras's "
                "MultiHeadAttention ignores it, and so does this one. Masks of queries "
                "come from layers such as `Masking` and `Embedding(mask_zero=True)`.",
            )
            kwargs["query_mask"] = None
        order = [name for name in _SIGNATURE if name in kwargs]
        kwargs = {name: kwargs[name] for name in order} | kwargs
        return super().__call__(*args, **kwargs)

    def forward(
        self,
        query: np.ndarray,
        value: np.ndarray,
        key: np.ndarray | None = None,
        query_mask: Any = None,
        value_mask: Any = None,
        key_mask: Any = None,
        attention_mask: Any = None,
        return_attention_scores: bool = False,
        training: bool = False,
        use_causal_mask: bool = False,
    ) -> tuple[Any, MultiHeadAttentionResiduals]:
        """The heads' outputs together, or `(outputs, weights)`."""
        check_flash(self._flash_attention, return_attention_scores, self.name)
        key_given = key is not None
        key = value if key is None else key
        sizes = query.shape[1], value.shape[1]
        masks = query_mask, value_mask, key_mask, attention_mask
        mask = combined_mask(sizes, *masks, use_causal_mask, self.sliding_window)
        layers = {"query": self.query_dense, "key": self.key_dense}
        inputs = {"query": query, "key": key, "value": value}
        if self.use_gate:
            layers["gate"], inputs["gate"] = self._gate_dense, query
        layers["value"] = self.value_dense
        projected, calls = {}, {}
        for name, layer in layers.items():
            projected[name], calls[name] = forward_inner(
                layer, (inputs[name],), {}, training=training
            )
        # NB: Keras computes in two ways; they differ where all values are masked.
        plain = not (self.dropout > 0 or return_attention_scores or query.ndim != 3)
        (y, weights), heads = attend_heads(
            projected["query"] * self._scale(),
            projected["key"],
            projected["value"],
            self.attention_axes,
            mask,
            zeroed=not plain,
            dropout=self._dropout_layer if training and self.dropout > 0 else None,
        )
        gate = None
        if self.use_gate:
            gate = y, projected["gate"]
            y = y * projected["gate"]
        y, output = forward_inner(self.output_dense, (y,), {}, training=training)
        two = bool(return_attention_scores)
        residuals = MultiHeadAttentionResiduals(
            calls, output, heads, gate, key_given, two
        )
        return ((y, weights) if two else y), residuals

    def backward(
        self,
        dy: Any,
        residuals: MultiHeadAttentionResiduals,
        grads: Gradients,
        need_dx: bool = True,
    ) -> tuple[Any, ...]:
        """`(dquery, dvalue)`, or `(dquery, dvalue, dkey)` if the call had a key."""
        calls, output, heads, gate, key_given, two = residuals
        dy, d_returned = dy if two else (dy, None)
        d_projected = {}
        # in forward: y = output_dense(y)
        if dy is not None or output.record.penalized:
            dy = backward_inner(self.output_dense, dy, output, grads)
        if gate is not None and dy is not None:  # in forward: y = y * gate
            y, opening = gate
            dy, d_projected["gate"] = dy * opening, dy * y
        # in forward: y, weights = attend_heads(query * scale, key, value)
        dquery, dkey, dvalue = attend_heads_grad(
            dy, d_returned, heads, self._dropout_layer, grads
        )
        dquery = dquery * self._scale()
        d_projected |= {"query": dquery, "key": dkey, "value": dvalue}
        layers = {"query": self.query_dense, "key": self.key_dense}
        layers |= {"gate": self._gate_dense, "value": self.value_dense}
        dx = {
            name: backward_inner(layers[name], d_projected[name], call, grads, need_dx)
            for name, call in calls.items()
            if name in d_projected
        }
        if not need_dx:
            return (None,) * (3 if key_given else 2)
        if "gate" in dx:  # the query is used twice
            dx["query"] = dx["query"] + dx["gate"]
        if key_given:
            return dx["query"], dx["value"], dx["key"]
        return dx["query"], dx["value"] + dx["key"]  # in forward: key = value

    def _scale(self) -> Any:
        """`1 / sqrt(K)`. NB: Keras rounds it to float32, in float64 too."""
        scale = np.float32(1 / math.sqrt(self.key_dim))
        return np.dtype(self.compute_dtype).type(scale)

    # --- Shapes and configuration -----------------------------------------------------

    def compute_output_shape(
        self, query_shape: Any, value_shape: Any, key_shape: Any = None
    ) -> tuple:
        """(N, T, D), or with `output_shape` at the end."""
        check_same_places(value_shape, key_shape or value_shape)
        if self._output_shape:
            return (*query_shape[:-1], *self._output_shape)
        return tuple(query_shape)

    def compute_output_spec(
        self,
        query: Any,
        value: Any,
        key: Any = None,
        return_attention_scores: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Symbolic outputs for symbolic inputs."""
        key_shape = None if key is None else key.shape
        shape = self.compute_output_shape(query.shape, value.shape, key_shape)
        y = KerasTensor(shape, self.compute_dtype)
        if not return_attention_scores:
            return y
        # NB: Keras takes the query's length for the values' too.
        axes = self.attention_axes
        others = [i for i in range(1, len(query.shape) - 1) if i not in axes]
        scores = (
            query.shape[0],
            *(query.shape[i] for i in others),
            self.num_heads,
            *(query.shape[i] for i in axes),
            *(value.shape[i] for i in axes),
        )
        return y, KerasTensor(scores, self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments. NB: Keras leaves out `flash_attention`."""
        penalty = regularizers.serialize(self._activity_regularizer)
        return {
            **super().get_config(),
            "num_heads": self.num_heads,
            "key_dim": self.key_dim,
            "value_dim": self.value_dim,
            "dropout": self.dropout,
            "use_bias": self.use_bias,
            "use_gate": self.use_gate,
            "output_shape": self._output_shape,
            "attention_axes": self.attention_axes,
            "sliding_window": self.sliding_window,
            "kernel_initializer": initializers.serialize(self._kernel_initializer),
            "bias_initializer": initializers.serialize(self._bias_initializer),
            "kernel_regularizer": regularizers.serialize(self._kernel_regularizer),
            "bias_regularizer": regularizers.serialize(self._bias_regularizer),
            "activity_regularizer": penalty,
            "kernel_constraint": constraints.serialize(self._kernel_constraint),
            "bias_constraint": constraints.serialize(self._bias_constraint),
            "seed": self.seed,
        }


_SIGNATURE = list(inspect.signature(MultiHeadAttention.forward).parameters)[1:]
