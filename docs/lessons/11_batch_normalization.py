"""
11. BatchNormalization: four arrays, two behaviours
===================================================

``BatchNormalization`` is the layer that surprises most. ``get_weights()`` returns four
arrays of one shape, of which two are not trained and change all the same. In training
an example's output depends on its neighbours in the batch. And a model that ``fit``
says is right in 98 of 100 cases is right in 90 a moment later, on the same images.

All of it follows from one formula, used with two different sets of statistics.
"""

# %%
# Four arrays
# -----------
# A layer for three features:

import matplotlib.pyplot as plt
import numpy as np

import minikeras as keras

np.set_printoptions(precision=3, suppress=True)

layer = keras.layers.BatchNormalization(name="norm")
layer.build((None, 3))
for variable in layer.weights:
    trained = "trained" if variable.trainable else "not trained"
    print(f"{variable.name:16} {variable.numpy()}  {trained}")

names = [variable.name for variable in layer.weights]
assert names == ["gamma", "beta", "moving_mean", "moving_variance"]

# %%
# ``gamma`` and ``beta`` are weights like any other: a scale and a shift for each
# feature. ``moving_mean`` and ``moving_variance`` are notes the layer takes in
# training. All four have the same shape, so if you set them in the wrong order there is
# no error, only wrong results.
#
# In training: the statistics of the batch
# ----------------------------------------
# Four examples. The third feature is the same in all of them.

x = np.array(
    [[1.0, 10.0, 7.0], [2.0, 30.0, 7.0], [3.0, 20.0, 7.0], [6.0, 40.0, 7.0]],
    dtype="float32",
)
y = layer(x, training=True)
print(y)

# %%
# By hand: subtract the mean of the batch, divide by its standard deviation, scale and
# shift. ``epsilon`` is there so that nothing is divided by zero.

mean, variance = x.mean(axis=0), x.var(axis=0)
gamma, beta = np.ones(3), np.zeros(3)
by_hand = gamma * (x - mean) / np.sqrt(variance + layer.epsilon) + beta
assert np.allclose(y, by_hand, atol=1e-5)

print("mean    ", mean)
print("variance", variance, " epsilon", layer.epsilon)
print("of y:   ", np.abs(y.mean(axis=0)).round(3), y.var(axis=0))

# %%
# Now each feature has mean 0 and variance 1, except the constant one, which has become
# 0: there was nothing to scale.
#
# The call moved the notes, by a hundredth of the way (``momentum=0.99``):

assert np.allclose(layer.moving_mean.numpy(), 0.99 * 0 + 0.01 * mean)
assert np.allclose(layer.moving_variance.numpy(), 0.99 * 1 + 0.01 * variance)
print("moving_mean    ", layer.moving_mean.numpy())
print("moving_variance", layer.moving_variance.numpy())

# %%
# The variance is that of the batch, divided by the number of examples. (PyTorch divides
# by one less for the notes, and its ``momentum`` is the other part: its 0.1 is 0.9
# here.)
#
# Neighbours
# ----------
# The first row again, in other company. It is the same row, and its output is another:

company = np.concatenate([x[:1], 10 * x[1:]])
y_in_company = layer(company, training=True)
print("in the batch above:", y[0])
print("in another batch:  ", y_in_company[0])
assert not np.allclose(y_in_company[0], y[0], atol=0.1)

# %%
# In inference: the notes
# -----------------------
# ``predict``, ``evaluate`` and a call without ``training=True`` use the moving
# statistics in the same formula. Each example is by itself again, and the layer is
# nothing but a scale and a shift for each feature:

alone = layer(x[:1])
assert np.allclose(alone, layer(x)[:1], atol=1e-6)

gamma, beta, moving_mean, moving_variance = layer.get_weights()
scale = gamma / np.sqrt(moving_variance + layer.epsilon)
shift = beta - moving_mean * scale
assert np.allclose(layer(x), x * scale + shift, atol=1e-5)
print("y = x *", scale, "+", shift)

