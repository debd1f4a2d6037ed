package securityhub_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/securityhub"
	"github.com/aws/aws-sdk-go-v2/service/securityhub/types"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/labtest"
	"example.org/catchment/internal/lab/securityhub"
)

// everything calls each operation that needs Security Hub to be on.
func everything(c *sdk.Client) map[string]func(context.Context) error {
	arn := aws.String("arn:aws:securityhub:" + region + ":" + admin + ":finding-aggregator/x")
	hub := aws.String("arn:aws:securityhub:" + region + ":" + admin + ":hub/default")
	id := &types.AwsSecurityFindingIdentifier{Id: aws.String("f"), ProductArn: aws.String("p")}
	ids := []string{member}
	text := aws.String("x")
	return map[string]func(context.Context) error{
		"DescribeHub": func(ctx context.Context) error { _, err := c.DescribeHub(ctx, &sdk.DescribeHubInput{}); return err },
		"DisableSecurityHub": func(ctx context.Context) error {
			_, err := c.DisableSecurityHub(ctx, &sdk.DisableSecurityHubInput{})
			return err
		},
		"UpdateSecurityHubConfiguration": func(ctx context.Context) error {
			_, err := c.UpdateSecurityHubConfiguration(ctx, &sdk.UpdateSecurityHubConfigurationInput{})
			return err
		},
		"EnableImportFindingsForProduct": func(ctx context.Context) error {
			_, err := c.EnableImportFindingsForProduct(ctx, &sdk.EnableImportFindingsForProductInput{ProductArn: text})
			return err
		},
		"ListEnabledProductsForImport": func(ctx context.Context) error {
			_, err := c.ListEnabledProductsForImport(ctx, &sdk.ListEnabledProductsForImportInput{})
			return err
		},
		"DisableImportFindingsForProduct": func(ctx context.Context) error {
			_, err := c.DisableImportFindingsForProduct(ctx, &sdk.DisableImportFindingsForProductInput{ProductSubscriptionArn: hub})
			return err
		},
		"DescribeProducts": func(ctx context.Context) error {
			_, err := c.DescribeProducts(ctx, &sdk.DescribeProductsInput{})
			return err
		},
		"CreateMembers": func(ctx context.Context) error {
			_, err := c.CreateMembers(ctx, &sdk.CreateMembersInput{AccountDetails: []types.AccountDetails{{AccountId: aws.String(member)}}})
			return err
		},
		"InviteMembers": func(ctx context.Context) error {
			_, err := c.InviteMembers(ctx, &sdk.InviteMembersInput{AccountIds: ids})
			return err
		},
		"ListInvitations": func(ctx context.Context) error {
			_, err := c.ListInvitations(ctx, &sdk.ListInvitationsInput{})
			return err
		},
		"GetInvitationsCount": func(ctx context.Context) error {
			_, err := c.GetInvitationsCount(ctx, &sdk.GetInvitationsCountInput{})
			return err
		},
		"AcceptAdministratorInvitation": func(ctx context.Context) error {
			_, err := c.AcceptAdministratorInvitation(ctx, &sdk.AcceptAdministratorInvitationInput{AdministratorId: text, InvitationId: text})
			return err
		},
		"AcceptInvitation": func(ctx context.Context) error {
			_, err := c.AcceptInvitation(ctx, &sdk.AcceptInvitationInput{MasterId: text, InvitationId: text}) //nolint:staticcheck // the old way works still
			return err
		},
		"DeclineInvitations": func(ctx context.Context) error {
			_, err := c.DeclineInvitations(ctx, &sdk.DeclineInvitationsInput{AccountIds: ids})
			return err
		},
		"DeleteInvitations": func(ctx context.Context) error {
			_, err := c.DeleteInvitations(ctx, &sdk.DeleteInvitationsInput{AccountIds: ids})
			return err
		},
		"GetAdministratorAccount": func(ctx context.Context) error {
			_, err := c.GetAdministratorAccount(ctx, &sdk.GetAdministratorAccountInput{})
			return err
		},
		"GetMasterAccount": func(ctx context.Context) error {
			_, err := c.GetMasterAccount(ctx, &sdk.GetMasterAccountInput{}) //nolint:staticcheck // the old way works still
			return err
		},
		"GetMembers": func(ctx context.Context) error {
			_, err := c.GetMembers(ctx, &sdk.GetMembersInput{AccountIds: ids})
			return err
		},
		"ListMembers": func(ctx context.Context) error { _, err := c.ListMembers(ctx, &sdk.ListMembersInput{}); return err },
		"DisassociateMembers": func(ctx context.Context) error {
			_, err := c.DisassociateMembers(ctx, &sdk.DisassociateMembersInput{AccountIds: ids})
			return err
		},
		"DeleteMembers": func(ctx context.Context) error {
			_, err := c.DeleteMembers(ctx, &sdk.DeleteMembersInput{AccountIds: ids})
			return err
		},
		"DisassociateFromAdministratorAccount": func(ctx context.Context) error {
			_, err := c.DisassociateFromAdministratorAccount(ctx, &sdk.DisassociateFromAdministratorAccountInput{})
			return err
		},
		"DescribeOrganizationConfiguration": func(ctx context.Context) error {
			_, err := c.DescribeOrganizationConfiguration(ctx, &sdk.DescribeOrganizationConfigurationInput{})
			return err
		},
		"UpdateOrganizationConfiguration": func(ctx context.Context) error {
			_, err := c.UpdateOrganizationConfiguration(ctx, &sdk.UpdateOrganizationConfigurationInput{AutoEnable: aws.Bool(true)})
			return err
		},
		"BatchImportFindings": func(ctx context.Context) error {
			_, err := c.BatchImportFindings(ctx, &sdk.BatchImportFindingsInput{Findings: []types.AwsSecurityFinding{own(admin, region, "f", labtest.Start)}})
			return err
		},
		"BatchUpdateFindings": func(ctx context.Context) error {
			_, err := c.BatchUpdateFindings(ctx, &sdk.BatchUpdateFindingsInput{FindingIdentifiers: []types.AwsSecurityFindingIdentifier{*id}})
			return err
		},
		"GetFindings": func(ctx context.Context) error { _, err := c.GetFindings(ctx, &sdk.GetFindingsInput{}); return err },
		"GetFindingHistory": func(ctx context.Context) error {
			_, err := c.GetFindingHistory(ctx, &sdk.GetFindingHistoryInput{FindingIdentifier: id})
			return err
		},
		"CreateFindingAggregator": func(ctx context.Context) error {
			_, err := c.CreateFindingAggregator(ctx, &sdk.CreateFindingAggregatorInput{RegionLinkingMode: aws.String("ALL_REGIONS")})
			return err
		},
		"UpdateFindingAggregator": func(ctx context.Context) error {
			_, err := c.UpdateFindingAggregator(ctx, &sdk.UpdateFindingAggregatorInput{FindingAggregatorArn: arn, RegionLinkingMode: text})
			return err
		},
		"GetFindingAggregator": func(ctx context.Context) error {
			_, err := c.GetFindingAggregator(ctx, &sdk.GetFindingAggregatorInput{FindingAggregatorArn: arn})
			return err
		},
		"ListFindingAggregators": func(ctx context.Context) error {
			_, err := c.ListFindingAggregators(ctx, &sdk.ListFindingAggregatorsInput{})
			return err
		},
		"DeleteFindingAggregator": func(ctx context.Context) error {
			_, err := c.DeleteFindingAggregator(ctx, &sdk.DeleteFindingAggregatorInput{FindingAggregatorArn: arn})
			return err
		},
		"CreateActionTarget": func(ctx context.Context) error {
			_, err := c.CreateActionTarget(ctx, &sdk.CreateActionTargetInput{Id: text, Name: text, Description: text})
			return err
		},
		"DescribeActionTargets": func(ctx context.Context) error {
			_, err := c.DescribeActionTargets(ctx, &sdk.DescribeActionTargetsInput{})
			return err
		},
		"UpdateActionTarget": func(ctx context.Context) error {
			_, err := c.UpdateActionTarget(ctx, &sdk.UpdateActionTargetInput{ActionTargetArn: hub})
			return err
		},
		"DeleteActionTarget": func(ctx context.Context) error {
			_, err := c.DeleteActionTarget(ctx, &sdk.DeleteActionTargetInput{ActionTargetArn: hub})
			return err
		},
		"DescribeStandards": func(ctx context.Context) error {
			_, err := c.DescribeStandards(ctx, &sdk.DescribeStandardsInput{})
			return err
		},
		"GetEnabledStandards": func(ctx context.Context) error {
			_, err := c.GetEnabledStandards(ctx, &sdk.GetEnabledStandardsInput{})
			return err
		},
		"BatchEnableStandards": func(ctx context.Context) error {
			_, err := c.BatchEnableStandards(ctx, &sdk.BatchEnableStandardsInput{StandardsSubscriptionRequests: []types.StandardsSubscriptionRequest{{StandardsArn: text}}})
			return err
		},
		"BatchDisableStandards": func(ctx context.Context) error {
			_, err := c.BatchDisableStandards(ctx, &sdk.BatchDisableStandardsInput{StandardsSubscriptionArns: ids})
			return err
		},
		"TagResource": func(ctx context.Context) error {
			_, err := c.TagResource(ctx, &sdk.TagResourceInput{ResourceArn: hub, Tags: map[string]string{"a": "b"}})
			return err
		},
		"UntagResource": func(ctx context.Context) error {
			_, err := c.UntagResource(ctx, &sdk.UntagResourceInput{ResourceArn: hub, TagKeys: ids})
			return err
		},
		"ListTagsForResource": func(ctx context.Context) error {
			_, err := c.ListTagsForResource(ctx, &sdk.ListTagsForResourceInput{ResourceArn: hub})
			return err
		},
	}
}

