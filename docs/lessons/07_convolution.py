"""
7. Conv2D as windows and one matrix product
===========================================

A convolution looks like a new kind of layer. It is a Dense layer that sees one small
window of the image at a time. This lesson cuts an image into windows, does a
convolution as one matrix product, and finds both gradients with what lesson 5 knows.
"""

# %%
# One filter
# ----------
# An image of a handwritten digit, 8 x 8 pixels, and a filter of 3 x 3 weights. Put the
# filter on the top left corner, multiply what lies on top of each other, add up: one
# number. Move it by one pixel, and so on.

import matplotlib.pyplot as plt
import numpy as np

import minikeras as keras
from minikeras import plot

(images, labels), _ = keras.datasets.digits.load_data()
image = images[6] / 16  # (8, 8)
print("a", labels[6])

edge = np.array([[1.0, 1.0, 1.0], [0.0, 0.0, 0.0], [-1.0, -1.0, -1.0]])

answer = np.zeros((6, 6))
for row in range(6):
    for column in range(6):
        window = image[row : row + 3, column : column + 3]
        answer[row, column] = (window * edge).sum()

figure, axes = plt.subplots(1, 3, figsize=(10, 3.2), layout="constrained")
for ax, name, values in zip(
    axes, ("image", "filter", "answer"), (image, edge, answer), strict=True
):
    plot.heatmap(values, ax=ax, title=f"{name} {values.shape}", digits=1, bar=False)
plt.show()

# %%
# This filter is 1 above and -1 below. Where ink is above paper it answers with a high
# number, where paper is above ink with a low one, and with about 0 where nothing
# changes: it finds the lower and upper edges of strokes. A window of 3 fits 6 times
# into 8 pixels, so the answer is 6 x 6.
#
# The layer does the same. Its kernel has four axes, (rows, columns, input channels,
# filters), and its image has three and one for the examples, (examples, rows, columns,
# channels):

layer = keras.layers.Conv2D(1, 3, use_bias=False, dtype="float64")
layer.build((None, 8, 8, 1))
layer.set_weights([edge[:, :, None, None]])
of_layer = np.asarray(layer(image[None, :, :, None]))
print("kernel", layer.kernel.shape, "output", of_layer.shape)

assert np.allclose(of_layer[0, :, :, 0], answer)

# %%
# (What the field calls convolution is correlation: in mathematics the filter would be
# turned around first. PyTorch keeps the kernel as (filters, channels, rows, columns).)
#
# Channels and filters
# --------------------
# A colour image has three channels, and the layer after this one sees as many channels
# as there are filters here. A filter then has 3 x 3 weights *for each channel*, and its
# answer is the sum over all. With C channels and O filters a kernel has 9 * C * O
# weights, and each filter one bias:

conv = keras.layers.Conv2D(5, 3)
conv.build((None, 8, 8, 2))
print([w.shape for w in conv.get_weights()], "together", conv.count_params())

assert conv.count_params() == 3 * 3 * 2 * 5 + 5

# %%
# That number does not depend on the size of the image. A Dense layer from the same 8 x
# 8 x 2 inputs to the same 6 x 6 x 5 outputs would need 128 * 180 weights and 180
# biases, 23,220 in place of 95.
#
# Windows as rows
# ---------------
# Now without the loops over positions. Write each window as a row of a matrix, its nine
# (times C) numbers side by side. The field calls this matrix the *columns*, after
# MATLAB's ``im2col``, which wrote the windows as columns. Take N = 2 images of H x W =
# 8 x 8 pixels and C = 2 channels; P x Q = 6 x 6 windows fit into each:

rng = np.random.default_rng(0)
x = rng.normal(size=(2, 8, 8, 2))  # (N, H, W, C)

windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(1, 2))
print("windows", windows.shape)  # (N, P, Q, C, 3, 3), and nothing was copied

columns = windows.transpose(0, 1, 2, 4, 5, 3).reshape(2 * 6 * 6, 3 * 3 * 2)
print("columns", columns.shape)

# %%
# And the kernel as a matrix, with one column per filter, its rows in the same order:
# rows, columns, channels. Then all windows meet all filters in one product:

kernel = rng.normal(size=(3, 3, 2, 5))  # (3, 3, C, O)
bias = rng.normal(size=5)
matrix = kernel.reshape(3 * 3 * 2, 5)

y = (columns @ matrix + bias).reshape(2, 6, 6, 5)

conv = keras.layers.Conv2D(5, 3, dtype="float64")
conv.build(x.shape)
conv.set_weights([kernel, bias])
of_layer, residuals = conv.forward(x)
print(f"largest difference {np.abs(y - of_layer).max():.0e}")

assert np.allclose(y, of_layer)

# %%
# So a convolution *is* a Dense layer, whose examples are the windows. One product of a
# (72, 18) and an (18, 5) matrix is what processors do best, and it is how libraries
# compute it. The price is memory: a pixel is in up to nine windows, so ``columns`` is
# several times as large as the images. The library makes them in pieces that fit into
# the cache, and throws them away.

