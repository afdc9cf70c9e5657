"""
15. Writing your own layer
==========================

A layer is two functions: ``forward`` computes an output, ``backward`` hands a gradient
back. Here we write one that Keras does not have, with a gradient from paper, let a
checker try to refute it, and then train it: it finds the periods of the sun in 250
years of sunspots.
"""

# %%
# On paper
# --------
# The layer sees the time and makes waves of it, each with a frequency and a phase that
# are to be learned:
#
# .. math:: y_k = \sin(z_k), \quad z_k = x \cdot frequency_k + phase_k
#
# Call the gradient of the loss with respect to something by its name with a d in front.
# ``dy`` is given. The chain rule, from the output back to the inputs:
#
# .. math::
#     dz_k &= dy_k \cos(z_k) \\
#     dfrequency_k &= \text{sum over the batch of } dz_k \cdot x \\
#     dphase_k &= \text{sum over the batch of } dz_k \\
#     dx &= \text{sum over } k \text{ of } dz_k \cdot frequency_k
#
# There is a sum wherever one number was used several times: a frequency by all examples
# of the batch, the time x by all waves.
#
# In code
# -------

import tempfile
from pathlib import Path
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np

import minikeras as keras


class WavesResiduals(NamedTuple):
    """What the gradient needs: the input (N, 1) and the angles (N, waves)."""

    x: np.ndarray
    z: np.ndarray


@keras.saving.register_keras_serializable(package="lessons")
class Waves(keras.layers.Layer):
    """sin(x * frequency + phase), for a column x; starts with the given periods."""

    def __init__(self, periods, **kwargs):
        super().__init__(**kwargs)
        self.periods = [float(period) for period in periods]

    def build(self, input_shape):
        shape = (len(self.periods),)
        self.frequency = self.add_weight(
            shape=shape, initializer=self._frequencies, name="frequency"
        )
        self.phase = self.add_weight(shape=shape, initializer="zeros", name="phase")

    def _frequencies(self, shape, dtype=None):
        return (2 * np.pi / np.array(self.periods)).astype(dtype)

    def forward(self, x, *, training=False, mask=None):
        z = x * self.frequency.value + self.phase.value  # (N, 1) * (waves,)
        return np.sin(z), WavesResiduals(x, z)

    def backward(self, dy, residuals, grads):
        x, z = residuals
        dz = dy * np.cos(z)  # in forward: y = sin(z)
        # in forward: z = x * frequency + phase
        grads.add(self.frequency, (dz * x).sum(axis=0))
        grads.add(self.phase, dz.sum(axis=0))
        return (dz * self.frequency.value).sum(axis=1, keepdims=True)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], len(self.periods))

    def get_config(self):
        return {**super().get_config(), "periods": self.periods}


# %%
# ``forward`` returns two things: the output, and the *residuals*, whatever ``backward``
# will need. Nothing about a call is kept on ``self``, so the layer may be used twice in
# a model, or by two threads at once.
#
# ``backward`` gets the gradient of the output and those residuals. It adds the gradient
# of each weight to ``grads``, and returns the gradient of the input. It must not write
# to the arrays it is given: somebody else may still need them.
#
# A layer can be called without any model:

layer = Waves(periods=[1.0, 4.0])
print(np.asarray(layer(np.array([[0.0], [0.25], [1.0]]))).round(3))

# %%
# Does it hold?
# -------------
# The definition of a derivative needs no calculus: move one number a little, and see
# how the result moves. ``gradcheck`` does that for up to 60 numbers of the input and of
# each weight, in float64, and compares.

x = np.random.default_rng(0).normal(size=(5, 1))
result = keras.utils.gradcheck(Waves([1.0, 4.0, 9.0]), x)
print(result)
assert result.ok

# %%
# For each array you see the place where the two differ most, what ``backward`` said
# there, and what the numbers say. Three mistakes that everybody makes, and what they
# look like:


class ForgetsTheInnerDerivative(Waves):
    def backward(self, dy, residuals, grads):
        super().backward(dy, residuals, grads)
        return (dy * np.cos(residuals.z)).sum(axis=1, keepdims=True)


class UsesSinTwice(Waves):
    def backward(self, dy, residuals, grads):
        return super().backward(dy, residuals._replace(z=np.sin(residuals.z)), grads)


class ForgetsToSum(Waves):
    def backward(self, dy, residuals, grads):
        x, z = residuals
        grads.add(self.frequency, (dy * np.cos(z) * x)[0])  # only the first example
        grads.add(self.phase, (dy * np.cos(z)).sum(axis=0))
        return (dy * np.cos(z) * self.frequency.value).sum(axis=1, keepdims=True)


for wrong in (ForgetsTheInnerDerivative, UsesSinTwice, ForgetsToSum):
    result = keras.utils.gradcheck(wrong([1.0, 4.0], name="waves"), x)
    print(f"{wrong.__name__:26} wrong: {result.wrong}")
    assert not result.ok

# %%
# Which arrays are wrong tells where to look: the first has an error on the way to x
# only, the second in what all three share, the third in one weight.
#
# For a test there is ``gradcheck(...).raise_if_failed()``. A place where a function has
# a kink, like ReLU at 0, is named and not counted as a mistake.
#
# At work
# -------
# Years are the input, in centuries so that the numbers are about 1, and sunspots the
# target. Nine waves to begin with, of 8 to 90 years, and a Dense layer that decides how
# much of each. It is trained on the years before 1950.

