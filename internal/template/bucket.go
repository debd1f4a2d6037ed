package template

import "strings"

// Bucket is the template for the account and region of the bucket: the bucket with its policy and key, and what makes it
// a table for Athena.
func Bucket(o Options) ([]byte, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	parameters := object(
		"BucketName", parameter("Name of the bucket.", `^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`),
		"AdministratorAccount", parameter("Account whose delivery streams and collectors write to the bucket: Security Hub's administrator.", `^\d{12}$`),
		"OrganizationId", parameter("Organization that writers have to be in; empty where there is none.", `^(o-[a-z0-9]{10,32})?$`, ""),
		"Encryption", words("SSE-S3 with AWS's key, or SSE-KMS with a key of this stack.", "AES256", "AES256", "aws:kms"),
		"ObjectLock", words("Whether objects can be kept from being deleted (Object Lock, governance mode).", "disabled", "disabled", "enabled"),
		"RetentionDays", number("How long Object Lock keeps each object.", 365, 1),
		"ExpirationDays", number("After how many days objects are deleted; 0: never.", 0, 0),
	)
	conditions := object(
		"WithKey", equals(ref("Encryption"), "aws:kms"),
		"WithLock", equals(ref("ObjectLock"), "enabled"),
		"WithExpiration", not(equals(ref("ExpirationDays"), 0)),
		"InOrganization", not(equals(ref("OrganizationId"), "")),
	)
	resources := object(
		"Key", keyResource(),
		"KeyAlias", object("Type", "AWS::KMS::Alias", "Condition", "WithKey", "Properties", object(
			"AliasName", sub("alias/${AWS::StackName}"), "TargetKeyId", ref("Key"),
		)),
		"Bucket", bucketResource(),
		"BucketPolicy", object("Type", "AWS::S3::BucketPolicy", "Properties", object("Bucket", ref("Bucket"), "PolicyDocument", bucketPolicy())),
	)
	resources = append(resources, tableResources(o)...)
	outputs := object(
		"BucketName", object("Description", "The bucket, for the region stacks.", "Value", ref("Bucket")),
		"KeyArn", object("Description", "Its key, for the region stacks; only with SSE-KMS.", "Condition", "WithKey", "Value", attribute("Key", "Arn")),
		"Database", object("Description", "Glue database with the table findings.", "Value", ref("Database")),
		"WorkGroup", object("Description", "Athena workgroup to query it in.", "Value", ref("WorkGroup")),
	)
	return assemble("catchment: the bucket of all findings, its key, and its table", parameters, conditions, resources, outputs)
}

// parameter is a text. An empty pattern takes any; otherwise is its default, if it has one.
func parameter(description, pattern string, otherwise ...string) node {
	p := object("Type", "String", "Description", description)
	if pattern != "" {
		p = append(p, member{"AllowedPattern", pattern})
	}
	for _, value := range otherwise {
		p = append(p, member{"Default", value})
	}
	return p
}

func words(description, otherwise string, allowed ...string) node {
	var values []any
	for _, a := range allowed {
		values = append(values, a)
	}
	return object("Type", "String", "Description", description, "Default", otherwise, "AllowedValues", values)
}

func number(description string, otherwise, least int) node {
	return object("Type", "Number", "Description", description, "Default", otherwise, "MinValue", least)
}

// writers are the roles that may write: those of the region stacks, and of collectors and functions named like them.
var writers = object("ArnLike", object("aws:PrincipalArn", sub("arn:${AWS::Partition}:iam::${AdministratorAccount}:role/catchment-*")))

