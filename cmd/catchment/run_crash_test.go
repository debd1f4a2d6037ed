package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
)

// runKills is how often the program is killed; CATCHMENT_CRASHES sets another number.
const runKills = 40

// unreliable is an S3 server that fails at random: before it has done what was asked, after, or half-way.
type unreliable struct {
	s3     http.Handler
	faults atomic.Bool
	mu     sync.Mutex
	random *rand.Rand // guarded by mu
}

func (u *unreliable) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	fault := 0
	if u.faults.Load() {
		u.mu.Lock()
		fault = u.random.IntN(10)
		u.mu.Unlock()
	}
	switch fault {
	case 1:
		w.WriteHeader(http.StatusServiceUnavailable)
	case 2: // gone without an answer
		panic(http.ErrAbortHandler)
	case 3: // done, and the answer is lost
		u.s3.ServeHTTP(httptest.NewRecorder(), r)
		panic(http.ErrAbortHandler)
	default:
		u.s3.ServeHTTP(w, r)
	}
}

// A sender hands in events like EventBridge does: again and again, until it has its 200; at times it gives up.
type sender struct {
	name   string
	random *rand.Rand
	next   int
	events []byte   // of the request that is not acknowledged yet
	lines  []string // of it
	lock   *sync.Mutex
	lives  map[string]bool // line to acknowledged; shared
}

// send posts until ctx ends.
func (s *sender) send(ctx context.Context, client *http.Client, url string) {
	for ctx.Err() == nil {
		if s.events == nil {
			s.compose()
		}
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(s.events))
		if err != nil {
			return
		}
		answer, err := client.Do(request)
		if err != nil {
			continue
		}
		_, _ = io.Copy(io.Discard, answer.Body)
		_ = answer.Body.Close()
		if answer.StatusCode == http.StatusOK {
			s.note(true)
			s.events = nil
		} else if s.random.IntN(20) == 0 {
			s.events = nil // given up
		}
	}
}

func (s *sender) note(acknowledged bool) {
	s.lock.Lock()
	defer s.lock.Unlock()
	for _, line := range s.lines {
		s.lives[line] = acknowledged
	}
}

func (s *sender) compose() {
	s.lines = nil
	var events bytes.Buffer
	for range 1 + s.random.IntN(5) {
		s.next++
		id := fmt.Sprintf("%s-%d", s.name, s.next)
		line := fmt.Sprintf(`{"SchemaVersion":"2018-10-08","Id":"%s","AwsAccountId":"%012d","Region":"eu-west-%d",`+
			`"ProductFields":{"aws/securityhub/ProductName":"Inspector"},"UpdatedAt":"2026-01-02T03:04:05Z","Description":"%s"}`,
			id, 1+s.random.IntN(3), 1+s.random.IntN(3), strings.Repeat("text ", s.random.IntN(200)))
		s.lines = append(s.lines, line)
		fmt.Fprintf(&events, `{"version":"0","id":"%s","detail-type":"Security Hub Findings - Imported","source":"aws.securityhub",`+
			`"account":"999999999999","time":"2026-01-02T03:04:05Z","region":"us-east-1","resources":[],"detail":{"findings":[%s]}}`+"\n", id, line)
	}
	s.events = events.Bytes()
	s.note(false)
}

// TestRunSurvivesSIGKILL kills the program at random moments, with senders at work and an S3 that fails at random, and
// starts it again on the same journal. In the end the bucket holds what was acknowledged, once.
func TestRunSurvivesSIGKILL(t *testing.T) {
	kills := importCrashes(t, runKills)
	if testing.Short() {
		kills = 5
	}
	folder := t.TempDir()
	program := filepath.Join(folder, "catchment")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v: %s", err, out)
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	backend := s3mem.New()
	if err := backend.CreateBucket("bucket"); err != nil {
		t.Fatal(err)
	}
	s3 := &unreliable{s3: gofakes3.New(backend).Server(), random: rand.New(rand.NewPCG(seed, 1))}
	s3.faults.Store(true)
	server := httptest.NewServer(s3)
	defer server.Close()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}

	var lock sync.Mutex
	sent := map[string]bool{}
	var senders []*sender
	for i := range 3 {
		senders = append(senders, &sender{
			name: fmt.Sprintf("s%d", i), random: rand.New(rand.NewPCG(seed, uint64(i))), lock: &lock, lives: sent,
		})
	}
	for kill := range kills + 1 {
		last := kill == kills
		if last {
			s3.faults.Store(false)
		}
		p := start(t, program, folder, server.URL, strconv.Itoa(kill))
		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for _, s := range senders {
			wg.Go(func() { s.send(ctx, client, p.events) })
		}
		time.AfterFunc(time.Duration(5+random.IntN(80))*time.Millisecond, stop)
		<-ctx.Done() // senders and kill come at the same time: some requests are cut, some are not
		if last {
			wg.Wait()
			p.end(t, syscall.SIGTERM)
			break
		}
		p.end(t, syscall.SIGKILL)
		wg.Wait()
	}
	compare(t, backend, sent)
}

