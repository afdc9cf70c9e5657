"""`keras.ops`: functions of arrays and of symbolic tensors, each with its gradient.

On arrays they give arrays; on symbolic tensors, nodes of a graph, through which models
are trained and saved. `minikeras.ops` hands them out, beside the kernels of the layers.
"""

from __future__ import annotations

import importlib
from typing import Any

_MODULES = {
    "minikeras.tensors.elementwise": """
        arctan ceil clip cos cosh exp expm1 floor isfinite isinf isnan log log10 log1p
        log2 logical_not reciprocal round rsqrt sign sin sinh sqrt square tan
    """,
    "minikeras.tensors.pairs": """
        abs absolute add divide equal floor_divide greater greater_equal less less_equal
        logical_and logical_or maximum minimum mod multiply negative not_equal power
        subtract true_divide where
    """,
    "minikeras.tensors.reductions": """
        all any argmax argmin average count_nonzero cumsum logsumexp max mean min norm
        normalize prod std sum var
    """,
    "minikeras.tensors.shapes": """
        diagonal expand_dims flip moveaxis ndim ravel reshape roll shape size squeeze
        swapaxes transpose tril triu
    """,
    "minikeras.tensors.growing": "broadcast_to pad repeat tile",
    "minikeras.tensors.joining": "concatenate split stack take take_along_axis",
    "minikeras.tensors.products": "dot einsum matmul outer tensordot vdot",
    "minikeras.tensors.creation": """
        arange array convert_to_numpy convert_to_tensor empty eye full full_like
        identity is_tensor linspace ones ones_like zeros zeros_like
    """,
    "minikeras.tensors.network": """
        cast elu gelu hard_sigmoid hard_silu hard_swish hard_tanh
        leaky_relu log_sigmoid log_softmax multi_hot one_hot relu relu6 selu
        sigmoid silu soft_shrink softmax softplus softsign sparse_plus squareplus
        stop_gradient swish tanh tanh_shrink threshold
    """,
}
NAMES = {name: module for module, text in _MODULES.items() for name in text.split()}


def find(name: str) -> Any:
    """The function of this name; KeyError if there is none."""
    return getattr(importlib.import_module(NAMES[name]), name)
