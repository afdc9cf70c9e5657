"""What is done during `fit`, `evaluate` and `predict` besides computing."""

from __future__ import annotations

from typing import Any

from minikeras.callbacks.backup_and_restore import BackupAndRestore
from minikeras.callbacks.callback import Callback
from minikeras.callbacks.callback_list import CallbackList
from minikeras.callbacks.csv_logger import CSVLogger
from minikeras.callbacks.early_stopping import EarlyStopping
from minikeras.callbacks.history import History
from minikeras.callbacks.lambda_callback import LambdaCallback
from minikeras.callbacks.learning_rate_scheduler import LearningRateScheduler
from minikeras.callbacks.model_checkpoint import ModelCheckpoint
from minikeras.callbacks.progbar_logger import ProgbarLogger
from minikeras.callbacks.reduce_lr_on_plateau import ReduceLROnPlateau
from minikeras.callbacks.swap_ema_weights import SwapEMAWeights
from minikeras.callbacks.terminate_on_nan import TerminateOnNaN
from minikeras.registry import suggest

__all__ = [
    "BackupAndRestore",
    "CSVLogger",
    "Callback",
    "CallbackList",
    "EarlyStopping",
    "History",
    "LambdaCallback",
    "LearningRateScheduler",
    "ModelCheckpoint",
    "ProgbarLogger",
    "ReduceLROnPlateau",
    "SwapEMAWeights",
    "TerminateOnNaN",
]

_NOT_HERE = {
    "OrbaxCheckpoint": "it saves through the orbax library; use `ModelCheckpoint`",
    "RemoteMonitor": "it sends logs over the network; use `LambdaCallback`",
    "TensorBoard": "it writes TensorFlow's event files; use `CSVLogger`",
}


def __getattr__(name: str) -> Any:
    if name in _NOT_HERE:
        raise AttributeError(
            f"minikeras does not have keras.callbacks.{name}: {_NOT_HERE[name]}."
        )
    raise AttributeError(
        f"module 'minikeras.callbacks' has no attribute {name!r}."
        f"{suggest(name, __all__)}"
    )
