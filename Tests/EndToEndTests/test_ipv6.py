"""The queue and HTTP over IPv6, on a machine that has it."""
# SPDX-License-Identifier: Apache-2.0

import socket

import httpx
import pytest

from FaultTests.oracle import stream
from harness import PATIENCE, Process, text_of
from PythonSupport.ports import free_ports
from shim import Shim, assert_stream


@pytest.fixture(scope="module", autouse=True)
def ipv6():
    with socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::1", 0))  # fails where IPv6 is off: `sysctl net.ipv6.conf.lo.disable_ipv6=0`


class ShimV6(Shim):
    def __init__(self, binary, log, *, host):
        self.port, self.events_port = free_ports(2)
        self.url = f"http://[::1]:{self.port}"
        Process.__init__(self, [binary, "--host", host, "--port", self.port,
                                "--events", f"bind:tcp://[::1]:{self.events_port}"], log)


@pytest.mark.parametrize("host", ["::1", "[::1]"])
def test_a_stream_over_ipv6(start, shim_binary, stub_binary, host):
    shim = start(ShimV6, shim_binary, host=host)
    jobs, control = free_ports(2)
    start(Process, [
        stub_binary, "--engine", "stub:ms=1", "--worker-id", "w6",
        "--jobs", f"bind:tcp://[::1]:{jobs}", "--control", f"bind:tcp://[::1]:{control}",
        "--events", f"connect:tcp://[::1]:{shim.events_port}"])
    shim.until_healthy()
    assert f"listening on {shim.url}" in shim.log
    events = shim.execute(job_id="six", max_tokens=16)
    assert_stream(events)
    assert text_of(events) == stream("six", 16)[1]
    assert httpx.get(f"{shim.url}/livez", timeout=PATIENCE).status_code == 200


@pytest.mark.parametrize("option, address, said", [
    ("--jobs", "bind:tcp://localhost:{port}", "names of hosts cannot be bound"),
    ("--jobs", "bind:tcp://[::1:{port}", "expected an IPv6 address in brackets"),
    ("--events", "connect:tcp://[::zz]:{port}", "expected an IPv6 address in brackets"),
])
def test_what_cannot_be_an_address_is_said(start, stub_binary, option, address, said):
    first, second, third = free_ports(3)
    options = {"--jobs": f"bind:tcp://127.0.0.1:{first}", "--control": f"bind:tcp://127.0.0.1:{second}",
               "--events": f"connect:tcp://127.0.0.1:{third}", option: address.format(port=first)}
    worker = start(Process, [stub_binary, "--engine", "stub", *sum(map(list, options.items()), [])])
    assert worker.wait() in (1, 2)
    assert said in worker.log, worker.log
    assert "error" in worker.log.lower()
