"""CompileMetrics: the `metrics` and `weighted_metrics` given to `compile`."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, NamedTuple

from minikeras import metrics as metrics_module
from minikeras import tree
from minikeras.metrics import Metric
from minikeras.metrics.reduction_metrics import MeanMetricWrapper
from minikeras.naming import to_snake_case


class OutputMetrics(NamedTuple):
    """The metrics of one output."""

    metrics: list[Metric]
    output_name: str | None  # put before the names of results; None: nothing


def is_binary_or_sparse_categorical(y_true: Any, y_pred: Any) -> tuple[bool, bool]:
    """What "accuracy" and "crossentropy" mean here: (binary, sparse categorical).

    NB: Keras decides by shapes alone; the loss plays no role.
    """
    true_rank, pred_rank = len(y_true.shape), len(y_pred.shape)
    true_last, pred_last = y_true.shape[-1], y_pred.shape[-1]
    is_binary = pred_last == 1
    is_sparse = true_rank < pred_rank or (true_last == 1 and pred_last > 1)
    return is_binary, is_sparse


def object_name(obj: Any) -> str:
    """The name results are reported under: `name`, or that of function or class."""
    if hasattr(obj, "name"):
        return obj.name
    if hasattr(obj, "__name__"):
        return to_snake_case(obj.__name__)
    return to_snake_case(type(obj).__name__)


def get_metric(identifier: Any, y_true: Any, y_pred: Any) -> Metric:
    """The metric an entry of `metrics` stands for, given an output and its target."""
    if identifier is None:
        raise ValueError("Expected metric, received `None`")
    if str(identifier).lower() in ("accuracy", "acc"):
        binary, sparse = is_binary_or_sparse_categorical(y_true, y_pred)
        if binary:
            metric = metrics_module.BinaryAccuracy(name=str(identifier))
        elif sparse:
            metric = metrics_module.SparseCategoricalAccuracy(name=str(identifier))
        else:
            metric = metrics_module.CategoricalAccuracy(name=str(identifier))
    else:
        metric = metrics_module.get(identifier)
    name = identifier if isinstance(identifier, str) else object_name(metric)
    if not isinstance(metric, Metric):
        metric = MeanMetricWrapper(metric)
    metric.name = name
    return metric


def _per_output(metrics: Any, names: list[str] | None, count: int) -> list[Any] | None:
    """The metrics of each output, if they are given by position or by name."""
    if isinstance(metrics, list | tuple) and len(metrics) == count:
        return list(metrics)
    if names and isinstance(metrics, dict) and set(metrics) <= set(names):
        return [metrics.get(name) for name in names]
    return None


def _output_metrics(
    identifiers: Any, y_true: Any, y_pred: Any, output_name: str | None = None
) -> OutputMetrics | None:
    if identifiers is None:
        return None
    if not isinstance(identifiers, list | tuple):
        identifiers = [identifiers]
    found = [get_metric(m, y_true, y_pred) for m in identifiers]
    return OutputMetrics(found, output_name)


def _check_names(argument: str, metrics: Any) -> None:
    """Refuses an unknown name at once, not when the first batch is seen."""
    short = ("accuracy", "acc", "crossentropy", "ce")
    for identifier in tree.flatten(metrics):
        if isinstance(identifier, str) and identifier.lower() not in short:
            try:
                metrics_module.get(identifier)
            except ValueError as error:
                raise ValueError(f"{error}\nReceived: {argument}={metrics}") from None


class CompileMetrics(Metric):
    """All metrics of a model, one call for all outputs.

    Args:
        metrics: list of names, functions and `Metric`s; for several outputs a list or
            dict with one such list for each, or nested like the outputs.
        weighted_metrics: the same; these also get the sample weights.
        name: accepted as in Keras; the name is always "compile_metrics".
        output_names: names of a functional model's outputs, in their order.

    The metrics are made when the first batch is seen, since what "accuracy" means
    depends on shapes.

    >>> import numpy as np
    >>> both = CompileMetrics(["mse", "acc"], None)
    >>> both.update_state(np.array([[0.0], [1.0]]), np.array([[0.5], [1.0]]))
    >>> {name: float(value) for name, value in both.result().items()}
    {'mse': 0.125, 'acc': 1.0}
    """

    def __init__(
        self,
        metrics: Any,
        weighted_metrics: Any,
        name: str = "compile_metric",
        output_names: Sequence[str] | None = None,
    ):
        super().__init__(name=name)
        for argument, value in (
            ("metrics", metrics),
            ("weighted_metrics", weighted_metrics),
        ):
            if value and not isinstance(value, list | tuple | dict):
                raise ValueError(
                    f"Expected `{argument}` argument to be a list, tuple, or dict. "
                    f"Received instead: {argument}={value} of type {type(value)}"
                )
            _check_names(argument, value)
        self._user_metrics = metrics
        self._user_weighted_metrics = weighted_metrics
        self._flat_metrics: list[OutputMetrics | None] = []
        self._flat_weighted_metrics: list[OutputMetrics | None] = []
        self._known: dict[int, tuple[Any, Any, Any]] = {}
        self.built = False
        self.name = "compile_metrics"
        self.output_names = output_names

    @property
    def metrics(self) -> list[Metric]:
        """All metrics, first `metrics`, then `weighted_metrics`; [] before the first
        batch."""
        groups = [*self._flat_metrics, *self._flat_weighted_metrics]
        return [m for group in groups if group is not None for m in group.metrics]

    @property
    def variables(self) -> list[Any]:
        """The variables of all metrics."""
        return [v for m in self.metrics for v in m.variables]

    def build(self, y_true: Any, y_pred: Any) -> None:
        """Makes the metrics, for outputs and targets of these shapes."""
        count = len(tree.flatten(y_pred))
        # Flat: a list or dict of tensors, nothing nested deeper.
        flat = tree.is_nested(y_pred) and len(y_pred) == count
        names = list(self.output_names) if self.output_names else None
        if flat and isinstance(y_pred, dict) and set(y_pred) != set(names or ()):
            in_order = isinstance(y_pred, OrderedDict)
            names = list(y_pred) if in_order else sorted(y_pred)
        self._resolved_output_names = names if count > 1 and flat else None
        arguments = (count, names, y_true, y_pred, flat)
        self._flat_metrics = self._build_set("metrics", self._user_metrics, *arguments)
        self._flat_weighted_metrics = self._build_set(
            "weighted_metrics", self._user_weighted_metrics, *arguments
        )
        self.built = True

    def _build_set(
        self,
        argument: str,
        metrics: Any,
        count: int,
        names: list[str] | None,
        y_true: Any,
        y_pred: Any,
        flat: bool,
    ) -> list[OutputMetrics | None]:
        """One entry for each output."""
        if not metrics:
            return [None] * count
        if count == 1:
            y_t, y_p = tree.flatten(y_true)[0], tree.flatten(y_pred)[0]
            return [_output_metrics(tree.flatten(metrics), y_t, y_p)]
        per_output = _per_output(metrics, names, count) if flat else None
        try:
            if per_output is None:
                if names and len(names) != count:
                    raise ValueError(
                        f"{count} outputs, but {len(names)} names: {names}"
                    )
                labels = tree.pack_sequence_as(y_pred, names or [None] * count)
                return _nested_metrics(metrics, y_true, y_pred, labels)
            y_true, y_pred = self._flatten_y(y_true), self._flatten_y(y_pred)
            groups = zip(
                per_output, y_true, y_pred, names or [None] * count, strict=False
            )
            return [_output_metrics(*group) for group in groups]
        except (ValueError, TypeError) as error:
            received = f"Received: {argument}={metrics}"
            if per_output is None:
                received = f"{self._expected(argument, y_pred)}\n{received}"
            raise ValueError(f"{error}\n{received}") from error

    def _expected(self, argument: str, y_pred: Any) -> str:
        structure = tree.map_structure(lambda _: "X", y_pred)
        either = (
            "either be a dict or a list matching the output names of the functional "
            f"model {list(self.output_names)} or "
            if self.output_names
            else ""
        )
        return (
            f"Invalid `{argument}`. `{argument}` should contain metrics objects and "
            f"{either}match the output structure of the model: {structure}."
        )

    def _flatten_y(self, y: Any) -> list[Any]:
        if isinstance(y, dict) and self._resolved_output_names is not None:
            return [y[name] for name in self._resolved_output_names]
        return tree.flatten(y)

    def remember(self, y_pred: Any, masks: Any = None, logits: Any = None) -> None:
        """Notes what belongs to these very arrays, for the next `update_state`.

        Keras hangs the mask and the logits on the tensor itself, so they go where it
        goes: through a user's `compute_metrics`, and no further than the first
        operation. An array cannot carry them; here they are found by its identity.

        Args:
            y_pred: outputs.
            masks: flat list, one mask or None for each output.
            logits: flat list, one pair (activation name, logits) for each output; the
                logits, or the pair, may be None.
        """
        leaves = tree.flatten(y_pred)
        masks = masks or [None] * len(leaves)
        logits = [pair and pair[1] for pair in logits or [None] * len(leaves)]
        found = zip(leaves, masks, logits, strict=True)
        self.__dict__["_known"] = {id(y): (y, mask, z) for y, mask, z in found}

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Takes a batch into account.

        Args:
            y_true: targets, in the structure of the outputs.
            y_pred: outputs.
            sample_weight: one array for all outputs, or in their structure.
        """
        if not self.built:
            self.build(y_true, y_pred)
        y_true, y_pred = self._flatten_y(y_true), self._flatten_y(y_pred)
        for group, y_t, y_p in zip(self._flat_metrics, y_true, y_pred, strict=False):
            for metric in group.metrics if group else ():
                self._update(metric, y_t, y_p, None)
        if sample_weight is None:
            weights = [None] * len(y_true)
        else:
            weights = self._flatten_y(sample_weight)
            if len(weights) < len(y_true):
                weights = [weights[0]] * len(y_true)
        groups = zip(self._flat_weighted_metrics, y_true, y_pred, weights, strict=False)
        for group, y_t, y_p, weight in groups:
            for metric in group.metrics if group else ():
                self._update(metric, y_t, y_p, weight)
        self.__dict__["_known"] = {}

    def _update(self, metric: Metric, y_true: Any, y_pred: Any, weight: Any) -> None:
        options = {}
        if isinstance(metric, MeanMetricWrapper) and (
            type(metric).update_state is MeanMetricWrapper.update_state
        ):
            known = self._known.get(id(y_pred))
            if known is not None:
                options = {"mask": known[1], "logits": known[2]}
        metric.update_state(y_true, y_pred, sample_weight=weight, **options)

    def reset_state(self) -> None:
        """Sets all metrics back to their beginning."""
        for metric in self.metrics:
            metric.reset_state()

    def result(self) -> dict[str, Any]:
        """The values by name: with the output's name in front where there are several.

        A name that is taken gets a number, or `weighted_` in front.
        """
        if not self.built:
            raise ValueError(
                "Cannot get result() since the metric has not yet been built."
            )
        results: dict[str, Any] = {}
        counts: dict[str, int] = {}

        def add(name: str, metric: Metric) -> None:
            if name in counts:
                counts[name] += 1
                name = f"{name}_{counts[name] - 1}"
            else:
                counts[name] = 1
            results[name] = metric.result()

        for group in self._flat_metrics:
            for metric in group.metrics if group else ():
                add(_result_name(group, metric.name), metric)
        for group in self._flat_weighted_metrics:
            for metric in group.metrics if group else ():
                name = _result_name(group, metric.name)
                if name in counts:
                    name = _result_name(group, f"weighted_{metric.name}")
                add(name, metric)
        return results

    def get_config(self) -> dict[str, Any]:
        """Not serializable: `Model.get_compile_config` is."""
        raise NotImplementedError


def _result_name(group: OutputMetrics, name: str) -> str:
    return f"{group.output_name}_{name}" if group.output_name else name


def _nested_metrics(
    metrics: Any, y_true: Any, y_pred: Any, names: Any
) -> list[OutputMetrics | None]:
    """Walks outputs, targets, metrics and names side by side."""
    if not tree.is_nested(y_pred):
        return [_output_metrics(metrics, y_true, y_pred, names)]
    keys = _keys(y_pred)
    for other in (metrics, y_true):
        if _keys(other) != keys:
            raise ValueError("Structures don't have the same nested structure.")
    found = []
    for key in keys or ():
        found += _nested_metrics(metrics[key], y_true[key], y_pred[key], names[key])
    return found


def _keys(structure: Any) -> list[Any] | None:
    if isinstance(structure, dict):
        return sorted(structure)
    return list(range(len(structure))) if tree.is_nested(structure) else None
