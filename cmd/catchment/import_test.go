package main

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"maps"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
)

// fakeS3 is a server with the bucket lake and these objects in it.
func fakeS3(t *testing.T, objects map[string]string) string {
	t.Helper()
	backend := s3mem.New()
	if err := backend.CreateBucket("lake"); err != nil {
		t.Fatal(err)
	}
	for key, b := range objects {
		if _, err := backend.PutObject("lake", key, nil, strings.NewReader(b), int64(len(b)), nil); err != nil {
			t.Fatal(err)
		}
	}
	server := httptest.NewServer(gofakes3.New(backend).Server())
	t.Cleanup(server.Close)
	return server.URL
}

// runCatchment runs the program as a process and returns what it wrote and its exit status.
func runCatchment(t *testing.T, env []string, args ...string) (out, errOut string, status int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "catchment", args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr, cmd.Dir = &stdout, &stderr, t.TempDir()
	cmd.Env = append(os.Environ(), env...)
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()
}

const s3Finding = `{"Id":"f-1","AwsAccountId":"111122223333","Region":"eu-west-1","ProductFields":{"aws/securityhub/ProductName":"Inspector"}}`

const s3Event = `{"id":"e-1","detail-type":"Security Hub Findings - Imported","source":"aws.securityhub","time":"2026-05-01T10:20:30Z","detail":{"findings":[` + s3Finding + `]}}`

func TestImportFromAndToS3(t *testing.T) {
	var zipped bytes.Buffer
	w := gzip.NewWriter(&zipped)
	if _, err := io.WriteString(w, strings.ReplaceAll(s3Event, "f-1", "f-2")); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	in := map[string]string{
		"raw/2026/1": s3Event + s3Event, "raw/2026/2": zipped.String(), "raw/folder/": "", "rawer/3": strings.ReplaceAll(s3Event, "f-1", "f-3"),
	}
	server := fakeS3(t, in)
	env := s3Env(server, t.TempDir())

	out, errOut, status := runCatchment(t, env, "import", "--compression", "none", "--to", "s3://lake/out", "s3://lake/raw/")
	if status != exitDone || errOut != "" || !strings.Contains(out, "duplicate  1\n1 object, ") || !strings.HasSuffix(out, " in s3://lake/out/\n") {
		t.Fatalf("exit status %d: %s%s", status, out, errOut)
	}
	first := s3Objects(t, server, "out/")
	if diff := cmp.Diff([]string{s3Finding, strings.ReplaceAll(s3Finding, "f-1", "f-2")}, stored(t, first)); diff != "" {
		t.Error(diff)
	}
	for key := range first {
		if !strings.HasPrefix(key, "AWSLogs/111122223333/Inspector/eu-west-1/2026/05/01/10/inspector-1-2026-05-01-10-20-30-") {
			t.Errorf("%s is no such key", key)
		}
	}
	// From all of the bucket, twice, but not from where the import writes: one object more, the same each time. It is
	// another import than the first, and so repeats its lines.
	for range 2 {
		out, errOut, status = runCatchment(t, env, "import", "--compression", "none", "--to", "s3://lake/out", "s3://lake/raw/", "s3://lake/", "s3://lake/rawer/3")
		if status != exitDone || !strings.Contains(out, "received     8\n") || !strings.Contains(out, "duplicate  5\n") {
			t.Fatalf("exit status %d: %s%s", status, out, errOut)
		}
	}
	if all := s3Objects(t, server, ""); len(all) != len(in)+2 {
		t.Errorf("%d objects: %v", len(all), slices.Sorted(maps.Keys(all)))
	}

	for name, tt := range map[string]struct {
		args   []string
		stderr string
	}{
		"a bucket that is not there":  {[]string{"--to", "s3://sea", "s3://lake/raw/"}, "bucket sea does not exist"},
		"an input that is not there":  {[]string{"--to", "s3://lake", "s3://lake/nowhere"}, "input s3://lake/nowhere: nothing there"},
		"an input bucket that is not": {[]string{"--to", "s3://lake", "s3://sea/"}, "list s3://sea/: "},
	} {
		t.Run(name, func(t *testing.T) {
			_, errOut, status := runCatchment(t, env, append([]string{"import"}, tt.args...)...)
			if status != exitFailure || !strings.HasPrefix(errOut, "catchment: error: ") || !strings.Contains(errOut, tt.stderr) {
				t.Errorf("exit status %d: %s", status, errOut)
			}
		})
	}
}

// A signal ends an import that waits for a silent pipe, and what it holds is not half written.
func TestImportIsInterrupted(t *testing.T) {
	bucket := filepath.Join(t.TempDir(), "bucket")
	cmd := exec.CommandContext(t.Context(), "catchment", "import", "--to", bucket, "-")
	var errOut bytes.Buffer
	cmd.Stderr = &errOut
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// More than a pipe holds: it has begun to read when all is written.
	if _, err := io.WriteString(in, strings.Repeat(s3Event+"\n", 5000)); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // its status is looked at
	if status := cmd.ProcessState.ExitCode(); status != exitInterrupted || errOut.String() != "catchment: interrupted\n" {
		t.Errorf("exit status %d: %s", status, errOut.String())
	}
	if entries, err := os.ReadDir(filepath.Join(bucket, "AWSLogs")); err == nil {
		t.Errorf("%d folders", len(entries))
	}
}

// What somebody calls a file does not get at the terminal of who imports it.
func TestNamesOfFilesOnTheTerminal(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "in")
	if err := os.Mkdir(folder, 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("nowhere", filepath.Join(folder, "\x1b[2J\n\xff")); err != nil {
		t.Fatal(err)
	}
	_, errOut, status := runCatchment(t, nil, "import", "--to", filepath.Join(t.TempDir(), "bucket"), folder)
	if status != exitIncomplete || strings.Contains(errOut, "\x1b") || strings.Contains(errOut, "\xff") || strings.Count(errOut, "\n") != 1 || !strings.Contains(errOut, `\x1b[2J\n\xff`) {
		t.Errorf("exit status %d: %q", status, errOut)
	}
}
