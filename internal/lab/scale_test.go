package lab_test

import (
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	eventtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	firehosetypes "github.com/aws/aws-sdk-go-v2/service/firehose/types"
	"github.com/aws/aws-sdk-go-v2/service/inspector2"
	inspectortypes "github.com/aws/aws-sdk-go-v2/service/inspector2/types"
	"github.com/aws/aws-sdk-go-v2/service/securityhub"
	hubtypes "github.com/aws/aws-sdk-go-v2/service/securityhub/types"

	"example.org/catchment/internal/lab"
	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/population"
)

// regionsOf are n regions; the last of 20 are opt-in regions, which half of the accounts have enabled.
func regionsOf(n int) []string {
	var out []string
	for _, r := range cloud.Regions[:n] {
		out = append(out, r.Name)
	}
	return out
}

// A scale is how large an organisation is.
type scale struct{ accounts, regions int }

func TestALabOfAThousandAccountsAndTwentyRegionsStartsSmall(t *testing.T) {
	empty := memory()
	w := newWorld(t, func(o *lab.Options) {
		o.Life = true
		o.Population = population.Options{Accounts: 1000, Regions: regionsOf(20)}
	})
	if used := memory() - empty; used > 100 {
		t.Errorf("it takes %.0f MB before anything is in it", used)
	}
	var accounts []lab.AccountState
	w.ask(http.MethodGet, "accounts", "", http.StatusOK, &accounts)
	places := 0
	for _, a := range accounts {
		places += len(a.Regions)
	}
	if len(accounts) != 1000 || places < 18_000 {
		t.Errorf("%d accounts in %d places", len(accounts), places)
	}
	var state map[string]any
	w.ask(http.MethodGet, "state", "", http.StatusOK, &state)
	last := accounts[len(accounts)-1]
	w.enable(last.ID, last.Regions[0])
	w.open(last.ID, last.Regions[0], 2)
	if got := len(w.findings(last.ID, last.Regions[0])); got != 2 {
		t.Errorf("the last account sees %d findings, want 2", got)
	}
}

// BenchmarkADayOfAnOrganisation starts a lab, builds way A in all regions by the SDK and lets a day pass. It is to be run
// with -benchtime=1x. doc/lab.md has the figures.
func BenchmarkADayOfAnOrganisation(b *testing.B) {
	for _, s := range []scale{{3, 2}, {100, 20}, {1000, 20}} {
		b.Run(fmt.Sprintf("%dx%d", s.accounts, s.regions), func(b *testing.B) {
			for b.Loop() {
				s.day(b)
			}
		})
	}
}

func (s scale) day(b *testing.B) {
	b.Helper()
	began, empty := time.Now(), memory()
	w := newWorld(b, func(o *lab.Options) {
		o.Life = true
		o.Population = population.Options{Accounts: s.accounts, Regions: regionsOf(s.regions)}
	})
	b.ReportMetric(time.Since(began).Seconds(), "start-s")
	b.ReportMetric(memory()-empty, "start-MB")
	began = time.Now()
	calls := w.organise()
	b.ReportMetric(time.Since(began).Seconds(), "build-s")
	b.ReportMetric(float64(calls)/time.Since(began).Seconds(), "calls/s")
	began = time.Now()
	for range 24 {
		w.advance(time.Hour)
	}
	w.ask(http.MethodPost, "flush", "{}", http.StatusOK, nil)
	took := time.Since(began).Seconds()
	var all struct {
		Streams []streamState
		More    int
	}
	w.ask(http.MethodGet, "state/firehose", "", http.StatusOK, &all)
	records, delivered := 0, 0
	for _, st := range all.Streams {
		records += st.Metrics.IncomingRecords
		delivered += st.Metrics.Delivered.Records
	}
	if delivered == 0 || delivered != records {
		b.Errorf("%d of %d records were delivered", delivered, records)
	}
	b.ReportMetric(took, "day-s")
	b.ReportMetric(float64(delivered), "events")
	b.ReportMetric(float64(delivered)/took, "events/s")
	b.ReportMetric(memory()-empty, "day-MB")
	must(b, w.stop())
}

// memory is what is in use, in MB.
func memory() float64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc) / 1e6
}

