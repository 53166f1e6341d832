"""A TCP proxy that misbehaves on demand: resets, swallows, delays, cuts after n bytes, accepts and never reads.

Needs no privilege. One thread of its own; faults are set from any thread.
"""
# SPDX-License-Identifier: Apache-2.0

import collections
import os
import selectors
import socket
import struct
import threading
import time

from PythonSupport.ports import free_ports

CHUNK = 1 << 16


class _Side:
    def __init__(self, peer_socket):
        self.socket = peer_socket
        self.other = None
        self.out = collections.deque()  # (due, bytes)
        self.is_finished = False


class ChaosProxy:
    def __init__(self, target, on_accept=None, on_data=None):
        self.target = target
        self.on_accept = on_accept
        self.on_data = on_data  # called with a side and the bytes that it sent
        # Ports of the system's own choice are above 32768, where peers may connect to themselves.
        (self.port,) = free_ports(1)
        self.listener = socket.create_server(("127.0.0.1", self.port), backlog=64)
        self.listener.setblocking(False)
        self.is_black_hole = False
        self.never_reads = False
        self.delay = 0.0
        self.cut_after = None  # bytes of one direction, then a reset
        self.resets = 0
        self._selector = selectors.DefaultSelector()
        self._selector.register(self.listener, selectors.EVENT_READ)
        self._sides = {}
        self._commands = collections.deque()
        self._wake_read, self._wake_write = os.pipe()
        self._selector.register(self._wake_read, selectors.EVENT_READ)
        self._is_running = True
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    @property
    def address(self):
        return f"tcp://127.0.0.1:{self.port}"

    def reset_all(self):
        """An RST to both ends of every connection."""
        self._order(self._reset_all)

    def set(self, **faults):
        """Changes faults between two steps of the proxy's thread."""
        def change():
            for name, value in faults.items():
                setattr(self, name, value)
        self._order(change)

    def close(self):
        self._is_running = False
        self._order(lambda: None)
        self._thread.join(5)
        self._reset_all()
        self.listener.close()

    # The thread

    def _order(self, command):
        self._commands.append(command)
        os.write(self._wake_write, b"x")

    def _work(self):
        while self._is_running:
            for key, mask in self._selector.select(0.005 if self.delay else 0.05):
                if key.fileobj is self.listener:
                    self._accept()
                elif key.fileobj == self._wake_read:
                    os.read(self._wake_read, 4096)
                else:
                    side = self._sides.get(key.fileobj)
                    if side and mask & selectors.EVENT_READ:
                        self._read(side)
                    if side and side.socket in self._sides and mask & selectors.EVENT_WRITE:
                        self._write(side)
            while self._commands:
                self._commands.popleft()()
            for side in list(self._sides.values()):
                self._watch(side)

    def _accept(self):
        try:
            near, _ = self.listener.accept()
        except OSError:
            return
        if self.on_accept:
            self.on_accept()
        far = socket.socket()
        try:
            if self.never_reads:
                # The connection exists and nothing ever comes out of it.
                self._sides[near] = _Side(near)
                far.close()
                return
            far.connect(self.target)
        except OSError:
            near.close()
            far.close()
            return
        for end in (near, far):
            end.setblocking(False)
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._selector.register(end, selectors.EVENT_READ)
            self._sides[end] = _Side(end)
        self._sides[near].other, self._sides[far].other = self._sides[far], self._sides[near]

    def _read(self, side):
        if self.is_black_hole:
            return
        try:
            data = side.socket.recv(CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._drop(side)
            return
        if self.on_data:
            self.on_data(side, data)
        if self.cut_after is not None:
            data, rest = data[:self.cut_after], data[self.cut_after:]
            self.cut_after -= len(data)
            side.other.out.append((0, data))
            self._write(side.other)
            if self.cut_after == 0 or rest:
                self.cut_after = None
                self._drop(side)
            return
        side.other.out.append((time.monotonic() + self.delay, data))
        if not self.delay:
            self._write(side.other)

    def _write(self, side):
        while side.out and not self.is_black_hole and side.out[0][0] <= time.monotonic():
            due, data = side.out[0]
            try:
                count = side.socket.send(data)
            except BlockingIOError:
                return
            except OSError:
                self._drop(side)
                return
            if count < len(data):
                side.out[0] = (due, data[count:])
                return
            side.out.popleft()

    def _watch(self, side):
        """Reads no more than the other end takes; sleeps while nothing may move."""
        if side.other is None or side.socket not in self._sides:
            return
        if self.delay:
            self._write(side)
        events = 0
        if not self.is_black_hole:
            if sum(len(data) for _, data in side.other.out) < 4 * CHUNK:
                events |= selectors.EVENT_READ
            if side.out and side.out[0][0] <= time.monotonic():
                events |= selectors.EVENT_WRITE
        known = self._selector.get_map().get(side.socket)
        if known is None and events:
            self._selector.register(side.socket, events)
        elif known is not None and not events:
            self._selector.unregister(side.socket)
        elif known is not None and known.events != events:
            self._selector.modify(side.socket, events)

    def _drop(self, side):
        self.resets += 1
        for end in (side, side.other):
            if end is None or end.socket not in self._sides:
                continue
            del self._sides[end.socket]
            if self._selector.get_map().get(end.socket):
                self._selector.unregister(end.socket)
            # Linger of zero seconds: the kernel sends RST and throws away what it holds.
            end.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            end.socket.close()

    def _reset_all(self):
        for side in list(self._sides.values()):
            if side.socket in self._sides:
                self._drop(side)
