package s3

import (
	"context"
	"encoding/xml"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// A lifecycle is what a bucket's rules say.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketLifecycleConfiguration.html
type lifecycle struct {
	XMLName xml.Name        `xml:"LifecycleConfiguration"`
	Rules   []lifecycleRule `xml:"Rule"`
	least   string          // x-amz-transition-default-minimum-object-size
}

type lifecycleRule struct {
	XMLName                        xml.Name         `xml:"Rule"`
	ID                             string           `xml:",omitempty"`
	Prefix                         *string          `xml:",omitempty"` // of old; Filter has another
	Filter                         *lifecycleFilter `xml:",omitempty"`
	Status                         string
	Expiration                     *expiration            `xml:",omitempty"`
	NoncurrentVersionExpiration    *noncurrentExpiration  `xml:",omitempty"`
	AbortIncompleteMultipartUpload *abortUploads          `xml:",omitempty"`
	Transition                     []transition           `xml:",omitempty"`
	NoncurrentVersionTransition    []noncurrentTransition `xml:",omitempty"`
}

type lifecycleFilter struct {
	Prefix                *string    `xml:",omitempty"`
	Tag                   *tag       `xml:",omitempty"`
	ObjectSizeGreaterThan *int64     `xml:",omitempty"`
	ObjectSizeLessThan    *int64     `xml:",omitempty"`
	And                   *filterAnd `xml:",omitempty"`
}

type filterAnd struct {
	Prefix                *string `xml:",omitempty"`
	Tag                   []tag   `xml:",omitempty"`
	ObjectSizeGreaterThan *int64  `xml:",omitempty"`
	ObjectSizeLessThan    *int64  `xml:",omitempty"`
}

type expiration struct {
	Date                      string `xml:",omitempty"`
	Days                      *int   `xml:",omitempty"`
	ExpiredObjectDeleteMarker *bool  `xml:",omitempty"`
}

type noncurrentExpiration struct {
	NoncurrentDays          *int `xml:",omitempty"`
	NewerNoncurrentVersions int  `xml:",omitempty"`
}

type abortUploads struct{ DaysAfterInitiation int }

type transition struct {
	Date         string `xml:",omitempty"`
	Days         *int   `xml:",omitempty"`
	StorageClass string
}

type noncurrentTransition struct {
	NoncurrentDays          *int `xml:",omitempty"`
	NewerNoncurrentVersions int  `xml:",omitempty"`
	StorageClass            string
}

// Limits of lifecycle rules.
const (
	maxRules  = 1000
	maxRuleID = 255
)

func (l *lifecycle) check() error {
	if len(l.Rules) == 0 || len(l.Rules) > maxRules {
		return malformedXML()
	}
	seen := make(map[string]bool)
	for i := range l.Rules {
		rule := &l.Rules[i]
		switch {
		case len(rule.ID) > maxRuleID:
			return invalidArgument("ID", rule.ID[:maxRuleID], "ID length should not exceed allowed limit of %d", maxRuleID)
		case rule.ID != "" && seen[rule.ID]:
			return invalidArgument("ID", rule.ID, "Rule ID must be unique. Found same ID for more than one rule")
		}
		seen[rule.ID] = true
		if err := rule.check(); err != nil {
			return err
		}
	}
	return nil
}

func (rule *lifecycleRule) check() error {
	e, n, a := rule.Expiration, rule.NoncurrentVersionExpiration, rule.AbortIncompleteMultipartUpload
	switch {
	case rule.Status != enabled && rule.Status != disabled, (rule.Prefix == nil) == (rule.Filter == nil):
		return malformedXML()
	case e == nil && n == nil && a == nil && len(rule.Transition) == 0 && len(rule.NoncurrentVersionTransition) == 0:
		return badRequest("InvalidRequest", "At least one action needs to be specified in a rule")
	case n != nil && (n.NoncurrentDays == nil || *n.NoncurrentDays < 1):
		return invalidArgument("NoncurrentDays", "", "'NoncurrentDays' for NoncurrentVersionExpiration action must be a positive integer")
	case a != nil && a.DaysAfterInitiation < 1:
		return invalidArgument("DaysAfterInitiation", "", "'DaysAfterInitiation' for AbortIncompleteMultipartUpload action must be a positive integer")
	case a != nil && rule.tags() != nil:
		return badRequest("InvalidRequest", "AbortIncompleteMultipartUpload cannot be specified with Tags")
	}
	for _, t := range rule.Transition {
		if !slices.Contains(classes[2:], t.StorageClass) {
			return malformedXML()
		}
	}
	if e == nil {
		return nil
	}
	given := 0
	for _, is := range []bool{e.Date != "", e.Days != nil, e.ExpiredObjectDeleteMarker != nil} {
		if is {
			given++
		}
	}
	if given != 1 {
		return malformedXML()
	}
	if e.Days != nil && *e.Days < 1 {
		return invalidArgument("Days", "", "'Days' for Expiration action must be a positive integer")
	}
	if e.Date != "" {
		if t, err := time.Parse(time.RFC3339, e.Date); err != nil || !t.Equal(t.Truncate(24*time.Hour)) {
			return invalidArgument("Date", e.Date, "'Date' must be at midnight GMT")
		}
	}
	return nil
}

func (rule *lifecycleRule) tags() []tag {
	switch f := rule.Filter; {
	case f == nil:
		return nil
	case f.Tag != nil:
		return []tag{*f.Tag}
	case f.And != nil:
		return f.And.Tag
	}
	return nil
}

// prefix is what a rule's keys start with.
func (rule *lifecycleRule) prefix() string {
	for _, p := range []*string{rule.Prefix, rule.filter().Prefix} {
		if p != nil {
			return *p
		}
	}
	return ""
}

// filter is the rule's with the members of And, so that there is one form.
func (rule *lifecycleRule) filter() filterAnd {
	switch f := rule.Filter; {
	case f == nil:
		return filterAnd{}
	case f.And != nil:
		return *f.And
	default:
		return filterAnd{Prefix: f.Prefix, Tag: rule.tags(), ObjectSizeGreaterThan: f.ObjectSizeGreaterThan, ObjectSizeLessThan: f.ObjectSizeLessThan}
	}
}

func (rule *lifecycleRule) matches(v *version) bool {
	f := rule.filter()
	for _, t := range f.Tag {
		if !slices.Contains(v.tags, t) {
			return false
		}
	}
	size := int64(len(v.body))
	return (f.ObjectSizeGreaterThan == nil || size > *f.ObjectSizeGreaterThan) && (f.ObjectSizeLessThan == nil || size < *f.ObjectSizeLessThan)
}

const leastSizeHeader = "X-Amz-Transition-Default-Minimum-Object-Size"

func (s *Service) getLifecycle(r *request) error {
	return s.show(r, "GetLifecycleConfiguration", "LifecycleConfiguration", func(b *bucket, p *page) error {
		if b.lifecycle == nil {
			e := notFound("NoSuchLifecycleConfiguration", "The lifecycle configuration does not exist")
			e.Fields = map[string]any{"BucketName": b.name}
			return e
		}
		r.w.Header().Set(leastSizeHeader, b.lifecycle.least)
		rules, err := xml.Marshal(b.lifecycle.Rules)
		if err != nil {
			return fmt.Errorf("lifecycle of %s: %w", b.name, err)
		}
		p.b.Write(rules)
		return nil
	})
}

func (s *Service) putLifecycle(r *request) error {
	in := &lifecycle{least: r.header(leastSizeHeader)}
	if err := r.document(in); err != nil {
		return err
	}
	if err := in.check(); err != nil {
		return err
	}
	if in.least == "" {
		in.least = "all_storage_classes_128K"
	}
	for i := range in.Rules {
		if in.Rules[i].ID == "" {
			in.Rules[i].ID = s.cloud.UUID("s3 rule")
		}
	}
	r.w.Header().Set(leastSizeHeader, in.least)
	return s.change(r, "PutLifecycleConfiguration", http.StatusOK, func(b *bucket) error {
		b.lifecycle = in
		s.plan()
		return nil
	})
}

func (s *Service) deleteLifecycle(r *request) error {
	return s.change(r, "PutLifecycleConfiguration", http.StatusNoContent, func(b *bucket) error { b.lifecycle = nil; return nil })
}

const day = 24 * time.Hour

// plan makes the next daily round happen at midnight UTC. Requires that mu is held.
func (s *Service) plan() {
	if s.sweeps {
		return
	}
	s.sweeps = true
	s.cloud.Clock.At(s.cloud.Clock.Now().Truncate(day).Add(day), func(context.Context) { s.sweep() })
}

// sweep is the daily round: it expires what the rules let expire. Transitions change nothing in the lab.
func (s *Service) sweep() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sweeps = false
	now := s.cloud.Clock.Now()
	for _, name := range slices.Sorted(maps.Keys(s.buckets)) {
		b := s.buckets[name]
		if b.lifecycle == nil {
			continue
		}
		s.plan()
		for i := range b.lifecycle.Rules {
			if rule := &b.lifecycle.Rules[i]; rule.Status == enabled {
				s.apply(b, rule, now)
			}
		}
	}
}

