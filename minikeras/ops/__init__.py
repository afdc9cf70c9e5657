"""`keras.ops`, and the kernels of the layers.

The modules in this folder are pure forward/gradient pairs: arrays in, arrays out. What
a user calls as `keras.ops.mean`, on arrays and on symbolic tensors, is in
`minikeras.tensors` and handed out here under Keras's names.
"""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    from minikeras import tensors

    if name in tensors.NAMES:
        return tensors.find(name)
    from minikeras.registry import suggest

    raise AttributeError(
        f"`keras.ops.{name}` is not in minikeras. What there is of `keras.ops` is "
        f"listed by `dir(minikeras.ops)`.{suggest(name, tensors.NAMES)}"
    )


def __dir__() -> list[str]:
    from minikeras import tensors

    return sorted(tensors.NAMES)
