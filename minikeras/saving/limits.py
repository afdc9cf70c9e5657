"""The limits of what a file may ask for. SECURITY.md states them.

Real models are far below: a Keras model of 1,000 layers has a configuration of 2 MB,
and Keras writes weights uncompressed.
"""

from __future__ import annotations

# The text of a configuration, and the values, objects and levels in it.
CONFIG_BYTES = 16 << 20
CONFIG_VALUES = 1_000_000
CONFIG_OBJECTS = 50_000
CONFIG_DEPTH = 100
NAME_LENGTH = 1_000

# Unpacked bytes for each byte of the file, and what every file may have.
RATIO = 32
SLACK = 16 << 20

# Bytes of variables for each byte of weights in the file: an optimizer whose state was
# not saved needs up to five more.
VARIABLES_RATIO = 6

# Bytes of variables where there is no file of weights beside the configuration.
UNBACKED_BYTES = 1 << 30

# Groups and arrays in one HDF5 file.
HDF5_OBJECTS = 200_000


def unpacked(file_size: int) -> int:
    """The bytes that a file of this size may unpack to."""
    return RATIO * file_size + SLACK
