"""Configurations of Keras 2, said in the words of Keras 3.

Keras 3 reads these files too, but not always as they were meant: it takes its own
`hard_sigmoid` for Keras 2's, which is another function, and it drops `time_major`. Here
each difference is either translated or refused. `docs/files.md` lists them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from minikeras.functions import differentiable
from minikeras.messages import warn
from minikeras.registry import public
from minikeras.saving.keras2_keys import keys_without_effect

_MODULE = "minikeras.keras2"
_MODELS = ("Sequential", "Functional", "Model")
_RENAMED = {"LeakyReLU": {"alpha": "negative_slope"}}


@public(_MODULE)
@differentiable
def hard_sigmoid_keras2(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Keras 2's hard sigmoid; Keras 3's is relu6(x + 3) / 6.

    **Formula**: y = min(1, max(0, 0.2 x + 0.5))
    **Gradient**: dx = 0.2 dy where 0 < y < 1, else 0
    **Keeps**: y.

    >>> hard_sigmoid_keras2(np.array([-5.0, 0.0, 1.0]))
    array([0. , 0.5, 0.7])
    """
    y = np.clip(x * x.dtype.type(0.2) + x.dtype.type(0.5), 0, 1)
    return y, y


@hard_sigmoid_keras2.gradient
def _(dy: np.ndarray, y: np.ndarray) -> np.ndarray:
    inside = (y > 0) & (y < 1)
    return np.where(inside, dy * dy.dtype.type(0.2), dy.dtype.type(0))


def modernize(config: dict[str, Any]) -> dict[str, Any]:
    """A model's configuration in the form of Keras 3.

    Args:
        config: `{"class_name": "Sequential", "config": ...}` as Keras 2 wrote it.

    Raises:
        ValueError: for what cannot be said in Keras 3.
    """
    return _Translation().model(config)


