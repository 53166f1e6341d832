"""Commands that end by themselves, and how one must refuse what is wrong with its input."""
# SPDX-License-Identifier: Apache-2.0

from PythonSupport.ports import free_ports

COMMANDS = {
    "generate": ["generate", "--prompt", "Hello"],
    "serve": ["serve", "--jobs", "bind:tcp://127.0.0.1:{}", "--control", "bind:tcp://127.0.0.1:{}",
              "--events", "connect:tcp://127.0.0.1:{}"],
    "inspect": ["inspect"],
    "tokenize": ["tokenize"],
}


def command(name):
    ports = iter(free_ports(3))
    return [part.format(next(ports)) if "{}" in part else part for part in COMMANDS[name]]


def assert_one_sentence(done, *words):
    """Exit code 1, and what is wrong on the last line of standard error."""
    error = done.stderr.decode().strip()
    assert done.returncode == 1, (done.returncode, error)
    assert done.stdout == b""
    last = error.splitlines()[-1]
    assert last.startswith("error: "), error
    assert error.count("error: ") == 1
    for word in words:
        assert word in last, error
