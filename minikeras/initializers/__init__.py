"""`keras.initializers`: the first values of the weights."""

from __future__ import annotations

from typing import Any

import numpy as np

from minikeras import identifiers
from minikeras.initializers.constant_initializers import (
    STFT,
    ArrayValue,
    Constant,
    Identity,
    Ones,
    Zeros,
)
from minikeras.initializers.initializer import Initializer
from minikeras.initializers.random_initializers import (
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    LecunNormal,
    LecunUniform,
    Orthogonal,
    RandomNormal,
    RandomUniform,
    TruncatedNormal,
    VarianceScaling,
)
from minikeras.variables import Variable

constant, zeros, ones, identity, stft = Constant, Zeros, Ones, Identity, STFT
glorot_normal, glorot_uniform = GlorotNormal, GlorotUniform
he_normal, he_uniform = HeNormal, HeUniform
lecun_normal, lecun_uniform = LecunNormal, LecunUniform
random_normal, random_uniform = RandomNormal, RandomUniform
truncated_normal, variance_scaling = TruncatedNormal, VarianceScaling
orthogonal = OrthogonalInitializer = Orthogonal
IdentityInitializer, STFTInitializer = Identity, STFT

_MODULE = "keras.initializers"
_NAMES = identifiers.table(
    _MODULE,
    Initializer, Constant, Identity, Ones, STFT, Zeros, GlorotNormal, GlorotUniform,
    HeNormal, HeUniform, LecunNormal, LecunUniform, Orthogonal, RandomNormal,
    RandomUniform, TruncatedNormal, VarianceScaling,
    IdentityInitializer=Identity, OrthogonalInitializer=Orthogonal,
    STFTInitializer=STFT, normal=RandomNormal, uniform=RandomUniform, one=Ones,
    zero=Zeros,
)  # fmt: skip


def get(identifier: Any) -> Any:
    """The initializer that an `..._initializer=` argument means.

    Args:
        identifier: None, a name, a config dict, a class, an instance, any callable
            `(shape, dtype=None)`, or an array: the value itself.

    Raises:
        ValueError: if it is none of these.

    >>> get("glorot_uniform")  # doctest: +ELLIPSIS
    <...GlorotUniform object at ...>
    """
    if isinstance(identifier, np.ndarray | np.generic | Variable):
        return ArrayValue(identifier)
    return identifiers.get(identifier, "initializer", _MODULE, _NAMES)


def serialize(initializer: Any) -> Any:
    """The config dict of an initializer.

    >>> serialize(Zeros())["class_name"]
    'Zeros'
    """
    from minikeras.serialization import serialize_keras_object

    return serialize_keras_object(initializer)


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """The initializer of a config dict.

    >>> deserialize({"class_name": "Constant", "config": {"value": 3.0}}).value
    3.0
    """
    return identifiers.deserialize(config, custom_objects, _MODULE, _NAMES)
