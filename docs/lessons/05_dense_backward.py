"""
5. Dense backward, on paper and in code
=======================================

Every gradient in this library is written by hand, and each is a few lines. The one of
the Dense layer is three. This lesson derives it with a pencil, writes it in NumPy, and
holds it against the library's own, and against the definition of a derivative.
"""

# %%
# On paper: one example, one unit
# -------------------------------
# Take the smallest case: two inputs, one unit, no activation.
#
# .. code-block:: text
#
#     y = x[0] * kernel[0] + x[1] * kernel[1] + bias
#
# Somewhere after it comes a loss. Suppose we know one number: ``dy``, by how much the
# loss grows when ``y`` grows by one. What does it say of the weights?
#
# * ``kernel[0]`` grows by one, so ``y`` grows by ``x[0]``, so the loss by
#   ``x[0] * dy``.
# * ``bias`` grows by one, so ``y`` grows by one, so the loss by ``dy``.
# * ``x[0]`` grows by one, so ``y`` grows by ``kernel[0]``, so the loss by
#   ``kernel[0] * dy``.
#
# That is the chain rule, and all of it. A weight's gradient is what came in times what
# came back. (``dy`` is short for the derivative of the loss with respect to ``y``; the
# code of this library uses such names throughout.)

import matplotlib.pyplot as plt
import numpy as np

import minikeras as keras

x, kernel, bias, dy = np.array([2.0, 3.0]), np.array([10.0, 100.0]), 0.5, 1.0
dkernel, dbias, dx = x * dy, dy, kernel * dy
print("dkernel", dkernel, " dbias", dbias, " dx", dx)

# %%
# Many units, many examples
# -------------------------
# With U units and D inputs there is a ``dy`` per unit, and with N examples one per
# example and unit: an array (N, U), of the same shape as the output. The rule stays,
# with sums:
#
# * ``kernel[d, u]`` meets input d and unit u, in every example. What N examples do to
#   the loss adds up: ``dkernel[d, u]`` is the sum over n of ``x[n, d] * dy[n, u]``.
# * ``bias[u]`` meets unit u in every example: ``dbias[u]`` is the sum over n of
#   ``dy[n, u]``.
# * ``x[n, d]`` goes into all units of its own example: ``dx[n, d]`` is the sum over u
#   of ``dy[n, u] * kernel[d, u]``.
#
# Written as loops, with numbers small enough to check with a pencil:

x = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])  # (N, D) = (3, 2)
kernel = np.array([[1.0, 0.0, -1.0, 2.0], [0.0, 1.0, 1.0, -1.0]])  # (D, U) = (2, 4)
bias = np.array([0.0, 0.0, -2.0, -1.0])  # (U,)
dy = np.array([[1.0, 0.0, 2.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, -1.0, 1.0]])


def backward_in_loops(x, kernel, dy):
    """(dkernel, dbias, dx) of y = x @ kernel + bias."""
    dkernel, dx = np.zeros_like(kernel), np.zeros_like(x)
    dbias = np.zeros(kernel.shape[1])
    for n in range(len(x)):
        for u in range(kernel.shape[1]):
            dbias[u] += dy[n, u]
            for d in range(len(kernel)):
                dkernel[d, u] += x[n, d] * dy[n, u]
                dx[n, d] += dy[n, u] * kernel[d, u]
    return dkernel, dbias, dx


dkernel, dbias, dx = backward_in_loops(x, kernel, dy)
print("dkernel")
print(dkernel)
print("dbias", dbias)
print("dx")
print(dx)

assert dkernel[0, 0] == 1 * 1 + 3 * 0 + 5 * 0
assert dkernel[0, 2] == 1 * 2 + 3 * 0 + 5 * -1

# %%
# In code: two matrix products
# ----------------------------
# A sum of products over one index is a matrix product. Which one, the shapes say:
#
# ==========  ========  ==========================================
# gradient    shape     the only product with that shape
# ==========  ========  ==========================================
# dkernel     (D, U)    ``x.T @ dy``, (D, N) @ (N, U): over n
# dbias       (U,)      ``dy.sum(axis=0)``: over n
# dx          (N, D)    ``dy @ kernel.T``, (N, U) @ (U, D): over u
# ==========  ========  ==========================================
#
# If you remember one thing, let it be this: a gradient has the shape of what it is the
# gradient of, and that alone leaves little to choose.


def backward(x, kernel, dy):
    """(dkernel, dbias, dx) of y = x @ kernel + bias."""
    return x.T @ dy, dy.sum(axis=0), dy @ kernel.T


for quick, slow in zip(backward(x, kernel, dy), (dkernel, dbias, dx), strict=True):
    assert np.array_equal(quick, slow)
print("the same as the loops")

# %%
# With an activation
# ------------------
# The layer computes ``z = x @ kernel + bias`` and ``y = activation(z)``. Going back,
# the activation is met first: it makes ``dz`` from ``dy``, and the rest is as above,
# with ``dz``. For ``relu``, which passes what is positive and stops what is not, ``dz``
# is ``dy`` where ``z`` was positive, and 0 elsewhere.

z = x @ kernel + bias
y = np.maximum(z, 0)
dz = dy * (z > 0)
print("z")
print(z)
print("dz")
print(dz)

