"""Intersection over union: how well predicted regions cover the true ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minikeras import config
from minikeras.messages import warn
from minikeras.metrics.metric import Metric
from minikeras.ops.stable import as_array
from minikeras.registry import public


@public("keras.metrics")
class IoU(Metric):
    """The mean, over some classes, of intersection over union.

    Args:
        num_classes: the number of classes.
        target_class_ids: the classes that count.
        name: see `Metric`.
        dtype: of the confusion matrix; None: int64, so that weights are cut to whole
            numbers.
        ignore_class: a label whose places do not count, or None.
        sparse_y_true, sparse_y_pred: whether targets and predictions are class
            numbers; else the largest along `axis` is the class.
        axis: the axis of the classes, where they are not numbers.

    **Formula**: of a class, `tp / (tp + fp + fn)`; classes that do not occur at all are
    left out of the mean. Labels out of range do not count.

    >>> metric = IoU(num_classes=2, target_class_ids=[0])
    >>> round(float(metric([0, 0, 1, 1], [0, 1, 0, 1])), 4)
    0.3333
    """

    _direction = "up"

    def __init__(
        self,
        num_classes: int,
        target_class_ids: Sequence[int],
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: int = -1,
    ):
        whole = dtype in (None, "int", "int64", "int32", np.int64, np.int32)
        super().__init__(name=name, dtype=None if whole else dtype)
        if whole:  # a metric that counts
            whole_dtype = "int64" if dtype in (None, "int") else np.dtype(dtype).name
            self._dtype = whole_dtype
        if max(target_class_ids) >= num_classes:
            raise ValueError(
                f"Target class id {max(target_class_ids)} is out of range, which is "
                f"[0, {num_classes})."
            )
        self.num_classes = num_classes
        self.target_class_ids = list(target_class_ids)
        self.ignore_class = ignore_class
        self.sparse_y_true = sparse_y_true
        self.sparse_y_pred = sparse_y_pred
        self.axis = axis
        self.total_cm = self.add_variable(
            (num_classes, num_classes),
            "zeros",
            dtype=self.dtype,
            name="total_confusion_matrix",
        )

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Takes a batch into account.

        Args:
            y_true: class numbers, or one-hot vectors along `axis`.
            y_pred: class numbers, or scores along `axis`.
            sample_weight: a weight for each of them.
        """
        y_true, y_pred = as_array(y_true), as_array(y_pred)
        y_true = y_true if self.sparse_y_true else y_true.argmax(axis=self.axis)
        y_pred = y_pred if self.sparse_y_pred else y_pred.argmax(axis=self.axis)
        y_true = y_true.astype(self.dtype).ravel()
        y_pred = y_pred.astype(self.dtype).ravel()
        weights = self._weights(sample_weight, y_true.shape)
        counts = (y_true >= 0) & (y_true < self.num_classes)
        counts &= (y_pred >= 0) & (y_pred < self.num_classes)
        if self.ignore_class is not None:
            counts &= y_true != self.ignore_class
        rows, columns = (a[counts].astype(np.int64) for a in (y_true, y_pred))
        matrix = np.zeros(self.total_cm.shape, self.dtype)
        np.add.at(matrix, (rows, columns), weights[counts])
        self.total_cm.assign_add(matrix)

    def _weights(self, sample_weight: Any, shape: tuple[int, ...]) -> np.ndarray:
        if sample_weight is None:
            return np.ones(shape, self.dtype)
        weights = np.asarray(sample_weight)
        if weights.dtype.kind == "f" and "int" in self.dtype:
            warn(
                f"{type(self).__name__} has dtype {self.dtype}: the fractions of "
                "`sample_weight` are cut off. Pass integers, or dtype='float32' to the "
                "metric.",
            )
        weights = weights.astype(self.dtype)
        return np.broadcast_to(weights.ravel() if weights.ndim else weights, shape)

    def result(self) -> Any:
        """The mean, a float32 whatever the dtype."""
        matrix = self.total_cm.value
        both = matrix.diagonal()[self.target_class_ids].astype(np.float32)
        union = matrix.sum(axis=0) + matrix.sum(axis=1) - matrix.diagonal()
        union = union[self.target_class_ids].astype(np.float32)
        epsilon = np.float32(config.epsilon())
        seen = union > 1e-9
        iou = np.where(seen, both / (union + epsilon), np.float32(0))
        return iou.sum() / (np.float32(seen.sum()) + epsilon)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "target_class_ids": self.target_class_ids,
            "ignore_class": self.ignore_class,
            "sparse_y_true": self.sparse_y_true,
            "sparse_y_pred": self.sparse_y_pred,
            "axis": self.axis,
        }

    def _config_without(self, *names: str) -> dict[str, Any]:
        return {k: v for k, v in IoU.get_config(self).items() if k not in names}


@public("keras.metrics")
class BinaryIoU(IoU):
    """`IoU` of yes/no predictions.

    Args:
        target_class_ids: which count: 0, 1, or both.
        threshold: from where on a prediction is a 1.
        name, dtype: as in `IoU`.

    >>> round(float(BinaryIoU()([0, 1, 0, 1], [0.1, 0.2, 0.4, 0.7])), 4)
    0.5833
    """

    def __init__(
        self,
        target_class_ids: Sequence[int] = (0, 1),
        threshold: float = 0.5,
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(2, target_class_ids, name, dtype)
        self.threshold = threshold

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Takes a batch into account; `y_pred` are numbers from 0 to 1."""
        # NB: Keras compares float32 numbers, and the threshold is a 1 here.
        chosen = np.asarray(y_pred, np.float32) >= np.float32(self.threshold)
        super().update_state(y_true, chosen.astype(self.dtype), sample_weight)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            "target_class_ids": self.target_class_ids,
            "threshold": self.threshold,
            "name": self.name,
            "dtype": self.dtype,
        }


@public("keras.metrics")
class MeanIoU(IoU):
    """`IoU` over all classes.

    Args:
        num_classes, name, dtype, ignore_class, sparse_y_true, sparse_y_pred, axis: as
            in `IoU`.

    >>> round(float(MeanIoU(num_classes=2)([0, 0, 1, 1], [0, 1, 0, 1])), 4)
    0.3333
    """

    def __init__(
        self,
        num_classes: int,
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: int = -1,
    ):
        super().__init__(
            num_classes,
            range(num_classes),
            name,
            dtype,
            ignore_class,
            sparse_y_true,
            sparse_y_pred,
            axis,
        )

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return self._config_without("target_class_ids")


@public("keras.metrics")
class OneHotIoU(IoU):
    """`IoU` of one-hot targets.

    Args:
        num_classes, target_class_ids, name, dtype, ignore_class, sparse_y_pred, axis:
            as in `IoU`.
    """

    def __init__(
        self,
        num_classes: int,
        target_class_ids: Sequence[int],
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_pred: bool = False,
        axis: int = -1,
    ):
        super().__init__(
            num_classes,
            target_class_ids,
            name,
            dtype,
            ignore_class,
            False,
            sparse_y_pred,
            axis,
        )

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return self._config_without("sparse_y_true")


@public("keras.metrics")
class OneHotMeanIoU(MeanIoU):
    """`MeanIoU` of one-hot targets.

    Args:
        num_classes, name, dtype, ignore_class, sparse_y_pred, axis: as in `IoU`.
    """

    def __init__(
        self,
        num_classes: int,
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_pred: bool = False,
        axis: int = -1,
    ):
        super().__init__(
            num_classes, name, dtype, ignore_class, False, sparse_y_pred, axis
        )

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return self._config_without("target_class_ids", "sparse_y_true")
