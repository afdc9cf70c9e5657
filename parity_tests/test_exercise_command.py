"""`python -m minikeras exercises`, as a learner meets it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from minikeras.__main__ import main
from minikeras.teach.exercises import exercises, find
from minikeras.teach.exercises.source import YOUR_TURN, render
from parity_tests.oracle import keras

RIGHT = """\
dz = self.activation.backward(dy, residuals.activation)
x, dz = rows(residuals.x), rows(dz)
grads.add(self.kernel, x.T @ dz)
grads.add(self.bias, dz.sum(axis=0))
return (dz @ self.kernel.value.T).reshape(residuals.x.shape)"""


@pytest.fixture(autouse=True)
def directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    return tmp_path


@pytest.fixture
def call(capsys):
    def call(*arguments):
        """(status, output, errors) of a command, the lines put together again."""
        status = main(["exercises", *map(str, arguments)])
        found = capsys.readouterr()
        if "solution" not in arguments:  # code is not folded
            assert max(map(len, found.out.splitlines()), default=0) <= 80
        return status, " ".join(found.out.split()), " ".join(found.err.split())

    return call


def write(name, code):
    """The learner's file, with this code in the (only) gap."""
    text = render(find(name))
    assert text.count(YOUR_TURN) == 1
    before, _, _ = text.partition(YOUR_TURN)
    indent = before[before.rindex("\n") + 1 :]
    code = code.replace("\n", f"\n{indent}")
    with open(f"{name}.py", "w", encoding="utf-8") as file:
        file.write(text.replace(YOUR_TURN, code))


def test_from_start_to_right(call, directory):
    status, out, _ = call("start", "dense_backward")
    lines = (directory / "dense_backward.py").read_text().splitlines()
    number = [line.strip() for line in lines].index(YOUR_TURN) + 1
    assert status == 0 and f"your turn in line {number}." in out
    status, out, _ = call("check", "dense_backward")
    assert status == 1 and f"Not written yet: line {number} of" in out
    write("dense_backward", RIGHT.replace("x.T @ dz", "dz.T @ x"))
    status, out, _ = call("check", "dense_backward")
    assert status == 1 and "dkernel WRONG" in out and "2 of 3 right" in out
    assert "Its shape is (6, 4), and must be (4, 6). It is the transpose" in out
    write("dense_backward", RIGHT)
    status, out, _ = call("check", "dense_backward")
    assert status == 0 and "Right, on 6 inputs" in out
    assert "Next: python -m minikeras exercises start sigmoid_backward" in out


def test_keras_is_asked_on_request(call):
    keras.backend.clear_session()
    write("dense_backward", RIGHT)
    status, out, _ = call("check", "dense_backward", "--keras")
    assert status == 0 and f"keras that from Keras {keras.__version__}" in out


def test_keras_is_not_asked_by_itself():
    write("dense_backward", RIGHT)
    code = (
        "import sys; from minikeras.__main__ import main\n"
        "main(['exercises', 'check']); assert 'keras' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_a_file_is_never_written_over(call, directory):
    call("start", "dropout")
    path = directory / "dropout.py"
    path.write_text("mine")
    status, _, err = call("start", "dropout")
    assert status == 2 and "dropout.py is here already, and is yours" in err
    assert path.read_text() == "mine"


def test_a_directory_that_cannot_be_written(call, monkeypatch):
    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)
    status, _, err = call("start", "dropout")
    assert status == 2
    assert "Permission denied. Go to a directory in which you may write" in err


def test_list_shows_what_is_here(call):
    status, out, _ = call("list")
    assert status == 0 and "Begin with: python -m minikeras exercises start" in out
    assert all(name in out for name in exercises())
    assert call("--")[1] == out  # without an action
    call("start", "dropout")
    write("dense_backward", RIGHT)
    _, out, _ = call("list")
    assert "three gradients from one dy written" in out
    assert "forward and backward by one mask begun" in out
    assert "Here: 1 written, 1 begun." in out