func TestNothingWorksWhereSecurityHubIsOff(t *testing.T) {
	l := newLab(t)
	for name, call := range everything(l.client(admin, region)) {
		t.Run(name, func(t *testing.T) { refused(t, call(t.Context()), "InvalidAccessException", 401) })
	}
}

func TestEachOperationHasItsRate(t *testing.T) {
	l := newLab(t, func(o *cloud.Options) { o.Quotas = true })
	for name, call := range everything(l.client(admin, region)) {
		t.Run(name, func(t *testing.T) {
			want := map[string]int{"GetFindings": 6, "BatchEnableStandards": 1}[name]
			if want == 0 {
				want = 30
			}
			for range want {
				refused(t, call(t.Context()), "InvalidAccessException", 401)
			}
			refused(t, call(t.Context()), "ThrottlingException", 429)
		})
	}
	labtest.Advance(t, l.cloud, time.Second)
	get := everything(l.client(admin, region))["GetFindings"]
	for range 3 {
		refused(t, get(t.Context()), "InvalidAccessException", 401)
	}
	refused(t, get(t.Context()), "ThrottlingException", 429)
}

func TestAHubIsEnabledAndDisabled(t *testing.T) {
	l, ctx := newLab(t), t.Context()
	c := l.client(admin, region)
	_, err := c.EnableSecurityHub(ctx, &sdk.EnableSecurityHubInput{Tags: map[string]string{"a": "b"}, ControlFindingGenerator: "SOMETHING"})
	refused(t, err, "InvalidInputException", 400)
	_, err = c.EnableSecurityHub(ctx, &sdk.EnableSecurityHubInput{Tags: map[string]string{"a": "b"}, EnableDefaultStandards: aws.Bool(false)})
	must(t, err)
	_, err = c.EnableSecurityHub(ctx, &sdk.EnableSecurityHubInput{})
	refused(t, err, "ResourceConflictException", 409)
	hub, err := c.DescribeHub(ctx, &sdk.DescribeHubInput{})
	must(t, err)
	arn := "arn:aws:securityhub:" + region + ":" + admin + ":hub/default"
	if *hub.HubArn != arn || *hub.SubscribedAt != "2026-11-22T13:14:15.000Z" || !*hub.AutoEnableControls || hub.ControlFindingGenerator != "SECURITY_CONTROL" {
		t.Errorf("%+v", hub)
	}
	_, err = c.DescribeHub(ctx, &sdk.DescribeHubInput{HubArn: aws.String(strings.Replace(arn, admin, member, 1))})
	refused(t, err, "ResourceNotFoundException", 404)
	_, err = c.DescribeHub(ctx, &sdk.DescribeHubInput{HubArn: aws.String("hub")})
	refused(t, err, "InvalidInputException", 400)
	_, err = c.UpdateSecurityHubConfiguration(ctx, &sdk.UpdateSecurityHubConfigurationInput{AutoEnableControls: aws.Bool(false), ControlFindingGenerator: "STANDARD_CONTROL"})
	must(t, err)
	hub, err = c.DescribeHub(ctx, &sdk.DescribeHubInput{HubArn: &arn})
	must(t, err)
	if *hub.AutoEnableControls || hub.ControlFindingGenerator != "STANDARD_CONTROL" {
		t.Errorf("after the update: %+v", hub)
	}
	l.importAll(admin, region, own(admin, region, "f", labtest.Start))
	_, err = c.DisableSecurityHub(ctx, &sdk.DisableSecurityHubInput{})
	must(t, err)
	_, err = c.GetFindings(ctx, &sdk.GetFindingsInput{})
	refused(t, err, "InvalidAccessException", 401)
	l.enable(region, admin)
	if ids, _ := l.pages(admin, region, sdk.GetFindingsInput{}, nil); len(ids) != 1 {
		t.Errorf("%v after it was enabled again, want the finding", ids)
	}
	_, err = c.DisableSecurityHub(ctx, &sdk.DisableSecurityHubInput{})
	must(t, err)
	labtest.Advance(t, l.cloud, 91*24*time.Hour)
	l.enable(region, admin)
	if ids, _ := l.pages(admin, region, sdk.GetFindingsInput{}, nil); len(ids) != 0 {
		t.Errorf("%v after 91 days", ids)
	}
}

