"""TimeDistributed: the same layer at every step of a sequence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from minikeras import tree
from minikeras.layers.core.wrapper import Wrapper
from minikeras.layers.layer import Layer
from minikeras.registry import public

if TYPE_CHECKING:
    from minikeras.gradients import Gradients


class TimeDistributedResiduals(NamedTuple):
    """What `TimeDistributed.backward` needs.

    Attributes:
        calls: what the layer kept: of each step, or of the one call for all steps.
        at_once: whether it was one call.
        shape: the input's.
        penalties: what a model inside adds to the loss.
    """

    calls: list[Any]
    at_once: bool
    shape: tuple[int, ...]
    penalties: tuple[Any, ...] = ()

    @property
    def activity_loss(self) -> Any:
        """The sum of `penalties`; None if there are none."""
        return sum(self.penalties) if self.penalties else None


@public("keras.layers")
class TimeDistributed(Wrapper):
    """Applies a layer to each step of a sequence, with the same weights.

    Args:
        layer: any layer (or model) for the input of one step.
        **kwargs: `name`, `dtype`, `trainable`, `activity_regularizer`.

    Call arguments:
        inputs: (N, T, ...).
        mask: (N, T, ...), True where a step counts; its part for each step goes to the
            layer, if that takes a mask.
        training: passed to the layer.

    Output shape:
        (N, T, ...), what the layer makes of (N, ...).

    Weights:
        those of `layer`.

    **Formula** `y[:, t] = layer(x[:, t])`

    **Gradient** `dx[:, t]` is the layer's dx at step t. The weights, used at every
    step, get the sum over steps.

    **Keeps** what the layer keeps.

    Where the layer looks at each example by itself, the N * T steps are one batch for
    it, and the sum over steps is that over examples. Where it does not
    (`BatchNormalization` in training, random masks, states), it runs step by step, as
    in Keras: T updates of the moving averages, T masks. NB: in Keras the layer's own
    `activity_regularizer` has no effect here; give it to the TimeDistributed.

    >>> from minikeras.layers.core.dense import Dense
    >>> layer = TimeDistributed(Dense(2, kernel_initializer="ones"))
    >>> layer(np.ones((1, 3, 4), "float32"))[0]
    array([[4., 4.],
           [4., 4.],
           [4., 4.]], dtype=float32)
    """

    def __init__(self, layer: Any, **kwargs: Any):
        if not isinstance(layer, Layer):
            raise ValueError(
                "Please initialize `TimeDistributed` layer with a "
                f"`keras.layers.Layer` instance. Received: {layer}"
            )
        super().__init__(layer, **kwargs)
        self.supports_masking = True

    @property
    def couples_examples(self) -> bool:  # type: ignore[override]
        """Whether the layer does, or has a penalty divided by the batch size."""
        return any(
            part.couples_examples
            or (part is not self.layer and part.activity_regularizer is not None)
            for part in (self.layer, *self.layer._all_sublayers())
        )

    def build(self, input_shape: Any) -> None:
        """Builds the layer for one step."""
        super().build(self._step_shape(input_shape))

    def _step_shape(self, shape: Any) -> tuple:
        if not isinstance(shape, tuple | list) or len(shape) < 3:
            raise ValueError(
                "`TimeDistributed` Layer should be passed an `input_shape` with at "
                f"least 3 dimensions, received: {shape}. Layer: '{self.name}'"
            )
        return (shape[0], *shape[2:])

    def compute_output_shape(self, input_shape: Any) -> tuple:
        """That of one step, with the time axis."""
        n, *rest = self.layer.compute_output_shape(self._step_shape(input_shape))
        return (n, input_shape[1], *rest)

    def forward(
        self, x: np.ndarray, *, mask: Any = None, training: bool = False
    ) -> tuple[np.ndarray, TimeDistributedResiduals]:
        """The layer's output at every step."""
        mask = self._checked_mask(mask, x.shape)
        at_once = steps_are_examples(self.layer, training)
        parts = [slice(None)] if at_once else range(x.shape[1])
        outputs, calls, penalties = [], [], []
        for part in parts:
            # (N, T, ...) -> (N * T, ...), or one step, (N, ...)
            part_mask = None if mask is None else _examples(mask[:, part], at_once)
            y, kept = self.layer.run_forward(
                (_examples(x[:, part], at_once),), {}, training, part_mask
            )
            outputs.append(y)
            calls.append(kept)
            penalties += getattr(kept, "penalties", ())
        if at_once:
            y = outputs[0].reshape(*x.shape[:2], *outputs[0].shape[1:])
        else:
            y = np.stack(outputs, axis=1)
        residuals = TimeDistributedResiduals(calls, at_once, x.shape, tuple(penalties))
        return y, residuals

    def backward(
        self,
        dy: np.ndarray,
        residuals: TimeDistributedResiduals,
        grads: Gradients,
        need_dx: bool = True,
    ) -> np.ndarray | None:
        """The layer's dx at every step."""
        calls, at_once, shape, _ = residuals
        if at_once:
            # in forward: y = layer(x.reshape(N * T, ...)).reshape(N, T, ...)
            dy = None if dy is None else _examples(dy, True)
            dx = self.layer.run_backward(dy, calls[0], grads, need_dx)
            return None if dx is None else dx.reshape(shape)
        # in forward: y[:, t] = layer(x[:, t])
        found: list[Any] = [None] * len(calls)
        for t in reversed(range(len(calls))):
            dy_t = None if dy is None else dy[:, t]
            found[t] = self.layer.run_backward(dy_t, calls[t], grads, need_dx)
        return None if found[0] is None else np.stack(found, axis=1)

    def _checked_mask(self, mask: Any, shape: tuple[int, ...]) -> np.ndarray | None:
        if mask is None:
            return None
        mask = np.asarray(mask)
        if mask.ndim < 2:
            raise ValueError(
                "The `mask` passed to the `TimeDistributed` layer must be at least 2D "
                f"(e.g., `(batch_size, timesteps)`), but it has {mask.ndim} "
                f"dimension(s) with shape {mask.shape}. Layer: '{self.name}'"
            )
        if mask.shape[:2] != shape[:2]:
            raise ValueError(
                "The `mask` passed to the `TimeDistributed` layer has a shape "
                f"{mask.shape} that is incompatible with the input shape {shape}. The "
                "first two dimensions of the mask (batch size and timesteps) must "
                "match the input's first two dimensions. Expected mask shape prefix: "
                f"{shape[:2]}. Layer: '{self.name}'"
            )
        return mask


