package cloudformation

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"example.org/catchment/internal/lab/cloudformation/template"
	"example.org/catchment/internal/lab/wire"
)

// maxInline is the longest TemplateBody, in bytes.
const maxInline = 51_200

type parameter struct {
	ParameterKey     string
	ParameterValue   *string `json:",omitempty"`
	UsePreviousValue bool    `json:",omitempty"`
	ResolvedValue    string  `json:",omitempty"`
}

// A planInput is what CreateStack, UpdateStack and CreateChangeSet take of a plan.
type planInput struct {
	StackName           string
	TemplateBody        string
	TemplateURL         string
	UsePreviousTemplate bool
	Parameters          []parameter
	Capabilities        []string
	Tags                []tag
	RoleARN             string
	NotificationARNs    []string
	ClientRequestToken  string
	DisableRollback     *bool
}

// body gets a template's text.
func (s *Service) body(ctx context.Context, c *wire.Call, inline, address string) (string, error) {
	switch {
	case inline != "" && address != "":
		return "", validation("Either Template URL or Template Body must be specified, but not both.")
	case inline == "" && address == "":
		return "", validation("Either Template URL or Template Body must be specified.")
	case len(inline) > maxInline:
		return "", validation("1 validation error detected: Value at 'templateBody' failed to satisfy constraint: "+
			"Member must have length less than or equal to %d", maxInline)
	case inline != "":
		return inline, nil
	}
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Path == "" {
		return "", validation("TemplateURL must be a supported URL.")
	}
	r := &http.Request{Method: http.MethodGet, URL: &url.URL{Path: u.Path, RawQuery: u.RawQuery}, Host: u.Host, Header: http.Header{}}
	answer, err := s.cloud.Requests.Request(ctx, c.Who, c.Place, "s3", r) //nolint:bodyclose // it is in memory
	if err != nil {
		return "", validation("S3 error: %v", err)
	}
	text, err := io.ReadAll(answer.Body)
	switch {
	case err != nil:
		return "", fmt.Errorf("read the template: %w", err)
	case answer.StatusCode == http.StatusForbidden:
		return "", validation("S3 error: Access Denied\nFor more information check http://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html")
	case answer.StatusCode != http.StatusOK:
		return "", validation("S3 error: The specified key does not exist.\nFor more information check http://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html")
	case len(text) > template.MaxBody:
		return "", validation("Template may not exceed %d bytes in size.", template.MaxBody)
	}
	return string(text), nil
}

// parse is template.Parse with the service's error, and holds the types of resources against those that the lab has.
func parse(body string) (*template.Template, error) {
	t, err := template.Parse(body)
	if err != nil {
		return nil, validation("%s", err)
	}
	var strange []string
	for _, r := range t.Resources {
		if kinds[r.Type] == nil {
			strange = append(strange, r.Type)
		}
	}
	if len(strange) > 0 {
		slices.Sort(strange)
		return nil, validation("Template format error: Unrecognized resource types: [%s]", strings.Join(slices.Compact(strange), ", "))
	}
	return t, nil
}

// newPlan reads what a stack is to become. before is its plan until now; nil: it is new.
func (s *Service) newPlan(ctx context.Context, c *wire.Call, in *planInput, before *plan) (*plan, error) {
	p := &plan{tags: in.Tags, capabilities: in.Capabilities, role: in.RoleARN, topics: in.NotificationARNs}
	var err error
	if in.UsePreviousTemplate {
		if before == nil || before.body == "" {
			return nil, validation("UsePreviousTemplate cannot be used with a stack that does not exist")
		}
		p.body, p.template = before.body, before.template
	} else {
		if p.body, err = s.body(ctx, c, in.TemplateBody, in.TemplateURL); err != nil {
			return nil, err
		}
		if p.template, err = parse(p.body); err != nil {
			return nil, err
		}
	}
	given := make(map[string]string)
	for _, one := range in.Parameters {
		switch {
		case one.UsePreviousValue && (before == nil || !has(before.arguments, one.ParameterKey)):
			return nil, validation("Invalid input for parameter key %s. Cannot specify usePreviousValue as true for a parameter key not in the previous template", one.ParameterKey)
		case one.UsePreviousValue:
			given[one.ParameterKey] = before.arguments[one.ParameterKey]
		case one.ParameterValue != nil:
			given[one.ParameterKey] = *one.ParameterValue
		default:
			return nil, validation("Invalid input for parameter key %s. Need to specify either usePreviousValue as true or a value for the parameter", one.ParameterKey)
		}
	}
	if p.arguments, err = p.template.Arguments(given); err != nil {
		return nil, validation("%s", err)
	}
	if before != nil {
		if p.role == "" {
			p.role = before.role
		}
		if in.Tags == nil {
			p.tags = before.tags
		}
		if in.NotificationARNs == nil {
			p.topics = before.topics
		}
	}
	if err := checkTags(p.tags); err != nil {
		return nil, err
	}
	return p, checkCapabilities(p)
}

func has(m map[string]string, key string) bool { _, ok := m[key]; return ok }

// maxTags is how many tags a stack has at most.
const maxTags = 50

func checkTags(tags []tag) error {
	if len(tags) > maxTags {
		return validation("1 validation error detected: Value at 'tags' failed to satisfy constraint: Member must have length less than or equal to %d", maxTags)
	}
	for _, t := range tags {
		if t.Key == "" || len(t.Key) > 128 || len(t.Value) > 256 || strings.HasPrefix(t.Key, "aws:") {
			return validation("Tag key %.128q or its value is not valid: a key has 1 to 128 letters without aws:, a value at most 256", t.Key)
		}
	}
	return nil
}

// checkCapabilities wants to be told that the caller knows of IAM resources.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_CreateStack.html
func checkCapabilities(p *plan) error {
	needed := neededCapability(p.template)
	named := slices.Contains(p.capabilities, capabilityNamed)
	if needed == "" || named || needed == capabilityIAM && slices.Contains(p.capabilities, capabilityIAM) {
		return nil
	}
	return wire.Errorf("InsufficientCapabilitiesException", "Requires capabilities : [%s]", needed)
}

const (
	capabilityIAM   = "CAPABILITY_IAM"
	capabilityNamed = "CAPABILITY_NAMED_IAM"
)

func neededCapability(t *template.Template) string {
	needed := ""
	for _, r := range t.Resources {
		if !strings.HasPrefix(r.Type, "AWS::IAM::") {
			continue
		}
		if r.Type == "AWS::IAM::Role" && r.Properties["RoleName"] != nil || r.Type == "AWS::IAM::ManagedPolicy" && r.Properties["ManagedPolicyName"] != nil {
			return capabilityNamed
		}
		needed = capabilityIAM
	}
	return needed
}

// shown are a plan's parameters as they are shown: those with NoEcho are not.
func (p *plan) shown() []parameter {
	var out []parameter
	for _, name := range slices.Sorted(keys(p.arguments)) {
		value := p.arguments[name]
		if declared := p.template.Parameters[name]; declared != nil && declared.NoEcho {
			value = "****"
		}
		out = append(out, parameter{ParameterKey: name, ParameterValue: &value})
	}
	return out
}

func keys[V any](m map[string]V) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// worker starts a worker for a call.
func (s *Service) worker(c *wire.Call, st *stack, p *plan) (*worker, error) {
	who, err := s.identity(c.Who, c.Account, p.role)
	if err != nil {
		return nil, err
	}
	return &worker{Service: s, stack: st, plan: p, who: who}, nil
}
