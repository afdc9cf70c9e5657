"""The page of a trace: its data equal the trace, and names cannot break out of it."""

from __future__ import annotations

import base64
import hashlib
import re
from importlib.resources import files

import numpy as np
import pytest

import minikeras as mk
from minikeras import layers
from minikeras.teach import trace
from minikeras.teach.documented import fields, formula, section
from minikeras.teach.trace_arrays import MOST, windowed
from minikeras.teach.trace_text import arrays_of
from parity_tests.tolerance import assert_equal
from parity_tests.trace_models import CASES
from parity_tests.trace_pages import Page
from parity_tests.trace_pages import windowed as part_of

HOSTILE = [
    "<script>alert(1)<!--",
    '"><img src=x onerror=alert(1)>',
    "'`${alert(1)}`@@DATA@@",
    "<!--<script>",
]


def page_of(found, tmp_path, name="trace.html"):
    """The page, written and read again."""
    found.to_html(tmp_path / name)
    return Page(tmp_path / name)


def model_with_names(names):
    """A chain of Dense layers with these names."""
    chain = [layers.Dense(1, name=name) for name in names]
    model = mk.Sequential([mk.Input((1,)), *chain], name=names[0])
    model.compile("sgd", "mse")
    return model


class TestData:
    @pytest.mark.parametrize("name", list(CASES))
    def test_every_array_is_there(self, name, tmp_path):
        case = CASES[name]
        found = trace(case.make(mk), case.x, case.y, case.sample_weight)
        page = page_of(found, tmp_path)
        steps = page.data["steps"]
        forward = [s for s in steps if s["phase"] == "forward"]
        backward = [s for s in steps if s["phase"] == "backward"]
        assert [s["title"] for s in forward] == [c.label for c in found.calls]
        assert [s["title"] for s in backward] == [c.label for c in found.backward]
        for call, step in zip(found.calls, forward, strict=True):
            there = page.entries(step)
            for label, array, _ in arrays_of(call):
                if not label.startswith(("d", "res")) or label == "dropout":
                    self.check(page, there[label], array)
        for call, step in zip(found.backward, backward, strict=True):
            there = page.entries(step)
            for label, array, _ in arrays_of(call):
                if label.startswith(("d", "residuals")):
                    self.check(page, there[label], array)

    @pytest.mark.parametrize("name", list(CASES))
    def test_every_update_is_there(self, name, tmp_path):
        case = CASES[name]
        found = trace(case.make(mk), case.x, case.y)
        page = page_of(found, tmp_path)
        there = {}
        for step in page.data["steps"]:
            if step["phase"] == "update":
                for group in step["groups"]:
                    weight = group["title"].partition(":")[0]
                    there[f"{step['title']}/{weight}"] = group["arrays"]
        assert list(there) == list(found.updates)
        for name, update in found.updates.items():
            for entry in there[name]:
                self.check(page, entry, getattr(update, entry["name"]))

    def check(self, page, entry, array):
        shown = page.array(entry)
        expected = part_of(array, shown)
        assert_equal(shown.astype(array.dtype), expected)
        stored = page.data["arrays"][entry["array"]]
        assert stored["shape"] == list(array.shape)
        assert stored["dtype"] == array.dtype.name
        assert len(entry["axes"]) == array.ndim
        if array.dtype.kind == "f":
            assert stored["scale"] == float(np.abs(array).max())

    def test_axes_and_gates(self, tmp_path):
        case = CASES["lstm"]
        page = page_of(trace(case.make(mk), case.x, case.y), tmp_path)
        (step,) = [
            s
            for s in page.data["steps"]
            if s["title"] == "lstm" and s["phase"] == "forward"
        ]
        there = page.entries(step)
        assert there["inputs"]["axes"] == ["examples", "steps", "features"]
        assert there["outputs"]["axes"] == ["examples", "units"]
        assert there["kernel"]["gates"]["f"] == [3, 6]
        assert "forget" in there["kernel"]["meaning"]
        steps = there["residuals.cell.steps.gates"]
        assert steps["axes"] == ["steps", "", "examples", "units"]
        assert "activated gates" in steps["meaning"]

    def test_images_are_shown_as_images(self, tmp_path):
        case = CASES["conv"]
        page = page_of(trace(case.make(mk), case.x, case.y), tmp_path)
        there = page.entries(page.data["steps"][1])
        assert there["inputs"]["shown"] == [1, 2]
        assert there["kernel"]["shown"] == [0, 1]
        assert there["kernel"]["axes"] == ["rows", "columns", "channels", "filters"]

    def test_what_is_not_a_number(self, tmp_path):
        model = model_with_names(["d"])
        x = np.array([[np.nan], [np.inf], [1.0]])
        page = page_of(trace(model, x, np.ones((3, 1))), tmp_path)
        entry = page.entries(page.data["steps"][1])["inputs"]
        assert_equal(page.array(entry), x.astype("float32"))
        assert page.data["arrays"][entry["array"]]["scale"] == 1.0
        assert page.data["loss"] == "nan"

    def test_equal_arrays_are_kept_once(self, tmp_path):
        case = CASES["xor"]
        page = page_of(trace(case.make(mk), case.x, case.y), tmp_path)
        first, second = page.data["steps"][1:3]
        outputs = page.entries(first)["outputs"]["array"]
        assert outputs == page.entries(second)["inputs"]["array"]

    def test_a_large_model_makes_a_small_page(self, tmp_path):
        model = mk.Sequential(
            [
                mk.Input((784,)),
                layers.Dense(512, activation="relu"),
                layers.Dense(512, activation="relu"),
                layers.Dense(10, activation="softmax"),
            ]
        )
        model.compile("adam", "sparse_categorical_crossentropy")
        rng = np.random.default_rng(0)
        found = trace(model, rng.random((128, 784)), rng.integers(0, 10, 128))
        page = page_of(found, tmp_path)
        assert (tmp_path / "trace.html").stat().st_size < 2e6
        entry = page.entries(page.data["steps"][1])["kernel"]
        stored = page.data["arrays"][entry["array"]]
        assert stored["shape"] == [784, 512] and stored["window"] == [64, 64]
        assert stored["high"] == float(found[0].kernel.max())  # of all


