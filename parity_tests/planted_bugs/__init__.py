"""Classic slips, planted on purpose: the harness must catch every one."""

from parity_tests.planted_bugs import (  # each adds its bugs to the list
    in_dense,
    in_images,
    in_normalization,
    in_sequences,
)
from parity_tests.planted_bugs.in_training import MISTAKES, Mistake
from parity_tests.planted_bugs.planting import BUGS, PlantedBug, Specimen

__all__ = [
    "BUGS",
    "MISTAKES",
    "Mistake",
    "PlantedBug",
    "Specimen",
    "in_dense",
    "in_images",
    "in_normalization",
    "in_sequences",
]
