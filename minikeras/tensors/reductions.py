"""`keras.ops`: sums, means, extremes and norms along axes."""

from __future__ import annotations

import builtins
import math
from typing import Any

import numpy as np

from minikeras import config
from minikeras.ops.stable import as_array, floats, gate
from minikeras.tensors.base import (
    LINALG,
    MATH,
    NUMPY,
    Constant,
    TensorOperation,
    apply,
    axes_of,
    operation,
)
from minikeras.tensors.pairs import divide, multiply


class Reduction(TensorOperation):
    """Something along `axis`: None, a number or several; `keepdims` keeps length 1."""

    axis: Any
    keepdims: bool

    def along(self, x: np.ndarray) -> dict[str, Any]:
        """The arguments for NumPy."""
        return {"axis": axes_of(self.axis, x.ndim), "keepdims": self.keepdims}

    def expand(self, dy: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """`dy` with the axes back, as axes of length 1."""
        axes = axes_of(self.axis, len(shape))
        kept = [1 if i in axes else n for i, n in enumerate(shape)]
        return np.reshape(dy, kept)

    def count(self, shape: tuple[int, ...]) -> int:
        """How many elements go into one result."""
        return math.prod(shape[i] for i in axes_of(self.axis, len(shape)))


def _keep_dtype(x: np.ndarray, y: Any) -> np.ndarray:
    """Sums of int32 stay int32, as in Keras; booleans become int32."""
    return np.asarray(y).astype("int32" if x.dtype.kind == "b" else x.dtype)


@operation(NUMPY, axis=None, keepdims=False)
class Sum(Reduction):
    """y = sum(x); dx = dy for every element."""

    def forward(self, x: Any) -> tuple[np.ndarray, Any]:
        """(y, shape of x)."""
        x = as_array(x)
        return _keep_dtype(x, x.sum(**self.along(x))), x.shape

    def gradients(self, dy: np.ndarray, residuals: Any) -> tuple[np.ndarray]:
        """dx = dy."""
        return (np.broadcast_to(self.expand(dy, residuals), residuals).copy(),)


@operation(NUMPY, axis=None, keepdims=False)
class Mean(Reduction):
    """y = sum(x) / n; dx = dy / n for every element."""

    def forward(self, x: Any) -> tuple[np.ndarray, Any]:
        """(y, shape of x)."""
        x = floats(as_array(x))
        return np.asarray(x.mean(**self.along(x)), x.dtype), x.shape

    def gradients(self, dy: np.ndarray, residuals: Any) -> tuple[np.ndarray]:
        """dx = dy / n."""
        dx = self.expand(dy, residuals) / builtins.max(self.count(residuals), 1)
        return (np.broadcast_to(dx, residuals).copy(),)


@operation(NUMPY, axis=None, keepdims=False, initial=None)
class Max(Reduction):
    """y = max(x); dy is shared equally by all elements that are the largest."""

    initial: Any
    extreme = staticmethod(np.max)
    beyond = staticmethod(np.maximum)

    def forward(self, x: Any) -> tuple[np.ndarray, Any]:
        """(y, (where x is the extreme, y came from x))."""
        x = as_array(x)
        y = type(self).extreme(x, **self.along(x))
        found = x == self.expand(y, x.shape)
        inside = np.ones(np.shape(y), bool)
        if self.initial is not None:
            limit = np.asarray(self.initial, x.dtype)
            inside = type(self).beyond(y, limit) == y
            y = type(self).beyond(y, limit)
        return np.asarray(y), (found, inside)

    def gradients(self, dy: np.ndarray, residuals: Any) -> tuple[np.ndarray]:
        """dx = dy / (how many are equal), for these."""
        found, inside = residuals
        dy = self.expand(gate(inside, dy), found.shape)
        count = found.sum(axis=axes_of(self.axis, found.ndim), keepdims=True)
        return (gate(found, np.broadcast_to(dy / count, found.shape)).astype(dy.dtype),)


@operation(NUMPY, axis=None, keepdims=False, initial=None)
class Min(Max):
    """y = min(x); dy is shared equally by all elements that are the smallest."""

    extreme = staticmethod(np.min)
    beyond = staticmethod(np.minimum)


@operation(NUMPY, axis=None, keepdims=False, dtype=None)
class Prod(Reduction):
    """y = the product; dx is dy times the product of all the others."""

    dtype: Any

    def forward(self, x: Any) -> tuple[np.ndarray, Any]:
        """(y, x)."""
        x = as_array(x) if self.dtype is None else as_array(x).astype(self.dtype)
        return _keep_dtype(x, x.prod(**self.along(x))), x

    def gradients(self, dy: np.ndarray, residuals: Any) -> tuple[np.ndarray]:
        """Products from the left and from the right, so that a 0 does no harm."""
        x, axes = residuals, axes_of(self.axis, residuals.ndim)
        rest = [i for i in range(x.ndim) if i not in axes]
        moved = np.transpose(x, (*rest, *axes))
        flat = moved.reshape(*(x.shape[i] for i in rest), -1)
        ones = np.ones_like(flat[..., :1])
        before = np.concatenate([ones, flat[..., :-1]], -1).cumprod(axis=-1)
        behind = np.concatenate([ones, flat[..., :0:-1]], -1).cumprod(axis=-1)
        others = (before * behind[..., ::-1]).reshape(moved.shape)
        others = np.transpose(others, np.argsort((*rest, *axes)))
        return (self.expand(dy, x.shape) * others,)


@operation(NUMPY, axis=None, keepdims=False)
class Var(Reduction):
    """y = mean((x - mean(x))^2); dx = 2 dy (x - mean(x)) / n."""

    def forward(self, x: Any) -> tuple[np.ndarray, Any]:
        """(y, (x - mean(x), y))."""
        x = floats(as_array(x))
        centered = x - x.mean(axis=axes_of(self.axis, x.ndim), keepdims=True)
        y = np.asarray(np.square(centered).mean(**self.along(x)), x.dtype)
        return y, (centered, y)

    def gradients(self, dy: np.ndarray, residuals: Any) -> tuple[np.ndarray]:
        """The mean's own dependence on x adds up to nothing."""
        centered, _ = residuals
        count = builtins.max(self.count(centered.shape), 1)
        return (self.expand(dy, centered.shape) * (2 / count * centered),)


@operation(NUMPY, axis=None, keepdims=False)
class Std(Var):
    """y = sqrt(var(x)); dx = dy (x - mean(x)) / (n y)."""

    def forward(self, x: Any) -> tuple[np.ndarray, Any]:
        """(y, (x - mean(x), y))."""
        variance, (centered, _) = super().forward(x)
        y = np.sqrt(variance)
        return y, (centered, y)

    def gradients(self, dy: np.ndarray, residuals: Any) -> tuple[np.ndarray]:
        """The gradient of the variance by 2 y."""
        centered, y = residuals
        count = builtins.max(self.count(centered.shape), 1)
        with np.errstate(all="ignore"):  # a constant has no gradient: NaN, as in Keras
            dy = self.expand(dy / y, centered.shape)
            return (dy * (centered / count),)


@operation(MATH, axis=None, keepdims=False)
class Logsumexp(Reduction):
    """y = log(sum(exp(x))); dx = dy exp(x - y)."""

    def forward(self, x: Any) -> tuple[np.ndarray, Any]:
        """(y, the softmax)."""
        x = floats(as_array(x))
        axes = axes_of(self.axis, x.ndim)
        top = x.max(axis=axes, keepdims=True)
        top = np.where(np.isfinite(top), top, 0)
        exponentials = np.exp(x - top)
        total = exponentials.sum(axis=axes, keepdims=True)
        with np.errstate(divide="ignore"):
            y = top + np.log(total)
        y = y if self.keepdims else y.squeeze(axis=axes)
        return np.asarray(y, x.dtype), exponentials / total

    def gradients(self, dy: np.ndarray, residuals: Any) -> tuple[np.ndarray]:
        """dx = dy softmax(x)."""
        return (self.expand(dy, residuals.shape) * residuals,)


@operation(LINALG, ord=None, axis=None, keepdims=False)
class Norm(Reduction):
    """y = sqrt(sum(x^2)), or another norm of vectors; dx = dy x / y."""

    ord: Any

    def forward(self, x: Any) -> tuple[np.ndarray, Any]:
        """(y, (x, y))."""
        if self.ord not in (None, 2, 1, "euclidean", "fro", np.inf, "inf"):
            raise NotImplementedError(
                "minikeras has the norms ord=None, 'euclidean', 'fro', 2, 1 and "
                f"infinity. Received: ord={self.ord!r}"
            )
        x = floats(as_array(x))
        several = len(axes_of(self.axis, x.ndim)) > 1
        if several and self.ord not in (None, "euclidean", "fro"):
            raise NotImplementedError(
                f"minikeras has no matrix norm ord={self.ord!r}. Pass one `axis` for "
                "the norms of vectors, or ord='fro'."
            )
        if self.ord == 1:
            y = np.abs(x).sum(**self.along(x))
        elif self.ord in (np.inf, "inf"):
            y = np.abs(x).max(**self.along(x))
        else:
            y = np.sqrt(np.square(x).sum(**self.along(x)))
        return np.asarray(y, x.dtype), (x, np.asarray(y))

    def gradients(self, dy: np.ndarray, residuals: Any) -> tuple[np.ndarray]:
        """dx = dy x / y; sign(x) for the sum, and for the largest alone."""
        x, y = residuals
        dy, y = self.expand(dy, x.shape), self.expand(y, x.shape)
        if self.ord == 1:
            return (dy * np.sign(x),)
        if self.ord in (np.inf, "inf"):
            largest = np.abs(x) == y
            count = largest.sum(axis=axes_of(self.axis, x.ndim), keepdims=True)
            return ((dy / count * largest * np.sign(x)).astype(x.dtype),)
        with np.errstate(all="ignore"):
            return (dy * (x / y),)


@operation(NUMPY, axis=None, dtype=None)
class Cumsum(TensorOperation):
    """y[i] = x[0] + ... + x[i]; dx[i] = dy[i] + dy[i + 1] + ..."""

    axis: Any
    dtype: Any

    def forward(self, x: Any) -> tuple[np.ndarray, Any]:
        """(y, shape of x)."""
        x = as_array(x) if self.dtype is None else as_array(x).astype(self.dtype)
        return _keep_dtype(x, np.cumsum(x, axis=self.axis)), x.shape

    def gradients(self, dy: np.ndarray, residuals: Any) -> tuple[np.ndarray]:
        """Sums from the end."""
        axis = -1 if self.axis is None else self.axis
        return (np.flip(np.cumsum(np.flip(dy, axis), axis), axis).reshape(residuals),)


def _without_gradient(cls_name: str, **parameters: Any) -> type:
    """Decorates nothing: a class for NumPy functions whose result is constant."""
    function = getattr(np, cls_name.lower())

    def forward(self: Any, x: Any) -> tuple[np.ndarray, None]:
        x = as_array(x)
        if cls_name.startswith("Arg"):
            y = np.asarray(function(x, axis=self.axis, keepdims=self.keepdims))
            return y.astype("int32"), None
        options = {"axis": axes_of(self.axis, x.ndim), "keepdims": self.keepdims}
        return np.asarray(function(x.astype(bool), **options)), None

    members = {
        "forward": forward,
        "__doc__": f"NumPy's {cls_name.lower()}, without a gradient.",
        "__module__": __name__,
    }
    return operation(NUMPY, **parameters)(type(cls_name, (Constant,), members))


Argmax = _without_gradient("Argmax", axis=None, keepdims=False)
Argmin = _without_gradient("Argmin", axis=None, keepdims=False)
All = _without_gradient("All", axis=None, keepdims=False)
Any_ = _without_gradient("Any", axis=None, keepdims=False)


def sum(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The sum along `axis`."""
    return apply(Sum, x, axis=axis, keepdims=keepdims)


def mean(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The mean along `axis`."""
    return apply(Mean, x, axis=axis, keepdims=keepdims)


def max(x: Any, axis: Any = None, keepdims: bool = False, initial: Any = None) -> Any:
    """The largest along `axis`, at least `initial`."""
    return apply(Max, x, axis=axis, keepdims=keepdims, initial=initial)


def min(x: Any, axis: Any = None, keepdims: bool = False, initial: Any = None) -> Any:
    """The smallest along `axis`, at most `initial`."""
    return apply(Min, x, axis=axis, keepdims=keepdims, initial=initial)


def prod(x: Any, axis: Any = None, keepdims: bool = False, dtype: Any = None) -> Any:
    """The product along `axis`."""
    return apply(Prod, x, axis=axis, keepdims=keepdims, dtype=dtype)


def var(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The variance along `axis` (by n, not n - 1)."""
    return apply(Var, x, axis=axis, keepdims=keepdims)


def std(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The standard deviation along `axis` (by n, not n - 1)."""
    return apply(Std, x, axis=axis, keepdims=keepdims)


def logsumexp(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """`log(sum(exp(x)))` along `axis`, without overflow."""
    return apply(Logsumexp, x, axis=axis, keepdims=keepdims)


def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """The norm of vectors along `axis`: Euclidean, or of order 1 or infinity."""
    return apply(Norm, x, ord=ord, axis=axis, keepdims=keepdims)


def argmax(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Where the largest is along `axis`, the first of equals; int32."""
    return apply(Argmax, x, axis=axis, keepdims=keepdims)


def argmin(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Where the smallest is along `axis`, the first of equals; int32."""
    return apply(Argmin, x, axis=axis, keepdims=keepdims)


def all(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Whether all are true along `axis`."""
    return apply(All, x, axis=axis, keepdims=keepdims)


def any(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Whether one is true along `axis`."""
    return apply(Any_, x, axis=axis, keepdims=keepdims)


def count_nonzero(x: Any, axis: Any = None) -> np.ndarray:
    """How many are not 0 along `axis`; on arrays alone."""
    return np.asarray(np.count_nonzero(as_array(x), axis=axis)).astype("int32")


def cumsum(x: Any, axis: Any = None, dtype: Any = None) -> Any:
    """Sums so far along `axis`; None: of all elements in a row."""
    return apply(Cumsum, x, axis=axis, dtype=dtype)


def average(x: Any, axis: Any = None, weights: Any = None) -> Any:
    """The mean along `axis`, weighted if there are weights."""
    if weights is None:
        return mean(x, axis)
    return divide(sum(multiply(x, weights), axis), sum(weights, axis))


def normalize(x: Any, axis: int = -1, order: Any = 2, epsilon: Any = None) -> Any:
    """`x` by its norm along `axis`; vectors shorter than epsilon by epsilon."""
    from minikeras.tensors.pairs import maximum

    epsilon = config.epsilon() if epsilon is None else epsilon
    length = norm(x, ord=order, axis=axis, keepdims=True)
    return divide(x, maximum(length, epsilon))
