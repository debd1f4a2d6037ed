"""Holds each answer that boto3 gets against botocore's model of the service.

botocore itself is lenient: what its model does not know it passes over, and what is missing is missing. This looks at
the raw answers: members that the model does not know, values of the wrong type, enumerations' values that there are not,
and members that are required but not there. Errors are looked at too: the operation has to declare them.
"""

import base64
import binascii
import json
import re
import xml.etree.ElementTree as ElementTree

import botocore.client
import botocore.parsers

# Errors that every operation of a service may answer with, so that its operations do not declare them.
# https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html and those of the services. S3 declares almost
# none of its own: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
COMMON_ERRORS = {
    "AccessDenied", "AccessDeniedException", "ExpiredToken", "ExpiredTokenException", "IncompleteSignature", "InternalFailure",
    "InvalidSignatureException", "InvalidAction", "InvalidClientTokenId", "InvalidParameterCombination", "InvalidParameterValue", "InvalidQueryParameter",
    "MalformedQueryString", "MissingAction", "MissingAuthenticationToken", "MissingParameter", "NotAuthorized", "OptInRequired",
    "RequestExpired", "ServiceUnavailable", "SignatureDoesNotMatch", "Throttling", "ThrottlingException", "UnknownOperationException",
    "UnrecognizedClientException", "ValidationError", "ValidationException", "SerializationException",
}


# Where the model requires one of an enumeration that has no word for "none": the empty text is it.
EMPTY = {("inspector2", "ErrorCode")}


