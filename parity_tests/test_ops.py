"""`keras.ops`: values on arrays, nodes and gradients in models, files."""

from __future__ import annotations

import json

import numpy as np
import pytest

import minikeras
from minikeras import ops
from minikeras.gradients import Gradients
from minikeras.tensors import NAMES
from parity_tests import strategies
from parity_tests.functions import default_dtype
from parity_tests.oracle import keras, tf
from parity_tests.tolerance import assert_close, assert_equal

BOTH = pytest.mark.parametrize("dtype", strategies.DTYPES)
X, Y, V = (3, 4), (3, 4), (2, 3, 4)  # shapes of single examples

# name, shapes of the tensors, further arguments, how the numbers are
UNARY = [
    *[(n, [X], {}, "any") for n in "abs negative square sin cos sinh cosh".split()],
    *[(n, [X], {}, "any") for n in "exp expm1 arctan tan sign floor ceil".split()],
    *[(n, [X], {}, "positive") for n in "log log1p log2 log10 sqrt rsqrt".split()],
    ("reciprocal", [X], {}, "positive"),
    ("clip", [X], {"x_min": -0.5, "x_max": 0.7}, "any"),
    ("round", [X], {}, "any"),
]
BINARY = [
    *[
        (name, [X, shape], {}, "positive")
        for name in "add subtract multiply divide power maximum minimum".split()
        for shape in (X, (4,))
    ],
    ("mod", [X, X], {}, "positive"),
    ("matmul", [X, (4, 2)], {}, "any"),
    ("dot", [X, (4, 2)], {}, "any"),
    ("tensordot", [V, (3, 4, 5)], {"axes": 2}, "any"),
    ("tensordot", [V, (4, 2, 5)], {"axes": [[2, 0], [0, 1]]}, "any"),
    ("tensordot", [V, (2, 4, 5)], {"axes": [[2, 0], [1, 0]]}, "any"),
    ("outer", [(3,), (4,)], {}, "any"),
    ("vdot", [X, X], {}, "any"),
]
REDUCTIONS = [
    *[
        (name, [V], {"axis": axis, "keepdims": keepdims}, "any")
        for name in "sum mean max min prod var std logsumexp".split()
        for axis, keepdims in ((None, False), (-1, True), ((0, 2), False))
    ],
    ("max", [V], {"axis": 1, "initial": 0.3}, "any"),
    ("norm", [X], {}, "any"),
    ("norm", [V], {"axis": -1, "keepdims": True}, "any"),
    ("norm", [V], {"axis": 1, "ord": 1}, "any"),
    ("norm", [V], {"axis": 1, "ord": np.inf}, "any"),
    ("cumsum", [V], {"axis": 1}, "any"),
    ("cumsum", [X], {}, "any"),
    ("average", [V], {"axis": 1}, "any"),
    ("normalize", [X], {}, "any"),
]
SHAPES = [
    ("reshape", [X], {"newshape": (2, -1)}, "any"),
    ("ravel", [X], {}, "any"),
    ("expand_dims", [X], {"axis": 1}, "any"),
    ("expand_dims", [X], {"axis": (0, -1)}, "any"),
    ("squeeze", [(3, 1, 4, 1)], {"axis": 1}, "any"),
    ("squeeze", [(3, 1, 4, 1)], {}, "any"),
    ("transpose", [V], {}, "any"),
    ("transpose", [V], {"axes": (1, 2, 0)}, "any"),
    ("moveaxis", [V], {"source": 0, "destination": -1}, "any"),
    ("swapaxes", [V], {"axis1": 0, "axis2": 2}, "any"),
    ("flip", [V], {"axis": 1}, "any"),
    ("flip", [X], {}, "any"),
    ("roll", [X], {"shift": 2, "axis": 1}, "any"),
    ("roll", [X], {"shift": 3}, "any"),
    ("broadcast_to", [(3, 1)], {"shape": (2, 3, 4)}, "any"),
    ("tile", [X], {"repeats": (2, 3)}, "any"),
    ("tile", [X], {"repeats": (2, 1, 3)}, "any"),
    ("repeat", [X], {"repeats": 2, "axis": 1}, "any"),
    ("repeat", [X], {"repeats": 2}, "any"),
    ("pad", [X], {"pad_width": ((1, 0), (2, 1))}, "any"),
    ("triu", [X], {"k": 1}, "any"),
    ("tril", [X], {}, "any"),
    ("diagonal", [V], {"offset": 1, "axis1": 1, "axis2": 2}, "any"),
]
NETWORK = [
    ("softmax", [V], {"axis": 1}, "any"),
    ("log_softmax", [X], {}, "any"),
    *[(name, [X], {}, "any") for name in "relu sigmoid tanh silu gelu elu".split()],
    *[(name, [X], {}, "any") for name in "softplus softsign selu relu6".split()],
    *[(name, [X], {}, "any") for name in "log_sigmoid hard_silu".split()],
]
CASES = [*UNARY, *BINARY, *REDUCTIONS, *SHAPES]


