"""
4. One Adam step by hand
========================

A gradient says in which direction the loss grows. The optimizer goes the other way, and
decides how far. Adam is the usual choice, and its rule is a few lines. This lesson
takes one model, one batch and one step, does the step by hand, and finds the same
weights as the optimizer.
"""

# %%
# A model and a batch
# -------------------
# One unit on 32 handwritten digits: is it a 0 or not? 64 weights and a bias are few
# enough to look at all of them.

import matplotlib.pyplot as plt
import numpy as np

import minikeras as keras
from minikeras import plot

(x, labels), _ = keras.datasets.digits.load_data()
x = (x[:32].reshape(32, 64) / 16).astype("float32")
y = (labels[:32, None] == 0).astype("float32")

keras.utils.set_random_seed(0)
model = keras.Sequential([keras.Input((64,)), keras.layers.Dense(1, "sigmoid")])
loss = keras.losses.BinaryCrossentropy()
print("x", x.shape, "y", y.shape, "zeros:", int(y.sum()))

# %%
# The gradient
# ------------
# Forward through the model and the loss; backward in the reverse order. ``forward``
# returns the output and the *residuals*, all that ``backward`` will need. The gradients
# of the weights go into ``grads`` (lesson 5 shows how they come about).


def gradients(model):
    """The loss of the batch, and its gradient for each weight."""
    y_pred, residuals = model.forward(x, training=True)
    value, loss_residuals = loss.forward(y, y_pred)
    grads = keras.Gradients()
    model.backward(loss.backward(1.0, loss_residuals), residuals, grads)
    return float(value), [grads[v].copy() for v in model.trainable_variables]


before = model.get_weights()
value, g = gradients(model)
print(f"loss {value:.4f}")
print("gradients", [array.shape for array in g], "- one for each weight")

assert [a.shape for a in g] == [w.shape for w in before]

# %%
# The gradient of a weight says by how much the loss grows if the weight grows by a
# little. We can try: add 0.001 to the weight of one pixel and compute the loss again.

pixel = 36  # row 4, column 4: the middle
kernel, bias = before
moved = kernel.copy()
moved[pixel] += 0.001
model.set_weights([moved, bias])
growth = (gradients(model)[0] - value) / 0.001
model.set_weights(before)
print(f"the gradient says {g[0][pixel, 0]:.3f}, the experiment {growth:.3f}")

assert np.isclose(g[0][pixel, 0], growth, atol=0.01)

# %%
# More weight on the middle of the image makes the loss grow: a 0 has no ink there. So
# the step should make this weight smaller.
#
# The rule
# --------
# Plain gradient descent, SGD, goes against the gradient: ``w -= rate * g``. Adam keeps
# two more numbers for every weight, and both begin at zero:
#
# * ``m``, a running mean of the gradient: the direction, with the noise of single
#   batches averaged out;
# * ``v``, a running mean of the gradient squared: how large gradients are here.
#
# A new gradient counts for a tenth in ``m`` and for a thousandth in ``v``:

rate, beta_1, beta_2, epsilon = 0.001, 0.9, 0.999, 1e-7  # Keras's defaults

m = [np.zeros_like(w) for w in before]
v = [np.zeros_like(w) for w in before]

m = [beta_1 * a + (1 - beta_1) * b for a, b in zip(m, g, strict=True)]
v = [beta_2 * a + (1 - beta_2) * b**2 for a, b in zip(v, g, strict=True)]
print(f"g {g[0][pixel, 0]:.6f}   m {m[0][pixel, 0]:.6f}   v {v[0][pixel, 0]:.9f}")

# %%
# Since both began at zero they are too small at first: after t steps ``m`` has only the
# part ``1 - beta_1**t`` of a mean, and ``v`` the part ``1 - beta_2**t``. Keras puts the
# correction for both into the rate:

t = 1
corrected = rate * np.sqrt(1 - beta_2**t) / (1 - beta_1**t)
print(f"corrected rate {corrected:.6f}")

# %%
# And the step itself: the mean gradient, divided by the usual size of the gradient.
#
# .. math:: w \leftarrow w - rate \cdot \frac{\sqrt{1 - \beta_2^t}}{1 - \beta_1^t}
#           \cdot \frac{m}{\sqrt{v} + \epsilon}

by_hand = [
    w - corrected * a / (np.sqrt(b) + epsilon)
    for w, a, b in zip(before, m, v, strict=True)
]

# %%
# Now the same by the optimizer, and the difference:

optimizer = keras.optimizers.Adam()
optimizer.apply(g, model.trainable_variables)
after = model.get_weights()
for variable, ours, theirs in zip(model.weights, by_hand, after, strict=True):
    print(f"{variable.name:7} differs by at most {np.abs(ours - theirs).max():.0e}")
    assert np.allclose(ours, theirs, atol=1e-7)

