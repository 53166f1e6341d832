"""One directory: written, given to transformers and to the worker, and judged."""
# SPDX-License-Identifier: Apache-2.0

import enum
from dataclasses import dataclass, field

import transformers

from .directory import MARK, Directory
from .oracle import MAJOR, Transformers, Worker, differences

TEXTS = [f"hello the man in the hall{MARK}and{MARK} all  'tis\n\n 42é日 {MARK}",
         " hello\tthe<|endof\u3000text|>  \u0000!"]
PROMPTS = ["hello the", "A" * 5]


class Verdict(enum.Enum):
    AGREES = "agrees"
    REFUSED = "refused"
    UNLIKE_4 = "unlike 4"
    WRONG = "WRONG"


@dataclass
class Result:
    verdict: Verdict
    told: list = field(default_factory=list)


class Checker:
    version = transformers.__version__

    def __init__(self, binary, is_random=False):
        self.worker, self.transformers, self.is_random = Worker(binary), Transformers(), is_random

    def check(self, case, path):
        directory = case.directory()
        directory.write(path)
        if case.rewritten:
            path = self.transformers.rewrite(path)
        texts = TEXTS + directory.texts
        found = self.worker.ask(path, texts, PROMPTS)
        if found.failure:
            return self.judge_refusal(case, path, found.failure)
        if case.refused:
            return Result(Verdict.WRONG, [f"was to be refused with the words {' … '.join(case.refused)}"])
        place = path
        if case.twin:
            place = path.with_name(path.name + "-twin")
            twin = Directory()
            case.twin(twin)
            twin.write(place)
        if MAJOR < 5 and case.unlike_4:
            return Result(Verdict.UNLIKE_4, [case.unlike_4])
        expected = self.transformers.ask(place, texts, PROMPTS)
        if expected.failure:
            # Who takes more than transformers does nobody harm, but a case must know what is right.
            verdict = Verdict.AGREES if self.is_random else Verdict.WRONG
            return Result(verdict, [f"transformers cannot load it: {expected.failure}"])
        told = differences(expected, found)
        return Result(Verdict.WRONG if told else Verdict.AGREES, told)

    def judge_refusal(self, case, path, failure):
        if "without a sentence" in failure:
            return Result(Verdict.WRONG, [failure])
        if self.is_random:
            return Result(Verdict.REFUSED, [failure])
        missing = [word for word in case.refused if word not in failure]
        if case.refused and not missing:
            return Result(Verdict.REFUSED, [failure.replace(str(path) + "/", "")])
        return Result(Verdict.WRONG, [failure] + [f"the sentence lacks {word!r}" for word in missing])