// keyResource is the key of SSE-KMS: the account's own, and for the writers through S3.
// https://docs.aws.amazon.com/firehose/latest/dev/controlling-access.html
func keyResource() node {
	through := append(node{}, writers...)
	through = append(through, member{"StringEquals", object("kms:ViaService", sub("s3.${AWS::Region}.${AWS::URLSuffix}"))})
	through = append(through, member{"StringLike", object("kms:EncryptionContext:aws:s3:arn", sub("arn:${AWS::Partition}:s3:::${BucketName}*"))})
	return object(
		"Type", "AWS::KMS::Key", "Condition", "WithKey", "DeletionPolicy", "Retain", "UpdateReplacePolicy", "Retain",
		"Properties", object(
			"Description", "catchment: findings in the bucket", "EnableKeyRotation", true,
			"KeyPolicy", policy(
				object("Sid", "Account", "Effect", "Allow", "Principal", object("AWS", sub("arn:${AWS::Partition}:iam::${AWS::AccountId}:root")),
					"Action", "kms:*", "Resource", "*"),
				object("Sid", "Writers", "Effect", "Allow", "Principal", object("AWS", sub("arn:${AWS::Partition}:iam::${AdministratorAccount}:root")),
					"Action", list("kms:GenerateDataKey", "kms:Decrypt"), "Resource", "*", "Condition", through),
			),
			"Tags", tags(),
		),
	)
}

func bucketResource() node {
	return object(
		"Type", "AWS::S3::Bucket", "DeletionPolicy", "Retain", "UpdateReplacePolicy", "Retain",
		"Properties", object(
			"BucketName", ref("BucketName"),
			"VersioningConfiguration", object("Status", "Enabled"),
			"PublicAccessBlockConfiguration", object("BlockPublicAcls", true, "BlockPublicPolicy", true, "IgnorePublicAcls", true, "RestrictPublicBuckets", true),
			"OwnershipControls", object("Rules", list(object("ObjectOwnership", "BucketOwnerEnforced"))),
			"BucketEncryption", object("ServerSideEncryptionConfiguration", list(object(
				"BucketKeyEnabled", choice("WithKey", true, novalue()),
				"ServerSideEncryptionByDefault", object("SSEAlgorithm", ref("Encryption"), "KMSMasterKeyID", choice("WithKey", attribute("Key", "Arn"), novalue())),
			))),
			"ObjectLockEnabled", choice("WithLock", true, novalue()),
			"ObjectLockConfiguration", choice("WithLock", object("ObjectLockEnabled", "Enabled", "Rule", object(
				"DefaultRetention", object("Mode", "GOVERNANCE", "Days", ref("RetentionDays")),
			)), novalue()),
			"LifecycleConfiguration", object("Rules", list(
				object("Id", "AbortUploads", "Status", "Enabled", "AbortIncompleteMultipartUpload", object("DaysAfterInitiation", 7)),
				choice("WithExpiration", object("Id", "Expire", "Status", "Enabled", "ExpirationInDays", ref("ExpirationDays"),
					"NoncurrentVersionExpiration", object("NoncurrentDays", 30)), novalue()),
			)),
			"Tags", tags(),
		),
	)
}

// bucketPolicy lets the writers put objects, and nobody do anything without TLS.
func bucketPolicy() node {
	let := append(node{}, writers...)
	let = append(let, member{"StringEquals", choice("InOrganization", object("aws:PrincipalOrgID", ref("OrganizationId")), novalue())})
	administrator := object("AWS", sub("arn:${AWS::Partition}:iam::${AdministratorAccount}:root"))
	return policy(
		object("Sid", "TLSOnly", "Effect", "Deny", "Principal", "*", "Action", "s3:*",
			"Resource", list(attribute("Bucket", "Arn"), sub("${Bucket.Arn}/*")), "Condition", object("Bool", object("aws:SecureTransport", "false"))),
		object("Sid", "WritersOfObjects", "Effect", "Allow", "Principal", administrator,
			"Action", list("s3:PutObject", "s3:GetObject", "s3:AbortMultipartUpload"), "Resource", sub("${Bucket.Arn}/*"), "Condition", let),
		object("Sid", "WritersOfBucket", "Effect", "Allow", "Principal", administrator,
			"Action", list("s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads"), "Resource", attribute("Bucket", "Arn"), "Condition", let),
	)
}

func policy(statements ...any) node {
	return object("Version", "2012-10-17", "Statement", statements)
}

