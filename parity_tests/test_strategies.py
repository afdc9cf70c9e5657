"""What is drawn: valid by construction, and with the specials it promises."""

from __future__ import annotations

import hypothesis
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from minikeras import layers
from parity_tests import strategies
from parity_tests.strategies import Values
from parity_tests.tolerance import assert_equal


def test_a_recipe_is_repeatable_and_prints_as_itself() -> None:
    recipe = Values((3, 4), seed=5, scale=0.1, specials=("ties", "zeros"))
    again = Values(shape=(3, 4), seed=5, scale=0.1, specials=("ties", "zeros"))
    assert_equal(recipe("float32"), again("float32"))
    assert_equal(
        repr(recipe),
        "Values(shape=(3, 4), seed=5, scale=0.1, specials=('ties', 'zeros'))",
    )
    assert_equal(recipe.with_shape((2,)).shape, (2,))


def test_specials_are_there() -> None:
    shape = (40, 30)
    plain = Values(shape)()
    assert_equal(np.unique(plain).size, plain.size)
    assert np.unique(Values(shape, specials=("ties",))()).size < plain.size
    assert 0.1 < (Values(shape, specials=("zeros",))() == 0).mean() < 0.3
    assert_equal(np.abs(Values(shape, specials=("large",))()).max(), 1000.0)
    rows = Values(shape, specials=("equal_rows",))()
    assert 1 <= (rows.std(axis=-1) == 0).sum() < len(rows)


@given(data=st.data(), rank=st.integers(1, 3))
def test_convolutions_and_poolings_fit(data: st.DataObject, rank: int) -> None:
    dilation = data.draw(st.booleans())
    config, shape = data.draw(strategies.windows(rank, dilation=dilation))
    for n, k, r, s in zip(
        shape, config["size"], config["dilation_rate"], config["strides"], strict=True
    ):
        assert r == 1 or s == 1
        assert config["padding"] == "same" or n >= (k - 1) * r + 1


@given(case=strategies.convolutions())
def test_a_drawn_convolution_can_be_made(case) -> None:
    config, shape = case
    out = layers.Conv2D(**config).compute_output_shape(shape)
    assert min(out) >= 1


@given(case=strategies.poolings())
def test_a_drawn_pooling_can_be_made(case) -> None:
    config, shape = case
    assert min(layers.MaxPooling2D(**config).compute_output_shape(shape)) >= 1


def test_masks_are_of_all_kinds() -> None:
    seen = set()

    @hypothesis.settings(max_examples=100, derandomize=True, database=None)
    @given(mask=strategies.masks(3, 4))
    def collect(mask: np.ndarray) -> None:
        assert_equal((mask.shape, str(mask.dtype)), ((3, 4), "bool"))
        seen.update("none" if not row.any() else str(row.all()) for row in mask)

    collect()
    assert_equal(seen, {"none", "True", "False"})


@given(ids=strategies.ids((4, 5), 6))
def test_ids_are_in_the_vocabulary(ids: np.ndarray) -> None:
    assert_equal(str(ids.dtype), "int32")
    assert 0 <= ids.min() <= ids.max() < 6


@given(scale=strategies.scales())
def test_scales_span_six_decades(scale: float) -> None:
    assert 1e-4 <= scale <= 100
