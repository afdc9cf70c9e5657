"""Test configuration: how many examples are drawn, what no test may leave behind."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import hypothesis
import numpy as np
import pytest

from minikeras import config, naming
from parity_tests import oracle, records
from parity_tests.oracle import keras

# HYPOTHESIS_PROFILE=dev|ci|nightly. A failure prints a line that repeats it; pin the
# shrunk example with @example. `ci`, and `dev` where CI is set, draw the same examples
# on every run: a change is judged by what it changed.
_SLOW = [hypothesis.HealthCheck.too_slow]  # the first call of Keras traces and compiles
_COMMON: dict[str, Any] = {
    "deadline": None,
    "print_blob": True,
    "suppress_health_check": _SLOW,
}
_SAME: dict[str, Any] = {"derandomize": True, "database": None}
_dev = _SAME if os.environ.get("CI") else {}
hypothesis.settings.register_profile("dev", max_examples=20, **_COMMON, **_dev)
hypothesis.settings.register_profile("ci", max_examples=100, **_COMMON, **_SAME)
hypothesis.settings.register_profile("nightly", max_examples=2000, **_COMMON)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))


def _global_state() -> dict[str, Any]:
    """What a test could change for the tests after it, for both libraries."""
    state = {
        "floatx": config.floatx(),
        "epsilon": config.epsilon(),
        "image_data_format": config.image_data_format(),
        "dtype_policy": config.dtype_policy().name,
        "numpy error handling": np.geterr(),
    }
    state["keras floatx"] = keras.config.floatx()
    state["keras epsilon"] = keras.config.epsilon()
    state["keras image_data_format"] = keras.config.image_data_format()
    state["keras dtype_policy"] = keras.config.dtype_policy().name
    return state


def _restore() -> None:
    for module in (config, keras.config):
        module.set_floatx("float32")
        module.set_epsilon(1e-7)
        module.set_image_data_format("channels_last")
        module.set_dtype_policy("float32")


@pytest.fixture(autouse=True)
def global_state_is_left_alone() -> Iterator[None]:
    """Fails a test that leaves floatx, policies or the like changed; then repairs.

    Names (`dense`, `dense_1`, ...) are counted from the start in each test, in both.
    """
    naming.clear_session()
    oracle.clear_session()
    before = _global_state()
    yield
    after = _global_state()
    changed = {k: (before[k], after[k]) for k in before if before[k] != after[k]}
    if changed:
        _restore()
        pytest.fail(f"The test left global state changed (before, after): {changed}")


def pytest_sessionfinish() -> None:
    """Each process writes what it compared; see records.py."""
    records.write()
