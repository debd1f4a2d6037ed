package sts_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"
	"github.com/aws/smithy-go"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/labtest"
	labsts "example.org/catchment/internal/lab/sts"
)

const role = "arn:aws:iam::222222222222:role/lab/reader"

// directory is what STS asks of IAM: one role, which takes whoever knows the external id.
type directory struct{ asked map[string]string }

func (d *directory) Authorize(cloud.Access) error { return nil }

func (d *directory) MaxSession(string) time.Duration { return 2 * time.Hour }

func (d *directory) Assume(who cloud.Identity, arn, session string, conditions map[string]string) (cloud.Identity, error) {
	d.asked = conditions
	if arn != role || conditions["sts:ExternalId"] != "secret" {
		return cloud.Identity{}, &cloud.DeniedError{Who: who.ARN, Action: "sts:AssumeRole", Resource: arn, Reason: " because no role trust policy allows the sts:AssumeRole action"}
	}
	return cloud.Identity{
		Kind: cloud.Session, Account: labtest.Member, Role: role, ID: "AROAEXAMPLE:" + session,
		ARN: "arn:aws:sts::222222222222:assumed-role/reader/" + session, SourceIdentity: conditions["sts:SourceIdentity"],
	}, nil
}

func newSTS(t *testing.T) (*cloud.Cloud, *directory, *labtest.Server) {
	t.Helper()
	c := labtest.NewCloud(t)
	d := &directory{}
	c.Access = d
	return c, d, labtest.Serve(t, c, labsts.New(c).Wire())
}

func input(change ...func(*sts.AssumeRoleInput)) *sts.AssumeRoleInput {
	in := &sts.AssumeRoleInput{RoleArn: aws.String(role), RoleSessionName: aws.String("tester"), ExternalId: aws.String("secret")}
	for _, f := range change {
		f(in)
	}
	return in
}

// as is a client with the credentials of a session.
func as(server *labtest.Server, k *types.Credentials) *sts.Client {
	return sts.NewFromConfig(server.As(cloud.Credential{AccessKeyID: *k.AccessKeyId, SecretKey: *k.SecretAccessKey, Token: *k.SessionToken}, "us-east-1"))
}

func code(err error) string {
	if e, ok := errors.AsType[smithy.APIError](err); ok {
		return e.ErrorCode()
	}
	return ""
}

