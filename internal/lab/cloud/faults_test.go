package cloud_test

import (
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"example.org/catchment/internal/lab/cloud"
)

var here = cloud.Place{Partition: "aws", Account: "111111111111", Region: "eu-west-1"}

// Occasions that the tables below ask about.
var (
	aCall = cloud.Occasion{Service: "firehose", Action: "PutRecordBatch", Place: here}
	aHop  = cloud.Occasion{
		Service: "firehose", Action: "PutRecordBatch", From: "events.amazonaws.com", Target: here.ARN("firehose", "deliverystream/findings"), Place: here,
	}
)

func TestAFaultHappensWhereItsFieldsSay(t *testing.T) {
	for name, tt := range map[string]struct {
		fault     cloud.Fault
		call, hop bool
	}{
		"nothing is said: everywhere":                  {cloud.Fault{Kind: cloud.FaultThrottle}, true, true},
		"down in a region":                             {cloud.Fault{Kind: cloud.FaultDown, Region: "eu-west-1"}, true, true},
		"down in another region":                       {cloud.Fault{Kind: cloud.FaultDown, Region: "eu-west-2"}, false, false},
		"the service":                                  {cloud.Fault{Kind: cloud.FaultDeny, Service: "firehose"}, true, true},
		"another service":                              {cloud.Fault{Kind: cloud.FaultDeny, Service: "sqs"}, false, false},
		"a part of the service's name is another name": {cloud.Fault{Kind: cloud.FaultDeny, Service: "fire"}, false, false},
		"the action":                                   {cloud.Fault{Kind: cloud.FaultThrottle, Action: "PutRecordBatch"}, true, true},
		"another action":                               {cloud.Fault{Kind: cloud.FaultThrottle, Action: "PutRecord"}, false, false},
		"the account":                                  {cloud.Fault{Kind: cloud.FaultThrottle, Account: here.Account}, true, true},
		"another account":                              {cloud.Fault{Kind: cloud.FaultThrottle, Account: "222222222222"}, false, false},
		"who delivers: no call":                        {cloud.Fault{Kind: cloud.FaultThrottle, From: "events.amazonaws.com"}, false, true},
		"who does not deliver":                         {cloud.Fault{Kind: cloud.FaultThrottle, From: "sns.amazonaws.com"}, false, false},
		"a part of the target: no call":                {cloud.Fault{Kind: cloud.FaultDeny, Target: "stream/find"}, false, true},
		"another target":                               {cloud.Fault{Kind: cloud.FaultDeny, Target: "stream/others"}, false, false},
		"dropping: no call":                            {cloud.Fault{Kind: cloud.FaultDrop}, false, true},
		"doubling: no call":                            {cloud.Fault{Kind: cloud.FaultDuplicate}, false, true},
		"delaying: no call":                            {cloud.Fault{Kind: cloud.FaultDelay, Delay: time.Second}, false, true},
		"corrupting: no call":                          {cloud.Fault{Kind: cloud.FaultCorrupt}, false, true},
		"all of it":                                    {cloud.Fault{Kind: cloud.FaultDown, Service: "firehose", Action: "PutRecordBatch", From: "events.amazonaws.com", Target: "findings", Account: here.Account, Region: here.Region}, false, true},
		"all of it but one":                            {cloud.Fault{Kind: cloud.FaultDown, Service: "firehose", Action: "PutRecordBatch", From: "events.amazonaws.com", Target: "findings", Account: here.Account, Region: "us-east-1"}, false, false},
		"it is over":                                   {cloud.Fault{Kind: cloud.FaultDown, Until: start}, false, false},
		"it is not over":                               {cloud.Fault{Kind: cloud.FaultDown, Until: start.Add(1)}, true, true},
		"hardly ever is not always":                    {cloud.Fault{Kind: cloud.FaultDown, Share: 1e-12}, false, false},
		"a share of one is always":                     {cloud.Fault{Kind: cloud.FaultDown, Share: 1}, true, true},
		"often enough: each is asked in a cloud of its own": {cloud.Fault{Kind: cloud.FaultDown, Times: 1}, true, true},
	} {
		for kind, o := range map[string]cloud.Occasion{"call": aCall, "hop": aHop} {
			c := cloud.New(cloud.Options{Start: start})
			if _, err := c.Faults.Add(tt.fault); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			want := tt.call
			if kind == "hop" {
				want = tt.hop
			}
			if got := c.Faults.At(o) != (cloud.Trouble{}); got != want {
				t.Errorf("%s: at a %s it happens: %v, want %v", name, kind, got, want)
			}
		}
	}
}

