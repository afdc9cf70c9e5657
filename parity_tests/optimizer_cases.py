"""Optimizers and their arguments, drawn and listed, for the tests of optimizers."""

from __future__ import annotations

from hypothesis import strategies as st

import minikeras
from parity_tests.oracle import keras

NAMES = (
    "SGD", "RMSprop", "Adam", "AdamW", "Adagrad", "Adadelta", "Adamax", "Nadam",
    "Ftrl", "Lion", "Lamb", "Adafactor", "Muon", "ScheduleFreeAdamW",
)  # fmt: skip
# Those with a norm, a mean or a power in them: the last bits depend on the order of a
# sum, or on the C library.
NOT_EXACT = (
    "Adam", "AdamW", "Adamax", "Nadam", "Ftrl", "Lamb", "Adafactor", "Muon",
    "ScheduleFreeAdamW",
)  # fmt: skip
OWN_ARGUMENTS = {
    "SGD": [{}, {"momentum": 0.9}, {"momentum": 0.7, "nesterov": True}],
    "RMSprop": [
        {},
        {"momentum": 0.9},
        {"centered": True},
        {"centered": True, "momentum": 0.5, "rho": 0.8, "epsilon": 1e-3},
    ],
    "Adam": [
        {},
        {"amsgrad": True},
        {"beta_1": 0.8, "beta_2": 0.99, "epsilon": 1e-3},
        {"beta_1": 0.5, "beta_2": 0.9, "amsgrad": True},
    ],
    "Adagrad": [{}, {"initial_accumulator_value": 0.5, "epsilon": 1e-3}],
    "Adadelta": [{}, {"rho": 0.8, "epsilon": 1e-3}],
    "Adamax": [{}, {"beta_1": 0.8, "beta_2": 0.9, "epsilon": 1e-3}],
    "Nadam": [{}, {"beta_1": 0.8, "beta_2": 0.99, "epsilon": 1e-3}],
    "Ftrl": [
        {},
        {"l1_regularization_strength": 0.01, "l2_regularization_strength": 0.02},
        {"l2_shrinkage_regularization_strength": 0.1, "beta": 0.1},
        {"learning_rate_power": -0.3, "initial_accumulator_value": 0.3},
    ],
    "Lion": [{}, {"beta_1": 0.8, "beta_2": 0.9}],
    "Lamb": [{}, {"beta_1": 0.8, "beta_2": 0.99, "epsilon": 1e-3}],
    "Adafactor": [
        {},
        {"beta_2_decay": -0.5, "clip_threshold": 0.5},
        {"epsilon_1": 1e-6, "epsilon_2": 0.1, "relative_step": False},
    ],
    "Muon": [
        {},
        {"nesterov": False, "rms_rate": None, "ns_steps": 3},
        {"exclude_layers": ["w1"], "momentum": 0.8, "adam_lr_ratio": 0.5},
        {"muon_a": 3.0, "muon_b": -3.2, "muon_c": 1.2, "adam_weight_decay": None},
    ],
    "ScheduleFreeAdamW": [
        {},
        {"beta_1": 0.8, "beta_2": 0.99, "epsilon": 1e-3},
        {"warmup_steps": 4},
    ],
}
OWN_ARGUMENTS["AdamW"] = [{"weight_decay": 0.1, **c} for c in OWN_ARGUMENTS["Adam"]]
LIBRARIES = {"minikeras": minikeras, "keras": keras}


def schedule(k):
    return k.optimizers.schedules.ExponentialDecay(0.1, 3, 0.9)


@st.composite
def configs(draw):
    """(class name, arguments): every stage of a step on or off."""
    name = draw(st.sampled_from(NAMES))
    config = dict(draw(st.sampled_from(OWN_ARGUMENTS[name])))
    config["learning_rate"] = draw(st.sampled_from([0.1, 0.003, schedule, "callable"]))
    clip = draw(st.sampled_from([None, "clipnorm", "clipvalue", "global_clipnorm"]))
    if clip:
        config[clip] = draw(st.sampled_from([0.01, 1.0]))
    if draw(st.booleans()):
        config["weight_decay"] = draw(st.sampled_from([0.01, 0.1]))
    if draw(st.booleans()):
        config["use_ema"] = True
        config["ema_momentum"] = draw(st.sampled_from([0.9, 0.99]))
        config["ema_overwrite_frequency"] = draw(st.sampled_from([None, 2, 3]))
    config["gradient_accumulation_steps"] = draw(st.sampled_from([None, 2, 3]))
    config["loss_scale_factor"] = draw(st.sampled_from([None, 8.0, 3.0]))
    return name, config


def make(k, name, config):
    """The optimizer of library `k`."""
    rate = config.get("learning_rate", 0.01)
    if rate == "callable":
        config = {**config, "learning_rate": lambda: 0.02}
    elif callable(rate):
        config = {**config, "learning_rate": rate(k)}
    return getattr(k.optimizers, name)(**config)
