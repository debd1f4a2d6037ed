"""Checks of what carries events: SQS, SNS, EventBridge, Firehose, Lambda."""

import gzip
import hashlib
import json
import sys

from lab import (ADMINISTRATOR, MEMBERS, MODERN, REGION, advance, allow, ask, client, equal, knows, refused, resource, role, zipped)


def check_sqs():
    """queues, messages and their checksums, dead letters"""
    sqs = client("sqs")
    missing = "AWS.SimpleQueueService.NonExistentQueue"
    with refused(missing, sqs.exceptions.QueueDoesNotExist):
        sqs.get_queue_url(QueueName="nothing")
    dead = sqs.create_queue(QueueName="work-dead", tags={"stage": "test"})["QueueUrl"]
    dead_arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    url = sqs.create_queue(QueueName="work", Attributes={
        "VisibilityTimeout": "30", "RedrivePolicy": json.dumps({"deadLetterTargetArn": dead_arn, "maxReceiveCount": 1})})["QueueUrl"]
    equal(sqs.get_queue_url(QueueName="work")["QueueUrl"], url)
    assert {url, dead} <= {u for p in sqs.get_paginator("list_queues").paginate(QueueNamePrefix="work", PaginationConfig={"PageSize": 1})
                           for u in p["QueueUrls"]}
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "10"})
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    equal((attributes["VisibilityTimeout"], attributes["QueueArn"]), ("10", f"arn:aws:sqs:{REGION}:{ADMINISTRATOR}:work"))
    sqs.tag_queue(QueueUrl=url, Tags={"team": "security"})
    equal(sqs.list_queue_tags(QueueUrl=url)["Tags"], {"team": "security"})
    sqs.untag_queue(QueueUrl=url, TagKeys=["team"])
    sqs.add_permission(QueueUrl=url, Label="others", AWSAccountIds=[MEMBERS[0]], Actions=["SendMessage"])
    sqs.remove_permission(QueueUrl=url, Label="others")

    # botocore compares MD5OfMessageBody itself, and fails where it is not that of the body
    sent = sqs.send_message(QueueUrl=url, MessageBody="wörk <&>", MessageAttributes={
        "kind": {"DataType": "String", "StringValue": "finding"}, "blob": {"DataType": "Binary", "BinaryValue": b"\x00\x01"}},
        MessageSystemAttributes={"AWSTraceHeader": {"DataType": "String", "StringValue": "Root=1-5f8f-0"}})
    equal(sent["MD5OfMessageBody"], hashlib.md5("wörk <&>".encode()).hexdigest())
    assert sent["MD5OfMessageSystemAttributes"], sent
    batch = sqs.send_message_batch(QueueUrl=url, Entries=[
        {"Id": "a", "MessageBody": "one"}, {"Id": "b", "MessageBody": "two", "DelaySeconds": 901}])
    equal(([s["Id"] for s in batch["Successful"]], [f["Id"] for f in batch["Failed"]]), (["a"], ["b"]))
    got = sqs.receive_message(
        QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"], AttributeNames=["All"])["Messages"]
    first = next(m for m in got if m["Body"] == "wörk <&>")
    equal(first["MessageAttributes"]["blob"], {"DataType": "Binary", "BinaryValue": b"\x00\x01"})
    equal(first["Attributes"]["ApproximateReceiveCount"], "1")
    sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=first["ReceiptHandle"], VisibilityTimeout=20)
    changed = sqs.change_message_visibility_batch(QueueUrl=url, Entries=[
        {"Id": str(i), "ReceiptHandle": m["ReceiptHandle"], "VisibilityTimeout": 0} for i, m in enumerate(got)])
    equal(len(changed["Successful"]), len(got))
    assert "Messages" not in sqs.receive_message(QueueUrl=url), "what was received once goes to the dead letters"
    got = sqs.receive_message(QueueUrl=dead, MaxNumberOfMessages=10)["Messages"]
    equal(len(got), 2)
    equal(sqs.list_dead_letter_source_queues(QueueUrl=dead)["queueUrls"], [url])
    sqs.change_message_visibility(QueueUrl=dead, ReceiptHandle=got[0]["ReceiptHandle"], VisibilityTimeout=0)
    if knows(sqs, "start_message_move_task"):
        for i in range(10):  # a second each
            sqs.send_message(QueueUrl=dead, MessageBody=str(i))
        task = sqs.start_message_move_task(SourceArn=dead_arn, MaxNumberOfMessagesPerSecond=1)
        equal(sqs.list_message_move_tasks(SourceArn=dead_arn)["Results"][0]["SourceArn"], dead_arn)
        sqs.cancel_message_move_task(TaskHandle=task["TaskHandle"])
        with refused("ResourceNotFoundException", sqs.exceptions.ResourceNotFoundException):
            sqs.start_message_move_task(SourceArn=dead_arn + "-nothing")
    sqs.delete_message(QueueUrl=dead, ReceiptHandle=got[0]["ReceiptHandle"])
    equal(len(sqs.delete_message_batch(QueueUrl=dead, Entries=[{"Id": "x", "ReceiptHandle": got[1]["ReceiptHandle"]}])["Successful"]), 1)
    with refused("ReceiptHandleIsInvalid", sqs.exceptions.ReceiptHandleIsInvalid):
        sqs.delete_message(QueueUrl=dead, ReceiptHandle="nonsense")
    with refused("AWS.SimpleQueueService.EmptyBatchRequest", sqs.exceptions.EmptyBatchRequest):
        sqs.send_message_batch(QueueUrl=url, Entries=[])
    with refused("AWS.SimpleQueueService.BatchEntryIdsNotDistinct", sqs.exceptions.BatchEntryIdsNotDistinct):
        sqs.send_message_batch(QueueUrl=url, Entries=[{"Id": "a", "MessageBody": "1"}, {"Id": "a", "MessageBody": "2"}])
    with refused("InvalidAttributeName", sqs.exceptions.InvalidAttributeName):
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"Colour": "red"})
    with refused("QueueAlreadyExists", sqs.exceptions.QueueNameExists):
        sqs.create_queue(QueueName="work", Attributes={"VisibilityTimeout": "11"})
    sqs.purge_queue(QueueUrl=url)
    with refused("AWS.SimpleQueueService.PurgeQueueInProgress", sqs.exceptions.PurgeQueueInProgress):
        sqs.purge_queue(QueueUrl=url)
    sqs.delete_queue(QueueUrl=url)
    sqs.delete_queue(QueueUrl=dead)
    with refused(missing, sqs.exceptions.QueueDoesNotExist):
        sqs.send_message(QueueUrl=url, MessageBody="late")


