package securityhub

import (
	"fmt"
	"slices"

	"github.com/go-json-experiment/json/jsontext"

	"example.org/catchment/internal/lab/cloud"
)

// source is that of the service's events.
const source = "aws.securityhub"

// importedDetail is the detail of an event about a finding.
func importedDetail(finding jsontext.Value) jsontext.Value {
	const before, after = `{"findings":[`, `]}`
	out := make(jsontext.Value, 0, len(before)+len(finding)+len(after))
	return append(append(append(out, before...), finding...), after...)
}

// announce emits the event of a finding that was created or changed, on each bus that gets it. Requires mu.
// https://docs.aws.amazon.com/securityhub/latest/userguide/securityhub-cwe-integration-types.html
func (s *Service) announce(r *record) error {
	event := cloud.Event{
		Source: source, DetailType: "Security Hub Findings - Imported", Resources: []string{r.key.product + "/" + r.key.id},
		Detail: importedDetail(r.current().raw),
	}
	for _, p := range s.buses(r.hub.place) {
		if _, err := s.cloud.Emit(p, event); err != nil {
			return fmt.Errorf("finding %s: %w", r.key.id, err)
		}
	}
	return nil
}

// buses are the places whose default bus gets the events of a place's findings: its own, its administrator's, and both
// in the home region of the aggregator that links this one. Requires mu.
func (s *Service) buses(p cloud.Place) []cloud.Place {
	owner := s.owner(p)
	places := []cloud.Place{p}
	add := func(account, region string) {
		at := cloud.Place{Partition: p.Partition, Account: account, Region: region}
		if s.on(at) && !slices.Contains(places, at) {
			places = append(places, at)
		}
	}
	add(owner, p.Region)
	if a := s.aggregators[owner]; a != nil && a.links(p.Region) && s.on(cloud.Place{Partition: p.Partition, Account: owner, Region: p.Region}) {
		add(p.Account, a.home)
		add(owner, a.home)
	}
	return places
}
