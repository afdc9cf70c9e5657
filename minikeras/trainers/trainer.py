"""Trainer: compile, fit, evaluate, predict. The loop one would teach, in order."""

from __future__ import annotations

from typing import Any

import numpy as np

from minikeras import tree
from minikeras.layers.calls import fresh
from minikeras.messages import did_you_mean, entry_point, warn
from minikeras.threads import one_blas_thread
from minikeras.trainers import micro_batches
from minikeras.trainers.compiled import CompileState
from minikeras.trainers.data_adapters import (
    EpochIterator,
    class_weight_to_sample_weights,
    is_array_data,
    pack_x_y_sample_weight,
    train_validation_split,
    unpack_x_y_sample_weight,
)
from minikeras.trainers.data_adapters.arrays import few_examples
from minikeras.trainers.running import FEWEST_TO_CUT, Run, keeping, run_of, running
from minikeras.utils.python_utils import pythonify_logs


class Trainer(CompileState):
    """The part of `Model` that trains it."""

    # --- The steps: override these to train in another way ----------------------------

    def train_step(self, data: Any) -> dict[str, Any]:
        """One batch: forward, loss, backward, update. Returns the logs.

        Args:
            data: `(x,)`, `(x, y)` or `(x, y, sample_weight)`.
        """
        x, y, sample_weight = unpack_x_y_sample_weight(data)
        run_step = self._step_function()
        result = run_step(self, x, y, sample_weight, training=True, gradients=True)
        self._loss_tracker.update_state(result.loss, sample_weight=_batch_size(x))
        trainable = run_of(self).trainable
        if trainable:
            self.optimizer.apply(result.grads, trainable)
        else:
            warn("The model does not have any trainable weights.")
        return self.compute_metrics(x, y, result.y_pred, sample_weight=sample_weight)

    def test_step(self, data: Any) -> dict[str, Any]:
        """One batch of `evaluate`: forward and loss."""
        x, y, sample_weight = unpack_x_y_sample_weight(data)
        run_step = self._step_function()
        result = run_step(self, x, y, sample_weight, training=False, gradients=False)
        self._loss_tracker.update_state(result.loss, sample_weight=_batch_size(x))
        return self.compute_metrics(x, y, result.y_pred, sample_weight=sample_weight)

    def predict_step(self, data: Any) -> Any:
        """One batch of `predict`: forward, nothing kept."""
        x, _, _ = unpack_x_y_sample_weight(data)
        traced = self._trace(x, False)
        if traced is None:
            return self.forward(x, training=False)[0]
        graph, inputs = traced
        cut = run_of(self).cut(graph, inputs, training=False)
        if cut and micro_batches.can_be_cut(cut, inputs):
            outputs = micro_batches.predict(self, graph, inputs, cut)
        else:
            outputs, _ = graph.forward(inputs, training=False, keep=False)
        return self._pack_outputs(outputs)

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        """The total loss of predictions. Override it to train with another.

        An override is traced, so that its gradient is known: see `own_loss.py` for
        what it may be made of. Without one, steps do not call this.

        Args:
            x, y, sample_weight: the batch.
            y_pred: the outputs.
            training: whether this is a training step.

        Returns:
            A number; a symbolic tensor for symbolic ones.
        """
        if "_loss_trace" in self.__dict__:
            from minikeras.trainers import own_loss

            return own_loss.compiled_loss(self, y, y_pred, sample_weight)
        losses = []
        if self._compile_loss is not None:
            losses.append(self._compile_loss(y, y_pred, sample_weight))
        losses.extend(np.sum(loss) for loss in self.losses)
        if not losses:
            raise ValueError(
                "No loss to compute. Provide a `loss` argument in `compile()`."
            )
        return losses[0] if len(losses) == 1 else np.sum(losses)

    def _step_function(self) -> Any:
        if type(self).compute_loss is Trainer.compute_loss:
            from minikeras.trainers.step import run_step
        else:
            from minikeras.trainers.own_loss_step import run_step
        return run_step

    @property
    def losses(self) -> list[Any]:
        """See `Layer.losses`; symbolic while `compute_loss` is traced."""
        trace = self.__dict__.get("_loss_trace")
        if trace is not None:
            return trace.losses()
        return super().losses  # type: ignore[misc]

    def compute_metrics(
        self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None
    ) -> dict[str, Any]:
        """Updates the metrics with a batch and returns all results."""
        if self._compile_metrics is not None:
            self._compile_metrics.update_state(y, y_pred, sample_weight)
        return self.get_metrics_result()

    # --- The loops --------------------------------------------------------------------

    @entry_point
    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: Any = "auto",
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: Any = True,
        class_weight: dict[int, float] | None = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: Any = 1,
    ) -> Any:
        """Trains for a number of epochs.

        Args:
            x: inputs: an array; a list or dict of arrays for several inputs; a
                `PyDataset` or a generator of `(x, y[, sample_weight])` batches.
            y: targets, in the structure of the outputs.
            batch_size: examples per update; 32 by default.
            epochs: the epoch to stop after (counted from `initial_epoch`).
            verbose: 0 silent, 1 progress bar, 2 one line per epoch, "auto" is 1.
            callbacks: list of `Callback`s.
            validation_split: fraction of the data, taken from the end before
                shuffling, to evaluate on after each epoch.
            validation_data: `(x, y)` or `(x, y, sample_weight)` to evaluate on.
            shuffle: True, False, or "batch" (within batches). NB: Keras shuffles a
                seeded run in the same order in every epoch.
            class_weight: dict from class index to a factor for its loss.
            sample_weight: one factor per example (or per time step).
            initial_epoch: the epoch to begin with.
            steps_per_epoch: batches per epoch.
            validation_steps: batches per validation.
            validation_batch_size: defaults to `batch_size`.
            validation_freq: validate every n-th epoch, or in a list of epochs
                (counted from 1).

        Returns:
            The `History`: its `history` maps names to one value per epoch.
        """
        self._assert_compiled("fit")
        if validation_split and validation_data is None:
            (x, y, sample_weight), validation_data = train_validation_split(
                (x, y, sample_weight), validation_split=validation_split
            )
        iterator = EpochIterator(
            x=x,
            y=y,
            sample_weight=sample_weight,
            batch_size=batch_size,
            steps_per_epoch=steps_per_epoch,
            shuffle=shuffle,
            class_weight=class_weight,
        )
        iterator.reset()
        validation = None
        if validation_data is not None:
            val_x, val_y, val_weight = unpack_x_y_sample_weight(validation_data)
            inherited = batch_size if is_array_data(val_x, val_y, val_weight) else None
            validation = EpochIterator(
                x=val_x,
                y=val_y,
                sample_weight=val_weight,
                batch_size=validation_batch_size or inherited,
                steps_per_epoch=validation_steps,
            )
        callbacks = self._callback_list(
            callbacks, verbose, epochs, iterator, add_history=True
        )
        self.stop_training = False
        callbacks.on_train_begin()
        epoch_logs: dict[str, Any] = {}
        initial_epoch = self._initial_epoch or initial_epoch
        run, validation_run = Run(self), Run(self)
        with keeping(run):
            for epoch in range(initial_epoch, epochs):
                self.reset_metrics()
                callbacks.on_epoch_begin(epoch)
                with running(self, run):
                    logs = self._run_epoch(iterator, callbacks)
                epoch_logs = dict(self._metrics_or(logs))
                if validation is not None and _is_due(epoch, validation_freq):
                    found = self._evaluate(validation, callbacks, validation_run)
                    epoch_logs.update({f"val_{name}": v for name, v in found.items()})
                callbacks.on_epoch_end(epoch, epoch_logs)
                if self.stop_training:
                    break
                if self.run_eagerly:
                    run.forget()  # a callback may have frozen a layer
        if epochs > 0:
            self.optimizer.finalize_variable_values(self.trainable_weights)
        callbacks.on_train_end(epoch_logs or None)
        return self.history

    def _run_epoch(self, iterator: EpochIterator, callbacks: Any) -> dict[str, Any]:
        logs: dict[str, Any] = {}
        train_step = self._compiled_step("fit")
        for step, data in iterator.enumerate_epoch():
            callbacks.on_train_batch_begin(step)
            logs = train_step(pack_x_y_sample_weight(*data))
            callbacks.on_train_batch_end(step, logs)
            if self.stop_training:
                break
        return logs

    @entry_point
    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: Any = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Any = None,
        return_dict: bool = False,
        **kwargs: Any,
    ) -> Any:
        """The loss and metrics on data, without training.

        Args:
            x, y, batch_size, verbose, sample_weight, callbacks: as in `fit`.
            steps: number of batches.
            return_dict: return a dict from names to values.

        Returns:
            The loss alone if there are no metrics, else a list, or a dict.
        """
        if kwargs:
            hint = did_you_mean(kwargs, ("batch_size", "sample_weight", "steps"))
            raise ValueError(f"Arguments not recognized: {kwargs}.{hint}")
        self._assert_compiled("evaluate")
        iterator = EpochIterator(
            x=x,
            y=y,
            sample_weight=sample_weight,
            batch_size=batch_size,
            steps_per_epoch=steps,
        )
        callbacks = self._callback_list(callbacks, verbose, 1, iterator)
        logs = self._evaluate(iterator, callbacks)
        return logs if return_dict else self._flatten_metrics_in_order(logs)

    def _evaluate(
        self, iterator: EpochIterator, callbacks: Any, run: Run | None = None
    ) -> dict[str, Any]:
        iterator.reset()  # each validation begins with the first batch
        self.stop_evaluating = False
        callbacks.on_test_begin()
        self.reset_metrics()
        logs: dict[str, Any] = {}
        with running(self, run):
            for step, data in iterator.enumerate_epoch():
                callbacks.on_test_batch_begin(step)
                logs = self.test_step(pack_x_y_sample_weight(*data))
                callbacks.on_test_batch_end(step, logs)
                if self.stop_evaluating:
                    break
        logs = pythonify_logs(self._metrics_or(logs))
        callbacks.on_test_end(logs)
        return logs

    @entry_point
    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: Any = "auto",
        steps: int | None = None,
        callbacks: Any = None,
    ) -> Any:
        """The outputs for data, batch by batch.

        Args:
            x, batch_size, verbose, callbacks: as in `fit`.
            steps: number of batches.
        """
        if verbose == 0 and not callbacks and batch_size is None and steps is None:
            few = few_examples(x, FEWEST_TO_CUT - 1)
            if few is not None:  # the same without what serves many batches
                self.stop_predicting = False
                with one_blas_thread():
                    return tree.map_structure(np.array, self.predict_step(few))
        iterator = EpochIterator(x=x, batch_size=batch_size, steps_per_epoch=steps)
        callbacks = self._callback_list(callbacks, verbose, 1, iterator)
        self.stop_predicting = False
        callbacks.on_predict_begin()
        batches: list[Any] = []
        with running(self):
            for step, data in iterator.enumerate_epoch():
                callbacks.on_predict_batch_begin(step)
                outputs = self.predict_step(pack_x_y_sample_weight(*data))
                batches.append(outputs)
                callbacks.on_predict_batch_end(step, {"outputs": outputs})
                if self.stop_predicting:
                    break
        callbacks.on_predict_end()
        if not batches:
            raise ValueError("The data given to `predict` holds no batch.")
        if len(batches) == 1:
            return tree.map_structure(np.array, batches[0])
        return tree.map_structure(lambda *parts: np.concatenate(parts), *batches)

    @entry_point
    def train_on_batch(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        class_weight: dict[int, float] | None = None,
        return_dict: bool = False,
    ) -> Any:
        """One update on one batch. Returns the loss, or loss and metrics.

        NB: Keras resets the metrics first: the values are those of this batch alone.
        """
        self._assert_compiled("train_on_batch")
        if class_weight is not None:
            if sample_weight is not None:
                raise ValueError(
                    "Arguments `sample_weight` and `class_weight` cannot be specified "
                    f"at the same time. Received: sample_weight={sample_weight}, "
                    f"class_weight={class_weight}"
                )
            sample_weight = class_weight_to_sample_weights(y, class_weight)
        self.reset_metrics()
        train_step = self._compiled_step("train_on_batch")
        with running(self):
            logs = train_step(as_batch(x, y, sample_weight))
        logs = pythonify_logs(logs)
        return logs if return_dict else self._flatten_metrics_in_order(logs)

    @entry_point
    def test_on_batch(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        return_dict: bool = False,
    ) -> Any:
        """The loss and metrics of one batch."""
        self._assert_compiled("test_on_batch")
        self.reset_metrics()
        with running(self):
            logs = self.test_step(as_batch(x, y, sample_weight))
        logs = pythonify_logs(logs)
        return logs if return_dict else self._flatten_metrics_in_order(logs)

    @entry_point
    def predict_on_batch(self, x: Any) -> Any:
        """The outputs for one batch."""
        data = as_batch(x, None, None)[:1]
        with running(self):
            return fresh(self.predict_step(data), data)

    def make_train_function(self, force: bool = False) -> Any:
        """As in Keras; there is nothing to compile."""
        return self.train_step

    def make_test_function(self, force: bool = False) -> Any:
        """As in Keras; there is nothing to compile."""
        return self.test_step

    def make_predict_function(self, force: bool = False) -> Any:
        """As in Keras; there is nothing to compile."""
        return self.predict_step

    def _callback_list(
        self,
        callbacks: Any,
        verbose: Any,
        epochs: int,
        iterator: EpochIterator,
        add_history: bool = False,
    ) -> Any:
        from minikeras.callbacks import CallbackList

        if isinstance(callbacks, CallbackList):
            return callbacks
        return CallbackList(
            callbacks,
            add_history=add_history,
            add_progbar=verbose != 0,
            verbose=verbose,
            epochs=epochs,
            steps=iterator.num_batches,
            model=self,
        )