func TestTagsOfAHub(t *testing.T) {
	l, ctx := newLab(t), t.Context()
	l.enable(region, admin)
	c := l.client(admin, region)
	arn := aws.String("arn:aws:securityhub:" + region + ":" + admin + ":hub/default")
	_, err := c.TagResource(ctx, &sdk.TagResourceInput{ResourceArn: arn, Tags: map[string]string{"a": "b", "c": "d"}})
	must(t, err)
	_, err = c.UntagResource(ctx, &sdk.UntagResourceInput{ResourceArn: arn, TagKeys: []string{"a"}})
	must(t, err)
	tags, err := c.ListTagsForResource(ctx, &sdk.ListTagsForResourceInput{ResourceArn: arn})
	must(t, err)
	if len(tags.Tags) != 1 || tags.Tags["c"] != "d" {
		t.Errorf("%v", tags.Tags)
	}
	for name, more := range map[string]map[string]string{
		"51 of them":     pairs(50, 1),
		"a key of AWS's": {"aws:x": "y"},
		"a key of 129":   {strings.Repeat("k", 129): "y"},
		"a value of 257": {"k": strings.Repeat("v", 257)},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := c.TagResource(ctx, &sdk.TagResourceInput{ResourceArn: arn, Tags: more})
			refused(t, err, "InvalidInputException", 400)
		})
	}
	_, err = c.TagResource(ctx, &sdk.TagResourceInput{ResourceArn: aws.String(*arn + "/x"), Tags: map[string]string{"a": "b"}})
	refused(t, err, "ResourceNotFoundException", 404)
}

