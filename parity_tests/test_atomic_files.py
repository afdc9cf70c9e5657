"""Writing never damages the old file: killed writers, full disks, wrong places."""

from __future__ import annotations

import errno
import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import minikeras as mk
from minikeras.saving import atomic

WRITER = """
import sys
import numpy as np
import minikeras as mk
path, kind = sys.argv[1:]
model = mk.Sequential([mk.Input((300,)), mk.layers.Dense(700), mk.layers.Dense(1)])
print("ready", flush=True)
value = 0
while True:
    value += 1
    model.set_weights([np.full(w.shape, value, "f4") for w in model.get_weights()])
    if kind == "shards":
        model.save_weights(path, max_shard_size=0.001)
    elif path.endswith(".weights.h5"):
        model.save_weights(path)
    else:
        model.save(path)
    print(value, flush=True)
"""


def small_model():
    return mk.Sequential([mk.Input((3,)), mk.layers.Dense(2)], name="small")


def same_value(weights) -> float:
    """The one number in all arrays: each file was written with another."""
    values = {float(v) for w in weights for v in np.unique(w)}
    assert len(values) == 1
    return values.pop()


@pytest.mark.parametrize("name", ["m.keras", "m.h5", "m.weights.h5"])
def test_killed_writers_leave_a_whole_file(name, tmp_path):
    """The last file that was finished, or the one after it."""
    path = tmp_path / name
    draw = random.Random(name)
    for _ in range(3):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), "file"],
            stdout=subprocess.PIPE,
            text=True,
        ) as writer:
            assert writer.stdout.readline() == "ready\n"
            writer.stdout.readline()
            time.sleep(draw.uniform(0, 0.1))
            writer.send_signal(signal.SIGKILL)
            lines = writer.stdout.read().split()
        if name.endswith(".weights.h5"):
            model = mk.Sequential(
                [mk.Input((300,)), mk.layers.Dense(700), mk.layers.Dense(1)]
            )
            model.load_weights(path)
        else:
            model = mk.models.load_model(path)
        last = max(map(int, lines), default=1)
        assert last <= same_value(model.get_weights()) <= last + 1


def test_killed_writers_of_shards_leave_all_or_no_index(tmp_path):
    path = tmp_path / "m.weights.json"
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), "shards"],
        stdout=subprocess.PIPE,
        text=True,
    ) as writer:
        assert writer.stdout.readline() == "ready\n"
        writer.stdout.readline()
        time.sleep(0.05)
        writer.send_signal(signal.SIGKILL)
        writer.stdout.read()
    model = mk.Sequential([mk.Input((300,)), mk.layers.Dense(700), mk.layers.Dense(1)])
    if path.exists():
        model.load_weights(path)
        same_value(model.get_weights())
    else:
        with pytest.raises(FileNotFoundError):
            model.load_weights(path)


SAVES = {
    "m.keras": lambda model, path: model.save(path),
    "m.h5": lambda model, path: model.save(path),
    "m.weights.h5": lambda model, path: model.save_weights(path),
    "m.weights.json": lambda model, path: model.save_weights(path, max_shard_size=1),
}


@pytest.mark.parametrize("name", SAVES)
def test_a_full_disk(name, tmp_path, monkeypatch):
    path = tmp_path / name
    model = small_model()
    SAVES[name](model, path)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}

    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(atomic.os, "fsync", full)
    with pytest.raises(OSError, match=r"No space left.*old file is unchanged") as stop:
        SAVES[name](model, path)
    assert stop.value.errno == errno.ENOSPC
    assert str(path) in str(stop.value)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


FULL = """
import os, resource, signal, sys
import minikeras as mk
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
os.chdir(sys.argv[1])
model = mk.Sequential([mk.Input((300,)), mk.layers.Dense(700)])
saves = {
    "m.keras": model.save,
    "m.h5": model.save,
    "m.weights.h5": model.save_weights,
    "m.weights.json": lambda path: model.save_weights(path, max_shard_size=1),
}
for name in saves:
    open(name, "w").write("old")
resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))
for name, save in saves.items():
    try:
        save(name)
    except OSError as error:
        print(error)
"""


def test_a_file_system_that_is_full_while_writing(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
    )
    lines = done.stdout.splitlines()
    assert len(lines) == 4, done
    for name, line in zip(SAVES, lines, strict=True):
        assert f"Cannot write '{name}': File too large" in line
        assert "old file is unchanged" in line
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == dict.fromkeys(
        SAVES, "old"
    )


@pytest.mark.parametrize("name", SAVES)
def test_a_folder_in_the_place_of_the_file(name, tmp_path):
    (tmp_path / name).mkdir()
    with pytest.raises(ValueError, match="a folder is in its place"):
        SAVES[name](small_model(), tmp_path / name)
    assert [p.name for p in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", SAVES)
def test_a_missing_folder(name, tmp_path):
    with pytest.raises(FileNotFoundError, match="does not exist"):
        SAVES[name](small_model(), tmp_path / "nowhere" / name)


@pytest.mark.parametrize("name", SAVES)
def test_a_read_only_folder(name, tmp_path, monkeypatch):
    def denied(*_, **__):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(atomic.tempfile, "mkstemp", denied)  # root may write anywhere
    with pytest.raises(PermissionError, match=r"Cannot write .*Permission denied"):
        SAVES[name](small_model(), tmp_path / name)


@pytest.mark.parametrize("name", SAVES)
def test_an_interrupt_leaves_nothing_behind(name, tmp_path, monkeypatch):
    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(atomic.os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        SAVES[name](small_model(), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_new_files_have_the_usual_permissions(tmp_path):
    mask = os.umask(0o027)
    try:
        small_model().save(tmp_path / "m.keras")
    finally:
        os.umask(mask)
    assert (tmp_path / "m.keras").stat().st_mode & 0o777 == 0o640


def test_overwrite_false_asks_nobody(tmp_path):
    small_model().save(tmp_path / "m.keras")
    with pytest.raises(FileExistsError, match="overwrite=True"):
        small_model().save(tmp_path / "m.keras", overwrite=False)
