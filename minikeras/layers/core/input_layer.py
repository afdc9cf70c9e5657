"""Input: where data enters a model."""

from __future__ import annotations

from typing import Any

from minikeras.layers.layer import Layer
from minikeras.messages import suggests_arguments
from minikeras.registry import public
from minikeras.symbolic import KerasTensor, Node
from minikeras.variables import standardize_dtype, standardize_shape


@public("keras.layers")
class InputLayer(Layer):
    """The node of a graph that stands for an input.

    Args:
        shape: shape of one example, without the batch axis.
        batch_size: size of the batch axis, if fixed.
        dtype: dtype of the input; `config.floatx()` by default.
        sparse, ragged: False only.
        batch_shape: shape with the batch axis, in the place of `shape`.
        input_tensor: a symbolic tensor to stand for.
        optional: whether None may be passed.
        name: defaults to `input_layer`, `input_layer_1`, ...
    """

    _never_locked = True  # as in Keras

    def __init__(
        self,
        shape: Any = None,
        batch_size: int | None = None,
        dtype: Any = None,
        sparse: bool | None = None,
        ragged: bool | None = None,
        batch_shape: Any = None,
        input_tensor: KerasTensor | None = None,
        optional: bool = False,
        name: str | None = None,
        **kwargs: Any,
    ):
        # "input_shape" and "batch_input_shape" are Keras 2's names.
        shape = kwargs.pop("input_shape", shape)
        batch_shape = kwargs.pop("batch_input_shape", batch_shape)
        if kwargs:
            raise ValueError(
                f"Unrecognized keyword arguments passed to InputLayer: {kwargs}"
            )
        if sparse or ragged:
            raise ValueError(
                "Sparse and ragged inputs are not implemented in minikeras. Received: "
                f"sparse={sparse}, ragged={ragged}"
            )
        super().__init__(name=name)
        if input_tensor is not None:
            _check_tensor(input_tensor, batch_shape, dtype)
            batch_shape, dtype = input_tensor.shape, input_tensor.dtype
        else:
            batch_shape = _batch_shape(shape, batch_size, batch_shape)
        self._batch_shape = standardize_shape(batch_shape)
        self._input_dtype = standardize_dtype(dtype)
        self.sparse = False
        self.ragged = False
        self.optional = optional
        if input_tensor is None:
            input_tensor = KerasTensor(self._batch_shape, self._input_dtype, name=name)
        Node(self, (), {}, input_tensor)
        self.built = True

    @property
    def batch_shape(self) -> tuple[int | None, ...]:
        """Shape of the input, the batch axis included."""
        return self._batch_shape

    @property
    def dtype(self) -> str:
        """Dtype of the input."""
        return self._input_dtype

    def call(self) -> None:
        """An input is not called."""

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor, in Keras's form."""
        return {
            "batch_shape": self.batch_shape,
            "dtype": self.dtype,
            "sparse": self.sparse,
            "ragged": self.ragged,
            "name": self.name,
            "optional": self.optional,
        }


def _batch_shape(shape: Any, batch_size: int | None, batch_shape: Any) -> Any:
    if shape is not None and batch_shape is not None:
        raise ValueError(
            "You cannot pass both `shape` and `batch_shape` at the same time."
        )
    if batch_size is not None and batch_shape is not None:
        raise ValueError(
            "You cannot pass both `batch_size` and `batch_shape` at the same time."
        )
    if shape is None and batch_shape is None:
        raise ValueError("You must pass a `shape` argument.")
    if shape is None:
        return batch_shape
    return (batch_size, *standardize_shape(shape))


def _check_tensor(tensor: Any, batch_shape: Any, dtype: Any) -> None:
    if not isinstance(tensor, KerasTensor):
        raise ValueError(
            "Argument `input_tensor` must be a KerasTensor. Received invalid type: "
            f"input_tensor={tensor} (of type {type(tensor)})"
        )
    if batch_shape is not None and tuple(batch_shape) != tensor.shape:
        raise ValueError(
            "When providing the `input_tensor` argument, you cannot provide an "
            "incompatible `batch_shape` argument."
        )
    if dtype is not None and tensor.dtype != standardize_dtype(dtype):
        raise ValueError(
            "When providing the `input_tensor` argument, you cannot provide an "
            "incompatible `dtype` argument."
        )


@suggests_arguments
def Input(
    shape: Any = None,
    batch_size: int | None = None,
    dtype: Any = None,
    sparse: bool | None = None,
    ragged: bool | None = None,
    batch_shape: Any = None,
    name: str | None = None,
    tensor: KerasTensor | None = None,
    optional: bool = False,
) -> KerasTensor:
    """A symbolic tensor to build a model on.

    Args:
        shape: shape of one example, without the batch axis; None for unknown sizes.
        batch_size: size of the batch axis, if fixed.
        dtype: `config.floatx()` by default.
        sparse, ragged: False only.
        batch_shape: shape with the batch axis, in the place of `shape`.
        name: name of the input, also its key when data comes as a dict.
        tensor: a symbolic tensor to use as it is.
        optional: whether None may be passed for it.

    >>> Input((28, 28, 1)).shape
    (None, 28, 28, 1)
    """
    layer = InputLayer(
        shape=shape,
        batch_size=batch_size,
        dtype=dtype,
        sparse=sparse,
        ragged=ragged,
        batch_shape=batch_shape,
        input_tensor=tensor,
        optional=optional,
        name=name,
    )
    return layer.output
