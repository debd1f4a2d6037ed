package wire_test

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/labtest"
	"example.org/catchment/internal/lab/wire"
)

// seen tells what an operation finds of its parameters.
type seen struct {
	Text, Label, Query, Form, Region, Who string
	List                                  []string
}

func look(_ context.Context, c *wire.Call, in *struct{ Text string }) (*seen, error) {
	return &seen{
		Text: in.Text, Label: c.Path["Label"], Query: c.HTTP.URL.Query().Get("Count"), Form: c.HTTP.Form.Get("Text"), Region: c.Region, Who: c.Who.ARN,
		List: c.HTTP.URL.Query()["Names"],
	}, nil
}

func TestACallFromInsideFindsItsParametersWhereTheProtocolHasThem(t *testing.T) {
	c := labtest.NewCloud(t)
	at := func(path string) map[string]wire.Operation {
		return map[string]wire.Operation{"Look": {Do: wire.Do(look), Method: http.MethodPut, Path: path}}
	}
	wire.NewServer(
		c, &wire.Service{Name: "rest", Protocols: []wire.Protocol{wire.RESTJSON}, Operations: at("/a/{Label+}/b")},
		&wire.Service{Name: "form", Protocols: []wire.Protocol{wire.Query}, Global: true, Operations: at("")},
	)
	who := c.Accounts.Credential(labtest.Administrator).Who
	place := c.Accounts.Place(labtest.Administrator, labtest.Region)
	for service, want := range map[string]seen{
		"rest": {Text: "x", Label: "l/m", Query: "7", Form: "x", Region: labtest.Region, Who: who.ARN, List: []string{"a", "b"}},
		"form": {Text: "x", Form: "x", Region: "us-east-1", Who: who.ARN},
	} {
		body, err := c.API.Call(t.Context(), who, place, service, "Look", []byte(`{"Text":"x","Label":"l/m","Count":7,"Names":["a","b"],"Deep":{"x":1}}`))
		if err != nil {
			t.Fatal(err)
		}
		var got seen
		if err := json.Unmarshal(body, &got); err != nil {
			t.Fatal(err)
		}
		if got.Text != want.Text || got.Label != want.Label || got.Query != want.Query || got.Form != want.Form || got.Region != want.Region ||
			got.Who != want.Who || len(got.List) != len(want.List) {
			t.Errorf("%s: got %+v, want %+v", service, got, want)
		}
	}
}

func TestARequestFromInsideIsAnsweredLikeOneFromOutside(t *testing.T) {
	c := labtest.NewCloud(t)
	own := func(_ context.Context, call *wire.Call, w http.ResponseWriter) {
		if call.HTTP.URL.Path == "/bad" {
			call.FailOwn(w, wire.StatusErrorf(http.StatusNotFound, "NoSuchBucket", "there is no bucket"))
			return
		}
		w.Header().Set("X-Who", call.Who.ARN)
		_, _ = w.Write(append([]byte(call.HTTP.Method+" "+call.Region+" "), call.Body...))
	}
	wire.NewServer(c, &wire.Service{Name: "s3", Protocols: []wire.Protocol{wire.Own}, Own: own, Pick: func(*http.Request) string { return "Do" }},
		&wire.Service{Name: "other", Protocols: []wire.Protocol{wire.JSON11}})
	who := c.Accounts.Credential(labtest.Administrator).Who
	place := c.Accounts.Place(labtest.Administrator, labtest.Region)
	ask := func(service, path, body string) (*http.Response, error) {
		r := &http.Request{Method: http.MethodPut, URL: &url.URL{Path: path}, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), ContentLength: -1}
		return c.Requests.Request(t.Context(), who, place, service, r)
	}
	answer, err := ask("s3", "/good", "hello")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK || string(text) != "PUT "+labtest.Region+" hello" || answer.Header.Get("X-Who") != who.ARN {
		t.Errorf("%d %s %v, %v", answer.StatusCode, text, answer.Header, err)
	}
	bad, err := ask("s3", "/bad", "")
	if err != nil || bad.StatusCode != http.StatusNotFound {
		t.Fatalf("%v, %v", bad, err)
	}
	defer bad.Body.Close()
	if calls, n := c.Calls.List(); n != 2 || calls[0].Operation != "Do" || calls[1].Error != "NoSuchBucket" {
		t.Errorf("the calls are remembered as %+v", calls)
	}
	if _, err := ask("other", "/", ""); err == nil { //nolint:bodyclose // there is none
		t.Error("a service that takes no requests took one")
	}
	if _, err := c.Faults.Add(cloud.Fault{Kind: cloud.FaultDeny, Service: "s3"}); err != nil {
		t.Fatal(err)
	}
	if _, err := ask("s3", "/good", ""); err == nil { //nolint:bodyclose // there is none
		t.Error("a fault was passed over")
	}
}
