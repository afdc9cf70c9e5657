"""Functional models: structures of inputs and outputs, shared layers, nesting."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minikeras
from parity_tests.functions import default_dtype
from parity_tests.model_checks import check_model
from parity_tests.model_twins import (
    check_fit,
    compare_gradients,
    compare_numbers,
    compiled,
    pair,
)
from parity_tests.oracle import keras
from parity_tests.tolerance import assert_equal

RNG = np.random.default_rng(4)
A, B = RNG.standard_normal((10, 4)), RNG.standard_normal((10, 3))
Y = RNG.standard_normal((10, 2))


def two_inputs(k: Any, inputs: str = "list") -> Any:
    a, b = k.Input((4,), name="a"), k.Input((3,), name="b")
    x = k.layers.Dense(2, name="from_a")(a) * k.layers.Dense(2, name="from_b")(b)
    structures = {
        "list": [a, b],
        "reversed": [b, a],
        "tuple": (a, b),
        "dict": {"a": a, "b": b},
        "reversed_dict": {"b": b, "a": a},
        "nested": {"b": [b], "a": {"deep": a}},
    }
    return k.Model(structures[inputs], x)


class TestInputs:
    @pytest.mark.filterwarnings("ignore:When providing `inputs` as a dict")
    @pytest.mark.parametrize(
        ("structure", "calls"),
        [
            ("list", [[A, B], (A, B), {"a": A, "b": B}, {"b": B, "a": A}]),
            ("reversed", [[B, A], {"a": A, "b": B}]),
            ("tuple", [(A, B), [A, B], {"a": A, "b": B}]),
            ("dict", [{"a": A, "b": B}, {"b": B, "a": A}]),
            ("reversed_dict", [{"a": A, "b": B}, {"b": B, "a": A}]),
            ("nested", [{"b": [B], "a": {"deep": A}}]),
        ],
    )
    def test_by_position_and_by_name(self, structure, calls):
        check_model(lambda k: two_inputs(k, structure), *calls, y=Y)

    @pytest.mark.parametrize("data", [[A, B], (A, B), {"b": B, "a": A}], ids=type)
    def test_fit(self, data):
        check_fit(
            lambda k: compiled(two_inputs(k), loss="mse"),
            data,
            Y,
            batch_size=4,
            validation_split=0.2,
        )

    def test_dict_of_one(self):
        def make(k):
            x = k.Input((4,), name="x")
            return k.Model({"x": x}, {"y": k.layers.Dense(2)(x)})

        check_model(make, {"x": A}, y={"y": Y})

    def test_list_of_one(self):
        def make(k):
            x = k.Input((4,))
            return k.Model([x], [k.layers.Dense(2)(x)])

        check_model(make, [A], y=Y)

    def test_further_keys_are_ignored(self):
        def make(k):
            return two_inputs(k, "dict")

        with default_dtype("float64"):
            twins = pair(make)
            data = {"a": A, "b": B, "c": A}
            for model in twins[:2]:
                with pytest.warns(UserWarning, match="structure of `inputs`"):
                    model(data)
            check_model(make, {"a": A, "b": B})

    def test_an_input_that_is_an_output(self):
        def make(k):
            x = k.Input((4,))
            return k.Model(x, [x, k.layers.Dense(2)(x)])

        check_model(make, A, y=[A, Y])

    def test_an_input_that_leads_nowhere(self):
        def make(k):
            a, b = k.Input((4,)), k.Input((3,))
            return k.Model([a, b], k.layers.Dense(2)(a))

        check_model(make, [A, B], y=Y)

    def test_an_integer_input(self):
        ids = RNG.integers(0, 5, (10, 3))

        def make(k):
            i, x = k.Input((3,), dtype="int32"), k.Input((4,))
            e = k.layers.Flatten()(k.layers.Embedding(5, 2)(i))
            return k.Model([i, x], k.layers.Dense(2)(e) + k.layers.Dense(2)(x))

        check_model(make, [ids, A], y=Y)

    def test_a_dtype_for_each_input(self):
        """Data is cast to the dtype of its input, not to that of the model."""

        def make(k):
            a, b = k.Input((4,), dtype="float64"), k.Input((3,), dtype="int32")
            return k.Model([a, b], [a * 0.5, b + b])

        twins = pair(make)
        data = [A, B * 10]
        theirs = [np.asarray(y) for y in twins.theirs([A, (B * 10).astype("int32")])]
        for y, expected in zip(twins.ours(data), theirs, strict=True):
            assert_equal(y, expected)

    def test_fixed_batch_size(self):
        def make(k):
            x = k.Input(batch_shape=(5, 4))
            return k.Model(x, k.layers.Dense(2)(x))

        check_model(make, A[:5])


class TestGraphs:
    def test_shared_layer(self):
        def make(k):
            a, b = k.Input((4,)), k.Input((4,))
            shared = k.layers.Dense(2, activation="tanh")
            x, y = shared(a), shared(b)
            return k.Model([a, b], [x * y, k.layers.Dense(2)(x)])

        twins = check_model(make, [A, A[::-1]], y=[Y, -Y])
        assert len(twins.ours.weights) == 4

    def test_shared_layer_in_a_row(self):
        def make(k):
            x = k.Input((4,))
            shared = k.layers.Dense(4, activation="tanh")
            return k.Model(x, shared(shared(shared(x))))

        check_model(make, A, y=A)

    def test_diamond(self):
        def make(k):
            x = k.Input((4,))
            h = k.layers.Dense(3, activation="tanh")(x)
            left = k.layers.Dense(2)(h)
            right = k.layers.Dense(2)(k.layers.Dense(5)(h))
            return k.Model(x, left + right * left)

        check_model(make, A, y=Y)

    def test_long_and_short_ways(self):
        """Depths: a layer runs after the deepest of the ways that lead to it."""

        def make(k):
            x = k.Input((4,))
            a = k.layers.Dense(2, name="early")(x)
            b = x
            for i in range(4):
                b = k.layers.Dense(2, name=f"way_{i}")(b)
            c = k.layers.Dense(2, name="late")(a)
            return k.Model(x, [c, b + a, k.layers.Dense(1)(b)])

        check_model(make, A, y=[Y, Y, Y[:, :1]])

    def test_nested_models(self):
        def make(k):
            inner_x = k.Input((4,))
            inner = k.Model(inner_x, k.layers.Dense(3, activation="tanh")(inner_x))
            stack = k.Sequential([k.layers.Dense(2), k.layers.Activation("tanh")])
            x = k.Input((4,))
            return k.Model(x, stack(inner(x)))

        check_model(make, A, y=Y)

    def test_a_nested_model_called_twice(self):
        def make(k):
            inner = k.Sequential([k.Input((4,)), k.layers.Dense(2, activation="tanh")])
            a, b = k.Input((4,)), k.Input((4,))
            return k.Model([a, b], inner(a) - inner(b))

        check_model(make, [A, A[::-1]], y=Y)

    def test_a_nested_model_with_several_inputs_and_outputs(self):
        def make(k):
            p, q = k.Input((4,), name="p"), k.Input((3,), name="q")
            h = k.layers.Dense(2)(p) + k.layers.Dense(2)(q)
            inner = k.Model({"p": p, "q": q}, {"h": h, "t": k.layers.Dense(1)(h)})
            a, b = k.Input((4,)), k.Input((3,))
            out = inner({"p": a, "q": b})
            return k.Model([a, b], [out["h"], k.layers.Dense(2)(out["t"])])

        check_model(make, [A, B], y=[Y, -Y])

    def test_a_model_inside_a_model_inside_a_model(self):
        def make(k):
            x = k.Input((4,))
            model = k.layers.Dense(4)
            for _ in range(3):
                inner = k.Input((4,))
                model = k.Model(inner, model(inner) + inner)
            return k.Model(x, k.layers.Dense(2)(model(x)))

        check_model(make, A, y=Y)

    def test_a_model_from_inner_tensors(self):
        def make(k):
            x = k.Input((4,))
            h = k.layers.Dense(3, activation="tanh", name="h")(x)
            z = k.layers.Dense(3, activation="tanh", name="z")(h)
            out = k.layers.Dense(2, name="out")(z)
            k.Model(x, out)
            return k.Model(h, [out, z])

        check_model(make, B, y=[Y, B])

    def test_layers_of_a_model_used_again(self):
        """Feature extraction: a model of another model's inner outputs."""

        def make(k):
            base = k.Sequential(
                [
                    k.Input((4,)),
                    k.layers.Dense(3, activation="tanh", name="one"),
                    k.layers.Dense(2, name="two"),
                ]
            )
            return k.Model(
                base.inputs[0], [base.get_layer("one").output, *base.outputs]
            )

        check_model(make, A, y=[B, Y])

    def test_several_outputs_of_one_layer(self):
        def make(k):
            x = k.Input((5, 3))
            y, h, c = k.layers.LSTM(2, return_sequences=True, return_state=True)(x)
            return k.Model(x, [y, h + c])

        check_model(
            make,
            RNG.standard_normal((10, 5, 3)),
            y=[RNG.standard_normal((10, 5, 2)), Y],
        )

    def test_an_output_nobody_uses(self):
        def make(k):
            x = k.Input((5, 3))
            _, h, _ = k.layers.LSTM(2, return_sequences=True, return_state=True)(x)
            return k.Model(x, h)

        check_model(make, RNG.standard_normal((10, 5, 3)), y=Y)

    def test_encoder_and_decoder(self):
        """Initial states are tensors of the graph, with gradients of their own."""

        def make(k):
            a, b = k.Input((5, 3)), k.Input((4, 2))
            _, h, c = k.layers.LSTM(3, return_state=True)(a)
            y = k.layers.LSTM(3, return_sequences=True)(b, initial_state=[h, c])
            return k.Model([a, b], k.layers.Dense(1)(y))

        data = [RNG.standard_normal((10, 5, 3)), RNG.standard_normal((10, 4, 2))]
        check_model(make, data, y=RNG.standard_normal((10, 4, 1)))


