"""The shipped data, the generators, and the files that are never downloaded."""

from __future__ import annotations

import gzip
import hashlib

import numpy as np
import pytest

from minikeras import datasets
from minikeras.datasets import digits, fashion_mnist, generators, mnist, sunspots


def test_digits_are_the_1797_images():
    (x_train, y_train), (x_test, y_test) = digits.load_data()
    assert x_train.shape == (1438, 8, 8)
    assert x_test.shape == (359, 8, 8)
    assert x_train.dtype == x_test.dtype == np.uint8
    assert y_train.shape == (1438,)
    assert y_test.shape == (359,)
    assert max(x_train.max(), x_test.max()) == 16
    assert sorted(set(y_train.tolist())) == list(range(10))
    assert np.bincount(np.concatenate([y_train, y_test])).tolist() == [
        178, 182, 177, 183, 181, 182, 181, 179, 174, 180,
    ]  # fmt: skip


def test_sunspots_are_the_yearly_series():
    years, spots = sunspots.load_series()
    assert years.tolist() == list(range(1700, 2009))
    assert spots.dtype == np.float32
    assert spots[:3].tolist() == [5.0, 11.0, 16.0]
    assert float(spots.max()) == pytest.approx(190.2)


def test_sunspot_windows_end_where_their_target_begins():
    _, series = sunspots.load_series()
    (x_train, y_train), (x_test, y_test) = sunspots.load_data(window=7, test_years=30)
    assert x_train.shape == (len(series) - 7 - 30, 7, 1)
    assert y_test.shape == (30, 1)
    np.testing.assert_array_equal(x_train[0, :, 0], series[:7])
    assert y_train[0, 0] == series[7]
    np.testing.assert_array_equal(y_test[:, 0], series[-30:])
    np.testing.assert_array_equal(x_test[-1, :, 0], series[-8:-1])


@pytest.mark.parametrize("arguments", [{"window": 0}, {"test_years": 309}])
def test_sunspot_windows_that_cannot_be(arguments):
    with pytest.raises(ValueError, match="window"):
        sunspots.load_data(**arguments)


@pytest.mark.parametrize(
    "make",
    [
        generators.spirals,
        generators.two_moons,
        generators.adding_problem,
        generators.parity,
        generators.copy_task,
    ],
)
def test_generators_repeat_themselves_for_a_seed(make):
    x, y = make(20, seed=3)
    again_x, again_y = make(20, seed=3)
    other_x, _ = make(20, seed=4)
    np.testing.assert_array_equal(x, again_x)
    np.testing.assert_array_equal(y, again_y)
    assert not np.array_equal(x, other_x)
    assert len(x) == len(y) == 20


def test_generated_targets_are_what_they_say():
    x, y = generators.adding_problem(30, steps=9, seed=1)
    assert (x[..., 1].sum(axis=1) == 2).all()
    np.testing.assert_array_equal((x[..., 0] * x[..., 1]).sum(axis=1), y[:, 0])
    x, y = generators.parity(30, steps=5)
    np.testing.assert_array_equal(x.sum(axis=1) % 2, y)
    x, y = generators.copy_task(10, length=4, delay=3)
    np.testing.assert_array_equal(x[:, :4], y[:, -4:])
    with pytest.raises(ValueError, match="steps"):
        generators.adding_problem(3, steps=1)


def test_mnist_reads_keras_cache(tmp_path, monkeypatch):
    arrays = {
        "x_train": np.arange(8, dtype="uint8").reshape(2, 2, 2),
        "y_train": np.array([1, 2], "uint8"),
        "x_test": np.zeros((1, 2, 2), "uint8"),
        "y_test": np.array([3], "uint8"),
    }
    folder = tmp_path / "datasets"
    folder.mkdir()
    np.savez(folder / "mnist.npz", **arrays)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    (x_train, y_train), (x_test, y_test) = mnist.load_data()
    for name, array in zip(arrays, (x_train, y_train, x_test, y_test), strict=True):
        np.testing.assert_array_equal(array, arrays[name])
    (again, _), _ = mnist.load_data(path=str(folder / "mnist.npz"))
    np.testing.assert_array_equal(again, x_train)


def test_nothing_is_downloaded(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="downloads nothing") as error:
        mnist.load_data()
    assert str(tmp_path / "datasets" / "mnist.npz") in str(error.value)
    with pytest.raises(FileNotFoundError, match="fashion-mnist"):
        fashion_mnist.load_data()
    with pytest.raises(AttributeError, match="nothing is downloaded"):
        _ = datasets.imdb


def test_a_pickle_is_not_read(tmp_path):
    np.savez(tmp_path / "bad.npz", x_train=np.array([{"a": 1}], object))
    with pytest.raises(ValueError, match="not an npz file with the arrays"):
        mnist.load_data(path=str(tmp_path / "bad.npz"))


def test_fashion_mnist_reads_keras_cache(tmp_path, monkeypatch):
    folder = tmp_path / "datasets" / "fashion-mnist"
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    for images, labels, count in fashion_mnist._FILES.values():
        pixels = random.integers(0, 256, count * 784, dtype="uint8")
        with gzip.open(folder / images, "wb", compresslevel=1) as file:
            file.write(b"\0" * 16 + pixels.tobytes())
        with gzip.open(folder / labels, "wb") as file:
            file.write(b"\0" * 8 + (np.arange(count) % 10).astype("uint8").tobytes())
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    (x_train, y_train), (x_test, y_test) = fashion_mnist.load_data()
    assert x_train.shape == (60_000, 28, 28)
    assert x_test.shape == (10_000, 28, 28)
    assert y_train[:3].tolist() == y_test[:3].tolist() == [0, 1, 2]
    assert hashlib.sha256(x_test.tobytes()).digest() == hashlib.sha256(pixels).digest()
    with gzip.open(folder / labels, "wb") as file:
        file.write(b"short")
    with pytest.raises(ValueError, match="should hold"):
        fashion_mnist.load_data()
