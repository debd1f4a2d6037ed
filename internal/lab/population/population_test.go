package population_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"hash"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/inspector2"
	"example.org/catchment/internal/lab/labtest"
	"example.org/catchment/internal/lab/population"
)

const day = 24 * time.Hour

// A hub takes what Security Hub or a bus would, and answers as Security Hub does.
type hub struct {
	hash hash.Hash
	n    int
	see  func(d *cloud.Delivery)
	mute bool // Security Hub is not on
	late bool // newer versions are there
}

func (h *hub) Resource(string) (cloud.Resource, error) { return cloud.Resource{}, nil }

func (h *hub) Receive(_ context.Context, d *cloud.Delivery) ([]byte, error) {
	h.n++
	if h.hash != nil {
		fmt.Fprintf(h.hash, "%s %s %s\n", d.From, d.Target, d.Body)
	}
	if h.see != nil {
		h.see(d)
	}
	switch {
	case h.mute:
		return nil, nil
	case h.late:
		return []byte(`{"FailedCount":0,"FailedFindings":[],"SuccessCount":1,"Older":1}`), nil
	}
	return []byte(`{"FailedCount":0,"FailedFindings":[],"SuccessCount":1}`), nil
}

// A world is a population with everything around it.
type world struct {
	*population.Population
	cloud   *cloud.Cloud
	scanner *inspector2.Service
	bus     *hub
	hub     *hub
}

// newWorld makes a population that is seeded, and started unless setup, which may be nil, has started it.
func newWorld(tb testing.TB, o population.Options) *world {
	tb.Helper()
	c := cloud.New(cloud.Options{Seed: o.Seed, Start: labtest.Start})
	w := &world{cloud: c, scanner: inspector2.New(c), bus: &hub{}, hub: &hub{}}
	c.Receivers.Register("events", w.bus)
	c.Receivers.Register("securityhub", w.hub)
	p, err := population.New(c, o)
	if err != nil {
		tb.Fatal(err)
	}
	w.Population = p
	if err := p.SeedAccounts(); err != nil {
		tb.Fatal(err)
	}
	c.Accounts.SetOrganization("o-exampleorgid", p.Org.Management)
	return w
}

func (w *world) start(tb testing.TB) {
	tb.Helper()
	if err := w.SeedInspector(w.scanner); err != nil {
		tb.Fatal(err)
	}
	if err := w.Start(w.scanner, nil); err != nil {
		tb.Fatal(err)
	}
}

func (w *world) step(tb testing.TB, d time.Duration) {
	tb.Helper()
	if err := w.Step(tb.Context(), d); err != nil {
		tb.Fatal(err)
	}
}

// lively are options with which all happens in 16 days.
func lively(seed uint64) population.Options {
	return population.Options{
		Seed: seed, Accounts: 5, Regions: []string{"ap-northeast-1", "us-east-1", "af-south-1"}, Empty: 0.2, Record: true,
		Hosts: population.Spread{Min: 1, Max: 4}, Images: population.Spread{Min: 0, Max: 2}, Functions: population.Spread{Min: 1, Max: 3},
		Span: 16 * day, Rates: population.Rates{Hide: true, Reopen: 0.5, Fix: 6 * day, Life: 10 * day},
	}
}

func TestTheSameSeedGivesTheSameEvents(t *testing.T) {
	run := func(seed uint64, stepsOf time.Duration) string {
		w := newWorld(t, lively(seed))
		sum := sha256.New()
		w.bus.hash, w.hub.hash = sum, sum
		w.start(t)
		for passed := time.Duration(0); passed < 4*day; passed += stepsOf {
			w.step(t, stepsOf)
		}
		if w.hub.n < 500 || w.bus.n < 500 {
			t.Fatalf("only %d findings, %d events", w.hub.n, w.bus.n)
		}
		return fmt.Sprintf("%x", sum.Sum(nil))
	}
	first := run(1, day)
	if again := run(1, day); again != first {
		t.Error("a second run differs")
	}
	if steps := run(1, 90*time.Minute); steps != first {
		t.Error("a run in other steps differs")
	}
	if other := run(2, day); other == first {
		t.Error("another seed gives the same")
	}
}

