"""Mistakes: each gets an error of Keras's type that says what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minikeras
from parity_tests.model_twins import compiled
from parity_tests.oracle import keras

RNG = np.random.default_rng(10)
X, Y = RNG.standard_normal((12, 4)), RNG.integers(0, 3, 12)
LIBRARIES = (minikeras, keras)
Use = Callable[[Any], Any]


def model_of(k: Any, **options: Any) -> Any:
    options.setdefault("loss", "sparse_categorical_crossentropy")
    model = k.Sequential(
        [
            k.Input((4,), name="features"),
            k.layers.Dense(4, activation="relu"),
            k.layers.Dense(3, activation="softmax"),
        ]
    )
    return compiled(model, "adam", run_eagerly=True, **options)


def words(k: Any) -> Any:
    model = k.Sequential([k.Input((5,)), k.layers.Embedding(7, 2), k.layers.LSTM(3)])
    return compiled(model, loss="mse", run_eagerly=True)


# What is wrong, the type of Keras's error, and what both messages contain.
SAME_AS_KERAS: list[tuple[str, Use, type[Exception], str]] = [
    ("negative units", lambda k: k.layers.Dense(-3), ValueError, "units.*-3"),
    ("zero units", lambda k: k.layers.Dense(0), ValueError, "units.*0"),
    ("units that are no number", lambda k: k.layers.Dense("3"), ValueError, "units"),
    ("negative filters", lambda k: k.layers.Conv2D(-1, 3), ValueError, "filters"),
    ("kernel of size 0", lambda k: k.layers.Conv2D(1, 0), ValueError, "kernel_size"),
    ("kernel of rank 3", lambda k: k.layers.Conv2D(1, (3, 3, 3)), ValueError, "3"),
    (
        "strides of 0",
        lambda k: k.layers.Conv2D(1, 3, strides=0),
        ValueError,
        "strides",
    ),
    (
        "groups that do not divide",
        lambda k: k.layers.Conv2D(4, 3, groups=3),
        ValueError,
        "groups",
    ),
    (
        "unknown padding",
        lambda k: k.layers.Conv2D(1, 3, padding="some"),
        ValueError,
        "padding.*some|some.*padding",
    ),
    ("rate above 1", lambda k: k.layers.Dropout(1.5), ValueError, "rate"),
    ("negative rate", lambda k: k.layers.Dropout(-0.1), ValueError, "rate"),
    ("LSTM without units", lambda k: k.layers.LSTM(0), ValueError, "units"),
    (
        "unknown argument",
        lambda k: k.layers.Dense(3, activatoin="relu"),
        ValueError,
        "activatoin",
    ),
    (
        "unknown activation",
        lambda k: k.layers.Dense(3, activation="rellu"),
        ValueError,
        "rellu",
    ),
    (
        "unknown initializer",
        lambda k: k.layers.Dense(3, kernel_initializer="glorott"),
        ValueError,
        "glorott",
    ),
    (
        "unknown regularizer",
        lambda k: k.layers.Dense(3, kernel_regularizer="l3"),
        ValueError,
        "l3",
    ),
    (
        "unknown constraint",
        lambda k: k.layers.Dense(3, kernel_constraint="nonneg"),
        ValueError,
        "nonneg",
    ),
    ("unknown optimizer", lambda k: k.optimizers.get("adm"), ValueError, "adm"),
    ("unknown loss", lambda k: k.losses.get("mze"), ValueError, "mze"),
    ("unknown metric", lambda k: k.metrics.get("acuracy"), ValueError, "acuracy"),
    (
        "negative learning rate that is text",
        lambda k: k.optimizers.SGD(learning_rate="fast"),
        ValueError,
        "learning_rate",
    ),
    (
        "momentum above 1",
        lambda k: k.optimizers.SGD(momentum=3),
        ValueError,
        "momentum",
    ),
    (
        "two kinds of clipping",
        lambda k: k.optimizers.SGD(clipnorm=1.0, clipvalue=1.0),
        ValueError,
        "clip",
    ),
    (
        "name that is no string",
        lambda k: k.layers.Dense(3, name=3),
        ValueError,
        "name",
    ),
    (
        "trainable that is no boolean",
        lambda k: k.layers.Dense(3, trainable="no"),
        ValueError,
        "trainable",
    ),
    (
        "unknown dtype",
        lambda k: k.layers.Dense(3, dtype="float23"),
        ValueError,
        "float23",
    ),
    ("negative size", lambda k: k.Input((-3,)), ValueError, "[Nn]egative"),
    ("size that is no integer", lambda k: k.Input((3.5,)), ValueError, "3.5"),
    (
        "weights before build",
        lambda k: k.layers.Dense(3).kernel,
        AttributeError,
        "build",
    ),
    (
        "counting before build",
        lambda k: k.layers.Dense(3).count_params(),
        ValueError,
        "isn't built",
    ),
    (
        "set_weights before build",
        lambda k: k.layers.Dense(3).set_weights([np.ones((4, 3)), np.ones(3)]),
        ValueError,
        "expecting 0 weights",
    ),
    (
        "too few weights",
        lambda k: model_of(k).set_weights([np.ones((4, 4))]),
        ValueError,
        "length 1.*expecting 4 weights",
    ),
    (
        "a weight of a wrong shape",
        lambda k: model_of(k).layers[0].set_weights([np.ones((4, 5)), np.ones(4)]),
        ValueError,
        r"\(4, 4\).*\(4, 5\)",
    ),
    (
        "assigning a wrong shape",
        lambda k: k.Variable(np.ones(3)).assign(np.ones(4)),
        ValueError,
        r"\(3,\).*\(4,\)",
    ),
    (
        "wrong features",
        lambda k: model_of(k)(np.ones((2, 7), "float32")),
        ValueError,
        r"\(2, 7\)",
    ),
    (
        "wrong rank",
        lambda k: model_of(k)(np.ones((2, 3, 4), "float32")),
        ValueError,
        r"\(2, 3, 4\)",
    ),
    (
        "images without channels",
        lambda k: k.layers.Conv2D(2, 3)(np.ones((2, 8, 8), "float32")),
        ValueError,
        r"expected min_ndim=4.*ndim=3|expected ndim=4",
    ),
    (
        "kernel larger than the image",
        lambda k: k.Sequential([k.Input((4, 4, 1)), k.layers.Conv2D(1, 5)]),
        ValueError,
        "[Nn]egative|kernel|size",
    ),
    (
        "reshape to another size",
        lambda k: k.layers.Reshape((5,))(np.ones((2, 4), "float32")),
        ValueError,
        "total size",
    ),
    (
        "sequences without features",
        lambda k: k.layers.LSTM(2)(np.ones((2, 4), "float32")),
        ValueError,
        "expected ndim=3.*ndim=2",
    ),
    (
        "stateful without a batch size",
        lambda k: k.layers.LSTM(2, stateful=True)(k.Input((4, 3))),
        ValueError,
        "batch",
    ),
    (
        "fit before compile",
        lambda k: k.Sequential([k.layers.Dense(1)]).fit(X, Y),
        ValueError,
        "must call `compile\\(\\)`",
    ),
    (
        "evaluate before compile",
        lambda k: k.Sequential([k.layers.Dense(1)]).evaluate(X, Y),
        ValueError,
        "must call `compile\\(\\)`",
    ),
    (
        "train_on_batch before compile",
        lambda k: k.Sequential([k.layers.Dense(1)]).train_on_batch(X, Y),
        ValueError,
        "must call `compile\\(\\)`",
    ),
    (
        "lengths that differ",
        lambda k: model_of(k).fit(X, Y[:5], verbose=0),
        ValueError,
        "12.*5|same number of samples|[Cc]ardinality",
    ),
    (
        "lengths of weights that differ",
        lambda k: model_of(k).fit(X, Y, sample_weight=np.ones(5), verbose=0),
        ValueError,
        "12.*5|same number of samples|[Cc]ardinality",
    ),
    (
        "sample_weight and class_weight",
        lambda k: model_of(k).fit(
            X, Y, sample_weight=np.ones(12), class_weight={0: 1.0}, verbose=0
        ),
        ValueError,
        "class_weight.*sample_weight",
    ),
    (
        "validation_split without a rest",
        lambda k: model_of(k).fit(X, Y, validation_split=0.999, verbose=0),
        ValueError,
        "validation_split|not sufficient",
    ),
    (
        "validation_freq that is no number",
        lambda k: model_of(k).fit(
            X, Y, validation_data=(X, Y), validation_freq="often", verbose=0
        ),
        ValueError,
        "validation_freq",
    ),
    (
        "text as data",
        lambda k: model_of(k).fit("data.csv", Y, verbose=0),
        ValueError,
        "Unrecognized data type",
    ),
    (
        "metrics that are no list",
        lambda k: model_of(k, metrics="accuracy"),
        ValueError,
        "Expected `metrics` argument to be a list",
    ),
    (
        "a new variable in a built layer",
        lambda k: built_dense(k).add_weight(shape=(3,), name="more"),
        ValueError,
        "already built",
    ),
    (
        "a loss for an output that does not exist",
        lambda k: compiled(two_heads(k), loss={"a": "mse", "c": "mse"}).fit(
            X, [X, X], verbose=0
        ),
        ValueError,
        "Expected keys",
    ),
    (
        "targets of another structure",
        lambda k: compiled(two_heads(k), loss=["mse", "mse"]).fit(X, X, verbose=0),
        ValueError,
        "structure",
    ),
    (
        "predicting with wrong features",
        lambda k: model_of(k).predict(np.ones((2, 7)), verbose=0),
        ValueError,
        r"7\)",
    ),
]


def built_dense(k: Any) -> Any:
    layer = k.layers.Dense(3)
    layer.build((None, 4))
    return layer


def two_heads(k: Any) -> Any:
    x = k.Input((4,))
    return k.Model(x, [k.layers.Dense(4, name=name)(x) for name in "ab"])


@pytest.mark.parametrize(
    ("use", "error", "match"),
    [c[1:] for c in SAME_AS_KERAS],
    ids=[c[0] for c in SAME_AS_KERAS],
)
@pytest.mark.parametrize("library", LIBRARIES, ids=["minikeras", "keras"])
def test_refused_as_in_keras(use, error, match, library):
    with pytest.raises(error, match=f"(?s){match}"):
        use(library)


# Where Keras fails later, with an error of TensorFlow, or goes on with nonsense.
EARLIER_THAN_KERAS: list[tuple[str, Use, type[Exception], str]] = [
    (
        "labels too large",
        lambda k: model_of(k).fit(X, Y + 1),
        ValueError,
        "label|class",
    ),
    ("negative labels", lambda k: model_of(k).fit(X, Y - 1), ValueError, "label|class"),
    ("ids too large", lambda k: words(k)(np.full((2, 5), 7)), ValueError, "7"),
    ("negative ids", lambda k: words(k)(np.full((2, 5), -8)), ValueError, "-8"),
    (
        "ids that are no integers",
        lambda k: k.layers.Embedding(7, 2)(np.full((2, 5), 1.5)),
        ValueError,
        "integer",
    ),
    (
        "no data",
        lambda k: model_of(k).fit(X[:0], Y[:0], verbose=0),
        ValueError,
        "empty|no ",
    ),
    (
        "nothing to predict",
        lambda k: model_of(k).predict(X[:0], verbose=0),
        ValueError,
        "empty|no ",
    ),
    (
        "text in data",
        lambda k: model_of(k).fit(np.full((12, 4), "a"), Y, verbose=0),
        (ValueError, TypeError),
        "dtype|type|number",
    ),
    (
        "objects in data",
        lambda k: model_of(k).predict(np.full((12, 4), None), verbose=0),
        (ValueError, TypeError),
        "dtype|type|number",
    ),
    (
        "complex weights",
        lambda k: model_of(k).layers[0].set_weights([np.ones((4, 4)) * 1j, np.ones(4)]),
        ValueError,
        "number",
    ),
    (
        "one example without a batch axis",
        lambda k: model_of(k).predict(X[0], verbose=0),
        ValueError,
        r"\(4,\)|shape",
    ),
]


@pytest.mark.parametrize(
    ("use", "error", "match"),
    [c[1:] for c in EARLIER_THAN_KERAS],
    ids=[c[0] for c in EARLIER_THAN_KERAS],
)
def test_refused(use, error, match):
    with pytest.raises(error, match=match):
        use(minikeras)
