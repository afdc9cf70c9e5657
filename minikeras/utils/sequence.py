"""Sequences of different lengths in one array."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minikeras.registry import suggest


def pad_sequences(
    sequences: Sequence[Any],
    maxlen: int | None = None,
    dtype: Any = "int32",
    padding: str = "pre",
    truncating: str = "pre",
    value: Any = 0.0,
) -> np.ndarray:
    """Fills up shorter sequences and cuts longer ones.

    Args:
        sequences: N sequences, each of numbers or of arrays of one shape.
        maxlen: the length T of all; by default that of the longest.
        dtype: of the result.
        padding: `"pre"` or `"post"`: the end at which to fill up.
        truncating: `"pre"` or `"post"`: the end at which to cut.
        value: what to fill with.

    Returns:
        Array of shape (N, T, ...).

    >>> pad_sequences([[1], [2, 3], [4, 5, 6]], maxlen=2)
    array([[0, 1],
           [2, 3],
           [5, 6]], dtype=int32)
    """
    if not hasattr(sequences, "__len__"):
        raise ValueError(
            f"`sequences` must be iterable, with a length. Received: {sequences!r}"
        )
    for name, end in (("padding", padding), ("truncating", truncating)):
        if end not in ("pre", "post"):
            hint = suggest(end, ("pre", "post"))
            raise ValueError(
                f'{name.capitalize()} type "{end}" not understood. Expected "pre" or '
                f'"post".{hint}'
            )
    for sequence in sequences:
        if not hasattr(sequence, "__len__"):
            raise ValueError(
                "`sequences` must be a list of iterables. Found non-iterable: "
                f"{sequence}"
            )
    text = np.issubdtype(dtype, np.str_) or np.issubdtype(dtype, np.bytes_)
    if isinstance(value, str) and dtype is not object and not text:
        raise ValueError(
            f"`dtype` {dtype} is not compatible with `value`'s type: {type(value)}\n"
            "You should set `dtype=object` for variable length strings."
        )
    lengths = [len(sequence) for sequence in sequences]
    maxlen = max(lengths) if maxlen is None else maxlen
    first = next((s for s in sequences if len(s)), [])
    shape = np.asarray(first).shape[1:]
    result = np.full((len(sequences), maxlen, *shape), value, dtype=dtype)
    for i, sequence in enumerate(sequences):
        kept = sequence[-maxlen:] if truncating == "pre" else sequence[:maxlen]
        if not len(kept):
            continue
        part = np.asarray(kept, dtype=dtype)
        if part.shape[1:] != shape:
            raise ValueError(
                f"Shape of sample {part.shape[1:]} of sequence at position {i} is "
                f"different from expected shape {shape}"
            )
        place = slice(0, len(part)) if padding == "post" else slice(-len(part), None)
        result[i, place] = part
    return result