class TestTraining:
    """Whether a layer runs as in training: the run outdoes what the graph says."""

    @pytest.mark.parametrize("said", [None, True, False])
    @pytest.mark.parametrize("asked", [None, True, False])
    def test_equals_keras(self, said, asked):
        def drops(k):
            x = k.Input((4,))
            options = {} if said is None else {"training": said}
            model = k.Model(x, k.layers.Dropout(0.5)(x, **options))
            options = {} if asked is None else {"training": asked}
            return bool((np.asarray(model(np.ones((50, 4)), **options)) == 0).any())

        assert drops(minikeras) == drops(keras)


class TestMasks:
    # Keras warns that a nested Sequential loses the mask, and then keeps it.
    @pytest.mark.filterwarnings("ignore:Layer 'sequential'")
    def test_through_branches_and_nested_models(self):
        ids = RNG.integers(0, 4, (10, 6))
        ids[0], ids[1, 3:] = 0, 0

        def make(k):
            inner = k.Sequential(
                [k.Input((6, 3)), k.layers.Dense(3), k.layers.Dropout(0.1)]
            )
            x = k.Input((6,), dtype="int32")
            e = k.layers.Embedding(4, 3, mask_zero=True)(x)
            y = k.layers.LSTM(3, return_sequences=True)(inner(e))
            return k.Model(x, k.layers.LSTM(2)(y))

        with default_dtype("float64"):
            twins = pair(make)
            compare_numbers(twins.ours(ids), np.asarray(twins.theirs(ids)))
            for model in twins[:2]:
                compiled(model, loss="mse")
            compare_gradients(twins, ids, Y)

    def test_with_an_initial_state(self):
        x = RNG.standard_normal((10, 5, 3))
        x[:, 3:] = 0
        x[0] = 0

        def make(k):
            a, h, c = k.Input((5, 3)), k.Input((2,)), k.Input((2,))
            masked = k.layers.Masking()(a)
            return k.Model([a, h, c], k.layers.LSTM(2)(masked, initial_state=[h, c]))

        with default_dtype("float64"):
            twins = pair(make)
            data = [x, Y, -Y]
            compare_numbers(twins.ours(data), np.asarray(twins.theirs(data)))

    @pytest.mark.parametrize("where", ["first", "after a layer"])
    def test_an_explicit_mask(self, where):
        mask = RNG.random((10, 5)) < 0.6

        def make(k):
            x, m = k.Input((5, 3)), k.Input((5,), dtype="bool")
            h = x if where == "first" else k.layers.Dense(3)(x)
            return k.Model([x, m], k.layers.LSTM(2)(h, mask=m))

        check_model(make, [RNG.standard_normal((10, 5, 3)), mask], y=Y)

    def test_masks_are_part_of_the_graph(self):
        """`ids != 0` is an operation, and an argument of the layers that take it."""
        ids = RNG.integers(0, 3, (10, 6))

        def make(k):
            x = k.Input((6,), dtype="int32")
            e = k.layers.Embedding(4, 3, mask_zero=True)(x)
            y = k.layers.LSTM(3, return_sequences=True)(k.layers.Dense(3)(e))
            return k.Model(x, k.layers.LSTM(2)(y))

        twins = check_model(make, ids, y=Y)
        assert "not_equal" in [op.name for op in twins.ours.operations]

    def test_masks_from_the_data(self):
        x = RNG.standard_normal((10, 5, 3))
        x[:, 3:] = 7.0

        def make(k):
            a = k.Input((5, 3))
            h = k.layers.Masking(7.0)(a)
            h = k.layers.BatchNormalization()(k.layers.Dense(3)(h))
            return k.Model(a, k.layers.LSTM(2)(h))

        check_model(make, x, y=Y)

    def test_the_mask_of_a_model(self):
        """What `compute_mask` of a whole model says."""
        ids = RNG.integers(0, 3, (4, 6))

        def make(k):
            x = k.Input((6,), dtype="int32")
            e = k.layers.Embedding(4, 3, mask_zero=True)(x)
            return k.Model(x, k.layers.Dense(2)(e))

        model = make(minikeras)
        assert_equal(model.compute_mask(ids, None), ids != 0)
