"""Curves over epochs, and how weights are spread."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minikeras.plot.canvas import (
    BLUE,
    GREY,
    ORANGE,
    numbers,
    plain,
    several,
    whole_numbers,
)
from minikeras.registry import suggest


def history(
    history: Any, metrics: Sequence[str] | str | None = None, axes: Any = None
) -> np.ndarray:
    """What `fit` found, epoch by epoch: a panel for each metric, validation with it.

    Args:
        history: what `fit` returned, or its `.history`.
        metrics: which ones, such as `["loss"]`; all by default. `"loss"` brings
            `"val_loss"` with it.
        axes: as many Axes as there are panels; new ones by default.

    Returns:
        The Axes, one for each metric. The ring marks the epoch of the lowest
        validation loss.

    >>> axes = history({"loss": [0.9, 0.5, 0.4], "val_loss": [0.9, 0.6, 0.7]})
    >>> [line.get_label() for line in axes[0].lines]
    ['training', 'validation', 'lowest: 0.6 (epoch 2)']
    """
    found = _recorded(history)
    names = _chosen(found, metrics)
    axes = several(axes, len(names), 3, (4.2, 3.2), least=(5.2, 3.4))
    for ax, name in zip(axes, names, strict=True):
        _curve(ax, name, found)
    return axes


def _recorded(history: Any) -> dict[str, np.ndarray]:
    found = getattr(history, "history", history)
    if not isinstance(found, dict):
        raise TypeError(
            "`history` must be what `fit` returned, or its dict `.history`. Received: "
            f"{type(history).__name__}"
        )
    if not found:
        raise ValueError("`history` is empty: no epoch has been recorded.")
    return {name: numbers(values, name) for name, values in found.items()}


def _chosen(found: dict[str, Any], metrics: Any) -> list[str]:
    if metrics is None:
        names = [n for n in found if not (n.startswith("val_") and n[4:] in found)]
        return names
    names = [metrics] if isinstance(metrics, str) else list(metrics)
    for name in names:
        if name not in found:
            raise ValueError(
                f"No metric {name!r} in this history. There are: {list(found)}."
                f"{suggest(name, found)}"
            )
    return names


def _curve(ax: Any, name: str, found: dict[str, np.ndarray]) -> None:
    values, validation = found[name], found.get(f"val_{name}")
    marker = "." if len(values) <= 30 else None
    epochs = np.arange(1, len(values) + 1)
    ax.plot(epochs, values, color=BLUE, marker=marker, label="training")
    if validation is not None:
        # With `validation_freq` there are fewer values: at every n-th epoch.
        step = max(1, len(values) // max(1, len(validation)))
        when = np.arange(1, len(validation) + 1) * step
        ax.plot(when, validation, "--", color=ORANGE, marker=marker, label="validation")
        if name == "loss" and np.isfinite(validation).any():
            best = int(np.nanargmin(validation))
            label = f"lowest: {validation[best]:.3g} (epoch {when[best]})"
            x, y = [when[best]], [validation[best]]
            ax.plot(x, y, "o", mfc="none", color=ORANGE, ms=9, label=label)
        ax.legend(frameon=False)
    whole_numbers(ax.xaxis)
    ax.set_xlabel("epoch")
    ax.set_ylabel(name)
    plain(ax)


def weight_histograms(
    before: Any,
    after: Any = None,
    names: Sequence[str] | None = None,
    bins: int = 40,
    axes: Any = None,
) -> np.ndarray:
    """How the numbers in each weight are spread, before and after training.

    Args:
        before: a list of arrays, as from `get_weights()`; or a built model.
        after: the same later on; None to draw `before` alone.
        names: what to call the arrays; by default, the paths of the model's weights,
            or `weights[0]`, `weights[1]`, ...
        bins: number of bars.
        axes: as many Axes as there are arrays; new ones by default.

    Returns:
        The Axes, one for each array. Both histograms of a panel have the same bins; the
        title says how far the array moved: the root mean square of the differences.

    >>> axes = weight_histograms([np.zeros(3)], [np.ones(3)], names=["bias"])
    >>> axes[0].get_title()
    'bias\\n(3,), moved by 1 (RMS)'
    """
    old, paths = _arrays(before, "before")
    new, later = (None, None) if after is None else _arrays(after, "after")
    if not old:
        raise ValueError("There are no weights to draw: `before` is empty.")
    if new is not None and [a.shape for a in old] != [a.shape for a in new]:
        raise ValueError(
            "`before` and `after` must be weights of the same model. Received: shapes "
            f"{[a.shape for a in old]} and {[a.shape for a in new]}"
        )
    names = names or paths or later or [f"weights[{k}]" for k in range(len(old))]
    if len(names) != len(old):
        raise ValueError(
            f"`names` must have one name for each of the {len(old)} arrays. Received: "
            f"{list(names)}"
        )
    columns = 2 if len(old) in (2, 4) else 3
    axes = several(axes, len(old), columns, (3.4, 2.7), least=(4.6, 3.2))
    for k, ax in enumerate(axes):
        _histograms(ax, names[k], old[k], None if new is None else new[k], bins)
    return axes


def _arrays(weights: Any, name: str) -> tuple[list[np.ndarray], list[str] | None]:
    if hasattr(weights, "get_weights"):
        own = f"{weights.name}/"
        paths = [variable.path.removeprefix(own) for variable in weights.weights]
        return [np.asarray(a) for a in weights.get_weights()], paths
    if isinstance(weights, np.ndarray):
        weights = [weights]
    if not isinstance(weights, list | tuple):
        raise TypeError(
            f"`{name}` must be a list of arrays, as from `get_weights()`, or a model. "
            f"Received: {type(weights).__name__}"
        )
    return [numbers(a, f"{name}[{k}]") for k, a in enumerate(weights)], None


def _histograms(
    ax: Any, name: str, old: np.ndarray, new: np.ndarray | None, bins: int
) -> None:
    both = old.ravel() if new is None else np.concatenate([old.ravel(), new.ravel()])
    edges = np.histogram_bin_edges(both[np.isfinite(both)], bins)
    title = f"{name}\n{old.shape}"
    if new is None:
        ax.hist(old.ravel(), edges, color=BLUE)
    else:
        ax.hist(old.ravel(), edges, color=GREY, alpha=0.55, label="before")
        ax.hist(new.ravel(), edges, color=BLUE, histtype="step", lw=1.6, label="after")
        moved = np.sqrt(np.mean((new.astype(np.float64) - old) ** 2))
        title += f", moved by {moved:.2g} (RMS)"
        ax.legend(frameon=False)
    ax.set_title(title, fontsize="medium")
    ax.set_xlabel("value")
    ax.set_ylabel("how many")
    whole_numbers(ax.yaxis)
    plain(ax)
