"""`python -m minikeras verify FILE`: this very model against Keras, layer by layer.

Both libraries run the model on the same inputs. Compared are what every layer returns
(in prediction and in training), the loss, the gradient of every weight, and weights and
optimizer state after each of some training steps. Each step starts from equal states,
so a difference is where it arises and not somewhere downstream.

By default minikeras reads the file, checked as always, and hands the model to Keras:
safe for any file, and it works for old files that Keras 3 reads differently or not at
all. What this cannot find is a slip in the reading itself, which would be on both
sides. With `--keras-reads-file` Keras opens the file by itself, and configuration and
weights are compared too; do that for files that you trust.
"""

from __future__ import annotations

import argparse
import json
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from minikeras import config
from minikeras.command_line import verify_data
from minikeras.command_line.diff import compare_values
from minikeras.command_line.summary import load
from minikeras.command_line.verify_report import print_report, report
from minikeras.command_line.verify_run import Verification, same_seeds
from minikeras.demo.parity import without_stderr
from minikeras.interop import to_keras
from minikeras.interop.frameworks import import_keras
from minikeras.interop.state import copy_optimizer
from minikeras.saving.errors import shorten, visible


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of this command."""
    parser.description = (
        "Runs the model of FILE in minikeras and in Keras and compares every layer, "
        "every gradient and some training steps. Needs Keras with TensorFlow. Status: "
        "0 the same, 1 they differ, 2 it cannot be verified."
    )
    parser.add_argument("file", help=".keras, .h5, or .json from to_json")
    parser.add_argument("--steps", type=int, default=3, help="training steps (3)")
    parser.add_argument("--batch", type=int, default=4, help="examples in a step (4)")
    parser.add_argument(
        "--data",
        metavar="FILE.npz",
        help="inputs x and targets y, instead of random ones",
    )
    parser.add_argument("--seed", type=int, default=0, help="of inputs and targets (0)")
    parser.add_argument(
        "--tolerance",
        type=float,
        help="largest difference that is none, relative to the largest number of an "
        "array (1e-4 in float32, 1e-10 in float64)",
    )
    parser.add_argument(
        "--keras-reads-file",
        action="store_true",
        help="let Keras open the file too, and compare what it reads; only for files "
        "that you trust",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(options: argparse.Namespace) -> int:
    """Prints; returns 0 if the two are the same, 1 if they differ."""
    if options.steps < 0 or options.batch < 1:
        raise ValueError("--steps must not be negative, and --batch at least 1.")
    found = verify(options)
    if options.json:
        print(json.dumps(found, indent=2))
    else:
        print_report(visible(found))
    return 0 if found["same"] else 1


def verify(options: argparse.Namespace) -> dict[str, Any]:
    """The whole comparison as plain data.

    Raises:
        ImportError: without Keras.
        ValueError: if the file cannot be read, or the model not be run.
    """
    ours = load(options.file, compile=True)
    keras = _import_keras()
    notes: list[str] = []
    with _floatx(keras, ours) as changed:
        if changed:  # the learning rate has the dtype of floatx, too
            ours = load(options.file, compile=True)
        if options.file.endswith(".json"):
            notes.append("The file holds no weights: they are random.")
        given = verify_data.signature(ours)
        _compile(ours, given, notes)
        rng = np.random.default_rng(options.seed)
        batches = _batches(ours, given, options, rng, notes)
        read = None
        if options.keras_reads_file:
            theirs, read = _read_by_keras(keras, options.file, ours, notes)
        else:
            theirs = to_keras(ours)
        theirs.run_eagerly = ours.run_eagerly = True
        verification = Verification(keras, ours, theirs, options.tolerance)
        if options.keras_reads_file:
            verification.weights()
            same_seeds(verification.pairs)
        _run(verification, batches, options, notes)
        return report(verification, options, notes, read)


def _import_keras() -> Any:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")  # GPUs round in their own way
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    with without_stderr():
        keras = import_keras()
    backend = keras.backend.backend()
    if backend != "tensorflow":
        raise ValueError(
            "verify compares with Keras on TensorFlow: on other backends Keras draws "
            "other random numbers, and computes float64 in float32. Received: backend "
            f"'{backend}'. Set KERAS_BACKEND=tensorflow."
        )
    return keras


@contextmanager
def _floatx(keras: Any, model: Any) -> Iterator[bool]:
    """Both libraries compute losses and cast data in the dtype of the weights."""
    before = config.floatx(), keras.config.floatx()
    dtypes = {v.dtype for v in model.weights if "float" in v.dtype}
    wanted = dtypes.pop() if len(dtypes) == 1 else before[0]
    try:
        config.set_floatx(wanted)
        keras.config.set_floatx(wanted)
        yield wanted != before[0]
    finally:
        config.set_floatx(before[0])
        keras.config.set_floatx(before[1])


def _compile(model: Any, given: verify_data.Signature, notes: list[str]) -> None:
    """Where the file does not say how the model is trained: a loss that fits."""
    if model.compiled and model.loss is not None:
        return
    losses = {"softmax": "categorical_crossentropy", "sigmoid": "binary_crossentropy"}
    names = [_final_activation(t) for t in given.graph.outputs]
    chosen = [losses.get(name, "mse") for name in names]
    optimizer = model.optimizer if model.compiled else _sgd()
    model.compile(optimizer, chosen[0] if len(chosen) == 1 else chosen)
    notes.append(
        "The file does not say how to train it. Taken instead: "
        f"{type(model.optimizer).__name__}, loss {', '.join(chosen)}."
    )


def _sgd() -> Any:
    from minikeras.optimizers import SGD

    return SGD(0.01, momentum=0.9)


def _final_activation(tensor: Any) -> str:
    operation, _, index = tensor._keras_history
    while hasattr(operation, "outputs") and hasattr(operation, "layers"):
        operation, _, index = operation.outputs[index]._keras_history
    activation = getattr(operation, "activation", None) or operation
    return getattr(activation, "__name__", type(activation).__name__).lower()


def _batches(
    model: Any,
    given: verify_data.Signature,
    options: argparse.Namespace,
    rng: np.random.Generator,
    notes: list[str],
) -> Iterator[tuple[Any, Any]]:
    if options.data:
        names = _output_names(model)
        data = verify_data.read_data(options.data, given, names)
        if data.y is None:
            notes.append("The data has no targets: they are random.")
        verify_data.check_sizes(given.graph, min(options.batch, data.examples), 1)
        for x, y in verify_data.batches(data, options.batch):
            yield x, y if y is not None else _targets(model, x, rng)
    size = verify_data.open_size(model, given)
    verify_data.check_sizes(given.graph, options.batch, size)
    while True:
        x = verify_data.random_inputs(given, options.batch, size, rng)
        yield x, _targets(model, x, rng)


def _output_names(model: Any) -> list[str]:
    names = model._output_names_or_none()
    return list(names) if names and len(names) > 1 else []


def _targets(model: Any, x: Any, rng: np.random.Generator) -> Any:
    states = [v.numpy() for v in model.variables]
    y_pred = model(x, training=False)
    for variable, state in zip(model.variables, states, strict=True):
        variable.assign(state)
    return verify_data.random_targets(model, y_pred, rng)


def _read_by_keras(
    keras: Any, file: str, ours: Any, notes: list[str]
) -> tuple[Any, list[dict[str, Any]]]:
    """Keras's model, and where the two read the configuration differently."""
    # NB: Keras cannot train on what it reads from a legacy file: its optimizer then
    # belongs to other variables than the model has. So it gets the compile state here.
    is_legacy = not file.endswith(".keras")
    try:
        theirs = keras.models.load_model(file, compile=not is_legacy)
    except Exception as error:
        reason = str(error).rpartition("Exception encountered:")[2].strip()
        raise ValueError(
            f"Keras {keras.__version__} cannot read '{file}': {shorten(reason)}\nLeave "
            "out --keras-reads-file to verify what minikeras reads."
        ) from error
    described = [json.loads(m.to_json()) for m in (ours, theirs)]
    compiled = [d.pop("compile_config", None) or {} for d in described]
    found = compare_values(*(_without_defaults(d["config"]) for d in described))
    if theirs.compiled and theirs.loss is not None:
        found += compare_values(*(_without_defaults(c) for c in compiled))
        return theirs, found
    notes.append("Keras is given the compile state that minikeras has.")
    theirs.compile_from_config(ours.get_compile_config())
    copy_optimizer(ours.optimizer, theirs.optimizer)
    return theirs, found


