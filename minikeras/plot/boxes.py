"""A model's layers as boxes, with arrows between them."""

from __future__ import annotations

from typing import Any

from minikeras.plot.canvas import one
from minikeras.plot.passes import check_built
from minikeras.utils.model_visualization import draw_inside, lay_out

_MOST_INCHES = 14.0


def model_graph(
    model: Any,
    ax: Any = None,
    *,
    show_shapes: bool = True,
    show_layer_names: bool = True,
    show_layer_activations: bool = False,
    show_trainable: bool = False,
    expand_nested: bool = False,
    rankdir: str = "TB",
) -> Any:
    """The layers of a model and how they are connected; no graphviz needed.

    Args:
        model: a built model.
        ax: matplotlib's Axes; new ones, as large as the picture, by default.
        show_shapes, show_layer_names, show_layer_activations, show_trainable,
            expand_nested: what to show, as in `utils.plot_model`.
        rankdir: `"TB"`, from top to bottom, or `"LR"`, from left to right.

    Returns:
        The Axes.

    >>> import minikeras as keras
    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    >>> ax = model_graph(model, show_layer_names=False)
    >>> [text.get_text() for text in ax.texts]
    ['Dense', 'Input shape: (None, 4)', 'Output shape: (None, 2)']
    """
    check_built(model, "model_graph")
    if rankdir not in ("TB", "LR"):
        raise ValueError(
            f"`rankdir` must be 'TB' or 'LR'. Received: rankdir={rankdir!r}"
        )
    show = {
        "shapes": show_shapes,
        "dtype": False,
        "names": show_layer_names,
        "activations": show_layer_activations,
        "trainable": show_trainable,
    }
    picture = lay_out(model, show, rankdir == "LR", expand_nested)
    if ax is None:
        shrink = min(1.0, _MOST_INCHES * 72 / max(picture.width, picture.height))
        size = (picture.width / 72 * shrink, picture.height / 72 * shrink)
        ax = one(None, size)
    ax = one(ax)
    ax.set_xlim(0, picture.width)
    ax.set_ylim(picture.height, 0)  # y grows downwards
    ax.set_aspect("equal")
    ax.axis("off")
    # Letters as large as the boxes are drawn: points to a unit of the picture.
    inches = ax.get_window_extent().transformed(
        ax.get_figure().dpi_scale_trans.inverted()
    )
    points = 72 * min(inches.width / picture.width, inches.height / picture.height)
    draw_inside(picture, ax, points)
    return ax
