"""Attention, AdditiveAttention and MultiHeadAttention: masks, dropout, heads, files."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minikeras
from minikeras import layers, models
from minikeras.ops.attention import (
    combined_mask,
    masked_softmax,
    masked_softmax_grad,
    tanh_scores,
)
from parity_tests import oracle, runner
from parity_tests.harness import check_layer, default_dtype
from parity_tests.oracle import keras
from parity_tests.recurrent_cells import sequences
from parity_tests.strategies import Values, dtypes, masks, seeds, sizes
from parity_tests.tolerance import (
    assert_close,
    assert_equal,
    assert_trajectory_close,
)
from parity_tests.twins import check, check_same_error

DTYPES = pytest.mark.parametrize("dtype", ["float32", "float64"])
ATTENTIONS = [
    ("Attention", {}),
    ("Attention", {"use_scale": True}),
    ("Attention", {"score_mode": "concat"}),
    ("Attention", {"score_mode": "concat", "use_scale": True}),
    ("AdditiveAttention", {}),
    ("AdditiveAttention", {"use_scale": False}),
]
HEADS = [
    {},
    {"value_dim": 2},
    {"use_bias": False},
    {"output_shape": (2, 3)},
    {"output_shape": 5},
    {"use_gate": True},
    {"sliding_window": 2},
]
WHICH = pytest.mark.parametrize("name, config", ATTENTIONS)


def small(*shape: int, seed: int = 0) -> np.ndarray:
    """Numbers for which no softmax saturates: its gradient would be rounding."""
    return sequences(*shape, seed=seed) * np.float32(0.5)


def booleans(*shape: int, seed: int = 0) -> np.ndarray:
    """About half of them True, and one whole row False."""
    mask = np.random.default_rng(seed).random(shape) < 0.6
    mask.reshape(-1, shape[-1])[0] = False
    return mask


def compare_with_scores(
    name: str, config: dict[str, Any], inputs: Any, dtype: str, **options: Any
) -> None:
    """As `check`, where scores are returned: their gradient cancels for what all of a
    row have in common, and their masks are Keras's own business."""
    inputs, options = runner.cast((inputs, options), dtype)
    mask = options.pop("mask", None)
    training = options.pop("training", False)
    options["return_attention_scores"] = True
    with default_dtype(dtype):
        ours = getattr(layers, name)(**config)
        theirs = getattr(keras.layers, name)(**config)
        ours(inputs, **options)
        oracle.run_layer(theirs, inputs, call_kwargs=options)
        theirs.set_weights(ours.get_weights())
        rng = np.random.default_rng(1)
        dy = [None, None]

        def draw(y: Any) -> Any:
            dy[:] = runner.random_like(list(y), rng)
            return tuple(dy)

        found = {} if mask is None else {"mask": mask}
        reference = oracle.run_layer(
            theirs, inputs, dy=draw, training=training, call_kwargs=options, **found
        )
        run = runner.Run(*ours.forward(inputs, training=training, **options, **found))
        run = runner.backward(ours, run, tuple(dy), options)
    actual = runner.by_name("y", run.y) | runner.by_name("dx", run.dx)
    expected = runner.by_name("y", reference.y) | runner.by_name("dx", reference.dx)
    for key in reference.dkwargs:
        actual |= runner.by_name(key, run.dkwargs.get(key))
        expected |= runner.by_name(key, reference.dkwargs[key])
    for variable, gradient in zip(
        ours.trainable_weights, reference.dweights, strict=True
    ):
        actual[variable.path] = run.grads[variable]
        expected[variable.path] = gradient
    assert_equal(sorted(actual), sorted(expected))
    scale = max(float(np.abs(a).max()) for a in expected.values())
    for key, array in expected.items():
        assert_close(actual[key], array, name=key, k=64, scale=scale)


