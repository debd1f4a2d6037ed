"""Checks of CloudFormation: stacks, change sets, drift, StackSets."""

import datetime

from lab import ADMINISTRATOR, ELSEWHERE, MANAGEMENT, MEMBERS, REGION, advance, client, equal, refused, resource

TEMPLATE = """
Description: a queue and a topic
Parameters:
  Wait: {Type: String, Default: "30", Description: visibility timeout}
Conditions:
  Long: !Equals [!Ref Wait, "600"]
Resources:
  Queue: {Type: AWS::SQS::Queue, Properties: {VisibilityTimeout: !Ref Wait}}
  Topic: {Type: AWS::SNS::Topic, DependsOn: Queue, Properties: {TopicName: !Sub "${AWS::StackName}-topic"}}
Outputs:
  Queue: {Value: !GetAtt Queue.Arn, Export: {Name: !Sub "${AWS::StackName}-queue"}}
"""
IMPORTER = """
Resources:
  Queue: {Type: AWS::SQS::Queue, Properties: {Tags: [{Key: of, Value: !ImportValue boto3-queue}]}}
"""


def wait(cfn, waiter, name, **more):
    """Waits as one does, but that the lab's time is moved before."""
    advance("30s")
    cfn.get_waiter(waiter).wait(StackName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 20}, **more)


def done(cfn, name, operation):
    for _ in range(60):
        status = cfn.describe_stack_set_operation(StackSetName=name, OperationId=operation)["StackSetOperation"]["Status"]
        if status not in ("RUNNING", "QUEUED"):
            return status
        advance("5s")
    raise AssertionError("the operation does not end")