def check_sqs_resource():
    """the resource interface of boto3: queues and messages as objects"""
    sqs = resource("sqs")
    queue = sqs.create_queue(QueueName="objects.fifo", Attributes={"FifoQueue": "true", "ContentBasedDeduplication": "true"})
    for body in "one", "two", "one":
        queue.send_message(MessageBody=body, MessageGroupId="g")
    messages = queue.receive_messages(MaxNumberOfMessages=10, AttributeNames=["MessageGroupId"], WaitTimeSeconds=1)
    equal([m.body for m in messages], ["one", "two"])
    equal(messages[0].attributes, {"MessageGroupId": "g"})
    for m in messages:
        m.delete()
    equal(sqs.get_queue_by_name(QueueName="objects.fifo").url, queue.url)
    equal(queue.attributes["ApproximateNumberOfMessages"], "0")
    assert queue.url in [q.url for q in sqs.queues.filter(QueueNamePrefix="objects")]
    queue.delete()


def check_sns():
    """topics, subscriptions, what is published"""
    sns, sqs = client("sns"), client("sqs")
    topic = sns.create_topic(Name="alerts", Tags=[{"Key": "team", "Value": "security"}])["TopicArn"]
    equal(topic, f"arn:aws:sns:{REGION}:{ADMINISTRATOR}:alerts")
    assert topic in [t["TopicArn"] for p in sns.get_paginator("list_topics").paginate() for t in p["Topics"]]
    sns.set_topic_attributes(TopicArn=topic, AttributeName="DisplayName", AttributeValue="Alerts")
    equal(sns.get_topic_attributes(TopicArn=topic)["Attributes"]["DisplayName"], "Alerts")
    equal(sns.list_tags_for_resource(ResourceArn=topic)["Tags"], [{"Key": "team", "Value": "security"}])
    sns.tag_resource(ResourceArn=topic, Tags=[{"Key": "stage", "Value": "test"}])
    sns.untag_resource(ResourceArn=topic, TagKeys=["team"])
    sns.add_permission(TopicArn=topic, Label="others", AWSAccountId=[MEMBERS[0]], ActionName=["Publish"])
    sns.remove_permission(TopicArn=topic, Label="others")
    url = sqs.create_queue(QueueName="alerts")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": topic}}}]})})
    subscription = sns.subscribe(
        TopicArn=topic, Protocol="sqs", Endpoint=arn, ReturnSubscriptionArn=True, Attributes={"FilterPolicy": '{"kind":["finding"]}'})["SubscriptionArn"]
    sns.set_subscription_attributes(SubscriptionArn=subscription, AttributeName="RawMessageDelivery", AttributeValue="false")
    equal(sns.get_subscription_attributes(SubscriptionArn=subscription)["Attributes"]["Endpoint"], arn)
    for pages in sns.get_paginator("list_subscriptions").paginate(), sns.get_paginator("list_subscriptions_by_topic").paginate(TopicArn=topic):
        equal([s["Endpoint"] for p in pages for s in p["Subscriptions"] if s["TopicArn"] == topic], [arn])
    kind = {"kind": {"DataType": "String", "StringValue": "finding"}}
    sent = sns.publish(TopicArn=topic, Message="hello", Subject="a finding", MessageAttributes=kind)
    sns.publish(TopicArn=topic, Message="not for the queue")
    batch = sns.publish_batch(TopicArn=topic, PublishBatchRequestEntries=[{"Id": "a", "Message": "more", "MessageAttributes": kind}])
    equal([e["Id"] for e in batch["Successful"]], ["a"])
    ask("POST", "/_lab/flush", {})
    bodies = [json.loads(m["Body"]) for m in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=2)["Messages"]]
    equal(sorted(b["Message"] for b in bodies), ["hello", "more"])
    equal(next(b["MessageId"] for b in bodies if b["Message"] == "hello"), sent["MessageId"])
    with refused("NotFound", sns.exceptions.NotFoundException):
        sns.publish(TopicArn=topic + "-nothing", Message="x")
    with refused("InvalidParameter", sns.exceptions.InvalidParameterException):
        sns.create_topic(Name="a b")
    with refused("InvalidParameter", sns.exceptions.InvalidParameterException):
        sns.confirm_subscription(TopicArn=topic, Token="nonsense")
    sns.unsubscribe(SubscriptionArn=subscription)
    sns.delete_topic(TopicArn=topic)
    with refused("NotFound", sns.exceptions.NotFoundException):
        sns.get_topic_attributes(TopicArn=topic)
    topic = resource("sns").create_topic(Name="objects")
    topic.publish(Message="as an object")
    topic.delete()


