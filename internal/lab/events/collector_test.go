package events_test

import (
	"context"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"example.org/catchment/internal/document"
	"example.org/catchment/internal/lab/labtest"
	"example.org/catchment/internal/source/push"
)

// TestTheCollectorTakesWhatAnAPIDestinationSends lets this project's own HTTP source be the endpoint.
func TestTheCollectorTakesWhatAnAPIDestinationSends(t *testing.T) {
	const key = "0123456789abcdef0123456789abcdef"
	file := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(file, []byte("lab:"+key+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	source, err := push.New(push.Options{Listener: nil, KeysFile: file})
	if err != nil {
		t.Fatal(err)
	}
	busy := true
	var got []string
	server := httptest.NewServer(source.Handler(func(_ context.Context, docs []document.Document) error {
		if busy {
			busy = false
			return context.DeadlineExceeded
		}
		for i := range docs {
			got = append(got, string(docs[i].Bytes))
		}
		return nil
	}))
	defer server.Close()

	w := newWorld(t)
	x := toAPI(w.destination(server.URL+push.PathEvents, types.ConnectionAuthorizationTypeApiKey, apiKey("X-Api-Key", key), nil))
	w.rule("r", everything, x)
	w.from(here(), []byte(small))
	if len(got) != 0 || w.metrics("r").FailedInvocations != 0 {
		t.Errorf("got %d documents, %+v; want the first try to be repeated", len(got), w.metrics("r"))
	}
	labtest.Advance(t, w.cloud, time.Minute)
	if m := w.metrics("r"); len(got) != 1 || got[0] != small || m.Retries != 1 || m.FailedInvocations != 0 {
		t.Errorf("got %q, %+v", got, m)
	}
}
