"""The package as a whole: what it imports, in which direction, and how large it is."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "minikeras"
FILES = sorted(ROOT.rglob("*.py"))
# From the bottom up: a package may import those before it, and itself.
ORDER = ["ops", "layers", "trainers", "models"]
FRAMEWORKS = {"keras", "tensorflow", "jax", "torch", "tf_keras"}
LONGER = {"layer.py": 500, "trainer.py": 500}


def imports(path: Path) -> list[str]:
    """The modules a file imports when it is imported itself, not inside functions."""
    found = []
    nodes = list(ast.parse(path.read_text(encoding="utf-8")).body)
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.append(node.module)
            found += [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.If) and "TYPE_CHECKING" not in ast.dump(node.test):
            nodes += node.body + node.orelse
        elif isinstance(node, ast.Try):
            nodes += node.body
    return found


def test_imports_point_one_way():
    wrong = []
    for path in FILES:
        package = path.relative_to(ROOT).parts[0]
        if package not in ORDER:
            continue
        for other in ORDER[ORDER.index(package) + 1 :]:
            for module in imports(path):
                if f"{module}.".startswith(f"minikeras.{other}."):
                    wrong.append(f"{path.relative_to(ROOT)} imports {module}")
    assert not wrong


def test_no_framework_is_imported():
    wrong = [p for p in FILES if FRAMEWORKS & {m.split(".")[0] for m in imports(p)}]
    assert not wrong


def frameworks_imported_anywhere(path: Path) -> set[str]:
    """Frameworks that a file imports, in functions too, by statement or by name."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names: list[str | None] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module]
        elif isinstance(node, ast.Call) and "import" in ast.unparse(node.func):
            names = [a.value for a in node.args if isinstance(a, ast.Constant)]
        found.update(str(name).split(".")[0] for name in names)
    return found & FRAMEWORKS


def test_frameworks_are_imported_in_two_places():
    """Lazily, by functions that cannot work without: a hand-over of live models to
    Keras (and `verify`, which is made of it), and the demonstration's comparison."""
    found = {str(p.relative_to(ROOT)) for p in FILES if frameworks_imported_anywhere(p)}
    assert found == {"interop/frameworks.py", "demo/parity.py"}


def test_only_the_oracle_imports_keras():
    found = set()
    for path in Path(__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            else:
                continue
            if FRAMEWORKS & {name.split(".")[0] for name in names}:
                found.add(path.name)
    assert found == {"oracle.py"}


def test_files_fit_on_a_few_screens():
    lines = {p: p.read_text(encoding="utf-8").count("\n") for p in FILES}
    long = {str(p): n for p, n in lines.items() if n > LONGER.get(p.name, 400)}
    assert not long


def modules_after(code: str) -> set[str]:
    """The top-level modules in `sys.modules` after running `code` in a new process."""
    program = f"{code}\nimport sys, json\nprint(json.dumps(list(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-I", "-c", program],
        capture_output=True,
        text=True,
        check=True,
    )
    return {name.split(".")[0] for name in json.loads(done.stdout)}


@pytest.mark.parametrize(
    "code",
    [
        "import minikeras",
        "import minikeras as keras\n"
        "model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])\n"
        "model(__import__('numpy').ones((1, 2)))",
    ],
)
def test_only_numpy_and_the_standard_library_are_imported(code):
    # Editable installs and coverage tools put finders of their own there.
    before = modules_after("import numpy")
    extra = modules_after(code) - before - set(sys.stdlib_module_names)
    assert {name for name in extra if not name.startswith("_")} <= {"minikeras"}
