"""Bad data is refused before anything is trained, and the message helps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from minikeras.trainers.data_adapters import (
    EpochIterator,
    is_array_data,
    train_validation_split,
)
from minikeras.utils.py_dataset import PyDataset
from parity_tests.fit_recorder import make_dataset, numbers

X, Y = np.ones((10, 4)), np.ones((10, 1))
BAD: dict[str, tuple[dict[str, Any], str]] = {
    "lengths differ": ({"x": X, "y": Y[:5]}, r"(?s)x: 10.*y: 5"),
    "one of several": ({"x": {"a": X, "b": X[:3]}, "y": Y}, r"x\['b'\]: 3"),
    "empty": ({"x": X[:0], "y": Y[:0]}, "at least one sample"),
    "nothing": ({"x": None}, "x=None"),
    "list of numbers": ({"x": [1.0, 2.0]}, r"np.array\(\.\.\.\)"),
    "list as y": ({"x": X, "y": [0] * 10}, r"Unrecognized data type: y\[0\]=0"),
    "list of rows": ({"x": X.tolist(), "y": Y}, r"Unrecognized data type: x\[0\]\[0\]"),
    "scalar": ({"x": np.float32(3)}, "whose first axis counts examples"),
    "objects": ({"x": X.astype(object)}, "Invalid dtype: object"),
    "ragged": ({"x": np.array([[1], [1, 2]], dtype=object)}, "differ in length"),
    "text": ({"x": np.array(["a", "b"])}, "hold numbers"),
    "iterator": ({"x": iter([X])}, "Pass a generator"),
    "a number": ({"x": 3}, "Unrecognized data type: x=3"),
    "an object": ({"x": object()}, "Expected arrays"),
    "batch_size 0": ({"x": X, "batch_size": 0}, "batch_size=0"),
    "batch_size -1": ({"x": X, "batch_size": -1}, "positive integer"),
    "batch_size 2.5": ({"x": X, "batch_size": 2.5}, "positive integer"),
    "steps 0": ({"x": X, "steps_per_epoch": 0}, "positive integer"),
    "steps -1": ({"x": X, "steps_per_epoch": -1}, "positive integer"),
    "shuffle": ({"x": X, "shuffle": "epoch"}, "'batch'"),
    "weights without y": ({"x": X, "sample_weight": Y}, "needs targets"),
    "both weights": (
        {"x": X, "y": Y, "sample_weight": Y, "class_weight": {0: 1}},
        "at the same time",
    ),
    "class_weight list": ({"x": X, "y": Y, "class_weight": [1, 2]}, "to be a dict"),
    "class_weight, no y": ({"x": X, "class_weight": {0: 1}}, "y=None"),
    "class_weight, y nested": (
        {"x": X, "y": [Y], "class_weight": {0: 1}},
        "single output",
    ),
    "class_weight, y 3-D": (
        {"x": X, "y": np.ones((10, 2, 2)), "class_weight": {0: 1}},
        "one class per sample",
    ),
    "weights unlike y": (
        {"x": X, "y": [Y], "sample_weight": [Y, Y]},
        r"sample_weight\[1\]",
    ),
    "weights 2-D": ({"x": X, "y": [Y], "sample_weight": X}, "one scalar per sample"),
    "y with PyDataset": (
        {"x": make_dataset(PyDataset, 2), "y": Y},
        "`y` should not be passed",
    ),
    "PyDataset of length 0": ({"x": make_dataset(PyDataset, 0)}, "length 0"),
}


@pytest.mark.parametrize("case", sorted(BAD))
def test_bad_data_is_refused(case: str) -> None:
    arguments, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        EpochIterator(**arguments)


BAD_GENERATORS = {
    "y with generator": ((b for b in numbers(2)), {"y": Y}, "`y` should not be"),
    "class_weight": ((b for b in numbers(2)), {"class_weight": {}}, "class_weight"),
    "empty": ((b for b in ()), {}, "empty generator"),
    "lists": (([X, Y] for _ in range(2)), {}, "must return a tuple"),
    "numbers": ((([1, 2], Y) for _ in range(2)), {}, "at least rank 1"),
    "ranks": ((b for b in [(X, Y), (X[0], Y)]), {}, "same rank"),
    "structures": ((b for b in [(X, Y), (X,)]), {}, "same structure"),
    "objects": (((X.astype(object), Y) for _ in range(2)), {}, "Invalid dtype"),
}


@pytest.mark.parametrize("case", sorted(BAD_GENERATORS))
def test_bad_generators_are_refused(case: str) -> None:
    generator, arguments, message = BAD_GENERATORS[case]
    with pytest.raises(ValueError, match=message):
        EpochIterator(generator, **arguments)


def test_bad_batches_of_a_py_dataset() -> None:
    class Bad(PyDataset):
        batch: Any = None

        def __len__(self) -> int:
            return 1

        def __getitem__(self, index: int) -> Any:
            return self.batch

    dataset = Bad()
    for dataset.batch in (None, (1, 2, 3, 4), "text"):
        with pytest.raises(ValueError, match="must return a tuple or a dict"):
            EpochIterator(dataset)
    dataset.batch = (X, Y, Y)
    with pytest.raises(ValueError, match="at the same time"):
        EpochIterator(dataset, class_weight={0: 1})
    with pytest.raises(NotImplementedError, match="__getitem__"):
        PyDataset()[0]


def test_validation_split_needs_arrays_of_one_length() -> None:
    with pytest.raises(ValueError, match="only supported for arrays"):
        train_validation_split((numbers(3), None, None), 0.5)
    with pytest.raises(ValueError, match="y: 5"):  # Keras drops what is too much
        train_validation_split((X, Y[:5], None), 0.5)
    for split in (-0.1, 1.0, 1.5):
        with pytest.raises(ValueError, match="not sufficient"):
            train_validation_split((X, Y, None), split)


def test_other_peoples_datasets_get_advice() -> None:
    dataset = type("DatasetV2", (), {})()
    with pytest.raises(ValueError, match="as_numpy_iterator"):
        EpochIterator(dataset)
    sparse = type("csr_matrix", (), {"toarray": None})()
    with pytest.raises(ValueError, match="toarray"):
        EpochIterator(sparse)
    assert is_array_data(X, [Y, None]) and not is_array_data(numbers(2))
