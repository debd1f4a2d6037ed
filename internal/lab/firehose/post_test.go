package firehose_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/firehose"
	"github.com/aws/aws-sdk-go-v2/service/firehose/types"

	"example.org/catchment/internal/lab/firehose"
)

// An endpoint takes what Firehose posts.
type endpoint struct {
	mu       sync.Mutex
	requests []*http.Request
	bodies   []string
	answer   http.HandlerFunc // nil: as the protocol wants it
}

func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(bytes.NewReader(body))
		if err == nil {
			body, _ = io.ReadAll(z)
		}
	}
	e.mu.Lock()
	e.requests = append(e.requests, r)
	e.bodies = append(e.bodies, string(body))
	answer := e.answer
	e.mu.Unlock()
	if answer == nil {
		answer = well
	}
	answer(w, r)
}

func well(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, `{"requestId":%q,"timestamp":1578090903599}`, r.Header.Get("X-Amz-Firehose-Request-Id"))
}

type posted struct {
	RequestID string `json:"requestId"`
	Timestamp int64  `json:"timestamp"`
	Records   []struct {
		Data []byte `json:"data"`
	} `json:"records"`
}

// got are the bodies that came, and the headers. A server may still hold what its client has given up.
func (e *endpoint) got() ([]string, []*http.Request) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.bodies), slices.Clone(e.requests)
}

func (e *endpoint) read(t *testing.T, i int) posted {
	t.Helper()
	bodies, _ := e.got()
	d := json.NewDecoder(strings.NewReader(bodies[i]))
	d.DisallowUnknownFields()
	var p posted
	if err := d.Decode(&p); err != nil {
		t.Fatal(err)
	}
	return p
}

func endpointConfig(url string) *types.HttpEndpointDestinationConfiguration {
	return &types.HttpEndpointDestinationConfiguration{
		EndpointConfiguration: &types.HttpEndpointConfiguration{Url: aws.String(url), Name: aws.String("collector"), AccessKey: aws.String("secret")},
		S3Configuration:       &types.S3DestinationConfiguration{RoleARN: aws.String(role), BucketARN: aws.String(backup)},
		BufferingHints:        &types.HttpEndpointBufferingHints{SizeInMBs: aws.Int32(1), IntervalInSeconds: aws.Int32(60)},
	}
}

func newEndpoint(t *testing.T, set firehose.Settings, change func(*types.HttpEndpointDestinationConfiguration)) (*lab, *endpoint) {
	t.Helper()
	e := &endpoint{}
	server := httptest.NewServer(e)
	t.Cleanup(server.Close)
	l := newLab(t, set)
	h := endpointConfig(server.URL + "/records")
	if change != nil {
		change(h)
	}
	l.create(&sdk.CreateDeliveryStreamInput{HttpEndpointDestinationConfiguration: h})
	return l, e
}

func TestRecordsArePostedAsTheProtocolSays(t *testing.T) {
	l, e := newEndpoint(t, firehose.Settings{}, func(h *types.HttpEndpointDestinationConfiguration) {
		h.RequestConfiguration = &types.HttpEndpointRequestConfiguration{
			ContentEncoding:  types.ContentEncodingGzip,
			CommonAttributes: []types.HttpEndpointCommonAttribute{{AttributeName: aws.String("b"), AttributeValue: aws.String("2")}, {AttributeName: aws.String("a"), AttributeValue: aws.String(`"`)}},
		}
	})
	l.put("hello", "hello world", "")
	l.advance(time.Minute)
	if len(e.requests) != 1 {
		t.Fatalf("got %d requests", len(e.requests))
	}
	p := e.read(t, 0)
	if len(p.Records) != 3 || string(p.Records[0].Data) != "hello" || string(p.Records[1].Data) != "hello world" || p.Timestamp != 1795353320000 {
		t.Errorf("got %+v", p)
	}
	for header, want := range map[string]string{
		"X-Amz-Firehose-Protocol-Version": "1.0", "X-Amz-Firehose-Request-Id": p.RequestID,
		"X-Amz-Firehose-Source-Arn": "arn:aws:firehose:ap-northeast-1:111111111111:deliverystream/findings",
		"X-Amz-Firehose-Access-Key": "secret", "X-Amz-Firehose-Common-Attributes": `{"commonAttributes":{"a":"\"","b":"2"}}`,
		"Content-Type": "application/json", "Content-Encoding": "gzip",
	} {
		if got := e.requests[0].Header.Get(header); got != want {
			t.Errorf("%s: got %q, want %q", header, got, want)
		}
	}
	if r := e.requests[0]; r.Method != http.MethodPost || r.URL.Path != "/records" {
		t.Errorf("got %s %s", r.Method, r.URL.Path)
	}
	if got := l.state(); got.PendingRecords != 0 || got.Metrics.Delivered.Records != 3 || len(l.s3.deliveries) != 0 {
		t.Errorf("got %+v", got)
	}
}

