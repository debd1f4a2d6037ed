package dir

import (
	"bytes"
	"fmt"
	"os"
	"path"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// BenchmarkPut puts objects of 80 KB into 1,000 folders, as a large import
// does. Beside what Put does stand two limits: no sync at all, and one
// syncfs(2) for the files of a group of 2,000, one more for their names.
func BenchmarkPut(b *testing.B) {
	body := make([]byte, 80_000)
	for i := range body {
		body[i] = byte(i * i >> 3)
	}
	for _, puts := range []int{1, 8, 32, 128} {
		b.Run(fmt.Sprintf("durable/puts=%d", puts), func(b *testing.B) {
			s := openBench(b)
			putAll(b, s, puts, body)
		})
	}
	b.Run("without sync/puts=8", func(b *testing.B) {
		s := openBench(b)
		s.sync = func(*os.File) error { return nil }
		putAll(b, s, 8, body)
	})
	b.Run("syncfs/group=2000", func(b *testing.B) { benchSyncfs(b, body) })
}

func openBench(b *testing.B) *Store {
	b.Helper()
	s, err := Open(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	return s
}

func benchKey(i int) string {
	return fmt.Sprintf("AWSLogs/%012d/Inspector/eu-west-1/2026/11/22/07/%d", i%1000, i)
}

func putAll(b *testing.B, s *Store, puts int, body []byte) {
	b.Helper()
	b.SetBytes(int64(len(body)))
	syncfs(b, s)
	b.ResetTimer()
	numbers := make(chan int)
	var wg sync.WaitGroup
	for range puts {
		wg.Go(func() {
			for i := range numbers {
				if err := s.Put(b.Context(), benchKey(i), bytes.NewReader(body)); err != nil {
					b.Error(err)
				}
			}
		})
	}
	for i := range b.N {
		numbers <- i
	}
	close(numbers)
	wg.Wait()
}

func syncfs(b *testing.B, s *Store) {
	b.Helper()
	f, err := s.root.Open(".")
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if err := unix.Syncfs(int(f.Fd())); err != nil {
		b.Fatal(err)
	}
}

func benchSyncfs(b *testing.B, body []byte) {
	b.Helper()
	s := openBench(b)
	s.sync = func(*os.File) error { return nil }
	b.SetBytes(int64(len(body)))
	syncfs(b, s)
	b.ResetTimer()
	for i := 0; i < b.N; i += 2000 {
		n := min(2000, b.N-i)
		temporary := make([]string, n)
		each(n, func(j int) {
			var err error
			if temporary[j], err = s.write(b.Context(), bytes.NewReader(body)); err != nil {
				b.Error(err)
			}
		})
		syncfs(b, s)
		each(n, func(j int) {
			key := benchKey(i + j)
			if err := s.makeFolder(path.Dir(key)); err != nil {
				b.Error(err)
			}
			if err := s.rename(temporary[j], key); err != nil {
				b.Error(err)
			}
			_ = s.remove(temporary[j])
		})
		syncfs(b, s)
	}
}

// each calls f for 0 to n-1 from 8 goroutines.
func each(n int, f func(int)) {
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := w; i < n; i += 8 {
				f(i)
			}
		})
	}
	wg.Wait()
}
