"""What schemathesis does not know by itself: names that only the server knows, and what is in an event stream."""
# SPDX-License-Identifier: Apache-2.0

import json
import os

import schemathesis

from openapi import Description

MODEL = os.environ["LLORCH_MODEL_NAME"]
_described = {}


@schemathesis.hook
def before_call(ctx, case, kwargs):
    """Asks for the model that is served, and comes back to no job: no request before is known here."""
    # JSON Schema takes 3.0 for an integer. Nobody writes one that way, and the server wants a number without a point.
    if isinstance(case.body, dict):
        for name, value in case.body.items():
            if isinstance(value, float) and value.is_integer():
                case.body[name] = int(value)
    if isinstance(case.body, dict) and isinstance(case.body.get("model"), str):
        case.body["model"] = MODEL
    for name in [name for name in case.headers or {} if name.lower() == "last-event-id"]:
        if str(case.headers[name]).strip().isdigit():
            del case.headers[name]


@schemathesis.check
def events_are_described(ctx, response, case):
    """The JSON of each `data:` of a stream is as its operation says; schemathesis looks at the frames only."""
    if not response.headers.get("content-type", [""])[0].startswith("text/event-stream"):
        return
    document = case.operation.schema.raw_schema
    description = _described.setdefault(id(document), Description(document))
    media = document["paths"][case.operation.path]["post"]["responses"]["200"]["content"]["text/event-stream"]
    data = media["schema"]["properties"]["data"]
    schema = next(form for form in data.get("anyOf", [data]) if "contentSchema" in form)["contentSchema"]
    lines = [line[6:] for line in response.content.decode().split("\n") if line.startswith("data: ")]
    assert lines, "a stream without an event"
    for line in lines:
        if line != "[DONE]":
            description.check(json.loads(line), schema)
