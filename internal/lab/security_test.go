package lab_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	eventtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/inspector2"
	inspectortypes "github.com/aws/aws-sdk-go-v2/service/inspector2/types"
	"github.com/aws/aws-sdk-go-v2/service/securityhub"
	hubtypes "github.com/aws/aws-sdk-go-v2/service/securityhub/types"
	"github.com/google/go-cmp/cmp"

	"example.org/catchment/internal/lab"
	"example.org/catchment/internal/lab/cloud"
)

func (w *world) hub(account, region string) *securityhub.Client {
	return securityhub.NewFromConfig(w.config(account, region))
}

func (w *world) inspector2(account, region string) *inspector2.Client {
	return inspector2.NewFromConfig(w.config(account, region))
}

// enable turns Inspector and Security Hub on in an account and region, and has the one report to the other.
func (w *world) enable(account, region string) {
	w.Helper()
	_, err := w.inspector2(account, region).Enable(w.Context(), &inspector2.EnableInput{
		ResourceTypes: []inspectortypes.ResourceScanType{inspectortypes.ResourceScanTypeEc2},
	})
	must(w, err)
	_, err = w.hub(account, region).EnableSecurityHub(w.Context(), &securityhub.EnableSecurityHubInput{EnableDefaultStandards: aws.Bool(false)})
	must(w, err)
	_, err = w.hub(account, region).EnableImportFindingsForProduct(w.Context(), &securityhub.EnableImportFindingsForProductInput{
		ProductArn: aws.String(w.arn("securityhub", region, "", "product/aws/inspector")),
	})
	must(w, err)
	w.advance(time.Second)
}

// secure turns both on everywhere, and makes the administrator that of the organisation with all others as members.
func (w *world) secure() {
	w.Helper()
	management := ""
	for _, a := range w.Accounts() {
		if a.Role == "management" {
			management = a.ID
		}
	}
	for _, r := range w.Regions() {
		for _, account := range w.accounts {
			w.enable(account, r)
		}
		_, err := w.hub(management, r).EnableOrganizationAdminAccount(w.Context(), &securityhub.EnableOrganizationAdminAccountInput{AdminAccountId: &w.admin})
		must(w, err)
		in := &securityhub.CreateMembersInput{}
		for _, account := range w.accounts[1:] {
			in.AccountDetails = append(in.AccountDetails, hubtypes.AccountDetails{AccountId: &account})
		}
		out, err := w.hub(w.admin, r).CreateMembers(w.Context(), in)
		must(w, err)
		if len(out.UnprocessedAccounts) > 0 {
			w.Fatalf("members of %s: %v", r, out.UnprocessedAccounts)
		}
	}
	w.advance(time.Second)
}

// open makes new findings of Inspector.
func (w *world) open(account, region string, n int) {
	w.Helper()
	var out struct{ Opened int }
	w.ask(http.MethodPost, "findings", fmt.Sprintf(`{"account":%q,"region":%q,"count":%d}`, account, region, n), http.StatusOK, &out)
	if out.Opened != n {
		w.Fatalf("%d of %d opened", out.Opened, n)
	}
}

// findings are what GetFindings gives somebody, on all pages.
func (w *world) findings(account, region string) []hubtypes.AwsSecurityFinding {
	w.Helper()
	var all []hubtypes.AwsSecurityFinding
	pages := securityhub.NewGetFindingsPaginator(w.hub(account, region), &securityhub.GetFindingsInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(w.Context())
		must(w, err)
		all = append(all, page.Findings...)
	}
	return all
}

const imported = `{"source":["aws.securityhub"],"detail-type":["Security Hub Findings - Imported"]}`

// tap makes a rule in an account and region that brings its events of Security Hub to a queue, and gives what counts them.
func (w *world) tap(account, region string) (count func() int) {
	w.Helper()
	arn := w.arn("sqs", region, account, "tap")
	url, _ := w.queue(account, region, "tap", policy(allow(service("events"), "sqs:SendMessage", arn)))
	w.rule(account, region, "", "tap", imported, eventtypes.Target{Id: aws.String("1"), Arn: &arn})
	return func() int { return len(w.messages(account, region, url)) }
}

func threeRegions(o *lab.Options) { o.Population.Regions = []string{region, second, "ap-northeast-1"} }

