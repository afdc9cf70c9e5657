"""Model: a layer that can be compiled, trained, summarized and saved."""

from __future__ import annotations

import functools
import json
import tempfile
from pathlib import Path
from typing import Any

from minikeras import tree
from minikeras.graph import Graph
from minikeras.layers.layer import Layer, Shapes, accepts
from minikeras.messages import entry_point
from minikeras.registry import public
from minikeras.symbolic import KerasTensor
from minikeras.trainers.trainer import Trainer


@public("keras")
class Model(Trainer, Layer):
    """Layers with a way to train them.

    Three ways to make one:

    - `Sequential([...])`, a stack;
    - `Model(inputs, outputs)`, a graph between symbolic tensors;
    - a subclass with a `call` made of layers, which is traced into such a graph.

    Args:
        inputs, outputs: symbolic tensors, or lists or dicts of them.
        name: defaults to the class name in snake case, numbered.
        trainable: whether the weights are trained.
        dtype: dtype policy.
    """

    _passes_training_on = True

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        if cls is Model and _is_functional_call(args, kwargs):
            from minikeras.models.functional import Functional

            return Functional.__new__(Functional, *args, **kwargs)
        return super().__new__(cls, *args, **kwargs)

    def __init__(self, *args: Any, **kwargs: Any):
        from minikeras.models import functional

        Trainer.__init__(self)
        if _is_functional_call(args, kwargs):
            # A subclass called as Model(inputs, outputs): give it a graph.
            _insert_functional(type(self))
            functional.Functional.__init__(self, *args, **kwargs)  # type: ignore
            return
        if args and type(self).__init__ is Model.__init__:
            raise TypeError(
                "A model is made by `Model(inputs, outputs)`, or by a subclass with a "
                f"`call`. Received: {len(args)} positional argument(s), and no "
                "`outputs`."
            )
        Layer.__init__(self, *args, **kwargs)

    @property
    def layers(self) -> list[Layer]:
        """The layers directly inside."""
        return self._sublayers()

    @layers.setter
    def layers(self, _: Any) -> None:
        raise AttributeError(
            "`Model.layers` attribute is reserved and should not be used. Please use "
            "another name."
        )

    def build(self, input_shape: Any = None) -> None:
        """Makes the weights of a subclassed model by tracing its `call`.

        Args:
            input_shape: shape of the input, the batch axis included (None).
        """
        if type(self).call is Layer.call:
            self._built = True
            return
        from minikeras.layers.composite import trace

        if input_shape is None:
            return
        spec = tree.map_structure(
            lambda s: KerasTensor(s.shape, self.compute_dtype), Shapes.wrap(input_shape)
        )
        trace(self, (spec,), {}, False)
        self._built = True

    def _maybe_build(self, args: tuple, kwargs: dict[str, Any]) -> None:
        if not self._built and type(self).build is Model.build:
            if args:
                self._note_shapes(args[0])
            return  # layers build themselves as `call` reaches them
        super()._maybe_build(args, kwargs)

    def _trace(self, inputs: Any, training: bool) -> tuple[Graph, list[Any]] | None:
        """(graph, flat inputs), or None for a model with a forward of its own."""
        if type(self).forward is not Layer.forward:
            return None
        from minikeras.layers.composite import trace

        inputs = self._cast(inputs)
        self._note_shapes(inputs)
        traced = trace(self, (inputs,), {}, training)
        object.__setattr__(self, "_output_example", traced.outputs)
        self._built = True
        return traced.graph, [a for a in tree.flatten(inputs) if hasattr(a, "shape")]

    @property
    def _call_takes_training(self) -> bool:
        return _takes_training(type(self).call)

    def _note_shapes(self, inputs: Any) -> None:
        """Remembers the first inputs' shapes: a saved model is built from them."""
        if self._build_shapes is None:
            shapes = tree.map_structure(lambda x: (None, *x.shape[1:]), inputs)
            self._build_shapes = {"input_shape": shapes}

    def _pack_outputs(self, flat: list[Any]) -> Any:
        return tree.pack_sequence_as(self._output_example, flat)

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """The layer with this name, or at this place in `layers`.

        Raises:
            ValueError: if there is none, with the names there are.
        """
        if index is not None and name is not None:
            raise ValueError(
                "Provide only a layer name or a layer index. Received: "
                f"index={index}, name={name}."
            )
        layers = self.layers
        if index is not None:
            if not -len(layers) <= index < len(layers):
                raise ValueError(
                    f"Was asked to retrieve layer at index {index} but model only has "
                    f"{len(layers)} layers."
                )
            return layers[index]
        if name is None:
            raise ValueError(
                "Provide either a layer name or layer index at `get_layer`."
            )
        for layer in layers:
            if layer.name == name:
                return layer
        from minikeras.registry import suggest

        names = [layer.name for layer in layers]
        raise ValueError(
            f"No such layer: {name}. Existing layers are: {names}."
            f"{suggest(name, names)}"
        )

    @entry_point
    def summary(
        self,
        line_length: int | None = None,
        positions: Any = None,
        print_fn: Any = None,
        expand_nested: bool = False,
        show_trainable: bool = False,
        layer_range: Any = None,
        formulas: bool = False,
    ) -> None:
        """Prints the table of layers, output shapes and parameter counts.

        Args:
            line_length: width in columns.
            positions: relative (or absolute) column positions.
            print_fn: called with the whole text instead of printing.
            expand_nested: show the layers of nested models too.
            show_trainable: add a column that tells which layers are trained.
            layer_range: `[first, last]` names (or patterns) of the layers to show.
            formulas: say under the table how each layer's parameters are counted, with
                the numbers put in. Keras has no such argument.
        """
        from minikeras.utils.summary import print_summary

        print_summary(
            self,
            line_length=line_length,
            positions=positions,
            print_fn=print_fn,
            expand_nested=expand_nested,
            show_trainable=show_trainable,
            layer_range=layer_range,
            formulas=formulas,
        )

    # --- Files ------------------------------------------------------------------------

    def __reduce__(self) -> Any:
        """A copy (`copy.deepcopy`) is what saving and loading give, as in Keras."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.keras"
            self.save(path)
            return _from_file_content, (path.read_bytes(),)

    def save(
        self,
        filepath: Any,
        overwrite: bool = True,
        zipped: bool | None = None,
        **kwargs: Any,
    ) -> None:
        """Writes architecture, weights, compile state and optimizer state."""
        from minikeras.saving import save_model

        save_model(self, filepath, overwrite=overwrite, zipped=zipped, **kwargs)

    def save_weights(
        self, filepath: Any, overwrite: bool = True, max_shard_size: Any = None
    ) -> None:
        """Writes the weights, and the optimizer's state, to a `.weights.h5` file; to
        `.npz` or `.safetensors` the weights alone."""
        from minikeras.saving import save_weights

        save_weights(self, filepath, overwrite=overwrite, max_shard_size=max_shard_size)

    def load_weights(
        self, filepath: Any, skip_mismatch: bool = False, **kwargs: Any
    ) -> None:
        """Reads weights back, all or nothing."""
        from minikeras.saving import load_weights

        load_weights(self, filepath, skip_mismatch=skip_mismatch, **kwargs)

    def export(self, *args: Any, **kwargs: Any) -> None:
        """Not there: Keras exports programs for TensorFlow, ONNX and others."""
        raise NotImplementedError(
            "`Model.export` writes programs for other runtimes; minikeras does not. "
            "Save to a '.keras' file and export that with Keras."
        )

    def quantize(self, *args: Any, **kwargs: Any) -> None:
        """Not there."""
        raise NotImplementedError("Quantization is not implemented in minikeras.")

    # --- Configuration ----------------------------------------------------------------

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        """The inverse of `get_config`."""
        from minikeras.models import functional

        graph_keys = {"name", "layers", "input_layers", "output_layers"}
        if graph_keys.issubset(config) and (
            cls is Model or functional.has_functional_constructor(cls)
        ):
            from minikeras.models.functional_config import graph_from_config

            target = functional.Functional if cls is Model else cls
            return graph_from_config(target, config, custom_objects)
        try:
            return cls(**config)
        except TypeError as error:
            raise TypeError(
                "Unable to revive model from config. When overriding the "
                "`get_config()` method, make sure that the returned config contains "
                f"all items used as arguments in the constructor to {cls}. Received: "
                f"config={config}. Error encountered: {error}"
            ) from error

    def to_json(self, **kwargs: Any) -> str:
        """The architecture and compile state as JSON text, without weights."""
        from minikeras.serialization import serialize_keras_object

        return json.dumps(serialize_keras_object(self), **kwargs)

    def get_build_config(self) -> dict[str, Any] | None:
        """The shape the model was built with."""
        return super().get_build_config()


@functools.cache
def _takes_training(call: Any) -> bool:
    return "training" in accepts(call, ("training",))


def _is_functional_call(args: tuple, kwargs: dict[str, Any]) -> bool:
    return (
        len(args) == 2
        or (len(args) == 1 and "outputs" in kwargs)
        or ("inputs" in kwargs and "outputs" in kwargs)
    )


def _from_file_content(content: bytes) -> Any:
    """The model in the bytes of a `.keras` file."""
    from minikeras.saving import load_model

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        path.write_bytes(content)
        return load_model(path, safe_mode=False)


def _insert_functional(cls: type) -> None:
    """Puts `Functional` in the place of `Model` among the bases of a subclass."""
    from minikeras.models.functional import Functional

    if issubclass(cls, Functional) or cls is object:
        return
    bases = tuple(Functional if base is Model else base for base in cls.__bases__)
    if bases == cls.__bases__:
        for base in cls.__bases__:
            if issubclass(base, Model):
                _insert_functional(base)
        return
    cls.__bases__ = bases


def model_from_json(json_string: str, custom_objects: Any = None) -> Any:
    """The model that `to_json` described, with new weights.

    Args:
        json_string: what `Model.to_json` returned, here, in Keras 3, or in Keras 2.
        custom_objects: your classes and functions, by the names in the text.

    Raises:
        ValueError: if it is not the description of a model.
    """
    from minikeras.saving.building import model_from_text

    return model_from_text(json_string, custom_objects)
