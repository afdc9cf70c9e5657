"""
10. Backpropagation through time
================================

A recurrent layer is one small layer used again and again. Written out step by step it
is a deep network, as deep as the sequence is long, in which all layers share their
weights. Its gradient is found as in any other network, from the last step to the first.
That is all of backpropagation through time.

Here we unroll three steps by hand and compare with the layer. Then we let the sequence
grow to sixty steps of real data, and watch what becomes of a gradient on its way back.
"""

# %%
# Three steps, forward
# --------------------
# The simplest recurrent layer has one state, its own last output:
#
# .. math:: h_t = \tanh(x_t K + h_{t-1} R + b)
#
# Two units, three inputs per step, three steps, one example. Random weights, small
# enough to print:

import matplotlib.pyplot as plt
import numpy as np

import minikeras as keras

np.set_printoptions(precision=3, suppress=True)
rng = np.random.default_rng(0)

K = rng.normal(size=(3, 2))  # kernel: inputs, units
R = rng.normal(size=(2, 2))  # recurrent_kernel: units, units
b = rng.normal(size=2)
x = rng.normal(size=(3, 3))  # steps, inputs

h0 = np.zeros(2)
h1 = np.tanh(x[0] @ K + h0 @ R + b)
h2 = np.tanh(x[1] @ K + h1 @ R + b)
h3 = np.tanh(x[2] @ K + h2 @ R + b)
print("h1", h1)
print("h2", h2)
print("h3", h3)

# %%
# The same K, R and b in each line. This is unrolling.
#
# Three steps, backward
# ---------------------
# Say the loss depends on the last state only, and somebody has told us its gradient
# there, ``dh3``. (``d`` and a name is the gradient of the loss with respect to it.)
# Let :math:`z_t` be what goes into the tanh. One step back takes four lines, the
# gradient of a Dense layer with two inputs:
#
# * through the tanh, whose slope is :math:`1 - \tanh^2`:
#   :math:`dz_t = dh_t \, (1 - h_t^2)`
# * to the state before: :math:`dh_{t-1} = dz_t R^T`
# * to the input: :math:`dx_t = dz_t K^T`
# * to the weights K, R and b, *of this step*: :math:`x_t^T dz_t`,
#   :math:`h_{t-1}^T dz_t` and :math:`dz_t`
#
# From the last step to the first:

dh3 = np.array([1.0, -2.0])

dz3 = dh3 * (1 - h3**2)
dh2 = dz3 @ R.T
dz2 = dh2 * (1 - h2**2)
dh1 = dz2 @ R.T
dz1 = dh1 * (1 - h1**2)
for name, array in [("dz3", dz3), ("dz2", dz2), ("dz1", dz1)]:
    print(name, array)

# %%
# The weights were used three times, so their gradient is a sum of three terms. That a
# thing used twice gets the sum of two gradients is the only rule one needs for shared
# weights.

dR_of_step = [np.outer(h0, dz1), np.outer(h1, dz2), np.outer(h2, dz3)]
for t, term in enumerate(dR_of_step, start=1):
    print(f"step {t} says of R\n{term}")

dR = sum(dR_of_step)
dK = np.outer(x[0], dz1) + np.outer(x[1], dz2) + np.outer(x[2], dz3)
db = dz1 + dz2 + dz3
dx = np.stack([dz1, dz2, dz3]) @ K.T
print(f"the gradient of R\n{dR}")

# %%
# The first step says nothing of R, since there was no state before it.
#
# The layer says the same
# -----------------------
# ``forward`` returns the output and the residuals, all that the gradient needs;
# ``backward`` takes them, adds what it finds about the weights to ``grads``, and
# returns the gradient of the input.

layer = keras.layers.SimpleRNN(2, dtype="float64")
layer.build((None, 3, 3))
layer.set_weights([K, R, b])

y, residuals = layer.forward(x[None])  # one example: (1, 3, 3)
grads = keras.Gradients()
dx_layer = layer.backward(dh3[None], residuals, grads)

kernel, recurrent_kernel, bias = layer.trainable_variables
assert np.allclose(y[0], h3)
assert np.allclose(dx_layer[0], dx)
assert np.allclose(grads[kernel], dK)
assert np.allclose(grads[recurrent_kernel], dR)
assert np.allclose(grads[bias], db)
print(f"the layer on R\n{grads[recurrent_kernel]}")

