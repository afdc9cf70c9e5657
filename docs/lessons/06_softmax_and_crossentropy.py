"""
6. Softmax and crossentropy, with and without logits
====================================================

A network that chooses between classes ends in softmax and learns by crossentropy. The
two belong together: their gradients cancel into one subtraction, and computing them
together saves a model from infinities. This lesson shows both, and what
``from_logits`` decides.
"""

# %%
# From scores to probabilities
# ----------------------------
# The last layer gives one score for each class, any number. They are called *logits*.
# Softmax makes probabilities of them: ``exp`` makes them positive, division by their
# sum makes them add up to one.

import matplotlib.pyplot as plt
import numpy as np

import minikeras as keras


def softmax(z):
    """Positive numbers that add up to one."""
    e = np.exp(z)
    return e / e.sum(axis=-1, keepdims=True)


z = np.array([2.0, 1.0, -1.0])
p = softmax(z)
print("logits", z, "-> probabilities", p.round(3))

assert np.isclose(p.sum(), 1)
assert np.allclose(p, keras.activations.softmax(z[None]))

# %%
# Only differences count. Add 100 to all logits and nothing changes, for each ``exp(z +
# 100)`` has a factor ``exp(100)``, and so has their sum. A difference of 1 between two
# logits is a factor of e = 2.718 between their probabilities.

print(softmax(z + 100).round(3), (p[0] / p[1]).round(3))

assert np.allclose(softmax(z + 100), p)

# %%
# From probabilities to a loss
# ----------------------------
# Crossentropy asks one thing: which probability did the model give to what was true?
# The loss is minus its logarithm. Certain and right costs nothing, certain and wrong
# costs without limit.
#
# .. math:: loss = -\log p_{label}

figure, ax = plt.subplots(figsize=(6, 2.8), layout="constrained")
sure = np.linspace(0.005, 1, 200)
ax.plot(sure, -np.log(sure))
ax.set(xlabel="probability given to the true class", ylabel="loss")
plt.show()

labels, onehot = np.array([0]), np.array([[1.0, 0.0, 0.0]])
by_hand = -np.log(p[0])
sparse = keras.losses.sparse_categorical_crossentropy(labels, p[None])[0]
dense = keras.losses.categorical_crossentropy(onehot, p[None])[0]
print(f"by hand {by_hand:.4f}, with a label {sparse:.4f}, one-hot {dense:.4f}")

assert np.isclose(by_hand, sparse) and np.isclose(by_hand, dense)

# %%
# ``sparse_categorical_crossentropy`` takes labels as integers,
# ``categorical_crossentropy`` as one-hot rows; the loss is the same. A model that knows
# nothing gives 1/C to each of C classes, so its loss is log(C): 2.30 for ten digits.
# Look for that number when training begins.
#
# Two gradients that cancel
# -------------------------
# Going back, the loss comes first: only the true class matters, and its slope is
# ``-1 / p``. (``dp`` is the gradient of the loss for ``p``, and ``dz`` that for ``z``.)

dp = np.where(onehot[0] == 1, -1 / p, 0.0)
print("dp", dp.round(4))

# %%
# Then softmax. Each logit moves all probabilities, since they share one sum: the
# derivative of ``p[i]`` by ``z[j]`` is ``p[i] * (1 - p[i])`` for i = j and ``-p[i] *
# p[j]`` for all others. As a matrix, which is symmetric, and as the two terms that the
# library computes it by:

jacobian = np.diag(p) - np.outer(p, p)
dz = jacobian @ dp
print("by the matrix", dz.round(4))

shorter = p * (dp - (dp * p).sum())
print("in two terms ", shorter.round(4))

assert np.allclose(dz, shorter)

# %%
# And now what this is: the probabilities, minus the truth.
#
# .. math:: dz = p - onehot

print("p - onehot   ", (p - onehot[0]).round(4))

assert np.allclose(dz, p - onehot[0])

# %%
# The ``1 / p`` of the logarithm and the ``p`` of softmax cancel. What is left could not
# be simpler: each wrong class is pushed down by the probability it got, and the true
# one is pushed up by what it lacks. (A step goes against the gradient, so minus is up.)
# No number in it is larger than 1, and all are zero only when the model is right and
# certain.
#
# What goes wrong in two steps
# ----------------------------
# On paper it does not matter whether one goes by ``p`` or subtracts at once. In
# float32 it does. Here is a model that is sure, and wrong:

z = np.array([[0.0, 50.0, 120.0]], "float32")  # the true class is 0
label = np.array([0])
with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
    print("exp(z) / sum:", softmax(z)[0])
    print("loss:", -np.log(softmax(z)[0, 0]))
    assert np.isinf(np.exp(z)).any()

# %%
# ``exp(120)`` is more than float32 can hold. The cure is known: since only differences
# count, subtract the largest logit first. Then the probabilities are right, but that of
# the true class is ``exp(-120)``, too small for float32: it becomes 0, and the
# logarithm of 0 is infinite. The cure for that is to never compute ``p`` on the way to
# its logarithm:
#
# .. math:: \log p_i = z_i - \max z - \log \sum_j e^{z_j - \max z}

