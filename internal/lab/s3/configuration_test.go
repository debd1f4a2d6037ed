package s3_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"example.org/catchment/internal/lab/labtest"
)

// TestWhatABucketHasNotIsNotFound also shows what every bucket has from the beginning.
func TestWhatABucketHasNotIsNotFound(t *testing.T) {
	l := newLab(t)
	b := aws.String(bucket)
	for want, ask := range map[string]func() error{
		"NoSuchBucketPolicy": func() error {
			_, err := l.client.GetBucketPolicy(t.Context(), &awss3.GetBucketPolicyInput{Bucket: b})
			return err
		},
		"NoSuchTagSet": func() error {
			_, err := l.client.GetBucketTagging(t.Context(), &awss3.GetBucketTaggingInput{Bucket: b})
			return err
		},
		"NoSuchLifecycleConfiguration": func() error {
			_, err := l.client.GetBucketLifecycleConfiguration(t.Context(), &awss3.GetBucketLifecycleConfigurationInput{Bucket: b})
			return err
		},
		"NoSuchPublicAccessBlockConfiguration": func() error {
			if _, err := l.client.DeletePublicAccessBlock(t.Context(), &awss3.DeletePublicAccessBlockInput{Bucket: b}); err != nil {
				return err
			}
			_, err := l.client.GetPublicAccessBlock(t.Context(), &awss3.GetPublicAccessBlockInput{Bucket: b})
			return err
		},
		"OwnershipControlsNotFoundError": func() error {
			if _, err := l.client.DeleteBucketOwnershipControls(t.Context(), &awss3.DeleteBucketOwnershipControlsInput{Bucket: b}); err != nil {
				return err
			}
			_, err := l.client.GetBucketOwnershipControls(t.Context(), &awss3.GetBucketOwnershipControlsInput{Bucket: b})
			return err
		},
	} {
		wants(t, ask(), want)
	}
	fresh := newLab(t)
	block, err := fresh.client.GetPublicAccessBlock(t.Context(), &awss3.GetPublicAccessBlockInput{Bucket: b})
	if err != nil || !*block.PublicAccessBlockConfiguration.BlockPublicPolicy || !*block.PublicAccessBlockConfiguration.RestrictPublicBuckets {
		t.Errorf("block: got %+v, %v", block, err)
	}
	owner, err := fresh.client.GetBucketOwnershipControls(t.Context(), &awss3.GetBucketOwnershipControlsInput{Bucket: b})
	if err != nil || owner.OwnershipControls.Rules[0].ObjectOwnership != types.ObjectOwnershipBucketOwnerEnforced {
		t.Errorf("ownership: got %+v, %v", owner, err)
	}
	versioning, err := fresh.client.GetBucketVersioning(t.Context(), &awss3.GetBucketVersioningInput{Bucket: b})
	if err != nil || versioning.Status != "" {
		t.Errorf("versioning: got %+v, %v", versioning, err)
	}
	acl, err := fresh.client.GetBucketAcl(t.Context(), &awss3.GetBucketAclInput{Bucket: b})
	if err != nil || acl.Grants[0].Permission != types.PermissionFullControl || *acl.Grants[0].Grantee.ID != *acl.Owner.ID {
		t.Errorf("ACL: got %+v, %v", acl, err)
	}
}

func TestConfigurationsAreKept(t *testing.T) {
	l := newLab(t)
	b := aws.String(bucket)
	_, err := l.client.PutBucketTagging(t.Context(), &awss3.PutBucketTaggingInput{Bucket: b, Tagging: &types.Tagging{TagSet: []types.Tag{{Key: aws.String("k"), Value: aws.String("<v>")}}}})
	wants(t, err, "")
	tags, err := l.client.GetBucketTagging(t.Context(), &awss3.GetBucketTaggingInput{Bucket: b})
	if err != nil || *tags.TagSet[0].Value != "<v>" {
		t.Errorf("tags: got %+v, %v", tags, err)
	}
	_, err = l.client.PutBucketOwnershipControls(t.Context(), &awss3.PutBucketOwnershipControlsInput{Bucket: b, OwnershipControls: &types.OwnershipControls{
		Rules: []types.OwnershipControlsRule{{ObjectOwnership: "Nobody"}},
	}})
	wants(t, err, "MalformedXML")
	_, err = l.client.PutBucketVersioning(t.Context(), &awss3.PutBucketVersioningInput{Bucket: b, VersioningConfiguration: &types.VersioningConfiguration{}})
	wants(t, err, "IllegalVersioningConfigurationException")
	_, err = l.client.PutPublicAccessBlock(t.Context(), &awss3.PutPublicAccessBlockInput{Bucket: b, PublicAccessBlockConfiguration: &types.PublicAccessBlockConfiguration{BlockPublicAcls: aws.Bool(true)}})
	wants(t, err, "")
	block, err := l.client.GetPublicAccessBlock(t.Context(), &awss3.GetPublicAccessBlockInput{Bucket: b})
	if err != nil || !*block.PublicAccessBlockConfiguration.BlockPublicAcls || *block.PublicAccessBlockConfiguration.BlockPublicPolicy {
		t.Errorf("block: got %+v, %v", block, err)
	}
}

