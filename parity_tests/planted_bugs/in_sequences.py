"""Slips in embeddings and recurrent layers: ids, masks, gates, time."""

from __future__ import annotations

import numpy as np

from parity_tests.planted_bugs.planting import (
    Specimen,
    input_gradient,
    only,
    plant,
    weight_gradients,
)
from parity_tests.strategies import Values

# --- Embedding and recurrent layers ---------------------------------------------------

EMBEDDING = Specimen(
    "Embedding",
    {"input_dim": 4, "output_dim": 2, "mask_zero": True},
    np.array([[1, 1, 0], [1, 3, 2]], "int32"),
)


def _last_one_wins(self, original, dy, residuals, grads, **options):
    table = np.zeros(self.embeddings.shape)
    table[EMBEDDING.inputs] = dy
    grads.add(self.embeddings, table)


plant(
    "embedding: a repeated id overwrites",
    EMBEDDING,
    "d embedding/embeddings",
    options={"empty_batch": False},
    backward=_last_one_wins,
)
plant(
    "embedding: mask forgotten",
    EMBEDDING,
    "mask",
    compute_mask=lambda self, original, inputs, mask=None: None,
)

LSTM = Specimen(
    "LSTM", {"units": 2, "return_sequences": True}, Values((3, 4, 2), seed=8)
)
_MASK = np.array([[1, 1, 0, 1], [1, 1, 1, 1], [0, 0, 0, 0]], bool)


def _swap_gates(g: np.ndarray) -> np.ndarray:
    i, f, c, o = np.split(g, 4, axis=-1)
    return np.concatenate([f, i, c, o], axis=-1)


def _swapped_forward(self, original, x, *args, **kwargs):
    """Reads the columns of the kernel as f, i, c, o."""
    kernel = self.cell.kernel
    value = kernel.numpy()
    kernel.assign(_swap_gates(value))
    try:
        return original(x, *args, **kwargs)
    finally:
        kernel.assign(value)


plant("gates swapped in forward", LSTM, "lstm: y", forward=_swapped_forward)
plant(
    "gates swapped in backward",
    LSTM,
    "d lstm/lstm_cell/recurrent_kernel",
    backward=weight_gradients(only("recurrent_kernel", _swap_gates)),
)
plant(
    "reverse time not undone",
    Specimen(
        "LSTM",
        {"units": 2, "return_sequences": True, "go_backwards": True},
        Values((3, 4, 2), seed=8),
    ),
    "lstm: dx",
    backward=input_gradient(lambda dx: dx[:, ::-1]),
)
plant(
    "mask dropped",
    Specimen("LSTM", {"units": 2}, Values((3, 4, 2), seed=8), {"mask": _MASK}),
    "lstm: y",
    forward=lambda self, original, x, *args, mask=None, **kwargs: original(
        x, *args, **kwargs
    ),
)


def _memory_forgotten(self, original, dy, residuals, grads, **options):
    *rest, _ = dy
    return original((*rest, None), residuals, grads, **options)


STATES = Specimen(
    "LSTM",
    {"units": 2, "return_state": True},
    Values((3, 4, 2), seed=8),
    {"call_kwargs": {"initial_state": [Values((3, 2), 1), Values((3, 2), 2)]}},
)
plant(
    "gradient of the last memory cell dropped",
    STATES,
    "lstm: d",
    backward=_memory_forgotten,
)


def _states_swapped(self, original, dy, residuals, grads, **options):
    dx, (dh, dc) = original(dy, residuals, grads, **options)
    return dx, [dc, dh]


plant(
    "initial state gradients swapped",
    STATES,
    "dinitial_state",
    backward=_states_swapped,
)
