"""The GRU step and the sequence of GRU steps, each with its gradient."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from minikeras.ops.recurrence import activate, run_steps, run_steps_back
from minikeras.ops.rnn import (
    column_blocks,
    dropped_matmul,
    dropped_matmul_dkernel,
    dropped_matmul_dx,
)
from minikeras.ops.stable import logistic


class GRUWeights(NamedTuple):
    """What a step needs besides its input, and how it is to be computed.

    Attributes:
        recurrent_kernel: (units, 3 * units), the blocks of z, r, g side by side.
        bias: (3 * units,), added to the input's share, or None.
        inner_bias: (units,), added to `h_prev @ R_g`, or None; `reset_after` only.
        reset_after: whether the reset gate scales `h_prev @ R_g` or h_prev itself.
        masks: dropout masks of h_prev, (3, N, units), or None.
        activations: the pair (activation, recurrent_activation) of objects with
            `forward` and `backward`; None stands for (tanh, sigmoid).
    """

    recurrent_kernel: np.ndarray
    bias: np.ndarray | None = None
    inner_bias: np.ndarray | None = None
    reset_after: bool = True
    masks: np.ndarray | None = None
    activations: tuple[Any, Any] | None = None

    @property
    def gate_masks(self) -> np.ndarray | None:
        """Those of z and r."""
        return None if self.masks is None else self.masks[:2]

    @property
    def candidate_masks(self) -> np.ndarray | None:
        """That of g."""
        return None if self.masks is None else self.masks[2:]


class GRUStep(NamedTuple):
    """Kept from one step.

    Attributes:
        gates: (N, 3 * units): z, r, g, the activated update gate, reset gate and
            candidate.
        h_prev: (N, units), the state before the step.
        inner: (N, units), the factor of r: `h_prev @ R_g + b_g` if `reset_after`;
            otherwise what R_g is multiplied with, `r * h_prev`.
        kept: residuals of the activations of (z, r) and of g; empty for sigmoid and
            tanh, whose gradients need only their values.
    """

    gates: np.ndarray
    h_prev: np.ndarray
    inner: np.ndarray
    kept: tuple[Any, ...] = ()


def gru_step(
    z: np.ndarray,
    h_prev: np.ndarray,
    weights: GRUWeights,
    out: tuple[np.ndarray, np.ndarray] | None = None,
) -> tuple[np.ndarray, GRUStep]:
    """One GRU step: the output, which is also the new state.

    Args:
        z: (N, 3 * units), the input's share `x @ K` of the pre-activations, the blocks
            of z, r, g side by side; **overwritten** by the gates.
        h_prev: (N, units).
        out: (N, units) twice, where to write h and `inner`; new arrays by default.

    Returns:
        `h, residuals`.

    **Formula** K, R and b are cut into blocks for z, r and g; c is the second bias.

        z, r = sigmoid(x @ K_z + h_prev @ R_z + b_z), sigmoid(x @ K_r + ...)
        g = tanh(x @ K_g + b_g + r * (h_prev @ R_g + c_g))      if reset_after
        g = tanh(x @ K_g + b_g + (r * h_prev) @ R_g)            otherwise
        h = z * h_prev + (1 - z) * g

    r decides how much of the past the candidate g sees, z how much of it stays.

    **Keeps** `GRUStep`: the activated gates, h_prev and the factor of r.

    Reference: Cho et al. (2014), Learning Phrase Representations using RNN
    Encoder-Decoder (arXiv:1406.1078); version 1 resets after the product, version 3
    before it.

    >>> weights = GRUWeights(np.zeros((1, 3)))
    >>> gru_step(np.zeros((1, 3)), np.full((1, 1), 2.0), weights)[0]       # (2 + 0) / 2
    array([[1.]])
    """
    units = h_prev.shape[-1]
    h, inner = out or (np.empty_like(h_prev), np.empty_like(h_prev))
    gates, candidate = z[:, : 2 * units], z[:, 2 * units :]
    update, reset = z[:, :units], z[:, units : 2 * units]
    if weights.bias is not None:
        z += weights.bias
    if weights.reset_after:
        recurrent = dropped_matmul(h_prev, weights.recurrent_kernel, weights.masks)
        gates += recurrent[:, : 2 * units]
        kept = _activate_gates(gates, weights)
        inner[...] = recurrent[:, 2 * units :]
        if weights.inner_bias is not None:
            inner += weights.inner_bias
        candidate += reset * inner
    else:
        kernel = weights.recurrent_kernel
        gates += dropped_matmul(h_prev, kernel[:, : 2 * units], weights.gate_masks)
        kept = _activate_gates(gates, weights)
        np.multiply(reset, h_prev, out=inner)
        candidate += dropped_matmul(
            inner, kernel[:, 2 * units :], weights.candidate_masks
        )
    if weights.activations is None:
        np.tanh(candidate, out=candidate)
    else:
        kept = (*kept, activate(weights.activations[0], candidate))
    np.multiply(update, h_prev, out=h)
    h += (1 - update) * candidate
    return h, GRUStep(z, h_prev, inner, kept)


def _activate_gates(gates: np.ndarray, weights: GRUWeights) -> tuple[Any, ...]:
    """Replaces the pre-activations of z and r by the gates."""
    if weights.activations is None:
        logistic(gates, out=gates)
        return ()
    blocks = column_blocks(gates.shape[-1], 2)
    return tuple(activate(weights.activations[1], gates[:, block]) for block in blocks)


def gru_step_grad(
    dh: np.ndarray,
    residuals: GRUStep,
    weights: GRUWeights,
    out: tuple[np.ndarray, np.ndarray] | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The gradient of `gru_step`: `dh -> (d_input, d_recurrent, dh_prev)`.

    Args:
        dh: (N, units).
        residuals: as kept by `gru_step`.
        out: where to write the first two; without `reset_after` they are the same, and
            only the first is written.

    Returns:
        d_input, (N, 3 * units), the gradient of `x @ K + b`; d_recurrent, that of
        `h_prev @ R` (+ c); dh_prev.

    **Gradient** A product hands to each factor its own gradient times the other factor;
    h_prev is used several times, and its gradients add.

        dz = dh * (h_prev - g)           dg = dh * (1 - z)          dh_prev = dh * z
        da_g = dg * (1 - g**2)           of the pre-activation of g
        if reset_after: with inner = h_prev @ R_g + c_g
            dr = da_g * inner            d_inner = da_g * r
        otherwise: with inner = r * h_prev
            d_inner = da_g @ R_g.T       dr = d_inner * h_prev      dh_prev += d_inner * r
        da_k = dk * k * (1 - k)          for the sigmoids k = z, r
        dh_prev += da_z @ R_z.T + da_r @ R_r.T (+ d_inner @ R_g.T if reset_after)
    """  # noqa: E501
    gates, h_prev, inner, kept = residuals
    units = h_prev.shape[-1]
    reset_after, kernel = weights.reset_after, weights.recurrent_kernel
    d_input, d_recurrent = out or (np.empty_like(gates), np.empty_like(gates))
    update, reset, candidate = (gates[:, b] for b in column_blocks(3 * units, 3))
    d_update, d_reset, d_candidate = (
        d_input[:, block] for block in column_blocks(3 * units, 3)
    )  # views: fill d_input
    # in forward: h = z * h_prev + (1 - z) * g
    np.multiply(dh, h_prev - candidate, out=d_update)
    dh_prev = dh * update
    np.subtract(dh, dh_prev, out=d_candidate)
    # in forward: g = tanh(a_g)
    if weights.activations is None:
        d_candidate *= 1 - candidate * candidate
    else:
        slope = weights.activations[0].backward(d_candidate.copy(), kept[2])
        d_candidate[...] = slope
    if reset_after:
        # in forward: a_g += r * inner
        np.multiply(d_candidate, inner, out=d_reset)
        np.multiply(d_candidate, reset, out=d_recurrent[:, 2 * units :])
    else:
        # in forward: a_g += inner @ R_g; inner = r * h_prev
        d_inner = dropped_matmul_dx(
            d_candidate, kernel[:, 2 * units :], weights.candidate_masks
        )
        np.multiply(d_inner, h_prev, out=d_reset)
        dh_prev += d_inner * reset
    d_gates = d_input[:, : 2 * units]
    _gates_grad(d_gates, gates[:, : 2 * units], kept, weights)
    if reset_after:
        # in forward: recurrent = h_prev @ R
        d_recurrent[:, : 2 * units] = d_gates
        dh_prev += dropped_matmul_dx(d_recurrent, kernel, weights.masks)
        return d_input, d_recurrent, dh_prev
    # in forward: gates += h_prev @ R_zr
    dh_prev += dropped_matmul_dx(d_gates, kernel[:, : 2 * units], weights.gate_masks)
    return d_input, d_input, dh_prev


