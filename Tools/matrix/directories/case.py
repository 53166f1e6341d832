"""What a case is, and how one is listed.

`refused` has words that the worker's sentence must hold; without them the worker must agree with transformers.
`twin` is the directory that transformers is asked about where it cannot read the one at hand. A directory that is
`rewritten` is loaded and saved by transformers first.
"""
# SPDX-License-Identifier: Apache-2.0

from collections.abc import Callable
from dataclasses import dataclass

from .directory import MARK, Directory, vocabulary

SIZE = len(vocabulary())
END = vocabulary()[MARK]


@dataclass
class Case:
    name: str
    change: Callable
    refused: tuple = ()
    twin: Callable | None = None
    # Why transformers 4 answers otherwise, where it does.
    unlike_4: str | None = None
    rewritten: bool = False

    def directory(self):
        directory = Directory()
        self.change(directory)
        return directory


CASES = []


def case(name, refused=(), twin=None, unlike_4=None, rewritten=False):
    def keep(change):
        words = (refused,) if isinstance(refused, str) else refused
        CASES.append(Case(name, change, words, twin, unlike_4, rewritten))
        return change
    return keep


def simple(name, refused=(), unlike_4=None, **settings):
    """A case that sets members of config.json."""
    case(name, refused, unlike_4=unlike_4)(lambda d: d.config.update(settings))


def nothing(_):
    pass
