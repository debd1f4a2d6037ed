package cloudformation_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	cfn "github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/smithy-go"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/cloudformation"
	"example.org/catchment/internal/lab/events"
	"example.org/catchment/internal/lab/firehose"
	"example.org/catchment/internal/lab/iam"
	"example.org/catchment/internal/lab/inspector2"
	"example.org/catchment/internal/lab/kept"
	"example.org/catchment/internal/lab/kms"
	"example.org/catchment/internal/lab/labtest"
	"example.org/catchment/internal/lab/lambda"
	"example.org/catchment/internal/lab/organizations"
	"example.org/catchment/internal/lab/s3"
	"example.org/catchment/internal/lab/securityhub"
	"example.org/catchment/internal/lab/sns"
	"example.org/catchment/internal/lab/sqs"
	"example.org/catchment/internal/lab/wire"
)

// A lab is all services that stacks are made in.
type lab struct {
	t      *testing.T
	cloud  *cloud.Cloud
	server *labtest.Server
	cfn    *cfn.Client
	orgs   *organizations.Service
	s3     *s3.Service
}

func newLab(t *testing.T) *lab {
	t.Helper()
	c := labtest.NewCloud(t)
	l := &lab{t: t, cloud: c, orgs: organizations.New(c), s3: s3.New(c)}
	identity, functions := iam.New(c), lambda.New(c)
	c.Access = identity
	functions.Code = func(_ context.Context, _ cloud.Identity, bucket, key string) ([]byte, error) {
		for name, body := range l.s3.Objects(bucket, key) {
			if name == key {
				return body, nil
			}
		}
		return nil, errors.New("there is no such code")
	}
	t.Cleanup(functions.Close)
	on := []*wire.Service{
		cloudformation.New(c).Wire(), events.New(c).Wire(), firehose.New(c).Wire(), identity.Wire(), inspector2.New(c).Wire(), kms.New(c).Wire(),
		functions.Wire(), l.orgs.Wire(), l.s3.Wire(), securityhub.New(c).Wire(), sns.New(c).Wire(), sqs.New(c).Wire(),
	}
	for _, s := range kept.All(c) {
		on = append(on, s.Wire())
	}
	l.server = labtest.Serve(t, c, on...)
	c.SetURL(l.server.URL)
	l.cfn = cfn.NewFromConfig(l.server.Config(labtest.Administrator, labtest.Region))
	return l
}

// ok ends the test where a call failed.
func ok[T any](out T, err error) func(t *testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
}

// refused wants an error with a code and, where it is not empty, a message.
func refused(t *testing.T, err error, code, message string) {
	t.Helper()
	e, is := errors.AsType[smithy.APIError](err)
	if !is || e.ErrorCode() != code || message != "" && e.ErrorMessage() != message {
		t.Errorf("got error %v,\nwant %s: %s", err, code, message)
	}
}

// wait moves the clock until a stack is at rest.
func (l *lab) wait(name string) types.Stack {
	l.t.Helper()
	for range 60 {
		labtest.Advance(l.t, l.cloud, time.Second)
		out := ok(l.cfn.DescribeStacks(l.t.Context(), &cfn.DescribeStacksInput{StackName: &name}))(l.t)
		st := out.Stacks[0]
		switch status := string(st.StackStatus); {
		case len(status) > 11 && status[len(status)-11:] == "IN_PROGRESS":
		default:
			return st
		}
	}
	l.t.Fatalf("stack %s does not come to rest", name)
	return types.Stack{}
}

var both = []types.Capability{types.CapabilityCapabilityIam, types.CapabilityCapabilityNamedIam}

// create makes a stack and wants it to get to a status.
func (l *lab) create(name, body, status string) types.Stack {
	l.t.Helper()
	ok(l.cfn.CreateStack(l.t.Context(), &cfn.CreateStackInput{StackName: &name, TemplateBody: &body, Capabilities: both}))(l.t)
	return l.at(name, status)
}

func (l *lab) update(name, body, status string) types.Stack {
	l.t.Helper()
	ok(l.cfn.UpdateStack(l.t.Context(), &cfn.UpdateStackInput{StackName: &name, TemplateBody: &body, Capabilities: both}))(l.t)
	return l.at(name, status)
}

func (l *lab) at(name, status string) types.Stack {
	l.t.Helper()
	st := l.wait(name)
	if string(st.StackStatus) != status {
		l.t.Fatalf("the stack is %s, want %s: %s\n%v", st.StackStatus, status, aws.ToString(st.StackStatusReason), l.events(name))
	}
	return st
}

// events are a stack's, oldest first, each as one text.
func (l *lab) events(name string) []string {
	l.t.Helper()
	out := ok(l.cfn.DescribeStackEvents(l.t.Context(), &cfn.DescribeStackEventsInput{StackName: &name}))(l.t)
	var all []string
	for i := len(out.StackEvents) - 1; i >= 0; i-- {
		e := out.StackEvents[i]
		text := aws.ToString(e.LogicalResourceId) + " " + string(e.ResourceStatus)
		if e.ResourceStatusReason != nil {
			text += ": " + *e.ResourceStatusReason
		}
		all = append(all, text)
	}
	return all
}

// physical gives the physical ids of a stack's resources by their logical ids.
func (l *lab) physical(name string) map[string]string {
	l.t.Helper()
	out := ok(l.cfn.DescribeStackResources(l.t.Context(), &cfn.DescribeStackResourcesInput{StackName: &name}))(l.t)
	all := make(map[string]string)
	for _, r := range out.StackResources {
		all[*r.LogicalResourceId] = aws.ToString(r.PhysicalResourceId)
	}
	return all
}