shifted = z - z.max(axis=-1, keepdims=True)
log_p = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
print("log p:", log_p[0], "loss:", -log_p[0, 0])

from_logits = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
print("from logits:", from_logits(label, z))

assert -log_p[0, 0] == 120 and from_logits(label, z) == 120

# %%
# With and without ``from_logits``
# --------------------------------
# This is what ``from_logits=True`` means: "what I give you are logits, do the softmax
# yourself, and do it well". Without it, the loss gets probabilities, and all it can do
# is to keep away from zero: Keras clips them to 1e-7 and ``1 - 1e-7``. Loss and
# gradient of the same wrong model, both ways:

activation = keras.activations.get("softmax")
from_probabilities = keras.losses.SparseCategoricalCrossentropy()

probabilities, activation_residuals = activation.forward(z)
value, residuals = from_probabilities.forward(label, probabilities)
dp = from_probabilities.backward(1.0, residuals)
dz_by_p = activation.backward(dp, activation_residuals)
print("from probabilities: loss", round(float(value), 3), "gradient", dz_by_p[0])

value, residuals = from_logits.forward(label, z)
dz = from_logits.backward(1.0, residuals)
print("from logits:        loss", round(float(value), 3), "gradient", dz[0])

assert np.all(dz_by_p == 0) and np.allclose(dz, [[-1, 0, 1]])

# %%
# From probabilities, the gradient of the worst mistake is zero: the model will never
# learn from it. From logits it is (-1, 0, 1): less of the third class, more of the
# first.
#
# What ``fit`` does
# -----------------
# Most people write ``Dense(10, activation="softmax")`` and leave ``from_logits`` alone.
# Is their training worse? No: Keras on TensorFlow notices that the model ends in a
# softmax, and takes the loss from what went into it. minikeras does the same. Train the
# same model both ways:

(x, y), _ = keras.datasets.digits.load_data()
x = x.reshape(len(x), 64) / np.float32(16)


def train(activation, loss):
    """The weights after five epochs."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((64,)), keras.layers.Dense(10, activation)])
    model.compile("adam", loss)
    model.fit(x, y, epochs=5, verbose=0)
    return model, model.get_weights()


with_softmax, a = train("softmax", from_probabilities)
with_logits, b = train("linear", from_logits)
difference = max(np.abs(u - w).max() for u, w in zip(a, b, strict=True))
print(f"weights differ by at most {difference:.0e}")

assert difference < 1e-6

# %%
# The difference comes with what the model predicts: one gives probabilities, the other
# logits, of which one takes the softmax oneself (or only ``argmax``, which does not
# care).

images = x[:1]
print("with softmax:", with_softmax.predict(images, verbose=0)[0, :4].round(3))
logits = with_logits.predict(images, verbose=0)
print("from logits: ", softmax(logits)[0, :4].round(3))

# %%
# The mistake to know is a third combination: probabilities, *and* ``from_logits=True``.
# Softmax is then done twice. Where a model plainly ends in softmax Keras notices,
# warns, and takes the logits. It cannot notice if another layer comes after the
# softmax, or if you call the loss yourself on what ``predict`` gave. Probabilities lie
# between 0 and 1, so the second softmax can never be sure of anything: with ten
# classes, the best it can give is ``e / (e + 9)``.

best = np.exp(1) / (np.exp(1) + 9)
print(f"at best {best:.3f}, so a loss of at least {-np.log(best):.2f}")

twice = softmax(np.eye(10)[:1])
assert np.isclose(twice.max(), best)

# %%
# A loss that stays at 1.46 for ten classes while the accuracy is fine: that is the
# sign.
#
# Two classes
# -----------
# Sigmoid and binary crossentropy are the same story with one score: the probability of
# a 1 is ``1 / (1 + exp(-z))``, and the gradient is again ``p - y``.

z, y = np.array([[1.5], [-0.5]]), np.array([[1.0], [1.0]])
binary = keras.losses.BinaryCrossentropy(from_logits=True, dtype="float64")
value, residuals = binary.forward(y, z)
dz = binary.backward(1.0, residuals)
p = 1 / (1 + np.exp(-z))
print("dz", dz.ravel().round(4), " (p - y) / 2", ((p - y) / 2).ravel().round(4))

assert np.allclose(dz, (p - y) / 2)  # the loss is the mean over two examples

# %%
# Try it
# ------
# 1. What is the loss of a model that gives 0.5 to each of two classes? Of one that
#    gives 0.99 to the wrong one?
# 2. Divide all logits by 3 before the softmax. What happens to the probabilities, what
#    to ``argmax``? (This is called a temperature.)
# 3. Compute the loss of ``[[0, 50, 120]]`` in float64, by ``softmax`` from above and
#    ``-np.log``. From which difference of logits on does it go wrong there?
# 4. Show with ``gradcheck`` that ``keras.losses.CategoricalCrossentropy()`` is right
#    also when its ``y_pred`` do not add up to one.
#
# Exercises::
#
#     python -m minikeras exercises start softmax_backward
#     python -m minikeras exercises start softmax_crossentropy_backward
#
# Next: :doc:`07_convolution`.
