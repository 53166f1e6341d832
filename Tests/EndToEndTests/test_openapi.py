"""GET /openapi.json is true: it describes what the responder serves and nothing else, and real answers are as it says.

Its limits and words against the code: Tests/LlorchHTTPTests/Description. With requests that are made from it:
scripts/check-openapi, of which a part runs here.
"""
# SPDX-License-Identifier: Apache-2.0

import json
import os
import re
import subprocess
import sys

import httpx
import jsonschema
import pytest

import completions
from harness import PATIENCE
from openapi import Description
from PythonSupport.programs import ROOT, binaries
from shim import Shim

# Only a server with a token has it; others answer 404 whatever the method.
WITH_TOKEN = {"/shutdown"}
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")


@pytest.fixture(scope="module")
def served(tmp_path_factory, shim_binary, stub_binary):
    with completions.served(
            tmp_path_factory.mktemp("served"), shim_binary, stub_binary, worker=["--engine", "stub:ms=1"]) as shim:
        yield shim


@pytest.fixture(scope="module")
def description(served):
    return Description(httpx.get(f"{served.url}/openapi.json", timeout=PATIENCE).json())


@pytest.fixture(scope="module")
def client(served):
    with httpx.Client(base_url=served.url, timeout=PATIENCE) as client:
        yield client


def test_the_answer_is_the_file(client):
    answer = client.get("/openapi.json")
    assert answer.content == (ROOT / "Sources/LlorchHTTP/Description/openapi.json").read_bytes()
    assert answer.headers["content-type"] == "application/json"
    assert client.head("/openapi.json").headers["content-length"] == str(len(answer.content))


def test_every_reference_leads_somewhere_and_every_component_is_used(description):
    text = json.dumps(description.document)
    for reference in set(re.findall(r'"(#/[^"]+)"', text)):
        description.at(reference)
    for kind, components in description.document["components"].items():
        for name in components if kind != "securitySchemes" else ():
            assert f'"#/components/{kind}/{name}"' in text, name
    names = [operation["operationId"] for _, _, operation in description.operations()]
    assert len(set(names)) == len(names)


def test_every_schema_is_one_and_its_examples_are_valid(description):
    for name, schema in description.document["components"]["schemas"].items():
        jsonschema.Draft202012Validator.check_schema(schema)
        for example in schema.get("examples", []):
            description.check(example, name)


def test_every_route_is_described():
    """Paths stand in the sources as texts that begin with a slash; what is none of them is listed here."""
    document = json.loads((ROOT / "Sources/LlorchHTTP/Description/openapi.json").read_text())
    description = Description(document)
    found = set()
    for file in sorted((ROOT / "Sources/LlorchHTTP").rglob("*.swift")):
        for line in file.read_text().splitlines():
            found |= set(re.findall(r'"(/[a-z0-9_./{}-]*)"', line.split("//")[0].split("///")[0]))
    # Prefixes, and a separator.
    found -= {"/v1/", "/v1", "/v1/models/", "/cancel/"}
    missing = [path for path in sorted(found) if not description.knows(path)]
    assert {"/execute", "/health", "/cancel"} <= found and not missing, missing


def test_every_method_that_is_described_is_served_and_no_other(client, description):
    for template, item in description.document["paths"].items():
        path = description.example_path(template)
        described = {name.upper() for name in item}
        for method in METHODS:
            answer = client.request(method, path)
            if method in described:
                assert answer.status_code != 405, (method, path)
                assert str(answer.status_code) in item[method.lower()]["responses"], (method, path, answer)
            elif template in WITH_TOKEN:
                assert answer.status_code == 404, (method, path, answer)
            else:
                assert answer.status_code == 405, (method, path, answer)
                assert set(answer.headers["allow"].split(",")) == described, path


