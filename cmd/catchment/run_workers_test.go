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
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"example.org/catchment/internal/config"
	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/labtest"
	labsqs "example.org/catchment/internal/lab/sqs"
	"example.org/catchment/internal/lab/wire"
)

const (
	workers     = 3
	workerKills = 8  // CATCHMENT_CRASHES sets another number
	perKill     = 40 // messages that are sent before each
)

// A crew is workers on one queue, with an S3 that fails at random. Each talks to the queue at an address of its own, so
// that it is known who was given which message.
type crew struct {
	t       *testing.T
	program string
	folder  string
	ack     string
	random  *rand.Rand
	cloud   *cloud.Cloud
	queue   http.Handler
	client  *sqs.Client
	url     string
	backend *s3mem.Backend
	s3      *unreliable
	bucket  string // its address

	fronts [workers]string
	lives  [workers]int
	alive  [workers]*process
	sent   map[string]string // line to the id of its message
	number int

	mu     sync.Mutex
	given  map[string][]string // guarded by mu: message id to the lives that it was given to, in order
	killed map[string]bool     // lives
}

func newCrew(t *testing.T, program, ack string) *crew {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	c := &crew{
		t: t, program: program, folder: t.TempDir(), ack: ack, random: rand.New(rand.NewPCG(seed, 0)), cloud: labtest.NewCloud(t), backend: s3mem.New(),
		sent: map[string]string{}, given: map[string][]string{}, killed: map[string]bool{},
	}
	service := labsqs.New(c.cloud).Wire()
	c.queue = wire.NewServer(c.cloud, service)
	c.client = sqs.NewFromConfig(labtest.Serve(t, c.cloud, service).Config(labtest.Administrator, labtest.Region))
	made, err := c.client.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("q")})
	if err != nil {
		t.Fatal(err)
	}
	c.url = *made.QueueUrl
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	var clock sync.WaitGroup
	clock.Go(func() { c.cloud.Clock.Run(ctx) })
	t.Cleanup(func() {
		stop()
		clock.Wait()
	})
	if err := c.backend.CreateBucket("bucket"); err != nil {
		t.Fatal(err)
	}
	c.s3 = &unreliable{s3: gofakes3.New(c.backend).Server(), random: rand.New(rand.NewPCG(seed, 1))}
	c.s3.faults.Store(true)
	server := httptest.NewServer(c.s3)
	t.Cleanup(server.Close)
	c.bucket = server.URL
	for w := range workers {
		front := httptest.NewServer(c.front(w))
		t.Cleanup(front.Close)
		c.fronts[w] = front.URL
	}
	return c
}

func buildProgram(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "catchment")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v: %s", err, out)
	}
	return program
}

// front is the queue as a worker sees it.
func (c *crew) front(w int) http.Handler {
	return http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".ReceiveMessage") {
			c.queue.ServeHTTP(out, r)
			return
		}
		c.mu.Lock()
		life := c.life(w)
		c.mu.Unlock()
		answer := httptest.NewRecorder()
		c.queue.ServeHTTP(answer, r)
		var got struct {
			Messages []struct {
				ID string `json:"MessageId"`
			}
		}
		_ = json.Unmarshal(answer.Body.Bytes(), &got) // an error has no messages
		c.mu.Lock()
		for _, m := range got.Messages {
			c.given[m.ID] = append(c.given[m.ID], life)
		}
		c.mu.Unlock()
		for name, values := range answer.Header() {
			out.Header()[name] = values
		}
		out.WriteHeader(answer.Code)
		_, _ = io.Copy(out, answer.Body) // the worker was killed
	})
}

// life names what a worker is at present. It requires mu.
func (c *crew) life(w int) string { return fmt.Sprintf("%d/%d", w, c.lives[w]) }

func (c *crew) journal(w int) string { return filepath.Join(c.folder, "journal-"+strconv.Itoa(w)) }

