package s3

import (
	"encoding/xml"
	"errors"
	"net/http"
	"time"

	"example.org/catchment/internal/lab/wire"
)

// A deletion is what became of one.
type deletion struct {
	id     string // of the version that was removed, or of the delete marker that was made; empty: there are no versions
	marker bool   // it is about a delete marker
}

// erase deletes a version, or puts a delete marker over a key, or removes its only version: as the bucket has it.
// Requires that mu is held.
func (s *Service) erase(b *bucket, key, id string, bypass bool, c condition) (deletion, error) {
	o := b.object(key)
	if err := c.holds(key, o.current()); err != nil {
		return deletion{}, err
	}
	now := s.cloud.Clock.Now()
	switch {
	case id != "":
		if !goodVersion(id) {
			return deletion{}, invalidArgument("versionId", id, "Invalid version id specified")
		}
		v := o.find(id)
		if v == nil {
			return deletion{id: id}, nil // gone is gone
		}
		if v.locked(now, bypass) {
			return deletion{}, accessDenied("Access Denied because object protected by object lock.")
		}
		s.remove(b, o, v)
		return deletion{id, v.marker}, nil
	case b.versioning == "":
		if o != nil {
			s.remove(b, o, o.versions[0])
		}
		return deletion{}, nil
	}
	if s.stored+overhead > maxStored {
		return deletion{}, full()
	}
	m := &version{marker: true, modified: now.Truncate(time.Second)}
	s.push(b, key, m)
	return deletion{m.id, true}, nil
}

func (s *Service) deleteObject(r *request) error {
	id := r.query.Get("versionId")
	b, err := r.open(r.versioned("DeleteObject", "DeleteObjectVersion"))
	if err != nil {
		return err
	}
	bypass, err := r.bypass(b, r.key)
	if err != nil {
		return err
	}
	s.mu.Lock()
	d, err := s.erase(b, r.key, id, bypass, condition{match: unquote(r.header("If-Match"))})
	s.mu.Unlock()
	if err != nil {
		return err
	}
	if d.id != "" {
		r.w.Header().Set("X-Amz-Version-Id", d.id)
	}
	if d.marker {
		r.w.Header().Set("X-Amz-Delete-Marker", "true")
	}
	return r.answerNothing(http.StatusNoContent)
}

// maxDeletes is how many keys one DeleteObjects may name.
const maxDeletes = 1000

type deleteEntry struct {
	Key  string
	ID   string `xml:"VersionId"`
	ETag string
}

// deleteObjects deletes many, each with a permission of its own.
func (s *Service) deleteObjects(r *request) error {
	b, err := r.openBucket(nil)
	if err != nil {
		return err
	}
	body, sum, err := r.payload()
	if err != nil {
		return err
	}
	if sum.algorithm == nil && r.header("Content-Md5") == "" {
		return badRequest("InvalidRequest", "Missing required header for this request: Content-MD5")
	}
	var in struct {
		XMLName xml.Name `xml:"Delete"`
		Quiet   bool
		Object  []deleteEntry
	}
	if len(body) > maxDocument || xml.Unmarshal(body, &in) != nil || len(in.Object) == 0 || len(in.Object) > maxDeletes {
		return malformedXML()
	}
	p := newPage("DeleteResult")
	for _, entry := range in.Object {
		d, err := s.deleteEntry(r, b, entry)
		switch {
		case err != nil:
			p.failure(entry, err)
		case !in.Quiet:
			p.open("Deleted")
			p.text("Key", entry.Key)
			p.some("VersionId", entry.ID)
			if d.marker {
				p.truth("DeleteMarker", true)
				p.text("DeleteMarkerVersionId", d.id)
			}
			p.close("Deleted")
		}
	}
	r.answer(p, "DeleteResult")
	return nil
}

func (s *Service) deleteEntry(r *request, b *bucket, entry deleteEntry) (deletion, error) {
	action := "DeleteObject"
	if entry.ID != "" {
		action = "DeleteObjectVersion"
	}
	if entry.Key == "" || len(entry.Key) > maxKey {
		return deletion{}, badRequest("KeyTooLongError", "Your key is too long")
	}
	if err := r.permit(b, action, entry.Key, nil); err != nil {
		return deletion{}, err
	}
	bypass, err := r.bypass(b, entry.Key)
	if err != nil {
		return deletion{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.erase(b, entry.Key, entry.ID, bypass, condition{match: unquote(entry.ETag)})
}

func (p *page) failure(entry deleteEntry, err error) {
	code, message := "InternalError", err.Error()
	if e, ok := errors.AsType[*wire.Error](err); ok {
		if code, message = e.Code, e.Message; code == "AccessDeniedException" {
			code = "AccessDenied"
		}
	}
	p.open("Error")
	p.text("Key", entry.Key)
	p.some("VersionId", entry.ID)
	p.text("Code", code)
	p.text("Message", message)
	p.close("Error")
}
