"""Models: `Model`, `Sequential`, and what copies and restores them."""

from minikeras.models.cloning import clone_model
from minikeras.models.functional import Functional
from minikeras.models.model import Model, model_from_json
from minikeras.models.sequential import Sequential

__all__ = ["Functional", "Model", "Sequential", "clone_model", "model_from_json"]


def __getattr__(name):
    if name in ("load_model", "save_model"):
        from minikeras import saving

        return getattr(saving, name)
    raise AttributeError(f"module 'minikeras.models' has no attribute {name!r}")
