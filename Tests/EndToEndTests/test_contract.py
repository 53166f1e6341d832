"""contract.yaml names tests that exist, for every decision, feature and section of the worker-http interface."""
# SPDX-License-Identifier: Apache-2.0

import re

import pytest
import yaml

from PythonSupport.programs import ROOT

SECTIONS = [*(f"1.{n}" for n in range(1, 8)), *(f"2.{n}" for n in range(1, 15)),
            *(f"6.{n}" for n in range(1, 5))]
# The interface's list of features has this many rows.
FEATURES = 42
TESTS = ROOT / "Tests"


@pytest.fixture(scope="module")
def contract():
    return yaml.safe_load((TESTS / "EndToEndTests/contract.yaml").read_text(encoding="utf-8"))


def entries(contract):
    """Every rule with the names of its tests."""
    for name, decision in contract["decisions"].items():
        yield f"{name}: {decision['rule']}", decision["tests"]
    yield from contract["features"].items()
    for section, rules in contract["rules"].items():
        for rule in rules:
            yield f"{section}: {rule['rule']}", rule["tests"]


def exists(test):
    path, _, function = test.partition("::")
    text = (TESTS / path).read_text(encoding="utf-8")
    if path.endswith(".swift"):
        # A test, and not a function that tests call: `@Test` stands before it, and no other function between.
        before, found, _ = text.partition(f" func {function}(")
        return bool(found) and " func " not in before.rpartition("@Test")[2] and "@Test" in before
    return re.search(rf"^def {re.escape(function)}\(", text, re.MULTILINE) is not None


def test_nothing_is_left_out(contract):
    assert list(contract["decisions"]) == [f"D-{n:02}" for n in range(1, 34)]
    assert len(contract["features"]) == FEATURES
    assert [name.split()[0] for name in contract["rules"]] == SECTIONS
    assert all(tests for _, tests in entries(contract))


def test_every_named_test_exists(contract):
    missing = [f"{rule}: {test}" for rule, tests in entries(contract) for test in tests
               if not exists(test)]
    assert not missing, "\n".join(missing)


def test_a_test_that_is_not_there_is_noticed():
    assert exists("EndToEndTests/test_contract.py::test_nothing_is_left_out")
    assert not exists("EndToEndTests/test_contract.py::test_nothing")
    assert not exists("LlorchHTTPTests/WorkersTests.swift::healthIsTheUnion")
