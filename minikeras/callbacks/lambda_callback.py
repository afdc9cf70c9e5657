"""LambdaCallback: hooks from functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minikeras.callbacks.callback import HOOKS, Callback
from minikeras.registry import public, suggest


@public("keras.callbacks")
class LambdaCallback(Callback):
    """A callback made of functions instead of a class.

    Args:
        on_epoch_begin, on_epoch_end: functions of `(epoch, logs)`.
        on_train_begin, on_train_end: functions of `(logs)`.
        on_train_batch_begin, on_train_batch_end: functions of `(batch, logs)`, whose
            second argument is called `logs`.
        **kwargs: any other hook of `Callback`; other names become attributes.

    >>> callback = LambdaCallback(on_epoch_begin=lambda epoch, logs: print(epoch))
    >>> callback.on_epoch_begin(3, {})
    3
    """

    def __init__(
        self,
        on_epoch_begin: Callable[..., Any] | None = None,
        on_epoch_end: Callable[..., Any] | None = None,
        on_train_begin: Callable[..., Any] | None = None,
        on_train_end: Callable[..., Any] | None = None,
        on_train_batch_begin: Callable[..., Any] | None = None,
        on_train_batch_end: Callable[..., Any] | None = None,
        **kwargs: Any,
    ):
        super().__init__()
        for name in kwargs:
            if name.startswith("on_") and name not in HOOKS:
                raise TypeError(
                    f"Callback has no hook `{name}`.{suggest(name, HOOKS)} Received: "
                    f"{name}={kwargs[name]!r}"
                )
        self.__dict__.update(kwargs)
        hooks = {
            "on_epoch_begin": on_epoch_begin,
            "on_epoch_end": on_epoch_end,
            "on_train_begin": on_train_begin,
            "on_train_end": on_train_end,
            "on_train_batch_begin": on_train_batch_begin,
            "on_train_batch_end": on_train_batch_end,
        }
        self.__dict__.update({k: v for k, v in hooks.items() if v is not None})
