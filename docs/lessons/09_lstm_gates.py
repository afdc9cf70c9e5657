"""
9. The four gates of an LSTM, drawn over time
=============================================

An LSTM reads a series one step at a time, and at each step decides what to forget, what
to write down and what to show. These decisions are numbers between 0 and 1, the
*gates*. Frameworks compute them and throw them away. Here they are arrays: we train a
small LSTM on real data, draw its gates over three centuries, and compute one step again
by hand.

It works with a series of your own: change one line.
"""

# %%
# A series
# --------
# Any CSV file with a number in each row will do. Put the path of your own in the place
# of ``path``, and say in which column the numbers are, counting from 0. Ours is the
# number of sunspots in each year from 1700 to 2008.

from importlib import resources

import matplotlib.pyplot as plt
import numpy as np

import minikeras as keras

path = resources.files("minikeras.datasets") / "data" / "sunspots.csv"  # or "my.csv"
column = 1

table = np.genfromtxt(path, delimiter=",", skip_header=1, ndmin=2)
assert column < table.shape[1], f"{table.shape[1]} column(s): another delimiter?"
numbers, times = table[:, column], table[:, 0]
if column == 0 or np.isnan(times).any():  # no times there, or dates: count the steps
    times = np.arange(len(numbers))

missing = np.flatnonzero(~np.isfinite(numbers))
assert not len(missing), f"rows without a number: {missing}"
print(len(numbers), "numbers:", numbers[:6], "...")

# %%
# (A file with semicolons needs ``delimiter=";"``, one without a line of names
# ``skip_header=0``. Dates in column 0 can be the times: read them with
# ``np.genfromtxt(path, delimiter=",", skip_header=1, usecols=0,
# dtype="datetime64[D]")``.)
#
# A network likes numbers of about 1, so subtract the mean and divide by the standard
# deviation. Then cut the series into windows: 20 years, and the year that follows.

series = (numbers - numbers.mean()) / numbers.std()
windows = np.lib.stride_tricks.sliding_window_view(series, 21)
x, y = windows[:, :20, None], windows[:, 20:]
print("x", x.shape, "(windows, steps, features);  y", y.shape)

# %%
# A model that tells the next year
# --------------------------------
# Eight LSTM units and one Dense. ``Input((None, 1))`` means sequences of any length of
# one number per step: trained on 20 years, the model can read all 309.

keras.utils.set_random_seed(1)
model = keras.Sequential(
    [
        keras.Input((None, 1)),
        keras.layers.LSTM(8, name="lstm"),
        keras.layers.Dense(1),
    ]
)
model.compile(keras.optimizers.Adam(0.01), "mse")
history = model.fit(x, y, epochs=30, verbose=0)

losses = history.history["loss"]
print(f"mean squared error: {losses[0]:.3f} in the first epoch, {losses[-1]:.3f} now")
assert losses[-1] < losses[0]

# %%
# The gates
# ---------
# ``teach.gates`` runs the model once, as ``predict`` does, and hands out what the layer
# computed on its way. One long example here: the whole series.

gates = keras.teach.gates(model, "lstm", series[None, :, None])

print(gates._fields)
print("f:", gates.f.shape, "(examples, steps, units)")

# %%
# Unit 3 over the last hundred years. Grey is the range of a gate, from closed to open.

unit = 3
figure, axes = plt.subplots(2, 1, figsize=(10, 6), sharex=True, layout="constrained")
axes[0].plot(times, numbers, color="black")
axes[0].set_ylabel("the series")
keras.plot.gates(gates, unit=unit, times=times, ax=axes[1])
axes[1].set_xlim(times[-100:][0], times[-1])
plt.show()

# %%
# No picture? Where there is no screen, write it to a file:
# ``figure.savefig("gates.png")``.
#
# From one maximum of the sun to the next are about eleven years, and the gates open and
# close with them.
#
# ==========  ========================================================  =======
# name        what it is                                                from, to
# ==========  ========================================================  =======
# ``i``       input gate: how much of the candidate is written          0, 1
# ``f``       forget gate: how much of the cell state is kept           0, 1
# ``c``       candidate: what could be written                          -1, 1
# ``o``       output gate: how much of the cell state is shown          0, 1
# ``cell``    the cell state: the memory                                any
# ``hidden``  the hidden state: the layer's output                      -1, 1
# ==========  ========================================================  =======
#
# ``keras.plot.gates(gates, unit=None)`` draws all units at once, as heat maps.
#
# Two lines connect them. The memory is what was kept plus what was written:
#
# .. math:: cell_t = f_t \cdot cell_{t-1} + i_t \cdot c_t
#
# and the output is what the output gate lets through of it:
#
# .. math:: hidden_t = o_t \cdot \tanh(cell_t)
#
# Check it on all 309 steps and 8 units at once. Before the first step the memory is
# empty.

cell_before = np.concatenate([np.zeros((1, 1, 8)), gates.cell[:, :-1]], axis=1)

kept = gates.f * cell_before
written = gates.i * gates.c
assert np.allclose(gates.cell, kept + written, atol=1e-5)
assert np.allclose(gates.hidden, gates.o * np.tanh(gates.cell), atol=1e-5)

print("time   kept + written =   cell")
for t in range(-5, 0):
    k, w, cell = (a[0, t, unit] for a in (kept, written, gates.cell))
    print(f"{times[t]:.0f} {k:6.3f} {w:+9.3f} = {cell:6.3f}")

