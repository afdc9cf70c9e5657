"""The names in a PyTorch `state_dict` by module, and the layers of a model.

`features.0.weight` belongs to the module `features.0`. The arrays of a recurrent module
carry its layer and direction: `rnn.weight_ih_l1_reverse` is of layer 1, backwards.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from minikeras.interop.torch_rules import AFTER_FLATTEN, RECURRENT, feature_order
from minikeras.registry import suggest

_RECURRENT_NAME = re.compile(
    r"(weight_ih|weight_hh|weight_hr|bias_ih|bias_hh)(?:_l(\d+)(_reverse)?)?"
)
COUNTER = "num_batches_tracked"  # of a BatchNorm: no weight


class Module(NamedTuple):
    """A PyTorch module, or one layer and direction of a recurrent one.

    Attributes:
        prefix: its name in front of the names of its arrays; may be empty.
        number: the layer of a recurrent module, None for others.
        reverse: whether it runs backwards.
    """

    prefix: str
    number: int | None = None
    reverse: bool = False

    def key(self, name: str) -> str:
        """The full name of one of its arrays."""
        if self.number is not None:
            name = f"{name}_l{self.number}" + ("_reverse" if self.reverse else "")
        return f"{self.prefix}.{name}" if self.prefix else name

    def __str__(self) -> str:
        direction = ", backwards" if self.reverse else ""
        layer = f", layer {self.number}" if self.number is not None else ""
        return f"'{self.prefix}'{layer}{direction}"


def modules_of(names: Iterable[str]) -> dict[Module, list[str]]:
    """The modules in a state_dict, in order, each with its arrays' short names."""
    found: dict[Module, list[str]] = {}
    for full in names:
        prefix, _, name = full.rpartition(".")
        match = _RECURRENT_NAME.fullmatch(name)
        if match and match[2] is not None:
            module = Module(prefix, int(match[2]), match[3] is not None)
            name = match[1]
        else:
            module = Module(prefix)
        found.setdefault(module, []).append(name)
    return found


def array_of(value: Any, name: str) -> np.ndarray:
    """A tensor or array as an array; bfloat16, which NumPy lacks, as float32.

    Raises:
        TypeError: if it is not an array of numbers.
    """
    if hasattr(value, "detach"):  # a torch.Tensor
        value = value.detach().cpu()
        if str(value.dtype) == "torch.bfloat16":
            value = value.float()
        value = value.numpy()
    array = np.asarray(value)
    if array.dtype.kind not in "biuf":
        raise TypeError(
            f"Expected tensors or arrays of numbers. Received: '{name}' is a "
            f"{type(value).__name__} of dtype {array.dtype}"
        )
    return array


class Slot(NamedTuple):
    """A layer that takes the weights of one `Module`.

    Attributes:
        name: what a mapping calls it: its name, or that of its Bidirectional.
        layer: it.
        reverse: whether it is the second of a Bidirectional.
    """

    name: str
    layer: Any
    reverse: bool = False

    def __str__(self) -> str:
        direction = ", backwards" if self.reverse else ""
        return f"{type(self.layer).__name__} '{self.name}'{direction}"


def slots_of(model: Any) -> list[Slot]:
    """The layers with weights, in order, nested models opened, each once.

    Raises:
        ValueError: if the model is not built.
    """
    if not model.built:
        raise ValueError(
            f"{type(model).__name__} '{model.name}' has no weights before it is built. "
            "Build it, or call it on data, first."
        )
    seen: set[int] = set()
    return [s for s in _walk(model, "", seen) if s.layer.weights]


def _walk(layer: Any, name: str, seen: set[int]) -> Iterator[Slot]:
    if id(layer) in seen:
        return
    seen.add(id(layer))
    kind = type(layer).__name__
    if kind == "Bidirectional":
        yield Slot(name or layer.name, layer.forward_layer)
        yield Slot(name or layer.name, layer.backward_layer, reverse=True)
    elif kind == "TimeDistributed":
        yield from _walk(layer.layer, layer.name, seen)
    elif isinstance(getattr(layer, "layers", None), list):
        for inner in layer.layers:
            yield from _walk(inner, "", seen)
    else:
        yield Slot(name or layer.name, layer)


def pair(
    slots: list[Slot], modules: list[Module], mapping: Mapping[str, str] | None
) -> list[tuple[Slot, Module]]:
    """Which module's weights go into which layer.

    Args:
        slots: the layers.
        modules: the modules.
        mapping: {layer name: prefix}, or None for the order of both.

    Raises:
        ValueError: if their numbers differ, or a name is unknown.
    """
    if mapping is not None:
        return _pair_by_name(slots, modules, mapping)
    if len(slots) != len(modules):
        ours = ", ".join(map(str, slots))
        theirs = ", ".join(map(str, modules))
        raise ValueError(
            f"The model has {len(slots)} layers with weights: {ours}. The state_dict "
            f"has {len(modules)} modules: {theirs}. Say which belong together: "
            "`layers={layer name: PyTorch prefix}`."
        )
    return list(zip(slots, modules, strict=True))


