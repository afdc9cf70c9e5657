"""GroupedQueryAttention: heads of queries that share heads of keys and values."""

from __future__ import annotations

import inspect
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from minikeras import constraints, initializers, regularizers
from minikeras.layers.attention.heads import (
    MultiHeadAttentionResiduals,
    attend_heads,
    attend_heads_grad,
)
from minikeras.layers.attention.projections import (
    check_flash,
    check_same_places,
    copied,
    projection,
)
from minikeras.layers.core.einsum_dense import EinsumDense
from minikeras.layers.inner_calls import backward_inner, forward_inner
from minikeras.layers.layer import Layer
from minikeras.layers.regularization.dropout import Dropout
from minikeras.ops.attention import combined_mask
from minikeras.registry import public
from minikeras.symbolic import KerasTensor

if TYPE_CHECKING:
    from minikeras.gradients import Gradients


@public("keras.layers", "GroupQueryAttention")
class GroupedQueryAttention(Layer):
    """Multi-head attention in which several heads of queries share keys and values.

    Fewer keys and values are to be kept while a text is generated, at little loss. With
    as many heads of keys as of queries it is `MultiHeadAttention`.

    Args:
        head_dim: K, size of each head's queries, keys and values.
        num_query_heads: H, how many heads of queries.
        num_key_value_heads: G, how many heads of keys and values; H is a multiple.
        dropout: share of the weights to drop in training.
        use_bias: whether the dense layers have biases.
        sliding_window: a query sees only values less than this many steps away.
        flash_attention: None or False; True raises when the layer runs, as in Keras on
            TensorFlow.
        kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer,
            activity_regularizer, kernel_constraint, bias_constraint, use_gate, seed:
            see `MultiHeadAttention`.
        **kwargs: `name`, `dtype`, `trainable`.

    Call arguments:
        query, value, key, value_mask, key_mask, attention_mask, training,
            return_attention_scores, use_causal_mask: see `MultiHeadAttention`.
        query_mask: (N, T), True where a query counts.

    Output shape:
        (N, T, D).

    Weights:
        `query/kernel` (D, H, K), `query/bias` (H, K), `key` and `value` with G heads,
        `attention_output/kernel` (H, K, D), `attention_output/bias` (D,).

    **Formula** that of `MultiHeadAttention`, where query head h has the keys and values
    of head `h // (H / G)`.

    **Gradient** the same, and that of each head of keys and values is the sum over the
    heads of queries that share it.

    **Keeps** as `MultiHeadAttention`.

    Reference: Ainslie et al. (2023), GQA: training generalized multi-query transformer
    models from multi-head checkpoints, arXiv:2305.13245.

    >>> layer = GroupedQueryAttention(3, num_query_heads=4, num_key_value_heads=2)
    >>> x = np.zeros((1, 5, 6), "float32")
    >>> layer(x, x).shape, layer._key_dense.kernel.shape
    ((1, 5, 6), (6, 2, 3))
    """

    # Arguments of a call that a graph fills with the masks of others.
    mask_arguments = ("query_mask", "value_mask", "key_mask", "attention_mask")

    def __init__(
        self,
        head_dim: int,
        num_query_heads: int,
        num_key_value_heads: int,
        dropout: float = 0.0,
        use_bias: bool = True,
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
        super().__init__(**kwargs)
        self.supports_masking = True
        self.head_dim = head_dim
        self.num_query_heads = num_query_heads
        self.num_key_value_heads = num_key_value_heads
        self.dropout = dropout
        self.use_bias = use_bias
        self.use_gate = use_gate
        self.sliding_window = sliding_window
        self._flash_attention = flash_attention
        self._check_arguments()
        self.num_repeats = num_query_heads // num_key_value_heads
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        # NB: as in Keras it is a penalty on this layer's own output, too.
        self.activity_regularizer = regularizers.get(activity_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        self.seed = seed

    def _check_arguments(self) -> None:
        if self.num_query_heads % self.num_key_value_heads != 0:
            raise ValueError(
                "`num_query_heads` must be divisible by `num_key_value_heads`. "
                f"Received: num_query_heads={self.num_query_heads}, "
                f"num_key_value_heads={self.num_key_value_heads}"
            )
        window = self.sliding_window
        if window is not None and (not isinstance(window, int) or window <= 0):
            raise ValueError(
                "`sliding_window` must be `None` or a positive integer. Received: "
                f"sliding_window={window}"
            )
        if self._flash_attention and self.dropout > 0.0:
            raise ValueError(
                "Dropout is not supported when flash attention is enabled. Please set "
                "dropout to 0.0 to use flash attention."
            )

    def build(self, query_shape: Any, value_shape: Any, key_shape: Any = None) -> None:
        """Makes and builds the dense layers."""
        key_shape = value_shape if key_shape is None else key_shape
        check_same_places(value_shape, key_shape)
        many = (self.num_query_heads, self.head_dim)
        few = (self.num_key_value_heads, self.head_dim)
        self._query_dense = self._dense("query", query_shape, 1, many)
        self._key_dense = self._dense("key", key_shape, 1, few)
        if self.use_gate:
            self._gate_dense = self._dense("gate", query_shape, 1, many, "sigmoid")
        self._value_dense = self._dense("value", value_shape, 1, few)
        self._dropout_layer = Dropout(
            self.dropout, dtype=self.dtype_policy, seed=self.seed
        )
        size = (query_shape[-1],)
        shape = (None, None, *many)
        self._output_dense = self._dense("attention_output", shape, 2, size)

    def _dense(
        self, name: str, shape: Any, bound: int, sizes: tuple, activation: Any = None
    ) -> EinsumDense:
        """A dense layer over the last `bound` axes, built."""
        dense = projection(
            len(shape),
            bound,
            sizes,
            self.use_bias,
            kernel_initializer=copied(self.kernel_initializer),
            bias_initializer=copied(self.bias_initializer),
            kernel_regularizer=self.kernel_regularizer,
            bias_regularizer=self.bias_regularizer,
            activity_regularizer=self.activity_regularizer,
            kernel_constraint=self.kernel_constraint,
            bias_constraint=self.bias_constraint,
            activation=activation,
            dtype=self.dtype_policy,
            name=name,
        )
        dense.build(shape)
        return dense

    @property
    def couples_examples(self) -> bool:  # type: ignore[override]
        """Whether the dense layers have a penalty that the batch size divides."""
        return self.activity_regularizer is not None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """See `Layer`; arguments in the order of the signature."""
        order = [name for name in _SIGNATURE if name in kwargs]
        return super().__call__(*args, **({n: kwargs[n] for n in order} | kwargs))

    def _layers(self) -> dict[str, EinsumDense]:
        """The dense layers before the attention, by what they make."""
        found = {"query": self._query_dense, "key": self._key_dense}
        if self.use_gate:
            found["gate"] = self._gate_dense
        return found | {"value": self._value_dense}

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
        inputs = {"query": query, "key": key, "gate": query, "value": value}
        projected, calls = {}, {}
        for name, layer in self._layers().items():
            projected[name], calls[name] = forward_inner(
                layer, (inputs[name],), {}, training=training
            )
        # NB: Keras computes in two ways; they differ where all values are masked.
        (y, weights), heads = attend_heads(
            projected["query"] * self._scale(),
            self._spread(projected["key"]),
            self._spread(projected["value"]),
            (1,),
            mask,
            zeroed=self.dropout > 0 or bool(return_attention_scores),
            dropout=self._dropout_layer if training and self.dropout > 0 else None,
        )
        gate = None
        if self.use_gate:
            gate = y, projected["gate"]
            y = y * projected["gate"]
        y, output = forward_inner(self._output_dense, (y,), {}, training=training)
        two = bool(return_attention_scores)
        residuals = MultiHeadAttentionResiduals(
            calls, output, heads, gate, key_given, two
        )
        return ((y, weights) if two else y), residuals

    def _spread(self, x: np.ndarray) -> np.ndarray:
        """(N, S, G, K) -> (N, S, H, K): each head for all queries that share it."""
        return np.repeat(x, self.num_repeats, axis=2)

    def _gathered(self, dx: np.ndarray) -> np.ndarray:
        """The gradient of `_spread`: the sum over those that shared a head."""
        n, s, _, k = dx.shape
        groups = self.num_key_value_heads
        return dx.reshape(n, s, groups, self.num_repeats, k).sum(axis=3)

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
            dy = backward_inner(self._output_dense, dy, output, grads)
        if gate is not None and dy is not None:  # in forward: y = y * gate
            y, opening = gate
            dy, d_projected["gate"] = dy * opening, dy * y
        # in forward: y, weights = attend_heads(query * scale, spread key, spread value)
        dquery, dkey, dvalue = attend_heads_grad(
            dy, d_returned, heads, self._dropout_layer, grads
        )
        d_projected |= {
            "query": dquery * self._scale(),
            "key": self._gathered(dkey),
            "value": self._gathered(dvalue),
        }
        layers = self._layers()
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
        scale = np.float32(1 / math.sqrt(self.head_dim))
        return np.dtype(self.compute_dtype).type(scale)

    def compute_output_shape(
        self, query_shape: Any, value_shape: Any, key_shape: Any = None
    ) -> tuple:
        """The query's. NB: as in Keras nothing asks in an eager call."""
        if query_shape[-1] != value_shape[-1]:
            raise ValueError(
                "The last dimension of `query_shape` and `value_shape` must be equal, "
                f"but are {query_shape[-1]}, {value_shape[-1]}. Received: "
                f"query_shape={query_shape}, value_shape={value_shape}"
            )
        check_same_places(value_shape, key_shape or value_shape)
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
        scores = (query.shape[0], self.num_query_heads, query.shape[1], value.shape[1])
        return y, KerasTensor(scores, self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments. NB: Keras leaves out `flash_attention`."""
        plain = (
            "head_dim num_query_heads num_key_value_heads use_bias use_gate "
            "sliding_window dropout seed"
        ).split()
        config = {name: getattr(self, name) for name in plain}
        for module, names in (
            (initializers, ("kernel_initializer", "bias_initializer")),
            (regularizers, ("kernel_regularizer", "bias_regularizer")),
            (regularizers, ("activity_regularizer",)),
            (constraints, ("kernel_constraint", "bias_constraint")),
        ):
            config |= {n: module.serialize(getattr(self, n)) for n in names}
        return super().get_config() | config


_SIGNATURE = list(inspect.signature(GroupedQueryAttention.forward).parameters)[1:]
