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
from parity_tests.runner import cast
from parity_tests.strategies import Values
from parity_tests.tolerance import assert_equal

VECTOR, SEQUENCE = Values((3, 4), seed=1), Values((2, 4, 3), seed=2)
IMAGE, VOLUME = Values((2, 4, 5, 2), seed=3), Values((1, 2, 3, 3, 2), seed=4)
KEYS = Values((2, 4, 3), seed=5)
VECTORS_OF_4 = Values((2, 4), seed=6)
IDS = np.array([[1, 0, 2], [2, 2, 3]], "int32")
MASK = np.array([[True, True, False, True], [False, True, True, False]])

# name -> (arguments, input, options of gradcheck)
LAYERS: dict[str, tuple[dict[str, Any], Any, dict[str, Any]]] = {
    "Activation": ({"activation": "gelu"}, VECTOR, {}),
    "ActivityRegularization": ({"l2": 0.1}, VECTOR, {}),
    "AdaptiveAveragePooling1D": ({"output_size": 3}, SEQUENCE, {}),
    "AdaptiveAveragePooling2D": ({"output_size": (3, 2)}, IMAGE, {}),
    "AdaptiveAveragePooling3D": ({"output_size": (3, 2, 2)}, VOLUME, {}),
    "AdaptiveMaxPooling1D": ({"output_size": 3}, SEQUENCE, {}),
    "AdaptiveMaxPooling2D": ({"output_size": (3, 2)}, IMAGE, {}),
    "AdaptiveMaxPooling3D": ({"output_size": (3, 2, 2)}, VOLUME, {}),
    "Add": ({}, [SEQUENCE, Values((2, 1, 3), seed=5)], {}),
    "AdditiveAttention": ({}, [SEQUENCE, KEYS], {}),
    "AlphaDropout": ({"rate": 0.3, "seed": 1}, VECTOR, {"training": True}),
    "Attention": ({"use_scale": True}, [SEQUENCE, KEYS], {}),
    "Average": ({}, [SEQUENCE, Values((2, 3), seed=5)], {}),
    "AveragePooling1D": ({"pool_size": 2, "padding": "same"}, SEQUENCE, {}),
    "AveragePooling2D": ({"pool_size": 2, "padding": "same"}, IMAGE, {}),
    "AveragePooling3D": ({"pool_size": 2, "padding": "same"}, VOLUME, {}),
    "BatchNormalization": ({}, IMAGE, {"training": True}),
    "Bidirectional": ({"layer": lambda: layers.GRU(2)}, SEQUENCE, {"mask": MASK}),
    "Concatenate": ({"axis": 1}, [SEQUENCE, Values((2, 2, 3), seed=5)], {}),
    "Conv1D": ({"filters": 2, "kernel_size": 3, "padding": "causal"}, SEQUENCE, {}),
    "Conv1DTranspose": ({"filters": 2, "kernel_size": 3, "strides": 2}, SEQUENCE, {}),
    "Conv2D": ({"filters": 2, "kernel_size": 3, "strides": 2}, IMAGE, {}),
    "Conv2DTranspose": (
        {"filters": 2, "kernel_size": 2, "strides": 2, "output_padding": 1},
        IMAGE,
        {},
    ),
    "Conv3D": ({"filters": 2, "kernel_size": 2}, VOLUME, {}),
    "Conv3DTranspose": ({"filters": 2, "kernel_size": 2, "strides": 2}, VOLUME, {}),
    "Cropping1D": ({"cropping": (2, 1)}, SEQUENCE, {}),
    "Cropping2D": ({"cropping": 1}, IMAGE, {}),
    "Cropping3D": ({"cropping": ((0, 1), (1, 0), (1, 1))}, VOLUME, {}),
    "Dense": ({"units": 3, "activation": "softmax"}, SEQUENCE, {}),
    "DepthwiseConv1D": ({"kernel_size": 2, "depth_multiplier": 2}, SEQUENCE, {}),
    "DepthwiseConv2D": ({"kernel_size": 3, "strides": 2, "padding": "same"}, IMAGE, {}),
    "Dot": ({"axes": (1, 1), "normalize": True}, [SEQUENCE, VECTORS_OF_4], {}),
    "Dropout": ({"rate": 0.3, "seed": 1}, VECTOR, {"training": True}),
    "ELU": ({"alpha": 0.7}, VECTOR, {}),
    "EinsumDense": (
        {"equation": "abc,cd->abd", "output_shape": (None, 2)},
        SEQUENCE,
        {},
    ),
    "Embedding": ({"input_dim": 4, "output_dim": 3}, IDS, {}),
    "Flatten": ({"data_format": "channels_first"}, IMAGE, {}),
    "GRU": ({"units": 3, "return_sequences": True}, SEQUENCE, {"mask": MASK}),
    "GaussianDropout": ({"rate": 0.3, "seed": 1}, VECTOR, {"training": True}),
    "GaussianNoise": ({"stddev": 0.3, "seed": 1}, VECTOR, {"training": True}),
    "GlobalAveragePooling1D": ({}, SEQUENCE, {"mask": MASK}),
    "GlobalAveragePooling2D": ({"keepdims": True}, IMAGE, {}),
    "GlobalAveragePooling3D": ({}, VOLUME, {}),
    "GlobalMaxPooling1D": ({}, SEQUENCE, {}),
    "GlobalMaxPooling2D": ({}, IMAGE, {}),
    "GlobalMaxPooling3D": ({"keepdims": True}, VOLUME, {}),
    "GroupNormalization": ({"groups": 2}, VOLUME, {}),
    "GroupQueryAttention": (
        {"head_dim": 2, "num_query_heads": 4, "num_key_value_heads": 2},
        SEQUENCE,
        {"call_kwargs": {"value": KEYS()}},
    ),
    "Identity": ({}, VECTOR, {}),
    "LSTM": ({"units": 3, "return_sequences": True}, SEQUENCE, {"mask": MASK}),
    "LayerNormalization": ({"axis": [1, 2]}, SEQUENCE, {}),
    "LeakyReLU": ({}, VECTOR, {}),
    "Masking": ({}, SEQUENCE, {}),
    "MaxPooling1D": ({"pool_size": 2, "strides": 1}, SEQUENCE, {}),
    "MaxPooling2D": ({"pool_size": (2, 3), "padding": "same"}, IMAGE, {}),
    "MaxPooling3D": ({"pool_size": 2, "strides": 1}, VOLUME, {}),
    "Maximum": (
        {},
        [SEQUENCE, Values((2, 4, 3), seed=5)],
        {"mask": [MASK, MASK[::-1]]},
    ),
    "Minimum": ({}, [SEQUENCE, Values((2, 3), seed=5)], {}),
    "MultiHeadAttention": (
        {"num_heads": 2, "key_dim": 2},
        SEQUENCE,
        {"call_kwargs": {"value": KEYS()}},
    ),
    "Multiply": ({}, [SEQUENCE, KEYS], {"mask": [MASK, None]}),
    "Normalization": ({"mean": 1.0, "variance": 4.0}, SEQUENCE, {}),
    "PReLU": ({"alpha_initializer": "random_normal"}, VECTOR, {}),
    "Permute": ({"dims": (3, 1, 2)}, IMAGE, {}),
    "RMSNormalization": ({"axis": [1, 2]}, SEQUENCE, {}),
    "RNN": ({"cell": lambda: [layers.LSTMCell(2), layers.LSTMCell(3)]}, SEQUENCE, {}),
    "ReLU": ({"max_value": 1.0, "threshold": 0.2}, VECTOR, {}),
    "RepeatVector": ({"n": 3}, VECTOR, {}),
    "Rescaling": ({"scale": [1.0, 2.0, -3.0], "offset": 0.5}, SEQUENCE, {}),
    "Reshape": ({"target_shape": (-1, 2)}, VECTOR, {}),
    "SeparableConv1D": ({"filters": 2, "kernel_size": 2}, SEQUENCE, {}),
    "SeparableConv2D": ({"filters": 2, "kernel_size": 2, "strides": 2}, IMAGE, {}),
    "SimpleRNN": ({"units": 3, "go_backwards": True}, SEQUENCE, {"mask": MASK}),
    "Softmax": ({"axis": 1}, SEQUENCE, {}),
    "SpatialDropout1D": ({"rate": 0.4, "seed": 1}, SEQUENCE, {"training": True}),
    "SpatialDropout2D": ({"rate": 0.4, "seed": 1}, IMAGE, {"training": True}),
    "SpatialDropout3D": ({"rate": 0.4, "seed": 1}, VOLUME, {"training": True}),
    "SpectralNormalization": ({"layer": lambda: layers.Dense(2)}, SEQUENCE, {}),
    "Subtract": ({}, [SEQUENCE, Values((2, 3), seed=5)], {}),
    "TimeDistributed": ({"layer": lambda: layers.Dense(2)}, SEQUENCE, {}),
    "UnitNormalization": ({"axis": [1, 2]}, SEQUENCE, {}),
    "UpSampling1D": ({"size": 3}, SEQUENCE, {}),
    "UpSampling2D": ({"size": (2, 3), "interpolation": "bicubic"}, IMAGE, {}),
    "UpSampling3D": ({"size": (1, 2, 3)}, VOLUME, {}),
    "ZeroPadding1D": ({"padding": (2, 1)}, SEQUENCE, {}),
    "ZeroPadding2D": ({"padding": ((1, 0), (0, 2))}, IMAGE, {}),
    "ZeroPadding3D": ({"padding": 1}, VOLUME, {}),
}
# An input is no computation; cells are checked inside the layers that call them, a
# wrapper inside those made from it; encodings have no gradient.
NOT_ALONE = {
    "CategoryEncoding",
    "Discretization",
    "GRUCell",
    "InputLayer",
    "LSTMCell",
    "SimpleRNNCell",
    "StackedRNNCells",
    "Wrapper",
}


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
    x = cast(x, "float64")
    layer = getattr(layers, name)(**made)
    layer(x, **options.get("call_kwargs", {}))
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
    integers = ("Sparse", "sparse", "Circle", "circle", "CategoricalGeneralized")
    if name.startswith((*integers, "categorical_generalized")):
        return CLASSES
    return SIGNS if "inge" in name else TARGETS


@pytest.mark.parametrize(
    "name",
    [n for n in _public("keras.losses") if n not in ("Loss", "LossFunctionWrapper")],
)
def test_loss(name: str) -> None:
    made = getattr(losses, name)
    if name == "categorical_generalized_cross_entropy":
        made = losses.LossFunctionWrapper(made, q=0.7)
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
