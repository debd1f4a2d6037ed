package fleet

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/smithy-go"

	"example.org/catchment/internal/org"
)

// A stack is one that is to be as its template says.
type stack struct {
	cell       org.Cell
	part       Part
	template   []byte
	parameters map[string]string
	marks      map[string]string // tags that a new stack gets besides: what was made by API calls for it
	take       bool              // resources that are there already become the stack's
}

// tagPart is the tag that says that a stack is ours, and which part it is.
const tagPart = "catchment:part"

// A Stacker works on stacks: the client of CloudFormation, as far as stacks go.
type Stacker interface {
	DescribeStacks(context.Context, *cloudformation.DescribeStacksInput, ...func(*cloudformation.Options)) (*cloudformation.DescribeStacksOutput, error)
	DescribeStackEvents(context.Context, *cloudformation.DescribeStackEventsInput, ...func(*cloudformation.Options)) (*cloudformation.DescribeStackEventsOutput, error)
	ListStackResources(context.Context, *cloudformation.ListStackResourcesInput, ...func(*cloudformation.Options)) (*cloudformation.ListStackResourcesOutput, error)
	DeleteStack(context.Context, *cloudformation.DeleteStackInput, ...func(*cloudformation.Options)) (*cloudformation.DeleteStackOutput, error)
}

// A ChangeSetter works on change sets: the client of CloudFormation, as far as those go.
type ChangeSetter interface {
	CreateChangeSet(context.Context, *cloudformation.CreateChangeSetInput, ...func(*cloudformation.Options)) (*cloudformation.CreateChangeSetOutput, error)
	DescribeChangeSet(context.Context, *cloudformation.DescribeChangeSetInput, ...func(*cloudformation.Options)) (*cloudformation.DescribeChangeSetOutput, error)
	ExecuteChangeSet(context.Context, *cloudformation.ExecuteChangeSetInput, ...func(*cloudformation.Options)) (*cloudformation.ExecuteChangeSetOutput, error)
	DeleteChangeSet(context.Context, *cloudformation.DeleteChangeSetInput, ...func(*cloudformation.Options)) (*cloudformation.DeleteChangeSetOutput, error)
}

// A TemplateReader gives the template of a stack: the client of CloudFormation again.
type TemplateReader interface {
	GetTemplate(context.Context, *cloudformation.GetTemplateInput, ...func(*cloudformation.Options)) (*cloudformation.GetTemplateOutput, error)
}

// A session is the work on the stacks of one cell.
type session struct {
	fleet  *Fleet
	stacks Stacker
	sets   ChangeSetter
	texts  TemplateReader
}

func (f *Fleet) session(c org.Cell) *session {
	client := cloudformation.NewFromConfig(f.config(c))
	return &session{f, client, client, client}
}

// find gives a stack by its name or id; nil where there is none.
func (s *session) find(ctx context.Context, name string) (*types.Stack, error) {
	out, err := s.stacks.DescribeStacks(ctx, &cloudformation.DescribeStacksInput{StackName: &name})
	if err != nil {
		if api, ok := errors.AsType[smithy.APIError](err); ok && strings.Contains(api.ErrorMessage(), "does not exist") {
			return nil, nil //nolint:nilnil // no stack, no error
		}
		return nil, fmt.Errorf("look for stack %s: %w", name, err)
	}
	if len(out.Stacks) == 0 || out.Stacks[0].StackStatus == types.StackStatusDeleteComplete && !strings.HasPrefix(name, "arn:") {
		return nil, nil //nolint:nilnil // as above
	}
	return &out.Stacks[0], nil
}

// ours tells whether a stack was made by us as this part. A stack under review has no tags yet.
func ours(st *types.Stack, p Part) bool {
	return tagOf(st, tagPart) == string(p) || st.StackStatus == types.StackStatusReviewInProgress && len(st.Tags) == 0
}

func tagOf(st *types.Stack, key string) string {
	for _, t := range st.Tags {
		if aws.ToString(t.Key) == key {
			return aws.ToString(t.Value)
		}
	}
	return ""
}

func outputOf(st *types.Stack, key string) string {
	for _, o := range st.Outputs {
		if aws.ToString(o.OutputKey) == key {
			return aws.ToString(o.OutputValue)
		}
	}
	return ""
}

