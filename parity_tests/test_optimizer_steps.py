"""Optimizer steps: worked out by hand, and what `apply` takes and refuses."""

from __future__ import annotations

import numpy as np
import pytest

import minikeras
from minikeras import optimizers
from minikeras.gradients import Gradients
from minikeras.optimizers import blocks
from minikeras.variables import Variable
from parity_tests.functions import default_dtype
from parity_tests.optimizer_cases import NAMES, OWN_ARGUMENTS, make
from parity_tests.tolerance import assert_close, assert_equal


class TestByHand:
    """Numbers worked out with pencil and paper, in float64 with floatx float64."""

    def run(self, optimizer, gradients, start=1.0):
        with default_dtype("float64"):
            w = Variable(np.array([start]), name="w")
            made = optimizer()
            for gradient in gradients:
                made.apply([np.array([gradient])], [w])
            return w.numpy()[0], [v.numpy() for v in made.variables[2:]]

    def test_sgd_with_momentum(self):
        # u1 = -0.5*2 = -1; w = 0.  u2 = 0.5*(-1) - 0.5*4 = -2.5; w = -2.5
        w, (u,) = self.run(lambda: optimizers.SGD(0.5, momentum=0.5), [2.0, 4.0])
        assert_equal((w, u[0]), (-2.5, -2.5))

    def test_sgd_with_nesterov(self):
        # u1 = -1; w = 1 + 0.5*(-1) - 1 = -0.5.
        # u2 = 0.5*(-1) - 2 = -2.5; w = -0.5 + 0.5*(-2.5) - 2 = -3.75
        made = lambda: optimizers.SGD(0.5, momentum=0.5, nesterov=True)  # noqa: E731
        w, _ = self.run(made, [2.0, 4.0])
        assert_equal(w, -3.75)

    def test_rmsprop(self):
        # v = 0.75*0 + 0.25*4 = 1; w = 1 - 0.5*2/sqrt(1 + 3) = 0.5
        made = lambda: optimizers.RMSprop(0.5, rho=0.75, epsilon=3.0)  # noqa: E731
        w, (v,) = self.run(made, [2.0])
        assert_equal((w, v[0]), (0.5, 1.0))

    def test_rmsprop_centered(self):
        # v = 1, a = 0.25*2 = 0.5; w = 1 - 0.5*2/sqrt(1 - 0.25 + 0.25) = 0
        made = lambda: optimizers.RMSprop(  # noqa: E731
            0.5, rho=0.75, epsilon=0.25, centered=True
        )
        w, (v, a) = self.run(made, [2.0])
        assert_equal((w, v[0], a[0]), (0.0, 1.0, 0.5))

    def test_adam(self):
        # step 1: m = 0.5*2 = 1, v = 0.25*4 = 1,
        #   rate = 1 * sqrt(1 - 0.75) / (1 - 0.5) = 1, w = 1 - 1*1/(1 + 1) = 0.5
        # step 2: m = 1 + 0.5*(4 - 1) = 2.5, v = 1 + 0.25*(16 - 1) = 4.75,
        #   rate = sqrt(1 - 0.5625) / 0.75, w = 0.5 - rate*2.5/(sqrt(4.75) + 1)
        made = lambda: optimizers.Adam(  # noqa: E731
            1.0, beta_1=0.5, beta_2=0.75, epsilon=1.0
        )
        w, (m, v) = self.run(made, [2.0])
        assert_equal((w, m[0], v[0]), (0.5, 1.0, 1.0))
        w, (m, v) = self.run(made, [2.0, 4.0])
        assert_equal((m[0], v[0]), (2.5, 4.75))
        rate = np.sqrt(0.4375) / 0.75
        assert_close(w, 0.5 - rate * 2.5 / (np.sqrt(4.75) + 1))

    def test_first_step_of_adam_has_the_size_of_the_learning_rate(self):
        for gradient in (1e-3, 1.0, -1e3):
            # Betas that float32 holds exactly: NB Keras rounds their powers to it.
            made = lambda: optimizers.Adam(  # noqa: E731
                0.125, beta_1=0.5, beta_2=0.75, epsilon=0.0
            )
            w, _ = self.run(made, [gradient])
            assert_close(w, 1 - 0.125 * np.sign(gradient))

    def test_weight_decay(self):
        # w = 1 - 1*0.5*0.25 = 0.875, then - 0.25*2 = 0.375
        w, _ = self.run(lambda: optimizers.SGD(0.25, weight_decay=0.5), [2.0])
        assert_equal(w, 0.375)

    def test_accumulation(self):
        # nothing, nothing, then the mean of 1, 2 and 6: w = 1 - 0.5*3
        made = lambda: optimizers.SGD(  # noqa: E731
            0.5, gradient_accumulation_steps=3
        )
        assert_equal(self.run(made, [1.0, 2.0])[0], 1.0)
        assert_equal(self.run(made, [1.0, 2.0, 6.0])[0], -0.5)

    def test_average(self):
        # w: 1 -> 0 -> -1; average: 0 at first, then 0.75*0 + 0.25*(-1)
        made = lambda: optimizers.SGD(  # noqa: E731
            1.0, use_ema=True, ema_momentum=0.75
        )
        w, (average,) = self.run(made, [1.0, 1.0])
        assert_equal((w, average[0]), (-1.0, -0.25))