// columns are those of a finding in ASFF that are asked for most; maps and JSON texts for what has no fixed members.
// https://docs.aws.amazon.com/securityhub/latest/userguide/securityhub-findings-format.html
var columns = [][2]string{
	{"schemaversion", "string"},
	{"id", "string"},
	{"productarn", "string"},
	{"productname", "string"},
	{"generatorid", "string"},
	{"awsaccountid", "string"},
	{"types", "array<string>"},
	{"createdat", "string"},
	{"updatedat", "string"},
	{"severity", "struct<label:string,normalized:int>"},
	{"title", "string"},
	{"description", "string"},
	{"productfields", "map<string,string>"},
	{"resources", "array<struct<type:string,id:string,partition:string,region:string,tags:map<string,string>>>"},
	{"workflow", "struct<status:string>"},
	{"recordstate", "string"},
	{
		"vulnerabilities", "array<struct<id:string,vulnerablepackages:array<struct<name:string,version:string,architecture:string,packagemanager:string," +
			"fixedinversion:string,filepath:string>>,cvss:array<struct<version:string,basescore:double,basevector:string,source:string>>," +
			"relatedvulnerabilities:array<string>,fixavailable:string,exploitavailable:string,epssscore:double>>",
	},
}

// tableResources make the default layout, AWSLogs/<account>/Inspector/<region>/yyyy/MM/dd/HH/, a table by partition
// projection: no crawler, no repair.
// https://docs.aws.amazon.com/athena/latest/ug/partition-projection.html
func tableResources(o Options) node {
	var cols []any
	for _, c := range columns {
		cols = append(cols, object("Name", c[0], "Type", c[1]))
	}
	regions := strings.Join(o.Regions, ",")
	if regions == "" {
		regions = "us-east-1"
	}
	projected := object(
		"classification", "json", "projection.enabled", "true",
		"projection.account.type", "injected",
		"projection.findingregion.type", "enum", "projection.findingregion.values", regions,
		"projection.datehour.type", "date", "projection.datehour.format", "yyyy/MM/dd/HH", "projection.datehour.range", "2024/01/01/00,NOW",
		"projection.datehour.interval", "1", "projection.datehour.interval.unit", "HOURS",
		"storage.location.template", sub("s3://${Bucket}/AWSLogs/${!account}/Inspector/${!findingregion}/${!datehour}/"),
	)
	return object(
		"Database", object("Type", "AWS::Glue::Database", "Properties", object(
			"CatalogId", ref("AWS::AccountId"), "DatabaseInput", object("Name", sub("${AWS::StackName}")),
		)),
		"Table", object("Type", "AWS::Glue::Table", "Properties", object(
			"CatalogId", ref("AWS::AccountId"), "DatabaseName", ref("Database"), "TableInput", object(
				"Name", "findings", "TableType", "EXTERNAL_TABLE", "Parameters", projected,
				"PartitionKeys", list(object("Name", "account", "Type", "string"), object("Name", "findingregion", "Type", "string"),
					object("Name", "datehour", "Type", "string")),
				"StorageDescriptor", object(
					"Columns", cols, "Location", sub("s3://${Bucket}/AWSLogs/"), "InputFormat", "org.apache.hadoop.mapred.TextInputFormat",
					"OutputFormat", "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat",
					"SerdeInfo", object("SerializationLibrary", "org.openx.data.jsonserde.JsonSerDe",
						"Parameters", object("ignore.malformed.json", "true", "case.insensitive", "true")),
				),
			),
		)),
		"WorkGroup", object("Type", "AWS::Athena::WorkGroup", "Properties", object(
			"Name", sub("${AWS::StackName}"), "Description", "catchment: findings", "RecursiveDeleteOption", true,
			"WorkGroupConfiguration", object("EnforceWorkGroupConfiguration", true, "ResultConfiguration", object(
				"OutputLocation", sub("s3://${Bucket}/athena-results/"),
			)),
		)),
	)
}
