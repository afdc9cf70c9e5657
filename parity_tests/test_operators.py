"""Operators and slices on symbolic tensors, and activations called on them."""

from __future__ import annotations

import operator

import numpy as np
import pytest

import minikeras
from parity_tests.functions import default_dtype
from parity_tests.model_checks import check_model
from parity_tests.model_twins import compare_gradients, compare_numbers, compiled, pair
from parity_tests.oracle import keras
from parity_tests.tolerance import assert_equal

RNG = np.random.default_rng(5)
A, B = RNG.standard_normal((10, 4)), RNG.standard_normal((10, 3))


OPERATIONS = {
    "add": lambda a, b: a + b,
    "add_number": lambda a, b: 2 + a + 0.5,
    "subtract": lambda a, b: 1.5 - a - b - 2,
    "multiply": lambda a, b: 3 * a * b * 0.5,
    "divide": lambda a, b: 1 / (a * a + 1) + b / 3,
    "power": lambda a, b: (a * a + 1) ** 1.5 + b**2 + 2.0**a,
    "negative": lambda a, b: -a + b,
    "absolute": lambda a, b: abs(a) * b,
    "matmul": lambda a, b: (a[:, :, None] @ b[:, None, :])[:, 1],
    "slice": lambda a, b: a[:, 1:3] + b[:, -2:],
    "index": lambda a, b: a[:, 1:2] * b,
    "ellipsis": lambda a, b: a[..., 0:1] * b[..., ::2][..., :1],
    "new_axis": lambda a, b: a[:, None, :] * b[:, :, None],
    "reverse": lambda a, b: a[:, ::-1] - b,
    "mod": lambda a, b: (a % 0.75) * (b % a),
    "broadcast": lambda a, b: a[:, :1] + b,
    "array": lambda a, b: a * np.arange(4.0) + b * np.ones((1, 4)),
    "mixed": lambda a, b: a * np.arange(4) + 2 * b / np.arange(1, 5, dtype="int8"),
}
COMPARISONS = {
    "less": lambda a, b: (a < b) & (a <= 1.0),
    "greater": lambda a, b: (a > b) | (0.5 >= b),
    "not_equal": lambda a, b: ~(a != 0) ^ (a[:, :1] != b),
    "floor_divide": lambda a, b: a // 0.3 + 2.0 // b,
}


class TestOperators:
    @pytest.mark.parametrize("name", OPERATIONS)
    def test_equals_keras(self, name):
        def make(k):
            a, b = k.Input((4,)), k.Input((4,))
            x = k.layers.Dense(4)(a)
            return k.Model([a, b], OPERATIONS[name](x, k.layers.Dense(4)(b)))

        data = [A, A[::-1].copy()]
        with default_dtype("float64"):
            target = np.asarray(pair(make).theirs(data))
        check_model(make, data, y=RNG.standard_normal(target.shape))

    @pytest.mark.parametrize("name", COMPARISONS)
    def test_without_gradient(self, name):
        def make(k):
            a, b = k.Input((4,)), k.Input((4,))
            return k.Model([a, b], COMPARISONS[name](a, b))

        data = [np.round(A), np.round(A[::-1] * 2)]
        check_model(make, data)

    @pytest.mark.parametrize("name", ["add", "sub", "mul", "truediv", "pow"])
    def test_an_array_on_the_left(self, name):
        """Keras refuses it; here it is the same as on the right."""
        x = minikeras.Input((4,), dtype="float64")
        use, left = getattr(operator, name), np.arange(1.0, 5.0)
        model = minikeras.Model(x, [use(left, x), use(np.float64(2), x)])
        for y, expected in zip(model(A), [use(left, A), use(2.0, A)], strict=True):
            assert_equal(y, expected)

    def test_equality_is_identity(self):
        a = minikeras.Input((3,))
        assert (a == a) is True and (a == minikeras.Input((3,))) is False

    def test_activations_on_tensors(self):
        def make(k):
            x = k.Input((4,))
            h = k.activations.tanh(k.layers.Dense(3)(x))
            return k.Model(x, k.activations.relu(h, negative_slope=0.1) + h)

        with default_dtype("float64"):
            twins = pair(make)
            compare_numbers(twins.ours(A), np.asarray(twins.theirs(A)))
            for model in twins[:2]:
                compiled(model, loss="mse")
            compare_gradients(twins, A, B)


NUMBERS = ("bool", "uint8", "int32", "int64", "float32", "float64")
MIXED = {
    "sum": lambda a, b: a + b,
    "quotient": lambda a, b: a / b,
    "product with a number": lambda a, b: a * 0.5,
    "sum with an integer": lambda a, b: 2 + a,
}


@pytest.mark.parametrize("first", NUMBERS)
@pytest.mark.parametrize("second", NUMBERS)
def test_dtypes(first, second):
    """Which dtype a result has, known before anything runs."""

    def dtypes(k):
        a, b = k.Input((3,), dtype=first), k.Input((3,), dtype=second)
        return {name: use(a, b).dtype for name, use in MIXED.items()}

    assert_equal(dtypes(minikeras), dtypes(keras))
