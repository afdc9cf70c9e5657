"""ProgbarLogger: the progress bar of `fit`, `evaluate` and `predict`."""

from __future__ import annotations

from typing import Any

from minikeras.callbacks.callback import Callback
from minikeras.registry import public
from minikeras.utils.io_utils import print_msg
from minikeras.utils.progbar import Progbar


@public("keras.callbacks")
class ProgbarLogger(Callback):
    """Prints the steps and the metrics. Added unless `verbose=0`.

    In `fit`, validation is silent; its results appear at the end of the epoch's line.
    """

    def __init__(self) -> None:
        super().__init__()
        self.seen = 0
        self.progbar: Progbar | None = None
        self.target: int | None = None
        self.verbose: int = 1
        self.epochs = 1
        self._called_in_fit = False

    def set_params(self, params: dict[str, Any]) -> None:
        """Takes `verbose` ("auto" is 1), `epochs` and `steps`."""
        verbose = params["verbose"]
        self.verbose = 1 if verbose == "auto" else verbose
        self.epochs = params["epochs"]
        self.target = params["steps"]

    def is_due(self, hook: str, batch: int) -> bool:
        """Whether this hook would print anything; notes the batch in any case."""
        if hook == "on_test_batch_end" and self._called_in_fit:
            return False
        self.seen = batch + 1
        return self.verbose == 1 and (self.progbar is None or self.progbar.is_due())

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """From here on validation is silent."""
        self._called_in_fit = True

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """A new bar, under the number of the epoch if there are several."""
        self._new_progbar()
        if self.verbose and self.epochs > 1:
            print_msg(f"Epoch {epoch + 1}/{self.epochs}")

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Completes the line."""
        self._finalize(logs)

    def on_train_batch_end(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        """Moves the bar."""
        self._update(batch, logs)

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        """A new bar, outside of `fit`."""
        if not self._called_in_fit:
            self._new_progbar()

    def on_test_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Moves the bar, outside of `fit`."""
        if not self._called_in_fit:
            self._update(batch, logs)

    def on_test_end(self, logs: dict[str, Any] | None = None) -> None:
        """Completes the line, outside of `fit`."""
        if not self._called_in_fit:
            self._finalize(logs)

    def on_predict_begin(self, logs: dict[str, Any] | None = None) -> None:
        """A new bar."""
        self._new_progbar()

    def on_predict_batch_end(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        """Moves the bar; the predictions in `logs` are not printed."""
        self._update(batch, None)

    def on_predict_end(self, logs: dict[str, Any] | None = None) -> None:
        """Completes the line."""
        self._finalize(logs)

    def _new_progbar(self) -> None:
        self.seen = 0
        # No metric is averaged by the bar: the model's metrics are averages already.
        self.progbar = Progbar(
            target=self.target,
            verbose=self.verbose,
            unit_name="step",
            stateless_metrics=set(),
        )

    def _update(self, batch: int, logs: dict[str, Any] | None) -> None:
        if self.progbar is None:
            self._new_progbar()
        self.seen = batch + 1
        if self.verbose == 1:
            self.progbar.update(self.seen, list((logs or {}).items()), finalize=False)

    def _finalize(self, logs: dict[str, Any] | None) -> None:
        if self.progbar is None:
            self._new_progbar()
        if self.target is None:  # now it is known
            self.target = self.progbar.target = self.seen
        self.progbar.update(self.target, list((logs or {}).items()), finalize=True)
