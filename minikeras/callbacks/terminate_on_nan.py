"""TerminateOnNaN: ends training when the loss is no longer a number."""

from __future__ import annotations

import math
from typing import Any

from minikeras.callbacks.callback import Callback
from minikeras.registry import public
from minikeras.utils.io_utils import print_msg


@public("keras.callbacks")
class TerminateOnNaN(Callback):
    """Stops after the first batch whose loss is NaN or infinite.

    Args:
        raise_error: raise a RuntimeError instead, at once: `on_train_end` is not called
            then, so `BackupAndRestore` keeps its backup.
    """

    def __init__(self, raise_error: bool = False):
        super().__init__()
        self.raise_error = raise_error

    def on_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Looks at the loss of the epoch up to this batch."""
        loss = (logs or {}).get("loss")
        if loss is None or math.isfinite(loss):
            return
        if self.raise_error:
            raise RuntimeError(
                f"NaN or Inf loss encountered at batch {batch}. Received: loss={loss}. "
                "Likely causes: NaN in the data, or a learning rate that is too large."
            )
        print_msg(f"Batch {batch}: Invalid loss, terminating training")
        self.model.stop_training = True
