"""Layers that shift and scale values to mean 0 and variance 1."""
