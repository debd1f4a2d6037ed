"""Checks of what finds and collects: Security Hub, Inspector (Classic and of today)."""

import datetime
import json

from lab import (ADMINISTRATOR, ELSEWHERE, MANAGEMENT, MEMBERS, REGION, advance, ask, client, equal, knows, refused)

INSPECTOR = f"arn:aws:securityhub:{REGION}::product/aws/inspector"


def finding(account, number, region=REGION, **more):
    product = f"arn:aws:securityhub:{region}:{account}:product/{account}/default"
    return dict({
        "SchemaVersion": "2018-10-08", "Id": f"{region}/{account}/{number}", "ProductArn": product, "GeneratorId": "boto3",
        "AwsAccountId": account, "Types": ["Software and Configuration Checks/Vulnerabilities/CVE"],
        "CreatedAt": "2026-11-21T00:00:00.000Z", "UpdatedAt": f"2026-11-21T00:00:{number % 60:02}.000Z",
        "Severity": {"Label": "HIGH"}, "Title": f"finding {number}", "Description": "found by boto3",
        "Resources": [{"Type": "AwsEc2Instance", "Id": f"arn:aws:ec2:{region}:{account}:instance/i-{number}", "Region": region}],
    }, **more)


def check_hub():
    """the hub, its products, standards, custom actions, tags"""
    hub = client("securityhub", MEMBERS[1], ELSEWHERE)
    with refused("InvalidAccessException", hub.exceptions.InvalidAccessException):
        hub.get_findings()
    hub.enable_security_hub(EnableDefaultStandards=False, Tags={"team": "security"})
    with refused("ResourceConflictException", hub.exceptions.ResourceConflictException):
        hub.enable_security_hub()
    arn = f"arn:aws:securityhub:{ELSEWHERE}:{MEMBERS[1]}:hub/default"
    equal(hub.describe_hub()["HubArn"], arn)
    hub.update_security_hub_configuration(AutoEnableControls=False)
    equal(hub.describe_hub(HubArn=arn)["AutoEnableControls"], False)
    hub.tag_resource(ResourceArn=arn, Tags={"stage": "test"})
    hub.untag_resource(ResourceArn=arn, TagKeys=["team"])
    equal(hub.list_tags_for_resource(ResourceArn=arn)["Tags"], {"stage": "test"})
    products = {p["ProductName"]: p["ProductArn"] for page in hub.get_paginator("describe_products").paginate() for p in page["Products"]}
    inspector = products["Inspector"]
    enabled = [p for page in hub.get_paginator("list_enabled_products_for_import").paginate() for p in page["ProductSubscriptions"]]
    mine = next((p for p in enabled if "inspector" in p), None)
    if mine is None:
        mine = hub.enable_import_findings_for_product(ProductArn=inspector)["ProductSubscriptionArn"]
    with refused("ResourceConflictException", hub.exceptions.ResourceConflictException):
        hub.enable_import_findings_for_product(ProductArn=inspector)
    hub.disable_import_findings_for_product(ProductSubscriptionArn=mine)
    standards = [s for page in hub.get_paginator("describe_standards").paginate() for s in page["Standards"]]
    made = hub.batch_enable_standards(StandardsSubscriptionRequests=[{"StandardsArn": standards[0]["StandardsArn"]}])
    subscription = made["StandardsSubscriptions"][0]["StandardsSubscriptionArn"]
    advance("5m")
    equal([s["StandardsSubscriptionArn"] for page in hub.get_paginator("get_enabled_standards").paginate()
           for s in page["StandardsSubscriptions"]], [subscription])
    hub.batch_disable_standards(StandardsSubscriptionArns=[subscription])
    action = hub.create_action_target(Name="Ticket", Description="opens a ticket", Id="ticket")["ActionTargetArn"]
    hub.update_action_target(ActionTargetArn=action, Name="Tickets")
    equal([a["Name"] for p in hub.get_paginator("describe_action_targets").paginate() for a in p["ActionTargets"]], ["Tickets"])
    equal(hub.delete_action_target(ActionTargetArn=action)["ActionTargetArn"], action)
    with refused("ResourceNotFoundException", hub.exceptions.ResourceNotFoundException):
        hub.delete_action_target(ActionTargetArn=action)
    aggregator = hub.create_finding_aggregator(RegionLinkingMode="SPECIFIED_REGIONS", Regions=[REGION])["FindingAggregatorArn"]
    equal(hub.get_finding_aggregator(FindingAggregatorArn=aggregator)["Regions"], [REGION])
    equal([a["FindingAggregatorArn"] for p in hub.get_paginator("list_finding_aggregators").paginate() for a in p["FindingAggregators"]], [aggregator])
    hub.update_finding_aggregator(FindingAggregatorArn=aggregator, RegionLinkingMode="ALL_REGIONS")
    hub.delete_finding_aggregator(FindingAggregatorArn=aggregator)
    hub.disable_security_hub()
    with refused("InvalidAccessException", hub.exceptions.InvalidAccessException):
        hub.describe_hub()