# %%
# One step by hand, from the weights
# ----------------------------------
# Where do the gates come from? Each is a small Dense layer of its own, which looks at
# the new number and at the hidden state of the step before. Keras keeps the four side
# by side in the same three arrays, in the order i, f, c, o:

kernel, recurrent_kernel, bias = model.get_layer("lstm").get_weights()
print("kernel", kernel.shape)
print("recurrent_kernel", recurrent_kernel.shape)
print("bias", bias.shape)

explanation = keras.teach.explain(model)
for gate, columns in explanation["lstm/kernel"].gates.items():
    print(f"  {gate}: columns {columns.start} to {columns.stop - 1}")

# %%
# The gates of the last step, from the last number and the hidden state before it:


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


z = series[-1] * kernel[0] + gates.hidden[0, -2] @ recurrent_kernel + bias
i, f, c, o = z[0:8], z[8:16], z[16:24], z[24:32]
i, f, c, o = sigmoid(i), sigmoid(f), np.tanh(c), sigmoid(o)

with np.printoptions(precision=3, suppress=True):
    print("f by hand:   ", f)
    print("f, the layer:", gates.f[0, -1])

for by_hand, name in [(i, "i"), (f, "f"), (c, "c"), (o, "o")]:
    assert np.allclose(by_hand, getattr(gates, name)[0, -1], atol=1e-5), name

# %%
# That is the whole layer: those lines, once per step. How many weights is that? Four
# gates, each with a weight for every input, for every unit's last output, and a bias:

print(explanation.formulas["lstm"])
assert kernel.size + recurrent_kernel.size + bias.size == 320

# %%
# ``print(explanation)`` draws the table of all arrays, with the same weights in
# PyTorch.
#
# How long does it remember?
# --------------------------
# Of what is in the memory at one step, the share ``f`` is there at the next, and after
# n steps the product of n forget gates. So ``f = 0.5`` is a memory of about a year
# here, and ``f = 0.97`` one that halves in 23. An LSTM begins with a bias of 1 at the
# forget gates, so that it keeps things before it has learned to:

untrained = keras.layers.LSTM(8)
untrained.build((None, None, 1))
print(
    "bias of a new LSTM:", untrained.get_weights()[2].reshape(4, 8)[:, 0], "(i f c o)"
)

at_first = keras.teach.gates(untrained, x=np.zeros((1, 1, 1))).f[0, 0, 0]
assert np.isclose(at_first, sigmoid(1.0))
print(f"so its forget gates begin at {at_first:.3f}")

# %%
# The same of the trained units. A product is a sum of logarithms, so their mean tells
# after how many steps half of the memory is gone:

half_life = np.log(0.5) / np.log(gates.f[0]).mean(axis=0)
for unit, steps in enumerate(half_life):
    print(f"unit {unit}: {steps:4.1f} steps")

# %%
# And as an experiment: make one number in the middle larger, leave all others as they
# were, and see for how long the memory of each unit is another one.

moment = len(series) // 2
other = series.copy()
other[moment] += 2
changed = keras.teach.gates(model, "lstm", other[None, :, None])
difference = np.abs(changed.cell - gates.cell)[0]  # (steps, units)

assert np.all(difference[:moment] == 0)  # nothing before
assert np.all(difference[moment] > 0)

figure, ax = plt.subplots(figsize=(10, 3.2), layout="constrained")
part = difference[moment - 5 : moment + 40]
extent = (-5.5, len(part) - 5.5, 7.5, -0.5)
picture = ax.imshow(part.T, aspect="auto", cmap="Blues", extent=extent)
ax.set(xlabel="steps after the change", ylabel="unit", title="change of the cells")
figure.colorbar(picture)
plt.show()

# %%
# The change does not only fade as the forget gate says: a changed hidden state changes
# all gates of the next step, too. Reading ``f`` alone is a good guess of the memory,
# not more.
#
# Other layers, and masks
# -----------------------
# * A GRU has ``z`` (update), ``r`` (reset), ``h`` (candidate) and ``hidden``.
# * Layers inside of a ``Bidirectional`` go by their own names:
#   ``keras.teach.gates(model, "backward_lstm", x)``. What goes backwards is in the
#   order in which the layer read it; ``gates.time`` says which step that was, and the
#   plot goes from left to right in time.
# * At a masked step (after ``Masking``, or an ``Embedding`` with ``mask_zero=True``)
#   the gates are NaN, for they had no effect, and the states stay. The plot shades it.

gru = keras.layers.GRU(4, name="gru")
gru.build((None, None, 1))
print(keras.teach.gates(gru, x=series[None, :, None])._fields)

# %%
# Try it
# ------
# 1. Draw the other units. Which one follows the sun, which one is slow? Find the slow
#    one in the list of half-lives first.
# 2. Set the bias of the forget gates to -3 and predict again:
#    ``bias[8:16] = -3; model.get_layer("lstm").set_weights([kernel, recurrent_kernel,
#    bias])``. How do the gates look, and how large is the error now?
# 3. Train with windows of 5 years, then of 40. Do the half-lives change?
# 4. Your own series: which gate moves first when something unusual happens in it?
#
# Exercises: write one step yourself, and then its gradient. A check says where yours
# differs from the layer's own::
#
#     python -m minikeras exercises start lstm_step_forward
#     python -m minikeras exercises start lstm_step_backward
#
# Next: :doc:`10_through_time`, what happens to a gradient on its way back through 309
# steps.