def test_events_are_as_described(client, description):
    media = description.document["paths"]["/execute"]["post"]["responses"]["200"]["content"]["text/event-stream"]
    kinds = set()

    def check(text):
        kinds.update(event["type"] for event in description.check_events(text, media["schema"]))

    for members in ({}, {"logprobs": 2, "echo": True}):
        answer = client.post("/execute", json={"job_id": f"e{len(members)}", "prompt": "Hello", "max_tokens": 3, **members})
        description.check_answer("/execute", answer)
        check(answer.text)
    with client.stream("POST", "/execute", json={"job_id": "c", "prompt": "Hello"}) as stream:
        text = ""
        for line in stream.iter_lines():
            if line.startswith("event: token") and "event: token" not in text:
                httpx.post(f"{client.base_url}/cancel", json={"job_id": "c"}, timeout=PATIENCE)
            text += line + "\n"
    check(text)
    assert kinds >= {"started", "token", "end", "error"}


def test_completions_are_as_described(client, description):
    body = {"model": "stub", "prompt": "Hello", "max_tokens": 3}
    for members in ({}, {"logprobs": 2, "echo": True, "n": 2}, {"stream": True}, {"stream": True, "logprobs": 0,
                    "stream_options": {"include_usage": True}}, {"temperature": 3}, {"suffix": "x"}, {"model": "other"}):
        answer = client.post("/v1/completions", json={**body, **members})
        description.check_answer("/v1/completions", answer)
        if answer.status_code == 200:
            continue
        assert set(members) & {"temperature", "suffix", "model"}, answer.text
    for path, status in [("/v1/models", 200), ("/v1/models/stub", 200), ("/v1/models/other", 404)]:
        answer = client.get(path)
        assert answer.status_code == status
        description.check_answer(path, answer)


def test_every_kind_of_answer_is_as_described(client, description):
    json_type = {"Content-Type": "application/json"}
    for path, status, request in [
            ("/health", 200, {"method": "GET"}), ("/livez", 200, {"method": "GET"}),
            ("/metrics", 200, {"method": "GET"}), ("/openapi.json", 200, {"method": "GET"}),
            ("/cancel", 202, {"method": "POST", "json": {"job_id": "nobody"}}),
            ("/cancel", 400, {"method": "POST", "json": {"job_id": ""}}),
            ("/cancel", 422, {"method": "POST", "json": {}}),
            ("/execute", 400, {"method": "POST", "json": {"job_id": "", "prompt": "", "stop": ["", "x" * 101]}}),
            ("/execute", 400, {"method": "POST", "content": b"{", "headers": json_type}),
            ("/execute", 403, {"method": "POST", "headers": {"Host": "elsewhere.example"}}),
            ("/execute", 413, {"method": "POST", "content": b" " * 2_097_153, "headers": json_type}),
            ("/execute", 415, {"method": "POST", "content": b"{}"}),
            ("/execute", 422, {"method": "POST", "json": {"job_id": 1}}),
            ("/execute", 504, {"method": "POST", "json": {"job_id": "d", "prompt": "a"},
                               "headers": {"X-Deadline": "2000-01-01T00:00:00Z"}})]:
        answer = client.request(url=path, **request)
        assert answer.status_code == status, (path, answer.text)
        description.check_answer(path, answer)


def test_answers_of_a_server_without_workers_and_with_a_token(tmp_path, start, shim_binary, description):
    secret = tmp_path / "token"
    secret.write_text("a-token")
    secret.chmod(0o600)
    shim = start(Shim, shim_binary, arguments=["--token-file", secret])
    shim.until(lambda health: health["status"] == "unhealthy")
    with httpx.Client(base_url=shim.url, timeout=PATIENCE) as client:
        answer = client.get("/health")
        assert answer.status_code == 503
        description.check_answer("/health", answer)
        # What needs the token is what says so, or says nothing of its own.
        for template, method, operation in description.operations():
            answer = client.request(method.upper(), description.example_path(template))
            assert (answer.status_code == 401) == (operation.get("security") != []), (method, template)
            if answer.status_code == 401:
                description.check_answer(template, answer)
        answer = client.post("/execute", json={"job_id": "a", "prompt": "b"},
                             headers={"Authorization": "Bearer a-token"})
        assert answer.status_code == 503
        description.check_answer("/execute", answer)


def test_requests_made_from_it_find_no_fault():
    """A small part of what scripts/check-openapi does, always the same."""
    done = subprocess.run(
        [sys.executable, ROOT / "Tools/openapi", "--built", "--bodies", "--examples", "4", "--seed", "1"],
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT / "Tests"), "LLORCH_BIN_DIR": str(binaries())},
        stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
