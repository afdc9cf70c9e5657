"""The names of Keras 3.15 that minikeras does not have, so that asking says so."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any, NoReturn

from minikeras.registry import suggest

NAMES = {
    "layers": """
        AugMix AutoContrast CenterCrop ContrastLimitedAdaptiveHistogramEqualization
        ConvLSTM1D ConvLSTM2D ConvLSTM3D CutMix Equalization FlaxLayer HashedCrossing
        Hashing IntegerLookup JaxLayer Lambda MaxNumBoundingBoxes MelSpectrogram MixUp
        Pipeline RandAugment RandomBrightness RandomColorDegeneration RandomColorJitter
        RandomContrast RandomCrop RandomElasticTransform RandomErasing RandomFlip
        RandomGaussianBlur RandomGrayscale RandomHue RandomInvert RandomPerspective
        RandomPosterization RandomRotation RandomSaturation RandomSharpness RandomShear
        RandomTranslation RandomZoom Resizing ReversibleEmbedding STFTSpectrogram
        Solarization StringLookup TFSMLayer TextVectorization TorchModuleWrapper
    """,
    "losses": "CTC ctc",
    "optimizers": "LossScaleOptimizer MultiOptimizer OptimizerMap legacy",
    "utils": """
        Config FeatureSpace array_to_img audio_dataset_from_directory bounding_boxes
        get_file get_source_inputs image_dataset_from_directory img_to_array legacy
        load_img model_to_dot save_img
        text_dataset_from_directory
    """,
    "saving": "KerasFileEditor",
    "backend": "result_type",
    "dtype_policies": """
        AWQDTypePolicy DTypePolicyMap FloatDTypePolicy GPTQDTypePolicy Int4DTypePolicy
        QuantizedDTypePolicy QuantizedFloat8DTypePolicy
    """,
    "tree": """
        MAP_TO_NONE assert_same_paths map_shape_structure map_structure_up_to traverse
    """,
    "config": """
        disable_flash_attention enable_flash_attention enable_unsafe_deserialization
        is_flash_attention_enabled is_nnx_enabled max_epochs max_steps_per_epoch
        set_backend set_max_epochs set_max_steps_per_epoch
    """,
}


@functools.cache
def _plain_names() -> frozenset[str]:
    return frozenset(_plain(n) for names in NAMES.values() for n in names.split())


def _plain(name: str) -> str:
    return name.replace("_", "").lower()


def is_absent(name: str) -> bool:
    """Whether it is one of these names, in whatever spelling: "nadam", "f1_score".

    >>> is_absent("nadam"), is_absent("adam")
    (True, False)
    """
    return _plain(name) in _plain_names()


def raise_absent(module: str, name: str, present: Iterable[str]) -> NoReturn:
    """The AttributeError for `minikeras.<module>.<name>`."""
    if name in NAMES.get(module, "").split():
        raise AttributeError(
            f"Keras has `{module}.{name}`, minikeras does not (yet). What it has is "
            f"listed by `dir(minikeras.{module})`; see docs/differences.md."
        )
    hint = suggest(name, [n for n in present if not n.startswith("_")])
    raise AttributeError(
        f"module 'minikeras.{module}' has no attribute {name!r}.{hint}"
    )


def getattr_for(module: str, present: Iterable[str]) -> Callable[[str], Any]:
    """A module's `__getattr__` that knows what Keras has."""
    names = list(present)

    def __getattr__(name: str) -> Any:
        raise_absent(module, name, names)

    return __getattr__