// A process is one life of the program.
type process struct {
	cmd    *exec.Cmd
	log    *bytes.Buffer
	events string
}

func start(t *testing.T, program, folder, endpoint, name string) *process {
	t.Helper()
	ready := filepath.Join(folder, "ready-"+name)
	// A killed program must not be waited for by its context: the test decides when it ends.
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), program, "run",
		"--to", "s3://bucket/lake?region=us-east-1&path_style=true&endpoint="+endpoint,
		"--journal", filepath.Join(folder, "journal"), "--listen", "127.0.0.1:0", "--metrics", "none",
		"--interval", "20ms", "--grace", "60s", "--ready-file", ready)
	cmd.Env = append(os.Environ(), "AWS_ACCESS_KEY_ID=id", "AWS_SECRET_ACCESS_KEY=secret", "AWS_EC2_METADATA_DISABLED=true")
	cmd.Dir = folder
	p := &process{cmd: cmd, log: new(bytes.Buffer)}
	cmd.Stderr = p.log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var where listening
	err := waitForFile(t.Context(), ready)
	if err == nil {
		var b []byte
		if b, err = os.ReadFile(ready); err == nil {
			err = json.Unmarshal(b, &where)
		}
	}
	if err != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		t.Fatalf("start: %v: %s", err, p.log)
	}
	p.events = where.Events[0]
	return p
}

func (p *process) end(t *testing.T, signal syscall.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(signal); err != nil {
		t.Errorf("%v: %v: %s", signal, err, p.log)
	}
	err := p.cmd.Wait()
	if signal == syscall.SIGTERM && err != nil {
		t.Errorf("after %v: %v: %s", signal, err, p.log)
	}
	for _, bad := range []string{"object was there with other bytes", "record lost", "damage found", "key refused", "panic", "DATA RACE"} {
		if strings.Contains(p.log.String(), bad) {
			t.Errorf("the log tells of %q: %s", bad, p.log)
		}
	}
}

func compare(t *testing.T, backend gofakes3.Backend, sent map[string]bool) {
	t.Helper()
	list, err := backend.ListBucket("bucket", nil, gofakes3.ListBucketPage{MaxKeys: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for _, o := range list.Contents {
		object, err := backend.GetObject("bucket", o.Key, nil)
		if err != nil {
			t.Fatal(err)
		}
		plain, err := gzip.NewReader(object.Contents)
		if err != nil {
			t.Fatalf("%s: %v", o.Key, err)
		}
		scanner := bufio.NewScanner(plain)
		for scanner.Scan() {
			line := scanner.Text()
			got[line]++
			var f struct {
				Account string `json:"AwsAccountId"`
				Region  string
			}
			if err := json.Unmarshal([]byte(line), &f); err != nil || !strings.HasPrefix(o.Key, "lake/AWSLogs/"+f.Account+"/Inspector/"+f.Region+"/") {
				t.Errorf("%s holds %s", o.Key, line)
			}
		}
		if err := scanner.Err(); err != nil {
			t.Errorf("%s: %v", o.Key, err)
		}
	}
	acknowledged := 0
	for line, ok := range sent {
		if ok {
			acknowledged++
			if got[line] == 0 {
				t.Errorf("acknowledged and not in the bucket: %s", line)
			}
		}
	}
	for line, n := range got {
		if _, ok := sent[line]; !ok || n != 1 {
			t.Errorf("%d times in the bucket (sent: %v): %s", n, ok, line)
		}
	}
	t.Logf("%d objects, %d lines, %d of %d lines acknowledged", len(list.Contents), len(got), acknowledged, len(sent))
	if acknowledged == 0 {
		t.Error("nothing was acknowledged: this test proves nothing")
	}
}