def _pair_by_name(
    slots: list[Slot], modules: list[Module], mapping: Mapping[str, str]
) -> list[tuple[Slot, Module]]:
    names = [slot.name for slot in slots]
    for name in mapping:
        if name not in names:
            hint = suggest(name, names)
            raise ValueError(
                f"`layers` names '{name}', which is no layer with weights.{hint} There "
                f"are: {names}"
            )
    pairs = []
    for slot in slots:
        if slot.name not in mapping:
            continue
        module = module_for(slot, mapping[slot.name], modules)
        if module not in modules:
            prefixes = list(dict.fromkeys(m.prefix for m in modules))
            raise ValueError(
                f"`layers` wants {module} for {slot}; the state_dict has no such "
                f"module.{suggest(module.prefix, prefixes)} There are: "
                f"{', '.join(map(str, modules))}"
            )
        pairs.append((slot, module))
    return pairs


def module_for(slot: Slot, prefix: str, modules: Iterable[Module] = ()) -> Module:
    """The module of a prefix; `rnn:1` is the second layer of a recurrent one.

    A cell, such as PyTorch's LSTMCell, has no number; neither has one of the `modules`
    that is there without.
    """
    if type(slot.layer).__name__ not in RECURRENT or Module(prefix) in modules:
        return Module(prefix)
    prefix, _, number = prefix.partition(":")
    if not number.isdigit() and number:
        raise ValueError(
            f"Expected a prefix such as 'rnn' or 'rnn:1' for {slot}. Received: "
            f"'{prefix}:{number}'"
        )
    return Module(prefix, int(number or 0), slot.reverse)


# --- Flatten --------------------------------------------------------------------------


def order_of(slot: Slot, flatten: Any) -> np.ndarray | None:
    """How the features of a layer after a Flatten are permuted; None if they are not.

    Args:
        slot: the layer.
        flatten: what the user said, see `from_torch`.

    Raises:
        ValueError: if there is a Flatten and the user did not say.
    """
    if type(slot.layer).__name__ not in AFTER_FLATTEN:
        return None
    said = flatten.get(slot.name) if isinstance(flatten, Mapping) else flatten
    shape = _shape_before_flatten(slot.layer)
    if isinstance(said, tuple | list):
        if isinstance(flatten, Mapping):
            return feature_order(said)
        raise ValueError(
            "A shape in `flatten` needs its layer: `{layer name: shape}`. Received: "
            f"flatten={flatten!r}"
        )
    if said not in (None, "channels_first", "channels_last"):
        raise ValueError(
            "Expected `flatten` to be 'channels_first', 'channels_last' or a dict of "
            f"them by layer name. Received: flatten={flatten!r}"
        )
    if shape is None:
        if isinstance(flatten, Mapping) and said == "channels_first":
            raise ValueError(
                f"No Flatten was found before {slot}. Give the shape of one example "
                f"before it: `flatten={{'{slot.name}': (rows, columns, channels)}}`."
            )
        return None
    if said is None:
        raise ValueError(
            f"{slot} comes after a Flatten of {shape}, and its features may be in "
            "another order in PyTorch. Say `flatten='channels_first'` if PyTorch "
            f"flattened {(shape[-1], *shape[:-1])}, as after its convolutions, or "
            f"'channels_last' if it flattened {shape}, as after an LSTM."
        )
    return feature_order(shape) if said == "channels_first" else None


def _shape_before_flatten(layer: Any) -> tuple[int, ...] | None:
    """The shape of one example before a Flatten that this layer comes after."""
    nodes = layer._inbound_nodes
    while nodes and len(nodes[0].input_tensors) == 1:
        tensor = nodes[0].input_tensors[0]
        operation, index, _ = tensor._keras_history
        if operation is None or not operation._inbound_nodes:
            return None
        nodes = operation._inbound_nodes[index : index + 1]
        before = nodes[0].input_tensors
        if len(before) != 1:
            return None
        shape = tuple(before[0].shape[1:])
        if len(tensor.shape) == 2 and len(shape) > 1:
            kept = type(operation).__name__ in ("Flatten", "Reshape")
            wide = sum(size != 1 for size in shape) > 1 and shape[-1] != 1
            return shape if kept and wide else None
        if tuple(tensor.shape[1:]) != shape:
            return None  # the features are other ones
    return None
