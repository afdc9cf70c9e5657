"""The picture in docs/trace.md: the page that its code writes, at one step.

python -m parity_tests.trace_picture         # writes docs/trace.png, in chromium
"""

from __future__ import annotations

import contextlib
import doctest
import io
import shutil
from pathlib import Path
from typing import Any

import minikeras

DOCS = Path(__file__).parents[1] / "docs"
SIZE = {"width": 1180, "height": 860}
# As containers need it; without background services.
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]


def documented_trace() -> Any:
    """The trace of docs/trace.md, made by its own code."""
    minikeras.utils.clear_session()
    text = (DOCS / "trace.md").read_text(encoding="utf-8")
    names: dict[str, Any] = {}
    test = doctest.DocTestParser().get_doctest(text, names, "trace", "trace.md", 0)
    with contextlib.redirect_stdout(io.StringIO()):
        doctest.DocTestRunner(verbose=False).run(test, clear_globs=False)
    return test.globs["found"]


def shoot(context: Any, path: Path) -> tuple[Any, bytes]:
    """The page at the first step of the backward pass, a number focused; its picture.

    Args:
        context: of a browser, with a viewport of `SIZE`.
        path: where to write the page.
    """
    documented_trace().to_html(path)
    page = context.new_page()
    page.goto(path.as_uri())
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    page.focus("[data-name=dkernel] td[aria-label] >> nth=2")
    return page, page.screenshot()


def main() -> None:
    """Writes the picture."""
    import tempfile

    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=ARGUMENTS
        )
        context = browser.new_context(viewport=SIZE, color_scheme="light")
        _, picture = shoot(context, Path(folder) / "trace.html")
        (DOCS / "trace.png").write_bytes(picture)
        browser.close()


if __name__ == "__main__":
    main()
