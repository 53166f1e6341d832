"""The configurations in deploy/proxy, as they are, before a shim: TLS, limits, and streams that pass as they come.

The worker says one token of a job after a moment, so that it comes apart from the head of the answer, and the next
after a quarter of an hour: a client that has the first token has it while the job runs, and a job that ends was
cancelled.
"""
# SPDX-License-Identifier: Apache-2.0

import json
import os
import signal
import socket
import ssl
import string
import subprocess
import time

import httpx
import pytest

from FaultTests.oracle import is_held, token
import completions
from harness import PATIENCE, Process
from PythonSupport.ports import free_ports
from PythonSupport.programs import ROOT
from PythonSupport.surroundings import tool
from shim import Shim

FOLDER = ROOT / "deploy/proxy"
RATE = 20
# Two servers with one name could not be told apart by their certificates.
NAME = "localhost"


class Proxy(Process):
    """A proxy that listens with TLS."""

    def __init__(self, folder, shim):
        self.folder = folder
        folder.mkdir()
        (self.port,) = free_ports(1)
        self.url = f"https://{NAME}:{self.port}"
        self.certificate, self.key = certificate(folder)
        self.settings = {
            "LLORCH_UPSTREAM": f"127.0.0.1:{shim.port}", "LLORCH_PORT": str(self.port), "LLORCH_NAME": NAME,
            "LLORCH_CERTIFICATE": str(self.certificate), "LLORCH_KEY": str(self.key), "LLORCH_RATE": str(RATE),
            "LLORCH_BURST": str(RATE), "LLORCH_CONNECTIONS": "64"}
        super().__init__(self.command_line(), folder / "proxy.log")
        context = ssl.create_default_context(cafile=self.certificate)
        end = time.monotonic() + PATIENCE
        while True:
            try:
                with socket.create_connection((NAME, self.port), PATIENCE) as plain, \
                        context.wrap_socket(plain, server_hostname=NAME):
                    break
            except OSError:
                assert self.is_running() and time.monotonic() < end, self.tail()
                time.sleep(0.02)  # between two looks, not in place of one
        self.client = httpx.Client(base_url=self.url, verify=context, timeout=PATIENCE)

    def start(self, extra=()):
        self.env = {**os.environ, "HOME": str(self.folder), "XDG_DATA_HOME": str(self.folder), **self.settings}
        return super().start(extra)

    def stop(self):
        self.client.close()
        # nginx's children live on where their parent is killed.
        self.signal(signal.SIGTERM)
        if self.ended(10) is None:
            self.kill()


