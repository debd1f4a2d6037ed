package finding

import (
	"regexp"
	"testing"
)

var (
	accountForm = regexp.MustCompile(`\A[0-9]{12}\z`)
	regionForm  = regexp.MustCompile(`\A[a-z]{2,}(-[a-z]+)+-[0-9]{1,2}\z`)
)

func TestIsRegion(t *testing.T) {
	for _, region := range []string{
		"us-east-1", "ap-northeast-1", "ap-southeast-7", "me-central-1", "il-central-1", "mx-central-1", "ca-west-1", "cn-north-1", "cn-northwest-1",
		"us-gov-west-1", "us-gov-east-1", "eusc-de-east-1", "us-iso-east-1", "us-isob-east-1", "us-isof-south-1", "eu-isoe-west-1", "us-east-12",
	} {
		if !isRegion([]byte(region)) {
			t.Errorf("%s is refused", region)
		}
	}
	for _, region := range []string{"", "eastus", "N/A", "global", "us-east", "us-east-", "us-east-123", "us--1", "-east-1", "u-east-1", "US-EAST-1", "us-east-1\n", "us-east-1/..", "us_east_1", "us-east-１", "aws-global"} {
		if isRegion([]byte(region)) {
			t.Errorf("%q is accepted", region)
		}
	}
}

// FuzzPlaces holds the checks against the forms written down as regular expressions.
func FuzzPlaces(f *testing.F) {
	for _, seed := range []string{"us-east-1", "111122223333", "us-gov-west-1", "eusc-de-east-1", "a-b-1", "us--1", "-1", "us-east-001", "11112222333", "us-east-1\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		if got, want := isRegion(in), len(in) <= 32 && regionForm.Match(in); got != want {
			t.Errorf("isRegion(%q) = %v", in, got)
		}
		if got, want := isAccount(in), accountForm.Match(in); got != want {
			t.Errorf("isAccount(%q) = %v", in, got)
		}
	})
}
