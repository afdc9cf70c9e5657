"""Single layers, forward and backward, beside the other libraries' compiled ones.

minikeras runs on one core here, the others on all: it splits a batch among the cores,
not the work of a layer. So half as fast, on two cores, is as fast in training.
"""

from __future__ import annotations

from typing import Any

from benchmarks.backends import Processes
from benchmarks.comparison import OURS, check_equal, compare, format_seconds, summary
from benchmarks.layer_timing import CASES


def run(backends: list[str], quick: bool) -> dict[str, Any]:
    """Case -> "forward" and "backward" -> backend -> times."""
    names = list(CASES)[:4] if quick else list(CASES)
    results = {}
    with Processes(backends) as processes:
        for name in names:
            turns = [
                processes.ask_all("layer", name=name) for _ in range(1 if quick else 3)
            ]
            check_equal(name, {b: a["numbers"] for b, a in turns[0].items()})
            results[name] = _row(backends, turns)
    return results


def _row(backends: list[str], turns: list[dict[str, Any]]) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for part in ("forward", "both"):
        times = {b: summary([turn[b][part] for turn in turns]) for b in backends}
        row[part] = {"times": times, **compare(times)}
    return row


def table(results: dict[str, Any]) -> str:
    """The results as Markdown."""
    backends = list(next(iter(results.values()))["forward"]["times"])
    others = [backend for backend in backends if backend != OURS]
    head = ["layer", "", OURS, *others, "times as fast as the fastest"]
    lines = ["| " + " | ".join(head) + " |", "|---|---|" + "---:|" * (len(head) - 2)]
    for name, row in results.items():
        for part, text in (("forward", "forward"), ("both", "and backward")):
            times = row[part]["times"]
            cells = [
                format_seconds(times[b]["median_s"])
                for b in (OURS, *others)
                if b in times
            ]
            ratio = row[part].get("ratio")
            cells.append(f"{ratio:.2f}" if ratio else "--")
            first = name if part == "forward" else ""
            lines.append("| " + " | ".join([first, text, *cells]) + " |")
    return "\n".join(lines)