class Nginx(Proxy):
    soft_stop = signal.SIGQUIT

    def command_line(self):
        """The site between the lines that Debian's nginx.conf has around it."""
        site = self.folder / "llorch.conf"
        site.write_text(string.Template((FOLDER / "nginx.conf.template").read_text()).safe_substitute(self.settings))
        main = self.folder / "nginx.conf"
        main.write_text(
            # As root it would hand its files to a user who may not reach them here.
            f"{'user root;' if os.geteuid() == 0 else ''} daemon off; pid {self.folder}/pid; error_log stderr;\nevents {{}}\nhttp {{\n"
            + "".join(f"{what}_temp_path {self.folder}/{what};\n"
                      for what in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
            + f"access_log {self.folder}/access.log;\ninclude {site};\n}}\n")
        binary = tool("nginx", "nginx-light")
        run(binary, "-t", "-q", "-e", "stderr", "-c", main)
        return [binary, "-e", "stderr", "-c", main]


class HAProxy(Proxy):
    soft_stop = signal.SIGUSR1

    def command_line(self):
        both = self.folder / "both.pem"
        both.write_text(self.certificate.read_text() + self.key.read_text())
        self.settings["LLORCH_CERTIFICATE"] = str(both)
        binary = tool("haproxy", "haproxy")
        run(binary, "-c", "-q", "-f", FOLDER / "haproxy.cfg", env=self.settings)
        return [binary, "-db", "-f", FOLDER / "haproxy.cfg"]


class Caddy(Proxy):
    soft_stop = signal.SIGTERM

    def command_line(self):
        binary = tool("caddy", "caddy")
        arguments = ["--config", FOLDER / "Caddyfile", "--adapter", "caddyfile"]
        run(binary, "validate", *arguments, env={**self.settings, "HOME": str(self.folder)})
        return [binary, "run", *arguments]


def run(*command, env=None):
    done = subprocess.run(command, env={**os.environ, **(env or {})}, capture_output=True, text=True,
                          timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def certificate(folder):
    """A certificate for this machine that nobody else vouches for, and its key."""
    files = folder / "certificate.pem", folder / "key.pem"
    run(tool("openssl", "openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
        "-nodes", "-days", "2", "-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME}",
        "-out", str(files[0]), "-keyout", str(files[1]))
    return files


@pytest.fixture(scope="module")
def shim(tmp_path_factory, shim_binary, stub_binary):
    with completions.served(
            tmp_path_factory.mktemp("shim"), shim_binary, stub_binary, worker=["--engine", "stub:ms=900000,prefill=200"]) as shim:
        yield shim


@pytest.fixture(scope="module", params=[Nginx, HAProxy, Caddy], ids=lambda kind: kind.__name__)
def proxy(request, tmp_path_factory, shim):
    proxy = request.param(tmp_path_factory.mktemp("proxy") / "run", shim)
    yield proxy
    proxy.stop()


def job(id, **members):
    return {"job_id": id, "prompt": "Hello", "max_tokens": 2, **members}


def open_stream(proxy, name):
    """A program of its own, so that it can be killed."""
    return subprocess.Popen(
        [tool("curl", "curl"), "--silent", "--no-buffer", "--cacert", proxy.certificate, f"{proxy.url}/execute",
         "--header", "Content-Type: application/json", "--data", json.dumps(job(name))],
        stdout=subprocess.PIPE, text=True)


def next_event(curl, kind):
    while line := curl.stdout.readline():
        if line.startswith("data: ") and (event := json.loads(line[6:]))["type"] == kind:
            return event
    raise AssertionError(f"the stream ends without {kind}")


def shown(proxy, purpose):
    """The name of a job whose first token comes at once."""
    names = (f"{purpose}-{type(proxy).__name__}-{number}" for number in range(100))
    return next(name for name in names if not is_held(name, 0))


def count(shim, name):
    page = httpx.get(f"{shim.url}/metrics", timeout=PATIENCE).text
    return sum(float(line.rsplit(" ", 1)[1]) for line in page.splitlines() if line.startswith(name))


def until(shim, name, value):
    end = time.monotonic() + PATIENCE
    while count(shim, name) != value:
        assert time.monotonic() < end, f"{name} is {count(shim, name)}, not {value}"
        time.sleep(0.02)  # between two looks, not in place of one


def test_tokens_pass_as_they_come_and_a_killed_client_cancels(proxy, shim):
    name = shown(proxy, "held")
    cancelled = count(shim, 'llorch_jobs_total{outcome="CANCELLED"}')
    curl = open_stream(proxy, name)
    try:
        assert next_event(curl, "token")["ids"] == [token(name, 0)]
        assert count(shim, "llorch_jobs_running") == 1, "the job still runs"
        curl.kill()
        until(shim, 'llorch_jobs_total{outcome="CANCELLED"}', cancelled + 1)
        until(shim, "llorch_jobs_running", 0)
    finally:
        curl.kill()
        curl.communicate()


def test_a_whole_stream_is_the_same(proxy):
    name = f"whole-{type(proxy).__name__}"
    answer = proxy.client.post("/execute", json=job(name, max_tokens=1))
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/event-stream"
    events = [json.loads(line[6:]) for line in answer.text.split("\n") if line.startswith("data: ")]
    assert [event["type"] for event in events] == ["started", "token", "end"]
    assert events[1]["ids"] == [token(name, 0)]


def test_the_name_of_a_request_passes_or_is_made(proxy):
    given = proxy.client.get("/livez", headers={"X-Correlation-ID": "Name-1"})
    assert given.status_code == 200 and given.headers["x-correlation-id"] == "Name-1"
    made = {proxy.client.get("/livez", headers={"X-Correlation-ID": "not a name"}).headers["x-correlation-id"]
            for _ in range(2)}
    assert len(made) == 2 and not any(" " in name for name in made)


def test_a_body_that_is_too_large_is_refused(proxy):
    body = json.dumps(job("large", x="x" * 3_000_000))
    pieces = (body[place:place + 65_536].encode() for place in range(0, len(body), 65_536))
    for content in (body, pieces):
        answer = proxy.client.post("/execute", content=content, headers={"Content-Type": "application/json"})
        assert answer.status_code == 413, answer.text
        assert answer.json()["errors"][0]["constraint"] == "max_bytes(2097152)"


@pytest.mark.parametrize("proxy", [Nginx, HAProxy], ids=lambda kind: kind.__name__, indirect=True)
def test_too_many_requests_are_refused(proxy, shim):
    """The shim answers 400 to all that reach it. Caddy has no rate limit of its own, as its file says."""
    before = count(shim, 'llorch_rejected_total{code="INVALID_REQUEST"}')
    statuses = []
    while 429 not in statuses and len(statuses) < 1_000:
        answer = proxy.client.post("/execute", json=job("", max_tokens=1))
        statuses.append(answer.status_code)
    assert set(statuses) == {400, 429}, statuses
    assert answer.headers["retry-after"] == "1" and answer.json()["errors"][0]["constraint"] == "rate"
    assert answer.json()["error"]["code"] == "rate_limit_exceeded"
    assert count(shim, 'llorch_rejected_total{code="INVALID_REQUEST"}') == before + len(statuses) - 1
    # Who watches over the server is never refused.
    assert all(proxy.client.get("/health").status_code == 200 for _ in range(5 * RATE))
    end = time.monotonic() + PATIENCE
    while proxy.client.post("/execute", json=job("")).status_code == 429:
        assert time.monotonic() < end
        time.sleep(0.1)  # the rate


def test_a_stream_outlives_the_proxys_stop(proxy, shim, tmp_path):
    """Asked to end, as at a reload, the proxy takes no new client, and ends with its last stream."""
    second = type(proxy)(tmp_path / "run", shim)
    curl = open_stream(second, name := shown(second, "last"))
    try:
        next_event(curl, "token")
        second.signal(second.soft_stop)
        end = time.monotonic() + PATIENCE
        while True:
            try:
                socket.create_connection((NAME, second.port), PATIENCE).close()
            except OSError:
                break
            assert time.monotonic() < end
            time.sleep(0.02)  # between two looks, not in place of one
        assert second.is_running() and count(shim, "llorch_jobs_running") == 1
        second.client.close()
        httpx.post(f"{shim.url}/cancel", json={"job_id": name}, timeout=PATIENCE)
        assert next_event(curl, "error")["code"] == "CANCELLED"
        assert curl.wait(PATIENCE) == 0
        assert second.ended(PATIENCE) == 0
    finally:
        curl.kill()
        curl.communicate()
        second.stop()


def test_a_token_passes(tmp_path, request, proxy, shim_binary):
    """Through a second proxy, because the first one's shim asks for none."""
    secret = tmp_path / "token"
    secret.write_text("a-token")
    secret.chmod(0o600)
    shim = Shim(shim_binary, tmp_path / "shim.log", arguments=["--token-file", secret])
    shim.until(lambda health: health["status"] == "unhealthy")
    second = type(proxy)(tmp_path / "run", shim)
    try:
        assert second.client.get("/metrics").status_code == 401
        shown = second.client.get("/metrics", headers={"Authorization": "Bearer a-token"})
        assert shown.status_code == 200
        shim.kill()
        # Nobody behind the proxy: its own error, in the members of both dialects.
        answer = second.client.post("/execute", json=job("a"))
        assert answer.status_code == 503 and answer.headers["retry-after"] == "1", answer.text
        assert answer.json()["errors"][0]["field"] == "body" and answer.json()["error"]["code"] == "unavailable"
    finally:
        second.stop()
        shim.kill()