def check_events():
    """buses, rules, targets, events, patterns, connections and API destinations"""
    events, sqs = client("events"), client("sqs")
    equal(events.describe_event_bus()["Name"], "default")
    bus = events.create_event_bus(Name="ours", Tags=[{"Key": "team", "Value": "security"}])["EventBusArn"]
    assert bus in [b["Arn"] for b in events.list_event_buses(NamePrefix="ou")["EventBuses"]]
    if knows(events, "update_event_bus"):
        events.update_event_bus(Name="ours", Description="of this test")
    events.put_permission(EventBusName="ours", StatementId="others", Action="events:PutEvents", Principal=MEMBERS[0])
    assert MEMBERS[0] in events.describe_event_bus(Name="ours")["Policy"]
    events.remove_permission(EventBusName="ours", StatementId="others")
    pattern = {"source": ["mine"], "detail": {"severity": [{"numeric": [">", 5]}]}}
    rule = events.put_rule(Name="severe", EventBusName="ours", EventPattern=json.dumps(pattern), Tags=[{"Key": "a", "Value": "b"}])["RuleArn"]
    equal(json.loads(events.describe_rule(Name="severe", EventBusName="ours")["EventPattern"]), pattern)
    equal(events.list_tags_for_resource(ResourceARN=rule)["Tags"], [{"Key": "a", "Value": "b"}])
    events.tag_resource(ResourceARN=rule, Tags=[{"Key": "c", "Value": "d"}])
    events.untag_resource(ResourceARN=rule, TagKeys=["a"])
    url = sqs.create_queue(QueueName="severe")["QueueUrl"]
    arn = f"arn:aws:sqs:{REGION}:{ADMINISTRATOR}:severe"
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": arn}]})})
    put = events.put_targets(Rule="severe", EventBusName="ours", Targets=[
        {"Id": "queue", "Arn": arn, "InputTransformer": {"InputPathsMap": {"s": "$.detail.severity"}, "InputTemplate": '{"severity":<s>}'}}])
    equal((put["FailedEntryCount"], put["FailedEntries"]), (0, []))
    equal([t["Id"] for p in events.get_paginator("list_targets_by_rule").paginate(Rule="severe", EventBusName="ours") for t in p["Targets"]], ["queue"])
    equal([n for p in events.get_paginator("list_rule_names_by_target").paginate(TargetArn=arn, EventBusName="ours") for n in p["RuleNames"]], ["severe"])
    equal([r["Name"] for p in events.get_paginator("list_rules").paginate(EventBusName="ours") for r in p["Rules"]], ["severe"])
    entry = {"Source": "mine", "DetailType": "t", "EventBusName": "ours"}
    put = events.put_events(Entries=[
        dict(entry, Detail='{"severity": 9}'), dict(entry, Detail='{"severity": 1}'), dict(entry, Detail="no JSON")])
    equal((put["FailedEntryCount"], put["Entries"][2]["ErrorCode"]), (1, "MalformedDetail"))
    ask("POST", "/_lab/flush", {})
    equal([m["Body"] for m in sqs.receive_message(QueueUrl=url, WaitTimeSeconds=2)["Messages"]], ['{"severity":9}'])
    envelope = json.dumps({"id": "1", "account": ADMINISTRATOR, "source": "mine", "time": "2026-11-22T00:00:00Z", "region": REGION,
                           "resources": [], "detail-type": "t", "detail": {"severity": 6}})
    equal(events.test_event_pattern(EventPattern=json.dumps(pattern), Event=envelope)["Result"], True)
    with refused("InvalidEventPatternException", events.exceptions.InvalidEventPatternException):
        events.test_event_pattern(EventPattern='{"source": "mine"}', Event=envelope)
    events.disable_rule(Name="severe", EventBusName="ours")
    equal(events.describe_rule(Name="severe", EventBusName="ours")["State"], "DISABLED")
    events.enable_rule(Name="severe", EventBusName="ours")
    with refused("ValidationException"):
        events.delete_rule(Name="severe", EventBusName="ours")
    equal(events.remove_targets(Rule="severe", EventBusName="ours", Ids=["queue"])["FailedEntryCount"], 0)
    events.delete_rule(Name="severe", EventBusName="ours")
    events.delete_event_bus(Name="ours")
    with refused("ResourceNotFoundException", events.exceptions.ResourceNotFoundException):
        events.describe_rule(Name="severe")
    with refused("ResourceNotFoundException", events.exceptions.ResourceNotFoundException):
        events.put_targets(Rule="nothing", Targets=[{"Id": "a", "Arn": arn}])
    connection = events.create_connection(Name="hook", AuthorizationType="API_KEY", AuthParameters={
        "ApiKeyAuthParameters": {"ApiKeyName": "X-Key", "ApiKeyValue": "secret"}})["ConnectionArn"]
    assert "ApiKeyValue" not in json.dumps(events.describe_connection(Name="hook"), default=str)
    events.update_connection(Name="hook", Description="a hook")
    equal([c["Name"] for c in events.list_connections(NamePrefix="hook")["Connections"]], ["hook"])
    events.create_api_destination(
        Name="hook", ConnectionArn=connection, InvocationEndpoint="https://example.com/hook", HttpMethod="POST", InvocationRateLimitPerSecond=5)
    events.update_api_destination(Name="hook", InvocationRateLimitPerSecond=10)
    equal(events.describe_api_destination(Name="hook")["InvocationRateLimitPerSecond"], 10)
    equal([d["Name"] for d in events.list_api_destinations()["ApiDestinations"]], ["hook"])
    events.delete_api_destination(Name="hook")
    events.delete_connection(Name="hook")