func TestDefaultEncryption(t *testing.T) {
	l := newLab(t)
	b := aws.String(bucket)
	rule := func() types.ServerSideEncryptionRule {
		out, err := l.client.GetBucketEncryption(t.Context(), &awss3.GetBucketEncryptionInput{Bucket: b})
		if err != nil {
			t.Fatal(err)
		}
		return out.ServerSideEncryptionConfiguration.Rules[0]
	}
	put := func(algorithm types.ServerSideEncryption, key string, bucketKey bool) error {
		by := &types.ServerSideEncryptionByDefault{SSEAlgorithm: algorithm}
		if key != "" {
			by.KMSMasterKeyID = &key
		}
		_, err := l.client.PutBucketEncryption(t.Context(), &awss3.PutBucketEncryptionInput{Bucket: b, ServerSideEncryptionConfiguration: &types.ServerSideEncryptionConfiguration{
			Rules: []types.ServerSideEncryptionRule{{ApplyServerSideEncryptionByDefault: by, BucketKeyEnabled: &bucketKey}},
		}})
		return err
	}
	if got := rule(); got.ApplyServerSideEncryptionByDefault.SSEAlgorithm != types.ServerSideEncryptionAes256 {
		t.Errorf("at first: got %+v", got)
	}
	wants(t, put("ROT13", "", false), "MalformedXML")
	wants(t, put(types.ServerSideEncryptionAes256, "k", false), "InvalidArgument")
	key := l.cloud.Accounts.Place(labtest.Administrator, labtest.Region).ARN("kms", "key/1234")
	wants(t, put(types.ServerSideEncryptionAwsKms, key, true), "")
	if got := rule(); *got.ApplyServerSideEncryptionByDefault.KMSMasterKeyID != key || !*got.BucketKeyEnabled {
		t.Errorf("got %+v", got)
	}
	out := l.put(t, "a", "x")
	if out.ServerSideEncryption != types.ServerSideEncryptionAwsKms || aws.ToString(out.SSEKMSKeyId) != key || !aws.ToBool(out.BucketKeyEnabled) ||
		*out.ETag == `"9dd4e461268c8034f5c8564e155c67a6"` {
		t.Errorf("a put with the default: got %+v", out)
	}
	own, err := l.client.PutObject(t.Context(), &awss3.PutObjectInput{
		Bucket: b, Key: aws.String("a"), Body: strings.NewReader("x"), ServerSideEncryption: types.ServerSideEncryptionAes256,
	})
	if err != nil || own.ServerSideEncryption != types.ServerSideEncryptionAes256 || own.SSEKMSKeyId != nil || *own.ETag != `"9dd4e461268c8034f5c8564e155c67a6"` {
		t.Errorf("a put with its own: got %+v, %v", own, err)
	}
	_, err = l.client.DeleteBucketEncryption(t.Context(), &awss3.DeleteBucketEncryptionInput{Bucket: b})
	wants(t, err, "")
	if got := rule(); got.ApplyServerSideEncryptionByDefault.SSEAlgorithm != types.ServerSideEncryptionAes256 {
		t.Errorf("at last: got %+v", got)
	}
}

func (l *lab) setPolicy(t *testing.T, text string) error {
	t.Helper()
	_, err := l.client.PutBucketPolicy(t.Context(), &awss3.PutBucketPolicyInput{Bucket: aws.String(bucket), Policy: &text})
	return err
}