func parameterOf(st *types.Stack, key string) string {
	for _, p := range st.Parameters {
		if aws.ToString(p.ParameterKey) == key {
			return aws.ToString(p.ParameterValue)
		}
	}
	return ""
}

func busy(s types.StackStatus) bool {
	return strings.HasSuffix(string(s), "_IN_PROGRESS") && s != types.StackStatusReviewInProgress
}

// Pauses between questions grow from the first to the longest.
const (
	firstPause   = 500 * time.Millisecond
	longestPause = 5 * time.Second
)

// wait waits until no work goes on on a stack, and gives it as it is then; nil where it is gone.
func (s *session) wait(ctx context.Context, id string) (*types.Stack, error) {
	for pause := firstPause; ; pause = min(pause*3/2, longestPause) {
		st, err := s.find(ctx, id)
		if err != nil || st == nil || !busy(st.StackStatus) {
			return st, err
		}
		if err := s.fleet.Sleep(ctx, pause); err != nil {
			return nil, err
		}
	}
}

// broken are states that a stack can leave only by being deleted: it never was complete.
var broken = []types.StackStatus{
	types.StackStatusRollbackComplete, types.StackStatusRollbackFailed, types.StackStatusCreateFailed, types.StackStatusDeleteFailed,
}

// apply makes a stack as it is to be. With dry it tells what that would change, and changes nothing.
func (f *Fleet) apply(ctx context.Context, want stack, dry bool) Outcome {
	name := f.stackName(want.part)
	out := Outcome{Cell: want.cell, Part: want.part, Stack: name}
	s := f.session(want.cell)
	st, err := s.find(ctx, name)
	if err == nil && st != nil && busy(st.StackStatus) && !dry {
		st, err = s.wait(ctx, name)
	}
	switch {
	case err != nil:
		return out.failed(err)
	case st != nil && !ours(st, want.part):
		out.State, out.Reason = Failed, "there is a stack of this name that catchment has not made: choose another name"
		return out
	case st != nil && busy(st.StackStatus):
		out.State, out.Reason = Skipped, "somebody works on it: "+string(st.StackStatus)
		return out
	case st == nil || st.StackStatus == types.StackStatusReviewInProgress || slices.Contains(broken, st.StackStatus):
		return s.create(ctx, want, st, dry, out)
	}
	return s.update(ctx, want, st, dry, out)
}

func (o Outcome) failed(err error) Outcome {
	o.State, o.Reason = Failed, org.Reason(err)
	return o
}

// create makes a stack that is not there. One that never was complete is deleted first.
func (s *session) create(ctx context.Context, want stack, before *types.Stack, dry bool, out Outcome) Outcome {
	var err error
	if out.Changes, err = made(want.template, want.parameters); err != nil {
		return out.failed(err)
	}
	if dry {
		out.State = Needed
		return out
	}
	if before != nil && before.StackStatus != types.StackStatusReviewInProgress {
		if out, done := s.remove(ctx, before, nil, out); !done {
			return out
		}
	}
	in, err := s.input(ctx, want, types.ChangeSetTypeCreate)
	if err != nil {
		return out.failed(err)
	}
	for _, name := range slices.Sorted(maps.Keys(want.parameters)) {
		in.Parameters = append(in.Parameters, types.Parameter{ParameterKey: &name, ParameterValue: aws.String(want.parameters[name])})
	}
	tags := map[string]string{tagPart: string(want.part)}
	maps.Copy(tags, want.marks)
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		in.Tags = append(in.Tags, types.Tag{Key: aws.String(key), Value: aws.String(tags[key])})
	}
	if want.take {
		in.ImportExistingResources = aws.Bool(true)
	}
	return s.change(ctx, in, false, out)
}

