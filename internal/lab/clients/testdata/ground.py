"""Checks of what everything else stands on: STS, IAM, KMS, Organizations, Account Management."""

import datetime
import json

from lab import (ACCOUNTS, ADMINISTRATOR, MANAGEMENT, MEMBERS, REGION, advance, allow, arguments, client, equal, keyed, knows, refused, trust)


def check_sts():
    """who one is, as an account and as a role"""
    sts = client("sts")
    me = sts.get_caller_identity()
    equal(me["Account"], ADMINISTRATOR)
    equal(me["Arn"], f"arn:aws:iam::{ADMINISTRATOR}:user/administrator")
    equal(sts.get_access_key_info(AccessKeyId=ACCOUNTS[MEMBERS[0]]["accessKeyId"])["Account"], MEMBERS[0])

    iam = client("iam", MEMBERS[0])
    document = json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ADMINISTRATOR}:root"}, "Action": "sts:AssumeRole"}]})
    arn = iam.create_role(RoleName="reader", AssumeRolePolicyDocument=document)["Role"]["Arn"]
    iam.put_role_policy(RoleName="reader", PolicyName="sqs", PolicyDocument=allow("sqs:ListQueues", "*"))
    took = sts.assume_role(RoleArn=arn, RoleSessionName="boto3", DurationSeconds=900)
    key = took["Credentials"]
    assert isinstance(key["Expiration"], datetime.datetime), key
    as_role = keyed(key["AccessKeyId"], key["SecretAccessKey"], key["SessionToken"])
    equal(as_role.client("sts", **arguments()).get_caller_identity()["Arn"], f"arn:aws:sts::{MEMBERS[0]}:assumed-role/reader/boto3")
    as_role.client("sqs", **arguments()).list_queues()
    with refused("AccessDeniedException"):
        as_role.client("securityhub", **arguments()).describe_hub()
    with refused("AuthorizationError"):
        as_role.client("sns", **arguments()).list_topics()
    with refused("AccessDenied"):
        sts.assume_role(RoleArn=arn + "-nobody", RoleSessionName="boto3")
    wrong = keyed("AKIANOBODY0000000000", "x" * 40)
    with refused("InvalidClientTokenId"):
        wrong.client("sts", **arguments()).get_caller_identity()
    with refused("UnrecognizedClientException"):
        wrong.client("securityhub", **arguments()).describe_hub()
    with refused("InvalidAccessKeyId"):
        wrong.client("s3", **arguments()).list_buckets()
    forged = keyed(ACCOUNTS[ADMINISTRATOR]["accessKeyId"], "x" * 40)
    with refused("SignatureDoesNotMatch"):
        forged.client("sts", **arguments()).get_caller_identity()
    with refused("InvalidSignatureException"):
        forged.client("events", **arguments()).list_rules()


