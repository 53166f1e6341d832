"""What a run found: samples, limits, the machine. Kept as one JSON file; judged by comparison.py."""
# SPDX-License-Identifier: Apache-2.0

import json
import os
import pathlib
import statistics

from bench.failure import Failure

FORMAT = "llorch-bench/1"
REPOSITORY = pathlib.Path(__file__).resolve().parents[2]


class Results:
    def __init__(self, content):
        self.content = content

    @classmethod
    def begin(cls, machine, versions, settings, started):
        return cls({"format": FORMAT, "started": started, "machine": machine, "versions": versions,
                    "settings": settings, "load_average": [], "core_shares": [], "limits": [], "samples": [],
                    "absent": []})

    @classmethod
    def read(cls, path):
        try:
            content = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise Failure(f"{path} cannot be read: {error.strerror}; --json of a run writes it") from None
        except ValueError as error:
            raise Failure(f"{path} is no JSON: {error}") from None
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise Failure(f"{path} is not of the format {FORMAT}; --json of a run writes it")
        return cls(content)

    def write(self, path):
        path = pathlib.Path(path)
        part = path.with_name(path.name + ".part")
        part.write_text(json.dumps(self.content, indent=1, ensure_ascii=False) + "\n", "utf-8")
        os.replace(part, path)

    def add(self, model, precision, metric, key, values):
        self.content["samples"].append(
            {"model": model, "precision": precision, "metric": metric, "engine": key[0],
             "variant": key[1], "values": [float(f"{value:.6g}") for value in values]})

    def note_core_share(self, share):
        if share is not None:
            self.content["core_shares"].append(round(share, 3))

    def note_absent(self, engine, why, variant=None, model=None, remedy=None):
        # Where things lie on this machine is nobody else's business.
        why = why.replace(f"{REPOSITORY}/", "").replace(str(pathlib.Path.home()), "~")
        entry = {"engine": engine, "variant": variant, "model": model, "why": why, "remedy": remedy}
        if entry not in self.content["absent"]:
            self.content["absent"].append(entry)

    def core_share(self):
        """How much of the core an engine had while it was timed, or None; the median of all runs."""
        shares = self.content["core_shares"]
        return statistics.median(shares) if shares else None

    def engines(self, model, precision, metric):
        """(engine, variant) to values, in the order in which they were measured."""
        return {(sample["engine"], sample["variant"]): sample["values"]
                for sample in self.content["samples"] if sample["values"]
                and (sample["model"], sample["precision"], sample["metric"])
                == (model, precision, metric)}

    def limits(self):
        """The best of all measurements: other work on the machine only lowers them."""
        found = self.content["limits"]
        keys = [key for key, value in found[0].items() if not isinstance(value, str)] if found else []
        return {key: max(limit[key] for limit in found) for key in keys}

    def models(self):
        return self.content["settings"]["models"]

    def precisions(self):
        return self.content["settings"]["precisions"]


def summary(values):
    """Median, least, most."""
    return statistics.median(values), min(values), max(values)
