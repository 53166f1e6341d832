"""The promise of docs/numerics.md across processors: the kernels on aarch64 and here, digest by digest.

Tests/KernelParity is built with the clang that came with Swift, for this machine and for aarch64, where
qemu runs it. Every line it prints must be the same at every level of both.
"""
# SPDX-License-Identifier: Apache-2.0

import json
import pathlib
import platform
import shutil
import subprocess

import pytest

from PythonSupport.programs import ROOT

KERNELS = ROOT / "Sources/CLlorchKernels"
PROGRAM = ROOT / "Tests/KernelParity/parity.c"
# As SwiftPM compiles them for release.
FLAGS = ["-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror"]
CROSS = pathlib.Path("/usr/aarch64-linux-gnu")
IS_AARCH64 = platform.machine() == "aarch64"

# What a fault in the level neon changes, in words: file, text, what stands there instead, functions that
# must differ and functions that must not.
FAULTS = {
    "a fused operation in two steps": (
        "vectors.h", "return __builtin_elementwise_fma(a, b, c);", "return a * b + c;",
        {"linear_f32_small", "linear_bf16_large", "linear_q8_large", "linear_q4_small", "product_f32",
         "causal_product_f16", "layer_norm", "softmax", "gelu_tanh", "gelu_erf", "exponential"},
        {"pack_f32", "pack_bf16", "pack_q8", "narrow", "narrow_ties", "scale", "add"}),
    "k downward": (
        "products.h", "for (ptrdiff_t i = 0; i < k; i++) {\n        if (prefetch)",
        "for (ptrdiff_t i = k; i-- > 0;) {\n        if (prefetch)",
        {"linear_f32_small", "linear_f32_large", "linear_bf16_small", "linear_bf16_large",
         "product_f32", "product_f16", "causal_product_f32"},
        {"linear_q8_small", "linear_q4_large", "pack_q4", "layer_norm", "softmax"}),
    "another offset of 4 bits": (
        "kernels_neon.c", "(-8 * (sum))", "(-7 * (sum))",
        {"linear_q4_small", "linear_q4_large", "quantize_q4"},
        {"linear_q8_small", "linear_q8_large", "quantize_q8", "pack_q4", "linear_f32_small"}),
    "another tree of sums": (
        "reductions.h", "v[j] = v[j] + v[j + half];", "v[j] = v[j] + v[2 * half - 1 - j];",
        {"layer_norm", "softmax"},
        {"linear_f32_small", "linear_q8_small", "product_f32", "exponential", "gelu_tanh"}),
}

pytestmark = pytest.mark.timeout(3600)


