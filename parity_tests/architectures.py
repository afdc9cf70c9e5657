"""Whole models, drawn: chains, branches, shared and nested layers, several outputs.

An `Architecture` is a recipe. Called with `minikeras` or with `keras` it makes the same
compiled model. Everything fits by construction: each step is chosen among those that
the shape of its input allows.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

from minikeras import layers, tree

Shape = tuple[int, ...]
VOCABULARY = 5
_OPTIMIZERS = (
    ("SGD", {"learning_rate": 0.05, "momentum": 0.9}),
    ("Adam", {"learning_rate": 0.01}),
    ("RMSprop", {"learning_rate": 0.01}),
    ("AdamW", {"learning_rate": 0.01, "weight_decay": 0.1}),
)
_MERGES: dict[str, Callable[[Any, Any], Any]] = {
    "add": lambda a, b: a + b,
    "subtract": lambda a, b: a - b,
    "multiply": lambda a, b: a * b,
}


@dataclass(frozen=True)
class Step:
    """One call: what is called, with which config, on which earlier tensors.

    `name` is a layer class, `"nested"` (config: a list of `(name, config)`), `"again"`
    (config: the number of the step whose layer is called again) or an operator.
    """

    name: str
    config: Any
    inputs: tuple[int, ...]


@dataclass(frozen=True)
class Head:
    """An output: the tensor it is made of, units, activation and loss."""

    tensor: int
    units: int
    activation: str | None
    loss: str


@dataclass(frozen=True)
class Architecture:
    """A model as a list of steps. Tensors are numbered: inputs, then step results."""

    inputs: tuple[Shape, ...]
    ids: bool  # whether the inputs are integers
    steps: tuple[Step, ...]
    heads: tuple[Head, ...]
    optimizer: tuple[str, dict[str, Any]]
    sequential: bool = False

    def __call__(self, k: Any) -> Any:
        """The compiled model in library `k`."""
        model = self._chain(k) if self.sequential else self._graph(k)
        name, config = self.optimizer
        one = len(self.heads) == 1
        model.compile(
            optimizer=getattr(k.optimizers, name)(**config),
            loss=self.heads[0].loss if one else [head.loss for head in self.heads],
        )
        return model

    def _chain(self, k: Any) -> Any:
        head = self.heads[0]
        stack = [k.layers.Input(self.inputs[0], dtype=self._dtype)]
        stack += [_make(k, step.name, step.config) for step in self.steps]
        stack.append(k.layers.Dense(head.units, activation=head.activation))
        return k.Sequential(stack)

    def _graph(self, k: Any) -> Any:
        tensors = [k.layers.Input(shape, dtype=self._dtype) for shape in self.inputs]
        inputs, made = list(tensors), []
        for step in self.steps:
            arguments = [tensors[i] for i in step.inputs]
            if step.name in _MERGES:
                made.append(None)
                tensors.append(_MERGES[step.name](*arguments))
                continue
            again = step.name == "again"
            layer = made[step.config] if again else _make(k, step.name, step.config)
            made.append(layer)
            tensors.append(layer(*arguments))
        outputs = [
            k.layers.Dense(head.units, activation=head.activation)(tensors[head.tensor])
            for head in self.heads
        ]
        one = outputs[0] if len(outputs) == 1 else outputs
        return k.Model(inputs[0] if len(inputs) == 1 else inputs, one)

    @property
    def _dtype(self) -> str | None:
        return "int32" if self.ids else None

    def data(self, examples: int, seed: int, dtype: str) -> tuple[Any, Any]:
        """(x, y) that fit the model."""
        rng = np.random.default_rng(seed)
        xs = [self._x(rng, (examples, *shape), dtype) for shape in self.inputs]
        ys = [_targets(rng, head, examples, dtype) for head in self.heads]
        return (xs[0] if len(xs) == 1 else xs), (ys[0] if len(ys) == 1 else ys)

    def _x(self, rng: np.random.Generator, shape: Shape, dtype: str) -> np.ndarray:
        if self.ids:
            return rng.integers(0, VOCABULARY, shape).astype("int32")
        return rng.standard_normal(shape).astype(dtype)


def _make(k: Any, name: str, config: Any) -> Any:
    if name == "nested":
        return k.Sequential([_make(k, inner, options) for inner, options in config])
    return getattr(k.layers, name)(**config)


def _targets(
    rng: np.random.Generator, head: Head, examples: int, dtype: str
) -> np.ndarray:
    if head.loss == "sparse_categorical_crossentropy":
        return rng.integers(0, head.units, examples)
    if head.loss == "categorical_crossentropy":
        return np.eye(head.units, dtype=dtype)[rng.integers(0, head.units, examples)]
    if head.loss == "binary_crossentropy":
        return rng.integers(0, 2, (examples, head.units)).astype(dtype)
    return rng.standard_normal((examples, head.units)).astype(dtype)


# --- Drawing --------------------------------------------------------------------------


@st.composite
def _images(draw: st.DrawFn, shape: Shape) -> tuple[str, dict[str, Any]]:
    """A layer for (H, W, C)."""
    padding = "valid" if min(shape[:2]) >= 3 and draw(st.booleans()) else "same"
    filters = draw(st.integers(1, 3))
    window = {"padding": padding, "strides": draw(st.integers(1, 2))}
    convolution = {"filters": filters, "kernel_size": draw(st.integers(1, 3)), **window}
    return draw(
        st.sampled_from(
            [
                ("Conv2D", {**convolution, "activation": "relu"}),
                ("Conv2D", {**convolution, "use_bias": False}),
                ("MaxPooling2D", {"pool_size": 2, **window}),
                ("AveragePooling2D", {"pool_size": 2, **window}),
                ("BatchNormalization", {}),
                ("Dropout", {"rate": 0.3}),
                ("LeakyReLU", {}),
                ("GlobalAveragePooling2D", {}),
                ("GlobalMaxPooling2D", {}),
                ("Flatten", {}),
            ]
        )
    )


@st.composite
def _sequences(
    draw: st.DrawFn, shape: Shape, masked: bool
) -> tuple[str, dict[str, Any]]:
    """A layer for (T, D); with a mask under way only those that support it."""
    units = draw(st.integers(1, 4))
    choices: list[tuple[str, dict[str, Any]]] = [
        ("LSTM", {"units": units}),
        ("LSTM", {"units": units, "return_sequences": True, "dropout": 0.2}),
        ("LSTM", {"units": units, "return_sequences": True, "go_backwards": True}),
        ("Dense", {"units": units, "activation": "tanh"}),
        ("LayerNormalization", {}),
        ("Dropout", {"rate": 0.3}),
    ]
    if not masked:
        choices += [
            ("Conv1D", {"filters": units, "kernel_size": 2, "padding": "same"}),
            ("MaxPooling1D", {"pool_size": 2, "padding": "same"}),
            ("GlobalAveragePooling1D", {}),
            ("Permute", {"dims": (2, 1)}),
            ("Flatten", {}),
        ]
    return draw(st.sampled_from(choices))


@st.composite
def _vectors(draw: st.DrawFn, shape: Shape) -> tuple[str, dict[str, Any]]:
    """A layer for (D,)."""
    units = draw(st.integers(1, 5))
    activation = draw(st.sampled_from(["relu", "tanh", "sigmoid", "gelu", None]))
    dense = {"units": units, "activation": activation}
    return draw(
        st.sampled_from(
            [
                ("Dense", dense),
                ("Dense", {**dense, "kernel_regularizer": "l2"}),
                ("Dense", {**dense, "kernel_constraint": "max_norm"}),
                ("nested", (("Dense", dense), ("Dropout", {"rate": 0.2}))),
                ("BatchNormalization", {}),
                ("LayerNormalization", {}),
                ("Dropout", {"rate": 0.3}),
                ("Activation", {"activation": "silu"}),
                ("RepeatVector", {"n": 2}),
                ("Reshape", {"target_shape": (shape[0], 1)}),
            ]
        )
    )


def _shape_after(name: str, config: Any, shape: Shape) -> Shape:
    if name == "nested":
        for inner, options in config:
            shape = _shape_after(inner, options, shape)
        return shape
    state = random.getstate()  # a layer draws a seed when it is made
    try:
        layer = getattr(layers, name)(**config)
    finally:
        random.setstate(state)
    return tuple(layer.compute_output_shape((None, *shape))[1:])


@dataclass
class _Draft:
    """A model being drawn: the shape of every tensor, and whether it has a mask."""

    shapes: list[Shape]
    masked: list[bool]
    steps: list[Step]

    def add(self, step: Step, shape: Shape, masked: bool) -> int:
        self.steps.append(step)
        self.shapes.append(shape)
        self.masked.append(masked)
        return len(self.shapes) - 1

    def grow(self, draw: st.DrawFn, tensor: int) -> int:
        """Adds one layer after a tensor."""
        shape, masked = self.shapes[tensor], self.masked[tensor]
        choose = {3: _images(shape), 2: _sequences(shape, masked), 1: _vectors(shape)}
        name, config = draw(choose[len(shape)])
        after = _shape_after(name, config, shape)
        return self.add(Step(name, config, (tensor,)), after, masked and len(after) > 1)

    def flatten(self, draw: st.DrawFn, tensor: int) -> int:
        """Adds what makes a vector of it."""
        shape = self.shapes[tensor]
        if len(shape) == 1:
            return tensor
        choices = ["GlobalAveragePooling2D", "Flatten"]
        if len(shape) == 2:
            choices = ["LSTM"] if self.masked[tensor] else ["LSTM", "Flatten"]
        name = draw(st.sampled_from(choices))
        config = {"units": 3} if name == "LSTM" else {}
        after = _shape_after(name, config, shape)
        return self.add(Step(name, config, (tensor,)), after, False)

    def call_again(self, draw: st.DrawFn, tensor: int) -> int:
        """Calls an earlier layer once more, if one fits this shape."""
        first = len(self.shapes) - len(self.steps)
        fitting = [
            i
            for i, step in enumerate(self.steps)
            if step.name == "Dense"
            and self.shapes[step.inputs[0]] == self.shapes[tensor]
        ]
        if not fitting:
            return self.grow(draw, tensor)
        i = draw(st.sampled_from(fitting))
        after = self.shapes[first + i]
        return self.add(Step("again", i, (tensor,)), after, self.masked[tensor])

    def merge(self, draw: st.DrawFn, tensor: int) -> int:
        """Combines a tensor with another of its shape, if there is one."""
        others = [
            i
            for i, shape in enumerate(self.shapes)
            if shape == self.shapes[tensor] and not self.masked[i] and i != tensor
        ]
        if not others or self.masked[tensor]:
            return self.grow(draw, tensor)
        step = Step(
            draw(st.sampled_from(sorted(_MERGES))),
            None,
            (tensor, draw(st.sampled_from(others))),
        )
        return self.add(step, self.shapes[tensor], False)


@st.composite
def _heads(draw: st.DrawFn, tensor: int) -> Head:
    units = draw(st.integers(2, 4))
    return draw(
        st.sampled_from(
            [
                Head(tensor, units, None, "mse"),
                Head(tensor, units, "softmax", "categorical_crossentropy"),
                Head(tensor, units, "softmax", "sparse_categorical_crossentropy"),
                Head(tensor, 1, "sigmoid", "binary_crossentropy"),
                Head(tensor, units, None, "huber"),
            ]
        )
    )


@st.composite
def _beginnings(draw: st.DrawFn, count: int) -> tuple[bool, _Draft]:
    """Inputs of one kind: images, sequences, vectors, or ids with an embedding."""
    kind = draw(st.sampled_from(["vector", "sequence", "image", "ids"]))
    size = st.integers(1, 5)
    if kind == "ids":
        time = draw(st.integers(2, 4))
        draft = _Draft([(time,)] * count, [False] * count, [])
        masked = draw(st.booleans())
        config = {
            "input_dim": VOCABULARY,
            "output_dim": draw(st.integers(1, 3)),
            "mask_zero": masked,
        }
        after = (time, config["output_dim"])
        for i in range(count):
            draft.add(Step("Embedding", config, (i,)), after, masked)
        return True, draft
    rank = {"vector": 1, "sequence": 2, "image": 3}[kind]
    shape = tuple(draw(size) + (rank == 3) for _ in range(rank))
    return False, _Draft([shape] * count, [False] * count, [])


@st.composite
def sequentials(draw: st.DrawFn) -> Architecture:
    """A chain of one to four layers and a head."""
    ids, draft = draw(_beginnings(1))
    tensor = len(draft.shapes) - 1
    for _ in range(draw(st.integers(1, 4))):
        tensor = draft.grow(draw, tensor)
    head = draw(_heads(draft.flatten(draw, tensor)))
    return Architecture(
        inputs=(draft.shapes[0],),
        ids=ids,
        steps=tuple(draft.steps),
        heads=(head,),
        optimizer=draw(st.sampled_from(_OPTIMIZERS)),
        sequential=True,
    )


@st.composite
def functionals(draw: st.DrawFn) -> Architecture:
    """A graph: branches that meet again, layers called twice, one or two outputs."""
    count = draw(st.integers(1, 2))
    ids, draft = draw(_beginnings(count))
    ends = list(range(len(draft.shapes) - count, len(draft.shapes)))
    for _ in range(draw(st.integers(2, 6))):
        tensor = draw(st.sampled_from(ends))
        action = draw(st.sampled_from([draft.grow, draft.merge, draft.call_again]))
        new = action(draw, tensor)
        if draw(st.booleans()):  # else the tensor stays open: a branch
            ends.remove(tensor)
        ends.append(new)
    used = draw(st.integers(1, min(2, len(ends))))
    heads = tuple(draw(_heads(draft.flatten(draw, t))) for t in ends[-used:])
    heads = _all_inputs(draft, heads, count)
    return Architecture(
        inputs=tuple(draft.shapes[:count]),
        ids=ids,
        steps=tuple(draft.steps),
        heads=heads,
        optimizer=draw(st.sampled_from(_OPTIMIZERS)),
    )


def _reached(draft: _Draft, heads: tuple[Head, ...], count: int) -> set[int]:
    """The inputs that the heads depend on."""
    stack, seen = [head.tensor for head in heads], set()
    while stack:
        tensor = stack.pop()
        if tensor not in seen:
            seen.add(tensor)
            if tensor >= count:
                stack.extend(draft.steps[tensor - count].inputs)
    return {tensor for tensor in seen if tensor < count}


def _all_inputs(draft: _Draft, heads: tuple[Head, ...], count: int) -> tuple[Head, ...]:
    """One more head for each input that no head depends on: it must lead somewhere."""
    found = list(heads)
    for i in sorted(set(range(count)) - _reached(draft, heads, count)):
        tensor = i + count if draft.steps and draft.steps[0].name == "Embedding" else i
        shape, masked = draft.shapes[tensor], draft.masked[tensor]
        if len(shape) > 1:
            name = "LSTM" if masked else "Flatten"
            config = {"units": 2} if masked else {}
            after = _shape_after(name, config, shape)
            tensor = draft.add(Step(name, config, (tensor,)), after, False)
        found.append(Head(tensor, 2, None, "mse"))
    return tuple(found)


def architectures() -> st.SearchStrategy[Architecture]:
    """Both kinds."""
    return st.one_of(sequentials(), functionals())


def layers_in(architecture: Architecture) -> set[str]:
    """The layer classes in it, nested ones too; for checks of the drawing itself."""
    names = set()
    for step in architecture.steps:
        inner = [n for n, _ in step.config] if step.name == "nested" else []
        names.update([step.name, *inner])
    return names | {head.loss for head in tree.flatten(list(architecture.heads))}
