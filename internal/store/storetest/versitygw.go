package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// A Gateway is a running versitygw: an S3 server that is no kin of ours, over a
// folder.
type Gateway struct {
	Endpoint  string // URL
	AccessKey string
	SecretKey string
}

// Versitygw starts a server for the time of the test. The program is the one
// that CATCHMENT_VERSITYGW names, else versitygw in PATH. Without it the test is
// skipped, or fails where CATCHMENT_REQUIRE_VERSITYGW is 1.
func Versitygw(t *testing.T) Gateway {
	t.Helper()
	program := os.Getenv("CATCHMENT_VERSITYGW")
	if program == "" {
		found, err := exec.LookPath("versitygw")
		if err != nil {
			const message = "NOT RUN: the tests against versitygw, the independent S3 server, did not run: " +
				"install it (go install github.com/versity/versitygw/cmd/versitygw@v1.8.0) or set CATCHMENT_VERSITYGW to its path"
			if os.Getenv("CATCHMENT_REQUIRE_VERSITYGW") == "1" {
				t.Fatal(message)
			}
			t.Skip(message)
		}
		program = found
	}
	var last error
	for range 3 { // the port was free a moment before, which is no promise
		g, err := startGateway(t, program)
		if err == nil {
			return g
		}
		last = err
	}
	t.Fatalf("versitygw: %v", last)
	return Gateway{}
}

func startGateway(t *testing.T, program string) (Gateway, error) {
	t.Helper()
	home := t.TempDir()
	for _, folder := range []string{"buckets", "versions"} {
		if err := os.Mkdir(filepath.Join(home, folder), 0o750); err != nil {
			return Gateway{}, err
		}
	}
	address, err := freePort(t.Context())
	if err != nil {
		return Gateway{}, err
	}
	g := Gateway{Endpoint: "http://" + address, AccessKey: "testtest", SecretKey: "testtesttest"}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))                  // t's ends before the clean-up
	cmd := exec.CommandContext(ctx, program, "--port", address, "--quiet", "--keep-alive", //nolint:gosec // named by whoever runs the tests
		"posix", "--versioning-dir", filepath.Join(home, "versions"), filepath.Join(home, "buckets"))
	cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY_ID="+g.AccessKey, "ROOT_SECRET_ACCESS_KEY="+g.SecretKey)
	cmd.Dir = home
	var output log
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		cancel()
		return Gateway{}, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	if err := answers(address, ended); err != nil {
		cancel() // kills this process, by its own id
		return Gateway{}, fmt.Errorf("%w; it said:\n%s", err, output.String())
	}
	t.Cleanup(func() {
		cancel()
		err := <-ended
		if t.Failed() {
			t.Logf("versitygw ended by %v and said:\n%s", err, output.String())
		}
	})
	return g, nil
}

func freePort(ctx context.Context) (string, error) {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// answers waits until the port takes connections.
func answers(address string, ended chan error) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	tooLate := time.After(20 * time.Second)
	for {
		c, err := net.DialTimeout("tcp", address, time.Second) //nolint:noctx // bounded by itself
		if err == nil {
			return c.Close()
		}
		select {
		case err := <-ended:
			ended <- err
			return fmt.Errorf("ended at once: %w", err)
		case <-tooLate:
			return errors.New("does not listen after 20 s")
		case <-tick.C:
		}
	}
}

// log collects what a process says.
type log struct {
	mu  sync.Mutex
	buf bytes.Buffer // guarded by mu
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}