func TestEachKindOfFaultIsATroubleOfItsOwn(t *testing.T) {
	c := cloud.New(cloud.Options{Start: start})
	for _, f := range []cloud.Fault{
		{Kind: cloud.FaultDrop},
		{Kind: cloud.FaultDuplicate},
		{Kind: cloud.FaultDelay, Delay: time.Second},
		{Kind: cloud.FaultDelay, Delay: time.Minute},
		{Kind: cloud.FaultThrottle},
		{Kind: cloud.FaultDeny},
		{Kind: cloud.FaultCorrupt},
		{Kind: cloud.FaultDown},
	} {
		if _, err := c.Faults.Add(f); err != nil {
			t.Fatal(err)
		}
	}
	want := cloud.Trouble{Drop: true, Duplicate: true, Throttle: true, Deny: true, Corrupt: true, Down: true, Delay: time.Minute + time.Second}
	if got := c.Faults.At(aHop); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	want = cloud.Trouble{Throttle: true, Deny: true, Down: true}
	if got := c.Faults.At(aCall); got != want {
		t.Errorf("at a call: got %+v, want %+v", got, want)
	}
}

func TestAFaultIsOverAfterItsTimesAndItsTime(t *testing.T) {
	c := cloud.New(cloud.Options{Start: start})
	for _, f := range []cloud.Fault{{Kind: cloud.FaultThrottle, Times: 3}, {Kind: cloud.FaultDeny, Until: start.Add(time.Minute)}} {
		if _, err := c.Faults.Add(f); err != nil {
			t.Fatal(err)
		}
	}
	throttled := 0
	for range 10 {
		got := c.Faults.At(aCall)
		if got.Throttle {
			throttled++
		}
		if !got.Deny {
			t.Error("not denied within the minute")
		}
	}
	if throttled != 3 {
		t.Errorf("throttled %d times, want 3", throttled)
	}
	if err := c.Clock.Advance(t.Context(), time.Minute); err != nil {
		t.Fatal(err)
	}
	if c.Faults.At(aCall).Deny {
		t.Error("denied after the minute")
	}
	if got := len(c.Faults.List()); got != 1 {
		t.Errorf("%d faults are there, want the one without an end", got)
	}
}

func TestAShareIsOfTheOccasionsAndFollowsFromTheSeed(t *testing.T) {
	draws := func(seed uint64) (hits int, pattern string) {
		c := cloud.New(cloud.Options{Seed: seed, Start: start})
		if _, err := c.Faults.Add(cloud.Fault{Kind: cloud.FaultDrop, Share: 0.3}); err != nil {
			t.Fatal(err)
		}
		for range 2000 {
			if c.Faults.At(aHop).Drop {
				hits++
				pattern += "x"
			} else {
				pattern += "-"
			}
		}
		return hits, pattern
	}
	hits, one := draws(1)
	if hits < 500 || hits > 700 {
		t.Errorf("%d of 2000 hops are lost, want about 600", hits)
	}
	if _, again := draws(1); again != one {
		t.Error("the same seed draws differently")
	}
	if _, other := draws(2); other == one {
		t.Error("another seed draws the same")
	}
}

