"""The site has every page and every lesson, and can be built from what is here.

The build itself is a step of `.ci/run`: it runs the lessons and checks every link
between pages.
"""

from __future__ import annotations

import doctest
import importlib
import re
import runpy
import sys
import tomllib
from pathlib import Path

import pytest

import minikeras
from minikeras import registry

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
INDEX = (DOCS / "index.md").read_text(encoding="utf-8")
PAGES = sorted(
    path.relative_to(DOCS).as_posix()
    for path in DOCS.rglob("*.md")
    if not {"learn", "api"} & set(path.parts)  # made by the build
)
LESSONS = sorted(path.name for path in (DOCS / "lessons").glob("[0-9][0-9]_*.py"))


@pytest.fixture
def docs_on_path(monkeypatch):
    monkeypatch.syspath_prepend(str(DOCS))
    yield
    for name in [name for name in sys.modules if name.split(".")[0] == "_site"]:
        del sys.modules[name]


def toctree_entries(page: str) -> set[str]:
    """The pages that the toctrees of a page name; `*` stands for all of a folder."""
    text = (DOCS / page).read_text(encoding="utf-8")
    found: set[str] = set()
    folder = Path(page).parent
    for block in re.findall(r"```\{toctree\}\n(.*?)```", text, re.DOTALL):
        for line in block.splitlines():
            entry = line.strip()
            if entry and not entry.startswith(":"):
                paths = DOCS.glob(f"{(folder / entry).as_posix()}.md")
                found |= {path.relative_to(DOCS).as_posix() for path in paths}
    return found


def test_every_page_is_in_a_toctree():
    listed = {"index.md"}.union(*(toctree_entries(page) for page in PAGES))
    assert sorted(listed - {"api/index.md"}) == PAGES
    assert "\nlearn/index\n" in INDEX  # the lessons, made by the build
    assert "\napi/index\n" in INDEX  # the reference, too


def test_every_page_is_linked_from_the_first():
    """Or from the first page of its folder."""
    for page in PAGES:
        folder = [p for p in PAGES if Path(p).parent == Path(page).parent]
        heads = [p for p in folder if Path(p).stem in ("index", "README")]
        texts = [(DOCS / head).read_text(encoding="utf-8") for head in heads]
        inside = any(f"]({Path(page).name})" in text for text in texts)
        assert page == "index.md" or f"]({page})" in INDEX or inside, page


def test_the_first_page_lists_the_lessons_in_order():
    listed = re.findall(r"^\d+\. \[.*?\]\(lessons/(\d\d_\w+\.py)\)", INDEX, re.M)
    assert listed == LESSONS


def test_lessons_are_numbered_without_gaps():
    assert [int(name[:2]) for name in LESSONS] == list(range(1, len(LESSONS) + 1))


def test_links_between_files_lead_somewhere():
    for page in PAGES:
        text = (DOCS / page).read_text(encoding="utf-8")
        for target in re.findall(r"\]\(([^)#\s]+)", text):
            if not target.startswith("http"):
                assert ((DOCS / page).parent / target).exists(), f"{page}: {target}"
    for lesson in LESSONS:
        text = (DOCS / "lessons" / lesson).read_text(encoding="utf-8")
        for target in re.findall(r":doc:`(?:[^`<]*<)?([^`>]+)>?`", text):
            if target != "index":  # the list of lessons, made by the build
                is_page = target.startswith("/")
                file = f"{target[1:]}.md" if is_page else f"lessons/{target}.py"
                assert (DOCS / file).exists(), f"{lesson}: {target}"


def test_names_of_lessons_are_those_of_the_first_page():
    listed = re.findall(r"^\d+\. \[(.*?)\]\(lessons/(\d\d_\w+\.py)\)", INDEX, re.M)
    for title, name in listed:
        text = (DOCS / "lessons" / name).read_text(encoding="utf-8")
        assert f"{int(name[:2])}. {title.replace('`', '')}\n" in text.replace("`", "")


def test_conf_runs_the_lessons_and_stops_at_errors(monkeypatch, docs_on_path):
    monkeypatch.setattr(sys, "path", list(sys.path))
    conf = runpy.run_path(str(DOCS / "conf.py"))
    gallery = conf["sphinx_gallery_conf"]
    assert gallery["examples_dirs"] == ["lessons"]
    assert gallery["gallery_dirs"] == ["learn"]
    assert gallery["abort_on_example_error"]
    assert all(re.search(gallery["filename_pattern"], f"/{name}") for name in LESSONS)
    assert conf["nitpicky"]
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").split()
    assert {"docs/learn/", "docs/api/", "build/"} <= set(ignored)


def test_the_extra_has_what_conf_asks_for():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    extras = project["project"]["optional-dependencies"]
    names = {re.split(r"[><=\[]", line)[0] for line in extras["docs"]}
    assert {"sphinx", "myst-parser", "sphinx-gallery", "furo"} <= names
    assert any("docs" in line for line in extras["test"] if "minikeras" in line)


def test_the_build_is_the_last_step_of_ci():
    *_, last = (ROOT / ".ci" / "run").read_text(encoding="utf-8").strip().splitlines()
    assert "sphinx -W" in last or "site" in last


def test_the_first_page_draws_weights_before_and_after_training(docs_on_path):
    (code,) = re.findall(r"```\{before-and-after\}\n(.*?)```", INDEX, re.DOTALL)
    drawing = importlib.import_module("_site.before_and_after")
    found: dict = {}
    exec(compile(code, "index.md", "exec"), found)
    assert found["first"] < 0.2 and found["last"] > 0.9
    html = drawing.figure(found)
    assert html.count("<svg") == 20 and html.count("<path") == 20 * 64
    assert f"{found['last']:.0%}" in html


def test_the_reference_has_all_that_is_public(docs_on_path):
    reference = importlib.import_module("_site.reference")
    for module in ("layers", "losses", "metrics", "optimizers", "activations"):
        of_page = reference.documented(getattr(minikeras, module)).values()
        found = {
            registry.find(f"keras.{module}", name)
            for name in registry.names(f"keras.{module}")
        }
        missing = {thing for thing in found if isinstance(thing, type)} - set(of_page)
        assert not missing
    text = reference.page("layers")
    assert "## Dense\n" in text and "dkernel = x.T @ dz" in text
    assert "- `units`: U, the size" in text
    assert "```pycon\n>>> layer = Dense(1" in text


@pytest.mark.parametrize(
    "name", ["links", "before_and_after", "docstrings", "reference"]
)
def test_examples_of_the_extensions(name, docs_on_path):
    module = importlib.import_module(f"_site.{name}")
    result = doctest.testmod(module)
    assert result.attempted and not result.failed
