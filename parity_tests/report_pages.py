"""The parity report as Markdown and as one HTML file without scripts."""

from __future__ import annotations

import html as escape
from typing import TYPE_CHECKING

from parity_tests.records import DEPTHS, Record
from parity_tests.report_names import KINDS

if TYPE_CHECKING:
    from parity_tests.report import Line, Report

BEGIN, END = "<!-- parity summary -->", "<!-- end of parity summary -->"
_TITLES = {
    "layer": "Layers",
    "activation": "Activations",
    "loss": "Losses",
    "optimizer": "Optimizers",
    "schedule": "Learning rate schedules",
    "metric": "Metrics",
    "callback": "Callbacks",
    "model": "Whole models",
    "initializer": "Initializers",
    "regularizer": "Regularizers",
    "constraint": "Constraints",
}
_DEPTH_TITLES = {
    "forward": "forward",
    "gradients": "gradients",
    "weights": "weights after training",
}
_HOW_TO_READ = (
    "**Cases** are drawn or written configurations and inputs. **Relative** is the "
    "worst difference in any case, relative to the scale of its array: the largest "
    "value Keras computes there, or what cancelled to give it. **ULP** is the same in "
    "units in the last place of that scale. “equal” means not one bit differed; "
    "“—” that there is nothing to compare. Layers are compared after single training "
    "steps, starting each from Keras's weights; models after free-running ones. Of "
    "initializers “forward” is what they draw or compute from the same seed, of "
    "callbacks the history of a whole `fit`."
)


def _title(kind: str) -> str:
    return _TITLES.get(kind, kind.capitalize())


def _number(value: float) -> str:
    return f"{value:.1e}" if value else "0"


def _cell(record: Record | None) -> str:
    if record is None:
        return "—"
    if record.relative == 0 and not record.over:
        return "equal"
    ulp = f"{record.ulp:.1f}" if record.ulp < 100 else f"{record.ulp:.0f}"
    return f"{_number(record.relative)} ({ulp} ULP)"


def _worst(lines: list[Line], depth: str) -> str:
    found = [line.depths[depth] for line in lines if depth in line.depths]
    if not found:
        return "—"
    return _cell(max(found, key=lambda r: (r.relative, r.over)))


def _summary_rows(report: Report) -> list[list[str]]:
    rows = []
    for kind in report.kinds:
        for dtype in ("float32", "float64"):
            lines = [x for x in report.of_kind(kind) if x.dtype == dtype]
            if not lines:
                continue
            red = sum(1 for line in lines if line.problem)
            cases = sum(line.cases for line in lines)
            rows.append(
                [
                    _title(kind),
                    dtype,
                    str(len(lines)),
                    f"{cases:,}",
                    *(_worst(lines, depth) for depth in DEPTHS),
                    f"**{red} red**" if red else "ok",
                ]
            )
    return rows


_SUMMARY_HEAD = [
    "",
    "dtype",
    "how many",
    "cases",
    "forward",
    "gradients",
    "weights after training",
    "",
]


