"""Data: small real sets in the package, generators, and Keras's cached files."""

from minikeras.datasets import digits, fashion_mnist, generators, mnist, sunspots

__all__ = ["digits", "fashion_mnist", "generators", "mnist", "sunspots"]

# Keras downloads these. Most of its files are pickles, which can run code when read.
_ABSENT = (
    "boston_housing",
    "california_housing",
    "cifar10",
    "cifar100",
    "imdb",
    "reuters",
)


def __getattr__(name: str) -> None:
    if name in _ABSENT:
        raise AttributeError(
            f"minikeras has no `datasets.{name}`: nothing is downloaded. It has "
            f"{', '.join(__all__)}."
        )
    raise AttributeError(f"module 'minikeras.datasets' has no attribute {name!r}")
