"""The page of a trace in a real browser: collected once for each one on the machine."""

from __future__ import annotations

import re
import shutil
import subprocess
from importlib.util import find_spec

import numpy as np
import pytest

import minikeras as mk
from minikeras import layers
from minikeras.teach import trace
from minikeras.teach.trace_text import arrays_of
from parity_tests.tolerance import assert_equal
from parity_tests.trace_models import CASES
from parity_tests.trace_pages import Page
from parity_tests.trace_picture import ARGUMENTS, DOCS, SIZE, shoot

NAMES = ("chromium", "chromium-browser", "google-chrome")


def works(path: str | None) -> bool:
    """Whether this is a browser, and no stand-in that says how to install one."""
    if path is None:
        return False
    return not subprocess.run([path, "--version"], capture_output=True).returncode


BROWSERS = sorted({str(p) for p in map(shutil.which, NAMES) if works(p)})
PHONE, DESKTOP = (360, 740), (1280, 900)
SCHEMES = ["light", "dark"]

# The lowest contrast of any text with what is behind it; 4.5 is WCAG's AA.
LOWEST_CONTRAST = """() => {
  const rgb = (text) => (text.match(/[0-9.]+/g) || []).map(Number);
  const light = (c) => c.slice(0, 3)
    .map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  let lowest = [21, ""];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
    if (!own || !element.checkVisibility()) continue;
    if (element.closest("script, [aria-disabled=true], .skip")) continue;
    let behind = element, back = [0, 0, 0, 0];
    while (behind && (back = rgb(getComputedStyle(behind).backgroundColor))[3] === 0)
      behind = behind.parentElement;
    const [a, b] = [light(rgb(getComputedStyle(element).color)), light(back)];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < lowest[0]) lowest = [contrast, element.outerHTML.slice(0, 200)];
  }
  return lowest;
}"""
UNNAMED = """() => [...document.querySelectorAll("button, canvas, input, table, nav")]
  .filter((e) => !(e.getAttribute("aria-label") || e.textContent.trim()
    || (e.labels && e.labels.length)))
  .map((e) => e.outerHTML)"""
PIXELS = """(places) => {
  const canvas = document.activeElement;
  const ratio = canvas.width / canvas.clientWidth;
  const brush = canvas.getContext("2d");
  const { data } = brush.getImageData(0, 0, canvas.width, canvas.height);
  return places.map(([x, y]) => {
    const start = 4 * (Math.floor(y * ratio) * canvas.width + Math.floor(x * ratio));
    return [...data.slice(start, start + 3)];
  });
}"""


class Opened:
    """A page that is open in a browser."""

    def __init__(self, page, path):
        self.page = page
        self.errors: list[str] = []
        self.requests: list[str] = []
        page.on("console", lambda message: self.errors.append(message.text))
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", lambda request: self.requests.append(request.url))
        page.goto(path.as_uri())

    @property
    def step(self):
        """The number of the step that is shown."""
        return int(self.page.get_attribute("#main", "data-step"))

    def key(self, *names):
        for name in names:
            self.page.keyboard.press(name)

    def text(self, selector):
        return self.page.inner_text(selector)

    def check(self):
        assert not self.errors
        assert all(url.startswith(("file:", "data:")) for url in self.requests)


def value_of(text):
    """(name, index, number) in `kernel[0, 2] = 0.5`."""
    name, index, number = re.fullmatch(r"(.*)\[([\d, ]*)\] = (\S+)", text).groups()
    number = {"True": "1", "False": "0"}.get(number, number)
    return name, tuple(int(i) for i in index.split(",") if i.strip()), float(number)


def traced(name):
    case = CASES[name]
    return trace(case.make(mk), case.x, case.y, case.sample_weight)


def colour_of(value, scale):
    """Between those of zero and of the largest number, in the light scheme."""
    zero, blue, orange = (244, 244, 241), (31, 102, 184), (210, 96, 12)
    end, part = blue if value < 0 else orange, abs(float(value)) / float(scale)
    return [a + (b - a) * part for a, b in zip(zero, end, strict=True)]