# %%
# If the loss looks at every state and not only at the last (``return_sequences=True``),
# two gradients arrive at each: one from outside, one from the step after it. They are
# added before the step is taken:
#
# ``dh = dh_outside[t] + dh_from_the_step_after``
#
# ``minikeras/ops/recurrence.py`` and ``minikeras/ops/lstm.py`` have this loop. Nothing
# in it is special to time. (To see a whole training step of any model in this way, call
# by call: ``print(keras.teach.trace(model, x, y))``.)
#
# What becomes of a gradient after sixty steps
# --------------------------------------------
# In the hand-made gradient, ``dh1`` is ``dh3`` after two multiplications by
# :math:`R^T` and two slopes of tanh. After sixty steps it is sixty of each. Leave the
# tanh out for a moment, and let R be an orthogonal matrix, which keeps lengths, times a
# number s. Then each step back multiplies the length of the gradient by exactly s:

steps, units = 60, 8
orthogonal = np.linalg.qr(rng.normal(size=(units, units)))[0]
inputs = rng.normal(size=(1, steps, units))


def lengths(layer, inputs):
    """The length of the gradient of each step's input, if the loss is at the end."""
    y, residuals = layer.forward(inputs)
    dy = np.full_like(y, 1 / np.sqrt(y.size))  # of length 1
    dx = layer.backward(dy, residuals, keras.Gradients())
    return np.sqrt((dx**2).sum(axis=(0, 2)))


figure, ax = plt.subplots(figsize=(8, 4), layout="constrained")
back = np.arange(steps - 1, -1, -1)  # how many steps before the end
for s in (1.1, 1.0, 0.9, 0.7, 0.5):
    layer = keras.layers.SimpleRNN(units, activation="linear", dtype="float64")
    layer.build((None, steps, units))
    layer.set_weights([np.eye(units), s * orthogonal, np.zeros(units)])
    found = lengths(layer, inputs)
    assert np.allclose(found, s**back)  # a claim, and its check
    ax.semilogy(back, found, label=f"s = {s}")
ax.set(xlabel="steps before the end", ylabel="length of the gradient")
ax.legend(frameon=False)
plt.show()

print(f"after 59 steps: 0.5 leaves {0.5**59:.0e}, 1.1 makes it {1.1**59:.0f}")

# %%
# The scale is logarithmic: these are straight lines, so the gradient vanishes or
# explodes *exponentially*. Only s = 1 does neither, and so Keras begins with an
# orthogonal recurrent kernel. It is no remedy: training moves R, and the slope of tanh,
# which is below 1 away from zero, multiplies at each step too.
#
# A vanished gradient is not an error that shows. The loss goes down and the network
# learns, but from the last few steps only.
#
# The other road: an LSTM's cell state
# ------------------------------------
# An LSTM's memory goes from step to step by ``cell = f * cell_before + i * c``. On that
# road the gradient is not multiplied by a matrix and a slope, but by the forget gate:
# ``dcell_before = dcell * f``. A gate at 0.99 leaves more than half after sixty steps;
# a gate at 0.5 leaves nothing. So it is the forget gate that decides, and its bias:

figure, ax = plt.subplots(figsize=(8, 4), layout="constrained")
for forget_bias in (5.0, 3.0, 1.0, 0.0):
    keras.utils.set_random_seed(2)
    lstm = keras.layers.LSTM(units, dtype="float64")
    lstm.build((None, steps, units))
    K4, R4, b4 = lstm.get_weights()
    b4[units : 2 * units] = forget_bias  # the second of the four blocks, i f c o
    lstm.set_weights([0.1 * K4, 0.1 * R4, b4])  # near zero: the biases rule
    found = lengths(lstm, inputs)
    f = 1 / (1 + np.exp(-forget_bias))
    per_step = (found[0] / found[-1]) ** (1 / (steps - 1))
    print(f"bias {forget_bias:.0f}: f = {f:.3f}; per step {per_step:.3f}")
    assert abs(per_step - f) < 0.03
    ax.semilogy(back, found, label=f"bias {forget_bias:.0f}, f = {f:.3f}")
ax.set(xlabel="steps before the end", ylabel="length of the gradient")
ax.legend(frameon=False)
plt.show()