class TestAttention:
    @DTYPES
    @WHICH
    def test_equals_keras(self, dtype, name, config):
        inputs = [small(2, 3, 4), small(2, 5, 6, seed=1), small(2, 5, 4, seed=2)]
        mask = [booleans(2, 3), booleans(2, 5, seed=1), None]
        check(name, config, inputs, dtype=dtype)
        options = {"dtype": dtype, "mask": mask, "train_steps": 1}
        check(name, config, inputs, numeric=False, **options)

    @DTYPES
    @WHICH
    def test_value_as_key_and_causal(self, dtype, name, config):
        inputs = [small(2, 3, 4), small(2, 5, 4, seed=1)]
        kwargs = {"use_causal_mask": True}
        mask = [None, booleans(2, 5)]
        options = {"dtype": dtype, "call_kwargs": kwargs, "train_steps": 1}
        check(name, config, inputs, **options)
        # Where all is masked, the scores are near -1e9: rounded to 1e-7 in float64.
        check(name, config, inputs, mask=mask, numeric=False, **options)

    @DTYPES
    @WHICH
    def test_returned_scores(self, dtype, name, config):
        inputs = [small(2, 3, 4), small(2, 5, 6, seed=1), small(2, 5, 4, seed=2)]
        mask = [booleans(2, 3), booleans(2, 5, seed=1), None]
        for options in ({}, {"mask": mask}, {"mask": mask, "use_causal_mask": True}):
            compare_with_scores(name, config, inputs, dtype, **options)

    @DTYPES
    @pytest.mark.parametrize("name", ["Attention", "AdditiveAttention"])
    @pytest.mark.parametrize("rate", [0.4, 1.0])
    def test_dropout(self, dtype, name, rate):
        inputs = [small(2, 3, 4), small(2, 5, 4, seed=1)]
        config = {"dropout": rate, "seed": 3}
        options = {"dtype": dtype, "training": True}
        check(name, config, inputs, train_steps=int(rate < 1), **options)
        if rate < 1:
            compare_with_scores(name, config, inputs, dtype, training=True)

    @pytest.mark.filterwarnings("ignore:You are using a softmax over axis")
    @given(
        which=st.sampled_from([ATTENTIONS[i] for i in (0, 4, 5)]),
        shape=st.tuples(*[sizes(1, 4)] * 4),
        dtype=dtypes(),
        seed=seeds(),
        data=st.data(),
    )
    def test_drawn_shapes(self, which, shape, dtype, seed, data):
        """Without weights of one number: their gradient may cancel by chance."""
        n, queries, keys, features = shape
        inputs = [
            Values((n, queries, features), seed, 0.7),
            Values((n, keys, 2), seed // 2, 1.0),
            Values((n, keys, features), seed // 3, 0.7),
        ]
        mask = None
        if data.draw(st.booleans()):
            parts = [data.draw(masks(n, length)) for length in (queries, keys)]
            mask = [*parts, None]
        options = {"mask": mask, "seed": seed, "train_steps": 1}
        options["numeric"] = mask is None
        check(*which, inputs, dtype=dtype, **options)


class TestMultiHeadAttention:
    @DTYPES
    @pytest.mark.parametrize("config", HEADS, ids=str)
    def test_equals_keras(self, dtype, config):
        config = {"num_heads": 2, "key_dim": 3, **config}
        kwargs = {"value": small(2, 5, 6, seed=1)}
        x, options = small(2, 3, 4), {"dtype": dtype, "train_steps": 1}
        check("MultiHeadAttention", config, x, call_kwargs=kwargs, **options)
        kwargs["key"] = small(2, 5, 4, seed=2)
        kwargs["attention_mask"] = booleans(2, 3, 5)
        check("MultiHeadAttention", config, x, call_kwargs=kwargs, **options)

    @DTYPES
    @pytest.mark.parametrize("masked", [False, True])
    def test_causal(self, dtype, masked):
        kwargs: dict[str, Any] = {"value": small(2, 4, 3), "use_causal_mask": True}
        if masked:
            kwargs |= {"value_mask": booleans(2, 4), "key_mask": booleans(2, 4, seed=1)}
            kwargs["key"] = small(2, 4, 2, seed=1)
        config = {"num_heads": 2, "key_dim": 3, "sliding_window": 2 if masked else None}
        options = {"dtype": dtype, "call_kwargs": kwargs, "train_steps": 1}
        check("MultiHeadAttention", config, small(2, 3, 4, seed=3), **options)

    @DTYPES
    @pytest.mark.parametrize("config", HEADS, ids=str)
    def test_returned_scores(self, dtype, config):
        config = {"num_heads": 2, "key_dim": 3, **config}
        kwargs = {"value": small(2, 5, 6, seed=1)}
        x = small(2, 3, 4)
        compare_with_scores("MultiHeadAttention", config, x, dtype, **kwargs)
        kwargs |= {"attention_mask": booleans(2, 3, 5), "use_causal_mask": True}
        compare_with_scores("MultiHeadAttention", config, x, dtype, **kwargs)

    @DTYPES
    def test_dropout(self, dtype):
        config = {"num_heads": 2, "key_dim": 3, "dropout": 0.3, "seed": 2}
        x, kwargs = small(2, 3, 4), {"value": small(2, 5, 6, seed=1)}
        options = {"dtype": dtype, "training": True, "train_steps": 1}
        check("MultiHeadAttention", config, x, call_kwargs=kwargs, **options)
        kwargs["attention_mask"] = booleans(2, 3, 5)
        check("MultiHeadAttention", config, x, call_kwargs=kwargs, **options)
        options = {"training": True, **kwargs}
        compare_with_scores("MultiHeadAttention", config, x, dtype, **options)

    @DTYPES
    @pytest.mark.parametrize("axes", [None, (2,), (1,), (-2,), (1, 2)])
    @pytest.mark.parametrize("masked", [False, True])
    def test_attention_axes(self, dtype, axes, masked):
        x = small(2, 2, 3, 4)
        kwargs = {"value": small(2, 2, 3, 5, seed=1)}
        if masked:
            shape = (2, 2, 3, 2, 3) if axes in (None, (1, 2)) else (3, 3)
            shape = (2, 2) if axes == (1,) else shape
            kwargs["attention_mask"] = booleans(*shape)
        config = {"num_heads": 2, "key_dim": 3, "attention_axes": axes}
        options = {"dtype": dtype, "call_kwargs": kwargs, "train_steps": 1}
        check("MultiHeadAttention", config, x, **options)

    @DTYPES
    def test_penalties_and_constraints(self, dtype):
        config = {
            "num_heads": 2,
            "key_dim": 3,
            "kernel_regularizer": "l2",
            "bias_regularizer": "l1",
            "kernel_constraint": "max_norm",
            "bias_constraint": "non_neg",
            "kernel_initializer": "he_normal",
        }
        kwargs = {"value": small(2, 5, 6, seed=1)}
        x = small(2, 3, 4)
        check("MultiHeadAttention", config, x, dtype=dtype, call_kwargs=kwargs)

    @pytest.mark.filterwarnings("ignore:You are using a softmax over axis")
    @given(
        shape=st.tuples(*[sizes(1, 4)] * 4),
        features=st.tuples(sizes(2, 4), sizes(2, 4)),
        dtype=dtypes(),
        seed=seeds(),
    )
    def test_drawn_shapes(self, shape, features, dtype, seed):
        """Not with one feature per head: Keras adds that bias along another axis."""
        n, queries, keys, heads = shape
        config = {"num_heads": heads, "key_dim": features[0], "value_dim": features[1]}
        kwargs = {"value": Values((n, keys, 3), seed // 2, 0.5)}
        x = Values((n, queries, 2), seed, 0.5)
        options = {"call_kwargs": kwargs, "train_steps": 0, "numeric": False}
        check("MultiHeadAttention", config, x, dtype=dtype, seed=seed, **options)

    def test_arguments_by_name_in_any_order(self):
        """Gradients go where they belong however the call was written."""
        q, v, k = small(2, 3, 4), small(2, 5, 6, seed=1), small(2, 5, 4, seed=2)

        def make(module: Any, make_model: Any) -> Any:
            a, b, c = (module.Input(x.shape[1:]) for x in (q, v, k))
            y = module.MultiHeadAttention(2, 3)(key=c, value=b, query=a)
            return make_model([a, b, c], y)

        check_layer(
            lambda: make(layers, models.Model),
            lambda: make(keras.layers, keras.Model),
            [q, v, k],
            dtype="float64",
            config=False,
            empty_batch=False,
            train_steps=1,
            name="MultiHeadAttention by name",
        )

    @pytest.mark.parametrize("extra", [{}, {"dropout": 0.2}, {"use_gate": True}])
    def test_initial_weights_and_draws_from_the_seed(self, extra):
        found = []
        for library in (minikeras, keras):
            library.utils.clear_session()
            library.utils.set_random_seed(5)
            k = library.layers
            layer = k.MultiHeadAttention(2, 3, **extra)
            other = k.MultiHeadAttention(2, 3, kernel_initializer="he_normal")
            for each in (layer, other):
                each.build((2, 3, 4), (2, 5, 6))
            after = k.Dense(2)
            after.build((None, 3))
            names = [layer.name, k.Softmax().name, k.Dropout(0.1).name]
            parts = (layer, other, after)
            arrays = [np.asarray(v.numpy()) for p in parts for v in p.variables]
            paths = [v.path for part in parts for v in part.variables]
            found.append((arrays, paths, names))
        (ours, *rest), (theirs, *expected) = found
        assert_equal(rest, expected)
        for a, b in zip(ours, theirs, strict=True):
            assert_equal(a, b)


def transformer(module: Any, **options: Any) -> Any:
    """Keras's example of text classification with a transformer block, smaller."""
    k = module.layers
    words = k.Input((5,), dtype="int32")
    x = k.Embedding(7, 4, mask_zero=True)(words)
    attended = k.MultiHeadAttention(2, 3, **options)(x, x)
    x = k.LayerNormalization(epsilon=1e-6)(k.Add()([x, attended]))
    hidden = k.Dense(4)(k.Dense(6, activation="relu")(x))
    x = k.LayerNormalization()(k.Add()([x, k.Dropout(0.1, seed=1)(hidden)]))
    return module.Model(words, k.Dense(1)(k.GRU(3)(x)))


def translator(module: Any, attend: Any) -> Any:
    """A decoder that looks at its encoder, both masked."""
    k = module.layers
    source, target = k.Input((4,), dtype="int32"), k.Input((3,), dtype="int32")
    embedding = k.Embedding(6, 4, mask_zero=True)
    encoded = k.GRU(4, return_sequences=True)(embedding(source))
    decoded = k.GRU(4, return_sequences=True)(embedding(target))
    return module.Model([source, target], k.LSTM(2)(attend(k, decoded, encoded)))


def one_head(module: Any) -> Any:
    return translator(module, lambda k, q, v: k.Attention(use_scale=True)([q, v]))


def many_heads(module: Any) -> Any:
    def attend(k: Any, q: Any, v: Any) -> Any:
        seen = k.MultiHeadAttention(2, 2)(q, v, use_causal_mask=True)
        return k.Add()([q, seen])

    return translator(module, attend)


WORDS = np.array([[1, 2, 0, 0, 0], [3, 0, 4, 5, 6], [1, 1, 2, 3, 4]], "int32")
OTHERS = np.array([[1, 2, 0], [3, 4, 5], [5, 1, 0]], "int32")
PAIR = [WORDS[:, :4] % 6, OTHERS]
MODELS = pytest.mark.parametrize(
    "make, x",
    [(transformer, WORDS), (one_head, PAIR), (many_heads, PAIR)],
    ids=["transformer", "one_head", "many_heads"],
)


class TestModels:
    @DTYPES
    @MODELS
    def test_masks_from_an_embedding(self, dtype, make, x):
        check_layer(
            lambda: make(minikeras),
            lambda: make(keras),
            x,
            dtype=dtype,
            config=False,
            empty_batch=False,
            train_steps=1,
            numeric=False,
            name=f"{make.__name__} with attention",
        )

    @MODELS
    @pytest.mark.parametrize("suffix", [".keras", ".weights.h5"])
    def test_files_travel_both_ways(self, tmp_path, make, x, suffix):
        for writer, reader in ((keras, minikeras), (minikeras, keras)):
            model = make(writer)
            path = tmp_path / f"{writer.__name__}{suffix}"
            if suffix == ".weights.h5":
                model.save_weights(path)
                again = make(reader)
                again.load_weights(path)
            else:
                model.save(path)
                again = reader.models.load_model(path)
            expected = model.predict(x, verbose=0)
            assert_close(again.predict(x, verbose=0), expected, k=64)

    @DTYPES
    def test_fit_from_nothing_but_the_seed(self, dtype):
        """Weights, order of examples and all dropout masks."""

        def fit(module: Any) -> dict[str, np.ndarray]:
            module.utils.set_random_seed(3)
            # Without biases: the keys' has no effect, its gradient is rounding.
            model = transformer(module, dropout=0.2, use_bias=False)
            model.compile("adam", "mse")
            x = np.random.default_rng(0).integers(0, 7, (30, 5))
            y = (x.sum(axis=1, keepdims=True) > 14).astype(dtype)
            options = {"epochs": 2, "batch_size": 8, "verbose": 0}
            history = model.fit(x, y, **options).history["loss"]
            found = {f"weight {i}": w for i, w in enumerate(model.get_weights())}
            return found | {"loss": np.array(history, dtype)}

        with default_dtype(dtype):
            ours, theirs = fit(minikeras), fit(keras)
        for name, actual in ours.items():
            assert_trajectory_close(actual, theirs[name], steps=8, name=name)

    @DTYPES
    def test_penalties_of_the_dense_layers_inside(self, dtype):
        def fit(module: Any) -> Any:
            x = module.layers.Input((3, 4))
            layer = module.layers.MultiHeadAttention(2, 3, activity_regularizer="l2")
            y = module.layers.Flatten()(layer(x, x))
            model = module.Model(x, module.layers.Dense(1)(y))
            model.compile(module.optimizers.SGD(0.1), "mse")
            return model

        x, y = small(6, 3, 4), small(6, 1, seed=1)
        with default_dtype(dtype):
            ours, theirs = fit(minikeras), fit(keras)
            theirs.set_weights(ours.get_weights())
            options = {"batch_size": 4, "epochs": 2, "shuffle": False, "verbose": 0}
            losses = [m.fit(x, y, **options).history["loss"] for m in (ours, theirs)]
        mine, their = (np.array(h, dtype) for h in losses)
        assert_trajectory_close(mine, their, steps=4, name="loss")
        for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
            assert_trajectory_close(a, b, steps=4, name="weight")


class TestOps:
    def test_softmax_by_hand(self):
        """Scores log 1, log 3: weights 1/4, 3/4; a row masked everywhere."""
        scores = np.log([[1.0, 3.0, 9.0], [1.0, 1.0, 1.0]])
        mask = np.array([[True, True, False], [False, False, False]])
        weights, kept = masked_softmax(scores, mask, zeroed=True)
        assert_close(weights, np.array([[0.25, 0.75, 0.0], [0.0, 0.0, 0.0]]))
        dweights = np.array([[1.0, 0.0, 5.0], [1.0, 2.0, 3.0]])
        d = 0.25 * 0.75
        expected = np.array([[d, -d, 0.0], [0.0, 0.0, 0.0]])
        assert_close(masked_softmax_grad(dweights, kept), expected)
        assert_close(masked_softmax(scores, mask)[0][1], np.full(3, 1 / 3))

    def test_scores_by_hand(self):
        half = np.arctanh(0.5)
        query, key = np.array([[half, 1.0]]), np.array([[0.0, -1.0]])
        assert_close(tanh_scores(query, key)[0], np.array([[0.5]]))
        assert_close(
            tanh_scores(query, key, np.array([4.0, 7.0]))[0], np.array([[2.0]])
        )

    def test_masks(self):
        assert_equal(combined_mask((2, 3)), None)
        found = combined_mask((2, 3), query=[[1, 0]], key=[[1, 1, 0]], window=1)
        expected = np.array([[[True, False, False], [False, False, False]]])
        assert_equal(found, expected)


def heads(k: Any, *args: Any, **kwargs: Any) -> Any:
    return k.MultiHeadAttention(*args, **kwargs)


class TestErrors:
    X = small(2, 3, 4)

    @pytest.mark.parametrize(
        "make, match",
        [
            (lambda k: k.Attention()(small(2, 3, 4)), "called on a list of inputs"),
            (lambda k: k.Attention()([small(2, 3, 4)]), "list of length 2 or 3"),
            (lambda k: k.Attention(score_mode="q"), "argument score_mode"),
            (
                lambda k: k.AdditiveAttention()(
                    [small(2, 3, 4)] * 2, mask=booleans(2, 3)
                ),
                "AdditiveAttention layer mask must be a list",
            ),
            (
                lambda k: k.Attention()([small(2, 3, 4)] * 2, mask=[booleans(2, 3)]),
                "mask list of length 2 or 3",
            ),
            (lambda k: heads(k, 0, 2), "argument `num_heads`"),
            (lambda k: heads(k, 2, 0), "argument `key_dim`"),
            (lambda k: heads(k, 2, 2, value_dim=-1), "argument `value_dim`"),
            (lambda k: heads(k, 2, 2, sliding_window=0), "`sliding_window` must"),
            (lambda k: heads(k, 2, 2, attention_axes="a"), "`attention_axes` must"),
            (
                lambda k: heads(k, 2, 2, flash_attention=True, dropout=0.1),
                "Dropout is not supported when flash",
            ),
            (
                lambda k: heads(k, 2, 2, flash_attention=True)(
                    small(2, 3, 4), small(2, 3, 4)
                ),
                "Flash attention is not supported",
            ),
            (
                lambda k: heads(k, 2, 2)(
                    small(2, 3, 4), small(2, 3, 4), small(2, 2, 4)
                ),
                "must be equal",
            ),
        ],
    )
    def test_as_in_keras(self, make, match):
        check_same_error(make, ValueError, match)

    def test_a_query_mask_by_hand_has_no_effect_and_says_so(self):
        layer = layers.MultiHeadAttention(1, 2)
        expected = layer(self.X, self.X)
        with pytest.warns(UserWarning, match="`query_mask` passed to layer"):
            found = layer(self.X, self.X, query_mask=booleans(2, 3))
        assert_equal(found, expected)