print(f"{x.size} numbers in the images, {columns.size} in the columns")

# %%
# The gradient of the kernel
# --------------------------
# Lesson 5: ``dkernel = x.T @ dy`` and ``dbias = dy.sum(axis=0)``. Here the examples are
# the rows of ``columns``, and nothing else changes.

dy = rng.normal(size=y.shape)
dy_rows = dy.reshape(2 * 6 * 6, 5)

dkernel = (columns.T @ dy_rows).reshape(kernel.shape)
dbias = dy_rows.sum(axis=0)

grads = keras.Gradients()
dx_of_layer = conv.backward(dy, residuals, grads)
assert np.allclose(dkernel, grads[conv.kernel])
assert np.allclose(dbias, grads[conv.bias])
print("dkernel", dkernel.shape, "dbias", dbias.shape, "equal to the layer's")

# %%
# A weight of a filter is used at all 36 positions of all images, so its gradient is a
# sum over all of them. This is what *weight sharing* means going back.
#
# The gradient of the image
# -------------------------
# Again as in lesson 5: ``dcolumns = dy @ matrix.T``. But the columns are copies of
# pixels. What happens to a pixel is what happens to all of its copies together: give
# each window its gradient back, and add where windows overlap.

dcolumns = (dy_rows @ matrix.T).reshape(2, 6, 6, 3, 3, 2)
dx = np.zeros_like(x)
for i in range(3):
    for j in range(3):
        # in forward: window (p, q) saw pixel (p + i, q + j) at its place (i, j)
        dx[:, i : i + 6, j : j + 6] += dcolumns[:, :, :, i, j]

print(f"largest difference {np.abs(dx - dx_of_layer).max():.0e}")

assert np.allclose(dx, dx_of_layer)

# %%
# How many windows is a pixel in? Send a gradient of one through each window at each
# place and count:

count = np.zeros((8, 8), int)
for i in range(3):
    for j in range(3):
        count[i : i + 6, j : j + 6] += 1
ax = plot.heatmap(count, title="windows that see a pixel", bar=False)
plt.show()

assert count[0, 0] == 1 and count[4, 4] == 9

# %%
# A pixel in the corner is in one window, one in the middle in nine. Without padding the
# rim of an image counts less (lesson 8 adds some).
#
# There is a second way to read the same sum: ``dx`` is a convolution of ``dy``, padded
# by two zeros on each side, with the filter turned by 180 degrees, its channels and
# filters swapped. The library takes this one where it is faster:

turned = kernel[::-1, ::-1].transpose(0, 1, 3, 2)  # (3, 3, O, C)
padded = np.pad(dy, ((0, 0), (2, 2), (2, 2), (0, 0)))
seen = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
again = np.einsum("npqoij,ijoc->npqc", seen, turned)

assert np.allclose(again, dx)
print("the same", again.shape)

# %%
# What filters learn
# ------------------
# Eight filters on real digits, ten epochs, and the filters before and after:

keras.utils.set_random_seed(0)
model = keras.Sequential(
    [
        keras.Input((8, 8, 1)),
        keras.layers.Rescaling(1 / 16),
        keras.layers.Conv2D(8, 3, activation="relu", name="conv"),
        keras.layers.Flatten(),
        keras.layers.Dense(10, activation="softmax"),
    ]
)
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
conv = model.get_layer("conv")
before = conv.get_weights()[0]
history = model.fit(images[..., None], labels, epochs=10, verbose=0)
after = conv.get_weights()[0]
print(f"accuracy {history.history['accuracy'][-1]:.2f}")

figure, axes = plt.subplots(2, 8, figsize=(10, 2.9), layout="constrained")
for row, kernels in zip(axes, (before, after), strict=True):
    for number, ax in enumerate(row):
        values = kernels[:, :, 0, number]
        plot.heatmap(values, ax=ax, title="", write=False, bar=False)
        ax.set(xticks=[], yticks=[], xlabel="", ylabel="", aspect="equal")
axes[0, 0].set_ylabel("before")
axes[1, 0].set_ylabel("after")
plt.show()

assert history.history["accuracy"][-1] > 0.9

# %%
# And what they make of one image, each its own map:

plot.feature_maps(model, "conv", images[6:7, :, :, None])
plt.show()

# %%
# Try it
# ------
# 1. Transpose ``edge``. What does it find now? What does a filter of nine times 1/9 do?
# 2. ``strides=2``: which rows of ``columns`` are left? Change the code and compare with
#    ``keras.layers.Conv2D(5, 3, strides=2)``.
# 3. A 1 x 1 convolution: what are its columns, and which layer is it?
# 4. Conv1D: write it in the same way, for a series (N, T, C).
# 5. Shift an image by one pixel to the right. What happens to the output of a
#    convolution, and what to that of a Dense layer?
#
# Exercises: the layer with its formula taken out, then with its gradient::
#
#     python -m minikeras exercises start conv2d_forward
#     python -m minikeras exercises start conv2d_backward
#
# Next: :doc:`08_pooling_and_padding`.
