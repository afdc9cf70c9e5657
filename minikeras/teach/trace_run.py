"""`trace`: one training step of a model, recorded call by call."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from minikeras import tree
from minikeras.layers.layer import Layer
from minikeras.layers.rnn.rnn import RNN
from minikeras.random import seed_generator
from minikeras.regularizers import gradient_of
from minikeras.teach.explain_weights import check_built, explain
from minikeras.teach.trace_calls import Update, Updates
from minikeras.teach.trace_notes import write_notes
from minikeras.teach.trace_recorder import RecordedGradients, Recorder, own
from minikeras.teach.trace_result import LossTerm, Trace
from minikeras.trainers import own_loss, passes, step
from minikeras.trainers.running import running
from minikeras.trainers.trainer import Trainer, as_batch
from minikeras.watching import watching


def trace(model: Any, x: Any, y: Any = None, sample_weight: Any = None) -> Trace:
    """One training step, recorded: every call forward and backward, every weight.

    It computes what `model.train_on_batch(x, y, sample_weight)` computes, in training
    mode, and leaves the model as it was: weights, optimizer, seeds and metrics.

    Args:
        model: a built and compiled model; one loaded from a file too.
        x, y, sample_weight: one batch, as for `train_on_batch`. A few examples are
            enough to read.

    Returns:
        A `Trace`: print it, index it by the names of layers, or write a page with
        `to_html(path)`.

    Raises:
        TypeError: if it is not a model.
        ValueError: if it is not built or not compiled.

    >>> import minikeras as keras
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, name="out")])
    >>> model.set_weights([np.array([[1.0], [2.0]]), np.array([0.5])])
    >>> model.compile(keras.optimizers.SGD(0.1), "mse")
    >>> found = trace(model, np.array([[3.0, 4.0]]), np.array([[10.0]]))
    >>> found["out"].outputs, float(found.loss)     # 3 x 1 + 4 x 2 + 0.5 = 11.5
    (array([[11.5]], dtype=float32), 2.25)
    >>> found["out"].dkernel
    array([[ 9.],
           [12.]], dtype=float32)
    >>> found.updates["out/kernel"].after           # before - 0.1 x gradient
    array([[0.1],
           [0.8]], dtype=float32)
    """
    _check(model)
    batch = as_batch(*tree.map_structure(_copy, (x, y, sample_weight)))
    explanation = explain(model)
    names = _names(explanation)
    keyed = {id(v): name for v, name in zip(model.weights, names, strict=True)}
    recorder = Recorder(keyed)
    variables = model.trainable_variables
    grads = RecordedGradients(variables, recorder)
    with _restored(model), running(model):
        before = [v.numpy() for v in model.weights]
        found = _run(model, batch, recorder, grads)
        for v in variables:
            if v.regularizer is not None and not found.has_own_loss:
                # in forward: total = ... + regularizer(variable)
                grads.add(v, gradient_of(v.regularizer, v.value))
        total = step.total_loss(
            found.loss, found.predicted.activity_loss, _penalized(found, variables)
        )
        values = {id(v): v.numpy() for v in model.weights}
        after = values | _updated(model.optimizer, variables, grads)
    updates = Updates()
    for name, v, array, value in zip(
        names, model.weights, explanation, before, strict=True
    ):
        gradient = grads[v] if v in grads else None
        updates[name] = Update(
            name,
            v.path,
            array.axes,
            array.gates,
            id(v) in grads.wanted,
            value,
            gradient,
            after[id(v)],
        )
    by_id = {id(v): updates[keyed[id(v)]] for v in model.weights}
    recorder.finish(by_id)
    kept = [v.value for v in model.weights]
    result = Trace(
        model=model,
        calls=recorder.calls,
        backward=recorder.backward,
        x=batch[0],
        y=batch[1],
        sample_weight=batch[2],
        y_pred=own(found.predicted.y_pred, kept),
        dx=found.dx,
        loss=total,
        terms=found.terms,
        activity_penalty=found.predicted.activity_loss,
        updates=updates,
        optimizer=type(model.optimizer).__name__,
    )
    write_notes(result, found.has_own_loss)
    return result


def _check(model: Any) -> None:
    if isinstance(model, Layer) and not isinstance(model, Trainer):
        raise TypeError(
            "`trace` needs a model with a loss. Put the layer into one: "
            "Sequential([layer]), and compile that. Received: "
            f"{type(model).__name__} '{model.name}'"
        )
    check_built(model, "trace")
    if not model.compiled:
        raise ValueError(
            f"`trace` needs a compiled model: the loss says where gradients begin, the "
            f"optimizer what they change. Call `compile` of '{model.name}' first."
        )


def _names(explanation: Any) -> list[str]:
    """`"dense/kernel"` for each weight; its path where two would have one name."""
    names = [f"{a.layer}/{a.name}" for a in explanation]
    return [
        name if names.count(name) == 1 else f"{a.path} ({a.index})"
        for name, a in zip(names, explanation, strict=True)
    ]


def _copy(leaf: Any) -> Any:
    return leaf.copy() if isinstance(leaf, np.ndarray) else leaf


# --- The two passes -------------------------------------------------------------------


class _Passes(NamedTuple):
    """What they found."""

    predicted: passes.Prediction
    loss: Any
    terms: list[LossTerm]
    dx: Any
    has_own_loss: bool


def _run(
    model: Any, batch: tuple, recorder: Recorder, grads: RecordedGradients
) -> _Passes:
    """Forward, loss, backward."""
    x, y, sample_weight = batch
    numbers_added = Layer._numbers_added
    training = model._call_takes_training
    traced = model._trace(x, training)
    with watching(recorder):
        if traced is None:
            with recorder.inside(model) as whole:
                predicted = passes.prediction_by_hand(model, x, training)
            whole.inputs, whole.outputs = x, predicted.y_pred
            whole.residuals = predicted.residuals
        else:
            graph, inputs = traced
            run = graph.forward(inputs, training=training)
            predicted = passes.prediction(model, graph, *run)
    step.refuse_numbers(model, numbers_added)
    has_own_loss = type(model).compute_loss is not Trainer.compute_loss
    if has_own_loss:
        loss, gradients = _own_loss(model, batch, predicted, grads)
        terms: list[LossTerm] = []
    else:
        loss, gradients, terms = _compiled_loss(model, y, predicted, sample_weight)
    dys, dlogits = gradients
    with watching(recorder):
        if traced is None:
            with recorder.back_through(whole):
                whole.doutputs = tree.pack_sequence_as(predicted.y_pred, dys)
                whole.dinputs = model.backward(whole.doutputs, whole.residuals, grads)
            return _Passes(predicted, loss, terms, whole.dinputs, has_own_loss)
        residuals = predicted.residuals._replace(dlogits=tuple(dlogits))
        flat = graph.backward(dys, residuals, grads, need_dx=True)
    dx = flat[0] if len(flat) == 1 else flat
    if len(flat) == len(tree.flatten(x)):
        dx = tree.pack_sequence_as(x, flat)
    return _Passes(predicted, loss, terms, dx, has_own_loss)


def _compiled_loss(
    model: Any, y: Any, predicted: passes.Prediction, sample_weight: Any
) -> tuple[Any, Any, list[LossTerm]]:
    """(loss, gradients of outputs and logits, the single losses), metrics untouched."""
    compiled = copy.copy(model._compile_loss)
    twin = SimpleNamespace(_compile_loss=compiled)
    if compiled is None:
        return None, passes.loss_gradients(twin, predicted, None), []
    compiled.metrics, compiled._twins = [], {}
    loss, residuals = passes.compiled_loss(
        twin, y, predicted, sample_weight, track=False
    )
    gradients = passes.loss_gradients(twin, predicted, residuals)
    terms = [
        LossTerm(planned.name, term.output, value, term.weight, term.from_logits, one)
        for planned, term, value, one in zip(
            compiled._losses,
            residuals.terms,
            residuals.values,
            [term.loss for term in residuals.terms],
            strict=False,
        )
    ]
    return loss, gradients, terms


def _own_loss(
    model: Any, batch: tuple, predicted: passes.Prediction, grads: RecordedGradients
) -> tuple[Any, Any]:
    """(loss, gradients of outputs and logits) of the model's own `compute_loss`."""
    graph = own_loss.own_loss(model, batch, predicted, True)
    loss, residuals = graph.forward(batch, predicted)
    found = graph.backward(residuals, grads)
    if any(g is None or float(g) != 1 for g in found.penalties):
        raise NotImplementedError(
            f"The `compute_loss` of {type(model).__name__} weights the activity "
            "penalties in `self.losses`; `trace` does not show such models."
        )
    return loss, (found.outputs, found.logits)


