"""One conversation: some right requests, perhaps one at the end that is broken, and what must be heard."""
# SPDX-License-Identifier: Apache-2.0

import json
import random as randomness

from . import grammar
from .answers import Connection, Cut, Fault

# Which of these it is can be said only of a head that comes in one piece and with nothing before it.
BROKEN_HEADS = {400, 414, 431, 501, 505}
# Longer than every limit that the server states for a client that has said all it will say.
PATIENCE = 100


def _pieces(random, data):
    """The bytes as they may come: all at once, or cut anywhere."""
    if random.random() < 0.6 or len(data) > 100_000:
        return [data]
    cuts = sorted(random.randrange(len(data) + 1) for _ in range(random.randint(1, 6)))
    return [data[a:b] for a, b in zip([0] + cuts, cuts + [len(data)]) if a < b]


def requests(random):
    """The requests of a conversation, and the name of the fault in the last one."""
    made, fault = [], None
    for _ in range(random.randint(0, 3)):
        made.append(grammar.right(random))
        if made[-1].after != grammar.KEPT:
            return made, fault
    kind = random.random()
    if kind < 0.45:
        fault, request = grammar.broken(random)
    elif kind < 0.7:
        fault, request = "mutated", grammar.mutated(random)
    else:
        request = grammar.right(random)
    return made + [request], fault


def hold(port, seed, patience=PATIENCE):
    """Holds the conversation of this seed; raises a Fault, with all that was sent, if the server errs."""
    random = randomness.Random(seed)
    made, fault = requests(random)
    try:
        _hold(port, random, made, patience)
        good = Connection(port, patience)
        good.send(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        answer = good.answer()
        good.close()
        if answer is None or answer.status != 200:
            raise Fault("a good request on another connection is not answered")
    except Fault as error:
        shown = b"".join(request.bytes()[:3000] for request in made)
        raise Fault(f"seed {seed}, fault {fault}: {error}\nsent: {shown!r}") from error
    return fault or "none"


def _hold(port, random, made, patience):
    connection = Connection(port, patience)
    try:
        # Requests behind one that may end the connection are not answered; so only the last may be such.
        is_pipelined = random.random() < 0.5
        pieces = 0
        if is_pipelined:
            for pieces, piece in enumerate(_pieces(random, b"".join(request.bytes() for request in made)), 1):
                connection.send(piece)
            # A client that closes its half cancels the job that runs for it.
            if made[-1].is_cut and not any(request.runs_jobs for request in made):
                connection.finish()
        for request in made:
            if is_pipelined and request.is_cut:
                connection.finish()
            if not is_pipelined:
                for pieces, piece in enumerate(_pieces(random, request.bytes()), 1):
                    connection.send(piece)
                if request.is_cut:
                    connection.finish()
            if not request.statuses:
                return _any_answers(connection, may_be_cut=any(path.encode() in request.bytes() for path in grammar.JOB_PATHS))
            if pieces > 1 or is_pipelined and len(made) > 1:
                if set(request.statuses) <= BROKEN_HEADS:
                    request.statuses = tuple(BROKEN_HEADS)
            _check(connection.answer(request.method == "HEAD" and request.raw is None), request)
        if made[-1].after == grammar.KEPT:
            connection.send(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            _check(connection.answer(), grammar.Request(after=grammar.CLOSED))
        elif made[-1].after == grammar.EITHER:
            connection.finish()
        if connection.answer() is not None:
            raise Fault("more answers than requests")
    finally:
        connection.close()


def _check(answer, request):
    if answer is None:
        raise Fault(f"the connection ends in place of {request.statuses}")
    if answer.status not in request.statuses:
        raise Fault(f"{answer.status} in place of {request.statuses}: {answer.body[:300]!r}")
    if "date" not in answer.fields or "x-correlation-id" not in answer.fields:
        raise Fault(f"no Date or no X-Correlation-ID: {answer.fields}")
    if "/v1/" in request.target and answer.status >= 400 and not request.is_broken:
        _check_error(answer)
    if request.after == grammar.KEPT and answer.closes or request.after == grammar.CLOSED and not answer.closes:
        raise Fault(f"the connection is to be {request.after}: {answer.fields}")
    if request.is_old and "transfer-encoding" in answer.fields:
        raise Fault("chunks in the answer to HTTP/1.0")


def _check_error(answer):
    """OpenAI's shape, whatever the reason."""
    if "x-request-id" not in answer.fields:
        raise Fault(f"no x-request-id: {answer.fields}")
    error = json.loads(answer.body)["error"] if answer.body else None
    if error and (set(error) != {"message", "type", "param", "code"} or not error["message"]):
        raise Fault(f"no error of OpenAI's shape: {answer.body[:300]!r}")


def _any_answers(connection, may_be_cut):
    """Whatever was sent: what comes are answers, none says that the server is broken, and they end.

    The client has closed its half, which cancels a job that runs for it: its answer may end anywhere.
    """
    while answer := _answer(connection, may_be_cut):
        if answer.status >= 500 and answer.status not in (501, 503, 505):
            raise Fault(f"{answer.status}: {answer.body[:300]!r}")


def _answer(connection, may_be_cut):
    try:
        return connection.answer()
    except Cut:
        if may_be_cut:
            return None
        raise