def numbers(shapes, kind, dtype, seed=0):
    rng = np.random.default_rng(seed)
    found = [rng.standard_normal(shape) for shape in shapes]
    if kind == "positive":
        found = [np.abs(a) + 0.3 for a in found]
    return [a.astype(dtype) for a in found]


def label(case):
    return f"{case[0]}-{'x'.join(str(s) for s in case[1])}-{case[2]}"


def through_a_graph(function, inputs, seed=1):
    """(y, gradients) of `function` as a functional model without a batch axis."""
    tensors = [minikeras.Input(batch_shape=x.shape, dtype=x.dtype.name) for x in inputs]
    y = function(*tensors)
    graph = minikeras.Model(tensors, y)._graph
    outputs, residuals = graph.forward(inputs, training=False)
    rng = np.random.default_rng(seed)
    dys = [rng.standard_normal(o.shape).astype(o.dtype) for o in outputs]
    shapes = [(tuple(t.shape), t.dtype) for t in graph.outputs]
    assert_equal([(o.shape, o.dtype.name) for o in outputs], shapes, name="spec")
    return outputs, dys, graph.backward(dys, residuals, Gradients())


def through_keras(function, inputs, dys):
    with tf.GradientTape() as tape:
        tensors = [tf.constant(x) for x in inputs]
        tape.watch(tensors)
        y = function(*tensors)
        y = list(y) if isinstance(y, list | tuple) else [y]
        total = tf.add_n([tf.reduce_sum(a * d) for a, d in zip(y, dys, strict=True)])
    return [a.numpy() for a in y], tape.gradient(total, tensors)


def check(function, inputs, k=64):
    """`function(ops module, *tensors)` in both: values, spec and every gradient."""
    outputs, dys, gradients = through_a_graph(lambda *x: function(ops, *x), inputs)
    expected, theirs = through_keras(lambda *x: function(keras.ops, *x), inputs, dys)
    eager = function(ops, *inputs)
    eager = list(eager) if isinstance(eager, list | tuple) else [eager]
    for a, b, c in zip(outputs, expected, eager, strict=True):
        assert_close(a, b, name="y", k=k)
        assert_equal(np.asarray(c), a, name="eager y")
    for i, (a, b) in enumerate(zip(gradients, theirs, strict=True)):
        if a is None or b is None:
            assert not np.any(a) and (b is None or not np.any(b.numpy()))
            continue
        assert_close(a, tf.convert_to_tensor(b).numpy(), name=f"dx{i}", k=k)


@BOTH
@pytest.mark.parametrize("case", CASES, ids=label)
def test_equal_keras(case, dtype):
    name, shapes, options, kind = case
    with default_dtype(dtype):
        check(
            lambda k, *x: getattr(k, name)(*x, **options), numbers(shapes, kind, dtype)
        )


@BOTH
@pytest.mark.parametrize("case", NETWORK, ids=label)
def test_activations(case, dtype):
    name, shapes, options, kind = case
    with default_dtype(dtype):
        inputs = numbers(shapes, kind, dtype)
        outputs, dys, gradients = through_a_graph(
            lambda x: getattr(ops, name)(x, **options), inputs
        )
        expected, theirs = through_keras(
            lambda x: getattr(keras.ops, name)(x, **options), inputs, dys
        )
        scale = max(1.0, float(np.abs(expected[0]).max()))
        assert_close(outputs[0], expected[0], scale=scale, k=64)
        assert_close(gradients[0], theirs[0].numpy(), k=64)


