"""The state of optimizers in the files of Keras 2, and which of ours each array is.

2.0 to 2.3      `[iterations,] all first slots, all second slots, ...`, without names.
                Adam has a third, of shape (1,) unless `amsgrad`; SGD has its slots even
                without momentum; RMSprop, Adagrad and Adadelta count no iterations
                before 2.3.
tf.keras        `iter, dense/kernel/m, dense/bias/m, ..., dense/kernel/v, ...`; Ftrl's
to 2.10         two slots take turns.
2.11 to 2.15    `iteration, m/dense/kernel, v/dense/kernel, ...`: the order of Keras 3.
                Nadam's product is not among them, and computed here.

Keras 3 does not read any of them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minikeras.saving.keras2 import Given
from minikeras.variables import Variable

# Our slots of each class in the order of the blocks in old files. The end of a slot's
# name tells what it is: `sequential_dense_kernel_velocity_hat`.
_SLOTS = {
    "SGD": ("momentum",),
    "RMSprop": ("velocity", "momentum", "average_gradient"),
    "Adam": ("momentum", "velocity", "velocity_hat"),
    "AdamW": ("momentum", "velocity", "velocity_hat"),
    "Nadam": ("momentum", "velocity"),
    "Adamax": ("momentum", "norm"),
    "Adagrad": ("accumulator",),
    "Adadelta": ("accumulated_grad", "accumulated_delta_var"),
    "Ftrl": ("accumulator", "linear"),
}
_COUNTER = "iter"  # iter, iteration, iterations
# Scalars of Nadam: the product of the momenta so far.
_PRODUCTS = ("momentum_cache", "m_schedule")


def pairs(
    optimizer: Any, names: list[str], stored: list[Any]
) -> list[tuple[Variable, Any]] | None:
    """(our variable, array of the file) for all that the file has.

    Args:
        optimizer: a built one.
        names: of the arrays in the file.
        stored: these arrays.

    Returns:
        The pairs; None if it cannot be told what is what.
    """
    variables = list(optimizer.variables)
    scalars = [v for v in variables if not _kind(v, optimizer) and v.shape == ()]
    products = [v for v in scalars[1:] if v.name != "learning_rate"]
    found: list[tuple[Variable, Any]] = []
    slots = []
    for name, array in zip(names, stored, strict=True):
        last = name.rpartition("/")[2]
        if array.shape == () and last.startswith(_COUNTER):
            found.append((variables[0], array))
            if products and name.startswith("iteration:"):
                found.append((products[0], _nadam_product(optimizer, array)))
        elif array.shape == () and last.startswith(_PRODUCTS):
            found += [(v, array) for v in products]
        elif array.shape != () or not last.startswith("learning_rate"):
            slots.append(array)
    known = [id(v) for v in scalars]
    ours = [v for v in variables if id(v) not in known]
    in_turns = names[:1] and names[0].startswith("iteration:")
    if not in_turns and type(optimizer).__name__ != "Ftrl":
        kinds = _SLOTS.get(type(optimizer).__name__, ())
        ours = [v for kind in kinds for v in ours if _kind(v, optimizer) == kind]
    unused = slots[len(ours) :] if ours else []
    if len(slots) < len(ours) or any(array.shape != (1,) for array in unused):
        return None
    return found + list(zip(ours, slots, strict=False))


def _kind(variable: Variable, optimizer: Any) -> str:
    """Which slot a variable is; empty if it is none."""
    kinds = _SLOTS.get(type(optimizer).__name__, ())
    fitting = [kind for kind in kinds if variable.name.endswith(f"_{kind}")]
    return max(fitting, key=len, default="")


def _nadam_product(optimizer: Any, iterations: Any) -> Given:
    """The product of Nadam's momenta after so many steps: beta_1 (1 - 0.96^t / 2).

    NB: Keras 2.11 to 2.15 multiplied it once for every weight, not once a step.
    """
    count = max(int(iterations.read()), 0)
    steps = np.arange(1, min(count, 1000) + 1)  # beyond, 0.96^t is nothing
    product = float(optimizer.beta_1) ** count * np.prod(1 - 0.5 * 0.96**steps)
    return Given("the product of momenta", np.asarray(product, "float32"))
