"""More jobs than a worker can run: all are answered, each once."""
# SPDX-License-Identifier: Apache-2.0

from harness import assert_grammar, assert_no_gaps

COUNT = 1000


def test_a_thousand_jobs_pushed_at_once(worker, dispatcher):
    jobs = [dispatcher.send(f"Job {number}", max_tokens=4, seed=number) for number in range(COUNT)]
    waiting = set(jobs)
    while waiting:
        event = dispatcher.until(
            lambda e: e["type"] in ("end", "error"), what=f"an end of {len(waiting)} jobs")
        # A second terminal event of a job would not be found here.
        waiting.remove(event["job_id"])
    dispatcher.until(lambda e: e["type"] == "heartbeat" and e["state"] == "idle")
    for job in jobs:
        events = dispatcher.of(job)
        assert_grammar(events)
        assert events[-1]["type"] == "end", events[-1]
    assert_no_gaps(dispatcher.heard)


def test_sending_a_job_again_runs_it_once(worker, dispatcher):
    job = dispatcher.send("Again", max_tokens=20, seed=5)
    first = dispatcher.finish(job)
    dispatcher.send("Again", job_id=job, max_tokens=20, seed=5)
    answer = dispatcher.until_job(job, "accepted")
    assert answer["state"] == "done"
    dispatcher.until_job(job, "end")
    assert sum(event["type"] == "started" for event in dispatcher.of(job)) <= 2
    again = dispatcher.of(job)[len(first):]
    assert [e["ids"] for e in again if e["type"] == "token"] != []
    assert again[-1]["tokens_out"] == first[-1]["tokens_out"]
    assert worker.log.count("job begins") == 1


def test_the_same_id_for_another_job_is_refused(worker, dispatcher):
    job = dispatcher.send("One", max_tokens=4)
    dispatcher.finish(job)
    dispatcher.send("Another", job_id=job, max_tokens=4)
    assert dispatcher.until_job(job, "error")["code"] == "JOB_ID_CONFLICT"