def _batch_size(x: Any) -> int:
    for leaf in tree.flatten(x):
        if leaf is not None:
            return len(leaf)
    return 0


def as_batch(x: Any, y: Any, sample_weight: Any) -> tuple[Any, Any, Any]:
    """The arguments of the `*_on_batch` methods, converted as `fit` converts data."""
    iterator = EpochIterator(
        x=x, y=y, sample_weight=sample_weight, batch_size=max(_length(x), 1)
    )
    for _, data in iterator.enumerate_epoch():
        return unpack_x_y_sample_weight(data)
    raise ValueError("The batch is empty.")


def _length(x: Any) -> int:
    for leaf in tree.flatten(x) if not isinstance(x, list) else [x]:
        if hasattr(leaf, "shape") and len(leaf.shape):
            return int(leaf.shape[0])
        if isinstance(leaf, list) and leaf:
            first = leaf[0]
            return _length(first) if hasattr(first, "shape") else len(leaf)
    return 0


def _is_due(epoch: int, frequency: Any) -> bool:
    """Whether to validate after this epoch; users count epochs from 1."""
    if isinstance(frequency, int):
        return (epoch + 1) % frequency == 0
    if isinstance(frequency, list | tuple | set):
        return (epoch + 1) in frequency
    raise ValueError(
        "Expected `validation_freq` to be a list or int. Received: "
        f"validation_freq={frequency} of the type {type(frequency)}."
    )
