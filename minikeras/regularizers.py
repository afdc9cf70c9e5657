"""`keras.regularizers`: penalties on weights, and their gradients.

`regularizer(w)` is a number that the trainer adds to the loss,
`regularizer.gradient(w)` what it adds to the gradient of `w`.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from minikeras import config, identifiers
from minikeras.casting import cast
from minikeras.messages import Checked
from minikeras.registry import public
from minikeras.tracing import refuse_value
from minikeras.variables import Variable


@public("keras")
class Regularizer(Checked):
    """Base class. Subclasses define `__call__`, `gradient` and `get_config`.

    >>> class SumOfCubes(Regularizer):
    ...     def __call__(self, x):
    ...         return np.sum(x * x * x)
    ...     def gradient(self, x):
    ...         return 3 * x * x
    >>> SumOfCubes().gradient(np.array([1.0, 2.0]))
    array([ 3., 12.])
    """

    def __call__(self, x: np.ndarray) -> Any:
        """The penalty: a number. The base class has none."""
        return 0.0

    def gradient(self, x: np.ndarray) -> np.ndarray:
        """The derivative of the penalty by each element of `x`.

        Raises:
            NotImplementedError: for a subclass that does not define it. Keras finds
                gradients by itself; here they are written.
        """
        if type(self).__call__ is Regularizer.__call__:
            return np.zeros_like(_array(x))
        raise NotImplementedError(_no_gradient(type(self).__name__))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        raise NotImplementedError(f"{self} does not implement get_config()")

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Regularizer:
        """A new regularizer with these arguments."""
        return cls(**config)


class L1L2(Regularizer):
    """Absolute values and squares.

    **Formula** `l1 * sum(|x|) + l2 * sum(x^2)`

    **Gradient** `l1 * sign(x) + 2 * l2 * x`, with sign(0) = 0.

    Args:
        l1, l2: numbers, not negative. NB: both default to 0, also for the name "l1l2".

    >>> regularizer = L1L2(l1=1.0, l2=2.0)
    >>> regularizer(np.array([0.0, -3.0])), regularizer.gradient(np.array([0.0, -3.0]))
    (np.float64(21.0), array([  0., -13.]))
    """

    def __init__(self, l1: float | None = 0.0, l2: float | None = 0.0):
        self.l1 = validate_float_arg(0.0 if l1 is None else l1, name="l1")
        self.l2 = validate_float_arg(0.0 if l2 is None else l2, name="l2")

    def __call__(self, x: np.ndarray) -> np.floating:
        x = _array(x)
        # NB: Keras casts: in float64 runs the factors are float32's.
        l1, l2 = cast(self.l1, x.dtype)[()], cast(self.l2, x.dtype)[()]
        penalty = x.dtype.type(0)
        if self.l1 != 0.0:
            penalty = penalty + l1 * np.sum(np.abs(x))
        if self.l2 != 0.0:
            penalty = penalty + l2 * np.sum(np.square(x))
        return penalty

    def gradient(self, x: np.ndarray) -> np.ndarray:
        x = _array(x)
        l1, l2 = cast(self.l1, x.dtype)[()], cast(self.l2, x.dtype)[()]
        dx = np.zeros_like(x)
        if self.l1 != 0.0:
            dx += l1 * np.sign(x)  # forward: l1 * sum(|x|)
        if self.l2 != 0.0:
            dx += l2 * (2 * x)  # forward: l2 * sum(x^2)
        return dx

    def get_config(self) -> dict[str, Any]:
        return {"l1": self.l1, "l2": self.l2}


class L1(Regularizer):
    """Absolute values: pulls every weight to 0 with the same force.

    **Formula** `l1 * sum(|x|)`  **Gradient** `l1 * sign(x)`, with sign(0) = 0.

    Args:
        l1: number, not negative.

    >>> L1(0.5).gradient(np.array([-2.0, 0.0, 4.0]))
    array([-0.5,  0. ,  0.5])
    """

    def __init__(self, l1: float | None = 0.01):
        # NB: Keras keeps a float32 here, and its config says 0.009999999776482582.
        self.l1 = np.float32(validate_float_arg(0.01 if l1 is None else l1, name="l1"))

    def __call__(self, x: np.ndarray) -> np.floating:
        x = _array(x)
        return x.dtype.type(self.l1) * np.sum(np.abs(x))

    def gradient(self, x: np.ndarray) -> np.ndarray:
        x = _array(x)
        return x.dtype.type(self.l1) * np.sign(x)  # forward: l1 * sum(|x|)

    def get_config(self) -> dict[str, Any]:
        return {"l1": float(self.l1)}


class L2(Regularizer):
    """Squares: pulls a weight to 0 with a force that grows with the weight.

    **Formula** `l2 * sum(x^2)`  **Gradient** `2 * l2 * x`

    Args:
        l2: number, not negative.

    >>> L2(0.5).gradient(np.array([-2.0, 0.0, 4.0]))
    array([-2.,  0.,  4.])
    """

    def __init__(self, l2: float | None = 0.01):
        self.l2 = validate_float_arg(0.01 if l2 is None else l2, name="l2")

    def __call__(self, x: np.ndarray) -> np.floating:
        x = _array(x)
        # NB: Keras casts: in float64 runs the factor is float32's.
        return cast(self.l2, x.dtype)[()] * np.sum(np.square(x))

    def gradient(self, x: np.ndarray) -> np.ndarray:
        x = _array(x)
        return cast(self.l2, x.dtype)[()] * (2 * x)  # forward: l2 * sum(x^2)

    def get_config(self) -> dict[str, Any]:
        return {"l2": self.l2}


class OrthogonalRegularizer(Regularizer):
    """Pushes the rows (or columns) of a matrix towards right angles.

    **Formula** With n_i the rows scaled to length 1, and m of them:
    `factor / 2 * sum_{i != j} |n_i . n_j| / (m (m - 1) / 2)`

    **Gradient** With P = N N^T and its diagonal left out:

        dP = factor / 2 / pairs * sign(P)      # sign(0) = 0
        dN = (dP + dP^T) N = 2 dP N
        dx = dN * s - x s^3 sum(dN * x)        # N = x * s, s = (x . x)^(-1/2)

    A row shorter than `config.epsilon()` is scaled by the constant 1 / epsilon, and the
    second term is 0.

    Args:
        factor: number, not negative.
        mode: `"rows"` or `"columns"`.

    >>> OrthogonalRegularizer(1.0)(np.array([[3.0, 4.0], [4.0, 3.0]])).round(6)
    np.float64(0.96)
    """

    def __init__(self, factor: float = 0.01, mode: str = "rows"):
        # NB: Keras keeps a float32, as in L1, and refuses float64 weights therefore.
        self.factor = np.float32(validate_float_arg(factor, name="factor"))
        if mode not in ("rows", "columns"):
            raise ValueError(
                "Invalid value for argument `mode`. Expected one of "
                f'("rows", "columns"). Received: mode={mode}'
            )
        self.mode = mode

    def __call__(self, x: np.ndarray) -> np.floating:
        x = self._rows(x)
        with np.errstate(invalid="ignore"):
            return self._weight(x) * np.sum(np.abs(_row_products(x).products))

    def gradient(self, x: np.ndarray) -> np.ndarray:
        x = self._rows(x)
        rows = _row_products(x)
        with np.errstate(invalid="ignore"):
            # forward: weight * sum(|products|)
            d_products = self._weight(x) * np.sign(rows.products)
        # forward: products = normalized @ normalized.T
        d_normalized = (d_products + d_products.T) @ rows.normalized
        # forward: normalized = x * scale
        dx = d_normalized * rows.scale
        d_scale = np.sum(d_normalized * x, axis=1, keepdims=True)
        # forward: scale = (x . x)^(-1/2), or a constant for a row near zero
        dx -= np.where(rows.near_zero, 0, x * rows.scale**3 * d_scale)
        return dx if self.mode == "rows" else dx.T

    def _rows(self, x: np.ndarray) -> np.ndarray:
        x = _array(x)
        if x.ndim != 2:
            raise ValueError(
                "Inputs to OrthogonalRegularizer must have rank 2. "
                f"Received: inputs.shape={x.shape}"
            )
        return x if self.mode == "rows" else x.T

    def _weight(self, x: np.ndarray) -> np.floating:
        """factor / 2 / pairs. NB: not a number or infinite for one row, as in Keras."""
        number, pairs = x.dtype.type, len(x) * (len(x) - 1) / 2
        with np.errstate(divide="ignore", invalid="ignore"):
            return number(self.factor) * number(0.5) / number(pairs)

    def get_config(self) -> dict[str, Any]:
        return {"factor": float(self.factor), "mode": self.mode}


class _RowProducts(NamedTuple):
    normalized: np.ndarray  # (m, n) rows of length 1
    scale: np.ndarray  # (m, 1) what they were multiplied by
    near_zero: np.ndarray  # (m, 1) whether that was the constant 1 / epsilon
    products: np.ndarray  # (m, m) scalar products of two rows; 0 on the diagonal


def _row_products(x: np.ndarray) -> _RowProducts:
    with np.errstate(divide="ignore"):
        scale = 1 / np.sqrt(np.sum(np.square(x), axis=1, keepdims=True))
    largest = x.dtype.type(1 / config.epsilon())
    near_zero = scale > largest
    scale = np.minimum(scale, largest)
    normalized = x * scale
    products = normalized @ normalized.T
    np.fill_diagonal(products, 0)
    return _RowProducts(normalized, scale, near_zero, products)


def validate_float_arg(value: Any, name: str) -> float:
    """`value` as a float; refuses negative, infinite and other than numbers."""
    if (
        not isinstance(value, float | int)
        or math.isinf(value)
        or math.isnan(value)
        or value < 0
    ):
        raise ValueError(
            f"Invalid value for argument {name}: expected a non-negative float. "
            f"Received: {name}={value}"
        )
    return float(value)


def gradient_of(regularizer: Any, x: np.ndarray) -> np.ndarray:
    """The gradient of any regularizer: an object, or a `@differentiable` function.

    Raises:
        NotImplementedError: for a plain function, which has none.
    """
    if hasattr(regularizer, "gradient") and hasattr(regularizer, "backward"):
        value, residuals = regularizer.forward(_array(x))  # a @differentiable function
        return regularizer.backward(np.ones_like(value), residuals)
    if not hasattr(regularizer, "gradient"):
        raise NotImplementedError(_no_gradient(getattr(regularizer, "__name__", "it")))
    return regularizer.gradient(x)


def _no_gradient(name: str) -> str:
    return (
        f"The regularizer '{name}' has no gradient, so a weight with it cannot be "
        "trained. Give it one: a class `Regularizer` with a method "
        "`gradient(self, x)` beside `__call__(self, x)`, which returns an array of the "
        "shape of x, or a function made with `@minikeras.differentiable`"
        " and `.gradient`."
    )


def _array(x: Any) -> np.ndarray:
    if isinstance(x, Variable):
        refuse_value(f"The penalty of variable '{x.path}'")
        return x.value
    return np.asarray(x)


l1, l2, l1_l2, orthogonal_regularizer = L1, L2, L1L2, OrthogonalRegularizer

_MODULE = "keras.regularizers"
# NB: Keras knows the name "l1l2" but not "l1_l2", which is only a name of the class.
_NAMES = identifiers.table(_MODULE, Regularizer, L1, L2, L1L2, OrthogonalRegularizer)


def get(identifier: Any) -> Any:
    """The regularizer that a `..._regularizer=` argument means.

    Args:
        identifier: None, a name, a config dict, a class, an instance or any callable.

    >>> get("l2").l2
    0.01
    """
    return identifiers.get(identifier, "regularizer", _MODULE, _NAMES)


def serialize(regularizer: Any) -> Any:
    """The config dict of a regularizer."""
    from minikeras.serialization import serialize_keras_object

    return serialize_keras_object(regularizer)


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """The regularizer of a config dict.

    >>> deserialize(serialize(L2(0.5))).l2
    0.5
    """
    return identifiers.deserialize(config, custom_objects, _MODULE, _NAMES)
