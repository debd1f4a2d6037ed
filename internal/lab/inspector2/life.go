package inspector2

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/wire"
)

// ErrNotEnabled says that Inspector is not enabled for what has the finding: nobody would have found it.
var ErrNotEnabled = errors.New("inspector is not enabled for this type of resources")

// An identity tells findings apart: what it is about and which resource has it.
type identity [16]byte

// A record is a finding over time.
type record struct {
	what      identity
	arn       string
	versions  []*Finding // at least one, oldest first; older ones are kept only as long as Lag shows them
	closedAt  time.Time
	gone      bool // the resource no longer exists
	published bool
}

func (r *record) current() *Finding { return r.versions[len(r.versions)-1] }

// shown is what the API shows at a time, nil while it shows nothing yet.
func (r *record) shown(now time.Time, lag time.Duration) *Finding {
	for _, f := range slices.Backward(r.versions) {
		if !f.UpdatedAt.After(now.Add(-lag)) || lag == 0 {
			return f
		}
	}
	return nil
}

// put adds a version.
func (r *record) put(f *Finding, now time.Time, lag time.Duration) {
	keep := r.versions
	for len(keep) > 1 && !keep[1].UpdatedAt.After(now.Add(-lag)) {
		keep = keep[1:]
	}
	if lag == 0 {
		keep = nil
	}
	r.versions = append(slices.Clone(keep), f)
}

// expired tells whether a closed finding is no longer kept.
func (r *record) expired(now time.Time) bool {
	if r.closedAt.IsZero() {
		return false
	}
	if r.gone {
		return now.Sub(r.closedAt) >= keepGone
	}
	return now.Sub(r.closedAt) >= keepClosed
}

func identify(f *Finding) identity {
	parts := []string{f.Type, f.Resources[0].ID}
	switch {
	case f.Package != nil:
		parts = append(parts, f.Package.ID)
	case f.Network != nil:
		parts = append(parts, f.Network.Protocol, strconv.Itoa(f.Network.Ports.Begin), strconv.Itoa(f.Network.Ports.End))
	case f.Code != nil:
		parts = append(parts, f.Code.DetectorID, f.Code.File.Path, strconv.Itoa(f.Code.File.StartLine))
	}
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return identity(sum[:16])
}

// name gives the ARN of a finding that was first seen at a time.
func (s *Service) name(p cloud.Place, id identity, first time.Time) string {
	text := fmt.Sprintf("%d/%s/%s/%x/%d", s.cloud.Seed, p.Account, p.Region, id, first.UnixMilli())
	sum := sha256.Sum256([]byte(text))
	return p.ARN("inspector2", "finding/"+hex.EncodeToString(sum[:16]))
}

func (c *cell) find(arn string) (int, bool) {
	return slices.BinarySearchFunc(c.order, arn, func(r *record, arn string) int { return cmp.Compare(r.arn, arn) })
}

// sweep deletes what is no longer kept, now and then.
func (c *cell) sweep(now time.Time) {
	if now.Sub(c.swept) < sweepEvery {
		return
	}
	c.swept = now
	c.drop(func(r *record) bool { return r.expired(now) })
}

// forget deletes the findings of a type of resources that is no longer scanned, and its coverage.
func (c *cell) forget(kind string) {
	c.drop(func(r *record) bool { return r.current().kind() == kind })
	for id, cov := range c.covered {
		if cov.kind() == kind {
			delete(c.covered, id)
		}
	}
}

func (c *cell) drop(gone func(*record) bool) {
	c.order = slices.DeleteFunc(c.order, func(r *record) bool {
		if !gone(r) {
			return false
		}
		if c.newest[r.what] == r {
			delete(c.newest, r.what)
		}
		return true
	})
}