def check_findings():
    """findings: imported, found by filters, paged, updated, remembered"""
    account = MEMBERS[1]
    hub = client("securityhub", account)
    hub.enable_security_hub(EnableDefaultStandards=False)
    sent = [finding(account, i) for i in range(25)]
    got = hub.batch_import_findings(Findings=[*sent, dict(finding(account, 99), Title="x" * 300)])
    equal((got["SuccessCount"], got["FailedCount"], got["FailedFindings"][0]["ErrorCode"]), (25, 1, "InvalidInput"))
    pages = hub.get_paginator("get_findings").paginate(
        Filters={"GeneratorId": [{"Value": "boto3", "Comparison": "EQUALS"}]}, SortCriteria=[{"Field": "UpdatedAt", "SortOrder": "asc"}],
        PaginationConfig={"PageSize": 10})
    found = [f for p in pages for f in p["Findings"]]
    equal([f["Id"] for f in found], [f["Id"] for f in sent])
    equal((found[0]["RecordState"], found[0]["Workflow"]["Status"], found[0]["Severity"]["Normalized"]), ("ACTIVE", "NEW", 70))
    for name, value, want in (
            ("Title", {"Value": "finding 1", "Comparison": "PREFIX"}, 11), ("Title", {"Value": "finding 1", "Comparison": "EQUALS"}, 1),
            ("SeverityLabel", {"Value": "LOW", "Comparison": "EQUALS"}, 0), ("ResourceType", {"Value": "AwsEc2Instance", "Comparison": "EQUALS"}, 25),
            ("SeverityNormalized", {"Gte": 70}, 25), ("UpdatedAt", {"Start": "2026-11-21T00:00:20Z", "End": "2026-11-21T00:01:00Z"}, 5)):
        filters = {name: [value], "GeneratorId": [{"Value": "boto3", "Comparison": "EQUALS"}]}
        equal((name, len(hub.get_findings(Filters=filters, MaxResults=100)["Findings"])), (name, want))
    key = {"Id": sent[0]["Id"], "ProductArn": sent[0]["ProductArn"]}
    news = hub.batch_update_findings(
        FindingIdentifiers=[key, {"Id": "nothing", "ProductArn": key["ProductArn"]}], Workflow={"Status": "RESOLVED"},
        Note={"Text": "done", "UpdatedBy": "boto3"}, Severity={"Label": "LOW"}, UserDefinedFields={"a": "b"})
    equal((news["ProcessedFindings"], len(news["UnprocessedFindings"])), ([key], 1))
    new = hub.get_findings(Filters={"Id": [{"Value": key["Id"], "Comparison": "EQUALS"}]})["Findings"][0]
    equal((new["Workflow"]["Status"], new["Note"]["Text"], new["Severity"]["Label"]), ("RESOLVED", "done", "LOW"))
    if knows(hub, "get_finding_history"):
        records = [r for p in hub.get_paginator("get_finding_history").paginate(FindingIdentifier=key) for r in p["Records"]]
        assert {"Workflow"} <= {u["UpdatedField"] for r in records for u in r["Updates"]} or records, records
    with refused("InvalidInputException", hub.exceptions.InvalidInputException):
        hub.get_findings(MaxResults=101)
    with refused("InvalidInputException", hub.exceptions.InvalidInputException):
        hub.get_findings(NextToken="nonsense")
    hub.disable_security_hub()


