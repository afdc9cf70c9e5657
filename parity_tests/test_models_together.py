"""Models that share parts, layers with several arguments, data by name."""

from __future__ import annotations

from typing import Any

import numpy as np

import minikeras
from parity_tests.functions import default_dtype
from parity_tests.model_twins import (
    PerLibrary,
    check_fit,
    compare_gradients,
    compare_numbers,
    compare_variables,
    compiled,
    pair,
)
from parity_tests.oracle import keras
from parity_tests.tolerance import assert_equal

RNG = np.random.default_rng(12)
X, Y = RNG.standard_normal((12, 4)), RNG.standard_normal((12, 2))
ONES = np.ones((12, 1))


class TestSharedParts:
    def test_two_players(self):
        """A generator against a discriminator, frozen by turns."""

        def make(k):
            discriminator = k.Sequential(
                [
                    k.Input((2,)),
                    k.layers.Dense(4, activation="tanh"),
                    k.layers.Dense(1, activation="sigmoid"),
                ],
                name="discriminator",
            )
            generator = k.Sequential([k.Input((4,)), k.layers.Dense(2)])
            z = k.Input((4,))
            return k.Model(z, discriminator(generator(z)))

        with default_dtype("float64"):
            twins = pair(make)
            for model in twins[:2]:
                other = model.get_layer("discriminator")
                for one in (model, other):
                    one.compile("adam", "binary_crossentropy", run_eagerly=True)
                for _ in range(3):
                    other.trainable = True
                    other.train_on_batch(Y, ONES)
                    other.trainable = False
                    model.train_on_batch(X, 1 - ONES)
            compare_variables(twins)
            discriminators = [m.get_layer("discriminator") for m in twins[:2]]
            states = [
                [np.asarray(v.numpy()) for v in d.optimizer.variables]
                for d in discriminators
            ]
            compare_numbers(*states, steps=10)

    def test_an_encoder_in_two_models(self):
        """Training one changes the other."""

        def make(k):
            x = k.Input((4,))
            code = k.layers.Dense(2, activation="tanh", name="code")(x)
            encoder = k.Model(x, code)
            model = compiled(k.Model(x, k.layers.Dense(4)(code)), "adam", loss="mse")
            model.encoder = encoder
            return model

        twins = check_fit(make, X, X, batch_size=5, epochs=2)
        with default_dtype("float64"):
            ours, theirs = twins.ours.encoder(X), twins.theirs.encoder(X)
            compare_numbers(ours, np.asarray(theirs), steps=10)

    def test_a_pretrained_part_with_a_new_head(self):
        def make(k):
            base = k.Sequential(
                [k.Input((4,)), k.layers.Dense(3, activation="tanh"), k.layers.Dense(3)]
            )
            compiled(base, "adam", loss="mse").fit(X, X[:, :3], verbose=0)
            base.trainable = False
            x = k.Input((4,))
            return compiled(k.Model(x, k.layers.Dense(2)(base(x))), loss="mse")

        twins = check_fit(make, X, Y, batch_size=5, epochs=2)
        assert len(twins.ours.trainable_weights) == 2

    def test_one_embedding_for_two_inputs(self):
        ids = [RNG.integers(0, 6, (12, 5)), RNG.integers(0, 6, (12, 3))]

        def make(k):
            a, b = k.Input((5,), dtype="int32"), k.Input((3,), dtype="int32")
            embedding = k.layers.Embedding(6, 3, mask_zero=True)
            lstm = k.layers.LSTM(4)
            both = lstm(embedding(a)) * lstm(embedding(b))
            return compiled(k.Model([a, b], k.layers.Dense(2)(both)), loss="mse")

        check_fit(make, ids, Y, batch_size=5, epochs=2)


def mixing(k: Any) -> Any:
    """A layer of two arguments and two results, in either library."""

    class Mixing(k.layers.Layer):
        def build(self, a_shape, b_shape):
            self.w = self.add_weight(shape=a_shape[-1:], initializer="ones", name="w")

        if k is keras:

            def call(self, a, b):
                return a * self.w + b * b, a - b
        else:

            def forward(self, a, b):
                return (a * self.w.value + b * b, a - b), (a, b)

            def backward(self, dy, residuals, grads):
                (dsum, ddifference), (a, b) = dy, residuals
                if dsum is None:
                    return ddifference, -ddifference
                grads.add(self.w, (dsum * a).sum(axis=0))
                da, db = dsum * self.w.value, dsum * 2 * b
                if ddifference is None:
                    return da, db
                return da + ddifference, db - ddifference

    return Mixing()


class TestSeveralArguments:
    def test_both_results_used(self):
        def make(k):
            x = k.Input((4,))
            y, z = mixing(k)(k.layers.Dense(2)(x), k.layers.Dense(2)(x))
            return compiled(k.Model(x, y + k.layers.Dense(2)(z)), loss="mse")

        check_fit(make, X, Y, batch_size=5)

    def test_one_result_used(self):
        for which in (0, 1):

            def make(k, which=which):
                x = k.Input((4,))
                both = mixing(k)(k.layers.Dense(2)(x), b=k.layers.Dense(2)(x))
                return compiled(k.Model(x, both[which]), loss="mse")

            with default_dtype("float64"):
                compare_gradients(pair(make), X, Y)

    def test_an_optional_input(self):
        def make(k):
            a, b = k.Input((4,)), k.Input((3,), optional=True)

            class Optional(k.layers.Layer):
                if k is keras:

                    def call(self, x, y=None):
                        return x if y is None else x + y[:, :1]
                else:

                    def forward(self, x, y=None):
                        return (x if y is None else x + y[:, :1]), None

            return k.Model([a, b], k.layers.Dense(2)(Optional()(a, b)))

        with default_dtype("float64"):
            twins = pair(make)
            for second in (None, X[:, :3]):
                expected = np.asarray(twins.theirs([X, second]))
                compare_numbers(twins.ours([X, second]), expected)


def by_name(k: Any) -> Any:
    a, b = k.Input((4,), name="a"), k.Input((2,), name="b")
    hidden = k.layers.Dense(3, activation="tanh")(a)
    model = k.Model({"a": a, "b": b}, {"o": k.layers.Dense(2, name="o")(hidden) * b})
    return compiled(model, loss={"o": "mse"}, metrics={"o": ["mae"]})


class TestDataByName:
    def test_generator(self):
        def batches(_):
            while True:
                for i in range(0, 12, 4):
                    part = slice(i, i + 4)
                    yield {"a": X[part], "b": Y[part]}, {"o": Y[part]}

        check_fit(
            by_name, PerLibrary(batches), steps_per_epoch=3, epochs=2, shuffle=False
        )

    def test_py_dataset(self):
        def make(k):
            class Batches(k.utils.PyDataset):
                def __len__(self):
                    return 3

                def __getitem__(self, i):
                    part = slice(4 * i, 4 * i + 4)
                    x = {"a": X[part], "b": Y[part]}
                    return x, {"o": Y[part]}, np.arange(4.0)

            return Batches()

        check_fit(by_name, PerLibrary(make), epochs=2)

    def test_arrays(self):
        check_fit(
            by_name,
            {"b": Y, "a": X},
            {"o": Y},
            sample_weight={"o": np.arange(12.0)},
            validation_split=0.25,
            batch_size=5,
        )

    def test_names_do_not_depend_on_order(self):
        model = by_name(minikeras)
        one = model.predict({"a": X, "b": Y}, verbose=0)["o"]
        other = model.predict({"b": Y, "a": X}, verbose=0)["o"]
        assert_equal(one, other)
