"""Drawn whole models, trained beside Keras from the same weights."""

from __future__ import annotations

import hypothesis
from hypothesis import given

from parity_tests.architectures import Architecture, layers_in
from parity_tests.drawn_architectures import functionals, sequentials
from parity_tests.functions import default_dtype
from parity_tests.model_twins import (
    call,
    check_fit,
    compare_gradients,
    compare_numbers,
    compare_variables,
    pair,
    synchronize,
)
from parity_tests.records import parity_case
from parity_tests.strategies import seeds

EXAMPLES, BATCH, EPOCHS = 7, 3, 2
# Each example builds two models in Keras: half as many as elsewhere.
half = hypothesis.settings(max_examples=hypothesis.settings().max_examples // 2)

quarter = hypothesis.settings(max_examples=hypothesis.settings().max_examples // 4)


def check(make: Architecture, seed: int) -> None:
    """Every gradient of a step, then `fit` with a partial last batch, in float64."""
    x, y = make.data(EXAMPLES, seed, "float64")
    name = "Sequential" if make.sequential else "Functional"
    with default_dtype("float64"), parity_case("model", name, "float64"):
        compare_gradients(pair(make), x, y)
        steps = EPOCHS * -(-EXAMPLES // BATCH)
        check_fit(make, x, y, batch_size=BATCH, epochs=EPOCHS, steps=steps)


@half
@given(make=sequentials(), seed=seeds())
def test_sequential_models_train_like_keras(make: Architecture, seed: int) -> None:
    check(make, seed)


@half
@given(make=functionals(), seed=seeds())
def test_functional_models_train_like_keras(make: Architecture, seed: int) -> None:
    check(make, seed)


@quarter
@given(make=sequentials() | functionals(), seed=seeds())
def test_float32_step_by_step(make: Architecture, seed: int) -> None:
    """Predictions, gradients, and the weights after each of some steps, which begin
    with the weights that Keras has."""
    x, y = make.data(EXAMPLES, seed, "float32")
    name = "Sequential" if make.sequential else "Functional"
    with default_dtype("float32"), parity_case("model", name, "float32"):
        twins = pair(make)
        compare_numbers(*(call(m, "predict_on_batch", x) for m in twins[:2]))
        compare_gradients(twins, x, y)
        for _ in range(3):
            compare_numbers(*(call(m, "train_on_batch", x, y) for m in twins[:2]))
            compare_variables(twins)
            synchronize(twins)


def test_the_drawing_reaches_every_layer() -> None:
    found: set[str] = set()

    @hypothesis.settings(max_examples=300, database=None, derandomize=True)
    @given(one=sequentials(), other=functionals())
    def collect(one: Architecture, other: Architecture) -> None:
        found.update(layers_in(one), layers_in(other))

    collect()
    wanted = (
        "Conv2D MaxPooling2D AveragePooling2D BatchNormalization LSTM Embedding Dense "
        "LayerNormalization Dropout nested again add multiply subtract Conv1D Reshape "
        "mse binary_crossentropy sparse_categorical_crossentropy"
    )
    assert found >= set(wanted.split())
