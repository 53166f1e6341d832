"""A TCP proxy in front of the server that cuts connections: one after so many bytes of an event stream, or all."""
# SPDX-License-Identifier: Apache-2.0

import contextlib
import socket
import threading

from PythonSupport.ports import free_ports


class CuttingProxy:
    def __init__(self, target):
        self.target = target
        (self.port,) = free_ports(1)
        self.url = f"http://127.0.0.1:{self.port}"
        self.cuts = 0
        self.sent = b""  # all that clients have sent
        self._limit, self._then = None, None
        self._is_away, self._clients = False, []
        self._listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self._listener.close()

    def cut_after(self, count, then=lambda: None):
        """Cuts the next event stream after that many bytes, and calls `then` before the client can know."""
        self._limit, self._then = count, then

    def go_away(self):
        """Cuts every connection, and every one that comes."""
        self._is_away = True
        for client in self._clients:
            self._cut(client)

    def come_back(self):
        self._is_away = False

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if self._is_away:
                    client.close()
                    continue
                self._clients.append(client)
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        try:
            server = socket.create_connection(("127.0.0.1", self.target))
        except OSError:
            client.close()
            return
        threading.Thread(target=self._copy, args=(client, server), daemon=True).start()
        count = 0
        with contextlib.suppress(OSError):
            while data := server.recv(1024):
                is_stream = count or b"text/event-stream" in data
                count += len(data) if is_stream else 0
                if self._limit is not None and count > self._limit:
                    self._limit = None
                    self._then()
                    self.cuts += 1
                    break
                client.sendall(data)
        self._cut(client)
        self._cut(server)

    @staticmethod
    def _cut(end):
        """Wakes whoever reads from it, too."""
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()

    def _copy(self, source, target):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                self.sent += data
                target.sendall(data)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)