def check_invitations():
    """the article's way: the administrator invites, members accept, and may leave"""
    region = "eu-west-1"
    admin, (one, two) = client("securityhub", MEMBERS[2], region), [client("securityhub", a, region) for a in MEMBERS[:2]]
    for hub in admin, one, two:
        hub.enable_security_hub(EnableDefaultStandards=False)
    got = admin.create_members(AccountDetails=[{"AccountId": a, "Email": f"{a}@example.com"} for a in [*MEMBERS[:2], MEMBERS[2]]])
    equal([u["AccountId"] for u in got["UnprocessedAccounts"]], [MEMBERS[2]])
    equal(admin.invite_members(AccountIds=MEMBERS[:2])["UnprocessedAccounts"], [])
    equal(one.get_invitations_count()["InvitationsCount"], 1)
    invitation = [i for p in one.get_paginator("list_invitations").paginate() for i in p["Invitations"]][0]
    equal((invitation["AccountId"], invitation["MemberStatus"]), (MEMBERS[2], "Invited"))
    one.accept_administrator_invitation(AdministratorId=MEMBERS[2], InvitationId=invitation["InvitationId"])
    invitation = two.list_invitations()["Invitations"][0]
    two.accept_invitation(MasterId=MEMBERS[2], InvitationId=invitation["InvitationId"])
    members = {m["AccountId"]: m for p in admin.get_paginator("list_members").paginate(OnlyAssociated=True) for m in p["Members"]}
    equal({a: m["MemberStatus"] for a, m in members.items()}, dict.fromkeys(MEMBERS[:2], "Enabled"))
    assert isinstance(members[MEMBERS[0]]["UpdatedAt"], datetime.datetime)
    equal(one.get_administrator_account()["Administrator"]["AccountId"], MEMBERS[2])
    equal(one.get_master_account()["Master"]["AccountId"], MEMBERS[2])
    one.batch_import_findings(Findings=[finding(MEMBERS[0], 1, region)])
    equal([f["AwsAccountId"] for f in admin.get_findings(
        Filters={"GeneratorId": [{"Value": "boto3", "Comparison": "EQUALS"}]})["Findings"]], [MEMBERS[0]])
    with refused("ResourceNotFoundException", two.exceptions.ResourceNotFoundException):
        two.accept_administrator_invitation(AdministratorId=MEMBERS[2], InvitationId="nonsense")
    one.disassociate_from_administrator_account()
    equal(admin.get_members(AccountIds=[MEMBERS[0]])["Members"][0]["MemberStatus"], "Resigned")
    two.disassociate_from_master_account()
    admin.invite_members(AccountIds=[MEMBERS[0]])
    equal(one.decline_invitations(AccountIds=[MEMBERS[2]])["UnprocessedAccounts"], [])
    one.delete_invitations(AccountIds=[MEMBERS[2]])
    admin.disassociate_members(AccountIds=[MEMBERS[0]])
    equal(admin.delete_members(AccountIds=MEMBERS[:2])["UnprocessedAccounts"], [])
    for hub in admin, one, two:
        hub.disable_security_hub()


