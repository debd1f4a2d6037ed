// Package s3 is a store in a bucket of Amazon S3, or of any server that speaks its protocol.
//
// A server may lack what S3 has. What the package cannot know beforehand it
// finds out and remembers: whether If-None-Match is understood, and which
// checksum is. A server that takes If-None-Match and does not honour it would let
// one object replace another, so that servers other than AWS are asked first
// whether the key is taken, unless the options vouch for them.
package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"

	"example.org/catchment/internal/store"
)

// A Choice is how something optional is used.
type Choice string

// The choices; the zero value leaves it to the package.
const (
	Auto   Choice = ""       // as the server has it
	Always Choice = "always" // a server without it is an error
	Never  Choice = "never"
)

// Options say where and how objects are put.
type Options struct {
	Bucket string
	Prefix string // stands before every key, as it is: "logs/"
	// PathStyle puts the bucket into the path of the address rather than into
	// its host name. Auto: where the endpoint is not AWS.
	PathStyle Choice
	// SSE is the encryption asked for: "" (the bucket's own), "AES256" or "aws:kms".
	SSE      string
	KMSKeyID string // for aws:kms; empty: the account's key for S3
	// Checksum goes with each object and is verified by the server. Auto: CRC32, or
	// MD5 where the server asks for that. Object Lock buckets take no object without.
	Checksum Checksum
	// PartSize in bytes: larger objects are sent in parts of that size. Zero: 64
	// MiB; less than S3's least, 5 MiB, is that.
	PartSize int64
	// ExpectedBucketOwner is an account number; a bucket of another account is refused.
	ExpectedBucketOwner string
	// IfNoneMatch keeps puts from replacing objects. With Never, and on servers
	// without it, a look before each put does, which two puts at the same
	// moment can both pass. Always saves that look (a request) on servers other
	// than AWS that are known to honour the header.
	IfNoneMatch Choice
}

const (
	defaultPart = 64 << 20
	leastPart   = 5 << 20
	mostParts   = 10_000
)

// A Store is a bucket, or the part of it below a prefix.
type Store struct {
	client  Client
	options Options
	trusted bool // this is AWS: If-None-Match is honoured
	// The manner that has worked here for puts, and for uploads in parts: servers
	// may differ in the two. nil: none yet.
	single, multi atomic.Pointer[manner]
}

var (
	_ store.Store  = (*Store)(nil)
	_ store.Getter = (*Store)(nil)
	_ store.Lister = (*Store)(nil)
)

// New is a store over a client that is set up already; see [Open].
func New(client Client, o Options) *Store {
	if o.PartSize == 0 {
		o.PartSize = defaultPart
	}
	o.PartSize = max(o.PartSize, leastPart)
	return &Store{client: client, options: o}
}

// String names the bucket for messages.
func (s *Store) String() string { return "s3://" + s.options.Bucket + "/" + s.options.Prefix }

// Put is [store.Store.Put]. It reads body twice, once for the checksums. An
// upload in parts that fails is aborted; where even that fails, its parts cost
// money until a lifecycle rule (AbortIncompleteMultipartUpload) removes them.
func (s *Store) Put(ctx context.Context, key string, body io.ReadSeeker) error {
	for _, k := range []string{key, s.options.Prefix + key} {
		if err := store.CheckKey(k); err != nil {
			return fmt.Errorf("put: %w", err)
		}
	}
	if err := context.Cause(ctx); err != nil {
		return fmt.Errorf("put %s: %w", key, err)
	}
	size, err := store.Size(body)
	if err != nil {
		return fmt.Errorf("put %s: %w", key, err)
	}
	p := &put{Store: s, key: s.options.Prefix + key, body: &window{body: body, size: size}, size: size, known: &s.single}
	if size > s.options.PartSize {
		p.known = &s.multi
	}
	if p.sha256, err = hashOf(p.body); err != nil {
		return fmt.Errorf("put %s: %w", key, err)
	}
	if err := p.run(ctx); err != nil {
		return s.classify(actionPut, fmt.Errorf("put %s: %w", key, err))
	}
	return nil
}

// A put is one object on its way.
type put struct {
	*Store
	key    string // with the prefix
	body   *window
	size   int64
	sha256 string // hexadecimal
	known  *atomic.Pointer[manner]
}

