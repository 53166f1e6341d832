"""llorch against the best of the others, row by row: ratio, target, share of the limit, pass or miss."""
# SPDX-License-Identifier: Apache-2.0

import dataclasses
import statistics

from bench import limits
from bench.plan import METRICS, ROWS, TARGETS, allowed_bytes


@dataclasses.dataclass
class Row:
    model: str | None
    precision: str | None
    metric: str
    limit: float | None = None
    ours: list | None = None
    peer: tuple | None = None  # (engine, variant)
    theirs: list | None = None
    ratio: float | None = None  # above 1 is better than the peer, whatever the unit
    spread: tuple | None = None  # the least and the most ratio of a round
    share: float | None = None  # of the limit
    target: object = None
    reached: float | None = None  # what `target` asks for, if that is not the ratio
    verdict: str = "–"


def better(metric, ours, theirs):
    return ours / theirs if METRICS[metric].better == "more" else theirs / ours


def best(metric, engines):
    """The engine with the best median, or None."""
    choose = max if METRICS[metric].better == "more" else min
    return choose(engines, key=lambda key: statistics.median(engines[key]), default=None)


def rows(results):
    """The table of docs/benchmarks.md for what the run asked for, measured or not."""
    made = [row(results, model, precision, metric)
            for model in results.models() for metric in ROWS for precision in results.precisions()
            if metric in results.content["settings"]["metrics"]]
    if "encode" in results.content["settings"]["metrics"]:
        made.append(row(results, None, None, "encode"))
    return made


def row(results, model, precision, metric):
    target = TARGETS[metric, precision]
    made = Row(model, precision, metric, target=target)
    engines = results.engines(model, precision, metric)
    mine = {key: values for key, values in engines.items() if key[0] == "llorch"}
    others = {key: values for key, values in engines.items() if key[0] != "llorch"}
    if model:
        made.limit = limits.tokens_per_second(results.limits(), model, precision, metric)
    # A target may name the engine it is about.
    named = {key: values for key, values in others.items() if key[0] == target.of}
    made.peer = best(metric, named if target.of not in ("best", "own f32", "allowance") else others)
    made.theirs = others.get(made.peer)
    if not mine:
        return made
    made.ours = next(iter(mine.values()))
    ours = statistics.median(made.ours)
    made.share = ours / made.limit if made.limit else None
    if made.theirs:
        made.ratio = better(metric, ours, statistics.median(made.theirs))
        rounds = [better(metric, *pair) for pair in zip(made.ours, made.theirs)]
        made.spread = min(rounds), max(rounds)
    judge(made, results, ours)
    return made


def judge(made, results, ours):
    target, reached = made.target, made.ratio
    if target.of == "own f32":
        own = results.engines(made.model, "f32", made.metric).get(("llorch", "f32"))
        made.reached = reached = ours / statistics.median(own) if own else None
        passed = reached is not None and reached >= target.factor
    elif target.of == "allowance":
        made.reached = reached = allowed_bytes(made.model, made.precision) / 1e6
        passed = ours <= reached
    else:
        passed = reached is not None and reached >= target.factor
    if reached is not None:
        made.verdict = "pass" if passed else "miss"
