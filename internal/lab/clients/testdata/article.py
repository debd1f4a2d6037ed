"""The article's two ways, built by boto3 and nothing else. The lab's accounts are in no organization."""

import json
import re

from lab import ADMINISTRATOR, ELSEWHERE, MEMBERS, REGION, advance, allow, ask, client, equal, resource, role, trust, zipped
from messaging import BOOTSTRAP

MEMBER = MEMBERS[0]
BUCKET = f"aws-logs-inspector-{ADMINISTRATOR}"
PATTERN = {"source": ["aws.securityhub"], "detail-type": ["Security Hub Findings - Imported"],
           "detail": {"findings": {"ProductFields": {"aws/securityhub/ProductName": ["Inspector"]}}}}


def enable(account, region):
    client("inspector2", account, region).enable(resourceTypes=["EC2"])
    hub = client("securityhub", account, region)
    hub.enable_security_hub(EnableDefaultStandards=False)
    hub.enable_import_findings_for_product(ProductArn=f"arn:aws:securityhub:{region}::product/aws/inspector")


def invite(region):
    admin, member = client("securityhub", region=region), client("securityhub", MEMBER, region)
    equal(admin.create_members(AccountDetails=[{"AccountId": MEMBER, "Email": "security@example.com"}])["UnprocessedAccounts"], [])
    equal(admin.invite_members(AccountIds=[MEMBER])["UnprocessedAccounts"], [])
    invitation = member.list_invitations()["Invitations"][0]
    member.accept_administrator_invitation(AdministratorId=invitation["AccountId"], InvitationId=invitation["InvitationId"])
    equal([(m["AccountId"], m["MemberStatus"]) for m in admin.list_members()["Members"]], [(MEMBER, "Enabled")])


def stream(region, firehose_role, events_role):
    firehose, events = client("firehose", region=region), client("events", region=region)
    arn = firehose.create_delivery_stream(DeliveryStreamName="inspector", ExtendedS3DestinationConfiguration={
        "RoleARN": firehose_role, "BucketARN": f"arn:aws:s3:::{BUCKET}",
        "Prefix": "AWSLogs/!{partitionKeyFromQuery:account}/Inspector/!{partitionKeyFromQuery:region}/!{timestamp:yyyy/MM/dd/HH}/",
        "ErrorOutputPrefix": "errors/", "BufferingHints": {"SizeInMBs": 64, "IntervalInSeconds": 60},
        "DynamicPartitioningConfiguration": {"Enabled": True},
        "ProcessingConfiguration": {"Enabled": True, "Processors": [
            {"Type": "MetadataExtraction", "Parameters": [
                {"ParameterName": "MetadataExtractionQuery", "ParameterValue": "{account:.AwsAccountId,region:.Region}"},
                {"ParameterName": "JsonParsingEngine", "ParameterValue": "JQ-1.6"}]},
            {"Type": "AppendDelimiterToRecord", "Parameters": [{"ParameterName": "Delimiter", "ParameterValue": "\\n"}]}]}})["DeliveryStreamARN"]
    advance("1m")
    equal(firehose.describe_delivery_stream(DeliveryStreamName="inspector")["DeliveryStreamDescription"]["DeliveryStreamStatus"], "ACTIVE")
    events.put_rule(Name="inspector", EventPattern=json.dumps(PATTERN))
    put = events.put_targets(Rule="inspector", Targets=[
        {"Id": "firehose", "Arn": arn, "RoleArn": events_role, "InputPath": "$.detail.findings[0]"}])
    equal(put["FailedEntries"], [])


def check_way_a():
    """Inspector, Security Hub, EventBridge, Firehose, S3: two accounts in two regions, one bucket"""
    s3 = resource("s3")
    bucket = s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    bucket.wait_until_exists()
    firehose_role = role("firehose", "firehose.amazonaws.com", "s3:*", [f"arn:aws:s3:::{BUCKET}", f"arn:aws:s3:::{BUCKET}/*"])
    events_role = role("events", "events.amazonaws.com", ["firehose:PutRecord", "firehose:PutRecordBatch"], "*")
    for region in REGION, ELSEWHERE:
        for account in ADMINISTRATOR, MEMBER:
            enable(account, region)
        invite(region)
        stream(region, firehose_role, events_role)
    for region in REGION, ELSEWHERE:
        for account in ADMINISTRATOR, MEMBER:
            equal(ask("POST", "/_lab/findings", {"account": account, "region": region, "count": 25})["opened"], 25)
    ask("POST", "/_lab/flush", {})
    there = {}
    for o in bucket.objects.all():
        account, region = re.match(r"AWSLogs/(\d{12})/Inspector/([a-z0-9-]+)/2026/\d\d/\d\d/\d\d/", o.key).groups()
        for line in o.get()["Body"].iter_lines():
            found = json.loads(line)
            equal((found["AwsAccountId"], found["Region"]), (account, region))
            there.setdefault((account, region), set()).add(found["Id"])
    for region in REGION, ELSEWHERE:
        pages = client("securityhub", region=region).get_paginator("get_findings").paginate(
            Filters={"ProductName": [{"Value": "Inspector", "Comparison": "EQUALS"}]}, PaginationConfig={"PageSize": 20})
        findings = [f for p in pages for f in p["Findings"]]
        equal(len(findings), 50)
        for account in ADMINISTRATOR, MEMBER:
            equal(there[account, region], {f["Id"] for f in findings if f["AwsAccountId"] == account})


