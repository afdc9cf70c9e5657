"""SwapEMAWeights: evaluates with the averaged weights."""

from __future__ import annotations

from typing import Any

from minikeras.callbacks.callback import Callback
from minikeras.registry import public


@public("keras.callbacks")
class SwapEMAWeights(Callback):
    """Exchanges the weights for their moving averages while a model is evaluated.

    For optimizers with `use_ema=True`, which keep an exponential moving average of the
    weights (Polyak averaging).

    Args:
        swap_on_epoch: swap from the end of an epoch to the beginning of the next one,
            so that callbacks after this one, such as `ModelCheckpoint`, see the
            averages.

    NB: as in Keras, `predict` with this callback leaves the averages in the model.
    """

    def __init__(self, swap_on_epoch: bool = False):
        super().__init__()
        self.swap_on_epoch = swap_on_epoch
        self._ema_weights_in_model = False

    def _pairs(self) -> list[tuple[Any, Any]]:
        """(weight, its average) of the optimizer's variables."""
        optimizer = self.model.optimizer
        if not optimizer.use_ema or not optimizer.built:
            raise ValueError(
                "SwapEMAWeights must be used when `use_ema=True` is set on the "
                "optimizer, after training has begun. Received: "
                f"use_ema={optimizer.use_ema}, optimizer.built={optimizer.built}"
            )
        return optimizer._averaged()

    def _swap(self, ema_in_model: bool) -> None:
        if self._ema_weights_in_model == ema_in_model:
            return
        for weight, average in self._pairs():
            value = weight.numpy()
            weight.assign(average.numpy())
            average.assign(value)
        self._ema_weights_in_model = ema_in_model

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """With `swap_on_epoch`: weights back."""
        if self.swap_on_epoch:
            self._swap(False)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """With `swap_on_epoch`: averages in."""
        if self.swap_on_epoch and not self._ema_weights_in_model:
            self._swap(True)
            if epoch == self.params["epochs"] - 1:
                # After the last epoch the optimizer puts the averages into the model.
                for weight, average in self._pairs():
                    average.assign(weight.numpy())

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Averages in."""
        self._swap(True)

    def on_test_end(self, logs: dict[str, Any] | None = None) -> None:
        """Weights back."""
        self._swap(False)

    def on_predict_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Averages in."""
        self._swap(True)
