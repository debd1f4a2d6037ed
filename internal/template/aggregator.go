package template

import "errors"

// Aggregator is the template for the administrator's account in the home region of topology aggregated: findings of the
// linked regions come to it. linked are the other regions: 1 to 50.
// https://docs.aws.amazon.com/securityhub/latest/userguide/finding-aggregation.html
func Aggregator(linked []string) ([]byte, error) {
	if len(linked) == 0 || len(linked) > 50 {
		return nil, errors.New("aggregator: expected 1 to 50 linked regions")
	}
	var regions []any
	for _, r := range linked {
		regions = append(regions, r)
	}
	return assemble("catchment: findings of all regions in this one", nil, nil, object(
		"Aggregator", object("Type", "AWS::SecurityHub::FindingAggregator", "Properties", object(
			"RegionLinkingMode", "SPECIFIED_REGIONS", "Regions", regions,
		)),
	), nil)
}
