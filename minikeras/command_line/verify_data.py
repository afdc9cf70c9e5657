"""Inputs and targets that a model accepts: drawn from a seed, or from a file."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from minikeras import tree
from minikeras.layers.composite import trace
from minikeras.layers.layer import Shapes
from minikeras.naming import to_snake_case
from minikeras.symbolic import KerasTensor

# Sizes tried for axes that the model leaves open.
_OPEN_SIZES = (8, 16, 32, 64, 128, 256)
# What a model may compute for one batch. Training takes some three times as much.
MOST_BYTES = 4 << 30


class Signature(NamedTuple):
    """What a model takes."""

    structure: Any  # symbolic tensors, nested as the model's inputs
    flat: list[KerasTensor]
    graph: Any


def signature(model: Any) -> Signature:
    """The inputs of a model of any kind.

    Raises:
        ValueError: if it was never built, so that nobody knows them.
    """
    functional = getattr(model, "_functional", None) or model
    if hasattr(functional, "_graph"):
        structure = functional._input_structure
        return Signature(structure, tree.flatten(structure), functional._graph)
    shapes = (model.get_build_config() or {}).get("input_shape")
    if shapes is None:
        raise ValueError(
            f"Model '{model.name}' does not say which inputs it takes: it was saved "
            "before it was built. Call it on data, and save it again."
        )
    structure = tree.map_structure(
        lambda s: KerasTensor(s.shape, model.compute_dtype), Shapes.wrap(shapes)
    )
    traced = trace(model, (structure,), {}, False)
    return Signature(structure, traced.inputs, traced.graph)


def random_inputs(
    given: Signature, examples: int, size: int, rng: np.random.Generator
) -> Any:
    """Normal numbers; for an Embedding, ids that it knows; other integers 0 or 1.

    Args:
        given: of the model.
        examples: how many, where the model does not fix it.
        size: of axes that the model leaves open.
        rng: makes them.
    """
    arrays = []
    for tensor in given.flat:
        shape = [size if n is None else n for n in tensor.shape]
        if shape and tensor.shape[0] is None:
            shape[0] = examples
        known = ids_of(given.graph, {id(tensor)})
        if known < math.inf:
            drawn = rng.integers(0, max(int(known), 1), shape)
        elif "float" in tensor.dtype:
            drawn = rng.standard_normal(shape)
        else:
            drawn = rng.integers(0, 2, shape)
        arrays.append(np.asarray(drawn, tensor.dtype))
    return tree.pack_sequence_as(given.structure, arrays)


def ids_of(graph: Any, tensors: set[int]) -> float:
    """The smallest `input_dim` of the Embeddings that these tensors (ids) reach without
    passing through weights; infinity if there is none."""
    reached, smallest = set(tensors), math.inf
    for step in graph.steps:
        inputs = [id(t) for t in step.node.input_tensors]
        if not reached.intersection(inputs):
            continue
        operation = step.operation
        inner = getattr(operation, "_functional", None) or operation
        if hasattr(inner, "_graph"):
            pairs = zip(inputs, inner._graph.inputs, strict=False)
            inside = {id(t) for outer, t in pairs if outer in reached}
            smallest = min(smallest, ids_of(inner._graph, inside))
        elif type(operation).__name__ == "Embedding":
            smallest = min(smallest, operation.input_dim)
        elif not step.variables:
            reached.update(step.output_ids)
    return smallest


def check_sizes(graph: Any, examples: int, size: int) -> int:
    """The bytes of all that the model computes for a batch.

    A file of a few bytes may say that its input is an image of 100,000 x 100,000.

    Raises:
        ValueError: if that is more than `MOST_BYTES`, with the layer.
    """
    total = 0
    tensors = [(f"input '{t.name}'", t) for t in graph.inputs]
    for step in graph.steps:
        name = f"layer '{step.operation.name}'"
        tensors += [(name, t) for t in step.node.outputs]
        inner = getattr(step.operation, "_functional", None) or step.operation
        if hasattr(inner, "_graph"):
            total += check_sizes(inner._graph, examples, size)
    for name, tensor in tensors:
        shape = [size if n is None else n for n in tensor.shape]
        if shape and tensor.shape[0] is None:
            shape[0] = examples
        total += math.prod(shape) * 8
        if total > MOST_BYTES:
            raise ValueError(
                f"Refused to run the model: {name} has shape {tensor.shape}, which "
                f"takes the arrays of {examples} examples to {total:,} bytes, more "
                f"than {MOST_BYTES:,}. Try a smaller --batch."
            )
    return total


def open_size(model: Any, given: Signature) -> int:
    """A size for open axes at which the model runs.

    Raises:
        ValueError: if it runs at none of those tried, with what the model said.
    """
    check_sizes(given.graph, 1, 1)
    if all(None not in t.shape[1:] for t in given.flat):
        return 1
    problem: Exception | None = None
    for size in _OPEN_SIZES:
        check_sizes(given.graph, 1, size)
        try:
            model(random_inputs(given, 1, size, np.random.default_rng(0)))
            return size
        except (ValueError, IndexError) as error:
            problem = error
    raise ValueError(
        f"Model '{model.name}' has inputs of open sizes and runs at none of "
        f"{_OPEN_SIZES}. Give inputs with --data FILE.npz. It said: {problem}"
    )


def random_targets(model: Any, y_pred: Any, rng: np.random.Generator) -> Any:
    """Targets of the kind that each loss takes: class numbers, one-hot rows, ..."""
    loss = model.loss
    if isinstance(loss, dict):
        if isinstance(y_pred, dict):
            outputs = y_pred
        else:
            outputs = dict(zip(model.output_names, tree.flatten(y_pred), strict=True))
        return {
            name: _target(loss.get(name), np.asarray(y), rng)
            for name, y in outputs.items()
        }
    flat = tree.flatten(y_pred)
    losses = tree.flatten(loss) if tree.is_nested(loss) else [loss] * len(flat)
    drawn = [
        _target(losses[min(i, len(losses) - 1)], np.asarray(y), rng)
        for i, y in enumerate(flat)
    ]
    return tree.pack_sequence_as(y_pred, drawn)


def _target(loss: Any, y_pred: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    name = _name_of(loss)
    shape, dtype = y_pred.shape, y_pred.dtype
    classes = shape[-1] if shape else 1
    if "sparse" in name:
        return rng.integers(0, classes, shape[:-1])
    if "binary" in name or (name in ("crossentropy", "ce") and classes == 1):
        return rng.integers(0, 2, shape).astype(dtype)
    if "crossentropy" in name or name in ("categorical_hinge", "ce", "kl_divergence"):
        return np.eye(classes, dtype=dtype)[rng.integers(0, classes, shape[:-1])]
    if "hinge" in name:
        return (2 * rng.integers(0, 2, shape) - 1).astype(dtype)
    if name in ("poisson", "msle", "mape") or "logarithmic" in name or "perc" in name:
        return rng.uniform(0.5, 2.0, shape).astype(dtype)
    return rng.standard_normal(shape).astype(dtype)


def _name_of(loss: Any) -> str:
    if isinstance(loss, str):
        return to_snake_case(loss)
    name = getattr(loss, "__name__", None) or type(loss).__name__
    return to_snake_case(name)


# --- From a file ----------------------------------------------------------------------


class Data(NamedTuple):
    """Arrays of a `.npz` file, in the structures of the model's inputs and outputs."""

    x: Any
    y: Any  # None if the file has no targets
    examples: int