class Checker:
    """Collects what is wrong, and which operations were called."""

    def __init__(self, strict_members=True):
        self.strict_members = strict_members  # an old botocore does not know all members of today
        self.problems = []
        self.seen = set()

    def install(self):
        checker = self
        parse = botocore.parsers.ResponseParser.parse
        call = botocore.client.BaseClient._make_api_call

        def checked_call(client, name, arguments):
            checker.operation = client.meta.service_model.operation_model(name)
            checker.seen.add((client.meta.service_model.service_name, name))
            return call(client, name, arguments)

        def checked_parse(parser, response, shape):
            checker.answer(parser, response, shape)
            return parse(parser, response, shape)

        botocore.client.BaseClient._make_api_call = checked_call
        botocore.parsers.ResponseParser.parse = checked_parse

    def report(self, where, what):
        operation = self.operation
        text = f"{operation.service_model.service_name} {operation.name}: {where}: {what}"
        if text not in self.problems:
            self.problems.append(text)

    def answer(self, parser, response, shape):
        if shape is not None and shape.metadata.get("exception"):
            return  # the second look at an error that was looked at
        body = response["body"]
        protocol = self.operation.service_model.metadata["protocol"]
        if response["status_code"] >= 300:
            self.error(protocol, response)
            return
        if shape is None:
            return
        where = "answer"
        members = dict(shape.members)
        payload = shape.serialization.get("payload")
        in_body = {}
        for name, member in members.items():
            location = member.serialization.get("location")
            if location in ("header", "headers", "statusCode"):
                self.header(where, name, member, response, name in shape.required_members)
            elif payload is None or payload == name:
                in_body[name] = member
        if payload is not None:
            member = members[payload]
            if member.type_name != "structure":
                return  # a blob: it is what it is
            if member.serialization.get("eventstream"):
                return
            if protocol == "rest-xml":
                self.xml_structure(payload, member, ElementTree.fromstring(body), top=True)
            elif body:
                self.json_value(payload, member, json.loads(body))
            return
        if protocol in ("json", "rest-json"):
            if not body:
                if [n for n in shape.required_members if n in in_body]:
                    self.report(where, "has no body")
                return
            value = json.loads(body)
            self.json_structure(where, in_body, [n for n in shape.required_members if n in in_body], value, shape.name)
        elif protocol == "query":
            self.query(where, shape, body)
        elif protocol == "rest-xml":
            if in_body and body:
                self.xml_members(where, in_body, [n for n in shape.required_members if n in in_body], ElementTree.fromstring(body))
            elif body:
                self.report(where, f"has a body, but the model has none: {body[:80]!r}")
        else:
            self.report(where, f"protocol {protocol} is not looked at")

    # Headers

    def header(self, where, name, member, response, required):
        location = member.serialization["location"]
        if location != "header":
            return
        key = member.serialization["name"]
        value = response["headers"].get(key)
        if value is None:
            if required:
                self.report(where, f"header {key} ({name}) is missing")
            return
        self.text(f"{where} header {key}", member, value, header=True)

    # JSON

    def json_structure(self, where, members, required, value, shape_name):
        if not isinstance(value, dict):
            self.report(where, f"is {type(value).__name__}, not an object")
            return
        names = {m.serialization.get("name", n): (n, m) for n, m in members.items()}
        for key, v in value.items():
            if key not in names:
                if self.strict_members and key != "__type":
                    self.report(where, f"has the member {key}, which {shape_name} does not have")
                continue
            if v is None:
                self.report(where, f"{key} is null")
                continue
            self.json_value(f"{where}.{key}", names[key][1], v)
        for name in required:
            if members[name].serialization.get("name", name) not in value:
                self.report(where, f"{name} is required, but missing")

    def json_value(self, where, shape, value):
        kind = shape.type_name
        if kind == "structure":
            if getattr(shape, "is_document_type", False):
                return
            self.json_structure(where, shape.members, shape.required_members, value, shape.name)
            if getattr(shape, "is_tagged_union", False) and len(value) != 1:
                self.report(where, f"is a union of {len(value)} members")
        elif kind == "list":
            if not isinstance(value, list):
                self.report(where, f"is {type(value).__name__}, not a list")
                return
            for v in value:
                self.json_value(where + "[]", shape.member, v)
        elif kind == "map":
            if not isinstance(value, dict):
                self.report(where, f"is {type(value).__name__}, not a map")
                return
            for k, v in value.items():
                self.text(f"{where} key", shape.key, k)
                self.json_value(f"{where}{{}}", shape.value, v)
        elif kind in ("integer", "long"):
            if isinstance(value, bool) or not isinstance(value, int):
                self.report(where, f"is {value!r}, not a whole number")
        elif kind in ("float", "double"):
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                self.report(where, f"is {value!r}, not a number")
        elif kind == "boolean":
            if not isinstance(value, bool):
                self.report(where, f"is {value!r}, not a boolean")
        elif kind == "timestamp":
            form = shape.serialization.get("timestampFormat", "unixTimestamp")
            if form == "unixTimestamp":
                if isinstance(value, bool) or not isinstance(value, (int, float)):
                    self.report(where, f"is {value!r}, not a time in seconds")
            elif not isinstance(value, str):
                self.report(where, f"is {value!r}, not a time as text")
            else:
                self.text(where, shape, value)
        elif not isinstance(value, str):
            self.report(where, f"is {value!r}, not a text")
        else:
            self.text(where, shape, value)

    # XML

    def query(self, where, shape, body):
        root = ElementTree.fromstring(body)
        operation = self.operation
        namespace = operation.service_model.metadata.get("xmlNamespace")
        if local(root) != operation.name + "Response":
            self.report(where, f"the root is {local(root)}")
        if namespace and not root.tag.startswith("{" + namespace + "}"):
            self.report(where, f"the namespace is {root.tag}, not {namespace}")
        if find(root, "ResponseMetadata") is None:
            self.report(where, "ResponseMetadata is missing")
        wrapper = shape.serialization.get("resultWrapper")
        inner = find(root, wrapper) if wrapper else root
        if inner is None:
            self.report(where, f"{wrapper} is missing")
            return
        self.xml_structure(where, shape, inner)

    def xml_structure(self, where, shape, node, top=False):
        self.xml_members(where, shape.members, shape.required_members, node, attributes=not top)

    def xml_members(self, where, members, required, node, attributes=True):
        names = {}
        for name, member in members.items():
            if member.serialization.get("location") in ("header", "headers", "statusCode"):
                continue
            key = member.serialization.get("name", name)
            if member.type_name == "list" and member.serialization.get("flattened"):
                key = member.member.serialization.get("name", key) if "name" in member.member.serialization else key
            names[key.split(":")[-1]] = (name, member)
        there = {}
        for child in node:
            there.setdefault(local(child), []).append(child)
        for key, children in there.items():
            if key == "ResponseMetadata" or key == "RequestId":
                continue
            if key not in names:
                if self.strict_members:
                    self.report(where, f"has the element {key}, which the model does not have")
                continue
            name, member = names[key]
            if member.type_name in ("list", "map") and member.serialization.get("flattened"):
                for child in children:
                    if member.type_name == "list":
                        self.xml_value(f"{where}.{name}[]", member.member, child)
                    else:
                        self.xml_pair(f"{where}.{name}", member, child)
                continue
            if len(children) > 1:
                self.report(where, f"{key} is there {len(children)} times")
            self.xml_value(f"{where}.{name}", member, children[0])
        for name in required:
            member = members[name]
            if member.serialization.get("location") in ("header", "headers", "statusCode"):
                continue
            if member.serialization.get("xmlAttribute"):
                continue
            key = member.serialization.get("name", name)
            if key not in there and not (member.type_name in ("list", "map") and member.serialization.get("flattened")):
                self.report(where, f"{name} is required, but missing")

    def xml_value(self, where, shape, node):
        kind = shape.type_name
        if kind == "structure":
            self.xml_structure(where, shape, node)
        elif kind == "list":
            item = shape.member.serialization.get("name", "member")
            for child in node:
                if local(child) != item:
                    self.report(where, f"has the element {local(child)}, not {item}")
                self.xml_value(where + "[]", shape.member, child)
        elif kind == "map":
            for child in node:
                if local(child) != "entry":
                    self.report(where, f"has the element {local(child)}, not entry")
                self.xml_pair(where, shape, child)
        else:
            self.text(where, shape, node.text or "")

    def xml_pair(self, where, shape, node):
        key = shape.key.serialization.get("name", "key")
        value = shape.value.serialization.get("name", "value")
        children = {local(child): child for child in node}
        if set(children) != {key, value}:
            self.report(where, f"has a pair of {sorted(children)}, not of {key} and {value}")
            return
        self.text(f"{where} key", shape.key, children[key].text or "")
        self.xml_value(f"{where}{{}}", shape.value, children[value])

    # Scalars that are text on the wire

    def text(self, where, shape, value, header=False):
        kind = shape.type_name
        if kind in ("integer", "long"):
            if not re.fullmatch(r"-?\d+", value):
                self.report(where, f"is {value!r}, not a whole number")
        elif kind in ("float", "double"):
            try:
                float(value)
            except ValueError:
                self.report(where, f"is {value!r}, not a number")
        elif kind == "boolean":
            if value not in ("true", "false"):
                self.report(where, f"is {value!r}, not a boolean")
        elif kind == "timestamp":
            form = shape.serialization.get("timestampFormat", "rfc822" if header else "iso8601")
            pattern = {
                "iso8601": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)",
                "rfc822": r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT",
                "unixTimestamp": r"\d+(\.\d+)?",
            }[form]
            if not re.fullmatch(pattern, value):
                self.report(where, f"is {value!r}, not a time ({form})")
        elif kind == "blob":
            try:
                base64.b64decode(value, validate=True)
            except binascii.Error:
                self.report(where, f"is {value[:40]!r}, not Base64")
        elif kind == "string":
            if not value and (self.operation.service_model.service_name, shape.name) in EMPTY:
                return
            if shape.enum and value not in shape.enum and self.strict_members:
                self.report(where, f"is {value!r}, not one of {', '.join(shape.enum)}")

    # Errors

    def error(self, protocol, response):
        operation, body, headers = self.operation, response["body"], response["headers"]
        if not body:
            if operation.http.get("method") != "HEAD" and response["status_code"] != 304:
                self.report("error", f"{response['status_code']} has no body")
            return
        declared = {e.metadata.get("error", {}).get("code", e.name): e for e in operation.error_shapes}
        if protocol in ("json", "rest-json"):
            value = json.loads(body)
            code = value.get("__type", "") if protocol == "json" else headers.get("x-amzn-errortype", "")
            code = code.split("#")[-1].split(":")[0]
            self.declared(code, declared, value)
            return
        root = ElementTree.fromstring(body)
        if protocol == "query":
            inner = find(root, "Error")
            if local(root) != "ErrorResponse" or inner is None or find(root, "RequestId") is None:
                self.report("error", f"is {body[:100]!r}")
                return
            code = find(inner, "Code").text
            self.declared(code, declared, None)
            return
        if local(root) != "Error" or find(root, "Code") is None or find(root, "Message") is None:
            self.report("error", f"is {body[:100]!r}")

    def declared(self, code, declared, value):
        by_name = {e.name: e for e in declared.values()}
        shape = declared.get(code) or by_name.get(code)
        if shape is None:
            if code not in COMMON_ERRORS and self.strict_members:
                self.report("error", f"{code} is none of its errors: {', '.join(sorted(by_name))}")
            return
        if value is None:
            return
        body = {k: v for k, v in value.items() if k != "__type"}
        names = {m.serialization.get("name", n): m for n, m in shape.members.items() if m.serialization.get("location") is None}
        for key, v in body.items():
            if key in names:
                self.json_value(f"error {code}.{key}", names[key], v)
            elif key.lower() not in ("message", "code", "type") and self.strict_members:
                self.report("error", f"{code} has the member {key}, which it does not have")
        for name in shape.required_members:
            key = shape.members[name].serialization.get("name", name)
            if key not in body and key in names:
                self.report("error", f"{code}: {name} is required, but missing")


def local(node):
    return node.tag.rsplit("}", 1)[-1]


def find(node, name):
    for child in node:
        if local(child) == name:
            return child
    return None
