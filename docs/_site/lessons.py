"""How each lesson begins: as in a process of its own."""

from __future__ import annotations

from typing import Any


def begin(gallery_conf: dict[str, Any], file_name: str) -> None:
    """Names of layers count from the start, and floats are float32."""
    import minikeras

    minikeras.utils.clear_session()
    minikeras.config.set_floatx("float32")
