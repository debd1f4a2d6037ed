package lab_test

import (
	"context"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"go.uber.org/goleak"

	"example.org/catchment/internal/lab"
)

// TestNothingIsLeftWhenServeReturns stops a lab while a client waits for a message, functions run, one of them for
// somebody and one for nobody, and the clock is being moved.
func TestNothingIsLeftWhenServeReturns(t *testing.T) {
	for name, live := range map[string]bool{"a clock that is moved": false, "a clock that goes": true} {
		before := goleak.IgnoreCurrent()
		t.Run(name, func(t *testing.T) { stopInTheMiddle(t, live) })
		goleak.VerifyNone(t, before)
	}
}

func stopInTheMiddle(t *testing.T, live bool) {
	t.Helper()
	w := makeWorld(t, live)
	url, _ := w.queue(w.admin, region, "work", "")
	worker := w.worker()
	_, err := w.lambda(w.admin, region).Invoke(t.Context(), &lambda.InvokeInput{FunctionName: &worker})
	must(t, err)
	const wait = `{"wait":true}`
	for range 2 { // nobody waits for them, and they wait for each other
		_, err = w.lambda(w.admin, region).Invoke(t.Context(), &lambda.InvokeInput{
			FunctionName: &worker, InvocationType: lambdatypes.InvocationTypeEvent, Payload: []byte(wait),
		})
		must(t, err)
	}
	ctx := context.WithoutCancel(t.Context())
	var waiting sync.WaitGroup
	waiting.Go(func() {
		_, _ = w.sqs(w.admin, region).ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: &url, WaitTimeSeconds: 20}) // cut off
	})
	waiting.Go(func() {
		_, _ = w.lambda(w.admin, region).Invoke(ctx, &lambda.InvokeInput{FunctionName: &worker, Payload: []byte(wait)}) // cut off
	})
	waiting.Go(func() {
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url+"/_lab/clock", strings.NewReader(`{"advance":"1h"}`))
		if err != nil {
			t.Error(err)
			return
		}
		r.Header.Set("Content-Type", "application/json")
		if response, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r); err == nil {
			_ = response.Body.Close() // what it says does not matter
		}
	})
	w.untilBusy(worker)
	began := time.Now()
	must(t, w.stop())
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %v to end", took)
	}
	waiting.Wait() // each was answered, or cut off
}

// untilBusy waits until a function runs for two.
func (w *world) untilBusy(arn string) {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for w.invocations(arn) < 3 {
		select {
		case <-ctx.Done():
			w.Fatal("the function was not called")
		case <-tick.C:
		}
	}
}

func TestAnAddressThatCannotBeServedIsTold(t *testing.T) {
	w := newWorld(t)
	l, err := lab.New(lab.Options{})
	must(t, err)
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	must(t, listener.Close())
	if err := l.Serve(t.Context(), listener, true); err == nil || !strings.Contains(err.Error(), "serve the lab: ") {
		t.Errorf("got %v", err)
	}
	if w.Cloud.URL() == l.Cloud.URL() {
		t.Error("two labs share an address")
	}
}

func TestALiveLabGoesByItself(t *testing.T) {
	w := makeWorld(t, true)
	url, _ := w.queue(w.admin, region, "work", "")
	_, err := w.sqs(w.admin, region).SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: &url, MessageBody: aws.String("x"), DelaySeconds: 1})
	must(t, err)
	out, err := w.sqs(w.admin, region).ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &url, WaitTimeSeconds: 20})
	must(t, err)
	if len(out.Messages) != 1 || w.Cloud.Clock.Now().Before(w.Cloud.Start.Add(time.Second)) {
		t.Errorf("%d messages at %v", len(out.Messages), w.Cloud.Clock.Now())
	}
}
