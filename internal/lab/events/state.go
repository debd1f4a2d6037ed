package events

import (
	"maps"
	"slices"
	"strings"
	"time"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/wire"
	"example.org/catchment/internal/pattern"
)

// defaultBus is the bus that each account has in each region, and that AWS's services put their events on.
const defaultBus = "default"

// A place is an account in a region. There is none until something is made there.
type place struct {
	buses        map[string]*bus // the default bus too, once something asks for it
	connections  map[string]*connection
	destinations map[string]*destination
	invocations  pace // with Quotas
	puts         pace // requests to PutEvents, with Quotas
}

// A bus is an event bus.
type bus struct {
	at            cloud.Place
	name, arn     string
	description   string
	key           string // of KMS; the lab only remembers it
	deadLetter    *deadLetterConfig
	log           *logConfig
	created       time.Time
	modified      time.Time
	tags          map[string]string
	policy        busPolicy
	visiblePolicy []byte // as deliveries see it; nil: none
	rules         map[string]*rule
	live          map[string]*liveRule // what matches at present
	set           *ruleSet             // of live; nil: is made with the next event
}

// A rule is a rule as the API shows it.
type rule struct {
	name, arn    string
	eventPattern string
	pattern      *pattern.Pattern // nil: it has a schedule only
	wildcard     bool
	schedule     string
	every        time.Duration // of a rate() schedule
	chain        int           // number of the schedule's run
	state        string
	description  string
	role         string
	targets      []*target // by Id
	tags         map[string]string
	metrics      *Metrics
}

// A liveRule is an enabled rule as events meet it. It does not change, but for what metrics points to.
type liveRule struct {
	bus       *bus
	name, arn string
	pattern   *pattern.Pattern
	every     time.Duration
	chain     int
	targets   []*target
	metrics   *Metrics
}

// at gives an account's state in a region. Requires s.mu, like all lookups here.
func (s *Service) at(p cloud.Place) *place {
	here := s.places[p]
	if here == nil {
		here = &place{
			buses: make(map[string]*bus), connections: make(map[string]*connection), destinations: make(map[string]*destination),
		}
		s.places[p] = here
	}
	return here
}

// bus finds a bus by its name; nil: there is none. The default bus is made when it is first asked for.
func (s *Service) bus(p cloud.Place, name string) *bus {
	if name == "" {
		name = defaultBus
	}
	if here := s.places[p]; here != nil && here.buses[name] != nil {
		return here.buses[name]
	}
	if name != defaultBus {
		return nil
	}
	return s.addBus(p, name, s.cloud.Start)
}

func (s *Service) addBus(p cloud.Place, name string, created time.Time) *bus {
	b := &bus{
		at: p, name: name, arn: p.ARN("events", "event-bus/"+name), created: created, modified: created,
		tags: make(map[string]string), rules: make(map[string]*rule), live: make(map[string]*liveRule),
	}
	s.at(p).buses[name] = b
	return b
}

// busName takes a bus's name, or its ARN in this place; ok is false for an ARN of another place.
func busName(p cloud.Place, nameOrARN string) (name string, ok bool) {
	if !strings.HasPrefix(nameOrARN, "arn:") {
		return nameOrARN, true
	}
	a, err := cloud.ParseARN(nameOrARN)
	if err != nil || a.Service != "events" || a.Place() != p {
		return nameOrARN, false
	}
	return strings.CutPrefix(a.Resource, "event-bus/")
}

// findBus finds the bus that a request names.
func (s *Service) findBus(p cloud.Place, nameOrARN string) (*bus, error) {
	name, ok := busName(p, nameOrARN)
	if ok {
		if b := s.bus(p, name); b != nil {
			return b, nil
		}
	}
	return nil, wire.Errorf("ResourceNotFoundException", "Event bus %s does not exist.", clip(name))
}

// findRule finds the rule that a request names.
func (s *Service) findRule(p cloud.Place, nameOrARN, name string) (*bus, *rule, error) {
	b, err := s.findBus(p, nameOrARN)
	if err != nil {
		return nil, nil, err
	}
	r := b.rules[name]
	if r == nil {
		return nil, nil, wire.Errorf("ResourceNotFoundException", "Rule %s does not exist on EventBus %s.", clip(name), b.name)
	}
	return b, r, nil
}

// ruleARN names a rule; rules of the default bus go without the bus.
func (b *bus) ruleARN(name string) string {
	if b.name == defaultBus {
		return b.at.ARN("events", "rule/"+name)
	}
	return b.at.ARN("events", "rule/"+b.name+"/"+name)
}

// publish makes events meet a rule as it is now, after the lag of rules. It is called after each change.
func (s *Service) publish(b *bus, name string) {
	var l *liveRule
	if r := b.rules[name]; r != nil && r.state != stateDisabled {
		l = &liveRule{b, name, r.arn, r.pattern, r.every, r.chain, slices.Clone(r.targets), r.metrics}
	}
	s.lag(s.cloud.Lag.Rules, func() {
		old := b.live[name]
		b.set = nil
		if l == nil {
			delete(b.live, name)
			return
		}
		b.live[name] = l
		if l.every > 0 && (old == nil || old.chain != l.chain) {
			s.tick(l)
		}
	})
}

// sortedRules are the rules of a bus whose names start with a prefix, by name.
func (b *bus) sortedRules(prefix string) []*rule {
	var out []*rule
	for _, name := range slices.Sorted(maps.Keys(b.rules)) {
		if strings.HasPrefix(name, prefix) {
			out = append(out, b.rules[name])
		}
	}
	return out
}

// A pace lets so many through in each second of the lab's time.
type pace struct {
	second time.Time
	used   int
}

// next is when one more is let through, and counts it there.
func (p *pace) next(now time.Time, perSecond int) time.Time {
	if second := now.Truncate(time.Second); second.After(p.second) {
		*p = pace{second, 0}
	}
	if p.used >= perSecond {
		*p = pace{p.second.Add(time.Second), 0}
	}
	p.used++
	if p.second.After(now) {
		return p.second
	}
	return now
}

// take tells whether one more is let through now.
func (p *pace) take(now time.Time, perSecond int) bool {
	if second := now.Truncate(time.Second); second.After(p.second) {
		*p = pace{second, 0}
	}
	p.used++
	return p.used <= perSecond
}
