"""Requests as bytes, each with the answers that RFC 9110 and 9112 allow: right ones, and faults put into them."""
# SPDX-License-Identifier: Apache-2.0

import dataclasses
import itertools
import json

_ids = itertools.count(1)
JOB_PATHS = ("/execute", "/v1/completions")
# Whether the connection may go on after the answer.
KEPT, CLOSED, EITHER = "kept", "closed", "either"


@dataclasses.dataclass
class Request:
    """A request in pieces, so that a fault can be put into one of them."""

    method: str = "GET"
    target: str = "/livez"
    version: str = "HTTP/1.1"
    fields: list = dataclasses.field(default_factory=lambda: [("Host", "localhost")])
    body: bytes = b""
    statuses: tuple = (200,)
    after: str = KEPT
    # Bytes that stand in place of the whole request.
    raw: bytes | None = None
    # Whether it may end before its path is known.
    is_broken: bool = False
    # Whether the sending half is closed after it, inside the request.
    is_cut: bool = False

    def head(self):
        lines = [f"{self.method} {self.target} {self.version}"] + [f"{n}:{v}" for n, v in self.fields]
        return "".join(line + "\r\n" for line in lines).encode("latin-1") + b"\r\n"

    def bytes(self):
        return self.raw if self.raw is not None else self.head() + self.body

    def put(self, name, value):
        self.fields.append((name, value))
        return self

    def drop(self, name):
        self.fields = [(n, v) for n, v in self.fields if n.lower() != name.lower()]
        return self

    @property
    def runs_jobs(self):
        """A client that closes its half cancels what runs for it."""
        return any(path in self.target for path in JOB_PATHS)

    @property
    def is_old(self):
        return self.version == "HTTP/1.0"


def _json(random, **members):
    return json.dumps(members, ensure_ascii=random.random() < 0.5).encode()


def right(random):
    """A request without a fault."""
    request = random.choice([_question, _question, _cancel, _cancel, _execute, _completion, _wrong_body, _wrong_body,
                             _elsewhere])(random)
    if random.random() < 0.2 and "Transfer-Encoding" not in dict(request.fields):
        request.version = "HTTP/1.0"
        request.after = CLOSED
        if random.random() < 0.5 and request.method in ("GET", "HEAD"):
            if request.target in ("/livez", "/health") and request.statuses != (403,):
                request.drop("Host")
        if random.random() < 0.3 and not request.runs_jobs:
            request.put("Connection", " keep-alive")
            request.after = EITHER if request.statuses == (415,) else KEPT
    elif random.random() < 0.2:
        request.put("Connection", random.choice([" close", "close", " x, Close", "\tCLOSE "]))
        request.after = CLOSED
    elif random.random() < 0.05:
        request.put("Connection", " Upgrade").put("Upgrade", " h2c")
        request.after = CLOSED
    elif random.random() < 0.1 and request.target.startswith("/") and request.statuses != (403,):
        request.target = random.choice(["http://localhost", "HTTP://127.0.0.1:1"]) + request.target
    if request.body and not request.is_old and random.random() < 0.15:
        request.put("Expect", random.choice([" 100-continue", "100-Continue"]))
        # The body comes at once: the server may answer before it has seen it.
        request.after = request.after if request.after == CLOSED else EITHER
    for _ in range(random.randrange(3)):
        request.put(random.choice(["X-A", "accept", "User-Agent", "Cookie", "x-correlation-id"]),
                    random.choice(["", " ", " a", "\ta b\t", " " + "a" * random.randrange(2000), " \xe9\xff",
                                   ' "a\\"b"']))
    random.shuffle(request.fields)
    request.fields = [(random.choice([n, n.lower(), n.upper()]), random.choice([" ", "", "\t "]) + v.lstrip()
                       if n == "Host" else v) for n, v in request.fields]
    return request


def _question(random):
    path, statuses = random.choice([("/livez", (200,)), ("/health", (200, 503)), ("/metrics", (200,)),
                                    ("/%6Civez", (200,)), ("/livez?a=%zz&b", (200,))])
    return Request(random.choice(["GET", "GET", "HEAD"]), path, statuses=statuses)


def _elsewhere(random):
    return random.choice([
        Request("GET", "/nowhere", statuses=(404,)), Request("GET", "//livez", statuses=(404,)),
        Request("GET", "/v1/models", statuses=(200,)), Request("GET", "/v1/models/%73tub", statuses=(200,)),
        Request("HEAD", "/v1/models/stu%", statuses=(404,)), Request("GET", "/v1/nowhere", statuses=(404,)),
        Request("PUT", "/v1/completions", statuses=(405,)), Request("GET", "/v1/chat/completions", statuses=(405,)),
        Request("PUT", "/livez", statuses=(405,)), Request("DELETE", "/execute", statuses=(405,)),
        Request("OPTIONS", "*", statuses=(204,)), Request("OPTIONS", "/health", statuses=(405,)),
        Request("GET", "/livez", fields=[("Host", "evil.example")], statuses=(403,)),
    ])


