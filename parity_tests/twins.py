"""The same layer in minikeras and in Keras, from its name and one config.

Shorthands over `harness.check_layer` for layers that differ in nothing but the module.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minikeras
from minikeras import layers
from parity_tests.descriptions import normalized
from parity_tests.harness import check_layer
from parity_tests.oracle import keras
from parity_tests.tolerance import assert_close, assert_equal


def check(name: str, config: dict[str, Any], inputs: Any, **options: Any) -> None:
    """`check_layer` for `layers.<name>(**config)`, and the config's way to Keras."""
    check_layer(
        lambda: getattr(layers, name)(**config),
        lambda: getattr(keras.layers, name)(**config),
        inputs,
        **options,
    )
    check_config_travels(name, config)


def check_config_travels(name: str, config: dict[str, Any]) -> None:
    """Keras makes its layer from our config, and we ours from Keras's."""
    ours, theirs = getattr(layers, name), getattr(keras.layers, name)
    written = json.loads(json.dumps(ours(**config, name="twin").get_config()))
    expected = json.loads(json.dumps(theirs(**config, name="twin").get_config()))
    back = theirs.from_config(written).get_config()
    assert_equal(normalized(back), normalized(expected), name="our config in Keras")
    again = ours.from_config(expected).get_config()
    assert_equal(normalized(again), normalized(written), name="Keras's config here")


def check_same_error(
    use: Callable[[Any], Any], error: type[Exception], match: str
) -> None:
    """`use(layers)` and `use(keras.layers)` raise the same, with the same words."""
    for module in (layers, keras.layers):
        with pytest.raises(error, match=match):
            use(module)


def check_files(make: Callable[[Any], Any], x: Any, folder: Path) -> None:
    """A model from `make(library)` goes through a `.keras` file to the other library.

    Its weights are then equal to the last bit, and it predicts the same.
    """
    for writer, reader in ((minikeras, keras), (keras, minikeras)):
        path = folder / f"by_{writer.__name__}.keras"
        written = make(writer)
        written.save(path)
        read = reader.models.load_model(path)
        pairs = zip(read.get_weights(), written.get_weights(), strict=True)
        for i, (a, b) in enumerate(pairs):
            assert_equal(np.asarray(a), np.asarray(b), name=f"weight {i}")
        found, expected = (m.predict(x, verbose=0) for m in (read, written))
        assert_close(found, expected, k=np.size(x), name=f"{path.name}: predictions")
