"""The dense layers of multi-head attention, and the checks of its arguments."""

from __future__ import annotations

import string
from typing import Any

from minikeras.layers.core.einsum_dense import EinsumDense


def projection(
    rank: int, bound: int, sizes: tuple[int, ...], use_bias: bool, **options: Any
) -> EinsumDense:
    """A dense layer from the last `bound` axes to axes of the given sizes.

    >>> projection(3, 1, (2, 4), True).equation
    'abc,cde->abde'
    """
    letters = iter(string.ascii_lowercase)
    free = "".join(next(letters) for _ in range(rank - bound))
    summed = "".join(next(letters) for _ in range(bound))
    made = "".join(next(letters) for _ in sizes)
    equation = f"{free}{summed},{summed}{made}->{free}{made}"
    shape = [None] * (len(free) - 1) + list(sizes)
    return EinsumDense(
        equation, output_shape=shape, bias_axes=made if use_bias else None, **options
    )


def check_sizes(num_heads: Any, key_dim: Any, value_dim: Any, window: Any) -> None:
    """Refuses what is not a positive integer."""
    for name, value in (("num_heads", num_heads), ("key_dim", key_dim)):
        if not isinstance(value, int) or value <= 0:
            raise ValueError(
                f"Received an invalid value for argument `{name}`, expected a positive "
                f"integer. Received: {name}={value}"
            )
    if value_dim is not None and (not isinstance(value_dim, int) or value_dim <= 0):
        raise ValueError(
            "Received an invalid value for argument `value_dim`, expected a positive "
            f"integer or `None`. Received: value_dim={value_dim}"
        )
    if window is not None and (not isinstance(window, int) or window <= 0):
        raise ValueError(
            "`sliding_window` must be `None` or a positive integer. Received: "
            f"sliding_window={window}"
        )


def checked_output_shape(output_shape: Any) -> tuple[int, ...] | None:
    """The sizes as a tuple; None if there are none."""
    if not output_shape:
        return output_shape
    if isinstance(output_shape, int):
        return (output_shape,)
    try:
        return tuple(output_shape)
    except TypeError:
        raise ValueError(
            f"Invalid `output_shape`: {output_shape}. When specified, the "
            "`output_shape` should be of type tuple, list, or int."
        ) from None


def check_flash(flash_attention: Any, return_scores: bool, name: str) -> None:
    """Raises when a layer is run that insists on flash attention."""
    if flash_attention and return_scores:
        raise ValueError(
            "Returning attention scores is not supported when flash attention is "
            "enabled. Please disable flash attention to access attention scores. "
            f"Layer: '{name}'"
        )
    if flash_attention:
        raise ValueError(
            f"Flash attention is not supported in minikeras. Layer: '{name}'. Leave "
            "`flash_attention` out; the result is the same."
        )


def copied(initializer: Any) -> Any:
    """A new initializer with the same config: one that has no seed draws its own."""
    return type(initializer).from_config(initializer.get_config())


def check_same_places(value_shape: Any, key_shape: Any) -> None:
    """Keys belong to values: one for each."""
    if tuple(value_shape[1:-1]) != tuple(key_shape[1:-1]):
        raise ValueError(
            "All dimensions of `value` and `key`, except the last one, must be equal. "
            f"Received: value_shape={value_shape} and key_shape={key_shape}"
        )
