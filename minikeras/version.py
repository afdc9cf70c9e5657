"""The version of minikeras, and the Keras whose behaviour and formats it follows."""

__version__ = "0.1.0"
KERAS_VERSION = "3.15.1"


def version() -> str:
    """minikeras's own version."""
    return __version__
