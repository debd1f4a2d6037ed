package inspector_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/inspector"
	"github.com/aws/aws-sdk-go-v2/service/inspector/types"

	"example.org/catchment/internal/lab/cloud"
	labinspector "example.org/catchment/internal/lab/inspector"
	"example.org/catchment/internal/lab/labtest"
)

func TestTargetsTemplatesAndGroupsAreShownAsTheyWereMade(t *testing.T) {
	l := newLab(t)
	group, err := l.CreateResourceGroup(t.Context(), &inspector.CreateResourceGroupInput{
		ResourceGroupTags: []types.ResourceGroupTag{{Key: aws.String("Stage"), Value: aws.String("prod")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	groups, err := l.DescribeResourceGroups(t.Context(), &inspector.DescribeResourceGroupsInput{ResourceGroupArns: []string{*group.ResourceGroupArn}})
	if err != nil || *groups.ResourceGroups[0].Tags[0].Value != "prod" {
		t.Errorf("got %+v, %v", groups, err)
	}
	target, err := l.CreateAssessmentTarget(t.Context(), &inspector.CreateAssessmentTargetInput{
		AssessmentTargetName: aws.String("web"), ResourceGroupArn: group.ResourceGroupArn,
	})
	if err != nil {
		t.Fatal(err)
	}
	targets, err := l.DescribeAssessmentTargets(t.Context(), &inspector.DescribeAssessmentTargetsInput{
		AssessmentTargetArns: []string{*target.AssessmentTargetArn, nowhere},
	})
	if err != nil || len(targets.AssessmentTargets) != 1 || targets.FailedItems[nowhere].FailureCode != "ITEM_DOES_NOT_EXIST" ||
		*targets.AssessmentTargets[0].ResourceGroupArn != *group.ResourceGroupArn || !targets.AssessmentTargets[0].CreatedAt.Equal(labtest.Start) {
		t.Errorf("got %+v, %v", targets, err)
	}
	made, err := l.CreateAssessmentTemplate(t.Context(), &inspector.CreateAssessmentTemplateInput{
		AssessmentTargetArn: target.AssessmentTargetArn, AssessmentTemplateName: aws.String("daily"), DurationInSeconds: aws.Int32(180),
		RulesPackageArns: []string{cve, cis, cve}, UserAttributesForFindings: []types.Attribute{},
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := *target.AssessmentTargetArn + "/template/0-"; !strings.HasPrefix(*made.AssessmentTemplateArn, want) {
		t.Errorf("the template is %s, want %s…", *made.AssessmentTemplateArn, want)
	}
	run := l.finished(t, *made.AssessmentTemplateArn)
	templates, err := l.DescribeAssessmentTemplates(t.Context(), &inspector.DescribeAssessmentTemplatesInput{AssessmentTemplateArns: []string{*made.AssessmentTemplateArn}})
	if err != nil {
		t.Fatal(err)
	}
	got := templates.AssessmentTemplates[0]
	if *got.Name != "daily" || *got.DurationInSeconds != 180 || !slices.Equal(got.RulesPackageArns, []string{cve, cis}) || *got.AssessmentRunCount != 1 ||
		*got.LastAssessmentRunArn != run || got.UserAttributesForFindings == nil {
		t.Errorf("the template is %+v", got)
	}
	out, err := l.DescribeFindings(t.Context(), &inspector.DescribeFindingsInput{FindingArns: l.findings(t, run)[:1]})
	if err != nil || !slices.ContainsFunc(out.Findings[0].AssetAttributes.Tags, func(x types.Tag) bool { return *x.Key == "Stage" }) {
		t.Errorf("the instance has not the tags that chose it: %+v, %v", out, err)
	}
}

func TestListsOfTargetsTemplatesAndRunsAreFiltered(t *testing.T) {
	l := newLab(t)
	l.service.SetAssessor(stub(1))
	target := l.target(t, "web servers")
	l.target(t, "databases")
	var templates []string
	for i, seconds := range []int32{180, 3600, 7200} {
		out, err := l.CreateAssessmentTemplate(t.Context(), &inspector.CreateAssessmentTemplateInput{
			AssessmentTargetArn: &target, AssessmentTemplateName: aws.String(fmt.Sprintf("check %d", i)), DurationInSeconds: &seconds,
			RulesPackageArns: []string{[]string{cve, cis, cve}[i]},
		})
		if err != nil {
			t.Fatal(err)
		}
		templates = append(templates, *out.AssessmentTemplateArn)
	}
	first, second := l.finished(t, templates[0]), l.start(t, templates[1])
	labtest.Advance(t, l.cloud, time.Minute)
	middle := aws.Time(labtest.Start.Add(119 * time.Minute))
	targets := func(f *types.AssessmentTargetFilter) ([]string, error) {
		out, err := l.ListAssessmentTargets(t.Context(), &inspector.ListAssessmentTargetsInput{Filter: f})
		if err != nil {
			return nil, err
		}
		return out.AssessmentTargetArns, nil
	}
	checks := func(f types.AssessmentTemplateFilter) ([]string, error) {
		out, err := l.ListAssessmentTemplates(t.Context(), &inspector.ListAssessmentTemplatesInput{AssessmentTargetArns: []string{target}, Filter: &f})
		if err != nil {
			return nil, err
		}
		return out.AssessmentTemplateArns, nil
	}
	runs := func(f types.AssessmentRunFilter, parents ...string) ([]string, error) {
		out, err := l.ListAssessmentRuns(t.Context(), &inspector.ListAssessmentRunsInput{AssessmentTemplateArns: parents, Filter: &f})
		if err != nil {
			return nil, err
		}
		return out.AssessmentRunArns, nil
	}
	for name, test := range map[string]struct {
		list func() ([]string, error)
		want []string
	}{
		"a target's name with a star": {func() ([]string, error) {
			return targets(&types.AssessmentTargetFilter{AssessmentTargetNamePattern: aws.String("web*")})
		}, []string{target}},
		"a target's name in full": {func() ([]string, error) {
			return targets(&types.AssessmentTargetFilter{AssessmentTargetNamePattern: aws.String("web")})
		}, nil},
		"a template's name with stars": {func() ([]string, error) {
			return checks(types.AssessmentTemplateFilter{NamePattern: aws.String("*c*1*")})
		}, templates[1:2]},
		"a template's duration": {func() ([]string, error) {
			return checks(types.AssessmentTemplateFilter{DurationRange: &types.DurationRange{MinSeconds: aws.Int32(3600)}})
		}, templates[1:]},
		"a template's rules package": {func() ([]string, error) {
			return checks(types.AssessmentTemplateFilter{RulesPackageArns: []string{cis}})
		}, templates[1:2]},
		"runs of a template": {func() ([]string, error) { return runs(types.AssessmentRunFilter{}, templates[0]) }, []string{first}},
		"runs of all":        {func() ([]string, error) { return runs(types.AssessmentRunFilter{}) }, []string{first, second}},
		"runs in a state": {func() ([]string, error) {
			return runs(types.AssessmentRunFilter{States: []types.AssessmentRunState{"COLLECTING_DATA", "CANCELED"}})
		}, []string{second}},
		"runs by name": {func() ([]string, error) { return runs(types.AssessmentRunFilter{NamePattern: aws.String("*check 1*")}) }, []string{second}},
		"runs by duration": {func() ([]string, error) {
			return runs(types.AssessmentRunFilter{DurationRange: &types.DurationRange{MaxSeconds: aws.Int32(180)}})
		}, []string{first}},
		"runs by rules package": {func() ([]string, error) { return runs(types.AssessmentRunFilter{RulesPackageArns: []string{cis}}) }, []string{second}},
		"runs by start": {func() ([]string, error) {
			return runs(types.AssessmentRunFilter{StartTimeRange: &types.TimestampRange{BeginDate: middle}})
		}, []string{second}},
		"runs by completion": {func() ([]string, error) {
			return runs(types.AssessmentRunFilter{CompletionTimeRange: &types.TimestampRange{EndDate: middle}})
		}, []string{first}},
		"a run that goes on is not complete": {func() ([]string, error) {
			return runs(types.AssessmentRunFilter{CompletionTimeRange: &types.TimestampRange{BeginDate: middle}})
		}, nil},
		"runs by change of state": {func() ([]string, error) {
			return runs(types.AssessmentRunFilter{StateChangeTimeRange: &types.TimestampRange{BeginDate: middle}})
		}, []string{second}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := test.list()
			if err != nil || !slices.Equal(got, test.want) {
				t.Errorf("got %v, %v; want %v", got, err, test.want)
			}
		})
	}
}

func TestRulesPackagesByRegion(t *testing.T) {
	for region, want := range map[string]struct {
		account, first string
		n              int
	}{
		"us-east-1": {"316112463485", "0-gEjTy7T7", 4}, "ap-northeast-1": {"406045910587", "0-gHP9oWNT", 4},
		"eu-north-1": {"453420244670", "0-IgdgIewd", 4}, "sa-east-1": {"", "", 0},
	} {
		t.Run(region, func(t *testing.T) {
			l := newLab(t)
			client := l.as(labtest.Administrator, region)
			out, err := client.ListRulesPackages(t.Context(), &inspector.ListRulesPackagesInput{})
			if err != nil || len(out.RulesPackageArns) != want.n {
				t.Fatalf("got %v, %v; want %d", out, err, want.n)
			}
			if want.n == 0 {
				return
			}
			if arn := "arn:aws:inspector:" + region + ":" + want.account + ":rulespackage/" + want.first; out.RulesPackageArns[0] != arn {
				t.Errorf("the first is %s, want %s", out.RulesPackageArns[0], arn)
			}
			shown, err := client.DescribeRulesPackages(t.Context(), &inspector.DescribeRulesPackagesInput{RulesPackageArns: append(out.RulesPackageArns, "x")})
			if err != nil || len(shown.RulesPackages) != 4 || len(shown.FailedItems) != 1 || *shown.RulesPackages[0].Name == "" {
				t.Errorf("got %+v, %v", shown, err)
			}
		})
	}
	if got := labinspector.RulesPackages(cloud.PartitionGov, "us-gov-west-1"); len(got) != 3 || !strings.HasPrefix(got[0].ARN, "arn:aws-us-gov:inspector:us-gov-west-1:850862329162:") {
		t.Errorf("the packages of us-gov-west-1 are %v, want three without Network Reachability", got)
	}
}

func TestTagsOfATemplateAreReplacedAsAWhole(t *testing.T) {
	l := newLab(t)
	template := l.template(t, "web", cve)
	for _, tags := range [][]types.Tag{
		{{Key: aws.String("a"), Value: aws.String("1")}, {Key: aws.String("b"), Value: aws.String("")}}, {{Key: aws.String("c"), Value: aws.String("3")}}, {},
	} {
		if _, err := l.SetTagsForResource(t.Context(), &inspector.SetTagsForResourceInput{ResourceArn: &template, Tags: tags}); err != nil {
			t.Fatal(err)
		}
		got, err := l.ListTagsForResource(t.Context(), &inspector.ListTagsForResourceInput{ResourceArn: &template})
		if err != nil || len(got.Tags) != len(tags) {
			t.Errorf("got %v, %v; want %v", got, err, tags)
		}
	}
}

func TestSubscriptionsAreListedByTopic(t *testing.T) {
	l := newLab(t)
	first, second := l.template(t, "one", cve), l.template(t, "two", cve)
	l.subscribe(t, first, "ASSESSMENT_RUN_STARTED", "FINDING_REPORTED", "FINDING_REPORTED")
	l.subscribe(t, second, "OTHER")
	other := aws.String(topic + "-2")
	if _, err := l.SubscribeToEvent(t.Context(), &inspector.SubscribeToEventInput{ResourceArn: &first, Event: "OTHER", TopicArn: other}); err != nil {
		t.Fatal(err)
	}
	list := func(in *inspector.ListEventSubscriptionsInput) []string {
		var got []string
		pages := inspector.NewListEventSubscriptionsPaginator(l, in)
		for pages.HasMorePages() {
			page, err := pages.NextPage(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range page.Subscriptions {
				got = append(got, fmt.Sprintf("%s %d", (*s.TopicArn)[len(topic):], len(s.EventSubscriptions)))
			}
		}
		return got
	}
	if got := list(&inspector.ListEventSubscriptionsInput{MaxResults: aws.Int32(1)}); !slices.Equal(got, []string{" 2", " 1", "-2 1"}) {
		t.Errorf("all subscriptions are %q", got)
	}
	if got := list(&inspector.ListEventSubscriptionsInput{ResourceArn: &second}); !slices.Equal(got, []string{" 1"}) {
		t.Errorf("those of one template are %q", got)
	}
	for range 2 { // the second does nothing
		if _, err := l.UnsubscribeFromEvent(t.Context(), &inspector.UnsubscribeFromEventInput{ResourceArn: &first, Event: "OTHER", TopicArn: other}); err != nil {
			t.Fatal(err)
		}
	}
	if got := list(&inspector.ListEventSubscriptionsInput{ResourceArn: &first}); !slices.Equal(got, []string{" 2"}) {
		t.Errorf("what is left is %q", got)
	}
}

func TestRefusalsOfWhatIsMade(t *testing.T) {
	l := newLab(t)
	template := l.template(t, "web", cve)
	target, _, _ := strings.Cut(template, "/template/")
	empty := l.template(t, "empty")
	long := aws.String(strings.Repeat("n", 141))
	const in = "InvalidInputException/"
	create := func(change func(*inspector.CreateAssessmentTemplateInput)) func(context.Context) error {
		return func(ctx context.Context) error {
			in := &inspector.CreateAssessmentTemplateInput{
				AssessmentTargetArn: &target, AssessmentTemplateName: aws.String("x"), DurationInSeconds: aws.Int32(180), RulesPackageArns: []string{cve},
			}
			change(in)
			return after(l.CreateAssessmentTemplate(ctx, in))
		}
	}
	aim := func(in *inspector.CreateAssessmentTargetInput) func(context.Context) error {
		return func(ctx context.Context) error { return after(l.CreateAssessmentTarget(ctx, in)) }
	}
	subscribe := func(resource, topic, event string) func(context.Context) error {
		return func(ctx context.Context) error {
			return after(l.SubscribeToEvent(ctx, &inspector.SubscribeToEventInput{ResourceArn: &resource, TopicArn: &topic, Event: types.InspectorEvent(event)}))
		}
	}
	group := func(tags []types.ResourceGroupTag) func(context.Context) error {
		return func(ctx context.Context) error {
			return after(l.CreateResourceGroup(ctx, &inspector.CreateResourceGroupInput{ResourceGroupTags: tags}))
		}
	}
	tag := func(arn, k, v string) func(context.Context) error {
		return func(ctx context.Context) error {
			return after(l.SetTagsForResource(ctx, &inspector.SetTagsForResourceInput{ResourceArn: &arn, Tags: []types.Tag{{Key: &k, Value: &v}}}))
		}
	}
	start := func(arn string) func(context.Context) error {
		return func(ctx context.Context) error {
			return after(l.StartAssessmentRun(ctx, &inspector.StartAssessmentRunInput{AssessmentTemplateArn: &arn}))
		}
	}
	check(t, map[string]refusal{
		"a template of a second too little":     {create(func(in *inspector.CreateAssessmentTemplateInput) { in.DurationInSeconds = aws.Int32(179) }), in + "INVALID_ASSESSMENT_TEMPLATE_DURATION"},
		"a template of a second too much":       {create(func(in *inspector.CreateAssessmentTemplateInput) { in.DurationInSeconds = aws.Int32(86401) }), in + "INVALID_ASSESSMENT_TEMPLATE_DURATION"},
		"a template with too long a name":       {create(func(in *inspector.CreateAssessmentTemplateInput) { in.AssessmentTemplateName = long }), in + "INVALID_ASSESSMENT_TEMPLATE_NAME"},
		"a template's name twice":               {create(func(in *inspector.CreateAssessmentTemplateInput) { in.AssessmentTemplateName = aws.String("web") }), in + "ASSESSMENT_TEMPLATE_NAME_ALREADY_TAKEN"},
		"a template with more than 50 packages": {create(func(in *inspector.CreateAssessmentTemplateInput) { in.RulesPackageArns = many(cve, 51) }), in + "INVALID_NUMBER_OF_RULES_PACKAGE_ARNS"},
		"a package that is none":                {create(func(in *inspector.CreateAssessmentTemplateInput) { in.RulesPackageArns = []string{target} }), in + "INVALID_RULES_PACKAGE_ARN"},
		"a package of another region": {create(func(in *inspector.CreateAssessmentTemplateInput) {
			in.RulesPackageArns = []string{"arn:aws:inspector:us-east-1:316112463485:rulespackage/0-gEjTy7T7"}
		}), "NoSuchEntityException/RULES_PACKAGE_DOES_NOT_EXIST"},
		"a template with eleven attributes": {create(func(in *inspector.CreateAssessmentTemplateInput) { in.UserAttributesForFindings = attributes(11) }), in + "INVALID_NUMBER_OF_USER_ATTRIBUTES"},
		"a template with an attribute twice": {create(func(in *inspector.CreateAssessmentTemplateInput) {
			in.UserAttributesForFindings = slices.Repeat(attributes(1), 2)
		}), in + "INVALID_USER_ATTRIBUTE_KEY"},
		"a template of a target that is none":      {create(func(in *inspector.CreateAssessmentTemplateInput) { in.AssessmentTargetArn = aws.String("x") }), in + "INVALID_ASSESSMENT_TARGET_ARN"},
		"a template of a target that is not there": {create(func(in *inspector.CreateAssessmentTemplateInput) { in.AssessmentTargetArn = aws.String(nowhere) }), "NoSuchEntityException/ASSESSMENT_TARGET_DOES_NOT_EXIST"},
		"a template of another account's target":   {create(func(in *inspector.CreateAssessmentTemplateInput) { in.AssessmentTargetArn = aws.String(foreign) }), "AccessDeniedException/ACCESS_DENIED_TO_ASSESSMENT_TARGET"},
		"a target's name twice":                    {aim(&inspector.CreateAssessmentTargetInput{AssessmentTargetName: aws.String("web")}), in + "ASSESSMENT_TARGET_NAME_ALREADY_TAKEN"},
		"a target without a name":                  {aim(&inspector.CreateAssessmentTargetInput{AssessmentTargetName: aws.String("")}), in + "INVALID_ASSESSMENT_TARGET_NAME"},
		"a target of a group that is none":         {aim(&inspector.CreateAssessmentTargetInput{AssessmentTargetName: aws.String("x"), ResourceGroupArn: aws.String("x")}), in + "INVALID_RESOURCE_GROUP_ARN"},
		"a target of a group that is not there":    {aim(&inspector.CreateAssessmentTargetInput{AssessmentTargetName: aws.String("x"), ResourceGroupArn: aws.String("arn:aws:inspector:ap-northeast-1:111111111111:resourcegroup/0-AAAAAAAA")}), "NoSuchEntityException/RESOURCE_GROUP_DOES_NOT_EXIST"},
		"a group without tags":                     {group([]types.ResourceGroupTag{}), in + "INVALID_NUMBER_OF_RESOURCE_GROUP_TAGS"},
		"a group's tag without a key":              {group([]types.ResourceGroupTag{{Key: aws.String("")}}), in + "INVALID_RESOURCE_GROUP_TAG_KEY"},
		"a group's tag with too long a value":      {group([]types.ResourceGroupTag{{Key: aws.String("k"), Value: aws.String(strings.Repeat("v", 257))}}), in + "INVALID_RESOURCE_GROUP_TAG_VALUE"},
		"an event that there is not":               {subscribe(template, topic, "RUN"), in + "INVALID_EVENT"},
		"a topic that is none":                     {subscribe(template, "topic", "OTHER"), in + "INVALID_SNS_TOPIC_ARN"},
		"a topic of another region":                {subscribe(template, strings.Replace(topic, "ap-northeast-1", "us-east-1", 1), "OTHER"), in + "INVALID_SNS_TOPIC_ARN"},
		"a topic that keeps the order":             {subscribe(template, topic+".fifo", "OTHER"), in + "INVALID_SNS_TOPIC_ARN"},
		"a subscription to a target":               {subscribe(target, topic, "OTHER"), in + "INVALID_RESOURCE_ARN"},
		"a subscription to what is not there":      {subscribe(nowhere+stale, topic, "OTHER"), "NoSuchEntityException/ASSESSMENT_TEMPLATE_DOES_NOT_EXIST"},
		"a subscription to another account's":      {subscribe(foreign+stale, topic, "OTHER"), "AccessDeniedException/ACCESS_DENIED_TO_ASSESSMENT_TEMPLATE"},
		"tags of a target":                         {tag(target, "k", "v"), in + "INVALID_RESOURCE_ARN"},
		"a tag with too long a key":                {tag(template, strings.Repeat("k", 129), "v"), in + "INVALID_TAG_KEY"},
		"a tag with too long a value":              {tag(template, "k", strings.Repeat("v", 257)), in + "INVALID_TAG_VALUE"},
		"a run of a template without packages":     {start(empty), in + "INVALID_NUMBER_OF_RULES_PACKAGE_ARNS"},
		"a run of a template that is not there":    {start(nowhere + stale), "NoSuchEntityException/ASSESSMENT_TEMPLATE_DOES_NOT_EXIST"},
		"a run of a template of another account":   {start(foreign + stale), "AccessDeniedException/ACCESS_DENIED_TO_ASSESSMENT_TEMPLATE"},
		"a pattern of a target's name too long": {func(ctx context.Context) error {
			return after(l.ListAssessmentTargets(ctx, &inspector.ListAssessmentTargetsInput{Filter: &types.AssessmentTargetFilter{AssessmentTargetNamePattern: long}}))
		}, in + "INVALID_ASSESSMENT_TARGET_NAME_PATTERN"},
		"a pattern of a template's name too long": {func(ctx context.Context) error {
			return after(l.ListAssessmentTemplates(ctx, &inspector.ListAssessmentTemplatesInput{Filter: &types.AssessmentTemplateFilter{NamePattern: long}}))
		}, in + "INVALID_ASSESSMENT_TEMPLATE_NAME_PATTERN"},
		"templates of more than 50 targets": {func(ctx context.Context) error {
			return after(l.ListAssessmentTemplates(ctx, &inspector.ListAssessmentTemplatesInput{AssessmentTargetArns: many(nowhere, 51)}))
		}, in + "INVALID_NUMBER_OF_ASSESSMENT_TARGET_ARNS"},
		"templates with a duration that ends early": {func(ctx context.Context) error {
			return after(l.ListAssessmentTemplates(ctx, &inspector.ListAssessmentTemplatesInput{Filter: &types.AssessmentTemplateFilter{DurationRange: &types.DurationRange{MinSeconds: aws.Int32(300), MaxSeconds: aws.Int32(200)}}}))
		}, in + "INVALID_ASSESSMENT_TEMPLATE_DURATION_RANGE"},
	})
	l.sns.set(func(r *receiver) { r.missing = true })
	check(t, map[string]refusal{"a topic that is not there": {subscribe(template, topic, "OTHER"), "NoSuchEntityException/SNS_TOPIC_DOES_NOT_EXIST"}})
}

func TestARunsNameIsUsedOnceInATemplate(t *testing.T) {
	l := newLab(t)
	l.service.SetAssessor(stub(0))
	template := l.template(t, "web", cve)
	for i, want := range []string{"", "InvalidInputException"} {
		_, err := l.StartAssessmentRun(t.Context(), &inspector.StartAssessmentRunInput{AssessmentTemplateArn: &template, AssessmentRunName: aws.String("one")})
		if (err != nil) != (want != "") || err != nil && errorOf(t, err) != want {
			t.Errorf("start %d: got %v, want %q", i, err, want)
		}
	}
}

// A crowd is an assessor of targets with many instances.
type crowd struct{ stub }

func (crowd) Agents(_ cloud.Place, run labinspector.Run) []string { return many(run.TargetARN, 200) }

func TestLimitsOfAnAccountInARegion(t *testing.T) {
	l := newLab(t)
	l.service.SetAssessor(crowd{})
	var templates []string
	for i := range 50 {
		name := fmt.Sprintf("web %d", i)
		templates = append(templates, l.template(t, name, cve))
		for j := range 9 {
			target, _, _ := strings.Cut(templates[i], "/template/")
			if _, err := l.CreateAssessmentTemplate(t.Context(), &inspector.CreateAssessmentTemplateInput{
				AssessmentTargetArn: &target, AssessmentTemplateName: aws.String(fmt.Sprint(j)), DurationInSeconds: aws.Int32(180), RulesPackageArns: []string{},
			}); err != nil {
				t.Fatal(err)
			}
		}
	}
	target, _, _ := strings.Cut(templates[0], "/template/")
	l.start(t, templates[0])
	l.start(t, templates[1])
	for i := range 50 {
		in := &inspector.SubscribeToEventInput{ResourceArn: &templates[0], Event: "OTHER", TopicArn: aws.String(topic + fmt.Sprint(i))}
		if _, err := l.SubscribeToEvent(t.Context(), in); err != nil {
			t.Fatal(err)
		}
	}
	const code = "LimitExceededException/"
	check(t, map[string]refusal{
		"a 51st target": {func(ctx context.Context) error {
			return after(l.CreateAssessmentTarget(ctx, &inspector.CreateAssessmentTargetInput{AssessmentTargetName: aws.String("more")}))
		}, code + "ASSESSMENT_TARGET_LIMIT_EXCEEDED"},
		"a 501st template": {func(ctx context.Context) error {
			return after(l.CreateAssessmentTemplate(ctx, &inspector.CreateAssessmentTemplateInput{
				AssessmentTargetArn: &target, AssessmentTemplateName: aws.String("more"), DurationInSeconds: aws.Int32(180), RulesPackageArns: []string{cve},
			}))
		}, code + "ASSESSMENT_TEMPLATE_LIMIT_EXCEEDED"},
		"a 501st running instance": {func(ctx context.Context) error {
			return after(l.StartAssessmentRun(ctx, &inspector.StartAssessmentRunInput{AssessmentTemplateArn: &templates[2]}))
		}, code + "ASSESSMENT_RUN_LIMIT_EXCEEDED"},
		"a 51st subscription": {func(ctx context.Context) error {
			return after(l.SubscribeToEvent(ctx, &inspector.SubscribeToEventInput{ResourceArn: &templates[0], Event: "OTHER", TopicArn: aws.String(topic)}))
		}, code + "EVENT_SUBSCRIPTION_LIMIT_EXCEEDED"},
		"a 501st resource group": {func(ctx context.Context) error {
			var err error
			for range 501 {
				if err = after(l.CreateResourceGroup(ctx, &inspector.CreateResourceGroupInput{ResourceGroupTags: []types.ResourceGroupTag{{Key: aws.String("k")}}})); err != nil {
					break
				}
			}
			return err
		}, code + "RESOURCE_GROUP_LIMIT_EXCEEDED"},
	})
	if got := fmt.Sprintf("%+v", l.service.Inspect()); !strings.Contains(got, "Targets:50 Templates:500 Runs:2") {
		t.Errorf("people are shown %s", got[:min(len(got), 300)])
	}
}
