package events_test

import (
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/events"
	"example.org/catchment/internal/lab/labtest"
)

// BenchmarkEventsOnABusOfTenRules measures events from a service to the one target that matches.
func BenchmarkEventsOnABusOfTenRules(b *testing.B) {
	c := labtest.NewCloud(b)
	s := events.New(c)
	arrived := 0
	c.Receivers.Register("sqs", &sink{fail: func(*cloud.Delivery) error { arrived++; return errBroken }})
	client := eventbridge.NewFromConfig(labtest.Serve(b, c, s.Wire()).Config(labtest.Administrator, labtest.Region))
	for i := range 10 {
		name := fmt.Sprint("r", i)
		pattern := fmt.Sprintf(`{"source":["aws.securityhub"],"detail":{"findings":{"AwsAccountId":["%012d"],"Severity":{"Label":[{"anything-but":["x%d"]}]}}}}`, i, i)
		if i == 0 {
			pattern = `{"source":["aws.securityhub"],"detail-type":["Security Hub Findings - Imported"]}`
		}
		if _, err := client.PutRule(b.Context(), &eventbridge.PutRuleInput{Name: &name, EventPattern: &pattern}); err != nil {
			b.Fatal(err)
		}
		if _, err := client.PutTargets(b.Context(), &eventbridge.PutTargetsInput{Rule: &name, Targets: []types.Target{target("1", queue("q"))}}); err != nil {
			b.Fatal(err)
		}
	}
	body := sample(b, "event-securityhub-imported.json")
	d := &cloud.Delivery{
		From: "securityhub.amazonaws.com", Source: arn("securityhub", "event"), Account: labtest.Administrator, Action: "events:PutEvents",
		Target: arn("events", "event-bus/default"), Body: body, Trusted: true,
	}
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		c.DeliverLater(d, nil)
		if err := c.Clock.Settle(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	if arrived != b.N {
		b.Fatalf("%d events arrived, want %d", arrived, b.N)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}

// BenchmarkEventsOfManyPlacesWithoutRules measures what events cost where nobody has a rule.
func BenchmarkEventsOfManyPlacesWithoutRules(b *testing.B) {
	c := labtest.NewCloud(b)
	events.New(c)
	body := sample(b, "event-securityhub-imported.json")
	for i := 0; b.Loop(); i++ {
		p := cloud.Place{Partition: "aws", Account: fmt.Sprintf("%012d", i%20_000), Region: labtest.Region}
		c.DeliverLater(&cloud.Delivery{
			From: "securityhub.amazonaws.com", Account: p.Account, Action: "events:PutEvents", Target: p.ARN("events", "event-bus/default"), Body: body, Trusted: true,
		}, nil)
		if err := c.Clock.Settle(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}

func TestTwentyThousandBusesTakeTheirEvents(t *testing.T) {
	if testing.Short() {
		t.Skip("20,000 requests")
	}
	const accounts = 2000 // in each of ten regions
	regions := []string{"us-east-1", "us-east-2", "us-west-1", "us-west-2", "ap-south-1", "ap-northeast-1", "eu-central-1", "eu-west-1", "eu-west-2", "sa-east-1"}
	c := labtest.NewCloud(t)
	w := newWorldIn(t, c)
	var places []cloud.Place
	for i := range accounts {
		id := fmt.Sprintf("%012d", 500_000_000_000+i)
		if err := c.Accounts.Add(cloud.Account{ID: id}); err != nil {
			t.Fatal(err)
		}
		for _, region := range regions {
			places = append(places, cloud.Place{Partition: "aws", Account: id, Region: region})
		}
	}
	for _, p := range places[:200] { // rules in some of them
		w.ruleBy(w.in(p.Account, p.Region), "", "r", `{"source":["aws.securityhub"]}`, target("1", p.ARN("sqs", "q")))
	}
	body := sample(t, "event-securityhub-imported.json")
	for range 5 {
		for _, p := range places {
			c.DeliverLater(&cloud.Delivery{
				From: "securityhub.amazonaws.com", Account: p.Account, Action: "events:PutEvents", Target: p.ARN("events", "event-bus/default"), Body: body, Trusted: true,
			}, nil)
		}
		labtest.Settle(t, c)
	}
	if got := len(w.sink.take("q")); got != 5*200 {
		t.Errorf("got %d events, want %d", got, 5*200)
	}
}