class _Translation:
    """Names with "/" get new ones, the same everywhere."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}

    def model(self, config: dict[str, Any]) -> dict[str, Any]:
        name = config.get("class_name")
        inner = config.get("config")
        result = dict(config)
        if name == "Sequential":
            result["config"] = self._sequential(inner)
        elif name in ("Functional", "Model"):
            result["class_name"] = "Functional"
            result["config"] = self._functional(inner)
        if "compile_config" in result:
            result["compile_config"] = _compile_config(result["compile_config"])
        return result

    def _sequential(self, inner: Any) -> dict[str, Any]:
        # Keras 2.0 and 2.1 wrote the bare list of layers.
        result = dict(inner) if isinstance(inner, dict) else {"layers": inner}
        result.setdefault("name", "sequential")
        result["name"] = self.rename(result["name"])
        layers = result.get("layers")
        if not isinstance(layers, list) or not layers:
            raise ValueError("A Sequential of Keras 2 needs a list of layers.")
        shape = _batch_input_shape(layers[0])
        result["layers"] = [self.layer(layer) for layer in layers]
        if shape is not None and layers[0].get("class_name") != "InputLayer":
            name = f"{result['layers'][0]['config'].get('name', 'layer')}_input"
            first = {"batch_shape": shape, "name": name}
            result["layers"].insert(0, {"class_name": "InputLayer", "config": first})
        return {k: v for k, v in result.items() if k != "build_input_shape" or v}

    def _functional(self, inner: Any) -> dict[str, Any]:
        if not isinstance(inner, dict) or not isinstance(inner.get("layers"), list):
            raise ValueError("A functional model of Keras 2 needs a list of layers.")
        result = dict(inner)
        if isinstance(result.get("name"), str):
            result["name"] = self.rename(result["name"])
        result["layers"] = []
        models = {layer.get("name") for layer in inner["layers"] if _is_model(layer)}
        for layer in inner["layers"]:
            new = self.layer(layer)
            if "name" in layer:
                new["name"] = self.rename(layer["name"])
            new["inbound_nodes"] = [
                self._call(call, models) for call in layer.get("inbound_nodes") or []
            ]
            result["layers"].append(new)
        for key in ("input_layers", "output_layers"):
            if key in result:
                result[key] = self._addresses(result[key])
        return result

    def _call(self, call: Any, models: set[Any]) -> Any:
        """`[[layer, node, tensor, kwargs], ...]` with new names.

        A model counts a call of its own before any other; ours does not.
        """
        if isinstance(call, dict):
            return call
        if call and isinstance(call[0], str):  # tf.keras: one tensor, not in a list
            call = [call]
        result = []
        for entry in call:
            name, node, tensor, *rest = entry
            node = node - 1 if name in models and node > 0 else node
            kwargs = {
                k: v for k, v in (rest[0] if rest else {}).items() if v is not None
            }
            result.append([self.rename(name), node, tensor, kwargs])
        return result

    def _addresses(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {k: self._addresses(v) for k, v in value.items()}
        if isinstance(value, list) and value and isinstance(value[0], str):
            return [self.rename(value[0]), *value[1:]]
        return [self._addresses(item) for item in value]

    def rename(self, name: Any) -> Any:
        """The name without "/", which Keras 3 does not allow, and still unique."""
        if not isinstance(name, str) or "/" not in name:
            return name
        if name not in self.names:
            new = name.replace("/", "_")
            while new in self.names.values():
                new += "_"
            self.names[name] = new
        return self.names[name]

    def layer(self, layer: Any) -> dict[str, Any]:
        """One layer (or nested model) in the form of Keras 3."""
        if not isinstance(layer, dict) or not isinstance(layer.get("class_name"), str):
            raise ValueError(f"Expected the config of a layer. Received: {layer!r}")
        class_name = layer["class_name"]
        if class_name in _MODELS:
            return self.model(layer)
        if not isinstance(layer.get("config"), dict):
            raise ValueError(
                f"Expected the config of layer '{class_name}' to be a dict. Received: "
                f"{layer.get('config')!r}"
            )
        new = {k: v for k, v in layer.items() if k != "inbound_nodes"}
        config = dict(layer["config"])
        if class_name == "InputLayer" and "batch_input_shape" in config:
            config["batch_shape"] = config.pop("batch_input_shape")
        if class_name == "BatchNormalization":
            config["axis"] = _single_axis(config.get("axis", -1))
        if class_name in ("GRU", "GRUCell"):
            config.setdefault("reset_after", False)  # once the only way
        if class_name in ("SimpleRNN", "SimpleRNNCell"):
            config.pop("implementation", None)  # of the same sums
        renamed = _RENAMED.get(class_name, {})
        new["config"] = {
            renamed.get(key, key): self._value(key, value)
            for key, value in config.items()
            if not _has_no_effect(key, value, class_name)
        }
        return new

    def _value(self, key: str, value: Any) -> Any:
        if key == "name":
            return self.rename(value)
        if key in ("activation", "recurrent_activation") and value == "hard_sigmoid":
            return {
                "module": _MODULE,
                "class_name": "function",
                "config": "hard_sigmoid_keras2",
                "registered_name": None,
            }
        if key in ("cell", "layer", "forward_layer", "backward_layer"):
            return self.layer(value) if isinstance(value, dict) else value
        if key == "cells" and isinstance(value, list):
            return [self.layer(cell) for cell in value]
        if key == "dtype" and isinstance(value, dict):
            inner = value.get("config")
            if value.get("class_name") in ("Policy", "PolicyV1") and inner:
                return inner.get("name")
        if key.endswith("_initializer") and isinstance(value, dict):
            return _initializer(value)
        return value


def _has_no_effect(key: str, value: Any, class_name: str) -> bool:
    known = keys_without_effect(class_name)
    if key not in known:
        return False
    harmless = known[key]
    if harmless is None or value in harmless:
        return True
    if key == "time_major":
        raise ValueError(
            f"`time_major=True` in a {class_name}: its input has the steps on axis 0. "
            "Keras 3 dropped the argument and computes something else. Permute the "
            "axes before and after, and save the model anew."
        )
    return False  # the layer itself refuses it, by name


def _is_model(layer: Any) -> bool:
    return isinstance(layer, dict) and layer.get("class_name") in _MODELS


def _batch_input_shape(layer: Any) -> Any:
    config = layer.get("config") if isinstance(layer, dict) else None
    return config.get("batch_input_shape") if isinstance(config, dict) else None


def _single_axis(axis: Any) -> Any:
    """tf.keras wrote the axis of a BatchNormalization as a list."""
    return axis[0] if isinstance(axis, list) and len(axis) == 1 else axis


def _initializer(value: dict[str, Any]) -> dict[str, Any]:
    inner = value.get("config")
    if not isinstance(inner, dict):
        return value
    inner = {k: v for k, v in inner.items() if k != "dtype"}
    if value.get("class_name") == "VarianceScaling":
        if inner.get("distribution") == "normal":
            inner["distribution"] = "truncated_normal"
    return {**value, "config": inner}


# --- What `compile` was given ---------------------------------------------------------


def _compile_config(config: Any) -> Any:
    """Of a `.keras` file of Keras 2.12 to 2.15: only the optimizer's needs a change."""
    if not isinstance(config, dict):
        return config
    result = {k: v for k, v in config.items() if k in _COMPILE}
    if isinstance(result.get("optimizer"), dict):
        result["optimizer"] = optimizer(result["optimizer"])
    for key in ("metrics", "weighted_metrics"):
        if key in result:
            result[key] = metrics(result[key])
    result["loss"] = loss(result.get("loss"))
    return result