def check_iam():
    """roles, their policies and tags, managed policies, users"""
    iam = client("iam")
    made = iam.create_role(
        RoleName="work", Path="/team/", AssumeRolePolicyDocument=trust("lambda.amazonaws.com"), Description="works",
        MaxSessionDuration=7200, Tags=[{"Key": "team", "Value": "security"}])["Role"]
    equal(made["Arn"], f"arn:aws:iam::{ADMINISTRATOR}:role/team/work")
    iam.get_waiter("role_exists").wait(RoleName="work", WaiterConfig={"Delay": 1, "MaxAttempts": 2})
    got = iam.get_role(RoleName="work")["Role"]
    equal(got["AssumeRolePolicyDocument"]["Statement"][0]["Principal"], {"Service": "lambda.amazonaws.com"})
    equal(got["MaxSessionDuration"], 7200)
    iam.update_role(RoleName="work", Description="works hard", MaxSessionDuration=3600)
    iam.update_assume_role_policy(RoleName="work", PolicyDocument=trust("events.amazonaws.com"))
    iam.put_role_policy(RoleName="work", PolicyName="inline", PolicyDocument=allow("s3:GetObject", "*"))
    equal(iam.get_role_policy(RoleName="work", PolicyName="inline")["PolicyDocument"]["Statement"][0]["Action"], "s3:GetObject")
    equal(iam.list_role_policies(RoleName="work")["PolicyNames"], ["inline"])
    policy = iam.create_policy(PolicyName="mine", PolicyDocument=allow("sqs:*", "*"), Description="queues")["Policy"]
    equal(iam.get_policy(PolicyArn=policy["Arn"])["Policy"]["PolicyName"], "mine")
    version = iam.get_policy_version(PolicyArn=policy["Arn"], VersionId=policy["DefaultVersionId"])["PolicyVersion"]
    equal(version["Document"]["Statement"][0]["Action"], "sqs:*")
    iam.attach_role_policy(RoleName="work", PolicyArn=policy["Arn"])
    iam.attach_role_policy(RoleName="work", PolicyArn="arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole")
    pages = iam.get_paginator("list_attached_role_policies").paginate(RoleName="work", PaginationConfig={"PageSize": 1})
    equal(sorted(p["PolicyName"] for page in pages for p in page["AttachedPolicies"]), ["AWSLambdaBasicExecutionRole", "mine"])
    assert any(p["PolicyName"] == "mine" for page in iam.get_paginator("list_policies").paginate(Scope="Local") for p in page["Policies"])
    iam.tag_role(RoleName="work", Tags=[{"Key": "stage", "Value": "test"}])
    equal({t["Key"]: t["Value"] for t in iam.list_role_tags(RoleName="work")["Tags"]}, {"team": "security", "stage": "test"})
    iam.untag_role(RoleName="work", TagKeys=["team"])
    names = [r["RoleName"] for page in iam.get_paginator("list_roles").paginate(PathPrefix="/team/") for r in page["Roles"]]
    equal(names, ["work"])
    with refused("EntityAlreadyExists", iam.exceptions.EntityAlreadyExistsException):
        iam.create_role(RoleName="work", AssumeRolePolicyDocument=trust("lambda.amazonaws.com"))
    with refused("DeleteConflict", iam.exceptions.DeleteConflictException):
        iam.delete_role(RoleName="work")
    with refused("MalformedPolicyDocument", iam.exceptions.MalformedPolicyDocumentException):
        iam.create_role(RoleName="other", AssumeRolePolicyDocument="{")
    with refused("NoSuchEntity", iam.exceptions.NoSuchEntityException):
        iam.get_role(RoleName="nobody")
    for page in iam.get_paginator("list_attached_role_policies").paginate(RoleName="work"):
        for p in page["AttachedPolicies"]:
            iam.detach_role_policy(RoleName="work", PolicyArn=p["PolicyArn"])
    iam.delete_role_policy(RoleName="work", PolicyName="inline")
    iam.delete_policy(PolicyArn=policy["Arn"])
    iam.delete_role(RoleName="work")
    linked = iam.create_service_linked_role(AWSServiceName="inspector2.amazonaws.com")["Role"]
    assert linked["Path"].startswith("/aws-service-role/"), linked
    equal(iam.get_user()["User"]["UserName"], "administrator")
    equal(iam.list_users()["Users"][0]["UserName"], "administrator")


def check_kms():
    """keys, aliases, policies, and what is encrypted with them"""
    kms = client("kms")
    key = kms.create_key(Description="of the logs", Tags=[{"TagKey": "team", "TagValue": "security"}])["KeyMetadata"]
    equal(kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]["Arn"], key["Arn"])
    kms.create_alias(AliasName="alias/logs", TargetKeyId=key["KeyId"])
    assert any(a["AliasName"] == "alias/logs" for p in kms.get_paginator("list_aliases").paginate() for a in p["Aliases"])
    assert any(k["KeyId"] == key["KeyId"] for p in kms.get_paginator("list_keys").paginate() for k in p["Keys"])
    equal(kms.list_key_policies(KeyId=key["KeyId"])["PolicyNames"], ["default"])
    policy = kms.get_key_policy(KeyId=key["KeyId"], PolicyName="default")["Policy"]
    kms.put_key_policy(KeyId=key["KeyId"], PolicyName="default", Policy=policy)
    context = {"aws:s3:arn": "arn:aws:s3:::logs"}
    sealed = kms.encrypt(KeyId="alias/logs", Plaintext=b"finding", EncryptionContext=context)
    equal(kms.decrypt(CiphertextBlob=sealed["CiphertextBlob"], EncryptionContext=context)["Plaintext"], b"finding")
    with refused("InvalidCiphertextException", kms.exceptions.InvalidCiphertextException, silent=True):
        kms.decrypt(CiphertextBlob=sealed["CiphertextBlob"])
    data = kms.generate_data_key(KeyId="alias/logs", KeySpec="AES_256")
    equal(len(data["Plaintext"]), 32)
    equal(kms.decrypt(CiphertextBlob=data["CiphertextBlob"])["Plaintext"], data["Plaintext"])
    kms.generate_data_key_without_plaintext(KeyId="alias/logs", NumberOfBytes=16)
    kms.disable_key(KeyId=key["KeyId"])
    with refused("DisabledException", kms.exceptions.DisabledException):
        kms.encrypt(KeyId="alias/logs", Plaintext=b"finding")
    kms.enable_key(KeyId=key["KeyId"])
    gone = kms.schedule_key_deletion(KeyId=key["KeyId"], PendingWindowInDays=7)
    assert isinstance(gone["DeletionDate"], datetime.datetime), gone
    with refused("KMSInvalidStateException", kms.exceptions.KMSInvalidStateException):
        kms.enable_key(KeyId=key["KeyId"])
    kms.cancel_key_deletion(KeyId=key["KeyId"])
    kms.delete_alias(AliasName="alias/logs")
    with refused("NotFoundException", kms.exceptions.NotFoundException):
        kms.describe_key(KeyId="alias/logs")


