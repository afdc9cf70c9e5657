"""What each trick of `docs/speed.md` is worth here: the plain way and the quick way.

Both ways of a trick give the same numbers, which is checked. Times are the best of many
runs in turn, of one core unless the trick is about threads.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np

from benchmarks.comparison import check_equal
from minikeras.ops import conv as conv_ops
from minikeras.ops.elementwise import add_to_rows, sum_rows
from minikeras.ops.embedding import embedding_grad, embedding_grad_plain
from minikeras.ops.lstm import lstm_sequence
from minikeras.ops.lstm_fused import fused_sequence
from minikeras.ops.products import aligned, matmul_rows
from minikeras.ops.scratch import aligned_empty, scratch
from minikeras.ops.stable import keep_where

Way = Callable[[], Any]


class Trick(NamedTuple):
    """Two ways to the same result."""

    plain_text: str
    quick_text: str
    ways: Callable[[], tuple[Way, Way]]
    blas_threads: tuple[int, int] = (1, 1)


def _random(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape, dtype=np.float32)


def _pieces() -> tuple[Way, Way]:
    x, y = _random(1 << 23), np.empty(1 << 23, np.float32)

    def work(part: slice) -> None:
        np.multiply(x[part], x[part], out=y[part])
        np.add(y[part], x[part], out=y[part])
        np.maximum(y[part], x[part], out=y[part])

    def whole() -> np.ndarray:
        work(slice(None))
        return y[::4096]

    def pieces() -> np.ndarray:
        for start in range(0, len(x), 1 << 15):
            work(slice(start, start + (1 << 15)))
        return y[::4096]

    return whole, pieces


def _page_faults() -> tuple[Way, Way]:
    x = _random(1 << 21)

    def fresh() -> np.ndarray:
        # What the system gives out anew: as large as its allocator does not keep.
        new = np.empty(1 << 25, np.float32)[: x.size]
        return np.copyto(new, x) or new[::4096]

    def reused() -> np.ndarray:
        buffer = scratch("benchmark", x.shape, x.dtype)
        return np.copyto(buffer, x) or buffer[::4096]

    return fresh, reused


def _time_steps() -> tuple[Way, Way]:
    x, kernel = _random(100, 16, 128), _random(128, 512)
    y = np.empty((100, 16, 512), np.float32)

    def steps() -> np.ndarray:
        for t in range(len(x)):
            np.matmul(x[t], kernel, out=y[t])
        return y[::9, ::9, ::9]

    def at_once() -> np.ndarray:
        np.matmul(x.reshape(1600, 128), kernel, out=y.reshape(1600, 512))
        return y[::9, ::9, ::9]

    return steps, at_once


def _windows() -> tuple[Way, Way]:
    x, kernel = _random(16, 13, 13, 32), _random(3, 3, 32, 64)
    g = conv_ops.conv_geometry(x, kernel)

    def taps() -> np.ndarray:
        y = np.zeros((16, 11, 11, 64), np.float32)
        for i in range(3):
            for j in range(3):
                y += x[:, i : i + 11, j : j + 11] @ kernel[i, j]
        return y

    return taps, lambda: conv_ops.conv(x, kernel, g)


def _both_gradients() -> tuple[Way, Way]:
    x, kernel, dy = (
        _random(8, 32, 32, 32),
        _random(3, 3, 32, 32),
        _random(8, 32, 32, 32),
    )
    g = conv_ops.conv_geometry(x, kernel, padding="same")

    def apart() -> list[np.ndarray]:
        dx = conv_ops.correlate_grad(dy, kernel, g, x.shape)
        return [dx, conv_ops.conv_grad_kernel(dy, x, kernel, g)]

    return apart, lambda: conv_ops.correlate_grads(dy, x, kernel, g)


def _slices(k: int, n: int) -> Callable[[], tuple[Way, Way]]:
    def ways() -> tuple[Way, Way]:
        a, b = aligned(_random(10816, k)), aligned(_random(k, n))
        out = aligned_empty((10816, n), a.dtype)
        return lambda: np.matmul(a, b, out=out), lambda: matmul_rows(a, b, out=out)

    return ways


def _alignment() -> tuple[Way, Way]:
    def array(offset: int) -> np.ndarray:
        room = aligned_empty((8192 + 16,), np.float32)
        return np.copyto(room, 0.5) or room[offset : offset + 8192]

    def add(offset: int) -> Way:
        a, b, c = (array(offset) for _ in range(3))
        return lambda: [np.add(a, b, out=c) for _ in range(10)]

    return add(4), add(0)


def _gates() -> tuple[Way, Way]:
    columns, blocks = _random(16, 4 * 128), aligned(_random(4, 16, 128))
    blocks[...] = columns.reshape(16, 4, 128).swapaxes(0, 1)
    out = aligned_empty((16, 128), np.float32)

    def multiply(i: np.ndarray, g: np.ndarray) -> Way:
        return lambda: [np.multiply(i, g, out=out) for _ in range(10)]

    return (
        multiply(columns[:, :128], columns[:, 256:384]),
        multiply(blocks[0], blocks[2]),
    )


def _lstm() -> tuple[Way, Way]:
    z, recurrent = _random(100, 16, 512), _random(128, 512) / 12
    state, work = np.zeros((16, 128), np.float32), np.empty_like(z)

    def plain() -> np.ndarray:
        np.copyto(work, z)  # which is overwritten
        return lstm_sequence(work, state, state, recurrent).h

    return plain, lambda: fused_sequence(z, state, state, recurrent).h


def _bias() -> tuple[Way, Way]:
    dy = _random(10816, 32)
    return lambda: dy.sum(axis=0), lambda: sum_rows(dy)


def _runs() -> tuple[Way, Way]:
    rows, bias = aligned(_random(10816, 32)), np.zeros(32, np.float32)

    def plain() -> np.ndarray:
        np.add(rows, bias, out=rows)
        return rows

    return plain, lambda: add_to_rows(rows, bias) or rows


def _embedding() -> tuple[Way, Way]:
    ids, dy = np.random.default_rng(0).integers(0, 10000, 3200), _random(3200, 128)
    return (
        lambda: embedding_grad_plain(dy, ids, 10000)[::99],
        lambda: embedding_grad(dy, ids, 10000)[::99],
    )


def _keep() -> tuple[Way, Way]:
    x = _random(128, 1600)
    keep = x > 0
    return lambda: np.where(keep, x, np.float32(0)), lambda: keep_where(keep, x)


def _flat() -> tuple[Way, Way]:
    sizes = [8, 4, 4, 1, 64, 8, 64, 8, 64, 8]
    state = [[np.zeros(n, np.float32) for n in sizes] for _ in range(3)]
    flat = [np.zeros(sum(sizes), np.float32) for _ in range(3)]

    def step(value: np.ndarray, m: np.ndarray, gradient: np.ndarray) -> None:
        m *= 0.9
        m += gradient
        value -= m

    def one_by_one() -> np.ndarray:
        for arrays in zip(*state, strict=True):
            step(*arrays)
        return np.concatenate(state[0])

    def together() -> np.ndarray:
        step(*flat)
        return flat[0]

    return one_by_one, together


def _threads() -> tuple[Way, Way]:
    """A product, and a few ufuncs on its result, for 64 examples."""
    x, kernel = _random(64, 121, 288), aligned(_random(288, 64))
    y = np.empty((64, 121, 64), np.float32)

    def work(part: slice) -> None:
        rows = y[part].reshape(-1, 64)
        np.matmul(x[part].reshape(-1, 288), kernel, out=rows)
        np.tanh(rows, out=rows)
        np.multiply(rows, rows, out=rows)
        np.add(rows, 1, out=rows)
        np.sqrt(rows, out=rows)

    def blas_threads() -> np.ndarray:
        work(slice(None))
        return y

    pool = ThreadPoolExecutor(2)

    def example_threads() -> np.ndarray:
        list(pool.map(work, [slice(n, n + 8) for n in range(0, 64, 8)]))
        return y

    return blas_threads, example_threads


TRICKS: dict[str, Trick] = {
    "pieces": Trick("three ufuncs, 32 MB each", "128 KB at a time", _pieces),
    "page faults": Trick("8 MB to new memory", "to memory that is there", _page_faults),
    "time steps": Trick("100 products", "one product", _time_steps),
    "windows": Trick("a product per tap", "a product of columns", _windows),
    "both gradients": Trick("dx, then dW", "from the same columns", _both_gradients),
    "slices, 9": Trick("10816 x 9 by 9 x 32", "768 rows each", _slices(9, 32)),
    "slices, 288": Trick("10816 x 288 by 288 x 32", "104 each", _slices(288, 32)),
    "alignment": Trick("a + b, at 16 bytes", "at 64 bytes", _alignment),
    "gates": Trick("columns of (16, 512)", "blocks (16, 128)", _gates),
    "LSTM": Trick("100 steps, `lstm_sequence`", "`fused_sequence`", _lstm),
    "bias gradient": Trick("dy.sum(axis=0)", "ones @ dy", _bias),
    "runs": Trick("y += bias of 32", "1024 at a time", _runs),
    "embedding": Trick("np.add.at", "row by row", _embedding),
    "dropout": Trick("np.where", "bits times 0 or 1", _keep),
    "flat buffers": Trick("10 small updates", "one update", _flat),
    "threads": Trick("BLAS on 2 threads", "examples on 2 threads", _threads, (2, 1)),
}


def run(quick: bool) -> dict[str, Any]:
    """Trick -> seconds of both ways."""
    from threadpoolctl import threadpool_limits

    results = {}
    for name, trick in TRICKS.items():
        ways = trick.ways()
        numbers = [_numbers(way()) for way in ways]
        check_equal(name, {"plain": numbers[0], "quick": numbers[1]})
        seconds: tuple[list[float], list[float]] = ([], [])
        for _ in range(2 if quick else 20):
            for way, threads, found in zip(
                ways, trick.blas_threads, seconds, strict=True
            ):
                with threadpool_limits(threads, "blas"):
                    found.extend(_seconds(way) for _ in range(10))
        results[name] = {"plain_s": min(seconds[0]), "quick_s": min(seconds[1])}
    return results


def _seconds(way: Way) -> float:
    start = time.perf_counter()
    way()
    return time.perf_counter() - start


def _numbers(result: Any) -> list[float]:
    arrays = result if isinstance(result, list | tuple) else [result]
    return [float(np.abs(a).sum(dtype=np.float64)) for a in arrays]


def table(results: dict[str, Any]) -> str:
    """The results as Markdown."""
    lines = [
        "| trick | plain | ms | quick | ms | times |",
        "|---|---|---:|---|---:|---:|",
    ]
    for name, row in results.items():
        trick = TRICKS[name]
        plain, quick = row["plain_s"] * 1e3, row["quick_s"] * 1e3
        lines.append(
            f"| {name} | {trick.plain_text} | {plain:.3g} | {trick.quick_text} | "
            f"{quick:.3g} | {plain / quick:.1f} |"
        )
    return "\n".join(lines)
