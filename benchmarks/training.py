"""The workloads: each backend in its own process, taking turns in one run."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from contextlib import closing
from typing import Any

from benchmarks import ceilings
from benchmarks.backends import BACKENDS, Process, Processes, environment
from benchmarks.comparison import (
    OURS,
    check_equal,
    compare,
    format_seconds,
    geometric_mean,
    summary,
)
from benchmarks.workloads import PROCESS, PROCESS_TEXT, WORKLOADS

NAMES = (*WORKLOADS, PROCESS)
NO_STEPS = ("predict", PROCESS)  # rows whose ratios are of another size
# After a library has worked, its threads may spin for a while.
PAUSE = 0.05


def run(names: list[str], backends: list[str], quick: bool) -> dict[str, Any]:
    """Measures the named workloads.

    Args:
        names: of `NAMES`.
        backends: of `BACKENDS`, installed.
        quick: fewer and shorter runs; one process per backend for all workloads, so
            that peak memory is not known by workload.
    """
    ceiling = ceilings.in_process(3 if quick else 9)
    results: dict[str, Any] = {"ceilings": ceiling._asdict(), "workloads": {}}
    fits = [name for name in names if name in WORKLOADS]
    if quick and fits:
        with Processes(backends) as processes:
            results["versions"] = _versions(processes)
            for name in fits:
                results["workloads"][name] = measure(name, processes, quick)
    for name in fits if not quick else ():
        with Processes(backends) as processes:
            results["versions"] = _versions(processes)
            row = results["workloads"][name] = measure(name, processes, quick)
            for backend, answer in processes.ask_all("memory").items():
                row["times"][backend]["memory_bytes"] = answer["bytes"]
    if PROCESS in names:
        results["workloads"][PROCESS] = measure_process(backends, 1 if quick else 5)
    for row in results["workloads"].values():
        row["roofline"] = _roofline(row, ceiling)
    rows = {n: r["ratio"] for n, r in results["workloads"].items() if "ratio" in r}
    if rows:
        results["geometric_mean"] = geometric_mean(list(rows.values()))
    steps = [ratio for name, ratio in rows.items() if name not in NO_STEPS]
    if steps and len(steps) < len(rows):
        results["geometric_mean_of_steps"] = geometric_mean(steps)
    return results


def measure(name: str, processes: Processes, quick: bool) -> dict[str, Any]:
    """One workload: checked, compiled, timed in turns."""
    started = time.perf_counter()
    checked = {
        b: a["numbers"] for b, a in processes.ask_all("check", name=name).items()
    }
    difference = check_equal(name, checked)
    steps = max(1, WORKLOADS[name].steps // (4 if quick else 1))
    warm = processes.ask_all("prepare", name=name, steps=steps)
    wall: dict[str, list[float]] = {backend: [] for backend in processes}
    cpu: dict[str, list[float]] = {backend: [] for backend in processes}
    for _ in range(3 if quick else 11):
        for backend, process in processes.items():
            time.sleep(PAUSE)
            answer = process.ask("time", name=name)
            wall[backend].append(answer["seconds"])
            cpu[backend].append(answer["cpu"])
    times: dict[str, Any] = {backend: summary(wall[backend]) for backend in processes}
    for backend in processes:
        times[backend]["cpu_s"] = summary(cpu[backend])["median_s"]
        times[backend]["warm_up_s"] = warm[backend]["seconds"]
    row = {"text": WORKLOADS[name].text, "difference": difference, "times": times}
    row.update(compare(times))
    if OURS in processes:
        row["work"] = processes[OURS].ask("work", name=name)
    row["measured_in_s"] = time.perf_counter() - started
    return row


def measure_process(backends: list[str], runs: int) -> dict[str, Any]:
    """The whole process, started again and again, in turns."""
    seconds: dict[str, list[float]] = {backend: [] for backend in backends}
    answers: dict[str, Any] = {}
    for turn in range(runs + 1):
        for backend in backends:
            start = time.perf_counter()
            done = subprocess.run(
                [sys.executable, "-m", "benchmarks.walk", BACKENDS[backend][0]],
                check=True,
                env=environment(backend),
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
            answers[backend] = json.loads(done.stdout.splitlines()[-1])
            if turn:  # the first fills the disk cache
                seconds[backend].append(time.perf_counter() - start)
    difference = check_equal(PROCESS, {b: a["numbers"] for b, a in answers.items()})
    times: dict[str, Any] = {b: summary(found) for b, found in seconds.items()}
    for backend, answer in answers.items():
        times[backend]["memory_bytes"] = answer["memory"]
    row = {"text": PROCESS_TEXT, "difference": difference, "times": times}
    return {**row, **compare(times)}


def same_on_threads(names: list[str]) -> dict[str, bool]:
    """Workload -> are the weights after some steps the same, bit for bit, on 1 and 2
    threads?"""
    found = {}
    with closing(Process(OURS)) as process:
        for name in names:
            if name in WORKLOADS and WORKLOADS[name].method == "fit":
                one, two = (
                    process.ask("weights_hash", name=name, threads=threads)["sha256"]
                    for threads in (1, 2)
                )
                found[name] = one == two
    return found


def _versions(processes: Processes) -> dict[str, Any]:
    answers = processes.ask_all("hello")
    return {backend: answer["versions"] for backend, answer in answers.items()}


def _roofline(row: dict[str, Any], ceiling: ceilings.Ceilings) -> dict[str, float]:
    """The least time for the matrix products and the update, as part of ours."""
    if "work" not in row:
        return {}
    work = row["work"]
    least = work["operations"] / ceiling.flops_all
    least += work["update_bytes"] / ceiling.bandwidth_all
    return {"least_s": least, "fraction": least / row["times"][OURS]["median_s"]}


def table(results: dict[str, Any]) -> str:
    """The results as Markdown."""
    rows = results["workloads"]
    backends = list(next(iter(rows.values()))["times"]) if rows else []
    others = [backend for backend in backends if backend != OURS]
    head = ["workload", OURS, *others, "times as fast as the fastest"]
    head += ["least possible", "roofline"]
    lines = [_line(head), "|---|" + "---:|" * (len(head) - 1)]
    for name, row in rows.items():
        cells = [f"{name}: {row['text']}"]
        for backend in (OURS, *others):
            time = row["times"].get(backend)
            bold = "**" if backend in (OURS, row.get("fastest")) else ""
            if time is None:
                cells.append("--")
                continue
            text = format_seconds(time["median_s"])
            low, high = (format_seconds(time[key]) for key in ("q1_s", "q3_s"))
            cells.append(f"{bold}{text}{bold} ({low} to {high})")
        cells.append(f"**{row['ratio']:.2f}**" if "ratio" in row else "--")
        roofline = row.get("roofline")
        if roofline:
            cells.append(format_seconds(roofline["least_s"]))
            cells.append(f"{roofline['fraction']:.0%}")
        else:
            cells += ["--", "--"]
        lines.append(_line(cells))
    text = "\n".join(lines)
    return text + _means(results)


def _means(results: dict[str, Any]) -> str:
    """The geometric means in a sentence; nothing if there is none."""
    if "geometric_mean" not in results:
        return ""
    text = f"\n\nGeometric mean of the ratios: **{results['geometric_mean']:.2f}**"
    if "geometric_mean_of_steps" in results:
        steps = results["geometric_mean_of_steps"]
        text += f"; of the training steps alone: **{steps:.2f}**"
    return f"{text}."


def short_table(results: dict[str, Any]) -> str:
    """Medians alone, for README.md."""
    rows = results["workloads"]
    backends = list(next(iter(rows.values()))["times"])
    head = ["ms per step", *backends, "times as fast as the fastest"]
    lines = [_line(head), "|---|" + "---:|" * (len(head) - 1)]
    for name, row in rows.items():
        cells = [f"{name}: {row['text']}"]
        cells += [format_seconds(row["times"][b]["median_s"]) for b in backends]
        lines.append(
            _line([*cells, f"**{row['ratio']:.2f}**" if "ratio" in row else ""])
        )
    return "\n".join(lines) + _means(results)


def memory_table(results: dict[str, Any]) -> str:
    """Peak memory and warm-up as Markdown; empty if memory was not measured."""
    rows = results["workloads"]
    backends = list(next(iter(rows.values()))["times"]) if rows else []
    lines = [
        _line(["workload", *(f"{b}, MB" for b in backends), "warm-up, seconds"]),
        "|---|" + "---:|" * len(backends) + "---|",
    ]
    for name, row in rows.items():
        times = row["times"]
        if not all("memory_bytes" in time for time in times.values()):
            continue
        cells = [f"{time['memory_bytes'] / 2**20:.0f}" for time in times.values()]
        warm = [
            f"{backend} {time['warm_up_s']:.2g}"
            for backend, time in times.items()
            if "warm_up_s" in time
        ]
        lines.append(_line([name, *cells, ", ".join(warm) or "all of it"]))
    return "\n".join(lines) if len(lines) > 2 else ""


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"
