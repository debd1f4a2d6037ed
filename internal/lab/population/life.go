package population

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/inspector2"
)

// live makes happen what is due in a cell, and comes again when the next moment is. It is a task of the clock.
func (p *Population) live(place cloud.Place) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.cells[place]
	if c == nil {
		c = p.settle(place)
		p.cells[place] = c
		p.first(c)
	}
	for {
		m, due := p.pop(c)
		if !due {
			break
		}
		p.keep(p.happen(c, m))
	}
	if len(c.next) > 0 {
		at := p.from.Add(time.Duration(c.next[0].at) * time.Millisecond)
		p.cloud.Clock.At(at, func(context.Context) { p.live(place) })
	}
}

// keep is fail for those who hold mu.
func (p *Population) keep(err error) {
	if p.err == nil && err != nil {
		p.err = fmt.Errorf("population: %w", err)
	}
}

// settle makes a cell with its first assets, in which nothing happens yet.
func (p *Population) settle(place cloud.Place) *cell {
	c := &cell{place: place, numbers: p.numbers(place)}
	for slot := range c.numbers.hosts + c.numbers.images + c.numbers.functions {
		c.assets = append(c.assets, p.asset(place, c.numbers, slot, 0, p.from))
	}
	return c
}

// first makes the first moments of a cell: all that it has is found within some minutes.
func (p *Population) first(c *cell) {
	d := p.throw("first", c.place.Account, c.place.Region)
	for slot := range c.assets {
		p.push(c, moment{what: launches, slot: int32(slot)}, d.wait(time.Minute))
	}
	for slot := range c.numbers.noise {
		p.push(c, moment{what: noises, slot: int32(slot)}, d.wait(p.Rates.Settle))
	}
}

// happen requires that mu is held.
func (p *Population) happen(c *cell, m moment) error {
	var a *asset
	if m.what != noises {
		if a = c.assets[m.slot]; a.generation != int(m.generation) {
			return nil // of an asset that is gone
		}
	}
	switch m.what {
	case launches:
		return p.launch(c, m, a)
	case scanned:
		return p.scan(c, m, a)
	case looked:
		return p.look(c, m, a)
	case ends:
		return p.end(c, m, a)
	case noises:
		return p.noise(c, m)
	}
	return nil
}

// ignore passes over that nobody scans here: life goes on.
func ignore(err error) error {
	if err == inspector2.ErrNotEnabled { //nolint:errorlint // it is returned as it is
		return nil
	}
	return err
}

func (p *Population) launch(c *cell, m moment, a *asset) error {
	d := p.throw("launch", c.place.Account, c.place.Region, m.slot, m.generation)
	m.what = scanned
	p.push(c, m, 2*time.Minute+d.wait(5*time.Minute))
	m.what = ends
	p.push(c, m, a.dies.Sub(p.cloud.Clock.Now()))
	return ignore(p.scanner.Cover(c.place, &a.resource, a.reason(inspector2.ReasonPending)))
}

// reason is the state of an asset's coverage, which is always the same for one that cannot be scanned.
func (a *asset) reason(otherwise string) string {
	if a.unmanaged {
		return inspector2.ReasonUnmanaged
	}
	return otherwise
}

// scan opens the findings that are there from the first, and lets the others wait.
func (p *Population) scan(c *cell, m moment, a *asset) error {
	for _, issue := range p.issues(c.place, a) {
		next := moment{what: looked, slot: m.slot, generation: m.generation, issue: issue}
		d := p.throw("late", c.place.Account, c.place.Region, m.slot, m.generation, issue)
		if d.chance(p.Rates.Late) {
			p.push(c, next, time.Duration(d.share()*float64(p.until.Sub(p.cloud.Clock.Now()))))
			continue
		}
		if err := p.look(c, next, a); err != nil {
			return err
		}
	}
	if err := ignore(p.scanner.Cover(c.place, &a.resource, a.reason(inspector2.ReasonSuccessful))); err != nil {
		return err
	}
	return ignore(p.scanner.Scanned(c.place, a.resource.ID))
}

