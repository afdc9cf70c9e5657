"""`summary()` prints Keras's table."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minikeras
from parity_tests import test_models
from parity_tests.model_twins import compiled, pair
from parity_tests.oracle import keras
from parity_tests.tolerance import assert_equal


def text(model: Any, **options: Any) -> str:
    lines: list[str] = []
    model.summary(print_fn=lambda line, **_: lines.append(line), **options)
    return "\n".join(line.rstrip() for line in "".join(lines).splitlines())


def images(k: Any) -> Any:
    return k.Sequential(
        [
            k.Input((8, 8, 1), name="digits"),
            k.layers.Conv2D(8, 3, activation="relu"),
            k.layers.BatchNormalization(),
            k.layers.MaxPooling2D(),
            k.layers.Flatten(),
            k.layers.Dropout(0.5),
            k.layers.Dense(1000, name="a_layer_with_a_rather_long_name_for_its_column"),
            k.layers.Dense(10, activation="softmax"),
        ],
        name="images",
    )


def words(k: Any) -> Any:
    x = k.Input((None,), dtype="int32")
    e = k.layers.Embedding(100, 8, mask_zero=True)(x)
    y, h, c = k.layers.LSTM(4, return_sequences=True, return_state=True)(e)
    return k.Model(x, [k.layers.Dense(2)(y), h * c])


def frozen(k: Any) -> Any:
    model = images(k)
    model.layers[0].trainable = False
    return model


def unbuilt(k: Any) -> Any:
    return k.Sequential([k.layers.Dense(3), k.layers.Dense(2)], name="unbuilt")


def partly_built(k: Any) -> Any:
    layer = k.layers.Dense(3)
    layer.build((None, 4))
    return k.Sequential([layer, k.layers.Dropout(0.5), k.layers.Dense(2)])


def trained(k: Any) -> Any:
    model = compiled(test_models.by_list(k), "adam", loss="mse")
    model.train_on_batch(np.zeros((2, 4)), np.zeros((2, 2)))
    return model


def shared(k: Any) -> Any:
    a, b = k.Input((4, 3)), k.Input((3,))
    layer = k.layers.Dense(2)
    return k.Model([a, b], [layer(a), layer(b)])


MODELS = [
    shared,
    *test_models.WAYS,
    test_models.random_model,
    images,
    words,
    frozen,
    unbuilt,
    partly_built,
    trained,
]


@pytest.mark.parametrize("make", MODELS)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"line_length": 60},
        {"line_length": 140, "show_trainable": True},
        {"expand_nested": True, "show_trainable": True},
    ],
    ids=str,
)
def test_equals_keras(make, options):
    twins = pair(make)
    assert_equal(text(twins.ours, **options), text(twins.theirs, **options))


@pytest.mark.parametrize(
    "options",
    [
        {"layer_range": ["conv2d", "flatten"]},
        {"layer_range": ["max.*", "dropout"]},
        {"positions": [0.3, 0.6, 1.0]},
        {"positions": [30, 60, 80], "line_length": 80},
    ],
    ids=str,
)
def test_options(options):
    twins = pair(images)
    assert_equal(text(twins.ours, **options), text(twins.theirs, **options))


def test_refuses_unknown_layers():
    for k in (minikeras, keras):
        with pytest.raises(ValueError, match="layer"):
            text(images(k), layer_range=["none", "such"])


def test_prints(capsys):
    images(minikeras).summary()
    assert 'Model: "images"' in capsys.readouterr().out


def test_formulas_stand_under_the_table() -> None:
    model = words(minikeras)
    shown, plain = text(model, formulas=True), text(model)
    assert set(shown.split("\n")) > set(plain.split("\n"))
    assert "ids x features = 100 x 8 = 800" in shown
    assert "4 x (8 x 4 + 4 x 4 + 4) = 208" in shown
    assert "inputs x units + units = 4 x 2 + 2 = 10" in shown


def test_formulas_of_nested_models_are_shown_once() -> None:
    inner = minikeras.Sequential(
        [minikeras.Input((3,)), minikeras.layers.Dense(2, name="inside")]
    )
    model = minikeras.Sequential([minikeras.Input((3,)), inner], name="outer")
    for expand in (False, True):
        shown = text(model, formulas=True, expand_nested=expand)
        assert shown.count("inputs x units + units = 3 x 2 + 2 = 8") == 1
    assert "formula" not in text(unbuilt(minikeras), formulas=True)
