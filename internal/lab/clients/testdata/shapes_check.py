"""Proves that shapes.py finds what is wrong: it is given answers that are."""

import botocore.parsers
import shapes
from lab import MODERN, client, equal

OPERATIONS = {
    "securityhub": "ListMembers", "sqs": "ReceiveMessage", "sns": "ListTopics", "s3": "ListObjectsV2", "iam": "GetRole", "inspector": "ListFindings",
}


def problems(service, body, status=200, headers=None):
    checker = shapes.Checker()
    checker.operation = client(service).meta.service_model.operation_model(OPERATIONS[service])
    response = {"status_code": status, "headers": headers or {}, "body": body.encode()}
    checker.answer(botocore.parsers.ResponseParser(), response, checker.operation.output_shape)
    return [p.split(": ", 1)[1] for p in checker.problems]


def check_json():
    """members that are unknown, missing, null or of another type"""
    equal(problems("securityhub", '{"Members": [{"AccountId": "1", "InvitedAt": "2026-11-22T00:00:00Z"}]}'), [])
    for body, want in (
            ('[]', "answer: is list, not an object"), ('{"members": []}', "answer: has the member members, which ListMembersResponse does not have"),
            ('{"Members": {}}', "answer.Members: is dict, not a list"), ('{"Members": null}', "answer: Members is null"),
            ('{"Members": [{"AccountId": 1}]}', "answer.Members[].AccountId: is 1, not a text"),
            ('{"Members": [{"InvitedAt": 1}]}', "answer.Members[].InvitedAt: is 1, not a time as text"),
            ('{"Members": [{"InvitedAt": "today"}]}', "answer.Members[].InvitedAt: is 'today', not a time (iso8601)")):
        equal(problems("securityhub", body), [want])
    equal(problems("inspector", "{}"), ["answer: findingArns is required, but missing"])


def check_xml():
    """elements that are unknown, missing, in another list or namespace"""
    namespace = "http://sns.amazonaws.com/doc/2010-03-31/"
    frame = '<ListTopicsResponse xmlns="' + namespace + '">%s<ResponseMetadata/></ListTopicsResponse>'
    good = "<ListTopicsResult><Topics><member><TopicArn>a</TopicArn></member></Topics></ListTopicsResult>"
    equal(problems("sns", frame % good), [])
    equal(problems("sns", frame % good.replace("member", "item")), ["answer.Topics: has the element item, not member"])
    equal(problems("sns", frame % good.replace("TopicArn", "Arn")), ["answer.Topics[]: has the element Arn, which the model does not have"])
    equal(problems("sns", frame % ""), ["answer: ListTopicsResult is missing"])
    equal(len(problems("sns", (frame % good).replace(namespace, "urn:x"))), 1)
    equal(problems("s3", "<ListBucketResult><Name>b</Name><KeyCount>1</KeyCount><Contents><Key>k</Key></Contents></ListBucketResult>"), [])
    equal(problems("s3", "<ListBucketResult><KeyCount>one</KeyCount><Contents><LastModified>1</LastModified></Contents></ListBucketResult>"),
          ["answer.KeyCount: is 'one', not a whole number", "answer.Contents[].LastModified: is '1', not a time (iso8601)"])
    role = "<Path>/</Path><RoleName>r</RoleName><RoleId>i</RoleId><Arn>a</Arn><CreateDate>2026-11-22T00:00:00Z</CreateDate>"
    frame = ('<GetRoleResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><GetRoleResult><Role>%s</Role></GetRoleResult>'
             "<ResponseMetadata/></GetRoleResponse>")
    equal(problems("iam", frame % role), [])
    equal(problems("iam", frame % role.replace("<Path>/</Path>", "")), ["answer.Role: Path is required, but missing"])


def check_errors():
    """errors that the operation does not have, and members that they need"""
    equal(problems("securityhub", '{"Message": "m", "Code": "c"}', 401, {"x-amzn-errortype": "InvalidAccessException"}), [])
    assert "is none of its errors" in problems("securityhub", "{}", 400, {"x-amzn-errortype": "NoSuchThing"})[0]
    equal(problems("inspector", '{"__type": "InvalidInputException", "message": "m", "errorCode": "INVALID_FINDING_ARN"}', 400),
          ["error: InvalidInputException: canRetry is required, but missing"])
    equal(len(problems("s3", "<Oops/>", 400)), 1)
    if MODERN:
        equal(problems("sqs", '{"__type": "com.amazonaws.sqs#QueueDoesNotExist", "message": "m"}', 400), [])
