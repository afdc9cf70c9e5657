"""What counts as an array of examples, and what is done with it before any batch.

Nothing is copied here: not to convert the dtype (each batch is converted), nor to split
off validation data (both parts are views).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from minikeras import config, tree

_LABELS = ("x", "y", "sample_weight")
_NUMBERS = "biuf"  # NumPy's kinds: bool, signed, unsigned, float


def is_array(leaf: Any) -> bool:
    """Whether batches can be cut from it: NumPy, pandas, anything with `__array__`."""
    return leaf is None or isinstance(leaf, np.ndarray) or hasattr(leaf, "__array__")


def as_array(leaf: Any, name: str) -> np.ndarray:
    """An array-like as a NumPy array of numbers with at least one axis.

    Args:
        leaf: an array, a pandas object, or anything with `__array__`.
        name: what to call it in errors, such as `x[1]`.
    """
    if _is_pandas(leaf):
        array = np.asarray(leaf.to_numpy())
        # NB: Keras gives a Series the shape (n, 1).
        array = array[:, np.newaxis] if array.ndim == 1 else array
    else:
        array = np.asarray(leaf)
    if array.dtype.kind not in _NUMBERS:
        raise ValueError(f"Invalid dtype: {array.dtype}. {_dtype_advice(array, name)}")
    if array.ndim == 0:
        raise ValueError(
            f"Expected `{name}` to be an array whose first axis counts examples. "
            f"Received: the scalar {leaf!r}"
        )
    return array


def batch_dtype(array: np.ndarray) -> np.dtype:
    """The dtype in which batches are handed out: floats become floatx.

    >>> batch_dtype(np.zeros(3, "float64")), batch_dtype(np.zeros(3, "uint8"))
    (dtype('float32'), dtype('uint8'))
    """
    if array.dtype.kind == "f":
        return np.dtype(config.floatx())
    return array.dtype.newbyteorder("=")


def _is_pandas(leaf: Any) -> bool:
    return hasattr(leaf, "iloc") and hasattr(leaf, "to_numpy")


def _dtype_advice(array: np.ndarray, name: str) -> str:
    advice = "Convert it to numbers first."
    if array.dtype == object and len({np.shape(row) for row in array}) > 1:
        advice = (
            "Its rows differ in length: pad them to one, for example with "
            "`utils.pad_sequences`."
        )
    elif array.dtype == object:
        advice = "Convert it, for example with `.astype('float32')`."
    return (
        f"Expected `{name}` to hold numbers (bool, integer or float). {advice} "
        f"Received: dtype={array.dtype}, shape={array.shape}"
    )


def named_leaves(name: str, structure: Any) -> Iterator[tuple[str, Any]]:
    """The leaves of a structure with the expression that leads to each.

    >>> list(named_leaves("x", {"a": 1, "b": [2, 3]}))
    [("x['a']", 1), ("x['b'][0]", 2), ("x['b'][1]", 3)]
    """
    if isinstance(structure, dict):
        for key in sorted(structure):
            yield from named_leaves(f"{name}[{key!r}]", structure[key])
    elif isinstance(structure, list | tuple):
        for i, item in enumerate(structure):
            yield from named_leaves(f"{name}[{i}]", item)
    else:
        yield name, structure


def as_arrays(name: str, structure: Any) -> Any:
    """The structure with every leaf converted by `as_array`; None stays."""
    leaves = [
        None if leaf is None else as_array(leaf, path)
        for path, leaf in named_leaves(name, structure)
    ]
    return tree.pack_sequence_as(structure, leaves)


def data_leaves(data: tuple[Any, ...]) -> list[tuple[str, Any]]:
    """`named_leaves` of x, y and sample_weight, without those that are None."""
    return [
        (name, leaf)
        for label, part in zip(_LABELS, data, strict=False)
        for name, leaf in named_leaves(label, part)
        if leaf is not None
    ]


def few_examples(x: Any, most: int) -> np.ndarray | None:
    """`x` as the only batch it makes, if it is a plain array of 1 to `most` examples;
    else None. What `ArrayDataAdapter` would say of it, said at once.

    >>> few_examples(np.zeros((2, 3)), most=3).dtype
    dtype('float32')
    """
    if type(x) is not np.ndarray or x.ndim == 0 or x.dtype.kind not in _NUMBERS:
        return None
    if not 0 < len(x) <= most:
        return None
    return x.astype(batch_dtype(x), copy=False)


def count_examples(data: tuple[Any, ...]) -> int:
    """The length that all arrays of `(x, y, sample_weight)` share.

    Raises:
        ValueError: if lengths differ, if there is no array, or no example.
    """
    lengths = {name: _length(leaf, name) for name, leaf in data_leaves(data)}
    if not lengths:
        raise ValueError(
            "Expected `x` to be an array, or arrays in a list or dict. Received: "
            f"x={data[0]!r}"
        )
    if len(set(lengths.values())) > 1:
        sizes = "\n".join(f"  {name}: {length}" for name, length in lengths.items())
        raise ValueError(
            "Data cardinality is ambiguous. Make sure all arrays contain the same "
            f"number of samples. Received:\n{sizes}"
        )
    count = next(iter(lengths.values()))
    if count == 0:
        raise ValueError(
            "Expected at least one sample. Received: empty data with "
            + ", ".join(
                f"{name}.shape={leaf.shape}" for name, leaf in data_leaves(data)
            )
        )
    return count


def _length(leaf: Any, name: str) -> int:
    shape = leaf.shape if hasattr(leaf, "shape") else np.shape(leaf)
    if len(shape) == 0 or shape[0] is None:
        shape = as_array(leaf, name).shape  # says what is wrong
    return int(shape[0])


def train_validation_split(
    arrays: tuple[Any, ...], validation_split: float
) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Takes the last part of the examples for validation, before any shuffling.

    Args:
        arrays: `(x, y, sample_weight)`, nested; parts may be None.
        validation_split: the fraction for validation, between 0 and 1.

    Returns:
        `(train, validation)`, each in the structure of `arrays`, of views.

    Raises:
        ValueError: if a part would be empty, or the data is not made of arrays.

    >>> x = np.arange(10)
    >>> (train, _), (validation, _) = train_validation_split((x, None), 0.25)
    >>> train, validation
    (array([0, 1, 2, 3, 4, 5, 6]), array([7, 8, 9]))
    """
    unsplitable = [
        f"{name} of type {type(leaf)}"
        for name, leaf in data_leaves(arrays)
        if not is_array(leaf)
    ]
    if unsplitable:
        raise ValueError(
            "Argument `validation_split` is only supported for arrays. Pass "
            f"`validation_data` instead. Received: {', '.join(unsplitable)}"
        )
    if not data_leaves(arrays):
        return arrays, arrays
    count = count_examples(arrays)
    split_at = math.floor(count * (1.0 - validation_split))
    if not 0 < split_at < count:
        raise ValueError(
            f"Training data contains {count} samples, which is not sufficient to split "
            "it into a validation and training set as specified by "
            f"`validation_split={validation_split}`. Either provide more data, or a "
            "fraction between 0 and 1 that leaves samples on both sides."
        )
    return _rows(arrays, 0, split_at), _rows(arrays, split_at, count)


