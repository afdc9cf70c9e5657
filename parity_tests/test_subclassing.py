"""Models and layers by users: `call` traced, `forward` and `backward` by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minikeras
from minikeras import layers
from parity_tests.functions import default_dtype
from parity_tests.model_checks import assert_same
from parity_tests.model_twins import (
    call,
    check_fit,
    compare_gradients,
    compare_numbers,
    compare_variables,
    compiled,
    pair,
)
from parity_tests.oracle import keras

RNG = np.random.default_rng(7)
X, Y = RNG.standard_normal((12, 4)), RNG.standard_normal((12, 2))


def two_layers(k: Any) -> Any:
    class TwoLayers(k.Model):
        def __init__(self, units: int = 3):
            super().__init__()
            self.first = k.layers.Dense(units, activation="tanh")
            self.second = k.layers.Dense(2)

        def call(self, x):
            return self.second(self.first(x))

    return TwoLayers()


def with_training(k: Any) -> Any:
    class WithTraining(k.Model):
        def __init__(self):
            super().__init__()
            self.dense = k.layers.Dense(5)
            self.norm = k.layers.BatchNormalization()
            self.drop = k.layers.Dropout(0.4)
            self.out = k.layers.Dense(2)

        def call(self, x, training=False):
            h = self.norm(self.dense(x), training=training)
            if training:
                h = self.drop(h, training=True)
            return self.out(h) + x[:, :2]

    return WithTraining()


def with_lists(k: Any) -> Any:
    class WithLists(k.Model):
        def __init__(self):
            super().__init__()
            self.blocks = [k.layers.Dense(4, activation="tanh") for _ in range(3)]
            self.heads = {"a": k.layers.Dense(2), "b": k.layers.Dense(1)}

        def call(self, x):
            for block in self.blocks:
                x = x + block(x)
            return self.heads["a"](x) * self.heads["b"](x)

    return WithLists()


def with_a_model_inside(k: Any) -> Any:
    class WithAModelInside(k.Model):
        def __init__(self):
            super().__init__()
            self.inner = k.Sequential(
                [k.layers.Dense(3, activation="tanh"), k.layers.Dense(4)]
            )
            self.last = k.layers.Dense(2)

        def call(self, x):
            return self.last(self.inner(self.inner(x)))

    return WithAModelInside()


def with_shared(k: Any) -> Any:
    class WithShared(k.Model):
        def __init__(self):
            super().__init__()
            self.dense = k.layers.Dense(4, activation="tanh")
            self.again = self.dense
            self.out = k.layers.Dense(2, kernel_regularizer="l2")

        def call(self, x):
            return self.out(self.dense(self.again(x)))

    return WithShared()


MODELS = [two_layers, with_training, with_lists, with_a_model_inside, with_shared]


def built(make: Any) -> Any:
    """The model, its weights made by a first call."""

    def build(k: Any) -> Any:
        model = make(k)
        model(np.zeros((1, 4)))
        return compiled(model, loss="mse", metrics=["mae"])

    return build


def names(model: Any) -> dict[str, Any]:
    return {
        "name": model.name,
        "layers": [layer.name for layer in model.layers],
        "weights": [(w.path, tuple(w.shape)) for w in model.weights],
        "trainable": [w.path for w in model.trainable_weights],
        "variables": len(model.variables),
        "built": model.built,
        "count": model.count_params(),
    }


class TestModels:
    @pytest.mark.parametrize("make", MODELS)
    def test_names_values_and_gradients(self, make):
        with default_dtype("float64"):
            twins = pair(built(make))
            assert_same(names(twins.ours), names(twins.theirs))
            compare_numbers(twins.ours(X), np.asarray(twins.theirs(X)))
            for method in ("predict", "predict_on_batch"):
                compare_numbers(*(call(m, method, X) for m in twins[:2]))
            compare_gradients(twins, X, Y)

    @pytest.mark.parametrize("make", MODELS)
    def test_fit(self, make):
        check_fit(built(make), X, Y, batch_size=5, epochs=2, validation_split=0.25)

    @pytest.mark.parametrize("make", MODELS)
    def test_built_by_fit(self, make):
        def unbuilt(k):
            return compiled(make(k), loss="mse")

        with default_dtype("float64"):
            twins = pair(unbuilt)
            assert not twins.ours.built
            for model in twins[:2]:
                call(model, "fit", X, Y, batch_size=5)
            assert_same(names(twins.ours), names(twins.theirs))
            compare_variables(twins)

    def test_build_with_a_shape(self):
        """Keras marks such a model as built without weights, and warns of it."""
        model = two_layers(minikeras)
        model.build((None, 4))
        assert [w.shape for w in model.weights] == [(4, 3), (3,), (3, 2), (2,)]

    def test_several_inputs_and_outputs(self):
        def make(k):
            class Both(k.Model):
                def __init__(self):
                    super().__init__()
                    self.a, self.b = k.layers.Dense(2), k.layers.Dense(2)

                def call(self, inputs):
                    a, b = self.a(inputs["a"]), self.b(inputs["b"])
                    return {"sum": a + b, "parts": [a, b]}

            model = Both()
            model({"a": np.zeros((1, 4)), "b": np.zeros((1, 3))})
            return compiled(model, loss={"sum": "mse", "parts": ["mse", "mae"]})

        data = {"a": X, "b": X[:, :3]}
        check_fit(make, data, {"sum": Y, "parts": [Y, -Y]}, batch_size=5)

    def test_final_softmax(self):
        """Also here it is trained from its logits."""

        def make(k):
            class Classifier(k.Model):
                def __init__(self):
                    super().__init__()
                    self.out = k.layers.Dense(2, activation="softmax")

                def call(self, x):
                    return self.out(x)

            model = Classifier()
            model(np.zeros((1, 4)))
            return compiled(model, loss="sparse_categorical_crossentropy")

        check_fit(make, X * 50, RNG.integers(0, 2, 12), batch_size=5)

    def test_other_shapes_later(self):
        """A new shape is traced anew; the weights stay."""
        model = two_layers(minikeras)
        model(np.zeros((1, 4), "float32"))
        y = model(np.zeros((2, 5, 4), "float32"))
        assert y.shape == (2, 5, 2) and len(model.weights) == 4

    def test_config_from_the_constructor(self):
        model = two_layers(minikeras)
        assert model.get_config()["units"] == 3

    def test_summary_before_and_after(self):
        model = two_layers(minikeras)
        lines: list[str] = []
        model.summary(print_fn=lines.append)
        assert "unbuilt" in lines[0]
        model(np.zeros((1, 4), "float32"))
        model.summary(print_fn=lines.append)
        assert "unbuilt" not in lines[1] and "15" in lines[1]


class TestUserErrors:
    def test_numpy_in_call(self):
        class WithNumPy(minikeras.Model):
            def __init__(self):
                super().__init__()
                self.dense = layers.Dense(2)

            def call(self, x):
                return np.tanh(self.dense(x))

        model = compiled(WithNumPy(), loss="mse")
        with pytest.raises(ValueError, match="uses NumPy on its inputs"):
            model.fit(X, Y, verbose=0)

    def test_super_init_forgotten(self):
        def use(k):
            class Forgot(k.Model):
                def __init__(self):
                    self.dense = k.layers.Dense(2)

                def call(self, x):
                    return self.dense(x)

            return Forgot()(X)

        for k in (minikeras, keras):
            with pytest.raises(RuntimeError, match="super"):
                use(k)

    def test_no_call(self):
        class Nothing(minikeras.Model):
            pass

        with pytest.raises(NotImplementedError, match="call"):
            Nothing()(X)

    def test_call_that_returns_no_tensor(self):
        class Constant(minikeras.Model):
            def call(self, x):
                return 3.0

        with pytest.raises(ValueError, match="must return tensors"):
            compiled(Constant(), loss="mse").fit(X, Y, verbose=0)

    def test_layer_without_forward(self):
        class Nothing(minikeras.Layer):
            pass

        with pytest.raises(NotImplementedError, match="forward"):
            Nothing()(X)

    def test_layer_without_backward(self):
        class NoBackward(minikeras.Layer):
            def forward(self, x):
                return x * 2, None

        model = minikeras.Sequential([layers.Dense(2), NoBackward()])
        with pytest.raises(NotImplementedError, match="no `backward"):
            compiled(model, loss="mse").fit(X, Y, verbose=0)

    def test_backward_with_a_wrong_shape(self):
        class Wrong(minikeras.Layer):
            def build(self, input_shape):
                self.w = self.add_weight(shape=(input_shape[-1],), name="w")

            def forward(self, x):
                return x * self.w.value, x

            def backward(self, dy, residuals, grads):
                grads.add(self.w, dy * residuals)
                return dy * self.w.value

        model = compiled(minikeras.Sequential([Wrong()]), loss="mse")
        with pytest.raises(ValueError, match=r"must have its shape \(4,\)"):
            model.fit(X, X, verbose=0)


def scale(k: Any) -> type:
    """A layer with a weight of its own: by hand here, traced by TensorFlow there."""
    if k is keras:

        class Scale(keras.Layer):
            def build(self, input_shape):
                self.scale = self.add_weight(
                    shape=(input_shape[-1],), initializer="ones", name="scale"
                )

            def call(self, x):
                return keras.ops.tanh(x * self.scale)

        return Scale

    class Scale(minikeras.Layer):  # type: ignore[no-redef]
        def build(self, input_shape):
            self.scale = self.add_weight(
                shape=(input_shape[-1],), initializer="ones", name="scale"
            )

        def forward(self, x, *, training=False, mask=None):
            y = np.tanh(x * self.scale.value)
            return y, (x, y)

        def backward(self, dy, residuals, grads):
            x, y = residuals
            dz = dy * (1 - y * y)
            grads.add(self.scale, (dz * x).reshape(-1, x.shape[-1]).sum(axis=0))
            return dz * self.scale.value

    return Scale


class TestLayers:
    def test_in_a_model(self):
        def make(k):
            model = k.Sequential(
                [k.Input((4,)), k.layers.Dense(3), scale(k)(), k.layers.Dense(2)]
            )
            return compiled(model, loss="mse")

        with default_dtype("float64"):
            twins = pair(make)
            assert_same(names(twins.ours), names(twins.theirs))
            compare_gradients(twins, X, Y)
        check_fit(make, X, Y, batch_size=5)

    def test_made_of_layers(self):
        def make(k):
            class Block(k.layers.Layer):
                def __init__(self, units, **kwargs):
                    super().__init__(**kwargs)
                    self.units = units
                    self.one = k.layers.Dense(units, activation="tanh")
                    self.norm = k.layers.LayerNormalization()

                def call(self, x, training=False):
                    return self.norm(self.one(x)) + x

            x = k.Input((4,))
            block = Block(4, name="block")
            y = block(k.layers.Dense(4)(block(x)))
            return compiled(k.Model(x, k.layers.Dense(2)(y)), loss="mse")

        with default_dtype("float64"):
            twins = pair(make)
            assert_same(names(twins.ours), names(twins.theirs))
            compare_gradients(twins, X, Y)
        check_fit(make, X, Y, batch_size=5)

    def test_sublayers_made_in_build(self):
        def make(k):
            class Late(k.layers.Layer):
                def build(self, input_shape):
                    self.dense = k.layers.Dense(input_shape[-1])
                    self.dense.build(input_shape)

                def call(self, x):
                    return self.dense(x) * 2.0

            model = k.Sequential([k.Input((4,)), Late(), k.layers.Dense(2)])
            return compiled(model, loss="mse")

        with default_dtype("float64"):
            twins = pair(make)
            assert_same(names(twins.ours), names(twins.theirs))
            compare_gradients(twins, X, Y)

    def test_gradcheck_of_a_layer(self):
        minikeras.utils.gradcheck(scale(minikeras)(), X).raise_if_failed()
