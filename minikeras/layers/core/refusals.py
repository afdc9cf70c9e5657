"""Arguments that Keras has and minikeras does not: accepted as None only."""

from __future__ import annotations

from typing import Any


def refuse(layer_class: str, **arguments: Any) -> None:
    """Raises a ValueError for the first argument that is not None.

    Used for LoRA (`lora_rank`, `lora_alpha`) and `quantization_config`, which change
    how a layer computes: leaving them out silently would give other numbers.

    >>> refuse("Dense", lora_rank=None)
    """
    for name, value in arguments.items():
        if value is not None:
            raise ValueError(
                f"The argument `{name}` of {layer_class} is Keras's but not "
                f"implemented in minikeras: leave it None. Received: {name}={value!r}"
            )