_COMPILE = {
    "optimizer",
    "loss",
    "metrics",
    "loss_weights",
    "weighted_metrics",
    "run_eagerly",
    "steps_per_execution",
    "jit_compile",
}


def optimizer(config: Any) -> Any:
    """The config of an optimizer of Keras 2, as one of Keras 3.

    `decay` becomes the schedule that it was: lr / (1 + decay * step). That of Nadam was
    another one, of its momentum, which Keras 3 does not have.
    """
    if not isinstance(config, dict) or not isinstance(config.get("config"), dict):
        return config
    name = str(config.get("class_name")).rpartition(">")[2]
    dropped = ("decay", "lr", "jit_compile", "is_legacy_optimizer", "epsilon")
    inner = {k: v for k, v in config["config"].items() if k not in dropped}
    if "lr" in config["config"]:
        inner["learning_rate"] = config["config"]["lr"]
    if config["config"].get("epsilon") is not None:
        inner["epsilon"] = config["config"]["epsilon"]
    decay = config["config"].get("decay")
    if name == "Nadam" and (decay or "schedule_decay" in inner):
        inner.pop("schedule_decay", None)
        warn(
            "Nadam had another schedule of its momentum until Keras 2.10. Its state is "
            "loaded; training goes on with the schedule of Keras 3."
        )
    elif decay:
        inner["learning_rate"] = {
            "module": "keras.optimizers.schedules",
            "class_name": "InverseTimeDecay",
            "config": {
                "initial_learning_rate": inner.get("learning_rate", 0.01),
                "decay_steps": 1,
                "decay_rate": decay,
            },
        }
    return {"module": "keras.optimizers", "class_name": name, "config": inner}


def loss(config: Any) -> Any:
    """The config of a loss, or of several, likewise."""
    if isinstance(config, list):
        return [loss(item) for item in config]
    if not isinstance(config, dict):
        return config
    if "class_name" not in config:
        return {k: loss(v) for k, v in config.items()}
    if config["class_name"] == "function" or not isinstance(config.get("config"), dict):
        return config
    inner = {k: v for k, v in config["config"].items() if k != "fn"}
    if inner.get("reduction") in ("auto", "AUTO"):
        inner["reduction"] = "sum_over_batch_size"
    name = str(config["class_name"]).rpartition(">")[2]
    return {"module": "keras.losses", "class_name": name, "config": inner}


def metrics(config: Any) -> Any:
    """The configs of metrics, likewise: `accuracy` was a wrapper around a function."""
    if isinstance(config, list):
        if len(config) == 1 and isinstance(config[0], list):
            config = config[0]  # of the only output
        return [metrics(item) for item in config]
    if not isinstance(config, dict):
        return config
    if "class_name" not in config:
        return {k: metrics(v) for k, v in config.items()}
    name = str(config["class_name"]).rpartition(">")[2]
    inner = config.get("config")
    if name in ("MeanMetricWrapper", "SumOverBatchSizeMetricWrapper"):
        if isinstance(inner, dict) and isinstance(inner.get("fn"), str):
            short = inner.get("name")
            return short if short in _SHORT else inner["fn"]
    if name == "function" or not isinstance(inner, dict):
        return config
    inner = {k: v for k, v in inner.items() if k != "fn"}
    return {"module": "keras.metrics", "class_name": name, "config": inner}


class Given(NamedTuple):
    """An array that is not in the file, in the place of one that should be."""

    place: str
    array: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape."""
        return self.array.shape

    def read(self) -> np.ndarray:
        """The array."""
        return self.array


def with_learning_rate(arrays: Mapping[str, Any], model: Any) -> dict[str, Any]:
    """Adds the learning rate, which Keras 2 did not write among the optimizer's arrays.

    Args:
        arrays: path -> array, as in the file.
        model: the compiled model.
    """
    variables = getattr(getattr(model, "optimizer", None), "variables", [])
    prefix = "optimizer/vars/"
    old = {p: a for p, a in arrays.items() if p.startswith(prefix)}
    if len(old) != len(variables) - 1 or not variables[1].path.endswith(
        "learning_rate"
    ):
        return dict(arrays)
    result = {path: array for path, array in arrays.items() if path not in old}
    for path, array in old.items():
        i = int(path.removeprefix(prefix))
        result[f"{prefix}{i + 1 if i else 0}"] = array
    rate = Given(f"'{prefix}1'", variables[1].numpy())
    return {**result, f"{prefix}1": rate}


# Names that Keras 2 gave a metric and that mean the same function in Keras 3.
_SHORT = {"accuracy", "acc", "mae", "mse", "mape", "msle", "crossentropy", "ce"}
