"""CallbackList: calls many callbacks as one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minikeras import tree
from minikeras.callbacks.callback import BATCH_HOOKS, HOOKS, Callback, overrides
from minikeras.callbacks.history import History
from minikeras.callbacks.progbar_logger import ProgbarLogger
from minikeras.registry import public
from minikeras.utils.python_utils import pythonify_logs

Logs = dict[str, Any] | Callable[[], dict[str, Any]] | None


@public("keras.callbacks")
class CallbackList(Callback):
    """Calls the hooks of its callbacks in turn.

    Args:
        callbacks: a callback, or callbacks in nested lists.
        add_history: whether to add a `History` if there is none.
        add_progbar: whether to add a `ProgbarLogger` if there is none.
        model: is passed on to all.
        **params: `verbose`, `epochs`, `steps`; are passed on to all.

    Every hook of a callback receives one new dict of Python floats, sorted by name.
    The hooks at the end of a batch also take a *function* that returns the logs: it is
    called only if a callback looks at them now, and the progress bar looks twenty times
    a second. So a small model does not spend its time on metrics that nobody sees.
    """

    def __init__(
        self,
        callbacks: Any = None,
        add_history: bool = False,
        add_progbar: bool = False,
        model: Any = None,
        **params: Any,
    ):
        super().__init__()
        # NB: a single callback is no list; Keras takes it as well.
        self.callbacks = tree.flatten(callbacks) if callbacks else []
        for callback in self.callbacks:
            _check(callback)
        self._history = self._last(History)
        self._progbar = self._last(ProgbarLogger)
        if self._history is None and add_history:
            self._history = History()
            self.callbacks.append(self._history)
        if self._progbar is None and add_progbar:
            self._progbar = ProgbarLogger()
            self.callbacks.append(self._progbar)
        self._listeners: dict[str, list[Any]] = {}
        self.set_model(model)
        self.set_params(params)

    def _last(self, kind: type) -> Any:
        found = [callback for callback in self.callbacks if isinstance(callback, kind)]
        return found[-1] if found else None

    def set_model(self, model: Any) -> None:
        """Passes the model on, and gives it the History."""
        if model is None:
            return
        super().set_model(model)
        if self._history is not None:
            model.history = self._history
        for callback in self.callbacks:
            callback.set_model(model)

    def set_params(self, params: dict[str, Any]) -> None:
        """Passes the parameters on, if there are any."""
        self.params = params
        if params:
            for callback in self.callbacks:
                callback.set_params(params)

    # --- Loops and epochs: rare. Their beginnings look again who listens to batches

    def on_train_begin(self, logs: Logs = None) -> None:
        """Calls it on all."""
        self._begin("on_train_begin", logs)

    def on_train_end(self, logs: Logs = None) -> None:
        """Calls it on all."""
        self._call("on_train_end", logs)

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """Calls it on all."""
        self._begin("on_epoch_begin", logs, epoch)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Calls it on all."""
        self._call("on_epoch_end", logs, epoch)

    def on_test_begin(self, logs: Logs = None) -> None:
        """Calls it on all."""
        self._begin("on_test_begin", logs)

    def on_test_end(self, logs: Logs = None) -> None:
        """Calls it on all."""
        self._call("on_test_end", logs)

    def on_predict_begin(self, logs: Logs = None) -> None:
        """Calls it on all."""
        self._begin("on_predict_begin", logs)

    def on_predict_end(self, logs: Logs = None) -> None:
        """Calls it on all."""
        self._call("on_predict_end", logs)

    def _call(self, hook: str, logs: Logs, *args: int) -> None:
        if not self.callbacks:
            return
        logs = _values(logs)
        for callback in self.callbacks:
            getattr(callback, hook)(*args, logs)

    def _begin(self, hook: str, logs: Logs, *args: int) -> None:
        self._call(hook, logs, *args)
        if self.callbacks:
            self._listeners = {name: self._find_listeners(name) for name in BATCH_HOOKS}

    def _find_listeners(self, hook: str) -> list[Any]:
        return [callback for callback in self.callbacks if overrides(callback, hook)]

    # --- Batches: thousands in a second

    def on_train_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Calls it on those that override it."""
        self._batch("on_train_batch_begin", batch, logs)

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Calls it on those that override it and want to know now."""
        self._batch("on_train_batch_end", batch, logs)

    def on_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Calls it on those that override it."""
        self._batch("on_batch_begin", batch, logs)

    def on_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Calls it on those that override it."""
        self._batch("on_batch_end", batch, logs)

    def on_test_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Calls it on those that override it."""
        self._batch("on_test_batch_begin", batch, logs)

    def on_test_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Calls it on those that override it and want to know now."""
        self._batch("on_test_batch_end", batch, logs)

    def on_predict_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Calls it on those that override it."""
        self._batch("on_predict_batch_begin", batch, logs)

    def on_predict_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Calls it on those that override it and want to know now."""
        self._batch("on_predict_batch_end", batch, logs)

    def _batch(self, hook: str, batch: int, logs: Logs) -> None:
        if not self.callbacks:
            return
        listeners = self._listeners.get(hook)
        if listeners is None:  # a loop by hand that skipped the hooks of its beginning
            listeners = self._find_listeners(hook)
        if not listeners:
            return
        if len(listeners) == 1 and type(listeners[0]) is ProgbarLogger:
            if not listeners[0].is_due(hook, batch):
                return
        logs = _values(logs)
        for callback in listeners:
            getattr(callback, hook)(batch, logs=logs)


def _values(logs: Logs) -> dict[str, Any]:
    return pythonify_logs(logs() if callable(logs) else logs)


def _check(callback: Any) -> None:
    if isinstance(callback, type):
        raise TypeError(
            "Expected callbacks to be instances of `Callback`. Received: the class "
            f"{callback.__name__}; write `{callback.__name__}(...)`."
        )
    missing = [
        name
        for name in ("set_model", "set_params", *HOOKS)
        if not callable(getattr(callback, name, None))
    ]
    if missing:
        raise TypeError(
            "Expected callbacks to be instances of `Callback`. Received: "
            f"{callback!r} of type {type(callback)}, which has no `{missing[0]}`."
        )
