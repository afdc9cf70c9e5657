"""A whole process: `python -m benchmarks.walk minikeras` (or keras), import included.

What a beginner does first: a model, its weights, training, its weights again.
"""

import importlib
import json
import resource
import sys

import numpy as np


def main(module: str) -> None:
    """Prints the last loss, an average of the weights, and the peak memory."""
    keras = importlib.import_module(module)
    model = keras.Sequential(
        [
            keras.Input((2,)),
            keras.layers.Dense(4, activation="relu"),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(optimizer="adam", loss="binary_crossentropy", metrics=["accuracy"])
    generator = np.random.default_rng(0)
    x = generator.standard_normal((100, 2))
    y = (x[:, :1] * x[:, 1:] > 0).astype("float32")
    model.set_weights([generator.normal(size=w.shape) for w in model.get_weights()])
    history = model.fit(x, y, epochs=100, shuffle=False, verbose=0)
    size = sum(float(np.abs(w).sum()) for w in model.get_weights())
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    memory = kilobytes * (1 if sys.platform == "darwin" else 1024)
    numbers = [history.history["loss"][-1], size]
    print(json.dumps({"numbers": numbers, "memory": memory}))


if __name__ == "__main__":
    main(sys.argv[1])
