"""Random numbers in a traced `call`: drawn anew in each run, Keras's own numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minikeras
from minikeras import layers, micro_batch, ops, random
from parity_tests.model_twins import check_fit, compiled
from parity_tests.oracle import keras
from parity_tests.tolerance import assert_equal

RNG = np.random.default_rng(8)
X = RNG.random((12, 6))
DTYPES = pytest.mark.parametrize("dtype", ["float32", "float64"])
RUN = {"batch_size": 5, "epochs": 2, "validation_split": 0.25}


def layer_with(k: Any, call: Any, seed: int = 1337, **options: Any) -> Any:
    """A layer whose `call(k, self, inputs)` draws from `self.seed_generator`."""

    class Own(k.layers.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.seed_generator = k.random.SeedGenerator(seed)

        def call(self, inputs):
            return call(k, self, inputs)

    return Own(**options)


def sampling(k, self, inputs):
    """As in Keras's examples."""
    z_mean, z_log_var = inputs
    batch = k.ops.shape(z_mean)[0]
    dim = k.ops.shape(z_mean)[1]
    epsilon = k.random.normal(shape=(batch, dim), seed=self.seed_generator)
    return z_mean + k.ops.exp(0.5 * z_log_var) * epsilon


# --- A variational autoencoder --------------------------------------------------------


def functional_vae(k):
    x = k.Input((6,))
    h = k.layers.Dense(5, activation="relu")(x)
    mean, log_var = k.layers.Dense(2)(h), k.layers.Dense(2)(h)

    def divergence(k, self, inputs):
        mean, log_var = inputs
        kl = -0.5 * (1 + log_var - k.ops.square(mean) - k.ops.exp(log_var))
        self.add_loss(k.ops.mean(k.ops.sum(kl, axis=1)))
        return sampling(k, self, inputs)

    z = layer_with(k, divergence)([mean, log_var])
    h = k.layers.Dense(5, activation="relu")(z)
    y = k.layers.Dense(6, activation="sigmoid")(h)
    return compiled(k.Model(x, y), "adam", loss="binary_crossentropy")


def subclassed_vae(k):
    class VAE(k.Model):
        def __init__(self):
            super().__init__()
            self.hidden = k.layers.Dense(5, activation="relu")
            self.mean, self.log_var = k.layers.Dense(2), k.layers.Dense(2)
            self.decoder = k.layers.Dense(6)
            self.seed_generator = k.random.SeedGenerator(1337)

        def call(self, x):
            h = self.hidden(x)
            mean, log_var = self.mean(h), self.log_var(h)
            z = sampling(k, self, [mean, log_var])
            y = self.decoder(z)
            self.add_loss(k.ops.mean(k.losses.mean_squared_error(x, y)))
            kl = 1 + log_var - k.ops.square(mean) - k.ops.exp(log_var)
            self.add_loss(-0.05 * k.ops.mean(k.ops.sum(kl, axis=-1)))
            return y

    model = VAE()
    model(np.zeros((2, 6), "float32"))
    return compiled(model, "adam", loss=None)


@DTYPES
@pytest.mark.parametrize("make", [functional_vae, subclassed_vae])
def test_a_variational_autoencoder(make, dtype):
    check_fit(make, X, X, dtype=dtype, **RUN)


def test_compiled():
    check_fit(functional_vae, X, X, eager=False, **RUN)


# --- Every function -------------------------------------------------------------------


def normal(k, self, x):
    noise = k.random.normal(k.ops.shape(x), 1.0, 2.0, seed=self.seed_generator)
    return x * noise


def uniform(k, self, x):
    size = (k.ops.shape(x)[0], 1)
    return x * k.random.uniform(size, 0.5, 1.5, seed=self.seed_generator)


def truncated_normal(k, self, x):
    size = k.ops.shape(x)
    return x + k.random.truncated_normal(size, seed=self.seed_generator)


def dropout(k, self, x):
    return k.random.dropout(x, 0.4, seed=self.seed_generator)


def randint(k, self, x):
    size = k.ops.shape(x)
    signs = k.random.randint(size, 0, 2, seed=self.seed_generator)
    return x * (2 * k.ops.cast(signs, x.dtype) - 1)


def shuffle(k, self, x):
    return k.random.shuffle(x, axis=1, seed=self.seed_generator)


