"""Models, metrics, losses, `get` and `serialize`: each use runs in both libraries."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from parity_tests.test_public_surface import Use, lists, same


def model_of(k: Any) -> Any:
    model = k.Sequential([k.Input((2,)), k.layers.Dense(3, name="d")], name="m")
    model.compile("adam", "mse", metrics=["mae"])
    return model


MODELS: dict[str, Use] = {
    "names of metrics": lambda k: model_of(k).metrics_names,
    "names of metrics after a step": lambda k: (
        m := model_of(k),
        m.train_on_batch(np.ones((2, 2)), np.ones((2, 3))),
        m.metrics_names,
    )[2],
    "compile config": lambda k: {
        key: value
        for key, value in model_of(k).get_compile_config().items()
        if key != "optimizer"
    },
    "before compile": lambda k: [
        k.Sequential([k.layers.Dense(1)]).get_compile_config(),
        k.Sequential([k.layers.Dense(1)]).compiled,
        k.Sequential([k.layers.Dense(1)]).optimizer is None
        if hasattr(k.Sequential([k.layers.Dense(1)]), "optimizer")
        else True,
    ],
    "after compile": lambda k: [
        model_of(k).compiled,
        model_of(k).loss,
        model_of(k).stop_training,
        model_of(k).optimizer.name,
        model_of(k).run_eagerly,
        model_of(k).steps_per_execution,
    ],
    "lists": lambda k: lists(model_of(k)),
    "input and output": lambda k: [
        model_of(k).input_shape,
        model_of(k).output_shape,
        [t.shape for t in model_of(k).inputs],
        [t.shape for t in model_of(k).outputs],
    ],
    "input of an uncalled Sequential": lambda k: model_of(k).input,
    "functional input": lambda k: (
        x := k.Input((2,), name="x"),
        m := k.Model(x, k.layers.Dense(1)(x)),
        [m.input.name, m.output.shape, m.output_names],
    )[2],
    "compute_output_shape": lambda k: tuple(model_of(k).compute_output_shape((5, 2))),
    "isinstance": lambda k: [
        isinstance(model_of(k), k.Model),
        isinstance(model_of(k), k.Layer),
        isinstance(k.Model, type),
        isinstance(model_of(k), k.layers.Layer),
    ],
    "exports are the same object": lambda k: [
        k.Model is k.models.Model,
        k.Sequential is k.models.Sequential,
        k.Layer is k.layers.Layer,
        k.Input is k.layers.Input,
        k.Loss is k.losses.Loss,
        k.Metric is k.metrics.Metric,
        k.Optimizer is k.optimizers.Optimizer,
        k.InputSpec is k.layers.InputSpec,
        k.DTypePolicy is k.dtype_policies.DTypePolicy,
        k.Initializer is k.initializers.Initializer,
        k.Regularizer is k.regularizers.Regularizer,
    ],
    "version": lambda k: [type(k.__version__) is str, type(k.version()) is str],
}


@pytest.mark.parametrize("use", MODELS.values(), ids=MODELS)
def test_models(use):
    same(use)


OTHERS: dict[str, Use] = {
    "KerasTensor": lambda k: [
        k.KerasTensor((None, 3)).shape,
        k.KerasTensor((2, 3), "int32").dtype,
        k.KerasTensor((2, 3)).ndim,
        k.KerasTensor((2, 3), name="t").name,
        k.utils.is_keras_tensor(k.KerasTensor((1,))),
        k.utils.is_keras_tensor(3),
    ],
    "InputSpec": lambda k: [
        k.InputSpec(ndim=3).ndim,
        k.InputSpec(shape=(None, 3)).shape,
        k.InputSpec(min_ndim=2, axes={-1: 4}).axes,
    ],
    "DTypePolicy": lambda k: [
        k.DTypePolicy("float64").name,
        k.DTypePolicy("float64").compute_dtype,
        k.DTypePolicy("float64").variable_dtype,
        k.dtype_policies.get("float64").name,
        k.dtype_policies.serialize(k.DTypePolicy("float32")),
    ],
    "config": lambda k: [
        k.config.floatx(),
        k.config.epsilon(),
        k.config.image_data_format(),
        k.config.dtype_policy().name,
        k.backend.floatx(),
        k.backend.epsilon(),
    ],
    "seeds": lambda k: [
        k.random.SeedGenerator(3).next(),
        np.asarray(k.random.uniform((2,), seed=3)),
        k.random.SeedGenerator(3).get_config(),
    ],
    "metrics": lambda k: (
        m := k.metrics.Mean(name="m"),
        m.update_state([1.0, 3.0]),
        r := float(m.result()),
        m.reset_state(),
        [r, float(m.result()), [v.name for v in m.variables], float(m([5.0])), m.name],
    )[4],
    "losses": lambda k: [
        k.losses.MeanSquaredError().reduction,
        k.losses.MeanSquaredError().name,
        k.losses.MeanSquaredError(dtype="float64").dtype,
        float(k.losses.MeanSquaredError()(np.ones((2, 1)), np.zeros((2, 1)))),
        np.asarray(k.losses.mean_squared_error(np.ones((2, 1)), np.zeros((2, 1)))),
    ],
    "get of each module": lambda k: [
        k.activations.get("relu").__name__,
        type(k.initializers.get("zeros")).__name__,
        type(k.regularizers.get("l2")).__name__,
        type(k.constraints.get("non_neg")).__name__,
        k.losses.get("mse").__name__,
        type(k.losses.get("MeanSquaredError")).__name__,
        k.metrics.get("mse").__name__,
        type(k.optimizers.get("adam")).__name__,
        [k.activations.get(None).__name__, k.initializers.get(None)],
        [k.regularizers.get(None), k.constraints.get(None), k.losses.get(None)],
    ],
    "serialize of each module": lambda k: [
        k.activations.serialize(k.activations.relu),
        k.initializers.serialize(k.initializers.Constant(2.0)),
        k.regularizers.serialize(k.regularizers.L2(0.1)),
        k.constraints.serialize(k.constraints.MaxNorm(2)),
        k.losses.serialize(k.losses.mean_squared_error),
        k.metrics.serialize(k.metrics.MeanSquaredError(name="m")),
        k.optimizers.serialize(k.optimizers.SGD(0.5, name="s")),
        k.layers.serialize(k.layers.ReLU(name="r")),
    ],
    "deserialize of each module": lambda k: [
        k.activations.deserialize("relu").__name__,
        type(k.layers.deserialize(k.layers.serialize(k.layers.ReLU()))).__name__,
        type(k.losses.deserialize("MeanSquaredError")).__name__,
        type(k.optimizers.deserialize({"class_name": "SGD", "config": {}})).__name__,
        type(
            k.optimizers.schedules.deserialize(
                k.optimizers.schedules.serialize(
                    k.optimizers.schedules.ExponentialDecay(0.1, 2, 0.5)
                )
            )
        ).__name__,
    ],
    "utils": lambda k: [
        k.utils.to_categorical([0, 2], 3),
        k.utils.normalize(np.array([[3.0, 4.0]])),
        k.utils.unpack_x_y_sample_weight((1, 2)),
        k.utils.pack_x_y_sample_weight(1, 2, 3),
    ],
    "name_scope": lambda k: (
        scope := k.name_scope("outer"),
        scope.__enter__(),
        v := k.Variable(1.0, name="v"),
        scope.__exit__(None, None, None),
        v.path,
    )[4],
}


@pytest.mark.parametrize("use", OTHERS.values(), ids=OTHERS)
def test_others(use):
    same(use)
