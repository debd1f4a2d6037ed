package s3

import (
	"slices"
	"sort"
	"strconv"
	"strings"
)

// maxPage is the most entries of a page of a listing.
const maxPage = 1000

// A walk goes through the keys of a bucket in their order, and takes those together that share a prefix up to a delimiter.
type walk struct {
	prefix, delimiter string
	after             string // keys and common prefixes up to it are passed over
	limit             int
}

// group gives the common prefix that a key belongs to; empty: it stands for itself.
func (w *walk) group(key string) string {
	if w.delimiter == "" {
		return ""
	}
	i := strings.Index(key[len(w.prefix):], w.delimiter)
	if i < 0 {
		return ""
	}
	return key[:len(w.prefix)+i+len(w.delimiter)]
}

// objects calls each and common up to limit times together, for the objects that exist says yes to. last is what the
// page ended with, and more tells whether there is more. A page of limit 0 is empty and the last.
func (w *walk) objects(b *bucket, exists func(*object) bool, each func(*object), common func(string)) (last string, more bool) {
	n := 0
	i := b.find(max(w.prefix, w.after))
	for i < len(b.objects) && strings.HasPrefix(b.objects[i].key, w.prefix) {
		o := b.objects[i]
		g := w.group(o.key)
		switch {
		case !exists(o), o.key <= w.after && w.after != "", g != "" && g <= w.after:
			if g != "" && g <= w.after {
				i = b.findAfter(g)
				continue
			}
			i++
			continue
		case w.limit == 0:
			return "", false
		case n == w.limit:
			return last, true
		}
		n++
		if g == "" {
			each(o)
			last = o.key
			i++
			continue
		}
		common(g)
		last = g
		i = b.findAfter(g)
	}
	return last, false
}

// findAfter gives the place after all keys that start with a prefix.
func (b *bucket) findAfter(prefix string) int {
	start := b.find(prefix)
	return start + sort.Search(len(b.objects)-start, func(i int) bool { return !strings.HasPrefix(b.objects[start+i].key, prefix) })
}

func (p *page) prefixes(all []string, encode func(string) string) {
	for _, g := range all {
		p.open("CommonPrefixes")
		p.text("Prefix", encode(g))
		p.close("CommonPrefixes")
	}
}

// listing is what the listings have in common.
type listing struct {
	walk
	encode func(string) string
	bucket *bucket
}

// list reads a listing's parameters and asks for permission; number is the name of that for the length of a page.
func (r *request) list(action, number string) (*listing, error) {
	conditions := make(map[string]string)
	for _, name := range []string{"prefix", "delimiter", "max-keys"} {
		if r.query.Has(name) {
			conditions["s3:"+name] = r.query.Get(name)
		}
	}
	b, err := r.openBucket(conditions, action)
	if err != nil {
		return nil, err
	}
	l := &listing{bucket: b, walk: walk{prefix: r.query.Get("prefix"), delimiter: r.query.Get("delimiter")}}
	if l.limit, err = r.number(number, maxPage, maxPage); err != nil {
		return nil, err
	}
	l.encode, err = r.encoder()
	return l, err
}

// head writes the elements that all listings start with.
func (l *listing) head(r *request, p *page) {
	p.text("Name", l.bucket.name)
	p.text("Prefix", l.encode(l.prefix))
	if l.delimiter != "" {
		p.text("Delimiter", l.encode(l.delimiter))
	}
	p.some("EncodingType", r.query.Get("encoding-type"))
}

func (s *Service) listObjectsV2(r *request) error {
	l, err := r.list("ListBucket", "max-keys")
	if err != nil {
		return err
	}
	if v := r.query.Get("list-type"); v != "2" {
		return invalidArgument("list-type", v, "Invalid List Type specified in Request")
	}
	token, start := r.query.Get("continuation-token"), r.query.Get("start-after")
	l.after = start
	if r.query.Has("continuation-token") {
		if token == "" {
			return invalidArgument("continuation-token", "", "The continuation token provided is incorrect")
		}
		if l.after, err = readToken(token); err != nil {
			return err
		}
	}
	owner := r.query.Get("fetch-owner") == "true"
	body := &page{}
	last, more, n := s.contents(l, body, owner)
	p := newPage("ListBucketResult")
	l.head(r, p)
	p.some("StartAfter", l.encode(start))
	p.some("ContinuationToken", token)
	if more {
		p.text("NextContinuationToken", makeToken(last))
	}
	p.number("KeyCount", n)
	p.number("MaxKeys", l.limit)
	p.truth("IsTruncated", more)
	p.b.Write(body.b.Bytes())
	r.answer(p, "ListBucketResult")
	return nil
}

