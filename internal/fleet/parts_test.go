package fleet

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/google/go-cmp/cmp"

	"example.org/catchment/internal/template"
)

func TestTheFirstFailureIsTheCause(t *testing.T) {
	event := func(logical, kind, status, reason string) types.StackEvent {
		return types.StackEvent{LogicalResourceId: &logical, ResourceType: &kind, ResourceStatus: types.ResourceStatus(status), ResourceStatusReason: &reason}
	}
	const stackKind = "AWS::CloudFormation::Stack"
	for name, tt := range map[string]struct {
		events           []types.StackEvent // newest first
		resource, reason string
	}{
		"nothing failed": {[]types.StackEvent{event("a", stackKind, "CREATE_COMPLETE", "")}, "", ""},
		"what was cancelled because of it is passed over": {[]types.StackEvent{
			event("s", stackKind, "ROLLBACK_IN_PROGRESS", "The following resource(s) failed to create: [A, B]."),
			event("B", "AWS::SQS::Queue", "CREATE_FAILED", "Resource creation cancelled"),
			event("A", "AWS::IAM::Role", "CREATE_FAILED", "no permission"),
			event("s", stackKind, "CREATE_IN_PROGRESS", "User Initiated"),
		}, "A (AWS::IAM::Role)", "no permission"},
		"the first of two": {[]types.StackEvent{
			event("B", "AWS::SQS::Queue", "CREATE_FAILED", "second"), event("A", "AWS::IAM::Role", "CREATE_FAILED", "first"),
			event("s", stackKind, "CREATE_IN_PROGRESS", "User Initiated"),
		}, "A (AWS::IAM::Role)", "first"},
		"failures of former times are not told again": {[]types.StackEvent{
			event("A", "AWS::IAM::Role", "UPDATE_FAILED", "now"), event("s", stackKind, "UPDATE_IN_PROGRESS", "User Initiated"),
			event("Z", "AWS::IAM::Role", "UPDATE_FAILED", "then"), event("s", stackKind, "UPDATE_IN_PROGRESS", "User Initiated"),
		}, "A (AWS::IAM::Role)", "now"},
		"the stack itself is no resource": {[]types.StackEvent{event("s", stackKind, "UPDATE_FAILED", "because")}, "", ""},
		"no events":                       {nil, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			if resource, reason := cause(tt.events); resource != tt.resource || reason != tt.reason {
				t.Errorf("got %q, %q", resource, reason)
			}
		})
	}
}

func TestWhatWouldLoseDataIsSaidInCapitals(t *testing.T) {
	change := func(action types.ChangeAction, kind string, replacement types.Replacement, p types.PolicyAction) types.Change {
		return types.Change{ResourceChange: &types.ResourceChange{
			Action: action, ResourceType: &kind, LogicalResourceId: aws.String("X"), Replacement: replacement, PolicyAction: p,
			Details: []types.ResourceChangeDetail{
				{Target: &types.ResourceTargetDefinition{Name: aws.String("Name")}},
				{Target: &types.ResourceTargetDefinition{Name: aws.String("Name")}},
				{Target: &types.ResourceTargetDefinition{Attribute: types.ResourceAttributeTags}},
			},
		}}
	}
	for name, tt := range map[string]struct {
		change         types.Change
		action, danger string
		stream, bucket bool // whether it takes leave
	}{
		"a Firehose is made":                {change(types.ChangeActionAdd, typeStream, "", ""), ActionCreate, "", false, false},
		"a Firehose is changed":             {change(types.ChangeActionModify, typeStream, types.ReplacementFalse, ""), ActionChange, "", false, false},
		"a Firehose is replaced":            {change(types.ChangeActionModify, typeStream, types.ReplacementTrue, ""), ActionReplace, dangerStream, true, false},
		"a Firehose may be replaced":        {change(types.ChangeActionModify, typeStream, types.ReplacementConditional, ""), ActionMayReplace, dangerStream, true, false},
		"a Firehose is deleted":             {change(types.ChangeActionRemove, typeStream, "", types.PolicyActionDelete), ActionDelete, dangerStreamDelete, true, false},
		"a bucket is replaced":              {change(types.ChangeActionModify, typeBucket, types.ReplacementTrue, types.PolicyActionReplaceAndRetain), ActionReplace, dangerBucket, false, true},
		"a bucket is deleted":               {change(types.ChangeActionRemove, typeBucket, "", types.PolicyActionDelete), ActionDelete, dangerBucketDelete, false, true},
		"a bucket is let go":                {change(types.ChangeActionRemove, typeBucket, "", types.PolicyActionRetain), ActionDelete, dangerBucketRelease, false, true},
		"a bucket is taken over":            {change(types.ChangeActionImport, typeBucket, "", ""), ActionImport, "", false, false},
		"another thing is replaced":         {change(types.ChangeActionModify, "AWS::SQS::Queue", types.ReplacementTrue, ""), ActionReplace, "", false, false},
		"what CloudFormation calls Dynamic": {change(types.ChangeActionDynamic, "AWS::SQS::Queue", "", ""), "Dynamic", "", false, false},
	} {
		t.Run(name, func(t *testing.T) {
			got := changesOf([]types.Change{tt.change, {}})
			want := []Change{{Action: tt.action, Type: *tt.change.ResourceChange.ResourceType, Resource: "X", Properties: []string{"Name", "Tags"}, Danger: tt.danger}}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			for _, o := range []Options{{}, {AllowStream: true}, {AllowBucket: true}} {
				refused := (&Fleet{Options: o}).refusal(got) != ""
				if refused != (tt.stream && !o.AllowStream || tt.bucket && !o.AllowBucket) {
					t.Errorf("with %v, %v: refused %v", o.AllowStream, o.AllowBucket, refused)
				}
			}
		})
	}
}

