package lab_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	eventtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/firehose"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/inspector2"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/securityhub"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/google/go-cmp/cmp"
)

// calls are one call of each of some services, as somebody somewhere.
func (w *world) calls(account, region string) map[string]func() error {
	ctx := w.Context()
	return map[string]func() error{
		"securityhub": func() error {
			_, err := w.hub(account, region).ListMembers(ctx, &securityhub.ListMembersInput{})
			return err
		},
		"inspector2": func() error {
			_, err := w.inspector2(account, region).ListFindings(ctx, &inspector2.ListFindingsInput{})
			return err
		},
		"firehose": func() error {
			_, err := w.firehose(account, region).ListDeliveryStreams(ctx, &firehose.ListDeliveryStreamsInput{})
			return err
		},
		"sqs": func() error {
			_, err := w.sqs(account, region).ListQueues(ctx, &sqs.ListQueuesInput{})
			return err
		},
		"sns": func() error {
			_, err := sns.NewFromConfig(w.config(account, region)).ListTopics(ctx, &sns.ListTopicsInput{})
			return err
		},
		"s3": func() error {
			_, err := w.s3(account, region).ListBuckets(ctx, &s3.ListBucketsInput{})
			return err
		},
		"lambda": func() error {
			_, err := w.lambda(account, region).ListFunctions(ctx, &lambda.ListFunctionsInput{})
			return err
		},
		"kms": func() error {
			_, err := kms.NewFromConfig(w.config(account, region)).ListKeys(ctx, &kms.ListKeysInput{})
			return err
		},
		"iam": func() error {
			_, err := iam.NewFromConfig(w.config(account, region)).ListRoles(ctx, &iam.ListRolesInput{})
			return err
		},
		"sts": func() error {
			_, err := sts.NewFromConfig(w.config(account, region)).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
			return err
		},
		"organizations": func() error {
			_, err := organizations.NewFromConfig(w.config(account, region)).DescribeOrganization(ctx, &organizations.DescribeOrganizationInput{})
			return err
		},
	}
}

// TestAFaultAtACallIsTheServicesOwnError makes each kind of fault that calls have at each service.
func TestAFaultAtACallIsTheServicesOwnError(t *testing.T) {
	w := newWorld(t)
	w.enable(w.admin, region)
	want := map[string]map[string]string{
		"throttle": {
			"securityhub": "ThrottlingException", "inspector2": "ThrottlingException", "firehose": "ThrottlingException", "sqs": "RequestThrottled",
			"sns": "Throttled", "s3": "SlowDown", "lambda": "TooManyRequestsException", "kms": "ThrottlingException", "iam": "Throttling", "sts": "Throttling",
			"organizations": "TooManyRequestsException",
		},
		"deny": {
			"securityhub": "AccessDeniedException", "inspector2": "AccessDeniedException", "firehose": "AccessDeniedException", "sqs": "AccessDenied",
			"sns": "AuthorizationError", "s3": "AccessDenied", "lambda": "AccessDeniedException", "kms": "AccessDeniedException", "iam": "AccessDenied",
			"sts": "AccessDenied", "organizations": "AccessDeniedException",
		},
		"down": {
			"securityhub": "ServiceUnavailable", "inspector2": "ServiceUnavailable", "firehose": "ServiceUnavailable", "sqs": "ServiceUnavailable",
			"sns": "ServiceUnavailable", "s3": "ServiceUnavailable", "lambda": "ServiceUnavailable", "kms": "ServiceUnavailable", "iam": "ServiceUnavailable",
			"sts": "ServiceUnavailable", "organizations": "ServiceUnavailable",
		},
	}
	for kind, codes := range want {
		got := make(map[string]string)
		for service, call := range w.calls(w.admin, region) {
			must(t, call())
			id := w.fault(fmt.Sprintf(`{"kind":%q,"service":%q}`, kind, service))
			got[service] = codeOf(t, call())
			for other, call := range w.calls(w.admin, region) {
				if err := call(); err != nil && other != service {
					t.Errorf("%s at %s: %s is refused too: %v", kind, service, other, err)
				}
			}
			w.ask(http.MethodDelete, "faults/"+id, "", http.StatusOK, nil)
			must(t, call())
		}
		if diff := cmp.Diff(codes, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", kind, diff)
		}
	}
}

