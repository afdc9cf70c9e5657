"""`minikeras.plot`: what is drawn is what is in the arrays, and looks as it did."""

from __future__ import annotations

import builtins
import subprocess
import sys

import matplotlib

matplotlib.use("Agg")

import numpy as np
import pytest
from matplotlib import pyplot as plt

from minikeras import Gradients, layers, plot, teach
from minikeras.plot import flow
from parity_tests import plot_pictures as pictures
from parity_tests.plot_pictures import convolution, perceptron, random, recurrent
from parity_tests.tolerance import assert_close, assert_equal, assert_picture_close


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.mark.parametrize("name", pictures.PICTURES)
def test_looks_like_the_picture_kept(name):
    kept = (pictures.FOLDER / f"{name}.png").read_bytes()
    drawn, expected = pictures.pixels(pictures.png(name)), pictures.pixels(kept)
    assert_picture_close(drawn, expected, name=name)


@pytest.mark.parametrize("name", pictures.PICTURES)
def test_settings_stay_and_nothing_is_shown(name, monkeypatch):
    monkeypatch.setattr(plt, "show", lambda *a, **k: pytest.fail("shown"))
    before = dict(matplotlib.rcParams)
    pictures.PICTURES[name]()
    assert dict(matplotlib.rcParams) == before


def test_another_picture_is_noticed():
    def of(name):
        return pictures.pixels(pictures.png(name))

    with pytest.raises(AssertionError, match="blocks of pixels"):
        assert_picture_close(of("heatmap"), of("history"), name="heatmap")
    changed = of("heatmap")
    changed[:4, :12] = 0.5
    with pytest.raises(AssertionError, match="differs by"):
        assert_picture_close(changed, of("heatmap"), name="heatmap")


def test_every_public_function_has_a_picture():
    assert set(plot.__all__) <= set(pictures.PICTURES)
    assert set(dir(plot)) == set(plot.__all__)


