package iam_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/labtest"
)

const (
	queue     = "arn:aws:sqs:ap-northeast-1:111111111111:findings"
	stream    = "arn:aws:firehose:ap-northeast-1:111111111111:deliverystream/findings"
	key       = "arn:aws:kms:ap-northeast-1:111111111111:key/1"
	rule      = "arn:aws:events:ap-northeast-1:111111111111:rule/inspector"
	adminRoot = "arn:aws:iam::111111111111:root"
)

// statement is a policy of one statement.
func statement(elements string) []byte {
	return []byte(`{"Version":"2012-10-17","Statement":[{` + elements + `}]}`)
}

// session makes a role with a policy, and acts in it for the member account's or the same account's administrator.
func session(t *testing.T, c *cloud.Cloud, client *iam.Client, name, document string) cloud.Identity {
	t.Helper()
	arn := mustRole(t, client, name, string(statement(`"Effect":"Allow","Principal":{"AWS":"`+adminRoot+`"},"Action":"sts:AssumeRole"`)))
	if document != "" {
		mustPut(t, client, name, document)
	}
	who, err := c.Access.Assume(c.Accounts.Credential(labtest.Administrator).Who, arn, "lab", nil)
	if err != nil {
		t.Fatal(err)
	}
	return who
}

func TestDecisionsFollowIdentityAndResource(t *testing.T) {
	c, s, client := newIAM(t)
	c.Accounts.SetOrganization("o-exampleorgid", labtest.Administrator)
	admin, member := c.Accounts.Credential(labtest.Administrator).Who, c.Accounts.Credential(labtest.Member).Who
	may := session(t, c, client, "may", string(statement(`"Effect":"Allow","Action":["sqs:*","kms:*"],"Resource":"*"`)))
	mayNot := session(t, c, client, "maynot", "")
	forbidden := session(t, c, client, "forbidden", string(statement(`"Effect":"Deny","Action":"sqs:*","Resource":"*"`)))
	narrowed := may
	narrowed.Policy = statement(`"Effect":"Allow","Action":"s3:*","Resource":"*"`)
	service := cloud.Identity{Kind: cloud.Service, ARN: "events.amazonaws.com", Account: labtest.Administrator}
	const act = `"Action":"sqs:SendMessage","Resource":"*"`
	allow := func(principal, more string) []byte {
		return statement(`"Effect":"Allow","Principal":` + principal + `,` + act + more)
	}
	denyAll := statement(`"Effect":"Deny","Principal":"*",` + act)
	fromRule := map[string]string{"aws:SourceArn": rule, "aws:SourceAccount": labtest.Administrator}
	condition := `,"Condition":{"ArnEquals":{"aws:SourceArn":"` + rule + `"}}`
	for name, test := range map[string]struct {
		who    cloud.Identity
		owner  string
		policy []byte
		keys   map[string]string
		want   string // a part of the error; empty: allowed
	}{
		"the administrator needs no policy":                     {who: admin},
		"the administrator is denied by the queue":              {who: admin, policy: denyAll, want: "explicit deny in a resource-based policy"},
		"an administrator abroad":                               {who: member, owner: labtest.Administrator, want: "no resource-based policy allows the sqs:SendMessage action"},
		"an administrator abroad whose account is named":        {who: member, owner: labtest.Administrator, policy: allow(`{"AWS":"222222222222"}`, "")},
		"an administrator abroad in the organisation":           {who: member, owner: labtest.Administrator, policy: allow(`"*"`, `,"Condition":{"StringEquals":{"aws:PrincipalOrgID":"o-exampleorgid"}}`)},
		"an administrator abroad in another organisation":       {who: member, owner: labtest.Administrator, policy: allow(`"*"`, `,"Condition":{"StringEquals":{"aws:PrincipalOrgID":"o-other"}}`), want: "no resource-based policy"},
		"a role that may":                                       {who: may},
		"a role that may not":                                   {who: mayNot, want: "because no identity-based policy allows the sqs:SendMessage action"},
		"a role that may not, named by the queue":               {who: mayNot, policy: allow(`{"AWS":"arn:aws:iam::111111111111:role/maynot"}`, "")},
		"a role that may not, whose account is named":           {who: mayNot, policy: allow(`{"AWS":"111111111111"}`, ""), want: "no identity-based policy"},
		"a role that may, whose account is named":               {who: may, policy: allow(`{"AWS":"111111111111"}`, "")},
		"a role that its own policy denies":                     {who: forbidden, policy: allow(`{"AWS":"arn:aws:iam::111111111111:role/forbidden"}`, ""), want: "explicit deny in an identity-based policy"},
		"a role abroad that may, and is not named":              {who: may, owner: labtest.Member, want: "no resource-based policy"},
		"a role abroad that may not, and is named":              {who: mayNot, owner: labtest.Member, policy: allow(`{"AWS":"arn:aws:iam::111111111111:role/maynot"}`, ""), want: "no identity-based policy"},
		"a role abroad that may, and is named":                  {who: may, owner: labtest.Member, policy: allow(`{"AWS":"arn:aws:iam::111111111111:role/may"}`, "")},
		"a session narrowed by its policy":                      {who: narrowed, want: "no session policy allows"},
		"a narrowed session whose role is named":                {who: narrowed, policy: allow(`{"AWS":"arn:aws:iam::111111111111:role/may"}`, ""), want: "no session policy allows"},
		"a narrowed session that is named itself":               {who: narrowed, policy: allow(`{"AWS":"arn:aws:sts::111111111111:assumed-role/may/lab"}`, "")},
		"a service that the queue lets in":                      {who: service, policy: allow(`{"Service":"events.amazonaws.com"}`, condition), keys: fromRule},
		"a service for another rule":                            {who: service, policy: allow(`{"Service":"events.amazonaws.com"}`, condition), keys: map[string]string{"aws:SourceArn": rule + "2"}, want: "no resource-based policy"},
		"a service without a policy":                            {who: service, keys: fromRule, want: "no resource-based policy"},
		"a service where its account is named":                  {who: service, policy: allow(`{"AWS":"111111111111"}`, ""), want: "no resource-based policy"},
		"a service from an account of the organisation":         {who: service, policy: allow(`"*"`, `,"Condition":{"StringEquals":{"aws:SourceOrgID":"o-exampleorgid"}}`), keys: fromRule},
		"nobody known, where everybody may":                     {owner: labtest.Administrator, policy: allow(`"*"`, "")},
		"nobody known, where an account may":                    {owner: labtest.Administrator, policy: allow(`{"AWS":"111111111111"}`, ""), want: "User: anonymous"},
		"TLS is what the lab says it is":                        {who: admin, policy: statement(`"Effect":"Deny","Principal":"*",` + act + `,"Condition":{"Bool":{"aws:SecureTransport":"false"}}`)},
		"the region of the resource":                            {who: admin, policy: statement(`"Effect":"Deny","Principal":"*",` + act + `,"Condition":{"StringNotEquals":{"aws:RequestedRegion":"ap-northeast-1"}}`)},
		"who is the principal":                                  {who: may, policy: statement(`"Effect":"Deny","Principal":"*",` + act + `,"Condition":{"ArnNotEquals":{"aws:PrincipalArn":"arn:aws:iam::111111111111:role/may"}}`)},
		"a source is the service's alone, not its role's":       {who: may, keys: fromRule, policy: statement(`"Effect":"Deny","Principal":"*",` + act + condition)},
		"a policy that is malformed":                            {who: admin, policy: []byte(`{`), want: "malformed"},
		"a variable of the principal's account":                 {who: mayNot, policy: allow(`"*"`, `,"Condition":{"StringEquals":{"aws:PrincipalAccount":"${aws:ResourceAccount}"}}`)},
		"a role that the time lets in":                          {who: mayNot, policy: allow(`"*"`, `,"Condition":{"DateLessThan":{"aws:CurrentTime":"2026-11-22T13:14:16Z"}}`)},
		"a role of a narrowed session where everybody may":      {who: narrowed, policy: allow(`"*"`, ""), want: "no session policy"},
		"a session whose policy cannot be read, which is lost":  {who: cloud.Identity{Kind: cloud.Session, Account: labtest.Administrator, Role: may.Role, ID: may.ID, Policy: []byte("{")}, want: "no session policy"},
		"a session of a role that was made anew under its name": {who: cloud.Identity{Kind: cloud.Session, Account: labtest.Administrator, Role: may.Role, ID: "AROAOLD:lab"}, want: "no identity-based policy"},
	} {
		t.Run(name, func(t *testing.T) {
			owner := test.owner
			if owner == "" {
				owner = labtest.Administrator
			}
			err := s.Authorize(cloud.Access{Who: test.who, Action: "sqs:SendMessage", Resource: queue, Owner: owner, Policy: test.policy, Context: test.keys})
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
			if _, ok := errors.AsType[*cloud.DeniedError](err); err != nil && !ok {
				t.Errorf("got a %T", err)
			}
		})
	}
	// A key's policy has to let in even the owner of the key.
	onKey := func(who cloud.Identity, policy []byte) error {
		return s.Authorize(cloud.Access{Who: who, Action: "kms:Decrypt", Resource: key, Owner: labtest.Administrator, Policy: policy})
	}
	root := statement(`"Effect":"Allow","Principal":{"AWS":"` + adminRoot + `"},"Action":"kms:*","Resource":"*"`)
	other := statement(`"Effect":"Allow","Principal":{"Service":"events.amazonaws.com"},"Action":"kms:*","Resource":"*"`)
	if onKey(admin, root) != nil || onKey(may, root) != nil || onKey(mayNot, root) == nil || onKey(admin, other) == nil || onKey(may, other) == nil ||
		onKey(service, other) != nil || onKey(service, root) == nil {
		t.Error("a key is opened by others than those that its policy names, or not by those")
	}
}