def check_firehose():
    """delivery streams, records, what arrives in S3, encryption, tags"""
    firehose, s3 = client("firehose"), client("s3")
    s3.create_bucket(Bucket="stream-of-boto3", CreateBucketConfiguration={"LocationConstraint": REGION})
    taker = role("stream", "firehose.amazonaws.com", "s3:*", "*")
    made = firehose.create_delivery_stream(
        DeliveryStreamName="records", DeliveryStreamType="DirectPut", Tags=[{"Key": "team", "Value": "security"}],
        ExtendedS3DestinationConfiguration={
            "RoleARN": taker, "BucketARN": "arn:aws:s3:::stream-of-boto3", "Prefix": "data/", "ErrorOutputPrefix": "errors/",
            "BufferingHints": {"SizeInMBs": 5, "IntervalInSeconds": 60}, "CompressionFormat": "GZIP",
            "CloudWatchLoggingOptions": {"Enabled": False},
            "ProcessingConfiguration": {"Enabled": True, "Processors": [
                {"Type": "AppendDelimiterToRecord", "Parameters": [{"ParameterName": "Delimiter", "ParameterValue": "\\n"}]}]}})
    equal(made["DeliveryStreamARN"], f"arn:aws:firehose:{REGION}:{ADMINISTRATOR}:deliverystream/records")
    advance("5m")
    stream = firehose.describe_delivery_stream(DeliveryStreamName="records")["DeliveryStreamDescription"]
    equal(stream["DeliveryStreamStatus"], "ACTIVE")
    assert "records" in firehose.list_delivery_streams(DeliveryStreamType="DirectPut")["DeliveryStreamNames"]
    firehose.put_record(DeliveryStreamName="records", Record={"Data": b'{"a":1}'})
    put = firehose.put_record_batch(DeliveryStreamName="records", Records=[{"Data": b'{"a":2}'}, {"Data": b'{"a":3}'}])
    equal((put["FailedPutCount"], len(put["RequestResponses"])), (0, 2))
    ask("POST", "/_lab/flush", {})
    objects = s3.list_objects_v2(Bucket="stream-of-boto3", Prefix="data/2026/")["Contents"]
    body = gzip.decompress(s3.get_object(Bucket="stream-of-boto3", Key=objects[0]["Key"])["Body"].read())
    equal(body, b'{"a":1}\n{"a":2}\n{"a":3}\n')
    destination = stream["Destinations"][0]
    firehose.update_destination(
        DeliveryStreamName="records", CurrentDeliveryStreamVersionId=stream["VersionId"], DestinationId=destination["DestinationId"],
        ExtendedS3DestinationUpdate={"Prefix": "other/"})
    with refused("ConcurrentModificationException", firehose.exceptions.ConcurrentModificationException):
        firehose.update_destination(
            DeliveryStreamName="records", CurrentDeliveryStreamVersionId="99", DestinationId=destination["DestinationId"],
            ExtendedS3DestinationUpdate={"Prefix": "other/"})
    firehose.start_delivery_stream_encryption(DeliveryStreamName="records")
    advance("5m")
    stream = firehose.describe_delivery_stream(DeliveryStreamName="records")["DeliveryStreamDescription"]
    equal(stream["DeliveryStreamEncryptionConfiguration"]["Status"], "ENABLED")
    firehose.stop_delivery_stream_encryption(DeliveryStreamName="records")
    advance("5m")
    firehose.tag_delivery_stream(DeliveryStreamName="records", Tags=[{"Key": "stage", "Value": "test"}])
    firehose.untag_delivery_stream(DeliveryStreamName="records", TagKeys=["team"])
    equal(firehose.list_tags_for_delivery_stream(DeliveryStreamName="records")["Tags"], [{"Key": "stage", "Value": "test"}])
    with refused("ResourceInUseException", firehose.exceptions.ResourceInUseException):
        firehose.create_delivery_stream(DeliveryStreamName="records", ExtendedS3DestinationConfiguration={
            "RoleARN": taker, "BucketARN": "arn:aws:s3:::stream-of-boto3"})
    with refused("InvalidArgumentException", firehose.exceptions.InvalidArgumentException):
        firehose.create_delivery_stream(DeliveryStreamName="bad", ExtendedS3DestinationConfiguration={
            "RoleARN": taker, "BucketARN": "arn:aws:s3:::stream-of-boto3", "Prefix": "!{nonsense:x}/"})
    with refused("ResourceNotFoundException", firehose.exceptions.ResourceNotFoundException):
        firehose.put_record(DeliveryStreamName="nothing", Record={"Data": b"x"})
    firehose.delete_delivery_stream(DeliveryStreamName="records")


