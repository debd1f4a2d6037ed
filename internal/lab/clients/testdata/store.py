"""Checks of S3."""

import base64
import datetime
import hashlib
import http.client
import io
import json
import urllib.error
import urllib.parse
import urllib.request

from boto3.s3.transfer import TransferConfig
from lab import ELSEWHERE, MEMBERS, MODERN, REGION, VERSION, client, equal, refused, resource

from botocore.exceptions import ClientError


def bucket(s3, name, **more):
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION}, **more)
    s3.get_waiter("bucket_exists").wait(Bucket=name, WaiterConfig={"Delay": 1, "MaxAttempts": 2})
    return name


def check_buckets():
    """buckets and each of their configurations"""
    s3 = client("s3")
    with refused("404"):
        s3.head_bucket(Bucket="boto3-buckets")
    with refused("NoSuchBucket", s3.exceptions.NoSuchBucket):
        s3.list_objects_v2(Bucket="boto3-buckets")
    b = bucket(s3, "boto3-buckets")
    equal(s3.get_bucket_location(Bucket=b)["LocationConstraint"], REGION)
    assert b in [x["Name"] for x in s3.list_buckets()["Buckets"]]
    if MODERN:
        pages = s3.get_paginator("list_buckets").paginate(Prefix="boto3-", PaginationConfig={"PageSize": 1})
        assert b in [x["Name"] for p in pages for x in p["Buckets"]]
    with refused("BucketAlreadyOwnedByYou", s3.exceptions.BucketAlreadyOwnedByYou):
        bucket(s3, b)
    other = client("s3", MEMBERS[0])
    with refused("BucketAlreadyExists", other.exceptions.BucketAlreadyExists):
        bucket(other, b)
    with refused("AccessDenied"):
        other.list_objects_v2(Bucket=b)
    with refused("IllegalLocationConstraintException"):
        s3.create_bucket(Bucket="boto3-elsewhere")
    with refused("InvalidBucketName"):
        bucket(s3, "boto3-Upper")

    equal(s3.get_bucket_versioning(Bucket=b).get("Status"), None)
    s3.put_bucket_versioning(Bucket=b, VersioningConfiguration={"Status": "Enabled"})
    equal(s3.get_bucket_versioning(Bucket=b)["Status"], "Enabled")
    with refused("NoSuchBucketPolicy"):
        s3.get_bucket_policy(Bucket=b)
    policy = {"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{MEMBERS[0]}:root"}, "Action": "s3:ListBucket", "Resource": f"arn:aws:s3:::{b}"}]}
    s3.put_bucket_policy(Bucket=b, Policy=json.dumps(policy))
    equal(json.loads(s3.get_bucket_policy(Bucket=b)["Policy"]), policy)
    equal(s3.get_bucket_policy_status(Bucket=b)["PolicyStatus"]["IsPublic"], False)
    other.list_objects_v2(Bucket=b)
    s3.delete_bucket_policy(Bucket=b)
    with refused("MalformedPolicy"):
        s3.put_bucket_policy(Bucket=b, Policy='{"a":')
    equal(s3.get_bucket_encryption(Bucket=b)["ServerSideEncryptionConfiguration"]["Rules"][0]
          ["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"], "AES256")
    s3.put_bucket_encryption(Bucket=b, ServerSideEncryptionConfiguration={"Rules": [{
        "ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}, "BucketKeyEnabled": True}]})
    s3.delete_bucket_encryption(Bucket=b)
    block = {"BlockPublicAcls": True, "IgnorePublicAcls": True, "BlockPublicPolicy": True, "RestrictPublicBuckets": False}
    s3.put_public_access_block(Bucket=b, PublicAccessBlockConfiguration=block)
    equal(s3.get_public_access_block(Bucket=b)["PublicAccessBlockConfiguration"], block)
    s3.delete_public_access_block(Bucket=b)
    with refused("NoSuchPublicAccessBlockConfiguration"):
        s3.get_public_access_block(Bucket=b)
    assert s3.get_bucket_acl(Bucket=b)["Owner"]["ID"]
    with refused("AccessControlListNotSupported"):
        s3.put_bucket_acl(Bucket=b, ACL="public-read")
    s3.put_bucket_ownership_controls(Bucket=b, OwnershipControls={"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]})
    equal(s3.get_bucket_ownership_controls(Bucket=b)["OwnershipControls"]["Rules"], [{"ObjectOwnership": "BucketOwnerEnforced"}])
    s3.delete_bucket_ownership_controls(Bucket=b)
    tags = [{"Key": "team", "Value": "security"}]
    s3.put_bucket_tagging(Bucket=b, Tagging={"TagSet": tags})
    equal(s3.get_bucket_tagging(Bucket=b)["TagSet"], tags)
    s3.delete_bucket_tagging(Bucket=b)
    with refused("NoSuchTagSet"):
        s3.get_bucket_tagging(Bucket=b)
    rules = [{"ID": "old", "Status": "Enabled", "Filter": {"Prefix": "logs/"}, "Expiration": {"Days": 30},
              "Transitions": [{"Days": 10, "StorageClass": "GLACIER"}],
              "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1}}]
    s3.put_bucket_lifecycle_configuration(Bucket=b, LifecycleConfiguration={"Rules": rules})
    equal(s3.get_bucket_lifecycle_configuration(Bucket=b)["Rules"], rules)
    s3.delete_bucket_lifecycle(Bucket=b)
    with refused("NoSuchLifecycleConfiguration"):
        s3.get_bucket_lifecycle_configuration(Bucket=b)
    with refused("NotImplemented"):
        s3.get_bucket_cors(Bucket=b)
    s3.delete_bucket(Bucket=b)
    s3.get_waiter("bucket_not_exists").wait(Bucket=b, WaiterConfig={"Delay": 1, "MaxAttempts": 2})
    home = client("s3", region=ELSEWHERE)
    home.create_bucket(Bucket="boto3-home")
    assert home.get_bucket_location(Bucket="boto3-home")["LocationConstraint"] is None
    s3.head_bucket(Bucket="boto3-home")


def check_objects():
    """objects: put, read, list, copy, tag, delete; conditions, ranges, checksums"""
    s3 = client("s3")
    b = bucket(s3, "boto3-objects")
    keys = ["a b+c&d=é.txt", "AWSLogs/1/x", "AWSLogs/2/y", "<tag>", "日本/語"]
    for k in keys:
        put = s3.put_object(Bucket=b, Key=k, Body=k.encode(), ContentType="text/plain", Metadata={"who": "boto3"})
        equal(put["ETag"], '"' + hashlib.md5(k.encode()).hexdigest() + '"')
    s3.get_waiter("object_exists").wait(Bucket=b, Key=keys[0], WaiterConfig={"Delay": 1, "MaxAttempts": 2})
    for operation in "list_objects", "list_objects_v2":
        pages = s3.get_paginator(operation).paginate(Bucket=b, PaginationConfig={"PageSize": 2})
        equal([o["Key"] for p in pages for o in p["Contents"]], sorted(keys, key=str.encode))
    page = s3.list_objects_v2(Bucket=b, Prefix="AWSLogs/", Delimiter="/", FetchOwner=True)
    equal([p["Prefix"] for p in page["CommonPrefixes"]], ["AWSLogs/1/", "AWSLogs/2/"])
    got = s3.get_object(Bucket=b, Key=keys[0])
    equal((got["Body"].read().decode(), got["Metadata"], got["ContentType"]), (keys[0], {"who": "boto3"}, "text/plain"))
    assert isinstance(got["LastModified"], datetime.datetime)
    part = s3.get_object(Bucket=b, Key="AWSLogs/1/x", Range="bytes=3-6")
    equal((part["Body"].read(), part["ContentRange"]), (b"Logs", "bytes 3-6/11"))
    with refused("InvalidRange"):
        s3.get_object(Bucket=b, Key="AWSLogs/1/x", Range="bytes=99-")
    with refused("304"):
        s3.get_object(Bucket=b, Key="AWSLogs/1/x", IfNoneMatch=part["ETag"])
    with refused("PreconditionFailed"):
        s3.get_object(Bucket=b, Key="AWSLogs/1/x", IfMatch='"other"')
    with refused("404"):
        s3.head_object(Bucket=b, Key="nothing")
    with refused("NoSuchKey", s3.exceptions.NoSuchKey):
        s3.get_object(Bucket=b, Key="nothing")
    if MODERN:
        with refused("PreconditionFailed"):
            s3.put_object(Bucket=b, Key="AWSLogs/1/x", Body=b"again", IfNoneMatch="*")
    algorithms = ["CRC32", "SHA1", "SHA256"] + (["CRC64NVME"] if VERSION >= (1, 38) and has_crt() else [])
    for algorithm in algorithms:
        key = f"sums/{algorithm}"
        s3.put_object(Bucket=b, Key=key, Body=b"body", ChecksumAlgorithm=algorithm)
        got = s3.get_object(Bucket=b, Key=key, ChecksumMode="ENABLED")
        equal(got["Body"].read(), b"body")  # where botocore compares
        assert got["Checksum" + algorithm], got
    equal(s3.get_object_attributes(Bucket=b, Key="sums/SHA256", ObjectAttributes=["ETag", "ObjectSize", "Checksum", "StorageClass"])
          ["Checksum"]["ChecksumSHA256"], sha256(b"body"))
    with refused("InvalidDigest"):
        s3.put_object(Bucket=b, Key="x", Body=b"body", ContentMD5="nonsense")
    with refused("BadDigest"):
        s3.put_object(Bucket=b, Key="x", Body=b"body", ContentMD5="XrY7u+Ae7tCTyyK7j1rNww==")
    copied = s3.copy_object(Bucket=b, Key="copy é", CopySource={"Bucket": b, "Key": keys[0]}, MetadataDirective="REPLACE", Metadata={"of": "it"})
    equal(copied["CopyObjectResult"]["ETag"], s3.head_object(Bucket=b, Key="copy é")["ETag"])
    s3.put_object_tagging(Bucket=b, Key="copy é", Tagging={"TagSet": [{"Key": "a", "Value": "b c"}]})
    equal(s3.get_object_tagging(Bucket=b, Key="copy é")["TagSet"], [{"Key": "a", "Value": "b c"}])
    s3.delete_object_tagging(Bucket=b, Key="copy é")
    assert s3.get_object_acl(Bucket=b, Key="copy é")["Grants"]
    with refused("AccessControlListNotSupported"):
        s3.put_object_acl(Bucket=b, Key="copy é", ACL="public-read")
    gone = s3.delete_objects(Bucket=b, Delete={"Objects": [{"Key": k} for k in [*keys, "nothing"]]})
    equal(sorted(d["Key"] for d in gone["Deleted"]), sorted([*keys, "nothing"]))
    s3.delete_object(Bucket=b, Key="copy é")
    s3.get_waiter("object_not_exists").wait(Bucket=b, Key="copy é", WaiterConfig={"Delay": 1, "MaxAttempts": 2})
    with refused("BucketNotEmpty"):
        s3.delete_bucket(Bucket=b)


def sha256(body):
    return base64.b64encode(hashlib.sha256(body).digest()).decode()


def has_crt():
    try:
        import awscrt  # noqa: F401
    except ImportError:
        return False
    return True


def check_multipart():
    """uploads in parts, by hand and by boto3's own transfers"""
    s3 = client("s3")
    b = bucket(s3, "boto3-parts")
    body = bytes(range(256)) * (20 << 12)  # 20 MiB
    settings = TransferConfig(multipart_threshold=8 << 20, multipart_chunksize=8 << 20, max_concurrency=4)
    s3.upload_fileobj(io.BytesIO(body), b, "large", Config=settings)
    head = s3.head_object(Bucket=b, Key="large")
    equal(head["ContentLength"], len(body))
    assert head["ETag"].endswith('-3"'), head["ETag"]
    back = io.BytesIO()
    s3.download_fileobj(b, "large", back, Config=settings)
    equal(hashlib.sha256(back.getvalue()).digest(), hashlib.sha256(body).digest())
    s3.copy({"Bucket": b, "Key": "large"}, b, "copied", Config=settings)
    equal(s3.head_object(Bucket=b, Key="copied")["ContentLength"], len(body))

    upload = s3.create_multipart_upload(Bucket=b, Key="by hand", ChecksumAlgorithm="SHA256")["UploadId"]
    one = s3.upload_part(Bucket=b, Key="by hand", UploadId=upload, PartNumber=1, Body=body[:5 << 20], ChecksumAlgorithm="SHA256")
    two = s3.upload_part_copy(Bucket=b, Key="by hand", UploadId=upload, PartNumber=2, CopySource={"Bucket": b, "Key": "large"},
                              CopySourceRange="bytes=0-9")["CopyPartResult"]
    equal([u["UploadId"] for p in s3.get_paginator("list_multipart_uploads").paginate(Bucket=b) for u in p["Uploads"]], [upload])
    parts = s3.get_paginator("list_parts").paginate(Bucket=b, Key="by hand", UploadId=upload, PaginationConfig={"PageSize": 1})
    equal([x["PartNumber"] for p in parts for x in p["Parts"]], [1, 2])
    done = s3.complete_multipart_upload(Bucket=b, Key="by hand", UploadId=upload, MultipartUpload={"Parts": [
        {"PartNumber": 1, "ETag": one["ETag"], "ChecksumSHA256": one["ChecksumSHA256"]},
        {"PartNumber": 2, "ETag": two["ETag"], "ChecksumSHA256": two["ChecksumSHA256"]}]})
    assert done["ETag"].endswith('-2"') and done["ChecksumSHA256"].endswith("-2"), done
    equal(s3.get_object(Bucket=b, Key="by hand")["Body"].read(), body[:5 << 20] + body[:10])
    upload = s3.create_multipart_upload(Bucket=b, Key="given up")["UploadId"]
    s3.upload_part(Bucket=b, Key="given up", UploadId=upload, PartNumber=1, Body=b"small")
    s3.upload_part(Bucket=b, Key="given up", UploadId=upload, PartNumber=2, Body=b"small")
    etag = '"' + hashlib.md5(b"small").hexdigest() + '"'
    with refused("EntityTooSmall"):
        s3.complete_multipart_upload(Bucket=b, Key="given up", UploadId=upload, MultipartUpload={"Parts": [
            {"PartNumber": 1, "ETag": etag}, {"PartNumber": 2, "ETag": etag}]})
    with refused("InvalidPart"):
        s3.complete_multipart_upload(Bucket=b, Key="given up", UploadId=upload, MultipartUpload={"Parts": [{"PartNumber": 9, "ETag": etag}]})
    s3.abort_multipart_upload(Bucket=b, Key="given up", UploadId=upload)
    with refused("NoSuchUpload", s3.exceptions.NoSuchUpload):
        s3.list_parts(Bucket=b, Key="given up", UploadId=upload)


def check_versions():
    """versions, delete markers, and objects that are locked"""
    s3 = client("s3")
    b = bucket(s3, "boto3-versions", ObjectLockEnabledForBucket=True)
    first = s3.put_object(Bucket=b, Key="k", Body=b"1")["VersionId"]
    second = s3.put_object(Bucket=b, Key="k", Body=b"2")["VersionId"]
    equal(s3.get_object(Bucket=b, Key="k", VersionId=first)["Body"].read(), b"1")
    marker = s3.delete_object(Bucket=b, Key="k")
    equal(marker["DeleteMarker"], True)
    with refused("NoSuchKey", s3.exceptions.NoSuchKey):
        s3.get_object(Bucket=b, Key="k")
    with refused("MethodNotAllowed"):
        s3.get_object(Bucket=b, Key="k", VersionId=marker["VersionId"])
    pages = list(s3.get_paginator("list_object_versions").paginate(Bucket=b, PaginationConfig={"PageSize": 1}))
    equal([v["VersionId"] for p in pages for v in p.get("Versions", [])], [second, first])
    equal([v["VersionId"] for p in pages for v in p.get("DeleteMarkers", [])], [marker["VersionId"]])
    s3.delete_object(Bucket=b, Key="k", VersionId=marker["VersionId"])
    equal(s3.get_object(Bucket=b, Key="k")["Body"].read(), b"2")
    s3.put_object_lock_configuration(Bucket=b, ObjectLockConfiguration={
        "ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}}})
    equal(s3.get_object_lock_configuration(Bucket=b)["ObjectLockConfiguration"]["Rule"]["DefaultRetention"]["Days"], 1)
    third = s3.put_object(Bucket=b, Key="k", Body=b"3")["VersionId"]
    equal(s3.get_object_retention(Bucket=b, Key="k")["Retention"]["Mode"], "GOVERNANCE")
    with refused("AccessDenied"):
        s3.delete_object(Bucket=b, Key="k", VersionId=third)
    s3.put_object_legal_hold(Bucket=b, Key="k", VersionId=first, LegalHold={"Status": "ON"})
    equal(s3.get_object_legal_hold(Bucket=b, Key="k", VersionId=first)["LegalHold"]["Status"], "ON")
    until = datetime.datetime(2027, 1, 1, tzinfo=datetime.timezone.utc)
    s3.put_object_retention(Bucket=b, Key="k", VersionId=second, Retention={"Mode": "GOVERNANCE", "RetainUntilDate": until})
    equal(s3.get_object_retention(Bucket=b, Key="k", VersionId=second)["Retention"]["RetainUntilDate"], until)
    s3.delete_object(Bucket=b, Key="k", VersionId=third, BypassGovernanceRetention=True)


def check_presigned():
    """links that anybody may follow, for a time"""
    for s3, name in (client("s3", signature_version="s3v4"), "boto3-links"), (client("s3"), "boto3-old-links"):
        links(s3, bucket(s3, name))


def links(s3, b):
    url = s3.generate_presigned_url("put_object", Params={"Bucket": b, "Key": "a b"}, ExpiresIn=600)
    at = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(at.netloc)  # urllib.request says a content type, which is signed in old links
    connection.request("PUT", at.path + "?" + at.query, b"by link")
    equal(connection.getresponse().status, 200)
    connection.close()
    url = s3.generate_presigned_url("get_object", Params={"Bucket": b, "Key": "a b", "ResponseContentType": "text/x-lab"}, ExpiresIn=600)
    assert ("X-Amz-Signature" in url) == ("old" not in b), url
    with urllib.request.urlopen(url) as answer:
        equal((answer.read(), answer.headers["Content-Type"]), (b"by link", "text/x-lab"))
    for wrong in url + "0", url.replace("a%20b", "other"):
        try:
            urllib.request.urlopen(wrong)
        except urllib.error.HTTPError as e:
            equal(e.code, 403)
            assert b"<Code>SignatureDoesNotMatch</Code>" in e.read()
        else:
            raise AssertionError("a link that was changed works")


def check_resource():
    """the resource interface of boto3: buckets and objects as objects"""
    s3 = resource("s3")
    b = s3.Bucket("boto3-things")
    b.create(CreateBucketConfiguration={"LocationConstraint": REGION})
    b.wait_until_exists()
    for i in range(3):
        b.put_object(Key=f"k{i}", Body=str(i).encode())
    equal([o.key for o in b.objects.filter(Prefix="k")], ["k0", "k1", "k2"])
    equal(s3.Object(b.name, "k1").get()["Body"].read(), b"1")
    equal(s3.Object(b.name, "k1").content_length, 1)
    b.Versioning().enable()
    equal(b.Versioning().status, "Enabled")
    b.objects.all().delete()
    b.object_versions.all().delete()
    b.delete()
    b.wait_until_not_exists()
    try:
        b.load()
        equal(b.creation_date, None)
    except ClientError as e:
        equal(e.response["Error"]["Code"], "404")
