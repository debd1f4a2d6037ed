// Package s3 is the lab's Amazon S3: buckets whose names are one space over all accounts, with their objects in memory.
//
// # What is there
//
// Buckets with versioning, policies, default encryption, Object Lock, lifecycle rules, tags, ownership, public access
// blocks; objects whole, in parts, copied, with checksums of all kinds, conditions, ranges, versions, retention and legal
// holds; path-style and virtual-host addresses; signed, presigned and, where a policy lets them, unsigned requests. Every
// request asks for its permission by the name that S3 gives it.
//
// # Bounds
//
// All objects, versions and parts together may take maxStored bytes; a put beyond that is refused, which S3 never does.
// A single body is bounded by package wire.
//
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html
package s3

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"iter"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/wire"
)

// maxStored is how much all that is kept may take, in bytes. overhead is what a version counts beside its key and body.
const (
	maxStored = 4 << 30
	overhead  = 1 << 10
)

// A Service is S3 in one partition.
type Service struct {
	cloud *cloud.Cloud

	mu      sync.Mutex
	buckets map[string]*bucket // guarded by mu, like all below and all that hangs on it
	stored  int64              // bytes
	sweeps  bool               // the daily round of the lifecycle rules is due
}

// New makes the service with no buckets, and lets it take deliveries for ARNs of s3.
func New(c *cloud.Cloud) *Service {
	s := &Service{cloud: c, buckets: make(map[string]*bucket)}
	c.Receivers.Register("s3", s)
	return s
}

// Wire is the service as it is on the wire. Its rate is that of puts to one prefix.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/optimizing-performance.html
func (s *Service) Wire() *wire.Service {
	return &wire.Service{
		Name: "s3", Protocols: []wire.Protocol{wire.Own}, Own: s.serve,
		Pick:      func(r *http.Request) string { return pick(r).name },
		Names:     names(),
		Rate:      wire.Rate{PerSecond: 3500, Burst: 3500},
		Throttled: wire.StatusErrorf(http.StatusServiceUnavailable, "SlowDown", "Please reduce your request rate."),
	}
}

func (s *Service) serve(_ context.Context, c *wire.Call, w http.ResponseWriter) {
	w.Header().Set("Server", "AmazonS3")
	r := newRequest(s, c, w)
	err := r.check()
	if err == nil {
		err = r.operation.do(s, r)
	}
	if err != nil {
		c.FailOwn(w, err)
	}
}

// canonicalID is the id by which S3 names an account as an owner.
func canonicalID(account string) string {
	sum := sha256.Sum256([]byte("canonical user of " + account))
	return hex.EncodeToString(sum[:])
}

// objectARN names an object, or a bucket where key is empty.
func (s *Service) objectARN(bucketName, key string) string {
	if key != "" {
		bucketName += "/" + key
	}
	return cloud.Place{Partition: s.cloud.Partition}.ARN("s3", bucketName)
}

// maxInspected is how many buckets Inspect shows.
const maxInspected = 1000

// An Overview is a bucket as Inspect shows it.
type Overview struct {
	Name           string `json:"name"`
	Account        string `json:"account"`
	Region         string `json:"region"`
	Objects        int    `json:"objects"` // that are not deleted
	Versions       int    `json:"versions"`
	Bytes          int64  `json:"bytes"` // of all versions
	Uploads        int    `json:"uploads"`
	Versioning     string `json:"versioning,omitempty"`
	Encryption     string `json:"encryption"`
	Key            string `json:"key,omitempty"`
	ObjectLock     string `json:"objectLock,omitempty"` // Enabled, or with the default retention: COMPLIANCE 1 days
	Policy         string `json:"policy,omitempty"`
	Public         bool   `json:"public"` // by its policy
	LifecycleRules int    `json:"lifecycleRules,omitzero"`
}

// Inspect is the state, for people: a list of Overviews by name.
func (s *Service) Inspect() any {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := []Overview{}
	for _, name := range slices.Sorted(maps.Keys(s.buckets)) {
		if len(out) == maxInspected {
			break
		}
		b := s.buckets[name]
		o := Overview{
			Name: name, Account: b.owner, Region: b.region, Uploads: len(b.uploads), Versioning: b.versioning,
			Encryption: b.encryption.algorithm, Key: b.encryption.key, Policy: string(b.policy), Public: isPublic(b.policy),
		}
		if b.lock {
			o.ObjectLock = enabled
			if b.retention != nil {
				o.ObjectLock = b.retention.String()
			}
		}
		if b.lifecycle != nil {
			o.LifecycleRules = len(b.lifecycle.Rules)
		}
		for _, obj := range b.objects {
			if obj.current() != nil {
				o.Objects++
			}
			o.Versions += len(obj.versions)
			for _, v := range obj.versions {
				o.Bytes += int64(len(v.body))
			}
		}
		out = append(out, o)
	}
	return out
}

// CreateBucket makes a bucket as CreateBucket of the API does, with AWS's defaults: encrypted by S3's keys, closed to the
// public, without ACLs. The same name again is an error.
func (s *Service) CreateBucket(place cloud.Place, name string) error {
	if err := checkBucketName(name); err != nil {
		return fmt.Errorf("create bucket %q: %w", name, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.addBucket(place, name, false); err != nil {
		return fmt.Errorf("create bucket %q: %w", name, err)
	}
	return nil
}

// Objects gives the keys of a bucket that start with a prefix, in the order of their bytes, with their present bodies,
// which must not be changed. What is put or deleted meanwhile may be seen or not. No such bucket: nothing.
func (s *Service) Objects(bucketName, prefix string) iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		for after, first := "", true; ; first = false {
			s.mu.Lock()
			b := s.buckets[bucketName]
			var key string
			var v *version
			if b != nil {
				start := b.find(prefix)
				if !first {
					start = b.find(after + "\x00")
				}
				for ; start < len(b.objects) && v == nil && strings.HasPrefix(b.objects[start].key, prefix); start++ {
					key, v = b.objects[start].key, b.objects[start].current()
				}
			}
			s.mu.Unlock()
			if v == nil || !yield(key, v.body) {
				return
			}
			after = key
		}
	}
}
