"""What `compile` sets: optimizer, losses, metrics, and the names they report under."""

from __future__ import annotations

from typing import Any

from minikeras.messages import entry_point, warn
from minikeras.trainers.running import run_of
from minikeras.trainers.trainable_state import TrainableState


class CompileState:
    """The part of `Model` that knows how it was compiled."""

    compiled = False
    optimizer: Any = None
    loss: Any = None
    stop_training = False
    history: Any = None
    jit_compile: Any = False
    _run_eagerly = False
    steps_per_execution = 1
    _compile_loss: Any = None
    _compile_metrics: Any = None
    _loss_tracker: Any = None
    _compile_config: dict[str, Any] | None = None
    _trainable_states: dict[str, TrainableState] | None = None
    _warned_of: list[str] | None = None
    _initial_epoch: int | None = None

    @entry_point
    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
        jit_compile: Any = "auto",
        auto_scale_loss: bool = True,
    ) -> None:
        """Says how to train: with which optimizer, loss and metrics.

        Args:
            optimizer: name or `Optimizer`.
            loss: name, `Loss` or function of (y_true, y_pred), made of `keras.ops` or
                `@differentiable`; a list or dict of them for several outputs.
            loss_weights: factor of each output's loss in the total, list or dict.
            metrics: names, functions or `Metric`s; nested like the outputs.
            weighted_metrics: the same, weighted by `sample_weight`.
            run_eagerly: there is nothing to compile, but see the property.
            jit_compile, auto_scale_loss: accepted as in Keras. There is nothing to
                compile, and no float16 to scale for.
            steps_per_execution: accepted as in Keras; every step is one execution, so
                batch callbacks are called for each.
        """
        from minikeras import metrics as metrics_module
        from minikeras import optimizers
        from minikeras.trainers.compile_loss import CompileLoss
        from minikeras.trainers.compile_metrics import CompileMetrics

        optimizer = optimizers.get(optimizer)
        output_names = getattr(self, "_output_names_or_none", lambda: None)()
        # NB: Keras keeps the loss and the metrics of an earlier `compile` where none
        # are given now.
        compile_loss, compile_metrics = self._compile_loss, self._compile_metrics
        if loss is not None:
            compile_loss = CompileLoss(loss, loss_weights, output_names=output_names)
        elif loss_weights is not None:
            warn(
                "`loss_weights` was given without a `loss`; it has no effect.",
            )
        if metrics is not None or weighted_metrics is not None:
            compile_metrics = CompileMetrics(
                metrics, weighted_metrics, output_names=output_names
            )
        for layer in (self, *self._all_sublayers()):  # type: ignore[attr-defined]
            layer.__dict__.pop("_traces", None)  # as Keras traces anew
        self.optimizer = optimizer
        self.loss = self.loss if loss is None else loss
        self._compile_loss = compile_loss
        self._compile_metrics = compile_metrics
        self._loss_tracker = metrics_module.Mean(name="loss")
        self.run_eagerly = run_eagerly
        self.jit_compile = bool(jit_compile) if jit_compile != "auto" else False
        self.steps_per_execution = steps_per_execution
        self.stop_training = False
        self.compiled = True
        self._trainable_states, self._warned_of = {}, None
        run_of(self).forget()  # where a callback compiles anew
        self._compile_config = {
            "optimizer": optimizer,
            "loss": loss,
            "loss_weights": loss_weights,
            "metrics": metrics,
            "weighted_metrics": weighted_metrics,
            "run_eagerly": run_eagerly,
            "steps_per_execution": steps_per_execution,
            "jit_compile": self.jit_compile,
        }

    @property
    def run_eagerly(self) -> bool:
        """Whether to do as Keras does without compiling; the difference is small.

        NB: compiled, Keras does not know the batch size and weights all batches alike
        in the means of single losses (not in that of the total), and TensorFlow rounds
        learning rate schedules in another way (see `schedules.Formula`).
        """
        return self._run_eagerly

    @run_eagerly.setter
    def run_eagerly(self, value: bool) -> None:
        self._run_eagerly = value
        if self._compile_loss is not None:
            self._compile_loss.weighs_batches = value
        if self.optimizer is not None:
            self.optimizer.in_compiled_step = not value

    def _output_names_or_none(self) -> list[str] | None:
        try:
            return self.output_names  # type: ignore[attr-defined]
        except AttributeError:
            return None

    def _compiled_step(self, function: str) -> Any:
        """`train_step`, training the layers that `function` trained at first.

        NB: Keras looks at `trainable` when it compiles the step of `fit` or of
        `train_on_batch`, at the first call after `compile`; with `run_eagerly` always.
        """
        if self.run_eagerly or self._trainable_states is None:
            return self.train_step  # type: ignore[attr-defined]
        state = self._trainable_states.get(function)
        if state is None:
            state = self._trainable_states[function] = TrainableState(self)
        changed = state.changed()
        if not changed:
            return self.train_step  # type: ignore[attr-defined]
        # A step of the user's own may freeze and thaw as it goes.
        step = type(self).train_step  # type: ignore[attr-defined]
        ours = step.__module__.startswith("minikeras.")
        if ours and self._warned_of != changed:
            self._warned_of = changed
            warn(
                f"The `trainable` state of {changed} has changed since `{function}` "
                "was first called. As in Keras, this takes effect when `compile` is "
                "called again (always, with `run_eagerly=True`); until then the same "
                "weights are trained as before."
            )
        return state.held(self.train_step)  # type: ignore[attr-defined]

    def _assert_compiled(self, method: str) -> None:
        if not self.compiled:
            raise ValueError(
                "You must call `compile()` before using the model. Called: "
                f"`{method}()` of '{self.name}'"  # type: ignore[attr-defined]
            )

    # --- Metrics ----------------------------------------------------------------------

    @property
    def metrics(self) -> list[Any]:
        """Loss tracker, compiled metrics, trackers of single losses, own metrics."""
        found = []
        if self.compiled:
            found.append(self._loss_tracker)
            if self._compile_metrics is not None:
                found.append(self._compile_metrics)
            if self._compile_loss is not None:
                found.extend(self._compile_loss.metrics)
        found.extend(self._metrics)  # type: ignore[attr-defined]
        for layer in self._all_sublayers():  # type: ignore[attr-defined]
            found.extend(layer._metrics)
        return found

    @property
    def metrics_names(self) -> list[str]:
        """The names of `metrics`."""
        return [metric.name for metric in self.metrics]

    def reset_metrics(self) -> None:
        """Sets all metrics back to their beginning."""
        for metric in run_of(self).metrics:
            metric.reset_state()

    def get_metrics_result(self) -> dict[str, Any]:
        """The current values, by name."""
        results: dict[str, Any] = {}
        for metric in run_of(self).metrics:
            value = metric.result()
            if isinstance(value, dict):
                results.update(value)
            else:
                results[metric.name] = value
        return results

    def _metrics_or(self, logs: dict[str, Any]) -> dict[str, Any]:
        """The metrics' values, unless a step of the user's own returned other names."""
        results = self.get_metrics_result()
        # NB: Keras logs zeros for an epoch without a batch.
        return results if not logs or set(logs) == set(results) else logs

    def _flatten_metrics_in_order(self, logs: dict[str, Any]) -> Any:
        names: list[str] = []
        for metric in self.metrics:
            if metric is self._compile_metrics:
                names.extend(sub.name for sub in metric.metrics)
            else:
                names.append(metric.name)
        results = [logs[name] for name in names if name in logs]
        results.extend(logs[name] for name in sorted(logs) if name not in names)
        return results[0] if len(results) == 1 else results

    # --- Configuration ----------------------------------------------------------------

    def get_compile_config(self) -> dict[str, Any]:
        """The arguments of `compile`, as plain data; empty before it."""
        if not self.compiled or self._compile_config is None:
            return {}
        from minikeras.serialization import serialize_keras_object

        return {k: serialize_keras_object(v) for k, v in self._compile_config.items()}

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compiles as `get_compile_config` tells."""
        from minikeras.serialization import deserialize_keras_object

        if type(self).compile is not CompileState.compile:
            warn(
                "`compile()` was not called as part of model loading because the "
                "model's `compile()` method is custom. Override `get_compile_config()` "
                "and `compile_from_config(config)` as well, or call `compile()` "
                "manually after loading.",
            )
            return
        self.compile(**deserialize_keras_object(config))
        if self.built:  # type: ignore[attr-defined]
            self.optimizer.build(self.trainable_variables)  # type: ignore[attr-defined]