def test_check_without_a_name_takes_all_that_are_here(call):
    status, _, err = call("check")
    assert status == 2 and "no exercise in this directory" in err
    call("start", "dropout")
    write("dense_backward", RIGHT)
    status, out, _ = call("check")
    assert status == 1 and "Right, on 6 inputs" in out and "Not written yet" in out


def test_hints_one_by_one(call):
    hints = find("dense_backward").hints
    for number in range(1, len(hints) + 1):
        status, out, _ = call("hint", "dense_backward", number)
        assert status == 0 and f"Hint {number} of {len(hints)}:" in out
        assert f"Hint {number + 1} of" not in out
    assert "More: python -m minikeras exercises solution dense_backward" in out
    assert call("hint", "dense_backward")[1] == call("hint", "dense_backward", 1)[1]
    status, _, err = call("hint", "dense_backward", 9)
    assert status == 2 and f"has hints 1 to {len(hints)}. Received: 9" in err


@pytest.mark.parametrize("name", exercises())
def test_the_solution_is_shown_with_its_place(name, call):
    status, out, _ = call("solution", name)
    assert status == 0 and "# minikeras/" in out and "line" in out


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["strat", "dropout"], "no such action. Did you mean 'start'?"),
        (["start", "dropuot"], "no exercise 'dropuot'. Did you mean 'dropout'?"),
        (["start", "gru"], "There is: gru_step_forward, gru_step_backward. See:"),
        (["start"], "exercises start: which one?"),
        (["hint"], "exercises hint: which one?"),
        (["check", "dropout"], "There is no dropout.py in this directory."),
    ],
)
def test_what_cannot_be_done_is_said(arguments, text, call):
    status, _, err = call(*arguments)
    assert status == 2 and text in err


TROUBLE = {
    "a name that is not there": (
        "return dz",
        ["in backward return dz NameError: name 'dz' is not defined"],
    ),
    "writing into dy": (
        "dy *= 2\nreturn dy",
        ["dy *= 2 ValueError: output array is read-only", "was given to you"],
    ),
    "writing into what forward kept": (
        "residuals.x[...] = 0",
        ["read-only", "was given to you"],
    ),
    "shapes that do not fit": (
        "return dy @ self.kernel.value",
        ["Shapes there: dy (5, 6), residuals.x (5, 4)", "sums over k"],
    ),
    "right for the first inputs only": (
        RIGHT.replace("rows(residuals.x), rows(dz)", "residuals.x, dz"),
        ["With inputs (N, T, D): dense_backward.py, line", "dx exact"],
    ),
    "a syntax error": (
        "return dy @",
        ["dense_backward.py, line", "SyntaxError: invalid syntax"],
    ),
    "nothing": ("pass", ["There is no dkernel: nothing was returned for it"]),
}


@pytest.mark.parametrize("case", TROUBLE)
def test_trouble_is_told_by_the_learners_own_lines(case, call):
    code, texts = TROUBLE[case]
    write("dense_backward", code)
    status, out, err = call("check", "dense_backward")
    assert status == 1 and not err
    for text in texts:
        assert text in out, out
    assert "site-packages" not in out and "checking.py" not in out


def test_a_function_that_was_taken_out(call, directory):
    (directory / "tanh_backward.py").write_text("x = 1\n")
    status, out, _ = call("check", "tanh_backward")
    assert status == 1 and "tanh_backward.py has no `tanh` any more" in out


def test_no_byte_code_is_left_behind(call, directory):
    write("dense_backward", RIGHT)
    call("check")
    assert [p.name for p in directory.iterdir()] == ["dense_backward.py"]


def test_in_a_pipe_there_are_no_colours(directory):
    write("dense_backward", "return dy")
    done = subprocess.run(
        [sys.executable, "-m", "minikeras", "exercises", "check", "dense_backward"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1 and "\x1b" not in done.stdout
    assert done.stdout.isascii() and not done.stderr
