package kms_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/smithy-go"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/iam"
	labkms "example.org/catchment/internal/lab/kms"
	"example.org/catchment/internal/lab/labtest"
)

// newKMS serves KMS with IAM deciding, and gives clients of both accounts.
func newKMS(t *testing.T, options ...func(*cloud.Options)) (c *cloud.Cloud, s *labkms.Service, client, member *kms.Client) {
	t.Helper()
	c = labtest.NewCloud(t, options...)
	c.Access = iam.New(c)
	s = labkms.New(c)
	server := labtest.Serve(t, c, s.Wire())
	return c, s, kms.NewFromConfig(server.Config(labtest.Administrator, labtest.Region)), kms.NewFromConfig(server.Config(labtest.Member, labtest.Region))
}

func code(err error) string {
	if e, ok := errors.AsType[smithy.APIError](err); ok {
		return e.ErrorCode()
	}
	return ""
}

func mustKey(t *testing.T, client *kms.Client, document string) *types.KeyMetadata {
	t.Helper()
	in := &kms.CreateKeyInput{Description: aws.String("findings")}
	if document != "" {
		in.Policy = &document
	}
	out, err := client.CreateKey(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	return out.KeyMetadata
}

// root lets the administrator's account decide, and whom else more names.
func root(more ...string) string {
	return `{"Version":"2012-10-17","Statement":[` + strings.Join(append([]string{
		`{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111111111111:root"},"Action":"kms:*","Resource":"*"}`,
	}, more...), ",") + `]}`
}

func TestWhatIsEncryptedIsDecryptedWithTheSameContextAlone(t *testing.T) {
	_, _, client, _ := newKMS(t)
	ctx := t.Context()
	k, other := mustKey(t, client, ""), mustKey(t, client, "")
	if _, err := client.CreateAlias(ctx, &kms.CreateAliasInput{AliasName: aws.String("alias/findings"), TargetKeyId: k.KeyId}); err != nil {
		t.Fatal(err)
	}
	told := map[string]string{"b": "2", "aws:s3:arn": "arn:aws:s3:::bucket"}
	secret := []byte("secret")
	for _, name := range []string{*k.KeyId, *k.Arn, "alias/findings", "arn:aws:kms:ap-northeast-1:111111111111:alias/findings"} {
		sealed, err := client.Encrypt(ctx, &kms.EncryptInput{KeyId: &name, Plaintext: secret, EncryptionContext: told})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if *sealed.KeyId != *k.Arn || bytes.Contains(sealed.CiphertextBlob, secret) {
			t.Errorf("%s: got %+v", name, sealed)
		}
		open, err := client.Decrypt(ctx, &kms.DecryptInput{CiphertextBlob: sealed.CiphertextBlob, EncryptionContext: told, KeyId: &name})
		if err != nil || !bytes.Equal(open.Plaintext, secret) || *open.KeyId != *k.Arn {
			t.Errorf("%s: got %+v, %v", name, open, err)
		}
	}
	sealed, err := client.GenerateDataKey(ctx, &kms.GenerateDataKeyInput{KeyId: k.KeyId, KeySpec: types.DataKeySpecAes256, EncryptionContext: told})
	if err != nil || len(sealed.Plaintext) != 32 {
		t.Fatalf("got %+v, %v", sealed, err)
	}
	broken := bytes.Clone(sealed.CiphertextBlob)
	broken[len(broken)-1] ^= 1
	for name, test := range map[string]struct {
		in   kms.DecryptInput
		want string
	}{
		"the same context":     {kms.DecryptInput{CiphertextBlob: sealed.CiphertextBlob, EncryptionContext: told}, ""},
		"no context":           {kms.DecryptInput{CiphertextBlob: sealed.CiphertextBlob}, "InvalidCiphertextException"},
		"another context":      {kms.DecryptInput{CiphertextBlob: sealed.CiphertextBlob, EncryptionContext: map[string]string{"b": "3"}}, "InvalidCiphertextException"},
		"another key":          {kms.DecryptInput{CiphertextBlob: sealed.CiphertextBlob, EncryptionContext: told, KeyId: other.KeyId}, "IncorrectKeyException"},
		"a byte that changed":  {kms.DecryptInput{CiphertextBlob: broken, EncryptionContext: told}, "InvalidCiphertextException"},
		"what is no text":      {kms.DecryptInput{CiphertextBlob: []byte{1, 255, 255, 0}}, "InvalidCiphertextException"},
		"half of it":           {kms.DecryptInput{CiphertextBlob: sealed.CiphertextBlob[:90]}, "InvalidCiphertextException"},
		"too much":             {kms.DecryptInput{CiphertextBlob: make([]byte, 6145)}, "ValidationException"},
		"another algorithm":    {kms.DecryptInput{CiphertextBlob: sealed.CiphertextBlob, EncryptionAlgorithm: types.EncryptionAlgorithmSpecRsaesOaepSha1}, "InvalidKeyUsageException"},
		"only to see if it is": {kms.DecryptInput{CiphertextBlob: sealed.CiphertextBlob, EncryptionContext: told, DryRun: aws.Bool(true)}, "DryRunOperationException"},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := client.Decrypt(ctx, &test.in)
			if code(err) != test.want || err == nil && !bytes.Equal(out.Plaintext, sealed.Plaintext) {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
	without, err := client.GenerateDataKeyWithoutPlaintext(ctx, &kms.GenerateDataKeyWithoutPlaintextInput{KeyId: k.KeyId, NumberOfBytes: aws.Int32(40)})
	if err != nil {
		t.Fatal(err)
	}
	if open, err := client.Decrypt(ctx, &kms.DecryptInput{CiphertextBlob: without.CiphertextBlob}); err != nil || len(open.Plaintext) != 40 {
		t.Errorf("got %+v, %v", open, err)
	}
}

func TestAKeyIsDisabledEnabledAndDeleted(t *testing.T) {
	c, s, client, _ := newKMS(t)
	ctx := t.Context()
	k := mustKey(t, client, "")
	if _, err := client.CreateAlias(ctx, &kms.CreateAliasInput{AliasName: aws.String("alias/gone"), TargetKeyId: k.KeyId}); err != nil {
		t.Fatal(err)
	}
	state := func() types.KeyState {
		got, err := client.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: k.KeyId})
		if err != nil {
			t.Fatal(err)
		}
		return got.KeyMetadata.KeyState
	}
	use := func() error {
		_, err := client.GenerateDataKey(ctx, &kms.GenerateDataKeyInput{KeyId: aws.String("alias/gone"), KeySpec: types.DataKeySpecAes128})
		return err
	}
	if state() != types.KeyStateEnabled || use() != nil || !k.CreationDate.Equal(labtest.Start) {
		t.Errorf("a new key: %v, %+v", use(), k)
	}
	if _, err := client.DisableKey(ctx, &kms.DisableKeyInput{KeyId: k.KeyId}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Resource(*k.Arn); state() != types.KeyStateDisabled || code(use()) != "DisabledException" || err == nil || errors.Is(err, cloud.ErrNoResource) {
		t.Errorf("disabled: %v, for other services %v", use(), err)
	}
	if _, err := client.EnableKey(ctx, &kms.EnableKeyInput{KeyId: k.KeyId}); err != nil || use() != nil {
		t.Errorf("enabled: %v, %v", err, use())
	}
	schedule := func() error {
		out, err := client.ScheduleKeyDeletion(ctx, &kms.ScheduleKeyDeletionInput{KeyId: k.KeyId, PendingWindowInDays: aws.Int32(7)})
		if err == nil && !out.DeletionDate.Equal(c.Clock.Now().Add(7*24*time.Hour)) {
			t.Errorf("got %v", out.DeletionDate)
		}
		return err
	}
	if err := schedule(); err != nil || code(use()) != "KMSInvalidStateException" || code(schedule()) != "KMSInvalidStateException" {
		t.Errorf("pending: %v, %v", err, use())
	}
	if _, err := client.EnableKey(ctx, &kms.EnableKeyInput{KeyId: k.KeyId}); code(err) != "KMSInvalidStateException" {
		t.Errorf("enabled while pending: %v", err)
	}
	if _, err := s.Resource(*k.Arn); err == nil {
		t.Error("other services may use a key that is pending deletion")
	}
	if _, err := client.CancelKeyDeletion(ctx, &kms.CancelKeyDeletionInput{KeyId: k.KeyId}); err != nil || state() != types.KeyStateDisabled {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := client.CancelKeyDeletion(ctx, &kms.CancelKeyDeletionInput{KeyId: k.KeyId}); code(err) != "KMSInvalidStateException" {
		t.Errorf("cancelled twice: %v", err)
	}
	if err := schedule(); err != nil {
		t.Fatal(err)
	}
	labtest.Advance(t, c, 7*24*time.Hour)
	if _, err := s.Resource(*k.Arn); !errors.Is(err, cloud.ErrNoResource) || code(use()) != "NotFoundException" {
		t.Errorf("after 7 days: %v, %v", err, use())
	}
	list, err := client.ListKeys(ctx, &kms.ListKeysInput{})
	if err != nil || len(list.Keys) != 0 {
		t.Errorf("got %+v, %v", list, err)
	}
}

func TestKeysAndAliasesAreListedByPages(t *testing.T) {
	_, s, client, _ := newKMS(t)
	ctx := t.Context()
	want := make(map[string]bool)
	for range 5 {
		want[*mustKey(t, client, "").Arn] = true
	}
	pages := kms.NewListKeysPaginator(client, &kms.ListKeysInput{Limit: aws.Int32(2)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range page.Keys {
			delete(want, *k.KeyArn)
		}
	}
	if len(want) > 0 {
		t.Errorf("not listed: %v", want)
	}
	k := mustKey(t, client, "")
	for _, name := range []string{"alias/b", "alias/a"} {
		if _, err := client.CreateAlias(ctx, &kms.CreateAliasInput{AliasName: &name, TargetKeyId: k.Arn}); err != nil {
			t.Fatal(err)
		}
	}
	// AWS's own key is there once it is asked for.
	if _, err := client.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: aws.String("alias/aws/s3")}); err != nil {
		t.Fatal(err)
	}
	all, err := client.ListAliases(ctx, &kms.ListAliasesInput{})
	if err != nil || len(all.Aliases) != 3 || *all.Aliases[0].AliasName != "alias/a" || *all.Aliases[1].AliasArn != "arn:aws:kms:ap-northeast-1:111111111111:alias/aws/s3" {
		t.Errorf("got %+v, %v", all, err)
	}
	its, err := client.ListAliases(ctx, &kms.ListAliasesInput{KeyId: k.KeyId})
	if err != nil || len(its.Aliases) != 2 {
		t.Errorf("got %+v, %v", its, err)
	}
	if _, err := client.DeleteAlias(ctx, &kms.DeleteAliasInput{AliasName: aws.String("alias/a")}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: aws.String("alias/a")}); code(err) != "NotFoundException" {
		t.Errorf("a deleted alias: %v", err)
	}
	if s.Inspect() == nil {
		t.Error("nothing to see")
	}
}

func TestTheKeysPolicyDecides(t *testing.T) {
	c, _, client, member := newKMS(t)
	ctx := t.Context()
	closed, open := mustKey(t, client, ""), mustKey(t, client, root(`{"Effect":"Allow","Principal":{"AWS":"222222222222"},"Action":"kms:GenerateDataKey",`+
		`"Resource":"*","Condition":{"StringEquals":{"kms:EncryptionContext:for":"findings"}}}`))
	use := func(client *kms.Client, id string, told string) error {
		_, err := client.GenerateDataKey(ctx, &kms.GenerateDataKeyInput{KeyId: &id, KeySpec: types.DataKeySpecAes256, EncryptionContext: map[string]string{"for": told}})
		return err
	}
	if err := use(client, *closed.Arn, "findings"); err != nil {
		t.Error(err)
	}
	if err := use(member, *closed.Arn, "findings"); code(err) != "AccessDeniedException" || !strings.Contains(err.Error(), "no resource-based policy allows the kms:GenerateDataKey action") {
		t.Errorf("another account: %v", err)
	}
	if err := use(member, *open.Arn, "findings"); err != nil {
		t.Error(err)
	}
	if err := use(member, *open.Arn, "other"); code(err) != "AccessDeniedException" {
		t.Errorf("with another context: %v", err)
	}
	got, err := client.GetKeyPolicy(ctx, &kms.GetKeyPolicyInput{KeyId: closed.KeyId})
	if err != nil || !strings.Contains(*got.Policy, "arn:aws:iam::111111111111:root") || *got.PolicyName != "default" {
		t.Errorf("got %+v, %v", got, err)
	}
	names, err := client.ListKeyPolicies(ctx, &kms.ListKeyPoliciesInput{KeyId: closed.KeyId})
	if err != nil || len(names.PolicyNames) != 1 {
		t.Errorf("got %+v, %v", names, err)
	}
	put := func(document string, bypass bool) error {
		_, err := client.PutKeyPolicy(ctx, &kms.PutKeyPolicyInput{KeyId: closed.KeyId, Policy: &document, BypassPolicyLockoutSafetyCheck: bypass})
		return err
	}
	locked := strings.Replace(root(), "111111111111", "222222222222", 1)
	if err := put(locked, false); code(err) != "MalformedPolicyDocumentException" || !strings.Contains(err.Error(), "will not allow you to update the key policy in the future") {
		t.Errorf("a policy that locks its author out: %v", err)
	}
	if err := put("{", true); code(err) != "MalformedPolicyDocumentException" {
		t.Errorf("a policy that is none: %v", err)
	}
	if err := put(root()+strings.Repeat(" ", 32768), true); code(err) != "LimitExceededException" {
		t.Errorf("a policy that is too long: %v", err)
	}
	if err := put(locked, true); err != nil {
		t.Fatal(err)
	}
	if code(use(client, *closed.Arn, "")) != "AccessDeniedException" || use(member, *closed.Arn, "") != nil {
		t.Error("the new policy does not hold")
	}
	// What other services ask, by alias too, and for themselves.
	events := cloud.Identity{Kind: cloud.Service, ARN: "events.amazonaws.com", Account: labtest.Administrator}
	shared := mustKey(t, client, root(`{"Effect":"Allow","Principal":{"Service":"events.amazonaws.com"},"Action":["kms:GenerateDataKey*","kms:Decrypt"],"Resource":"*"}`))
	if _, err := client.CreateAlias(ctx, &kms.CreateAliasInput{AliasName: aws.String("alias/shared"), TargetKeyId: shared.KeyId}); err != nil {
		t.Fatal(err)
	}
	alias := "arn:aws:kms:ap-northeast-1:111111111111:alias/"
	admin := c.Accounts.Credential(labtest.Administrator).Who
	for name, test := range map[string]struct {
		who     cloud.Identity
		key     string
		allowed bool
	}{
		"a service that is named":               {events, *shared.Arn, true},
		"a service that is named, by alias":     {events, alias + "shared", true},
		"a service that is not named":           {events, *open.Arn, false},
		"the account by AWS's own key":          {admin, alias + "aws/sqs", true},
		"a service by AWS's own key":            {events, alias + "aws/sqs", false},
		"another account by AWS's own key":      {c.Accounts.Credential(labtest.Member).Who, alias + "aws/sqs", false},
		"a key that is not there":               {admin, *open.Arn + "0", false},
		"AWS's key of a service that is none":   {admin, alias + "aws/none", false},
		"a key of an account that is not there": {admin, "arn:aws:kms:ap-northeast-1:999999999999:alias/aws/sqs", false},
	} {
		t.Run(name, func(t *testing.T) {
			if err := c.PermitKey(test.who, test.key, "kms:GenerateDataKey"); (err == nil) != test.allowed {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestAKeysPolicyHoldsOnlyAfterTheLag(t *testing.T) {
	c, _, client, member := newKMS(t, func(o *cloud.Options) { o.Lag.Policies = 5 * time.Second })
	k := mustKey(t, client, "")
	use := func() error {
		_, err := member.GenerateDataKey(t.Context(), &kms.GenerateDataKeyInput{KeyId: k.Arn, KeySpec: types.DataKeySpecAes256})
		return err
	}
	document := root(`{"Effect":"Allow","Principal":{"AWS":"222222222222"},"Action":"kms:*","Resource":"*"}`)
	if _, err := client.PutKeyPolicy(t.Context(), &kms.PutKeyPolicyInput{KeyId: k.KeyId, Policy: &document}); err != nil {
		t.Fatal(err)
	}
	if code(use()) != "AccessDeniedException" {
		t.Errorf("at once: %v", use())
	}
	labtest.Advance(t, c, 5*time.Second)
	if err := use(); err != nil {
		t.Error(err)
	}
}

func TestWhatAWSRefusesIsRefused(t *testing.T) {
	_, _, client, _ := newKMS(t)
	ctx := t.Context()
	k := mustKey(t, client, "")
	create := func(in kms.CreateKeyInput) error { _, err := client.CreateKey(ctx, &in); return err }
	dataKey := func(in kms.GenerateDataKeyInput) error { _, err := client.GenerateDataKey(ctx, &in); return err }
	alias := func(name, target string) error {
		_, err := client.CreateAlias(ctx, &kms.CreateAliasInput{AliasName: &name, TargetKeyId: &target})
		return err
	}
	describe := func(id string) error {
		_, err := client.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: &id})
		return err
	}
	encrypt := func(n int, told map[string]string) error {
		_, err := client.Encrypt(ctx, &kms.EncryptInput{KeyId: k.KeyId, Plaintext: make([]byte, n), EncryptionContext: told})
		return err
	}
	schedule := func(days int32) error {
		_, err := client.ScheduleKeyDeletion(ctx, &kms.ScheduleKeyDeletionInput{KeyId: k.KeyId, PendingWindowInDays: &days})
		return err
	}
	list := func(in kms.ListKeysInput) error { _, err := client.ListKeys(ctx, &in); return err }
	policyOf := func(name string) error {
		_, err := client.GetKeyPolicy(ctx, &kms.GetKeyPolicyInput{KeyId: k.KeyId, PolicyName: &name})
		return err
	}
	for name, test := range map[string]struct {
		err  error
		code string
	}{
		"a key for signatures":             {create(kms.CreateKeyInput{KeyUsage: types.KeyUsageTypeSignVerify}), "UnsupportedOperationException"},
		"an RSA key":                       {create(kms.CreateKeyInput{KeySpec: types.KeySpecRsa2048}), "UnsupportedOperationException"},
		"a key from outside":               {create(kms.CreateKeyInput{Origin: types.OriginTypeExternal}), "UnsupportedOperationException"},
		"a key of many regions":            {create(kms.CreateKeyInput{MultiRegion: aws.Bool(true)}), "UnsupportedOperationException"},
		"a description that is too long":   {create(kms.CreateKeyInput{Description: aws.String(strings.Repeat("a", 8193))}), "ValidationException"},
		"a data key of no size":            {dataKey(kms.GenerateDataKeyInput{KeyId: k.KeyId}), "ValidationException"},
		"a data key of two sizes":          {dataKey(kms.GenerateDataKeyInput{KeyId: k.KeyId, KeySpec: "AES_256", NumberOfBytes: aws.Int32(32)}), "ValidationException"},
		"a data key of 1025 bytes":         {dataKey(kms.GenerateDataKeyInput{KeyId: k.KeyId, NumberOfBytes: aws.Int32(1025)}), "ValidationException"},
		"a data key of 1024 bytes":         {dataKey(kms.GenerateDataKeyInput{KeyId: k.KeyId, NumberOfBytes: aws.Int32(1024)}), ""},
		"a data key for another cipher":    {dataKey(kms.GenerateDataKeyInput{KeyId: k.KeyId, KeySpec: "DES"}), "ValidationException"},
		"4096 bytes":                       {encrypt(4096, nil), ""},
		"4097 bytes":                       {encrypt(4097, nil), "ValidationException"},
		"a context that is too long":       {encrypt(1, map[string]string{"a": strings.Repeat("a", 8192)}), "ValidationException"},
		"an alias":                         {alias("alias/taken", *k.KeyId), ""},
		"an alias that is taken":           {alias("alias/taken", *k.KeyId), "AlreadyExistsException"},
		"an alias of AWS's":                {alias("alias/aws/mine", *k.KeyId), "NotAuthorizedException"},
		"an alias without its prefix":      {alias("mine", *k.KeyId), "ValidationException"},
		"an alias with a colon":            {alias("alias/a:b", *k.KeyId), "ValidationException"},
		"an alias of an alias":             {alias("alias/second", "alias/taken"), "ValidationException"},
		"an alias of no key":               {alias("alias/second", "none"), "NotFoundException"},
		"a key that is not there":          {describe("1234abcd-12ab-34cd-56ef-1234567890ab"), "NotFoundException"},
		"an alias that is not there":       {describe("alias/none"), "NotFoundException"},
		"a key of another region":          {describe(strings.Replace(*k.Arn, "ap-northeast-1", "us-east-1", 1)), "NotFoundException"},
		"an ARN of another service":        {describe("arn:aws:sqs:ap-northeast-1:111111111111:queue"), "InvalidArnException"},
		"a wait of 6 days":                 {schedule(6), "ValidationException"},
		"a wait of 31 days":                {schedule(31), "ValidationException"},
		"a page of 1001":                   {list(kms.ListKeysInput{Limit: aws.Int32(1001)}), "ValidationException"},
		"a marker that was not given":      {list(kms.ListKeysInput{Marker: aws.String("x")}), "InvalidMarkerException"},
		"a policy that is not the default": {policyOf("other"), "NotFoundException"},
	} {
		t.Run(name, func(t *testing.T) {
			if code(test.err) != test.code {
				t.Errorf("got %v, want %s", test.err, test.code)
			}
		})
	}
}
