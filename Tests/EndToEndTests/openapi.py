"""An OpenAPI document for the tests: its operations, and whether an answer is as it says."""
# SPDX-License-Identifier: Apache-2.0

import json
import re

import jsonschema
import referencing
import referencing.jsonschema


class Description:
    _NAME = "urn:openapi"

    def __init__(self, document):
        self.document = document
        resource = referencing.Resource(document, referencing.jsonschema.DRAFT202012)
        self._registry = referencing.Registry().with_resource(self._NAME, resource)

    def at(self, reference):
        """The part that a reference names."""
        place = self.document
        for name in reference.removeprefix("#/").split("/"):
            place = place[name.replace("~1", "/").replace("~0", "~")]
        return place

    def resolved(self, part):
        return self.at(part["$ref"]) if "$ref" in part else part

    def operations(self):
        for path, item in self.document["paths"].items():
            for method, operation in item.items():
                yield path, method, operation

    def knows(self, path):
        """Whether a path, or the template for it, is described."""
        return self.template(path) is not None

    def template(self, path):
        if path in self.document["paths"]:
            return path
        for template, item in self.document["paths"].items():
            pattern = re.sub(r"\\{\w+\\}", "([^/]+)", re.escape(template))
            match = re.fullmatch(pattern, path)
            if match and self._allows(item, match.groups()):
                return template
        return None

    def _allows(self, item, values):
        schemas = [self.resolved(parameter)["schema"] for parameter in next(iter(item.values()))["parameters"]
                   if self.resolved(parameter)["in"] == "path"]
        return all(value in schema.get("enum", [value]) for schema, value in zip(schemas, values, strict=True))

    def example_path(self, template):
        """The template with a value in place of its parameter."""
        item = self.document["paths"][template]
        path = template
        for parameter in next(iter(item.values()))["parameters"]:
            parameter = self.resolved(parameter)
            if parameter["in"] == "path":
                path = path.replace("{%s}" % parameter["name"], parameter["schema"].get("enum", ["stub"])[0])
        return path

    def check(self, value, schema):
        """Fails where a value is not as a schema, or the component of this name, says."""
        if isinstance(schema, str):
            schema = {"$ref": f"#/components/schemas/{schema}"}
        # References are those of the document.
        schema = json.loads(json.dumps(schema).replace('"$ref": "#/', f'"$ref": "{self._NAME}#/'))
        jsonschema.Draft202012Validator(schema, registry=self._registry).validate(value)

    def check_answer(self, path, answer):
        """Fails where status, headers or body of an answer are not described."""
        template = self.template(path) or path
        operation = self.document["paths"][template][answer.request.method.lower()]
        response = self.resolved(operation["responses"][str(answer.status_code)])
        for name, header in response.get("headers", {}).items():
            header = self.resolved(header)
            value = answer.headers.get(name)
            assert value is not None or not header.get("required"), (path, answer.status_code, name)
            if value is not None:
                integer = header["schema"].get("type") == "integer"
                self.check(int(value) if integer else value, header["schema"])
        content = response.get("content")
        if not content or answer.request.method == "HEAD":
            assert not answer.content, (path, answer.status_code)
            return
        kind = answer.headers["content-type"].split(";")[0]
        if kind == "text/event-stream":
            self.check_events(answer.text, content[kind]["schema"])
        else:
            self.check(answer.json() if kind == "application/json" else answer.text, content[kind]["schema"])

    def check_events(self, text, schema):
        """Fails where a frame of a stream, or the JSON in it, is not described; gives the values of that JSON."""
        data = schema["properties"]["data"]
        of_data = next(form for form in data.get("anyOf", [data]) if "contentSchema" in form)["contentSchema"]
        values = []
        for frame in re.split(r"\n\n", text):
            lines = [line for line in frame.split("\n") if line and not line.startswith(":")]
            if not lines:
                continue
            fields = dict(line.split(": ", 1) for line in lines)
            self.check(fields, schema)
            if fields["data"] != "[DONE]":
                values.append(json.loads(fields["data"]))
                self.check(values[-1], of_data)
        assert values, "a stream without an event"
        return values
