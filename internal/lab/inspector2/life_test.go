package inspector2_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/inspector2"
	"example.org/catchment/internal/lab/labtest"
)

const day = 24 * time.Hour

// states gives what is there, as "title status".
func (s *stage) states(account string) []string {
	out := []string{}
	for f := range s.service.Findings(s.place(account)) {
		out = append(out, f.Title+" "+f.Status)
	}
	slices.Sort(out)
	return out
}

func closed(f *inspector2.Finding) *inspector2.Finding {
	out := *f
	out.Status = inspector2.Closed
	return &out
}

func TestAFindingIsToldWhenItOpensChangesAndCloses(t *testing.T) {
	s := newStage(t)
	s.activate(t)
	var published []inspector2.Publication
	s.service.Published = func(p inspector2.Publication) { published = append(published, p) }
	f := packageFinding("i-1", "CVE-1")
	first := s.report(t, labtest.Member, f)
	labtest.Advance(t, s.cloud, time.Hour)
	again := s.report(t, labtest.Member, f) // no news
	third := s.report(t, labtest.Member, f) // in the same moment
	end := s.report(t, labtest.Member, closed(f))
	labtest.Settle(t, s.cloud)
	if first != again || first != third || first != end {
		t.Errorf("ARNs %s, %s, %s, %s", first, again, third, end)
	}
	if got := s.report(t, labtest.Member, closed(f)); got != "" {
		t.Errorf("closing again gave %q", got)
	}
	var got []string
	for _, d := range s.hub.bodies(t) {
		x := d["Findings"].([]any)[0].(map[string]any)
		got = append(got, x["UpdatedAt"].(string)+" "+x["LastObservedAt"].(string)+" "+x["RecordState"].(string))
	}
	want := []string{
		"2026-11-22T13:14:15Z 2026-11-22T13:14:15Z ACTIVE", "2026-11-22T14:14:15Z 2026-11-22T14:14:15Z ACTIVE",
		"2026-11-22T14:14:15.001Z 2026-11-22T14:14:15Z ACTIVE", "2026-11-22T14:14:15.002Z 2026-11-22T14:14:15Z ARCHIVED",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("handed to Security Hub (-want +got):\n%s", diff)
	}
	if d := s.hub.got[0]; d.From != "inspector2.amazonaws.com" || d.Action != "securityhub:BatchImportFindings" || !d.Trusted ||
		d.Target != "arn:aws:securityhub:ap-northeast-1:222222222222:product-subscription/aws/inspector" {
		t.Errorf("delivery %+v", d)
	}
	if len(s.bus.got) != 4 || len(published) != 4 || published[3].Status != "CLOSED" || published[3].ARN != first || published[3].Err != nil {
		t.Errorf("%d events, published %+v", len(s.bus.got), published)
	}
}