func TestARegionThatIsDownIsSoForAllAndNoOtherIs(t *testing.T) {
	w := newWorld(t)
	for _, account := range w.accounts {
		for _, r := range w.Regions() {
			w.enable(account, r)
		}
	}
	url, queue := w.queue(w.admin, second, "work", "")
	w.setQueue(w.admin, second, url, "Policy", policy(allow(service("sns"), "sqs:SendMessage", queue)))
	topic := w.topic(w.admin, region, "news", nil) // from the region that is up to the one that is down
	w.subscribe(w.admin, region, topic, "sqs", queue, nil)

	w.fault(`{"kind":"down","region":"` + second + `","for":"1h"}`)
	for _, account := range w.accounts {
		for service, call := range w.calls(account, second) {
			global := service == "iam" || service == "organizations" // they live in this very region
			if code := codeOf(t, call()); code != "ServiceUnavailable" {
				t.Errorf("%s in the region that is down answers %q (global: %v)", service, code, global)
			}
		}
		for service, call := range w.calls(account, region) {
			global := service == "iam" || service == "organizations"
			if code := codeOf(t, call()); (code != "") != global {
				t.Errorf("%s in the other region answers %q", service, code)
			}
		}
	}
	w.publish(w.admin, region, topic, "held up")
	w.advance(59 * time.Minute)
	if s := w.topicState("news"); s.Delivered != 0 || s.Failed != 0 || !strings.Contains(s.Subscriptions[0].LastError, "does not answer") {
		t.Errorf("while the region is down: %+v", s)
	}
	w.advance(2 * time.Minute)
	if got := len(w.messages(w.admin, second, url)); got != 1 {
		t.Errorf("after the hour %d messages have arrived, want the one that was tried again", got)
	}
}

// TestEachFaultOfAHopHasItsEffect sends five events from EventBridge to a queue, with a fault on the way.
func TestEachFaultOfAHopHasItsEffect(t *testing.T) {
	for name, tt := range map[string]struct {
		fault         string
		atOnce, later int // messages after the fifth event, and after a day
		dead          int
		whole         bool // all are as they were sent
	}{
		"none":                        {"", 5, 5, 0, true},
		"drop":                        {`{"kind":"drop","service":"sqs"}`, 0, 0, 0, true},
		"drop two":                    {`{"kind":"drop","service":"sqs","times":2}`, 3, 3, 0, true},
		"duplicate":                   {`{"kind":"duplicate","from":"events.amazonaws.com"}`, 10, 10, 0, true},
		"duplicate one":               {`{"kind":"duplicate","target":":work","times":1}`, 6, 6, 0, true},
		"delay":                       {`{"kind":"delay","action":"SendMessage","delay":"10m"}`, 0, 5, 0, true},
		"throttle four times":         {`{"kind":"throttle","service":"sqs","times":4}`, 1, 5, 0, true},
		"throttle to the end":         {`{"kind":"throttle","target":":work"}`, 0, 0, 5, true},
		"deny":                        {`{"kind":"deny","target":":work"}`, 0, 0, 5, true},
		"deny, and the dead letters":  {`{"kind":"deny","service":"sqs","action":"SendMessage"}`, 0, 0, 0, true},
		"corrupt":                     {`{"kind":"corrupt","service":"sqs"}`, 5, 5, 0, false},
		"down for an hour":            {`{"kind":"down","region":"eu-west-1","service":"sqs","from":"events.amazonaws.com","for":"1h"}`, 0, 5, 0, true},
		"of another service":          {`{"kind":"drop","service":"sns"}`, 5, 5, 0, true},
		"of another region":           {`{"kind":"drop","region":"us-east-1"}`, 5, 5, 0, true},
		"of another account":          {`{"kind":"drop","account":"999999999999"}`, 5, 5, 0, true},
		"on the way to the bus":       {`{"kind":"drop","service":"events"}`, 5, 5, 0, true}, // PutEvents is a call
		"drop with a share of nearly": {`{"kind":"drop","service":"sqs","share":0.999999999}`, 0, 0, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			arn, dead := w.arn("sqs", region, w.admin, "work"), w.arn("sqs", region, w.admin, "dead")
			url, _ := w.queue(w.admin, region, "work", policy(allow(service("events"), "sqs:SendMessage", arn)))
			deadURL, _ := w.queue(w.admin, region, "dead", policy(allow(service("events"), "sqs:SendMessage", dead)))
			w.rule(w.admin, region, "", "r", ours, eventtypes.Target{
				Id: aws.String("1"), Arn: &arn, DeadLetterConfig: &eventtypes.DeadLetterConfig{Arn: &dead}, InputPath: aws.String("$.detail"),
			})
			if tt.fault != "" {
				w.fault(tt.fault)
			}
			for range 5 {
				w.put(w.admin, region, `{"key":"a value"}`)
			}
			got, whole := 0, true
			take := func() {
				for _, m := range w.messages(w.admin, region, url) {
					got++
					whole = whole && *m.Body == `{"key":"a value"}`
				}
			}
			if take(); got != tt.atOnce {
				t.Errorf("%d arrive at once, want %d", got, tt.atOnce)
			}
			w.advance(25 * time.Hour)
			if take(); got != tt.later || whole != tt.whole {
				t.Errorf("%d arrive in a day, want %d; whole: %v", got, tt.later, whole)
			}
			if n := len(w.messages(w.admin, region, deadURL)); n != tt.dead {
				t.Errorf("%d dead letters, want %d", n, tt.dead)
			}
		})
	}
}