def read_data(path: str, given: Signature, output_names: list[str]) -> Data:
    """Reads `x` and `y`; for several inputs or outputs `x0`, `x1`, ... or their names.

    Raises:
        ValueError: if arrays are missing, are not numbers, or differ in length.
    """
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    names = [t._keras_history.operation.name for t in given.flat] if given.graph else []
    flat_x = _take(arrays, "x", names, len(given.flat), path)
    outputs = len(output_names) or 1
    has_y = {"y", "y0", *output_names} & set(arrays)
    flat_y = _take(arrays, "y", output_names, outputs, path) if has_y else []
    for array in [*flat_x, *flat_y]:
        if array.dtype.kind not in "biuf" or not array.ndim:
            raise ValueError(f"'{path}': expected arrays of numbers, one per example.")
    lengths = {len(array) for array in [*flat_x, *flat_y]}
    if len(lengths) != 1 or not max(lengths):
        raise ValueError(
            f"'{path}': all arrays must have the same number of examples, and at least "
            f"one. Received: {sorted(lengths)}"
        )
    y = None
    if flat_y:
        y = flat_y[0] if outputs == 1 else dict(zip(output_names, flat_y, strict=True))
    return Data(tree.pack_sequence_as(given.structure, flat_x), y, lengths.pop())


def _take(
    arrays: dict[str, np.ndarray], key: str, names: list[str], count: int, path: str
) -> list[np.ndarray]:
    numbered = [f"{key}{i}" for i in range(count)]
    for wanted in ([key] if count == 1 else [], numbered, names[:count]):
        if len(wanted) == count and set(wanted) <= set(arrays):
            return [arrays[name] for name in wanted]
    raise ValueError(
        f"'{path}' needs the arrays {[key] if count == 1 else numbered}"
        + (f" or {names}" if names else "")
        + f". Received: {sorted(arrays)}"
    )


def batches(data: Data, size: int) -> Iterator[tuple[Any, Any]]:
    """(x, y) over and over, `size` examples each."""
    size = min(size, data.examples)
    start = 0
    while True:
        rows = np.arange(start, start + size) % data.examples
        yield tuple(
            None if part is None else tree.map_structure(lambda a, r=rows: a[r], part)
            for part in (data.x, data.y)
        )
        start = (start + size) % data.examples
