"""The directive of the first page: code that trains, run and drawn by the build.

    ```{before-and-after}
    ...code that leaves a `model` of one Dense layer over images, the weights `before`
    and `after`, and the accuracies `first` and `last`...
    ```

The code is shown as it was run, under a drawing of each unit's weights as an image.
Elsewhere than in this site the block is shown as code.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from docutils import nodes
from docutils.parsers.rst import Directive

from _site.lessons import begin


def tile(weights: np.ndarray, largest: float) -> str:
    """SVG of an image of weights: colour is the sign, strength the size.

    >>> tile(np.array([[0.5, -1.0]]), 1.0)
    '<svg viewBox="0 0 2 1"><path class="positive" opacity="0.50" d="M0 0h1v1H0z"/>\
<path class="negative" opacity="1.00" d="M1 0h1v1H1z"/></svg>'
    """
    height, width = weights.shape
    paths = []
    for (row, column), weight in np.ndenumerate(weights):
        kind = "positive" if weight > 0 else "negative"
        strength = f"{min(abs(weight) / largest, 1):.2f}"
        place = f"M{column} {row}h1v1H{column}z"
        paths.append(f'<path class="{kind}" opacity="{strength}" d="{place}"/>')
    return f'<svg viewBox="0 0 {width} {height}">{"".join(paths)}</svg>'


def strip(kernel: np.ndarray, largest: float, caption: str) -> str:
    """The columns of a (height * width, units) kernel as a row of square images."""
    side = int(len(kernel) ** 0.5)
    tiles = (tile(column.reshape(side, side), largest) for column in kernel.T)
    return f'<p>{caption}</p><div class="tiles">{"".join(tiles)}</div>'


def figure(found: dict[str, Any]) -> str:
    """The drawing: the kernel's columns before training and after it."""
    before, after = found["before"][0], found["after"][0]
    # One scale for both; the few largest weights would leave the others pale.
    largest = float(np.quantile(np.abs(after), 0.98))
    rows = [
        strip(
            before,
            largest,
            f"<b>Before training</b>: noise. {found['first']:.0%} of "
            "unseen digits are read right.",
        ),
        strip(
            after,
            largest,
            f"<b>After it</b>: one pattern per digit, 0 to 9. {found['last']:.0%}.",
        ),
    ]
    label = "The 64 weights of each of ten units, as images, before and after training"
    return (
        f'<div class="before-and-after" role="img" aria-label="{label}">'
        f"{''.join(rows)}</div>"
    )


class BeforeAndAfter(Directive):
    """Runs its content, draws the weights, and shows the content."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """The drawing as HTML, and the code."""
        code = "\n".join(self.content)
        begin({}, "")
        found: dict[str, Any] = {}
        exec(compile(code, "first page", "exec"), found)
        shown = nodes.literal_block(code, code, language="python")
        return [nodes.raw("", figure(found), format="html"), shown]


def setup(app: Any) -> dict[str, bool]:
    """Called by Sphinx."""
    app.add_directive("before-and-after", BeforeAndAfter)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
