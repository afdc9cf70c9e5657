"""Layers that make training harder so that the model generalizes: noise, penalties."""
