"""The gradient checker: agrees with right gradients, names the place of wrong ones."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minikeras import Model, Sequential, activations, layers, losses, random, utils
from minikeras.functions import differentiable
from minikeras.gradients import Gradients
from minikeras.layers import Input
from minikeras.utils import gradcheck
from parity_tests.planted_bugs.planting import altered, only, weight_gradients
from parity_tests.strategies import Values, values
from parity_tests.tolerance import NUMERIC_DERIVATIVE, assert_close, assert_equal


@pytest.fixture(autouse=True)
def seeded() -> None:
    """The same initial weights and names in every run."""
    utils.clear_session()
    random.set_random_seed(7)


RIGHT = {
    "Dense": (lambda: layers.Dense(3, activation="tanh"), Values((4, 5))),
    "Dense on a sequence": (lambda: layers.Dense(2), Values((2, 3, 4))),
    "Conv2D": (lambda: layers.Conv2D(2, 3, padding="same"), Values((2, 4, 5, 2))),
    "MaxPooling2D": (lambda: layers.MaxPooling2D(2), Values((1, 4, 4, 2))),
    "LSTM": (lambda: layers.LSTM(3, return_sequences=True), Values((2, 4, 3))),
    "LayerNormalization": (lambda: layers.LayerNormalization(), Values((3, 4))),
    "Embedding": (lambda: layers.Embedding(4, 2), np.array([[0, 3, 3], [1, 3, 0]])),
}


@pytest.mark.parametrize("name", RIGHT)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_right_gradients_pass(name: str, dtype: str) -> None:
    make, x = RIGHT[name]
    layer = make()
    x = x(dtype) if isinstance(x, Values) else x
    result = gradcheck(layer, x)
    assert result.ok, str(result)
    assert_equal(result.wrong, [])
    assert {c.name for c in result.arrays} >= {v.path for v in layer.trainable_weights}
    assert max(c.error for c in result.arrays) < NUMERIC_DERIVATIVE
    assert gradcheck(layer, x, directions=2).ok


def test_the_layer_is_left_as_it_was() -> None:
    layer = layers.BatchNormalization()
    x = Values((5, 3))("float32")
    layer(x)
    before = layer.get_weights()
    result = gradcheck(layer, x, training=True)
    assert result.ok, str(result)
    for a, b in zip(before, layer.get_weights(), strict=True):
        assert_equal(b, a)
    assert_equal(layer.compute_dtype, "float32")


def test_dropout_keeps_its_mask_while_it_is_checked() -> None:
    layer = layers.Dropout(0.5, seed=3)
    result = gradcheck(layer, Values((4, 6))(), training=True)
    assert result.ok, str(result)
    assert_equal(layer.seed_generator.state.numpy(), np.array([3, 0]))


def test_a_whole_model_and_its_shared_layer() -> None:
    shared = layers.Dense(3, activation="tanh")
    a, b = Input((3,)), Input((3,))
    model = Model([a, b], [shared(shared(a)), shared(b)])
    x = [Values((2, 3), seed)("float32") for seed in (1, 2)]
    result = gradcheck(model, x)
    assert result.ok, str(result)
    names = [c.name for c in result.arrays]
    assert_equal(names[:2], ["input[0]", "input[1]"])
    assert_equal(len(names), 4)


@pytest.mark.parametrize("begin", [(), (Input((5, 3)),)], ids=["lazy", "with Input"])
def test_a_sequential_model_is_float64_throughout(begin: tuple) -> None:
    inner = Sequential([layers.LSTM(2)])
    model = Sequential(
        [*begin, layers.LSTM(4, return_sequences=True), inner, layers.Dense(2)]
    )
    x = Values((2, 5, 3))("float32")
    result = gradcheck(model, x)
    assert result.ok, str(result)
    assert max(c.error for c in result.arrays) < NUMERIC_DERIVATIVE
    assert_equal(model(x).dtype.name, "float32")


def test_long_paths_break_at_slashes_in_80_columns() -> None:
    first = layers.LSTM(4, return_sequences=True, name="first")
    both = layers.Bidirectional(layers.LSTM(3), name="bidirectional")
    model = Sequential([Input((5, 3)), first, both])
    result = gradcheck(model, Values((2, 5, 3))(), directions=1)
    lines = str(result).splitlines()
    assert max(map(len, lines)) <= 80
    begins = {line.split()[0] for line in lines if line.strip()}
    assert {"first/lstm_cell/kernel", "bidirectional/", "recurrent_kernel"} <= begins
    assert not any("sequential" in line for line in lines[1:])
    assert "sequential/first/lstm_cell/kernel" in {c.name for c in result.arrays}


def test_initial_states_and_masks() -> None:
    states = [Values((2, 3), seed)() for seed in (1, 2)]
    mask = np.array([[1, 1, 0], [0, 1, 1]], bool)
    result = gradcheck(
        layers.LSTM(3, return_state=True),
        Values((2, 3, 2))(),
        call_kwargs={"initial_state": states},
        mask=mask,
    )
    assert result.ok, str(result)
    assert "initial_state[1]" in str(result)


@pytest.mark.parametrize(
    "name", ["relu", "tanh", "softmax", "gelu", "selu", "softplus", "mish"]
)
@given(x=values((3, 4), scale=1.0, specials=()))
def test_activations(name: str, x: Values) -> None:
    assert gradcheck(getattr(activations, name), x()).ok


def test_losses_and_their_functions() -> None:
    y_true = np.array([[0.0, 1, 0], [1, 0, 0]])
    y_pred = np.array([[0.2, 0.7, 0.1], [0.5, 0.3, 0.2]])
    loss = losses.CategoricalCrossentropy()
    result = gradcheck(loss, y_true, y_pred)
    assert result.ok, str(result)
    assert_equal([c.name for c in result.arrays], ["y_pred"])
    weighted = {"sample_weight": np.array([1.0, 3.0])}
    assert gradcheck(loss, y_true, y_pred, call_kwargs=weighted).ok
    assert gradcheck(losses.mean_squared_error, y_true, y_pred).ok


def test_a_wrong_gradient_is_named_with_its_place() -> None:
    def spoil(g: np.ndarray) -> np.ndarray:
        g = g.copy()
        g[1, 2] += 0.5
        return g

    wrong = altered("Dense", backward=weight_gradients(only("kernel", spoil)))
    layer = wrong(3, activation="tanh")
    result = gradcheck(layer, Values((4, 3))())
    assert not result.ok
    assert_equal(result.wrong, ["dense/kernel"])
    kernel = next(c for c in result.arrays if c.name == "dense/kernel")
    assert_equal(kernel.index, (1, 2))
    assert_close(kernel.analytic - kernel.numeric, 0.5, scale=1e6)
    text = str(result)
    for part in ("dense/kernel", "(1, 2)", "WRONG", "dense/bias", "ok", "backward"):
        assert part in text
    with pytest.raises(AssertionError, match=r"dense/kernel.* is wrong"):
        result.raise_if_failed()


@pytest.mark.parametrize("directions", [0, 1])
def test_a_gradient_of_zero_is_wrong(directions: int) -> None:
    """Softmax returning zeros passes with a cotangent of ones; not here."""

    @differentiable
    def softmax(x):
        e = np.exp(x - x.max(axis=-1, keepdims=True))
        return e / e.sum(axis=-1, keepdims=True), x

    @softmax.gradient
    def _(dy, x):
        return np.zeros_like(x)

    result = gradcheck(softmax, Values((3, 4))(), directions=directions)
    assert_equal(result.wrong, ["x"])


def test_kinks_are_named_and_are_not_failures() -> None:
    x = np.array([[0.0, 1.0, -1.0, 0.0]])
    result = gradcheck(activations.relu, x)
    (check,) = result.arrays
    assert_equal((check.verdict, check.kinks, result.ok), ("kink", 2, True))
    assert "2 at kinks" in str(result)
    ties = np.zeros((1, 4, 4, 1))
    result = gradcheck(layers.MaxPooling2D(2), ties)
    assert result.ok
    assert_equal(result.arrays[0].verdict, "kink")


def test_a_wrong_gradient_is_wrong_at_a_kink_too() -> None:
    @differentiable
    def relu(x):
        return np.maximum(x, 0), x

    @relu.gradient
    def _(dy, x):
        return dy * (x < 0)  # the wrong side

    assert not gradcheck(relu, np.array([0.0, 1.0, -1.0])).ok


def test_complex_steps_where_they_work() -> None:
    @differentiable
    def cube(x):
        return x**3, x

    @cube.gradient
    def _(dy, x):
        return dy * 3 * x**2 * (1 + 1e-9)

    x = Values((5,))()
    assert gradcheck(cube, x, method="central").ok
    result = gradcheck(cube, x, method="complex", tolerance=1e-12)
    assert not result.ok, "complex steps are exact to rounding"
    assert "complex steps" in str(gradcheck(cube, x))
    assert "central differences" in str(gradcheck(activations.tanh, x))


@given(exponent=st.floats(-4, 2))
def test_numbers_of_any_size(exponent: float) -> None:
    x = Values((3, 4), scale=10**exponent)()
    layer = layers.Dense(2, activation="tanh")
    result = gradcheck(layer, x)
    assert result.ok, str(result)


def test_a_layer_of_ones_own() -> None:
    class Scale(layers.Layer):
        def __init__(self, power: int):
            super().__init__()
            self.power = power

        def build(self, input_shape):
            self.scale = self.add_weight(shape=(input_shape[-1],), name="scale")

        def forward(self, x):
            return x * self.scale.value**2, x

        def backward(self, dy, x, grads):
            slope = self.power * self.scale.value
            grads.add(self.scale, (dy * x * slope).sum(axis=0))
            return dy * self.scale.value**2

    x = Values((4, 3))("float32")
    assert gradcheck(Scale(2), x).ok
    assert_equal(gradcheck(Scale(3), x).wrong, ["scale_1/scale"])


class Slipped(layers.Dense):
    """A Dense layer whose backward is `slip(right dkernel, right dbias, right dx)`."""

    slip: Callable[..., tuple]

    def backward(self, dy, residuals, grads):
        right = Gradients([self.kernel, self.bias])
        dx = super().backward(dy, residuals, right)
        found = type(self).slip(right[self.kernel], right[self.bias], dx)
        for variable, gradient in zip((self.kernel, self.bias), found, strict=False):
            if gradient is not None:
                grads.add(variable, gradient)
        return found[2]


SLIPS: dict[str, tuple[Callable[..., tuple], str, str]] = {
    # what is done to (dkernel, dbias, dx), which array is wrong, what must be said
    "sign": (lambda k, b, x: (-k, b, x), "kernel", "The sign is wrong"),
    "transposed": (lambda k, b, x: (k.T, b, x), "kernel", "It is the transpose"),
    "transposed, square": (
        lambda k, b, x: (k[:3, :3].T if k.shape == (3, 3) else k.T, b, x),
        "kernel",
        "It is the transpose",
    ),
    "twice": (lambda k, b, x: (k, 2 * b, x), "bias", "A factor 2 too many"),
    "half": (lambda k, b, x: (k, b, x / 2), "input", "A factor 2 is missing"),
    "another factor": (lambda k, b, x: (k, b, x * 1.7), "input", "is 1.7 times"),
    "mean over the batch": (
        lambda k, b, x: (k / 5, b, x),
        "kernel",
        "divided by 5, the number of examples: a mean, and must be a sum",
    ),
    "no sum over the batch": (
        lambda k, b, x: (k, np.outer(np.arange(5) / 10, b), x),
        "bias",
        "The sum over axis 0 (number of examples) is missing",
    ),
    "kept axis": (lambda k, b, x: (k, b[None], x), "bias", "sum without keepdims"),
    "nothing added": (lambda k, b, x: (None, b, x), "kernel", "There is no gradient"),
    "zeros": (lambda k, b, x: (k, b, 0 * x), "input", "It is 0 everywhere"),
    "one row": (
        lambda k, b, x: (k, b, x + (np.arange(5) == 2)[:, None]),
        "input",
        "Wrong only at index 2 of axis 0",
    ),
    "unknown": (lambda k, b, x: (k, b, x + np.sin(x) + 1), "input", "None of the"),
}


@pytest.mark.parametrize("units", [3, 4])
@pytest.mark.parametrize("slip", SLIPS)
def test_a_wrong_backward_is_diagnosed(slip: str, units: int) -> None:
    change, wrong, says = SLIPS[slip]
    cls = type("Slipped", (Slipped,), {"slip": staticmethod(change)})
    layer = cls(units, activation="tanh", name="dense")
    result = gradcheck(layer, np.random.default_rng(2).normal(size=(5, 3)))
    assert [name.rpartition("/")[2] for name in result.wrong] == [wrong]
    text = " ".join(str(result).split())
    assert says in text, str(result)
    assert "1 of 3 gradients is wrong." in text


def test_gates_in_another_order_are_named() -> None:
    def swap(g: np.ndarray) -> np.ndarray:
        i, f, c, o = np.split(g, 4, axis=-1)
        return np.concatenate([i, f, o, c], axis=-1)

    wrong = altered("LSTM", backward=weight_gradients(only("recurrent_kernel", swap)))
    result = gradcheck(wrong(3), Values((2, 4, 3))())
    assert_equal(result.wrong, ["lstm/lstm_cell/recurrent_kernel"])
    text = " ".join(str(result).split())
    assert "The gates are in the order i, f, o, c; in Keras it is i, f, c, o." in text


def test_the_table_fits_80_columns() -> None:
    name = "a_layer_with_a_very_long_name_indeed_in_it"
    layer = layers.Dense(3, activation="relu", name=name)
    x = np.random.default_rng(3).normal(size=(1000, 3)) * 1e-12
    for directions in (0, 2):
        lines = str(gradcheck(layer, x, directions=directions)).split("\n")
        assert max(map(len, lines)) <= 80
    assert "All gradients are right." in lines[-1]


def test_a_large_wrong_array_is_named_without_a_diagnosis() -> None:
    wrong = altered("Dense", backward=weight_gradients(only("kernel", np.negative)))
    result = gradcheck(wrong(50), Values((2, 30))(), max_entries=5)
    assert_equal(result.wrong, ["dense/kernel"])
    assert "5 of 1,500" in str(result)


class Written(layers.Layer):
    """Doubles, and writes into what it was given."""

    slip = "nothing"

    def forward(self, x: np.ndarray) -> tuple:
        if self.slip == "forward":
            x *= 2
        return x * 2 if self.slip == "no residuals" else (x * 2, None)

    def backward(self, dy: np.ndarray, residuals: None, grads: Gradients) -> np.ndarray:
        dy *= 2
        return dy


@pytest.mark.parametrize("slip", ["forward", "backward"])
def test_writing_into_a_given_array_is_named(slip: str) -> None:
    layer, x = Written(), np.ones((2, 3))
    layer.slip = slip
    layer.built = True
    with pytest.raises(ValueError, match=f"`{slip}` of Written.* writes into an array"):
        gradcheck(layer, x)
    assert_equal(x, np.ones((2, 3)))


def test_forward_without_residuals_is_refused() -> None:
    layer = Written()
    layer.slip = "no residuals"  # two examples could be taken for a pair
    for check in (layer, lambda x: gradcheck(layer, x)):
        with pytest.raises(TypeError, match=r"`return y, residuals`. Received: .*nda"):
            check(np.ones((2, 3)))


def test_what_cannot_be_checked() -> None:
    with pytest.raises(TypeError, match="expects something with `forward`"):
        gradcheck(np.tanh, np.ones(3))
    with pytest.raises(ValueError, match="`method` must be"):
        gradcheck(activations.tanh, np.ones(3), method="exact")
    assert utils.gradcheck is gradcheck


def test_large_arrays_are_sampled() -> None:
    result = gradcheck(layers.Dense(20), Values((3, 30))(), max_entries=7)
    assert_equal([c.checked for c in result.arrays], [7, 7, 7])
