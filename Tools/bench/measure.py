"""The rounds: of each thing, every engine once, then all again. One computes at a time."""
# SPDX-License-Identifier: Apache-2.0

import hashlib
import mmap

from bench import limits
from bench.failure import Failure
from bench.plan import ENCODERS, METRICS, PRECISIONS, RATES, TITLES
from bench.processes import Llorch, LlorchEncoder, Peer, PeerEncoder, pin_to
from bench.report import figure, name

MEGABYTES_OF_LIMIT = 512
BYTES_TO_TOUCH = 3 << 30


def touch_memory(size):
    """Has a hypervisor give the pages that the next process will ask for.

    Some give memory when it is touched, at a fraction of a GB/s, and take back what is free for a few seconds; then
    the loading of whoever holds its weights in its own memory is a measurement of the host.
    """
    with mmap.mmap(-1, size) as memory:
        memory.madvise(mmap.MADV_HUGEPAGE)
        for place in range(0, size, mmap.PAGESIZE):
            memory[place] = 1


class Bench:
    """`after` is called with the results whenever they have grown."""

    def __init__(self, options, environment, results, progress, logs, after):
        self.options, self.environment, self.results = options, environment, results
        self.progress, self.logs, self.after = progress, logs, after
        self.probe = None

    def run(self):
        self.probe = self.build_probe()
        for model in self.options.models:
            if set(self.options.metrics) - {"encode"}:
                directory = self.environment.prepare_model(model)
                for precision in self.options.precisions:
                    self.block(model, precision, directory)
        if "encode" in self.options.metrics:
            try:
                self.encoders()
            except Failure as failure:
                self.progress.warn(f"no tokenizers: {failure}")
                self.results.note_absent("llorch", f"tokenizer: {failure}")
        self.measure_limits()

    # The limits

    def build_probe(self):
        try:
            return limits.build(self.logs)
        except Failure as failure:
            self.progress.warn(f"no limits: {failure}")
            return None

    def measure_limits(self):
        """Before each block and in the end: what a busy machine hides once, it may show later."""
        if self.probe:
            self.progress.now("the limits of the core")
            found = limits.measure(self.probe, pin_to(self.options.core), MEGABYTES_OF_LIMIT)
            self.results.content["limits"].append(found)

    # The engines

    def block(self, model, precision, directory):
        """One model in one precision: all engines in memory, and every metric on them."""
        self.progress.heading(f"{model}, {PRECISIONS[precision].title}")
        self.measure_limits()
        engines = [self.llorch(model, precision, directory)]
        engines += [Peer(self.environment.python, self.environment.root, peer, model, variant,
                         self.options.core, self.log(peer))
                    for peer, variant in PRECISIONS[precision].peers if peer in self.options.present]
        try:
            engines = self.prepared(engines, model)
            engines = self.loads(engines, model, precision)
            for metric in RATES:
                if metric in self.options.metrics:
                    engines = self.rounds(
                        engines, model, precision, metric, lambda engine: engine.rate(metric))
            if "memory" in self.options.metrics:
                # After all the others, so that it is the peak of them all.
                self.rounds(engines, model, precision, "memory", lambda engine: engine.memory(),
                            rounds=1, warm=False)
        finally:
            for engine in engines:
                engine.stop()

    def llorch(self, model, precision, directory):
        path = directory
        if precision in self.options.gguf:
            try:
                path = self.gguf(model, PRECISIONS[precision].gguf)
            except Failure as failure:
                self.progress.warn(f"llorch reads the Hugging Face directory instead: {failure}")
                self.results.note_absent(
                    "llorch", f"no GGUF file, read from the Hugging Face directory: {failure}",
                    precision, model)
        return Llorch(self.options.worker, path, precision, self.options.core, self.log("llorch"))

    def gguf(self, model, variant):
        """The file that llama.cpp reads; its tools make it."""
        path = self.environment.root / "gguf" / f"{model}.{variant}.gguf"
        if not path.exists():
            self.environment.prepare_peer("llama.cpp", model, variant, self.log("llama.cpp"))
        return path

    def log(self, engine):
        return self.logs / f"{engine}.log"

    def prepared(self, engines, model):
        kept = []
        for engine in engines:
            try:
                if engine.name != "llorch":
                    self.environment.prepare_peer(
                        engine.name, model, engine.variant, self.log(engine.name))
                kept.append(engine)
            except Failure as failure:
                self.lose(engine, model, failure)
        return kept

    def loads(self, engines, model, precision):
        """New processes each round; those of the last stay for the other metrics."""
        if "load" not in self.options.metrics:
            return [engine for engine in engines
                    if self.attempt(engine, model, lambda engine: engine.load()) is not None]
        return self.rounds(engines, model, precision, "load", self.load_alone)

    def load_alone(self, engine):
        # What it held before is given back first: two of the larger model may be too much.
        engine.stop()
        touch_memory(BYTES_TO_TOUCH)
        return engine.load()

    def rounds(self, engines, model, precision, metric, measure, rounds=None, warm=True):
        """One round that does not count, then those that do, each begun by another engine."""
        rounds = rounds or self.options.rounds
        values = {engine.key: [] for engine in engines}
        for turn in range(rounds + warm):
            begin = turn % max(1, len(engines))
            for engine in [*engines[begin:], *engines[:begin]]:
                self.progress.now(f"{METRICS[metric].title}: round {turn + 1 - warm} of {rounds}, "
                                  f"{name(engine.key)}")
                value = self.attempt(engine, model, measure)
                if value is None:
                    engines = [other for other in engines if other is not engine]
                    values.pop(engine.key)
                elif turn >= warm:
                    values[engine.key].append(value)
                    self.results.note_core_share(engine.core_share)
        for key, samples in values.items():
            self.results.add(model, precision, metric, key, samples)
        unit = METRICS[metric].unit
        found = " · ".join(f"{name(key)} {figure(samples)}" for key, samples in values.items())
        self.progress.line(f"  {METRICS[metric].title}, {unit}: {found}")
        self.after()
        return engines

    def attempt(self, engine, model, measure):
        """A number, or None once the engine has failed; the others go on."""
        try:
            return measure(engine)
        except Failure as failure:
            self.lose(engine, model, failure)
            return None

    def lose(self, engine, model, failure):
        engine.stop()
        self.progress.warn(f"{name(engine.key)} is left out: {failure}")
        self.results.note_absent(engine.name, str(failure), engine.variant, model)

    # The tokenizers

    def encoders(self):
        from bench.environment import TOKENIZER

        self.progress.heading("Tokenizer")
        path = self.environment.text()
        content = path.read_bytes()
        self.results.content["text"] = {
            "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        engines = [LlorchEncoder(self.options.worker, TOKENIZER, self.options.core,
                                 self.log("llorch"))]
        engines += [PeerEncoder(self.environment.python, self.environment.root, encoder, TOKENIZER,
                                variant, self.options.core, self.log(encoder))
                    for encoder, variant in ENCODERS if encoder in self.options.present]
        counts = {}

        def measure(engine):
            rate, counts[TITLES[engine.name]] = engine.encode(path)
            return rate

        try:
            ready = [engine for engine in engines if self.attempt(
                engine, None, lambda engine: engine.load() is None)]
            self.rounds(ready, None, None, "encode", measure)
        finally:
            for engine in engines:
                engine.stop()
        if len(set(counts.values())) > 1:
            self.progress.warn(f"the tokenizers do not agree on the number of tokens: {counts}")
