"""The step of a simple recurrent network, and the sequence of steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from minikeras.ops.recurrence import activate, run_steps, run_steps_back
from minikeras.ops.rnn import dropped_matmul, dropped_matmul_dx


class SimpleRNNStep(NamedTuple):
    """Kept from one step.

    Attributes:
        y: (N, units), `activation(z)`.
        inner: the residuals of the activation; None for tanh, whose gradient needs only
            its value.
    """

    y: np.ndarray
    inner: Any = None


def simple_rnn_step(
    z: np.ndarray,
    h_prev: np.ndarray,
    recurrent_kernel: np.ndarray,
    bias: np.ndarray | None = None,
    *,
    recurrent_masks: np.ndarray | None = None,
    activation: Any = None,
) -> SimpleRNNStep:
    """One step: the output, which is also the new state.

    Args:
        z: (N, units), the input's share `x @ kernel`; **overwritten** by the output.
        h_prev: (N, units).
        recurrent_kernel: (units, units).
        bias: (units,) or None.
        recurrent_masks: dropout masks of h_prev, (1, N, units).
        activation: an object with `forward` and `backward`; None stands for tanh.

    **Formula** `h = tanh(z + h_prev @ R + b)`

    **Keeps** h: the slope of tanh follows from its value.

    >>> z, h = np.zeros((1, 1)), np.ones((1, 1))
    >>> simple_rnn_step(z, h, np.full((1, 1), 2.0)).y.round(3)             # tanh(2)
    array([[0.964]])
    """
    z += dropped_matmul(h_prev, recurrent_kernel, recurrent_masks)
    if bias is not None:
        z += bias
    if activation is None:
        return SimpleRNNStep(np.tanh(z, out=z))
    return SimpleRNNStep(z, activate(activation, z))


def simple_rnn_step_grad(
    dh: np.ndarray,
    residuals: SimpleRNNStep,
    recurrent_kernel: np.ndarray,
    *,
    recurrent_masks: np.ndarray | None = None,
    activation: Any = None,
    out: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """The gradient of `simple_rnn_step`: `dh -> (dz, dh_prev)`.

    **Gradient**

        dz = dh * (1 - h**2)
        dh_prev = dz @ R.T

    and, since z is a sum, `dbias = dz.sum(axis=0)`, `dR = h_prev.T @ dz`.
    """
    y, inner = residuals
    dz = np.empty_like(y) if out is None else out
    # in forward: h = activation(z)
    if activation is None:
        np.multiply(y, y, out=dz)
        np.subtract(1, dz, out=dz)
        dz *= dh
    else:
        dz[...] = activation.backward(dh, inner)
    # in forward: z += h_prev @ recurrent_kernel
    return dz, dropped_matmul_dx(dz, recurrent_kernel, recurrent_masks)


class SimpleRNNSequence(NamedTuple):
    """Kept from a sequence of steps.

    Attributes:
        y: (T, N, units), `activation(z)` of each step.
        h: (T + 1, N, units), the states: h[t + 1] is y[t] unless the step is masked.
        inner: the activation's residuals of each step.
        mask: (T, N, 1), True where a step counts; or None.
    """

    y: np.ndarray
    h: np.ndarray
    inner: list[Any]
    mask: np.ndarray | None


def simple_rnn_sequence(
    z: np.ndarray,
    h0: np.ndarray,
    recurrent_kernel: np.ndarray,
    bias: np.ndarray | None = None,
    *,
    mask: np.ndarray | None = None,
    recurrent_masks: np.ndarray | None = None,
    activation: Any = None,
) -> SimpleRNNSequence:
    """All steps: `simple_rnn_step` in a loop.

    Args:
        z: (T, N, units), `x @ kernel` for all steps at once; **overwritten**.
        h0: (N, units), the initial state.
        mask: (T, N, 1): where False, the state passes through unchanged.

    Returns:
        `SimpleRNNSequence`, which holds the results (`h`) and all that the gradient
        needs.
    """
    inner = []

    def step(t: int, h_prev: np.ndarray, h: np.ndarray) -> None:
        kept = simple_rnn_step(
            z[t],
            h_prev,
            recurrent_kernel,
            bias,
            recurrent_masks=recurrent_masks,
            activation=activation,
        )
        inner.append(kept.inner)
        h[...] = kept.y

    h = run_steps(step, len(z), h0, mask)
    return SimpleRNNSequence(z, h, inner, mask)


def simple_rnn_sequence_grad(
    dh_steps: np.ndarray | Sequence[np.ndarray | None],
    dh: np.ndarray,
    residuals: SimpleRNNSequence,
    recurrent_kernel: np.ndarray,
    *,
    recurrent_masks: np.ndarray | None = None,
    activation: Any = None,
) -> tuple[np.ndarray, np.ndarray]:
    """The gradient of `simple_rnn_sequence`: `dz, dh0`, dz being (T, N, units).

    **Gradient** Backpropagation through time, see `run_steps_back`. The kernels, the
    same at every step, get the sum over steps in one product each: `dkernel = sum_t
    x[t].T @ dz[t]`, `dR = sum_t h[t].T @ dz[t]`, `dbias = sum_t dz[t]`.
    """
    y, _, inner, mask = residuals
    dz = np.empty_like(y)
    # Its transpose is read at every step; this makes that transpose contiguous.
    recurrent_kernel = np.asfortranarray(recurrent_kernel)

    def step_back(t: int, dh: np.ndarray) -> np.ndarray:
        _, dh_prev = simple_rnn_step_grad(
            dh,
            SimpleRNNStep(y[t], inner[t]),
            recurrent_kernel,
            recurrent_masks=recurrent_masks,
            activation=activation,
            out=dz[t],
        )
        return dh_prev

    return dz, run_steps_back(step_back, dh_steps, dh, mask)
