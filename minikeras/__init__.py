"""minikeras: Keras 3 in NumPy, readable to the bottom.

    import minikeras as keras

Names are where Keras has them. Submodules are loaded when first used, so that importing
costs little more than importing NumPy.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from minikeras.version import __version__, version

if TYPE_CHECKING:
    from minikeras import (
        activations,
        backend,
        callbacks,
        config,
        constraints,
        datasets,
        dtype_policies,
        initializers,
        interop,
        layers,
        losses,
        metrics,
        models,
        ops,
        optimizers,
        plot,
        random,
        regularizers,
        saving,
        teach,
        tree,
        utils,
    )
    from minikeras.dtype_policies import DTypePolicy
    from minikeras.functions import differentiable
    from minikeras.gradients import Gradients
    from minikeras.initializers import Initializer
    from minikeras.layers.core.input_layer import Input
    from minikeras.layers.input_spec import InputSpec
    from minikeras.layers.layer import Layer
    from minikeras.losses import Loss
    from minikeras.metrics import Metric
    from minikeras.models import Model, Sequential
    from minikeras.naming import name_scope
    from minikeras.optimizers import Optimizer
    from minikeras.regularizers import Regularizer
    from minikeras.symbolic import KerasTensor, Operation
    from minikeras.variables import Variable

_SUBMODULES = (
    "activations backend callbacks config constraints datasets dtype_policies "
    "initializers interop layers losses metrics models ops optimizers plot random "
    "regularizers saving teach tree utils"
).split()

# name -> the module that defines it
_NAMES = {
    "DTypePolicy": "dtype_policies",
    "Gradients": "gradients",
    "Initializer": "initializers",
    "Input": "layers.core.input_layer",
    "InputSpec": "layers.input_spec",
    "KerasTensor": "comparisons",
    "Layer": "layers.layer",
    "Loss": "losses",
    "Metric": "metrics",
    "Model": "models",
    "Operation": "symbolic",
    "Optimizer": "optimizers",
    "Regularizer": "regularizers",
    "Sequential": "models",
    "Variable": "variables",
    "differentiable": "functions",
    "name_scope": "naming",
}

# Keras has these; minikeras does not.
_ABSENT = (
    "applications device distillation distribution export legacy mixed_precision "
    "preprocessing quantizers remat visualization wrappers Function Quantizer "
    "FloatDTypePolicy RematScope StatelessScope SymbolicScope"
).split()

__all__ = [
    "DTypePolicy",
    "Gradients",
    "Initializer",
    "Input",
    "InputSpec",
    "KerasTensor",
    "Layer",
    "Loss",
    "Metric",
    "Model",
    "Operation",
    "Optimizer",
    "Regularizer",
    "Sequential",
    "Variable",
    "__version__",
    "activations",
    "backend",
    "callbacks",
    "config",
    "constraints",
    "datasets",
    "differentiable",
    "dtype_policies",
    "initializers",
    "interop",
    "layers",
    "losses",
    "metrics",
    "models",
    "name_scope",
    "ops",
    "optimizers",
    "plot",
    "random",
    "regularizers",
    "saving",
    "teach",
    "tree",
    "utils",
    "version",
]


def __getattr__(name: str) -> Any:
    if name in _SUBMODULES:
        return importlib.import_module(f"minikeras.{name}")
    if name in _NAMES:
        value = getattr(importlib.import_module(f"minikeras.{_NAMES[name]}"), name)
        globals()[name] = value
        return value
    if name in _ABSENT:
        raise AttributeError(
            f"minikeras does not have `keras.{name}`. See docs/differences.md."
        )
    from minikeras.registry import suggest

    raise AttributeError(
        f"module 'minikeras' has no attribute {name!r}.{suggest(name, __all__)}"
    )


def __dir__() -> list[str]:
    return sorted(__all__)
