"""Flatten, Reshape, Permute and RepeatVector."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minikeras import layers
from minikeras.gradients import Gradients
from parity_tests import strategies
from parity_tests.oracle import keras
from parity_tests.tolerance import assert_equal
from parity_tests.twins import check, check_same_error


class TestFlatten:
    @given(
        data_format=st.sampled_from([None, "channels_last", "channels_first"]),
        x=strategies.values(strategies.shapes(1, 5, high=4)),
        dtype=strategies.dtypes(),
    )
    def test_equals_keras(self, data_format, x, dtype):
        check("Flatten", {"data_format": data_format}, x, dtype=dtype)

    def test_both_layouts_give_the_same_row(self):
        x = np.arange(24.0).reshape(2, 3, 4)  # channels last
        first = np.moveaxis(x, -1, 1)
        flat = layers.Flatten(data_format="channels_first", dtype="float64")(first)
        assert_equal(flat, layers.Flatten(dtype="float64")(x))

    @pytest.mark.parametrize("shape", [(None, 3, 4), (2, None, 4), (None,), (5,)])
    def test_shapes(self, shape):
        ours, theirs = (
            module.Flatten().compute_output_shape(shape)
            for module in (layers, keras.layers)
        )
        assert_equal(ours, tuple(theirs))

    def test_refuses_unknown_layouts(self):
        check_same_error(
            lambda module: module.Flatten(data_format="channels_middle"),
            ValueError,
            "data_format",
        )

    def test_integers_stay_integers(self):
        x = np.arange(6).reshape(1, 2, 3)
        assert layers.Flatten()(x).dtype == x.dtype
        assert layers.Flatten()(layers.Input((2, 3), dtype="int32")).dtype == "int32"


@st.composite
def reshape_cases(draw):
    """An input and a target shape of as many values, perhaps with a -1."""
    x = draw(strategies.values(strategies.shapes(2, 4)))
    target = [n for n in draw(st.permutations(x.shape[1:])) if n != 1]
    for _ in range(draw(st.integers(0, 2))):
        target.insert(draw(st.integers(0, len(target))), 1)
    if len(target) > 1 and draw(st.booleans()):
        target[:2] = [target[0] * target[1]]
    if target and draw(st.booleans()):
        target[draw(st.integers(0, len(target) - 1))] = -1
    return tuple(target), x


class TestReshape:
    @given(case=reshape_cases(), dtype=strategies.dtypes())
    def test_equals_keras(self, case, dtype):
        target, x = case
        check("Reshape", {"target_shape": target}, x, dtype=dtype)

    @pytest.mark.parametrize(
        ("target", "shape"),
        [((-1, 2), (None, 6)), ((-1, 2), (None, None, 4)), ((3, 2), (None, None))],
    )
    def test_unknown_sizes(self, target, shape):
        ours, theirs = (
            module.Reshape(target).compute_output_shape(shape)
            for module in (layers, keras.layers)
        )
        assert_equal(ours, tuple(theirs))

    def test_sizes_known_with_the_data(self):
        x = np.arange(12.0).reshape(2, 3, 2)
        for target in ((None, 3), (2, None)):
            ours, theirs = (
                np.asarray(module.Reshape(target, dtype="float64")(x))
                for module in (layers, keras.layers)
            )
            assert_equal(ours, theirs)

    @pytest.mark.parametrize(
        ("target", "match"),
        [
            ((-1, -1), "at most one unknown dimension"),
            ((-2, 3), "must be a non-negative integer"),
            ((4, 2), "total size of the tensor must be unchanged"),
            ((-1, 4), "total size of the tensor must be unchanged"),
        ],
    )
    def test_refuses(self, target, match):
        check_same_error(
            lambda module: module.Reshape(target)(np.ones((2, 6))), ValueError, match
        )


@st.composite
def permute_cases(draw):
    """An input and a permutation of its axes."""
    x = draw(strategies.values(strategies.shapes(2, 5, high=4)))
    return tuple(draw(st.permutations(range(1, len(x.shape))))), x


class TestPermute:
    @given(case=permute_cases(), dtype=strategies.dtypes())
    def test_equals_keras(self, case, dtype):
        dims, x = case
        check("Permute", {"dims": dims}, x, dtype=dtype)

    @pytest.mark.parametrize("dims", [(0, 1), (1, 3), (1, 1), (2,)])
    def test_refuses(self, dims):
        check_same_error(
            lambda module: module.Permute(dims), ValueError, "Invalid permutation"
        )


class TestRepeatVector:
    @given(
        n=strategies.sizes(),
        x=strategies.values(strategies.shapes(2, 2)),
        dtype=strategies.dtypes(),
    )
    def test_equals_keras(self, n, x, dtype):
        check("RepeatVector", {"n": n}, x, dtype=dtype)

    def test_by_hand(self):
        dy = np.array([[[1.0, 2.0], [10.0, 20.0], [100.0, 200.0]]])
        dx = layers.RepeatVector(3).backward(dy, None, Gradients())
        assert_equal(dx, np.array([[111.0, 222.0]]))

    @pytest.mark.parametrize(
        ("n", "error"), [(2.0, TypeError), (True, TypeError), (0, ValueError)]
    )
    def test_refuses(self, n, error):
        check_same_error(lambda module: module.RepeatVector(n), error, "integer")
