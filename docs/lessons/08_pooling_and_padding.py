"""
8. Pooling, padding and their gradients
=======================================

Pooling and padding have no weights, and their gradients are about places only: which
number went where. This lesson finds them by following single pixels, and clears up two
things that people trip over: which of two equal maxima wins, and on which side
``padding="same"`` adds its zeros.
"""

# %%
# Max pooling
# -----------
# Take windows of 2 x 2, side by side, and keep the largest number of each.

import matplotlib.pyplot as plt
import numpy as np

import minikeras as keras
from minikeras import plot

(images, labels), _ = keras.datasets.digits.load_data()
image = (images[0] / 16).astype("float32")  # (8, 8)

windows = image.reshape(4, 2, 4, 2).transpose(0, 2, 1, 3)  # (4, 4, 2, 2)
largest = windows.max(axis=(2, 3))
mean = windows.mean(axis=(2, 3))

x = image[None, :, :, None]  # (N, H, W, C)
max_pool = keras.layers.MaxPooling2D(2)
average_pool = keras.layers.AveragePooling2D(2)
assert np.array_equal(np.asarray(max_pool(x))[0, :, :, 0], largest)
assert np.allclose(np.asarray(average_pool(x))[0, :, :, 0], mean)

figure, axes = plt.subplots(1, 3, figsize=(10, 3.2), layout="constrained")
for ax, name, values in zip(
    axes, ("image", "largest", "mean"), (image, largest, mean), strict=True
):
    plot.heatmap(values, ax=ax, title=f"{name} {values.shape}", digits=1, bar=False)
plt.show()

# %%
# A quarter of the numbers is left, and a digit that moves by one pixel changes less
# than before. Channels are pooled one by one: pooling never mixes them.
#
# The gradient of the largest
# ---------------------------
# If the largest number of a window grows by a little, the output grows by the same. If
# another one does, nothing happens. So the whole gradient goes to the winner. Send back
# a 1 for each of 16 windows, and look who gets it:

_, residuals = max_pool.forward(x)
dy = np.ones((1, 4, 4, 1), "float32")
dx = max_pool.backward(dy, residuals, keras.Gradients())

figure, axes = plt.subplots(1, 2, figsize=(8, 3.4), layout="constrained")
plot.heatmap(image, ax=axes[0], title="image", digits=1, bar=False)
plot.heatmap(dx[0, :, :, 0], ax=axes[1], title="who gets the gradient", bar=False)
plt.show()

print("residuals", residuals._fields)

assert dx.sum() == 16 and set(np.unique(dx)) == {0, 1}

# %%
# The layer keeps who won, a small number per window, not the image. By hand:

winner = windows.reshape(4, 4, 4).argmax(axis=-1)  # 0 to 3: which of the four
by_hand = np.zeros((4, 4, 4), "float32")
np.put_along_axis(by_hand, winner[..., None], 1.0, axis=-1)
by_hand = by_hand.reshape(4, 4, 2, 2).transpose(0, 2, 1, 3).reshape(8, 8)

print(winner)
assert np.array_equal(by_hand, dx[0, :, :, 0])

# %%
# Ties
# ----
# In the top left window all four pixels are 0. Which one is the largest? On paper the
# question has no answer: the function has a kink there, and no derivative. A program
# must answer. TensorFlow gives all of the gradient to the first, reading row by row,
# and so does minikeras:

tie = np.full((1, 2, 2, 1), 7.0, "float32")
_, residuals = max_pool.forward(tie)
first = max_pool.backward(
    np.ones((1, 1, 1, 1), "float32"), residuals, keras.Gradients()
)
print("MaxPooling2D shares", first.ravel())

# %%
# The global layer takes the maximum of the whole image. In TensorFlow that is another
# function, and shares the gradient evenly among equals. Both are right, and both are
# kept as they are in Keras:

whole = keras.layers.GlobalMaxPooling2D()
_, residuals = whole.forward(tie)
even = whole.backward(np.ones((1, 1), "float32"), residuals, keras.Gradients())
print("GlobalMaxPooling2D shares", even.ravel())

assert first.ravel().tolist() == [1, 0, 0, 0]
assert even.ravel().tolist() == [0.25, 0.25, 0.25, 0.25]

# %%
# Ties are common, after a ``relu``, say, where many numbers are exactly 0. There they
# do not matter, since relu stops the gradient of a 0 anyway.
#
# The gradient of the mean
# ------------------------
# Each of four numbers counts a quarter, so each gets a quarter of what comes back:

_, residuals = average_pool.forward(x)
dy = np.arange(16, dtype="float32").reshape(1, 4, 4, 1)
dx = average_pool.backward(dy, residuals, keras.Gradients())
print(dx[0, :4, :4, 0])

assert np.array_equal(dx[0, :, :, 0], np.kron(dy[0, :, :, 0], np.full((2, 2), 0.25)))

# %%
# Windows that overlap
# --------------------
# With windows of 3 that move by 2, some pixels are in two windows, or four. What they
# get adds up, as for the convolution of lesson 7. A single high pixel wins in all of
# its four windows. The other five see only zeros, a tie, and each gives its 1 to its
# first pixel:

peak = np.zeros((1, 7, 7, 1), "float32")
peak[0, 2, 2, 0] = 1
overlapping = keras.layers.MaxPooling2D(3, strides=2)
y, residuals = overlapping.forward(peak)
dx = overlapping.backward(np.ones_like(y), residuals, keras.Gradients())
print(y[0, :, :, 0])
print(dx[0, :, :, 0])

assert dx[0, 2, 2, 0] == 4

