"""minikeras: Keras 3 in NumPy, readable to the bottom."""

__version__ = "0.1.0"
