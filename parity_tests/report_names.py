"""What the report must speak of: every public class of Keras.

The names come from Keras's own modules, not from ours, so that nothing is proved by
being forgotten. A class of Keras is compared, or left out with the reason given here,
or not there yet; then asking minikeras for it says so by name.
"""

from __future__ import annotations

import importlib
import operator
from dataclasses import dataclass, field
from typing import Any

from minikeras import registry

_BOTH = ("float32", "float64")
_BASE = "a base class: compared through its subclasses"


@dataclass(frozen=True)
class Kind:
    """What must have been compared of the classes of one module.

    Attributes:
        module: Keras's module, `"keras.layers"`.
        dtypes: those that must occur for every class.
        depths: those that must occur in every dtype.
        left_out: class -> why it has no line of its own.
        functions: whether its functions count (else only classes do).
    """

    module: str
    dtypes: tuple[str, ...]
    depths: tuple[str, ...]
    left_out: dict[str, str] = field(default_factory=dict)
    functions: bool = False


KINDS = {
    "layer": Kind(
        "keras.layers",
        _BOTH,
        ("forward", "gradients"),
        {
            "Layer": _BASE,
            "Wrapper": _BASE,
            "InputLayer": "computes nothing: a part of every compared model",
            "InputSpec": "computes nothing: compared by test_public_surface.py",
        },
    ),
    "activation": Kind(
        "keras.activations",
        _BOTH,
        ("forward", "gradients"),
        functions=True,
    ),
    # The functions of losses and metrics are compared through the classes.
    "loss": Kind("keras.losses", _BOTH, ("forward", "gradients"), {"Loss": _BASE}),
    "optimizer": Kind("keras.optimizers", _BOTH, ("weights",), {"Optimizer": _BASE}),
    # Keras computes schedules and most metrics in float32, whatever the policy.
    "schedule": Kind(
        "keras.optimizers.schedules",
        ("float32",),
        ("forward",),
        {"LearningRateSchedule": _BASE},
    ),
    "metric": Kind(
        "keras.metrics",
        ("float32",),
        ("forward",),
        {"Metric": _BASE, "MeanMetricWrapper": _BASE},
    ),
    "initializer": Kind(
        "keras.initializers", _BOTH, ("forward",), {"Initializer": _BASE}
    ),
    "callback": Kind("keras.callbacks", _BOTH, ("forward", "weights")),
}


_LOOK_UP = {"get", "serialize", "deserialize"}


def _counts(name: str, obj: Any, kind: Kind) -> bool:
    if name.startswith("_") or name in _LOOK_UP:
        return False
    return isinstance(obj, type) or (kind.functions and callable(obj))


def public_names(kind: Kind) -> list[list[str]]:
    """The public names of Keras, those of one class together, its own name first."""
    from parity_tests.oracle import keras

    module = operator.attrgetter(kind.module.removeprefix("keras."))(keras)
    groups: dict[int, list[str]] = {}
    for name in dir(module):
        obj = getattr(module, name)
        if _counts(name, obj, kind):
            groups.setdefault(id(obj), []).append(name)
    for names in groups.values():
        own = getattr(getattr(module, names[0]), "__name__", "")
        names.sort(key=lambda name, own=own: name != own)
    return list(groups.values())


def refused(module: str, name: str) -> bool:
    """Whether asking minikeras for a name of Keras says that it is not there yet."""
    ours = importlib.import_module(module.replace("keras", "minikeras", 1))
    try:
        getattr(ours, name)
    except AttributeError as error:
        return name in str(error) and "has no attribute" not in str(error)
    return False


def expected_subjects() -> list[tuple[str, str, str, tuple[str, ...]]]:
    """(kind, name, dtype, depths) that must have been compared."""
    found = []
    for title, kind in KINDS.items():
        for names in public_names(kind):
            name = names[0]
            if name in kind.left_out or refused(kind.module, name):
                continue
            ours = registry.find(kind.module, name)
            if ours is not None:  # the name that our tests record
                name = registry.public_name(ours)[1]
            found.extend((title, name, dtype, kind.depths) for dtype in kind.dtypes)
    return found


def not_there() -> dict[str, list[str]]:
    """kind -> the classes of Keras that minikeras refuses by name."""
    return {
        title: sorted(
            names[0] for names in public_names(kind) if refused(kind.module, names[0])
        )
        for title, kind in KINDS.items()
    }
