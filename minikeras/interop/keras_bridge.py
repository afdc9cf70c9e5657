"""Live models handed from Keras to minikeras and back, with no file between.

Both libraries describe a model by the same configuration and keep its variables in the
same order. So a hand-over is four steps: the configuration, the variables, the compile
state, the optimizer's variables.

Keras is imported by `to_keras` and by nothing else here, when it is called: it asks
`frameworks.import_keras`, the one place of this package that does. `from_keras` needs
no import: it talks to the model it is given.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from minikeras import config
from minikeras.budget import Budget, spending
from minikeras.interop.frameworks import import_keras
from minikeras.interop.state import (
    copy_optimizer,
    copy_variables,
    pair_variables,
)
from minikeras.messages import warn
from minikeras.models.model import Model
from minikeras.saving.audit import audit
from minikeras.saving.building import make_model
from minikeras.saving.json_text import parse_object
from minikeras.saving.keras2 import hard_sigmoid_keras2
from minikeras.serialization import custom_object_scope, serialize_keras_object


def from_keras(model: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """The model of minikeras that a live Keras model is.

    Args:
        model: a `keras.Model`: `Sequential`, functional, or a subclass whose class is
            in `custom_objects` or registered here under the same name.
        custom_objects: your classes and functions for minikeras, by the names that
            they have in Keras: `{"MyLayer": MyLayer}`.

    Returns:
        A new model with the architecture, all weights, the states of seed generators
        and stateful layers, the compile state and the optimizer's state. Trained on, it
        goes on where the other one stopped, dropout masks and all. The values of
        metrics are not handed over: `fit` begins with a reset.

    Raises:
        TypeError: if it is not a Keras model.
        ValueError: if it has layers or functions that minikeras does not have, with
            all of them in one error; if the variables do not fit.
    """
    if isinstance(model, Model) or not hasattr(model, "to_json"):
        hint = " It is minikeras's already." if isinstance(model, Model) else ""
        raise TypeError(
            f"`from_keras` expects a live keras.Model.{hint} Received: {type(model)}"
        )
    source = f"Keras model {model.name}"
    described = parse_object(model.to_json(), source, "")
    with _undisturbed(), custom_object_scope(custom_objects or {}):
        audit(described, source, "")
        compile_config = described.pop("compile_config", None)
        with _same_floatx(config, _keras_config(), "minikeras"):
            # A live model is its own limit; random values are drawn only as needed.
            limit = Budget(sys.maxsize, "a live model", defer=True)
            with spending(limit) as budget:
                ours = make_model(described, source, "", "")
                pairs = pair_variables(model, ours, "Keras", "minikeras")
                copy_variables(pairs)
                budget.settle({id(target) for _, target in pairs})
            _copy_compile_state(model, ours, compile_config)
    return ours


def to_keras(model: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """The live Keras model that a model of minikeras is. Needs Keras.

    Args:
        model: a model of minikeras.
        custom_objects: your classes and functions for Keras, by the names that they
            have here: `{"MyLayer": MyKerasLayer}`.

    Returns:
        A new `keras.Model`, on the backend that Keras is set to, with all that
        `from_keras` hands over the other way. To train it on several devices, call
        this inside `strategy.scope()`. Whether it is compiled to XLA (`jit_compile`)
        is left to Keras, unless you said True.

    Raises:
        ImportError: if Keras cannot be imported, with what to install.
        TypeError: if it is not a model of minikeras.
        ValueError: if Keras does not know all of its classes and functions, with the
            names of all that it does not know; if the variables do not fit.
    """
    if not isinstance(model, Model):
        raise TypeError(
            f"`to_keras` expects a model of minikeras. Received: {type(model)}"
        )
    keras = import_keras()
    objects = {"hard_sigmoid_keras2": _hard_sigmoid_keras2, **(custom_objects or {})}
    described = json.loads(json.dumps(serialize_keras_object(model)))
    compile_config = described.pop("compile_config", None)
    for key in ("jit_compile", "steps_per_execution"):  # old files have None there
        if compile_config and not compile_config.get(key):
            compile_config.pop(key, None)
    with _undisturbed(), keras.saving.custom_object_scope(objects):
        _check_known(keras, [described, compile_config], model.name)
        with _same_floatx(keras.config, config, "Keras"):
            try:
                theirs = keras.saving.deserialize_keras_object(described)
            except Exception as error:
                raise ValueError(
                    f"Keras {keras.__version__} could not make model '{model.name}' "
                    f"from the configuration of minikeras: {error}"
                ) from error
            pairs = pair_variables(model, theirs, "minikeras", "Keras")
            copy_variables(pairs)
            _copy_compile_state(model, theirs, compile_config)
    return theirs


def _copy_compile_state(source: Any, target: Any, compile_config: Any) -> None:
    if not compile_config:
        return
    target.compile_from_config(compile_config)
    if bool(source.run_eagerly) != bool(target.run_eagerly):  # set after `compile`
        target.run_eagerly = bool(source.run_eagerly)
    copy_optimizer(source.optimizer, target.optimizer)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Layers draw seeds when they are made. A hand-over leaves the stream alone."""
    state = random.getstate()
    try:
        yield
    finally:
        random.setstate(state)