JOINS = {
    "concatenate": lambda k, a, b: k.concatenate([a, b, a], axis=-1),
    "concatenate with a constant": lambda k, a, b: k.concatenate(
        [a, np.ones((3, 2), "float32"), b], axis=1
    ),
    "stack": lambda k, a, b: k.stack([a, b], axis=1),
    "split": lambda k, a, b: k.split(k.concatenate([a, b], axis=1), 2, axis=1),
    "split at": lambda k, a, b: k.split(a + b, [1, 3], axis=1),
    "where": lambda k, a, b: k.where(a > b, a * b, b),
    "where with a number": lambda k, a, b: k.where(a > 0.0, b, 2.0) + a,
    "maximum with a number": lambda k, a, b: k.maximum(a, 0.25) + k.minimum(0.5, b),
    "take": lambda k, a, b: k.take(a, np.array([[0, 2], [2, 1]]), axis=1) + b[0, 0],
    "take of all": lambda k, a, b: k.take(a, np.array([5, 5, 1])) + b[0, 0],
    "take_along_axis": lambda k, a, b: (
        k.take_along_axis(a, np.array([[0, 2], [1, 1], [3, 0]]), axis=1) + b[0, 0]
    ),
    "einsum": lambda k, a, b: k.einsum("ij,kj->ik", a, b),
    "einsum of one": lambda k, a, b: k.einsum("ij->j", a) + b,
    "einsum with dots": lambda k, a, b: k.einsum("...j,ij->...i", a, b),
    "einsum, implicit": lambda k, a, b: k.einsum("ij,ij", a, b),
    "average with weights": lambda k, a, b: k.average(a, axis=1, weights=b * b),
    "stop_gradient": lambda k, a, b: a * k.stop_gradient(b),
    "constants": lambda k, a, b: a * k.ones_like(b) + k.zeros_like(a) + k.eye(3, 4),
    "mean and var": lambda k, a, b: (a - k.mean(b)) / k.sqrt(k.var(b) + 1.0),
    "pad with a value": lambda k, a, b: (
        k.pad(a, ((1, 1), (0, 2)), constant_values=2.0) + b[0, 0]
    ),
    "argmax": lambda k, a, b: a + k.cast(k.argmax(b, axis=1, keepdims=True), a.dtype),
    "one_hot": lambda k, a, b: a * k.one_hot(k.argmax(b, axis=1), 4, dtype=a.dtype),
    "comparisons": lambda k, a, b: k.where(
        k.logical_and(k.greater(a, 0.0), k.less(b, 0.5)), a, b
    ),
    "logsumexp of a far number": lambda k, a, b: k.logsumexp(a * 1000.0) + b,
}


@BOTH
@pytest.mark.parametrize("name", JOINS)
def test_together(name, dtype):
    if "constant" in name and dtype == "float64":
        dtype = "float32"  # the constant is one
    with default_dtype(dtype):
        check(JOINS[name], numbers([X, Y], "any", dtype))


def test_without_gradients():
    a = np.array([[1.0, np.nan], [np.inf, 0.0]], "float32")
    for name in ("isnan", "isinf", "isfinite", "logical_not", "any", "all"):
        found, expected = (getattr(k, name)(a) for k in (ops, keras.ops))
        assert_equal(np.asarray(found), np.asarray(expected), name=name)
    for name in ("argmax", "argmin"):
        found, expected = (getattr(k, name)(a[1], axis=0) for k in (ops, keras.ops))
        assert_equal(np.asarray(found), np.asarray(expected), name=name)
    found, expected = (k.count_nonzero(a, axis=0) for k in (ops, keras.ops))
    assert_equal(found, np.asarray(expected))
    for name in ("equal", "not_equal", "less", "less_equal", "greater", "logical_or"):
        found, expected = (getattr(k, name)(a, 1.0) for k in (ops, keras.ops))
        assert_equal(np.asarray(found), np.asarray(expected), name=name)
    found, expected = (k.floor_divide(a, 2.0) for k in (ops, keras.ops))
    assert_equal(found, np.asarray(expected))


def test_new_arrays():
    for make in (
        lambda k: k.zeros((2, 3)),
        lambda k: k.ones(3, dtype="int32"),
        lambda k: k.full((2,), 7.0),
        lambda k: k.eye(3, 4, k=1),
        lambda k: k.identity(2),
        lambda k: k.arange(5),
        lambda k: k.arange(1, 3, 0.5),
        lambda k: k.linspace(0.0, 1.0, 5),
        lambda k: k.zeros_like(np.ones((2, 2), "float64")),
        lambda k: k.full_like(np.ones((2, 2), "float32"), 3),
        lambda k: k.convert_to_tensor([1.0, 2.0]),
        lambda k: k.array([1, 2], "float32"),
        lambda k: k.multi_hot(np.array([[0, 2], [1, 1]]), 4),
        lambda k: k.where(np.array([[True, False], [True, True]]))[0],
        lambda k: k.sum(np.array([1, 2, 3], "int32")),
        lambda k: k.mean(np.array([1, 2, 4], "int32")),
        lambda k: k.add(np.array([1, 2], "int32"), 0.5),
        lambda k: k.multiply(np.array([1, 2], "int64"), np.float32([0.5, 0.5])),
    ):
        found, expected = make(ops), np.asarray(make(keras.ops))
        assert_equal(np.asarray(found), expected)
    assert ops.is_tensor(ops.ones(2)) and not ops.is_tensor([1.0])
    assert_equal(ops.convert_to_numpy(minikeras.Variable([1.0])), np.float32([1.0]))
    assert_equal(
        (ops.shape(np.ones((2, 3))), ops.ndim(3.0), ops.size([1, 2])), ((2, 3), 0, 2)
    )


