"""SpectralNormalization: a layer whose kernel has largest singular value 1."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from minikeras import initializers
from minikeras.layers.core.wrapper import Wrapper
from minikeras.layers.inner_calls import (
    InnerCall,
    Penalties,
    backward_inner,
    forward_inner,
)
from minikeras.layers.input_spec import InputSpec
from minikeras.ops.power_iteration import spectral_norm
from minikeras.registry import public

if TYPE_CHECKING:
    from minikeras.gradients import Gradients


class _Fields(NamedTuple):
    call: InnerCall
    kernel: np.ndarray | None


class SpectralNormalizationResiduals(Penalties, _Fields):
    """What `SpectralNormalization.backward` needs.

    Attributes:
        call: that of the wrapped layer.
        kernel: the kernel it was called with, in training; else None.
    """

    @property
    def inner_calls(self) -> list[InnerCall]:
        """The one call."""
        return [self.call]


@public("keras.layers")
class SpectralNormalization(Wrapper):
    """Divides the kernel of a layer by its largest singular value, in training.

    The layer then makes no difference between inputs larger than it was (its Lipschitz
    constant is at most 1): this steadies the discriminator of a GAN.

    Args:
        layer: a layer with a `kernel` (Dense, Conv2D, ...) or `embeddings`.
        power_iterations: rounds of power iteration per call.
        **kwargs: `name`, `dtype`, `trainable`, `activity_regularizer`.

    Call arguments:
        inputs: what the layer takes.
        training: True normalizes the kernel first; False uses it as it is.

    Output shape:
        that of the layer.

    Weights:
        the layer's, and `vector_u` (1, columns), not trained: the right singular
        vector, as far as it is known.

    **Formula** With W the kernel as a matrix (all axes but the last are rows), in each
    round `v = unit(u W')`, `u = unit(v W)`; then `sigma = v W u'` and `W <- W / sigma`.
    The kernel *itself* is changed. One of nothing but zeros is left alone.

    **Gradient** That of the layer, at the new kernel. The division is not
    differentiated: it has changed the weight before the pass begins.

    **Keeps** what the layer keeps, and the new kernel: the next call changes it again.

    NB: Keras casts the output to the dtype of the inputs. For the integer inputs of an
    Embedding that leaves zeros; here the output stays as it is.

    Reference: Miyato et al., 2018, Spectral Normalization for Generative Adversarial
    Networks, section 2.

    >>> from minikeras.layers.core.dense import Dense
    >>> layer = SpectralNormalization(Dense(1, kernel_initializer="ones"))
    >>> layer(np.ones((1, 4), "float32"), training=True)  # |(1, 1, 1, 1)| = 2
    array([[2.]], dtype=float32)
    """

    couples_examples = True  # one round per call: a batch must not be cut
    couples_in_inference = False

    def __init__(self, layer: Any, power_iterations: int = 1, **kwargs: Any):
        super().__init__(layer, **kwargs)
        if power_iterations <= 0:
            raise ValueError(
                "`power_iterations` should be greater than zero. Received: "
                f"`power_iterations={power_iterations}`. Layer: '{self.name}'"
            )
        self.power_iterations = power_iterations

    def build(self, input_shape: Any) -> None:
        """Builds the layer and the vector."""
        super().build(input_shape)
        self.input_spec = InputSpec(min_ndim=1, axes={-1: input_shape[-1]})
        for name in ("kernel", "embeddings"):
            if hasattr(self.layer, name):
                self.kernel = getattr(self.layer, name)
                break
        else:
            raise ValueError(
                f"{type(self.layer).__name__} object has no attribute 'kernel' nor "
                f"'embeddings'. Layer: '{self.name}'"
            )
        self.vector_u = self.add_weight(
            name="vector_u",
            shape=(1, self.kernel.shape[-1]),
            initializer=initializers.TruncatedNormal(stddev=0.02),
            trainable=False,
            dtype=self.kernel.dtype,
        )

    def normalized_weights(self) -> tuple[np.ndarray, np.ndarray]:
        """(vector_u, kernel) as the next training call will make them."""
        kernel = self.kernel.value
        matrix = kernel.reshape(-1, kernel.shape[-1])
        sigma, u = spectral_norm(matrix, self.vector_u.value, self.power_iterations)
        return u, (matrix / sigma).reshape(kernel.shape)

    def forward(
        self, x: Any, *, mask: Any = None, training: bool = False
    ) -> tuple[Any, SpectralNormalizationResiduals]:
        """The layer's output; in training with the kernel normalized first."""
        kernel = None
        if training:
            kernel = self.kernel.numpy()
            if kernel.any():
                u, kernel = self.normalized_weights()
                self.vector_u.assign(u)
                self.kernel.assign(kernel)
        y, call = forward_inner(self.layer, (x,), {}, training=training, mask=mask)
        return y, SpectralNormalizationResiduals(call, kernel)

    def backward(
        self,
        dy: Any,
        residuals: SpectralNormalizationResiduals,
        grads: Gradients,
        need_dx: bool = True,
    ) -> Any:
        """The layer's dx."""
        with self._kernel_of_the_call(residuals.kernel):
            return backward_inner(self.layer, dy, residuals.call, grads, need_dx)

    @contextlib.contextmanager
    def _kernel_of_the_call(self, kernel: np.ndarray | None) -> Iterator[None]:
        """The kernel as it was, for a layer that was called twice in one step."""
        now = self.kernel.numpy()
        if kernel is None or np.array_equal(kernel, now):
            yield
            return
        self.kernel.assign(kernel)
        try:
            yield
        finally:
            self.kernel.assign(now)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """That of the layer."""
        return self.layer.compute_output_shape(input_shape)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "power_iterations": self.power_iterations}
