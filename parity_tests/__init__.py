"""Proof that minikeras equals Keras."""
