"""Whoever starts a worker-http worker and waits for its callback: an HTTP server that keeps what it was told."""
# SPDX-License-Identifier: Apache-2.0

import http.server
import json
import queue
import threading

import httpx

from harness import PATIENCE


class Manager:
    """Answers callbacks with these statuses in turn, the last one for all that follow."""

    def __init__(self, *statuses):
        self.statuses = list(statuses) or [200]
        self.calls = queue.Queue()
        manager = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                manager.take(self, json.loads(body))

            def log_message(self, *_):
                """Nothing: the test prints what it needs."""

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def url(self, path="/v2/internal/workers/ready"):
        return f"http://127.0.0.1:{self.server.server_port}{path}"

    def take(self, handler, body):
        # As a manager does that checks a worker before it believes the worker.
        health = httpx.get(f"{body['uri']}/health", timeout=PATIENCE).json()
        self.calls.put({"path": handler.path, "type": handler.headers["Content-Type"], "body": body,
                        "health": health})
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        handler.send_response(status)
        if 300 <= status < 400:
            handler.send_header("Location", self.url("/elsewhere"))
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    def call(self):
        """The next callback, waited for."""
        return self.calls.get(timeout=PATIENCE)

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(PATIENCE)