@pytest.mark.parametrize(
    "shape", [(), (0,), (9000,), (2, 5000), (3, 0), (32, 28, 28, 3), (7, 3, 3, 512, 9)]
)
def test_windows_hold_no_more_than_they_may(shape):
    shown = (len(shape) - 2, len(shape) - 1) if len(shape) > 1 else (-1, len(shape) - 1)
    window = windowed(shape, shown, MOST)
    assert len(window) == len(shape)
    assert np.prod(window, dtype=int) <= MOST
    assert all(w <= n and (w > 0 or n == 0) for w, n in zip(window, shape, strict=True))


class TestStructure:
    def test_needs_nothing_else(self, tmp_path):
        case = CASES["xor"]
        page = page_of(trace(case.make(mk), case.x, case.y), tmp_path)
        for tag, attributes in page.elements:
            for name in ("src", "href", "action"):
                assert attributes.get(name, "#").startswith(("#", "data:")), tag
            assert not any(name.startswith("on") for name in attributes)
        for _, attributes, text in page.texts:
            if attributes.get("id") != "data":
                assert not re.search(r"https?:|@import|url\(|fetch|eval\(", text)

    def test_policy_names_this_script_and_style(self, tmp_path):
        case = CASES["xor"]
        page = page_of(trace(case.make(mk), case.x, case.y), tmp_path)
        (policy,) = [
            a["content"]
            for _, a in page.elements
            if a.get("http-equiv") == "Content-Security-Policy"
        ]
        assert policy.startswith("default-src 'none'")
        for tag in ("script", "style"):
            (text,) = [t for n, a, t in page.texts if n == tag and "id" not in a]
            digest = hashlib.sha256(text.encode()).digest()
            value = base64.b64encode(digest).decode()
            assert f"{tag}-src 'sha256-{value}'" in policy

    def test_says_its_language_and_width(self, tmp_path):
        case = CASES["xor"]
        page = page_of(trace(case.make(mk), case.x, case.y), tmp_path)
        elements = page.elements
        assert ("html", {"lang": "en"}) in elements
        assert any(a.get("name") == "viewport" for _, a in elements)
        assert page.title == "One training step of Sequential 'xor'"

    def test_hostile_names_stay_text(self, tmp_path):
        plain = page_of(trace(model_with_names(list("abcd")), *ones()), tmp_path)
        page = page_of(trace(model_with_names(HOSTILE), *ones()), tmp_path)
        assert [t for t, _ in page.elements] == [t for t, _ in plain.elements]
        titles = [s["title"] for s in page.data["steps"]]
        assert set(HOSTILE) <= set(titles)
        assert HOSTILE[0] in page.title

    def test_hostile_keys_stay_text(self, tmp_path):
        key = "</script><script>alert(1)</script>"
        x = mk.Input((1,), name="x")
        with pytest.warns(UserWarning, match="must match the names"):
            model = mk.Model({key: x}, {key: layers.Dense(1, name="d")(x)})
        model.compile("sgd", {key: "mse"})
        found = trace(model, {key: np.ones((2, 1))}, {key: np.ones((2, 1))})
        page = page_of(found, tmp_path)
        assert [t for t, _ in page.elements].count("script") == 2
        assert f"x[{key!r}]" in page.entries(page.data["steps"][0])

    def test_hostile_file(self, tmp_path):
        """A Keras file with such names, loaded again."""
        names = HOSTILE[:2]
        model_with_names(names).save(tmp_path / "model.keras")
        model = mk.models.load_model(tmp_path / "model.keras")
        page = page_of(trace(model, *ones()), tmp_path)
        assert [t for t, _ in page.elements].count("script") == 2

    def test_templates_are_in_the_package(self):
        folder = files("minikeras.teach").joinpath("page")
        assert {"trace.html", "trace.css", "trace.js"} <= {
            f.name for f in folder.iterdir()
        }


def ones():
    """x and y for one input and one output."""
    return np.ones((2, 1)), np.zeros((2, 1))


class TestDocumented:
    def test_sections(self):
        assert section(layers.Dense, "Formula").startswith("`y = activation(z)`")
        assert "dkernel = x.T @ dz" in section(layers.Dense, "Gradient")
        assert section(layers.Dense, "Gradient").startswith("With `dz`")
        assert section(int, "Formula") == ""
        both = layers.AveragePooling3D
        assert section(both, "Formula") == section(both, "Gradient") != ""

    def test_references_are_followed(self):
        assert "sum over i < I" in formula(layers.AveragePooling3D(2))
        assert "h_prev @ recurrent_kernel" in formula(layers.LSTM(1))

    def test_every_layer_with_weights_has_a_formula(self):
        missing = [
            name
            for name, layer in vars(layers).items()
            if isinstance(layer, type)
            and issubclass(layer, layers.Layer)
            and "add_weight" in (layer.build.__code__.co_names)
            and not section(layer, "Formula")
        ]
        assert not missing

    def test_fields(self):
        case = CASES["conv"]
        found = trace(case.make(mk), case.x, case.y)
        assert fields(found["conv"].residuals)["x"].startswith("the input")
        assert fields((1, 2)) == {}