def check_way_b():
    """a run of Inspector Classic, its ARN by SNS, a function of Python and boto3, S3"""
    inspector, sns, functions, s3 = (client(s, MEMBERS[1]) for s in ("inspector", "sns", "lambda", "s3"))
    s3.create_bucket(Bucket="boto3-runs", CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.get_waiter("bucket_exists").wait(Bucket="boto3-runs")
    iam = client("iam", MEMBERS[1])
    made = iam.create_role(RoleName="run", AssumeRolePolicyDocument=trust("lambda.amazonaws.com"))
    iam.put_role_policy(RoleName="run", PolicyName="run", PolicyDocument=allow(
        ["inspector:ListFindings", "inspector:DescribeFindings", "s3:PutObject"], "*"))
    function = functions.create_function(
        FunctionName="run", Runtime="provided.al2023", Handler="bootstrap", Role=made["Role"]["Arn"], Timeout=60,
        Code={"ZipFile": zipped("bootstrap", BOOTSTRAP + HANDLER)})["FunctionArn"]
    functions.get_waiter("function_active").wait(FunctionName="run")
    packages = inspector.list_rules_packages()["rulesPackageArns"]
    topic = sns.create_topic(Name="runs")["TopicArn"]
    sns.set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{packages[0].split(':')[4]}:root"}, "Action": "sns:Publish", "Resource": topic}]}))
    functions.add_permission(
        FunctionName="run", StatementId="sns", Action="lambda:InvokeFunction", Principal="sns.amazonaws.com", SourceArn=topic)
    sns.subscribe(TopicArn=topic, Protocol="lambda", Endpoint=function)
    target = inspector.create_assessment_target(assessmentTargetName="all")["assessmentTargetArn"]
    template = inspector.create_assessment_template(
        assessmentTargetArn=target, assessmentTemplateName="run", durationInSeconds=900, rulesPackageArns=packages)["assessmentTemplateArn"]
    inspector.subscribe_to_event(resourceArn=template, event="ASSESSMENT_RUN_COMPLETED", topicArn=topic)
    run = inspector.start_assessment_run(assessmentTemplateArn=template)["assessmentRunArn"]
    advance("1h")
    equal(inspector.describe_assessment_runs(assessmentRunArns=[run])["assessmentRuns"][0]["state"], "COMPLETED")
    arns = [a for p in inspector.get_paginator("list_findings").paginate(assessmentRunArns=[run]) for a in p["findingArns"]]
    body = s3.get_object(Bucket="boto3-runs", Key=run.split("/")[-1] + ".json")["Body"].read()
    written = [json.loads(line) for line in body.splitlines()]
    assert written, "the run has no findings"
    equal(sorted(f["arn"] for f in written), sorted(arns))


# What the function does: it asks for the findings of the run that the message names, and writes one a line.
HANDLER = """
import boto3
inspector, s3 = (boto3.client(s, endpoint_url=os.environ["AWS_ENDPOINT_URL"]) for s in ("inspector", "s3"))

def handle(event):
    for record in event["Records"]:
        run = json.loads(record["Sns"]["Message"])["run"]
        lines = []
        for page in inspector.get_paginator("list_findings").paginate(assessmentRunArns=[run], PaginationConfig={"PageSize": 10}):
            if page["findingArns"]:
                lines += inspector.describe_findings(findingArns=page["findingArns"])["findings"]
        body = "".join(json.dumps(f, default=str) + "\\n" for f in lines)
        s3.put_object(Bucket="boto3-runs", Key=run.split("/")[-1] + ".json", Body=body.encode())

serve(handle)
"""