def check_stacks():
    """a stack from its making to its end, and what is told of it"""
    cfn, sqs = client("cloudformation"), client("sqs")
    checked = cfn.validate_template(TemplateBody=TEMPLATE)
    equal([(p["ParameterKey"], p["DefaultValue"]) for p in checked["Parameters"]], [("Wait", "30")])
    equal(sorted(cfn.get_template_summary(TemplateBody=TEMPLATE)["ResourceTypes"]), ["AWS::SNS::Topic", "AWS::SQS::Queue"])
    with refused("ValidationError"):
        cfn.validate_template(TemplateBody="{")
    made = cfn.create_stack(StackName="boto3", TemplateBody=TEMPLATE, Tags=[{"Key": "team", "Value": "security"}])["StackId"]
    with refused("AlreadyExistsException", cfn.exceptions.AlreadyExistsException):
        cfn.create_stack(StackName="boto3", TemplateBody=TEMPLATE)
    wait(cfn, "stack_exists", "boto3")
    wait(cfn, "stack_create_complete", "boto3")
    stack = [s for p in cfn.get_paginator("describe_stacks").paginate(StackName="boto3") for s in p["Stacks"]][0]
    equal((stack["StackId"], stack["StackStatus"]), (made, "CREATE_COMPLETE"))
    queue = stack["Outputs"][0]["OutputValue"]
    assert queue.startswith(f"arn:aws:sqs:{REGION}:{ADMINISTRATOR}:boto3-Queue-"), queue
    assert isinstance(stack["CreationTime"], datetime.datetime)
    events = [e for p in cfn.get_paginator("describe_stack_events").paginate(StackName="boto3") for e in p["StackEvents"]]
    equal((events[0]["ResourceStatus"], events[-1]["ResourceStatusReason"]), ("CREATE_COMPLETE", "User Initiated"))
    kinds = [r["ResourceType"] for p in cfn.get_paginator("list_stack_resources").paginate(StackName="boto3") for r in p["StackResourceSummaries"]]
    equal(sorted(kinds), ["AWS::SNS::Topic", "AWS::SQS::Queue"])
    url = cfn.describe_stack_resource(StackName="boto3", LogicalResourceId="Queue")["StackResourceDetail"]["PhysicalResourceId"]
    equal(len(cfn.describe_stack_resources(StackName="boto3")["StackResources"]), 2)
    equal(cfn.get_template(StackName="boto3")["TemplateBody"].strip(), TEMPLATE.strip())
    assert "boto3-queue" in [e["Name"] for p in cfn.get_paginator("list_exports").paginate() for e in p["Exports"]]
    cfn.create_stack(StackName="boto3-importer", TemplateBody=IMPORTER)
    wait(cfn, "stack_create_complete", "boto3-importer")
    equal([n for p in cfn.get_paginator("list_imports").paginate(ExportName="boto3-queue") for n in p["Imports"]], ["boto3-importer"])
    cfn.delete_stack(StackName="boto3-importer")
    wait(cfn, "stack_delete_complete", "boto3-importer")

    cfn.update_stack(StackName="boto3", UsePreviousTemplate=True, Parameters=[{"ParameterKey": "Wait", "ParameterValue": "60"}])
    wait(cfn, "stack_update_complete", "boto3")
    equal(sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]["VisibilityTimeout"], "60")
    with refused("ValidationError"):
        cfn.update_stack(StackName="boto3", UsePreviousTemplate=True, Parameters=[{"ParameterKey": "Wait", "UsePreviousValue": True}])
    with refused("ValidationError"):
        cfn.cancel_update_stack(StackName="boto3")
    with refused("ValidationError"):
        cfn.continue_update_rollback(StackName="boto3")

    sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "90"})
    detection = cfn.detect_stack_drift(StackName="boto3")["StackDriftDetectionId"]
    advance("1m")
    status = cfn.describe_stack_drift_detection_status(StackDriftDetectionId=detection)
    equal((status["DetectionStatus"], status["StackDriftStatus"]), ("DETECTION_COMPLETE", "DRIFTED"))
    drifts = cfn.describe_stack_resource_drifts(StackName="boto3", StackResourceDriftStatusFilters=["MODIFIED"])["StackResourceDrifts"]
    equal([d["LogicalResourceId"] for d in drifts], ["Queue"])
    equal(drifts[0]["PropertyDifferences"][0]["PropertyPath"], "/VisibilityTimeout")
    equal(cfn.detect_stack_resource_drift(StackName="boto3", LogicalResourceId="Queue")["StackResourceDrift"]["StackResourceDriftStatus"], "MODIFIED")

    cfn.set_stack_policy(StackName="boto3", StackPolicyBody='{"Statement":[{"Effect":"Allow","Action":"Update:*","Principal":"*","Resource":"*"}]}')
    assert "Update:*" in cfn.get_stack_policy(StackName="boto3")["StackPolicyBody"]
    cfn.update_termination_protection(StackName="boto3", EnableTerminationProtection=True)
    with refused("ValidationError"):
        cfn.delete_stack(StackName="boto3")
    cfn.update_termination_protection(StackName="boto3", EnableTerminationProtection=False)
    assert made in [s["StackId"] for p in cfn.get_paginator("list_stacks").paginate(StackStatusFilter=["UPDATE_COMPLETE"]) for s in p["StackSummaries"]]
    cfn.delete_stack(StackName="boto3")
    wait(cfn, "stack_delete_complete", "boto3")
    with refused("ValidationError"):
        cfn.describe_stacks(StackName="boto3")
    equal(cfn.describe_stacks(StackName=made)["Stacks"][0]["StackStatus"], "DELETE_COMPLETE")
    made = resource("cloudformation").create_stack(StackName="objects", TemplateBody=TEMPLATE)
    wait(cfn, "stack_create_complete", "objects")
    made.reload()
    equal(made.outputs[0]["ExportName"], "objects-queue")
    made.delete()


def check_change_sets():
    """change sets, as aws cloudformation deploy uses them"""
    cfn = client("cloudformation", region=ELSEWHERE)
    cfn.create_change_set(StackName="changes", ChangeSetName="first", ChangeSetType="CREATE", TemplateBody=TEMPLATE)
    wait(cfn, "change_set_create_complete", "changes", ChangeSetName="first")
    told = cfn.describe_change_set(StackName="changes", ChangeSetName="first")
    equal(sorted(c["ResourceChange"]["LogicalResourceId"] for c in told["Changes"]), ["Queue", "Topic"])
    equal([s["ChangeSetName"] for p in cfn.get_paginator("list_change_sets").paginate(StackName="changes") for s in p["Summaries"]], ["first"])
    cfn.execute_change_set(StackName="changes", ChangeSetName="first")
    wait(cfn, "stack_create_complete", "changes")
    cfn.create_change_set(StackName="changes", ChangeSetName="none", UsePreviousTemplate=True)
    advance("1m")
    told = cfn.describe_change_set(StackName="changes", ChangeSetName="none")
    equal((told["Status"], told["ExecutionStatus"]), ("FAILED", "UNAVAILABLE"))
    with refused("InvalidChangeSetStatus", cfn.exceptions.InvalidChangeSetStatusException):
        cfn.execute_change_set(StackName="changes", ChangeSetName="none")
    cfn.create_change_set(
        StackName="changes", ChangeSetName="second", UsePreviousTemplate=True, Parameters=[{"ParameterKey": "Wait", "ParameterValue": "45"}])
    advance("1m")
    change = cfn.describe_change_set(StackName="changes", ChangeSetName="second")["Changes"][0]["ResourceChange"]
    equal((change["Action"], change["LogicalResourceId"], change["Replacement"]), ("Modify", "Queue", "False"))
    cfn.delete_change_set(StackName="changes", ChangeSetName="second")
    with refused("ChangeSetNotFound", cfn.exceptions.ChangeSetNotFoundException):
        cfn.describe_change_set(StackName="changes", ChangeSetName="second")
    cfn.delete_stack(StackName="changes")