// TestAFindingIsAnEventInEachPlaceThatSeesIt counts exactly: of its own account and the administrator's, in its own region
// and, where an aggregator links it, in the home region, once when it is imported and once when it is updated.
func TestAFindingIsAnEventInEachPlaceThatSeesIt(t *testing.T) {
	for name, tt := range map[string]struct {
		link []string // to the home region; nil: there is no aggregator
		want map[string]int
	}{
		"without an aggregator": {nil, map[string]int{
			"admin eu-west-1": 7, "admin us-east-1": 3, "admin ap-northeast-1": 5, "member eu-west-1": 4, "member us-east-1": 1, "member ap-northeast-1": 5,
		}},
		"with one region linked": {[]string{second}, map[string]int{
			"admin eu-west-1": 7 + 3, "admin us-east-1": 3, "admin ap-northeast-1": 5, "member eu-west-1": 4 + 1, "member us-east-1": 1, "member ap-northeast-1": 5,
		}},
		"with all regions linked": {[]string{second, "ap-northeast-1"}, map[string]int{
			"admin eu-west-1": 7 + 3 + 5, "admin us-east-1": 3, "admin ap-northeast-1": 5, "member eu-west-1": 4 + 1 + 5, "member us-east-1": 1, "member ap-northeast-1": 5,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, threeRegions)
			w.secure()
			taps := make(map[string]func() int)
			for _, r := range w.Regions() {
				taps["admin "+r], taps["member "+r] = w.tap(w.admin, r), w.tap(w.member, r)
			}
			if len(tt.link) > 0 {
				_, err := w.hub(w.admin, region).CreateFindingAggregator(t.Context(), &securityhub.CreateFindingAggregatorInput{
					RegionLinkingMode: aws.String("SPECIFIED_REGIONS"), Regions: tt.link,
				})
				must(t, err)
			}
			for _, o := range []struct {
				account, region string
				n               int
			}{{w.admin, region, 3}, {w.member, region, 4}, {w.admin, second, 2}, {w.member, second, 1}, {w.member, "ap-northeast-1", 5}} {
				w.open(o.account, o.region, o.n)
			}
			w.advance(time.Minute)
			got := make(map[string]int)
			for place, count := range taps {
				got[place] = count()
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("events of imports (-want +got):\n%s", diff)
			}
			w.noteAll(region)
			home := make(map[string]int) // of what the administrator sees in the home region, each is an event again
			for place, count := range taps {
				home[place] = count()
			}
			if diff := cmp.Diff(updatesOf(tt.link), home); diff != "" {
				t.Errorf("events of updates (-want +got):\n%s", diff)
			}
		})
	}
}

// updatesOf is how many events the updates of all findings that are seen in the home region are.
func updatesOf(link []string) map[string]int {
	out := map[string]int{"admin eu-west-1": 7, "member eu-west-1": 4, "admin us-east-1": 0, "member us-east-1": 0, "admin ap-northeast-1": 0, "member ap-northeast-1": 0}
	for _, r := range link {
		n := map[string][2]int{second: {3, 1}, "ap-northeast-1": {5, 5}}[r]
		out["admin "+r], out["member "+r] = n[0], n[1]
		out["admin eu-west-1"] += n[0]
		out["member eu-west-1"] += n[1]
	}
	return out
}

// noteAll writes a note to all findings that the administrator sees in a region.
func (w *world) noteAll(region string) {
	w.Helper()
	in := &securityhub.BatchUpdateFindingsInput{Note: &hubtypes.NoteUpdate{Text: aws.String("seen"), UpdatedBy: aws.String("test")}}
	for _, f := range w.findings(w.admin, region) {
		in.FindingIdentifiers = append(in.FindingIdentifiers, hubtypes.AwsSecurityFindingIdentifier{Id: f.Id, ProductArn: f.ProductArn})
	}
	out, err := w.hub(w.admin, region).BatchUpdateFindings(w.Context(), in)
	must(w, err)
	if len(out.UnprocessedFindings) > 0 {
		w.Fatalf("%d findings were not updated: %s", len(out.UnprocessedFindings), *out.UnprocessedFindings[0].ErrorMessage)
	}
	w.advance(time.Minute)
}

func TestGetFindingsLetsThreeASecondThroughAndSixAfterAPause(t *testing.T) {
	w := newWorld(t, func(o *lab.Options) { o.Quotas = true })
	w.enable(w.admin, region)
	w.enable(w.member, region)
	ask := func(account, region string) string {
		_, err := w.hub(account, region).GetFindings(t.Context(), &securityhub.GetFindingsInput{})
		return codeOf(t, err)
	}
	asks := func(n int) (through int) {
		for range n {
			switch code := ask(w.admin, region); code {
			case "":
				through++
			case "TooManyRequestsException", "ThrottlingException", "LimitExceededException":
			default:
				t.Errorf("refused with %s", code)
			}
		}
		return through
	}
	for _, step := range []struct {
		pause time.Duration
		want  int
	}{{time.Minute, 6}, {0, 0}, {time.Second, 3}, {333 * time.Millisecond, 0}, {time.Millisecond, 1}, {time.Hour, 6}} {
		w.advance(step.pause)
		if got := asks(20); got != step.want {
			t.Errorf("after %v: %d are let through, want %d", step.pause, got, step.want)
		}
	}
	if code := ask(w.member, region); code != "" {
		t.Errorf("another account is refused with %s", code)
	}
	w.advance(time.Minute)
	asks(6)
	w.enable(w.admin, second) // takes no part of GetFindings'
	if code := ask(w.admin, second); code != "" {
		t.Errorf("another region is refused with %s", code)
	}
}

func TestWithoutQuotasNobodyIsThrottled(t *testing.T) {
	w := newWorld(t)
	w.enable(w.admin, region)
	for range 40 {
		_, err := w.hub(w.admin, region).GetFindings(t.Context(), &securityhub.GetFindingsInput{})
		must(t, err)
	}
}

