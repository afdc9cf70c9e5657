"""Hypothesis strategies for whole models.

Everything fits by construction: each step is chosen among those that the shape of its
input allows.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from minikeras import layers
from parity_tests.architectures import (
    MERGES,
    VOCABULARY,
    Architecture,
    Head,
    Shape,
    Step,
)

# Dividing by a tiny standard deviation would blow up rounding: a larger epsilon.
_NORM = {"epsilon": 0.1}
_OPTIMIZERS = (
    ("SGD", {"learning_rate": 0.05, "momentum": 0.9}),
    ("Adam", {"learning_rate": 0.01}),
    ("RMSprop", {"learning_rate": 0.01}),
    ("AdamW", {"learning_rate": 0.01, "weight_decay": 0.1}),
)


def _optimizers(steps: list[Step]) -> st.SearchStrategy[tuple[str, dict[str, Any]]]:
    """SGD, or where nothing forbids it one that divides by the size of gradients.

    The gradient of a bias before a batch normalization is zero in mathematics and
    rounding in practice; Adam and RMSprop would scale that up to a whole step.
    """
    cancels = any("BatchNormalization" in repr(step) for step in steps)
    return st.sampled_from(_OPTIMIZERS[:1] if cancels else _OPTIMIZERS)


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
                ("BatchNormalization", _NORM),
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
        ("LayerNormalization", _NORM),
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
                ("BatchNormalization", _NORM),
                ("LayerNormalization", _NORM),
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
            draw(st.sampled_from(sorted(MERGES))),
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
        optimizer=draw(_optimizers(draft.steps)),
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
        optimizer=draw(_optimizers(draft.steps)),
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
