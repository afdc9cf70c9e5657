"""Links that lead to files become links to pages, where the site has a page for them.

A page links to a lesson's script, `lessons/03_what_training_changes.py`, so that the
link works where the repository is read; here it leads to the page made from it.
"""

from __future__ import annotations

import re
from typing import Any

LESSON = re.compile(r"\]\(((?:\.\./)*)lessons/(\d\d_\w+)\.py\)")
SECURITY = re.compile(r"\]\((?:\.\./)SECURITY\.md")


def to_pages(text: str) -> str:
    """The text of a Markdown page, with links to files led to the pages made of them.

    >>> to_pages("[a](../lessons/01_a.py), [b](../SECURITY.md)")
    '[a](../learn/01_a.rst), [b](security.md)'
    """
    text = LESSON.sub(r"](\1learn/\2.rst)", text)
    return SECURITY.sub("](security.md", text)


def read(app: Any, name: str, source: list[str]) -> None:
    """Called by Sphinx with the text of each page."""
    source[0] = to_pages(source[0])


def setup(app: Any) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("source-read", read)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
