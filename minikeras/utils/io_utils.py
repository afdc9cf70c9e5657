"""Messages to the user: standard output, or `logging` when that is switched on."""

from __future__ import annotations

import logging
import sys
from typing import Any

from minikeras import config

_logger = logging.getLogger("minikeras")


def print_msg(message: Any, line_break: bool = True) -> None:
    """Writes a message where `config.enable_interactive_logging()` says, at once.

    Args:
        message: anything with a `str`.
        line_break: whether to end the line.

    >>> print_msg("Epoch 1/3")
    Epoch 1/3
    """
    text = str(message)
    if not config.is_interactive_logging_enabled():
        _logger.info(text)
        return
    _write(f"{text}\n" if line_break else text)
    sys.stdout.flush()


def _write(text: str) -> None:
    try:
        sys.stdout.write(text)
    except UnicodeEncodeError:  # a terminal that has no line-drawing characters
        encoding = sys.stdout.encoding or "utf-8"
        plain = text.replace("━", "=").encode(encoding, errors="ignore")
        sys.stdout.write(plain.decode(encoding))
