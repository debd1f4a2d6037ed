"""What the checks share: clients for any account and region of the lab, and what the lab itself is asked."""

import contextlib
import io
import json
import os
import urllib.request
import zipfile

import boto3
import botocore
import botocore.loaders
import botocore.session
from botocore.config import Config
from botocore.exceptions import ClientError

URL = os.environ["AWS_ENDPOINT_URL"]
VERSION = tuple(int(n) for n in botocore.__version__.split(".")[:2])
MODERN = VERSION >= (1, 31)  # it reads AWS_ENDPOINT_URL, and knows what there is today

REGION, ELSEWHERE = "ap-northeast-1", "us-east-1"


def ask(method, path, body=None):
    """Asks the lab itself, beside what it imitates."""
    request = urllib.request.Request(URL + path, method=method, headers={"Content-Type": "application/json"})
    if body is not None:
        request.data = json.dumps(body).encode()
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


ACCOUNTS = {a["id"]: a for a in ask("GET", "/_lab/accounts")}
ADMINISTRATOR = next(i for i, a in ACCOUNTS.items() if a["role"] == "administrator")
MANAGEMENT = next(i for i, a in ACCOUNTS.items() if a["role"] == "management")
MEMBERS = [i for i, a in ACCOUNTS.items() if a["role"] == "member"]


def advance(text):
    return ask("POST", "/_lab/clock", {"advance": text})


MODELS = botocore.loaders.create_loader()  # reading them takes most of the time that a client is made in


def keyed(key_id, secret, token=None, region=REGION):
    session = botocore.session.get_session()
    session.register_component("data_loader", MODELS)
    return boto3.Session(key_id, secret, token, region, botocore_session=session)


def session(account, region=REGION):
    key = ACCOUNTS[account]
    return keyed(key["accessKeyId"], key["secretAccessKey"], region=region)


def arguments(**config):
    out = {"config": Config(retries={"max_attempts": 8, "mode": "standard"}, **config)}
    if not MODERN:
        out["endpoint_url"] = URL
    return out


def client(service, account=None, region=REGION, **config):
    return session(account or ADMINISTRATOR, region).client(service, **arguments(**config))


def resource(service, account=None, region=REGION):
    return session(account or ADMINISTRATOR, region).resource(service, **arguments())


def knows(service_client, *operations):
    """Tells whether this botocore has the operations."""
    return all(hasattr(service_client, o) for o in operations)


@contextlib.contextmanager
def refused(code, exception=None, silent=False):
    """The calls in it fail with an error code, and as a class of exception."""
    try:
        yield
    except ClientError as e:
        got = e.response["Error"]["Code"]
        assert got == code, f"the code is {got}, not {code}: {e}"
        assert silent or e.response["Error"]["Message"], f"{code} has no message"
        assert exception is None or isinstance(e, exception), f"{code} is a {type(e)}, not a {exception}"
    else:
        raise AssertionError(f"{code} was expected, but it was done")


def equal(got, want):
    assert got == want, f"got {got!r}, want {want!r}"


def zipped(name, text):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as z:
        info = zipfile.ZipInfo(name)
        info.external_attr = 0o755 << 16
        z.writestr(info, text)
    return out.getvalue()


def trust(principal):
    return json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"Service": principal}, "Action": "sts:AssumeRole"}]})


def allow(actions, resources):
    return json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": actions, "Resource": resources}]})


def role(name, principal, actions, resources, account=None):
    """Makes a role that a service may take, and gives its ARN."""
    iam = client("iam", account)
    made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust(principal))
    iam.put_role_policy(RoleName=name, PolicyName=name, PolicyDocument=allow(actions, resources))
    return made["Role"]["Arn"]
