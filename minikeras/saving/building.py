"""From what is in a file to a model."""

from __future__ import annotations

from typing import Any

from minikeras.budget import Budget, spending
from minikeras.saving import keras2, legacy_h5, limits
from minikeras.saving.audit import audit
from minikeras.saving.contents import CONFIG, Contents
from minikeras.saving.errors import FileRefused, refusing
from minikeras.saving.legacy_operators import name_operators
from minikeras.saving.weights import read_tree
from minikeras.serialization import custom_object_scope, deserialize_keras_object


def build_model(
    contents: Contents, custom_objects: dict[str, Any] | None, compile: bool
) -> Any:
    """The model of an open file, with its weights.

    Raises:
        FileRefused: if the file has no configuration, or it is not that of a model, or
            the weights do not fit.
    """
    source = contents.source
    if contents.config is None:
        raise FileRefused(
            source,
            "",
            f"holds weights and no model ({contents.format}). Make the model, then "
            "call `model.load_weights`.",
        )
    is_legacy = contents.format == "legacy model"
    place = "attribute 'model_config'" if is_legacy else CONFIG
    with custom_object_scope(custom_objects or {}), spending(budget_for(contents)) as b:
        config = dict(contents.config)
        if not compile:
            config.pop("compile_config", None)
        if is_legacy and not contents.is_keras_2:
            with refusing(source, place):
                config = name_operators(config)
        model = make_model(config, source, place, contents.keras_version)
        with refusing(source, "the weights"):
            if is_legacy:
                loaded = legacy_h5.load_into(model, contents)
                if compile:
                    loaded |= legacy_h5.compile_model(model, contents)
            else:
                arrays = contents.arrays
                if contents.is_keras_2:
                    arrays = keras2.with_learning_rate(arrays, model)
                loaded = read_tree(arrays, model, source)
        with refusing(source, place):
            b.settle(loaded)
    return model


def make_model(config: Any, source: str, place: str, keras_version: str) -> Any:
    """A model with new weights from a configuration.

    Raises:
        FileRefused: if the configuration is not that of a model.
    """
    with refusing(source, place):
        if keras_version.startswith(("0.", "1.")):
            raise ValueError(
                f"written by Keras {keras_version}; files are read from Keras 2.0 on."
            )
        if keras_version.startswith("2."):
            config = keras2.modernize(config)
    audit(config, source, place)
    with refusing(source, place):
        model = deserialize_keras_object(config)
        if not hasattr(model, "load_own_variables") or not hasattr(model, "layers"):
            raise ValueError(
                "expected the configuration of a model. It makes a "
                f"{type(model).__name__}."
            )
    return model


def budget_for(contents: Contents) -> Budget:
    """How large the variables of this file's model may be."""
    weights = contents.nbytes
    return Budget(
        limits.VARIABLES_RATIO * weights + limits.SLACK,
        reason=f"'{contents.source}' holds {weights:,} bytes of weights",
        defer=True,
    )


def model_from_text(text: str | bytes, custom_objects: Any = None) -> Any:
    """The model that `to_json` described, with new weights. See `model_from_json`."""
    from minikeras.saving.json_text import parse_object

    source = "the JSON text"
    config = parse_object(text, source, "")
    version = config.get("keras_version")
    limit = Budget(limits.UNBACKED_BYTES, "there are no weights beside the JSON")
    with custom_object_scope(custom_objects or {}), spending(limit):
        return make_model(config, source, "", str(version or ""))
