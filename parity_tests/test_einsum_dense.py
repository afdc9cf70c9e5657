"""EinsumDense: every form of the equation, shapes, seeds, files; einsum by BLAS."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minikeras
from minikeras import layers
from minikeras.layers.core.einsum_dense import einsum_shapes
from minikeras.ops.contraction import einsum, einsum_grad_a, einsum_grad_b
from parity_tests import oracle
from parity_tests.oracle import keras, tf
from parity_tests.recurrent_cells import sequences
from parity_tests.strategies import activations, dtypes, seeds, values
from parity_tests.tolerance import assert_close, assert_equal
from parity_tests.twins import check, check_same_error

DTYPES = pytest.mark.parametrize("dtype", ["float32", "float64"])
# equation, output_shape, bias_axes, input shape
CASES = [
    ("ab,bc->ac", 4, "c", (3, 2)),
    ("abc,cd->abd", (None, 5), "d", (3, 4, 2)),
    ("abc,cd->abd", (4, 5), None, (3, 4, 2)),
    ("abc,cde->abde", (None, 2, 3), "de", (3, 4, 2)),  # queries of several heads
    ("abcd,cde->abe", (None, 5), "e", (2, 3, 2, 2)),  # and their way back
    ("...x,xy->...y", 5, "y", (3, 2)),
    ("...x,xy->...y", 5, "y", (3, 4, 2)),
    ("...x,xy->...y", 5, "y", (2, 3, 3, 4)),
    ("...ab,abc->...c", 5, "c", (3, 4, 2)),
    ("ab...,bc->ac...", (5,), "c", (3, 4, 2)),
    ("ab...,bc->ac...", (5,), None, (3, 4, 2, 3)),
    ("abc,bcd->ad", 3, None, (3, 4, 2)),
    ("abc,bd->acd", (2, 6), "cd", (3, 4, 2)),
    ("abc,bd->adc", (6, 2), "d", (3, 4, 2)),
    ("abc,cb->ab", 4, "b", (3, 4, 2)),  # b is in all three: one product for each
    ("abc,bcd->abd", (4, 3), "bd", (3, 4, 2)),
    ("abc,d->ad", 3, None, (3, 4, 2)),  # nothing to sum together
    ("abc,dc->abd", (None, 3), "b", (3, 4, 2)),
]


class TestAgainstKeras:
    @DTYPES
    @pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c[0]} {c[3]}")
    def test_equations(self, dtype, case):
        equation, output_shape, bias_axes, shape = case
        if bias_axes == "b":
            output_shape = (4, 3)  # a bias has no axis of unknown size
        config = {
            "equation": equation,
            "output_shape": output_shape,
            "bias_axes": bias_axes,
            "activation": "tanh",
        }
        check("EinsumDense", config, sequences(*shape), dtype=dtype, train_steps=1)

    @given(
        case=st.sampled_from(CASES[:8]),
        activation=activations(),
        dtype=dtypes(),
        seed=seeds(),
        data=st.data(),
    )
    def test_drawn_activations(self, case, activation, dtype, seed, data):
        equation, output_shape, bias_axes, shape = case
        config = {
            "equation": equation,
            "output_shape": output_shape,
            "bias_axes": bias_axes,
            "activation": activation,
        }
        x = data.draw(values(shape, scale=1.0))
        check("EinsumDense", config, x, dtype=dtype, seed=seed, train_steps=1)

    @DTYPES
    def test_penalties_and_constraints(self, dtype):
        config = {
            "equation": "abc,cd->abd",
            "output_shape": (None, 3),
            "bias_axes": "d",
            "kernel_regularizer": "l2",
            "bias_regularizer": "l1",
            "activity_regularizer": "l2",
            "kernel_constraint": "non_neg",
            "bias_constraint": "max_norm",
        }
        check("EinsumDense", config, sequences(2, 3, 4), dtype=dtype)

    @pytest.mark.parametrize("initializer", ["glorot_uniform", "he_normal", "ones"])
    def test_initial_weights_from_the_seed(self, initializer):
        """The fans are those of the letters, and the seed is drawn once."""
        found = []
        for library in (minikeras, keras):
            library.utils.set_random_seed(9)
            weights = []
            for equation, shape, *_ in (CASES[3], CASES[4], CASES[6]):
                layer = library.layers.EinsumDense(
                    equation, shape, kernel_initializer=initializer
                )
                rank = len(equation.split(",")[0].replace("...", "ab"))
                layer.build((2, 3, 4, 5)[:rank])
                weights.append(np.asarray(layer.kernel.numpy()))
            found.append(weights)
        for ours, theirs in zip(*found, strict=True):
            assert_equal(ours, theirs)

    @pytest.mark.parametrize("suffix", [".keras", ".h5"])
    @pytest.mark.filterwarnings("ignore:You are saving")
    def test_files_travel_both_ways(self, tmp_path, suffix):
        x = sequences(2, 3, 4)
        for writer, reader in ((keras, minikeras), (minikeras, keras)):
            k = writer.layers
            options = {"bias_axes": "de", "activation": "relu"}
            model = writer.Sequential(
                [
                    k.Input((3, 4)),
                    k.EinsumDense("abc,cde->abde", (None, 2, 3), **options),
                    k.EinsumDense("abde,def->abf", (None, 2)),
                ]
            )
            path = tmp_path / f"{writer.__name__}{suffix}"
            model.save(path)
            again = reader.models.load_model(path)
            assert_close(np.asarray(again(x)), np.asarray(model(x)), k=16)


class TestEinsum:
    EQUATIONS = ("ab,bc->ac", "abc,abd->acd", "abc,dcb->da", "ab,c->bc", "abc,bd->d")

    @DTYPES
    @pytest.mark.parametrize("equation", EQUATIONS)
    def test_equals_tensorflow(self, dtype, equation):
        size = dict(zip("abcd", (2, 3, 4, 5), strict=True))
        inputs, out = equation.split("->")
        a, b = (
            sequences(*(size[c] for c in part), dtype=dtype, seed=i)
            for i, part in enumerate(inputs.split(","))
        )
        dy = sequences(*(size[c] for c in out), dtype=dtype, seed=2)
        assert_close(einsum(equation, a, b), np.einsum(equation, a, b), k=24)
        for wrt, gradient in ((0, einsum_grad_a), (1, einsum_grad_b)):
            _, expected, _ = oracle.run_function(
                lambda x, y: tf.einsum(equation, x, y), a, b, dy=dy, wrt=wrt
            )
            assert_close(gradient(equation, dy, a, b), expected, k=60)

    def test_a_letter_twice_is_refused(self):
        with pytest.raises(NotImplementedError, match="no letter twice"):
            einsum("aa,ab->b", np.ones((2, 2)), np.ones((2, 2)))

    def test_several_axes_in_the_dots(self):
        """NB: Keras's symbolic shape has them in the wrong order, its result not."""
        x, found = sequences(2, 3, 4, 5), []
        for k in (layers, keras.layers):
            layer = k.EinsumDense("...x,xy->...y", 6, kernel_initializer="ones")
            found.append(np.asarray(layer(x)))
        assert_close(*found, k=5)
        layer = layers.EinsumDense("...x,xy->...y", 6)
        assert_equal(layer.compute_output_shape(x.shape), (2, 3, 4, 6))

    def test_shapes_by_hand(self):
        shapes = einsum_shapes("abc,cde->abde", "de", (None, 7, 4), (None, 2, 3))
        assert_equal(shapes.kernel, (4, 2, 3))
        assert_equal(shapes.bias, (2, 3))
        assert_equal(shapes.output, (None, None, 2, 3))
        assert_equal((shapes.input_axes, shapes.output_axes), ([0], [1, 2]))


