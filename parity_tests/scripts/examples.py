"""The programs of docs/examples, each for a few steps."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np

from parity_tests.scripts.values import values

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted(path.stem for path in (ROOT / "docs" / "examples").glob("*.py"))


def digits() -> tuple[np.ndarray, np.ndarray]:
    """200 of the package's digits, read without importing the package."""
    with np.load(ROOT / "minikeras" / "datasets" / "data" / "digits.npz") as data:
        return data["images"][:200], data["labels"][:200]


def sunspots() -> tuple[np.ndarray, np.ndarray]:
    """Windows of 20 years and the years that follow them."""
    path = ROOT / "minikeras" / "datasets" / "data" / "sunspots.csv"
    series = np.loadtxt(path, delimiter=",", skiprows=1)[:80, 1].astype("float32")
    windows = np.lib.stride_tricks.sliding_window_view(series[:-1], 20)
    return windows[..., None].copy(), series[20:, None]


def arguments(name: str) -> dict[str, Any]:
    """What `train` of an example is called with, besides the library."""
    if name == "sunspots_lstm":
        return dict(zip(("windows", "targets"), sunspots(), strict=True))
    if name == "denoising_autoencoder":
        return {"images": digits()[0]}
    if name in ("digits_convnet", "residual_network", "transfer_learning"):
        return dict(zip(("images", "labels"), digits(), strict=True))
    return {"count": 96}


def main(keras: Any) -> dict[str, Any]:
    found = {}
    # Rounding grows as training goes on: float32 is followed for one epoch.
    epochs = 2 if keras.config.floatx() == "float64" else 1
    for name in EXAMPLES:
        path = ROOT / "docs" / "examples" / f"{name}.py"
        spec = importlib.util.spec_from_file_location(name, path)
        if spec is None or spec.loader is None:
            raise ImportError(str(path))
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        keras.utils.clear_session()
        model, history = module.train(keras, **arguments(name), epochs=epochs)
        found[name] = {"history": history.history, "final": values(model)}
    return found
