"""Parameters that are no sums of powers of two: in float64 every digit of 0.1 counts.

Keras rounds some of them to float32 on the way, and some not.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from parity_tests.scripts.values import run

ROWS, COLUMNS = 48, 6


def main(keras: Any) -> dict[str, Any]:
    keras.utils.set_random_seed(8)
    x = np.random.normal(size=(ROWS, COLUMNS))  # noqa: NPY002
    scores = x @ np.random.normal(size=(COLUMNS, 3))  # noqa: NPY002
    y = np.eye(3)[scores.argmax(axis=1)]
    results = {}
    for name, (optimizer, loss) in _choices(keras).items():
        model = _full_model(keras) if name == "momentum" else _small_model(keras)
        model.compile(optimizer, loss)
        results[name] = run(model, x, y, batch_size=16, epochs=4)
        results[name]["rate"] = float(np.asarray(model.optimizer.learning_rate))
    results["outputs"] = _two_outputs(keras, x, y)
    return results


def _choices(keras: Any) -> dict[str, Any]:
    """Name -> (optimizer, loss)."""
    optimizers, losses = keras.optimizers, keras.losses
    schedules = optimizers.schedules
    return {
        "momentum": (
            optimizers.SGD(0.03, momentum=0.9, nesterov=True, weight_decay=0.004),
            losses.Huber(delta=0.7),
        ),
        "rmsprop": (
            optimizers.RMSprop(
                schedules.ExponentialDecay(0.01, 3, 0.9), 0.8, 0.3, 1e-5, True
            ),
            losses.CategoricalCrossentropy(label_smoothing=0.1),
        ),
        "adam": (
            optimizers.Adam(
                schedules.CosineDecay(0.01, 11, 0.1),
                beta_1=0.87,
                amsgrad=True,
                global_clipnorm=0.3,
            ),
            losses.CosineSimilarity(),
        ),
        "adamw": (
            optimizers.AdamW(
                schedules.PolynomialDecay(0.02, 11, 0.001, 1.3),
                weight_decay=0.01,
                clipnorm=0.7,
                use_ema=True,
                ema_momentum=0.93,
            ),
            losses.LogCosh(),
        ),
        "clipped": (
            optimizers.SGD(
                schedules.InverseTimeDecay(0.1, 7, 0.3), momentum=0.7, clipvalue=0.03
            ),
            losses.KLDivergence(),
        ),
        "accumulated": (
            optimizers.Adam(
                schedules.PiecewiseConstantDecay([3, 7], [0.01, 0.003, 0.0007]),
                epsilon=1e-3,
                gradient_accumulation_steps=2,
            ),
            losses.Poisson(),
        ),
        "restarts": (
            optimizers.RMSprop(schedules.CosineDecayRestarts(0.01, 5, 1.5, 0.9)),
            losses.BinaryCrossentropy(label_smoothing=0.1),
        ),
    }


def _small_model(keras: Any) -> Any:
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((COLUMNS,)),
            layers.Dense(9, "tanh", kernel_regularizer="l2"),
            layers.Dense(3, "softmax"),
        ]
    )


def _full_model(keras: Any) -> Any:
    layers, regularizers = keras.layers, keras.regularizers
    constraints, constant = keras.constraints, keras.initializers.Constant
    return keras.Sequential(
        [
            keras.Input((COLUMNS,)),
            layers.Dense(
                9,
                kernel_regularizer=regularizers.L1L2(0.003, 0.007),
                bias_initializer=constant(0.1),
                kernel_constraint=constraints.MaxNorm(0.9),
            ),
            layers.BatchNormalization(momentum=0.9, epsilon=0.002),
            layers.LeakyReLU(0.1),
            layers.Dense(
                8,
                kernel_initializer=keras.initializers.RandomUniform(-0.3, 0.3),
                kernel_regularizer=regularizers.L2(0.003),
                kernel_constraint=constraints.MinMaxNorm(0.3, 0.9, 0.7),
                activity_regularizer=regularizers.L2(0.001),
            ),
            layers.LayerNormalization(epsilon=0.003),
            layers.ELU(0.7),
            layers.Dense(
                7,
                kernel_initializer=keras.initializers.RandomNormal(0.01, 0.3),
                kernel_regularizer=regularizers.L2(0.007),
                bias_regularizer=regularizers.L1(0.003),
            ),
            layers.PReLU(alpha_initializer=constant(0.1)),
            layers.ReLU(max_value=3.3, negative_slope=0.03, threshold=0.003),
            layers.GaussianNoise(0.03),
            layers.ActivityRegularization(0.001, 0.003),
            layers.Dense(3, kernel_constraint=constraints.UnitNorm()),
            layers.Activation("softmax"),
        ]
    )


def _two_outputs(keras: Any, x: np.ndarray, y: np.ndarray) -> dict[str, Any]:
    """Weights of losses, of classes and of examples."""
    inputs = keras.Input((COLUMNS,))
    hidden = keras.layers.Dense(8, activation="silu")(inputs)
    first = keras.layers.Dense(3, name="first")(hidden)
    second = keras.layers.Dense(1, activation="softplus", name="second")(hidden)
    model = keras.Model(inputs, [first, second])
    model.compile(
        keras.optimizers.Adam(0.01, use_ema=True, ema_momentum=0.9, weight_decay=0.003),
        [keras.losses.CategoricalHinge(), "mean_squared_logarithmic_error"],
        loss_weights=[0.3, 0.7],
        metrics=[["cosine_similarity"], [keras.metrics.RootMeanSquaredError()]],
    )
    weights = [np.linspace(0.1, 1.3, ROWS), np.linspace(0.7, 0.1, ROWS)]
    size = np.abs(x[:, :1])
    return run(model, x, [y, size], batch_size=16, epochs=4, sample_weight=weights)