func TestFaultsAreListedAndTakenAwayByTheirID(t *testing.T) {
	c := cloud.New(cloud.Options{Start: start})
	var ids []string
	for _, f := range []cloud.Fault{{Kind: cloud.FaultDrop, Service: "sqs"}, {Kind: cloud.FaultDown, Region: "eu-west-1"}} {
		id, err := c.Faults.Add(f)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	want := []cloud.Fault{{ID: ids[0], Kind: cloud.FaultDrop, Service: "sqs"}, {ID: ids[1], Kind: cloud.FaultDown, Region: "eu-west-1"}}
	if diff := cmp.Diff(want, c.Faults.List(), cmpopts.IgnoreUnexported(cloud.Fault{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if !c.Faults.Remove(ids[0]) || c.Faults.Remove(ids[0]) || c.Faults.Remove("fault-99") {
		t.Error("a fault can be taken away once, and only if it is there")
	}
	if got := c.Faults.List(); len(got) != 1 || got[0].ID != ids[1] {
		t.Errorf("got %+v, want the other one", got)
	}
	c.Faults.Clear()
	if got := c.Faults.List(); len(got) != 0 || c.Faults.At(aHop) != (cloud.Trouble{}) {
		t.Errorf("after Clear: %+v", got)
	}
}

func TestWhatIsWrongWithAFaultIsTold(t *testing.T) {
	for name, tt := range map[string]struct {
		fault cloud.Fault
		want  string
	}{
		"no kind":             {cloud.Fault{}, `kind "": expected one of drop, duplicate, delay, throttle, deny, corrupt, down`},
		"an unknown kind":     {cloud.Fault{Kind: "gremlins"}, `kind "gremlins": expected one of drop, duplicate, delay, throttle, deny, corrupt, down`},
		"a negative share":    {cloud.Fault{Kind: cloud.FaultDrop, Share: -0.1}, "share -0.1: expected 0 to 1"},
		"a share of percents": {cloud.Fault{Kind: cloud.FaultDrop, Share: 50}, "share 50: expected 0 to 1"},
		"a share of nothing":  {cloud.Fault{Kind: cloud.FaultDrop, Share: math.NaN()}, "share NaN: expected 0 to 1"},
		"negative times":      {cloud.Fault{Kind: cloud.FaultDrop, Times: -1}, "times -1: expected 0 or more"},
		"a negative delay":    {cloud.Fault{Kind: cloud.FaultDelay, Delay: -1}, "delay -1ns: expected a time that is not negative"},
		"a delay of nothing":  {cloud.Fault{Kind: cloud.FaultDelay}, "delay 0: expected a time: a fault of kind delay needs one"},
	} {
		c := cloud.New(cloud.Options{})
		_, err := c.Faults.Add(tt.fault)
		if err == nil || err.Error() != tt.want {
			t.Errorf("%s: got %v, want %s", name, err, tt.want)
		}
		if len(c.Faults.List()) != 0 {
			t.Errorf("%s: it was taken all the same", name)
		}
	}
}

func TestOnlyADuplicateThatNamesTheActionMakesAQueueHandOutAgain(t *testing.T) {
	o := cloud.Occasion{Service: "sqs", Action: "ReceiveMessage", From: "sqs.amazonaws.com", Target: here.ARN("sqs", "work"), Place: here}
	for name, tt := range map[string]struct {
		fault cloud.Fault
		want  bool
	}{
		"it names the action":          {cloud.Fault{Kind: cloud.FaultDuplicate, Action: "ReceiveMessage"}, true},
		"and the queue":                {cloud.Fault{Kind: cloud.FaultDuplicate, Action: "ReceiveMessage", Service: "sqs", Target: "work"}, true},
		"and another queue":            {cloud.Fault{Kind: cloud.FaultDuplicate, Action: "ReceiveMessage", Target: "play"}, false},
		"it is about hops to queues":   {cloud.Fault{Kind: cloud.FaultDuplicate, Service: "sqs"}, false},
		"it is of another kind":        {cloud.Fault{Kind: cloud.FaultThrottle, Action: "ReceiveMessage", Times: 1}, false},
		"it happened as often as said": {cloud.Fault{Kind: cloud.FaultDuplicate, Action: "ReceiveMessage", Until: start}, false},
	} {
		c := cloud.New(cloud.Options{Start: start})
		if _, err := c.Faults.Add(tt.fault); err != nil {
			t.Fatal(err)
		}
		if got := c.Faults.Again(o); got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
		if tt.fault.Kind == cloud.FaultThrottle && !c.Faults.At(cloud.Occasion{Service: "sqs", Action: "ReceiveMessage", Place: here}).Throttle {
			t.Errorf("%s: asking used it up", name)
		}
	}
}
