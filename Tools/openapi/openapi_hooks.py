"""What schemathesis does not know by itself: names that only the server knows, and what is in an event stream."""
# SPDX-License-Identifier: Apache-2.0

import os

import schemathesis

from openapi import Description

MODEL = os.environ["LLORCH_MODEL_NAME"]
_described = {}


def _without_points(value):
    """JSON Schema takes 3.0 for an integer. Few write one that way, and the server wants a number without a point."""
    if isinstance(value, dict):
        return {name: _without_points(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_without_points(member) for member in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _of_the_vocabulary(value):
    """Ids that every vocabulary has, in place of those that the document allows."""
    if isinstance(value, list):
        return [_of_the_vocabulary(member) for member in value]
    return value % 256 if type(value) is int and 0 <= value < 1 << 32 else value


@schemathesis.hook
def before_call(ctx, case, kwargs):
    """Asks for the model that is served and for ids that it has, and comes back to no job, because none is known."""
    if isinstance(case.body, dict):
        body = case.body = _without_points(case.body)
        if isinstance(body.get("model"), str):
            body["model"] = MODEL
        for name in ("prompt", "prompt_ids"):
            if isinstance(body.get(name), list):
                body[name] = _of_the_vocabulary(body[name])
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
    description.check_events(response.content.decode(), media["schema"])