// start starts a worker with the journal that it has.
func (c *crew) start(w int) {
	c.t.Helper()
	c.mu.Lock()
	c.lives[w]++
	name := strings.ReplaceAll(c.life(w), "/", "-")
	c.mu.Unlock()
	ready := filepath.Join(c.folder, "ready-"+name)
	// A killed program must not be waited for by its context: the test decides when it ends.
	cmd := exec.CommandContext(context.WithoutCancel(c.t.Context()), c.program, "run",
		"--to", fmt.Sprintf("s3://bucket/w%d?region=us-east-1&path_style=true&endpoint=%s", w, c.bucket),
		"--journal", c.journal(w), "--queue", c.url, "--ack", c.ack, "--metrics", "none", "--interval", "20ms", "--grace", "60s",
		"--ready-file", ready)
	key := c.cloud.Accounts.Credential(labtest.Administrator)
	cmd.Env = append(os.Environ(), "AWS_ACCESS_KEY_ID="+key.AccessKeyID, "AWS_SECRET_ACCESS_KEY="+key.SecretKey, "AWS_REGION="+labtest.Region,
		"AWS_ENDPOINT_URL="+c.fronts[w], "AWS_EC2_METADATA_DISABLED=true")
	cmd.Dir = c.folder
	p := &process{cmd: cmd, log: new(bytes.Buffer)}
	cmd.Stderr = p.log
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	c.alive[w] = p
	if err := waitForFile(c.t.Context(), ready); err != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		c.t.Fatalf("start: %v: %s", err, p.log)
	}
}

func (c *crew) startAll() {
	for w := range workers {
		c.start(w)
	}
}

func (c *crew) kill(w int) {
	c.alive[w].end(c.t, syscall.SIGKILL)
	c.mu.Lock()
	c.killed[c.life(w)] = true
	c.mu.Unlock()
}

func (c *crew) stopAll() {
	for w := range workers {
		c.alive[w].end(c.t, syscall.SIGTERM)
	}
}

// send sends messages of one to three events.
func (c *crew) send(n int) {
	c.t.Helper()
	for range n {
		c.number++
		var lines []string
		var body strings.Builder
		for i := range 1 + c.number%3 {
			id := fmt.Sprintf("m%d-%d", c.number, i)
			line := fmt.Sprintf(`{"SchemaVersion":"2018-10-08","Id":"%s","AwsAccountId":"%012d","Region":"eu-west-%d",`+
				`"ProductFields":{"aws/securityhub/ProductName":"Inspector"},"UpdatedAt":"2026-01-02T03:04:05Z"}`, id, 1+c.number%3, 1+i)
			lines = append(lines, line)
			fmt.Fprintf(&body, `{"version":"0","id":"%s","detail-type":"Security Hub Findings - Imported","source":"aws.securityhub",`+
				`"account":"999999999999","time":"2026-01-02T03:04:05Z","region":"us-east-1","resources":[],"detail":{"findings":[%s]}}`+"\n", id, line)
		}
		out, err := c.client.SendMessage(c.t.Context(), &sqs.SendMessageInput{QueueUrl: aws.String(c.url), MessageBody: aws.String(body.String())})
		if err != nil {
			c.t.Fatal(err)
		}
		for _, line := range lines {
			c.sent[line] = *out.MessageId
		}
	}
}

// lines are how often each line is in the bucket, by worker.
func (c *crew) lines() map[string]*[workers]int {
	c.t.Helper()
	list, err := c.backend.ListBucket("bucket", nil, gofakes3.ListBucketPage{MaxKeys: 1 << 30})
	if err != nil {
		c.t.Fatal(err)
	}
	got := map[string]*[workers]int{}
	for _, o := range list.Contents {
		w, err := strconv.Atoi(strings.TrimPrefix(strings.SplitN(o.Key, "/", 2)[0], "w"))
		if err != nil {
			c.t.Fatalf("%s: %v", o.Key, err)
		}
		object, err := c.backend.GetObject("bucket", o.Key, nil)
		if err != nil {
			c.t.Fatal(err)
		}
		plain, err := gzip.NewReader(object.Contents)
		if err != nil {
			c.t.Fatalf("%s: %v", o.Key, err)
		}
		scanner := bufio.NewScanner(plain)
		for scanner.Scan() {
			line := scanner.Text()
			if got[line] == nil {
				got[line] = new([workers]int)
			}
			got[line][w]++
		}
		if err := scanner.Err(); err != nil {
			c.t.Errorf("%s: %v", o.Key, err)
		}
	}
	return got
}

