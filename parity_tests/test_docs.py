"""The documents' code runs, the walks also under Keras; links lead somewhere."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest

import minikeras
from parity_tests import oracle

ROOT = Path(__file__).parents[1]
DOCS = sorted((ROOT / "docs").glob("*.md"))
QUESTIONS = sorted((ROOT / "docs" / "confusions").glob("*.md"))
PAGES = [ROOT / "README.md", *DOCS, *QUESTIONS]
ANSWERS = [page for page in QUESTIONS if page.stem != "index"]
# The first lessons too: test_lessons.py.
WALKS = [ROOT / "docs" / "randomness.md", *ANSWERS]


def run(text: str, name: str, **names) -> list[str]:
    """Runs the examples of a page; the texts of those that printed something else."""
    minikeras.utils.clear_session()  # a page begins with `dense`, not with `dense_8`
    oracle.keras.backend.clear_session()
    test = doctest.DocTestParser().get_doctest(text, dict(names), name, name, 0)
    report: list[str] = []
    doctest.DocTestRunner(verbose=False).run(test, out=report.append)
    return report


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_examples_print_what_the_page_says(page):
    report = run(page.read_text(encoding="utf-8"), page.name)
    assert not report, "\n".join(report)


@pytest.mark.parametrize("walk", WALKS, ids=lambda page: page.name)
def test_walks_print_the_same_under_keras(walk):
    text = walk.read_text(encoding="utf-8")
    assert "import minikeras as keras" in text
    text = text.replace("import minikeras as keras", "keras = the_real_keras")
    report = run(text, walk.name, the_real_keras=oracle.keras)
    assert not report, "\n".join(report)


def test_questions_are_listed_in_order_by_their_titles():
    text = (ROOT / "docs" / "confusions" / "index.md").read_text(encoding="utf-8")
    listed = re.findall(r"^(\d+)\. \[(.*)\]\((\S+\.md)\)$", text, re.M)
    titles = [page.read_text(encoding="utf-8").splitlines()[0] for page in ANSWERS]
    assert [f"# {title}" for _, title, _ in listed] == titles
    assert [name for *_, name in listed] == [page.name for page in ANSWERS]
    numbers = [int(page.name[:2]) for page in ANSWERS]
    assert numbers == [int(n) for n, *_ in listed] == list(range(1, len(ANSWERS) + 1))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8")):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_a_changed_number_is_noticed():
    assert run(">>> 1 + 1\n3\n", "wrong")


def test_readme_has_the_two_commands():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "pip install -e . && python -m minikeras demo" in text
    assert 'pip install -e ".[test]" && pytest' in text
