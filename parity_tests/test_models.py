"""Sequential, and what every model has: names, layers, weights, configs, clones."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import minikeras
from parity_tests.descriptions import normalized
from parity_tests.functions import default_dtype
from parity_tests.model_checks import assert_same, check_model, names_of
from parity_tests.model_twins import (
    check_fit,
    compare_numbers,
    compiled,
    pair,
    synchronize,
)
from parity_tests.oracle import keras
from parity_tests.tolerance import assert_equal

RNG = np.random.default_rng(6)
X, Y = RNG.standard_normal((10, 4)), RNG.standard_normal((10, 2))
LIBRARIES = (minikeras, keras)


def by_list(k: Any) -> Any:
    return k.Sequential(
        [k.Input((4,)), k.layers.Dense(3, activation="tanh"), k.layers.Dense(2)]
    )


def by_add(k: Any) -> Any:
    model = k.Sequential(name="stack")
    model.add(k.Input((4,)))
    model.add(k.layers.Dense(3, name="first"))
    model.add(k.layers.Dropout(0.2))
    model.add(k.layers.Dense(2))
    return model


def by_input_layer(k: Any) -> Any:
    layers = [k.layers.InputLayer(shape=(4,), name="start"), k.layers.Dense(2)]
    return k.Sequential(layers)


def by_build(k: Any) -> Any:
    model = k.Sequential([k.layers.Dense(3), k.layers.BatchNormalization()])
    model.build((None, 4))
    return model


def by_call(k: Any) -> Any:
    model = k.Sequential([k.layers.Dense(3), k.layers.Dense(2)])
    model(np.zeros((1, 4)))
    return model


def by_nesting(k: Any) -> Any:
    inner = k.Sequential([k.layers.Dense(3), k.layers.Dropout(0.5)])
    return k.Sequential([k.Input((4,)), inner, k.layers.Dense(2)])


def by_nesting_first(k: Any) -> Any:
    inner = k.Sequential([k.Input((4,)), k.layers.Dense(3)])
    return k.Sequential([inner, k.layers.Dense(2)])


def by_one_layer(k: Any) -> Any:
    return k.Sequential([k.Input((4,)), k.layers.Dense(2)])


def by_functional_first(k: Any) -> Any:
    x = k.Input((4,))
    return k.Sequential([k.Model(x, k.layers.Dense(3)(x)), k.layers.Dense(2)])


WAYS = [
    by_list,
    by_add,
    by_input_layer,
    by_build,
    by_call,
    by_nesting,
    by_nesting_first,
    by_one_layer,
    by_functional_first,
]


class TestMaking:
    @pytest.mark.parametrize("make", WAYS)
    def test_names_and_values(self, make):
        with default_dtype("float64"):
            twins = pair(make)
            assert_same(names_of(twins.ours), names_of(twins.theirs))
            compare_numbers(twins.ours(X), np.asarray(twins.theirs(X)))

    def test_input_shape_of_the_first_layer(self):
        def make(k):
            with pytest.warns(UserWarning, match="Do not pass an `input_shape`"):
                first = k.layers.Dense(3, input_shape=(4,))
            return k.Sequential([first, k.layers.Dense(2)])

        with default_dtype("float64"):
            twins = pair(make)
            assert_same(names_of(twins.ours), names_of(twins.theirs))

    def test_without_shape_there_are_no_weights(self):
        for k in LIBRARIES:
            model = k.Sequential([k.layers.Dense(3), k.layers.Dense(2)])
            assert not model.built and model.weights == [] and len(model.layers) == 2
            for attribute in ("input_shape", "output_shape", "inputs", "outputs"):
                with pytest.raises(AttributeError, match="has no defined"):
                    getattr(model, attribute)
            with pytest.raises(ValueError, match="isn't built"):
                model.count_params()

    def test_built_by_fit(self):
        def make(k):
            layers = [k.layers.Dense(3, activation="tanh"), k.layers.Dense(2)]
            return compiled(k.Sequential(layers), loss="mse")

        check_fit(make, X, Y, batch_size=4)

    def test_pop_and_add(self):
        def make(k):
            model = by_list(k)
            top = model.pop()
            assert isinstance(top, k.layers.Dense) and len(model.layers) == 1
            model.add(k.layers.Dense(5))
            model.add(top if k is None else k.layers.Dense(2, name="new"))
            return model

        check_model(make, X, y=Y)

    def test_pop_of_the_only_layer(self):
        for k in LIBRARIES:
            model = k.Sequential([k.Input((4,)), k.layers.Dense(2)])
            model.pop()
            assert model.layers == []

    def test_layers_keep_their_weights_when_more_are_added(self):
        model = by_one_layer(minikeras)
        before = model.get_weights()
        model.add(minikeras.layers.Dense(3))
        for a, b in zip(model.get_weights(), before, strict=False):
            assert_equal(a, b)

    def test_one_layer_in_two_models(self):
        layer = minikeras.layers.Dense(2)
        one = minikeras.Sequential([minikeras.Input((4,)), layer])
        two = minikeras.Sequential([minikeras.Input((4,)), layer])
        assert one.weights[0] is two.weights[0]

    @pytest.mark.parametrize(
        ("use", "error", "match"),
        [
            (lambda k: k.Sequential([3]), ValueError, "Only instances of"),
            (lambda k: k.Sequential([k.layers.Dense]), ValueError, "Only instances of"),
            (
                lambda k: k.Sequential(
                    [k.layers.Dense(1, name="a"), k.layers.Dense(1, name="a")]
                ),
                ValueError,
                "unique names",
            ),
            (
                lambda k: k.Sequential([k.Input((4,)), k.Input((4,))]),
                ValueError,
                "already been configured to use input shape",
            ),
            (lambda k: by_list(k).build((None, 7)), ValueError, "input.shape"),
            (
                lambda k: k.Sequential([]).build((None, 7)),
                ValueError,
                "because it has no layers",
            ),
            (lambda k: by_list(k)(np.ones((2, 5))), ValueError, "[Ii]nput"),
            (lambda k: by_list(k)(np.ones((2, 3, 4))), ValueError, "[Ii]nput"),
            (lambda k: by_list(k).get_layer("dens"), ValueError, "No such layer"),
            (lambda k: by_list(k).get_layer(index=9), ValueError, "only has 2 layers"),
            (lambda k: by_list(k).get_layer(), ValueError, "Provide either"),
            (
                lambda k: by_list(k).get_layer("dense", 0),
                ValueError,
                "Provide only a layer name or a layer index",
            ),
        ],
    )
    def test_refuses(self, use, error, match):
        for k in LIBRARIES:
            with pytest.raises(error, match=match):
                use(k)

    def test_a_wrong_name_suggests_the_right_one(self):
        with pytest.raises(ValueError, match="dense"):
            by_list(minikeras).get_layer("dens")


class TestLayersAndWeights:
    def test_get_layer(self):
        model = by_add(minikeras)
        assert model.get_layer("first") is model.layers[0]
        assert model.get_layer(index=-1) is model.layers[-1]

    def test_weights_are_shared_objects(self):
        model = by_nesting(minikeras)
        inner = model.layers[0]
        assert model.weights[0] is inner.layers[0].kernel
        assert len(model.weights) == len(model.trainable_weights) == 4

    @pytest.mark.parametrize("make", WAYS)
    def test_freezing(self, make):
        def counts(model):
            return [
                len(getattr(model, name))
                for name in (
                    "weights",
                    "trainable_weights",
                    "non_trainable_weights",
                    "trainable_variables",
                    "non_trainable_variables",
                    "variables",
                )
            ]

        ours, theirs = (make(k) for k in LIBRARIES)
        assert_equal(counts(ours), counts(theirs))
        for model in (ours, theirs):
            model.layers[0].trainable = False
        assert_equal(counts(ours), counts(theirs))
        for model in (ours, theirs):
            model.trainable = False
        assert_equal(counts(ours), counts(theirs))

    def test_set_weights_all_or_nothing(self):
        model = by_list(minikeras)
        before = model.get_weights()
        wrong = [w + 1 for w in before[:-1]] + [np.zeros(7)]
        for k_model in (model, by_list(keras)):
            with pytest.raises(ValueError, match="weight"):
                k_model.set_weights(wrong)
            with pytest.raises(ValueError, match="weight list of length 3"):
                k_model.set_weights(wrong[:3])
        for a, b in zip(model.get_weights(), before, strict=True):
            assert_equal(a, b)

    def test_get_weights_are_copies(self):
        model = by_list(minikeras)
        model.get_weights()[0][:] = 7
        assert not (model.get_weights()[0] == 7).any()


def random_model(k: Any) -> Any:
    """Branches, a shared layer, a nested model, an operator, two outputs."""
    a = k.Input((4,), name="a")
    b = k.Input((3,), name="b")
    shared = k.layers.Dense(2, activation="tanh", name="shared")
    inner = k.Sequential([k.Input((2,)), k.layers.Dense(2)], name="inner")
    p = shared(k.layers.Dense(3, name="p")(a))
    q = shared(b)
    r = inner(p) * 0.5 + q[:, ::-1]
    return k.Model([a, b], {"r": r, "s": k.layers.Softmax(name="s")(q)}, name="all")


class TestConfigs:
    @pytest.mark.parametrize("make", [*WAYS, random_model])
    def test_equals_keras(self, make):
        twins = pair(make)
        ours, theirs = (normalized(m.get_config()) for m in twins[:2])
        assert_same(without_false(ours), without_false(theirs))

    @pytest.mark.parametrize("make", [*WAYS, random_model])
    def test_round_trip(self, make):
        """Each library's own configuration, and each the other's."""
        twins = pair(make)
        made = []
        for model in twins[:2]:
            config = json.loads(json.dumps(model.get_config()))
            made += [type(m).from_config(config) for m in twins[:2]]
        for model in made:
            assert_same(names_of(model), names_of(made[-1]))

    @pytest.mark.parametrize("make", [*WAYS, random_model])
    def test_json_both_ways(self, make):
        with default_dtype("float64"):
            twins = pair(make)
            data = [X, X[:, :3]] if make is random_model else X
            expected = twins.theirs(data)
            here = minikeras.models.model_from_json(twins.theirs.to_json())
            there = keras.models.model_from_json(twins.ours.to_json())
            there.set_weights(twins.theirs.get_weights())
            here.set_weights(twins.theirs.get_weights())
            expected = minikeras.tree.map_structure(np.asarray, expected)
            compare_numbers(here(data), expected)
            compare_numbers(
                minikeras.tree.map_structure(np.asarray, there(data)), expected
            )

    def test_json_has_the_compile_state(self):
        model = compiled(by_list(minikeras), "adam", loss="mse", metrics=["mae"])
        there = keras.models.model_from_json(model.to_json())
        assert there.loss == "mse" and type(there.optimizer).__name__ == "Adam"
        here = minikeras.models.model_from_json(there.to_json())
        assert here.loss == "mse" and type(here.optimizer).__name__ == "Adam"


def without_false(config: Any) -> Any:
    """Without the `training: False` that Keras notes at every call."""
    if isinstance(config, dict):
        return {
            key: without_false(value)
            for key, value in config.items()
            if not (key in ("training", "mask") and not value)
        }
    if isinstance(config, list):
        return [without_false(item) for item in config]
    return config


class TestClones:
    @pytest.mark.parametrize("make", [*WAYS, random_model])
    @pytest.mark.parametrize("recursive", [False, True])
    def test_equals_keras(self, make, recursive):
        def clone(k):
            return k.models.clone_model(make(k), recursive=recursive)

        with default_dtype("float64"):
            twins = pair(clone)
            ours, theirs = names_of(twins.ours), names_of(twins.theirs)
            for key in ("layers", "weights", "input_shape", "output_shape", "count"):
                assert_equal(ours[key], theirs[key], name=key)
            synchronize(twins)
            data = [X, X[:, :3]] if make is random_model else X
            expected = minikeras.tree.map_structure(np.asarray, twins.theirs(data))
            compare_numbers(twins.ours(data), expected)

    def test_new_weights(self):
        model = by_list(minikeras)
        copy = minikeras.models.clone_model(model)
        copy.set_weights(model.get_weights())
        copy.layers[0].kernel.assign(np.zeros((4, 3)))
        assert model.layers[0].kernel.numpy().any()

    def test_clone_function(self):
        def bigger(layer):
            config = layer.get_config()
            return type(layer).from_config({**config, "units": config["units"] + 1})

        model = minikeras.models.clone_model(by_list(minikeras), clone_function=bigger)
        assert [layer.units for layer in model.layers] == [4, 3]

    def test_new_inputs(self):
        tensor = minikeras.Input((4,), name="fresh")
        model = minikeras.models.clone_model(by_list(minikeras), input_tensors=tensor)
        assert model.input_shape == (None, 4)