// check compares the bucket with what was sent. A line may be there again only where its message was given away again
// because whoever had it was killed; and once for each worker, where the journals were kept. It returns how many lines
// are there more than once.
func (c *crew) check(kept bool) (doubled int) {
	c.t.Helper()
	got := c.lines()
	for line := range got {
		if c.sent[line] == "" {
			c.t.Errorf("nobody sent %s", line)
		}
	}
	for line, id := range c.sent {
		counts := got[line]
		if counts == nil {
			c.t.Errorf("lost: %s; its message was given to %q", line, c.given[id])
			continue
		}
		copies := 0
		for w, n := range counts {
			copies += n
			if kept && n > 1 {
				c.t.Errorf("worker %d has stored %d times: %s", w, n, line)
			}
		}
		if copies == 1 {
			continue
		}
		doubled++
		lives, explained := c.given[id], 1
		for _, life := range lives[:len(lives)-1] {
			if c.killed[life] {
				explained++
			}
		}
		if copies > explained {
			c.t.Errorf("%d times in the bucket, by workers %v, though its message was given to %q: %s", copies, counts, lives, line)
		}
	}
	c.t.Logf("%d messages, %d lines, %d kills: %d lines are there more than once", c.number, len(c.sent), len(c.killed), doubled)
	return doubled
}

// TestWorkersSurviveSIGKILL kills workers on one queue at random moments.
func TestWorkersSurviveSIGKILL(t *testing.T) {
	program := buildProgram(t)
	for name, tt := range map[string]struct {
		ack  string
		kept bool // the journal, over a kill
	}{
		"acknowledged in the journal, which is kept":    {config.AckJournal, true},
		"acknowledged in the bucket, the disk is lost":  {config.AckStored, false},
		"acknowledged in the bucket, the disk is there": {config.AckStored, true},
	} {
		t.Run(name, func(t *testing.T) {
			kills := importCrashes(t, workerKills)
			if testing.Short() {
				kills = 3
			}
			c := newCrew(t, program, tt.ack)
			c.startAll()
			for range kills {
				c.send(perKill)
				moment, cancel := context.WithTimeout(t.Context(), time.Duration(c.random.IntN(60))*time.Millisecond)
				<-moment.Done()
				cancel()
				w := c.random.IntN(workers)
				c.kill(w)
				if !tt.kept {
					if err := os.RemoveAll(c.journal(w)); err != nil {
						t.Fatal(err)
					}
				}
				c.start(w)
			}
			c.s3.faults.Store(false)
			c.stopAll() // nobody holds messages but the dead
			if err := c.cloud.Clock.Advance(t.Context(), time.Minute); err != nil {
				t.Fatal(err)
			}
			c.startAll()
			if err := waitUntilDrained(t.Context(), c.client, c.url); err != nil {
				t.Fatal(err)
			}
			c.stopAll()
			c.check(tt.kept)
		})
	}
}

func TestWorkersShareAQueueExactlyOnce(t *testing.T) {
	c := newCrew(t, buildProgram(t), config.AckJournal)
	c.s3.faults.Store(false)
	c.startAll()
	c.send(600)
	if err := waitUntilDrained(t.Context(), c.client, c.url); err != nil {
		t.Fatal(err)
	}
	c.stopAll()
	if doubled := c.check(true); doubled != 0 {
		t.Errorf("%d lines are there more than once", doubled)
	}
	did := map[string]int{}
	for _, lives := range c.given {
		for _, life := range lives {
			did[life]++
		}
	}
	t.Logf("messages by worker: %v", did)
	if len(did) != workers {
		t.Errorf("only some of %d workers did anything: %v", workers, did)
	}
}
