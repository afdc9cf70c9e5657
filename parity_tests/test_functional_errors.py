"""Graphs that cannot be: the same errors as Keras's, and nothing half-made."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minikeras
from parity_tests.oracle import keras

LIBRARIES = (minikeras, keras)


def disconnected(k: Any) -> Any:
    a, b = k.Input((3,)), k.Input((3,))
    return k.Model(a, k.layers.Dense(2)(b))


def half_disconnected(k: Any) -> Any:
    a, b = k.Input((3,)), k.Input((3,))
    return k.Model(a, k.layers.Dense(3)(a) + b)


def from_an_inner_tensor(k: Any) -> Any:
    a = k.Input((3,))
    h = k.layers.Dense(2)(a)
    return k.Model(h, k.layers.Dense(2)(h) + a[:, :2])


def same_names(k: Any) -> Any:
    a = k.Input((3,))
    x = k.layers.Dense(3, name="same")(a)
    return k.Model(a, k.layers.Dense(2, name="same")(x))


def same_input_names(k: Any) -> Any:
    a, b = k.Input((3,), name="same"), k.Input((3,), name="same")
    return k.Model([a, b], a + b)


def array_as_input(k: Any) -> Any:
    a = k.Input((3,))
    return k.Model(np.ones((1, 3)), k.layers.Dense(2)(a))


def array_as_output(k: Any) -> Any:
    a = k.Input((3,))
    return k.Model(a, np.ones((1, 3)))


def wrong_features(k: Any) -> Any:
    layer = k.layers.Dense(2)
    layer(k.Input((3,)))
    return layer(k.Input((4,)))


def wrong_rank(k: Any) -> Any:
    return k.layers.Conv2D(2, 3)(k.Input((4, 4)))


def wrong_broadcast(k: Any) -> Any:
    return k.Input((3,)) + k.Input((4,))


def wrong_data(k: Any) -> Any:
    a = k.Input((3,))
    return k.Model(a, k.layers.Dense(2)(a))(np.ones((2, 4)))


def wrong_rank_of_data(k: Any) -> Any:
    a = k.Input((3,))
    return k.Model(a, k.layers.Dense(2)(a))(np.ones((2, 5, 3)))


def too_few_inputs(k: Any) -> Any:
    a, b = k.Input((3,)), k.Input((3,))
    return k.Model([a, b], a + b)([np.ones((2, 3))])


def too_many_inputs(k: Any) -> Any:
    a, b = k.Input((3,)), k.Input((3,))
    return k.Model([a, b], a + b)([np.ones((2, 3))] * 3)


def missing_key(k: Any) -> Any:
    a, b = k.Input((3,), name="a"), k.Input((3,), name="b")
    return k.Model({"a": a, "b": b}, a + b)({"a": np.ones((2, 3))})


def unknown_key(k: Any) -> Any:
    a, b = k.Input((3,), name="a"), k.Input((3,), name="b")
    return k.Model([a, b], a + b)({"a": np.ones((2, 3)), "c": np.ones((2, 3))})


def none_as_input(k: Any) -> Any:
    a = k.Input((3,))
    return k.Model(a, k.layers.Dense(2)(a))(None)


def no_shape(k: Any) -> Any:
    return k.Input()


def two_shapes(k: Any) -> Any:
    return k.Input((3,), batch_shape=(None, 3))


def two_batch_sizes(k: Any) -> Any:
    return k.Input(batch_size=3, batch_shape=(None, 3))


def bad_name(k: Any) -> Any:
    return k.layers.Dense(2, name="a/b")


def as_condition(k: Any) -> Any:
    return 1 if k.Input((3,)) else 2


def as_iterable(k: Any) -> Any:
    return list(k.Input((3,)))


def assigning_layers(k: Any) -> Any:
    a = k.Input((3,))
    model = k.Model(a, k.layers.Dense(2)(a))
    model.layers = []
    return model


def output_before_a_call(k: Any) -> Any:
    return k.layers.Dense(2).output


CASES = [
    (disconnected, ValueError, "disconnected|not connected"),
    (half_disconnected, ValueError, "disconnected|not connected"),
    (from_an_inner_tensor, ValueError, "disconnected|not connected"),
    (same_names, ValueError, 'The name "same" is used 2 times'),
    (same_input_names, ValueError, 'The name "same" is used 2 times'),
    (array_as_input, ValueError, "All `inputs` values must be KerasTensors"),
    (array_as_output, ValueError, "All `outputs` values must be KerasTensors"),
    (wrong_features, ValueError, "dense.*incompatible with the layer"),
    (wrong_rank, ValueError, "expected min_ndim=4, found ndim=3|expected ndim=4"),
    (wrong_broadcast, ValueError, "[Bb]roadcast"),
    (wrong_data, ValueError, r"\(2, 4\)"),
    (wrong_rank_of_data, ValueError, r"\(2, 5, 3\)"),
    (too_few_inputs, ValueError, "expect"),
    (too_many_inputs, ValueError, "expect"),
    (unknown_key, ValueError, 'Missing data for input "b"'),
    (missing_key, ValueError, 'Missing data for input "b"'),
    (none_as_input, ValueError, "None"),
    (no_shape, ValueError, "You must pass a `shape` argument"),
    (two_shapes, ValueError, "cannot pass both `shape` and `batch_shape`"),
    (two_batch_sizes, ValueError, "cannot pass both `batch_size` and `batch_shape`"),
    (bad_name, ValueError, "cannot contain character `/`"),
    (as_condition, TypeError, "boolean"),
    (as_iterable, NotImplementedError, "[Ii]terating"),
    (assigning_layers, AttributeError, "`Model.layers` attribute is reserved"),
    (output_before_a_call, AttributeError, "never been called"),
]


@pytest.mark.filterwarnings("ignore:.*structure of `inputs`")
@pytest.mark.parametrize(
    ("use", "error", "match"), CASES, ids=lambda c: getattr(c, "__name__", str(c))
)
@pytest.mark.parametrize("library", LIBRARIES, ids=["minikeras", "keras"])
def test_refused(use, error, match, library):
    with pytest.raises(error, match=match):
        use(library)


def test_numpy_on_a_symbolic_tensor_says_what_to_do():
    for use in (np.tanh, np.asarray, np.mean, lambda x: np.concatenate([x, x])):
        with pytest.raises(ValueError, match="KerasTensor is symbolic"):
            use(minikeras.Input((3,)))


def test_a_refused_call_leaves_no_trace():
    """A layer whose call failed can be used as if nothing had happened."""
    layer = minikeras.layers.Dense(2)
    with pytest.raises(ValueError):
        layer(minikeras.Input((4, None)))  # no last axis to make a kernel for
    x = minikeras.Input((3,))
    model = minikeras.Model(x, layer(x))
    assert model.count_params() == 8 and len(layer._inbound_nodes) == 1


def test_wrong_data_says_what_was_expected():
    x = minikeras.Input((3,), name="features")
    model = minikeras.Model(x, minikeras.layers.Dense(2)(x), name="net")
    with pytest.raises(ValueError) as caught:
        model(np.ones((2, 4)))
    for part in ("features", "net", "(None, 3)", "(2, 4)"):
        assert part in str(caught.value)


def test_the_missing_axis_is_named():
    k = minikeras.layers
    images = minikeras.Sequential([minikeras.Input((8, 8, 1)), k.Conv2D(2, 3)])
    cases = [
        (lambda: images(np.ones((8, 8, 1))), r"shape \(8, 8, 1\)\. For a single"),
        (lambda: k.LSTM(2)(minikeras.Input((8,))), "return_sequences=True"),
        (lambda: k.LSTM(2)(np.ones((4, 8))), r"one number per step, x\[\.\.\., None"),
        (lambda: k.Conv2D(2, 3)(minikeras.Input((8, 8))), r"Input\(\(rows, columns, 1"),
        (lambda: k.Conv2D(2, 3)(np.ones((4, 8, 8))), r"one channel, x\[\.\.\., None"),
    ]
    for use, match in cases:
        with pytest.raises(ValueError, match=match):
            use()
