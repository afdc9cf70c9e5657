"""
1. What a weight is
===================

A neural network is arithmetic with numbers that nobody wrote down. Training found
them. Those numbers are the weights, and this lesson looks at some of them one by one.
"""
# %%
# One unit
# --------
#
# The smallest layer has one unit that sees two numbers. It multiplies each by a number
# of its own, adds the products, and adds one number more:
#
# .. code-block:: text
#
#     y = x[0] * kernel[0] + x[1] * kernel[1] + bias
#
# The three numbers `kernel[0]`, `kernel[1]` and `bias` are its weights.

import numpy as np

import minikeras as keras

layer = keras.layers.Dense(1)
layer.build((None, 2))  # two numbers go in
print(layer.get_weights())

# %%
done = True