def check_hub_of_the_organization():
    """the way of today: the organization has an administrator for Security Hub, and new accounts are members by themselves"""
    region = "eu-central-1"
    org, chief = client("organizations", MANAGEMENT), client("securityhub", MANAGEMENT, region)
    org.enable_aws_service_access(ServicePrincipal="securityhub.amazonaws.com")
    chief.enable_organization_admin_account(AdminAccountId=ADMINISTRATOR)
    equal([a["AccountId"] for p in chief.get_paginator("list_organization_admin_accounts").paginate() for a in p["AdminAccounts"]], [ADMINISTRATOR])
    admin = client("securityhub", region=region)
    admin.enable_security_hub(EnableDefaultStandards=False)
    admin.update_organization_configuration(AutoEnable=True)
    equal(admin.describe_organization_configuration()["AutoEnable"], True)
    admin.create_members(AccountDetails=[{"AccountId": MEMBERS[0]}])
    equal(admin.get_members(AccountIds=[MEMBERS[0]])["Members"][0]["MemberStatus"], "Enabled")
    with refused("InvalidAccessException"):
        client("securityhub", MEMBERS[0], region).update_organization_configuration(AutoEnable=True)
    chief.disable_organization_admin_account(AdminAccountId=ADMINISTRATOR)


def check_inspector_classic():
    """the article's way B: a run, its findings, and everything around it"""
    inspector, sns = client("inspector", MEMBERS[2]), client("sns", MEMBERS[2])
    packages = [a for p in inspector.get_paginator("list_rules_packages").paginate() for a in p["rulesPackageArns"]]
    equal(len(inspector.describe_rules_packages(rulesPackageArns=packages[:1])["rulesPackages"]), 1)
    group = inspector.create_resource_group(resourceGroupTags=[{"key": "stage", "value": "test"}])["resourceGroupArn"]
    equal(inspector.describe_resource_groups(resourceGroupArns=[group])["resourceGroups"][0]["tags"], [{"key": "stage", "value": "test"}])
    tagged = inspector.create_assessment_target(assessmentTargetName="tagged", resourceGroupArn=group)["assessmentTargetArn"]
    target = inspector.create_assessment_target(assessmentTargetName="everything")["assessmentTargetArn"]
    equal(inspector.describe_assessment_targets(assessmentTargetArns=[target])["assessmentTargets"][0]["name"], "everything")
    equal({a for p in inspector.get_paginator("list_assessment_targets").paginate() for a in p["assessmentTargetArns"]}, {target, tagged})
    inspector.delete_assessment_target(assessmentTargetArn=tagged)
    template = inspector.create_assessment_template(
        assessmentTargetArn=target, assessmentTemplateName="hourly", durationInSeconds=900, rulesPackageArns=packages,
        userAttributesForFindings=[{"key": "by", "value": "boto3"}])["assessmentTemplateArn"]
    equal(inspector.describe_assessment_templates(assessmentTemplateArns=[template])["assessmentTemplates"][0]["durationInSeconds"], 900)
    equal([a for p in inspector.get_paginator("list_assessment_templates").paginate() for a in p["assessmentTemplateArns"]], [template])
    inspector.set_tags_for_resource(resourceArn=template, tags=[{"key": "team", "value": "security"}])
    equal(inspector.list_tags_for_resource(resourceArn=template)["tags"], [{"key": "team", "value": "security"}])
    topic = sns.create_topic(Name="runs")["TopicArn"]
    publisher = packages[0].split(":")[4]
    sns.set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{publisher}:root"}, "Action": "sns:Publish", "Resource": topic}]}))
    inspector.subscribe_to_event(resourceArn=template, event="ASSESSMENT_RUN_COMPLETED", topicArn=topic)
    equal(inspector.list_event_subscriptions(resourceArn=template)["subscriptions"][0]["topicArn"], topic)
    inspector.unsubscribe_from_event(resourceArn=template, event="ASSESSMENT_RUN_COMPLETED", topicArn=topic)
    run = inspector.start_assessment_run(assessmentTemplateArn=template, assessmentRunName="first")["assessmentRunArn"]
    with refused("AssessmentRunInProgressException", inspector.exceptions.AssessmentRunInProgressException):
        inspector.delete_assessment_run(assessmentRunArn=run)
    advance("1h")
    equal([a for p in inspector.get_paginator("list_assessment_runs").paginate(assessmentTemplateArns=[template]) for a in p["assessmentRunArns"]], [run])
    done = inspector.describe_assessment_runs(assessmentRunArns=[run])["assessmentRuns"][0]
    equal(done["state"], "COMPLETED")
    found = [a for p in inspector.get_paginator("list_findings").paginate(assessmentRunArns=[run], PaginationConfig={"PageSize": 3})
             for a in p["findingArns"]]
    equal(len(found), sum(done["findingCounts"].values()))
    told = inspector.describe_findings(findingArns=found[:10])
    equal((len(told["findings"]), told["failedItems"]), (len(found[:10]), {}))
    assert all(f["assetAttributes"]["schemaVersion"] == 1 and f["serviceAttributes"]["assessmentRunArn"] == run for f in told["findings"])
    equal(inspector.describe_findings(findingArns=[found[0][:-4] + "None"])["failedItems"].popitem()[1]["failureCode"], "ITEM_DOES_NOT_EXIST")
    inspector.add_attributes_to_findings(findingArns=found[:1], attributes=[{"key": "seen", "value": "yes"}])
    inspector.remove_attributes_from_findings(findingArns=found[:1], attributeKeys=["seen"])
    inspector.get_assessment_report(assessmentRunArn=run, reportFileFormat="PDF", reportType="FINDING")
    advance("1h")
    report = inspector.get_assessment_report(assessmentRunArn=run, reportFileFormat="PDF", reportType="FINDING")
    equal(report["status"], "COMPLETED")
    second = inspector.start_assessment_run(assessmentTemplateArn=template, assessmentRunName="second")["assessmentRunArn"]
    advance("2m")
    inspector.stop_assessment_run(assessmentRunArn=second, stopAction="START_EVALUATION")
    advance("1h")
    inspector.delete_assessment_run(assessmentRunArn=second)
    with refused("NoSuchEntityException", inspector.exceptions.NoSuchEntityException):
        inspector.start_assessment_run(assessmentTemplateArn=template[:-8] + "00000000")
    with refused("InvalidInputException", inspector.exceptions.InvalidInputException):
        inspector.list_findings(assessmentRunArns=["nonsense"])
    inspector.delete_assessment_template(assessmentTemplateArn=template)


