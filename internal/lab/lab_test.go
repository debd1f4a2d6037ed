package lab_test

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	run "github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go"

	"example.org/catchment/internal/lab"
	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/labtest"
	"example.org/catchment/internal/lab/population"
)

// TestMain lets the lab's functions be this very program.
func TestMain(m *testing.M) {
	if os.Getenv("AWS_LAMBDA_RUNTIME_API") != "" {
		run.Start(function)
		return
	}
	os.Exit(m.Run())
}

// function is what the lab runs: it hands Firehose's records back, waits where it is told to, and takes all else.
func function(ctx context.Context, in map[string]any) (any, error) {
	if in["wait"] != nil {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	if in["deliveryStreamArn"] == nil {
		return nil, nil
	}
	var out []any
	for _, r := range in["records"].([]any) {
		record := r.(map[string]any)
		out = append(out, map[string]any{"recordId": record["recordId"], "result": "Ok", "data": record["data"]})
	}
	return map[string]any{"records": out}, nil
}

// functionZip is the code of a function: it starts this program.
func functionZip(tb testing.TB) []byte {
	tb.Helper()
	self, err := os.Executable()
	must(tb, err)
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, err := z.Create("bootstrap")
	must(tb, err)
	_, err = fmt.Fprintf(w, "#!/bin/sh\nexec '%s'\n", self)
	must(tb, err)
	must(tb, z.Close())
	return b.Bytes()
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// The regions of most tests. The first is where things are made.
const (
	region = "eu-west-1"
	second = "us-east-1"
)

// A world is a lab that is served, with who asks it. Its clock stands still until it is moved.
type world struct {
	testing.TB
	*lab.Lab
	aws      *labtest.Server
	url      string
	admin    string
	member   string
	accounts []string // all of them; admin is the first
	stop     func() error
}

// newWorld serves a lab of 3 accounts in 2 regions until the test ends.
func newWorld(tb testing.TB, options ...func(*lab.Options)) *world {
	tb.Helper()
	return makeWorld(tb, false, options...)
}

// makeWorld is newWorld with a clock that may go.
func makeWorld(tb testing.TB, live bool, options ...func(*lab.Options)) *world {
	tb.Helper()
	o := lab.Options{
		Options: cloud.Options{Seed: 1, Start: labtest.Start}, Population: population.Options{Accounts: 3, Regions: []string{region, second}},
	}
	for _, f := range options {
		f(&o)
	}
	l, err := lab.New(o)
	must(tb, err)
	w := &world{TB: tb, Lab: l, admin: l.Administrator()}
	w.accounts = []string{w.admin}
	for _, a := range l.Accounts() {
		if a.ID != w.admin {
			w.accounts = append(w.accounts, a.ID)
		}
	}
	w.member = w.accounts[len(w.accounts)-1]
	w.serve(live)
	w.aws = labtest.At(tb, l.Cloud, w.url)
	return w
}

func (w *world) serve(live bool) {
	w.Helper()
	var network net.ListenConfig
	listener, err := network.Listen(w.Context(), "tcp", "127.0.0.1:0")
	must(w, err)
	w.url = "http://" + listener.Addr().String()
	w.Cloud.SetURL(w.url)
	ctx, cancel := context.WithCancel(context.WithoutCancel(w.Context()))
	served := make(chan error, 1)
	go func() { served <- w.Serve(ctx, listener, live) }()
	stopped := false
	w.stop = func() error {
		if stopped {
			return nil
		}
		stopped = true
		cancel()
		return <-served
	}
	w.Cleanup(func() {
		if err := w.stop(); err != nil {
			w.Error(err)
		}
	})
}

// config is what the SDK needs to be an account in a region.
func (w *world) config(account, region string) aws.Config { return w.aws.Config(account, region) }

func (w *world) arn(service, region, account, resource string) string {
	return cloud.Place{Partition: w.Cloud.Partition, Account: account, Region: region}.ARN(service, resource)
}

// advance moves the clock, by the lab's own question.
func (w *world) advance(d time.Duration) {
	w.Helper()
	w.ask(http.MethodPost, "clock", `{"advance":"`+d.String()+`"}`, http.StatusOK, nil)
}

// ask asks the lab itself, and reads the answer into v, which may be nil.
func (w *world) ask(method, question, body string, status int, v any) {
	w.Helper()
	r, err := http.NewRequestWithContext(w.Context(), method, w.url+"/_lab/"+question, strings.NewReader(body))
	must(w, err)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	got, answer := w.send(r)
	if got != status {
		w.Fatalf("%s %s answered %d, want %d: %s", method, question, got, status, answer)
	}
	if v == nil {
		return
	}
	if err := json.Unmarshal(answer, v); err != nil {
		w.Fatalf("%s %s answered %s: %v", method, question, answer, err)
	}
}

func (w *world) send(r *http.Request) (status int, body []byte) {
	w.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(r)
	must(w, err)
	defer response.Body.Close()
	body, err = io.ReadAll(response.Body)
	must(w, err)
	return response.StatusCode, body
}

// fault makes something go wrong, and gives its id.
func (w *world) fault(body string) string {
	w.Helper()
	var out struct{ ID string }
	w.ask(http.MethodPost, "faults", body, http.StatusOK, &out)
	return out.ID
}

// codeOf is the code of an error of a service; empty where there is none.
func codeOf(tb testing.TB, err error) string {
	tb.Helper()
	if err == nil {
		return ""
	}
	var api smithy.APIError
	if !errors.As(err, &api) {
		tb.Fatalf("got %v, want an error of the service", err)
	}
	return api.ErrorCode()
}