// look is a finding's moment: it opens or comes back, is fixed, has news, or is seen again as it was.
func (p *Population) look(c *cell, m moment, a *asset) error {
	d := p.throw("look", c.place.Account, c.place.Region, m.slot, m.generation, m.issue, m.step)
	status := inspector2.Active
	away := time.Minute + d.wait(p.Rates.Scan)
	switch {
	case !m.state.open:
		m.state.open = true
	case d.chance(min(float64(p.Rates.Scan)/float64(p.Rates.Fix), 0.9)):
		m.state.open = false
		status = inspector2.Closed
		away = time.Hour + time.Duration(d.share()*float64(6*24*time.Hour))
	case d.chance(p.Rates.Change):
		p.news(&m, d)
	}
	m.step++
	if m.state.open || d.chance(p.Rates.Reopen) {
		p.push(c, m, away)
	}
	f := p.finding(c.place, a, m.issue, m.state)
	f.Status = status
	_, err := p.scanner.Report(c.place, f)
	return ignore(err)
}

// news changes what is known of a finding.
func (p *Population) news(m *moment, d *dice) {
	switch x := d.below(4); {
	case x == 0 && !m.state.fix:
		m.state.fix = true
	case x == 1 && !m.state.exploit:
		m.state.exploit = true
	case x == 2 && m.state.worse < 3:
		m.state.worse++
	case m.state.likely < 20:
		m.state.likely++
	}
}

// end takes an asset away; another one follows in its slot, mostly at once.
func (p *Population) end(c *cell, m moment, a *asset) error {
	d := p.throw("end", c.place.Account, c.place.Region, m.slot, m.generation)
	away := time.Minute + d.wait(2*time.Minute)
	if d.chance(0.2) {
		away = d.wait(5 * 24 * time.Hour)
	}
	next := m.generation + 1
	c.assets[m.slot] = p.asset(c.place, c.numbers, int(m.slot), int(next), p.cloud.Clock.Now().UTC().Add(away).Truncate(time.Second))
	p.push(c, moment{what: launches, slot: m.slot, generation: next}, away)
	return ignore(p.scanner.Terminate(c.place, a.resource.ID))
}

// open lists the moments of a cell's findings that are open, in an order that does not depend on the heap's.
func (c *cell) open() []moment {
	var out []moment
	for _, m := range c.next {
		if m.what == looked && m.state.open && c.assets[m.slot].generation == int(m.generation) {
			out = append(out, m)
		}
	}
	slices.SortFunc(out, func(a, b moment) int { return cmp.Or(cmp.Compare(a.slot, b.slot), cmp.Compare(a.issue, b.issue)) })
	return out
}

// rescan reports what is open in a cell: Inspector was enabled just now.
func (p *Population) rescan(place cloud.Place) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.cells[place]
	if c == nil {
		return
	}
	now := p.cloud.Clock.Now()
	for _, a := range c.assets {
		if !a.born.After(now) {
			p.keep(ignore(p.scanner.Cover(place, &a.resource, a.reason(inspector2.ReasonSuccessful))))
		}
	}
	for _, m := range c.open() {
		f := p.finding(place, c.assets[m.slot], m.issue, m.state)
		f.Status = inspector2.Active
		_, err := p.scanner.Report(place, f)
		p.keep(ignore(err))
	}
}

// hidden is the vulnerability that the administrator suppresses for a while.
const hidden = "CVE-2016-2781"

// hide makes the administrator suppress a vulnerability in the second and third quarter of the span.
func (p *Population) hide() {
	for _, region := range p.Regions {
		place := p.cloud.Accounts.Place(p.Org.Administrator, region)
		p.cloud.Clock.At(p.from.Add(p.Span/4), func(context.Context) {
			arn, err := p.scanner.Suppress(place, "accepted-risk", []byte(`{"vulnerabilityId":[{"comparison":"EQUALS","value":"`+hidden+`"}]}`))
			if err != nil {
				p.fail(err)
				return
			}
			p.cloud.Clock.At(p.from.Add(p.Span/4*3), func(context.Context) { p.fail(p.scanner.Unsuppress(place, arn)) })
		})
	}
}
