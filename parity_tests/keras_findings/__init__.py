"""Minimal reproductions of what the parity tests found in Keras; see README.md."""

from __future__ import annotations

from types import ModuleType

import numpy as np


def show(finding: ModuleType) -> None:
    """Prints one finding: what Keras gives, what one expects, what minikeras gives."""
    import minikeras
    from parity_tests import oracle

    received, expected = finding.reproduce(oracle.keras)
    print(finding.__doc__)
    for name, value in oracle.versions().items():
        print(f"{name} {value}")
    with np.printoptions(precision=17):
        print(f"Keras:     {received}")
        print(f"expected:  {expected}")
        print(f"minikeras: {finding.ours(minikeras)}")
