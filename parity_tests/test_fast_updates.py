"""The fast ways to apply an update rule equal the plain one, to the last bit."""

from __future__ import annotations

import copy
import threading
from typing import Any

import numpy as np
import pytest

from minikeras import optimizers, threads
from minikeras.optimizers import blocks, flat
from minikeras.optimizers.rule import UpdateRule
from minikeras.row_gradient import RowGradient
from minikeras.variables import Variable

SHAPES = [(3, 4), (4,), (2, 1, 5), (), (7, 2)]

CONFIGS: list[tuple[str, dict[str, Any]]] = [
    ("SGD", {}),
    ("SGD", {"momentum": 0.9, "nesterov": True}),
    ("Adam", {"amsgrad": True}),
    ("Adam", {"clipnorm": 0.5, "use_ema": True, "ema_overwrite_frequency": 2}),
    ("AdamW", {"weight_decay": 0.1, "global_clipnorm": 1.0}),
    ("RMSprop", {"centered": True, "momentum": 0.5}),
    ("RMSprop", {"gradient_accumulation_steps": 2}),
]


def _variables(dtypes: list[str], seed: int = 0) -> list[Variable]:
    rng = np.random.default_rng(seed)
    pairs = [(shape, dtype) for dtype in dtypes for shape in SHAPES]
    return [Variable(rng.normal(size=shape).astype(dtype)) for shape, dtype in pairs]


def _gradients(variables: list[Variable], rows: bool, seed: int) -> list[Any]:
    rng = np.random.default_rng(seed)
    found: list[Any] = [rng.normal(size=v.shape).astype(v.dtype) for v in variables]
    if rows:  # an embedding's gradient, with an id that occurs twice
        shape = variables[0].shape
        values = rng.normal(size=(3, shape[1])).astype(variables[0].dtype)
        found[0] = RowGradient(np.array([1, 0, 1]), values, shape[0])
    return found


def _run(optimizer: Any, variables: list[Variable], rows: bool) -> list[np.ndarray]:
    for step in range(4):
        optimizer.apply(_gradients(variables, rows, step), variables)
    return [v.numpy() for v in [*variables, *optimizer.variables]]


def _assert_equal(fast: list[np.ndarray], plain: list[np.ndarray]) -> None:
    for a, b in zip(fast, plain, strict=True):
        assert a.dtype == b.dtype and a.tobytes() == b.tobytes()


@pytest.mark.parametrize("rows", [False, True])
@pytest.mark.parametrize("dtypes", [["float32"], ["float32", "float64"]])
@pytest.mark.parametrize("name,config", CONFIGS)
def test_together_as_one_by_one(
    name: str, config: dict, dtypes: list[str], rows: bool, monkeypatch: Any
) -> None:
    optimizer = getattr(optimizers, name)(**config)
    fast = _run(optimizer, _variables(dtypes), rows)
    assert len(optimizer._flat_groups._groups) == len(dtypes)
    monkeypatch.setattr(UpdateRule, "_is_elementwise", lambda self: False)
    plain = _run(getattr(optimizers, name)(**config), _variables(dtypes), rows)
    _assert_equal(fast, plain)


@pytest.mark.parametrize("name,config", CONFIGS)
def test_in_pieces_on_threads_as_at_once(
    name: str, config: dict, monkeypatch: Any
) -> None:
    plain = _run(getattr(optimizers, name)(**config), _variables(["float32"]), False)
    monkeypatch.setattr(flat, "SMALL", 0)
    monkeypatch.setattr(blocks, "BLOCK", 3)
    monkeypatch.setattr(blocks, "SHARED_BLOCK", 4)
    monkeypatch.setattr(threads, "_num_threads", 3)
    with threads.workers():
        optimizer = getattr(optimizers, name)(**config)
        fast = _run(optimizer, _variables(["float32"]), False)
    _assert_equal(fast, plain)
    assert not [t for t in threading.enumerate() if t.name.startswith("minikeras")]


def test_large_variables_stay_out_of_the_groups(monkeypatch: Any) -> None:
    monkeypatch.setattr(flat, "SMALL", 10)
    variables = _variables(["float32"])
    optimizer = optimizers.Adam()
    optimizer.apply(_gradients(variables, False, 0), variables)
    ((group, positions),) = optimizer._flat_groups._groups
    assert positions == [1, 2, 3] and group.variables == variables[1:4]


def test_some_of_the_variables_or_another_order() -> None:
    variables = _variables(["float32"])
    optimizer, other = optimizers.Adam(), optimizers.Adam()
    optimizer.build(variables)
    gradients = _gradients(variables, False, 0)
    optimizer.apply(gradients, variables)
    before = variables[0].numpy()
    optimizer.apply(gradients[3:0:-1], variables[3:0:-1])
    again = _variables(["float32"])
    other.build(again)
    other.apply(gradients, again)
    other.apply(gradients[1:4], again[1:4])
    np.testing.assert_array_equal(variables[0].numpy(), before)
    _assert_equal([v.numpy() for v in variables], [v.numpy() for v in again])


def test_state_is_read_and_written_in_its_flat_array() -> None:
    variables = _variables(["float32"])
    optimizer = optimizers.SGD(momentum=0.5)
    gradients = [np.zeros(v.shape, v.dtype) for v in variables]
    optimizer.apply(gradients, variables)
    optimizer.momentums[0].assign(np.ones((3, 4)))
    before = variables[0].numpy()
    optimizer.apply(gradients, variables)
    np.testing.assert_array_equal(variables[0].numpy(), before + 0.5)
    assert not optimizer.momentums[0].value.flags.writeable


def test_two_optimizers_take_turns() -> None:
    """As in a GAN: each changes variables that the other has grouped, too."""
    variables, again = _variables(["float32"]), _variables(["float32"])
    held = variables[0].value
    pairs = [
        (optimizers.Adam(), optimizers.SGD(momentum=0.5), these)
        for these in (variables, again)
    ]
    for step in range(3):
        gradients = _gradients(variables, False, step)
        for adam, sgd, these in pairs:
            adam.apply(gradients, these)
            for i, v in enumerate(these[:2]) if these is again else []:
                sgd.build(these[:2])
                sgd.update_step(gradients[i], v, sgd.learning_rate)
            if these is variables:
                sgd.apply(gradients[:2], these[:2])
    _assert_equal([v.numpy() for v in variables], [v.numpy() for v in again])
    np.testing.assert_array_equal(held, variables[0].numpy())  # `value` is live


def test_a_copied_optimizer_shares_no_flat_array() -> None:
    variables = _variables(["float32"])
    optimizer = optimizers.SGD(momentum=0.5)
    optimizer.apply(_gradients(variables, False, 0), variables)
    copied = copy.deepcopy(optimizer)
    assert optimizer._flat_groups._groups and not copied._flat_groups._groups
    optimizer.apply(_gradients(variables, False, 1), variables)
    again, other = _variables(["float32"]), optimizers.SGD(momentum=0.5)
    for step in range(2):
        other.apply(_gradients(again, False, step), again)
    _assert_equal([v.numpy() for v in variables], [v.numpy() for v in again])