def _penalized(found: _Passes, variables: list[Any]) -> list[Any]:
    if found.has_own_loss:  # it has looked at `self.losses` itself
        return []
    return [v for v in variables if v.regularizer is not None]


# --- The update, and leaving all as it was --------------------------------------------


def _updated(
    optimizer: Any, variables: list[Any], grads: RecordedGradients
) -> dict[int, np.ndarray]:
    """id of a variable -> its value after the step, made on copies of everything."""
    if not variables:
        return {}
    memo: dict[int, Any] = {}
    twin = copy.deepcopy(optimizer, memo)
    copies = [copy.deepcopy(v, memo) for v in variables]
    places = optimizer._indices.items()
    twin._indices = {id(memo[key]): place for key, place in places if key in memo}
    # `get`: rows of an embedding stay rows, whose squares Adam sums as Keras does.
    twin.apply([grads.get(v) for v in variables], copies)
    pairs = zip(variables, copies, strict=True)
    return {id(v): changed.value for v, changed in pairs}


@contextmanager
def _restored(model: Any) -> Iterator[None]:
    """Whatever a training step changes is afterwards as it was."""
    layers = [model, *model._all_sublayers()]
    states = [layer.states for layer in layers if isinstance(layer, RNN)]
    metrics = [v for metric in model.metrics for v in metric.variables]
    variables = [*model.variables, *tree.flatten(states), *metrics]
    generator = seed_generator._global_generator
    if generator is not None:
        variables.append(generator.state)
    before = [(v, v.numpy()) for v in variables if v is not None]
    drawn = seed_generator.python_random.getstate()
    try:
        yield
    finally:
        for variable, value in before:
            variable.assign(value)
        seed_generator._global_generator = generator
        seed_generator.python_random.setstate(drawn)
