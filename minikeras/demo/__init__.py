"""The demonstration: two models trained on real data, and held beside Keras."""

from minikeras.demo.run import run_demo

__all__ = ["run_demo"]
