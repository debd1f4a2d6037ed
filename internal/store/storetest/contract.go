//nolint:thelper // these are the tests themselves: a failure names their lines
package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.org/catchment/internal/store"
)

func readBack(t *testing.T, s store.Store) {
	put(t, s, "AWSLogs/123456789012/Inspector/eu-west-1/2026/11/22/07/findings-1.json.gz", "\x1f\x8b\x00\xff bytes, not text\r\n")
	holds(t, s, "AWSLogs/123456789012/Inspector/eu-west-1/2026/11/22/07/findings-1.json.gz", "\x1f\x8b\x00\xff bytes, not text\r\n")
}

func sameAgain(t *testing.T, s store.Store) {
	for range 3 {
		put(t, s, "a/b", "content")
	}
	holds(t, s, "a/b", "content")
}

func refused(t *testing.T, s store.Store, old, other string) {
	t.Helper()
	put(t, s, "a/b", old)
	if err := s.Put(t.Context(), "a/b", strings.NewReader(other)); !errors.Is(err, store.ErrExists) {
		t.Errorf("other bytes: got %v, want ErrExists", err)
	}
	holds(t, s, "a/b", old)
}

func otherBytes(t *testing.T, s store.Store)  { refused(t, s, "content", "another content") }
func sameLength(t *testing.T, s store.Store)  { refused(t, s, "content", "Content") }
func prefixBytes(t *testing.T, s store.Store) { refused(t, s, "content and more", "content") }

func oneWins(t *testing.T, s store.Store) {
	const n = 8
	bodies := make([]string, n)
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		bodies[i] = payload(300<<10, byte(i))
		wg.Go(func() { errs[i] = s.Put(t.Context(), "one/key", strings.NewReader(bodies[i])) })
	}
	wg.Wait()
	winner := -1
	for i, err := range errs {
		switch {
		case err == nil && winner >= 0:
			t.Errorf("puts %d and %d both succeeded with different bytes", winner, i)
		case err == nil:
			winner = i
		case !settled(err):
			t.Errorf("put %d: got %v, want ErrExists or a *TemporaryError", i, err)
		}
	}
	if winner < 0 {
		t.Fatal("no put succeeded")
	}
	holds(t, s, "one/key", bodies[winner])
}

// settled says that err is one that a loser of a race may get.
func settled(err error) bool {
	var temporary *store.TemporaryError
	return errors.Is(err, store.ErrExists) || errors.As(err, &temporary)
}

func allSame(t *testing.T, s store.Store) {
	body := payload(200<<10, 1)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			err := s.Put(t.Context(), "one/key", strings.NewReader(body))
			var temporary *store.TemporaryError
			if errors.As(err, &temporary) { // a conflict may ask for another try
				err = s.Put(t.Context(), "one/key", strings.NewReader(body))
			}
			if err != nil {
				t.Errorf("put: %v", err)
			}
		})
	}
	wg.Wait()
	holds(t, s, "one/key", body)
}

func manyKeys(t *testing.T, s store.Store) {
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 10 {
				key := fmt.Sprintf("AWSLogs/%012d/%d", i, w) // workers meet in new folders
				if err := s.Put(t.Context(), key, strings.NewReader(key)); err != nil {
					t.Errorf("put: %v", err)
				}
			}
		})
	}
	wg.Wait()
	for w := range 8 {
		for i := range 10 {
			key := fmt.Sprintf("AWSLogs/%012d/%d", i, w)
			holds(t, s, key, key)
		}
	}
}

func fromStart(t *testing.T, s store.Store) {
	body := strings.NewReader("from the start")
	if _, err := body.Seek(0, io.SeekEnd); err != nil {
		t.Fatal(err)
	}
	if err := s.Put(t.Context(), "a", body); err != nil {
		t.Fatalf("put: %v", err)
	}
	holds(t, s, "a", "from the start")
}

type closer struct {
	io.ReadSeeker
	closed bool
}

func (c *closer) Close() error { c.closed = true; return nil }

