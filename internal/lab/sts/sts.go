// Package sts is the lab's Security Token Service: credentials for acting in a role.
//
// Which roles there are, and whom they trust, is asked of the cloud's Authorizer. Sessions end by the lab's clock.
// Federation (AssumeRoleWithSAML, AssumeRoleWithWebIdentity), MFA and session tags are not there; managed session policies
// are refused, as a session without them could do more.
//
// https://docs.aws.amazon.com/STS/latest/APIReference/API_Operations.html
package sts

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/policy"
	"example.org/catchment/internal/lab/wire"
)

// A Service is STS of all accounts. Its state is the cloud's credentials.
type Service struct{ cloud *cloud.Cloud }

// New makes the service.
func New(c *cloud.Cloud) *Service { return &Service{c} }

// Wire is the service as it is on the wire.
func (s *Service) Wire() *wire.Service {
	return &wire.Service{
		Name: "sts", Protocols: []wire.Protocol{wire.Query}, Version: "2011-06-15", Namespace: "https://sts.amazonaws.com/doc/2011-06-15/",
		Operations: map[string]wire.Operation{
			"GetCallerIdentity": {Do: wire.Do(s.getCallerIdentity), Self: true}, // nobody needs permission to ask who they are
			"GetAccessKeyInfo":  {Do: wire.Do(s.getAccessKeyInfo)},
			"AssumeRole":        {Do: wire.Do(s.assumeRole), Self: true},
		},
	}
}

// Inspect is the state, for people: how many sessions were made is seen in the calls; nothing else is kept here.
func (s *Service) Inspect() any { return struct{}{} }

type nothing struct{}

type callerIdentity struct {
	ARN     string `json:"Arn"`
	UserID  string `json:"UserId"`
	Account string
}

func (s *Service) getCallerIdentity(_ context.Context, c *wire.Call, _ *nothing) (*callerIdentity, error) {
	return &callerIdentity{c.Who.ARN, c.Who.ID, c.Who.Account}, nil
}

type keyInput struct {
	AccessKeyID string `json:"AccessKeyId"`
}

type keyOutput struct{ Account string }

var keyForm = regexp.MustCompile(`^\w{16,128}$`)

func (s *Service) getAccessKeyInfo(_ context.Context, _ *wire.Call, in *keyInput) (*keyOutput, error) {
	if !keyForm.MatchString(in.AccessKeyID) {
		return nil, invalid("accessKeyId", in.AccessKeyID, `[\w]* of 16 to 128 letters`)
	}
	k, ok := s.cloud.Accounts.FindKey(in.AccessKeyID)
	if !ok {
		return nil, wire.Errorf("ValidationError", "Invalid Access Key ID")
	}
	return &keyOutput{k.Who.Account}, nil
}

type tag struct{ Key, Value string }

type policyDescriptor struct {
	ARN string `json:"arn"`
}

type assumeRoleInput struct {
	RoleARN         string `json:"RoleArn"`
	RoleSessionName string
	PolicyARNs      []policyDescriptor `json:"PolicyArns"`
	Policy          string
	DurationSeconds *int32
	Tags            []tag
	ExternalID      *string `json:"ExternalId"`
	SourceIdentity  string
	SerialNumber    string
}

type credentials struct {
	AccessKeyID     string `json:"AccessKeyId"`
	SecretAccessKey string
	SessionToken    string
	Expiration      wire.Epoch
}

type assumedRoleUser struct {
	AssumedRoleID string `json:"AssumedRoleId"`
	ARN           string `json:"Arn"`
}

type assumeRoleOutput struct {
	Credentials      credentials
	AssumedRoleUser  assumedRoleUser
	PackedPolicySize int    `json:",omitzero"`
	SourceIdentity   string `json:",omitempty"`
}

// Limits of sessions. https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
const (
	minDuration     = 900
	maxDuration     = 43_200
	defaultDuration = 3600
	maxPolicy       = 2048
	maxExternalID   = 1224
)

var (
	roleForm     = regexp.MustCompile(`^arn:[a-z-]+:iam::\d{12}:role/[\x21-\x7e]{1,576}$`)
	sessionForm  = regexp.MustCompile(`^[\w+=,.@-]{2,64}$`)
	externalForm = regexp.MustCompile(`^[\w+=,.@:/-]{2,}$`)
)