// organise makes the account security-tooling the administrator of the organisation in all regions, all accounts its
// members, and builds way A there. It gives how many calls that took.
func (w *world) organise() (calls int) {
	w.Helper()
	ctx, management := w.Context(), ""
	for _, a := range w.Accounts() {
		if a.Role == "management" {
			management = a.ID
		}
	}
	bucket := w.bucket(w.admin, w.Regions()[0], "lake")
	storing := w.role(w.admin, "storing", trusts(service("firehose")), may("s3:PutObject", bucket+"/*"))
	sending := w.role(w.admin, "sending", trusts(service("events")), may("firehose:PutRecord", "*"))
	for _, r := range w.Regions() {
		members := slices.DeleteFunc(slices.Clone(w.accounts[1:]), func(a string) bool { return !w.Cloud.Accounts.Enabled(a, r) })
		for _, account := range []string{w.admin, management} {
			_, err := w.hub(account, r).EnableSecurityHub(ctx, &securityhub.EnableSecurityHubInput{EnableDefaultStandards: aws.Bool(false)})
			must(w, err)
		}
		_, err := w.hub(management, r).EnableOrganizationAdminAccount(ctx, &securityhub.EnableOrganizationAdminAccountInput{AdminAccountId: &w.admin})
		must(w, err)
		_, err = w.inspector2(management, r).EnableDelegatedAdminAccount(ctx, &inspector2.EnableDelegatedAdminAccountInput{DelegatedAdminAccountId: &w.admin})
		must(w, err)
		w.advance(time.Second)
		calls += 4
		for batch := range slices.Chunk(members, 50) {
			in := &securityhub.CreateMembersInput{}
			for i := range batch {
				in.AccountDetails = append(in.AccountDetails, hubtypes.AccountDetails{AccountId: &batch[i]})
			}
			out, err := w.hub(w.admin, r).CreateMembers(ctx, in)
			must(w, err)
			if len(out.UnprocessedAccounts) > 0 {
				w.Fatalf("%s in %s: %s", *out.UnprocessedAccounts[0].AccountId, r, *out.UnprocessedAccounts[0].ProcessingResult)
			}
			calls++
		}
		calls += w.inspectAll(r, members)
		stream := w.stream(w.admin, r, "findings", storing, bucket, func(s *firehosetypes.ExtendedS3DestinationConfiguration) {
			s.CompressionFormat = firehosetypes.CompressionFormatGzip
		})
		w.rule(w.admin, r, "", "findings", imported, eventtypes.Target{
			Id: aws.String("1"), Arn: &stream, RoleArn: &sending, InputPath: aws.String("$.detail.findings[0]"),
		})
		calls += 3
	}
	return calls
}

// inspectAll has Inspector on for the administrator and its members in a region, and has it report to Security Hub.
func (w *world) inspectAll(region string, members []string) (calls int) {
	w.Helper()
	ctx, admin := w.Context(), w.inspector2(w.admin, region)
	for _, m := range members {
		_, err := admin.AssociateMember(ctx, &inspector2.AssociateMemberInput{AccountId: &m})
		must(w, err)
		calls++
	}
	all := append([]string{w.admin}, members...)
	for batch := range slices.Chunk(all, 100) {
		out, err := admin.Enable(ctx, &inspector2.EnableInput{AccountIds: batch, ResourceTypes: []inspectortypes.ResourceScanType{
			inspectortypes.ResourceScanTypeEc2, inspectortypes.ResourceScanTypeEcr, inspectortypes.ResourceScanTypeLambda,
		}})
		must(w, err)
		if len(out.FailedAccounts) > 0 && out.FailedAccounts[0].ErrorCode != inspectortypes.ErrorCodeAlreadyEnabled {
			w.Fatalf("%s: %s", *out.FailedAccounts[0].AccountId, *out.FailedAccounts[0].ErrorMessage)
		}
		calls++
	}
	for _, account := range all {
		_, err := w.hub(account, region).EnableImportFindingsForProduct(ctx, &securityhub.EnableImportFindingsForProductInput{
			ProductArn: aws.String(w.arn("securityhub", region, "", "product/aws/inspector")),
		})
		must(w, err)
		calls++
	}
	return calls
}