# %%
# The third unit has ``z = -1`` for all three examples, so nothing comes back through
# it: its gradients are zero, and it will stay as it is. Such a unit is called dead. The
# fourth one hears of the third example only.
#
# The same in the library
# -----------------------
# Open ``minikeras/layers/core/dense.py`` and look for ``backward``. ``forward`` returns
# the output and the residuals: what the gradient will need, and nothing else. Here that
# is the input, for ``dkernel``, and what the activation keeps.

layer = keras.layers.Dense(4, activation="relu", dtype="float64")
layer.build((None, 2))
layer.set_weights([kernel, bias])

output, residuals = layer.forward(x)
print(residuals._fields)

grads = keras.Gradients()
dx_of_layer = layer.backward(dy, residuals, grads)

ours = backward(x, kernel, dz)
theirs = (grads[layer.kernel], grads[layer.bias], dx_of_layer)
for name, a, b in zip(("dkernel", "dbias", "dx"), ours, theirs, strict=True):
    print(f"{name:8} {a.shape!s:7} largest difference {np.abs(a - b).max()}")
    assert np.array_equal(a, b)
assert np.array_equal(output, y) and np.all(grads[layer.kernel][:, 2] == 0)

# %%
# ``backward`` returns ``dx``, for the layer before, and adds the gradients of the
# weights to ``grads``. It adds because a layer may be used twice in a model; then both
# uses count.
#
# Is it true?
# -----------
# A derivative is defined without any of this: change one number by a little, see how
# the loss changes. It takes two forward passes per weight, far too slow for training,
# and just right for a test. Take as loss the sum of ``y * dy``, since its gradient with
# respect to ``y`` is ``dy``:


def loss(kernel):
    """A number whose derivative with respect to y is dy."""
    return (np.maximum(x @ kernel + bias, 0) * dy).sum()


step = 1e-6
numeric = np.zeros_like(kernel)
for d, u in np.ndindex(kernel.shape):
    change = np.zeros_like(kernel)
    change[d, u] = step
    numeric[d, u] = (loss(kernel + change) - loss(kernel - change)) / (2 * step)

print("on paper")
print(ours[0])
print("by trying")
print(numeric.round(6))

assert np.allclose(numeric, ours[0], atol=1e-6)

# %%
# ``gradcheck`` does that for every array of any layer, and says where the worst
# difference is:

keras.utils.set_random_seed(0)
report = keras.utils.gradcheck(keras.layers.Dense(3, activation="tanh"), x)
print(report)

# %%
# Two ways to be wrong
# --------------------
# Most mistakes in a backward pass are one of a few. Forget that examples add up, and
# take the mean; or forget the activation. Numbers come out, with the right shapes, and
# training even seems to work. Only a comparison tells:

mistakes = {
    "mean instead of sum": x.T @ dz / len(x),
    "forgot the activation": x.T @ dy,
    "right": x.T @ dz,
}
for name, wrong in mistakes.items():
    print(f"{name:22} off by {np.abs(wrong - numeric).max():.6f}")

# %%
# Where is the mean over the batch, then, which every loss has? In the loss: its own
# gradient has a factor 1/N, and that is in ``dy`` when it arrives here.
#
# A chain of layers
# -----------------
# ``dx`` of one layer is the ``dy`` of the layer before it. So the gradient of a whole
# model is a walk back through its layers, each by its own three lines. Six layers, and
# the size of what each hands on:

keras.utils.set_random_seed(3)
layers = [keras.layers.Dense(32, activation="tanh") for _ in range(6)]
value = np.random.default_rng(0).normal(size=(8, 32)).astype("float32")
kept = []
for layer in layers:
    layer.build(value.shape)
    value, residuals = layer.forward(value)
    kept.append(residuals)

gradient, sizes = np.ones_like(value), []
for layer, residuals in zip(reversed(layers), reversed(kept), strict=True):
    gradient = layer.backward(gradient, residuals, keras.Gradients())
    sizes.append(np.abs(gradient).mean())

figure, ax = plt.subplots(figsize=(6, 2.6), layout="constrained")
ax.barh([f"dx of layer {n}" for n in range(5, -1, -1)], sizes)
ax.set(xlabel="mean size")
plt.show()

assert sizes[-1] < sizes[0]

# %%
# Each ``tanh`` lets less than everything through, so the first layers get less than the
# last: the gradient vanishes little by little. (Not with every layer: a kernel may
# enlarge it.) What that does over many steps of time is lesson 10.
#
# Try it
# ------
# 1. ``dy`` has a column of zeros. What does it say of the weights of that unit?
# 2. Two examples are equal in ``x`` but have opposite rows in ``dy``. What is
#    ``dkernel``? What would that mean in training?
# 3. Replace the activation by a sigmoid and write ``dz``. The derivative of a sigmoid
#    is ``y * (1 - y)``: only ``y`` is needed, which is why the layer keeps that.
# 4. An input (N, T, D), with an axis of time: what is ``x.T @ dz`` then? Look at
#    ``rows`` in ``dense.py``.
# 5. Start the chain of layers with ``kernel_initializer="he_normal"`` and with
#    ``"zeros"``. What happens to the sizes?
#
# Exercise: write it into the layer itself. Its ``backward`` is taken out, and a check
# says what is exact, and what a wrong answer looks like::
#
#     python -m minikeras exercises start dense_backward
#
# Next: :doc:`06_softmax_and_crossentropy`.
