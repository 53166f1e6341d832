"""What the figures were taken on, in words that hold without this machine."""
# SPDX-License-Identifier: Apache-2.0

import os
import pathlib
import platform
import re
import subprocess

# What decides which kernels an engine takes.
FLAGS = ("avx2", "fma", "f16c", "avx_vnni", "avx512f", "avx512bw", "avx512_vnni", "avx512_bf16",
         "amx_int8", "amx_bf16")


def read(path):
    try:
        return pathlib.Path(path).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def output(*command, cwd=None):
    try:
        done = subprocess.run(command, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, encoding="utf-8", timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def first_line(text):
    return text.splitlines()[0] if text else ""


def describe(repository, core, worker_given):
    about = dict(re.findall(r"^([^\t:]+)\s*: (.*)$", read("/proc/cpuinfo"), re.MULTILINE))
    flags = about.get("flags", "").split()
    memory = re.search(r"MemTotal:\s+(\d+)", read("/proc/meminfo"))
    system = re.search(r'PRETTY_NAME="?([^"\n]*)', read("/etc/os-release"))
    huge = re.search(r"\[(\w+)\]", read("/sys/kernel/mm/transparent_hugepage/enabled"))
    governor = read(f"/sys/devices/system/cpu/cpu{core}/cpufreq/scaling_governor")
    commit = output("git", "rev-parse", "--short=12", "HEAD", cwd=repository)
    # The documents themselves are what a run writes.
    changed = output("git", "status", "--porcelain", "--", "Sources", "Package.swift", cwd=repository)
    return {
        "processor": about.get("model name", platform.processor() or "unknown"),
        "family": f"family {about.get('cpu family', '?')}, model {about.get('model', '?')}",
        "flags": [flag for flag in FLAGS if flag in flags],
        "caches": caches(core),
        "cores": os.cpu_count(),
        "memory_gib": round(int(memory[1]) / 2**20, 1) if memory else None,
        "governor": governor or "not shown (a virtual machine)",
        "huge_pages": huge[1] if huge else "unknown",
        "kernel": platform.release(),
        "system": system[1] if system else platform.system(),
        "swift": first_line(output("swift", "--version")),
        "clang": first_line(output("clang", "--version")).partition(" (")[0],
        "python": platform.python_version(),
        "commit": (commit or "unknown") + (" with changes" if changed else ""),
        "worker": "built elsewhere and named" if worker_given else "built from this commit",
    }


def caches(core):
    found = []
    for index in sorted(pathlib.Path(f"/sys/devices/system/cpu/cpu{core}/cache").glob("index*")):
        if read(index / "type") != "Instruction":
            found.append(f"L{read(index / 'level')} {read(index / 'size')}")
    return found


def load_average():
    return round(os.getloadavg()[0], 2)
