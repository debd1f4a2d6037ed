package inspector_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/inspector"

	"example.org/catchment/internal/lab/cloud"
	labinspector "example.org/catchment/internal/lab/inspector"
	"example.org/catchment/internal/lab/labtest"
)

// The table of https://docs.aws.amazon.com/inspector/v1/userguide/inspector_rules-arns.html: region, AWS's account there,
// and the packages of CVE, CIS, Network Reachability and Security Best Practices; a hyphen: not there.
const documentedPackages = `
us-east-2 646659390643 0-JnA8Zp85 0-m8r61nnh 0-cE4kTR30 0-AxKmMHPX
us-east-1 316112463485 0-gEjTy7T7 0-rExsr2X8 0-PmNV0Tcd 0-R01qwB5Q
us-west-1 166987590008 0-TKgzoVOa 0-xUY8iRqX 0-TxmXimXF 0-byoQRFYm
us-west-2 758058086616 0-9hgA516p 0-H5hpSawc 0-rD1z6dpl 0-JJOtZiqQ
ap-south-1 162588757376 0-LqnJE9dO 0-PSUlX14m 0-YxKfjFu1 0-fs0IZZBj
ap-northeast-2 526946625049 0-PoGHMznc 0-T9srhg1z 0-s3OmLzhL 0-2WRpmi4n
ap-southeast-2 454640832652 0-D5TGAxiR 0-Vkd2Vxjq 0-FLcuV4Gz 0-asL6HRgN
ap-northeast-1 406045910587 0-gHP9oWNT 0-7WNjqgGu 0-YI95DVd7 0-bBUQnxMq
eu-central-1 537503971621 0-wNqHa8M9 0-nZrAVuv8 0-6yunpJ91 0-ZujVHEPB
eu-west-1 357557129151 0-ubA5XvBh 0-sJBhCr0F 0-SPzU33xe 0-SnojL3Z6
eu-west-2 146838936955 0-kZGCqcE1 0-IeCjwf1W 0-AizSYyNq 0-XApUiSaP
eu-north-1 453420244670 0-IgdgIewd 0-Yn8jlX7f 0-52Sn74uu 0-HfBQSbSf
us-gov-east-1 206278770380 0-3IFKFuOb 0-pTLCdIww - 0-vlgEGcVD
us-gov-west-1 850862329162 0-4oQgcI4G 0-Ac4CFOuc - 0-rOTGqe5G
`

func TestRulesPackagesAreThoseOfTheDocumentedTable(t *testing.T) {
	names := []string{labinspector.NameCVE, labinspector.NameCIS, labinspector.NameReachability, labinspector.NamePractices}
	for line := range strings.Lines(strings.TrimSpace(documentedPackages)) {
		f := strings.Fields(line)
		partition := "aws"
		if strings.HasPrefix(f[0], "us-gov-") {
			partition = cloud.PartitionGov
		}
		var want, got []string
		for i, id := range f[2:] {
			if id != "-" {
				want = append(want, "arn:"+partition+":inspector:"+f[0]+":"+f[1]+":rulespackage/"+id+" "+names[i])
			}
		}
		for _, p := range labinspector.RulesPackages(partition, f[0]) {
			got = append(got, p.ARN+" "+p.Name)
		}
		if strings.Join(got, ",") != strings.Join(want, ",") {
			t.Errorf("%s: got %q, want %q", f[0], got, want)
		}
	}
}

func TestRunsComeInPagesAndAreDescribedOneByOne(t *testing.T) {
	l := newLab(t)
	template := l.template(t, "web", cve)
	for range 3 {
		l.finished(t, template)
	}
	var got []string
	in := &inspector.ListAssessmentRunsInput{MaxResults: aws.Int32(2)}
	for pages := 1; ; pages++ {
		out, err := l.ListAssessmentRuns(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, out.AssessmentRunArns...)
		if in.NextToken = out.NextToken; in.NextToken == nil {
			if pages != 2 || len(got) != 3 {
				t.Errorf("got %d runs on %d pages", len(got), pages)
			}
			break
		}
		if len(*in.NextToken) > 300 {
			t.Errorf("a token of %d characters", len(*in.NextToken))
		}
	}
	foreign := strings.ReplaceAll(got[0], labtest.Administrator, labtest.Member)
	out, err := l.DescribeAssessmentRuns(t.Context(), &inspector.DescribeAssessmentRunsInput{AssessmentRunArns: []string{got[0], got[1], got[1], foreign}})
	if err != nil || len(out.AssessmentRuns) != 1 || out.FailedItems[got[1]].FailureCode != "DUPLICATE_ARN" || out.FailedItems[foreign].FailureCode != "ACCESS_DENIED" {
		t.Errorf("got %+v, %v", out, err)
	}
}