def execute(*command):
    return subprocess.run(
        [str(part) for part in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, timeout=1800)


@pytest.fixture(scope="session")
def clang():
    """The compiler that SwiftPM takes for C."""
    about = json.loads(execute("swiftc", "-print-target-info").stdout)
    return pathlib.Path(about["paths"]["runtimeResourcePath"]).parents[1] / "bin/clang"


class Machine:
    """Builds the program for a processor and runs it there."""

    def __init__(self, clang, directory, *, is_cross, emulator=()):
        self.clang, self.directory, self.is_cross, self.emulator = clang, directory, is_cross, emulator
        self.compiler = [clang]
        if is_cross:
            assert (CROSS / "include/stdio.h").exists(), (
                f"{CROSS} is not there: sudo apt-get install --yes libc6-dev-arm64-cross")
            self.compiler += ["--target=aarch64-linux-gnu", "-isystem", CROSS / "include"]

    def build(self, kernels=KERNELS, only=None, name="parity"):
        """Compiles all, or one file, and links; answers the program's path."""
        sources = [*sorted(kernels.glob("*.c")), PROGRAM] if only is None else [kernels / only]
        compiling = [
            subprocess.Popen(
                [*self.compiler, *FLAGS, "-I", kernels / "include", "-c", source, "-o",
                 self.directory / (source.stem + ".o")], stderr=subprocess.PIPE, text=True)
            for source in sources]
        for process in compiling:
            _, errors = process.communicate()
            assert process.returncode == 0, errors
        program, objects = self.directory / name, sorted(self.directory.glob("*.o"))
        if self.is_cross:
            # No compiler's support library is needed, so only the C library's files are named.
            library = CROSS / "lib"
            done = execute(
                *self.compiler, "-fuse-ld=lld", "-nostdlib", library / "crt1.o", library / "crti.o",
                *objects, library / "libc.so.6", library / "libm.so.6", library / "crtn.o",
                f"-Wl,--dynamic-linker={library}/ld-linux-aarch64.so.1", f"-Wl,-rpath={library}",
                "-o", program)
        else:
            done = execute(*self.compiler, *objects, "-lm", "-o", program)
        assert done.returncode == 0, done.stdout
        return program

    def run(self, program, *arguments):
        """The lines that it prints."""
        done = execute(*self.emulator, program, *arguments)
        assert done.returncode == 0, done.stdout
        return done.stdout.splitlines()


@pytest.fixture(scope="module")
def here(clang, tmp_path_factory):
    machine = Machine(clang, tmp_path_factory.mktemp("here"), is_cross=False)
    return machine, machine.build()


@pytest.fixture(scope="module")
def aarch64(clang, tmp_path_factory):
    """Under an emulator on an aarch64 machine too: that has all instructions."""
    emulator = shutil.which("qemu-aarch64") or shutil.which("qemu-aarch64-static")
    assert emulator, "qemu-aarch64 is not there: sudo apt-get install --yes qemu-user"
    machine = Machine(clang, tmp_path_factory.mktemp("aarch64"), is_cross=not IS_AARCH64,
                      emulator=(emulator, "-cpu", "max"))
    return machine, machine.build()


@pytest.fixture(scope="module")
def expected(here):
    """What the generic level prints here."""
    machine, program = here
    lines = machine.run(program, "generic")
    print("\n".join(lines))
    return lines


@pytest.fixture(scope="module")
def expected_reduced(here):
    machine, program = here
    return machine.run(program, "generic", "--reduced")


def differing(lines, others):
    assert len(lines) == len(others)
    return {line.split()[0] for line, other in zip(lines, others) if line != other}


def assert_equal(here, there, level, expected):
    lines = there[0].run(there[1], level)
    for function in sorted(differing(expected, lines)):
        ours, theirs = (
            machine.run(program, name, "--cases", function)
            for (machine, program), name in ((here, "generic"), (there, level)))
        first = next(pair for pair in zip(ours, theirs) if pair[0] != pair[1])
        pytest.fail(f"{expected[0]}: generic here has\n{first[0]}\nand {level} there\n{first[1]}")
    assert lines == expected


def test_levels_of_this_machine(here, expected):
    machine, program = here
    levels = machine.run(program, "levels")
    # Comparing one level with itself would prove nothing.
    assert levels[0] == "generic" and len(levels) >= 2, levels
    for level in levels[1:]:
        assert_equal(here, here, level, expected)


@pytest.mark.parametrize("level", ["generic", "neon"])
def test_levels_of_aarch64(here, aarch64, expected, level):
    assert_equal(here, aarch64, level, expected)


def test_a_processor_is_asked_for_the_dot_product(aarch64):
    machine, program = aarch64
    assert machine.run(program, "levels") == ["generic", "neon"]
    old = execute(machine.emulator[0], "-cpu", "cortex-a53", program, "levels")
    assert old.stdout.splitlines() == ["generic"]


def test_other_inputs_give_other_digests(here, expected):
    machine, program = here
    lines = machine.run(program, "generic", "--seed", 2)
    assert {line.split()[0] for line in expected if " digest " in line} - differing(expected, lines) \
        == {"narrow_ties"}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found(expected_reduced, aarch64, tmp_path, fault):
    """In the level neon alone, so that its own comparison with the others must find it."""
    file, right, wrong, must, must_not = FAULTS[fault]
    kernels = tmp_path / "kernels"
    shutil.copytree(KERNELS, kernels)
    text = (kernels / file).read_text()
    assert text.count(right) == 1, f"{file} has no longer one {right!r}: plant the fault elsewhere"
    (kernels / file).write_text(text.replace(right, wrong))
    sound, _ = aarch64
    machine = Machine(sound.clang, tmp_path, is_cross=sound.is_cross, emulator=sound.emulator)
    for compiled in sound.directory.glob("*.o"):
        shutil.copy(compiled, tmp_path)
    faulty = machine.build(kernels, only="kernels_neon.c", name="faulty")
    found = differing(expected_reduced, machine.run(faulty, "neon", "--reduced"))
    assert must <= found and not must_not & found, sorted(found)
