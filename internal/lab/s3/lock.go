package s3

import (
	"encoding/xml"
	"net/http"
	"strconv"
	"strings"
	"time"

	"example.org/catchment/internal/lab/wire"
)

// Object Lock. https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock.html

// The modes of retention: governance yields to those who may bypass it, compliance to nobody.
const (
	governance = "GOVERNANCE"
	compliance = "COMPLIANCE"

	holdOn  = "ON"
	holdOff = "OFF"
)

// A retention keeps a version until a time. The zero value is none.
type retention struct {
	mode  string
	until time.Time
}

func goodMode(mode string) bool { return mode == governance || mode == compliance }

// A defaultRetention is what new versions of a bucket get. One of days and years is set.
type defaultRetention struct {
	mode        string
	days, years int
}

// Limits of a default retention.
const (
	maxDays  = 36500
	maxYears = 100
)

func (d *defaultRetention) String() string {
	if d.years > 0 {
		return d.mode + " " + strconv.Itoa(d.years) + " years"
	}
	return d.mode + " " + strconv.Itoa(d.days) + " days"
}

func (d *defaultRetention) from(now time.Time) retention {
	return retention{d.mode, now.UTC().AddDate(d.years, 0, d.days)}
}

// locked tells whether a version must stay: now, for somebody who bypasses governance or not.
func (v *version) locked(now time.Time, bypass bool) bool {
	if v.hold == holdOn {
		return true
	}
	return v.retention.mode != "" && now.Before(v.retention.until) && (v.retention.mode == compliance || !bypass)
}

// bypass tells whether a request bypasses governance, which takes a permission. key is what it is about.
func (r *request) bypass(b *bucket, key string) (bool, error) {
	if !strings.EqualFold(r.header("X-Amz-Bypass-Governance-Retention"), "true") {
		return false, nil
	}
	return true, r.permit(b, "BypassGovernanceRetention", key, nil)
}

func missingLock() error {
	return badRequest("InvalidRequest", "Bucket is missing Object Lock Configuration")
}

// lockHeaders reads the retention and hold that a put asks for.
func (r *request) lockHeaders(b *bucket) (retention, string, error) {
	mode, until, hold := r.header("X-Amz-Object-Lock-Mode"), r.header("X-Amz-Object-Lock-Retain-Until-Date"), r.header("X-Amz-Object-Lock-Legal-Hold")
	if mode == "" && until == "" && hold == "" {
		return retention{}, "", nil
	}
	r.service.mu.Lock()
	lock := b.lock
	r.service.mu.Unlock()
	switch {
	case !lock:
		return retention{}, "", missingLock()
	case (mode == "") != (until == ""):
		return retention{}, "", invalidArgument("x-amz-object-lock-mode", mode, "x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied")
	case mode != "" && !goodMode(mode):
		return retention{}, "", invalidArgument("x-amz-object-lock-mode", mode, "Unknown wormMode directive.")
	case hold != "" && hold != holdOn && hold != holdOff:
		return retention{}, "", invalidArgument("x-amz-object-lock-legal-hold", hold, "Legal Hold must be either of 'ON' or 'OFF'")
	case mode == "":
		return retention{}, hold, nil
	}
	t, err := time.Parse(time.RFC3339, until)
	if err != nil {
		return retention{}, "", invalidArgument("x-amz-object-lock-retain-until-date", until, "The retain until date must be provided in ISO 8601 format")
	}
	if !t.After(r.Cloud.Clock.Now()) {
		return retention{}, "", invalidArgument("x-amz-object-lock-retain-until-date", until, "The retain until date must be in the future!")
	}
	return retention{mode, t.UTC()}, hold, nil
}

// checkDigestForLock refuses what is to be kept but came without a digest of its body.
func (r *request) checkDigestForLock(b *bucket, v *version, sum checksum, what string) error {
	r.service.mu.Lock()
	kept := b.retention != nil || v.retention.mode != "" || v.hold != ""
	r.service.mu.Unlock()
	if kept && sum.algorithm == nil && r.header("Content-Md5") == "" {
		return badRequest("InvalidRequest", "Content-MD5 OR x-amz-checksum- HTTP header is required for %s requests with Object Lock parameters", what)
	}
	return nil
}

func (s *Service) getObjectLockConfiguration(r *request) error {
	return s.show(r, "GetBucketObjectLockConfiguration", "ObjectLockConfiguration", func(b *bucket, p *page) error {
		if !b.lock {
			e := notFound("ObjectLockConfigurationNotFoundError", "Object Lock configuration does not exist for this bucket")
			e.Fields = map[string]any{"BucketName": b.name}
			return e
		}
		p.text("ObjectLockEnabled", enabled)
		if d := b.retention; d != nil {
			p.open("Rule")
			p.open("DefaultRetention")
			p.text("Mode", d.mode)
			if d.years > 0 {
				p.number("Years", d.years)
			} else {
				p.number("Days", d.days)
			}
			p.close("DefaultRetention")
			p.close("Rule")
		}
		return nil
	})
}

