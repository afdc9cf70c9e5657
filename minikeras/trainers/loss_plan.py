"""Which loss looks at which output: the structures `compile` accepts, resolved.

The rules are Keras's, and there are many, since `loss`, `loss_weights`, the targets and
the outputs may each be one thing, a list, a dict, or nested.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from minikeras import tree
from minikeras.registry import suggest

Path = tuple[Any, ...]


class PlannedLoss(NamedTuple):
    """One loss: where it looks, what it is, its weight, what it is reported as."""

    path: Path  # of keys and positions into outputs and targets
    loss: Any
    weight: float | None
    name: str


class _Weighted(NamedTuple):
    """A leaf: what the user wrote, and its weight."""

    loss: Any
    weight: Any


class _Leaf:
    """Holds a `_Weighted` out of sight of `tree`, to which a tuple is nested."""

    def __init__(self, loss: Any, weight: Any):
        self.content = _Weighted(loss, weight)


def plan(
    loss: Any,
    loss_weights: Any,
    output_names: Sequence[str] | None,
    y_true: Any,
    y_pred: Any,
    make: Callable[[Any, Any, Any], Any],
) -> list[PlannedLoss]:
    """The losses of a model, in Keras's order.

    Args:
        loss, loss_weights, output_names: see `CompileLoss`.
        y_true: targets, in the structure of `y_pred`.
        y_pred: outputs.
        make: `make(identifier, y_true, y_pred)` makes the loss.
    """
    if output_names and isinstance(loss, dict) and not isinstance(y_pred, dict):
        if set(output_names) != set(loss):
            unknown = [key for key in loss if key not in output_names]
            hint = suggest(unknown[0], output_names) if unknown else ""
            raise ValueError(
                f"Expected keys {list(output_names)} in loss dict, but found "
                f"loss.keys()={list(loss)}.{hint}"
            )
        if isinstance(loss_weights, dict):
            loss_weights = [loss_weights[name] for name in output_names]
        loss = [loss[name] for name in output_names]
    weighted = _with_weights(loss, loss_weights)
    if not tree.is_nested(weighted):
        leaf = weighted
        weighted = tree.map_structure(lambda _: leaf, y_pred)
    names = _names_like(y_pred, output_names)
    found: list[PlannedLoss] = []
    _walk(weighted, y_true, y_pred, names, (), make, found)
    return found


def _with_weights(loss: Any, loss_weights: Any) -> Any:
    """`loss` with a `_Leaf` for each entry; None where there is no loss."""
    if loss_weights is None:
        return tree.map_structure(lambda one: _leaf(one, None), loss)
    if not same_structure(loss, loss_weights):
        count, weights = len(tree.flatten(loss)), tree.flatten(loss_weights)
        if count != len(weights):
            raise ValueError(
                "`loss_weights` must match the number of losses, got "
                f"{count} losses and {len(weights)} weights."
            )
        loss_weights = tree.pack_sequence_as(loss, weights)
    return tree.map_structure(_leaf, loss, loss_weights)


def _leaf(loss: Any, weight: Any) -> _Leaf | None:
    return None if loss is None else _Leaf(loss, weight)


def _names_like(y_pred: Any, output_names: Sequence[str] | None) -> Any:
    """The names of the outputs, or Nones, in the structure of `y_pred`."""
    count = len(tree.flatten(y_pred))
    flat = list(output_names) if output_names else []
    return tree.pack_sequence_as(y_pred, flat if len(flat) == count else [None] * count)


def _refuse_several(y_true: Any, y_pred: Any, path: Path) -> None:
    if tree.is_nested(y_true) or tree.is_nested(y_pred):
        raise ValueError(
            "A loss must look at one output and its target. There are several at "
            f"{path or 'the top'}: give `loss` the structure of the outputs "
            f"{tree.map_structure(lambda _: 'X', y_pred)}."
        )


def _walk(
    loss: Any,
    y_true: Any,
    y_pred: Any,
    names: Any,
    path: Path,
    make: Callable[[Any, Any, Any], Any],
    found: list[PlannedLoss],
) -> None:
    """Goes down losses, targets and outputs together."""
    if not tree.is_nested(loss):
        if loss is not None:
            _refuse_several(y_true, y_pred, path)
            identifier, weight = loss.content
            made = make(identifier, y_true, y_pred)
            found.append(PlannedLoss(path, made, weight, _name(path, names, made)))
        return
    count = len(tree.flatten(y_pred))
    is_list = isinstance(loss, list | tuple)
    if is_list and len(loss) == count and not any(map(tree.is_nested, loss)):
        loss = tree.pack_sequence_as(y_pred, list(loss))
    elif is_list and not isinstance(y_pred, type(loss)):
        for one in loss:  # several losses look at the same output
            _walk(one, y_true, y_pred, names, path, make, found)
        return
    if not tree.is_nested(loss):
        _walk(loss, y_true, y_pred, names, path, make, found)
        return
    if not isinstance(loss, type(y_pred)):
        raise KeyError(
            f"The path: {path} in the `loss` argument, can't be found in the model's "
            "output (`y_pred`)."
        )
    for key in loss if isinstance(loss, dict) else range(len(loss)):
        if loss[key] is None:
            continue
        if not (_has(y_true, key) and _has(y_pred, key)):
            raise KeyError(
                f"The path: {(*path, key)} in the `loss` argument, can't be found in "
                "either the model's output (`y_pred`) or in the labels (`y_true`)."
                f"{_what_lacks(key, y_true, y_pred)}"
            )
        _walk(
            loss[key], y_true[key], y_pred[key], names[key], (*path, key), make, found
        )


def _what_lacks(key: Any, y_true: Any, y_pred: Any) -> str:
    """Which of the two has no such entry, and what it has."""
    name, found = ("targets", y_true) if _has(y_pred, key) else ("outputs", y_pred)
    known = list(found) if isinstance(found, dict) else []
    if known:
        return f" The {name} have {known}.{suggest(key, known)}"
    if not tree.is_nested(found):
        return (
            f" The {name} are one array, where the model has "
            f"{len(tree.flatten(y_pred))} outputs."
        )
    return f" The {name} are a {type(found).__name__} of {len(found)}."


def _has(structure: Any, key: Any) -> bool:
    if isinstance(structure, dict):
        return key in structure
    is_list = isinstance(structure, list | tuple)
    return is_list and isinstance(key, int) and key < len(structure)


def _name(path: Path, names: Any, loss: Any) -> str:
    """What the loss is reported as: the output's name, or the path with slashes."""
    if not tree.is_nested(names):
        own = loss.name if names is None else names
        if not path:
            path = (own,)
        elif isinstance(path[-1], int):
            path = (*path[:-1], own)
    joined = "/".join(str(key) for key in path)
    if joined:
        return joined
    flat = list(names) if isinstance(names, dict) else tree.flatten(names)
    return "_".join(str(name) for name in flat)