func TestANewStackIsReadFromItsTemplate(t *testing.T) {
	o := template.Options{Streams: []template.Stream{{
		Name: "s", Pattern: []byte(`{"source":["aws.securityhub"]}`), Prefix: "a/", ErrorPrefix: "e/", Size: 64 << 20, Interval: time.Minute,
	}}}
	text := func(write func(template.Options) ([]byte, error)) []byte {
		out, err := write(o)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	for name, tt := range map[string]struct {
		text       []byte
		parameters map[string]string
		want       string // resources, in order
		fails      string
	}{
		"all of a member":  {text(template.Member), nil, "Hub Integration", ""},
		"none of a member": {text(template.Member), map[string]string{"SecurityHub": "present", "InspectorIntegration": "present"}, "", ""},
		"half of a member": {text(template.Member), map[string]string{"SecurityHub": "present"}, "Integration", ""},
		"a bucket":         {text(template.Bucket), nil, "Bucket BucketPolicy Database Table WorkGroup", ""},
		"a bucket with a key": {
			text(template.Bucket), map[string]string{"Encryption": "aws:kms"}, "Bucket BucketPolicy Database Key KeyAlias Table WorkGroup", "",
		},
		"no YAML":            {[]byte("{"), nil, "", "read the template"},
		"a strange function": {[]byte("Conditions:\n  C: !Or [1, 2]\nResources:\n  R: {Type: T, Condition: C}\n"), nil, "", "!Or is not known"},
		"no condition":       {[]byte("Resources:\n  R: {Type: T, Condition: C}\n"), nil, "", "condition C"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := made(tt.text, tt.parameters)
			if tt.fails != "" {
				if err == nil || !strings.Contains(err.Error(), tt.fails) {
					t.Errorf("got %v, want %q in it", err, tt.fails)
				}
				return
			}
			var names []string
			for _, c := range got {
				if c.Action != ActionCreate || !strings.HasPrefix(c.Type, "AWS::") {
					t.Errorf("got %+v", c)
				}
				names = append(names, c.Resource)
			}
			if err != nil || strings.Join(names, " ") != tt.want {
				t.Errorf("got %v, %v", names, err)
			}
		})
	}
	if got, err := parameterNames(text(template.Member)); err != nil || !slices.Equal(got, []string{"InspectorIntegration", "SecurityHub"}) {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestWhatIsThereByOthersStaysTheirs(t *testing.T) {
	stackOf := func(status types.StackStatus, hub, integration string) *types.Stack {
		return &types.Stack{StackStatus: status, Parameters: []types.Parameter{
			{ParameterKey: aws.String("SecurityHub"), ParameterValue: &hub}, {ParameterKey: aws.String("InspectorIntegration"), ParameterValue: &integration},
		}}
	}
	for name, tt := range map[string]struct {
		hub              hubState
		before           *types.Stack
		wantHub, wantInt string
	}{
		"nothing is there":                          {hubState{}, nil, "create", "create"},
		"all is there":                              {hubState{true, true}, nil, "present", "present"},
		"only Security Hub is there":                {hubState{true, false}, nil, "present", "create"},
		"the stack has made it":                     {hubState{true, true}, stackOf(types.StackStatusCreateComplete, "create", "create"), "create", "create"},
		"the stack found it":                        {hubState{true, true}, stackOf(types.StackStatusUpdateComplete, "present", "present"), "present", "present"},
		"the stack found it, and it is gone":        {hubState{}, stackOf(types.StackStatusCreateComplete, "present", "present"), "create", "create"},
		"the stack was never made":                  {hubState{true, true}, stackOf(types.StackStatusRollbackComplete, "create", "create"), "present", "present"},
		"the stack has never been more than a plan": {hubState{true, false}, stackOf(types.StackStatusReviewInProgress, "create", "create"), "present", "create"},
	} {
		t.Run(name, func(t *testing.T) {
			got := memberParameters(tt.hub, tt.before)
			if got["SecurityHub"] != tt.wantHub || got["InspectorIntegration"] != tt.wantInt {
				t.Errorf("got %v", got)
			}
		})
	}
}

func TestAnEstimateFollowsTheRate(t *testing.T) {
	o := func(change ...func(*template.Options)) template.Options {
		out := template.Options{Streams: []template.Stream{{Name: "s", Interval: 5 * time.Minute, Size: 64 << 20, Gzip: true}}}
		for _, f := range change {
			f(&out)
		}
		return out
	}
	const slots = 288 // of five minutes in a day
	for name, tt := range map[string]struct {
		options   template.Options
		cells     int
		perDay    float64
		objects   float64
		atLeast   float64 // dollars a month
		atMost    float64
		costLines int
	}{
		"a trickle: an object for each finding": {o(), 100, 100, 100, 0.4, 0.6, 6},
		"a stream: an object for each interval": {o(), 6, 1e6, 6 * slots, 4, 15, 6},
		"a flood: an object for each buffer":    {o(), 1, 1e9, 1e9 * findingBytes / (64 << 20), 5000, 20_000, 6},
		"with a function":                       {o(func(o *template.Options) { o.Newline = template.NewlineLambda }), 6, 1e6, 6 * slots, 4, 15, 6},
		"a stream of each account": {
			o(func(o *template.Options) {
				o.Partitioning, o.Accounts = template.StreamPerAccount, []string{"1", "2", "3"}
			}), 6, 1e6, 6 * slots, 4, 15, 4,
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := estimate(tt.options, tt.cells, 1, false, tt.perDay)
			if math.Abs(got.ObjectsPerDay-tt.objects) > tt.objects/100 {
				t.Errorf("%.1f objects a day, want %.1f", got.ObjectsPerDay, tt.objects)
			}
			if got.DollarsAMonth < tt.atLeast || got.DollarsAMonth > tt.atMost || len(got.Costs) != tt.costLines {
				t.Errorf("$%.2f a month, want %.2f to %.2f: %+v", got.DollarsAMonth, tt.atLeast, tt.atMost, got.Costs)
			}
			sum := 0.
			for _, c := range got.Costs {
				sum += c.Dollars
			}
			if math.Abs(sum-got.DollarsAMonth) > 1e-9 || !strings.Contains(strings.Join(got.Assumptions, "\n"), PricesOf) {
				t.Errorf("the lines come to %v; assumptions %q", sum, got.Assumptions)
			}
			if key := estimate(tt.options, tt.cells, 1, true, tt.perDay); math.Abs(key.DollarsAMonth-got.DollarsAMonth-priceKey) > 1e-9 {
				t.Errorf("the key costs %v", key.DollarsAMonth-got.DollarsAMonth)
			}
		})
	}
}
