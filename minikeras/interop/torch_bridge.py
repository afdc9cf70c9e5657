"""Weights from PyTorch and back: `from_torch` and `to_torch`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from minikeras.interop.torch_names import (
    COUNTER,
    Module,
    Slot,
    array_of,
    module_for,
    modules_of,
    order_of,
    pair,
    slots_of,
)
from minikeras.interop.torch_rules import AFTER_FLATTEN, RULES, Rule, Unsuited
from minikeras.messages import warn

_EPSILON_OF_KERAS = 1e-3
_NORMALIZATIONS = ("BatchNormalization", "LayerNormalization")


def from_torch(
    model: Any,
    state_dict: Any,
    layers: Mapping[str, str] | None = None,
    flatten: Any = None,
    strict: bool = True,
) -> Any:
    """Sets the weights of a built model or layer from those of a PyTorch module.

    The architecture is yours: make the model, then load. Nothing is changed unless
    everything fits. PyTorch is not needed: arrays do as well as tensors.

    Args:
        model: a built model or layer.
        state_dict: name -> tensor or array, as `module.state_dict()` gives it; or the
            module itself, whose `eps` is then compared, too.
        layers: {layer name: prefix in the state_dict}. `"rnn:1"` is the second layer of
            a recurrent module. By default layers and modules go together in their
            order; then there must be as many of both.
        flatten: in which order PyTorch flattened what comes before a Dense layer:
            `"channels_first"`, as after its convolutions, or `"channels_last"`; or
            {layer name: one of these, or the shape (rows, columns, channels) that the
            Keras model flattens}. Needed where there is a Flatten.
        strict: whether every layer and every array must be used.

    Returns:
        The model.

    Raises:
        ValueError: naming every array that is missing, left over or of another shape,
            with the likely cause.

    >>> import numpy as np, minikeras as keras
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    >>> state = {"0.weight": np.array([[3.0, 4.0]]), "0.bias": np.array([5.0])}
    >>> from_torch(model, state).get_weights()[0].tolist()
    [[3.0], [4.0]]
    """
    module = state_dict if hasattr(state_dict, "state_dict") else None
    state = state_dict.state_dict() if module is not None else state_dict
    if not isinstance(state, Mapping):
        raise TypeError(
            "Expected a state_dict, a mapping of names to tensors or arrays, or a "
            f"PyTorch module. Received: {type(state).__name__}"
        )
    arrays = {name: array_of(value, name) for name, value in state.items()}
    known = modules_of(n for n in arrays if n.rpartition(".")[2] != COUNTER)
    slots = slots_of(model)
    pairs = pair(slots, list(known), layers)
    problems: list[str] = []
    planned: list[tuple[Any, np.ndarray]] = []
    used: set[str] = set()
    for slot, owner in pairs:
        keys, values = _read(slot, owner, known[owner], arrays, flatten, problems)
        used.update(keys)
        planned += values
    _check_epsilons(pairs, module, problems)
    if strict:
        problems += _left_over(slots, pairs, arrays, used, problems)
    if problems:
        raise ValueError(
            f"The PyTorch weights do not fit {type(model).__name__} '{model.name}'; "
            "nothing was changed.\n" + "\n".join(f"  {p}" for p in problems)
        )
    for variable, value in planned:
        variable.assign(value)
    return model


def to_torch(
    model: Any,
    layers: Mapping[str, str] | None = None,
    flatten: Any = None,
    like: Any = None,
) -> dict[str, np.ndarray]:
    """The weights of a built model or layer as arrays of a PyTorch `state_dict`.

    Of the two biases of an LSTM the second is zero: PyTorch adds them.

    Args:
        model: a built model or layer.
        layers: {layer name: prefix}, see `from_torch`; without it the prefixes are the
            layers' names, or those of `like`. Layers that it does not name are left
            out.
        flatten: see `from_torch`.
        like: a state_dict (or module) whose names and shapes the result shall have.

    Returns:
        name -> array: `{n: torch.from_numpy(a) for n, a in result.items()}` is what
        `module.load_state_dict` takes.

    Raises:
        ValueError: if a layer has no counterpart in PyTorch, or does not fit `like`.

    >>> import minikeras as keras
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, name="a")])
    >>> {name: array.shape for name, array in to_torch(model).items()}
    {'a.weight': (3, 2), 'a.bias': (3,)}
    """
    like = like.state_dict() if hasattr(like, "state_dict") else like
    slots = slots_of(model)
    pairs = _pairs_for(model, slots, layers, like)
    result: dict[str, np.ndarray] = {}
    problems: list[str] = []
    for slot, owner in pairs:
        for rule in _rules(slot, flatten, problems):
            values = rule.to_torch(rule.variable.numpy())
            for name, value in zip(rule.names, values, strict=True):
                result[owner.key(name)] = np.ascontiguousarray(value)
        if type(slot.layer).__name__ == "BatchNormalization":
            result[owner.key(COUNTER)] = np.zeros((), "int64")
    if like is not None and not problems:
        problems += _unlike(result, like)
    if problems:
        raise ValueError(
            f"{type(model).__name__} '{model.name}' does not fit PyTorch.\n"
            + "\n".join(f"  {p}" for p in problems)
        )
    return result if like is None else {name: result[name] for name in like}


def _pairs_for(
    model: Any, slots: list[Slot], layers: Mapping[str, str] | None, like: Any
) -> list[tuple[Slot, Module]]:
    if like is not None:
        known = modules_of(n for n in like if n.rpartition(".")[2] != COUNTER)
        return pair(slots, list(known), layers)
    if layers is None:
        alone = len(slots) == 1 and slots[0].layer is model
        layers = {s.name: "" if alone else s.name for s in slots}
    modules = [module_for(s, layers[s.name]) for s in slots if s.name in layers]
    return pair(slots, modules, layers)


# --- One layer ------------------------------------------------------------------------


def _rules(slot: Slot, flatten: Any, problems: list[str]) -> list[Rule]:
    """The rules of a layer; what is wrong with it is added to `problems`."""
    kind = type(slot.layer).__name__
    if kind not in RULES:
        problems.append(
            f"{slot}: no rule for this class. There are rules for {', '.join(RULES)}."
        )
        return []
    try:
        if kind in AFTER_FLATTEN:
            return RULES[kind][1](slot.layer, order_of(slot, flatten))
        return RULES[kind][1](slot.layer)
    except Unsuited as error:
        problems.append(f"{slot}: {error}")
        return []


def _read(
    slot: Slot,
    owner: Module,
    names: list[str],
    arrays: Mapping[str, np.ndarray],
    flatten: Any,
    problems: list[str],
) -> tuple[list[str], list[tuple[Any, np.ndarray]]]:
    """The names that a layer uses, and its variables with their values."""
    rules = _rules(slot, flatten, problems)
    if not rules:
        return [owner.key(name) for name in names], []
    used: list[str] = []
    planned = []
    for rule in rules:
        keys = [owner.key(name) for name in rule.names]
        used += keys
        shapes = rule.torch_shapes()
        found = [
            _check(slot, rule, key, shape, arrays, problems)
            for key, shape in zip(keys, shapes, strict=True)
        ]
        if all(found):
            value = rule.to_keras(*(arrays[key] for key in keys))
            planned.append((rule.variable, value))
    for name in names:
        key = owner.key(name)
        if key not in used:
            used.append(key)
            problems.append(f"'{key}': {slot} has nothing for it. {_unexpected(name)}")
    return used, planned


def _unexpected(name: str) -> str:
    if name.startswith("bias"):
        return "The layer was made with `use_bias=False` (or `center=False`)."
    if name == "weight_hr":
        return "Projections (`proj_size`) do not exist in Keras."
    if name.startswith(("running_", "weight_")):
        return "It is of another kind of module."
    return "The modules may be in another order; say which belong together: `layers`."


def _check(
    slot: Slot,
    rule: Rule,
    key: str,
    shape: tuple[int, ...],
    arrays: Mapping[str, np.ndarray],
    problems: list[str],
) -> bool:
    """Whether there is such an array, of this shape."""
    if key not in arrays:
        problems.append(
            f"'{key}' is missing: {slot} needs it for '{rule.variable.name}'."
            + (" Make the layer with `use_bias=False`?" if "bias" in key else "")
        )
        return False
    received = arrays[key].shape
    if received == shape:
        return True
    problem = (
        f"'{key}': {slot} expects shape {shape} for '{rule.variable.name}' of shape "
        f"{rule.variable.shape}. Received: shape {received}."
    )
    if received == rule.variable.shape and rule.likely:
        problem += f" Likely {rule.likely}."
    problems.append(problem)
    return False


# --- The whole ------------------------------------------------------------------------


def _left_over(
    slots: list[Slot],
    pairs: list[tuple[Slot, Module]],
    arrays: Iterable[str],
    used: set[str],
    known: list[str],
) -> list[str]:
    """Arrays and layers that have no partner."""
    taken = [slot for slot, _ in pairs]
    problems = [f"{s}: nothing was given for it." for s in slots if s not in taken]
    problems += [
        f"'{name}' was not used."
        for name in arrays
        if name not in used and name.rpartition(".")[2] != COUNTER
    ]
    if problems:
        problems.append("(`strict=False` leaves them as they are.)")
    return problems


def _check_epsilons(
    pairs: list[tuple[Slot, Module]], module: Any, problems: list[str]
) -> None:
    """A state_dict has no eps: the module has; or Keras's default is doubted."""
    doubted = []
    for slot, owner in pairs:
        if type(slot.layer).__name__ not in _NORMALIZATIONS:
            continue
        if module is not None:
            eps = module.get_submodule(owner.prefix).eps
            if eps != slot.layer.epsilon:
                problems.append(
                    f"{slot}: epsilon={slot.layer.epsilon}, in PyTorch {eps}. Make the "
                    f"layer with `epsilon={eps}`."
                )
        elif slot.layer.epsilon == _EPSILON_OF_KERAS:
            doubted.append(slot.name)
    if doubted:
        warn(
            f"Layers {doubted} have Keras's epsilon=0.001; PyTorch's default is 1e-5, "
            "and a state_dict does not tell. Make them with `epsilon=1e-5` (and "
            "BatchNormalization with `momentum=0.9`), or pass the module itself in "
            "place of its state_dict.",
        )


def _unlike(result: Mapping[str, np.ndarray], like: Mapping[str, Any]) -> list[str]:
    problems = [f"'{name}' is missing." for name in like if name not in result]
    problems += [f"'{n}' is not in `like`." for n in result if n not in like]
    return problems + [
        f"'{name}': shape {result[name].shape}. `like` has {tuple(value.shape)}."
        for name, value in like.items()
        if name in result and result[name].shape != tuple(value.shape)
    ]
