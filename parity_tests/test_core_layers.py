"""Dense, Embedding, Masking and Identity: against Keras, and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from minikeras import layers
from minikeras.gradients import Gradients
from minikeras.ops.embedding import embedding_grad, embedding_grad_plain
from parity_tests import strategies
from parity_tests.oracle import keras
from parity_tests.strategies import Values
from parity_tests.tolerance import assert_close, assert_equal
from parity_tests.twins import check, check_same_error

REGULARIZERS = st.sampled_from([None, "l1", "l2", "l1l2"])
CONSTRAINTS = st.sampled_from([None, "non_neg", "max_norm", "unit_norm"])


@st.composite
def dense_cases(draw):
    """A config of Dense and an input of rank 2 to 4."""
    units = draw(strategies.sizes())
    activations = strategies.activations(softmax=units > 1)
    config = {
        "units": units,
        # exp(z) multiplies the rounding of z by |z|: see test_exponential.
        "activation": draw(
            activations.map(lambda a: a if a != "exponential" else "elu")
        ),
        "use_bias": draw(st.booleans()),
        "kernel_regularizer": draw(REGULARIZERS),
        "bias_regularizer": draw(REGULARIZERS),
        "activity_regularizer": draw(REGULARIZERS),
        "kernel_constraint": draw(CONSTRAINTS),
        "bias_constraint": draw(CONSTRAINTS),
    }
    specials = ("ties", "zeros", "equal_rows")
    x = draw(strategies.values(strategies.shapes(2, 4), specials=specials))
    return config, x


class TestDense:
    @given(case=dense_cases(), dtype=strategies.dtypes(), seed=st.integers(0, 99))
    @example(
        # Near 0, TensorFlow's elu is exp(x) - 1 and not expm1(x): it loses digits, and
        # the penalty of the outputs with it.
        case=(
            {"units": 2, "activation": "elu", "activity_regularizer": "l1"},
            Values((1, 1)),
        ),
        dtype="float32",
        seed=0,
    )
    def test_equals_keras(self, case, dtype, seed):
        config, x = case
        check("Dense", config, x, dtype=dtype, seed=seed)

    def test_by_hand(self):
        layer = layers.Dense(2, activation="relu")
        x = np.array([[1.0, 2.0], [3.0, -1.0]], "float32")
        layer.build(x.shape)
        layer.set_weights([[[1.0, -1.0], [2.0, 0.5]], [0.5, -1.0]])
        y, residuals = layer.forward(x)
        # z = [[1+4+.5, -1+1-1], [3-2+.5, -3-.5-1]] = [[5.5, -1], [1.5, -4.5]]
        assert_equal(y, np.array([[5.5, 0.0], [1.5, 0.0]], "float32"))
        grads = Gradients()
        dx = layer.backward(np.array([[1, 7], [2, 7]], "float32"), residuals, grads)
        # dz = [[1, 0], [2, 0]]: relu stops the second column
        assert_equal(grads[layer.kernel], np.array([[7, 0], [0, 0]], "float32"))
        assert_equal(grads[layer.bias], np.array([3, 0], "float32"))
        assert_equal(dx, np.array([[1, 2], [2, 4]], "float32"))

    @pytest.mark.parametrize("dtype", strategies.DTYPES)
    def test_exponential(self, dtype):
        x = Values((4, 3), seed=1)
        check("Dense", {"units": 2, "activation": "exponential"}, x, dtype=dtype)

    def test_counts_integers_as_floats(self):
        x = np.array([[1, 2, 3]])
        for module in (layers, keras.layers):
            layer = module.Dense(2, kernel_initializer="ones")
            assert_equal(np.asarray(layer(x)), np.full((1, 2), 6, "float32"))

    def test_weights_are_those_of_keras(self):
        layer = layers.Dense(10, name="d")
        layer.build((None, 784))
        assert [(v.name, v.path, v.shape) for v in layer.weights] == [
            ("kernel", "d/kernel", (784, 10)),
            ("bias", "d/bias", (10,)),
        ]

    @pytest.mark.parametrize("units", [0, -1, 2.0, "3", None, np.int64(3)])
    def test_refuses_units(self, units):
        check_same_error(
            lambda module: module.Dense(units),
            ValueError,
            "expected a positive integer",
        )

    def test_refuses_other_last_axis(self):
        def use(module):
            layer = module.Dense(3, name="d")
            layer(np.ones((2, 4)))
            layer(np.ones((2, 5)))

        message = (
            "of layer 'd' is incompatible with the layer: expected axis -1 of input "
            r"shape to have value 4, but received input with shape \(2, 5\)"
        )
        check_same_error(use, ValueError, message)

    def test_refuses_vectors(self):
        check_same_error(
            lambda module: module.Dense(3)(np.ones(4)),
            ValueError,
            "expected min_ndim=2, found ndim=1",
        )

    def test_refuses_unknown_last_axis(self):
        check_same_error(
            lambda module: module.Dense(3).build((None, None)),
            ValueError,
            "must be fully-defined",
        )

    def test_has_no_kernel_before_it_is_built(self):
        check_same_error(
            lambda module: module.Dense(3).kernel,
            AttributeError,
            "must build the layer before accessing `kernel`",
        )

    @pytest.mark.parametrize("name", ["lora_rank", "lora_alpha", "quantization_config"])
    @pytest.mark.parametrize(
        "make", [layers.Dense, lambda n, **k: layers.Embedding(n, n, **k)]
    )
    def test_refuses_what_is_not_implemented(self, make, name):
        with pytest.raises(ValueError, match=f"`{name}` .* not implemented"):
            make(3, **{name: 2})

    def test_refuses_unknown_arguments(self):
        check_same_error(
            lambda module: module.Dense(3, unit=4), ValueError, "Unrecognized keyword"
        )


@st.composite
def embedding_cases(draw):
    """A config of Embedding and ids of rank 1 to 3."""
    rows = draw(strategies.sizes(1, 8))
    config = {
        "input_dim": rows,
        "output_dim": draw(strategies.sizes()),
        "mask_zero": draw(st.booleans()),
        "embeddings_regularizer": draw(REGULARIZERS),
        "embeddings_constraint": draw(CONSTRAINTS),
        "activity_regularizer": draw(REGULARIZERS),
    }
    dtype = draw(st.sampled_from(["int32", "int64", "uint8"]))
    shape = draw(strategies.shapes(1, 3, high=6))
    return config, draw(strategies.ids(shape, rows, dtype))


class TestEmbedding:
    @given(case=embedding_cases(), dtype=strategies.dtypes(), seed=st.integers(0, 99))
    def test_equals_keras(self, case, dtype, seed):
        config, ids = case
        check("Embedding", config, ids, dtype=dtype, seed=seed)

    @given(
        shape=strategies.shapes(1, 3, high=6),
        rows=strategies.sizes(),
        width=strategies.sizes(),
        dtype=strategies.dtypes(),
        data=st.data(),
    )
    def test_fast_gradient_equals_plain_one(self, shape, rows, width, dtype, data):
        ids = data.draw(strategies.ids(shape, rows))
        dy = data.draw(strategies.values((*shape, width)))(dtype)
        fast = embedding_grad(dy, ids, rows)
        assert_equal(fast, embedding_grad_plain(dy, ids, rows))

    @pytest.mark.parametrize("width", [1, 2])
    def test_fast_gradient_of_one_row_looked_up_often(self, width):
        dy, ids = Values((16, width))("float32"), np.zeros(16, int)
        assert_equal(embedding_grad(dy, ids, 1), embedding_grad_plain(dy, ids, 1))

    def test_by_hand(self):
        layer = layers.Embedding(4, 2)
        layer.build()
        layer.set_weights([np.arange(8).reshape(4, 2)])
        ids = np.array([[3, 1], [3, 0]])
        y, residuals = layer.forward(ids)
        assert_equal(y[1], np.array([[6, 7], [0, 1]], "float32"))
        grads = Gradients()
        dy = np.arange(1, 9, dtype="float32").reshape(2, 2, 2)
        assert layer.backward(dy, residuals, grads) is None
        # row 3 was used twice: [1, 2] + [5, 6]; row 2 not at all
        expected = [[7, 8], [3, 4], [0, 0], [6, 8]]
        assert_equal(np.asarray(grads[layer.embeddings]), np.array(expected, "float32"))

    @pytest.mark.parametrize("ids", [[[0.0, 2.0]], [[-1, 0]], [[True, False]]])
    def test_takes_the_ids_keras_takes(self, ids):
        table = np.arange(6, dtype="float32").reshape(3, 2)
        ours, theirs = (
            np.asarray(module.Embedding(3, 2, weights=table)(np.array(ids)))
            for module in (layers, keras.layers)
        )
        assert_equal(ours, theirs)

    def test_refuses_fractions(self):
        """Keras cuts them off."""
        layer = layers.Embedding(3, 2, name="words")
        with pytest.raises(ValueError, match=r"'words' expects integer ids.*0\.5"):
            layer(np.array([[0.0, 0.5]]))

    @pytest.mark.parametrize("ids", [[[0, 3]], [[-4, 0]], [[0.0, np.nan]], [[1e20, 0]]])
    def test_refuses_ids_out_of_range(self, ids):
        layer = layers.Embedding(3, 2, name="words")
        with pytest.raises(
            ValueError, match=r"'words' has input_dim=3, .* position \(0"
        ):
            layer(np.array(ids))
        twin = keras.layers.Embedding(3, 2)
        with pytest.raises(Exception, match=r"is not in \[0, 3\)"):
            twin(np.array(ids))

    def test_refuses_words(self):
        with pytest.raises(ValueError, match="expects integer ids"):
            layers.Embedding(3, 2).forward(np.array([["a"]]))

    @pytest.mark.parametrize("size", [0, -2, 1.5, True, None])
    def test_refuses_sizes(self, size):
        for name in ("input_dim", "output_dim"):
            sizes = {"input_dim": 3, "output_dim": 3, name: size}
            check_same_error(
                lambda module, sizes=sizes: module.Embedding(**sizes),
                ValueError,
                f"`{name}` must be a positive integer",
            )

    def test_takes_weights(self):
        table = np.arange(6, dtype="float32").reshape(3, 2)
        for weights in (table, [table]):
            for module in (layers, keras.layers):
                layer = module.Embedding(3, 2, weights=weights)
                assert_equal(np.asarray(layer.get_weights()[0]), table)
        check_same_error(
            lambda module: module.Embedding(3, 3, weights=table), ValueError, "shape"
        )

    def test_warns_of_input_length(self):
        for module in (layers, keras.layers):
            with pytest.warns(UserWarning, match="`input_length` is deprecated"):
                layer = module.Embedding(3, 2, input_length=4)
            assert "input_length" not in layer.get_config()

    def test_masks_zero(self):
        ids = np.array([[1, 0, 2]])
        assert_equal(
            layers.Embedding(3, 2, mask_zero=True).compute_mask(ids),
            np.array([[True, False, True]]),
        )
        assert layers.Embedding(3, 2).compute_mask(ids) is None

    def test_has_no_table_before_it_is_built(self):
        check_same_error(
            lambda module: module.Embedding(3, 2).embeddings,
            AttributeError,
            "must build the layer before accessing `embeddings`",
        )


class TestMasking:
    @given(
        shape=strategies.shapes(2, 4),
        value=st.sampled_from([0.0, -1.0, 0.1]),
        dtype=strategies.dtypes(),
        data=st.data(),
    )
    def test_equals_keras(self, shape, value, dtype, data):
        x = data.draw(strategies.values(shape))(dtype)
        padded = data.draw(strategies.arrays(shape[:-1], dtype)) > 0
        x = np.where(padded[..., None], x.dtype.type(value), x)
        check("Masking", {"mask_value": value}, x, dtype=dtype)

    def test_one_value_per_feature(self):
        x = np.array([[[1.0, 2.0], [1.0, 3.0], [5.0, 2.0]]], "float32")
        check("Masking", {"mask_value": [1.0, 2.0]}, x, dtype="float32")
        mask = layers.Masking(mask_value=[1.0, 2.0]).compute_mask(x)
        assert_equal(mask, np.array([[False, True, True]]))

    def test_by_hand(self):
        x = np.array([[[9.0, 9.0], [9.0, 1.0]]])
        y, residuals = layers.Masking(mask_value=9.0).forward(x)
        assert_equal(y, np.array([[[0.0, 0.0], [9.0, 1.0]]]))
        dx = layers.Masking().backward(np.ones((1, 2, 2)), residuals, Gradients())
        assert_equal(dx, np.array([[[0.0, 0.0], [1.0, 1.0]]]))


class TestIdentity:
    @given(x=strategies.values(strategies.shapes()), dtype=strategies.dtypes())
    def test_equals_keras(self, x, dtype):
        check("Identity", {}, x, dtype=dtype)

    def test_structures(self):
        x = {"a": Values((2, 3), 1), "b": [Values((2,), 2)]}
        check("Identity", {}, x, dtype="float64")

    def test_integers_stay_integers(self):
        symbolic = layers.Identity()(layers.Input((3,), dtype="int32"))
        assert symbolic.dtype == "int32"


def test_dense_training_is_a_descent():
    """No Keras: 200 steps of a regression find the weights it was made with."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((64, 3))
    kernel, bias = np.array([[1.0], [-2.0], [0.5]]), np.array([0.25])
    layer = layers.Dense(1, dtype="float64")
    layer.build(x.shape)
    for _ in range(200):
        y, residuals = layer.forward(x)
        grads = Gradients()
        layer.backward((y - (x @ kernel + bias)) / len(x), residuals, grads)
        for variable, gradient in grads.items():
            variable.assign_sub(0.5 * gradient)
    assert_close(layer.kernel.numpy(), kernel)
    assert_close(layer.bias.numpy(), bias, scale=1.0)
