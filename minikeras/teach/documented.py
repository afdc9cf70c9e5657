"""What classes and functions say of themselves: the sections of their docstrings."""

from __future__ import annotations

import inspect
import re
from typing import Any

from minikeras.config import image_data_format

# A section begins with names in bold at the beginning of a line.
_HEADING = re.compile(
    r"^\*\*(?:\w+)\*\*(?:(?:,| and)\s+\*\*\w+\*\*)*:?[ \t]*", re.MULTILINE
)
_REFERENCE = re.compile(r"(?:[Tt]hose|[Tt]hat|One step is|is|as) (?:of|in) `(\w+)`")
_FIELDS = re.compile(r"^    ((?:\w+)(?:, \w+)*): (.*(?:\n(?: {8,}.*)?)*)", re.MULTILINE)


def section(described: Any, title: str) -> str:
    """The text under `**Formula**`, `**Gradient**` or `**Keeps**`; "" without.

    >>> from minikeras.layers import Dense
    >>> section(Dense, "Formula").partition(".")[0]
    '`y = activation(z)`, `z = x @ kernel + bias`'
    """
    text = inspect.getdoc(described) or ""
    for match in _HEADING.finditer(text):
        if f"**{title}**" not in match[0]:
            continue
        rest = text[match.end() :]
        following = _HEADING.search(rest)
        rest = rest[: following.start()] if following else rest
        rest = re.split(r"\n\n(?=\S[^\n]*:\n {4}|>>> |Reference|NB: |\[)", rest)[0]
        text = rest.split("\n\n>>> ")[0].strip("\n").rstrip()
        return text[:1].upper() + text[1:] if text[1:2].isalpha() else text
    return ""


def formula(layer: Any, title: str = "Formula") -> str:
    """The formula of a layer or operation, followed to the class it refers to."""
    described = getattr(layer, "function", None) or type(layer)
    text = section(described, title)
    referred = _REFERENCE.search(text)
    if referred:
        from minikeras import layers

        other = getattr(layers, referred[1], None)
        more = section(other, title) if other is not None else ""
        if more and other is not described:
            pointer = "One step" if text.startswith("One step") else text
            text = f"{pointer} (`{referred[1]}`):\n\n{more}"
    return text


def fields(residuals: Any) -> dict[str, str]:
    """name -> meaning, of the fields of a NamedTuple, from its docstring."""
    text = inspect.getdoc(type(residuals)) or ""
    _, found, attributes = text.partition("Attributes:\n")
    meanings: dict[str, str] = {}
    for match in _FIELDS.finditer(attributes if found else ""):
        for name in match[1].split(", "):
            meanings[name] = " ".join(match[2].split())
    return meanings


def settings(layer: Any) -> dict[str, Any]:
    """The arguments a layer was made with, plain ones that are not the defaults."""
    try:
        config = layer.get_config()
    except Exception:  # a layer of the user's own need not have one
        return {}
    found = {}
    for name, parameter in inspect.signature(type(layer).__init__).parameters.items():
        value = config.get(name)
        if name in ("self", "name") or isinstance(value, dict) or name not in config:
            continue
        if name == "data_format" and value == image_data_format():
            continue
        if value != parameter.default and value is not None:
            found[name] = value
    return found
