"""Slips in Dense and in activations: most could be made in any layer."""

from __future__ import annotations

import numpy as np

from minikeras.gradients import Gradients
from parity_tests.planted_bugs.planting import (
    Specimen,
    input_gradient,
    only,
    outputs,
    plant,
    weight_gradients,
)
from parity_tests.strategies import Values

# --- Dense ----------------------------------------------------------------------------

DENSE = Specimen("Dense", {"units": 3, "activation": "tanh"}, Values((4, 3), seed=1))

plant(
    "kernel gradient transposed",
    DENSE,
    "d dense/kernel",
    backward=weight_gradients(only("kernel", np.transpose)),
)
plant(
    "bias gradient is a mean, not a sum",
    DENSE,
    "d dense/bias",
    backward=weight_gradients(only("bias", lambda g: g / 4)),
)
plant(
    "bias gradient missing",
    DENSE,
    "dense/bias",
    backward=weight_gradients(only("bias", lambda g: None)),
)
plant(
    "gradient added twice",
    DENSE,
    "d dense/kernel",
    backward=weight_gradients(only("kernel", lambda g: g + g)),
)
plant(
    "batch reversed",
    DENSE,
    "dense: dx",
    backward=input_gradient(lambda dx: dx[::-1]),
)
plant(
    "columns reversed",
    DENSE,
    "dense: dx",
    backward=input_gradient(lambda dx: dx[..., ::-1]),
)
plant(
    "activation's gradient left out",
    DENSE,
    "dense: dx",
    backward=lambda self, original, dy, residuals, grads, **options: (
        dy @ self.kernel.value.T
    ),
)


def _forget_weights(self, original, dy, residuals, grads, need_dx=True):
    return original(dy, residuals, grads if need_dx else Gradients([]), need_dx=need_dx)


plant(
    "no weight gradients where dx is not wanted",
    DENSE,
    "need_dx=False",
    backward=_forget_weights,
)


def _input_in_place(self, original, x, **kwargs):
    x *= 1.0
    return original(x, **kwargs)


def _cotangent_in_place(self, original, dy, residuals, grads, **options):
    dy *= 1.0
    return original(dy, residuals, grads, **options)


def _residual_in_place(self, original, dy, residuals, grads, **options):
    residuals.x[...] *= 1.0
    return original(dy, residuals, grads, **options)


plant("input changed in place", DENSE, "read-only", forward=_input_in_place)
plant("cotangent changed in place", DENSE, "read-only", backward=_cotangent_in_place)
plant("residual changed in place", DENSE, "read-only", backward=_residual_in_place)


def _remember(self, original, x, **kwargs):
    y, residuals = original(x, **kwargs)
    object.__setattr__(self, "_last", residuals)
    return y, residuals


def _from_memory(self, original, dy, residuals, grads, **options):
    return original(dy, self._last, grads, **options)


plant(
    "state kept on self",
    DENSE,
    "left something on the layer|shared layer|in a graph",
    forward=_remember,
    backward=_from_memory,
)


def _accumulate(self, original, dy, residuals, grads, **options):
    count = getattr(self, "_calls", 0) + 1
    object.__setattr__(self, "_calls", count)
    dx = original(dy, residuals, grads, **options)
    return dx if dx is None else dx * (1 + (count > 1))


plant(
    "second backward differs", DENSE, "left something|second time", backward=_accumulate
)
plant(
    "float32 result promoted by a float64 scalar",
    DENSE,
    "dtype float64, expected dtype float32",
    options={"dtype": "float32"},
    forward=outputs(lambda self, y: y * np.float64(1.0)),
)
plant(
    "float64 result rounded to float32 on the way",
    DENSE,
    "dense: y",
    forward=outputs(lambda self, y: y.astype("float32").astype("float64")),
)
plant(
    "output depends on the rest of the batch",
    Specimen("Dense", {"units": 3}, Values((4, 3), seed=1), {"training": False}),
    "dense: y",
    forward=outputs(lambda self, y: y - y.mean(axis=0) * 1e-9),
)
plant(
    "strides of the input ignored",
    DENSE,
    "arrays in column order",
    forward=lambda self, original, x, **kwargs: original(
        x.ravel(order="K").reshape(x.shape), **kwargs
    ),
)
plant(
    "strides of the cotangent ignored",
    DENSE,
    "arrays in column order",
    backward=lambda self, original, dy, residuals, grads, **options: original(
        dy.ravel(order="K").reshape(dy.shape), residuals, grads, **options
    ),
)
plant(
    "a call adds something of its own",
    DENSE,
    "dense: y, called",
    __call__=lambda self, original, x, **kwargs: original(x, **kwargs) + 1e-9,
)
plant(
    "config lacks an argument",
    DENSE,
    "lacks 'use_bias'",
    get_config=lambda self, original: {
        k: v for k, v in original().items() if k != "use_bias"
    },
)
plant(
    "output shape misses an axis",
    DENSE,
    "compute_output_shape",
    compute_output_shape=lambda self, original, shape: (self.units,),
)


def _bias_first(self, original, input_shape):
    self.bias = self.add_weight(name="bias", shape=(self.units,), initializer="zeros")
    original(input_shape)


plant("weights in another order", DENSE, r"\.weights", build=_bias_first)
plant(
    "another default",
    Specimen("LeakyReLU", {}, Values((4, 3), seed=1)),
    "negative_slope|leaky_re_lu: y",
    __init__=lambda self, original, negative_slope=0.2, **kwargs: original(
        negative_slope=negative_slope, **kwargs
    ),
)

# --- Activations ----------------------------------------------------------------------

plant(
    "softmax gradient of zero",
    Specimen("Softmax", {}, Values((3, 4), seed=2)),
    "softmax: dx",
    backward=input_gradient(np.zeros_like),
)
plant(
    "softmax gradient summed over the batch",
    Specimen("Softmax", {}, Values((4, 4), seed=2)),
    "softmax: dx",
    backward=input_gradient(np.transpose),
)


def _relu_passes_zero(self, original, dy, residuals, grads, **options):
    dx = original(dy, residuals, grads, **options)
    return np.where(_ZEROS.inputs() == 0, dy, dx)


_ZEROS = Specimen("ReLU", {}, Values((3, 4), seed=2, specials=("zeros",)))
plant(
    "ReLU passes the gradient at 0",
    _ZEROS,
    "re_lu: dx",
    backward=_relu_passes_zero,
)