def large():
    """A model with arrays that are drawn as pictures."""
    model = mk.Sequential(
        [
            mk.Input((100,)),
            layers.Dense(70, activation="relu", name="wide"),
            layers.Dense(3, activation="softmax", name="out"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    rng = np.random.default_rng(0)
    return trace(model, rng.standard_normal((40, 100)), rng.integers(0, 3, 40))


if BROWSERS and find_spec("playwright"):

    @pytest.fixture(scope="module", params=BROWSERS)
    def browser(request):
        from playwright.sync_api import sync_playwright

        with sync_playwright() as playwright:
            launched = playwright.chromium.launch(
                executable_path=request.param, args=ARGUMENTS
            )
            yield launched
            launched.close()

    @pytest.fixture
    def open_page(browser, tmp_path):
        contexts = []

        def opened(found, size=DESKTOP, scheme="light"):
            path = tmp_path / "trace.html"
            found.to_html(path)
            viewport = {"width": size[0], "height": size[1]}
            context = browser.new_context(viewport=viewport, color_scheme=scheme)
            contexts.append(context)
            return Opened(context.new_page(), path)

        yield opened
        for context in contexts:
            context.close()

    class TestSteps:
        @pytest.mark.parametrize("name", list(CASES))
        def test_by_click(self, name, open_page, tmp_path):
            shown = open_page(traced(name))
            steps = Page(tmp_path / "trace.html").data["steps"]
            for i, step in enumerate(steps):
                assert shown.step == i
                assert shown.text("main h2") == step["title"]
                assert shown.text("#where").startswith(f"Step {i + 1} of {len(steps)}")
                shown.page.click("#next", force=True)  # the last one is no use
            assert shown.step == len(steps) - 1  # the last one stays
            for i in reversed(range(len(steps) - 1)):
                shown.page.click("#back")
                assert shown.step == i
            shown.page.click("nav button >> nth=2")
            assert shown.step == 2
            shown.check()

        def test_by_key(self, open_page):
            shown = open_page(traced("xor"))
            shown.key("ArrowRight", "ArrowRight", "ArrowLeft")
            assert shown.step == 1
            shown.key("End")
            assert shown.step == 7
            assert shown.text(".phase") == "UPDATE 2 OF 2"
            shown.key("Home")
            assert shown.step == 0
            # By the focus alone: skip link, the list of steps, ...
            shown.key("Tab", "Tab", "Tab", "Enter")
            assert shown.step == 1
            shown.check()

        def test_the_list_on_a_phone(self, open_page):
            shown = open_page(traced("xor"), PHONE)
            assert not shown.page.is_visible("nav")
            shown.page.click("#list")
            assert shown.page.is_visible("nav")
            shown.key("Escape")
            assert not shown.page.is_visible("nav")
            shown.page.click("#list")
            shown.page.click("nav button >> nth=3")
            assert shown.step == 3 and not shown.page.is_visible("nav")
            shown.check()

    class TestNumbers:
        @pytest.mark.parametrize("name", ["xor", "conv"])
        def test_tables_show_the_arrays(self, name, open_page):
            found = traced(name)
            shown = open_page(found)
            for call in found.calls:
                shown.key("ArrowRight")
                arrays = {n: a for n, a, _ in arrays_of(call)}
                cells = shown.page.eval_on_selector_all(
                    ".flow td[aria-label]", "all => all.map((c) => c.ariaLabel)"
                )
                assert cells or call.name == "flatten"
                for cell in cells:
                    label, index, number = value_of(cell)
                    array = arrays[label]
                    assert_equal(np.asarray(number, array.dtype), array[index])
            shown.check()

        def test_by_hover_and_by_focus(self, open_page):
            found = traced("xor")
            shown = open_page(found)
            shown.key("ArrowRight")
            kernel = found["hidden"].kernel
            card = "[data-name=kernel]"
            shown.page.hover(f"{card} td[aria-label] >> nth=5")
            assert value_of(shown.text(f"{card} output"))[1:] == (
                (1, 1),
                shortest(kernel[1, 1]),
            )
            shown.page.focus(f"{card} td[aria-label] >> nth=0")
            shown.key("ArrowDown", "ArrowRight", "ArrowRight")
            assert value_of(shown.text(f"{card} output"))[1:] == (
                (1, 2),
                shortest(kernel[1, 2]),
            )
            assert shown.step == 1  # the keys were the table's
            shown.check()

        def test_pictures_show_the_arrays(self, open_page):
            found = large()
            shown = open_page(found)
            shown.key("ArrowRight")
            kernel = found["wide"].kernel
            card = "[data-name=kernel]"
            assert "Shown: the first 64" in shown.text(card)
            shown.page.focus(f"{card} canvas")
            size = shown.page.evaluate("document.activeElement.clientWidth / 64")
            places, colours = [], []
            for row, column in [(0, 0), (0, 1), (1, 1), (2, 1)]:
                if (row, column) != (0, 0):
                    shown.key("ArrowRight" if row == 0 else "ArrowDown")
                _, index, number = value_of(shown.text(f"{card} output"))
                assert index == (row, column)
                assert number == shortest(kernel[row, column])
                places.append([(column + 0.5) * size, (row + 0.5) * size])
                colours.append(colour_of(kernel[row, column], np.abs(kernel).max()))
            for found, expected in zip(
                shown.page.evaluate(PIXELS, places), colours, strict=True
            ):
                pairs = zip(found, expected, strict=True)
                assert all(abs(a - b) < 1 for a, b in pairs)
            shown.page.hover(f"{card} canvas", position={"x": 10 * size, "y": 1})
            assert value_of(shown.text(f"{card} output"))[1][0] == 0
            shown.check()

        def test_other_slices(self, open_page):
            found = traced("lstm")
            shown = open_page(found)
            shown.page.fill("[data-name=x] input", "2")
            label = shown.page.get_attribute(
                "[data-name=x] td[aria-label]", "aria-label"
            )
            assert value_of(label) == ("x", (2, 0, 0), shortest(found.x[2, 0, 0]))
            shown.check()

    class TestLooks:
        @pytest.mark.parametrize("scheme", SCHEMES)
        @pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
        @pytest.mark.parametrize("name", ["branches", "lstm", "large"])
        def test_nothing_sticks_out_or_fades(self, name, size, scheme, open_page):
            found = large() if name == "large" else traced(name)
            shown = open_page(found, size, scheme)
            page = shown.page
            background = page.evaluate(
                "getComputedStyle(document.body).backgroundColor"
            )
            dark = sum(map(int, re.findall(r"\d+", background))) < 3 * 128
            assert dark == (scheme == "dark")
            for _ in range(1 + 2 * len(found.calls)):
                if page.query_selector("summary"):
                    page.click("summary")
                wide = page.evaluate("document.documentElement.scrollWidth")
                assert wide <= size[0]
                contrast, where = page.evaluate(LOWEST_CONTRAST)
                assert contrast >= 4.5, where
                assert page.evaluate(UNNAMED) == []
                shown.key("ArrowRight")
            shown.check()

        def test_many_steps_fit(self, open_page):
            chain = [layers.Dense(2, activation="tanh") for _ in range(80)]
            model = mk.Sequential([mk.Input((2,)), *chain])
            model.compile("sgd", "mse")
            shown = open_page(trace(model, np.ones((2, 2)), np.ones((2, 2))), PHONE)
            wide = shown.page.evaluate("document.documentElement.scrollWidth")
            assert wide <= PHONE[0]
            line = shown.page.evaluate(
                """() => [line.scrollWidth - line.clientWidth,
                  line.lastChild.getBoundingClientRect().width]"""
            )
            assert line[0] <= 0 and line[1] > 0
            shown.key("End")
            assert shown.step == 1 + 80 + 1 + 80 + 80 - 1
            shown.check()

        def test_the_picture_in_the_documents(self, browser, tmp_path):
            """It shows what the page of that document's code shows."""
            context = browser.new_context(viewport=SIZE)
            page, picture = shoot(context, tmp_path / "trace.html")
            assert page.inner_text(".phase") == "BACKWARD 1 OF 2"
            assert page.inner_text("main h2") == "out"
            readout = page.inner_text("[data-name=dkernel] output")
            assert value_of(readout)[1] == (2, 0)
            kept = (DOCS / "trace.png").read_bytes()
            assert kept[:24] == picture[:24]  # a PNG of the same width and height
            context.close()

        def test_hostile_names(self, open_page):
            names = ["<img src=x onerror=alert(1)>", "'\"`${alert(1)}<script>"]
            chain = [layers.Dense(1, name=name) for name in names]
            model = mk.Sequential([mk.Input((1,)), *chain])
            model.compile("sgd", "mse")
            shown = open_page(trace(model, np.ones((2, 1)), np.ones((2, 1))))
            shown.key("ArrowRight")
            assert shown.text("main h2") == names[0]
            assert shown.page.query_selector("img") is None
            shown.check()


def shortest(value):
    """What a page shows of a float32: the shortest text that is this number."""
    return float(str(np.float32(value)))
