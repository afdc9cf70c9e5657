"""
1. What a weight is
===================

A neural network is arithmetic with numbers that nobody wrote down: training found them.
Those numbers are the weights. This lesson takes the smallest network that does
something useful, reads handwritten digits with it, and looks at its 650 weights one by
one.
"""

# %%
# One unit
# --------
# The smallest layer is one unit that sees two numbers. It multiplies each of them by a
# number of its own, adds the products, and adds one number more:
#
# .. code-block:: text
#
#     y = x[0] * kernel[0] + x[1] * kernel[1] + bias
#
# The three numbers ``kernel[0]``, ``kernel[1]`` and ``bias`` are its weights. Here is
# such a layer, and what it says of the inputs 2 and 3:

import matplotlib.pyplot as plt
import numpy as np

import minikeras as keras
from minikeras import datasets, plot

layer = keras.layers.Dense(1)
layer.build((None, 2))  # any number of examples, of two numbers each
layer.set_weights([np.array([[10.0], [100.0]]), np.array([0.5])])

y = np.asarray(layer(np.array([[2.0, 3.0]])))
print(y)  # 2 * 10 + 3 * 100 + 0.5

assert y == 320.5

# %%
# An input is an example: a row of numbers. A weight says how much one of these numbers
# counts. With a weight of 100 the second number counts ten times as much as the first;
# with a weight of 0 it would not count at all, with a negative one it would count
# against.
#
# Ten units that see sixty-four numbers
# -------------------------------------
# The package has 1,797 images of digits that 13 people wrote by hand. Each has 8 rows
# of 8 pixels, from 0 (paper) to 16 (ink): 64 numbers in all.

(x, labels), (x_test, labels_test) = datasets.digits.load_data()
print("images", x.shape, "labels", labels.shape)
print("a", labels[0])
print(x[0])

# %%
# To tell ten digits apart, take ten units. Each gives one number, its score, and the
# digit whose unit has the highest score is the answer. ``Flatten`` writes the 8 rows of
# an image as one row of 64, and ``Rescaling`` divides by 16.

keras.utils.set_random_seed(0)
model = keras.Sequential(
    [
        keras.Input((8, 8)),
        keras.layers.Rescaling(1 / 16),
        keras.layers.Flatten(),
        keras.layers.Dense(10, activation="softmax"),
    ]
)
kernel, bias = model.get_weights()
print("kernel", kernel.shape, "bias", bias.shape, "together", kernel.size + bias.size)

# %%
# Ten units with a weight for each of 64 pixels, and a bias each. Row ``i`` of the
# kernel belongs to pixel ``i``, column ``j`` to unit ``j``: ``kernel[i, j]`` is how
# much ink at pixel ``i`` speaks for the digit ``j``. (PyTorch keeps the same numbers as
# (out, in): the transpose.)
#
# The kernel begins at random, the bias at zero, and the answers are as bad as guessing:

model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
_, accuracy = model.evaluate(x_test, labels_test, verbose=0)
print(f"{accuracy:.0%} of {len(x_test)} digits are read right")

assert np.all(bias == 0) and accuracy < 0.2

# %%
# Training
# --------
# ``fit`` shows the model the images with their labels, again and again, and moves each
# weight a little in the direction that makes the answers better. How, is what the
# lessons from the third on are about. Now we only look at the result.

history = model.fit(x, labels, epochs=40, verbose=0)
_, accuracy = model.evaluate(x_test, labels_test, verbose=0)
print(f"{accuracy:.0%} are read right")

assert accuracy > 0.9

# %%
# The images in the test were not used in training. What made the difference is in these
# 650 numbers, and nowhere else.
#
# A weight for each pixel: draw them as pixels
# --------------------------------------------
# Each column of the kernel has 64 weights, one for each pixel. So it can be drawn as an
# image, too. Red are positive weights, blue negative ones.