func TestAQueueHandsOutTwiceWhenItIsTold(t *testing.T) {
	w := newWorld(t)
	url, _ := w.queue(w.admin, region, "work", "")
	other, _ := w.queue(w.admin, region, "play", "")
	w.fault(`{"kind":"duplicate","service":"sqs","action":"ReceiveMessage","target":":work","times":2}`)
	for _, u := range []string{url, other} {
		for i := range 5 {
			_, err := w.sqs(w.admin, region).SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: &u, MessageBody: aws.String(fmt.Sprint(i))})
			must(t, err)
		}
	}
	bodies := make(map[string]int)
	for range 5 { // what is handed out again is so though it was deleted
		for _, m := range w.messages(w.admin, region, url) {
			bodies[*m.Body+" "+*m.MessageId]++
		}
		w.advance(time.Minute)
	}
	twice := 0
	for _, n := range bodies {
		twice += n - 1
	}
	if len(bodies) != 5 || twice != 2 {
		t.Errorf("handed out %v, want 5 messages, two of them twice", bodies)
	}
	if got := len(w.messages(w.admin, region, other)); got != 5 {
		t.Errorf("another queue hands out %d of 5", got)
	}
}

// TestFirehoseKeepsWhatABucketInARegionThatIsDownDoesNotTake sees that it is there when the region is again, once.
func TestFirehoseKeepsWhatABucketInARegionThatIsDownDoesNotTake(t *testing.T) {
	w := newWorld(t)
	bucket := w.bucket(w.admin, second, "lake")
	w.stream(w.admin, region, "findings", w.role(w.admin, "storing", trusts(service("firehose")), may("s3:PutObject", bucket+"/*")), bucket)
	w.fault(`{"kind":"down","region":"` + second + `","for":"3h"}`)
	_, err := w.firehose(w.admin, region).PutRecord(t.Context(), &firehose.PutRecordInput{DeliveryStreamName: aws.String("findings"), Record: record("x")})
	must(t, err)
	w.advance(2 * time.Hour)
	if s := w.streamState(); s.Waiting != 1 || s.PendingRecords != 1 || len(w.objects(w.admin, second, "lake", "")) != 0 {
		t.Errorf("while the region is down: %+v", s)
	}
	w.advance(2 * time.Hour)
	if s := w.streamState(); s.Waiting != 0 || s.Metrics.Delivered.Records != 1 || len(w.objects(w.admin, second, "lake", "")) != 1 {
		t.Errorf("after that: %+v", s)
	}
}

func TestFaultsOfServicesOwnEventsAreOnTheirWayToo(t *testing.T) {
	for name, tt := range map[string]struct {
		fault string
		want  int
	}{
		"none": {"", 3}, "drop": {`{"kind":"drop","from":"securityhub.amazonaws.com"}`, 0}, "duplicate": {`{"kind":"duplicate","from":"securityhub.amazonaws.com"}`, 6},
		"from Inspector to Security Hub": {`{"kind":"drop","service":"securityhub","from":"inspector2.amazonaws.com","times":1}`, 2},
		"down for a while":               {`{"kind":"down","service":"events","for":"10s"}`, 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.enable(w.admin, region)
			count := w.tap(w.admin, region)
			if tt.fault != "" {
				w.fault(tt.fault)
			}
			w.open(w.admin, region, 3)
			w.advance(time.Minute)
			if got := count(); got != tt.want {
				t.Errorf("%d events arrive of 3 findings, want %d", got, tt.want)
			}
		})
	}
}
