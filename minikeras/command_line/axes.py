"""What the axes of Keras's weights mean."""

from __future__ import annotations

import re

# class -> (name, axes) of its arrays in the order in which they are saved. The last
# axis of a recurrent layer has one block of `units` for each gate, in this order.
_GATES_LSTM = "units x [i f c o]"
_GATES_GRU = "units x [z r h]"
LEGEND = {
    "[i f c o]": "input, forget, cell (candidate) and output gate",
    "[z r h]": "update gate, reset gate, candidate",
}
_NORM = [(n, "features") for n in ("gamma", "beta", "moving_mean", "moving_variance")]

MEANINGS: dict[str, list[tuple[str, str]]] = {
    "dense": [("kernel", "inputs, units"), ("bias", "units")],
    "embedding": [("embeddings", "ids, features")],
    "conv1d": [("kernel", "steps, channels, filters"), ("bias", "filters")],
    "conv2d": [("kernel", "rows, columns, channels, filters"), ("bias", "filters")],
    "conv3d": [
        ("kernel", "planes, rows, columns, channels, filters"),
        ("bias", "filters"),
    ],
    "conv1d_transpose": [("kernel", "steps, filters, channels"), ("bias", "filters")],
    "conv2d_transpose": [
        ("kernel", "rows, columns, filters, channels"),
        ("bias", "filters"),
    ],
    "conv3d_transpose": [
        ("kernel", "planes, rows, columns, filters, channels"),
        ("bias", "filters"),
    ],
    "depthwise_conv1d": [
        ("kernel", "steps, channels, multiplier"),
        ("bias", "channels x multiplier"),
    ],
    "depthwise_conv2d": [
        ("kernel", "rows, columns, channels, multiplier"),
        ("bias", "channels x multiplier"),
    ],
    "simple_rnn": [
        ("kernel", "inputs, units"),
        ("recurrent_kernel", "units, units"),
        ("bias", "units"),
    ],
    "lstm": [
        ("kernel", f"inputs, {_GATES_LSTM}"),
        ("recurrent_kernel", f"units, {_GATES_LSTM}"),
        ("bias", _GATES_LSTM),
    ],
    "gru": [
        ("kernel", f"inputs, {_GATES_GRU}"),
        ("recurrent_kernel", f"units, {_GATES_GRU}"),
        ("bias", f"input and recurrent, {_GATES_GRU}"),
    ],
    "batch_normalization": _NORM,
    "layer_normalization": _NORM[:2],
    "group_normalization": _NORM[:2],
    "rms_normalization": [("scale", "features")],
    "p_re_lu": [("alpha", "features")],
}
for _cell in ("simple_rnn", "lstm", "gru"):
    MEANINGS[f"{_cell}_cell"] = MEANINGS[_cell]


def meaning(path: str, count: int) -> tuple[str, str]:
    """(name, axes) of an array, by its path in a file; empty if it is not known.

    Args:
        path: such as `"layers/dense_1/vars/0"` or `"dense/kernel:0"`.
        count: how many arrays its layer has: a BatchNormalization without a scale has
            three.

    >>> meaning("layers/lstm/cell/vars/2", 3)[0]
    'bias'
    """
    *folders, last = path.split("/")
    known = [re.sub(r"_\d+$", "", folder) for folder in folders]
    kinds = [kind for kind in known if kind in MEANINGS]
    if not last.isdigit():  # a legacy file has the name itself
        name = last.removesuffix(":0")
        for kind in reversed(kinds):
            return name, dict(MEANINGS[kind]).get(name, "")
        return name, ""
    if not kinds or known[0] == "optimizer":
        return "", ""
    names = MEANINGS[kinds[-1]]
    without_bias = len(names) == count + 1 and names[-1][0] == "bias"
    if len(names) != count and not without_bias:
        return "", ""
    return names[int(last)] if int(last) < len(names) else ("", "")