func TestARoleIsAssumedByWhomItTrusts(t *testing.T) {
	c, s, client := newIAM(t)
	admin, member := c.Accounts.Credential(labtest.Administrator).Who, c.Accounts.Credential(labtest.Member).Who
	trust := func(name, principal, condition string) string {
		return mustRole(t, client, name, string(statement(`"Effect":"Allow","Principal":`+principal+`,"Action":"sts:AssumeRole"`+condition)))
	}
	byExternalID := `,"Condition":{"StringEquals":{"sts:ExternalId":"111111111111"}}`
	firehose := trust("firehose", `{"Service":"firehose.amazonaws.com"}`, byExternalID)
	events := trust("events", `{"Service":"events.amazonaws.com"}`, `,"Condition":{"StringEquals":{"aws:SourceAccount":"111111111111"}}`)
	abroad := trust("abroad", `{"AWS":"222222222222"}`, "")
	named := trust("named", `{"AWS":["arn:aws:iam::111111111111:role/may","arn:aws:iam::111111111111:role/maynot"]}`, "")
	account := trust("account", `{"AWS":"111111111111"}`, "")
	may := session(t, c, client, "may", string(statement(`"Effect":"Allow","Action":"sts:*","Resource":"*"`)))
	mayNot := session(t, c, client, "maynot", "")
	service := func(name string) cloud.Identity {
		return cloud.Identity{Kind: cloud.Service, ARN: name, Account: labtest.Administrator}
	}
	for name, test := range map[string]struct {
		who  cloud.Identity
		role string
		keys map[string]string
		want string
	}{
		"Firehose with its id":                      {who: service("firehose.amazonaws.com"), role: firehose, keys: map[string]string{"sts:ExternalId": "111111111111"}},
		"Firehose without its id":                   {who: service("firehose.amazonaws.com"), role: firehose, want: "no role trust policy allows the sts:AssumeRole action"},
		"another service":                           {who: service("events.amazonaws.com"), role: firehose, keys: map[string]string{"sts:ExternalId": "111111111111"}, want: "no role trust policy"},
		"EventBridge of the account":                {who: service("events.amazonaws.com"), role: events, keys: map[string]string{"aws:SourceAccount": "111111111111"}},
		"EventBridge of another account":            {who: service("events.amazonaws.com"), role: events, keys: map[string]string{"aws:SourceAccount": "222222222222"}, want: "no role trust policy"},
		"an administrator abroad who is trusted":    {who: member, role: abroad},
		"the administrator who is not trusted":      {who: admin, role: abroad, want: "no role trust policy"},
		"a role that is named needs nothing more":   {who: mayNot, role: named},
		"a role whose account is named, and may":    {who: may, role: account},
		"a role whose account is named, and is not": {who: mayNot, role: account, want: "no identity-based policy allows the sts:AssumeRole action"},
		"a role that is not there":                  {who: admin, role: "arn:aws:iam::111111111111:role/none", want: "not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::111111111111:role/none"},
		"a role of an account that is not there":    {who: admin, role: "arn:aws:iam::999999999999:role/none", want: "not authorized"},
		"a role by another path":                    {who: admin, role: "arn:aws:iam::111111111111:role/lab/account", want: "not authorized"},
		"what is no role":                           {who: admin, role: queue, want: "not authorized"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := s.Assume(test.who, test.role, "lab", test.keys)
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Fatalf("got %v, want %q", err, test.want)
			}
			if err == nil && (got.Kind != cloud.Session || got.Role != test.role || !strings.HasSuffix(got.ARN, "/lab") || !strings.HasSuffix(got.ID, ":lab")) {
				t.Errorf("got %+v", got)
			}
		})
	}
}

