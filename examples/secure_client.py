# client.py with keys, for a worker on another machine: only this worker may connect, and only this worker gets the job.
# Make the keys with `llorch-worker keys client` and `llorch-worker keys worker`: docs/security.md.
# SPDX-License-Identifier: Apache-2.0
import zmq, zmq.auth
from zmq.auth.thread import ThreadAuthenticator
public, secret = zmq.auth.load_certificate("client.key_secret")
worker, _ = zmq.auth.load_certificate("worker.key")
ctx = zmq.Context()
auth = ThreadAuthenticator(ctx); auth.start()
auth.configure_curve_callback(credentials_provider=type("Allowed", (), {"callback": lambda self, domain, key: key == worker})())
ev = ctx.socket(zmq.PULL); ev.curve_secretkey = secret; ev.curve_server = True; ev.bind("tcp://127.0.0.1:5600")
jobs = ctx.socket(zmq.PUSH); jobs.curve_secretkey, jobs.curve_publickey, jobs.curve_serverkey = secret, public, worker
jobs.connect("tcp://127.0.0.1:5601")
jobs.send_json({"v": 1, "type": "job", "job_id": "a1", "attempt": 1, "prompt": "Hello", "max_tokens": 16})
while True:
    e = ev.recv_json()
    if e["type"] == "token": print(e["t"], end="", flush=True)
    if e["type"] in ("end", "error"): print("\n", e); break
auth.stop(); ctx.destroy(linger=0)
