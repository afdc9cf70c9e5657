"""The LSTM step and the sequence of LSTM steps, each with its gradient."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from minikeras.ops.rnn import column_blocks, dropped_matmul, dropped_matmul_dx
from minikeras.ops.stable import logistic


class LSTMGates(NamedTuple):
    """Kept from one LSTM step.

    Attributes:
        gates: (N, 4 * units): i, f, g, o, the activated input gate, forget gate,
            candidate and output gate.
        c_prev: (N, units), the cell state before the step.
        a: (N, units), `activation(c)`.
        inner: residuals of the five activation calls (i, f, g, o, a); empty for tanh
            and sigmoid, whose gradients need only their values.
    """

    gates: np.ndarray
    c_prev: np.ndarray
    a: np.ndarray
    inner: tuple[Any, ...] = ()


class LSTMBuffers(NamedTuple):
    """Arrays that `lstm_gates` writes to; `gates` may be z itself."""

    gates: np.ndarray
    c: np.ndarray
    a: np.ndarray
    h: np.ndarray


def lstm_gates(
    z: np.ndarray,
    c_prev: np.ndarray,
    activations: tuple[Any, Any] | None = None,
    out: LSTMBuffers | None = None,
) -> tuple[tuple[np.ndarray, np.ndarray], LSTMGates]:
    """One LSTM step, from the pre-activations `z = x @ K + h_prev @ R + b`.

    Args:
        z: (N, 4 * units), the blocks of i, f, g, o side by side.
        c_prev: (N, units).
        activations: the pair (activation, recurrent_activation) of objects with
            `forward` and `backward`; None stands for (tanh, sigmoid).
        out: where to write; new arrays by default.

    Returns:
        `(h, c), residuals`.

    **Formula**

        i, f, o = sigmoid(z_i), sigmoid(z_f), sigmoid(z_o)
        g = tanh(z_g)
        c = f * c_prev + i * g
        h = o * tanh(c)

    **Keeps** `LSTMGates`: the activated gates, c_prev and tanh(c). Every factor of the
    products above is a factor of some gradient, and the slopes of tanh and sigmoid
    follow from their values; z itself is not needed.

    Reference: Hochreiter and Schmidhuber (1997), Long Short-Term Memory; the forget
    gate is from Gers, Schmidhuber and Cummins (2000), Learning to Forget.

    >>> (h, c), _ = lstm_gates(np.zeros((1, 4)), np.full((1, 1), 2.0))
    >>> c                                      # 0.5 * 2 + 0.5 * 0
    array([[1.]])
    """
    if out is None:
        c, a, h = (np.empty_like(c_prev) for _ in range(3))
        out = LSTMBuffers(np.empty_like(z), c, a, h)
    gates, c, a, h = out
    i, f, g, o = (gates[:, block] for block in column_blocks(z.shape[-1], 4))
    inner = _activate(z, gates, activations)
    np.multiply(f, c_prev, out=c)
    c += i * g
    if activations is None:
        np.tanh(c, out=a)
    else:
        a[...], kept = activations[0].forward(c.copy())
        inner = (*inner, kept)
    np.multiply(o, a, out=h)
    return (h, c), LSTMGates(gates, c_prev, a, inner)


def lstm_gates_grad(
    dh: np.ndarray,
    dc: np.ndarray,
    residuals: LSTMGates,
    activations: tuple[Any, Any] | None = None,
    out: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """The gradient of `lstm_gates`: `(dh, dc) -> (dz, dc_prev)`.

    Args:
        dh, dc: (N, units), the gradients of the loss with respect to h and c, the
            latter without its way through h.
        residuals: as kept by `lstm_gates`.
        activations: the same pair as in forward.
        out: where to write dz.

    **Gradient** A product hands to each factor its own gradient times the other factor.
    c is used twice, by h and by the next step, so two gradients arrive at it:

        do = dh * tanh(c)        dc = dc + dh * o * (1 - tanh(c)**2)
        df = dc * c_prev         dc_prev = dc * f
        di = dc * g              dg = dc * i
        dz_k = dk * k * (1 - k)  for the sigmoids k = i, f, o
        dz_g = dg * (1 - g**2)
    """
    gates, c_prev, a, inner = residuals
    dz = np.empty_like(gates) if out is None else out
    blocks = column_blocks(gates.shape[-1], 4)
    i, f, g, o = (gates[:, block] for block in blocks)
    di, df, dg, do = (dz[:, block] for block in blocks)  # views: fill dz

    # in forward: h = o * activation(c)
    np.multiply(dh, a, out=do)
    if activations is None:
        dc = dc + dh * o * (1 - a * a)
    else:
        dc = dc + activations[0].backward(dh * o, inner[4])
    # in forward: c = f * c_prev + i * g
    np.multiply(dc, g, out=di)
    np.multiply(dc, c_prev, out=df)
    np.multiply(dc, i, out=dg)
    dc_prev = dc * f
    # in forward: i, f, o = sigmoid(z_i), sigmoid(z_f), sigmoid(z_o); g = tanh(z_g)
    if activations is None:
        slope = (1 - gates) * gates
        slope[:, blocks[2]] = 1 - g * g
        dz *= slope
    else:
        activation, recurrent_activation = activations
        functions = (recurrent_activation,) * 2 + (activation, recurrent_activation)
        for dk, function, kept in zip((di, df, dg, do), functions, inner, strict=False):
            dk[...] = function.backward(dk.copy(), kept)
    return dz, dc_prev


def _activate(
    z: np.ndarray, gates: np.ndarray, activations: tuple[Any, Any] | None
) -> tuple[Any, ...]:
    """Fills `gates` with the activated blocks of z, returns the residuals."""
    blocks = column_blocks(z.shape[-1], 4)
    if activations is None:  # the fast way for tanh and sigmoid, and then the general
        candidate = np.tanh(z[:, blocks[2]])
        logistic(z, out=gates)  # g for nothing: one pass is faster than two
        gates[:, blocks[2]] = candidate
        return ()
    activation, recurrent_activation = activations
    inner = []
    for k, block in enumerate(blocks):
        function = activation if k == 2 else recurrent_activation
        # A copy, since `gates` may be z and the residuals may hold their input.
        gates[:, block], kept = function.forward(z[:, block].copy())
        inner.append(kept)
    return tuple(inner)


class LSTMSequence(NamedTuple):
    """Kept from a sequence of LSTM steps.

    Attributes:
        gates: (T, N, 4 * units), the activated gates of all steps in one block.
        h, c: (T + 1, N, units), the states: h[0] before the first step, h[t + 1] after
            step t.
        a: (T, N, units), `activation(c)` of each step.
        inner: the activations' residuals of each step.
        mask: (T, N, 1), True where a step counts; or None.
    """

    gates: np.ndarray
    h: np.ndarray
    c: np.ndarray
    a: np.ndarray
    inner: list[tuple[Any, ...]]
    mask: np.ndarray | None


def lstm_sequence(
    z: np.ndarray,
    h0: np.ndarray,
    c0: np.ndarray,
    recurrent_kernel: np.ndarray,
    bias: np.ndarray | None = None,
    *,
    mask: np.ndarray | None = None,
    recurrent_masks: np.ndarray | None = None,
    activations: tuple[Any, Any] | None = None,
) -> LSTMSequence:
    """All steps of an LSTM: `lstm_gates` in a loop, every array a slice of one block.

    Args:
        z: (T, N, 4 * units), `x @ kernel` for all steps at once; **overwritten** by the
            gates.
        h0, c0: (N, units), the initial states.
        recurrent_kernel: (units, 4 * units).
        bias: (4 * units,) or None.
        mask: (T, N, 1), booleans: where False, the states pass through unchanged.
        recurrent_masks: dropout masks of h, (G, N, units), see `dropped_matmul`.
        activations: see `lstm_gates`.

    Returns:
        `LSTMSequence`, which holds the results (`h`, `c`) and is all that the gradient
        needs: 7 numbers per unit, example and step.

    **Formula**

        h_new, c_new = lstm_gates(z[t] + h[t] @ R + b, c[t])
        h[t + 1], c[t + 1] = where(mask[t], (h_new, c_new), (h[t], c[t]))
    """
    steps, n, units = len(z), *h0.shape
    h = np.empty((steps + 1, n, units), z.dtype)
    c, a = np.empty_like(h), np.empty_like(h[1:])
    h[0], c[0] = h0, c0
    if bias is not None:
        bias = np.ascontiguousarray(np.broadcast_to(bias, (n, 4 * units)))
    skipped = None if mask is None else ~mask
    inner = []
    for t in range(steps):
        z_t = z[t]
        z_t += dropped_matmul(h[t], recurrent_kernel, recurrent_masks)
        if bias is not None:
            z_t += bias
        buffers = LSTMBuffers(z_t, c[t + 1], a[t], h[t + 1])
        _, kept = lstm_gates(z_t, c[t], activations, buffers)
        inner.append(kept.inner)
        if skipped is not None:
            np.copyto(h[t + 1], h[t], where=skipped[t])
            np.copyto(c[t + 1], c[t], where=skipped[t])
    return LSTMSequence(z, h, c, a, inner, mask)


def lstm_sequence_grad(
    dh_steps: np.ndarray | Sequence[np.ndarray | None],
    dh: np.ndarray,
    dc: np.ndarray,
    residuals: LSTMSequence,
    recurrent_kernel: np.ndarray,
    *,
    recurrent_masks: np.ndarray | None = None,
    activations: tuple[Any, Any] | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The gradient of `lstm_sequence`: backpropagation through time.

    Args:
        dh_steps: for each step, the gradient that arrives at h[t + 1] from outside,
            (N, units), or None for none.
        dh, dc: (N, units), the gradients of the last states.

    Returns:
        `dz, dh0, dc0`, dz being (T, N, 4 * units).

    **Gradient** From the last step to the first. h[t + 1] was used outside and by the
    next step; both gradients are added. After the loop, dz holds the gradients of all
    pre-activations, and the kernels, the same at every step, get the sum over steps in
    one product each: `dkernel = sum_t x[t].T @ dz[t]`, `drecurrent_kernel = sum_t
    h[t].T @ dz[t]`, `dbias = sum_t dz[t]`.
    """
    gates, _, c, a, inner, mask = residuals
    dz = np.empty_like(gates)
    # Its transpose is read at every step; this makes that transpose contiguous.
    recurrent_kernel = np.asfortranarray(recurrent_kernel)
    for t in reversed(range(len(gates))):
        if dh_steps[t] is not None:
            dh = dh + dh_steps[t]
        if mask is not None:
            # in forward: h[t + 1] = where(mask[t], h_new, h[t]), and c likewise
            dh_past, dc_past = np.where(mask[t], 0, dh), np.where(mask[t], 0, dc)
            dh, dc = np.where(mask[t], dh, 0), np.where(mask[t], dc, 0)
        # in forward: h_new, c_new = lstm_gates(z[t], c[t])
        kept = LSTMGates(gates[t], c[t], a[t], inner[t])
        dz_t, dc = lstm_gates_grad(dh, dc, kept, activations, out=dz[t])
        # in forward: z[t] += h[t] @ recurrent_kernel
        dh = dropped_matmul_dx(dz_t, recurrent_kernel, recurrent_masks)
        if mask is not None:
            dh, dc = dh + dh_past, dc + dc_past
    return dz, dh, dc