func TestClosedFindingsAreKeptAndReopened(t *testing.T) {
	for name, c := range map[string]struct {
		gone  bool
		wait  time.Duration // after closing
		again bool          // whether it is seen again then
		same  bool          // whether that is the same finding
		want  []string
	}{
		"it is there for 30 days":                     {false, 30*day - 1, false, false, []string{"CVE-1 - kernel CLOSED"}},
		"it is deleted after 30 days":                 {false, 30 * day, false, false, []string{}},
		"that of a terminated host is there 3 days":   {true, 3*day - 1, false, false, []string{"CVE-1 - kernel CLOSED"}},
		"that of a terminated host is deleted then":   {true, 3 * day, false, false, []string{}},
		"seen again within 7 days it is the same one": {false, 7 * day, true, true, []string{"CVE-1 - kernel ACTIVE"}},
		"seen again later it is another one":          {false, 7*day + time.Millisecond, true, false, []string{"CVE-1 - kernel ACTIVE", "CVE-1 - kernel CLOSED"}},
		"seen again after it was deleted":             {false, 31 * day, true, false, []string{"CVE-1 - kernel ACTIVE"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			s.activate(t)
			f := packageFinding("i-1", "CVE-1")
			before := s.report(t, labtest.Member, f)
			labtest.Advance(t, s.cloud, time.Hour)
			if c.gone {
				if err := s.service.Terminate(s.place(labtest.Member), "i-1"); err != nil {
					t.Fatal(err)
				}
			} else {
				s.report(t, labtest.Member, closed(f))
			}
			labtest.Advance(t, s.cloud, c.wait)
			if c.again {
				if after := s.report(t, labtest.Member, f); (after == before) != c.same {
					t.Errorf("ARN %s, before %s, want the same: %v", after, before, c.same)
				}
			}
			if diff := cmp.Diff(c.want, s.states(labtest.Member)); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAFindingThatIsWrongIsRefused(t *testing.T) {
	s := newStage(t)
	s.activate(t)
	for name, spoil := range map[string]func(*inspector2.Finding){
		"no resource":            func(f *inspector2.Finding) { f.Resources = nil },
		"11 resources":           func(f *inspector2.Finding) { f.Resources = slices.Repeat(f.Resources, 11) },
		"unknown severity":       func(f *inspector2.Finding) { f.Severity = "BAD" },
		"a status it cannot set": func(f *inspector2.Finding) { f.Status = inspector2.Suppressed },
		"no package":             func(f *inspector2.Finding) { f.Package = nil },
		"no title":               func(f *inspector2.Finding) { f.Title = "" },
		"EPSS above 1":           func(f *inspector2.Finding) { f.EPSS = &inspector2.EPSS{Score: 2} },
		"no remediation":         func(f *inspector2.Finding) { f.Remediation = nil },
		"an unknown type":        func(f *inspector2.Finding) { f.Type = "X" },
	} {
		t.Run(name, func(t *testing.T) {
			f := packageFinding("i-1", "CVE-1")
			spoil(f)
			if _, err := s.service.Report(s.place(labtest.Member), f); err == nil {
				t.Error("it was taken")
			}
		})
	}
	if _, err := s.service.Report(s.cloud.Accounts.Place(labtest.Member, "us-east-1"), packageFinding("i-1", "CVE-1")); !errors.Is(err, inspector2.ErrNotEnabled) {
		t.Errorf("where Inspector is off: %v", err)
	}
}

func TestSecurityHubThatIsDownGetsFindingsLater(t *testing.T) {
	s := newStage(t)
	s.activate(t)
	var published []inspector2.Publication
	s.service.Published = func(p inspector2.Publication) { published = append(published, p) }
	if _, err := s.cloud.Faults.Add(cloud.Fault{Kind: cloud.FaultDown, Service: "securityhub", Times: 3}); err != nil {
		t.Fatal(err)
	}
	s.report(t, labtest.Member, packageFinding("i-1", "CVE-1"))
	labtest.Advance(t, s.cloud, 6*time.Minute)
	if len(published) != 0 || len(s.hub.got) != 0 {
		t.Errorf("after 6 minutes %d, %d", len(published), len(s.hub.got))
	}
	labtest.Advance(t, s.cloud, time.Minute) // 1 + 2 + 4 minutes
	if len(published) != 1 || len(s.hub.got) != 1 || published[0].Err != nil {
		t.Errorf("after 7 minutes %+v, %d", published, len(s.hub.got))
	}
	s.hub.err = errors.New("no such subscription")
	s.report(t, labtest.Member, packageFinding("i-2", "CVE-1"))
	labtest.Settle(t, s.cloud)
	if len(published) != 2 || published[1].Err == nil {
		t.Errorf("refused: %+v", published)
	}
}

func TestTheSameSeedGivesTheSameEvents(t *testing.T) {
	run := func(seed uint64) []cloud.Delivery {
		s := newStage(t, func(o *cloud.Options) { o.Seed = seed })
		s.activate(t)
		for _, id := range []string{"i-1", "i-2"} {
			s.report(t, labtest.Member, packageFinding(id, "CVE-1"))
		}
		labtest.Advance(t, s.cloud, time.Hour)
		if err := s.service.Terminate(s.place(labtest.Member), "i-2"); err != nil {
			t.Fatal(err)
		}
		labtest.Settle(t, s.cloud)
		return append(s.bus.got, s.hub.got...)
	}
	if diff := cmp.Diff(run(1), run(1)); diff != "" {
		t.Errorf("two runs differ:\n%s", diff)
	}
	if cmp.Equal(run(1), run(2)) {
		t.Error("another seed gave the same")
	}
}