// update changes a stack that is there. Parameters that nobody asks for keep their values, and so do the tags. Where the
// template says nothing new, CloudFormation is asked to mend what was changed behind its back.
func (s *session) update(ctx context.Context, want stack, before *types.Stack, dry bool, out Outcome) Outcome {
	if before.StackStatus == types.StackStatusUpdateRollbackFailed {
		out.State, out.Reason = Failed, "the stack is UPDATE_ROLLBACK_FAILED: mend what it names, then aws cloudformation continue-update-rollback"
		return out
	}
	known, err := parameterNames(want.template)
	if err != nil {
		return out.failed(err)
	}
	if dry && len(want.template) > maxInline {
		return s.compare(ctx, want, before, out)
	}
	in, err := s.input(ctx, want, types.ChangeSetTypeUpdate)
	if err != nil {
		return out.failed(err)
	}
	in.Tags = before.Tags
	for _, name := range known {
		v, given := want.parameters[name]
		switch {
		case given:
			in.Parameters = append(in.Parameters, types.Parameter{ParameterKey: &name, ParameterValue: &v})
		case slices.ContainsFunc(before.Parameters, func(p types.Parameter) bool { return aws.ToString(p.ParameterKey) == name }):
			in.Parameters = append(in.Parameters, types.Parameter{ParameterKey: &name, UsePreviousValue: aws.Bool(true)})
		}
	}
	done := s.change(ctx, in, dry, out)
	if done.State != Unchanged {
		return done
	}
	mend := *in
	mend.ChangeSetName = changeSetName()
	mend.DeploymentMode = types.DeploymentModeRevertDrift
	if mended := s.change(ctx, &mend, dry, out); mended.State != Failed || mended.Resource != "" {
		return mended
	}
	return done // a kind of change set that is not to be had everywhere
}

// maxInline is the longest template that a request holds. Longer ones lie in the region's bucket for code.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
const maxInline = 51_200

func (s *session) input(ctx context.Context, want stack, kind types.ChangeSetType) (*cloudformation.CreateChangeSetInput, error) {
	in := &cloudformation.CreateChangeSetInput{
		StackName: aws.String(s.fleet.stackName(want.part)), ChangeSetName: changeSetName(), ChangeSetType: kind,
		Capabilities: []types.Capability{types.CapabilityCapabilityNamedIam},
	}
	if len(want.template) <= maxInline {
		in.TemplateBody = aws.String(string(want.template))
		return in, nil
	}
	address, err := s.fleet.lay(ctx, want.cell, want.template)
	in.TemplateURL = &address
	return in, err
}

// compare tells whether a stack has a template, where that is too long to be asked about without laying it into a bucket:
// a plan leaves nothing behind. What follows from parameters or drift it does not see.
func (s *session) compare(ctx context.Context, want stack, before *types.Stack, out Outcome) Outcome {
	got, err := s.texts.GetTemplate(ctx, &cloudformation.GetTemplateInput{StackName: before.StackId})
	switch {
	case err != nil:
		return out.failed(err)
	case aws.ToString(got.TemplateBody) == string(want.template):
		out.State = Unchanged
		return out
	}
	out.State = Needed
	out.Changes = []Change{{Action: ActionChange, Type: stackType, Resource: out.Stack, Physical: aws.ToString(before.StackId), Properties: []string{"TemplateBody"}}}
	return out
}

func changeSetName() *string { return aws.String("catchment-" + rand.Text()) }

// noChanges are the words by which CloudFormation says that there is nothing to do: it has no code for it.
var noChanges = []string{"didn't contain changes", "No updates are to be performed"}

// change makes a change set and, unless dry, executes it.
func (s *session) change(ctx context.Context, in *cloudformation.CreateChangeSetInput, dry bool, out Outcome) Outcome {
	created, err := s.sets.CreateChangeSet(ctx, in)
	if err != nil {
		return out.failed(err)
	}
	stack, set := created.StackId, created.Id
	changes, unchanged, err := s.describe(ctx, set)
	switch {
	case err != nil:
		s.drop(ctx, set)
		return out.failed(err)
	case unchanged:
		s.drop(ctx, set)
		out.State = Unchanged
		return out
	}
	if out.Changes = changesOf(changes); dry {
		s.drop(ctx, set)
		out.State = Needed
		return out
	}
	if why := s.fleet.refusal(out.Changes); why != "" {
		s.drop(ctx, set)
		out.State, out.Reason = Refused, why
		return out
	}
	if _, err := s.sets.ExecuteChangeSet(ctx, &cloudformation.ExecuteChangeSetInput{ChangeSetName: set, StackName: stack}); err != nil {
		return out.failed(err)
	}
	st, err := s.wait(ctx, aws.ToString(stack))
	switch {
	case err != nil:
		return out.failed(err)
	case st != nil && (st.StackStatus == types.StackStatusCreateComplete || st.StackStatus == types.StackStatusUpdateComplete):
		out.State = Done
		return out
	}
	return s.failure(ctx, st, aws.ToString(stack), out)
}