func TestFindingsAreForgottenByTheLabsClock(t *testing.T) {
	w := newWorld(t)
	w.secure()
	w.open(w.member, region, 5)
	at := w.Cloud.Accounts.Place(w.member, region)
	listed := func() int {
		out, err := w.inspector2(w.member, region).ListFindings(t.Context(), &inspector2.ListFindingsInput{})
		must(t, err)
		return len(out.Findings)
	}
	seen := func() int { return len(w.findings(w.admin, region)) }
	closed := 0
	for f := range w.Inspector2.Findings(at) { // two are fixed now
		if closed == 2 {
			break
		}
		closed++
		fixed := *f
		fixed.Status = "CLOSED"
		_, err := w.Inspector2.Report(at, &fixed)
		must(t, err)
	}
	for _, step := range []struct {
		advance      time.Duration
		listed, seen int
		why          string
	}{
		{time.Minute, 5, 5, "what is closed is listed for 30 days"},
		{30*24*time.Hour - 2*time.Minute, 5, 5, "a minute before they are over"},
		{2 * time.Minute, 3, 5, "Inspector forgets what was closed 30 days ago; Security Hub does not"},
		{60*24*time.Hour - 2*time.Minute, 3, 5, "90 days after the last update, but for a minute"},
		{24 * time.Hour, 3, 0, "Security Hub forgets what was not updated for 90 days; what is open stays in Inspector"},
	} {
		w.advance(step.advance)
		if a, b := listed(), seen(); a != step.listed || b != step.seen {
			t.Errorf("%s: Inspector lists %d, want %d; Security Hub shows %d, want %d", step.why, a, step.listed, b, step.seen)
		}
	}
}

func TestWhatIsGoneIsForgottenAfterThreeDaysAndWhatComesBackWithinSevenIsTheSame(t *testing.T) {
	w := newWorld(t)
	w.secure()
	w.open(w.member, region, 3)
	at := w.Cloud.Accounts.Place(w.member, region)
	arns := func() (out []string) {
		for f := range w.Inspector2.Findings(at) {
			out = append(out, f.ARN)
		}
		return out
	}
	before := arns()
	report := func(status string) {
		t.Helper()
		for f := range w.Inspector2.Findings(at) {
			next := *f
			next.Status = status
			_, err := w.Inspector2.Report(at, &next)
			must(t, err)
		}
		w.advance(time.Second)
	}
	report("CLOSED")
	w.advance(7*24*time.Hour - 2*time.Second)
	report("ACTIVE")
	if diff := cmp.Diff(before, arns()); diff != "" {
		t.Errorf("seen again within 7 days (-before +after):\n%s", diff)
	}
	report("CLOSED")
	w.advance(8 * 24 * time.Hour)
	report("ACTIVE")
	if after := arns(); len(after) != 2*len(before) {
		t.Errorf("seen again after 8 days there are %d findings, want the closed and as many new ones", len(after))
	}
	for f := range w.Inspector2.Findings(at) {
		must(t, w.Inspector2.Terminate(at, f.Resources[0].ID))
	}
	w.advance(3*24*time.Hour - time.Minute)
	if got := len(arns()); got == 0 {
		t.Error("what was on a host is forgotten before 3 days")
	}
	w.advance(2 * time.Minute)
	if got := arns(); len(got) != 0 {
		t.Errorf("%d findings are left 3 days after their host", len(got))
	}
}

func TestChangesAreSeenAfterTheirLag(t *testing.T) {
	w := newWorld(t, func(o *lab.Options) {
		o.Lag = cloud.Lag{Findings: time.Minute, Rules: 20 * time.Second, Policies: 10 * time.Second}
	})
	w.secure()
	w.advance(time.Minute)
	w.open(w.member, region, 2)
	w.advance(59 * time.Second)
	if got := len(w.findings(w.admin, region)); got != 0 {
		t.Errorf("%d findings are seen before their lag", got)
	}
	w.advance(2 * time.Second)
	if got := len(w.findings(w.admin, region)); got != 2 {
		t.Errorf("%d findings are seen after their lag, want 2", got)
	}

	arn := w.arn("sqs", region, w.admin, "work")
	url, _ := w.queue(w.admin, region, "work", policy(allow(service("events"), "sqs:SendMessage", arn)))
	w.rule(w.admin, region, "", "r", ours, eventtypes.Target{Id: aws.String("1"), Arn: &arn})
	count := func(step string, want int) {
		t.Helper()
		w.put(w.admin, region, `{}`)
		if got := len(w.messages(w.admin, region, url)); got != want {
			t.Errorf("%s: %d events arrive, want %d", step, got, want)
		}
	}
	w.advance(19 * time.Second)
	count("a rule of 19 seconds", 0)
	w.advance(time.Second)
	count("a rule of 20 seconds", 1)
	w.setQueue(w.admin, region, url, "Policy", "")
	w.advance(9 * time.Second)
	count("a policy that was taken away 9 seconds ago", 1)
	w.advance(time.Second)
	count("and 10", 0)
}
