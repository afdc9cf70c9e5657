"""Global defaults: float type, epsilon, image layout, logging.

Every name is Keras's (`keras.config`). The values hold for the process; set them
before layers are made, since a layer reads its dtype policy once, when constructed.
"""

from __future__ import annotations

from typing import Any

from minikeras import naming
from minikeras.absent import getattr_for
from minikeras.threads import num_threads as num_threads  # not in Keras
from minikeras.threads import set_num_threads as set_num_threads

_FLOATX_CHOICES = ("float32", "float64")
_floatx = "float32"
_epsilon = 1e-7
_image_data_format = "channels_last"
_dtype_policy: Any = None
_interactive_logging = True
_traceback_filtering = True


def floatx() -> str:
    """The default float dtype, `"float32"` unless set."""
    return _floatx


def set_floatx(value: str) -> None:
    """Sets the default float dtype: `"float32"` or `"float64"`.

    NB: Keras derives the dtype policy of new layers from `floatx` only until the first
    layer exists; after that `set_dtype_policy` is the switch. So here.

    Raises:
        ValueError: for any other dtype. Keras also takes `"float16"` and `"bfloat16"`;
            minikeras computes in float32 and float64 only.
    """
    global _floatx
    if value not in _FLOATX_CHOICES:
        raise ValueError(
            f"Unknown `floatx` value: {value}. minikeras computes in "
            f"{_FLOATX_CHOICES}. Received: set_floatx({value!r})"
        )
    _floatx = str(value)


def epsilon() -> float:
    """The fuzz factor of losses and optimizers, 1e-7 unless set."""
    return _epsilon


def set_epsilon(value: float) -> None:
    """Sets the fuzz factor."""
    global _epsilon
    _epsilon = float(value)


def image_data_format() -> str:
    """`"channels_last"` (batch, height, width, channels) unless set."""
    return _image_data_format


def set_image_data_format(data_format: str) -> None:
    """Sets the default image layout for layers made from now on."""
    global _image_data_format
    _image_data_format = standardize_data_format(data_format)


def standardize_data_format(data_format: str | None) -> str:
    """Resolves None to the default and refuses unknown layouts.

    >>> standardize_data_format(None)
    'channels_last'
    """
    if data_format is None:
        return image_data_format()
    value = str(data_format).lower()
    if value not in ("channels_last", "channels_first"):
        raise ValueError(
            "The `data_format` argument must be one of "
            f"('channels_first', 'channels_last'). Received: {data_format!r}"
        )
    return value


def dtype_policy() -> Any:
    """The `DTypePolicy` that layers get when they are not given one."""
    global _dtype_policy
    if _dtype_policy is None:
        from minikeras.dtype_policies import DTypePolicy

        _dtype_policy = DTypePolicy(floatx())
    return _dtype_policy


def set_dtype_policy(policy: Any) -> None:
    """Sets the default policy: a name such as `"float64"`, or a `DTypePolicy`."""
    global _dtype_policy
    from minikeras import dtype_policies

    _dtype_policy = dtype_policies.get(policy)


@naming.on_clear_session
def _forget_settings() -> None:
    """NB: Keras's `clear_session` forgets these, but not floatx, epsilon and layout."""
    global _dtype_policy, _interactive_logging, _traceback_filtering
    _dtype_policy = None
    _interactive_logging = _traceback_filtering = True


def backend() -> str:
    """Always `"numpy"`."""
    return "numpy"


def is_interactive_logging_enabled() -> bool:
    """Whether progress goes to the terminal (True) or to `logging` (False)."""
    return _interactive_logging


def enable_interactive_logging() -> None:
    """Progress and tables are printed to standard output (the default)."""
    global _interactive_logging
    _interactive_logging = True


def disable_interactive_logging() -> None:
    """Progress and tables go to the `logging` module instead."""
    global _interactive_logging
    _interactive_logging = False


def enable_traceback_filtering() -> None:
    """Accepted as in Keras. minikeras is short enough not to hide its frames."""
    global _traceback_filtering
    _traceback_filtering = True


def disable_traceback_filtering() -> None:
    """Accepted as in Keras; there is nothing to switch off."""
    global _traceback_filtering
    _traceback_filtering = False


def is_traceback_filtering_enabled() -> bool:
    """What was last set; without effect."""
    return _traceback_filtering


__getattr__ = getattr_for("config", list(globals()))
