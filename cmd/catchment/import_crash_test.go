package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/google/go-cmp/cmp"
	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"example.org/catchment/internal/document"
	"example.org/catchment/internal/store/s3"
)

// importCrashes is how many imports are killed: some, or CATCHMENT_CRASHES.
func importCrashes(t *testing.T, some int) int {
	t.Helper()
	text := os.Getenv("CATCHMENT_CRASHES")
	if text == "" {
		return some
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// crashInput writes events of many partitions, some of them twice, some broken, and returns the lines that belong into
// the bucket but for error records.
func crashInput(t *testing.T, folder string, events int) []string {
	t.Helper()
	var in bytes.Buffer
	var want []string
	r := rand.New(rand.NewPCG(7, 7))
	for n := range events {
		finding := fmt.Sprintf(`{"Id":"f-%d","AwsAccountId":"1111222233%02d","Region":"eu-west-%d","ProductFields":{"aws/securityhub/ProductName":"Inspector"},"Title":"%x"}`,
			n, n%40, n%3, r.Uint64())
		event := fmt.Sprintf(`{"id":"e-%d","detail-type":"Security Hub Findings - Imported","source":"aws.securityhub","time":"2026-05-01T10:20:30Z","region":"us-east-1","detail":{"findings":[%s]}}`+"\n", n, finding)
		in.WriteString(event)
		want = append(want, finding)
		switch n % 50 {
		case 7:
			in.WriteString(event)
		case 8:
			fmt.Fprintf(&in, "{broken %d\n", n)
		}
	}
	if err := os.MkdirAll(folder, 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "events.json"), in.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	slices.Sort(want)
	return want
}

// A target is a bucket that an import in a process of its own writes to.
type target struct {
	url     string
	env     []string
	objects func(t *testing.T) map[string]string // what is in it, by key
	// left are temporary files that are there though no import runs.
	left func(t *testing.T) []string
}

// runImport imports in into a target; with a time to live the process is killed when that is over, unless it has ended.
// It reports whether the import ended by itself.
func (to *target) runImport(t *testing.T, in string, live time.Duration, flags ...string) bool {
	t.Helper()
	// The timer that ends an import which hangs is not the one that kills.
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "catchment", append(append([]string{"import", "--to", to.url}, flags...), in)...)
	var report bytes.Buffer
	cmd.Stdout, cmd.Stderr = &report, &report
	cmd.Env, cmd.Dir = append(os.Environ(), to.env...), filepath.Dir(in)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if live > 0 {
		killer := time.AfterFunc(live, func() { _ = cmd.Process.Kill() })
		defer killer.Stop()
	}
	err := cmd.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() && live > 0 && ctx.Err() == nil {
			return false
		}
	}
	if cmd.ProcessState.ExitCode() != exitIncomplete { // some documents are broken
		t.Fatalf("import: %v: %s", err, report.String())
	}
	return true
}

// checkKilled kills imports into new buckets, one to three times each, lets the last one end, and compares.
func checkKilled(t *testing.T, in string, lines []string, kills int, fresh func(t *testing.T) *target, flags ...string) {
	t.Helper()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	whole := fresh(t)
	start := time.Now()
	whole.runImport(t, in, 0, flags...)
	long := time.Since(start)
	want := whole.objects(t)
	if diff := cmp.Diff(lines, stored(t, want)); diff != "" {
		t.Fatalf("an import that nobody kills: %s", diff)
	}
	killed, ended, partly := 0, 0, 0
	aim := 0.8 // of the time that an import takes: when its objects come into being, found by trying
	for killed < kills && ended < 10*kills {
		to := fresh(t)
		for range 1 + r.IntN(3) {
			moment := aim + 0.2*(r.Float64()-0.5)
			if r.IntN(3) == 0 {
				moment = r.Float64() // any other is as good
			}
			there := len(to.objects(t))
			if to.runImport(t, in, time.Millisecond+time.Duration(moment*float64(long)), flags...) {
				ended++
				aim = max(0.1, aim*0.9)
			} else {
				killed++
			}
			switch after := len(to.objects(t)); {
			case after == there && there < len(want):
				aim = min(1.5, aim*1.05)
			case after < len(want):
				partly++
			}
			for key, b := range to.objects(t) {
				if want[key] != b {
					t.Fatalf("after a kill %s holds what does not belong there", key)
				}
			}
		}
		to.runImport(t, in, 0, flags...)
		if diff := cmp.Diff(want, to.objects(t)); diff != "" {
			t.Fatalf("the bucket after %d kills: %s", killed, diff)
		}
		if left := to.left(t); len(left) > 0 {
			t.Fatalf("temporary files are left: %v", left)
		}
	}
	t.Logf("%d imports killed, %d had ended before; %d left a part of the %d objects; an import takes %v", killed, ended, partly, len(want), long)
}