func notClosed(t *testing.T, s store.Store) {
	body := &closer{ReadSeeker: strings.NewReader("mine")}
	if err := s.Put(t.Context(), "a", body); err != nil {
		t.Fatalf("put: %v", err)
	}
	if body.closed {
		t.Error("Put closed a body that is its caller's")
	}
}

var errBody = errors.New("this body breaks")

// breaking ends in the middle with an error, or with what at does there.
type breaking struct {
	io.ReadSeeker
	left int
	at   func() error
}

func (b *breaking) Read(p []byte) (int, error) {
	if b.left <= 0 {
		if err := b.at(); err != nil {
			return 0, err
		}
		return b.ReadSeeker.Read(p)
	}
	n, err := b.ReadSeeker.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

func brokenBody(t *testing.T, s store.Store) {
	body := &breaking{strings.NewReader(payload(1<<20, 1)), 300 << 10, func() error { return errBody }}
	if err := s.Put(t.Context(), "a/b", body); !errors.Is(err, errBody) {
		t.Errorf("got %v, want the body's error", err)
	}
	missing(t, s, "a/b")
}

func endedContext(t *testing.T, s store.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Put(ctx, "a/b", strings.NewReader("too late")); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
	missing(t, s, "a/b")
}

func endingContext(t *testing.T, s store.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	body := &breaking{strings.NewReader(payload(1<<20, 1)), 300 << 10, func() error { cancel(); return nil }}
	if err := s.Put(ctx, "a/b", body); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
	missing(t, s, "a/b")
}

func oddKeys(t *testing.T, s store.Store) {
	keys := []string{
		"account=123456789012/region=eu-west-1/x", "a+b/c d/e%20f", "trailing /  /x", "ünïcode/日本語/𝒳", ".hidden/..x/x..", "a/~!@#$&*()'\",:;?<>[]{}|^`",
		strings.Repeat("long", 50), strings.Repeat("deep/", 60) + "x", "...", "-", "%2e%2e/x", "e\u0301",
	}
	for _, key := range keys {
		put(t, s, key, "content of "+key)
	}
	for _, key := range keys {
		holds(t, s, key, "content of "+key)
	}
	if l, ok := s.(store.Lister); ok {
		slices.Sort(keys)
		if diff := cmp.Diff(keys, list(t, l, "")); diff != "" {
			t.Errorf("listed (-want +got):\n%s", diff)
		}
	}
}

// BadKeys are refused by every store.
func BadKeys() map[string]string {
	return map[string]string{
		"nothing":                   "",
		"only a slash":              "/",
		"a leading slash":           "/a",
		"a trailing slash":          "a/",
		"an empty segment":          "a//b",
		"a dot as a segment":        "a/./b",
		"two dots as a segment":     "a/../b",
		"two dots at the start":     "../a",
		"two dots at the end":       "a/..",
		"two dots alone":            "..",
		"a backslash":               `a\..\b`,
		"a NUL":                     "a\x00b",
		"a newline":                 "a\nb",
		"a delete":                  "a\x7fb",
		"a C1 control":              "a\u0085b",
		"bytes that are not UTF-8":  "a\xffb",
		"an overlong slash":         "..\xc0\xaf..",
		"more than 1,024 bytes":     strings.Repeat("abcdefg/", 128) + "x",
		"more than 1,024, unicode":  strings.Repeat("ü/", 342),
		"a surrogate half in UTF-8": "a\xed\xa0\x80b",
	}
}

func badKeys(t *testing.T, s store.Store) {
	for name, key := range BadKeys() {
		var bad *store.KeyError
		if err := s.Put(t.Context(), key, strings.NewReader("x")); !errors.As(err, &bad) {
			t.Errorf("%s (%.40q): got %v, want a *KeyError", name, key, err)
		}
	}
	if l, ok := s.(store.Lister); ok {
		if got := list(t, l, ""); len(got) != 0 {
			t.Errorf("refused keys left %q", got)
		}
	}
}

func emptyObject(t *testing.T, s store.Store) {
	put(t, s, "empty", "")
	holds(t, s, "empty", "")
	if err := s.Put(t.Context(), "empty", strings.NewReader("x")); !errors.Is(err, store.ErrExists) {
		t.Errorf("other bytes: got %v, want ErrExists", err)
	}
}

func largeObject(t *testing.T, s store.Store) {
	body := payload(30<<20, 7)
	put(t, s, "large", body)
	holds(t, s, "large", body)
	other := []byte(body)
	other[len(other)-1] ^= 1
	if err := s.Put(t.Context(), "large", bytes.NewReader(other)); !errors.Is(err, store.ErrExists) {
		t.Errorf("other bytes: got %v, want ErrExists", err)
	}
	holds(t, s, "large", body)
}

func notFound(t *testing.T, s store.Store) {
	g, ok := s.(store.Getter)
	if !ok {
		t.Skip("this store has no Get")
	}
	put(t, s, "a/b", "x")
	for _, key := range []string{"a", "a/b/c", "a/c", "b"} {
		r, err := g.Get(t.Context(), key)
		if err == nil {
			err = r.Close()
		}
		if !errors.Is(err, store.ErrNotFound) {
			t.Errorf("get %q: got %v, want ErrNotFound", key, err)
		}
	}
}

func lister(t *testing.T, s store.Store) store.Lister {
	t.Helper()
	l, ok := s.(store.Lister)
	if !ok {
		t.Skip("this store has no List")
	}
	return l
}

func listOrder(t *testing.T, s store.Store) {
	l := lister(t, s)
	keys := []string{"o/a-", "o/a/1", "o/a/10", "o/a/2", "o/a0", "o/b.json", "o/b/x", "o/ü", "o/Z"}
	for i := range keys {
		put(t, s, keys[(i*4)%len(keys)], strings.Repeat("x", i))
	}
	slices.Sort(keys)
	if diff := cmp.Diff(keys, list(t, l, "")); diff != "" {
		t.Errorf("listed (-want +got):\n%s", diff)
	}
	for o, err := range l.List(t.Context(), "o/a/1") {
		if err != nil {
			t.Fatal(err)
		}
		if want := int64(len(get(t, s.(store.Getter), o.Key))); o.Size != want {
			t.Errorf("%s: size %d, want %d", o.Key, o.Size, want)
		}
	}
}

func listPrefix(t *testing.T, s store.Store) {
	l := lister(t, s)
	for _, key := range []string{"a/1", "a/2", "ab/1", "b", "a-"} {
		put(t, s, key, "x")
	}
	for prefix, want := range map[string][]string{
		"":     {"a-", "a/1", "a/2", "ab/1", "b"},
		"a":    {"a-", "a/1", "a/2", "ab/1"},
		"a/":   {"a/1", "a/2"},
		"a/1":  {"a/1"},
		"a/1/": {},
		"c/d":  {},
		"b":    {"b"},
		"../":  {},
	} {
		if diff := cmp.Diff(want, list(t, l, prefix)); diff != "" {
			t.Errorf("listed under %q (-want +got):\n%s", prefix, diff)
		}
	}
}

func listEarly(t *testing.T, s store.Store) {
	l := lister(t, s)
	for _, key := range []string{"a/1", "a/2", "b/1"} {
		put(t, s, key, "x")
	}
	n := 0
	for _, err := range l.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n == 2 {
			break
		}
	}
	if n != 2 {
		t.Errorf("yielded %d, want 2", n)
	}
}

func listLong(t *testing.T, s store.Store) {
	l := lister(t, s)
	var wg sync.WaitGroup
	want := make([]string, 1005) // S3 gives 1,000 a page
	for w := range 8 {
		wg.Go(func() {
			for i := w; i < len(want); i += 8 {
				want[i] = fmt.Sprintf("p/%04d", i)
				if err := s.Put(t.Context(), want[i], strings.NewReader("x")); err != nil {
					t.Errorf("put: %v", err)
				}
			}
		})
	}
	wg.Wait()
	if diff := cmp.Diff(want, list(t, l, "p/")); diff != "" {
		t.Errorf("listed (-want +got):\n%s", diff)
	}
}

func listEnded(t *testing.T, s store.Store) {
	l := lister(t, s)
	put(t, s, "a", "x")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var last error
	for _, err := range l.List(ctx, "") {
		last = err
	}
	if !errors.Is(last, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", last)
	}
}