def check_organizations():
    """the organization, its units, its accounts, who administers what"""
    org = client("organizations", MANAGEMENT)
    with refused("AlreadyInOrganizationException", org.exceptions.AlreadyInOrganizationException):
        org.create_organization(FeatureSet="ALL")
    about = org.describe_organization()["Organization"]
    equal(about["MasterAccountId"], MANAGEMENT)
    root = org.list_roots()["Roots"][0]
    unit = org.create_organizational_unit(ParentId=root["Id"], Name="clients", Tags=[{"Key": "a", "Value": "b"}])["OrganizationalUnit"]
    equal(org.describe_organizational_unit(OrganizationalUnitId=unit["Id"])["OrganizationalUnit"]["Name"], "clients")
    with refused("DuplicateOrganizationalUnitException", org.exceptions.DuplicateOrganizationalUnitException):
        org.create_organizational_unit(ParentId=root["Id"], Name="clients")
    assert any(u["Id"] == unit["Id"] for p in org.get_paginator("list_organizational_units_for_parent").paginate(ParentId=root["Id"])
               for u in p["OrganizationalUnits"])
    status = org.create_account(Email="new@example.com", AccountName="new", Tags=[{"Key": "a", "Value": "b"}])["CreateAccountStatus"]
    advance("5m")
    status = org.describe_create_account_status(CreateAccountRequestId=status["Id"])["CreateAccountStatus"]
    equal(status["State"], "SUCCEEDED")
    new = status["AccountId"]
    accounts = {a["Id"]: a for p in org.get_paginator("list_accounts").paginate() for a in p["Accounts"]}
    assert {MANAGEMENT, new} <= set(accounts), accounts
    equal(org.describe_account(AccountId=new)["Account"]["Name"], "new")
    org.move_account(AccountId=new, SourceParentId=root["Id"], DestinationParentId=unit["Id"])
    equal(org.list_parents(ChildId=new)["Parents"], [{"Id": unit["Id"], "Type": "ORGANIZATIONAL_UNIT"}])
    equal(org.list_children(ParentId=unit["Id"], ChildType="ACCOUNT")["Children"], [{"Id": new, "Type": "ACCOUNT"}])
    equal([a["Id"] for a in org.list_accounts_for_parent(ParentId=unit["Id"])["Accounts"]], [new])
    org.tag_resource(ResourceId=new, Tags=[{"Key": "stage", "Value": "test"}])
    equal(len(org.list_tags_for_resource(ResourceId=new)["Tags"]), 2)
    org.untag_resource(ResourceId=new, TagKeys=["stage"])
    principal = "guardduty.amazonaws.com"
    org.enable_aws_service_access(ServicePrincipal=principal)
    names = [s["ServicePrincipal"] for s in org.list_aws_service_access_for_organization()["EnabledServicePrincipals"]]
    assert principal in names, names
    org.register_delegated_administrator(AccountId=new, ServicePrincipal=principal)
    equal([a["Id"] for a in org.list_delegated_administrators(ServicePrincipal=principal)["DelegatedAdministrators"]], [new])
    equal(org.list_delegated_services_for_account(AccountId=new)["DelegatedServices"][0]["ServicePrincipal"], principal)
    with refused("AccountAlreadyRegisteredException", org.exceptions.AccountAlreadyRegisteredException):
        org.register_delegated_administrator(AccountId=new, ServicePrincipal=principal)
    org.deregister_delegated_administrator(AccountId=new, ServicePrincipal=principal)
    org.disable_aws_service_access(ServicePrincipal=principal)
    with refused("AccountNotFoundException", org.exceptions.AccountNotFoundException):
        org.describe_account(AccountId="000000000001")
    org.close_account(AccountId=new)
    member = client("organizations", MEMBERS[0])
    with refused("AccessDeniedException", member.exceptions.AccessDeniedException):
        member.create_organizational_unit(ParentId=root["Id"], Name="mine")


def check_account():
    """opt-in regions"""
    account = client("account", MEMBERS[0])
    if not knows(account, "list_regions"):
        return
    regions = {r["RegionName"]: r["RegionOptStatus"] for p in account.get_paginator("list_regions").paginate() for r in p["Regions"]}
    equal(regions[REGION], "ENABLED_BY_DEFAULT")
    account.enable_region(RegionName="af-south-1")
    advance("24h")
    equal(account.get_region_opt_status(RegionName="af-south-1")["RegionOptStatus"], "ENABLED")
    account.disable_region(RegionName="af-south-1")
    with refused("ValidationException", account.exceptions.ValidationException):
        account.enable_region(RegionName="mars-1")