# %%
# The notes lag behind
# --------------------
# They begin at mean 0 and variance 1, and go a hundredth of the way with each batch.
# After n batches they are :math:`1 - 0.99^n` of the way: 63 % after 100 batches, 99 %
# after 460, and that only if what they follow stands still.

n = np.arange(500)
figure, ax = plt.subplots(figsize=(8, 3.4), layout="constrained")
for momentum in (0.9, 0.99):
    ax.plot(n, 1 - momentum**n, label=f"momentum {momentum}")
ax.set(xlabel="batches", ylabel="share of the way")
ax.legend(frameon=False)
plt.show()

# %%
# What that does to a real model: images of digits, three Dense layers with
# BatchNormalization, batches of 128. Twelve batches are an epoch, so after four epochs
# the notes are a good third of the way.

(x_train, y_train), (x_test, y_test) = keras.datasets.digits.load_data()


def train(momentum, batch_size=128, epochs=4):
    keras.utils.set_random_seed(0)
    stack = [keras.Input((8, 8)), keras.layers.Flatten()]
    for _ in range(3):
        stack += [
            keras.layers.Dense(32),
            keras.layers.BatchNormalization(momentum=momentum),
            keras.layers.Activation("relu"),
        ]
    model = keras.Sequential([*stack, keras.layers.Dense(10, activation="softmax")])
    model.compile(
        keras.optimizers.Adam(0.01),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    history = model.fit(
        x_train, y_train, batch_size=batch_size, epochs=epochs, verbose=0
    )
    return model, history.history["accuracy"][-1]


slow, said_by_fit = train(momentum=0.99)
_, said_by_evaluate = slow.evaluate(x_train, y_train, verbose=0)
print(f"accuracy on the training data: fit {said_by_fit:.3f}", end=", ")
print(f"evaluate {said_by_evaluate:.3f}")
assert said_by_evaluate < said_by_fit - 0.03

# %%
# The same images, and almost the same weights (``fit`` counted while they still moved,
# in the last epoch). But ``fit`` counted with the statistics of each batch,
# ``evaluate`` with notes that are not there yet. It is not overfitting, and not a bug.
# With a lower momentum the notes keep up:

quick, said_by_fit = train(momentum=0.9)
_, said_by_evaluate = quick.evaluate(x_train, y_train, verbose=0)
print(f"accuracy on the training data: fit {said_by_fit:.3f}", end=", ")
print(f"evaluate {said_by_evaluate:.3f}")
assert said_by_evaluate > said_by_fit - 0.03

# %%
# And training itself does not know the difference: it never reads the notes. All
# trained weights of the two models are equal, to the last bit.

for a, b in zip(slow.trainable_weights, quick.trainable_weights, strict=True):
    assert np.array_equal(a.numpy(), b.numpy())
statistics = zip(slow.non_trainable_weights, quick.non_trainable_weights, strict=True)
assert not any(np.array_equal(a.numpy(), b.numpy()) for a, b in statistics)

first = slow.layers[2].moving_variance.numpy()[:5]
print("moving_variance with 0.99:", first)
print("moving_variance with 0.9: ", quick.layers[2].moving_variance.numpy()[:5])

# %%
# So in short runs, or with large batches, set ``momentum=0.9``; in long ones it
# hardly matters.
#
# Small batches
# -------------
# The statistics of a few examples are rough. With two, the worst case: after
# subtracting their mean they are equally far from zero, and after dividing they are at
# 1 and -1, whatever they were. (Nearly, for ``epsilon`` takes a little, and all if the
# two are equal.)

two = keras.layers.BatchNormalization()
for pair in ([[1.0], [2.0]], [[1.0], [200.0]], [[-3.0], [-3.5]]):
    print(pair, "->", two(np.array(pair, "float32"), training=True).ravel())

# %%
# With one there is nothing left: the output is ``beta``, and no gradient goes through.
# (An image is many examples, its pixels: a batch of one image is fine.)

single = keras.layers.BatchNormalization()
single.build((None, 2))
one_example = np.array([[5.0, -2.0]], "float32")

y, residuals = single.forward(one_example, training=True)
dx = single.backward(np.array([[1.0, 1.0]], "float32"), residuals, keras.Gradients())
print("output", y, " gradient of the input", dx)
assert not y.any() and not dx.any()

# %%
# Frozen
# ------
# ``trainable = False`` does more here than in other layers: the layer then works as in
# inference, in training too. The notes stand still, and neighbours do not matter. That
# is what you want when you train a new last layer on top of an old network.

layer.trainable = False
before = layer.get_weights()
assert np.array_equal(layer(x, training=True), layer(x))
for a, b in zip(before, layer.get_weights(), strict=True):
    assert np.array_equal(a, b)
print("trained while frozen:", layer.trainable_weights)
layer.trainable = True
assert len(layer.trainable_weights) == 2

# %%
# Set back, the two are trained as before. In old versions of Keras frozen layers went
# on moving their notes, and many questions on the net are from that time.
#
# Epsilon
# -------
# ``epsilon`` is 0.001 in Keras and 0.00001 in PyTorch. It counts where a feature hardly
# varies. A pixel at the edge of the digits that is set in one image only, by both:

edge = x_train.reshape(-1, 64)[:, 56:57].astype("float32") / 16
print(f"pixel 56: variance {edge.var():.7f}, largest value {edge.max():.3f}")
for epsilon in (1e-3, 1e-5):
    wide = keras.layers.BatchNormalization(epsilon=epsilon)(edge, training=True)
    print(f"epsilon {epsilon}: largest output {wide.max():.1f}")

# %%
# So a model moved from one framework to the other needs its ``epsilon`` set, or it
# computes something else from the same weights.
#
# The gradient
# ------------
# In training each x acts on its own output, and on all others through the mean and the
# variance. With :math:`\hat x` for the normalized values and means over the batch,
#
# .. math::
#     dx = \frac{\gamma}{\sqrt{variance + \epsilon}}
#          \left(dy - mean(dy) - \hat x \cdot mean(dy \cdot \hat x)\right)
#
# The two terms that are taken away are the changes which the normalization undoes:
# moving all x together, and scaling them together.

rng = np.random.default_rng(0)
x = rng.normal(size=(6, 2))
dy = rng.normal(size=(6, 2))
norm = keras.layers.BatchNormalization(dtype="float64", name="norm")
norm.build((None, 2))

y, residuals = norm.forward(x, training=True)
grads = keras.Gradients()
dx = norm.backward(dy, residuals, grads)

x_hat = (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + norm.epsilon)
by_hand = dy - dy.mean(axis=0) - x_hat * (dy * x_hat).mean(axis=0)
by_hand /= np.sqrt(x.var(axis=0) + norm.epsilon)  # gamma is 1
assert np.allclose(dx, by_hand)
assert np.allclose(grads[norm.gamma], (dy * x_hat).sum(axis=0))
assert np.allclose(grads[norm.beta], dy.sum(axis=0))
assert np.allclose(dx.sum(axis=0), 0)  # nobody can move all of them together

print(keras.utils.gradcheck(norm, x, training=True))

# %%
# Try it
# ------
# 1. Train with ``batch_size=4`` and 1 epoch, then with ``batch_size=256`` and 4. Where
#    is the gap between ``fit`` and ``evaluate`` wide, and why is each of them as it is?
# 2. Write the scale and shift of inference into the Dense layer before it, so that the
#    BatchNormalization can be taken out of the model. (Its ``gamma`` and ``beta`` go
#    into the Dense layer's kernel and bias.)
# 3. Put the first two arrays in the order beta, gamma into ``set_weights``. What does
#    the layer compute? Would you have noticed?
# 4. What would ``momentum=0`` mean? And 1?
#
# Exercises: this forward and this backward, to be written by you::
#
#     python -m minikeras exercises start batch_normalization_forward
#     python -m minikeras exercises start batch_normalization_backward
#
# Next: :doc:`12_same_in_keras`, what "the same" means for numbers that are rounded.