func TestProductSubscriptions(t *testing.T) {
	l, ctx := newLab(t), t.Context()
	l.enable(region, admin)
	c := l.client(admin, region)
	list := func() string {
		var paths []string
		pages := sdk.NewListEnabledProductsForImportPaginator(c, &sdk.ListEnabledProductsForImportInput{MaxResults: aws.Int32(3)})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			must(t, err)
			for _, arn := range page.ProductSubscriptions {
				paths = append(paths, strings.TrimPrefix(arn, "arn:aws:securityhub:"+region+":"+admin+":product-subscription/aws/"))
			}
		}
		return strings.Join(paths, " ")
	}
	others := "access-analyzer config firewall-manager guardduty health macie ssm-patch-manager"
	if got := list(); got != others {
		t.Errorf("enabled by itself: %s", got)
	}
	product := aws.String("arn:aws:securityhub:" + region + "::product/aws/inspector")
	out, err := c.EnableImportFindingsForProduct(ctx, &sdk.EnableImportFindingsForProductInput{ProductArn: product})
	must(t, err)
	if *out.ProductSubscriptionArn != "arn:aws:securityhub:"+region+":"+admin+":product-subscription/aws/inspector" {
		t.Error(*out.ProductSubscriptionArn)
	}
	_, err = c.EnableImportFindingsForProduct(ctx, &sdk.EnableImportFindingsForProductInput{ProductArn: product})
	refused(t, err, "ResourceConflictException", 409)
	_, err = c.EnableImportFindingsForProduct(ctx, &sdk.EnableImportFindingsForProductInput{ProductArn: aws.String("arn:aws:securityhub:us-east-1::product/aws/inspector")})
	refused(t, err, "InvalidInputException", 400)
	_, err = c.EnableImportFindingsForProduct(ctx, &sdk.EnableImportFindingsForProductInput{ProductArn: aws.String("arn:aws:securityhub:" + region + "::product/aws/toaster")})
	refused(t, err, "InvalidInputException", 400)
	if got := list(); !strings.Contains(got, " inspector ") {
		t.Error(got)
	}
	_, err = c.DisableImportFindingsForProduct(ctx, &sdk.DisableImportFindingsForProductInput{ProductSubscriptionArn: out.ProductSubscriptionArn})
	must(t, err)
	_, err = c.DisableImportFindingsForProduct(ctx, &sdk.DisableImportFindingsForProductInput{ProductSubscriptionArn: out.ProductSubscriptionArn})
	refused(t, err, "ResourceNotFoundException", 404)
	_, err = c.DisableImportFindingsForProduct(ctx, &sdk.DisableImportFindingsForProductInput{ProductSubscriptionArn: aws.String("inspector")})
	refused(t, err, "InvalidInputException", 400)
	if got := list(); got != others {
		t.Error(got)
	}
	n := 0
	pages := sdk.NewDescribeProductsPaginator(c, &sdk.DescribeProductsInput{MaxResults: aws.Int32(4)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		must(t, err)
		n += len(page.Products)
	}
	one, err := c.DescribeProducts(ctx, &sdk.DescribeProductsInput{ProductArn: product})
	must(t, err)
	if n < 9 || len(one.Products) != 1 || *one.Products[0].ProductName != "Inspector" || *one.Products[0].CompanyName != "Amazon" {
		t.Errorf("%d products; %+v", n, one.Products)
	}
	_, err = c.DescribeProducts(ctx, &sdk.DescribeProductsInput{ProductArn: aws.String("x")})
	refused(t, err, "InvalidInputException", 400)
	_, err = c.DescribeProducts(ctx, &sdk.DescribeProductsInput{MaxResults: aws.Int32(101)})
	refused(t, err, "InvalidInputException", 400)
	l.hub.Set(securityhub.Settings{AutoProducts: []string{"aws/inspector"}})
	l.enable(other, admin)
	_, err = l.client(admin, other).EnableImportFindingsForProduct(ctx, &sdk.EnableImportFindingsForProductInput{ProductArn: aws.String("arn:aws:securityhub:" + other + "::product/aws/inspector")})
	refused(t, err, "ResourceConflictException", 409)
}