# %%
# That was Adam. Its state, our ``m`` and ``v``, is in the optimizer's own variables,
# and is saved with the model, so that training can go on where it stopped:

for variable in optimizer.variables:
    print(f"{variable.path:36} {variable.shape}")

kept = {variable.path: variable.numpy() for variable in optimizer.variables}
path = model.weights[0].path.replace("/", "_")
assert np.allclose(kept[f"adam/{path}_momentum"], m[0])
assert np.allclose(kept[f"adam/{path}_velocity"], v[0])

# %%
# How far did it go?
# ------------------
# In the first step ``m / sqrt(v)``, corrected, is the gradient divided by its own size,
# which is +1 or -1. So every weight whose gradient is not 0 moves by the rate, 0.001,
# however large that gradient is. Here are the gradients of all 64 weights and the steps
# they led to:

steps = after[0] - before[0]
figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
plot.heatmap(g[0].reshape(8, 8), ax=axes[0], title="gradient", write=False)
plot.heatmap(steps.reshape(8, 8), ax=axes[1], title="Adam's first step", write=False)
plt.show()

moving = np.abs(g[0]) > 1e-4
print(f"{moving.sum()} weights moved by {np.abs(steps[moving]).mean():.6f} each")
print(f"{(g[0] == 0).sum()} did not move: their pixel is 0 in all 32 images")

assert np.allclose(np.abs(steps[moving]), rate, rtol=0.01)
assert np.all(steps[g[0] == 0] == 0)

# %%
# This is what makes Adam easy to use: multiply the loss by 1000, and its steps stay the
# same. It also says how to choose the rate: as the distance that a weight may go in one
# step. And it explains ``epsilon``: where the gradient is far smaller than 1e-7,
# epsilon is all there is in the denominator, and the weight stays. (Other libraries
# correct ``v`` before they add epsilon, so the same epsilon means something a little
# different there. Keras's is the "epsilon hat" of the paper.)
#
# A second step
# -------------
# Nothing new: ``m`` and ``v`` go on from where they are, and t is 2.

_, g = gradients(model)
t = 2
m = [beta_1 * a + (1 - beta_1) * b for a, b in zip(m, g, strict=True)]
v = [beta_2 * a + (1 - beta_2) * b**2 for a, b in zip(v, g, strict=True)]
corrected = rate * np.sqrt(1 - beta_2**t) / (1 - beta_1**t)
by_hand = [
    w - corrected * a / (np.sqrt(b) + epsilon)
    for w, a, b in zip(after, m, v, strict=True)
]
optimizer.apply(g, model.trainable_variables)
for ours, theirs in zip(by_hand, model.get_weights(), strict=True):
    assert np.allclose(ours, theirs, atol=1e-7)
print("the same again")

# %%
# Against plain gradient descent
# ------------------------------
# Three hundred steps of each, from the same weights, and the loss on the way:

curves = {}
for name, optimizer in {
    "SGD(0.001)": keras.optimizers.SGD(0.001),
    "SGD(0.1)": keras.optimizers.SGD(0.1),
    "Adam(0.001)": keras.optimizers.Adam(0.001),
    "Adam(0.01)": keras.optimizers.Adam(0.01),
}.items():
    model.set_weights(before)
    curves[name] = []
    for _ in range(300):
        value, g = gradients(model)
        optimizer.apply(g, model.trainable_variables)
        curves[name].append(value)

figure, ax = plt.subplots(figsize=(7, 3.6), layout="constrained")
for name, values in curves.items():
    ax.plot(values, label=name)
ax.set(xlabel="step", ylabel="loss")
ax.legend()
plt.show()

for name, values in curves.items():
    print(f"{name:12} {values[-1]:.3f}")

assert curves["Adam(0.001)"][-1] < curves["SGD(0.001)"][-1]

# %%
# At the same rate of 0.001 SGD is the slower one: its steps are the rate times a
# gradient that is less than 1, and gets smaller as the loss does. A hundred times the
# rate, and it is ahead of that Adam, though not of the one with 0.01. A rate means
# something different to each optimizer; comparing two at the same one says little.
#
# Try it
# ------
# 1. Multiply the loss by 1000: ``loss.backward(1000.0, ...)`` in ``gradients``. What
#    changes for Adam, what for SGD?
# 2. Set ``beta_1 = 0``, by hand and in ``keras.optimizers.Adam(beta_1=0.0)``. What is
#    ``m`` then, and how does the second step change?
# 3. Set ``epsilon = 0.1``. Which weights move now, and like which other optimizer does
#    Adam behave?
# 4. Momentum alone: ``velocity = momentum * velocity - rate * g; w += velocity``. Do
#    two steps by hand and compare with ``keras.optimizers.SGD(0.1, momentum=0.9)``.
#
# Exercise: the library's own Adam with its step taken out. Write it in; a check says
# where your weights differ::
#
#     python -m minikeras exercises start adam_step
#
# Next: :doc:`05_dense_backward`.
