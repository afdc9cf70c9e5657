"""Yearly sunspot numbers, 1700 to 2008, in the package.

Source: National Geophysical Data Center, NOAA. Public domain.
"""

from __future__ import annotations

from importlib import resources

import numpy as np

Arrays = tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def load_series() -> tuple[np.ndarray, np.ndarray]:
    """`(years, sunspots)`: int64 and float32 arrays of 309 values.

    >>> years, sunspots = load_series()
    >>> int(years[0]), int(years[-1]), len(sunspots)
    (1700, 2008, 309)
    """
    path = resources.files("minikeras.datasets") / "data" / "sunspots.csv"
    with path.open("r", encoding="utf-8") as file:
        table = np.loadtxt(file, delimiter=",", skiprows=1)
    return table[:, 0].astype("int64"), table[:, 1].astype("float32")


def load_data(window: int = 20, test_years: int = 60) -> Arrays:
    """Windows of the series, each with the year that follows it as its target.

    Args:
        window: years per window.
        test_years: the targets of the test part are the last so many years; the
            training part ends before them.

    Returns:
        `(x_train, y_train), (x_test, y_test)`: x of shape (N, window, 1), y of shape
        (N, 1), float32, in sunspots (not scaled).

    Raises:
        ValueError: if nothing would be left to train on.

    >>> (x_train, y_train), (x_test, y_test) = load_data()
    >>> x_train.shape, x_test.shape
    ((229, 20, 1), (60, 20, 1))
    """
    _, series = load_series()
    if window < 1 or test_years < 1 or window + test_years >= len(series):
        raise ValueError(
            "`window` and `test_years` must be positive and leave years to train on: "
            f"window + test_years < {len(series)}. Received: window={window}, "
            f"test_years={test_years}"
        )
    windows = np.lib.stride_tricks.sliding_window_view(series[:-1], window)
    x, y = windows[:, :, None].copy(), series[window:, None]
    cut = len(x) - test_years
    return (x[:cut], y[:cut]), (x[cut:], y[cut:])
