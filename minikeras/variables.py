"""Variable: a NumPy array with a name, a path and a place in a layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minikeras import budget, config, naming
from minikeras.tracing import not_traced, refuse_value, tracing


def standardize_dtype(dtype: Any) -> str:
    """The dtype as Keras's string; None is `config.floatx()`.

    >>> standardize_dtype(np.float64), standardize_dtype("int")
    ('float64', 'int64')
    """
    if dtype is None:
        return config.floatx()
    if isinstance(dtype, np.dtype):
        return dtype_name(dtype)
    if isinstance(dtype, str) and dtype == "float":  # np.float64 == "float" too
        return config.floatx()
    if isinstance(dtype, str) and dtype in ("int", "string"):
        return {"int": "int64"}.get(dtype, dtype)
    try:
        return np.dtype(dtype).name
    except TypeError:
        raise ValueError(f"Invalid dtype: {dtype}") from None


# NumPy puts `dtype.name` together anew each time, which takes longer than an addition.
_DTYPE_NAMES = {
    np.dtype(name): name for name in ("float32", "float64", "int32", "int64", "bool")
}


def dtype_name(dtype: np.dtype) -> str:
    """`dtype.name`, faster for the usual ones."""
    return _DTYPE_NAMES.get(dtype) or dtype.name


def standardize_shape(shape: Any) -> tuple[int | None, ...]:
    """A tuple of ints and Nones; refuses strings, negative and fractional sizes."""
    if shape is None or isinstance(shape, str) or not hasattr(shape, "__iter__"):
        raise ValueError(
            "Expected a shape: a tuple of integers (None for an unknown size). "
            f"Received: shape={shape!r}"
        )
    result: list[int | None] = []
    for size in shape:
        if size is None:
            result.append(None)
            continue
        if isinstance(size, bool) or not hasattr(size, "__index__"):
            raise ValueError(
                f"Cannot convert '{tuple(shape)}' to a shape. Found invalid dimension "
                f"'{size}' of type '{type(size)}'."
            )
        size = size.__index__()
        if size < 0:
            raise ValueError(
                f"Cannot convert '{tuple(shape)}' to a shape. Negative dimensions are "
                "not allowed."
            )
        result.append(size)
    return tuple(result)


class Variable:
    """A mutable array that belongs to a layer, an optimizer or a metric.

    Args:
        initializer: an array or number with the initial value, or a callable
            `initializer(shape, dtype=...)`, or the name of an initializer.
        shape: tuple of ints; needed if `initializer` is callable.
        dtype: string; by default that of the given array, else `config.floatx()`.
        trainable: whether gradients are collected for it.
        autocast: accepted as in Keras; weights are kept in the dtype they compute in.
        aggregation, synchronization: accepted as in Keras; they steer
            `tf.distribute`, which has no counterpart here.
        name: defaults to `variable`, `variable_1`, ...

    Attributes:
        value: the array itself, read-only: change it with `assign`.
        path: the name with the scopes around it, `"sequential/dense/kernel"`.
        regularizer, constraint: set by `Layer.add_weight`, or None.

    >>> v = Variable(np.zeros(3, "float32"), name="v")
    >>> _ = v.assign([1, 2, 3])
    >>> v.numpy()
    array([1., 2., 3.], dtype=float32)
    """

    __array_priority__ = 100  # array + variable calls Variable.__radd__

    def __init__(
        self,
        initializer: Any,
        shape: Any = None,
        dtype: Any = None,
        trainable: bool = True,
        autocast: bool = True,
        aggregation: str | None = "none",
        synchronization: str = "auto",
        name: str | None = None,
        **kwargs: Any,
    ):
        if kwargs:
            raise TypeError(f"Unrecognized arguments for Variable: {tuple(kwargs)}")
        name = name or naming.auto_name("variable")
        if not isinstance(name, str) or "/" in name:
            raise ValueError(
                "Argument `name` must be a string and cannot contain character `/`. "
                f"Received: name={name}"
            )
        if aggregation not in (None, "none", "mean", "sum", "only_first_replica"):
            raise ValueError(
                "Invalid value for argument `aggregation`. Expected one of `None`, "
                "'none', 'mean', 'sum', 'only_first_replica'. "
                f"Received: aggregation={aggregation}"
            )
        self.name = name
        parent = naming.current_path()
        self.path = f"{parent}/{name}" if parent else name
        self.autocast = bool(autocast)
        self.aggregation = aggregation or "none"
        self.synchronization = synchronization
        self._trainable = bool(trainable)
        self.regularizer: Callable[..., Any] | None = None
        self.constraint: Callable[..., Any] | None = None
        self.overwrite_with_gradient = False
        limit = budget.current()
        seed = getattr(initializer, "seed", None)
        if limit is not None and limit.defer and isinstance(seed, int):
            # A file is being read: its values come, so no random ones are drawn.
            limit.deferred.append((self, initializer))
            initializer = _zeros
        self._set_array(_initial_value(initializer, shape, dtype, self.path))

    def _set_array(self, array: np.ndarray) -> None:
        """Takes over `array` as storage. `value` stays a read-only view of it."""
        self._array = array
        self.value = array.view()
        self.value.setflags(write=False)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """In a copy `value` is a view of the copied storage too."""
        self.__dict__.update(state)
        self._set_array(self._array)

    @property
    def trainable(self) -> bool:
        """Whether gradients are collected for it."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = bool(value)

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape; never changes."""
        return self._array.shape

    @property
    def dtype(self) -> str:
        """Its dtype as a string; never changes."""
        return dtype_name(self._array.dtype)

    @property
    def ndim(self) -> int:
        """Its rank."""
        return self._array.ndim

    @property
    def size(self) -> int:
        """The number of its elements."""
        return self._array.size

    def numpy(self) -> np.ndarray:
        """A copy: it does not change when the variable does."""
        return self._array.copy()

    def assign(self, value: Any) -> np.ndarray:
        """Writes `value` into the variable, in place, and returns the new value.

        Raises:
            ValueError: if the shapes differ; the variable is then unchanged.
        """
        self._refuse_value()
        array = np.asarray(value)
        if array.shape != self._array.shape:
            raise ValueError(
                "The shape of the target variable and the shape of the target value in "
                "`variable.assign(value)` must match. "
                f"variable.shape={self.shape}, Received: value.shape={array.shape}. "
                f"Target variable: {self!r}"
            )
        if array.dtype.kind not in "biuf":
            raise ValueError(
                f"Cannot assign an array of dtype {array.dtype} to variable "
                f"'{self.path}' of dtype {self.dtype}."
            )
        np.copyto(self._array, array, casting="unsafe")
        return self.value

    def assign_add(self, value: Any) -> np.ndarray:
        """`variable += value`, in place."""
        value = np.asarray(value, self._array.dtype)
        if value.shape != self._array.shape:
            return self.assign(self._array + value)
        self._refuse_value()
        self._array += value
        return self.value

    def assign_sub(self, value: Any) -> np.ndarray:
        """`variable -= value`, in place."""
        return self.assign(self._array - np.asarray(value, self._array.dtype))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        self._refuse_value()
        array = self._array if dtype is None else self._array.astype(dtype, copy=False)
        if array is self._array:
            if copy is False:
                return self.value
            return array.copy()
        return array

    def __len__(self) -> int:
        return len(self._array)

    def __getitem__(self, index: Any) -> Any:
        return _read(self)[index] if tracing() else self.value[index]

    def __iter__(self) -> Any:
        return iter(self.value)

    def __int__(self) -> int:
        return int(self._scalar())

    def __float__(self) -> float:
        return float(self._scalar())

    def __bool__(self) -> bool:
        return bool(self._scalar())

    def _refuse_value(self) -> None:
        refuse_value(f"The value of variable '{self.path}'")

    def _scalar(self) -> Any:
        self._refuse_value()
        if self._array.size != 1:
            raise TypeError(
                "Only scalar arrays can be converted to Python scalars. "
                f"Got: shape={self.shape}"
            )
        return self._array.item()

    def __repr__(self) -> str:
        value = np.array2string(self._array, separator=", ", threshold=20)
        return (
            f"<Variable path={self.path}, shape={self.shape}, dtype={self.dtype}, "
            f"value={value}>"
        )


def _zeros(shape: Any, dtype: Any) -> np.ndarray:
    return np.zeros(shape, dtype)


def _initial_value(initializer: Any, shape: Any, dtype: Any, path: str) -> np.ndarray:
    if isinstance(initializer, str):
        from minikeras import initializers

        initializer = initializers.get(initializer)
    if callable(initializer) and not isinstance(initializer, Variable):
        if shape is None:
            raise ValueError(
                "When creating a Variable from an initializer, the `shape` argument "
                f"should be specified. Received: initializer={initializer} and "
                f"shape={shape}"
            )
        shape = standardize_shape(shape)
        if None in shape:
            raise ValueError(
                "Shapes used to initialize variables must be fully-defined (no `None` "
                f"dimensions). Received: shape={shape} for variable path='{path}'"
            )
        dtype = standardize_dtype(dtype)
        limit = budget.current()
        if limit is not None:
            limit.spend(shape, dtype, path)
        with not_traced():
            value = np.asarray(initializer(shape, dtype=dtype))
        if value.shape != shape:
            raise ValueError(
                f"The initializer of variable '{path}' returned an array of shape "
                f"{value.shape}. Expected: {shape}"
            )
        return np.array(value, dtype=dtype)
    if dtype is not None:
        dtype = standardize_dtype(dtype)
    elif not hasattr(initializer, "dtype"):
        kind = np.asarray(initializer).dtype.kind
        dtype = config.floatx() if kind == "f" else {"i": "int32"}.get(kind)
    value = np.array(initializer, dtype=dtype)
    if value.dtype.kind not in "biuf":
        raise ValueError(
            f"A Variable holds numbers. Received: an initial value of dtype "
            f"{value.dtype} for variable path='{path}'"
        )
    if shape is not None and tuple(shape) != value.shape:
        raise ValueError(
            f"The initial value of variable '{path}' has shape {value.shape}. "
            f"Expected: shape={tuple(shape)}"
        )
    return value


def _read(variable: Variable) -> Any:
    from minikeras.operations import read

    return read(variable)


def _add_operators() -> None:
    """Arithmetic and comparisons act on the values and return arrays."""
    binary = (
        "add sub mul truediv floordiv mod pow matmul and or xor lshift rshift".split()
    )

    def forward(name: str) -> Callable[[Variable, Any], Any]:
        def operator(self: Variable, other: Any) -> Any:
            if hasattr(other, "_keras_history"):  # symbolic: it records the operation
                return NotImplemented
            if tracing():
                return getattr(_read(self), name)(other)
            other = other.value if isinstance(other, Variable) else other
            return getattr(self.value, name)(np.asarray(other, _dtype_for(self, other)))

        operator.__name__ = name
        return operator

    def unary(name: str) -> Callable[[Variable], Any]:
        def operator(self: Variable) -> Any:
            return getattr(_read(self) if tracing() else self.value, name)()

        operator.__name__ = name
        return operator

    for name in binary:
        for method in (f"__{name}__", f"__r{name}__"):
            setattr(Variable, method, forward(method))
    for name in ("lt", "le", "gt", "ge"):  # == stays identity: variables are keys
        setattr(Variable, f"__{name}__", forward(f"__{name}__"))
    for name in ("neg", "pos", "abs", "invert"):
        setattr(Variable, f"__{name}__", unary(f"__{name}__"))


def _dtype_for(variable: Variable, other: Any) -> Any:
    """Python numbers take the variable's dtype, arrays keep theirs."""
    if isinstance(other, bool) or not isinstance(other, int | float):
        return None
    if isinstance(other, float) and variable._array.dtype.kind in "biu":
        return config.floatx()
    return variable._array.dtype


_add_operators()
