package fleet_test

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"example.org/catchment/internal/fleet"
	"example.org/catchment/internal/lab"
	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/labtest"
	"example.org/catchment/internal/lab/population"
	"example.org/catchment/internal/org"
	"example.org/catchment/internal/template"
)

const role = "OrganizationAccountAccessRole"

// world is a lab whose clock is moved by those who wait.
type world struct {
	*lab.Lab

	server  *labtest.Server
	regions []string
	events  []string
	waiting sync.Mutex
}

func newWorld(t *testing.T, accounts int, standalone bool, regions ...string) *world {
	t.Helper()
	l, err := lab.New(lab.Options{
		Options: cloud.Options{Seed: 1}, Standalone: standalone, // starts now: the SDK looks at the clock when a role expires
		Population: population.Options{Accounts: accounts, Regions: regions, Rates: population.Rates{Settle: time.Minute, Scan: 2 * time.Hour}},
	})
	if err != nil {
		t.Fatal(err)
	}
	var network net.ListenConfig
	listener, err := network.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- l.Serve(ctx, listener, false) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return &world{Lab: l, server: labtest.At(t, l.Cloud, "http://"+listener.Addr().String()), regions: regions}
}

// management is the account that may get into all others.
func (w *world) management() string {
	if _, id := w.Cloud.Accounts.Organization(); id != "" {
		return id
	}
	return w.Administrator()
}

func stream() template.Stream {
	return template.Stream{
		Name: "inspector", PartitionKeys: map[string]string{"account": ".AwsAccountId", "region": ".Region"},
		Pattern: []byte(`{"source":["aws.securityhub"],"detail-type":["Security Hub Findings - Imported"],` +
			`"detail":{"findings":{"ProductFields":{"aws/securityhub/ProductName":["Inspector"]}}}}`),
		Prefix:      "AWSLogs/!{partitionKeyFromQuery:account}/Inspector/!{partitionKeyFromQuery:region}/!{timestamp:yyyy/MM/dd/HH}/",
		ErrorPrefix: "errors/!{firehose:error-output-type}/!{timestamp:yyyy/MM/dd/HH}/", TimeZone: "UTC",
		Size: 64 << 20, Interval: time.Minute, Gzip: true,
	}
}

const bucketName = "aws-logs-inspector-test"

// fleet is what is to be deployed in the world.
func (w *world) fleet(t *testing.T, change ...func(*org.Options, *fleet.Options)) *fleet.Fleet {
	t.Helper()
	o := org.Options{Administrator: w.Administrator(), Regions: w.regions, Role: role}
	options := fleet.Options{
		Template: template.Options{Streams: []template.Stream{stream()}}, BucketName: bucketName,
		Sleep: func(ctx context.Context, d time.Duration) error { // those who wait at the same time wait together
			until := w.Cloud.Clock.Now().Add(d)
			w.waiting.Lock()
			defer w.waiting.Unlock()
			return w.Cloud.Clock.Advance(ctx, until.Sub(w.Cloud.Clock.Now()))
		},
		Report: func(e fleet.Event) {
			w.events = append(w.events, fmt.Sprintf("%s %s %s", e.Cell, e.Part, e.What))
		},
	}
	for _, f := range change {
		f(&o, &options)
	}
	base := w.server.Config(w.management(), w.regions[0])
	base.Retryer = nil
	opened, err := org.Open(t.Context(), base, o)
	if err != nil {
		t.Fatal(err)
	}
	out, err := fleet.New(opened, options)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (w *world) deploy(t *testing.T, f *fleet.Fleet) *fleet.Result {
	t.Helper()
	r, err := f.Deploy(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// failures are the outcomes that are not right, one a line.
func failures(r *fleet.Result) string {
	var out strings.Builder
	for _, o := range r.Outcomes {
		switch o.State { //nolint:exhaustive // the others are right
		case fleet.Failed, fleet.Refused, fleet.Skipped:
			fmt.Fprintf(&out, "%s %s %s: %s: %s\n", o.Cell, o.Part, o.State, o.Resource, o.Reason)
		}
	}
	return out.String()
}

func TestAllIsDeployedFromNothingAndASecondDeployChangesNothing(t *testing.T) {
	w := newWorld(t, 3, false, "us-east-1", "eu-west-1")
	f := w.fleet(t)
	planned, err := f.Plan(t.Context())
	if err != nil || failures(planned) != "" || planned.Count(fleet.Needed) != len(planned.Outcomes) {
		t.Fatalf("plan: %v\n%s%+v", err, failures(planned), planned.Outcomes)
	}
	first := w.deploy(t, f)
	if bad := failures(first); bad != "" || first.Count(fleet.Done) != len(first.Outcomes) {
		t.Fatalf("%d of %d done:\n%s", first.Count(fleet.Done), len(first.Outcomes), bad)
	}
	// bucket, 6 × (member, inspector), 2 delegations, 4 memberships, 2 regions
	if n := len(first.Outcomes); n != 1+12+2+4+2 {
		t.Errorf("%d outcomes", n)
	}
	w.flow(t, 3)
	second := w.deploy(t, f)
	if bad := failures(second); bad != "" || second.Count(fleet.Unchanged) != len(second.Outcomes) {
		t.Errorf("%d of %d unchanged:\n%s%+v", second.Count(fleet.Unchanged), len(second.Outcomes), bad, second.Outcomes)
	}
	planned, err = f.Plan(t.Context())
	if err != nil || planned.Count(fleet.Unchanged) != len(planned.Outcomes) {
		t.Errorf("plan: %v %+v", err, planned.Outcomes)
	}
}

// flow opens findings in each cell, and looks for them under their account and region.
func (w *world) flow(t *testing.T, each int) {
	t.Helper()
	labtest.Advance(t, w.Cloud, 2*time.Minute)
	for _, account := range w.Cloud.Accounts.IDs() {
		for _, region := range w.regions {
			n, err := w.OpenFindings(t.Context(), account, region, each)
			if err != nil || n != each {
				t.Fatalf("%s/%s: %d, %v", account, region, n, err)
			}
		}
	}
	labtest.Advance(t, w.Cloud, 10*time.Minute)
	if err := w.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, account := range w.Cloud.Accounts.IDs() {
		for _, region := range w.regions {
			found := 0
			for range w.S3.Objects(bucketName, "AWSLogs/"+account+"/Inspector/"+region+"/") {
				found++
			}
			if found == 0 {
				t.Errorf("%s/%s: no object in the bucket", account, region)
			}
		}
	}
	if bad := len(collect(w.S3.Objects(bucketName, "errors/"))); bad > 0 {
		t.Errorf("%d error objects", bad)
	}
}

func collect[V any](all func(func(string, V) bool)) []string {
	var out []string
	for name := range all {
		out = append(out, name)
	}
	return out
}
