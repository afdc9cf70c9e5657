"""The pure forward/gradient pairs behind the layers: arrays in, arrays out.

Not `keras.ops`, which minikeras does not have.
"""

from typing import NoReturn


def __getattr__(name: str) -> NoReturn:
    raise AttributeError(
        f"`keras.ops.{name}` is not in minikeras: symbolic tensors have the Python "
        "operators, slicing and the activations. See docs/differences.md."
    )
