"""The commands of `python -m minikeras`, one module each."""
