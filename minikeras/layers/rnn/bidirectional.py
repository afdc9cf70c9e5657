"""Bidirectional: a recurrent layer read from both ends of the sequence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from minikeras.custom_objects import custom_object_scope
from minikeras.layers.inner_calls import (
    InnerCall,
    Penalties,
    backward_inner,
    forward_inner,
)
from minikeras.layers.layer import Layer
from minikeras.messages import warn
from minikeras.registry import public
from minikeras.serialization import deserialize_keras_object, serialize_keras_object

if TYPE_CHECKING:
    from minikeras.gradients import Gradients

_MERGE_MODES = ("sum", "mul", "ave", "concat", None)


class _Fields(NamedTuple):
    forward: InnerCall
    backward: InnerCall
    outputs: tuple[np.ndarray, np.ndarray] | None
    width: int
    state_given: bool


class BidirectionalResiduals(Penalties, _Fields):
    """What `Bidirectional.backward` needs.

    Attributes:
        forward, backward: the calls of the two layers.
        outputs: theirs, for merge mode "mul"; else None.
        width: units of the forward layer.
        state_given: whether the call had an `initial_state`.
    """

    @property
    def inner_calls(self) -> list[InnerCall]:
        """Both calls."""
        return [self.forward, self.backward]


@public("keras.layers")
class Bidirectional(Layer):
    """Runs a recurrent layer over the sequence and a second one over it backwards.

    Args:
        layer: an `RNN`, `LSTM`, `GRU`, `SimpleRNN`, or a layer with their attributes.
            It is copied: the weights of `forward_layer` are new.
        merge_mode: what becomes of the two outputs: `"concat"`, `"sum"`, `"mul"`,
            `"ave"`, or None: both are returned.
        weights: NB: Keras takes them and forgets them. So does this layer, with a
            warning.
        backward_layer: the layer for the other direction, with `go_backwards=True`; by
            default a second copy of `layer`, turned around. It is not copied.
        **kwargs: `name`, `dtype`, `trainable`, `activity_regularizer`.

    Call arguments:
        sequences: (N, T, D).
        initial_state: list of the forward layer's states, then the backward layer's.
        mask: (N, T), True where a step counts.
        training: passed to both layers.

    Output shape:
        (N, units') or (N, T, units'), units' = 2 * units for "concat"; two of them for
        None. With `return_state`, a tuple: output, states forwards, states backwards.

    Weights:
        those of `forward_layer`, then those of `backward_layer`.

    **Formula** with the backward layer's sequence turned around, so that both outputs
    of step t stand at t:

        concat: y = [f, b]    sum: y = f + b    ave: y = (f + b) / 2    mul: y = f * b

    **Gradient** concat: each its part of dy; sum: both dy; ave: both dy / 2; mul: df =
    dy * b, db = dy * f. Both layers read the same sequence: their dx add up.

    **Keeps** what the layers keep; for "mul" also both outputs.

    Reference: Schuster and Paliwal (1997), Bidirectional recurrent neural networks.

    >>> from minikeras.layers.rnn.lstm import LSTM
    >>> layer = Bidirectional(LSTM(4, name="reader"), name="both")
    >>> y = layer(np.zeros((2, 5, 3), "float32"))
    >>> y.shape, layer.weights[3].path
    ((2, 8), 'both/backward_reader/lstm_cell/kernel')
    """

    def __init__(
        self,
        layer: Any,
        merge_mode: str | None = "concat",
        weights: Any = None,
        backward_layer: Any = None,
        **kwargs: Any,
    ):
        if not isinstance(layer, Layer):
            raise ValueError(
                "Please initialize `Bidirectional` layer with a `keras.layers.Layer` "
                f"instance. Received: {layer}"
            )
        if backward_layer is not None and not isinstance(backward_layer, Layer):
            raise ValueError(
                "`backward_layer` need to be a `keras.layers.Layer` instance. "
                f"Received: {backward_layer}"
            )
        if merge_mode not in _MERGE_MODES:
            raise ValueError(
                f"Invalid merge mode. Received: {merge_mode}. Merge mode should be one "
                'of {"sum", "mul", "ave", "concat", None}'
            )
        if not hasattr(layer, "go_backwards"):
            raise TypeError(
                "`Bidirectional` needs a recurrent layer (RNN, LSTM, GRU, ...), which "
                f"has `go_backwards`. Received: {layer}"
            )
        super().__init__(**kwargs)
        self.forward_layer = _copy(layer, "forward_")
        if backward_layer is None:
            backward_layer = _copy(layer, "backward_", go_backwards=True)
        self.backward_layer = backward_layer
        if hasattr(layer, "use_cudnn"):  # not in the configuration
            self.forward_layer.use_cudnn = layer.use_cudnn
            self.backward_layer.use_cudnn = layer.use_cudnn
        self._check_that_they_fit()
        for inner in (self.forward_layer, self.backward_layer):
            # NB: Keras overwrites what the layers were given.
            if getattr(inner, "zero_output_for_mask", None) is not None:
                inner.zero_output_for_mask = inner.return_sequences
        if weights:
            warn(
                f"`weights` of layer '{self.name}' has no effect: Keras ignores it in "
                "Bidirectional, and so does minikeras. Use `set_weights` once built.",
            )
        self.merge_mode = merge_mode
        self.stateful = layer.stateful
        self.return_sequences = layer.return_sequences
        self.return_state = layer.return_state
        self.supports_masking = True
        self.input_spec = layer.input_spec

    def _check_that_they_fit(self) -> None:
        forward, backward = self.forward_layer, self.backward_layer
        if forward.go_backwards == backward.go_backwards:
            raise ValueError(
                "Forward layer and backward layer should have different `go_backwards` "
                f"value. Received: forward_layer.go_backwards={forward.go_backwards}, "
                f"backward_layer.go_backwards={backward.go_backwards}"
            )
        for name in ("stateful", "return_sequences", "return_state"):
            ours, theirs = getattr(forward, name), getattr(backward, name)
            if ours != theirs:
                raise ValueError(
                    "Forward layer and backward layer are expected to have the same "
                    f'value for attribute "{name}", got "{ours}" for forward layer and '
                    f'"{theirs}" for backward layer'
                )

    @property
    def couples_examples(self) -> bool:  # type: ignore[override]
        """Whether a batch must not be cut, because of states or inner penalties."""
        inner = (self.forward_layer, self.backward_layer)
        return self.stateful or any(i.activity_regularizer is not None for i in inner)

    def build(self, sequences_shape: Any, initial_state_shape: Any = None) -> None:
        """Builds both layers."""
        for layer in (self.forward_layer, self.backward_layer):
            if not layer.built:
                layer.build(sequences_shape)

    # --- Forward and backward -------------------------------------------------------

    def forward(
        self,
        sequences: np.ndarray,
        initial_state: Any = None,
        *,
        mask: Any = None,
        training: bool = False,
    ) -> tuple[Any, BidirectionalResiduals]:
        """The merged output, or `(output, *states)`."""
        forward_state, backward_state = {}, {}
        if initial_state is not None:
            half = len(initial_state) // 2
            forward_state = {"initial_state": list(initial_state[:half])}
            backward_state = {"initial_state": list(initial_state[half:])}
        options = {"training": training, "mask": mask}
        f, forward = forward_inner(
            self.forward_layer, (sequences,), forward_state, **options
        )
        b, backward = forward_inner(
            self.backward_layer, (sequences,), backward_state, **options
        )
        states: tuple = ()
        if self.return_state:
            (f, *f_states), (b, *b_states) = f, b
            states = (*f_states, *b_states)
        f = f.astype(self.compute_dtype, copy=False)
        b = b.astype(self.compute_dtype, copy=False)
        if self.return_sequences:
            b = b[:, ::-1]
        y = self._merge(f, b)
        if self.return_state:
            y = (*y, *states) if self.merge_mode is None else (y, *states)
        outputs = (f, b) if self.merge_mode == "mul" else None
        given = initial_state is not None
        width = f.shape[-1]
        return y, BidirectionalResiduals(forward, backward, outputs, width, given)

    def _merge(self, f: np.ndarray, b: np.ndarray) -> Any:
        if self.merge_mode == "concat":
            return np.concatenate([f, b], axis=-1)
        if self.merge_mode == "sum":
            return f + b
        if self.merge_mode == "ave":
            return (f + b) / 2
        if self.merge_mode == "mul":
            return f * b
        return (f, b)

    def _merge_grad(self, dy: Any, residuals: BidirectionalResiduals) -> tuple:
        """The gradient of `_merge`: `df, db`."""
        if self.merge_mode is None:  # in forward: y = (f, b)
            return tuple(dy)
        if dy is None:
            return None, None
        if self.merge_mode == "concat":  # in forward: y = [f, b]
            return dy[..., : residuals.width], dy[..., residuals.width :]
        if self.merge_mode == "mul":  # in forward: y = f * b
            f, b = residuals.outputs
            return dy * b, dy * f
        if self.merge_mode == "ave":  # in forward: y = (f + b) / 2
            dy = dy / 2
        return dy, dy

    def backward(
        self,
        dy: Any,
        residuals: BidirectionalResiduals,
        grads: Gradients,
        need_dx: bool = True,
    ) -> Any:
        """dx, or `(dx, d_initial_state)` if the call had an `initial_state`."""
        outputs = 2 if self.merge_mode is None else 1
        d_states: list[Any] = []
        if self.return_state:
            dy, d_states = list(dy[:outputs]), list(dy[outputs:])
            dy = dy if self.merge_mode is None else dy[0]
        df, db = self._merge_grad(dy, residuals)
        # in forward: b = b[:, ::-1]
        db = db[:, ::-1] if self.return_sequences and db is not None else db
        count = len(d_states)
        if self.return_state:
            count = len(residuals.forward.output) - 1
            df, db = (df, *d_states[:count]), (db, *d_states[count:])
        found = [
            backward_inner(layer, d, call, grads, need_dx)
            for layer, d, call in (
                (self.forward_layer, df, residuals.forward),
                (self.backward_layer, db, residuals.backward),
            )
        ]
        if not residuals.state_given:
            return _sum(*found)
        (dx_f, dh_f), (dx_b, dh_b) = found
        return _sum(dx_f, dx_b), [*dh_f, *dh_b]

    # --- States, masks, shapes --------------------------------------------------------

    @property
    def states(self) -> tuple | None:
        """The states of a stateful layer: forwards, then backwards."""
        forward, backward = self.forward_layer.states, self.backward_layer.states
        return (*forward, *backward) if forward and backward else None

    def reset_state(self) -> None:
        """Sets the states to zeros."""
        if not self.stateful:
            raise AttributeError(f"Layer must be stateful. Layer: '{self.name}'")
        self.forward_layer.reset_state()
        self.backward_layer.reset_state()

    def reset_states(self) -> None:
        """The older name of `reset_state`."""
        self.reset_state()

    def compute_mask(self, inputs: Any, mask: Any) -> Any:
        """The mask itself for sequences, None for the last output and the states.

        NB: with `stateful` and `return_state` Keras raises a TypeError here.
        """
        mask = mask[0] if isinstance(mask, list) else mask
        mask = mask if self.return_sequences else None
        masks = (mask, mask) if self.merge_mode is None else (mask,)
        if self.return_state:
            states = len(self.forward_layer.state_size)
            return (*masks, *(None,) * (2 * states))
        return masks if self.merge_mode is None else mask

    def compute_output_shape(
        self, sequences_shape: Any, initial_state_shape: Any = None
    ) -> Any:
        """The merged output's shape, and the states' if `return_state`."""
        f = self.forward_layer.compute_output_shape(sequences_shape)
        b = self.backward_layer.compute_output_shape(sequences_shape)
        states: tuple = ()
        if self.return_state:
            (f, *f_states), (b, *b_states) = f, b
            states = (*f_states, *b_states)
        if self.merge_mode is None:
            return (tuple(f), tuple(b), *states)
        if self.merge_mode == "concat":
            f = (*f[:-1], f[-1] + b[-1])
        return (tuple(f), *states) if self.return_state else tuple(f)

    def get_config(self) -> dict[str, Any]:
        """The merge mode and the configurations of both layers."""
        return {
            **super().get_config(),
            "merge_mode": self.merge_mode,
            "layer": serialize_keras_object(self.forward_layer),
            "backward_layer": serialize_keras_object(self.backward_layer),
        }

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> Any:
        """The inverse of `get_config`."""
        config = dict(config)
        for key in ("layer", "backward_layer"):
            if isinstance(config.get(key), dict):
                config[key] = deserialize_keras_object(
                    config[key], custom_objects=custom_objects
                )
        return super().from_config(config)


def _copy(layer: Layer, prefix: str, **changes: Any) -> Any:
    """A new layer with the same configuration, and this prefix to its name."""
    config = serialize_keras_object(layer)
    name = prefix + layer.name.removeprefix(prefix)
    config["config"] = {**config["config"], "name": name, **changes}
    parts = (layer, *layer._all_sublayers())
    # Classes of the user need not be registered: here they are.
    with custom_object_scope({type(part).__name__: type(part) for part in parts}):
        return deserialize_keras_object(config)


def _sum(a: np.ndarray | None, b: np.ndarray | None) -> np.ndarray | None:
    return b if a is None else a if b is None else a + b
