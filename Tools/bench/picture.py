"""Draws the figures of a run as SVG: `python -m bench.picture RESULTS FILE`, where matplotlib is."""
# SPDX-License-Identifier: Apache-2.0

import statistics
import sys

from bench import limits
from bench.plan import METRICS, PRECISIONS, TITLES
from bench.report import number, title
from bench.results import Results

SHOWN = ("decode", "decode900", "prefill512")
COLOURS = {"llorch": "#e8590c", "llama.cpp": "#4263a8", "onnxruntime": "#7ba0c4",
           "openvino": "#86a98e", "ctranslate2": "#b8b2a7"}
INK, FAINT = "#2b2b2b", "#8a8a8a"


def best_of_each(results, model, precision, metric):
    """Engine to the median of its best variant."""
    found = {}
    for (engine, _), values in results.engines(model, precision, metric).items():
        found[engine] = max(found.get(engine, 0), statistics.median(values))
    return found


def draw(results, path):
    import matplotlib

    matplotlib.use("svg")
    # Text stays text; the same figures give the same bytes.
    matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "llorch",
                                "font.family": "sans-serif", "font.size": 9})
    from matplotlib import pyplot

    metrics = [metric for metric in SHOWN if metric in results.content["settings"]["metrics"]]
    models = results.models()
    figure, axes = pyplot.subplots(
        len(metrics), len(models), squeeze=False, layout="constrained",
        figsize=(6 * len(models), 2.2 * len(metrics) + 0.6))
    for line, metric in zip(axes, metrics):
        for axis, model in zip(line, models):
            panel(axis, results, model, metric)
    handles = [pyplot.Rectangle((0, 0), 1, 1, color=colour) for colour in COLOURS.values()]
    handles.append(pyplot.Line2D([], [], color=INK, linewidth=1.2))
    whole = "limit of the core" if results.limits() else "the best"
    figure.legend(handles, [*(TITLES[engine] for engine in COLOURS), f"100 %: {whole}; figures: tokens/s"],
                  loc="outside upper center", ncols=len(handles), frameon=False, handlelength=1.1,
                  columnspacing=1.2)
    figure.savefig(path, format="svg", facecolor="white", metadata={"Date": None})


def panel(axis, results, model, metric):
    """For each precision bars side by side, as shares of its limit, with tokens/s above them."""
    width, top = 0.88 / len(COLOURS), 100
    for place, precision in enumerate(results.precisions()):
        found = best_of_each(results, model, precision, metric)
        there = [engine for engine in COLOURS if engine in found]
        # Without a limit, of the best.
        whole = (limits.tokens_per_second(results.limits(), model, precision, metric)
                 or max(found.values(), default=1))
        left = place - width * len(there) / 2
        for index, engine in enumerate(there):
            at, share = left + width * (index + 0.5), 100 * found[engine] / whole
            top = max(top, share)
            axis.bar(at, share, width * 0.92, color=COLOURS[engine])
            axis.annotate(number(found[engine]), (at, share), (0, 1.5),
                          textcoords="offset points", ha="center", fontsize=6.5,
                          color=INK if engine == "llorch" else FAINT,
                          weight="bold" if engine == "llorch" else "normal")
    axis.axhline(100, color=INK, linewidth=1)
    axis.set_ylim(0, top * 1.08)
    axis.set_yticks(range(0, 101, 25), [f"{share} %" for share in range(0, 101, 25)])
    axis.set_xticks(range(len(results.precisions())),
                    [PRECISIONS[precision].title for precision in results.precisions()])
    axis.set_title(f"{title(model)}: {METRICS[metric].title}", loc="left", color=INK)
    axis.tick_params(length=0, colors=FAINT)
    axis.spines[["top", "right", "left"]].set_visible(False)
    axis.spines["bottom"].set_color(FAINT)
    axis.grid(axis="y", color="#e6e6e6", linewidth=0.6)
    axis.set_axisbelow(True)


if __name__ == "__main__":
    draw(Results.read(sys.argv[1]), sys.argv[2])