// target is a receiver that has a policy and a key.
type target struct {
	is  cloud.Resource
	got int
}

func (r *target) Resource(string) (cloud.Resource, error) { return r.is, nil }
func (r *target) Receive(context.Context, *cloud.Delivery) ([]byte, error) {
	r.got++
	return nil, nil
}

func TestAHopNeedsWhatAWSNeeds(t *testing.T) {
	c, _, client := newIAM(t)
	to, keys := &target{}, &target{}
	c.Receivers.Register("sqs", to)
	c.Receivers.Register("firehose", to)
	c.Receivers.Register("kms", keys)
	mustRole(t, client, "writer", trustEvents)
	mustPut(t, client, "writer", mayPut)
	mustRole(t, client, "poor", trustEvents)
	mustRole(t, client, "other", strings.Replace(trustEvents, "events.", "scheduler.", 1))
	byPolicy := statement(`"Effect":"Allow","Principal":{"Service":"events.amazonaws.com"},"Action":"sqs:SendMessage","Resource":"` + queue +
		`","Condition":{"ArnEquals":{"aws:SourceArn":"` + rule + `"},"StringEquals":{"aws:SourceAccount":"111111111111"}}`)
	forKey := func(actions, more string) []byte {
		return statement(`"Effect":"Allow","Principal":{"Service":"events.amazonaws.com"},"Action":` + actions + `,"Resource":"*"` + more)
	}
	const both = `["kms:Decrypt","kms:GenerateDataKey"]`
	for name, test := range map[string]struct {
		target, role string
		source       string
		resource     cloud.Resource
		key          []byte
		want         string
	}{
		"a queue that lets the rule in":         {target: queue, resource: cloud.Resource{Policy: byPolicy}},
		"a queue that lets another rule in":     {target: queue, source: rule + "2", resource: cloud.Resource{Policy: byPolicy}, want: "no resource-based policy allows the sqs:SendMessage action"},
		"a queue without a policy":              {target: queue, want: "no resource-based policy"},
		"a queue whose key lets the service in": {target: queue, resource: cloud.Resource{Policy: byPolicy, Key: key}, key: forKey(both, "")},
		"a key that lets in through the queue":  {target: queue, resource: cloud.Resource{Policy: byPolicy, Key: key}, key: forKey(both, `,"Condition":{"StringEquals":{"kms:ViaService":"sqs.ap-northeast-1.amazonaws.com"}}`)},
		"a key that lets only encrypt":          {target: queue, resource: cloud.Resource{Policy: byPolicy, Key: key}, key: forKey(`"kms:GenerateDataKey"`, ""), want: "kms:Decrypt"},
		"a key that lets nobody in":             {target: queue, resource: cloud.Resource{Policy: byPolicy, Key: key}, key: statement(`"Effect":"Allow","Principal":{"AWS":"` + adminRoot + `"},"Action":"kms:*","Resource":"*"`), want: "kms:GenerateDataKey"},
		"a role that may":                       {target: stream, role: "writer"},
		"a role that may not":                   {target: stream, role: "poor", want: "no identity-based policy allows the firehose:PutRecord action"},
		"a role that trusts another":            {target: stream, role: "other", want: "no role trust policy allows the sts:AssumeRole action"},
		"a role that is not there":              {target: stream, role: "none", want: "sts:AssumeRole"},
		"a role where the key trusts others":    {target: stream, role: "writer", resource: cloud.Resource{Key: key}, key: forKey(both, ""), want: "kms:GenerateDataKey"},
		"a role abroad":                         {target: strings.Replace(stream, "111111111111", "222222222222", 1), role: "writer", resource: cloud.Resource{Owner: labtest.Member}, want: "no resource-based policy"},
	} {
		t.Run(name, func(t *testing.T) {
			d := &cloud.Delivery{Source: rule, From: "events.amazonaws.com", Account: labtest.Administrator, Action: "firehose:PutRecord", Target: test.target}
			if test.source != "" {
				d.Source = test.source
			}
			if test.target == queue {
				d.Action = "sqs:SendMessage"
			}
			if test.role != "" {
				d.Role = "arn:aws:iam::111111111111:role/" + test.role
			}
			if test.resource.Owner == "" {
				test.resource.Owner = labtest.Administrator
			}
			to.is, to.got = test.resource, 0
			keys.is = cloud.Resource{Owner: labtest.Administrator, Policy: test.key}
			_, err := c.Deliver(t.Context(), d)
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
			if de, ok := errors.AsType[*cloud.DeliveryError](err); err != nil && (!ok || de.Code != cloud.CodeNoPermissions || de.Retry) {
				t.Errorf("got %#v", err)
			}
			if (to.got == 1) != (err == nil) {
				t.Errorf("it arrived %d times, with %v", to.got, err)
			}
		})
	}
}

