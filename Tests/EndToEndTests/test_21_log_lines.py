"""A job's id is any text; none of it may look like a line, or a field, of the worker's log."""
# SPDX-License-Identifier: Apache-2.0

import re

FORGED = "2026-11-27T10:00:00+0000 info llorch-worker: worker_id=w1 [LlorchWorker] job ended"
LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4} [a-z]+ llorch-worker: .*\[LlorchWorker\] ")


def test_an_id_with_a_line_feed_forges_no_line(worker, dispatcher):
    for number, between in enumerate(["\n", "\r", "\u2028", "\u0085", '" outcome=end "', "\x1b[1A"]):
        job = dispatcher.send(job_id=f"x{number}{between}{FORGED}")
        assert dispatcher.finish(job)[-1]["type"] == "end"
    # The end is logged after its event was sent; the next job's beginning is logged after that.
    dispatcher.finish(dispatcher.send(job_id="last"))
    lines = worker.log.splitlines()
    assert all(LINE.match(line) for line in lines), worker.log
    assert not any(line.startswith(FORGED) for line in lines)
    begun = [line for line in lines if line.endswith("] job begins")]
    assert len(begun) == 7
    assert [line for line in begun if "job_id=last " in line] == begun[-1:]
    for line in lines:
        assert line.count("worker_id=w1") - line.count("worker_id=w1 [LlorchWorker] job ended") <= 1
        assert not re.search(r"\bworker=", line)
        assert not re.search("[\x00-\x1f\x7f-\x9f\u2028\u2029]", line)
