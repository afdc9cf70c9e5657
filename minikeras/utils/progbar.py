"""The progress bar.

6/10 ━━━━━━━━━━━━━━━━━━━━ 0s 5ms/step - accuracy: 0.9000 - loss: 0.1000
"""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Iterable
from typing import Any

import numpy as np

from minikeras.utils.io_utils import print_msg

_BOLD, _GREEN, _WHITE, _PLAIN = "\x1b[1m", "\x1b[32m", "\x1b[37m", "\x1b[0m"


class Progbar:
    """Prints how far a loop has come, how long it takes, and its metrics.

    Args:
        target: number of steps; None if unknown.
        width: of the bar, in characters.
        verbose: 0 prints nothing; 1 a bar that is redrawn in place; 2 one line when
            the last step is done.
        interval: seconds between two drawings.
        stateful_metrics: names of metrics to show as they are given; all others are
            averaged over the steps.
        stateless_metrics: or else, names of the metrics to average; all others are
            shown as they are given.
        unit_name: what a step is called.

    The bar is redrawn only on a terminal and in a notebook. Elsewhere (a file, a pipe)
    the line is printed once, when it is complete, and without colours. NB: Keras sends
    its backspaces and colours to files too.

    >>> bar = Progbar(target=2, verbose=1)
    >>> bar.update(1, [("loss", 4.0)])
    >>> bar.update(2, [("loss", 2.0)])  # doctest: +ELLIPSIS
    2/2 ━━━━━━━━━━━━━━━━━━━━ 0s ...s/step - loss: 2.0000
    """

    def __init__(
        self,
        target: int | None,
        width: int = 20,
        verbose: int = 1,
        interval: float = 0.05,
        stateful_metrics: Iterable[str] | None = None,
        stateless_metrics: Iterable[str] | None = None,
        unit_name: str = "step",
    ):
        if stateful_metrics is not None and stateless_metrics is not None:
            raise ValueError(
                "Only one of `stateful_metrics` or `stateless_metrics` can be "
                f"provided. Received: stateful_metrics={stateful_metrics}, "
                f"stateless_metrics={stateless_metrics}"
            )
        self.target = target
        self.width = width
        self.verbose = verbose
        self.interval = interval
        self.unit_name = unit_name
        self.stateful_metrics = _as_set(stateful_metrics)
        self.stateless_metrics = _as_set(stateless_metrics)
        if stateful_metrics is None and stateless_metrics is None:
            self.stateful_metrics = set()
        self._dynamic_display = (
            (hasattr(sys.stdout, "isatty") and sys.stdout.isatty())
            or "ipykernel" in sys.modules
            or "PYCHARM_HOSTED" in os.environ
        )
        self._seen_so_far = 0
        self._values: dict[str, list[Any]] = {}  # name -> [sum, number of steps]
        self._start = time.time()
        self._last_update = 0.0
        self._time_after_first_step: float | None = None
        self._prev_total_width = 0

    def is_due(self) -> bool:
        """Whether an `update` now, before the end, would change anything to see."""
        if self.verbose != 1:
            return False
        if self._seen_so_far == 0:  # the clock starts with the first step
            return True
        waited = time.time() - self._last_update
        return self._dynamic_display and waited >= self.interval

    def update(
        self,
        current: int,
        values: list[tuple[str, Any]] | None = None,
        finalize: bool | None = None,
    ) -> None:
        """Shows that `current` steps are done.

        Args:
            current: number of steps done.
            values: pairs of a metric's name and its value for the last step.
            finalize: whether this is the last update; by default whether `current`
                has reached the target.
        """
        if finalize is None:
            finalize = self.target is not None and current >= self.target
        self._note_values(current, values or [], finalize)
        self._seen_so_far = current
        now = time.time()
        time_per_unit = self._estimate_step_duration(current, now)
        if self.verbose == 1:
            if now - self._last_update < self.interval and not finalize:
                return
            if finalize or self._dynamic_display:
                self._draw(current, now, time_per_unit, finalize)
        elif self.verbose == 2 and finalize and self._has_target():
            self._print_line(current, now, time_per_unit)
        self._last_update = now

    def add(self, n: int, values: list[tuple[str, Any]] | None = None) -> None:
        """Shows that `n` more steps are done."""
        self.update(self._seen_so_far + n, values)

    def _has_target(self) -> bool:
        return self.target is not None and self.target > 0

    def _note_values(
        self, current: int, values: list[tuple[str, Any]], finalize: bool
    ) -> None:
        steps = max(current - self._seen_so_far, 1)
        for name, value in values:
            if self.stateful_metrics is not None:
                averaged = name not in self.stateful_metrics
            else:
                averaged = name in self.stateless_metrics
            # NB: the last value stands for itself: the final one is the epoch's result.
            if not averaged or finalize:
                self._values[name] = [value, 1]
            elif name not in self._values:
                self._values[name] = [value * steps, steps]
            else:
                self._values[name][0] += value * steps
                self._values[name][1] += steps

    def _draw(
        self, current: int, now: float, time_per_unit: float, finalize: bool
    ) -> None:
        """The line of verbose=1, over the one drawn before."""
        bar = self._bar(current)
        if self._has_target() and not finalize:
            seconds = _format_eta(time_per_unit * (self.target - current))
        else:
            seconds = f"{now - self._start:.0f}s"
        info = f" {_BOLD}{seconds}{_PLAIN}"
        info += self._format_time(time_per_unit, self.unit_name)
        for name, (total, count) in self._values.items():
            info += f" - {name}:{_format_value(total, count, signed=True)}"
        line = bar + info
        width = len(_without_colours(line))
        if self._dynamic_display:
            rest = " " * (self._prev_total_width - width)
            line = "\b" * self._prev_total_width + "\r" + line + rest
        else:
            line = _without_colours(line)
        print_msg(line + "\n" if finalize else line, line_break=False)
        self._prev_total_width = width

    def _bar(self, current: int) -> str:
        if not self._has_target():
            return f"{int(current):7d}/Unknown"
        digits = int(math.log10(self.target)) + 1
        done = int(self.width * (current / self.target))
        bar = f"{_BOLD}{int(current):{digits}d}/{self.target}{_PLAIN} "
        if done > 0:
            bar += f"{_GREEN}{'━' * done}{_PLAIN}"
        return bar + f"{_WHITE}{'━' * (self.width - done)}{_PLAIN}"

    def _print_line(self, current: int, now: float, time_per_unit: float) -> None:
        """The line of verbose=2."""
        digits = int(math.log10(self.target)) + 1
        line = f"{int(current):{digits}d}/{self.target} - {now - self._start:.0f}s"
        line += f" -{self._format_time(time_per_unit, self.unit_name)}"
        for name, (total, count) in self._values.items():
            line += f" - {name}:{_format_value(total, count, signed=False)}"
        print_msg(line)

    def _format_time(self, time_per_unit: float, unit_name: str) -> str:
        if time_per_unit >= 1 or time_per_unit == 0:
            return f" {time_per_unit:.0f}s/{unit_name}"
        if time_per_unit >= 1e-3:
            return f" {time_per_unit * 1e3:.0f}ms/{unit_name}"
        return f" {time_per_unit * 1e6:.0f}us/{unit_name}"

    def _estimate_step_duration(self, current: int, now: float) -> float:
        """Seconds per step, without the first one, which is slower than the others."""
        if not current:
            return 0
        if self._time_after_first_step is not None and current > 1:
            return (now - self._time_after_first_step) / (current - 1)
        if current == 1:
            self._time_after_first_step = now
        return (now - self._start) / current


def _as_set(names: Iterable[str] | None) -> set[str] | None:
    return None if names is None else set(names)


def _without_colours(line: str) -> str:
    for code in (_BOLD, _GREEN, _WHITE, _PLAIN):
        line = line.replace(code, "")
    return line


def _format_eta(seconds: float) -> str:
    if seconds > 3600:
        minutes = seconds % 3600 // 60
        return f"{int(seconds // 3600)}:{int(minutes):02d}:{int(seconds % 60):02d}"
    if seconds > 60:
        return f"{int(seconds // 60)}:{int(seconds % 60):02d}"
    return f"{int(seconds)}s"


def _format_value(total: Any, count: int, signed: bool) -> str:
    """Four decimals, or scientific for small numbers.

    NB: in the line of verbose=2 Keras takes every negative number for a small one.
    """
    if not isinstance(total, float):
        total = np.mean(total)
    mean = total / max(1, count)
    size = abs(mean) if signed else mean
    return f" {mean:.4f}" if size > 1e-3 else f" {mean:.4e}"
