"""Tables in Markdown: the comparison, and every engine's figures. Wide enough to read in a terminal."""
# SPDX-License-Identifier: Apache-2.0

import math
import re

from bench import comparison, limits
from bench.failure import Failure
from bench.plan import METRICS, MODELS, PRECISIONS, TITLES
from bench.results import summary

BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"
NONE = "–"


def number(value):
    """Three digits that count; 1,368 and 100 and 42.6 and 0.163."""
    if value >= 99.95:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 9.995 else f"{value:.2f}" if value >= 0.995 else f"{value:.3f}"


def figure(values):
    """The median, and from where to where."""
    if not values:
        return NONE
    middle, least, most = summary(values)
    return number(middle) if len(values) == 1 else (
        f"{number(middle)} ({number(least)}–{number(most)})")


def table(head, body):
    """Columns as wide as their widest cell."""
    lines = [head, *body]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    ruled = [head, ["-" * width for width in widths], *body]
    return "\n".join("| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths)) + " |"
                     for line in ruled)


def times(ratio):
    """Rounded down: what misses a target does not look as if it reached it."""
    return f"{math.floor(ratio * 100 + 1e-9) / 100:.2f}"


def name(key):
    return f"{TITLES[key[0]]} {key[1]}" if key[0] not in ("llorch", "tiktoken", "tokenizers") else (
        TITLES[key[0]])


def label(row):
    metric = METRICS[row.metric]
    title = f"{metric.title}, {PRECISIONS[row.precision].title}" if row.precision else metric.title
    return title if metric.tokens else f"{title}, {metric.unit}"


def target(row):
    wanted = row.target
    if wanted.of == "allowance":
        return f"≤ {number(comparison.allowed_bytes(row.model, row.precision) / 1e6)} MB"
    if wanted.of == "own f32":
        reached = f": {times(row.reached)}" if row.reached else ""
        return f"≥ {wanted.factor:.2f} × own 32 bit{reached}"
    return f"≥ {wanted.factor:.2f}" + (f" × {TITLES[wanted.of]}" if wanted.of != "best" else "")


def ratio(row):
    if row.ratio is None:
        return NONE
    spread = "" if len(row.ours) == 1 else f" ({times(row.spread[0])}–{times(row.spread[1])})"
    return times(row.ratio) + spread


def compared(rows):
    head = ["", "limit", "llorch", "best peer", "its figure", "ratio", "target", "of limit", ""]
    return table(head, [
        [label(row), number(row.limit) if row.limit else NONE, figure(row.ours),
         name(row.peer) if row.peer else NONE, figure(row.theirs), ratio(row), target(row),
         f"{row.share:.0%}" if row.share else NONE,
         f"**{row.verdict}**" if row.verdict == "miss" else row.verdict]
        for row in rows])


def every_engine(results, model):
    """All medians of one model, each precision headed by its limits."""
    metrics = [metric for metric in METRICS if metric in results.content["settings"]["metrics"]
               and metric != "encode"]
    head = [model, *(f"{METRICS[metric].title}, {METRICS[metric].unit}" for metric in metrics)]
    body = []
    for precision in results.precisions():
        bounds = [limits.tokens_per_second(results.limits(), model, precision, metric)
                  for metric in metrics]
        body.append([f"**limit, {PRECISIONS[precision].title}**",
                     *(f"**{number(bound)}**" if bound else "" for bound in bounds)])
        columns = [results.engines(model, precision, metric) for metric in metrics]
        keys = list(dict.fromkeys(key for column in columns for key in column))
        body += [[name(key), *(figure(column.get(key)) for column in columns)] for key in keys]
    return table(head, body)


