"""Docstrings of this library as Markdown."""

from __future__ import annotations

import inspect
import re

# Sections whose lines are `name: text`; those of the others are text.
ITEMS = ("Args", "Attributes", "Raises", "Weights")
SECTION = re.compile(r"^([A-Z][a-z]+(?: [a-z]+)?):$")
ITEM = re.compile(r"^(\**\w[\w.,* ]*): +(.*)$")


def block_end(lines: list[str], start: int) -> int:
    """Where the indented lines that begin at `start` end; blank ones belong to them."""
    end = start
    for number in range(start, len(lines)):
        if lines[number].startswith("    "):
            end = number + 1
        elif lines[number].strip():
            break
    return end


def items(lines: list[str]) -> list[str]:
    """Lines of `name: text` as a list, further lines of an item indented.

    >>> items(["axis: where,", "    or None."])
    ['- `axis`: where,', '  or None.']
    """
    found = []
    for line in lines:
        match = ITEM.match(line)
        if match:
            found.append(f"- `{match[1]}`: {match[2]}")
        elif line.startswith("    ") and found:
            found.append("  " + line[4:])
        else:
            found.append(("  " if found else "") + line)
    return found


def plain(line: str) -> str:
    """A line of text in which nothing looks like HTML.

    >>> plain("x < y, <b> and `<b>`")
    'x < y, &lt;b> and `<b>`'
    """
    parts = re.split(r"(`[^`]*`)", line)
    parts[::2] = [re.sub(r"<(?=[A-Za-z/!?])", "&lt;", part) for part in parts[::2]]
    return "".join(parts)


def to_markdown(docstring: str | None) -> str:
    r"""A docstring with its sections, lists, formulas and examples as Markdown.

    >>> to_markdown("Adds.\n\nArgs:\n    x: one.\n\nThat is all.")
    'Adds.\n\n**Args**\n\n- `x`: one.\n\nThat is all.'
    """
    lines = inspect.cleandoc(docstring or "").splitlines()
    found: list[str] = []
    at = 0
    while at < len(lines):
        line = lines[at]
        section = SECTION.match(line)
        if section and lines[at + 1 : at + 2] and lines[at + 1].startswith("    "):
            end = block_end(lines, at + 1)
            block = inspect.cleandoc("\n" + "\n".join(lines[at + 1 : end])).splitlines()
            block = items(block) if section[1] in ITEMS else block
            found += ["", f"**{section[1]}**", "", *map(plain, block)]
            at = end
        elif line.lstrip().startswith(">>>"):
            end = at
            while end < len(lines) and lines[end].strip():
                end += 1
            example = inspect.cleandoc("\n" + "\n".join(lines[at:end]))
            found += ["", "```pycon", example, "```", ""]
            at = end
        elif line.startswith("    ") and (at == 0 or not lines[at - 1].strip()):
            end = block_end(lines, at)
            found += lines[at:end]
            at = end
        else:
            found.append(plain(line))
            at += 1
    return re.sub(r"\n{3,}", "\n\n", "\n".join(found)).strip()
