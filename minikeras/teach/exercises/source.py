"""Cuts an exercise out of the library's source: what is shown, what is blank.

The learner's file is made of the source itself, so it cannot become another thing than
what it teaches. An exercise that names something that is not there raises LookupError.
"""

from __future__ import annotations

import ast
import functools
import inspect
import re
import textwrap
from pathlib import Path
from typing import Any, NamedTuple

from minikeras.teach.exercises.exercise import Blank, Exercise

YOUR_TURN = 'raise NotImplementedError("your turn")'
_WIDTH = 88
_TEXT_WIDTH = 80
# Paragraphs of a docstring that begin so end the one before.
_SECTION = re.compile(r"\*\*|>>>|NB:|[A-Z][a-z ]+:")


class Piece(NamedTuple):
    """One function, method or class of the library.

    Attributes:
        name: as in `Exercise.show`.
        node: its syntax tree.
        lines: its source, from the first decorator.
        start: the number of the first of them in the file.
    """

    name: str
    node: Any
    lines: list[str]
    start: int


class Source(NamedTuple):
    """A module: its path, its pieces by name, and where its names come from."""

    path: Path
    pieces: dict[str, Piece]
    origins: dict[str, str]  # name -> the import statement that gives it


@functools.cache
def read(module: str) -> Source:
    """The source of a module of the library, cut into pieces."""
    import importlib

    path = Path(inspect.getfile(importlib.import_module(module)))
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    pieces: dict[str, Piece] = {}
    origins: dict[str, str] = {}

    def add(name: str, node: Any) -> None:
        first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
        part = lines[first - 1 : node.end_lineno]
        pieces[name] = Piece(name, node, part, first)

    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            name = _name(node)
            add(name, node)
            origins[name] = f"from {module} import {name}"
            if isinstance(node, ast.ClassDef):
                for inner in node.body:
                    if isinstance(inner, ast.FunctionDef):
                        add(f"{name}.{inner.name}", inner)
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    origins[target.id] = f"from {module} import {target.id}"
        for inner in [node, *(node.body if isinstance(node, ast.If) else [])]:
            _note_imports(inner, origins)
    return Source(path, pieces, origins)


def _name(node: Any) -> str:
    """The name of a definition; `sigmoid.gradient` for what is below that decorator."""
    for decorator in node.decorator_list:
        if node.name == "_" and isinstance(decorator, ast.Attribute):
            return ast.unparse(decorator)
    return node.name


def _note_imports(node: Any, origins: dict[str, str]) -> None:
    if isinstance(node, ast.Import):
        for alias in node.names:
            origins[alias.asname or alias.name] = ast.unparse(ast.Import([alias]))
    elif isinstance(node, ast.ImportFrom):
        for alias in node.names:
            one = ast.ImportFrom(node.module, [alias], node.level)
            origins[alias.asname or alias.name] = ast.unparse(one)


def piece(module: str, name: str) -> Piece:
    """A piece by its name.

    Raises:
        LookupError: if the module has none.
    """
    pieces = read(module).pieces
    if name not in pieces:
        raise LookupError(f"{module} has no {name}")
    return pieces[name]


def solution(exercise: Exercise) -> list[tuple[str, str]]:
    """(place, source) of each part that is blank in the exercise."""
    path = read(exercise.module).path
    root = Path(inspect.getfile(__import__("minikeras"))).parents[1]
    found = []
    for blank in exercise.blanks:
        part = piece(exercise.module, blank.where)
        place = f"{path.relative_to(root).as_posix()}, line {part.start}"
        found.append((place, textwrap.dedent("\n".join(part.lines))))
    return found


