"""What a convolution looks for, and what it finds."""

from __future__ import annotations

from typing import Any

import numpy as np

from minikeras.plot.canvas import limits, numbers, several, square
from minikeras.plot.images import draw
from minikeras.plot.passes import check_model, layer_outputs
from minikeras.registry import suggest


def filters(
    layer_or_kernel: Any,
    max_filters: int = 16,
    max_channels: int = 3,
    axes: Any = None,
) -> np.ndarray:
    """The filters of a convolution, all in the same colours.

    Args:
        layer_or_kernel: a built Conv1D, Conv2D or DepthwiseConv2D (also transposed or
            separable), or a kernel (rows, columns, channels, filters) or (steps,
            channels, filters).
        max_filters, max_channels: at most so many are drawn.
        axes: as many Axes as there are panels; new ones by default.

    Returns:
        The Axes, filter by filter: for each filter one panel per channel. The filters
        of a Conv1D are one panel each, (channels, steps).

    >>> axes = filters(np.zeros((3, 3, 1, 4)))
    >>> [ax.get_title() for ax in axes]
    ['filter 0', 'filter 1', 'filter 2', 'filter 3']
    """
    kernel, name = _kernel(layer_or_kernel)
    if kernel.ndim == 3:
        kernel = kernel.swapaxes(0, 1)[:, :, None]  # -> (channels, steps, 1, filters)
        sides = ("step", "channel")
    else:
        sides = ("column", "row")
    channels = min(kernel.shape[2], max_channels)
    count = min(kernel.shape[3], max_filters)
    columns = square(count) if channels == 1 else channels
    panel = (1.55, 1.7) if channels == 1 else (1.6, 1.6)
    given = axes is not None
    axes = several(axes, count * channels, columns, panel, least=(4.0, 2.4))
    scale = limits([kernel])
    for k, ax in enumerate(axes):
        f, c = divmod(k, channels)
        image = draw(ax, kernel[:, :, c, f], scale)
        ax.set_aspect("equal")
        ax.set_xticks([])
        ax.set_yticks([])
        ax.set_title(
            f"filter {f}" + (f", channel {c}" if kernel.shape[2] > 1 else ""),
            fontsize="small",
        )
    below = -1 if given else (len(axes) - 1) // columns * columns  # last row, left
    axes[below].set_xlabel(f"{sides[0]} →", fontsize="small")
    axes[below].set_ylabel(f"← {sides[1]}", fontsize="small")
    figure = axes[0].get_figure()
    figure.colorbar(image, ax=list(axes), label="weight", shrink=0.8)
    left_out = kernel.shape[2] * kernel.shape[3] - count * channels
    if left_out and not figure.get_suptitle():
        figure.suptitle(f"{name}: {count} of {kernel.shape[3]} filters, {channels} of "
                        f"{kernel.shape[2]} channels")  # fmt: skip
    return axes


def _kernel(layer: Any) -> tuple[np.ndarray, str]:
    """(the kernel with the filters last, what to call it)."""
    if not hasattr(layer, "variables"):
        kernel, name = numbers(layer, "layer_or_kernel"), "kernel"
    else:
        name, kernel = layer.name, None
        if not layer.built:
            raise ValueError(
                f"Layer '{name}' has no kernel yet: it does not know its input shape. "
                "Call it on data or `build` it."
            )
        for attribute in ("depthwise_kernel", "kernel"):
            if kernel is None and getattr(layer, attribute, None) is not None:
                kernel = np.asarray(getattr(layer, attribute).value)
        if kernel is None or kernel.ndim < 3:
            raise ValueError(
                f"Layer '{name}' of class {type(layer).__name__} has no filters; a "
                "Conv1D or Conv2D has. `plot.heatmap` draws other weights."
            )
        if "Transpose" in type(layer).__name__:
            kernel = kernel.swapaxes(-1, -2)  # (..., filters, channels) in Keras
    if kernel.ndim not in (3, 4) or not kernel.size:
        raise ValueError(
            "A kernel must have the axes (rows, columns, channels, filters) or (steps, "
            f"channels, filters). Received: shape {kernel.shape}"
            + (". Take one plane of it: kernel[0]" if kernel.ndim == 5 else "")
        )
    return kernel, name


def feature_maps(
    model: Any,
    layer: Any,
    x: Any,
    example: int = 0,
    max_maps: int = 16,
    axes: Any = None,
) -> np.ndarray:
    """What a layer makes of one input: its output, channel by channel.

    Args:
        model: a built model.
        layer: a layer of it, or its name (also inside of a nested model).
        x: input, as for `predict`.
        example: which one of the batch.
        max_maps: at most so many channels are drawn.
        axes: as many Axes as there are panels; new ones by default.

    Returns:
        The Axes: a panel for each channel of an output (N, rows, columns, channels),
        all in the same colours; one panel, channels over steps, for an output (N,
        steps, channels).
    """
    check_model(model, "feature_maps")
    name, output = _output(model, layer, x)
    if not -len(output) <= example < len(output):
        raise IndexError(
            f"`example` must be below {len(output)}, the number of examples in `x`. "
            f"Received: example={example}"
        )
    maps = output[example]  # (rows, columns, channels) or (steps, channels)
    if maps.ndim not in (2, 3):
        raise ValueError(
            f"The output of '{name}' has shape {output.shape}: there are no maps in "
            "it. (N, rows, columns, channels) and (N, steps, channels) can be drawn; "
            "`plot.heatmap` draws the rest."
        )
    scale = limits([maps])
    if maps.ndim == 2:
        axes = several(axes, 1, 1, (6.4, 3.2))
        image = draw(axes[0], maps.T, scale)
        axes[0].set(xlabel="step", ylabel="channel", title=f"{name}: output")
    else:
        count = min(maps.shape[2], max_maps)
        axes = several(axes, count, square(count), (1.6, 1.75), least=(4.2, 2.6))
        for c, ax in enumerate(axes):
            image = draw(ax, maps[:, :, c], scale)
            ax.set_aspect("equal")
            ax.set_xticks([])
            ax.set_yticks([])
            ax.set_title(f"channel {c}", fontsize="small")
        figure = axes[0].get_figure()
        if not figure.get_suptitle():
            of = f"{count} of {maps.shape[2]} channels"
            size = f"{maps.shape[0]} rows x {maps.shape[1]} columns"
            figure.suptitle(f"{name}: {of}, {size}")
    axes[0].get_figure().colorbar(image, ax=list(axes), label="activation", shrink=0.8)
    return axes


def _output(model: Any, layer: Any, x: Any) -> tuple[str, np.ndarray]:
    """(name, output) of the layer that is meant; of its first call."""
    calls = layer_outputs(model, x)
    names = [found.name for found, _ in calls]
    for found, output in calls:
        if found is layer or found.name == layer:
            if not isinstance(output, np.ndarray):
                output = output[0]
            return found.name, output
    name = layer if isinstance(layer, str) else getattr(layer, "name", repr(layer))
    raise ValueError(
        f"No such layer: {name}. The layers of '{model.name}' are: {names}."
        f"{suggest(str(name), names)}"
    )