func TestASessionIsWhoItSaysUntilItExpires(t *testing.T) {
	c, _, server := newSTS(t)
	ctx := t.Context()
	client := sts.NewFromConfig(server.Config(labtest.Administrator, labtest.Region))
	me, err := client.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		t.Fatal(err)
	}
	if *me.Account != labtest.Administrator || *me.Arn != "arn:aws:iam::111111111111:user/administrator" || !strings.HasPrefix(*me.UserId, "AIDA") {
		t.Errorf("got %+v", me)
	}
	out, err := client.AssumeRole(ctx, input(func(in *sts.AssumeRoleInput) {
		in.DurationSeconds = aws.Int32(900)
		in.Policy = aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}`)
		in.SourceIdentity = aws.String("alice")
	}))
	if err != nil {
		t.Fatal(err)
	}
	if !out.Credentials.Expiration.Equal(labtest.Start.Add(15*time.Minute)) || *out.AssumedRoleUser.AssumedRoleId != "AROAEXAMPLE:tester" ||
		aws.ToString(out.SourceIdentity) != "alice" {
		t.Errorf("got %+v", out)
	}
	session := as(server, out.Credentials)
	me, err = session.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		t.Fatal(err)
	}
	if *me.Account != labtest.Member || *me.Arn != "arn:aws:sts::222222222222:assumed-role/reader/tester" || *me.UserId != "AROAEXAMPLE:tester" {
		t.Errorf("got %+v", me)
	}
	if k, ok := c.Accounts.FindKey(*out.Credentials.AccessKeyId); !ok || len(k.Who.Policy) == 0 {
		t.Errorf("the session's policy is lost: %+v", k.Who)
	}
	labtest.Advance(t, c, 15*time.Minute-time.Second)
	if _, err := session.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{}); err != nil {
		t.Errorf("a second before it expires: %v", err)
	}
	labtest.Advance(t, c, time.Second)
	if _, err := session.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{}); code(err) != "ExpiredToken" {
		t.Errorf("after it expired: %v", err)
	}
}

func TestASourceIdentityStaysOverAChainOfRoles(t *testing.T) {
	_, d, server := newSTS(t)
	ctx := t.Context()
	client := sts.NewFromConfig(server.Config(labtest.Administrator, labtest.Region))
	first, err := client.AssumeRole(ctx, input(func(in *sts.AssumeRoleInput) { in.SourceIdentity = aws.String("alice") }))
	if err != nil {
		t.Fatal(err)
	}
	chained := as(server, first.Credentials)
	second, err := chained.AssumeRole(ctx, input())
	if err != nil {
		t.Fatal(err)
	}
	if aws.ToString(second.SourceIdentity) != "alice" || d.asked["sts:RoleSessionName"] != "tester" || d.asked["aws:RequestedRegion"] != "us-east-1" {
		t.Errorf("got %q, and IAM was asked with %v", aws.ToString(second.SourceIdentity), d.asked)
	}
	if _, err := chained.AssumeRole(ctx, input(func(in *sts.AssumeRoleInput) { in.SourceIdentity = aws.String("bob") })); code(err) != "AccessDenied" {
		t.Errorf("it was changed: %v", err)
	}
	_, err = chained.AssumeRole(ctx, input(func(in *sts.AssumeRoleInput) { in.DurationSeconds = aws.Int32(3601) }))
	if code(err) != "ValidationError" || !strings.Contains(err.Error(), "role chaining") {
		t.Errorf("a chained session of more than an hour: %v", err)
	}
}

func TestWhatAWSRefusesIsRefused(t *testing.T) {
	_, _, server := newSTS(t)
	client := sts.NewFromConfig(server.Config(labtest.Administrator, labtest.Region))
	for name, test := range map[string]struct {
		change     func(*sts.AssumeRoleInput)
		code, text string
	}{
		"a role that does not trust":      {func(in *sts.AssumeRoleInput) { in.ExternalId = nil }, "AccessDenied", "no role trust policy allows the sts:AssumeRole action"},
		"an ARN that is none":             {func(in *sts.AssumeRoleInput) { in.RoleArn = aws.String("arn:aws:iam::1:role/reader") }, "ValidationError", "is invalid"},
		"a user's ARN":                    {func(in *sts.AssumeRoleInput) { in.RoleArn = aws.String("arn:aws:iam::222222222222:user/reader") }, "ValidationError", "is invalid"},
		"a session name of one letter":    {func(in *sts.AssumeRoleInput) { in.RoleSessionName = aws.String("a") }, "ValidationError", "roleSessionName"},
		"a session name of 65 letters":    {func(in *sts.AssumeRoleInput) { in.RoleSessionName = aws.String(strings.Repeat("a", 65)) }, "ValidationError", "roleSessionName"},
		"an external id with a space":     {func(in *sts.AssumeRoleInput) { in.ExternalId = aws.String("a b") }, "ValidationError", "externalId"},
		"an external id that is too long": {func(in *sts.AssumeRoleInput) { in.ExternalId = aws.String(strings.Repeat("a", 1225)) }, "ValidationError", "externalId"},
		"a source identity with a slash":  {func(in *sts.AssumeRoleInput) { in.SourceIdentity = aws.String("a/b") }, "ValidationError", "sourceIdentity"},
		"less than 15 minutes":            {func(in *sts.AssumeRoleInput) { in.DurationSeconds = aws.Int32(899) }, "ValidationError", "900"},
		"more than 12 hours":              {func(in *sts.AssumeRoleInput) { in.DurationSeconds = aws.Int32(43201) }, "ValidationError", "43200"},
		"more than the role allows":       {func(in *sts.AssumeRoleInput) { in.DurationSeconds = aws.Int32(7201) }, "ValidationError", "MaxSessionDuration set for this role"},
		"a policy that is malformed":      {func(in *sts.AssumeRoleInput) { in.Policy = aws.String("{}") }, "MalformedPolicyDocument", "statements"},
		"a policy that is too long":       {func(in *sts.AssumeRoleInput) { in.Policy = aws.String(strings.Repeat(" ", 2049)) }, "PackedPolicyTooLarge", "2048"},
		"managed policies for a session": {func(in *sts.AssumeRoleInput) {
			in.PolicyArns = []types.PolicyDescriptorType{{Arn: aws.String("arn:aws:iam::aws:policy/X")}}
		}, "ValidationError", "PolicyArns"},
		"session tags":                    {func(in *sts.AssumeRoleInput) { in.Tags = []types.Tag{{Key: aws.String("a"), Value: aws.String("b")}} }, "ValidationError", "Tags"},
		"a device for a second factor":    {func(in *sts.AssumeRoleInput) { in.SerialNumber = aws.String("GAHT12345678") }, "ValidationError", "SerialNumber"},
		"the longest that the role takes": {func(in *sts.AssumeRoleInput) { in.DurationSeconds = aws.Int32(7200) }, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := client.AssumeRole(t.Context(), input(test.change))
			if code(err) != test.code || err != nil && !strings.Contains(err.Error(), test.text) {
				t.Errorf("got %v, want %s with %q", err, test.code, test.text)
			}
		})
	}
}

func TestAnAccessKeyTellsItsAccount(t *testing.T) {
	c, _, server := newSTS(t)
	client := sts.NewFromConfig(server.Config(labtest.Administrator, labtest.Region))
	out, err := client.GetAccessKeyInfo(t.Context(), &sts.GetAccessKeyInfoInput{AccessKeyId: aws.String(c.Accounts.Credential(labtest.Member).AccessKeyID)})
	if err != nil || *out.Account != labtest.Member {
		t.Errorf("got %+v, %v", out, err)
	}
	for _, id := range []string{"AKIAIOSFODNN7EXAMPLE", "AKIA/OSFODNN7EXAMPLE"} {
		if _, err := client.GetAccessKeyInfo(t.Context(), &sts.GetAccessKeyInfoInput{AccessKeyId: &id}); code(err) != "ValidationError" {
			t.Errorf("%s: %v", id, err)
		}
	}
}

func TestWithoutIAMEverybodyMayActInEveryRole(t *testing.T) {
	c := labtest.NewCloud(t)
	client := sts.NewFromConfig(labtest.Serve(t, c, labsts.New(c).Wire()).Config(labtest.Administrator, labtest.Region))
	out, err := client.AssumeRole(t.Context(), input())
	if err != nil {
		t.Fatal(err)
	}
	if *out.AssumedRoleUser.Arn != "arn:aws:sts::222222222222:assumed-role/reader/tester" {
		t.Errorf("got %+v", out.AssumedRoleUser)
	}
}

func TestNobodyMayAskWithoutASignature(t *testing.T) {
	_, _, server := newSTS(t)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, strings.NewReader("Action=GetCallerIdentity&Version=2011-06-15"))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusForbidden {
		t.Errorf("got %s", response.Status)
	}
}