def _keras_config() -> Any:
    """The settings of the Keras that made the model: it is there, or there would be
    no model."""
    return getattr(sys.modules.get("keras"), "config", config)


@contextmanager
def _same_floatx(receiving: Any, giving: Any, name: str) -> Iterator[None]:
    """Learning rates and losses have the dtype `floatx`: it must be the giver's."""
    before, wanted = receiving.floatx(), giving.floatx()
    if before == wanted:
        yield
        return
    warn(
        f"`floatx` is '{wanted}' where the model comes from and '{before}' in {name}. "
        f"The model is made with '{wanted}'. Call `config.set_floatx('{wanted}')` "
        "there before you train it: `fit` casts its data to `floatx`.",
    )
    receiving.set_floatx(wanted)
    try:
        yield
    finally:
        receiving.set_floatx(before)


def _hard_sigmoid_keras2(x: Any) -> Any:
    """For models from files of Keras 2; Keras 3 has another function of this name."""
    return import_keras().ops.clip(x * 0.2 + 0.5, 0.0, 1.0)


_hard_sigmoid_keras2.__name__ = hard_sigmoid_keras2.__name__


def _check_known(keras: Any, configs: Any, name: str) -> None:
    """Raises a ValueError that lists everything Keras cannot make."""
    unknown: dict[str, None] = {}
    stack = [configs]
    while stack:
        value = stack.pop()
        if isinstance(value, list):
            stack.extend(reversed(value))
        if not isinstance(value, dict):
            continue
        stack.extend(reversed(list(value.values())))
        class_name = value.get("class_name")
        if not isinstance(class_name, str) or "config" not in value:
            continue
        if class_name.startswith("__") and class_name.endswith("__"):
            continue  # arrays, slices, tensors
        is_function = class_name == "function"
        wanted = value["config"] if is_function else class_name
        registered = wanted if is_function else value.get("registered_name")
        if not _keras_has(keras, value.get("module"), wanted, registered):
            kind = "function" if is_function else "class"
            unknown.setdefault(f"{kind} '{registered or wanted}'")
    if unknown:
        raise ValueError(
            f"Keras {keras.__version__} does not know everything that model '{name}' "
            f"is made of: {', '.join(unknown)}. Write each for Keras (a layer of "
            "minikeras cannot run there) and pass it in `custom_objects`, or register "
            "it there with `@keras.saving.register_keras_serializable()` under the "
            "same package and name."
        )


def _keras_has(keras: Any, module: Any, name: str, registered: Any) -> bool:
    for key in (registered, name):
        if key and keras.saving.get_registered_object(key) is not None:
            return True
    if module == "builtins":  # a function of Keras, or a loss or metric
        homes = ("activations", "losses", "metrics", "initializers", "regularizers")
        return any(hasattr(getattr(keras, home), name) for home in homes)
    if not isinstance(module, str) or module.split(".")[0] != "keras":
        return False
    if module.startswith("keras.src."):
        return True  # operators and `Functional`, which Keras finds by itself
    home = keras
    for part in module.split(".")[1:]:
        home = getattr(home, part, None)
    return hasattr(home, name)
