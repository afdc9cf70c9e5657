"""What every recurrent layer needs: time-major views, and products under dropout.

Arrays in, arrays out. A sequence is *time-major*: (T, N, ...), T steps of N examples,
so that one step is one contiguous block.
"""

from __future__ import annotations

import numpy as np

from minikeras.ops.products import matmul_tall, matmul_transposed
from minikeras.threads import WORTH_SHARING


def to_time_major(x: np.ndarray, go_backwards: bool = False) -> np.ndarray:
    """(N, T, ...) -> (T, N, ...), the last step first if `go_backwards`; a view.

    Its inverse, and so its gradient, is `to_batch_major`.
    """
    steps = x.swapaxes(0, 1)
    return steps[::-1] if go_backwards else steps


def to_batch_major(steps: np.ndarray, go_backwards: bool = False) -> np.ndarray:
    """(T, N, ...) -> (N, T, ...): undoes `to_time_major`; a view."""
    return (steps[::-1] if go_backwards else steps).swapaxes(0, 1)


def select(mask: np.ndarray, new: np.ndarray, old: np.ndarray | float) -> np.ndarray:
    """`new` where the mask is True, `old` elsewhere; the mask has trailing axes of 1.

    **Gradient** `dnew = select(mask, dy, 0)`, `dold = select(mask, 0, dy)`, the latter
    written `dy - dnew` nowhere: infinities would become NaN.

    >>> select(np.array([[True], [False]]), np.ones((2, 3)), 0.0)
    array([[1., 1., 1.],
           [0., 0., 0.]])
    """
    wide = mask.reshape(mask.shape + (1,) * (np.ndim(new) - mask.ndim))
    return np.where(wide, new, old)


def dropped_matmul(
    x: np.ndarray, kernel: np.ndarray, masks: np.ndarray | None = None
) -> np.ndarray:
    """`x @ kernel`, where each block of columns may see x under its own dropout mask.

    Args:
        x: (..., N, D), for example one step or all steps of a sequence.
        kernel: (D, U).
        masks: None, or (G, N, D): the U columns are cut into G equal blocks, and block
            k sees `x * masks[k]`. The same masks serve every step.

    **Formula** `y[..., block k] = (x * masks[k]) @ kernel[:, block k]`

    **Gradient** `dropped_matmul_dx` and `dropped_matmul_dkernel`. For
    `y = x @ kernel` they are `dy @ kernel.T` and `x.T @ dy`; a mask multiplies x
    before the product, so it multiplies dx after it.

    Reference: Gal and Ghahramani (2016), A Theoretically Grounded Application of
    Dropout in Recurrent Neural Networks: one mask for all time steps.

    >>> x, kernel = np.ones((1, 2)), np.ones((2, 2))
    >>> dropped_matmul(x, kernel, masks=np.array([[[1, 1]], [[0, 2]]]))
    array([[2., 2.]])
    """
    shape, width = x.shape[:-1], kernel.shape[-1]
    if masks is None:
        # (rows, D) @ (D, U): one product for all steps
        return matmul_tall(_rows(x), kernel).reshape(*shape, width)
    y = np.empty((*shape, width), x.dtype)
    size = width // len(masks)
    for block, mask in zip(column_blocks(width, len(masks)), masks, strict=True):
        product = _rows(x * mask) @ kernel[:, block]
        y[..., block] = product.reshape(*shape, size)
    return y


def dropped_matmul_dx(
    dy: np.ndarray, kernel: np.ndarray, masks: np.ndarray | None = None
) -> np.ndarray:
    """The gradient of `dropped_matmul` with respect to x: (..., N, D)."""
    shape = (*dy.shape[:-1], len(kernel))
    if masks is None:
        # in forward: y = x @ kernel
        dy = _rows(dy)
        if 2 * dy.size * len(kernel) >= WORTH_SHARING:
            return matmul_tall(dy, kernel.T).reshape(shape)
        return matmul_transposed(dy, kernel).reshape(shape)
    dx = np.zeros(shape, dy.dtype)
    blocks = column_blocks(dy.shape[-1], len(masks))
    for block, mask in zip(blocks, masks, strict=True):
        # in forward: y[block] = (x * mask) @ kernel[:, block]
        dx += (_rows(dy[..., block]) @ kernel[:, block].T).reshape(shape) * mask
    return dx


def dropped_matmul_dkernel(
    dy: np.ndarray, x: np.ndarray, masks: np.ndarray | None = None
) -> np.ndarray:
    """The gradient of `dropped_matmul` with respect to the kernel: (D, U).

    Leading axes are all examples. With time among them, this one product is the sum
    over steps that the chain rule asks of a kernel used at every step.
    """
    if masks is None:
        # in forward: y = x @ kernel
        return _rows(x).T @ _rows(dy)
    dkernel = np.empty((x.shape[-1], dy.shape[-1]), dy.dtype)
    blocks = column_blocks(dy.shape[-1], len(masks))
    for block, mask in zip(blocks, masks, strict=True):
        # in forward: y[block] = (x * mask) @ kernel[:, block]
        dkernel[:, block] = _rows(x * mask).T @ _rows(dy[..., block])
    return dkernel


def column_blocks(width: int, count: int) -> list[slice]:
    """`count` equal ranges of columns.

    >>> column_blocks(8, 4)[1]
    slice(2, 4, None)
    """
    size = width // count
    return [slice(k * size, (k + 1) * size) for k in range(count)]


def _rows(x: np.ndarray) -> np.ndarray:
    """All leading axes as one: (..., D) -> (rows, D)."""
    return x.reshape(-1, x.shape[-1])
