"""Layers that prepare data: scaling, normalizing, encoding categories."""