func TestStandards(t *testing.T) {
	l, ctx := newLab(t), t.Context()
	l.enable(region, admin)
	c := l.client(admin, region)
	enabled := func() int {
		out, err := c.GetEnabledStandards(ctx, &sdk.GetEnabledStandardsInput{})
		must(t, err)
		return len(out.StandardsSubscriptions)
	}
	all, err := c.DescribeStandards(ctx, &sdk.DescribeStandardsInput{})
	must(t, err)
	if enabled() != 2 || len(all.Standards) < 5 {
		t.Errorf("%d enabled of %d, want the 2 default ones", enabled(), len(all.Standards))
	}
	arn := aws.String("arn:aws:securityhub:" + region + "::standards/pci-dss/v/3.2.1")
	out, err := c.BatchEnableStandards(ctx, &sdk.BatchEnableStandardsInput{StandardsSubscriptionRequests: []types.StandardsSubscriptionRequest{{StandardsArn: arn}}})
	must(t, err)
	if enabled() != 3 || out.StandardsSubscriptions[0].StandardsStatus != "PENDING" {
		t.Errorf("%d enabled, %+v", enabled(), out.StandardsSubscriptions)
	}
	_, err = c.BatchEnableStandards(ctx, &sdk.BatchEnableStandardsInput{StandardsSubscriptionRequests: []types.StandardsSubscriptionRequest{{StandardsArn: aws.String("x")}}})
	refused(t, err, "InvalidInputException", 400)
	_, err = c.BatchEnableStandards(ctx, &sdk.BatchEnableStandardsInput{StandardsSubscriptionRequests: make([]types.StandardsSubscriptionRequest, 0)})
	refused(t, err, "InvalidInputException", 400)
	_, err = c.BatchDisableStandards(ctx, &sdk.BatchDisableStandardsInput{StandardsSubscriptionArns: []string{*out.StandardsSubscriptions[0].StandardsSubscriptionArn}})
	must(t, err)
	_, err = c.BatchDisableStandards(ctx, &sdk.BatchDisableStandardsInput{StandardsSubscriptionArns: []string{"x"}})
	refused(t, err, "InvalidInputException", 400)
	if enabled() != 2 {
		t.Errorf("%d enabled at the end", enabled())
	}
}

