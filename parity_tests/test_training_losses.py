"""Losses and metrics in `fit`: structures, resolutions of names, logits, masks."""

from __future__ import annotations

import numpy as np
import pytest

from parity_tests.functions import default_dtype
from parity_tests.model_twins import check_fit, compare_gradients, compiled, pair

RNG = np.random.default_rng(1)
X = RNG.standard_normal((12, 4))
A, B = RNG.standard_normal((12, 3)), RNG.standard_normal((12, 1))
CLASSES = RNG.integers(0, 3, 12)
ONE_HOT = np.eye(3)[CLASSES]
BITS = RNG.integers(0, 2, (12, 1))


def dense(k, units=3, activation=None, **options):
    """One Dense layer."""
    model = k.Sequential([k.Input((4,)), k.layers.Dense(units, activation=activation)])
    return compiled(model, **options)


def two_headed(k, outputs="list", **options):
    """Outputs named "a" (3 values) and "b" (1 value), in the given structure."""
    x = k.Input((4,))
    hidden = k.layers.Dense(4, activation="tanh")(x)
    a = k.layers.Dense(3, name="a")(hidden)
    b = k.layers.Dense(1, name="b", activation="sigmoid")(hidden)
    structures = {
        "list": [a, b],
        "tuple": (a, b),
        "dict": {"a": a, "b": b},
        "other_keys": {"second": b, "first": a},
        "nested": {"both": [a, b]},
    }
    return compiled(k.Model(x, structures[outputs]), **options)


class TestAccuracy:
    """What "accuracy" means is decided by shapes, not by the loss."""

    @pytest.mark.parametrize(
        ("units", "activation", "y", "loss"),
        [
            (1, "sigmoid", BITS, "binary_crossentropy"),
            (1, "sigmoid", BITS[:, 0], "binary_crossentropy"),
            (1, None, BITS, "mse"),
            (3, "softmax", CLASSES, "sparse_categorical_crossentropy"),
            (3, "softmax", CLASSES[:, None], "sparse_categorical_crossentropy"),
            (3, "softmax", ONE_HOT, "categorical_crossentropy"),
            (3, "sigmoid", ONE_HOT, "binary_crossentropy"),
            (3, None, ONE_HOT, "mse"),
        ],
    )
    @pytest.mark.parametrize("word", ["accuracy", "acc"])
    def test_equals_keras(self, units, activation, y, loss, word):
        def make(k):
            return dense(
                k,
                units,
                activation,
                loss=loss,
                metrics=[word],
                weighted_metrics=[word],
            )

        check_fit(make, X, y, batch_size=5, sample_weight=np.linspace(0, 1, 12))

    @pytest.mark.parametrize("y", [CLASSES, ONE_HOT, BITS], ids=["1", "3", "bits"])
    def test_crossentropy_by_shape(self, y):
        units = 1 if y is BITS else 3

        def make(k):
            activation = "sigmoid" if units == 1 else "softmax"
            return dense(k, units, activation, loss="crossentropy")

        check_fit(make, X, y, batch_size=5)


METRICS = [
    ("mse", "mae", "mape", "msle", "cosine_similarity"),
    ("RootMeanSquaredError", "MeanAbsoluteError", "Poisson"),
    ("categorical_accuracy", "CategoricalAccuracy", "KLDivergence"),
    ("binary_accuracy", "hinge", "squared_hinge", "categorical_hinge"),
]


class TestMetrics:
    @pytest.mark.parametrize("names", METRICS, ids=str)
    def test_by_name(self, names):
        def make(k):
            return dense(k, activation="softmax", loss="mse", metrics=list(names))

        check_fit(make, X, ONE_HOT, batch_size=5, validation_split=0.25)

    def test_instances_and_functions(self):
        def make(k):
            return dense(
                k,
                activation="softmax",
                loss=k.losses.CategoricalCrossentropy(label_smoothing=0.1),
                metrics=[
                    k.metrics.CategoricalAccuracy(name="hits"),
                    k.losses.mean_squared_error,
                    k.metrics.mean_absolute_error,
                    k.metrics.TopKCategoricalAccuracy(2),
                ],
            )

        # TensorFlow's top k takes float32 only.
        check_fit(make, X, ONE_HOT, batch_size=5, epochs=2, dtype="float32")

    def test_equal_names_are_numbered(self):
        def make(k):
            return dense(
                k,
                loss="mse",
                metrics=["mse", k.metrics.MeanSquaredError(name="mse")],
                weighted_metrics=["mse", "mae"],
            )

        check_fit(make, X, A, batch_size=5)