def categorical(k, self, x):
    classes = k.random.categorical(x, 6, seed=self.seed_generator)
    return x * k.ops.cast(classes, x.dtype)


def of_learnt_parameters(k, self, x):
    noise = k.random.normal(
        k.ops.shape(x), mean=x, stddev=k.ops.exp(x), seed=self.seed_generator
    )
    return noise + k.random.uniform(
        k.ops.shape(x), maxval=x * x + 1, seed=self.seed_generator
    )


def several(k, self, x):
    """The deeper is drawn first, whatever a graph would rather."""
    first = k.random.normal(k.ops.shape(x), seed=self.seed_generator)
    second = k.random.uniform(k.ops.shape(x), seed=self.seed_generator)
    return second * k.ops.tanh(k.ops.exp(-k.ops.abs(x + k.ops.sin(first))))


def shared_by_all_examples(k, self, x):
    return x * k.random.normal((6,), seed=self.seed_generator)


def of_the_global_generator(k, self, x):
    return x * k.random.normal(k.ops.shape(x))


DRAWS = (normal, uniform, truncated_normal, dropout, randint, shuffle,
         categorical, of_learnt_parameters, several, shared_by_all_examples,
         of_the_global_generator)  # fmt: skip


@DTYPES
@pytest.mark.parametrize("draw", DRAWS, ids=lambda f: f.__name__)
def test_draws(draw, dtype):
    def make(k):
        x = k.Input((6,))
        h = layer_with(k, draw)(k.layers.Dense(6, activation="tanh")(x))
        return compiled(k.Model(x, k.layers.Dense(2)(h)), loss="mse")

    check_fit(make, X, X[:, :2], dtype=dtype, **RUN)


def test_in_a_loss():
    def make(k):
        generator = k.random.SeedGenerator(3)

        def noisy(y_true, y_pred):
            noise = k.random.normal(k.ops.shape(y_pred), seed=generator)
            return k.ops.mean(k.ops.square(y_true - y_pred - noise), axis=-1)

        x = k.Input((6,))
        return compiled(k.Model(x, k.layers.Dense(2)(x)), loss=noisy)

    check_fit(make, X, X[:, :2], batch_size=5, epochs=2)


# --- When, and how often --------------------------------------------------------------


def test_generators_move_on_with_each_call_alone():
    states = []
    for k in (minikeras, keras):
        layer = layer_with(k, normal)
        x = k.Input((6,))
        y = layer(k.layers.Dense(6)(x))  # tracing draws nothing
        model = k.Model(x, y)
        states.append([np.array(layer.seed_generator.state)])
        model.compile("sgd", "mse")
        model.predict(X, batch_size=5, verbose=0)
        states[-1].append(np.array(layer.seed_generator.state))
        model.fit(X, X, batch_size=5, verbose=0)
        layer(X.astype("float32"))
        states[-1].append(np.array(layer.seed_generator.state))
    for ours, theirs in zip(*states, strict=True):
        assert_equal(ours, theirs)


def test_a_pair_taken_from_a_generator():
    """Keras does not take it; here the generator moves on in each run all the same."""

    def of_a_pair(k, self, x):
        return x + random.normal(ops.shape(x), seed=self.seed_generator.next())

    def directly(k, self, x):
        return x + random.normal(ops.shape(x), seed=self.seed_generator)

    found = []
    for call in (of_a_pair, directly):
        layer = layer_with(minikeras, call)
        model = minikeras.Sequential([minikeras.Input((6,)), layer])
        found.append([model.predict(X, verbose=0) for _ in range(2)])
    assert_equal(found[0][0], found[1][0])
    assert_equal(found[0][1], found[1][1])


def test_a_part_of_a_batch_gets_its_slice():
    layer = layer_with(minikeras, normal)
    x = X.astype("float32")
    model = minikeras.Sequential([minikeras.Input((6,)), layer])
    graph = model._functional._graph
    whole = graph.forward([x])[0][0]
    layer.seed_generator.state.assign([1337, 0])
    draws = micro_batch.Draws()
    parts = []
    for start, stop in ((0, 5), (5, 12)):
        with micro_batch.computing(micro_batch.MicroBatch(start, stop, 12, draws)):
            parts.append(graph.forward([x[start:stop]])[0][0])
    assert_equal(np.concatenate(parts), whole)


class Noisy(layers.Layer):
    """Adds noise that it draws in `call`."""

    def call(self, x):
        return x + random.normal((4,), seed=7)


