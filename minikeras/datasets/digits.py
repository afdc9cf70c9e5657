"""UCI handwritten digits: 1,797 real 8x8 images, in the package.

Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI
Machine Learning Repository, 1998, https://doi.org/10.24432/C50P49. Licence: CC BY 4.0.
"""

from __future__ import annotations

from importlib import resources

import numpy as np

Arrays = tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def load_data() -> Arrays:
    """The digits in Keras's shape.

    Every fifth image is for testing. The same 13 people wrote both parts, so accuracy
    on new writers would be lower than on this test set.

    Returns:
        `(x_train, y_train), (x_test, y_test)`: images uint8 of shape (1438, 8, 8) and
        (359, 8, 8) with values from 0 to 16; labels uint8 from 0 to 9.

    >>> (x_train, y_train), (x_test, y_test) = load_data()
    >>> x_train.shape, x_test.shape
    ((1438, 8, 8), (359, 8, 8))
    """
    path = resources.files("minikeras.datasets") / "data" / "digits.npz"
    with path.open("rb") as file, np.load(file, allow_pickle=False) as data:
        images, labels = data["images"], data["labels"]
    is_test = np.arange(len(images)) % 5 == 4
    return (
        (images[~is_test], labels[~is_test]),
        (images[is_test], labels[is_test]),
    )
