package template_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.org/catchment/internal/template"
)

func TestTheAggregatorLinksTheOtherRegions(t *testing.T) {
	got, err := template.Aggregator([]string{"us-east-1", "eu-west-1"})
	want := `AWSTemplateFormatVersion: '2010-09-09'

Description: 'catchment: findings of all regions in this one'

Resources:
  Aggregator:
    Type: AWS::SecurityHub::FindingAggregator
    Properties:
      RegionLinkingMode: SPECIFIED_REGIONS
      Regions:
        - us-east-1
        - eu-west-1
`
	if diff := cmp.Diff(want, string(got)); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
	for _, linked := range [][]string{nil, make([]string, 51)} {
		if _, err := template.Aggregator(linked); err == nil {
			t.Errorf("%d regions were taken", len(linked))
		}
	}
}