// TestAllThatMayHappenHappens looks at all events.
func TestAllThatMayHappenHappens(t *testing.T) {
	w := newWorld(t, lively(3))
	seen := make(map[string]int)
	status := make(map[string]string) // by ARN
	content := make(map[string]string)
	w.bus.see = func(d *cloud.Delivery) {
		var e struct {
			DetailType string         `json:"detail-type"`
			Detail     jsontext.Value `json:"detail"`
		}
		if err := json.Unmarshal(d.Body, &e); err != nil {
			t.Error(err)
			return
		}
		seen[e.DetailType]++
		if e.DetailType != "Inspector2 Finding" {
			return
		}
		var f inspectorEvent
		if err := json.Unmarshal(e.Detail, &f); err != nil {
			t.Error(err)
			return
		}
		f.count(seen, status, content)
	}
	products := make(map[string]int)
	w.hub.see = func(d *cloud.Delivery) { products[d.Target[strings.LastIndex(d.Target, "/")+1:]]++ }
	w.start(t)
	w.step(t, 7*day)
	suppressed := 0
	for place := range w.Cells() {
		for f := range w.scanner.Findings(place) {
			if f.Status == inspector2.Suppressed {
				suppressed++
			}
		}
	}
	w.step(t, 10*day)
	for _, what := range []string{
		"Inspector2 Finding", "Inspector2 Coverage", "Inspector2 Scan", "opens", "no news", "news", "closes", "reopens", "NETWORK_REACHABILITY",
		"PACKAGE_VULNERABILITY", "CODE_VULNERABILITY", "AWS_EC2_INSTANCE", "AWS_ECR_CONTAINER_IMAGE", "AWS_LAMBDA_FUNCTION", "fix YES", "fix NO",
		"fix PARTIAL", "exploit YES", "CRITICAL", "HIGH", "MEDIUM", "LOW", "INFORMATIONAL", "tag with }{", "tag in Japanese", "tag with newline", "tag with HTML",
	} {
		if seen[what] == 0 {
			t.Errorf("never: %s", what)
		}
	}
	for _, product := range []string{"inspector", "guardduty", "config", "securityhub"} {
		if products[product] == 0 {
			t.Errorf("nothing of %s", product)
		}
	}
	if suppressed == 0 {
		t.Error("nothing was suppressed in the second quarter")
	}
	published := w.hub.n
	w.step(t, 10*day)
	if w.hub.n != published {
		t.Errorf("%d findings after the span", w.hub.n-published)
	}
}

type inspectorEvent struct {
	ARN              string `json:"findingArn"`
	Status           string `json:"status"`
	Type             string `json:"type"`
	Severity         string `json:"severity"`
	FixAvailable     string `json:"fixAvailable"`
	ExploitAvailable string `json:"exploitAvailable"`
	Description      string `json:"description"`
	EPSS             any    `json:"epss"`
	Resources        []struct {
		Type string            `json:"type"`
		Tags map[string]string `json:"tags"`
	} `json:"resources"`
}

// count notes what an event shows.
func (f *inspectorEvent) count(seen map[string]int, status, content map[string]string) {
	now := fmt.Sprint(f.Severity, f.FixAvailable, f.ExploitAvailable, f.EPSS)
	switch before := status[f.ARN]; {
	case before == "":
		seen["opens"]++
	case f.Status == "CLOSED":
		seen["closes"]++
	case before == "CLOSED":
		seen["reopens"]++
	case content[f.ARN] == now:
		seen["no news"]++
	default:
		seen["news"]++
	}
	status[f.ARN], content[f.ARN] = f.Status, now
	for _, what := range []string{f.Type, f.Severity, f.Resources[0].Type, "fix " + f.FixAvailable, "exploit " + f.ExploitAvailable} {
		seen[what]++
	}
	for _, v := range f.Resources[0].Tags {
		for what, part := range map[string]string{"tag with }{": "}{", "tag in Japanese": "本番", "tag with newline": "\n", "tag with HTML": "<script>"} {
			if strings.Contains(v, part) {
				seen[what]++
			}
		}
	}
}

func TestWhatIsExpectedIsWhatArrived(t *testing.T) {
	w := newWorld(t, lively(5))
	type version struct{ Place, ID, UpdatedAt, State, Digest string }
	var got []version
	w.hub.see = func(d *cloud.Delivery) {
		var body struct{ Findings []jsontext.Value }
		var f struct {
			ID          string `json:"Id"`
			UpdatedAt   string
			RecordState string
		}
		if err := json.Unmarshal(d.Body, &body); err != nil || len(body.Findings) != 1 {
			t.Fatal(len(body.Findings), err)
		}
		if err := json.Unmarshal(body.Findings[0], &f); err != nil {
			t.Fatal(err)
		}
		digest, err := population.Digest(body.Findings[0])
		if err != nil {
			t.Fatal(err)
		}
		arn, _ := cloud.ParseARN(d.Target)
		got = append(got, version{fmt.Sprint(arn.Place()), f.ID, f.UpdatedAt, f.RecordState, fmt.Sprintf("%x", digest)})
	}
	w.start(t)
	w.step(t, 3*day)
	var want []version
	for r := range w.Expected() {
		if !r.Taken || r.Fault != "" {
			t.Fatalf("not taken: %+v", r)
		}
		want = append(want, version{fmt.Sprint(r.Place), r.ID, r.UpdatedAt, r.RecordState, fmt.Sprintf("%x", r.Digest)})
	}
	if diff := cmp.Diff(want, got); diff != "" || len(got) == 0 {
		t.Errorf("%d arrived (-expected +arrived):\n%s", len(got), diff)
	}
	w.hub.mute = true
	w.step(t, day)
	last := slices.Collect(w.Expected())
	if n := len(last); n <= len(want) || last[n-1].Taken {
		t.Errorf("%d records, the last %+v; want one that was not taken where Security Hub is off", n, last[n-1])
	}
	w.hub.mute, w.hub.late = false, true
	w.step(t, day)
	last = slices.Collect(w.Expected())
	if r := last[len(last)-1]; r.Taken || r.Fault != "a newer version was there" {
		t.Errorf("the last is %+v; want one that was overtaken", r)
	}
}

