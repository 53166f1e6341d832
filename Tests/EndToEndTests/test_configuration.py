"""Where the shim's settings come from: command line, variables, a YAML file; and what is said about bad ones."""
# SPDX-License-Identifier: Apache-2.0

import os
import subprocess

import pytest
import yaml

from harness import PATIENCE, run
from shim import Shim

# What the options of a worker-http worker are called, and what this program adds.
SETTINGS = {
    "host", "port", "token-file", "allowed-host", "allowed-origin", "events", "worker", "curve-secret-key",
    "curve-allowed-keys", "curve-server-key", "insecure-bind", "backlog", "drain-timeout", "worker-id",
    "callback-url", "callback-host", "model", "gpu-device", "max-tokens-in", "max-tokens-out",
    "inference-timeout-sec", "log-level", "log-format"}
UNSET = {"token-file", "allowed-host", "allowed-origin", "worker", "curve-secret-key", "curve-allowed-keys",
         "curve-server-key", "worker-id", "callback-url", "model", "gpu-device", "max-tokens-in"}


@pytest.fixture
def printed(shim_binary):
    """A function: what --print-config prints with these arguments and variables."""

    def printed(*arguments, **variables):
        done = shell(shim_binary, "--print-config", *arguments, **variables)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return printed


def shell(binary, *arguments, **variables):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LLORCH_")}
    return subprocess.run(
        [binary, *map(str, arguments)], env={**environment, **variables}, capture_output=True,
        text=True, encoding="utf-8", timeout=PATIENCE, check=False, stdin=subprocess.DEVNULL)


def sources(text):
    lines = [line.split("  # ") for line in text.splitlines() if not line.startswith("#")]
    return {line[0].split(":")[0]: line[1] for line in lines}


def test_the_defaults_are_printed(printed):
    text = printed()
    values = yaml.safe_load(text)
    assert set(values) == SETTINGS - UNSET
    assert set(sources(text).values()) == {"default"}
    assert all(f"# {name}: not set" in text for name in UNSET)
    assert (values["port"], values["max-tokens-out"], values["inference-timeout-sec"]) == (
        "3000", "2048", "300")


def test_every_place_counts_in_its_order(printed, tmp_path):
    path = tmp_path / "shim.yaml"
    path.write_text("port: 4\nbacklog: 4\nworker-id: four\nmodel: four\nmax-tokens-in: 4\n"
                    "allowed-host: [a.example, b.example]\ninsecure-bind: true\n", encoding="utf-8")
    variables = {"LLORCH_PORT": "2", "LLORCH_BACKLOG": "2", "LLORCH_WORKER_ID": "two", "PORT": "3",
                 "WORKER_ID": "three", "MODEL_PATH": "three", "CALLBACK_URL": "http://three/"}
    text = printed("--config", path, "--port", "1", **variables)
    assert sources(text) == {
        **dict.fromkeys(SETTINGS - UNSET, "default"), "port": "--port", "backlog": "LLORCH_BACKLOG",
        "worker-id": "LLORCH_WORKER_ID", "model": "MODEL_PATH", "callback-url": "CALLBACK_URL",
        "max-tokens-in": str(path), "allowed-host": str(path), "insecure-bind": str(path)}
    values = yaml.safe_load(text)
    assert [values[name] for name in ("port", "backlog", "worker-id", "model", "max-tokens-in")] == [
        "1", "2", "two", "three", "4"]
    # What was printed is a file that gives the same.
    again = tmp_path / "again.yaml"
    again.write_text(text, encoding="utf-8")
    assert yaml.safe_load(printed(LLORCH_CONFIG=str(again))) == values


def test_a_secret_is_not_printed(printed):
    text = printed(LLORCH_API_TOKEN="5ecret")
    assert "# LLORCH_API_TOKEN is set; its value is not shown." in text and "5ecret" not in text


BAD = [
    ("port", "x"), ("port", "65536"), ("port", "-1"), ("port", ""), ("backlog", "0"),
    ("drain-timeout", "nan"), ("worker", "w1"), ("events", "nonsense"), ("worker-id", ""),
    ("callback-url", "https://a/"), ("callback-host", "a b"), ("callback-host", "host:1"), ("model", ""),
    ("gpu-device", "x"), ("max-tokens-in", "0"), ("max-tokens-out", "2049"), ("max-tokens-out", "0"),
    ("inference-timeout-sec", "-1"), ("inference-timeout-sec", "1e3"), ("log-level", "loud"),
    ("log-format", "xml"), ("host", "0.0.0.0"), ("insecure-bind", "1"),
]


@pytest.mark.parametrize("name, value", BAD, ids=[f"{name}={value}" for name, value in BAD])
def test_a_bad_value_is_one_sentence_wherever_it_comes_from(shim_binary, tmp_path, name, value):
    path = tmp_path / "shim.yaml"
    path.write_text(f"{name}: {value!r}\n", encoding="utf-8")
    variable = "LLORCH_" + name.upper().replace("-", "_")
    cases = [(2, f"--{name}", (f"--{name}", value), {}), (1, variable, (), {variable: value}),
             (1, f"{path}: {name}", ("--config", path), {})]
    if name == "insecure-bind":
        cases = cases[1:]
    for status, place, arguments, variables in cases:
        done = shell(shim_binary, *arguments, **variables)
        assert done.returncode == status, done
        first = done.stderr.splitlines()[0]
        assert first.lower().startswith("error: ") and place in first, first
        assert value in first and (status == 2 or len(done.stderr.splitlines()) == 1)
        assert done.stdout == ""


@pytest.mark.parametrize("text, words", [
    ("prot: 1\n", ":1: unknown key prot; expected one of allowed-host"),
    ("port: 1\nport: 2\n", "a key appears twice"), ("port: [1\n", "no YAML"),
    ("port: &a 1\n", "anchors"), ("port:\n", ":1: port: expected a value, found none"),
    ("x" * 70_000, "has 70000 bytes, expected at most 65536"), (None, "does not exist"),
], ids=["unknown", "twice", "no YAML", "anchor", "no value", "too long", "missing"])
def test_a_bad_file_ends_the_start(shim_binary, tmp_path, text, words):
    path = tmp_path / "shim.yaml"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    for arguments, variables in ((("--config", path), {}), ((), {"LLORCH_CONFIG": str(path)})):
        done = shell(shim_binary, "--print-config", *arguments, **variables)
        assert done.returncode == 1, done
        (line,) = done.stderr.splitlines()
        assert line.startswith("error: ") and str(path) in line and words.lower() in line.lower(), line


def test_a_file_sets_what_a_server_does(start, shim_binary, tmp_path):
    """But for ports, which the command line sets."""
    token = tmp_path / "token"
    token.touch(mode=0o600)
    token.write_text("5ecret", encoding="ascii")
    path = tmp_path / "shim.yaml"
    path.write_text(f"port: 1\nhost: '127.0.0.1'\ntoken-file: {token}\nworker-id: w-7\n", encoding="utf-8")
    shim = start(Shim, shim_binary, arguments=["--config", path])
    shim.until(lambda health: health["status"] == "unhealthy")
    assert "worker_id=w-7" in shim.log and "5ecret" not in shim.log


def test_the_help_names_every_setting(shim_binary):
    text = run(shim_binary, "--help", seconds=PATIENCE).stdout.decode()
    for name in SETTINGS | {"config", "print-config"}:
        assert f"--{name}" in text, name
    assert "Without effect: workers compute on CPUs" in text