trained, trained_bias = model.get_weights()
images = trained.reshape(8, 8, 1, 10)  # rows, columns, channels, filters
figure, axes = plt.subplots(2, 5, figsize=(9, 4.2), layout="constrained")
plot.filters(images, axes=axes.ravel())
for digit, ax in enumerate(axes.ravel()):
    ax.set_title(f"unit {digit}")
plt.show()

# %%
# Look at unit 0: blue in the middle, red around it. Ink on the ring speaks for a zero,
# ink in the middle speaks against it. Nobody wrote that down. It is where the 0s among
# the training images differ from the rest.
#
# We can say it in numbers. The pixel in row 4, column 4 is in the middle of the ring:

middle = 4 * 8 + 4  # where Flatten put it
with np.printoptions(precision=1, suppress=True):
    print(trained[middle])

assert trained[middle, 0] == trained[middle].min()

# %%
# Ten weights, one per unit. The lowest is that of unit 0: no digit suffers more from
# ink there.
#
# What the layer does with them
# -----------------------------
# For one image, by hand: multiply each pixel with its weights, add up, add the biases.

pixels = x_test[0].reshape(64) / 16
scores = pixels @ trained + trained_bias
with np.printoptions(precision=1, suppress=True):
    print("scores", scores)
print("the highest is that of", scores.argmax(), "and the label says", labels_test[0])

assert scores.argmax() == labels_test[0]

# %%
# A score can be any number. ``softmax``, the activation of the layer, makes ten
# probabilities of them, which add up to one: it takes ``exp`` of each, and divides by
# the sum (lesson 6 comes back to it).

by_hand = np.exp(scores) / np.exp(scores).sum()
by_model = model.predict(x_test[:1], verbose=0)[0]
print(f"by hand {by_hand.max():.3f}, by the model {by_model.max():.3f}")

assert np.allclose(by_hand, by_model, atol=1e-5)

# %%
# That is all the model does: 640 products and a few sums. Multiply the pixels by the
# weights without adding up, and one sees which pixels decided:

figure, axes = plt.subplots(1, 3, figsize=(9, 3.2), layout="constrained")
digit = labels_test[0]
parts = [
    ("the pixels", x_test[0] / 16),
    (f"the weights of unit {digit}", trained[:, digit].reshape(8, 8)),
    ("their products", (pixels * trained[:, digit]).reshape(8, 8)),
]
for ax, (name, values) in zip(axes, parts, strict=True):
    plot.heatmap(values, ax=ax, title=name, write=False, bar=False)
plt.show()

score = (pixels * trained[:, digit]).sum() + trained_bias[digit]
assert np.isclose(score, scores[digit])

# %%
# Where there is no ink, the product is zero, whatever the weight. A weight matters only
# where there is input.
#
# What to remember
# ----------------
# * A weight is a number that says how much one input counts for one unit.
# * A Dense layer has a kernel (inputs, units), and a bias (units,): one column of the
#   kernel and one bias per unit.
# * ``get_weights()`` gives them as arrays. What a network has learned is in them.
#
# Try it
# ------
# 1. Which of the ten units has the largest bias after training, and what does a bias
#    say of a digit before one has seen a single pixel?
# 2. Some pixels have weights that training did not move at all, in no unit. Find them:
#    ``np.all(trained == kernel, axis=1)``. Why? ``x.max(axis=0)`` has the answer.
# 3. Set the weights of one pixel to zero, ``trained[middle] = 0``, and give them back
#    with ``model.set_weights([trained, trained_bias])``. What does it cost? How many
#    pixels can one take away before the accuracy falls below 80 %?
# 4. Train for one epoch, and for 400. What becomes of the images of weights?
#
# Exercise: the formula of Dense, taken out of the library for you to write in::
#
#     python -m minikeras exercises start dense_forward
#
# These lines print the same with ``import keras`` in the place of minikeras: the same
# seed gives the same initial weights, bit for bit, and the same training.
#
# Next: :doc:`02_reading_and_setting_weights`.