// statement is a policy of one statement about the bucket; rest has what differs.
func (l *lab) statement(rest string) string {
	arn := l.cloud.Accounts.Place("", "").ARN("s3", bucket)
	return fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Resource":[%q,%q],%s}]}`, arn, arn+"/*", rest)
}

func TestPoliciesThatS3Refuses(t *testing.T) {
	l := newLab(t)
	for name, tt := range map[string]struct{ policy, want string }{
		"no JSON":                {"x", "MalformedPolicy"},
		"a list":                 {"[]", "MalformedPolicy"},
		"no statements":          {`{"Version":"2012-10-17","Statement":[]}`, "MalformedPolicy"},
		"no principal":           {l.statement(`"Effect":"Allow","Action":"s3:*"`), "MalformedPolicy"},
		"no effect":              {l.statement(`"Principal":"*","Action":"s3:*"`), "MalformedPolicy"},
		"no action":              {l.statement(`"Effect":"Allow","Principal":"*"`), "MalformedPolicy"},
		"another service's":      {l.statement(`"Effect":"Allow","Principal":"*","Action":"sqs:*"`), "MalformedPolicy"},
		"another bucket's":       {strings.ReplaceAll(l.statement(`"Effect":"Deny","Principal":"*","Action":"s3:*"`), bucket, "other"), "MalformedPolicy"},
		"an operator of nowhere": {l.statement(`"Effect":"Deny","Principal":"*","Action":"s3:*","Condition":{"Sometimes":{"a":"b"}}`), "MalformedPolicy"},
		"too long":               {l.statement(`"Effect":"Deny","Principal":"*","Action":"s3:*","Sid":"` + strings.Repeat("x", 20<<10) + `"`), "PolicyTooLarge"},
		"for everybody":          {l.statement(`"Effect":"Allow","Principal":"*","Action":"s3:GetObject"`), "AccessDenied"},
		"against everybody":      {l.statement(`"Effect":"Deny","Principal":"*","Action":"s3:*","Condition":{"Bool":{"aws:SecureTransport":"false"}}`), ""},
		"for an account":         {l.statement(`"Effect":"Allow","Principal":{"AWS":"222222222222"},"Action":"s3:GetObject"`), ""},
	} {
		t.Run(name, func(t *testing.T) { wants(t, l.setPolicy(t, tt.policy), tt.want) })
	}
	out, err := l.client.GetBucketPolicy(t.Context(), &awss3.GetBucketPolicyInput{Bucket: aws.String(bucket)})
	if err != nil || !strings.HasPrefix(*out.Policy, "{") {
		t.Errorf("got %+v, %v", out, err)
	}
	status, err := l.client.GetBucketPolicyStatus(t.Context(), &awss3.GetBucketPolicyStatusInput{Bucket: aws.String(bucket)})
	if err != nil || *status.PolicyStatus.IsPublic {
		t.Errorf("status: got %+v, %v", status, err)
	}
	_, err = l.client.DeleteBucketPolicy(t.Context(), &awss3.DeleteBucketPolicyInput{Bucket: aws.String(bucket)})
	wants(t, err, "")
}

func (l *lab) setRules(t *testing.T, rules ...types.LifecycleRule) error {
	t.Helper()
	_, err := l.client.PutBucketLifecycleConfiguration(t.Context(), &awss3.PutBucketLifecycleConfigurationInput{
		Bucket: aws.String(bucket), LifecycleConfiguration: &types.BucketLifecycleConfiguration{Rules: rules},
	})
	return err
}

func TestLifecycleRulesAreValidated(t *testing.T) {
	l := newLab(t)
	all := &types.LifecycleRuleFilter{Prefix: aws.String("")}
	days := func(n int32) *types.LifecycleExpiration { return &types.LifecycleExpiration{Days: &n} }
	good := types.LifecycleRule{ID: aws.String("a"), Status: "Enabled", Filter: all, Expiration: days(1)}
	for name, tt := range map[string]struct {
		rules []types.LifecycleRule
		want  string
	}{
		"good":            {[]types.LifecycleRule{good}, ""},
		"twice":           {[]types.LifecycleRule{good, good}, "InvalidArgument"},
		"no action":       {[]types.LifecycleRule{{Status: "Enabled", Filter: all}}, "InvalidRequest"},
		"no filter":       {[]types.LifecycleRule{{Status: "Enabled", Expiration: days(1)}}, "MalformedXML"},
		"no such status":  {[]types.LifecycleRule{{Status: "On", Filter: all, Expiration: days(1)}}, "MalformedXML"},
		"0 days":          {[]types.LifecycleRule{{Status: "Enabled", Filter: all, Expiration: days(0)}}, "InvalidArgument"},
		"days and a date": {[]types.LifecycleRule{{Status: "Enabled", Filter: all, Expiration: &types.LifecycleExpiration{Days: aws.Int32(1), Date: aws.Time(labtest.Start.Truncate(24 * time.Hour))}}}, "MalformedXML"},
		"a date at noon":  {[]types.LifecycleRule{{Status: "Enabled", Filter: all, Expiration: &types.LifecycleExpiration{Date: &labtest.Start}}}, "InvalidArgument"},
		"a long id":       {[]types.LifecycleRule{{ID: aws.String(strings.Repeat("x", 256)), Status: "Enabled", Filter: all, Expiration: days(1)}}, "InvalidArgument"},
		"a class of nowhere": {[]types.LifecycleRule{{Status: "Enabled", Filter: all, Transitions: []types.Transition{
			{Days: aws.Int32(1), StorageClass: "COLD"},
		}}}, "MalformedXML"},
	} {
		t.Run(name, func(t *testing.T) { wants(t, l.setRules(t, tt.rules...), tt.want) })
	}
	many := make([]types.LifecycleRule, 1001)
	for i := range many {
		many[i] = types.LifecycleRule{Status: "Enabled", Filter: all, Expiration: days(1)}
	}
	wants(t, l.setRules(t, many...), "MalformedXML")
	wants(t, l.setRules(t, many[:1000]...), "")
	wants(t, l.setRules(t, types.LifecycleRule{
		Status: "Disabled", Filter: &types.LifecycleRuleFilter{And: &types.LifecycleRuleAndOperator{Prefix: aws.String("a"), Tags: []types.Tag{{Key: aws.String("k"), Value: aws.String("v")}}}},
		NoncurrentVersionExpiration: &types.NoncurrentVersionExpiration{NoncurrentDays: aws.Int32(3), NewerNoncurrentVersions: aws.Int32(2)},
		Transitions:                 []types.Transition{{Days: aws.Int32(30), StorageClass: types.TransitionStorageClassGlacier}},
	}), "")
	out, err := l.client.GetBucketLifecycleConfiguration(t.Context(), &awss3.GetBucketLifecycleConfigurationInput{Bucket: aws.String(bucket)})
	if err != nil || *out.Rules[0].Filter.And.Tags[0].Value != "v" || *out.Rules[0].NoncurrentVersionExpiration.NewerNoncurrentVersions != 2 || *out.Rules[0].ID == "" {
		t.Errorf("got %+v, %v", out, err)
	}
}

func TestLifecycleRulesExpireAtMidnight(t *testing.T) {
	l := newLab(t)
	l.enableVersions(t)
	wants(t, l.setRules(t, types.LifecycleRule{
		Status: "Enabled", Filter: &types.LifecycleRuleFilter{Prefix: aws.String("tmp/")}, Expiration: &types.LifecycleExpiration{Days: aws.Int32(1)},
		NoncurrentVersionExpiration:    &types.NoncurrentVersionExpiration{NoncurrentDays: aws.Int32(1)},
		AbortIncompleteMultipartUpload: &types.AbortIncompleteMultipartUpload{DaysAfterInitiation: aws.Int32(2)},
	}), "")
	l.put(t, "tmp/a", "x")
	l.put(t, "kept", "x")
	l.begin(t, "tmp/b", "part")
	versions := func(want int) {
		t.Helper()
		if got := l.listVersions(t, 10, "", ""); len(got) != want {
			t.Errorf("at %v: got %q, want %d", l.cloud.Clock.Now(), got, want)
		}
	}
	labtest.Advance(t, l.cloud, 34*time.Hour) // the next day, 23:14
	if got := l.listAll(t, 10, awss3.ListObjectsV2Input{}); len(got) != 2 {
		t.Errorf("before midnight: got %q", got)
	}
	labtest.Advance(t, l.cloud, time.Hour)
	if got := l.listAll(t, 10, awss3.ListObjectsV2Input{}); len(got) != 1 {
		t.Errorf("after midnight: got %q", got)
	}
	versions(3) // with the marker
	labtest.Advance(t, l.cloud, 24*time.Hour)
	versions(1) // the old version goes, and then the marker, which has nothing below it any more
	uploads, err := l.client.ListMultipartUploads(t.Context(), &awss3.ListMultipartUploadsInput{Bucket: aws.String(bucket)})
	if err != nil || len(uploads.Uploads) != 0 {
		t.Errorf("uploads: got %+v, %v", uploads, err)
	}
}
