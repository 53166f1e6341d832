# A dispatcher in 32 lines: the five rules of docs/wire-protocol.md, for many workers. Gives exactly one terminal
# event per job; a second attempt gives its tokens again from the start. llorch-http-shim is the full dispatcher.
# SPDX-License-Identifier: Apache-2.0
import time, zmq
def dispatch(jobs, workers, lease=10.0, quiet=5.0, window=1):     # workers = {"w1": "tcp://127.0.0.1:5601", ...}
    ctx = zmq.Context(); ev = ctx.socket(zmq.PULL); ev.rcvhwm = 0; ev.bind("tcp://127.0.0.1:5600")
    out = {w: ctx.socket(zmq.PUSH) for w in workers}
    for w, url in workers.items(): out[w].immediate = 1; out[w].linger = 0; out[w].connect(url)
    todo = {j["job_id"]: dict(j, v=1, type="job", attempt=0) for j in jobs}
    where, heard, boot, seen, rest = {}, {}, {}, {}, {}           # by job: worker, last news; by worker: boot, last heard, rest until
    def send(j, w, more=0):
        try: out[w].send_json(dict(todo[j], attempt=todo[j]["attempt"] + more), zmq.NOBLOCK)
        except zmq.Again: return False                            # not connected: not sent, attempt not raised
        todo[j]["attempt"] += more; where[j], heard[j] = w, time.monotonic(); return True
    while todo:
        now = time.monotonic(); live = [w for w in workers if now - seen.get(w, -1e9) < lease]
        for j, w in list(where.items()):
            if w not in live: del where[j]                        # rule 3: silent worker
            elif now - heard[j] > quiet: send(j, w)               # rule 2: no news, send again
        for j in (j for j in todo if j not in where):
            load = list(where.values())
            free = sorted((w for w in live if load.count(w) < window and rest.get(w, 0) < now), key=load.count)
            if not any(send(j, w, 1) for w in free): break        # a worker that cannot be sent to is passed over
        if not ev.poll(200): continue
        e = ev.recv_json(); w, j = e["worker"], e.get("job_id")
        if e["boot"] < boot.get(w, 0): continue                   # rule 4: event of a dead process
        if e["boot"] > boot.get(w, 0):                            # rule 3: restarted
            boot[w] = e["boot"]; [where.pop(k) for k in list(where) if where[k] == w]
        seen[w] = time.monotonic()
        if e.get("retriable") or e.get("state") == "draining": rest[w] = seen[w] + 1     # refused the job, or drains
        if j not in todo or e["attempt"] != todo[j]["attempt"]: continue      # rule 4: event of an old attempt
        heard[j] = seen[w]
        if e["type"] == "error" and e["retriable"]: where.pop(j, None)        # send it to another worker
        elif e["type"] in ("end", "error"): where.pop(j, None); del todo[j]; yield j, e   # exactly one per job
        elif e["type"] == "token": yield j, e


if __name__ == "__main__":
    prompts = ("To be, or not to be", "ROMEO.", "Once more unto the breach")
    for j, e in dispatch([{"job_id": p, "prompt": p, "max_tokens": 24, "seed": 7} for p in prompts],
                         {"worker": "tcp://127.0.0.1:5601"}):
        if e["type"] != "token": print(j, e)
        else: print(f"{j}: {e['t']!r}")