func TestPoliciesHoldOnlyAfterTheLag(t *testing.T) {
	const lag = 10 * time.Second
	c, s, client := newIAM(t, func(o *cloud.Options) { o.Lag.Policies = lag })
	service := cloud.Identity{Kind: cloud.Service, ARN: "events.amazonaws.com", Account: labtest.Administrator}
	arn := mustRole(t, client, "writer", trustEvents)
	mustPut(t, client, "writer", mayPut)
	try := func() error {
		who, err := s.Assume(service, arn, "lab", nil)
		if err != nil {
			return err
		}
		return s.Authorize(cloud.Access{Who: who, Action: "firehose:PutRecord", Resource: stream, Owner: labtest.Administrator})
	}
	if try() == nil {
		t.Error("a new role can be assumed at once")
	}
	labtest.Advance(t, c, lag)
	if err := try(); err != nil {
		t.Error(err)
	}
	if _, err := client.DeleteRolePolicy(t.Context(), &iam.DeleteRolePolicyInput{RoleName: aws.String("writer"), PolicyName: aws.String("inline")}); err != nil {
		t.Fatal(err)
	}
	labtest.Advance(t, c, lag-time.Second)
	if err := try(); err != nil {
		t.Errorf("the policy that was taken away is gone before the lag: %v", err)
	}
	labtest.Advance(t, c, time.Second)
	if try() == nil {
		t.Error("the policy that was taken away still holds after the lag")
	}
}
