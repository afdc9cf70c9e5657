"""
14. How NumPy keeps up
======================

There is no compiled code in minikeras, and Python is a slow language. Yet its models
train in seconds. That works because almost no arithmetic is done in Python: it is asked
for, in large portions, and done by loops that others compiled and tuned for the
processor. What remains is to ask well.

Each section measures two ways to the same result, here, on the machine that built this
page. Times depend on the machine; trust the ratios, and measure your own.
"""

# %%
# A clock
# -------
# Best of several runs on one core, both ways in turn, so that a moment in which the
# machine was busy hurts neither. The results must be equal, but for rounding.

import time

import matplotlib.pyplot as plt
import numpy as np
from threadpoolctl import threadpool_limits

import minikeras as keras

rng = np.random.default_rng(0)
ratios = {}


def compare(name, plain, quick, runs=10):
    """How many times as fast the second way is."""
    best = [np.inf, np.inf]
    with threadpool_limits(1):
        assert np.allclose(plain(), quick(), rtol=1e-3, atol=1e-3), name
        for _ in range(runs):
            for k, way in enumerate((plain, quick)):
                start = time.perf_counter()
                way()
                best[k] = min(best[k], time.perf_counter() - start)
    ratios[name] = best[0] / best[1]
    print(f"{name}: {1e3 * best[0]:.3g} ms and {1e3 * best[1]:.3g} ms,", end=" ")
    print(f"{times(ratios[name])} times as fast")


def times(ratio):
    return f"{ratio:.0f}" if ratio >= 10 else f"{ratio:.1f}"


# %%
# A loop and a product
# --------------------
# A Dense layer on 32 images of digits: for each example and each unit, the sum of 64
# products. In Python, one by one, and as one matrix product:

(images, labels), _ = keras.datasets.digits.load_data()
x = images.reshape(-1, 64).astype("float32") / 16
kernel = rng.normal(size=(64, 16)).astype("float32")


def loops():
    rows, columns = x[:32].tolist(), kernel.T.tolist()
    return [
        [sum(a * b for a, b in zip(row, column, strict=True)) for column in columns]
        for row in rows
    ]


compare("matrix product", loops, lambda: x[:32] @ kernel, runs=5)
assert ratios["matrix product"] > 10  # hundreds on most machines

# %%
# The product is not NumPy's own work either. It hands the two arrays to BLAS, a library
# in which people have tuned this one operation for each processor for forty years:
# several numbers per instruction, several instructions at once, and every number that
# was fetched from memory used as often as possible.
#
# So the craft of writing a layer is to find the matrix product in it.
#
# The convolution is a product
# ----------------------------
# A convolution slides a small window over an image. But a window is no copy: with the
# right *strides*, which say how many bytes lie between neighbours, NumPy reads the
# image itself as the array of all its windows.

pictures = images[:128].astype("float32")[..., None]  # (128, 8, 8, 1)
taps = rng.normal(size=(3, 3, 1, 16)).astype("float32")
windows = np.lib.stride_tricks.sliding_window_view(pictures, (3, 3), axis=(1, 2))
assert np.shares_memory(windows, pictures)
print("windows", windows.shape, "of", pictures.shape, "and not a byte copied")


def window_by_window():
    y = np.empty((128, 6, 6, 16), "float32")
    for i in range(6):
        for j in range(6):
            window = pictures[:, i : i + 3, j : j + 3].reshape(128, 9)
            y[:, i, j] = window @ taps.reshape(9, 16)
    return y


def one_product():
    columns = windows.reshape(-1, 9)  # now they are copied
    return (columns @ taps.reshape(9, 16)).reshape(128, 6, 6, 16)


conv = keras.layers.Conv2D(16, 3, use_bias=False)
conv.build(pictures.shape)
conv.set_weights([taps])
assert np.allclose(conv(pictures), one_product(), atol=1e-3)
compare("convolution", window_by_window, one_product)

# %%
# The LSTM is half a product
# --------------------------
# In ``z[t] = x[t] @ kernel + h[t - 1] @ recurrent_kernel`` the second term needs the
# step before. The first does not: one product for all time steps at once.

sequences = rng.normal(size=(100, 16, 128)).astype("float32")  # steps, batch, inputs
lstm_kernel = rng.normal(size=(128, 512)).astype("float32")  # inputs, 4 x 128 units
compare(
    "all time steps at once",
    lambda: np.stack([x_t @ lstm_kernel for x_t in sequences]),
    lambda: (sequences.reshape(1600, 128) @ lstm_kernel).reshape(100, 16, 512),
)

# %%
# Asking costs, too
# -----------------
# Each call of NumPy takes about a microsecond before it adds the first number. With few
# numbers per call, that is all one pays for. The same 128 images in one batch, and one
# by one:

model = keras.Sequential(
    [
        keras.Input((64,)),
        keras.layers.Dense(32, activation="relu"),
        keras.layers.Dense(10, activation="softmax"),
    ]
)
batch = x[:128]
compare(
    "a batch of 128",
    lambda: np.concatenate([np.asarray(model(row[None])) for row in batch]),
    lambda: np.asarray(model(batch)),
    runs=5,
)
assert ratios["a batch of 128"] > 3

# %%
# The cache: neighbours are cheap
# -------------------------------
# Memory comes in lines of 64 bytes, 16 float32 numbers. Who asks for one number gets
# its 15 neighbours, and pays for them. Only neighbours can be added several per
# instruction, too. Adding up 100,000 numbers that lie 16 apart, and 100,000 that lie
# side by side:

numbers = rng.normal(size=1_600_000).astype("float32")
apart, beside = numbers[::16], numbers[::16].copy()
compare("side by side", apart.sum, beside.sum, runs=20)

# %%
# The same array with its axes exchanged is the same numbers in another order, and so is
# not the same speed. It is one reason why images lie as (batch, height, width,
# channels), with the channels of a pixel together.
#
# The cache: work in pieces
# -------------------------
# A processor adds two numbers in a quarter of a nanosecond if they are in its cache, a
# store of about a megabyte, and waits several times as long if they are not. Three
# operations in a row on a large array send all of it through the processor three times.
# In pieces that fit, twice it is there already:

large = rng.normal(size=4_000_000).astype("float32")
result, space = np.empty_like(large), np.empty_like(large)


def three_times(part):
    np.multiply(large[part], large[part], out=space[part])
    np.add(space[part], large[part], out=space[part])
    np.maximum(space[part], large[part], out=result[part])


def whole():
    three_times(slice(None))
    return result


def in_pieces():
    for start in range(0, len(large), 32_000):
        three_times(slice(start, start + 32_000))
    return result


compare("in pieces", whole, in_pieces, runs=5)

# %%
# ``fit`` does that with whole models: it cuts a large batch into parts and takes each
# through all layers, forward and back, while it is near. The loss is a sum over
# examples, so its gradient is the sum of the gradients of the parts. (A model that
# trains a BatchNormalization is not cut: there each example needs the whole batch.)
#
# float32 or float64
# ------------------
# Half the bytes, and twice as many numbers per instruction:

a, b = (rng.normal(size=(400, 400)).astype("float32") for _ in range(2))
a64, b64 = a.astype("float64"), b.astype("float64")
compare("float32", lambda: a64 @ b64, lambda: a @ b)

# %%
# One ``np.float64`` that slips into a formula makes the whole array float64, and all
# that follows (since NumPy 2). ``np.sqrt(2)`` is one, ``2.0`` is not:

assert (a * np.sqrt(2)).dtype == np.float64
assert (a * float(np.sqrt(2))).dtype == np.float32

# %%
# Threads, and the same result
# ----------------------------
# While NumPy computes it lets go of Python's lock, so parts of a batch can be computed
# on several cores at once; BLAS then has one core for each product. Sums of
# floating-point numbers depend on their order (the subject of :doc:`12_same_in_keras`),
# so minikeras adds the parts in their order, whoever finished first. The weights are
# the same on any number of cores, to the last bit:


def train(threads):
    keras.config.set_num_threads(threads)
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(16, 3, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    start = time.perf_counter()
    model.fit(images[..., None] / 16, labels, batch_size=256, epochs=8, verbose=0)
    print(f"{threads} thread(s): {time.perf_counter() - start:.2f} s")
    return model.get_weights()


one, two = train(1), train(2)
keras.config.set_num_threads(None)
assert all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))
print("the weights are equal, bit for bit")

# %%
# What it all is worth
# --------------------

figure, ax = plt.subplots(figsize=(8, 3.6), layout="constrained")
names = list(ratios)[::-1]
bars = ax.barh(names, [ratios[name] - 1 for name in names], left=1, color="#0072b2")
ax.bar_label(bars, [f" {times(ratios[name])}" for name in names])
ax.set(xscale="log", xlabel="times as fast")
ax.axvline(1, color="black", linewidth=0.8)
ax.margins(x=0.15)
plt.show()

# %%
# :doc:`/speed` has the rest of the tricks with what each is worth, and
# ``python -m benchmarks.run`` measures whole training steps beside Keras.
#
# Try it
# ------
# 1. How many multiplications has the 400 x 400 product, and how many per second is
#    that? Which share of it does the matrix product of the first section reach, and why
#    not all?
# 2. Make the batch of 128 one of 16 and of 1024. From where on does the ratio stop
#    growing?
# 3. Find the size of your cache: change the pieces from 1,000 to 4,000,000 and plot the
#    time.
# 4. Multiply ``x[:32] @ kernel`` with ``x`` in Fortran order (``np.asfortranarray``).
#    Is it slower? Which bytes must BLAS fetch now?
#
# Exercises: a convolution as a matrix product, forward and backward::
#
#     python -m minikeras exercises start conv2d_forward
#     python -m minikeras exercises start conv2d_backward
#
# Next: :doc:`15_own_layer`, from paper to a trained model.
