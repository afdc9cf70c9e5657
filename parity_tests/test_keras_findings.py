"""Every finding in keras_findings/ still holds, and minikeras does what it says."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path

import numpy as np
import pytest

import minikeras
from parity_tests import keras_findings
from parity_tests.oracle import keras
from parity_tests.tolerance import assert_equal

NAMES = [m.name for m in pkgutil.iter_modules(keras_findings.__path__)]


@pytest.mark.parametrize("name", NAMES)
def test_a_finding(name: str, capsys) -> None:
    finding = importlib.import_module(f"parity_tests.keras_findings.{name}")
    received, expected = finding.reproduce(keras)
    if isinstance(expected, np.ndarray):
        assert not np.array_equal(received, expected), "Keras has changed: good news"
        assert_equal(finding.ours(minikeras), received if finding.COPIED else expected)
    else:
        assert_equal(finding.ours(minikeras), received)
    keras_findings.show(finding)
    assert "minikeras: " in capsys.readouterr().out


def test_epochs_are_in_one_order() -> None:
    finding = importlib.import_module(
        "parity_tests.keras_findings.one_order_for_all_epochs"
    )
    first, second = finding.reproduce(keras)[0]
    assert_equal(first, second)
    assert_equal(np.sort(first), np.arange(5))


def test_the_readme_lists_them_all() -> None:
    readme = Path(keras_findings.__path__[0], "README.md").read_text()
    for name in NAMES:
        assert f"`{name}.py`" in readme
