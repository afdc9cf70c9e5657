"""Reads the pages that `Trace.to_html` writes, as a browser would."""

from __future__ import annotations

import base64
import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np

KINDS = {"f4": "<f4", "f8": "<f8", "u1": "u1"}


class Page(HTMLParser):
    """The elements of a page.

    Attributes:
        elements: (tag, attributes) in their order.
        texts: (tag, attributes, text) of scripts and styles.
        title: the text of the title.
        data: what the script reads.
    """

    def __init__(self, path: Path):
        super().__init__()
        self.text = path.read_text(encoding="utf-8")
        self.elements: list[tuple[str, dict[str, Any]]] = []
        self.texts: list[tuple[str, dict[str, Any], str]] = []
        self.title = self._text = ""
        self.feed(self.text)
        self.close()
        (found,) = [t for _, a, t in self.texts if a.get("id") == "data"]
        self.data = json.loads(found)

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.elements.append((tag, dict(attrs)))
        self._text = ""

    def handle_data(self, data: str) -> None:
        self._text += data

    def handle_endtag(self, tag: str) -> None:
        if tag in ("script", "style"):
            self.texts.append((*self.elements[-1], self._text))
        elif tag == "title":
            self.title = self._text

    def array(self, entry: dict[str, Any]) -> np.ndarray:
        """The numbers of an entry, as far as they are on the page."""
        found = self.data["arrays"][entry["array"]]
        raw = base64.b64decode(found["data"])
        flat = np.frombuffer(raw, KINDS[found["kind"]])
        return flat.reshape(found["window"])

    def entries(self, step: dict[str, Any]) -> dict[str, dict[str, Any]]:
        """name -> entry, of one step; those of updates as `kernel/before`."""
        update = step["phase"] == "update"
        return {
            (f"{group['title']}/{entry['name']}" if update else entry["name"]): entry
            for group in step["groups"]
            for entry in group["arrays"]
        }


def windowed(array: np.ndarray, like: np.ndarray) -> np.ndarray:
    """The part of an array that a page shows."""
    return np.asarray(array)[tuple(slice(0, n) for n in like.shape)]