def _rows(structure: Any, start: int, stop: int) -> Any:
    def cut(leaf: Any) -> Any:
        if leaf is None:
            return None
        if _is_pandas(leaf):
            return leaf.iloc[start:stop]
        return np.asarray(leaf)[start:stop]

    return tree.map_structure(cut, structure)


def class_weight_to_sample_weights(y: Any, class_weight: dict[int, float]) -> Any:
    """One weight per example, looked up by its class.

    Args:
        y: classes (n,) or (n, 1), or one row of scores per example (n, classes): then
            the class is the largest.
        class_weight: weight by class; a class that is not in it weighs 1.

    Returns:
        floatx array (n,).

    >>> class_weight_to_sample_weights(np.array([0, 1, 2]), {1: 5.0})
    array([1., 5., 1.], dtype=float32)
    """
    if not isinstance(class_weight, dict):
        raise ValueError(
            "Expected `class_weight` to be a dict from class index to weight. "
            f"Received: class_weight={class_weight}"
        )
    if y is None:
        raise ValueError("`class_weight` needs the targets `y`. Received: y=None")
    y = as_array(y, "y")
    classes = y
    if y.ndim > 1:  # (n, 1) or (n, classes) -> (n,)
        classes = y.squeeze(-1) if y.shape[-1] == 1 else y.argmax(axis=-1)
    if classes.ndim > 1:
        raise ValueError(
            "`class_weight` needs one class per sample: `y` of shape (n,), (n, 1) or "
            f"(n, classes). Use `sample_weight` instead. Received: y.shape={y.shape}"
        )
    values, place = np.unique(np.round(classes).astype("int32"), return_inverse=True)
    weights = [class_weight.get(int(value), 1.0) for value in values]
    return np.array(weights, config.floatx())[place]