// check looks at the form of a request alone.
func (in *assumeRoleInput) check() error {
	switch {
	case !roleForm.MatchString(in.RoleARN):
		return wire.Errorf("ValidationError", "%.100s is invalid", in.RoleARN)
	case !sessionForm.MatchString(in.RoleSessionName):
		return invalid("roleSessionName", in.RoleSessionName, `[\w+=,.@-]* of 2 to 64 letters`)
	case in.ExternalID != nil && (len(*in.ExternalID) > maxExternalID || !externalForm.MatchString(*in.ExternalID)):
		return invalid("externalId", *in.ExternalID, `[\w+=,.@:\/-]* of 2 to 1224 letters`)
	case in.SourceIdentity != "" && !sessionForm.MatchString(in.SourceIdentity):
		return invalid("sourceIdentity", in.SourceIdentity, `[\w+=,.@-]* of 2 to 64 letters`)
	case in.DurationSeconds != nil && (*in.DurationSeconds < minDuration || *in.DurationSeconds > maxDuration):
		return wire.Errorf("ValidationError", "1 validation error detected: Value '%d' at 'durationSeconds' failed to satisfy constraint: "+
			"Member must have value from %d to %d", *in.DurationSeconds, minDuration, maxDuration)
	case len(in.PolicyARNs) > 0:
		return wire.Errorf("ValidationError", "PolicyArns: the lab's STS takes a session policy as Policy only")
	case len(in.Tags) > 0:
		return wire.Errorf("ValidationError", "Tags: the lab's STS has no session tags")
	case in.SerialNumber != "":
		return wire.Errorf("ValidationError", "SerialNumber: the lab has no MFA devices")
	case utf8.RuneCountInString(in.Policy) > maxPolicy:
		return wire.Errorf("PackedPolicyTooLarge", "Serialized token too large for session: the policy has more than %d letters", maxPolicy)
	}
	if in.Policy != "" {
		if _, err := policy.Parse(policy.Identity, []byte(in.Policy)); err != nil {
			return wire.Errorf("MalformedPolicyDocument", "%v", err)
		}
	}
	return nil
}

func invalid(member, value, pattern string) error {
	return wire.Errorf("ValidationError", "1 validation error detected: Value '%.100s' at '%s' failed to satisfy constraint: "+
		"Member must satisfy regular expression pattern: %s", strings.ToValidUTF8(value, "�"), member, pattern)
}

// conditions are the condition keys of AssumeRole. A source identity stays over a chain of roles.
func (in *assumeRoleInput) conditions(c *wire.Call) (map[string]string, error) {
	out := c.Conditions()
	out["sts:RoleSessionName"] = in.RoleSessionName
	if in.ExternalID != nil {
		out["sts:ExternalId"] = *in.ExternalID
	}
	source := in.SourceIdentity
	if before := c.Who.SourceIdentity; before != "" {
		if source != "" && source != before {
			return nil, &cloud.DeniedError{Who: c.Who.ARN, Action: "sts:SetSourceIdentity", Resource: in.RoleARN, Reason: ": the session's source identity cannot be changed"}
		}
		source = before
	}
	if source != "" {
		out["sts:SourceIdentity"] = source
	}
	return out, nil
}

func (s *Service) assumeRole(_ context.Context, c *wire.Call, in *assumeRoleInput) (*assumeRoleOutput, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	conditions, err := in.conditions(c)
	if err != nil {
		return nil, err
	}
	who, err := s.assume(c.Who, in, conditions)
	if err != nil {
		return nil, err
	}
	duration, err := s.duration(c, in)
	if err != nil {
		return nil, err
	}
	if in.Policy != "" {
		who.Policy = []byte(in.Policy)
	}
	k := s.cloud.Accounts.IssueUntil(who, s.cloud.Clock.Now().Add(duration))
	return &assumeRoleOutput{
		Credentials:      credentials{k.AccessKeyID, k.SecretKey, k.Token, wire.Epoch{Time: k.Expires}},
		AssumedRoleUser:  assumedRoleUser{who.ID, who.ARN},
		PackedPolicySize: (len(in.Policy)*100 + maxPolicy - 1) / maxPolicy, SourceIdentity: who.SourceIdentity,
	}, nil
}

// assume asks the Authorizer. Where the lab has none, everybody may act in every role.
func (s *Service) assume(caller cloud.Identity, in *assumeRoleInput, conditions map[string]string) (cloud.Identity, error) {
	if s.cloud.Access != nil {
		return s.cloud.Access.Assume(caller, in.RoleARN, in.RoleSessionName, conditions)
	}
	arn, err := cloud.ParseARN(in.RoleARN)
	if err != nil {
		return cloud.Identity{}, fmt.Errorf("assume role: %w", err)
	}
	name := arn.Resource[strings.LastIndexByte(arn.Resource, '/')+1:]
	return cloud.Identity{
		Kind: cloud.Session, Account: arn.Account, Role: in.RoleARN, ID: "AROALAB" + strings.ToUpper(name) + ":" + in.RoleSessionName,
		ARN:            s.cloud.Accounts.Place(arn.Account, "").ARN("sts", "assumed-role/"+name+"/"+in.RoleSessionName),
		SourceIdentity: conditions["sts:SourceIdentity"],
	}, nil
}

// A sessionLimiter knows how long a role's sessions may last. The lab's IAM does.
type sessionLimiter interface {
	MaxSession(role string) time.Duration
}

// chained is how long a session lasts at most that was made from another.
const chained = time.Hour

func (s *Service) duration(c *wire.Call, in *assumeRoleInput) (time.Duration, error) {
	if in.DurationSeconds == nil {
		return defaultDuration * time.Second, nil
	}
	want := time.Duration(*in.DurationSeconds) * time.Second
	if c.Who.Kind == cloud.Session && want > chained {
		return 0, wire.StatusErrorf(http.StatusBadRequest, "ValidationError",
			"The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining")
	}
	if l, ok := s.cloud.Access.(sessionLimiter); ok && want > l.MaxSession(in.RoleARN) {
		return 0, wire.Errorf("ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
	}
	return want, nil
}