def _gates_grad(
    d_gates: np.ndarray, gates: np.ndarray, kept: tuple[Any, ...], weights: GRUWeights
) -> None:
    """Replaces the gradients of z and r by those of their pre-activations."""
    if weights.activations is None:
        d_gates *= (1 - gates) * gates
        return
    for block, residuals in zip(
        column_blocks(gates.shape[-1], 2), kept[:2], strict=True
    ):
        dk = d_gates[:, block]
        dk[...] = weights.activations[1].backward(dk.copy(), residuals)


def gru_drecurrent_kernel(
    d_recurrent: np.ndarray, h_prev: np.ndarray, inner: np.ndarray, weights: GRUWeights
) -> np.ndarray:
    """The gradient of the recurrent kernel, for one step (N, ...) or for all (T, N,
    ...): the sum over steps in one product (or two)."""
    if weights.reset_after:
        # in forward: recurrent = h_prev @ R
        return dropped_matmul_dkernel(d_recurrent, h_prev, weights.masks)
    units = h_prev.shape[-1]
    d_gates, d_candidate = d_recurrent[..., : 2 * units], d_recurrent[..., 2 * units :]
    # in forward: gates += h_prev @ R_zr; candidate += inner @ R_g
    return np.concatenate(
        [
            dropped_matmul_dkernel(d_gates, h_prev, weights.gate_masks),
            dropped_matmul_dkernel(d_candidate, inner, weights.candidate_masks),
        ],
        axis=1,
    )


