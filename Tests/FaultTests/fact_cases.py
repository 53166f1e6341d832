"""What the protocol believes about ZeroMQ, tried on real sockets: T0. No worker takes part."""
# SPDX-License-Identifier: Apache-2.0

import multiprocessing
import os
import signal
import time

import zmq

from PythonSupport.ports import free_ports

from .cases import case

COUNT = 2_000


def _context():
    """Sockets that are let go do not wait for a reader."""
    context = zmq.Context()
    context.linger = 0
    return context


def _receive(address, bind, queue, options, patience):
    context = _context()
    pull = context.socket(zmq.PULL)
    pull.linger = 0
    for name, value in options.items():
        pull.setsockopt(getattr(zmq, name), value)
    (pull.bind if bind else pull.connect)(address)
    queue.put("ready")
    count = 0
    while pull.poll(patience):
        pull.recv()
        count += 1
    queue.put(count)
    queue.close()
    queue.join_thread()
    os._exit(0)


def receiver(address, *, bind, options=None, patience=1_500):
    queue = multiprocessing.Queue()
    process = multiprocessing.Process(
        target=_receive, args=(address, bind, queue, options or {}, patience), daemon=True)
    process.start()
    queue.get(timeout=20)
    return process, queue


def sender(context, address, *, bind, immediate=0):
    push = context.socket(zmq.PUSH)
    push.linger, push.immediate, push.sndhwm, push.reconnect_ivl = 0, immediate, 0, 50
    (push.bind if bind else push.connect)(address)
    return push


def fill(push, count=COUNT):
    """Messages that were taken without waiting."""
    taken = 0
    for number in range(count):
        try:
            push.send(b"%08d" % number + b"x" * 20_000, zmq.NOBLOCK)
            taken += 1
        except zmq.Again:
            break
    return taken


def after_a_kill(bind, immediate):
    """A reader is stopped, the sender fills up, the reader is killed, another comes: what reaches it?"""
    (port,) = free_ports(1)
    address = f"tcp://127.0.0.1:{port}"
    context = _context()
    push = sender(context, address, bind=True) if bind else None
    first, _ = receiver(address, bind=not bind)
    push = push or sender(context, address, bind=False, immediate=immediate)
    time.sleep(0.5)
    os.kill(first.pid, signal.SIGSTOP)
    taken = fill(push)
    os.kill(first.pid, signal.SIGKILL)
    first.join(10)
    time.sleep(0.3)
    second, queue = receiver(address, bind=not bind)
    reached = queue.get(timeout=60)
    second.join(10)
    context.destroy(linger=0)
    return taken, reached


@case("T0", "facts about ZeroMQ")
def facts(run):
    taken, reached = after_a_kill(bind=True, immediate=0)
    run.figure("PUSH that bound: reach the next reader after a kill", f"{reached} of {taken}", "0",
               reached == 0 and taken > 0)
    taken, reached = after_a_kill(bind=False, immediate=0)
    run.figure("PUSH that connected: the same", f"{reached} of {taken}", "some, not all",
               0 < reached < taken)
    taken, reached = after_a_kill(bind=False, immediate=1)
    run.figure("PUSH that connected with IMMEDIATE", f"{reached} of {taken}", "0",
               reached == 0 and taken > 0)
    hidden(run)
    second_bind(run)
    multipart(run)


def hidden(run):
    """Between a sender and a reader that does not read, both marks at 1."""
    context = _context()
    for buffer in (None, 65_536):
        (port,) = free_ports(1)
        pull, push = context.socket(zmq.PULL), context.socket(zmq.PUSH)
        pull.rcvhwm = push.sndhwm = 1
        if buffer:
            push.sndbuf = buffer
        pull.bind(f"tcp://127.0.0.1:{port}")
        push.connect(f"tcp://127.0.0.1:{port}")
        time.sleep(0.3)
        sent, since = 0, time.monotonic()
        while time.monotonic() - since < 0.5:
            try:
                push.send(b"x" * 200, zmq.NOBLOCK)
                sent, since = sent + 1, time.monotonic()
            except zmq.Again:
                time.sleep(0.002)
        run.figure(f"messages of 200 bytes hidden at marks of 1, SNDBUF {buffer or 'as it is'}",
                   sent, "far more than 2", sent > 100)
    context.destroy(linger=0)


def second_bind(run):
    context = _context()
    for address, expected in ((f"tcp://127.0.0.1:{free_ports(1)[0]}", "refused"),
                              (f"ipc://{run.folder}/path", "stolen")):
        first, second = context.socket(zmq.PULL), context.socket(zmq.PULL)
        first.bind(address)
        try:
            second.bind(address)
            outcome = "stolen"
        except zmq.ZMQError:
            outcome = "refused"
        run.exactly(f"second bind of {address[:3]}", outcome, expected)
    context.destroy(linger=0)


def multipart(run):
    """One message of many frames is bounded by no option."""
    context = _context()
    (port,) = free_ports(1)
    pull, push = context.socket(zmq.PULL), context.socket(zmq.PUSH)
    pull.rcvhwm, pull.maxmsgsize, push.sndhwm = 1, 1 << 20, 1
    pull.bind(f"tcp://127.0.0.1:{port}")
    push.connect(f"tcp://127.0.0.1:{port}")
    push.sndtimeo = 2_000
    frames = 0
    try:
        for _ in range(200):
            push.send(b"x" * (1 << 18), zmq.SNDMORE)
            frames += 1
    except zmq.Again:
        pass
    context.destroy(linger=0)
    run.figure("frames of 256 KiB past a mark of 1", frames, "200", frames == 200)
