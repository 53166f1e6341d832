"""Reads answers as strictly as RFC 9112 writes them; anything else is a fault of the server."""
# SPDX-License-Identifier: Apache-2.0

import dataclasses
import re
import socket
import time

STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ([\t \x21-\x7e]*)")
FIELD = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([\t \x21-\x7e\x80-\xff]*?)[ \t]*")


class Fault(AssertionError):
    """The server broke a rule."""


class Cut(Fault):
    """The connection ends inside an answer."""


@dataclasses.dataclass
class Answer:
    status: int
    fields: dict
    body: bytes

    @property
    def closes(self):
        return "close" in self.fields.get("connection", "").lower()


class Connection:
    """A socket whose every wait has an end."""

    def __init__(self, port, seconds):
        self.seconds = seconds
        self.socket = socket.create_connection(("127.0.0.1", port), seconds)
        self.received = b""
        self.is_closed = False

    def close(self):
        self.socket.close()

    def send(self, data):
        """A server may close before it has read all; what it said is still there."""
        try:
            self.socket.sendall(data)
        except TimeoutError as error:
            raise Fault(f"the server does not read for {self.seconds} s") from error
        except OSError:
            pass

    def finish(self):
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def more(self):
        """Waits for bytes; False at the end of the connection."""
        self.socket.settimeout(self.seconds)
        begin = time.monotonic()
        try:
            data = self.socket.recv(1 << 16)
        except TimeoutError as error:
            raise Fault(f"nothing for {time.monotonic() - begin:.0f} s, after {self.received[-200:]!r}") from error
        except ConnectionError:
            data = b""
        self.received += data
        self.is_closed = not data
        return bool(data)

    def _take(self, count):
        while len(self.received) < count:
            if not self.more():
                raise Cut(f"the connection ends inside a body: {self.received[-200:]!r}")
        data, self.received = self.received[:count], self.received[count:]
        return data

    def _line(self):
        while b"\r\n" not in self.received:
            if len(self.received) > 1 << 16:
                raise Fault(f"no line: {self.received[:200]!r}")
            if not self.more():
                raise Cut(f"the connection ends inside a line: {self.received[:200]!r}")
        line, self.received = self.received.split(b"\r\n", 1)
        return line

    def answer(self, is_head=False):
        """The next final answer; None at the end of the connection."""
        while not self.received:
            if self.is_closed or not self.more():
                return None
        while True:
            line = self._line()
            status = STATUS.fullmatch(line)
            if not status:
                raise Fault(f"no status line: {line!r}")
            code, fields = int(status[1]), self._fields()
            if code >= 200:
                return Answer(code, fields, self._body(code, fields, is_head))

    def _fields(self):
        fields = {}
        while line := self._line():
            field = FIELD.fullmatch(line)
            if not field:
                raise Fault(f"no header: {line!r}")
            name = field[1].decode().lower()
            if name in fields:
                raise Fault(f"{name} appears twice")
            fields[name] = field[2].decode("latin-1")
        return fields

    def _body(self, code, fields, is_head):
        length, coding = fields.get("content-length"), fields.get("transfer-encoding")
        if coding is not None and length is not None:
            raise Fault("an answer with length and chunks")
        if is_head or code in (204, 304):
            return b""
        if coding is not None:
            if coding != "chunked":
                raise Fault(f"transfer-encoding {coding}")
            return self._chunks()
        if length is not None:
            if not re.fullmatch("[0-9]+", length):
                raise Fault(f"content-length {length}")
            return self._take(int(length))
        while self.more():
            pass
        body, self.received = self.received, b""
        return body

    def _chunks(self):
        body = b""
        while size := int(self._line(), 16):
            body += self._take(size)
            if self._take(2) != b"\r\n":
                raise Fault("a chunk without an end")
        if self._line() != b"":
            raise Fault("trailers")
        return body