def check_stack_sets():
    """a StackSet for the organization's accounts"""
    org, cfn = client("organizations", MANAGEMENT), client("cloudformation", MANAGEMENT)
    org.enable_aws_service_access(ServicePrincipal="member.org.stacksets.cloudformation.amazonaws.com")
    unit = org.list_parents(ChildId=MEMBERS[0])["Parents"][0]["Id"]
    cfn.create_stack_set(
        StackSetName="all", TemplateBody=TEMPLATE, PermissionModel="SERVICE_MANAGED", Description="everywhere",
        AutoDeployment={"Enabled": True, "RetainStacksOnAccountRemoval": False}, Tags=[{"Key": "team", "Value": "security"}])
    with refused("NameAlreadyExistsException", cfn.exceptions.NameAlreadyExistsException):
        cfn.create_stack_set(StackSetName="all", TemplateBody=TEMPLATE)
    target = {"DeploymentTargets": {"OrganizationalUnitIds": [unit]}, "Regions": [REGION]}
    equal(done(cfn, "all", cfn.create_stack_instances(StackSetName="all", **target)["OperationId"]), "SUCCEEDED")
    equal(cfn.describe_stack_set(StackSetName="all")["StackSet"]["Status"], "ACTIVE")
    assert "all" in [s["StackSetName"] for p in cfn.get_paginator("list_stack_sets").paginate() for s in p["Summaries"]]
    instances = [i for p in cfn.get_paginator("list_stack_instances").paginate(StackSetName="all") for i in p["Summaries"]]
    assert MEMBERS[0] in [i["Account"] for i in instances], instances
    told = cfn.describe_stack_instance(StackSetName="all", StackInstanceAccount=MEMBERS[0], StackInstanceRegion=REGION)["StackInstance"]
    equal(told["Status"], "CURRENT")
    equal(len(client("sqs", MEMBERS[0]).list_queues(QueueNamePrefix="StackSet-all-")["QueueUrls"]), 1)
    update = cfn.update_stack_set(StackSetName="all", UsePreviousTemplate=True, Parameters=[{"ParameterKey": "Wait", "ParameterValue": "70"}])
    equal(done(cfn, "all", update["OperationId"]), "SUCCEEDED")
    update = cfn.update_stack_instances(
        StackSetName="all", ParameterOverrides=[{"ParameterKey": "Wait", "ParameterValue": "80"}], **target)["OperationId"]
    equal(done(cfn, "all", update), "SUCCEEDED")
    operations = [o for p in cfn.get_paginator("list_stack_set_operations").paginate(StackSetName="all") for o in p["Summaries"]]
    equal([o["Action"] for o in operations], ["UPDATE", "UPDATE", "CREATE"])
    results = [r for p in cfn.get_paginator("list_stack_set_operation_results").paginate(StackSetName="all", OperationId=update) for r in p["Summaries"]]
    equal({r["Status"] for r in results}, {"SUCCEEDED"})
    with refused("StackSetNotEmptyException", cfn.exceptions.StackSetNotEmptyException):
        cfn.delete_stack_set(StackSetName="all")
    equal(done(cfn, "all", cfn.delete_stack_instances(StackSetName="all", RetainStacks=False, **target)["OperationId"]), "SUCCEEDED")
    cfn.delete_stack_set(StackSetName="all")
    with refused("StackSetNotFoundException", cfn.exceptions.StackSetNotFoundException):
        cfn.describe_stack_set(StackSetName="all")