def _table(head: list[str], rows: list[list[str]], numbers_from: int = 2) -> str:
    rule = ["---" if i < numbers_from else "---:" for i in range(len(head))]
    rule[-1] = "---"
    lines = [head, rule, *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _made_with(report: Report) -> str:
    return ", ".join(f"{name} {version}" for name, version in report.versions.items())


def _absent(report: Report) -> str:
    """How many classes are not there yet: "3 callbacks, 1 loss"."""
    counts = [
        f"{len(names)} {_title(kind).lower() if len(names) > 1 else kind}"
        for kind, names in report.not_there.items()
        if names
    ]
    return ", ".join(counts) or "nothing"


def summary(report: Report) -> str:
    """A small table: one row per kind and dtype, with the worst of each."""
    text = _table(_SUMMARY_HEAD, _summary_rows(report))
    absent = f"Not there yet, and refused by name: {_absent(report)}."
    return f"{text}\n\n{absent}\n\n{report.date}; {_made_with(report)}.\n"


def with_summary(text: str, report: Report) -> str:
    """A README whose part between the parity marks is this summary."""
    if BEGIN not in text or END not in text:
        raise ValueError(
            f"Expected the marks {BEGIN!r} and {END!r} in the README, around the place "
            "for the summary."
        )
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{summary(report)}{END}{after}"


def markdown(report: Report) -> str:
    """The whole report."""
    parts = [
        "# minikeras beside Keras",
        f"{report.date}. {_made_with(report)}. Tests: {report.tests}.",
        _verdict(report),
        _HOW_TO_READ,
        "## Summary",
        _table(_SUMMARY_HEAD, _summary_rows(report)),
    ]
    for kind in report.kinds:
        rows = [
            [
                f"`{line.name}`",
                line.dtype,
                f"{line.cases:,}",
                *(_cell(line.depths.get(depth)) for depth in DEPTHS),
                f"**RED: {line.problem}**" if line.problem else "ok",
            ]
            for line in report.of_kind(kind)
        ]
        head = ["name", "dtype", "cases", *_DEPTH_TITLES.values(), ""]
        parts += [f"## {_title(kind)}", _table(head, rows)]
    for title, (text, table_head, rows) in _without_lines(report).items():
        parts += [f"## {title}", text, _table(table_head, rows)]
    return "\n\n".join(parts) + "\n"


def _without_lines(report: Report) -> dict[str, tuple[str, list[str], list[list[str]]]]:
    """Title -> (text, head, rows) of the tables of what has no line above."""
    absent = [
        [f"`{name}`", kind, "not there yet"]
        for kind, names in report.not_there.items()
        for name in names
    ]
    others = [
        [f"`{name}`", title, reason]
        for title, kind in KINDS.items()
        for name, reason in kind.left_out.items()
    ]
    head = ["name", "kind", ""]
    return {
        "Not there yet": (
            "Public classes of Keras that minikeras does not have: asking for one of "
            "them says so by name.",
            head,
            absent,
        ),
        "Without a line of their own": (
            "Public, and compared with others.",
            head,
            others,
        ),
    }


def _verdict(report: Report) -> str:
    if not report.red:
        return (
            "No red line: every public class of Keras was compared or is listed as not "
            "there yet, and nothing is over tolerance."
        )
    return f"{len(report.red)} red lines of {len(report.lines)}."


# Colours: Okabe and Ito's orange for red lines reads in both schemes and for the
# colour-blind, and the word RED stands beside it.
_STYLE = """
:root { color-scheme: light dark; --line: #d8dee6; --soft: #f4f6f9; --ink: #1c2530;
  --faint: #5b6675; --paper: #fff; --red: #a3330b; --redback: #fdece4; --good: #0b6b50;
  --bar: #9cc4e4; }
@media (prefers-color-scheme: dark) { :root { --line: #333c48; --soft: #1d242d;
  --ink: #e4e9f0; --faint: #9aa6b5; --paper: #14191f; --red: #ff9d6e;
  --redback: #3a2117; --good: #6fd3b2; --bar: #2f5674; } }
body { background: var(--paper); color: var(--ink); margin: 2.5rem auto;
  max-width: 68rem; padding: 0 1.2rem; font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.7rem; margin-bottom: .2rem; } h2 { margin-top: 2.4rem; }
.faint { color: var(--faint); } .wide { overflow-x: auto; }
.verdict { font-weight: 600; color: var(--good); } .verdict.red { color: var(--red); }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th { text-align: left; font-weight: 600; border-bottom: 2px solid var(--line);
  background: var(--paper); position: sticky; top: 0; }
td, th { padding: .28rem .6rem; } td { border-bottom: 1px solid var(--line); }
td.n, th.n { text-align: right; white-space: nowrap; }
tr:hover td { background: var(--soft); } tr.red td { background: var(--redback); }
tr.red td:last-child { color: var(--red); font-weight: 600; }
code { font: 13px ui-monospace, monospace; } nav a { margin-right: 1rem; }
a { color: inherit; }
"""


def html(report: Report) -> str:
    """The whole report as a page that needs nothing else."""
    verdict = "verdict red" if report.red else "verdict"
    links = " ".join(f'<a href="#{kind}">{_title(kind)}</a>' for kind in report.kinds)
    body = [
        "<h1>minikeras beside Keras</h1>",
        f'<p class="faint">{_e(report.date)}. {_e(_made_with(report))}. '
        f"Tests: {_e(report.tests)}.</p>",
        f'<p class="{verdict}">{_e(_verdict(report))}</p>',
        f"<p>{_bold(_HOW_TO_READ)}</p><nav>{links}</nav>",
        "<h2>Summary</h2>",
        _html_table(
            _SUMMARY_HEAD,
            [(row, "red" in row[-1]) for row in _summary_rows(report)],
            first_number=2,
        ),
    ]
    for kind in report.kinds:
        rows = [
            (
                [
                    line.name,
                    line.dtype,
                    f"{line.cases:,}",
                    *(_cell(line.depths.get(depth)) for depth in DEPTHS),
                    f"RED: {line.problem}" if line.problem else "ok",
                ],
                bool(line.problem),
            )
            for line in report.of_kind(kind)
        ]
        head = ["name", "dtype", "cases", *_DEPTH_TITLES.values(), ""]
        body.append(f'<h2 id="{kind}">{_title(kind)}</h2>')
        body.append(_html_table(head, rows, first_number=2, code=True))
    for title, (text, head, table_rows) in _without_lines(report).items():
        plain = [([n.strip("`"), *rest], False) for n, *rest in table_rows]
        body += [f"<h2>{title}</h2>", f"<p>{_e(text)}</p>"]
        body.append(_html_table(head, plain, first_number=9, code=True))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        "<title>minikeras beside Keras</title>"
        f"<style>{_STYLE}</style></head><body>\n"
        + "\n".join(body)
        + "\n</body></html>\n"
    )


def _html_table(
    head: list[str],
    rows: list[tuple[list[str], bool]],
    *,
    first_number: int,
    code: bool = False,
) -> str:
    last = len(head) - 1

    def cell(i: int, text: str, tag: str = "td") -> str:
        number = ' class="n"' if first_number <= i < last else ""
        inner = _bold(text)
        if code and tag == "td" and i == 0:
            inner = f"<code>{inner}</code>"
        return f"<{tag}{number}>{inner}</{tag}>"

    lines = ["<tr>" + "".join(cell(i, t, "th") for i, t in enumerate(head)) + "</tr>"]
    for row, red in rows:
        mark = ' class="red"' if red else ""
        cells = "".join(cell(i, text) for i, text in enumerate(row))
        lines.append(f"<tr{mark}>{cells}</tr>")
    return '<div class="wide"><table>' + "\n".join(lines) + "</table></div>"


def _e(text: str) -> str:
    return escape.escape(text)


def _bold(text: str) -> str:
    """Escaped, with **these** bold."""
    parts = _e(text).split("**")
    return "".join(f"<b>{p}</b>" if i % 2 else p for i, p in enumerate(parts))