def check_inspector():
    """Inspector of today: enabled, findings and coverage by filters, saved filters, reports"""
    account = MEMBERS[0]
    inspector = client("inspector2", account)
    inspector.enable(resourceTypes=["EC2", "ECR", "LAMBDA"])
    state = inspector.batch_get_account_status(accountIds=[account])["accounts"][0]
    equal((state["state"]["status"], state["resourceState"]["ec2"]["status"]), ("ENABLED", "ENABLED"))
    equal(ask("POST", "/_lab/findings", {"account": account, "region": REGION, "count": 60})["opened"], 60)
    found = [f for p in inspector.get_paginator("list_findings").paginate(PaginationConfig={"PageSize": 25}) for f in p["findings"]]
    assert len(found) >= 60 and len({f["findingArn"] for f in found}) == len(found), len(found)
    severe = inspector.list_findings(
        filterCriteria={"severity": [{"comparison": "EQUALS", "value": "HIGH"}]}, maxResults=100, sortCriteria={"field": "SEVERITY", "sortOrder": "DESC"})
    equal({f["severity"] for f in severe["findings"]}, {"HIGH"})
    if knows(inspector, "batch_get_finding_details"):
        inspector.batch_get_finding_details(findingArns=[found[0]["findingArn"]])
    covered = [r for p in inspector.get_paginator("list_coverage").paginate() for r in p["coveredResources"]]
    assert covered, "nothing is covered"
    equal(inspector.list_coverage_statistics(groupBy="RESOURCE_TYPE")["totalCounts"], len(covered))
    saved = inspector.create_filter(name="severe", action="SUPPRESS", filterCriteria={"severity": [{"comparison": "EQUALS", "value": "LOW"}]},
                                    tags={"team": "security"})["arn"]
    inspector.update_filter(filterArn=saved, name="not severe")
    equal([f["name"] for p in inspector.get_paginator("list_filters").paginate() for f in p["filters"]], ["not severe"])
    inspector.tag_resource(resourceArn=saved, tags={"stage": "test"})
    inspector.untag_resource(resourceArn=saved, tagKeys=["team"])
    equal(inspector.list_tags_for_resource(resourceArn=saved)["tags"], {"stage": "test"})
    inspector.delete_filter(arn=saved)
    s3, kms = client("s3", account), client("kms", account)
    bucket = "boto3-reports"
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"Service": "inspector2.amazonaws.com"}, "Action": ["s3:PutObject", "s3:PutObjectAcl", "s3:AbortMultipartUpload"],
        "Resource": f"arn:aws:s3:::{bucket}/*"}]}))
    policy = {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{account}:root"}, "Action": "kms:*", "Resource": "*"},
        {"Effect": "Allow", "Principal": {"Service": "inspector2.amazonaws.com"}, "Action": ["kms:Decrypt", "kms:GenerateDataKey*"], "Resource": "*"}]}
    key = kms.create_key(Policy=json.dumps(policy))["KeyMetadata"]["Arn"]
    report = inspector.create_findings_report(reportFormat="JSON", s3Destination={"bucketName": bucket, "keyPrefix": "of", "kmsKeyArn": key})["reportId"]
    with refused("ValidationException", inspector.exceptions.ValidationException):
        inspector.create_findings_report(reportFormat="XML", s3Destination={"bucketName": bucket, "kmsKeyArn": key})
    advance("10m")
    equal(inspector.get_findings_report_status(reportId=report)["status"], "SUCCEEDED")
    with refused("ValidationException", inspector.exceptions.ValidationException):
        inspector.cancel_findings_report(reportId=report)  # it is complete
    with refused("ResourceNotFoundException", inspector.exceptions.ResourceNotFoundException):
        inspector.get_findings_report_status(reportId="00000000-0000-4000-8000-000000000000")
    with refused("ValidationException", inspector.exceptions.ValidationException):
        inspector.list_findings(nextToken="nonsense")
    inspector.disable(resourceTypes=["EC2"])