# %%
# With the default bias of 1 a new LSTM passes back 73 % per step, which is better than
# the 50 % of a bias of 0, and still gone after sixty steps. What an LSTM has is not a
# gradient that lasts, but a gate that can *learn* to let it last.
#
# Real data: which years does the forecast listen to?
# ---------------------------------------------------
# Sixty years of sunspots, and a forecast of the year after them. The gradient of the
# forecast with respect to each of the sixty years says how far back a network can
# learn from, and, after training, how far back it looks.

_, sunspots = keras.datasets.sunspots.load_series()
sunspots = sunspots / 100
windows = np.lib.stride_tricks.sliding_window_view(sunspots, steps + 1)
past, year_after = windows[:, :steps, None], windows[:, steps:]


def listens_to(model):
    """How strongly each of the sixty years moves the forecast, over all windows."""
    y, residuals = model.forward(past)
    dx = model.backward(np.ones_like(y), residuals, keras.Gradients())
    return np.abs(dx).mean(axis=(0, 2))


figure, axes = plt.subplots(1, 2, figsize=(11, 4), sharey=True, layout="constrained")
for recurrent in (keras.layers.SimpleRNN, keras.layers.LSTM, keras.layers.GRU):
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [keras.Input((None, 1)), recurrent(16), keras.layers.Dense(1)]
    )
    model.compile(keras.optimizers.Adam(0.01), "mse")
    before = listens_to(model)
    history = model.fit(past, year_after, batch_size=64, epochs=40, verbose=0)
    after = listens_to(model)
    axes[0].semilogy(-1 - back, before, label=recurrent.__name__)
    axes[1].semilogy(-1 - back, after)
    loss = history.history["loss"][-1]
    print(
        f"{recurrent.__name__:9}  60 years ago counts {after[0] / after[-1]:.0e} "
        f"of last year; before training {before[0] / before[-1]:.0e}; loss {loss:.4f}"
    )
    assert after[0] < after[-1] / 10
axes[0].set(
    title="before training",
    xlabel="years before the forecast",
    ylabel="mean |gradient|",
)
axes[1].set(title="after training", xlabel="years before the forecast")
axes[0].legend(frameon=False)
plt.show()

# %%
# Not what the textbook's headline says, that a SimpleRNN's gradient vanishes and an
# LSTM's does not. Before training the SimpleRNN's gradient lasts longest: an orthogonal
# R, and small numbers, for which tanh has a slope near 1. Of the GRU's some 0.6 are
# left at each step, because its update gate begins at 0.5. After training all three
# listen further back than before, and the one that listens furthest does not fit these
# years best: the sun's cycle is eleven years, and nothing here needs a memory of sixty.
# Which layer keeps a gradient is a question of its numbers, so look at them.
#
# Exploding is the easier half
# ----------------------------
# A gradient that is too long is easy to see and to treat: shorten it before the step.
# ``clipnorm`` does that, for each array by itself; ``global_clipnorm`` for all
# together, which keeps the direction.

gradient = np.array([300.0, 400.0])  # of length 500
weight = keras.Variable(np.zeros(2), dtype="float64")
optimizer = keras.optimizers.SGD(learning_rate=1.0, clipnorm=1.0)
optimizer.apply([gradient], [weight])
print("the step taken:", weight.numpy())
assert np.allclose(weight.numpy(), [-0.6, -0.8])

# %%
# Try it
# ------
# 1. Let the loss look at ``h1`` and ``h3``: add a ``dh1_outside`` of your choice by
#    hand, and compare with a layer with ``return_sequences=True``.
# 2. Put ``activation="tanh"`` in the plot of straight lines, and take out the
#    ``assert``. Which lines change, and why does s = 1.1 not explode any more?
# 3. Give the GRU's update gate a bias of 3 (the first block, z r h, of the first row of
#    its bias; the second row is added to it) and draw the left picture again.
# 4. Set ``f = 1`` for good: with which bias? What could go wrong then, that a forget
#    gate was invented for?
#
# Exercises: one step back, and the whole way of an LSTM with its two roads, h and the
# cell state::
#
#     python -m minikeras exercises start simple_rnn_step_backward
#     python -m minikeras exercises start lstm_through_time
#
# Next: :doc:`11_batch_normalization`, a layer that is another one in training.
