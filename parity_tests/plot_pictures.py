"""The pictures of `minikeras.plot` that the tests compare with those kept.

After a change that was meant, look at what it draws and keep it:

    python -m parity_tests.plot_pictures         # writes parity_tests/plot_references/
    python -m parity_tests.plot_pictures FOLDER  # somewhere else, to look at
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import numpy as np
from matplotlib import pyplot as plt

import minikeras as mk
from minikeras import layers, plot, teach

FOLDER = Path(__file__).parent / "plot_references"
DPI = 40
BLOCK = 4  # pixels: letters are drawn a little differently by each version


def random(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def perceptron(depth: int = 2, activation: str = "tanh", **kwargs: Any) -> Any:
    """A compiled model 5-8-...-8-1, and data for it."""
    mk.utils.clear_session()
    mk.utils.set_random_seed(1)
    hidden = [layers.Dense(8, activation=activation, **kwargs) for _ in range(depth)]
    model = mk.Sequential([mk.Input((5,)), *hidden, layers.Dense(1)])
    model.compile("sgd", "mse")
    return model, random(12, 5), random(12, 1, seed=1)


def recurrent(cls: type = layers.LSTM) -> Any:
    """A compiled recurrent model, and data for it."""
    mk.utils.clear_session()
    mk.utils.set_random_seed(2)
    model = mk.Sequential([mk.Input((9, 2)), cls(4), layers.Dense(1)])
    model.compile("sgd", "mse")
    return model, random(3, 9, 2), random(3, 1, seed=1)


def convolution() -> Any:
    """A model of one convolution, and data for it."""
    mk.utils.clear_session()
    mk.utils.set_random_seed(3)
    model = mk.Sequential([mk.Input((8, 8, 2)), layers.Conv2D(4, 3, name="conv")])
    return model, random(2, 8, 8, 2)


def history() -> Any:
    record = {"loss": [0.9, 0.5, 0.3], "val_loss": [1.0, 0.6, 0.7], "mae": [3, 2, 1]}
    return plot.history(record)


def weight_histograms() -> Any:
    return plot.weight_histograms([random(9, 9)], [random(9, 9, seed=1)], ["kernel"])


def filters() -> Any:
    return plot.filters(convolution()[0].layers[0])


def feature_maps() -> Any:
    model, x = convolution()
    return plot.feature_maps(model, "conv", x)


def gates() -> Any:
    model, x, _ = recurrent()
    return plot.gates(teach.gates(model, x=x))


def gates_of_all_units() -> Any:
    model, x, _ = recurrent(layers.GRU)
    return plot.gates(teach.gates(model, x=x), unit=None)


def gradient_flow() -> Any:
    return plot.gradient_flow(*perceptron(depth=7, activation="sigmoid"))


def model_graph() -> Any:
    return plot.model_graph(perceptron()[0])


def confusion_matrix() -> Any:
    return plot.confusion_matrix([0, 0, 1, 2, 2, 2], [0, 1, 1, 2, 2, 0])


def loss_landscape() -> Any:
    return plot.loss_landscape(*perceptron(), steps=11)


def heatmap() -> Any:
    return plot.heatmap(random(3, 5), rows="input", columns="unit")


PICTURES: dict[str, Callable[[], Any]] = {
    function.__name__: function
    for function in (
        history,
        weight_histograms,
        filters,
        feature_maps,
        gates,
        gates_of_all_units,
        gradient_flow,
        model_graph,
        confusion_matrix,
        loss_landscape,
        heatmap,
    )
}


def png(name: str) -> bytes:
    """The picture, drawn with matplotlib's own settings."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        figure = np.ravel(np.asarray(PICTURES[name](), object))[0].get_figure()
        file = io.BytesIO()
        figure.savefig(file, format="png", dpi=DPI)
        plt.close(figure)
    return file.getvalue()


def pixels(content: bytes) -> np.ndarray:
    """The means of blocks of pixels, (rows, columns, 3), from 0 to 1."""
    image = plt.imread(io.BytesIO(content))[..., :3]
    rows, columns = (n // BLOCK for n in image.shape[:2])
    image = image[: rows * BLOCK, : columns * BLOCK]
    blocks = image.reshape(rows, BLOCK, columns, BLOCK, 3)
    return blocks.mean(axis=(1, 3))


if __name__ == "__main__":
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    for picture in PICTURES:
        (folder / f"{picture}.png").write_bytes(png(picture))
