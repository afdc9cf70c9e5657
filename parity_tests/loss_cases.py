"""The losses under test, and data of every kind they take."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from parity_tests import strategies

DTYPES = strategies.DTYPES
INTEGER_LABELS = ("labels", "label_logits", "certain")  # kinds of data


# (function, class, kind of data, parameters)
CASES = [
    ("mean_squared_error", "MeanSquaredError", "numbers", {}),
    ("mean_absolute_error", "MeanAbsoluteError", "numbers", {}),
    ("mean_absolute_percentage_error", "MeanAbsolutePercentageError", "numbers", {}),
    ("mean_squared_logarithmic_error", "MeanSquaredLogarithmicError", "numbers", {}),
    ("huber", "Huber", "numbers", {}),
    ("huber", "Huber", "numbers", {"delta": 0.1}),
    ("log_cosh", "LogCosh", "apart", {}),
    ("cosine_similarity", "CosineSimilarity", "numbers", {}),
    ("cosine_similarity", "CosineSimilarity", "numbers", {"axis": 1}),
    ("hinge", "Hinge", "signs", {}),
    ("squared_hinge", "SquaredHinge", "signs", {}),
    ("categorical_hinge", "CategoricalHinge", "classes", {}),
    ("kl_divergence", "KLDivergence", "chances", {}),
    ("poisson", "Poisson", "counts", {}),
    ("binary_crossentropy", "BinaryCrossentropy", "chances", {}),
    (
        "binary_crossentropy",
        "BinaryCrossentropy",
        "chances",
        {"label_smoothing": 0.1, "axis": 1},
    ),
    ("binary_crossentropy", "BinaryCrossentropy", "logits", {"from_logits": True}),
    (
        "binary_crossentropy",
        "BinaryCrossentropy",
        "logits",
        {"from_logits": True, "label_smoothing": 0.3},
    ),
    ("categorical_crossentropy", "CategoricalCrossentropy", "classes", {}),
    (
        "categorical_crossentropy",
        "CategoricalCrossentropy",
        "classes",
        {"label_smoothing": 0.1, "axis": 1},
    ),
    (
        "categorical_crossentropy",
        "CategoricalCrossentropy",
        "logits",
        {"from_logits": True},
    ),
    (
        "categorical_crossentropy",
        "CategoricalCrossentropy",
        "logits",
        {"from_logits": True, "label_smoothing": 0.1, "axis": 1},
    ),
    ("sparse_categorical_crossentropy", "SparseCategoricalCrossentropy", "labels", {}),
    (
        "sparse_categorical_crossentropy",
        "SparseCategoricalCrossentropy",
        "labels",
        {"ignore_class": 0},
    ),
    (
        "sparse_categorical_crossentropy",
        "SparseCategoricalCrossentropy",
        "label_logits",
        {"from_logits": True},
    ),
    (
        "sparse_categorical_crossentropy",
        "SparseCategoricalCrossentropy",
        "label_logits",
        {"from_logits": True, "ignore_class": -1},
    ),
    ("binary_focal_crossentropy", "BinaryFocalCrossentropy", "chances", {}),
    (
        "binary_focal_crossentropy",
        "BinaryFocalCrossentropy",
        "logits",
        {"from_logits": True, "gamma": 1.5, "label_smoothing": 0.1},
    ),
    (
        "binary_focal_crossentropy",
        "BinaryFocalCrossentropy",
        "chances",
        {"apply_class_balancing": True, "alpha": 0.3, "gamma": 3.0, "axis": 1},
    ),
    ("categorical_focal_crossentropy", "CategoricalFocalCrossentropy", "classes", {}),
    (
        "categorical_focal_crossentropy",
        "CategoricalFocalCrossentropy",
        "logits",
        {"from_logits": True, "gamma": 1.5, "alpha": 0.4},
    ),
    (
        "categorical_focal_crossentropy",
        "CategoricalFocalCrossentropy",
        "classes",
        {"label_smoothing": 0.1, "axis": 1},
    ),
    ("dice", "Dice", "fractions", {"axis": -1}),
    ("dice", "Dice", "fractions", {"axis": 1}),
    ("tversky", "Tversky", "fractions", {"axis": -1}),
    ("tversky", "Tversky", "fractions", {"axis": 1, "alpha": 0.3, "beta": 0.6}),
    (
        "categorical_generalized_cross_entropy",
        "CategoricalGeneralizedCrossEntropy",
        "certain",
        {"q": 0.7},
    ),
]


REDUCTIONS = [
    "sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", "none", None,
]  # fmt: skip


def label(case):
    if not isinstance(case, tuple):
        return None
    return "-".join([case[0], case[2], *(f"{k}={v}" for k, v in case[3].items())])


def data(kind, shape, seed, scale=1.0):
    """(y_true, y_pred) of a kind, with ties, zeros and values at the clips."""
    rng = np.random.default_rng(seed)
    part = rng.random(shape)
    one_hot = np.eye(shape[-1])[rng.integers(0, shape[-1], shape[:-1])]
    logits = rng.standard_normal(shape) * 3 * scale
    logits = np.where(part < 0.05, rng.choice([0, 1000, -1000], shape), logits)
    chances = rng.random(shape)
    edges = rng.choice([0, 1, 1e-7, 1 - 1e-7, -0.1, 1.2], shape)
    if kind in ("numbers", "apart"):
        y_true, y_pred = rng.standard_normal((2, *shape)) * scale
        if kind == "apart":  # log(cosh(e)) of tiny errors cancels: one error is large
            y_pred[..., 0] += 1
            return y_true, y_pred
        y_true = np.where(part < 0.2, y_pred, y_true)
        return np.where(part > 0.9, 0, y_true), np.where(part > 0.8, 0, y_pred)
    if kind == "signs":
        labels = rng.choice([[0, 1], [-1, 1]])
        return rng.choice(labels, shape).astype(float), np.round(logits * 2) / 4
    if kind == "counts":
        return rng.integers(0, 5, shape).astype(float), chances * 5 * scale
    if kind == "chances":
        return np.where(part < 0.5, part > 0.2, part), np.where(
            part > 0.8, edges, chances
        )
    if kind == "fractions":  # no cancellation in the denominators
        return (part > 0.5).astype(float), chances
    if kind == "certain":
        return rng.integers(0, shape[-1], shape[:-1]), 0.05 + 0.9 * chances
    if kind == "classes":
        return one_hot, np.where(part > 0.9, edges, chances) ** 2 + 1e-9
    if kind == "logits":
        return one_hot, logits
    labels = rng.integers(0, shape[-1], shape[:-1])
    if seed % 2:
        labels = labels[..., None]
    return labels, logits if kind == "label_logits" else chances * (part > 0.1)


@st.composite
def problems(draw, kind, min_rank=2):
    """(y_true, y_pred): y_pred of rank 2 or more; targets sum to 1 along every axis."""
    shape = draw(strategies.shapes(min_rank, 4, low=2))
    return data(kind, shape, draw(strategies.seeds()), draw(strategies.scales()))


def one_hot_along(y_true, axis):
    """One-hot along `axis`, since TensorFlow takes that for granted with logits."""
    size = y_true.shape[axis]
    winners = y_true.argmax(axis=-1).sum() + np.arange(y_true.size // size)
    eye = np.eye(size)[winners % size]
    moved = np.moveaxis(y_true, axis, -1).shape
    return np.moveaxis(eye.reshape(moved), -1, axis)


@st.composite
def weights_and_masks(draw, values_shape):
    """(sample_weight, mask) that fit values of this shape; either may be None."""
    rng = np.random.default_rng(draw(strategies.seeds()))
    weight, mask = None, None
    if draw(st.booleans()):
        shape = draw(st.sampled_from([values_shape, (*values_shape, 1)]))
        if len(values_shape) > 1 and draw(st.booleans()):
            shape = (values_shape[0], *(1 for _ in values_shape[1:]))
        weight = rng.random(shape) * 3 * (rng.random(shape) > 0.2)
    if draw(st.booleans()):
        mask = rng.random(values_shape) > draw(st.sampled_from([0.2, 0.7, 1.0]))
    return weight, mask
