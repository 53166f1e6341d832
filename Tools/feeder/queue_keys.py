"""Keys of a dispatcher in Python: whom it lets in, and as whom it connects (docs/security.md)."""
# SPDX-License-Identifier: Apache-2.0

import pathlib

import zmq.auth
from zmq.auth.thread import ThreadAuthenticator


class QueueKeys:
    """A key pair, the keys that may connect, and the thread that pyzmq has for asking."""

    def __init__(self, context, secret_file, allowed):
        self.public, self.secret = zmq.auth.load_certificate(secret_file)
        if self.secret is None:
            raise SystemExit(f"{secret_file}: expected a secret key; give NAME.key_secret")
        allowed = pathlib.Path(allowed)
        files = sorted(allowed.glob("*.key")) if allowed.is_dir() else [allowed]
        self.allowed = {zmq.auth.load_certificate(file)[0] for file in files}
        self.authenticator = ThreadAuthenticator(context)
        self.authenticator.start()
        self.authenticator.configure_curve_callback(credentials_provider=self)

    def callback(self, domain, key):
        return key in self.allowed

    def serve(self, socket):
        socket.curve_secretkey, socket.curve_publickey = self.secret, self.public
        socket.curve_server = True

    def connect(self, socket, server):
        socket.curve_secretkey, socket.curve_publickey = self.secret, self.public
        socket.curve_serverkey = server

    def stop(self):
        self.authenticator.stop()