def call(k: Any, *args: Any, **kwargs: Any) -> Any:
    return k.EinsumDense(*args, **kwargs)(sequences(2, 3, 4))


class TestErrors:
    @pytest.mark.parametrize(
        "make, match",
        [
            (lambda k: call(k, "ab->c", 3), "Invalid einsum equation"),
            (lambda k: call(k, "abc,cd->abd", (4, 5)), "do not match at shared"),
            (
                lambda k: call(k, "abc,cd->abq", (3, 5)),
                "'q' was specified in the output",
            ),
            (
                lambda k: call(k, "abc,ce->ab", (3,)),
                "Weight dimension 'e' did not have a match",
            ),
            (
                lambda k: call(k, "abc,cd->abd", (3, 5), bias_axes="z"),
                "Bias dimension 'z' was requested",
            ),
        ],
    )
    def test_as_in_keras(self, make, match):
        check_same_error(make, ValueError, match)

    def test_own(self):
        with pytest.raises(ValueError, match="is for an input of 2 axes"):
            call(layers, "ab,bc->ac", 3)
        with pytest.raises(ValueError, match="leaves out the first"):
            call(layers, "abc,cd->abd", (3,))
        with pytest.raises(ValueError, match="lora_rank"):
            call(layers, "abc,cd->abd", (None, 3), lora_rank=2)
        with pytest.raises(AttributeError, match="must build"):
            _ = layers.EinsumDense("ab,bc->ac", 3).kernel
