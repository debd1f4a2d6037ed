package events

import (
	"bytes"
	"fmt"
	"maps"
	"slices"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/pattern"
	"example.org/catchment/internal/scan"
)

// A ruleSet matches all rules of a bus in one reading of an event. It is made anew when the rules change.
type ruleSet struct {
	paths           *scan.Paths
	root            int32
	account, region int32 // paths
	rules           []*liveRule
	matcher         *pattern.Matcher
	doc             scan.Document
	matched         []int
	text            []byte
}

func newRuleSet(live map[string]*liveRule) *ruleSet {
	rs := &ruleSet{paths: scan.NewPaths()}
	add := func(keys ...string) int32 { return int32(rs.paths.Add(keys...)) } //nolint:gosec // few paths
	rs.root, rs.account, rs.region = add(), add("account"), add("region")
	var patterns []*pattern.Pattern
	for _, name := range slices.Sorted(maps.Keys(live)) {
		if l := live[name]; l.pattern != nil {
			rs.rules = append(rs.rules, l)
			patterns = append(patterns, l.pattern)
		}
	}
	rs.matcher = pattern.NewSet(rs.paths, patterns...).NewMatcher()
	return rs
}

// match tells which rules an event matches, and whether it is of another place than here.
func (rs *ruleSet) match(body []byte, here cloud.Place) (matched []int, foreign bool, err error) {
	n, err := rs.doc.Scan(body, rs.paths)
	if err == nil && len(bytes.TrimSpace(body[n:])) > 0 {
		err = fmt.Errorf("more than one JSON value")
	}
	if err == nil && (len(rs.doc.Hits) == 0 || rs.doc.Hits[0].Path != rs.root || rs.doc.Hits[0].Kind != scan.Object) {
		err = fmt.Errorf("no JSON object")
	}
	if err != nil {
		return nil, false, fmt.Errorf("read the event: %w", err)
	}
	for i := range rs.doc.Hits {
		switch h := &rs.doc.Hits[i]; {
		case h.Kind != scan.String:
		case h.Path == rs.account:
			foreign = foreign || string(rs.doc.Text(*h, rs.text[:0])) != here.Account
		case h.Path == rs.region:
			foreign = foreign || string(rs.doc.Text(*h, rs.text[:0])) != here.Region
		}
	}
	rs.matcher.Load(&rs.doc)
	rs.matched = rs.matcher.MatchAll(rs.matched[:0])
	return rs.matched, foreign, nil
}

// take matches an event that a bus received, and sends it to the targets of the rules that it matches. Requires s.mu.
func (s *Service) take(b *bus, body []byte, hopped bool) error {
	if b.set == nil {
		b.set = newRuleSet(b.live)
	}
	if len(b.set.rules) == 0 {
		return nil
	}
	matched, foreign, err := b.set.match(body, b.at)
	if err != nil || len(matched) == 0 {
		return err
	}
	e := event{body: bytes.Clone(body), hopped: hopped || foreign, at: s.now()}
	for _, i := range matched {
		s.trigger(b.set.rules[i], e)
	}
	return nil
}

// trigger sends an event to the targets of a rule. Requires s.mu.
func (s *Service) trigger(l *liveRule, e event) {
	l.metrics.MatchedEvents++
	for _, t := range l.targets {
		if e.hopped && t.action() == actionPutEvents {
			l.metrics.NotForwarded++
			continue
		}
		l.metrics.Invocations++
		s.send(&invocation{rule: l, target: t, body: t.body.body(l, &e), first: e.at})
	}
}