func TestTheBodyIsThatOfTheSample(t *testing.T) {
	sample, err := os.ReadFile("testdata/firehose-http-request.json")
	if err != nil {
		t.Fatal(err)
	}
	l, e := newEndpoint(t, firehose.Settings{}, func(h *types.HttpEndpointDestinationConfiguration) { h.EndpointConfiguration.AccessKey = nil })
	l.put("hello", "hello world")
	l.advance(time.Minute)
	p := e.read(t, 0)
	var compact bytes.Buffer
	if err := json.Compact(&compact, sample); err != nil {
		t.Fatal(err)
	}
	want := strings.NewReplacer("ed4acda5-034f-9f42-bba1-f29aea6d7d8f", p.RequestID, "1578090901599", "1795353320000").Replace(compact.String())
	if e.bodies[0] != want {
		t.Errorf("got  %s\nwant %s", e.bodies[0], want)
	}
	for _, absent := range []string{"X-Amz-Firehose-Access-Key", "X-Amz-Firehose-Common-Attributes", "Content-Encoding"} {
		if _, is := e.requests[0].Header[absent]; is {
			t.Errorf("%s is set", absent)
		}
	}
}

// failure is an answer, and the code of what Firehose makes of it.
func TestABatchThatIsNotTakenIsTriedAgainAndThenGoesToTheErrorPrefix(t *testing.T) {
	failureSample, err := os.ReadFile("testdata/firehose-http-response-failure.json")
	if err != nil {
		t.Fatal(err)
	}
	with := func(status int, header, value, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			if header != "" {
				w.Header().Set(header, value)
			}
			w.WriteHeader(status)
			_, _ = io.WriteString(w, strings.ReplaceAll(body, "ID", r.Header.Get("X-Amz-Firehose-Request-Id")))
		}
	}
	const good = `{"requestId":"ID","timestamp":1}`
	const invalid = "HttpEndpoint.InvalidResponseFromDestination"
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		code   string
		once   bool
	}{
		"a status that is not 200":      {with(503, "", "", good), "HttpEndpoint.DestinationException", false},
		"201 is no success":             {with(201, "", "", good), "HttpEndpoint.DestinationException", false},
		"the sample of a failure":       {with(500, "", "", string(failureSample)), "HttpEndpoint.DestinationException", false},
		"redirects are not followed":    {with(307, "Location", "/elsewhere", ""), "HttpEndpoint.DestinationException", false},
		"413 is final":                  {with(413, "", "", good), "HttpEndpoint.DestinationException", true},
		"another content type":          {with(200, "Content-Type", "text/plain", good), invalid, false},
		"a content encoding":            {with(200, "Content-Encoding", "identity", good), invalid, false},
		"no content length":             {flushing, invalid, false},
		"no JSON":                       {with(200, "", "", "ok"), invalid, false},
		"another request's id":          {with(200, "", "", `{"requestId":"x","timestamp":1}`), invalid, false},
		"no id":                         {with(200, "", "", `{"timestamp":1}`), invalid, false},
		"no time":                       {with(200, "", "", `{"requestId":"ID"}`), invalid, false},
		"a time that is a text":         {with(200, "", "", `{"requestId":"ID","timestamp":"1"}`), invalid, false},
		"a field more":                  {with(200, "", "", `{"requestId":"ID","timestamp":1,"more":1}`), invalid, false},
		"an error message that is long": {with(200, "", "", `{"requestId":"ID","timestamp":1,"errorMessage":"`+strings.Repeat("x", 8193)+`"}`), invalid, false},
		"an answer of more than 1 MiB":  {with(200, "", "", strings.Repeat(" ", 1<<20+1)), "HttpEndpoint.ResponseTooLarge", false},
		"a connection that breaks":      {hangUp, "HttpEndpoint.ConnectionReset", false},
		"an answer that does not come":  {silent, "HttpEndpoint.RequestTimeout", false},
	} {
		t.Run(name, func(t *testing.T) {
			timeout := time.Minute
			if test.code == "HttpEndpoint.RequestTimeout" {
				timeout = 50 * time.Millisecond
			}
			l, e := newEndpoint(t, firehose.Settings{ResponseTimeout: timeout}, func(h *types.HttpEndpointDestinationConfiguration) {
				h.RetryOptions = &types.HttpEndpointRetryOptions{DurationInSeconds: aws.Int32(5)}
			})
			e.answer = test.answer
			l.put("a", "b")
			l.advance(2 * time.Minute)
			want := 3 // at once, after about 1 s, after about 3 s; the fourth would be after about 7 s
			if test.once {
				want = 1
			}
			bodies, _ := e.got()
			if len(bodies) != want {
				t.Errorf("tried %d times, want %d", len(bodies), want)
			}
			for i := range bodies {
				if e.read(t, i).RequestID != e.read(t, 0).RequestID {
					t.Error("the request's id changed from try to try")
				}
			}
			l.advance(300 * time.Second)
			_, body := l.only("backup/http-endpoint-failed/2026/11/22/13/")
			got := errorRecords(t, body)
			if len(got) != 2 || string(got[0].RawData) != "a" || got[0].ErrorCode != test.code || got[0].AttemptsMade != want ||
				got[0].SubsequenceNumber == nil || *got[0].SubsequenceNumber != 0 || got[0].DataID == nil || !strings.HasSuffix(*got[0].DataID, ".0") || got[0].LambdaARN != nil {
				t.Errorf("got %+v, want both with code %s", got, test.code)
			}
		})
	}
}

