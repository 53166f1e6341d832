"""--version of both programs: one line with the program's name and the version they share."""
# SPDX-License-Identifier: Apache-2.0

import re

from harness import run


def test_both_programs_print_the_same_version(worker_binary, shim_binary):
    versions = []
    for name, binary in [("llorch-worker", worker_binary), ("llorch-http-shim", shim_binary)]:
        done = run(binary, "--version", seconds=30)
        assert done.returncode == 0, done
        found = re.fullmatch(rf"{name} (\d+\.\d+\.\d+)\n", done.stdout.decode())
        assert found, done.stdout
        versions.append(found[1])
    assert versions[0] == versions[1]
