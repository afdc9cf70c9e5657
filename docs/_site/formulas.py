"""Formulas as MathML, which browsers draw themselves: no script from another site."""

from __future__ import annotations

from typing import Any

from docutils.nodes import SkipNode
from docutils.utils.math.latex2mathml import tex2mathml


def inline(self: Any, node: Any) -> None:
    """A formula within a line."""
    self.body.append(tex2mathml(node.astext(), as_block=False))
    raise SkipNode


def block(self: Any, node: Any) -> None:
    """A formula in a paragraph of its own."""
    markup = tex2mathml(node.astext(), as_block=True)
    self.body.append(f'<div class="formula">{markup}</div>\n')
    raise SkipNode


def setup(app: Any) -> dict[str, bool]:
    """Called by Sphinx."""
    app.add_html_math_renderer("mathml", (inline, None), (block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
