package fleet

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/inspector2"
	inspectortypes "github.com/aws/aws-sdk-go-v2/service/inspector2/types"
	"github.com/aws/aws-sdk-go-v2/service/securityhub"
	"github.com/aws/smithy-go"

	"example.org/catchment/internal/org"
	"example.org/catchment/internal/template"
)

// Tags of member stacks that remember what was made by API calls, for destroy. Their value is madeHere.
const (
	tagInspector  = "catchment:inspector"  // Inspector was not on before
	tagMembership = "catchment:membership" // the account was no member of the administrator before
	tagDelegation = "catchment:delegation" // of the administrator's stack: it was not the organization's administrator before
	madeHere      = "made"
)

// hubState is what there is of Security Hub in a cell.
type hubState struct {
	on         bool
	integrated bool // Inspector's findings come
}

// hub asks for the state of Security Hub.
func (f *Fleet) hub(ctx context.Context, c org.Cell) (hubState, error) {
	client := securityhub.NewFromConfig(f.config(c))
	_, err := client.DescribeHub(ctx, &securityhub.DescribeHubInput{})
	if isOff(err) {
		return hubState{}, nil
	}
	if err != nil {
		return hubState{}, fmt.Errorf("ask Security Hub whether it is on: %w", err)
	}
	out := hubState{on: true}
	pages := securityhub.NewListEnabledProductsForImportPaginator(client, &securityhub.ListEnabledProductsForImportInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return out, fmt.Errorf("ask Security Hub for its products: %w", err)
		}
		for _, arn := range page.ProductSubscriptions {
			out.integrated = out.integrated || strings.HasSuffix(arn, ":product-subscription/aws/inspector")
		}
	}
	return out, nil
}

// isOff recognises the answers of a Security Hub that is not on.
func isOff(err error) bool {
	api, ok := errors.AsType[smithy.APIError](err)
	return ok && (api.ErrorCode() == "InvalidAccessException" || api.ErrorCode() == "ResourceNotFoundException")
}

// member makes the stack of a cell, and turns Inspector on.
func (w *walk) member(ctx context.Context, c org.Cell) {
	inspector, inspectorErr := w.inspectorOn(ctx, c)
	made := w.do(c, PartMember, func() Outcome {
		text, err := template.Member(w.Template)
		if err != nil {
			return Outcome{}.failed(err)
		}
		hub, err := w.hub(ctx, c)
		if err != nil {
			return Outcome{Stack: w.stackName(PartMember)}.failed(err)
		}
		st, err := w.session(c).find(ctx, w.stackName(PartMember))
		if err != nil {
			return Outcome{Stack: w.stackName(PartMember)}.failed(err)
		}
		want := stack{cell: c, part: PartMember, template: text, parameters: w.parameters(PartMember, memberParameters(hub, st)), marks: make(map[string]string)}
		if inspectorErr == nil && !inspector {
			want.marks[tagInspector] = madeHere
		}
		w.mark(c, want.marks)
		out := w.apply(ctx, want, w.dry)
		if taken(out) { // Security Hub has let the product in by itself, as soon as it was on
			want.parameters["InspectorIntegration"] = "present"
			out = w.apply(ctx, want, w.dry)
		}
		return w.mendHub(ctx, c, hub, st, out)
	})
	w.do(c, PartInspector, func() Outcome {
		switch {
		case inspectorErr != nil:
			return Outcome{}.failed(inspectorErr)
		case inspector:
			return Outcome{State: Unchanged}
		}
		out := Outcome{Changes: []Change{{Action: ActionCreate, Type: "Inspector2::Activation", Resource: strings.Join(w.Inspector, ", ")}}}
		switch {
		case w.dry:
			out.State = Needed
			return out
		case made.State == Failed:
			out.State, out.Reason = Skipped, "the stack that remembers it is missing"
			return out
		}
		return w.enableInspector(ctx, c, out)
	})
}

// memberParameters say what the stack makes: not what is there by somebody else. What the stack has made stays its own.
func memberParameters(hub hubState, st *types.Stack) map[string]string {
	choose := func(name string, present bool) string {
		if present && (st == nil || parameterOf(st, name) != "create" || neverWas(st)) {
			return "present"
		}
		return "create"
	}
	return map[string]string{"SecurityHub": choose("SecurityHub", hub.on), "InspectorIntegration": choose("InspectorIntegration", hub.integrated)}
}

