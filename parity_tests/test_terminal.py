"""What the commands write to a terminal, whatever is in the file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minikeras as mk
from minikeras.__main__ import main
from minikeras.saving.errors import visible

# A name that renames the window, clears the screen and writes in red.
NAME = "\x1b]0;owned\x07\x1b[2J\x1b[31mred\u202e"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    model = mk.Sequential([mk.Input((4,)), mk.layers.Dense(2, name="plain")])
    model.compile("sgd", "mse")
    model.save("plain.keras")
    return tmp_path


def spoiled(path: str, change: Any) -> str:
    """`plain.keras` with another configuration."""
    with zipfile.ZipFile("plain.keras") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(members["config.json"])
    change(config["config"]["layers"][1])
    members["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def rename(layer: Any) -> None:
    layer["config"]["name"] = NAME


def replace(layer: Any) -> None:
    layer["class_name"] = NAME


@pytest.mark.parametrize("change", [rename, replace])
@pytest.mark.parametrize("command", ["inspect", "summary", "diff", "verify"])
def test_names_move_no_cursor(command, change, folder, capsys):
    path = spoiled("spoiled.keras", change)
    main([command, *(["plain.keras", path] if command == "diff" else [path])])
    found = capsys.readouterr()
    text = found.out + found.err
    assert "red" in text
    assert not [c for c in text if not c.isprintable() and c != "\n"]


def test_warnings_are_one_line(folder, capsys):
    model = mk.Sequential([mk.Input((4,)), mk.layers.Dense(2)])
    model.set_weights([w + np.nan for w in model.get_weights()])
    model.save("nan.keras")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert main(["summary", "nan.keras"]) == 0
    err = capsys.readouterr().err
    assert err.startswith("minikeras: warning: 'nan.keras': 2 array(s) hold NaN")
    assert err.count("\n") == 1


def test_what_can_be_seen_stays():
    text = "größe 大きさ\n\ta_b-c.d/e:0"
    assert visible(text) == text
    assert visible({NAME: [NAME, 1, None]}) == {visible(NAME): [visible(NAME), 1, None]}
    assert visible(NAME).isprintable()


def test_a_reader_that_stops_early(folder):
    """`... | head -1` is no failure, and leaves no traceback."""
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "minikeras", "inspect", "plain.keras"],
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")


def test_links_are_followed_and_permissions_kept(folder):
    model = mk.models.load_model("plain.keras", compile=False)
    os.chmod("plain.keras", 0o600)
    model.save("plain.keras")
    assert Path("plain.keras").stat().st_mode & 0o777 == 0o600
    Path("link.keras").symlink_to("plain.keras")
    before = Path("plain.keras").stat().st_ino
    model.save("link.keras")
    assert Path("link.keras").is_symlink()
    assert Path("plain.keras").stat().st_ino != before
    mk.models.load_model("link.keras", compile=False)
