"""The reference: a page for each module, made from its docstrings by the build."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path
from typing import Any

from _site.docstrings import plain, to_markdown

MODULES = {
    "layers": "",
    "models": "",
    "losses": "",
    "metrics": "",
    "optimizers": "",
    "optimizers.schedules": "",
    "activations": "",
    "initializers": "",
    "regularizers": "",
    "constraints": "",
    "callbacks": "",
    "ops": "Functions of arrays and of symbolic tensors, each with its gradient.",
    "random": "",
    "saving": "",
    "datasets": "",
    "interop": "",
    "teach": "",
    "plot": "",
    "utils": "",
    "config": "",
    "tree": "",
}


# In modules without a list of public names.
HELPERS = {"getattr_for", "gradient_of", "refuse_value", "validate_float_arg"}

# What every layer, optimizer, ... has: described once, in its base class.
COMMON = {
    *("build", "call", "forward", "backward", "compute_mask", "compute_output_shape"),
    *("get_config", "from_config", "result", "reset_state", "update_state"),
}


def documented(module: Any) -> dict[str, Any]:
    """The classes and functions of a public module, each under its own name.

    Keras has many names for some things (`mse`, `MSE`, ...); the first that is the
    object's own is taken.
    """
    if module.__name__ == "minikeras.datasets":  # a module for each set
        parts = {part: documented(getattr(module, part)) for part in module.__all__}
        return {
            f"{part}.{name}": thing
            for part, names in parts.items()
            for name, thing in names.items()
        }
    listed = getattr(module, "__all__", None)
    found: dict[int, tuple[str, Any]] = {}
    for name in sorted(listed or dir(module)):
        thing = getattr(module, name, None)
        home = getattr(thing, "__module__", None) or ""
        is_own = home.startswith("minikeras" if listed else module.__name__)
        if name.startswith("_") or name in HELPERS or not is_own:
            continue
        if not callable(thing) or not inspect.getdoc(thing):
            continue
        if id(thing) not in found or getattr(thing, "__name__", "") == name:
            found[id(thing)] = (name, thing)
    return dict(sorted(found.values(), key=lambda pair: pair[0].lower()))


def signature(name: str, thing: Any) -> str:
    """`name(arguments)` without annotations, on several lines if it is long.

    >>> def add(x: int, *, y: int = 1) -> int: ...
    >>> signature("add", add)
    'add(x, *, y=1)'
    """
    try:
        parameters = inspect.signature(thing).parameters.values()
    except (TypeError, ValueError):
        return name
    bare = [p.replace(annotation=inspect.Parameter.empty) for p in parameters]
    bare = [p for p in bare if p.name != "self"]
    text = str(inspect.Signature(bare))
    if len(name + text) <= 80:
        return name + text
    return f"{name}(\n    {str(inspect.Signature(bare))[1:-1]}\n)".replace(
        ", ", ",\n    "
    )


def methods(thing: type) -> list[str]:
    """One line for each public method that the class adds; all of a base class."""
    found: dict[str, str] = {}
    is_base = thing.__name__ in ("Layer", "Metric", "Model", "Optimizer")
    for base in thing.__mro__:
        if base is thing or base.__name__.endswith(("Trainer", "Saving")):
            for name, value in vars(base).items():
                text = inspect.getdoc(value)
                if name.startswith("_") or not inspect.isfunction(value) or not text:
                    continue
                if is_base or name not in COMMON:
                    first = text.split("\n\n")[0].replace("\n", " ")
                    found.setdefault(name, f"- `{name}`: {plain(first)}")
    return [found[name] for name in sorted(found)]


def entry(name: str, thing: Any) -> str:
    """One class or function as Markdown."""
    parts = [f"## {name}", f"```python\n{signature(name, thing)}\n```"]
    parts.append(to_markdown(inspect.getdoc(thing)))
    if inspect.isclass(thing) and (listed := methods(thing)):
        parts.append("**Methods**\n\n" + "\n".join(listed))
    return "\n\n".join(parts)


def page(name: str) -> str:
    """The page of one module."""
    module = importlib.import_module("minikeras")
    for part in name.split("."):
        module = getattr(module, part)
    intro = MODULES[name] or to_markdown(inspect.getdoc(module))
    entries = [entry(*pair) for pair in documented(module).items()]
    return "\n\n".join([f"# keras.{name}", intro, *entries]) + "\n"


def write(app: Any) -> None:
    """Called by Sphinx before it reads the pages; only what changed is written."""
    folder = Path(app.srcdir, "api")
    folder.mkdir(exist_ok=True)
    pages = {f"{name}.md": page(name) for name in MODULES}
    names = "\n".join(MODULES)
    links = "\n".join(f"- [keras.{name}]({name}.md)" for name in MODULES)
    pages["index.md"] = (
        "# Reference\n\nEvery public class and function, from its docstring: "
        "arguments, shapes, formula, gradient, an example. After `import minikeras as "
        f"keras`:\n\n{links}\n\n```{{toctree}}\n:hidden:\n\n{names}\n```\n"
    )
    for name, text in pages.items():
        path = folder / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def setup(app: Any) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("builder-inited", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