# How to run is no difference, nor what one of the two writes and the other leaves out.
_NO_DIFFERENCE = ("jit_compile", "run_eagerly", "steps_per_execution")


def _without_defaults(value: Any) -> Any:
    """Plain values without such keys."""
    if isinstance(value, list):
        return [_without_defaults(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: _without_defaults(item)
        for key, item in value.items()
        if item is not None
        and key not in _NO_DIFFERENCE
        and not (key == "training" and item is False)
    }


def _run(
    verification: Verification,
    batches: Iterator[tuple[Any, Any]],
    options: argparse.Namespace,
    notes: list[str],
) -> None:
    """The comparisons, in the order in which a difference would spread."""
    ours = verification.ours
    try:
        x, y = next(batches)
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")  # of masks and missing gradients: both warn
            verification.forward(x, training=False)
            if not ours.trainable_variables:
                notes.append("Nothing in the model is trained: no training steps.")
                return
            verification.forward(x, training=True)
            for _ in range(options.steps):
                verification.step(x, y)
                x, y = next(batches)
    except ValueError:
        raise
    except Exception as error:  # TensorFlow has kinds of its own
        raise ValueError(
            f"The model could not be run: {type(error).__name__}: {error}. If random "
            "inputs do not suit it, give some with --data FILE.npz."
        ) from error