class TestApply:
    """What `apply` takes, and what it refuses."""

    def pair(self):
        return [
            Variable(np.ones(2, "float32"), name="a"),
            Variable(np.ones((2, 2), "float32"), name="b"),
        ]

    def test_gradients_object(self):
        a, b = self.pair()
        grads = Gradients([a, b])
        grads.add(b, np.full((2, 2), 2.0, "float32"))
        grads.add(a, np.full(2, 1.0, "float32"))
        optimizer = optimizers.SGD(0.5)
        optimizer.build([a, b])
        optimizer.apply(grads)
        assert_equal(a.numpy(), np.full(2, 0.5, "float32"))
        assert_equal(b.numpy(), np.zeros((2, 2), "float32"))
        assert_equal(int(optimizer.iterations), 1)

    def test_gradients_are_left_alone(self):
        for name in NAMES:
            for config in OWN_ARGUMENTS[name]:
                a, b = self.pair()
                gradients = [np.ones(2, "float32"), np.ones((2, 2), "float32")]
                for gradient in gradients:
                    gradient.setflags(write=False)
                make(minikeras, name, config).apply(gradients, [a, b])

    def test_nothing_to_do(self):
        optimizer = optimizers.SGD()
        optimizer.build(self.pair())
        optimizer.apply([])
        assert_equal(int(optimizer.iterations), 0)

    def test_missing_gradient(self):
        a, b = self.pair()
        optimizer = optimizers.SGD(1.0)
        with pytest.warns(UserWarning, match=r"do not exist for variables \['a'\]"):
            optimizer.apply([None, np.ones((2, 2))], [a, b])
        assert_equal(a.numpy(), np.ones(2, "float32"))
        assert_equal(b.numpy(), np.zeros((2, 2), "float32"))

    @pytest.mark.parametrize(
        ("gradients", "which", "match"),
        [
            ([None, None], [0, 1], "No gradients provided for any variable"),
            ([np.ones(2), np.ones(3)], [0, 1], r"'b' must have its shape \(2, 2\)"),
            ([np.ones(2)], [0, 1], "one gradient for each variable"),
            ([np.ones(2)], None, "one-to-one.*list of 1 gradients.*tracking 2"),
            ([np.ones(2)], [2], "Unknown variable: <Variable path=c"),
        ],
    )
    def test_refused_and_nothing_changed(self, gradients, which, match):
        a, b = self.pair()
        c = Variable(np.ones(2, "float32"), name="c")
        optimizer = optimizers.Adam()
        optimizer.build([a, b])
        before = [v.numpy() for v in [a, b, *optimizer.variables]]
        variables = None if which is None else [[a, b, c][i] for i in which]
        with pytest.raises(ValueError, match=match):
            optimizer.apply(gradients, variables)
        for array, v in zip(before, [a, b, *optimizer.variables], strict=True):
            assert_equal(v.numpy(), array)

    def test_not_built(self):
        with pytest.raises(ValueError, match="must already be built"):
            optimizers.SGD().apply([np.ones(2)])
        with pytest.raises(ValueError, match="must already be built"):
            optimizers.SGD().apply(Gradients())

    def test_apply_gradients(self):
        a, b = self.pair()
        pairs = zip([np.ones(2), np.ones((2, 2))], [a, b], strict=True)
        count = optimizers.SGD(1.0).apply_gradients(pairs)
        assert_equal((int(count), a.numpy().sum(), b.numpy().sum()), (1, 0.0, 0.0))

    def test_not_finite_passes_through(self):
        """Keras does not hide it either; TerminateOnNaN sees it in the loss."""
        for name in NAMES:
            (a, _), gradient = self.pair(), np.array([np.nan, np.inf], "float32")
            config = {**OWN_ARGUMENTS[name][-1], "global_clipnorm": 1.0}
            make(minikeras, name, config).apply([gradient], [a])
            assert not np.isfinite(a.numpy()[0])

    def test_overwrite_with_gradient(self):
        (a, b), gradient = self.pair(), np.array([7.0, 8.0], "float32")
        a.overwrite_with_gradient = True
        optimizer = optimizers.Adam()
        optimizer.apply([gradient, np.ones((2, 2))], [a, b])
        assert_equal(a.numpy(), gradient)
        assert_equal(len(optimizer.variables), 4)  # no state for it

    @pytest.mark.parametrize("name", NAMES)
    def test_large_variables_in_blocks(self, name, monkeypatch):
        """Piece by piece is the same as at once."""
        rng = np.random.default_rng(0)
        start = rng.standard_normal((50, 70)).astype("float32")
        gradients = [rng.standard_normal((50, 70)).astype("float32") for _ in range(3)]
        found = []
        for size in (100, 10**9):
            monkeypatch.setattr(blocks, "BLOCK", size)
            w = Variable(start, name="w")
            config = {"weight_decay": 0.1, "use_ema": True, **OWN_ARGUMENTS[name][-1]}
            optimizer = make(minikeras, name, config)
            for gradient in gradients:
                optimizer.apply([gradient], [w])
            found.append([v.numpy() for v in [w, *optimizer.variables]])
        for a, b in zip(*found, strict=True):
            assert_equal(a, b)