// stored are the lines of objects that are no error records, sorted.
func stored(t *testing.T, objects map[string]string) []string {
	t.Helper()
	var all []string
	for key, b := range objects {
		if strings.HasPrefix(key, "errors/") {
			continue
		}
		r, err := document.Open(strings.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		plain, err := io.ReadAll(r)
		if err != nil {
			t.Fatalf("%s: %v", key, err)
		}
		all = append(all, strings.Split(strings.TrimSuffix(string(plain), "\n"), "\n")...)
	}
	slices.Sort(all)
	return all
}

// TestImportIsKilled kills imports by SIGKILL at random moments and runs them again: the bucket is the same as that of an
// import which nobody killed, every time. CATCHMENT_CRASHES says how many are killed.
func TestImportIsKilled(t *testing.T) {
	in := filepath.Join(t.TempDir(), "in")
	lines := crashInput(t, in, 2000)
	t.Run("folder", func(t *testing.T) {
		t.Parallel()
		checkKilled(t, in, lines, importCrashes(t, 6), freshFolder)
	})
	t.Run("S3 that fails at random", func(t *testing.T) {
		t.Parallel()
		checkKilled(t, in, lines, importCrashes(t, 3), freshS3)
	})
}

func freshFolder(t *testing.T) *target {
	t.Helper()
	bucket, temporary := t.TempDir(), t.TempDir()
	files := func(t *testing.T, root string) map[string]string {
		t.Helper()
		all := make(map[string]string)
		err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			b, err := os.ReadFile(name)
			all[strings.TrimPrefix(name, root+"/")] = string(b)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	isTemporary := func(key, _ string) bool { return strings.HasPrefix(key, ".catchment-tmp/") }
	return &target{
		url: bucket,
		env: []string{"TMPDIR=" + temporary},
		objects: func(t *testing.T) map[string]string {
			t.Helper()
			all := files(t, bucket)
			maps.DeleteFunc(all, isTemporary)
			return all
		},
		left: func(t *testing.T) []string {
			t.Helper()
			all := files(t, bucket)
			maps.DeleteFunc(all, func(key, b string) bool { return !isTemporary(key, b) || key == ".catchment-tmp/lock" })
			maps.Copy(all, files(t, temporary))
			return slices.Sorted(maps.Keys(all))
		},
	}
}

// A flaky server fails one request of ten: it says 503, hangs up before or after the work was done, or in between.
type flaky struct {
	healthy http.Handler
	mu      sync.Mutex
	r       *rand.Rand // guarded by mu
}

func (f *flaky) draw() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.r.IntN(40)
}

func (f *flaky) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	hangUp := func() {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		_ = conn.Close()
	}
	switch f.draw() {
	case 0:
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, "<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>")
	case 1:
		hangUp()
	case 2:
		_, _ = io.CopyN(io.Discard, r.Body, r.ContentLength/2)
		hangUp()
	case 3:
		f.healthy.ServeHTTP(httptest.NewRecorder(), r)
		hangUp()
	default:
		f.healthy.ServeHTTP(w, r)
	}
}

func freshS3(t *testing.T) *target {
	t.Helper()
	backend := s3mem.New()
	if err := backend.CreateBucket("lake"); err != nil {
		t.Fatal(err)
	}
	healthy := gofakes3.New(backend).Server()
	front := httptest.NewServer(&flaky{healthy: healthy, r: rand.New(rand.NewPCG(rand.Uint64(), 2))})
	t.Cleanup(front.Close)
	back := httptest.NewServer(healthy)
	t.Cleanup(back.Close)
	temporary := t.TempDir()
	return &target{
		url: "s3://lake/some/where",
		env: s3Env(front.URL, temporary),
		objects: func(t *testing.T) map[string]string {
			t.Helper()
			return s3Objects(t, back.URL, "some/where/")
		},
		left: func(t *testing.T) []string {
			t.Helper()
			entries, err := os.ReadDir(temporary)
			if err != nil {
				t.Fatal(err)
			}
			var left []string
			for _, e := range entries {
				left = append(left, e.Name())
			}
			return left
		},
	}
}

// s3Env is the environment of a process that uses an S3 server.
func s3Env(endpoint, temporary string) []string {
	return []string{
		"AWS_ENDPOINT_URL_S3=" + endpoint, "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test", "AWS_REGION=eu-west-1",
		"AWS_EC2_METADATA_DISABLED=true", "AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null", "TMPDIR=" + temporary,
	}
}

// s3Objects are the objects of the bucket lake below a prefix, by key.
func s3Objects(t *testing.T, endpoint, prefix string) map[string]string {
	t.Helper()
	bucket := s3.Open(aws.Config{
		Region: "eu-west-1", BaseEndpoint: &endpoint, Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""), HTTPClient: http.DefaultClient,
	}, s3.Options{Bucket: "lake", Prefix: prefix})
	all := make(map[string]string)
	for o, err := range bucket.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		r, err := bucket.Get(t.Context(), o.Key)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		if err := errors.Join(err, r.Close()); err != nil {
			t.Fatal(err)
		}
		all[o.Key] = string(b)
	}
	return all
}
