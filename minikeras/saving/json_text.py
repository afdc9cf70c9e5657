"""JSON from a file: strict about keys, size and encoding."""

from __future__ import annotations

import json
from typing import Any

from minikeras.saving import limits
from minikeras.saving.errors import FileRefused


def parse_json(text: bytes | str, source: str, place: str) -> Any:
    """The value that `text` holds.

    Raises:
        FileRefused: if it is too long, not UTF-8, not JSON, nested too deep, or names a
            key twice (readers differ in which of the two they take).
    """
    if isinstance(text, str):
        text = text.encode("utf-8", "surrogatepass")
    if len(text) > limits.CONFIG_BYTES:
        raise FileRefused(
            source,
            place,
            f"{len(text):,} bytes of JSON. At most {limits.CONFIG_BYTES:,} are read.",
        )
    # Every value but the first follows one of these.
    values = text.count(b",") + text.count(b"[") + text.count(b"{")
    if values > limits.CONFIG_VALUES:
        raise FileRefused(
            source,
            place,
            f"{values:,} values. At most {limits.CONFIG_VALUES:,} are read.",
        )

    def no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            keys = [key for key, _ in pairs]
            twice = next(key for key in keys if keys.count(key) > 1)
            raise FileRefused(source, place, f"the key {twice[:100]!r} appears twice.")
        return found

    try:
        return json.loads(text.decode("utf-8"), object_pairs_hook=no_duplicates)
    except UnicodeDecodeError as error:
        raise FileRefused(source, place, f"not UTF-8: {error}") from error
    except RecursionError as error:
        raise FileRefused(source, place, "nested without end") from error
    except FileRefused:
        raise
    except ValueError as error:
        raise FileRefused(source, place, f"not valid JSON: {error}") from error


def parse_object(text: bytes | str, source: str, place: str) -> dict[str, Any]:
    """Likewise, for a JSON object.

    Raises:
        FileRefused: if it is something else.
    """
    value = parse_json(text, source, place)
    if not isinstance(value, dict):
        raise FileRefused(
            source, place, f"expected an object. Received: a {type(value).__name__}"
        )
    return value
