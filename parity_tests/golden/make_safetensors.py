"""Writes `safetensors_<version>.safetensors` with the safetensors library itself."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np

library = importlib.import_module("safetensors")
writer = importlib.import_module("safetensors.numpy")
draw = np.random.default_rng(0)
arrays = {
    "sequential/dense/kernel": draw.normal(size=(4, 3)).astype("float32"),
    "sequential/dense/bias": np.arange(3, dtype="float32"),
    "sequential/count": np.array(7, "int64"),
    "sequential/flags": np.array([True, False, True]),
    "sequential/half": np.array([0.5, 1.5], "float16"),
    "sequential/empty": np.zeros((0, 2), "float64"),
}
target = Path(__file__).parent / f"safetensors_{library.__version__}.safetensors"
writer.save_file(arrays, target, {"format": "np"})