// describe waits for a change set, and gives its changes, or that there are none.
func (s *session) describe(ctx context.Context, set *string) (changes []types.Change, unchanged bool, err error) {
	in := &cloudformation.DescribeChangeSetInput{ChangeSetName: set}
	for pause := firstPause / 4; ; pause = min(pause*2, longestPause) {
		page, err := s.sets.DescribeChangeSet(ctx, in)
		if err != nil {
			return nil, false, fmt.Errorf("describe the change set: %w", err)
		}
		switch page.Status { //nolint:exhaustive // the others pass
		case types.ChangeSetStatusCreateComplete:
			changes = append(changes, page.Changes...)
			if in.NextToken = page.NextToken; in.NextToken == nil {
				return changes, false, nil
			}
			continue
		case types.ChangeSetStatusFailed, types.ChangeSetStatusDeleteComplete, types.ChangeSetStatusDeleteFailed, "CREATE_FAILED":
			why := aws.ToString(page.StatusReason)
			if slices.ContainsFunc(noChanges, func(words string) bool { return strings.Contains(why, words) }) {
				return nil, true, nil
			}
			return nil, false, fmt.Errorf("the change set is %s: %s", page.Status, why)
		}
		if err := s.fleet.Sleep(ctx, pause); err != nil {
			return nil, false, err
		}
	}
}

// drop deletes a change set that is not executed. One that stays does no harm.
func (s *session) drop(ctx context.Context, set *string) {
	_, _ = s.sets.DeleteChangeSet(ctx, &cloudformation.DeleteChangeSetInput{ChangeSetName: set})
}

// maxEventPages bounds how far back events are read: 100 a page.
const maxEventPages = 20

// failure says what failed, by the stack's events.
func (s *session) failure(ctx context.Context, st *types.Stack, id string, out Outcome) Outcome {
	out.State = Failed
	if st != nil {
		out.Reason = string(st.StackStatus)
		if why := aws.ToString(st.StackStatusReason); why != "" {
			out.Reason += ": " + why
		}
	}
	var events []types.StackEvent
	for in, pages := (&cloudformation.DescribeStackEventsInput{StackName: &id}), 0; pages < maxEventPages; pages++ {
		page, err := s.stacks.DescribeStackEvents(ctx, in)
		if err != nil {
			break // the status has to do
		}
		events = append(events, page.StackEvents...)
		if in.NextToken = page.NextToken; in.NextToken == nil {
			break
		}
	}
	if resource, why := cause(events); resource != "" {
		out.Resource, out.Reason = resource, why
	}
	return out
}

// remove deletes a stack, and tells whether it is gone; the outcome is that of a failure. retain names resources that
// stay.
func (s *session) remove(ctx context.Context, st *types.Stack, retain []string, out Outcome) (Outcome, bool) {
	id := aws.ToString(st.StackId)
	if _, err := s.stacks.DeleteStack(ctx, &cloudformation.DeleteStackInput{StackName: &id, RetainResources: retain}); err != nil {
		return out.failed(err), false
	}
	left, err := s.wait(ctx, id)
	switch {
	case err != nil:
		return out.failed(err), false
	case left == nil || left.StackStatus == types.StackStatusDeleteComplete:
		return out, true
	}
	return s.failure(ctx, left, id, out), false
}

// resources are those of a stack, by logical id.
func (s *session) resources(ctx context.Context, name string) (map[string]types.StackResourceSummary, error) {
	out := make(map[string]types.StackResourceSummary)
	for in := (&cloudformation.ListStackResourcesInput{StackName: &name}); ; {
		page, err := s.stacks.ListStackResources(ctx, in)
		if err != nil {
			return nil, fmt.Errorf("list the resources of stack %s: %w", name, err)
		}
		for _, r := range page.StackResourceSummaries {
			out[aws.ToString(r.LogicalResourceId)] = r
		}
		if in.NextToken = page.NextToken; in.NextToken == nil {
			return out, nil
		}
	}
}
