package inspector2_test

import (
	"slices"
	"testing"

	sdk "github.com/aws/aws-sdk-go-v2/service/inspector2"
	"github.com/go-json-experiment/json"

	"example.org/catchment/internal/lab/inspector2"
	"example.org/catchment/internal/lab/labtest"
)

// members gives the paths of all members of a value, those of the elements of an array as one.
func members(path string, v any) []string {
	var out []string
	switch v := v.(type) {
	case map[string]any:
		for k, inner := range v {
			out = append(append(out, path+"."+k), members(path+"."+k, inner)...)
		}
	case []any:
		for _, inner := range v {
			out = append(out, members(path, inner)...)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func TestAListLooksLikeTheSample(t *testing.T) {
	want := sample(t, "inspector2-list-findings.json")
	s := newStage(t)
	s.activate(t)
	f := packageFinding("an image", "CVE-2021-3744")
	f.Package.VendorCreatedAt, f.Package.VendorUpdatedAt = at(t, "2024-02-02T16:30:33Z"), at(t, "2024-02-03T16:30:33Z")
	f.Package.SourceURL = "https://security-tracker.debian.org/tracker/CVE-2021-3744"
	f.Package.CVSS = []inspector2.CVSS{{BaseScore: 5.5, Vector: f.ScoreDetails.Adjusted.Vector, Source: "NVD", Version: "3.1"}}
	f.ScoreDetails.Adjusted.Adjustments = []inspector2.Adjustment{}
	f.Package.Packages[0].Release, f.Package.Packages[0].FixedInVersion, f.Package.Packages[0].Remediation = "1", "2", "apt-get upgrade"
	f.Package.Packages[0].LayerHash = "sha256:01"
	f.Resources[0] = inspector2.Resource{
		ID: "arn:aws:ecr:ap-northeast-1:222222222222:repository/r/sha256:02", Type: inspector2.Image, Partition: "aws", Region: labtest.Region, Tags: map[string]string{"Name": "r"},
		Details: inspector2.Details{Image: &inspector2.ImageDetails{
			Registry: "222222222222", Repository: "r", Architecture: "amd64", Author: "a", Hash: "sha256:02", Tags: []string{"t"}, PushedAt: at(t, "2024-02-01T16:30:33Z"), Platform: "DEBIAN_11",
		}},
	}
	s.report(t, labtest.Member, f)
	var body string
	if _, err := s.client(labtest.Member).ListFindings(t.Context(), &sdk.ListFindingsInput{}, func(o *sdk.Options) {
		o.HTTPClient = spy{func(b string) { body = b }}
	}); err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatal(err)
	}
	have := members("", got["findings"])
	for _, m := range members("", want["findings"]) {
		if !slices.Contains(have, m) {
			t.Errorf("%s is not in the lab's list", m)
		}
	}
}