def check_inspector_of_the_organization():
    """Inspector's delegated administrator and its members"""
    region = "eu-west-2"
    org, chief, admin = client("organizations", MANAGEMENT), client("inspector2", MANAGEMENT, region), client("inspector2", region=region)
    org.enable_aws_service_access(ServicePrincipal="inspector2.amazonaws.com")
    chief.enable_delegated_admin_account(delegatedAdminAccountId=ADMINISTRATOR)
    equal([a["accountId"] for p in chief.get_paginator("list_delegated_admin_accounts").paginate() for a in p["delegatedAdminAccounts"]], [ADMINISTRATOR])
    equal(chief.get_delegated_admin_account()["delegatedAdmin"]["accountId"], ADMINISTRATOR)
    admin.update_organization_configuration(autoEnable={"ec2": True, "ecr": False})
    equal(admin.describe_organization_configuration()["autoEnable"]["ec2"], True)
    admin.associate_member(accountId=MEMBERS[0])
    equal(admin.get_member(accountId=MEMBERS[0])["member"]["accountId"], MEMBERS[0])
    admin.enable(accountIds=[MEMBERS[0]], resourceTypes=["EC2"])
    assert MEMBERS[0] in [m["accountId"] for p in admin.get_paginator("list_members").paginate() for m in p["members"]]
    admin.disassociate_member(accountId=MEMBERS[0])
    chief.disable_delegated_admin_account(delegatedAdminAccountId=ADMINISTRATOR)
    member = client("inspector2", MEMBERS[0], region)
    with refused("AccessDeniedException", member.exceptions.AccessDeniedException):
        member.enable_delegated_admin_account(delegatedAdminAccountId=MEMBERS[0])
