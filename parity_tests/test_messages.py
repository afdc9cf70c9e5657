"""What users are told when they mistype, and where warnings point."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minikeras
from minikeras import layers
from minikeras.operations import matmul_shape
from parity_tests.oracle import keras

X, Y = np.ones((8, 3), "float32"), np.ones((8, 1), "float32")


def model(k=minikeras):
    result = k.Sequential([k.Input((3,)), k.layers.Dense(1)])
    result.compile("sgd", "mse")
    return result


MISSPELT: dict[str, tuple[Callable[[Any], Any], str]] = {
    "fit": (lambda k: model(k).fit(X, Y, epoch=3), "epochs"),
    "fit, old name": (lambda k: model(k).fit(X, Y, nb_epoch=3), "epochs"),
    "compile": (lambda k: model(k).compile(optimiser="sgd"), "optimizer"),
    "evaluate": (lambda k: model(k).evaluate(X, Y, batch=3), "batch_size"),
    "predict": (lambda k: model(k).predict(X, batchsize=3), "batch_size"),
    "on batch": (lambda k: model(k).train_on_batch(X, Y, weight=1), "class_weight"),
    "layer": (lambda k: k.layers.Dense(3, activaton="relu"), "activation"),
    "layer, required": (lambda k: k.layers.Dense(unit=3), "units"),
    "convolution": (lambda k: k.layers.Conv2D(3, 3, stride=2), "strides"),
    "LSTM": (lambda k: k.layers.LSTM(3, return_sequence=True), "return_sequences"),
    "base argument": (lambda k: k.layers.Dense(3, nane="d"), "name"),
    "model": (lambda k: k.Sequential(layer=[]), "layers"),
    "optimizer": (lambda k: k.optimizers.Adam(beta1=0.1), "beta_1"),
    "optimizer, old name": (lambda k: k.optimizers.SGD(lr=0.1), "learning_rate"),
    "loss": (lambda k: k.losses.MeanSquaredError(reducton="sum"), "reduction"),
    "metric": (lambda k: k.metrics.Mean(nam="x"), "name"),
    "callback": (lambda k: k.callbacks.EarlyStopping(patients=3), "patience"),
    "initializer": (lambda k: k.initializers.RandomNormal(sdtdev=3), "stddev"),
    "regularizer": (lambda k: k.regularizers.L2(l_2=3), "l2"),
    "constraint": (lambda k: k.constraints.MaxNorm(max_val=3), "max_value"),
    "schedule": (
        lambda k: k.optimizers.schedules.CosineDecay(0.1, decay_step=3),
        "decay_steps",
    ),
}


@pytest.mark.parametrize(("use", "right"), MISSPELT.values(), ids=MISSPELT)
def test_a_misspelt_argument_suggests_the_right_one(use, right):
    with pytest.raises((TypeError, ValueError)) as expected:
        use(keras)
    with pytest.raises(type(expected.value), match=f"Did you mean '{right}'"):
        use(minikeras)


def test_what_is_received_is_shown_in_short():
    with pytest.raises(TypeError, match="Received: epoch=") as caught:
        model().fit(X, Y, epoch=list(range(1000)))
    assert len(str(caught.value)) < 200


def test_layers_that_take_other_arguments_still_do():
    class Own(layers.Layer):
        def __init__(self, *sizes, **kwargs):
            self.extra = kwargs.pop("extra", None)
            super().__init__(**kwargs)

    assert Own(1, 2, extra=3, name="n").extra == 3


@pytest.mark.parametrize("empty", [[], None, {}], ids=str)
@pytest.mark.parametrize("method", ["fit", "evaluate", "predict"])
def test_no_data_at_all(method, empty):
    given = (empty,) if method == "predict" else (empty, empty)
    with pytest.raises(ValueError, match="Expected `x` to be an array") as caught:
        getattr(model(), method)(*given)
    assert f"x={empty}" in str(caught.value)


class WrongShape(layers.Layer):
    def forward(self, x):
        return x + np.ones((2, 4)), x


class WrongReshape(layers.Layer):
    def forward(self, x):
        return x.reshape(5, 5), x


class OneExample(layers.Layer):
    def forward(self, x):
        return x + np.ones((2, 3)), x


WRONG = {
    "operator": lambda x: x + minikeras.Input((4,)),
    "with an array": lambda x: x * np.ones((5, 2)),
    "own layer": lambda x: WrongShape()(x),
    "reshape": lambda x: WrongReshape()(x),
    "only one example fits": lambda x: OneExample()(x),
    "matmul": lambda x: x @ np.ones((2, 2)),
    "index": lambda x: x[:, 5],
}


@pytest.mark.parametrize("use", WRONG.values(), ids=WRONG)
def test_sizes_of_trials_do_not_show(use):
    with pytest.raises((ValueError, IndexError)) as caught:
        use(minikeras.Input((3,)))
    for size in ("83", "89", "249", "267"):
        assert size not in str(caught.value)
    assert "3" in str(caught.value)


SHAPES = [(3,), (None,), (1,), (None, 3), (3, 4), (2, 3, 4), (None, 4, 3), (1, 4, 3)]


@pytest.mark.parametrize("a", SHAPES, ids=str)
def test_shapes_of_operators_are_as_in_keras(a):
    for b in SHAPES:
        for operator in ("__matmul__", "__add__", "__lt__"):
            found = []
            for k in (minikeras, keras):
                try:
                    x, y = k.KerasTensor(a), k.KerasTensor(b)
                    result = getattr(x, operator)(y)
                    found.append((tuple(result.shape), result.dtype))
                except ValueError:
                    found.append("refused")
            assert found[0] == found[1], (operator, b)


def test_no_trial_run_for_large_arrays():
    """(83, 4000, 4000, 64) floats would take 300 GB."""
    x = minikeras.Input((4000, 4000, 64))
    assert (x * x + 1.0).shape == (None, 4000, 4000, 64)
    assert matmul_shape((None, 4000, 64), (64, 9)) == (None, 4000, 9)


def sequences(steps):
    return minikeras.Sequential([minikeras.Input((steps, 1)), layers.LSTM(2)])


EXPLAINED: dict[str, tuple[Callable[[], Any], str]] = {
    "a single example": (lambda: layers.Dense(2)(np.ones(3)), r"add a batch axis"),
    "a single image": (lambda: layers.Conv2D(2, 2)(np.ones((5, 5, 1))), r"x\[None\]"),
    "windows without features": (
        lambda: layers.LSTM(2)(minikeras.Input((20,))),
        r"\(batch, steps, features\).*Input\(\(steps, 1\)\)",
    ),
    "windows as arrays without features": (
        lambda: layers.LSTM(2)(np.ones((4, 20))),
        r"\(batch, steps, features\).*x\[\.\.\., None\]",
    ),
    "a longer sequence": (
        lambda: sequences(20)(np.ones((1, 30, 1))),
        r"reads 20 steps.*Input\(\(None, 1\)\)",
    ),
    "a series": (lambda: sequences(None)(np.ones(30)), r"x\[None, :, None\]"),
    "a series as examples": (
        lambda: sequences(20)(np.ones((30, 1))),
        r"30 sequences of one step each.*x\[None, :, None\]",
    ),
    "a batch": (lambda: layers.Dense(2)([1.0, 2.0]), r"np\.array"),
    "optimizer class": (
        lambda: model().compile(minikeras.optimizers.Adam),
        r"Did you mean `Adam\(\)`",
    ),
    "no outputs": (lambda: minikeras.Model(minikeras.Input((3,))), "no `outputs`"),
}


@pytest.mark.parametrize(("use", "words"), EXPLAINED.values(), ids=EXPLAINED)
def test_the_likely_cause_is_named(use, words):
    with pytest.raises((TypeError, ValueError), match=words):
        use()


@pytest.mark.parametrize("width", [60, 80, 120])
def test_the_tables_of_the_demo_fit(width):
    from rich.console import Console

    from minikeras.demo.run import _weights_table

    one = minikeras.Sequential(
        [minikeras.Input((5, 3)), layers.LSTM(32), layers.Dense(1)]
    )
    table = _weights_table(one, one.get_weights(), narrow=width < 72)
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(table)
    text = console.export_text()
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text and "recurrent_kernel" in text
    assert "inputs" in text  # the meaning of the axes


def endless():
    while True:
        yield X, Y


def three():
    for _ in range(3):
        yield X, Y


WARNS: dict[str, Callable[[], Any]] = {
    "old argument": lambda: layers.Dense(3, input_shape=(3,)),
    "deprecated": lambda: layers.LeakyReLU(alpha=0.1),
    "nothing to monitor": lambda: model().fit(
        X, Y, verbose=0, callbacks=[minikeras.callbacks.EarlyStopping("val_loss")]
    ),
    "out of data": lambda: model().fit(three(), steps_per_epoch=2, epochs=3, verbose=0),
    "shuffled generator": lambda: model().fit(endless(), steps_per_epoch=1, verbose=0),
    "loss weights": lambda: model().compile("sgd", loss_weights=[1]),
    "softmax of one": lambda: layers.Softmax()(np.ones((2, 1), "float32")),
}


@pytest.mark.parametrize("use", WARNS.values(), ids=WARNS)
def test_warnings_point_at_the_line_of_the_user(use):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        use()
    assert caught
    assert {warning.filename for warning in caught} == {__file__}


def test_saving_an_unbuilt_model_warns(tmp_path):
    for k in (minikeras, keras):
        unbuilt = k.Sequential([k.layers.Dense(2)])
        with pytest.warns(UserWarning, match="has not yet been built") as caught:
            unbuilt.save(tmp_path / "m.keras")
        assert len(caught) == 1


def test_a_generator_exhausted_in_mid_epoch(capsys):
    runs = []
    for k in (minikeras, keras):
        k.utils.set_random_seed(0)
        one = model(k)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            history = one.fit(three(), steps_per_epoch=2, epochs=4, verbose=2)
        lines = capsys.readouterr().out.splitlines()
        told = sum("ran out of data" in str(w.message) for w in caught)
        lines = [line.split(" - ")[-1] for line in lines]
        runs.append((lines, len(history.history["loss"]), told))
    assert runs[0] == runs[1]
