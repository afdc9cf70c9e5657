"""MonitorCallback: has a metric become better?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minikeras.callbacks.callback import Callback
from minikeras.messages import warn


class MonitorCallback(Callback):
    """Base of the callbacks that watch one metric.

    Args:
        monitor: the metric's name in the logs.
        mode: "min", "max", or "auto": the loss and all errors should fall, accuracies
            should rise.
        baseline: the value to beat first, or None.
        min_delta: how much better a value must be to count.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        mode: str = "auto",
        baseline: float | None = None,
        min_delta: float = 0,
    ):
        super().__init__()
        if mode not in ("auto", "min", "max"):
            warn(
                f"{type(self).__name__} mode {mode!r} is unknown, fallback to auto "
                "mode. Expected 'auto', 'min' or 'max'.",
            )
            mode = "auto"
        self.monitor = monitor
        self.mode = mode
        self.best = baseline
        self.min_delta = abs(min_delta)
        self.monitor_op: Callable[[Any, Any], Any] | None = None

    def _set_monitor_op(self) -> None:
        """Chooses less or greater; in "auto" mode the model's metrics must be built."""
        if self.mode == "min":
            self.monitor_op = np.less
        elif self.mode == "max":
            self.monitor_op = np.greater
        else:
            self.monitor_op = self._infer_monitor_op()
        if self.monitor_op is np.less:
            self.min_delta *= -1

    def _infer_monitor_op(self) -> Callable[[Any, Any], Any]:
        name = self.monitor.removeprefix("val_")
        found = np.less if name == "loss" else None
        for group in getattr(self.model, "metrics", []):
            # A metric's `_direction`, "up" or "down", says where better values are.
            # NB: Keras asks the metrics given to `compile` only.
            for metric in getattr(group, "metrics", None) or []:
                direction = getattr(metric, "_direction", None)
                if metric.name == name and direction is not None:
                    found = np.greater if direction == "up" else np.less
        if found is None:
            raise ValueError(
                f"{type(self).__name__} callback received monitor={self.monitor}, but "
                "cannot tell whether that metric should be maximized or minimized. "
                "Pass `mode='max'` if the highest value is the best, or `mode='min'`."
            )
        return found

    def _is_improvement(self, value: Any, reference: Any) -> bool:
        """value better than reference by min_delta (which is negative for "min")."""
        if reference is None:
            return True
        return bool(
            self.monitor_op(_single(value - self.min_delta), _single(reference))
        )


def _single(value: Any) -> Any:
    """NB: Keras compares Python floats in float32, also when training in float64."""
    if isinstance(value, float) and not isinstance(value, np.floating):
        with np.errstate(over="ignore"):
            return np.float32(value)
    return value
