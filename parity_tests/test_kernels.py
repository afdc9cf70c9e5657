"""Fast kernels equal their plain twins."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minikeras.ops.conv import (
    conv,
    conv_geometry,
    conv_grad_kernel,
    conv_grads,
    correlate_grads,
)
from minikeras.ops.conv_plain import conv_plain, conv_plain_grad
from minikeras.ops.elementwise import add_to_rows, rectify_in_place
from minikeras.ops.embedding import embedding_grad, embedding_grad_plain
from minikeras.ops.lstm import lstm_sequence, lstm_sequence_grad
from minikeras.ops.lstm_fused import fused_sequence, fused_sequence_grad
from minikeras.ops.products import (
    SHORT,
    add_transposed_product,
    matmul_rows,
    matmul_transposed,
    slice_rows,
)
from minikeras.ops.scratch import ALIGNMENT, aligned_empty, scratch
from minikeras.ops.stable import GATE_BLOCK, gate, keep_where
from minikeras.row_gradient import RowGradient
from parity_tests.tolerance import assert_close, assert_equal

DTYPES = pytest.mark.parametrize("dtype", ["float32", "float64"])


def numbers(shape: tuple[int, ...], dtype: str, seed: int) -> np.ndarray:
    array = np.random.default_rng(seed).standard_normal(shape).astype(dtype)
    array.setflags(write=False)
    return array


class TestLSTM:
    @DTYPES
    @given(
        shape=st.tuples(*[st.integers(1, 4)] * 3),
        masked=st.booleans(),
        bias=st.booleans(),
        sequences=st.booleans(),
        scale=st.sampled_from([0.1, 1.0, 100.0]),
    )
    def test_fused_sequence(self, dtype, shape, masked, bias, sequences, scale):
        steps, n, units = shape
        z = numbers((steps, n, 4 * units), dtype, 0) * np.dtype(dtype).type(scale)
        h0, c0, dh, dc = (numbers((n, units), dtype, k) for k in range(1, 5))
        recurrent = numbers((units, 4 * units), dtype, 5)
        b = numbers((4 * units,), dtype, 6) if bias else None
        mask = numbers((steps, n, 1), dtype, 7) > 0 if masked else None
        dh_steps = [None] * steps
        if sequences:
            dh_steps = numbers((steps, n, units), dtype, 8)
        plain = lstm_sequence(z.copy(), h0, c0, recurrent, b, mask=mask)
        fused = fused_sequence(z, h0, c0, recurrent, b, mask)
        for name in ("h", "c", "a"):
            ours, expected = getattr(fused, name), getattr(plain, name)
            assert_close(ours, expected, name=name, k=4 * units * steps)
        found = fused_sequence_grad(dh_steps, dh, dc, fused, recurrent)
        grads = lstm_sequence_grad(dh_steps, dh, dc, plain, recurrent)
        for name, ours, expected in zip(
            ("dz", "dh0", "dc0"), found, grads, strict=True
        ):
            assert_close(ours, expected, name=name, k=(4 * units * steps) ** 2)


class TestEmbedding:
    @DTYPES
    @given(
        ids=st.lists(st.integers(0, 5), max_size=60),
        width=st.integers(1, 3),
        as_square=st.booleans(),
    )
    def test_row_sums(self, dtype, ids, width, as_square):
        shape = (2, len(ids) // 2) if as_square else (len(ids),)
        lookups = np.array(ids, int)[: np.prod(shape, dtype=int)].reshape(shape)
        dy = numbers((*shape, width), dtype, len(ids))
        expected = embedding_grad_plain(dy, lookups, 6)
        assert_equal(embedding_grad(dy, lookups, 6), expected)
        both = RowGradient(lookups, dy, 6)
        assert_equal(both.dense(), expected)
        assert_equal(both.squares(), embedding_grad_plain(dy * dy, lookups, 6))


class TestScratch:
    @DTYPES
    @pytest.mark.parametrize("shape", [(3,), (5, 7)])
    def test_arrays_begin_at_a_cache_line(self, dtype, shape):
        for array in (aligned_empty(shape, dtype), scratch("test", shape, dtype)):
            assert array.shape == shape
            assert array.dtype == dtype
            assert array.ctypes.data % ALIGNMENT == 0
            array[...] = 1


class TestTallProducts:
    @DTYPES
    @pytest.mark.parametrize("n", [1, 3, 32])
    @pytest.mark.parametrize("k", [1, 9])
    @pytest.mark.parametrize("m", [0, 1, 95, 96, 192, 300])
    @pytest.mark.parametrize("side", ["rows", "columns"])
    def test_slices(self, m, k, n, side, dtype):
        a = numbers((m, k), dtype, 0) if side == "rows" else numbers((k, m), dtype, 0).T
        b, dy = numbers((k, n), dtype, 1), numbers((m, 2 * n), dtype, 2)[:, n:]
        out = np.full((m, 2 * n), 7, dtype)  # every second block of columns is filled
        matmul_rows(a, b, out=out[:, :n])
        assert_close(out[:, :n], a @ b, k=k)
        assert_equal(out[:, n:], np.full((m, n), 7, dtype))
        total = np.ones((k, n), dtype)
        add_transposed_product(a, dy, total)
        expected = 1 + a.astype("float64").T @ dy
        assert_close(total, expected.astype(dtype), k=m + 1, scale=10.0)

    @DTYPES
    @pytest.mark.parametrize("m", [0, 1, 16, 64, 300])
    @pytest.mark.parametrize("k", [1, 16, 70, 131])
    @pytest.mark.parametrize("n", [3, 64, 100])
    def test_slices_of_a_transposed_factor(self, m, k, n, dtype):
        a, b = numbers((m, n), dtype, 0), numbers((k, n), dtype, 1)
        for factor in (b, np.asfortranarray(b)):
            assert_close(matmul_transposed(a, factor), a @ b.T, k=n)

    def test_slices_are_short(self):
        for k, n in ((1, 1), (9, 32), (288, 64), (576, 64), (1000, 1000)):
            assert slice_rows(k, n) * k * n <= SHORT


class TestConv:
    @DTYPES
    @pytest.mark.parametrize("padding", ["valid", "same"])
    @pytest.mark.parametrize("channels", [1, 8])
    def test_more_rows_than_a_slice(self, channels, padding, dtype):
        x = numbers((3, 9, 8, channels), dtype, 0)
        kernel = numbers((3, 3, channels, 32), dtype, 1)
        g = conv_geometry(x, kernel, padding=padding)
        y = conv_plain(x, kernel, g)
        dy = numbers(y.shape, dtype, 3)
        assert_close(conv(x, kernel, g), y, k=9 * channels)
        dx, dkernel = conv_plain_grad(dy, x, kernel, g)
        assert_close(conv_grad_kernel(dy, x, kernel, g), dkernel, k=dy.size)
        for gradients in (conv_grads, correlate_grads):
            ours = gradients(dy, x, kernel, g)
            assert_close(ours[0], dx, k=9 * 32)
            assert_close(ours[1], dkernel, k=dy.size)


class TestElementwise:
    @DTYPES
    @pytest.mark.parametrize("shape", [(0, 3), (1, 3), (700, 3), (5, 1000), (40, 32)])
    def test_rows(self, shape, dtype):
        rows, bias = numbers(shape, dtype, 0).copy(), numbers(shape[1:], dtype, 1)
        for given_rows in (rows, np.asfortranarray(rows)):
            ours = given_rows.copy(order="K")
            add_to_rows(ours, bias)
            assert_equal(ours, given_rows + bias)
            rectify_in_place(ours)
            assert_equal(ours, np.maximum(given_rows + bias, 0))

    @DTYPES
    def test_gate_in_blocks(self, dtype):
        dy = numbers((GATE_BLOCK // 3, 4), dtype, 0).copy()
        dy[:2] = np.nan
        passes = numbers(dy.shape, dtype, 1) > 0
        assert_equal(gate(passes, dy), passes * dy)


class TestKeepWhere:
    @DTYPES
    def test_special_values_go_too(self, dtype):
        x = np.array([[1, np.inf, np.nan, -0.0], [-np.inf, 2, 3, np.nan]], dtype)
        for keep in (
            np.array([[True, False, False, True]] * 2),
            np.zeros((2, 1), bool),
        ):
            found = keep_where(keep, x)
            assert_equal(found, np.where(keep, x, 0).astype(dtype))
            assert not np.signbit(found[~np.broadcast_to(keep, x.shape)]).any()
