"""Losses: functions of (y_true, y_pred) with their gradients, and the classes.

`losses.mean_squared_error(y_true, y_pred)` gives one value per example;
`losses.MeanSquaredError()(y_true, y_pred)` reduces them to one number. Training uses
`value, residuals = loss.forward(y_true, y_pred)` and
`dy_pred = loss.backward(1.0, residuals)`.
"""

from __future__ import annotations

from typing import Any

from minikeras.absent import getattr_for
from minikeras.losses.binary import BinaryCrossentropy, binary_crossentropy
from minikeras.losses.crossentropy import (
    CategoricalCrossentropy,
    SparseCategoricalCrossentropy,
    categorical_crossentropy,
    sparse_categorical_crossentropy,
)
from minikeras.losses.divergence import KLDivergence, Poisson, kl_divergence, poisson
from minikeras.losses.focal import (
    BinaryFocalCrossentropy,
    CategoricalFocalCrossentropy,
    binary_focal_crossentropy,
    categorical_focal_crossentropy,
)
from minikeras.losses.function import LossFunctionWrapper, loss_function
from minikeras.losses.generalized import (
    CategoricalGeneralizedCrossEntropy,
    categorical_generalized_cross_entropy,
)
from minikeras.losses.hinge import (
    CategoricalHinge,
    Hinge,
    SquaredHinge,
    categorical_hinge,
    hinge,
    squared_hinge,
)
from minikeras.losses.loss import Loss
from minikeras.losses.metric_learning import Circle, circle
from minikeras.losses.overlap import Dice, Tversky, dice, tversky
from minikeras.losses.regression import (
    Huber,
    LogCosh,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    huber,
    log_cosh,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
)
from minikeras.losses.similarity import CosineSimilarity, cosine_similarity
from minikeras.registry import suggest

_OBJECTS = (
    Loss, LossFunctionWrapper, KLDivergence, Poisson, BinaryCrossentropy,
    CategoricalCrossentropy, SparseCategoricalCrossentropy, MeanSquaredError,
    MeanAbsoluteError, MeanAbsolutePercentageError, MeanSquaredLogarithmicError,
    CosineSimilarity, LogCosh, Huber, Hinge, SquaredHinge, CategoricalHinge,
    BinaryFocalCrossentropy, CategoricalFocalCrossentropy, Circle, Dice, Tversky,
    CategoricalGeneralizedCrossEntropy, binary_focal_crossentropy,
    categorical_focal_crossentropy, categorical_generalized_cross_entropy, circle,
    dice, tversky, kl_divergence, poisson, binary_crossentropy,
    categorical_crossentropy, sparse_categorical_crossentropy, mean_squared_error,
    mean_absolute_error, mean_absolute_percentage_error, mean_squared_logarithmic_error,
    cosine_similarity, log_cosh, huber, hinge, squared_hinge, categorical_hinge,
)  # fmt: skip
_BY_NAME = {obj.__name__: obj for obj in _OBJECTS}
for _short, _function in {
    "bce": binary_crossentropy,
    "kld": kl_divergence,
    "mae": mean_absolute_error,
    "mse": mean_squared_error,
    "mape": mean_absolute_percentage_error,
    "msle": mean_squared_logarithmic_error,
}.items():
    _BY_NAME[_short] = _BY_NAME[_short.upper()] = _function


def get(identifier: Any) -> Any:
    """The loss that a `loss=` argument means.

    Args:
        identifier: None, a name (of a function, a class, or `"mse"` and the like), a
            function of (y_true, y_pred), a Loss, a Loss class, or a config dict.

    Returns:
        A function or a Loss; None for None.

    Raises:
        ValueError: if it is none of these.

    >>> get("mse") is mean_squared_error
    True
    """
    if identifier is None:
        return None
    found = identifier
    if isinstance(identifier, dict):
        found = deserialize(identifier)
    elif isinstance(identifier, str):
        found = _BY_NAME.get(identifier)
    if not callable(found):
        raise ValueError(
            f"Could not interpret loss identifier: {identifier}."
            + suggest(identifier, _BY_NAME)
        )
    return found() if isinstance(found, type) else found


def serialize(loss: Any) -> Any:
    """The config dict of a Loss or a loss function.

    >>> serialize(MeanSquaredError())["class_name"]
    'MeanSquaredError'
    """
    from minikeras.serialization import serialize_keras_object

    return serialize_keras_object(loss)


def deserialize(name: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """The inverse of `serialize`; a bare name is accepted too.

    >>> deserialize("mse") is mean_squared_error
    True
    """
    from minikeras.serialization import custom_object_scope, deserialize_keras_object
    from minikeras.serialization import get_registered_object as registered

    with custom_object_scope(custom_objects or {}):
        function = name
        if isinstance(name, dict) and name.get("class_name") == "function":
            function = name.get("config")
        if isinstance(function, str):
            found = registered(function) or _BY_NAME.get(function) or get(function)
            return found() if isinstance(found, type) else found
        if isinstance(name, dict) and "module" not in name:
            name = {"module": "keras.losses", **name}
        return deserialize_keras_object(name)


__all__ = [
    "BinaryCrossentropy", "BinaryFocalCrossentropy", "CategoricalCrossentropy",
    "CategoricalFocalCrossentropy", "CategoricalGeneralizedCrossEntropy",
    "CategoricalHinge", "Circle", "CosineSimilarity", "Dice", "Hinge", "Huber",
    "KLDivergence", "LogCosh", "Loss", "LossFunctionWrapper", "MeanAbsoluteError",
    "MeanAbsolutePercentageError", "MeanSquaredError", "MeanSquaredLogarithmicError",
    "Poisson", "SparseCategoricalCrossentropy", "SquaredHinge", "Tversky",
    "binary_crossentropy", "binary_focal_crossentropy", "categorical_crossentropy",
    "categorical_focal_crossentropy", "categorical_generalized_cross_entropy",
    "categorical_hinge", "circle", "cosine_similarity", "deserialize", "dice", "get",
    "hinge", "huber", "kl_divergence", "log_cosh", "loss_function",
    "mean_absolute_error", "mean_absolute_percentage_error", "mean_squared_error",
    "mean_squared_logarithmic_error", "poisson", "serialize",
    "sparse_categorical_crossentropy", "squared_hinge", "tversky",
]  # fmt: skip

__getattr__ = getattr_for("losses", __all__)


def __dir__() -> list[str]:
    return sorted(__all__)