# %%
# Padding
# -------
# A window of 3 fits 6 times into 8 pixels: with every convolution an image shrinks by a
# rim. ``padding="same"`` puts zeros around it so that, with strides of 1, it keeps its
# size. With a stride s there are ``ceil(length / s)`` outputs. How many zeros does that
# take, and where do they go?


def same(length, size, stride):
    """(zeros before, zeros after) of padding="same"."""
    outputs = -(-length // stride)  # rounded up
    total = max((outputs - 1) * stride + size - length, 0)
    return total // 2, total - total // 2


for length, size, stride in [(8, 3, 1), (8, 2, 1), (8, 3, 2), (7, 3, 2), (224, 7, 2)]:
    before, after = same(length, size, stride)
    print(f"length {length:3}, size {size}, stride {stride}: {before} + {after}")

assert same(8, 3, 2) == (0, 1) and same(7, 3, 2) == (1, 1)

# %%
# If the number is odd, the one more goes *after*: to the right and to the bottom. And
# with a stride it depends on the size of the image: 8 pixels get nothing before and one
# zero after, 7 pixels one on each side. PyTorch's ``padding=1`` is one on each side
# always, so a model brought over with "same" and strides of 2 is shifted by a pixel
# where the size is even. Shapes agree, nothing fails, and the numbers are wrong.
#
# We can see the zeros by a filter that reads out its top left corner:

corner = np.zeros((3, 3, 1, 1), "float32")
corner[0, 0] = 1
reader = keras.layers.Conv2D(1, 3, strides=2, padding="same", use_bias=False)
numbers = np.arange(1, 65, dtype="float32").reshape(1, 8, 8, 1)
reader.build(numbers.shape)
reader.set_weights([corner])
print(np.asarray(reader(numbers))[0, :, :, 0])
reader.set_weights([corner[::-1, ::-1]])  # now the bottom right one
print(np.asarray(reader(numbers))[0, :, :, 0])

assert np.asarray(reader(numbers))[0, -1, -1, 0] == 0

# %%
# The first windows begin at pixel 1, with no zero before it. The last ones end in a row
# and a column of zeros.
#
# The gradient of padding
# -----------------------
# Zeros come from nowhere, so what flows back to them goes nowhere: padding's gradient
# cuts the rim off.

pad = keras.layers.ZeroPadding2D(((0, 1), (0, 1)))
padded, residuals = pad.forward(numbers)
dy = np.arange(81, dtype="float32").reshape(1, 9, 9, 1)
dx = pad.backward(dy, residuals, keras.Gradients())
print(numbers.shape, "->", padded.shape, "->", dx.shape)

assert np.array_equal(dx, dy[:, :8, :8])

# %%
# A convolution with "same" is padding and then one without, forward and backward:

valid = keras.layers.Conv2D(1, 3, strides=2, use_bias=False)
valid.build(padded.shape)
weights = [np.random.default_rng(0).normal(size=(3, 3, 1, 1)).astype("float32")]
valid.set_weights(weights)
reader.set_weights(weights)

y, residuals = reader.forward(numbers)
dy = np.random.default_rng(1).normal(size=y.shape).astype("float32")
one_step = reader.backward(dy, residuals, keras.Gradients())

y_valid, residuals = valid.forward(padded)
two_steps = valid.backward(dy, residuals, keras.Gradients())[:, :8, :8]

print(f"largest difference {np.abs(one_step - two_steps).max():.0e}")
assert np.allclose(y, y_valid, atol=1e-4)
assert np.allclose(one_step, two_steps, atol=1e-5)

# %%
# Pooling pads, too, but not with zeros: a zero would win against negative numbers, and
# would pull a mean down. Max pooling pads with minus infinity, and average pooling
# counts only the pixels that are there:

negative = np.full((1, 3, 3, 1), -1.0, "float32")
for name in ("MaxPooling2D", "AveragePooling2D"):
    padded_pool = getattr(keras.layers, name)(2, padding="same")
    y = np.asarray(padded_pool(negative))
    print(f"{name:16}", y.ravel())
    assert np.all(y == -1)

# %%
# Or no pooling
# -------------
# A convolution with strides of 2 halves an image as well, and learns how. The same
# small network both ways, on the digits:

for name, half in {
    "max pooling": [
        keras.layers.Conv2D(8, 3, padding="same", activation="relu"),
        keras.layers.MaxPooling2D(2),
    ],
    "strides": [
        keras.layers.Conv2D(8, 3, strides=2, padding="same", activation="relu")
    ],
}.items():
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Rescaling(1 / 16),
            *half,
            keras.layers.Flatten(),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    history = model.fit(images[..., None], labels, epochs=8, verbose=0)
    print(f"{name:12} accuracy {history.history['accuracy'][-1]:.2f}")
    assert history.history["accuracy"][-1] > 0.85

# %%
# Try it
# ------
# 1. Find an image and a filter where a "same" convolution of stride 2 gives another
#    answer for the image and for the image turned by 180 degrees (with the filter
#    turned as well).
# 2. ``average_pool`` is a convolution. Which kernel does it have, and what stands in
#    its way with three channels?
# 3. How many zeros does ``padding="same"`` add for a window of 5 and a stride of 3, for
#    images of 9, 10 and 11 pixels? Work it out, then ask ``same``.
# 4. Pool the maximum over windows of 2 of a series in which one value is NaN. What do
#    you want to happen, and what does?
#
# Exercises::
#
#     python -m minikeras exercises start max_pooling_backward
#     python -m minikeras exercises start average_pooling_backward
#
# Next: :doc:`09_lstm_gates`.