def render(exercise: Exercise, solved: bool = False) -> str:
    """The learner's file; with `solved`, what it must become."""
    parts = _imports(exercise)
    blanks = {} if solved else {b.where: b for b in exercise.blanks}
    for b in exercise.blanks:
        if b.where not in exercise.show:
            raise LookupError(f"{exercise.name}: {b.where} is blank, but not shown")
    open_class = ""
    for name in exercise.show:
        part = piece(exercise.module, name)
        owner, _, method = name.partition(".")
        is_method = method not in ("", "gradient")
        text = _blanked(part, blanks[name]) if name in blanks else _shown(part)
        if not is_method:
            parts.append(f"\n\n{text}\n")
        elif open_class != owner:
            docstring = '    """The layer of the library, but for what is below."""'
            head = f"class {owner}(layers.{owner}):\n{docstring}"
            parts.append(f"\n\n{head}\n\n{text}\n")
        else:
            parts.append(f"\n{text}\n")
        open_class = owner if is_method else ""
    return _heading(exercise) + "".join(parts)


def _heading(exercise: Exercise) -> str:
    command, name = "python -m minikeras exercises", exercise.name
    lines = [
        f'"""{name}: {exercise.title}.',
        "",
        _filled(exercise.text.strip()),
        "",
        'Write what is missing below ("your turn"), then',
        "",
        f"    {command} check {name}",
        f"    {command} hint {name}",
        '"""',
        "",
        "from __future__ import annotations",
    ]
    return "\n".join(lines) + "\n\n"


def _filled(text: str) -> str:
    """The text with paragraphs of 80 columns; formulas and lists as they are."""
    paragraphs = text.split("\n\n")
    for i, paragraph in enumerate(paragraphs):
        if not re.search(r"^( |\d\.)", paragraph, re.MULTILINE):
            paragraphs[i] = textwrap.fill(" ".join(paragraph.split()), _TEXT_WIDTH)
    return "\n\n".join(paragraphs)


def _imports(exercise: Exercise) -> list[str]:
    """The imports of what is shown, in one block."""
    origins = read(exercise.module).origins
    shown = {name.partition(".")[0] for name in exercise.show}
    used: set[str] = set()
    for name in exercise.show:
        node = piece(exercise.module, name).node
        decorators = [d for d in node.decorator_list if not _is_public(d)]
        for inner in [*node.body, *decorators, getattr(node, "args", None)]:
            used |= {n.id for n in ast.walk(inner or ast.Pass()) if _is_name(n)}
        if getattr(node, "returns", None) is not None:
            used |= {n.id for n in ast.walk(node.returns) if _is_name(n)}
        used |= {b.id for b in getattr(node, "bases", []) if _is_name(b)}
    statements = {origins[name] for name in used - shown if name in origins}
    if any(s.partition(".")[2] not in ("", "gradient") for s in exercise.show):
        statements.add("from minikeras import layers")
    return [_import_block(statements)]


def _is_name(node: Any) -> bool:
    return isinstance(node, ast.Name)


def _import_block(statements: set[str]) -> str:
    """The statements sorted, those from one module as one, as ruff would have them."""
    plain = sorted(s for s in statements if s.startswith("import "))
    modules: dict[str, list[str]] = {}
    for statement in statements:
        if statement.startswith("from "):
            _, module, _, names = statement.split(" ", 3)
            modules.setdefault(module, []).append(names)
    groups: list[list[str]] = [[], [], []]  # the standard library, numpy, minikeras
    for line in plain:
        groups[1 if "numpy" in line else 0].append(line)
    for module in sorted(modules):
        names = sorted(modules[module])
        line = f"from {module} import {', '.join(names)}"
        if len(line) > _WIDTH:
            inner = "".join(f"    {name},\n" for name in names)
            line = f"from {module} import (\n{inner})"
        own = module.partition(".")[0] == "minikeras"
        groups[2 if own else 0].append(line)
    return "\n\n".join("\n".join(group) for group in groups if group) + "\n"


def _is_public(decorator: Any) -> bool:
    """`@public(...)` registers the library's own; a copy must not."""
    return ast.unparse(decorator).startswith("public(")


def _head(part: Piece) -> list[str]:
    """Decorators and signature."""
    node = part.node
    offset = part.start
    public = {
        n - offset
        for d in node.decorator_list
        if _is_public(d)
        for n in range(d.lineno, d.end_lineno + 1)
    }
    until = node.body[0].lineno - offset
    return [line for i, line in enumerate(part.lines[:until]) if i not in public]