OPTIONS = [
    ("list", {"loss": ["mse", "mae"]}),
    ("list", {"loss": "mse"}),
    ("list", {"loss": ["mse", "mae"], "loss_weights": [0.3, 2.0]}),
    ("list", {"loss": {"a": "mse", "b": "mae"}}),
    (
        "list",
        {"loss": {"a": "mse", "b": "mae"}, "loss_weights": {"a": 0.3, "b": 2.0}},
    ),
    ("list", {"loss": ["mse", None]}),
    ("list", {"loss": ["mse", "mae"], "metrics": [["mae"], ["mse", "accuracy"]]}),
    ("list", {"loss": "mse", "metrics": {"a": ["mae"], "b": "accuracy"}}),
    ("list", {"loss": "mse", "metrics": {"b": "accuracy"}}),
    ("list", {"loss": "mse", "weighted_metrics": [["mae"], ["mse"]]}),
    ("tuple", {"loss": ("mse", "mae"), "loss_weights": (0.3, 2.0)}),
    ("dict", {"loss": {"a": "mse", "b": "binary_crossentropy"}}),
    ("dict", {"loss": {"b": "mse"}}),
    ("dict", {"loss": "mse", "metrics": {"a": ["mae"], "b": ["accuracy"]}}),
    ("dict", {"loss": {"a": "mse", "b": "mae"}, "loss_weights": {"a": 1.0, "b": 0.2}}),
    ("other_keys", {"loss": {"first": "mse", "second": "mae"}}),
    (
        "other_keys",
        {"loss": {"first": "mse", "second": "mae"}, "metrics": {"second": ["mse"]}},
    ),
    ("nested", {"loss": {"both": ["mse", "mae"]}}),
]


class TestSeveralOutputs:
    @pytest.mark.filterwarnings("ignore:Gradients do not exist")  # in both
    @pytest.mark.parametrize(("outputs", "options"), OPTIONS, ids=str)
    def test_equals_keras(self, outputs, options):
        targets = {
            "list": [A, B],
            "tuple": (A, B),
            "dict": {"a": A, "b": B},
            "other_keys": {"first": A, "second": B},
            "nested": {"both": [A, B]},
        }
        check_fit(
            lambda k: two_headed(k, outputs, **options),
            X,
            targets[outputs],
            batch_size=5,
            epochs=2,
            validation_split=0.25,
        )

    def test_targets_by_name(self):
        check_fit(
            lambda k: two_headed(k, loss=["mse", "mae"]), X, {"b": B, "a": A}, epochs=2
        )

    @pytest.mark.parametrize("kind", ["one", "list", "dict"])
    def test_sample_weights(self, kind):
        weights = RNG.uniform(0, 2, (2, 12))
        outputs = "dict" if kind == "dict" else "list"
        given = {
            "one": weights[0],
            "list": list(weights),
            "dict": {"a": weights[0], "b": weights[1]},
        }[kind]
        targets = {"a": A, "b": B} if kind == "dict" else [A, B]
        check_fit(
            lambda k: two_headed(
                k, outputs, loss="mse", weighted_metrics={"a": "mae", "b": "mse"}
            ),
            X,
            targets,
            sample_weight=given,
            batch_size=5,
        )


def softmax_models():
    """Names of models that end in a softmax or sigmoid, each in another way."""
    return {
        "dense": lambda k, x, name: k.layers.Dense(3, activation=name)(x),
        "activation": lambda k, x, name: k.layers.Activation(name)(
            k.layers.Dense(3)(x)
        ),
        "function": lambda k, x, name: getattr(k.activations, name)(
            k.layers.Dense(3)(x)
        ),
        "nested": lambda k, x, name: k.Sequential(
            [k.Input((4,)), k.layers.Dense(3, activation=name)]
        )(x),
        "nested_twice": lambda k, x, name: k.Sequential(
            [k.Input((4,)), k.Sequential([k.layers.Dense(3, activation=name)])]
        )(x),
        "then_reshape": lambda k, x, name: k.layers.Reshape((3,))(
            k.layers.Dense(3, activation=name)(x)
        ),
        "twice": lambda k, x, name: k.layers.Activation(name)(
            k.layers.Dense(3, activation=name)(x)
        ),
    }


LOSSES = {
    "softmax": ("categorical_crossentropy", ONE_HOT),
    "sigmoid": ("binary_crossentropy", ONE_HOT),
}


