package clients

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"slices"
	"testing"
	"time"

	run "github.com/aws/aws-lambda-go/lambda"

	"example.org/catchment/internal/function"
	"example.org/catchment/internal/lab"
	"example.org/catchment/internal/lab/account"
	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/cloudformation"
	"example.org/catchment/internal/lab/events"
	"example.org/catchment/internal/lab/firehose"
	"example.org/catchment/internal/lab/iam"
	"example.org/catchment/internal/lab/inspector"
	"example.org/catchment/internal/lab/inspector2"
	"example.org/catchment/internal/lab/kms"
	"example.org/catchment/internal/lab/lambda"
	"example.org/catchment/internal/lab/organizations"
	"example.org/catchment/internal/lab/population"
	"example.org/catchment/internal/lab/securityhub"
	"example.org/catchment/internal/lab/sns"
	"example.org/catchment/internal/lab/sqs"
	"example.org/catchment/internal/lab/sts"
	"example.org/catchment/internal/lab/wire"
)

// TestMain lets the lab's functions be this very program, as the demo's is catchment itself: those with ECHO answer what
// they are asked.
func TestMain(m *testing.M) {
	if function.Invoked() && os.Getenv("ECHO") != "" {
		run.Start(func(in json.RawMessage) (json.RawMessage, error) { return in, nil })
	}
	if function.Invoked() {
		fmt.Fprintln(os.Stderr, function.Start(context.Background()))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// start is what the lab's clock shows at first. It goes on from there, as that of "catchment lab" does.
var start = time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)

// serve serves a lab of six accounts until the test ends.
func serve(t *testing.T, standalone bool) *lab.Lab {
	t.Helper()
	l, err := lab.New(lab.Options{
		Options: cloud.Options{Seed: 1, Start: start, Quotas: true}, Standalone: standalone,
		Population: population.Options{Accounts: 6, Regions: []string{"ap-northeast-1", "us-east-1"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	var network net.ListenConfig
	listener, err := network.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Cloud.SetURL("http://" + listener.Addr().String())
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context())) // t's ends before the clean-up
	ended := make(chan error, 1)
	go func() { ended <- l.Serve(ctx, listener, true) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("the lab ended by %v", err)
		}
	})
	return l
}

// operations are those that the lab has, such as "sqs SendMessage". S3 picks its own.
func operations(t *testing.T) []string {
	t.Helper()
	c := cloud.New(cloud.Options{Seed: 1})
	var out []string
	for _, s := range []interface{ Wire() *wire.Service }{
		account.New(c), cloudformation.New(c), events.New(c), firehose.New(c), iam.New(c), inspector.New(c), inspector2.New(c), kms.New(c), lambda.New(c),
		organizations.New(c), securityhub.New(c), sns.New(c), sqs.New(c), sts.New(c),
	} {
		w := s.Wire()
		for operation := range w.Operations {
			out = append(out, w.Name+" "+operation)
		}
	}
	slices.Sort(out)
	return out
}
