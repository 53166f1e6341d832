"""What is inside the two programs: the worker has no HTTP code, the shim no engine."""
# SPDX-License-Identifier: Apache-2.0

import shutil
import subprocess

import pytest

# Mangled names begin with the length and name of their module.
HTTP = ("7NIOCore", "8NIOPosix", "15HummingbirdCore")
ENGINE = ("12LlorchEngine", "llk_")


@pytest.fixture(scope="module")
def symbols():
    def names(binary):
        assert shutil.which("nm"), "nm is not there: apt-get install binutils"
        done = subprocess.run(["nm", binary], stdout=subprocess.PIPE, check=True, timeout=120)
        return done.stdout.decode()

    return names


def test_the_worker_holds_no_http(worker_binary, symbols):
    found = symbols(worker_binary)
    assert not [module for module in HTTP if module in found]
    assert all(module in found for module in ENGINE), "the search finds nothing at all"


def test_the_shim_holds_no_engine(shim_binary, symbols):
    found = symbols(shim_binary)
    assert not [module for module in ENGINE if module in found]
    assert all(module in found for module in HTTP), "the search finds nothing at all"


def test_the_worker_does_not_load_foundation(worker_binary):
    """But for its small part, which ArgumentParser brings."""
    done = subprocess.run(["ldd", worker_binary], stdout=subprocess.PIPE, check=True, timeout=60)
    libraries = done.stdout.decode()
    assert "libzmq" in libraries
    assert "libFoundation.so" not in libraries