// A manner is one way to put objects.
type manner struct {
	conditional bool // with If-None-Match
	checksum    Checksum
}

// manners gives the ways that the options allow, first the one that has worked
// before, then the best.
func (o *Options) manners(known *manner) []manner {
	var ways []manner
	if known != nil {
		ways = append(ways, *known)
	}
	checksums := []Checksum{o.Checksum}
	if o.Checksum == ChecksumAuto {
		checksums = []Checksum{CRC32, MD5}
	}
	for _, conditional := range []bool{true, false} {
		if conditional && o.IfNoneMatch == Never || !conditional && o.IfNoneMatch == Always {
			continue
		}
		for _, c := range checksums {
			if m := (manner{conditional, c}); known == nil || m != *known {
				ways = append(ways, m)
			}
		}
	}
	return ways
}

// run puts in the manner that has worked before, or tries until one does: as
// long as the server says that it does not know what we ask for.
func (p *put) run(ctx context.Context) error {
	known := p.known.Load()
	absent := false
	var first error
	for _, way := range p.options.manners(known) {
		sure := way.conditional && (p.trusted || p.options.IfNoneMatch == Always)
		if !sure && !absent {
			err := p.compare(ctx)
			absent = errors.Is(err, errAbsent)
			// Who may not read may still put, where the server watches over it.
			if !absent && (!way.conditional || !isForbidden(err)) {
				return err
			}
		}
		err := p.send(ctx, way)
		if first == nil {
			first = err
		}
		if unsupported(err) {
			continue
		}
		if met := conflicts(err); met || err == nil {
			if known == nil || *known != way {
				p.known.Store(&way)
			}
			if met {
				return p.resolve(ctx, err)
			}
		}
		if requestFailed(err) && ctx.Err() == nil {
			return p.unanswered(ctx, err)
		}
		return err
	}
	return first
}

func (p *put) send(ctx context.Context, way manner) error {
	if p.size > p.options.PartSize {
		return p.sendParts(ctx, way)
	}
	return p.sendWhole(ctx, way)
}

var errAbsent = errors.New("no object under the key")

// resolve answers for a put that met another: the object that is there decides.
func (p *put) resolve(ctx context.Context, conflict error) error {
	err := p.compare(ctx)
	if errors.Is(err, errAbsent) {
		return &store.TemporaryError{Err: conflict} // the other one is not finished, or was given up
	}
	return err
}

// unanswered answers for a put whose connection broke: it may have worked, or
// have been refused before the body was sent, which some servers say by hanging up.
func (p *put) unanswered(ctx context.Context, failure error) error {
	if err := p.compare(ctx); err == nil || errors.Is(err, store.ErrExists) {
		return err
	}
	return failure
}

// compare is nil when the object under the key holds the same bytes, ErrExists
// when it holds others, and errAbsent when there is none.
func (p *put) compare(ctx context.Context) error {
	head, err := p.head(ctx)
	if isNotFound(err) {
		return errAbsent
	}
	if err != nil {
		return fmt.Errorf("look at what is there: %w", err)
	}
	if head.size != p.size {
		return store.ErrExists
	}
	if head.sha256 != "" {
		if head.sha256 != p.sha256 {
			return store.ErrExists
		}
		return nil
	}
	// Somebody else put it: its bytes must tell.
	existing, err := p.get(ctx, p.key)
	if isNotFound(err) {
		return errAbsent
	}
	if err != nil {
		return fmt.Errorf("read what is there: %w", err)
	}
	sum, err := hashOf(existing)
	if err := errors.Join(err, existing.Close()); err != nil {
		return fmt.Errorf("read what is there: %w", err)
	}
	if sum != p.sha256 {
		return store.ErrExists
	}
	return nil
}

// contentType by the key's ending, for people who look at the bucket.
func contentType(key string) string {
	switch {
	case strings.HasSuffix(key, ".gz"):
		return "application/gzip"
	case strings.HasSuffix(key, ".zst"):
		return "application/zstd"
	case strings.HasSuffix(key, ".json"):
		return "application/x-ndjson"
	}
	return "application/octet-stream"
}