func (s *Service) listObjects(r *request) error {
	l, err := r.list("ListBucket", "max-keys")
	if err != nil {
		return err
	}
	l.after = r.query.Get("marker")
	body := &page{}
	last, more, _ := s.contents(l, body, true)
	p := newPage("ListBucketResult")
	l.head(r, p)
	p.text("Marker", l.encode(l.after))
	if more && l.delimiter != "" {
		p.text("NextMarker", l.encode(last))
	}
	p.number("MaxKeys", l.limit)
	p.truth("IsTruncated", more)
	p.b.Write(body.b.Bytes())
	r.answer(p, "ListBucketResult")
	return nil
}

// contents writes a page of objects with their common prefixes, and tells how many there are.
func (s *Service) contents(l *listing, p *page, owner bool) (last string, more bool, n int) {
	var groups []string
	s.mu.Lock()
	defer s.mu.Unlock()
	last, more = l.objects(l.bucket, func(o *object) bool { return o.current() != nil }, func(o *object) {
		v := o.current()
		n++
		p.open("Contents")
		p.text("Key", l.encode(o.key))
		p.moment("LastModified", v.modified)
		v.list(p)
		if owner {
			p.owner(l.bucket.owner)
		}
		p.close("Contents")
	}, func(g string) { groups = append(groups, g) })
	p.prefixes(groups, l.encode)
	return last, more, n + len(groups)
}

// list writes what listings show of a version's content.
func (v *version) list(p *page) {
	p.text("ETag", `"`+v.etag+`"`)
	if v.sum.algorithm != nil {
		p.text("ChecksumAlgorithm", v.sum.name)
		p.text("ChecksumType", v.sum.kind())
	}
	p.number("Size", len(v.body))
	p.text("StorageClass", v.class)
}

// listObjectVersions lists versions and delete markers by key and, within a key, from the newest on.
func (s *Service) listObjectVersions(r *request) error {
	l, err := r.list("ListBucketVersions", "max-keys")
	if err != nil {
		return err
	}
	l.after = r.query.Get("key-marker")
	marker := r.query.Get("version-id-marker")
	switch {
	case r.query.Has("version-id-marker") && l.after == "":
		return invalidArgument("version-id-marker", marker, "A version-id marker cannot be specified without a key marker.")
	case marker != "" && !goodVersion(marker):
		return invalidArgument("version-id-marker", marker, "Invalid version id specified")
	}
	p, body := newPage("ListVersionsResult"), &page{}
	nextKey, nextID := s.versions(l, marker, body)
	l.head(r, p)
	p.text("KeyMarker", l.encode(l.after))
	p.text("VersionIdMarker", marker)
	p.some("NextKeyMarker", l.encode(nextKey))
	p.some("NextVersionIdMarker", nextID)
	p.number("MaxKeys", l.limit)
	p.truth("IsTruncated", nextKey != "")
	p.b.Write(body.b.Bytes())
	r.answer(p, "ListVersionsResult")
	return nil
}

// versions writes a page of versions. next is what it ended with, where there is more.
func (s *Service) versions(l *listing, marker string, p *page) (nextKey, nextID string) {
	var groups []string
	s.mu.Lock()
	defer s.mu.Unlock()
	n, lastID := 0, ""
	entry := func(o *object, from int) (full bool) {
		for i := from; i < len(o.versions); i++ {
			if n == l.limit {
				return true
			}
			n++
			lastID = o.versions[i].id
			p.version(l, o, i)
		}
		return false
	}
	if l.limit == 0 {
		return "", ""
	}
	if o := l.bucket.object(l.after); o != nil && marker != "" && strings.HasPrefix(l.after, l.prefix) {
		from := slices.IndexFunc(o.versions, func(v *version) bool { return v.id == marker })
		if entry(o, from+1) {
			return o.key, lastID
		}
	}
	pages := *l
	for {
		pages.limit = 1 // a key may have more versions than fit
		var this *object
		var group string
		last, more := pages.objects(l.bucket, func(*object) bool { return true }, func(o *object) { this = o }, func(g string) { group = g })
		switch {
		case this == nil && group == "":
			p.prefixes(groups, l.encode)
			return "", ""
		case n == l.limit:
			p.prefixes(groups, l.encode)
			return pages.after, lastID
		case group != "":
			n, lastID = n+1, ""
			groups = append(groups, group)
		case entry(this, 0):
			p.prefixes(groups, l.encode)
			return this.key, lastID
		}
		if pages.after = last; !more {
			p.prefixes(groups, l.encode)
			return "", ""
		}
	}
}

func (p *page) version(l *listing, o *object, i int) {
	v, name := o.versions[i], "Version"
	if v.marker {
		name = "DeleteMarker"
	}
	p.open(name)
	p.text("Key", l.encode(o.key))
	p.text("VersionId", v.id)
	p.text("IsLatest", strconv.FormatBool(i == 0))
	p.moment("LastModified", v.modified)
	if !v.marker {
		v.list(p)
	}
	p.owner(l.bucket.owner)
	p.close(name)
}
