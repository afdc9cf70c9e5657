"""GroupedQueryAttention: against Keras, and against MultiHeadAttention."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minikeras
from minikeras import layers
from parity_tests.harness import check_layer
from parity_tests.oracle import keras
from parity_tests.test_attention import booleans, compare_with_scores, small
from parity_tests.tolerance import assert_close, assert_equal
from parity_tests.twins import check_files, check_same_error

# Keras warns that its own dense layers inside do not listen to masks.
pytestmark = pytest.mark.filterwarnings("ignore:.*was passed an input with a mask")
NAME = "GroupQueryAttention"
DTYPES = pytest.mark.parametrize("dtype", ["float32", "float64"])
CONFIGS: list[dict[str, Any]] = [
    {},
    {"use_bias": False},
    {"use_gate": True},
    {"sliding_window": 2},
    {"num_key_value_heads": 1, "kernel_regularizer": "l2"},
]
QUERY, VALUE, KEY = (2, 3, 6), (2, 4, 6), (2, 4, 5)


def full(config: dict[str, Any]) -> dict[str, Any]:
    """With what every layer needs."""
    return {"head_dim": 3, "num_query_heads": 4, "num_key_value_heads": 2} | config


def compare(config: dict[str, Any], dtype: str, **call_kwargs: Any) -> None:
    check_layer(
        lambda: layers.GroupQueryAttention(**full(config)),
        lambda: keras.layers.GroupQueryAttention(**full(config)),
        small(*QUERY),
        dtype=dtype,
        name=NAME,  # not that of the class
        call_kwargs={"value": small(*VALUE, seed=1)} | call_kwargs,
    )


@DTYPES
@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_equals_keras(config: dict[str, Any], dtype: str) -> None:
    compare(config, dtype, key=small(*KEY, seed=2))


@DTYPES
def test_value_as_key_and_causal(dtype: str) -> None:
    compare({}, dtype, use_causal_mask=True)


@DTYPES
def test_masks(dtype: str) -> None:
    compare({}, dtype, attention_mask=booleans(2, 3, 4))
    compare({}, dtype, query_mask=booleans(2, 3), value_mask=booleans(2, 4, seed=1))


@DTYPES
@pytest.mark.parametrize("config", [{}, {"use_gate": True}], ids=str)
def test_returned_scores(config: dict[str, Any], dtype: str) -> None:
    value = small(*VALUE, seed=1)
    compare_with_scores(NAME, full(config), small(*QUERY), dtype, value=value)


def test_dropout() -> None:
    config = full({"dropout": 0.4, "seed": 3})
    value = small(*VALUE, seed=1)
    compare_with_scores(
        NAME, config, small(*QUERY), "float32", value=value, training=True
    )


def test_as_many_heads_is_multi_head_attention() -> None:
    grouped = layers.GroupQueryAttention(3, 2, 2)
    plain = layers.MultiHeadAttention(2, 3)
    x = small(2, 3, 6)
    grouped(x, x), plain(x, x)
    plain.set_weights(grouped.get_weights())
    assert_close(grouped(x, x), plain(x, x))


def model(library: Any) -> Any:
    """Self-attention of embedded ids, with their mask."""
    k = library.layers
    ids = k.Input((4,), dtype="int32")
    x = k.Embedding(5, 6, mask_zero=True)(ids)
    x = k.GroupQueryAttention(3, 4, 2)(x, x)
    return library.Model(ids, k.Dense(1)(k.GlobalAveragePooling1D()(x)))


def test_files(tmp_path: Any) -> None:
    check_files(model, np.array([[1, 2, 0, 0], [3, 1, 4, 2]], "int32"), tmp_path)


def test_fit_from_nothing_but_the_seed() -> None:
    ids = np.array([[1, 2, 0, 0], [3, 1, 4, 2], [4, 0, 0, 0]], "int32")
    y, found = np.array([[1.0], [0.0], [1.0]]), []
    for library in (minikeras, keras):
        library.utils.set_random_seed(2)
        made = model(library)
        made.compile(library.optimizers.SGD(0.1), "mse")
        made.fit(ids, y, epochs=2, batch_size=2, verbose=0)
        found.append(made.get_weights())
    for a, b in zip(*found, strict=True):
        # The bias of the keys changes no weight: its gradient is nothing but rounding.
        assert_close(a, np.asarray(b), k=64, scale=1.0)


def test_names() -> None:
    for library in (minikeras, keras):
        layer = library.layers.GroupQueryAttention(3, 4, 2)
        written = library.layers.serialize(layer)
        assert_equal(written["class_name"], "GroupQueryAttention")
        assert_equal(layer.name.rstrip("_0123456789"), "grouped_query_attention")


@pytest.mark.parametrize(
    ("use", "match"),
    [
        (lambda k: k.GroupQueryAttention(3, 4, 3), "must be divisible"),
        (lambda k: k.GroupQueryAttention(3, 4, 2, sliding_window=0), "sliding_window"),
        (
            lambda k: k.GroupQueryAttention(3, 4, 2).compute_output_shape(QUERY, KEY),
            "must be equal",
        ),
    ],
)
def test_errors(use: Any, match: str) -> None:
    check_same_error(use, ValueError, match)
