"""Links: those to files are led to pages, those to other sites are listed.

A page links to a lesson's script, `lessons/03_what_training_changes.py`, so that the
link works where the repository is read; here it leads to the page made from it. Links
to other sites are not fetched by the build; `external-links.txt` beside the pages says
where they are, and `python -m sphinx -b linkcheck docs build/links` tries them.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from docutils import nodes

LESSON = re.compile(r"\]\(((?:\.\./)*)lessons/(\d\d_\w+)\.py\)")
CODE = "](../minikeras/__init__.py)"  # where the docstrings are; here, the reference
SECURITY = re.compile(r"\]\((?:\.\./)SECURITY\.md")


def to_pages(text: str) -> str:
    """The text of a Markdown page, with links to files led to the pages made of them.

    >>> to_pages("[a](../lessons/01_a.py), [b](../SECURITY.md)")
    '[a](../learn/01_a.rst), [b](security.md)'
    """
    text = LESSON.sub(r"](\1learn/\2.rst)", text)
    return SECURITY.sub("](security.md", text).replace(CODE, "](api/index.md)")


def read(app: Any, name: str, source: list[str]) -> None:
    """Called by Sphinx with the text of each page."""
    source[0] = to_pages(source[0])


def external(document: nodes.document) -> list[str]:
    """The addresses of other sites that a page links to."""
    found = [node.get("refuri", "") for node in document.findall(nodes.reference)]
    return sorted({address for address in found if address.startswith("http")})


def write_list(app: Any, error: Exception | None) -> None:
    """Called by Sphinx at the end: one line for each page and address."""
    if error or app.builder.name != "html":
        return
    lines = []
    for name in sorted(app.env.found_docs):
        addresses = external(app.env.get_doctree(name))
        lines += [f"{name}: {address}\n" for address in addresses]
    text = "".join(lines)
    Path(app.outdir, "external-links.txt").write_text(text, encoding="utf-8")


def setup(app: Any) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("source-read", read)
    app.connect("build-finished", write_list)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