type lockConfiguration struct {
	XMLName           xml.Name `xml:"ObjectLockConfiguration"`
	ObjectLockEnabled string
	Rule              *struct {
		DefaultRetention *struct {
			Mode  string
			Days  *int
			Years *int
		}
	}
}

func (in *lockConfiguration) retention() (*defaultRetention, error) {
	if in.ObjectLockEnabled != enabled {
		return nil, malformedXML()
	}
	if in.Rule == nil {
		return nil, nil
	}
	d := in.Rule.DefaultRetention
	if d == nil || !goodMode(d.Mode) || (d.Days == nil) == (d.Years == nil) {
		return nil, malformedXML()
	}
	out := &defaultRetention{mode: d.Mode}
	if d.Days != nil {
		out.days = *d.Days
	} else {
		out.years = *d.Years
	}
	switch {
	case out.days < 1 && out.years < 1:
		return nil, invalidArgument("Days", "", "Default retention period must be a positive integer value.")
	case out.days > maxDays, out.years > maxYears:
		return nil, invalidArgument("Days", "", "Default retention period too large: the maximum is %d days or %d years.", maxDays, maxYears)
	}
	return out, nil
}

// putObjectLockConfiguration also enables Object Lock on a bucket that has versions. It cannot be taken back.
func (s *Service) putObjectLockConfiguration(r *request) error {
	var in lockConfiguration
	if err := r.document(&in); err != nil {
		return err
	}
	d, err := in.retention()
	if err != nil {
		return err
	}
	return s.change(r, "PutBucketObjectLockConfiguration", http.StatusOK, func(b *bucket) error {
		if b.versioning != enabled {
			return wire.StatusErrorf(http.StatusConflict, "InvalidBucketState", "Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration")
		}
		b.lock, b.retention = true, d
		return nil
	})
}

func noLock() error {
	return notFound("NoSuchObjectLockConfiguration", "The specified object does not have a ObjectLock configuration")
}

// lockable runs f on the version that a request names, in a bucket with Object Lock.
func (s *Service) lockable(r *request, action string, f func(v *version) error) error {
	b, err := r.open(action)
	if err != nil {
		return err
	}
	return s.changeVersion(r, b, func(v *version) error {
		if !b.lock {
			return missingLock()
		}
		return f(v)
	})
}

func (s *Service) getObjectRetention(r *request) error {
	p := newPage("Retention")
	err := s.lockable(r, "GetObjectRetention", func(v *version) error {
		if v.retention.mode == "" {
			return noLock()
		}
		p.text("Mode", v.retention.mode)
		p.moment("RetainUntilDate", v.retention.until)
		return nil
	})
	if err != nil {
		return err
	}
	r.answer(p, "Retention")
	return nil
}

// putObjectRetention makes a retention longer or, for those who may bypass governance, shorter or none.
func (s *Service) putObjectRetention(r *request) error {
	var in struct {
		XMLName         xml.Name `xml:"Retention"`
		Mode            string
		RetainUntilDate string
	}
	if err := r.document(&in); err != nil {
		return err
	}
	next := retention{mode: in.Mode}
	now := s.cloud.Clock.Now()
	if in.Mode != "" || in.RetainUntilDate != "" {
		t, err := time.Parse(time.RFC3339, in.RetainUntilDate)
		if err != nil || !goodMode(in.Mode) {
			return malformedXML()
		}
		if !t.After(now) {
			return invalidArgument("RetainUntilDate", in.RetainUntilDate, "The retain until date must be in the future!")
		}
		next.until = t.UTC()
	}
	b, err := r.open("PutObjectRetention")
	if err != nil {
		return err
	}
	bypass, err := r.bypass(b, r.key)
	if err != nil {
		return err
	}
	err = s.lockable(r, "PutObjectRetention", func(v *version) error {
		longer := next.mode != "" && !next.until.Before(v.retention.until) && (next.mode == v.retention.mode || next.mode == compliance)
		held := *v
		held.hold = "" // a hold has nothing to do with it
		if held.locked(now, bypass) && !longer {
			return accessDenied("Access Denied because object protected by object lock.")
		}
		v.retention = next
		return nil
	})
	if err != nil {
		return err
	}
	return r.answerNothing(http.StatusOK)
}

func (s *Service) getObjectLegalHold(r *request) error {
	p := newPage("LegalHold")
	err := s.lockable(r, "GetObjectLegalHold", func(v *version) error {
		if v.hold == "" {
			return noLock()
		}
		p.text("Status", v.hold)
		return nil
	})
	if err != nil {
		return err
	}
	r.answer(p, "LegalHold")
	return nil
}

func (s *Service) putObjectLegalHold(r *request) error {
	var in struct {
		XMLName xml.Name `xml:"LegalHold"`
		Status  string
	}
	if err := r.document(&in); err != nil {
		return err
	}
	if in.Status != holdOn && in.Status != holdOff {
		return malformedXML()
	}
	if err := s.lockable(r, "PutObjectLegalHold", func(v *version) error { v.hold = in.Status; return nil }); err != nil {
		return err
	}
	return r.answerNothing(http.StatusOK)
}
