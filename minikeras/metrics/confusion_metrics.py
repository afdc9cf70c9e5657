"""Precision, recall, and the counts that they are made of."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from minikeras.metrics.confusion import (
    NEVER,
    ConfusionMetric,
    as_thresholds,
    checked_share,
    ratio,
    spread_thresholds,
)
from minikeras.registry import public


class _Count(ConfusionMetric):
    """One of the four counts, kept in the variable `accumulator`."""

    def __init__(
        self, thresholds: Any = None, name: str | None = None, dtype: Any = None
    ):
        super().__init__(name=name, dtype=dtype)
        self.init_thresholds = thresholds
        self.thresholds = as_thresholds(thresholds)
        shape = (len(self.thresholds),)
        self.accumulator = self.add_variable(shape, "zeros", name="accumulator")

    def _variables_of_counts(self) -> dict[str, Any]:
        return {self.counted[0]: self.accumulator}

    def result(self) -> Any:
        """The count, or an array with one for each threshold."""
        return self._one_or_all(self.accumulator.value)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "thresholds": self.init_thresholds}


@public("keras.metrics")
class TruePositives(_Count):
    """Ones that were predicted, by weight.

    Args:
        thresholds: a number or numbers in [0, 1] above which a prediction is a one.
        name, dtype: see `Metric`.

    >>> float(TruePositives()([0, 1, 1, 1], [1, 0, 1, 1]))
    2.0
    """

    counted: ClassVar = ("true_positives",)


@public("keras.metrics")
class TrueNegatives(_Count):
    """Zeros that were predicted, by weight.

    Args:
        thresholds: a number or numbers in [0, 1] above which a prediction is a one.
        name, dtype: see `Metric`.

    >>> float(TrueNegatives()([0, 1, 0, 0], [1, 1, 0, 0]))
    2.0
    """

    counted: ClassVar = ("true_negatives",)


@public("keras.metrics")
class FalsePositives(_Count):
    """Ones predicted where a zero was true, by weight.

    Args:
        thresholds: a number or numbers in [0, 1] above which a prediction is a one.
        name, dtype: see `Metric`.

    >>> float(FalsePositives()([0, 1, 0, 0], [0, 0, 1, 1]))
    2.0
    """

    counted: ClassVar = ("false_positives",)


@public("keras.metrics")
class FalseNegatives(_Count):
    """Zeros predicted where a one was true, by weight.

    Args:
        thresholds: a number or numbers in [0, 1] above which a prediction is a one.
        name, dtype: see `Metric`.

    >>> float(FalseNegatives()([0, 1, 1, 1], [0, 1, 0, 0]))
    2.0
    """

    counted: ClassVar = ("false_negatives",)


class _Fraction(ConfusionMetric):
    """True positives, as a fraction of more: the first count by the sum of both."""

    _direction = "up"

    def __init__(
        self,
        thresholds: Any = None,
        top_k: int | None = None,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(name=name, dtype=dtype)
        self.init_thresholds = thresholds
        self.top_k = top_k
        self.class_id = class_id
        self.thresholds = as_thresholds(thresholds, 0.5 if top_k is None else NEVER)
        self._add_counts((len(self.thresholds),))

    def result(self) -> Any:
        """The fraction, or one for each threshold; 0 for 0 / 0."""
        right, wrong = (getattr(self, name).value for name in self.counted)
        return self._one_or_all(ratio(right, right + wrong))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "thresholds": self.init_thresholds,
            "top_k": self.top_k,
            "class_id": self.class_id,
        }


@public("keras.metrics")
class Precision(_Fraction):
    """How many of the predicted ones are right.

    Args:
        thresholds: a number or numbers in [0, 1] above which a prediction is a one.
        top_k: only the k largest predictions of an example count as predicted (then
            without a threshold, unless one is given).
        class_id: look at this class alone.
        name, dtype: see `Metric`.

    **Formula**: `tp / (tp + fp)`, 0 if nothing was predicted.

    >>> round(float(Precision()([0, 1, 1, 1], [1, 0, 1, 1])), 4)
    0.6667
    """

    counted: ClassVar = ("true_positives", "false_positives")


@public("keras.metrics")
class Recall(_Fraction):
    """How many of the true ones were predicted.

    Args:
        thresholds: a number or numbers in [0, 1] above which a prediction is a one.
        top_k: only the k largest predictions of an example count as predicted (then
            without a threshold, unless one is given).
        class_id: look at this class alone.
        name, dtype: see `Metric`.

    **Formula**: `tp / (tp + fn)`, 0 if there are no ones.

    >>> round(float(Recall()([0, 1, 1, 1], [1, 0, 1, 1])), 4)
    0.6667
    """

    counted: ClassVar = ("true_positives", "false_negatives")


class _BestAt(ConfusionMetric):
    """The best of one rate over all thresholds at which another is high enough."""

    _direction = "up"
    _share = ""  # the argument's name

    def __init__(
        self,
        value: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(name=name, dtype=dtype)
        if num_thresholds <= 0:
            raise ValueError(
                "Argument `num_thresholds` must be an integer > 0. Received: "
                f"num_thresholds={num_thresholds}"
            )
        self.value = checked_share(self._share, value)
        setattr(self, self._share, value)
        self.num_thresholds = num_thresholds
        self.class_id = class_id
        inner = spread_thresholds(num_thresholds) if num_thresholds > 1 else []
        self.thresholds = [0.0, *inner, 1.0] if num_thresholds > 1 else [0.5]
        # NB: two are called evenly spaced here, though not where a list is given.
        self._evenly_spaced = num_thresholds > 1
        self._add_counts((len(self.thresholds),))

    def _rates(self) -> dict[str, np.ndarray]:
        tp, fp, tn, fn = (getattr(self, name).value for name in self.counted)
        sensitivity, specificity = ratio(tp, tp + fn), ratio(tn, tn + fp)
        return {
            "sensitivity": sensitivity,
            "recall": sensitivity,
            "specificity": specificity,
            "precision": ratio(tp, tp + fp),
        }

    def result(self) -> Any:
        """The best rate, 0 if no threshold meets the condition."""
        rates = self._rates()
        wanted = {
            "specificity": "sensitivity",
            "sensitivity": "specificity",
            "recall": "precision",
            "precision": "recall",
        }[self._share]
        # NB: Keras compares with a float32 number, whatever the dtype.
        feasible = rates[self._share] >= np.float32(self.value)
        return np.where(feasible, rates[wanted], 0).max(initial=0)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "num_thresholds": self.num_thresholds,
            self._share: self.value,
            "class_id": self.class_id,
        }


@public("keras.metrics")
class SensitivityAtSpecificity(_BestAt):
    """The best sensitivity at thresholds where the specificity is high enough.

    Args:
        specificity: the least that is high enough, in [0, 1].
        num_thresholds: how many thresholds to try, evenly spaced from 0 to 1.
        class_id: look at this class alone.
        name, dtype: see `Metric`.

    **Formula**: the largest `tp / (tp + fn)` where `tn / (tn + fp)` >= specificity

    >>> metric = SensitivityAtSpecificity(0.5)
    >>> float(metric([0, 0, 0, 1, 1], [0, 0.3, 0.8, 0.3, 0.8]))
    0.5
    """

    _share = "specificity"

    def __init__(
        self,
        specificity: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(specificity, num_thresholds, class_id, name, dtype)


@public("keras.metrics")
class SpecificityAtSensitivity(_BestAt):
    """The best specificity at thresholds where the sensitivity is high enough.

    Args:
        sensitivity: the least that is high enough, in [0, 1].
        num_thresholds: how many thresholds to try, evenly spaced from 0 to 1.
        class_id: look at this class alone.
        name, dtype: see `Metric`.

    **Formula**: the largest `tn / (tn + fp)` where `tp / (tp + fn)` >= sensitivity

    >>> metric = SpecificityAtSensitivity(0.5)
    >>> round(float(metric([0, 0, 0, 1, 1], [0, 0.3, 0.8, 0.3, 0.8])), 4)
    0.6667
    """

    _share = "sensitivity"

    def __init__(
        self,
        sensitivity: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(sensitivity, num_thresholds, class_id, name, dtype)


@public("keras.metrics")
class PrecisionAtRecall(_BestAt):
    """The best precision at thresholds where the recall is high enough.

    Args:
        recall: the least that is high enough, in [0, 1].
        num_thresholds: how many thresholds to try, evenly spaced from 0 to 1.
        class_id: look at this class alone.
        name, dtype: see `Metric`.

    **Formula**: the largest `tp / (tp + fp)` where `tp / (tp + fn)` >= recall

    >>> metric = PrecisionAtRecall(0.5)
    >>> float(metric([0, 0, 0, 1, 1], [0, 0.3, 0.8, 0.3, 0.8]))
    0.5
    """

    _share = "recall"

    def __init__(
        self,
        recall: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(recall, num_thresholds, class_id, name, dtype)


@public("keras.metrics")
class RecallAtPrecision(_BestAt):
    """The best recall at thresholds where the precision is high enough.

    Args:
        precision: the least that is high enough, in [0, 1].
        num_thresholds: how many thresholds to try, evenly spaced from 0 to 1.
        class_id: look at this class alone.
        name, dtype: see `Metric`.

    **Formula**: the largest `tp / (tp + fn)` where `tp / (tp + fp)` >= precision

    >>> metric = RecallAtPrecision(0.5)
    >>> float(metric([0, 0, 0, 1, 1], [0, 0.3, 0.8, 0.3, 0.8]))
    1.0
    """

    _share = "precision"

    def __init__(
        self,
        precision: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(precision, num_thresholds, class_id, name, dtype)