def _shown(part: Piece) -> str:
    """A piece with its docstring shortened."""
    body = part.lines[part.node.body[0].lineno - part.start :]
    docstring, indent = ast.get_docstring(part.node), _indent(part)
    if docstring is None:
        return "\n".join([*_head(part), *body])
    rest = part.lines[part.node.body[0].end_lineno - part.start + 1 :]
    if rest and not rest[0].strip() and isinstance(part.node, ast.FunctionDef):
        rest = rest[1:]
    return "\n".join([*_head(part), *_docstring(docstring, indent), *rest])


def _indent(part: Piece) -> str:
    first = part.node.body[0]
    return " " * first.col_offset


def _blanked(part: Piece, blank: Blank) -> str:
    """A piece with its body, or the named statements, taken out."""
    if blank.only:
        return _with_gaps(part, blank)
    indent, body = _indent(part), list(part.node.body)
    docstring = blank.doc or ast.get_docstring(part.node) or ""
    lines = _head(part)
    if docstring:
        lines += _docstring(docstring, indent)
    if ast.get_docstring(part.node) is not None:
        body = body[1:]
    for prefix, statement in zip(blank.keep, body, strict=False):
        kept = part.lines[
            statement.lineno - part.start : statement.end_lineno - part.start + 1
        ]
        if not kept[0].strip().startswith(prefix):
            raise LookupError(f"{blank.where} does not begin with {prefix!r}")
        lines += kept
    return "\n".join([*lines, *_gap(blank.note, indent)])


def _gap(note: str, indent: str) -> list[str]:
    room = _WIDTH - len(indent) - 2
    notes = [
        f"{indent}# {line}" for text in note.splitlines() for line in _wrap(text, room)
    ]
    return [*notes, indent + YOUR_TURN]


def _wrap(text: str, room: int) -> list[str]:
    return textwrap.wrap(text, room) or [""]


def _with_gaps(part: Piece, blank: Blank) -> str:
    """A piece with the statements that begin like one of `only` taken out."""
    gaps: dict[int, tuple[int, list[str]]] = {}
    for prefix in blank.only:
        found = [
            s
            for s in ast.walk(part.node)
            if isinstance(s, ast.stmt)
            and part.lines[s.lineno - part.start].strip().startswith(prefix)
        ]
        if not found:
            raise LookupError(f"{blank.where} has no statement {prefix!r}")
        for s in found:
            gap = _gap(blank.note, " " * s.col_offset)
            if s.end_lineno is not None:
                gaps[s.lineno - part.start] = (s.end_lineno - part.start, gap)
    lines, i = [], 0
    while i < len(part.lines):
        if i in gaps:
            end, gap = gaps[i]
            lines += gap
            i = end + 1
        else:
            lines.append(part.lines[i])
            i += 1
    text = "\n".join(lines)
    node = ast.parse(textwrap.dedent(text)).body[0]
    shifted = Piece(part.name, _at(node, part), lines, 1)
    return _shown(shifted)


def _at(node: Any, part: Piece) -> Any:
    """The node of a dedented text, with the columns that it had."""
    for inner in ast.walk(node):
        if hasattr(inner, "col_offset"):
            inner.col_offset += part.node.col_offset
    return node


def _docstring(text: str, indent: str) -> list[str]:
    """A docstring without its gradient and examples, as lines of source."""
    kept, skipping = [], False
    for paragraph in re.split(r"\n\s*\n", text.strip("\n")):
        if _SECTION.match(paragraph):
            skipping = paragraph.startswith(("**Gradient", ">>>"))
        if not skipping:
            kept.append(paragraph)
    quote = 'r"""' if "\\" in text else '"""'
    whole = textwrap.indent("\n\n".join(kept), indent).lstrip().splitlines()
    if len(whole) == 1:
        return [f'{indent}{quote}{whole[0]}"""']
    return [f"{indent}{quote}{whole[0]}", *whole[1:], f'{indent}"""']
