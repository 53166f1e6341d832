"""Disks that are full and model files that are not what they say: T18, T21."""
# SPDX-License-Identifier: Apache-2.0

import contextlib
import json
import pathlib
import re
import shutil
import struct
import subprocess
import sys
import time

from PythonSupport.programs import ROOT, Process, binaries

from .cases import case
from .checker import check
from .dispatcher import Rules

MODEL = ROOT / "models/shakespeare"


@contextlib.contextmanager
def small_disk(folder, size):
    """A tmpfs; needs root, and says so where it may not be mounted."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], check=True,
                   timeout=20)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=False, timeout=20)


@case("T18", "a full disk")
def full_disk(run, jobs=300):
    with small_disk(run.folder / "full", "1m") as full:
        dispatcher = run.begin(Rules(window=2))
        (full / "ballast").write_bytes(b"x" * 900_000)
        worker = run.worker("w1", "stub:ms=1", arguments=["--log-level", "trace"])
        dispatcher.until_workers(1)
        worker.kill()
        # The log and the state lie where there is no room.
        worker.log_path = full / "w1.log"
        index = worker.command.index("--state-directory")
        worker.command[index + 1] = str(full)
        with contextlib.suppress(OSError):
            (full / "more").write_bytes(b"x" * 200_000)
        worker.start()
        dispatcher.until_workers(1)
        for number in range(jobs):
            dispatcher.submit(f"full-{run.seed}-{number}", 4)
        run.finish(60)
        alive = worker.is_running()
        # Room again: the next line says how many were left out.
        (full / "ballast").unlink()
        (full / "more").unlink(missing_ok=True)
        dispatcher.submit(f"full-{run.seed}-after", 4)
        run.finish(60)
        missing = sum(int(count) for count in re.findall(r"warning: (\d+) log lines are missing", worker.log))
        logged = worker.log.count("job ended")
        run.check(prefix="worker: ")
        run.figure("worker: lives", alive, True, alive)
        # Two lines a job.
        run.at_least("worker: log lines left out and counted", missing, 2 * (jobs - logged))
    with small_disk(run.folder / "journal", "4m") as disk:
        journal_on(run, disk, jobs)


def journal_on(run, disk, jobs):
    """The dispatcher's journal runs out of space: nothing is taken that is not on disk."""
    run.begin()
    run.dispatcher.close()
    run.dispatcher = None
    run.worker("w1", "stub:ms=1")
    ballast = disk / "ballast"
    ballast.write_bytes(b"x" * 3_900_000)
    journal = disk / "journal.jsonl"
    command = [sys.executable, "-m", "FaultTests.journal", "--journal", journal, "--events",
               run.events, "--jobs", jobs, "--prefix", f"kept-{run.seed}"]
    process = Process(command, run.part / "dispatcher.out", cwd=ROOT / "Tests").start()
    code = process.ended(60)
    refused = "Full" in process.log
    ballast.unlink()
    process.start()
    finished = process.ended(120)
    run.measured["T18"] = {"first exit": code, "second exit": finished}
    found = check(journal, [worker.log_path for worker in run.supervisor.workers.values()])
    run.end()
    run.figure("journal: refused while full", refused, True, refused)
    run.exactly("journal: jobs submitted in the end", found.submitted, jobs)
    run.exactly("journal: acknowledged and lost", len(found.lost), 0)
    run.exactly("journal: streams equal to the oracle's", found.right_streams, jobs)


@case("T21", "model files that lie")
def model_files(run, mutations=1_000):
    """Each mutated file is put before `inspect` in a process of its own, with bounded memory and time."""
    folder = run.folder / "model"
    shutil.copytree(MODEL, folder)
    path = next(folder.glob("*.safetensors"))
    whole = path.read_bytes()
    (length,) = struct.unpack("<Q", whole[:8])
    outcomes, bad, silent = {}, [], []
    for number in range(mutations + 1):
        # The first is as it should be: whoever refuses that would refuse everything.
        data = mutated(run.random, whole, length) if number else whole
        path.write_bytes(data)
        limit = (len(data) + (256 << 20)) // 1024
        done = subprocess.run(
            ["bash", "-c", f"ulimit -v {limit + (1 << 20)}; exec \"$0\" inspect --model \"$1\"",
             binaries() / "llorch-worker", folder],
            stdin=subprocess.DEVNULL, capture_output=True, timeout=30, check=False)
        if not number:
            run.exactly("exit status with the sound file", done.returncode, 0)
            continue
        outcomes[done.returncode] = outcomes.get(done.returncode, 0) + 1
        if done.returncode not in (0, 1):
            bad.append(number)
            (run.folder / f"bad-{number}").write_bytes(data[:length + 8])
        elif done.returncode == 1 and not re.match(rb"error: .{10}", done.stderr):
            silent.append(number)
    run.exactly("crashes", bad[:5], [])
    run.exactly("refusals without a reason", silent[:5], [])
    run.at_least("files refused", outcomes.get(1, 0), mutations // 4)
    run.measured["T21"] = {str(code): count for code, count in outcomes.items()}
    path.write_bytes(whole)
    truncated_while_used(run, folder, path)


def mutated(random, whole, length):
    kind = random.randrange(5)
    header = bytearray(whole[8:8 + length])
    if kind == 0:
        for _ in range(random.randrange(1, 8)):
            header[random.randrange(length)] ^= 1 << random.randrange(8)
        return whole[:8] + bytes(header) + whole[8 + length:]
    if kind == 1:
        return struct.pack("<Q", random.choice((0, 1, length + 1, 1 << 40, (1 << 64) - 1))) + whole[8:]
    if kind == 2:
        return whole[:random.randrange(len(whole))]
    table = json.loads(bytes(header))
    name = random.choice([name for name in table if name != "__metadata__"])
    entry = table[name]
    if kind == 3:
        entry["data_offsets"][random.randrange(2)] = random.choice((0, -1, 1 << 63, len(whole)))
    else:
        entry["shape"] = random.choice(([], [0], [1 << 62, 1 << 62], [-1], entry["shape"][::-1], ["a"]))
    packed = json.dumps(table).encode()
    return struct.pack("<Q", len(packed)) + packed + whole[8 + length:]


def truncated_while_used(run, folder, path):
    worker = Process([binaries() / "llorch-worker", "serve", "--model", folder, "--worker-id", "t",
                      "--events", f"connect:ipc://{run.folder}/e", "--jobs", f"ipc://{run.folder}/j",
                      "--control", f"ipc://{run.folder}/c"], run.folder / "truncated.log").start()
    end = time.monotonic() + 30
    while "100" not in worker.log and time.monotonic() < end and worker.is_running():
        time.sleep(0.05)
    time.sleep(1)
    pathlib.Path(path).write_bytes(b"")
    time.sleep(1)
    alive = worker.is_running()
    worker.kill()
    run.figure("file cut to nothing after loading", "lives" if alive else worker.tail(2), "lives", alive)
