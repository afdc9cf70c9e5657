"""The one place of this package where another framework is imported, and how.

`import minikeras` imports none. These functions do, by name, when somebody calls a
function that cannot work without: `interop.to_keras`, `python -m minikeras verify`.
"""

from __future__ import annotations

import importlib
from typing import Any


def import_keras() -> Any:
    """The module `keras`.

    Raises:
        ImportError: if it, or the backend it is set to, is not there.
    """
    try:
        return importlib.import_module("keras")
    except ImportError as error:
        raise ImportError(
            "This needs Keras with one of its backends, which cannot be imported: "
            f"{error}. Install them with `pip install keras tensorflow` (or `pip "
            'install "minikeras-numpy[parity]"`), or set KERAS_BACKEND to one that is '
            "installed."
        ) from error