func TestCustomActions(t *testing.T) {
	l, ctx := newLab(t), t.Context()
	l.enable(region, admin)
	c := l.client(admin, region)
	create := func(id, name string) (*sdk.CreateActionTargetOutput, error) {
		return c.CreateActionTarget(ctx, &sdk.CreateActionTargetInput{Id: &id, Name: &name, Description: aws.String("does things")})
	}
	out, err := create("send", "Send it")
	must(t, err)
	arn := "arn:aws:securityhub:" + region + ":" + admin + ":action/custom/send"
	if *out.ActionTargetArn != arn {
		t.Error(*out.ActionTargetArn)
	}
	_, err = create("send", "Send it")
	refused(t, err, "ResourceConflictException", 409)
	_, err = create("send-2", "Send it")
	refused(t, err, "InvalidInputException", 400)
	_, err = create(strings.Repeat("x", 21), "Send it")
	refused(t, err, "InvalidInputException", 400)
	_, err = create("send3", strings.Repeat("x", 21))
	refused(t, err, "InvalidInputException", 400)
	for i := range 49 {
		_, err := create(fmt.Sprint("x", i), "Send it")
		must(t, err)
	}
	_, err = create("one", "too many")
	refused(t, err, "LimitExceededException", 429)
	_, err = c.UpdateActionTarget(ctx, &sdk.UpdateActionTargetInput{ActionTargetArn: &arn, Name: aws.String("Send on")})
	must(t, err)
	list, err := c.DescribeActionTargets(ctx, &sdk.DescribeActionTargetsInput{ActionTargetArns: []string{arn}})
	must(t, err)
	if len(list.ActionTargets) != 1 || *list.ActionTargets[0].Name != "Send on" || *list.ActionTargets[0].Description != "does things" {
		t.Errorf("%+v", list.ActionTargets)
	}

	l.importAll(admin, region, own(admin, region, "f", labtest.Start))
	l.events()
	key := securityhub.FindingKey{ProductARN: defaultProduct(admin, region), ID: "f"}
	must(t, l.hub.SendToAction(l.place(admin, region), "send", key))
	events := l.events()
	if len(events) != 1 || events[0].DetailType != "Security Hub Findings - Custom Action" || events[0].Resources[0] != arn ||
		!strings.Contains(string(events[0].Detail), `"actionName":"Send on","actionDescription":"does things"`) {
		t.Errorf("%+v", events)
	}
	_ = theFinding(t, events[0])
	for name, err := range map[string]error{
		"no such action":  l.hub.SendToAction(l.place(admin, region), "none", key),
		"no such finding": l.hub.SendToAction(l.place(admin, region), "send", securityhub.FindingKey{ID: "g"}),
		"21 findings":     l.hub.SendToAction(l.place(admin, region), "send", make([]securityhub.FindingKey, 21)...),
		"no hub":          l.hub.SendToAction(l.place(member, region), "send", key),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	_, err = c.DeleteActionTarget(ctx, &sdk.DeleteActionTargetInput{ActionTargetArn: &arn})
	must(t, err)
	_, err = c.DeleteActionTarget(ctx, &sdk.DeleteActionTargetInput{ActionTargetArn: &arn})
	refused(t, err, "ResourceNotFoundException", 404)
	_, err = c.DescribeActionTargets(ctx, &sdk.DescribeActionTargetsInput{ActionTargetArns: []string{"x"}})
	refused(t, err, "InvalidInputException", 400)
}
