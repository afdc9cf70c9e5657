"""Losses: names, configs, and losses of your own."""

from __future__ import annotations

import numpy as np
import pytest

import minikeras
from minikeras import losses
from minikeras.functions import differentiable
from minikeras.utils import gradcheck
from parity_tests.loss_cases import CASES, label
from parity_tests.oracle import keras
from parity_tests.tolerance import assert_close


def test_every_loss_is_known_to_keras():
    ours = {
        n for n in losses.__all__ if n not in ("LossFunctionWrapper", "loss_function")
    }
    assert ours <= set(dir(keras.losses))
    later = {name for name in dir(keras.losses) if name[0] != "_"} - ours
    assert later == {"CTC", "ctc"}


def test_reductions():
    for bad in ("avg", "auto"):
        with pytest.raises(ValueError):
            keras.losses.MeanSquaredError(reduction=bad)
    with pytest.raises(ValueError, match="'sum_over_batch_size'"):
        losses.MeanSquaredError(reduction="auto")
    with pytest.raises(ValueError, match="Did you mean 'mean'"):
        losses.MeanSquaredError(reduction="meen")


ALIASES = ["bce", "BCE", "kld", "KLD", "mae", "MAE", "mse", "MSE", "mape", "MSLE"]


def test_get():
    assert losses.get(None) is None
    for name in [n for n in losses.__all__ if n in dir(keras.losses)] + ALIASES:
        if name in ("Loss", "get", "serialize", "deserialize"):
            continue
        if "eneralized" in name:  # Keras's `get` has forgotten these two
            function = losses.categorical_generalized_cross_entropy
            assert getattr(losses.get(name), "fn", function) is function
            continue
        ours, theirs = losses.get(name), keras.losses.get(name)
        if isinstance(theirs, keras.losses.Loss):
            assert ours.name == theirs.name
            assert type(ours).__name__ == type(theirs).__name__ == name
        else:
            assert ours.__name__ == theirs.__name__
    assert isinstance(losses.get(losses.Huber), losses.Huber)
    loss = losses.Huber()
    assert losses.get(loss) is loss


@pytest.mark.parametrize(
    "bad", ["mean_square_error", "huber_loss", "logcosh", 5, "Mse"]
)
def test_unknown_names_suggest_the_nearest(bad):
    with pytest.raises(ValueError):
        keras.losses.get(bad)
    with pytest.raises(ValueError, match=r"Could not interpret.*(Did you mean|5)"):
        losses.get(bad)


@pytest.mark.parametrize("case", CASES, ids=label)
def test_configs_equal_keras_and_round_trip(case):
    function, name, _, parameters = case
    options = {"reduction": "sum", "name": "mine", **parameters}
    ours = getattr(losses, name)(**options)
    theirs = getattr(keras.losses, name)(**options)
    assert ours.get_config() == theirs.get_config()
    saved = losses.serialize(ours)
    assert saved == keras.losses.serialize(theirs)
    for config in (saved, {k: saved[k] for k in ("class_name", "config")}):
        twin = losses.get(config)
        assert type(twin) is type(ours)
        assert twin.get_config() == ours.get_config()
    # functions, as Keras writes them
    assert losses.deserialize(losses.serialize(getattr(losses, function))) is getattr(
        losses, function
    )
    written = keras.losses.serialize(getattr(keras.losses, function))
    assert losses.get(written) is getattr(losses, function)


def test_function_wrapper_round_trip():
    loss = losses.LossFunctionWrapper(losses.huber, name="mine", delta=2.0)
    config = loss.get_config()
    assert config["delta"] == 2.0
    theirs = keras.src.losses.losses.LossFunctionWrapper(
        keras.losses.huber, name="mine", delta=2.0
    )
    for written in (config, theirs.get_config()):
        twin = losses.LossFunctionWrapper.from_config(written)
        assert twin.fn is losses.huber
        assert twin([[0.0]], [[3.0]]) == loss([[0.0]], [[3.0]]) == 4
    assert losses.get(losses.serialize(loss)).get_config() == config
    assert losses.get(keras.losses.serialize(theirs)).get_config() == config


def test_names():
    minikeras.utils.clear_session()

    class MyLoss(losses.Loss):
        def call(self, y_true, y_pred):
            return y_pred

    assert [MyLoss().name, MyLoss().name] == ["my_loss", "my_loss_1"]
    assert losses.Huber().name == keras.losses.Huber().name == "huber_loss"
    assert minikeras.Loss is losses.Loss


class Cubed(losses.Loss):
    """The example of the docstring of `Loss`."""

    def values(self, y_true, y_pred):
        error = y_pred - y_true
        return (abs(error) ** 3).mean(axis=-1), error

    def values_gradient(self, dvalues, error):
        return dvalues[..., None] * 3 * error * abs(error) / error.shape[-1]


def test_own_loss_class():
    rng = np.random.default_rng(0)
    y_true, y_pred = rng.standard_normal((2, 3, 4))
    loss = Cubed(dtype="float64")
    gradcheck(loss, y_true, y_pred).raise_if_failed()
    gradcheck(
        loss, y_true, y_pred, call_kwargs={"sample_weight": np.array([1.0, 2.0, 0.5])}
    ).raise_if_failed()
    assert_close(loss(y_true, y_pred), (abs(y_pred - y_true) ** 3).mean(), k=12)
    assert_close(loss.call(y_true, y_pred), (abs(y_pred - y_true) ** 3).mean(axis=-1))


def test_own_loss_with_call_alone_evaluates_but_does_not_train():
    class Evaluates(losses.Loss):
        def call(self, y_true, y_pred):
            return np.abs(y_pred - y_true).mean(axis=-1)

    loss = Evaluates()
    value, residuals = loss.forward([[0.0]], [[2.0]])
    assert value == 2
    with pytest.raises(NotImplementedError, match="is traced with symbolic tensors"):
        loss.backward(1.0, residuals)
    with pytest.raises(NotImplementedError, match="must define"):
        losses.Loss()([[0.0]], [[2.0]])


def test_own_loss_function():
    @differentiable
    def cubed(y_true, y_pred):
        error = y_pred - y_true
        return (np.abs(error) ** 3).mean(axis=-1), error

    @cubed.gradient
    def _(dvalues, error):
        slope = 3 * error * np.abs(error)
        return dvalues[..., None] * slope / error.shape[-1]

    assert losses.get(cubed) is cubed
    loss = losses.LossFunctionWrapper(cubed, dtype="float64")
    rng = np.random.default_rng(0)
    y_true, y_pred = rng.standard_normal((2, 3, 4))
    gradcheck(loss, y_true, y_pred).raise_if_failed()
    assert_close(loss(y_true, y_pred), Cubed(dtype="float64")(y_true, y_pred), k=12)


def test_plain_function_evaluates_but_does_not_train():
    def distance(y_true, y_pred):
        return np.abs(y_true - y_pred).sum(axis=-1)

    loss = losses.LossFunctionWrapper(losses.get(distance))
    value, residuals = loss.forward([[0.0, 1.0]], [[2.0, 2.0]])
    assert value == 3
    with pytest.raises(NotImplementedError, match="loss 'distance' is not known"):
        loss.backward(1.0, residuals)