def conditions(results):
    """The machine, the versions and the command, as a list."""
    content = results.content
    about, settings, found = content["machine"], content["settings"], results.limits()
    versions = ", ".join(f"{TITLES[engine]} {version}" for engine, version in content["versions"].items())
    lines = [
        f"{content['started'][:10]}, commit {about['commit']}, worker {about['worker']}",
        f"{about['processor']} ({about['family']}; {' '.join(about['flags'])}), "
        f"{about['cores']} cores, {', '.join(about['caches'])}, {about['memory_gib']} GiB; "
        f"governor {about['governor']}, huge pages {about['huge_pages']}",
        f"{about['system']}, Linux {about['kernel']}, {about['swift']}, {about['clang']}, "
        f"Python {about['python']}",
        f"Peers: {versions or 'none'}",
        f"{counted(settings['rounds'], 'round')} on core {settings['core']}; load average "
        + " → ".join(str(value) for value in content["load_average"]),
    ]
    if share := results.core_share():
        lines.append(f"While it was timed, an engine had {share:.0%} of the core (median of all runs; "
                     f"at least {min(content['core_shares']):.0%})")
    if found:
        units = content["limits"][0]
        lines.append(
            f"Limits of one core, the best of {counted(len(content['limits']), 'measurement')} in "
            f"this run: "
            f"reading {found['read'] / 1e9:.1f} GB/s, f32 {found['f32'] / 1e9:.0f} GFLOP/s (fma), "
            f"bf16 {found['bf16'] / 1e9:.0f} GFLOP/s ({units['bf16_unit']}), "
            f"8 bit {found['int8'] / 1e9:.0f} GOP/s ({units['int8_unit']})"
            + (f", without saturation {found['int8_exact'] / 1e9:.0f} GOP/s "
               f"({units['int8_exact_unit']})" if "int8_exact" in found else ""))
    return "\n".join(f"- {line}" for line in lines)


def counted(count, noun):
    return f"{count} {noun}" + ("" if count == 1 else "s")


def absent(results):
    lines = []
    for entry in results.content["absent"]:
        what = " ".join(filter(None, [TITLES[entry["engine"]], entry["variant"],
                                      f"on {entry['model']}" if entry["model"] else None]))
        how = f"; `{entry['remedy']}`" if entry["remedy"] else ""
        lines.append(f"- {what}: {entry['why']}{how}")
    return "\n".join(lines)


def title(model):
    return f"GPT-2 {MODELS[model].preset.upper()}"


def markdown(results, picture=None):
    """What stands between the markers of docs/benchmarks.md."""
    rows = comparison.rows(results)
    parts = [conditions(results)]
    if results.content["settings"]["quick"]:
        parts.append("A quick run: few rounds and short tests. Good for seeing that all is well, "
                     "not for comparing.")
    if picture:
        parts.append(f"![llorch and its peers, tokens per second]({picture})")
    for model in results.models():
        chosen = [row for row in rows if row.model == model]
        if chosen:
            parts += [f"### {title(model)}", compared(chosen)]
    if encoders := [row for row in rows if row.metric == "encode"]:
        parts += ["### Tokenizer", compared(encoders)]
        if text := results.content.get("text"):
            parts.append(f"A text of {text['bytes'] / 1e6:.1f} MB, SHA-256 {text['sha256'][:16]}….")
        others = [[name(key), figure(values)]
                  for key, values in results.engines(None, None, "encode").items()]
        if others:
            parts.append(table(["", "MB/s"], others))
    if missing := absent(results):
        parts += ["### Not measured", missing]
    if any(sample["model"] for sample in results.content["samples"]):
        parts.append("### Every engine")
        parts += [every_engine(results, model) for model in results.models()]
    return "\n\n".join(parts)


def between_markers(text, content, path="the document"):
    """`text` with what stands between its two markers replaced."""
    for marker in (BEGIN, END):
        if text.count(marker) != 1:
            raise Failure(f"{path} must have the line {marker} once, found {text.count(marker)}")
    before, rest = text.split(BEGIN)
    if END not in rest:
        raise Failure(f"{path} must have {BEGIN} before {END}")
    return f"{before}{BEGIN}\n\n{content}\n\n{END}{rest.split(END)[1]}"


def coloured(text, paint):
    """The verdicts of a table in colour."""
    text = re.sub(r"\| pass ( *)\|", lambda match: f"| {paint('pass', 'green')} {match[1]}|", text)
    return re.sub(r"\*\*miss\*\*", lambda match: paint(match[0], "red"), text)