def _with_body(random, target, body, statuses):
    request = Request("POST", target, body=body, statuses=statuses)
    request.put("Content-Type", random.choice([
        " application/json", " application/json; charset=utf-8", " Application/JSON;charset=\"utf-8\"",
        " application/x+json"]))
    if random.random() < 0.5:
        return request.put("Content-Length", f" {len(body)}")
    request.put("Transfer-Encoding", random.choice([" chunked", " Chunked"]))
    request.body = chunks(random, body)
    return request


def chunks(random, body):
    out = b""
    while body:
        count = random.randint(1, len(body))
        extension = random.choice(["", "", ";a", ";a=b", ';a="b;c"'])
        size = random.choice([f"{count:x}", f"{count:X}", f"000{count:x}"])
        out += f"{size}{extension}\r\n".encode() + body[:count] + b"\r\n"
        body = body[count:]
    return out + b"0\r\n" + random.choice([b"", b"", b"X-Trailer: a\r\n"]) + b"\r\n"


def _completion(random):
    """Right members of OpenAI's API, and perhaps one that must be refused."""
    members = {"model": "stub", "prompt": random.choice(["Hi", "\0", ["a", "\x85é"], [1, 2], [[3], [4, 5]]]),
               "max_tokens": random.randint(1, 3)}
    for name, values in {"n": [1, 3, None], "seed": [-1, 2**64 - 1], "logprobs": [0, 5], "echo": [True, None],
                         "stop": ["x", ["y", "z"]], "stream": [True, False], "user": ["é"], "logit_bias": [{}],
                         "suffix": [None], "presence_penalty": [0, -0.0], "top_k": [3]}.items():
        if random.random() < 0.2:
            members[name] = random.choice(values)
    if members.get("stream") and random.random() < 0.5:
        members["stream_options"] = {"include_usage": random.random() < 0.5}
    statuses = (200,)
    if random.random() < 0.4:
        name, value, statuses = random.choice([
            ("model", "other", (404,)), ("model", 1, (400,)), ("prompt", [], (400,)), ("prompt", [[1], "a"], (400,)),
            ("n", 17, (400,)), ("max_tokens", 1e3, (400,)), ("temperature", -1, (400,)), ("logprobs", 6, (400,)),
            ("seed", 2**64, (400,)), ("stop", {}, (400,)), ("stream", "yes", (400,)), ("suffix", "a", (400,)),
            ("prediction", {}, (400,)), ("no_such", None, (400,)), ("stream_options", [1], (400,))])
        members[name] = value
    return _with_body(random, "/v1/completions", _json(random, **members), statuses)


def _cancel(random):
    return _with_body(random, "/cancel", _json(random, job_id="é" * random.randint(1, 40)), (202,))


def _execute(random):
    members = {name: None for name in ("seed", "stop", "top_k", "temperature") if random.random() < 0.3}
    body = _json(random, job_id=f"f{next(_ids)}-{random.random()}", prompt=random.choice(["Hi", "\0", "\x85é"]),
                 max_tokens=random.randint(1, 4), **members)
    request = _with_body(random, "/execute", body, (200,))
    return request


def _wrong_body(random):
    body, statuses = random.choice([(b"{", (400,)), (b"[]", (422,)), (b'{"job_id":""}', (400,)), (b"{}", (422,))])
    request = _with_body(random, "/cancel", body, statuses)
    if random.random() < 0.3:
        request.fields = [(n, " text/plain" if n == "Content-Type" else v) for n, v in request.fields]
        # The answer does not wait for the body, and a body that is not read ends the connection.
        request.statuses, request.after = (415,), EITHER
    return request


# Faults: a name, and what they do to a right request. Each makes the connection end.

def _fault(*statuses):
    def set(function):
        FAULTS.append((function.__name__, statuses, function))
        return function
    return set


FAULTS = []


def broken(random):
    """A request with one fault."""
    request = random.choice([
        Request(), Request(target="/v1/models"),
        _with_body(random, "/cancel", _json(random, job_id="a"), (202,)), _completion(random)])
    name, statuses, function = random.choice(FAULTS)
    request.statuses, request.after, request.is_broken = statuses, CLOSED, True
    function(request, random)
    return name, request


@_fault(400)
def no_host(request, random):
    request.drop("Host")


@_fault(400)
def two_hosts(request, random):
    request.put("Host", " localhost")


@_fault(400)
def bad_host(request, random):
    request.drop("Host").put("Host", random.choice(["", " a b", " a@b", " localhost:x", " [::1", " a/b", " a,b:1:2"]))


@_fault(400)
def bad_field(request, random):
    request.put(*random.choice([("X ", "a"), ("", "a"), ("X", "a\r\n b"), ("X", "a\0b"), ("X", "a\rb"), ("(X)", "a")]))