// neverWas tells whether a stack's creation failed, so that it has nothing.
func neverWas(st *types.Stack) bool {
	for _, s := range broken {
		if st.StackStatus == s {
			return true
		}
	}
	return st.StackStatus == types.StackStatusReviewInProgress
}

// taken tells whether a stack failed because Inspector's integration is there already.
func taken(out Outcome) bool {
	return out.State == Failed && strings.HasPrefix(out.Resource, "Integration ") && strings.Contains(strings.ToLower(out.Reason), "already")
}

// mendHub turns on again what a stack has made and somebody turned off behind its back: CloudFormation sees no change.
func (w *walk) mendHub(ctx context.Context, c org.Cell, hub hubState, st *types.Stack, out Outcome) Outcome {
	if out.State != Unchanged || st == nil {
		return out
	}
	client := securityhub.NewFromConfig(w.config(c))
	mend := func(kind, what string, call func() error) bool {
		out.Changes = append(out.Changes, Change{Action: ActionCreate, Type: kind, Resource: what})
		if out.State = Needed; w.dry {
			return true
		}
		if err := call(); err != nil {
			out = out.failed(err)
			return false
		}
		out.State = Done
		return true
	}
	if !hub.on && parameterOf(st, "SecurityHub") == "create" {
		if !mend("AWS::SecurityHub::Hub", "Hub", func() error {
			_, err := client.EnableSecurityHub(ctx, &securityhub.EnableSecurityHubInput{EnableDefaultStandards: aws.Bool(false)})
			return err
		}) {
			return out
		}
		if !w.dry {
			if again, err := w.hub(ctx, c); err == nil {
				hub = again // its products may have come back with it
			}
		}
	}
	if !hub.integrated && parameterOf(st, "InspectorIntegration") == "create" {
		mend("AWS::SecurityHub::ProductSubscription", "Integration", func() error {
			product := "arn:" + w.org.Partition + ":securityhub:" + c.Region + "::product/aws/inspector"
			_, err := client.EnableImportFindingsForProduct(ctx, &securityhub.EnableImportFindingsForProductInput{ProductArn: &product})
			return err
		})
	}
	return out
}

// inspectorOn tells whether Inspector scans anything in a cell, or is about to.
func (f *Fleet) inspectorOn(ctx context.Context, c org.Cell) (bool, error) {
	out, err := inspector2.NewFromConfig(f.config(c)).BatchGetAccountStatus(ctx, &inspector2.BatchGetAccountStatusInput{})
	if err != nil {
		return false, fmt.Errorf("ask Inspector whether it is on: %w", err)
	}
	for _, a := range out.Accounts {
		if aws.ToString(a.AccountId) == c.Account && a.State != nil {
			return a.State.Status == inspectortypes.StatusEnabled || a.State.Status == inspectortypes.StatusEnabling, nil
		}
	}
	for _, a := range out.FailedAccounts {
		return false, fmt.Errorf("ask Inspector whether it is on: %s: %s", a.ErrorCode, aws.ToString(a.ErrorMessage))
	}
	return false, nil
}

// enableInspector turns Inspector on, by the account itself or, where only its administrator may, by that.
func (w *walk) enableInspector(ctx context.Context, c org.Cell, out Outcome) Outcome {
	in := &inspector2.EnableInput{}
	for _, kind := range w.Inspector {
		in.ResourceTypes = append(in.ResourceTypes, inspectortypes.ResourceScanType(kind))
	}
	var reason string
	for _, as := range []org.Cell{c, w.administrator(c.Region)} {
		if as != c {
			in.AccountIds = []string{c.Account}
		}
		done, err := inspector2.NewFromConfig(w.config(as)).Enable(ctx, in)
		if err != nil {
			return out.failed(err)
		}
		if len(done.FailedAccounts) == 0 {
			out.State = Done
			return out
		}
		bad := done.FailedAccounts[0]
		if bad.ErrorCode == inspectortypes.ErrorCodeAlreadyEnabled || bad.ErrorCode == inspectortypes.ErrorCodeEnableInProgress {
			out.State = Done
			return out
		}
		if reason == "" {
			reason = string(bad.ErrorCode) + ": " + aws.ToString(bad.ErrorMessage)
		}
		if bad.ErrorCode != inspectortypes.ErrorCodeAccessDenied {
			break
		}
	}
	out.State, out.Reason = Failed, reason
	return out
}