class TestArrays:
    """The numbers that the artists hold."""

    def test_history(self):
        record = {"loss": [3.0, 2.0], "val_loss": [4.0, 5.0], "mae": [1.0, 0.5]}
        loss, mae = plot.history(record)
        assert_equal(loss.lines[0].get_ydata().tolist(), record["loss"])
        assert_equal(loss.lines[0].get_xdata().tolist(), [1, 2])
        assert_equal(loss.lines[1].get_ydata().tolist(), record["val_loss"])
        assert_equal(mae.lines[0].get_ydata().tolist(), record["mae"])
        (only,) = plot.history(record, metrics="mae")
        assert only.get_ylabel() == "mae"

    def test_history_of_fit(self):
        model, x, y = perceptron()
        history = model.fit(x, y, epochs=3, validation_data=(x, y), verbose=0)
        (ax,) = plot.history(history)
        assert_equal(list(ax.lines[1].get_ydata()), history.history["val_loss"])

    def test_weight_histograms(self):
        model, x, y = perceptron()
        before = model.get_weights()
        model.fit(x, y, verbose=0)
        axes = plot.weight_histograms(before, model)
        assert len(axes) == len(before)
        for ax, array in zip(axes, before, strict=True):
            assert sum(patch.get_height() for patch in ax.patches[:40]) == array.size
        assert axes[0].get_title().startswith("dense/kernel\n(5, 8), moved by ")

    def test_heatmap(self):
        array = random(4, 3)
        ax = plot.heatmap(array)
        assert_equal(np.asarray(ax.images[0].get_array()), array)
        low, high = ax.images[0].get_clim()
        assert low == -high, "white is zero"

    @pytest.mark.parametrize("cls", ["Conv2D", "Conv1D", "Conv2DTranspose"])
    def test_filters(self, cls):
        layer = getattr(layers, cls)(3, 2)
        layer.build((None, 5, 4) if cls == "Conv1D" else (None, 5, 5, 2))
        kernel = layer.kernel.numpy()
        if cls == "Conv2DTranspose":
            kernel = np.swapaxes(kernel, -1, -2)
        axes = plot.filters(layer)
        for k, ax in enumerate(axes):
            if cls == "Conv1D":
                expected = kernel[:, :, k].T
            else:
                expected = kernel[:, :, k % 2, k // 2]
            assert_equal(np.asarray(ax.images[0].get_array()), expected)

    def test_feature_maps_are_the_output(self):
        model, x = convolution()
        axes = plot.feature_maps(model, "conv", x, example=1)
        for channel, ax in enumerate(axes):
            shown = np.asarray(ax.images[0].get_array())
            assert_equal(shown, model(x)[1, :, :, channel])

    @pytest.mark.parametrize("cls", [layers.LSTM, layers.GRU])
    def test_gates(self, cls):
        model, x, _ = recurrent(cls)
        found = teach.gates(model, x=x)
        ax = plot.gates(found, example=1, unit=2)
        hidden = next(v for v in ax.lines if v.get_label() == "hidden state")
        assert_equal(np.asarray(hidden.get_ydata()), found.hidden[1, :, 2])
        axes = plot.gates(found, example=1, unit=None)
        shown = np.asarray(axes[-1].images[0].get_array())
        assert_equal(shown, found.hidden[1].T)

    def test_gradient_flow_is_the_gradient(self):
        model, x, y = perceptron()
        grads = Gradients(model.trainable_variables)
        prediction, residuals = model.forward(x, training=True)
        dy = (2 / y.size * (prediction - y)).astype("float32")
        model.backward(dy, residuals, grads)
        before = model.get_weights()
        ax = plot.gradient_flow(model, x, y)
        for bar, variable in zip(ax.patches, model.trainable_variables, strict=False):
            rms = np.sqrt(np.mean(np.square(grads[variable], dtype="float64")))
            assert_close(np.float32(bar.get_width()), np.float32(rms), k=y.size)
        for a, b in zip(before, model.get_weights(), strict=True):
            assert_equal(a, b)

    def test_confusion_matrix_takes_all_usual_forms(self):
        true, classes = [0, 1, 1], np.array([0, 1, 0])
        for pred in (classes, np.eye(2)[classes], classes[:, None] * 0.8):
            ax = plot.confusion_matrix(true, pred)
            assert np.asarray(ax.images[0].get_array()).tolist() == [[1, 0], [1, 1]]
        ax = plot.confusion_matrix(true, classes, normalize=True, labels=["a", "b"])
        assert np.asarray(ax.images[0].get_array()).tolist() == [[1, 0], [0.5, 0.5]]

    def test_loss_landscape_is_evaluate(self):
        model, x, y = perceptron()
        start = model.get_weights()
        arrows = [random(*w.shape, seed=i) for i, w in enumerate(start)]
        ax = plot.loss_landscape(model, x, y, arrows, steps=5, radius=0.5)
        for t, value in zip(*ax.lines[0].get_data(), strict=True):
            moved = [
                w + w.dtype.type(t) * a for w, a in zip(start, arrows, strict=True)
            ]
            model.set_weights(moved)
            assert_close(value, model.evaluate(x, y, verbose=0), k=x.size)
        model.set_weights(start)
        ax = plot.loss_landscape(model, x, y, "gradient", steps=5, radius=0.01)
        values = ax.lines[0].get_ydata()
        assert list(values) == sorted(values, reverse=True), "downhill"

    def test_model_graph_names_every_layer(self):
        model, _, _ = perceptron()
        texts = {text.get_text() for text in plot.model_graph(model).texts}
        assert {f"{v.name} ({type(v).__name__})" for v in model.layers} <= texts


class TestHints:
    """What `gradient_flow` says in words."""

    def kinds(self, model, x, y):
        return {(hint.layer, hint.kind) for hint in flow.hints(model, x, y)}

    def test_nothing_to_say(self):
        assert self.kinds(*perceptron()) == set()

    def test_vanishing(self):
        found = self.kinds(*perceptron(8, "sigmoid"))
        assert ("dense", "vanishing") in found
        assert all(kind == "vanishing" for _, kind in found)

    def test_exploding(self):
        model, x, y = perceptron()
        assert ("dense_2", "exploding") in self.kinds(model, x, 1000 * y)

    def test_not_finite(self):
        model, x, y = perceptron()
        assert ("dense_2", "not finite") in self.kinds(model, x, y * np.nan)

    def test_dead_relu(self):
        model, x, y = perceptron(1, "relu")
        kernel, _ = model.layers[0].get_weights()
        bias = np.where(np.arange(8) < 2, -100, 100).astype("float32")
        model.layers[0].set_weights([kernel, bias])
        hints = flow.hints(model, x, y)
        dead = [hint.text for hint in hints if hint.kind == "dead ReLU"]
        assert dead == ["dense: 2 of 8 units are 0 for all x"]

    def test_saturated_tanh(self):
        model, x, y = perceptron()
        model.layers[0].set_weights([w * 100 for w in model.layers[0].get_weights()])
        assert ("dense", "saturated") in self.kinds(model, x, y)

    def test_saturated_gate(self):
        model, x, y = recurrent()
        kernel, recurrent_kernel, bias = model.layers[0].get_weights()
        bias[4:8] = 50.0  # the forget gate of the four units
        model.layers[0].set_weights([kernel, recurrent_kernel, bias])
        texts = [h.text for h in flow.hints(model, x, y) if h.kind == "saturated"]
        assert texts == ["lstm: gate f: 100% of the values are near 0 or 1"]

    def test_hints_stand_in_the_picture(self):
        ax = plot.gradient_flow(*perceptron(8, "sigmoid"))
        assert "vanishing: dense: the gradient is 1/" in ax.get_xlabel()


class TestAxes:
    def test_given_axes_are_drawn_on(self):
        _, ax = plt.subplots()
        assert plot.heatmap(random(2, 2), ax=ax) is ax
        _, axes = plt.subplots(1, 2)
        found = plot.history({"loss": [1.0], "mae": [1.0]}, axes=axes)
        assert list(found) == list(axes)

    def test_too_few(self):
        _, ax = plt.subplots()
        with pytest.raises(ValueError, match="2 panels and needs as many Axes"):
            plot.history({"loss": [1.0], "mae": [1.0]}, axes=ax)

    def test_no_axes(self):
        with pytest.raises(TypeError, match="`ax` must be matplotlib's Axes"):
            plot.heatmap(random(2, 2), ax=3)


class TestRefuses:
    @pytest.mark.parametrize(
        "draw, says",
        [
            (lambda: plot.history(3), "what `fit` returned"),
            (lambda: plot.history({}), "no epoch has been recorded"),
            (
                lambda: plot.history({"loss": [1]}, metrics=["los"]),
                "Did you mean 'loss'",
            ),
            (lambda: plot.heatmap(np.zeros((2, 2, 2))), "Take a part"),
            (lambda: plot.heatmap([["a"]]), "must hold numbers"),
            (lambda: plot.weight_histograms([]), "`before` is empty"),
            (
                lambda: plot.weight_histograms([np.ones(2)], [np.ones(3)]),
                "same model",
            ),
            (lambda: plot.filters(layers.Conv2D(2, 3)), "has no kernel yet"),
            (lambda: plot.filters(perceptron()[0].layers[0]), "has no filters"),
            (
                lambda: plot.feature_maps(convolution()[0], "con", random(1, 8, 8, 2)),
                "Did you mean 'conv'",
            ),
            (
                lambda: plot.feature_maps(
                    convolution()[0], "conv", random(1, 8, 8, 2), example=1
                ),
                "`example` must be below 1",
            ),
            (lambda: plot.gates([1]), "teach.gates"),
            (
                lambda: plot.gradient_flow(*convolution(), random(2, 6, 6, 4)),
                "has no loss",
            ),
            (lambda: plot.confusion_matrix([0], [0, 1]), "one entry for each"),
            (lambda: plot.confusion_matrix([-1], [0]), "count from 0"),
            (lambda: plot.confusion_matrix([0.2, 1.0], [0, 1]), "such as 0.2"),
            (
                lambda: plot.loss_landscape(*perceptron(), direction=[np.ones(2)]),
                "one array for each",
            ),
            (
                lambda: plot.loss_landscape(*perceptron(), direction="up"),
                "'gradient' or a list",
            ),
        ],
    )
    def test_says_what_is_wrong(self, draw, says):
        with pytest.raises((TypeError, ValueError, IndexError), match=says):
            draw()

    def test_unknown_function(self):
        with pytest.raises(AttributeError, match="Did you mean 'heatmap'"):
            plot.heatmaps  # noqa: B018

    def test_without_matplotlib(self, monkeypatch):
        real = builtins.__import__

        def without(name, *args, **kwargs):
            if name.startswith("matplotlib"):
                raise ImportError(name)
            return real(name, *args, **kwargs)

        monkeypatch.setattr(builtins, "__import__", without)
        with pytest.raises(ImportError, match=r"minikeras-numpy\[plot\]"):
            plot.heatmap([[1.0]])

    def test_importing_minikeras_does_not_import_matplotlib(self):
        code = (
            "import sys, minikeras; minikeras.plot; print('matplotlib' in sys.modules)"
        )
        run = subprocess.run([sys.executable, "-c", code], capture_output=True)
        assert run.stdout.strip() == b"False"