@_fault(400)
def no_colon(request, random):
    request.raw = request.head()[:-2] + b"nothing\r\n\r\n" + request.body


@_fault(400)
def bad_length(request, random):
    request.drop("Content-Length").drop("Transfer-Encoding")
    request.put("Content-Length", random.choice([" +1", " -1", " 1, 1", " 1 1", " 0x1", " 1a", "", " 9" * 30 + "9"]))


@_fault(400)
def two_lengths(request, random):
    request.drop("Content-Length").drop("Transfer-Encoding")
    request.put("Content-Length", " 1").put("Content-Length", random.choice([" 1", " 2"]))


@_fault(400)
def length_and_chunks(request, random):
    request.drop("Content-Length").drop("Transfer-Encoding")
    request.put("Content-Length", " 5").put("Transfer-Encoding", " chunked")
    random.shuffle(request.fields)
    request.body = b"0\r\n\r\n"


@_fault(400, 501)
def bad_coding(request, random):
    request.drop("Content-Length").drop("Transfer-Encoding")
    request.put("Transfer-Encoding", random.choice([
        " gzip", " gzip, chunked", " chunked, gzip", " chunked, chunked", " xchunked", " \x0bchunked", " identity"]))
    request.body = b"0\r\n\r\n"


@_fault(400)
def chunks_in_old_version(request, random):
    request.drop("Content-Length").drop("Transfer-Encoding").put("Transfer-Encoding", " chunked")
    request.version, request.body = "HTTP/1.0", b"0\r\n\r\n"


@_fault(400)
def bad_chunk(request, random):
    request.drop("Content-Length").drop("Transfer-Encoding").drop("Content-Type")
    request.method, request.target = "POST", "/cancel"
    request.put("Content-Type", " application/json").put("Transfer-Encoding", " chunked")
    request.body = random.choice([b"zz\r\n", b"-1\r\n", b"1\r\naa\r\n0\r\n\r\n", b"\r\n", b"fffffffffffffffff\r\n",
                                  b"1 \r\n"])


@_fault(417)
def bad_expectation(request, random):
    request.put("Expect", random.choice([" tea", " 100-continue, tea", " 200-ok"]))


@_fault(505)
def bad_version(request, random):
    request.version = random.choice(["HTTP/2.0", "HTTP/3.0", "HTTP/0.9", "HTTP/9.9"])


@_fault(400)
def no_version(request, random):
    request.version = random.choice(["HTTP/1", "HTP/1.1", "http/1.1", "HTTP/1.1.1", "HTTP/11"])


@_fault(501)
def unknown_method(request, random):
    request.method = random.choice(["get", "BREW", "GETT", "X-Y"])


@_fault(400)
def bad_target(request, random):
    request.target = random.choice(["livez", "/livez#a", "*", "/liv\xe9z", "ftp://localhost/", "http://a@localhost/",
                                    "http:///x"])


@_fault(421)
def other_scheme(request, random):
    request.target = "https://localhost/livez"


@_fault(414)
def long_target(request, random):
    request.target = "/" + "a" * random.randint(17_000, 60_000)


@_fault(431)
def long_fields(request, random):
    if random.random() < 0.5:
        request.put("X", " " + "a" * random.randint(17_000, 60_000))
    else:
        request.fields += [("X", "a")] * 300


@_fault(413)
def long_body(request, random):
    request.drop("Content-Length").drop("Transfer-Encoding").drop("Content-Type")
    request.method, request.target = "POST", random.choice(["/cancel", *JOB_PATHS])
    request.put("Content-Type", " application/json").put("Content-Length", f" {random.choice([3, 9, 20]) * 10**6}")
    request.body = b" " * random.choice([0, 10, 3_000_000])


@_fault(400)
def cut_off(request, random):
    whole = request.bytes()
    # At least the method's first letter, and not the whole request.
    request.raw, request.is_cut = whole[:random.randint(1, len(whole) - 1)], True


@_fault(400)
def not_http(request, random):
    request.raw = random.choice([
        b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x03", b"\0" * random.randint(1, 99), b"{}\r\n\r\n", b"SSH-2.0-x\r\n",
        b"\xff\xfe" + random.randbytes(50)])


def mutated(random):
    """A request of which any byte may be another: only that the answer is one, and comes, can be said."""
    request = right(random)
    while request.method == "HEAD":
        request = right(random)
    data = bytearray(request.bytes())
    for _ in range(random.randint(1, 3)):
        at = random.randrange(len(data))
        choice = random.randrange(3)
        if choice == 0:
            data[at] = random.randrange(256)
        elif choice == 1:
            data.insert(at, random.choice(b"\r\n\0 :,;" + bytes([random.randrange(256)])))
        elif len(data) > 1:
            del data[at]
    request.raw, request.is_cut, request.statuses, request.after = bytes(data), True, (), EITHER
    return request