years, sunspots = keras.datasets.sunspots.load_series()
time = ((years - 1850) / 100).astype("float32")[:, None]
target = sunspots[:, None] / 100
known = years < 1950

start = np.array([8, 9, 10, 11, 12, 14, 20, 50, 90]) / 100
keras.utils.set_random_seed(0)
model = keras.Sequential(
    [keras.Input((1,)), Waves(start, name="waves"), keras.layers.Dense(1)]
)
model.compile(keras.optimizers.Adam(0.01), "mse")
history = model.fit(
    time[known], target[known], batch_size=250, epochs=400, shuffle=False, verbose=0
)
losses = history.history["loss"]
print(f"mean squared error: {losses[0]:.3f} at first, {losses[-1]:.3f} now")
assert losses[-1] < 0.1 * losses[0]

# %%
# What did it learn? The weights have a meaning, so read them:

frequency, phase, kernel, bias = model.get_weights()
periods = 100 * 2 * np.pi / frequency
strength = 100 * np.abs(kernel[:, 0])
for k in np.argsort(-strength)[:5]:
    print(f"a wave of {periods[k]:5.1f} years, {strength[k]:4.1f} sunspots high")
strongest = periods[np.argmax(strength)]
assert 10.8 < strongest < 11.4

# %%
# About eleven years, the cycle of the sun, with neighbours that make some cycles
# shorter and some longer. Where each wave began, and where it went:

figure, axes = plt.subplots(
    1, 2, figsize=(11, 3.6), width_ratios=(1, 2.4), layout="constrained"
)
for k in range(7):
    axes[0].plot([100 * start[k], periods[k]], [0, 1], marker="o", color="#0072b2")
axes[0].set_yticks([0, 1], ["at first", "trained"])
axes[0].set(xlabel="period in years", title="the seven shorter waves")

axes[1].plot(years, sunspots, color="black", linewidth=0.8, label="sunspots")
axes[1].plot(
    years, 100 * model.predict(time, verbose=0), color="#e69f00", label="the model"
)
axes[1].axvspan(1950, 2008, color="#f0f0f0", zorder=0, label="not trained on")
axes[1].set(xlabel="year", title="nine waves")
axes[1].legend(frameon=False, fontsize="small")
plt.show()

# %%
# Look at the grey part before you believe it. It fits what it was shown and forecasts
# badly: nine waves are a description of the past, not a law.

seen = model.evaluate(time[known], target[known], verbose=0)
unseen = model.evaluate(time[~known], target[~known], verbose=0)
print(f"mean squared error: {seen:.3f} before 1950, {unseen:.3f} after")
assert unseen > 3 * seen

# %%
# Saving
# ------
# ``get_config`` returns the constructor's arguments, and the decorator above the class
# has told minikeras its name. A file never brings code with it, so whoever loads it
# needs the class, registered like here or passed in ``custom_objects``.

with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "sun.keras"
    model.save(path)
    again = keras.models.load_model(path)
assert np.array_equal(again.predict(time, verbose=0), model.predict(time, verbose=0))
print(again.get_layer("waves").get_config()["periods"][:3])

# %%
# Layers made of layers
# ---------------------
# A layer that is only made of others, and of operators, needs no gradient of its own.
# Write ``call``, as in Keras; minikeras runs it once with symbols, and knows from then
# on which calls to walk back through:


class SunAndTrend(keras.layers.Layer):
    def __init__(self, periods, **kwargs):
        super().__init__(**kwargs)
        self.waves = Waves(periods)
        self.mix = keras.layers.Dense(1)
        self.trend = keras.layers.Dense(1)

    def call(self, x):
        return self.mix(self.waves(x)) + 0.1 * self.trend(x)


print(keras.utils.gradcheck(SunAndTrend([1.0, 4.0], name="sun"), x))

# %%
# Functions: activations and losses
# ---------------------------------
# An activation or a loss is a function with its gradient under it. It returns its value
# and what the gradient needs:


@keras.differentiable
def cube(x):
    return x**3, x


@cube.gradient
def _(dy, x):
    return dy * 3 * x**2


assert keras.utils.gradcheck(cube, x).ok
assert keras.utils.gradcheck(keras.layers.Dense(2, activation=cube), x).ok

# %%
# More than one input or output
# -----------------------------
# * Several inputs: ``forward`` gets a list, and ``backward`` returns a list of
#   gradients in the same order. An integer input gets None.
# * Several outputs: return a list, and ``dy`` is a list of gradients. For an output
#   that nobody used it holds zeros.
# * Results that depend on other examples of the batch, as in
#   :doc:`11_batch_normalization`: set ``couples_examples = True`` on the class, so that
#   ``fit`` does not cut a batch into parts.
#
# Try it
# ------
# 1. Give each wave an amplitude of its own, so that the Dense layer is not needed.
#    Which line of ``backward`` is new, which ones change?
# 2. Start with nine periods drawn at random between 5 and 100 years. Are the same
#    found? What does that say of gradient descent on frequencies?
# 3. Use ``x`` in years and not in centuries. What happens, and which gradient is to
#    blame?
# 4. Open ``minikeras/layers/core/dense.py``: which lines would you recognise now?
#
# Exercises: the library's own layers with their gradients taken out. Begin with Dense;
# ``exercises list`` has the others::
#
#     python -m minikeras exercises start dense_backward
#
# This is the last lesson. :doc:`index` has them all.
