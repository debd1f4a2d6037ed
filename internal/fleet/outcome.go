package fleet

import (
	"strings"

	cloudformation "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"

	"example.org/catchment/internal/org"
)

// A State is how a part of a cell ended, or, in a plan, what it needs.
type State string

// The states of outcomes.
const (
	Unchanged State = "unchanged"
	Needed    State = "needed"  // in a plan: there are changes to make
	Done      State = "done"    // the changes were made
	Refused   State = "refused" // the changes would lose data, and nobody allowed that
	Failed    State = "failed"
	Skipped   State = "skipped" // what it needs is missing
)

// An Outcome is what came of a part of a cell.
type Outcome struct {
	org.Cell

	Part    Part     `json:"part"`
	Stack   string   `json:"stack,omitempty"` // its name
	State   State    `json:"state"`
	Changes []Change `json:"changes,omitempty"`

	Resource string `json:"resource,omitempty"` // that failed: logical id and type
	Reason   string `json:"reason,omitempty"`   // AWS's, or ours
}

// What is done to a resource.
const (
	ActionCreate     = "create"
	ActionChange     = "change"
	ActionReplace    = "replace"
	ActionMayReplace = "may replace" // CloudFormation knows only when it does it
	ActionDelete     = "delete"
	ActionImport     = "take over" // it is there, and becomes the stack's
)

// A Change is what is done to one resource.
type Change struct {
	Action     string   `json:"action"`
	Type       string   `json:"type"` // of CloudFormation; for what is done by API calls, in the same style
	Resource   string   `json:"resource"`
	Physical   string   `json:"physical,omitempty"` // empty for what is new
	Properties []string `json:"properties,omitempty"`
	Danger     string   `json:"danger,omitempty"` // what is lost, in capitals; empty: nothing
}

// The types of resources that hold data.
const (
	typeStream = "AWS::KinesisFirehose::DeliveryStream"
	typeBucket = "AWS::S3::Bucket"
)

const stackType = "AWS::CloudFormation::Stack"

// What a danger says.
const (
	dangerStream        = "REPLACES A FIREHOSE: WHAT IT STILL BUFFERS IS LOST"
	dangerStreamDelete  = "DELETES A FIREHOSE: WHAT IT STILL BUFFERS IS LOST"
	dangerBucket        = "REPLACES THE BUCKET: FINDINGS GO TO A NEW ONE"
	dangerBucketDelete  = "DELETES THE BUCKET"
	dangerBucketRelease = "LETS GO OF THE BUCKET: IT STAYS, WITHOUT A STACK"
)

// danger tells what a change loses.
func danger(action, kind string, retained bool) string {
	replaces := action == ActionReplace || action == ActionMayReplace
	switch {
	case kind == typeStream && replaces:
		return dangerStream
	case kind == typeStream && action == ActionDelete:
		return dangerStreamDelete
	case kind == typeBucket && replaces:
		return dangerBucket
	case kind == typeBucket && action == ActionDelete && retained:
		return dangerBucketRelease
	case kind == typeBucket && action == ActionDelete:
		return dangerBucketDelete
	}
	return ""
}

// changesOf are the changes of a change set.
func changesOf(all []cloudformation.Change) []Change {
	var out []Change
	for _, one := range all {
		r := one.ResourceChange
		if r == nil {
			continue
		}
		c := Change{Action: string(r.Action), Type: value(r.ResourceType), Resource: value(r.LogicalResourceId), Physical: value(r.PhysicalResourceId)}
		switch r.Action { //nolint:exhaustive // others stay as AWS calls them
		case cloudformation.ChangeActionAdd:
			c.Action = ActionCreate
		case cloudformation.ChangeActionRemove:
			c.Action = ActionDelete
		case cloudformation.ChangeActionImport:
			c.Action = ActionImport
		case cloudformation.ChangeActionModify:
			c.Action = ActionChange
			switch r.Replacement { //nolint:exhaustive // what is left is False
			case cloudformation.ReplacementTrue:
				c.Action = ActionReplace
			case cloudformation.ReplacementConditional:
				c.Action = ActionMayReplace
			}
		}
		seen := make(map[string]bool)
		for _, d := range r.Details {
			if d.Target == nil {
				continue
			}
			name := value(d.Target.Name)
			if name == "" {
				name = string(d.Target.Attribute)
			}
			if !seen[name] {
				seen[name] = true
				c.Properties = append(c.Properties, name)
			}
		}
		retained := r.PolicyAction == cloudformation.PolicyActionRetain || r.PolicyAction == cloudformation.PolicyActionReplaceAndRetain
		c.Danger = danger(c.Action, c.Type, retained)
		out = append(out, c)
	}
	return out
}

// refusal is why changes are not made: what they would lose and nobody allowed. Empty: they are made.
func (f *Fleet) refusal(changes []Change) string {
	for _, c := range changes {
		switch {
		case c.Danger == "":
		case c.Type == typeStream && !f.AllowStream, c.Type == typeBucket && !f.AllowBucket:
			return c.Resource + ": " + c.Danger
		}
	}
	return ""
}

// cause finds what failed first in the events of a stack, newest first, as CloudFormation lists them. What was only
// cancelled because of it is passed over. Events before the last operation are not looked at.
func cause(events []cloudformation.StackEvent) (resource, reason string) {
	for _, e := range events {
		stack := value(e.ResourceType) == stackType
		status := string(e.ResourceStatus)
		why := value(e.ResourceStatusReason)
		if strings.HasSuffix(status, "_FAILED") && !stack && !strings.Contains(why, "cancelled") {
			resource, reason = value(e.LogicalResourceId)+" ("+value(e.ResourceType)+")", why
		}
		// A rollback starts with a reason of its own; the operation itself starts with what the user did.
		if stack && why == "User Initiated" && strings.HasSuffix(status, "_IN_PROGRESS") {
			break
		}
	}
	return resource, reason
}

func value(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