def align_targets(
    y_true: Any, y_pred: Any, loss: Any, output_names: Sequence[str] | None
) -> Any:
    """`y_true` in the structure of `y_pred`.

    A list is as good as a tuple; targets of named outputs may come as a dict; targets
    may be left out where there is no loss.

    Raises:
        ValueError: if the structures do not fit.
    """
    if same_structure(y_true, y_pred):
        return y_true
    if isinstance(y_true, dict) and not isinstance(y_pred, dict):
        names = list(output_names or ())
        if set(names) == set(y_true):
            y_true = [y_true[name] for name in names]
            if len(names) == 1 and not tree.is_nested(y_pred):
                return y_true[0]
            if same_structure(y_true, y_pred):
                return y_true
    flat_true, flat_pred = tree.flatten(y_true), tree.flatten(y_pred)
    one_level = isinstance(y_true, list | tuple) and len(y_true) == len(flat_pred)
    if one_level or (not tree.is_nested(y_true) and len(flat_pred) == 1):
        items = list(y_true) if one_level else [y_true]
        if not any(map(tree.is_nested, items)):
            return tree.pack_sequence_as(y_pred, items)
    if _paths(y_true) == _paths(y_pred):
        return tree.pack_sequence_as(y_pred, flat_true)
    flat_loss = tree.flatten(loss)
    with_loss = [i for i, one in enumerate(flat_loss) if one is not None]
    if len(flat_true) == len(with_loss):
        targets = [None] * len(flat_loss)
        for i, target in zip(with_loss, flat_true, strict=True):
            targets[i] = target
        return tree.pack_sequence_as(loss, targets)
    raise ValueError(
        "y_true and y_pred have different structures.\n"
        f"y_true: {tree.map_structure(lambda _: '*', y_true)}\n"
        f"y_pred: {tree.map_structure(lambda _: '*', y_pred)}\n"
        f"{_names_hint(y_true, output_names)}"
    )


def _names_hint(y_true: Any, output_names: Sequence[str] | None) -> str:
    """Which of the targets' keys is the name of no output."""
    if not isinstance(y_true, dict) or not output_names:
        return ""
    unknown = [key for key in y_true if key not in output_names]
    hint = suggest(unknown[0], output_names) if unknown else ""
    return f"The outputs are named {list(output_names)}.{hint}"


def same_structure(a: Any, b: Any) -> bool:
    """As `tree.same_structure`, but a list is not a tuple."""
    if not tree.is_nested(a) or not tree.is_nested(b):
        return tree.is_nested(a) == tree.is_nested(b)
    if isinstance(a, dict) or isinstance(b, dict):
        both = isinstance(a, dict) and isinstance(b, dict)
        return both and set(a) == set(b) and all(same_structure(a[k], b[k]) for k in a)
    if isinstance(a, list) != isinstance(b, list) or len(a) != len(b):
        return False
    return all(same_structure(x, y) for x, y in zip(a, b, strict=True))


def _paths(structure: Any, path: Path = ()) -> set[Path]:
    if not tree.is_nested(structure):
        return {path}
    keys = structure if isinstance(structure, dict) else range(len(structure))
    return set().union(*(_paths(structure[k], (*path, k)) for k in keys))
