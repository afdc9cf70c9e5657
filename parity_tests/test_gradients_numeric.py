"""Every public layer, loss and activation against numeric derivatives: no Keras here.

Entry by entry, where the harness checks directions. A new layer without a line in
`LAYERS` fails a test.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from minikeras import activations, layers, losses, random, registry, utils
from minikeras.utils import gradcheck
from parity_tests.planted_bugs import BUGS
from parity_tests.strategies import Values
from parity_tests.tolerance import assert_equal

VECTOR, SEQUENCE = Values((3, 4), seed=1), Values((2, 4, 3), seed=2)
IMAGE, VOLUME = Values((2, 4, 5, 2), seed=3), Values((1, 2, 3, 3, 2), seed=4)
IDS = np.array([[1, 0, 2], [2, 2, 3]], "int32")
MASK = np.array([[True, True, False, True], [False, True, True, False]])

# name -> (arguments, input, options of gradcheck)
LAYERS: dict[str, tuple[dict[str, Any], Any, dict[str, Any]]] = {
    "Activation": ({"activation": "gelu"}, VECTOR, {}),
    "ActivityRegularization": ({"l2": 0.1}, VECTOR, {}),
    "AlphaDropout": ({"rate": 0.3, "seed": 1}, VECTOR, {"training": True}),
    "AveragePooling1D": ({"pool_size": 2, "padding": "same"}, SEQUENCE, {}),
    "AveragePooling2D": ({"pool_size": 2, "padding": "same"}, IMAGE, {}),
    "BatchNormalization": ({}, IMAGE, {"training": True}),
    "Conv1D": ({"filters": 2, "kernel_size": 3, "padding": "causal"}, SEQUENCE, {}),
    "Conv2D": ({"filters": 2, "kernel_size": 3, "strides": 2}, IMAGE, {}),
    "Dense": ({"units": 3, "activation": "softmax"}, SEQUENCE, {}),
    "Dropout": ({"rate": 0.3, "seed": 1}, VECTOR, {"training": True}),
    "ELU": ({"alpha": 0.7}, VECTOR, {}),
    "Embedding": ({"input_dim": 4, "output_dim": 3}, IDS, {}),
    "Flatten": ({"data_format": "channels_first"}, IMAGE, {}),
    "GaussianDropout": ({"rate": 0.3, "seed": 1}, VECTOR, {"training": True}),
    "GaussianNoise": ({"stddev": 0.3, "seed": 1}, VECTOR, {"training": True}),
    "GlobalAveragePooling1D": ({}, SEQUENCE, {"mask": MASK}),
    "GlobalAveragePooling2D": ({"keepdims": True}, IMAGE, {}),
    "GlobalMaxPooling1D": ({}, SEQUENCE, {}),
    "GlobalMaxPooling2D": ({}, IMAGE, {}),
    "Identity": ({}, VECTOR, {}),
    "LSTM": ({"units": 3, "return_sequences": True}, SEQUENCE, {"mask": MASK}),
    "LayerNormalization": ({"axis": [1, 2]}, SEQUENCE, {}),
    "LeakyReLU": ({}, VECTOR, {}),
    "Masking": ({}, SEQUENCE, {}),
    "MaxPooling1D": ({"pool_size": 2, "strides": 1}, SEQUENCE, {}),
    "MaxPooling2D": ({"pool_size": (2, 3), "padding": "same"}, IMAGE, {}),
    "PReLU": ({"alpha_initializer": "random_normal"}, VECTOR, {}),
    "Permute": ({"dims": (3, 1, 2)}, IMAGE, {}),
    "RNN": ({"cell": lambda: [layers.LSTMCell(2), layers.LSTMCell(3)]}, SEQUENCE, {}),
    "ReLU": ({"max_value": 1.0, "threshold": 0.2}, VECTOR, {}),
    "RepeatVector": ({"n": 3}, VECTOR, {}),
    "Reshape": ({"target_shape": (-1, 2)}, VECTOR, {}),
    "Softmax": ({"axis": 1}, SEQUENCE, {}),
    "SpatialDropout1D": ({"rate": 0.4, "seed": 1}, SEQUENCE, {"training": True}),
    "SpatialDropout2D": ({"rate": 0.4, "seed": 1}, IMAGE, {"training": True}),
    "SpatialDropout3D": ({"rate": 0.4, "seed": 1}, VOLUME, {"training": True}),
}
# An input is no computation; cells are checked inside LSTM and RNN, which call them.
NOT_ALONE = {"InputLayer", "LSTMCell", "StackedRNNCells"}


def _public(module: str) -> list[str]:
    """Names without aliases."""
    names = registry.names(module)
    own = [n for n in names if registry.public_name(registry.find(module, n))[1] == n]
    return sorted(own)


@pytest.fixture(autouse=True)
def seeded() -> None:
    """The same initial weights in every run."""
    random.set_random_seed(11)


def test_all_layers_are_here() -> None:
    assert_equal(sorted({*LAYERS, *NOT_ALONE}), _public("keras.layers"))


@pytest.mark.parametrize("name", LAYERS)
def test_layer(name: str) -> None:
    config, x, options = LAYERS[name]
    made = {k: v() if callable(v) else v for k, v in config.items()}
    x = x() if isinstance(x, Values) else x
    layer = getattr(layers, name)(**made)
    layer(x)
    rng = np.random.default_rng(5)
    layer.set_weights(
        [np.abs(w + 0.3 * rng.standard_normal(w.shape)) for w in layer.get_weights()]
    )
    gradcheck(layer, x, **options).raise_if_failed()


@pytest.mark.parametrize("name", ["LSTM", "RNN"])
def test_initial_states(name: str) -> None:
    states = [Values((2, 3), seed)() for seed in (1, 2)]
    argument = {"units": 3} if name == "LSTM" else {"cell": layers.LSTMCell(3)}
    layer = getattr(layers, name)(**argument, return_state=True, go_backwards=True)
    options = {"call_kwargs": {"initial_state": states}, "mask": MASK}
    gradcheck(layer, SEQUENCE(), **options).raise_if_failed()


# y_true and y_pred where no loss has a kink or a clip.
TARGETS = np.array([[0.2, 0.5, 0.3], [0.6, 0.1, 0.3], [0.1, 0.1, 0.8]])
PREDICTIONS = np.array([[0.3, 0.6, 0.1], [0.2, 0.3, 0.5], [0.5, 0.4, 0.1]])
CLASSES = np.array([2, 0, 1])
SIGNS = np.sign(TARGETS - 0.25)


def _targets(name: str) -> np.ndarray:
    if name.startswith(("Sparse", "sparse")):
        return CLASSES
    return SIGNS if "inge" in name else TARGETS


@pytest.mark.parametrize(
    "name",
    [n for n in _public("keras.losses") if n not in ("Loss", "LossFunctionWrapper")],
)
def test_loss(name: str) -> None:
    made = getattr(losses, name)
    if isinstance(made, type):
        made = made()
        weights = {"sample_weight": np.array([0.5, 2.0, 0.0])}
        weighted = gradcheck(made, _targets(name), PREDICTIONS, call_kwargs=weights)
        weighted.raise_if_failed()
    gradcheck(made, _targets(name), PREDICTIONS).raise_if_failed()


@pytest.mark.parametrize("name", _public("keras.activations"))
def test_activation(name: str) -> None:
    x = Values((3, 6), seed=8, scale=2.0)()
    needed = {"threshold": {"threshold": 0.5, "default_value": 0.1}}
    options = {"call_kwargs": needed.get(name, {})}
    result = gradcheck(getattr(activations, name), x, **options)
    result.raise_if_failed()
    assert_equal(sum(c.kinks for c in result.arrays), 0)


GRADIENT_BUGS = {
    bug.name
    for bug in BUGS
    if ("gradient" in bug.name or "swapped" in bug.name)
    and "not wanted" not in bug.name
}
# Right but for a convention at a kink: only Keras can tell.
CONSISTENT_BUGS = {
    "ReLU passes the gradient at 0",
    "max pooling: every tie gets the gradient",
}


@pytest.mark.parametrize(
    "bug",
    [b for b in BUGS if b.name in GRADIENT_BUGS | CONSISTENT_BUGS],
    ids=lambda bug: bug.name,
)
def test_planted_gradient_bugs_are_seen_without_keras(bug) -> None:
    """The numeric check finds them too, unless they are a matter of convention."""
    utils.clear_session()
    specimen = bug.specimen
    options = {k: v for k, v in specimen.options.items() if k == "training"}
    states = specimen.options.get("call_kwargs", {}).get("initial_state")
    if states is not None:
        options["call_kwargs"] = {"initial_state": [s() for s in states]}
    x = specimen.inputs() if isinstance(specimen.inputs, Values) else specimen.inputs
    result = gradcheck(bug.cls(**specimen.config), x, **options)
    expected = bug.name in CONSISTENT_BUGS
    assert_equal(result.ok, expected, name=f"{bug.name}\n{result}")
