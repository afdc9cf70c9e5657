"""
3. What training changes
========================

Training changes the weights and nothing else. This lesson takes a small network, keeps
its weights, trains it, and lays the arrays of before and after side by side: which have
changed, by how much, and why by no more than that.
"""

# %%
# A hundred points
# ----------------
# Two numbers each, between 0 and 1. The label is 1 if their sum is above 1. A problem
# this plain can be drawn, and leaves no doubt about what the network should learn.

import os
import tempfile

import matplotlib.pyplot as plt
import numpy as np

import minikeras as keras
from minikeras import plot

keras.utils.set_random_seed(42)
x = np.random.default_rng(42).random((100, 2)).astype("float32")
y = (x.sum(axis=1, keepdims=True) > 1).astype("float32")
print("x", x.shape, "y", y.shape, "ones:", int(y.sum()))

# %%
# Four hidden units and one output, a probability. Adam and binary crossentropy are the
# usual choice for a question of yes or no; lessons 4 and 6 take them apart.

model = keras.Sequential(
    [
        keras.Input((2,)),
        keras.layers.Dense(4, activation="relu"),
        keras.layers.Dense(1, activation="sigmoid"),
    ]
)
model.compile(
    optimizer=keras.optimizers.Adam(0.01),
    loss="binary_crossentropy",
    metrics=["accuracy"],
)

# %%
# Before and after
# ----------------
# The whole experiment is three lines: keep the weights, train, look again.

before = model.get_weights()
history = model.fit(x, y, epochs=100, batch_size=32, verbose=0)
after = model.get_weights()

for epoch in (1, 50, 100):
    loss, accuracy = (history.history[n][epoch - 1] for n in ("loss", "accuracy"))
    print(f"epoch {epoch:3}: loss {loss:.3f}, accuracy {accuracy:.2f}")

assert history.history["loss"][-1] < history.history["loss"][0] / 2

# %%
# ``fit`` returns a History. Its ``history`` has, for each name, a list with one value
# per epoch. Drawn:

plot.history(history)
plt.show()

# %%
# All four arrays have changed, and none has changed its shape. Nothing has been added
# and nothing taken away: what the model has learned is in these 17 numbers.

for variable, old, new in zip(model.weights, before, after, strict=True):
    change = np.abs(new - old)
    print(
        f"{variable.path:26} {old.shape!s:7} "
        f"mean change {change.mean():.3f}, largest {change.max():.3f}"
    )

assert all(a.shape == b.shape for a, b in zip(before, after, strict=True))
assert all(np.any(a != b) for a, b in zip(before, after, strict=True))

# %%
# The kernel of the first layer, with its numbers. Each column is one hidden unit and
# says in which direction it looks:

both = np.concatenate([before[0], after[0]])  # (2 + 2, 4)
ax = plot.heatmap(both, rows="", columns="unit", title="kernel of the first layer")
ax.set_yticks(range(4), ["before, x[0]", "before, x[1]", "after, x[0]", "after, x[1]"])
plt.show()

sums = np.all(after[0] > 1, axis=0)  # both weights of a unit above 1
assert sums.tolist() == [False, True, True, True]

# %%
# Before, each column was two random numbers. After, in three of the four columns both
# numbers are positive and of about the same size: the sum of the inputs is what counts,
# and these units found it. The bias of a unit says from which sum on it answers. Unit 0
# still looks at a difference. The task does not need it.
#
# What the weights do
# -------------------
# The same change, seen from outside: the answer of the model for every point of the
# square, before and after.

grid = np.linspace(0, 1, 41, dtype="float32")
points = np.stack(np.meshgrid(grid, grid), axis=-1).reshape(-1, 2)  # (1681, 2)

figure, axes = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
for ax, weights, name in zip(axes, (before, after), ("before", "after"), strict=True):
    model.set_weights(weights)
    answers = model.predict(points, verbose=0).reshape(41, 41)
    picture = ax.contourf(
        grid, grid, answers, levels=np.linspace(0, 1, 11), cmap="RdBu"
    )
    ax.scatter(x[:, 0], x[:, 1], c=y[:, 0], cmap="RdBu", edgecolors="black")
    ax.set(title=name, xlabel="x[0]", ylabel="x[1]", aspect="equal")
figure.colorbar(picture, ax=axes, label="probability of a 1")
plt.show()

# %%
# ``set_weights(before)`` brought the untrained model back, and ``set_weights(after)``
# the trained one. There is nothing else to a model's knowledge.
#
# By how much can a weight move?
# ------------------------------
# Adam moves a weight by about the learning rate, 0.01, per step, whatever the size of
# its gradient, and by less where the gradient keeps changing its sign. An epoch is as
# many steps as there are batches: 100 examples in batches of 32 are 4. So 100 epochs
# are 400 steps, and no weight can have come much further than 400 times 0.01:

steps = int(model.optimizer.iterations)
furthest = max(np.abs(b - a).max() for a, b in zip(before, after, strict=True))
print(f"{steps} steps of 0.01 are {steps * 0.01}; the furthest moved by {furthest:.2f}")

assert steps == 400 and furthest < steps * 0.01

# %%
# That is the first thing to check when a loss does not go down: are the weights moving,
# and how far per step? Histograms show it for arrays that are too large to print:

plot.weight_histograms(before, after, names=[w.path for w in model.weights])
plt.show()

# %%
# What does not change
# --------------------
# A layer that is frozen keeps its weights. ``compile`` again after a change of
# ``trainable``:

model.layers[0].trainable = False
model.compile(optimizer="adam", loss="binary_crossentropy")
trainable, frozen = model.trainable_weights, model.non_trainable_weights
print(len(trainable), "trainable,", len(frozen), "not")

before = model.get_weights()
model.fit(x, y, epochs=1, verbose=0)
for variable, old, new in zip(model.weights, before, model.get_weights(), strict=True):
    print(f"{variable.path:26}", "stays" if np.array_equal(old, new) else "changed")

assert np.array_equal(before[0], model.get_weights()[0])

# %%
# ``evaluate`` and ``predict`` change no weight. And BatchNormalization has two arrays
# that training changes without a gradient (lesson 11).
#
# Keeping it
# ----------
# A saved model gives the same when it is loaded again, here or in Keras. In the file
# are the same arrays (lesson 13 opens one by hand).

with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "model.keras")
    model.save(path)
    again = keras.models.load_model(path)
same = np.array_equal(model.predict(x, verbose=0), again.predict(x, verbose=0))
print("the same answers:", same)

assert same

# %%
# Try it
# ------
# 1. Train with ``keras.optimizers.SGD(0.01)`` for the same 400 steps. How far do the
#    weights get now? Print the gradients' size, or find it from what you see.
# 2. Which hidden unit could one take away? Set its column of the kernel and its bias to
#    zero and look at the accuracy.
# 3. Take another seed for ``set_random_seed``. Are the weights after training the same?
#    Are the answers?
# 4. Turn the labels around, ``y = 1 - y``, and train on from the weights you have, with
#    the first layer trainable again. Which array changes most, and which could stay as
#    it is?
#
# Exercise: the step downhill that all optimizers are made of::
#
#     python -m minikeras exercises start sgd_step
#
# These lines print the same with ``import keras`` in the place of minikeras: the same
# seed gives the same initial weights and the same order of the examples, and the
# arithmetic differs only in its rounding.
#
# Next: :doc:`04_one_adam_step_by_hand`.
