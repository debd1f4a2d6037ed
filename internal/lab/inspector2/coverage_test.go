package inspector2_test

import (
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/inspector2"
	"github.com/aws/aws-sdk-go-v2/service/inspector2/types"
	"github.com/google/go-cmp/cmp"

	"example.org/catchment/internal/lab/inspector2"
	"example.org/catchment/internal/lab/labtest"
)

func TestCoverageAndScansAreEvents(t *testing.T) {
	for name, c := range map[string]struct {
		sample string
		reason string
		scan   bool
	}{
		"a host that is not managed": {"event-inspector2-coverage.json", inspector2.ReasonUnmanaged, false},
		"a first scan":               {"event-inspector2-scan-ec2.json", inspector2.ReasonSuccessful, true},
	} {
		t.Run(name, func(t *testing.T) {
			want := sample(t, c.sample)
			s, p := elsewhere(t, text(want, "time"), "111122223333", "us-east-1")
			r := &packageFinding("i-087d63509b8c97098", "CVE-1").Resources[0]
			for range 2 { // the second time is no news
				if err := s.service.Cover(p, r, c.reason); err != nil {
					t.Fatal(err)
				}
				if c.scan {
					if err := s.service.Scanned(p, r.ID); err != nil {
						t.Fatal(err)
					}
				}
			}
			labtest.Settle(t, s.cloud)
			events := s.bus.bodies(t)
			if c.scan {
				events = events[1:]
			}
			if len(events) != 1 {
				t.Fatalf("events %v", events)
			}
			got := events[0]
			got["id"] = want["id"]
			if !c.scan {
				got["detail"].(map[string]any)["eventTimestamp"] = text(want, "detail", "eventTimestamp")
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("event (-sample +got):\n%s", diff)
			}
		})
	}
}

func TestCoverageIsListedAndCounted(t *testing.T) {
	s := newStage(t)
	s.activate(t)
	for i := range 3 {
		r := packageFinding(fmt.Sprintf("i-%017d", i), "CVE-1").Resources[0]
		reason := inspector2.ReasonSuccessful
		if i == 2 {
			reason = inspector2.ReasonStopped
		}
		if err := s.service.Cover(s.place(labtest.Member), &r, reason); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.service.Scanned(s.place(labtest.Member), "i-00000000000000001"); err != nil {
		t.Fatal(err)
	}
	client := s.client(labtest.Member)
	active := &types.CoverageFilterCriteria{ScanStatusCode: []types.CoverageStringFilter{{Comparison: "EQUALS", Value: aws.String("ACTIVE")}}}
	var got []string
	pages := sdk.NewListCoveragePaginator(client, &sdk.ListCoverageInput{MaxResults: aws.Int32(3), FilterCriteria: active})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range page.CoveredResources {
			got = append(got, fmt.Sprint(*r.ResourceId, " ", r.ScanType, " ", r.LastScannedAt != nil, " ", *r.ResourceMetadata.Ec2.AmiId))
		}
	}
	want := []string{
		"i-00000000000000000 NETWORK false ami-11111111111111111", "i-00000000000000000 PACKAGE false ami-11111111111111111",
		"i-00000000000000001 NETWORK true ami-11111111111111111", "i-00000000000000001 PACKAGE true ami-11111111111111111",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("coverage (-want +got):\n%s", diff)
	}
	counts, err := client.ListCoverageStatistics(t.Context(), &sdk.ListCoverageStatisticsInput{GroupBy: "SCAN_STATUS_CODE"})
	if err != nil || *counts.TotalCounts != 6 || len(counts.CountsByGroup) != 2 || counts.CountsByGroup[0].Count != 4 {
		t.Errorf("counts %+v, %v", counts, err)
	}
	_, err = client.ListCoverageStatistics(t.Context(), &sdk.ListCoverageStatisticsInput{GroupBy: "COLOUR"})
	wantError(t, err, "ValidationException")
	_, err = client.ListCoverage(t.Context(), &sdk.ListCoverageInput{FilterCriteria: &types.CoverageFilterCriteria{
		ResourceId: []types.CoverageStringFilter{{Comparison: "PREFIX", Value: aws.String("i-")}},
	}})
	wantError(t, err, "ValidationException") // texts of coverage have no prefixes
	if err := s.service.Terminate(s.place(labtest.Member), "i-00000000000000000"); err != nil {
		t.Fatal(err)
	}
	rest, err := client.ListCoverage(t.Context(), &sdk.ListCoverageInput{})
	if err != nil || len(rest.CoveredResources) != 4 {
		t.Errorf("after one was terminated: %+v, %v", rest, err)
	}
}
