package population

import (
	"errors"
	"fmt"
	"time"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/inspector2"
)

// maxBurst is the most findings of one Burst.
const maxBurst = 1_000_000

// firstBurst is the slot from which hosts of bursts are counted.
const firstBurst = 1_000_000

// ErrNotStarted says that a population was not started yet.
var ErrNotStarted = errors.New("the population is not started yet")

// Burst makes n new findings in a cell now, on hosts of their own. They stay open. It gives how many it made; where
// Inspector is not enabled, that is none and the error is inspector2.ErrNotEnabled.
func (p *Population) Burst(place cloud.Place, n int) (int, error) {
	if n < 0 || n > maxBurst {
		return 0, fmt.Errorf("population: burst of %d findings: expected 0 to %d", n, maxBurst)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.scanner == nil {
		return 0, ErrNotStarted
	}
	var a *asset
	for made := range n {
		k := p.burst[place]
		host, issue := k/len(catalogue), k%len(catalogue)
		if a == nil || issue == 0 {
			a = p.burstHost(place, host)
			if err := p.scanner.Cover(place, &a.resource, inspector2.ReasonSuccessful); err != nil {
				return made, fmt.Errorf("population: burst in %s %s: %w", place.Account, place.Region, err)
			}
		}
		f := p.finding(place, a, issue, findingState{open: true})
		if _, err := p.scanner.Report(place, f); err != nil {
			return made, fmt.Errorf("population: burst in %s %s: %w", place.Account, place.Region, err)
		}
		p.burst[place]++
	}
	return n, nil
}

// burstHost is a host that has everything.
func (p *Population) burstHost(place cloud.Place, k int) *asset {
	slot := firstBurst + k
	d := p.throw("burst", place.Account, place.Region, slot)
	a := &asset{slot: slot, born: p.cloud.Clock.Now().UTC().Truncate(time.Second)}
	a.resource = inspector2.Resource{Partition: place.Partition, Region: place.Region, Tags: p.tags(d, place.Account)}
	p.host(place, a, d)
	return a
}