class GRUSequence(NamedTuple):
    """Kept from a sequence of GRU steps.

    Attributes:
        gates: (T, N, 3 * units), the activated gates of all steps in one block.
        h: (T + 1, N, units), the states: h[0] before the first step, h[t + 1] after
            step t.
        inner: (T, N, units), see `GRUStep`.
        kept: the activations' residuals of each step.
        mask: (T, N, 1), True where a step counts; or None.
    """

    gates: np.ndarray
    h: np.ndarray
    inner: np.ndarray
    kept: list[tuple[Any, ...]]
    mask: np.ndarray | None


def gru_sequence(
    z: np.ndarray, h0: np.ndarray, weights: GRUWeights, mask: np.ndarray | None = None
) -> GRUSequence:
    """All steps of a GRU: `gru_step` in a loop, every array a slice of one block.

    Args:
        z: (T, N, 3 * units), `x @ K` for all steps at once; **overwritten** by the
            gates.
        h0: (N, units), the initial state.
        mask: (T, N, 1), booleans: where False, the state passes through unchanged.

    Returns:
        `GRUSequence`, which holds the results (`h`) and is all that the gradient needs:
        5 numbers per unit, example and step.
    """
    inner = np.empty((len(z), *h0.shape), z.dtype)
    kept = []

    def step(t: int, h_prev: np.ndarray, h: np.ndarray) -> None:
        _, residuals = gru_step(z[t], h_prev, weights, (h, inner[t]))
        kept.append(residuals.kept)

    return GRUSequence(z, run_steps(step, len(z), h0, mask), inner, kept, mask)


def gru_sequence_grad(
    dh_steps: np.ndarray | Sequence[np.ndarray | None],
    dh: np.ndarray,
    residuals: GRUSequence,
    weights: GRUWeights,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The gradient of `gru_sequence`: `d_input, d_recurrent, dh0`.

    Args:
        dh_steps: for each step, the gradient that arrives at h[t + 1] from outside,
            (N, units), or None for none.
        dh: (N, units), the gradient of the last state.

    **Gradient** Backpropagation through time, see `run_steps_back`. After the loop the
    kernels get the sum over steps in one product each: `dK = sum_t x[t].T @
    d_input[t]`, dR by `gru_drecurrent_kernel`.
    """
    gates, h, inner, kept, mask = residuals
    d_input = np.empty_like(gates)
    d_recurrent = np.empty_like(gates) if weights.reset_after else d_input
    # Its transpose is read at every step; this makes that transpose contiguous.
    kernel = np.asfortranarray(weights.recurrent_kernel)
    weights = weights._replace(recurrent_kernel=kernel)

    def step_back(t: int, dh: np.ndarray) -> np.ndarray:
        step = GRUStep(gates[t], h[t], inner[t], kept[t])
        return gru_step_grad(dh, step, weights, (d_input[t], d_recurrent[t]))[2]

    return d_input, d_recurrent, run_steps_back(step_back, dh_steps, dh, mask)