func flushing(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.(http.Flusher).Flush()
	well(w, r)
}

func hangUp(w http.ResponseWriter, _ *http.Request) {
	c, _, err := w.(http.Hijacker).Hijack()
	if err == nil {
		_ = c.Close()
	}
}

func silent(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

func TestErrorRecordsOfAnEndpointHaveTheSamplesFields(t *testing.T) {
	sample, err := os.ReadFile("testdata/firehose-http-error-record.json")
	if err != nil {
		t.Fatal(err)
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, sample); err != nil {
		t.Fatal(err)
	}
	if got := errorRecords(t, compact.String()); got[0].DataID == nil || got[0].AttemptsMade != 5 {
		t.Errorf("the sample reads as %+v", got)
	}
}

func TestAnEndpointThatComesBackGetsTheSameBatch(t *testing.T) {
	l, e := newEndpoint(t, firehose.Settings{}, nil)
	e.answer = hangUp
	l.put("a")
	l.advance(65 * time.Second)
	e.mu.Lock()
	e.answer = nil
	e.mu.Unlock()
	l.advance(120 * time.Second)
	if n := len(e.requests); n != 4 {
		t.Errorf("got %d requests, want 4", n)
	}
	if e.bodies[3] == e.bodies[0] || e.read(t, 3).RequestID != e.read(t, 0).RequestID {
		t.Error("the last try has another id, or the time of the first")
	}
}

func TestAllDataGoToTheBackupAsTheyCameIn(t *testing.T) {
	l, _ := newEndpoint(t, firehose.Settings{}, func(h *types.HttpEndpointDestinationConfiguration) {
		h.S3BackupMode = types.HttpEndpointS3BackupModeAllData
	})
	l.put("a", "b")
	l.advance(300 * time.Second)
	if _, body := l.only("backup/2026/11/22/13/findings-1-"); body != "ab" {
		t.Errorf("got %q", body)
	}
}

func TestARequestHasAtMost10000Records(t *testing.T) {
	l, e := newEndpoint(t, firehose.Settings{}, nil)
	some := make([]string, 500)
	for range 21 {
		l.put(some...)
	}
	l.advance(60 * time.Second)
	if len(e.bodies) != 2 || len(e.read(t, 0).Records) != 10_000 || len(e.read(t, 1).Records) != 500 {
		t.Errorf("got %d requests", len(e.bodies))
	}
}

func TestEndpointsNeedACertificateThatIsTrusted(t *testing.T) {
	e := &endpoint{}
	server := httptest.NewUnstartedServer(e)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	for name, test := range map[string]struct {
		client *http.Client
		want   string
	}{"trusted": {server.Client(), ""}, "unknown": {nil, "HttpEndpoint.SSLHandshakeFailure"}} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, firehose.Settings{Client: test.client})
			h := endpointConfig(server.URL)
			h.RetryOptions = &types.HttpEndpointRetryOptions{DurationInSeconds: aws.Int32(0)}
			l.create(&sdk.CreateDeliveryStreamInput{HttpEndpointDestinationConfiguration: h})
			l.put("a")
			l.advance(time.Minute)
			for code, n := range l.state().Metrics.Failures {
				if code != test.want || n != 1 {
					t.Errorf("got %d %s, want %q", n, code, test.want)
				}
			}
			if test.want != "" && len(l.state().Metrics.Failures) == 0 {
				t.Error("delivered to a server that nobody vouches for")
			}
		})
	}
}