func TestRecordsAreBounded(t *testing.T) {
	o := lively(5)
	o.MaxRecords = 10
	w := newWorld(t, o)
	w.start(t)
	w.step(t, day)
	if n := len(slices.Collect(w.Expected())); n != 10 || w.Unrecorded() != w.hub.n-10 {
		t.Errorf("%d records and %d beyond, of %d", n, w.Unrecorded(), w.hub.n)
	}
}

func TestADigestIsOfWhatTheProviderSays(t *testing.T) {
	digest := func(text string) string {
		d, err := population.Digest([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("%x", d)
	}
	const base = `{"Id":"x","UpdatedAt":"1","Resources":[{"Type":"a","Id":"b"}]}`
	for name, c := range map[string]struct {
		text string
		same bool
	}{
		"the same":               {base, true},
		"another order":          {`{"Resources" : [{"Id":"b","Type":"a"}], "UpdatedAt":"1", "Id":"x"}`, true},
		"Security Hub's members": {`{"Id":"x","UpdatedAt":"1","Resources":[{"Type":"a","Id":"b"}],"ProcessedAt":"2","Workflow":{"Status":"NOTIFIED"},"ProductFields":{}}`, true},
		"another version":        {`{"Id":"x","UpdatedAt":"2","Resources":[{"Type":"a","Id":"b"}]}`, false},
		"another resource":       {`{"Id":"x","UpdatedAt":"1","Resources":[{"Type":"a","Id":"c"}]}`, false},
		"a member less":          {`{"Id":"x","Resources":[{"Type":"a","Id":"b"}]}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := digest(c.text) == digest(base); got != c.same {
				t.Errorf("the same: %v, want %v", got, c.same)
			}
		})
	}
	if _, err := population.Digest([]byte("{")); err == nil {
		t.Error("half an object has a digest")
	}
}

func TestABurstMakesFindingsNow(t *testing.T) {
	w := newWorld(t, population.Options{Seed: 1})
	place := w.cloud.Accounts.Place(w.Org.Administrator, "us-east-1")
	if _, err := w.Burst(place, 1); err == nil {
		t.Error("a burst before the start")
	}
	w.start(t)
	for _, n := range []int{1, 499, 500} {
		if made, err := w.Burst(place, n); made != n || err != nil {
			t.Fatal(made, err)
		}
	}
	arns := make(map[string]bool)
	for f := range w.scanner.Findings(place) {
		arns[f.ARN] = true
	}
	labtest.Settle(t, w.cloud)
	if len(arns) != 1000 || w.hub.n < 1000 {
		t.Errorf("%d findings, %d published", len(arns), w.hub.n)
	}
	if _, err := w.Burst(place, 2_000_000); err == nil {
		t.Error("a burst of 2 million")
	}
	if made, err := w.Burst(w.cloud.Accounts.Place(w.Org.Administrator, "eu-west-1"), 1); made != 0 || err == nil {
		t.Errorf("a burst where Inspector is off: %d, %v", made, err)
	}
}

func TestEnablingInspectorFindsWhatIsThere(t *testing.T) {
	w := newWorld(t, population.Options{Seed: 1, Record: true})
	if err := w.Start(w.scanner, nil); err != nil { // Inspector is on nowhere
		t.Fatal(err)
	}
	w.step(t, 3*day)
	place := w.cloud.Accounts.Place(w.Org.Management, "us-east-1")
	if n := len(slices.Collect(w.scanner.Findings(place))); n != 0 {
		t.Fatalf("%d findings without Inspector", n)
	}
	if err := w.scanner.Activate(place, inspector2.EC2); err != nil {
		t.Fatal(err)
	}
	found := 0
	for f := range w.scanner.Findings(place) {
		if found++; f.Resources[0].Type != inspector2.Instance {
			t.Errorf("a finding of %s", f.Resources[0].Type)
		}
	}
	if found == 0 || w.Err() != nil {
		t.Errorf("%d findings, %v", found, w.Err())
	}
	if err := w.Start(w.scanner, nil); err == nil {
		t.Error("it was started twice")
	}
}

func TestOptionsThatMakeNoSenseAreRefused(t *testing.T) {
	c := cloud.New(cloud.Options{Start: labtest.Start})
	for name, o := range map[string]population.Options{
		"too many accounts":        {Accounts: 10_001},
		"a region that is unknown": {Regions: []string{"mars-1"}},
		"a region twice":           {Regions: []string{"us-east-1", "us-east-1"}},
		"a region of China":        {Regions: []string{"cn-north-1"}},
		"more empty than all":      {Empty: 1.5},
		"the least above the most": {Hosts: population.Spread{Min: 3, Max: 2}},
		"too many hosts":           {Hosts: population.Spread{Min: 3, Max: 20_000}},
		"a span before now":        {Span: -1},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := population.New(c, o); err == nil {
				t.Error("they were taken")
			}
		})
	}
}