def model(k):
    """A functional model with operations of every family between its layers."""
    x = k.Input((6,), name="x")
    h = k.layers.Dense(8, name="first")(x)
    h = k.ops.relu(h) + k.activations.tanh(h) * 0.5
    h = k.ops.reshape(h, (-1, 2, 4))
    parts = k.ops.split(h, 2, axis=-1)
    h = k.ops.concatenate([k.ops.exp(parts[0]), k.ops.softmax(parts[1])], axis=-1)
    h = k.ops.transpose(h, (0, 2, 1))
    h = k.ops.einsum("bij,bkj->bik", h, h)
    h = k.ops.mean(h, axis=-1) + k.ops.max(h, axis=1)
    h = k.ops.expand_dims(k.ops.clip(h, -3.0, 3.0), 1)
    h = k.ops.squeeze(h, 1) / (1.0 + k.ops.norm(h, axis=(1, 2))[:, None])
    h = k.ops.stack([h, k.ops.where(h > 0.1, h, 0.1 * h)], axis=1)
    h = k.ops.sum(k.ops.square(h), axis=1, keepdims=False)
    return k.Model(x, k.layers.Dense(1, name="last")(h))


@BOTH
def test_models_train_alike(dtype):
    with default_dtype(dtype):
        rng = np.random.default_rng(0)
        x, y = rng.standard_normal((8, 6)), rng.standard_normal((8, 1))
        x, y = x.astype(dtype), y.astype(dtype)
        ours, theirs = model(minikeras), model(keras)
        theirs.set_weights(ours.get_weights())
        assert_close(ours.predict(x, verbose=0), theirs.predict(x, verbose=0), k=256)
        for m in (ours, theirs):
            m.compile("sgd", "mse")
            m.fit(x, y, epochs=2, batch_size=4, shuffle=False, verbose=0)
        for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
            assert_close(a, b, k=1024)


def test_models_travel_as_json():
    x = np.random.default_rng(1).standard_normal((3, 6)).astype("float32")
    ours, theirs = model(minikeras), model(keras)
    theirs.set_weights(ours.get_weights())
    back = minikeras.models.model_from_json(theirs.to_json())
    back.set_weights(ours.get_weights())
    assert_equal(back.predict(x, verbose=0), ours.predict(x, verbose=0))
    there = keras.models.model_from_json(ours.to_json())
    there.set_weights(ours.get_weights())
    expected = theirs.predict(x, verbose=0)
    assert_close(there.predict(x, verbose=0), expected, k=64)
    kinds = [
        sorted(
            (c["module"], c["class_name"]) for c in json.loads(text)["config"]["layers"]
        )
        for text in (ours.to_json(), theirs.to_json())
    ]
    ignored = ("ReLU", "Relu")  # ops.relu and activations.relu are one here
    assert_equal(*[[k for k in kind if k[1] not in ignored] for kind in kinds])


def test_variables_in_a_call():
    class Scale(minikeras.layers.Layer):
        def build(self, shape):
            self.scale = self.add_weight(shape=(shape[-1],), initializer="ones")

        def call(self, x):
            return ops.multiply(x, ops.exp(self.scale)) + ops.sum(self.scale)

    layer = minikeras.Sequential([minikeras.Input((3,)), Scale()])
    x = np.ones((2, 3), "float32")
    assert_close(layer(x), np.full((2, 3), np.e + 3, "float32"), k=8)
    layer.compile("sgd", "mse")
    before = layer.get_weights()[0]
    layer.fit(x, np.zeros((2, 3)), verbose=0)
    assert np.all(layer.get_weights()[0] < before)


def test_every_name_is_one_of_keras():
    theirs = set(dir(keras.ops))
    assert set(NAMES) <= theirs
    assert_equal(sorted(dir(ops)), sorted(NAMES))
    with pytest.raises(AttributeError, match="Did you mean 'softmax'"):
        ops.softmx  # noqa: B018


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda k: k.concatenate([np.ones((2, 2)), np.ones((3, 3))]), ValueError),
        (lambda k: k.reshape(np.ones(6), (4, 2)), ValueError),
        (lambda k: k.sum(np.ones((2, 3)), axis=2), ValueError),
    ],
)
def test_refused(call, error):
    with pytest.raises(error):
        call(ops)


@pytest.mark.parametrize(
    "grow",
    [
        lambda k, x: k.tile(x, (1, 10**9)),
        lambda k, x: k.repeat(x, 10**12, axis=1),
        lambda k, x: k.broadcast_to(x, (10**6, 10**6, 4)),
        lambda k, x: k.pad(x, ((0, 0), (0, 10**12))),
        lambda k, x: k.one_hot(x, 10**12),
    ],
)
def test_shapes_of_what_grows_are_not_tried_out(grow):
    """A config may ask for anything: nothing is allocated before data is there."""
    y = grow(ops, minikeras.Input((4,), dtype="int32"))
    assert max(n for n in y.shape if n is not None) >= 10**6