// Report tells what a scan found: a finding that is new, seen again, changed, or (Status CLOSED) gone. The times, ARN,
// AccountID and the Status SUPPRESSED are set here; the rest is kept as it is given. What is closed and seen again within
// 7 days is the same finding, with the same ARN. Report gives the ARN, which is empty where there was nothing to close;
// ErrNotEnabled where nothing is scanned.
func (s *Service) Report(p cloud.Place, f *Finding) (string, error) {
	if err := check(f); err != nil {
		return "", fmt.Errorf("finding %q: %w", f.Title, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.cells[p]
	if c == nil || c.statusOf(f.kind()) != enabled {
		return "", ErrNotEnabled
	}
	now := s.now()
	c.sweep(now)
	r := c.newest[identify(f)]
	if f.Status == Closed {
		if r == nil || r.current().Status == Closed {
			return "", nil
		}
		return r.arn, s.close(c, r, f)
	}
	if r != nil && !r.closedAt.IsZero() && (now.Sub(r.closedAt) > reopen || r.expired(now)) {
		r = nil
	}
	if r == nil {
		r = s.begun(c, f, now)
	}
	next := *f
	next.Status = Active
	if s.suppressed(c.place, s.complete(c, r, &next)) {
		next.Status = Suppressed
	}
	r.closedAt, r.gone = time.Time{}, false
	return r.arn, s.replace(c, r, &next)
}

// begun makes the record of a finding that is new. Requires mu.
func (s *Service) begun(c *cell, f *Finding, now time.Time) *record {
	id := identify(f)
	r := &record{what: id, arn: s.name(c.place, id, now)}
	i, exists := c.find(r.arn)
	if exists {
		return c.order[i] // closed and reported again in the same millisecond, after its time
	}
	c.order = slices.Insert(c.order, i, r)
	c.newest[id] = r
	return r
}

// complete sets what the service knows of the next version of a record.
func (s *Service) complete(c *cell, r *record, next *Finding) *Finding {
	now := s.now()
	next.ARN, next.AccountID = r.arn, c.place.Account
	next.FirstObservedAt, next.LastObservedAt = wire.Epoch{Time: now}, wire.Epoch{Time: now}
	if len(r.versions) > 0 {
		before := r.current()
		next.FirstObservedAt = before.FirstObservedAt
		if !now.After(before.UpdatedAt.Time) {
			now = before.UpdatedAt.Add(time.Millisecond) // each version has a time of its own
		}
	}
	next.UpdatedAt = wire.Epoch{Time: now}
	return next
}

// replace makes a version the present one, and tells about it unless it is suppressed. Requires mu.
func (s *Service) replace(c *cell, r *record, next *Finding) error {
	r.put(next, s.now(), s.cloud.Lag.Findings)
	if next.Status == Suppressed || next.Status == Closed && !r.published {
		return nil
	}
	r.published = true
	if err := s.emitFinding(c.place, next); err != nil {
		return err
	}
	return s.publish(c.place, next)
}

// close closes a record; f, where not nil, holds what is known of it at the end. Requires mu.
func (s *Service) close(c *cell, r *record, f *Finding) error {
	before := r.current()
	next := *before
	if f != nil {
		next = *f
	}
	s.complete(c, r, &next)
	next.LastObservedAt, next.Status = before.LastObservedAt, Closed
	r.closedAt = s.now()
	return s.replace(c, r, &next)
}

// Terminate closes the findings of a resource that no longer exists. They are deleted after 3 days.
func (s *Service) Terminate(p cloud.Place, resource string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.cells[p]
	if c == nil {
		return nil
	}
	for _, r := range c.order {
		if r.current().Resources[0].ID != resource {
			continue
		}
		r.gone = true
		if r.current().Status != Closed {
			if err := s.close(c, r, nil); err != nil {
				return err
			}
		}
	}
	if cov := c.covered[resource]; cov != nil {
		delete(c.covered, resource)
		cov.reason = "RESOURCE_TERMINATED"
		return s.emitCoverage(p, cov)
	}
	return nil
}

// check tells what is wrong with a finding that is reported. The bounds are those of the API.
func check(f *Finding) error {
	switch {
	case len(f.Resources) < 1 || len(f.Resources) > 10:
		return fmt.Errorf("%d resources: expected 1 to 10", len(f.Resources))
	case f.Resources[0].ID == "" || f.Resources[0].Type == "":
		return errors.New("the resource has no id or type")
	case f.Type == PackageFinding && f.Package == nil, f.Type == NetworkFinding && f.Network == nil, f.Type == CodeFinding && f.Code == nil:
		return fmt.Errorf("a finding of type %s has no details of it", f.Type)
	case f.Network != nil && (len(f.Network.Path.Steps) < 1 || len(f.Network.Path.Steps) > 30):
		return fmt.Errorf("%d steps: expected 1 to 30", len(f.Network.Path.Steps))
	case f.Remediation == nil:
		return errors.New("the remediation is missing")
	}
	if f.EPSS != nil && (f.EPSS.Score < 0 || f.EPSS.Score > 1) {
		return fmt.Errorf("EPSS score %v: expected 0 to 1", f.EPSS.Score)
	}
	return errors.Join(
		checkLength("title", f.Title, 1, 1024), checkLength("description", f.Description, 1, 1024),
		oneOf("type", f.Type, PackageFinding, NetworkFinding, CodeFinding),
		oneOf("severity", f.Severity, "INFORMATIONAL", "LOW", "MEDIUM", "HIGH", "CRITICAL", "UNTRIAGED"),
		oneOf("status", f.Status, Active, Closed),
	)
}