def test_a_fixed_seed_is_a_constant():
    model = minikeras.Sequential([minikeras.Input((4,)), Noisy()])
    x = np.zeros((2, 4), "float32")
    noise = random.normal((4,), seed=7)
    assert_equal(model.predict(x, verbose=0), np.stack([noise, noise]))


def test_a_shape_that_is_not_known_is_refused():
    def unknown(k, self, x):
        return x + random.normal((ops.cast(ops.sum(x), "int32"), 6))

    with pytest.raises(ValueError, match=r"entries of `keras\.ops\.shape"):
        minikeras.Sequential([minikeras.Input((6,)), layer_with(minikeras, unknown)])


def test_weights_of_layers_inside_are_drawn_as_ever():
    class Block(layers.Layer):
        def __init__(self):
            super().__init__()
            self.dense, self.dropout = layers.Dense(3), layers.Dropout(0.5)

        def call(self, x):
            return self.dropout(self.dense(x))

    model = minikeras.Sequential([minikeras.Input((4,)), Block()])
    assert np.any(model.get_weights()[0])


SLIPS = {
    "None": lambda x: ops.reshape(x, (x.shape[0] * 2, 3)),
    "range": lambda x: sum(x[i] for i in range(ops.shape(x)[0])),
    "if": lambda x: x if ops.shape(x)[0] > 3 else -x,
    "int": lambda x: x * int(ops.shape(x)[0]),
    "slice": lambda x: x[: ops.shape(x)[0] // 2],
}


@pytest.mark.parametrize("slip", SLIPS)
def test_unknown_sizes_as_numbers_of_python(slip):
    def call(k, self, x):
        return SLIPS[slip](x)

    with pytest.raises(TypeError, match=r"`keras\.ops\.shape\(x\)` gives symbolic"):
        minikeras.Sequential([minikeras.Input((6,)), layer_with(minikeras, call)])


@pytest.mark.parametrize("use", [ops.reshape, lambda x, s: x + random.normal(s)])
def test_unknown_sizes_in_shapes(use):
    def call(k, self, x):
        return use(x, (x.shape[0], 6))

    with pytest.raises(ValueError, match=r"`keras\.ops\.shape\(x\)` in the place"):
        minikeras.Sequential([minikeras.Input((6,)), layer_with(minikeras, call)])


# --- Sizes that are known only when the graph runs ------------------------------------


def reshape_to_rows(k, self, x):
    """Across the batch axis and back."""
    batch = k.ops.shape(x)[0]
    pieces = k.ops.tanh(k.ops.reshape(x, (-1, 3)))  # (2 N, 3)
    middle = pieces - k.ops.mean(pieces, axis=0)
    return k.ops.reshape(middle, (batch, 6))


def reshape_by_arithmetic(k, self, x):
    batch, width = k.ops.shape(x)
    split = k.ops.reshape(x, (batch * 2, width // 2))
    return k.ops.reshape(split[:, ::-1], [batch, 6])


def filled(k, self, x):
    batch = k.ops.shape(x)[0]
    one = k.ops.ones((batch, 1)) + k.ops.zeros([batch, 6])
    places = k.ops.cast(k.ops.arange(batch), x.dtype)
    return x * one + k.ops.full((batch, 1), 2.0) + k.ops.expand_dims(places, 1)


def repeated(k, self, x):
    batch = k.ops.shape(x)[0]
    start = k.ops.broadcast_to(x[:1], (batch, 6))
    return start + k.ops.tile(k.ops.ones((1, 6)), [batch, 1]) * x


def divided(k, self, x):
    batch = k.ops.cast(k.ops.shape(x)[0], x.dtype)
    return x / batch + k.ops.sum(x) / k.ops.cast(k.ops.size(x), x.dtype)


SIZED = (reshape_to_rows, reshape_by_arithmetic, filled, repeated, divided)


@DTYPES
@pytest.mark.parametrize("sized", SIZED, ids=lambda f: f.__name__)
def test_sizes(sized, dtype):
    def make(k):
        x = k.Input((6,))
        h = layer_with(k, sized)(k.layers.Dense(6)(x))
        return compiled(k.Model(x, k.layers.Dense(2)(h)), loss="mse")

    check_fit(make, X, X[:, :2], dtype=dtype, **RUN)
