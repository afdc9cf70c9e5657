"""The tuples in which `fit` receives its data: `(x,)`, `(x, y)`, `(x, y, weight)`."""

from __future__ import annotations

from typing import Any


def unpack_x_y_sample_weight(data: Any) -> tuple[Any, Any, Any]:
    """A batch as three parts, None for what it does not have.

    For `train_step`, `test_step` and `predict_step` of your own.

    Args:
        data: `x`, or a tuple or list of one to three parts.

    Returns:
        `(x, y, sample_weight)`.

    Raises:
        ValueError: for a tuple of another length.

    >>> unpack_x_y_sample_weight(("x", "y"))
    ('x', 'y', None)
    """
    if not isinstance(data, tuple | list):
        return data, None, None
    if not 1 <= len(data) <= 3:
        raise ValueError(
            "Data is expected to be in format `x`, `(x,)`, `(x, y)`, or "
            f"`(x, y, sample_weight)`. Received: {len(data)} parts: {data}"
        )
    x, y, sample_weight = (*data, None, None)[:3]
    return x, y, sample_weight


def pack_x_y_sample_weight(x: Any, y: Any = None, sample_weight: Any = None) -> Any:
    """The inverse of `unpack_x_y_sample_weight`, without the parts that are None.

    Args:
        x: the inputs.
        y: the targets.
        sample_weight: NB: Keras drops it where `y` is None; so here.

    Returns:
        `x` itself if there is nothing else and it is no list or tuple; else a tuple.

    >>> pack_x_y_sample_weight("x"), pack_x_y_sample_weight(["a", "b"])
    ('x', (['a', 'b'],))
    >>> pack_x_y_sample_weight("x", "y", "weight")
    ('x', 'y', 'weight')
    """
    if y is None:
        return (x,) if isinstance(x, tuple | list) else x
    return (x, y) if sample_weight is None else (x, y, sample_weight)