def check_lambda():
    """functions, how they are called, permissions, mappings from queues"""
    functions, sqs = client("lambda"), client("sqs")
    taker = role("function", "lambda.amazonaws.com", ["sqs:*", "logs:*"], "*")
    code = zipped("bootstrap", ECHO)
    made = functions.create_function(
        FunctionName="echo", Runtime="provided.al2023", Handler="bootstrap", Role=taker, Code={"ZipFile": code}, Timeout=10,
        MemorySize=256, Environment={"Variables": {"WHO": "lab"}}, Architectures=["x86_64"], Tags={"team": "security"})
    functions.get_waiter("function_active").wait(FunctionName="echo", WaiterConfig={"Delay": 1, "MaxAttempts": 5})
    if MODERN:
        functions.get_waiter("function_active_v2").wait(FunctionName="echo", WaiterConfig={"Delay": 1, "MaxAttempts": 5})
    equal(made["Environment"]["Variables"], {"WHO": "lab"})
    about = functions.get_function(FunctionName="echo")
    equal(about["Configuration"]["CodeSize"], len(code))
    equal(functions.get_function_configuration(FunctionName=made["FunctionArn"])["MemorySize"], 256)
    equal([f["FunctionName"] for p in functions.get_paginator("list_functions").paginate() for f in p["Functions"]], ["echo"])
    answer = functions.invoke(FunctionName="echo", Payload=b'{"a": 1}', LogType="Tail")
    equal((answer["StatusCode"], json.load(answer["Payload"])), (200, {"a": 1}))
    equal(functions.invoke(FunctionName="echo", InvocationType="Event", Payload=b"{}")["StatusCode"], 202)
    equal(functions.invoke(FunctionName="echo", InvocationType="DryRun")["StatusCode"], 204)
    functions.update_function_configuration(FunctionName="echo", Timeout=20, Description="echoes")
    functions.get_waiter("function_updated").wait(FunctionName="echo", WaiterConfig={"Delay": 1, "MaxAttempts": 5})
    functions.update_function_code(FunctionName="echo", ZipFile=code)
    functions.add_permission(FunctionName="echo", StatementId="events", Action="lambda:InvokeFunction", Principal="events.amazonaws.com")
    equal(json.loads(functions.get_policy(FunctionName="echo")["Policy"])["Statement"][0]["Sid"], "events")
    with refused("ResourceConflictException", functions.exceptions.ResourceConflictException):
        functions.add_permission(FunctionName="echo", StatementId="events", Action="lambda:InvokeFunction", Principal="events.amazonaws.com")
    functions.remove_permission(FunctionName="echo", StatementId="events")
    with refused("ResourceNotFoundException", functions.exceptions.ResourceNotFoundException):
        functions.get_policy(FunctionName="echo")
    url = sqs.create_queue(QueueName="to-function")["QueueUrl"]
    arn = f"arn:aws:sqs:{REGION}:{ADMINISTRATOR}:to-function"
    mapping = functions.create_event_source_mapping(EventSourceArn=arn, FunctionName="echo", BatchSize=1, FunctionResponseTypes=["ReportBatchItemFailures"])
    functions.get_event_source_mapping(UUID=mapping["UUID"])
    equal([m["UUID"] for p in functions.get_paginator("list_event_source_mappings").paginate(FunctionName="echo") for m in p["EventSourceMappings"]],
          [mapping["UUID"]])
    advance("5m")
    functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
    advance("5m")
    functions.delete_event_source_mapping(UUID=mapping["UUID"])
    sqs.delete_queue(QueueUrl=url)
    with refused("ResourceConflictException", functions.exceptions.ResourceConflictException):
        functions.create_function(FunctionName="echo", Runtime="provided.al2023", Handler="bootstrap", Role=taker, Code={"ZipFile": code})
    with refused("InvalidRequestContentException", functions.exceptions.InvalidRequestContentException):
        functions.invoke(FunctionName="echo", Payload=b"{")
    functions.delete_function(FunctionName="echo")
    with refused("ResourceNotFoundException", functions.exceptions.ResourceNotFoundException):
        functions.invoke(FunctionName="echo")


# A function's program, in Python. https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
BOOTSTRAP = f"""#!{sys.executable}
import json, os, traceback, urllib.request
api = "http://" + os.environ["AWS_LAMBDA_RUNTIME_API"] + "/2018-06-01/runtime/invocation"

def serve(handle):
    while True:
        with urllib.request.urlopen(api + "/next") as event:
            name, body = event.headers["Lambda-Runtime-Aws-Request-Id"], event.read()
        try:
            answer, path = handle(json.loads(body)), "/response"
        except Exception as e:
            answer, path = {{"errorType": type(e).__name__, "errorMessage": traceback.format_exc()}}, "/error"
        urllib.request.urlopen(api + "/" + name + path, data=json.dumps(answer).encode()).close()
"""
ECHO = BOOTSTRAP + "serve(lambda event: event)\n"
