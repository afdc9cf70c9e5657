"""What the axes of the arrays in a trace count."""

from __future__ import annotations

import re
from typing import Any

from minikeras.teach.trace_calls import Call

_BY_RANK = {
    0: (),
    1: ("examples",),
    2: ("examples", "features"),
    3: ("examples", "steps", "features"),
    4: ("examples", "rows", "columns", "channels"),
    5: ("examples", "planes", "rows", "columns", "channels"),
}
# What docstrings of residuals call them.
_LETTERS = {"N": "examples", "T": "steps", "D": "inputs", "C": "channels"}


def axes_of(call: Call | None, name: str, shape: tuple[int, ...], text: str) -> list:
    """What each axis counts; "" where it is not known.

    Args:
        call: the call an array belongs to, or None: the data of the model.
        name: such as `"inputs"`, `"doutputs"`, `"residuals.cell.h"`.
        shape: of the array.
        text: what its documentation says, `"(T, N, units), the states"`.
    """
    weight = name.removeprefix("d")
    if call is not None and weight in call.updates:
        return list(call.updates[weight].axes)
    side = re.match(r"(?:inputs|mask|dinputs|x|dx|sample_weight)(?:$|\[)", name)
    other = re.match(r"(?:d?outputs|d?logits|y|y_pred|dy)(?:$|\[)", name)
    if side or other:
        return _of_data(call, shape, bool(other), name.startswith("mask"))
    documented = re.match(r"\(([^)]*)\)", text)
    if documented:
        parts = [part.strip() for part in documented[1].split(",") if part.strip()]
        if len(parts) == len(shape):
            return ["" if p.isdigit() else _word(p) for p in parts]
    if call is not None:
        for outgoing, value in ((False, call.inputs), (True, call.outputs)):
            if getattr(value, "shape", None) == shape:
                return _of_data(call, shape, outgoing, False)
    return [""] * len(shape)


def _word(part: str) -> str:
    """`T + 1` as `steps + 1`."""
    return re.sub(r"^[A-Z]\b", lambda m: _LETTERS.get(m[0], m[0]), part)


def _of_data(call: Call | None, shape: tuple, outgoing: bool, is_mask: bool) -> list:
    """Of what goes into a call or comes out of it."""
    axes = list(_BY_RANK.get(len(shape), ()))
    if not axes:
        return [""] * len(shape)
    if is_mask:
        return ["examples", "steps", *([""] * len(shape))][: len(shape)]
    layer: Any = call.layer if call is not None else None
    if getattr(layer, "data_format", None) == "channels_first" and len(shape) > 2:
        axes = [axes[0], axes[-1], *axes[1:-1]]
        last = 1
    else:
        last = len(axes) - 1
    if outgoing and last:
        if isinstance(getattr(layer, "units", None), int):
            axes[last] = "units"
        elif isinstance(getattr(layer, "filters", None), int):
            axes[last] = "filters"
    elif last and call is not None and call.kind == "Dense":
        axes[last] = "inputs"
    return axes
