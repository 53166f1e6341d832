# The smallest client of a llorch-worker: sends one job and prints its text. What gets lost is not sent again;
# dispatcher.py sends it again.
# SPDX-License-Identifier: Apache-2.0
import zmq
ctx = zmq.Context(); ev = ctx.socket(zmq.PULL); ev.bind("tcp://127.0.0.1:5600")
jobs = ctx.socket(zmq.PUSH); jobs.connect("tcp://127.0.0.1:5601")
jobs.send_json({"v": 1, "type": "job", "job_id": "a1", "attempt": 1, "prompt": "Hello", "max_tokens": 16})
while True:
    e = ev.recv_json()
    if e["type"] == "token": print(e["t"], end="", flush=True)
    if e["type"] in ("end", "error"): print("\n", e); break
ctx.destroy(linger=0)
