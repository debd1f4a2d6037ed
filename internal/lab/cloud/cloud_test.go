package cloud_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"

	"example.org/catchment/internal/lab/cloud"
)

func TestIDsFollowFromTheSeedTheirKindAndTheirNumber(t *testing.T) {
	ids := func(seed uint64) []string {
		c := cloud.New(cloud.Options{Seed: seed, Start: start})
		return []string{c.UUID("a"), c.UUID("a"), c.UUID("b"), c.Hex("a", 17), c.Letters("a", 20)}
	}
	one, again, other := ids(1), ids(1), ids(2)
	seen := make(map[string]bool)
	for i := range one {
		if one[i] != again[i] {
			t.Errorf("id %d of one seed is %s and %s", i, one[i], again[i])
		}
		for _, id := range []string{one[i], other[i]} {
			if seen[id] {
				t.Errorf("%s is there twice", id)
			}
			seen[id] = true
		}
	}
	for form, id := range map[string]string{
		`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`: one[0], `^[0-9a-f]{17}$`: one[3], `^[A-Za-z0-9]{20}$`: one[4],
	} {
		if !regexp.MustCompile(form).MatchString(id) {
			t.Errorf("%s is not of the form %s", id, form)
		}
	}
}

func TestAskingForOneKindDoesNotChangeAnother(t *testing.T) {
	a, b := cloud.New(cloud.Options{Seed: 7}), cloud.New(cloud.Options{Seed: 7})
	for range 5 {
		a.UUID("noise")
	}
	if a.UUID("x") != b.UUID("x") {
		t.Error("ids of one kind depend on those of another")
	}
}

func TestZeroOptionsMeanWhatTheySay(t *testing.T) {
	before := time.Now().Add(-time.Second)
	c := cloud.New(cloud.Options{})
	if c.Partition != cloud.PartitionAWS || c.Start.Before(before) || c.Start.After(time.Now()) || !c.Clock.Now().Equal(c.Start) {
		t.Errorf("got partition %s, start %v, clock %v", c.Partition, c.Start, c.Clock.Now())
	}
	if c.URL() != "" {
		t.Errorf("it is at %q before it is served", c.URL())
	}
	c.SetURL("http://127.0.0.1:1")
	if c.URL() != "http://127.0.0.1:1" {
		t.Errorf("got URL %q", c.URL())
	}
}

func TestWithinCountsFromNow(t *testing.T) {
	c := cloud.New(cloud.Options{Start: start})
	if !c.Within(start.Add(-time.Hour), time.Hour) || c.Within(start.Add(-time.Hour-1), time.Hour) {
		t.Error("an hour ago is within an hour, and longer ago is not")
	}
}

func TestAnEventOfAServiceIsPutOnTheDefaultBusOfItsPlace(t *testing.T) {
	w := newWorld()
	bus := &box{}
	w.Receivers.Register("events", bus)
	for _, e := range []cloud.Event{
		{Source: "aws.securityhub", DetailType: "Security Hub Findings - Imported", Resources: []string{"r"}, Detail: map[string]int{"a": 1}},
		{Source: "aws.inspector2", DetailType: "Inspector2 Scan", Detail: struct{}{}},
	} {
		id, err := w.Emit(here, e)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Clock.Settle(t.Context()); err != nil {
			t.Fatal(err)
		}
		d := bus.got[len(bus.got)-1]
		var got map[string]any
		if err := json.Unmarshal(d.Body, &got); err != nil {
			t.Fatal(err)
		}
		want := map[string]any{
			"version": "0", "id": id, "detail-type": e.DetailType, "source": e.Source, "account": here.Account, "region": here.Region, "time": "2026-11-22T13:14:15Z",
		}
		for k, v := range want {
			if got[k] != v {
				t.Errorf("%s is %v, want %v", k, got[k], v)
			}
		}
		if list, ok := got["resources"].([]any); !ok || len(list) != len(e.Resources) {
			t.Errorf("resources are %v", got["resources"])
		}
		if d.Target != here.ARN("events", "event-bus/default") || d.Source != here.ARN(strings.TrimPrefix(e.Source, "aws."), "event") {
			t.Errorf("delivered from %s to %s", d.Source, d.Target)
		}
	}
	if _, err := w.Emit(here, cloud.Event{DetailType: "x", Detail: func() {}}); err == nil || !strings.Contains(err.Error(), "event x") {
		t.Errorf("a detail that is no JSON: got %v", err)
	}
}

func TestTheCallsThatAreRememberedAreTheNewest(t *testing.T) {
	c := cloud.New(cloud.Options{})
	logged := 0
	c.Calls.Log = func(cloud.CallRecord) { logged++ }
	const all = 10_500
	for i := range all {
		c.Calls.Add(cloud.CallRecord{Status: i})
	}
	calls, total := c.Calls.List()
	if total != all || logged != all || len(calls) != 10_000 || calls[0].Status != 500 || calls[len(calls)-1].Status != all-1 {
		t.Errorf("%d calls, %d told, %d remembered from %d to %d", total, logged, len(calls), calls[0].Status, calls[len(calls)-1].Status)
	}
}

func TestARNsAreTakenApartAndPutTogether(t *testing.T) {
	for text, want := range map[string]cloud.ARN{
		"arn:aws:sqs:eu-west-1:111111111111:work":               {"aws", "sqs", "eu-west-1", "111111111111", "work"},
		"arn:aws:s3:::bucket/a:b":                               {"aws", "s3", "", "", "bucket/a:b"},
		"arn:aws-cn:lambda:cn-north-1:111111111111:function:f:": {"aws-cn", "lambda", "cn-north-1", "111111111111", "function:f:"},
	} {
		got, err := cloud.ParseARN(text)
		if err != nil || got != want || got.String() != text {
			t.Errorf("%s: got %+v, %v", text, got, err)
		}
		if p := got.Place(); p.ARN(want.Service, want.Resource) != text || p.Global().Region != "" {
			t.Errorf("%s: place %+v", text, p)
		}
	}
	for _, text := range []string{"", "arn", "arn:aws:sqs:r:1", "arn:aws:sqs:r:1:", "arn::sqs:r:1:x", "arn:aws::r:1:x", "urn:aws:sqs:r:1:x"} {
		if got, err := cloud.ParseARN(text); err == nil {
			t.Errorf("%q is taken for %+v", text, got)
		}
	}
}

func TestEachPartitionHasItsNamesAndItsHome(t *testing.T) {
	for partition, want := range map[string][2]string{
		"aws": {"amazonaws.com", "us-east-1"}, "aws-cn": {"amazonaws.com.cn", "cn-north-1"}, "aws-us-gov": {"amazonaws.com", "us-gov-west-1"},
		"aws-eusc": {"amazonaws.eu", "eusc-de-east-1"},
	} {
		home := cloud.HomeRegion(partition)
		r, known := cloud.FindRegion(home)
		if cloud.DNSSuffix(partition) != want[0] || home != want[1] || !known || r.Partition != partition || r.OptIn {
			t.Errorf("%s: %s, %s, %+v", partition, cloud.DNSSuffix(partition), home, r)
		}
	}
	seen := make(map[string]bool)
	for _, r := range cloud.Regions {
		if seen[r.Name] {
			t.Errorf("%s is there twice", r.Name)
		}
		seen[r.Name] = true
	}
	if _, known := cloud.FindRegion("eu-nowhere-1"); known {
		t.Error("a region that is none is known")
	}
}