// due tells whether so many days have passed since a time, counted to the midnight after them as S3 does.
func due(since time.Time, days int, now time.Time) bool {
	at := since.Add(time.Duration(days) * day)
	if midnight := at.Truncate(day); at.After(midnight) {
		at = midnight.Add(day)
	}
	return !now.Before(at)
}

// apply requires that mu is held.
func (s *Service) apply(b *bucket, rule *lifecycleRule, now time.Time) {
	prefix := rule.prefix()
	if a := rule.AbortIncompleteMultipartUpload; a != nil {
		for _, u := range b.sortedUploads() {
			if strings.HasPrefix(u.key, prefix) && due(u.started, a.DaysAfterInitiation, now) {
				s.drop(u)
				delete(b.uploads, u.id)
			}
		}
	}
	for _, o := range slices.Clone(b.objects[b.find(prefix):b.findAfter(prefix)]) {
		s.expireOld(b, o, rule, now)
		s.expire(b, o, rule, now)
	}
}

// expireOld takes noncurrent versions away: they count from when they were replaced.
func (s *Service) expireOld(b *bucket, o *object, rule *lifecycleRule, now time.Time) {
	n := rule.NoncurrentVersionExpiration
	if n == nil {
		return
	}
	all := slices.Clone(o.versions)
	for i := 1 + n.NewerNoncurrentVersions; i < len(all); i++ {
		if v := all[i]; rule.matches(v) && due(all[i-1].modified, *n.NoncurrentDays, now) && !v.locked(now, false) {
			s.remove(b, o, v)
		}
	}
}

// expire deletes the current version, or takes a delete marker away that has nothing below it.
func (s *Service) expire(b *bucket, o *object, rule *lifecycleRule, now time.Time) {
	e, v := rule.Expiration, o.versions[0]
	switch {
	case e == nil:
	case v.marker:
		if len(o.versions) == 1 && (e.ExpiredObjectDeleteMarker != nil && *e.ExpiredObjectDeleteMarker || e.Days != nil && due(v.modified, *e.Days, now)) {
			s.remove(b, o, v)
		}
	case !rule.matches(v):
	case e.Days != nil && due(v.modified, *e.Days, now), e.dated(now):
		_, _ = s.erase(b, o.key, "", false, condition{}) // a lab that is full keeps it
	}
}

func (e *expiration) dated(now time.Time) bool {
	t, err := time.Parse(time.RFC3339, e.Date)
	return err == nil && !now.Before(t)
}