class TestLogits:
    """A final softmax or sigmoid is trained from what goes into it."""

    @pytest.mark.parametrize("scale", [1, 100], ids=["ordinary", "saturated"])
    @pytest.mark.parametrize("name", ["softmax", "sigmoid"])
    @pytest.mark.parametrize("kind", softmax_models())
    def test_equals_keras(self, kind, name, scale):
        loss, y = LOSSES[name]

        def make(k):
            x = k.Input((4,))
            model = k.Model(x, softmax_models()[kind](k, x, name))
            return compiled(model, loss=loss, metrics=["accuracy", loss])

        check_fit(make, X * scale, y, batch_size=5)

    def test_softmax_layer(self):
        def make(k):
            model = k.Sequential([k.Input((4,)), k.layers.Dense(3), k.layers.Softmax()])
            return compiled(model, loss="sparse_categorical_crossentropy")

        check_fit(make, X * 100, CLASSES, batch_size=5)

    @pytest.mark.parametrize("axis", [1, -1])
    def test_softmax_over_an_axis(self, axis):
        y = np.eye(3)[RNG.integers(0, 3, (12, 4))]

        def make(k):
            x = k.Input((4, 2))
            z = k.layers.Dense(3)(x)
            model = k.Model(x, k.layers.Softmax(axis=axis)(z))
            return compiled(model, loss=k.losses.CategoricalCrossentropy(axis=axis))

        check_fit(make, RNG.standard_normal((12, 4, 2)) * 30, y, batch_size=5)

    @pytest.mark.parametrize("name", ["softmax", "sigmoid", None])
    def test_from_logits(self, name):
        """On probabilities it is a mistake; Keras then takes the logits as well."""
        from_logits = {
            "softmax": "CategoricalCrossentropy",
            "sigmoid": "BinaryCrossentropy",
            None: "CategoricalCrossentropy",
        }[name]

        def make(k):
            loss = getattr(k.losses, from_logits)(from_logits=True)
            return dense(k, activation=name, loss=loss)

        if name is None:
            check_fit(make, X * 10, ONE_HOT, batch_size=5)
            return
        with pytest.warns(UserWarning, match="from_logits=True"):
            check_fit(make, X * 10, ONE_HOT, batch_size=5)

    @pytest.mark.parametrize(
        ("activation", "loss"),
        [
            ("softmax", "mse"),
            ("sigmoid", "mae"),
            ("softmax", "binary_crossentropy"),
            ("sigmoid", "categorical_crossentropy"),
            ("tanh", "mse"),
            ("softmax", "kl_divergence"),
        ],
    )
    def test_other_losses(self, activation, loss):
        def make(k):
            return dense(k, activation=activation, loss=loss)

        check_fit(make, X * 10, ONE_HOT, batch_size=5)

    def test_an_output_that_is_used_inside_too(self):
        def make(k):
            x = k.Input((4,))
            p = k.layers.Dense(3, activation="softmax", name="p")(x)
            q = k.layers.Dense(2, name="q")(p)
            return compiled(
                k.Model(x, [p, q]), loss=["categorical_crossentropy", "mse"]
            )

        check_fit(make, X * 20, [ONE_HOT, A[:, :2]], batch_size=5)

    def test_one_tensor_as_two_outputs(self):
        def make(k):
            x = k.Input((4,))
            p = k.layers.Dense(3, activation="softmax", name="p")(x)
            return compiled(k.Model(x, [p, p]), loss="categorical_crossentropy")

        with default_dtype("float64"):
            twins = pair(make)
            compare_gradients(twins, X, [ONE_HOT, ONE_HOT[::-1].copy()])

    def test_a_shared_last_layer(self):
        def make(k):
            x, y = k.Input((4,)), k.Input((4,))
            last = k.layers.Dense(3, activation="softmax")
            return compiled(
                k.Model([x, y], {"x": last(x), "y": last(y)}),
                loss={"x": "categorical_crossentropy", "y": "categorical_crossentropy"},
            )

        targets = {"x": ONE_HOT, "y": ONE_HOT[::-1].copy()}
        check_fit(make, [X * 20, X[::-1] * 3], targets, batch_size=5)

    def test_penalty_on_the_probabilities(self):
        def make(k):
            x = k.Input((4,))
            last = k.layers.Dense(3, activation="softmax", activity_regularizer="l2")
            return compiled(k.Model(x, last(x)), loss="categorical_crossentropy")

        check_fit(make, X * 5, ONE_HOT, batch_size=5)


class TestMasks:
    @pytest.mark.parametrize("weighted", [False, True])
    def test_masked_time_steps_do_not_count(self, weighted):
        ids = RNG.integers(0, 5, (12, 6))
        ids[0] = 0
        y = RNG.standard_normal((12, 6, 2))

        def make(k):
            model = k.Sequential(
                [
                    k.layers.Embedding(5, 3, mask_zero=True),
                    k.layers.LSTM(4, return_sequences=True),
                    k.layers.Dense(2),
                ]
            )
            model.build((None, 6))
            return compiled(
                model, loss="mse", metrics=["mae"], weighted_metrics=["mse"]
            )

        options = {"sample_weight": RNG.uniform(0, 2, (12, 6))} if weighted else {}
        check_fit(make, ids, y, batch_size=5, **options)

    def test_masked_softmax(self):
        x = RNG.standard_normal((12, 6, 3))
        x[:, 4:] = 0

        def make(k):
            model = k.Sequential(
                [
                    k.Input((6, 3)),
                    k.layers.Masking(),
                    k.layers.Dense(3, activation="softmax"),
                ]
            )
            return compiled(
                model,
                loss="sparse_categorical_crossentropy",
                metrics=["accuracy"],
                weighted_metrics=["accuracy"],
            )

        check_fit(make, x, RNG.integers(0, 3, (12, 6)), batch_size=5)