def _examples(x: np.ndarray, at_once: bool) -> np.ndarray:
    """(N, T, ...) -> (N * T, ...); one step stays as it is."""
    if not at_once:
        return x
    return x.reshape(x.shape[0] * x.shape[1], *x.shape[2:])


def steps_are_examples(layer: Layer, training: bool) -> bool:
    """Whether a layer gives each example the same in whatever batch it is.

    A layer that couples examples or draws random numbers does not, nor one with a
    penalty that is divided by the batch size; of a user's class we do not know unless
    it says `couples_examples = False`; and of the operators in a model neither.
    """
    for part in (layer, *layer._all_sublayers()):
        in_inference = getattr(part, "couples_in_inference", True)
        if part.couples_examples and (training or in_inference):
            return False
        if part._seed_generators or _is_made_of_operators(part):
            return False
        if part is not layer and part.activity_regularizer is not None:
            return False
        if not (_is_ours(type(part)) or _says_so_itself(type(part))):
            return False
        axes = [a for a in tree.flatten(getattr(part, "axis", None)) if a is not None]
        if 0 in axes:
            return False
    return True


def _is_made_of_operators(layer: Layer) -> bool:
    model = getattr(layer, "_functional", None) or layer
    steps = getattr(getattr(model, "_graph", None), "steps", ())
    return any(not isinstance(step.operation, Layer) for step in steps)


def _is_ours(cls: type) -> bool:
    return cls.__module__.startswith("minikeras.")


def _says_so_itself(cls: type) -> bool:
    own = [base for base in cls.__mro__ if not _is_ours(base)]
    return any("couples_examples" in base.__dict__ for base in own)
