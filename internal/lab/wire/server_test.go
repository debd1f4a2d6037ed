package wire_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/labtest"
	"example.org/catchment/internal/lab/wire"
)

type echoInput struct {
	Text  string
	Times int
}

type echoOutput struct {
	Text    string
	Account string
	Region  string
	Label   string `json:",omitempty"`
}

func echo(_ context.Context, c *wire.Call, in *echoInput) (*echoOutput, error) {
	switch in.Text {
	case "refuse":
		return nil, &wire.Error{Code: "NotThereException", Status: 404, Message: "not <there>", QueryCode: "Old.NotThere", Fields: map[string]any{"Extra": 7}}
	case "deny":
		return nil, &cloud.DeniedError{Who: c.Who.ARN, Action: "x:Y", Resource: "*", Reason: " because"}
	case "break":
		return nil, errors.New("broken")
	case "nothing":
		return nil, nil
	}
	return &echoOutput{strings.Repeat(in.Text, max(in.Times, 1)), c.Account, c.Region, c.Path["Label"]}, nil
}

// services are one of each protocol, which all do the same.
func services(rate wire.Rate) []*wire.Service {
	do := wire.Operation{Do: wire.Do(echo), Rate: rate}
	at := func(method, path string) wire.Operation {
		return wire.Operation{Do: wire.Do(echo), Method: method, Path: path}
	}
	return []*wire.Service{
		{Name: "json10", Protocols: []wire.Protocol{wire.JSON10}, Target: "Json10", Operations: map[string]wire.Operation{"Echo": do}},
		{Name: "json11", Protocols: []wire.Protocol{wire.JSON11, wire.Query}, Target: "Json11", Operations: map[string]wire.Operation{"Echo": do}},
		{Name: "query", Protocols: []wire.Protocol{wire.Query}, Namespace: "urn:q", Global: true, Operations: map[string]wire.Operation{"Echo": do}},
		{Name: "rest", Protocols: []wire.Protocol{wire.RESTJSON}, Operations: map[string]wire.Operation{
			"Echo": {Do: wire.Do(echo), Rate: rate, Method: http.MethodPost, Path: "/echo"}, "Label": at(http.MethodPost, "/echo/{Label}"),
			"Greedy": at(http.MethodPost, "/all/{Label+}/end"), "Literal": at(http.MethodPost, "/echo/literal"), "Deep": at(http.MethodPost, "/echo/{Other}/deep"),
		}},
	}
}

type server struct {
	*labtest.Server
	cloud      *cloud.Cloud
	credential cloud.Credential
	region     string
}

func newServer(t *testing.T, rate wire.Rate, options ...func(*cloud.Options)) *server {
	t.Helper()
	c := labtest.NewCloud(t, options...)
	return &server{labtest.Serve(t, c, services(rate)...), c, c.Accounts.Credential(labtest.Member), labtest.Region}
}

// call sends a request and gives the status, the body, and the headers of the answer. target is a path, or a target, or a form.
func (s *server) call(t *testing.T, service, target, body string) (int, string, http.Header) {
	t.Helper()
	path, kind := "/", "application/json"
	if service == "rest" {
		path = target
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	switch service {
	case "json10":
		kind = "application/x-amz-json-1.0"
	case "json11":
		kind = "application/x-amz-json-1.1"
	case "query":
		kind = "application/x-www-form-urlencoded"
	}
	if target != "" && service != "rest" {
		r.Header.Set("X-Amz-Target", target)
	}
	r.Header.Set("Content-Type", kind)
	if s.credential.AccessKeyID != "" {
		sum := sha256.Sum256([]byte(body))
		k := aws.Credentials{AccessKeyID: s.credential.AccessKeyID, SecretAccessKey: s.credential.SecretKey, SessionToken: s.credential.Token}
		if err := v4.NewSigner().SignHTTP(t.Context(), k, r, hex.EncodeToString(sum[:]), service, s.region, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	got, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(got), answer.Header
}

func (s *server) expect(t *testing.T, service, target, body string, status int, parts ...string) {
	t.Helper()
	gotStatus, got, _ := s.call(t, service, target, body)
	for _, part := range parts {
		if !strings.Contains(got, part) {
			t.Errorf("%s %s %s: got %s, want %s in it", service, target, body, got, part)
		}
	}
	if gotStatus != status {
		t.Errorf("%s %s %s: got %d, want %d: %s", service, target, body, gotStatus, status, got)
	}
}

func TestEachProtocolHasItsShapes(t *testing.T) {
	s := newServer(t, wire.Rate{})
	const here = `"Account":"222222222222","Region":"ap-northeast-1"`
	s.expect(t, "json10", "Json10.Echo", `{"Text":"a","Times":2,"Unknown":[1]}`, 200, `{"Text":"aa",`+here+`}`)
	s.expect(t, "json11", "Json11.Echo", ``, 200, `{"Text":"",`+here)
	s.expect(t, "json11", "Json11.Echo", `{"text":"a"}`, 200, `{"Text":""`) // names count by case
	s.expect(t, "rest", "/echo", `{"Text":"a"}`, 200, `"Text":"a"`)
	s.expect(t, "query", "", "Action=Echo&Text=a%26&Times=2", 200, `<EchoResponse xmlns="urn:q"><EchoResult><Text>a&amp;a&amp;</Text>`,
		"<Region>us-east-1</Region>", "<ResponseMetadata><RequestId>")
	s.expect(t, "json11", "Json11.Echo", `{"Text":"nothing"}`, 200, `{}`)

	s.expect(t, "json11", "Json11.Echo", `{"Text":"refuse"}`, 404, `{"Extra":7,"__type":"NotThereException","message":"not <there>"}`)
	s.expect(t, "rest", "/echo", `{"Text":"refuse"}`, 404, `"Code":"NotThereException"`, `"Message":"not <there>"`, `"message":"not <there>"`, `"Extra":7`)
	s.expect(t, "query", "", "Action=Echo&Text=refuse", 404, `<Code>Old.NotThere</Code><Message>not &lt;there&gt;</Message>`, "<Type>Sender</Type>")
	_, _, header := s.call(t, "rest", "/echo", `{"Text":"refuse"}`)
	if header.Get("X-Amzn-Errortype") != "NotThereException" || header.Get("X-Amzn-Requestid") == "" {
		t.Errorf("got %v", header)
	}
	if _, _, header = s.call(t, "json11", "Json11.Echo", `{"Text":"refuse"}`); header.Get("X-Amzn-Query-Error") != "Old.NotThere;Sender" {
		t.Errorf("got %v", header)
	}
	s.expect(t, "json11", "Json11.Echo", `{"Text":"deny"}`, 403, `"__type":"AccessDeniedException"`, `not authorized to perform: x:Y on resource: * because`)
	s.expect(t, "query", "", "Action=Echo&Text=deny", 403, `<Code>AccessDenied</Code>`)
	s.expect(t, "json11", "Json11.Echo", `{"Text":"break"}`, 500, `InternalFailure`, "broken")
	s.expect(t, "query", "", "Action=Echo&Text=break", 500, "<Type>Receiver</Type>")

	s.expect(t, "json11", "Json11.Echo", `{`, 400, "SerializationException")
	s.expect(t, "json11", "Json11.Echo", `{"Times":"many"}`, 400, "SerializationException", "/Times")
	s.expect(t, "query", "", "Action=Echo&Times=many", 400, "MalformedInput", "Times")
	s.expect(t, "json11", "Json11.None", `{}`, 400, "UnknownOperationException")
	s.expect(t, "json11", "Other.Echo", `{}`, 400, "UnknownOperationException")
	s.expect(t, "query", "", "Action=None", 400, "InvalidAction")
	s.expect(t, "rest", "/none", `{}`, 403, "MissingAuthenticationToken")
	s.expect(t, "unknown", "X.Y", `{}`, 400, "UnknownOperationException", "no service")
	calls, n := s.cloud.Calls.List()
	if last := calls[len(calls)-1]; n < 20 || last.Service != "unknown" || last.Error != "UnknownOperationException" {
		t.Errorf("remembered %d calls, the last %+v", n, last)
	}
}

func TestPathsFindTheirOperations(t *testing.T) {
	s := newServer(t, wire.Rate{})
	for path, want := range map[string]string{
		"/echo":             `"Region"`,
		"/echo/":            `"Region"`,
		"/echo/literal":     `"Region":"ap-northeast-1"}`, // a literal goes before a label
		"/echo/a%2Fb%20c=d": `"Label":"a/b c=d"`,
		"/echo/x/deep":      `"Region":"ap-northeast-1"}`,
		"/all/arn%3Aaws%3Asecurityhub%3A%3A1%3Aa%2Fb/end": `"Label":"arn:aws:securityhub::1:a/b"`,
		"/all/a/b/c/end": `"Label":"a/b/c"`,
	} {
		s.expect(t, "rest", path, `{"Text":"a"}`, 200, want)
	}
	for _, path := range []string{"/", "/ech", "/echo/a/b", "/all/end", "/all/a/b", "/echo//deep"} {
		s.expect(t, "rest", path, `{}`, 403, "MissingAuthenticationToken")
	}
}

func TestOnlyWhoSignsIsLetIn(t *testing.T) {
	s := newServer(t, wire.Rate{})
	right := s.credential
	for name, test := range map[string]struct {
		change           func(*server)
		json, query      string
		notOfGlobalWorld bool
	}{
		"nobody": {change: func(s *server) { s.credential = cloud.Credential{} }, json: "MissingAuthenticationToken", query: "MissingAuthenticationToken"},
		"an account that is not there": {
			change: func(s *server) { s.credential = s.cloud.Accounts.Credential("333333333333") },
			json:   "UnrecognizedClientException", query: "InvalidClientTokenId",
		},
		"a key that is none": {
			change: func(s *server) { s.credential.AccessKeyID = "AKIDEXAMPLE" }, json: "UnrecognizedClientException", query: "InvalidClientTokenId",
		},
		"a wrong secret": {
			change: func(s *server) { s.credential.SecretKey += "x" }, json: "InvalidSignatureException", query: "SignatureDoesNotMatch",
		},
		"a token that is none": {
			change: func(s *server) { s.credential.Token = "x" }, json: "UnrecognizedClientException", query: "InvalidClientTokenId",
		},
		"a region that is not enabled": {
			change: func(s *server) { s.region = "af-south-1" }, json: "UnrecognizedClientException", notOfGlobalWorld: true,
		},
		"a region that is none": {
			change: func(s *server) { s.region = "mars-1" }, json: "UnrecognizedClientException", notOfGlobalWorld: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			s.credential, s.region = right, labtest.Region
			test.change(s)
			s.expect(t, "json11", "Json11.Echo", `{}`, 403, test.json)
			s.expect(t, "rest", "/echo", `{}`, 403, test.json)
			if test.notOfGlobalWorld {
				s.expect(t, "query", "", "Action=Echo", 200, "<Region>us-east-1</Region>")
			} else if s.credential.AccessKeyID != "" { // who has not signed has not said which service
				s.expect(t, "query", "", "Action=Echo", 403, test.query)
			}
		})
	}
	s.credential, s.region = right, "af-south-1"
	s.cloud.Accounts.SetRegion(labtest.Member, "af-south-1", true)
	s.expect(t, "json11", "Json11.Echo", `{}`, 200, `"Region":"af-south-1"`)
}

func TestCredentialsEndByTheLabsClock(t *testing.T) {
	s := newServer(t, wire.Rate{})
	s.credential = s.cloud.Accounts.IssueUntil(s.credential.Who, labtest.Start.Add(time.Minute))
	s.expect(t, "json11", "Json11.Echo", `{}`, 200)
	labtest.Advance(t, s.cloud, time.Minute)
	s.expect(t, "json11", "Json11.Echo", `{}`, 403, "ExpiredTokenException")
	s.expect(t, "query", "", "Action=Echo", 403, "<Code>ExpiredToken</Code>")
	s.credential = s.cloud.Accounts.Issue(s.credential.Who)
	labtest.Advance(t, s.cloud, 1000*time.Hour)
	s.expect(t, "json11", "Json11.Echo", `{}`, 200)
}

func TestRatesAreThoseOfAnAccountInARegion(t *testing.T) {
	rate := wire.Rate{PerSecond: 2, Burst: 3}
	s := newServer(t, rate, func(o *cloud.Options) { o.Quotas = true })
	for range 3 {
		s.expect(t, "json11", "Json11.Echo", `{}`, 200)
	}
	s.expect(t, "json11", "Json11.Echo", `{}`, 400, `"__type":"ThrottlingException"`, "Rate exceeded")
	s.region = "us-east-1"
	s.expect(t, "json11", "Json11.Echo", `{}`, 200)
	s.region = labtest.Region
	s.expect(t, "json10", "Json10.Echo", `{}`, 200) // another service
	labtest.Advance(t, s.cloud, time.Second)
	for range 2 {
		s.expect(t, "json11", "Json11.Echo", `{}`, 200)
	}
	s.expect(t, "json11", "Json11.Echo", `{}`, 400, "ThrottlingException")
	labtest.Advance(t, s.cloud, time.Hour)
	for range 3 {
		s.expect(t, "rest", "/echo", `{}`, 200)
		s.expect(t, "query", "", "Action=Echo", 200)
	}
	s.expect(t, "rest", "/echo", `{}`, 429, "ThrottlingException")
	s.expect(t, "query", "", "Action=Echo", 400, "<Code>Throttling</Code>")
	free := newServer(t, rate)
	for range 9 {
		free.expect(t, "json11", "Json11.Echo", `{}`, 200)
	}
}

func TestFaultsHappenToCalls(t *testing.T) {
	s := newServer(t, wire.Rate{})
	add := func(f cloud.Fault) {
		t.Helper()
		if _, err := s.cloud.Faults.Add(f); err != nil {
			t.Fatal(err)
		}
	}
	add(cloud.Fault{Kind: cloud.FaultThrottle, Service: "json11", Action: "Echo", Times: 1})
	s.expect(t, "json10", "Json10.Echo", `{}`, 200)
	s.expect(t, "json11", "Json11.Echo", `{}`, 400, "ThrottlingException")
	s.expect(t, "json11", "Json11.Echo", `{}`, 200)
	add(cloud.Fault{Kind: cloud.FaultDeny, Account: labtest.Member, Times: 1})
	s.expect(t, "json11", "Json11.Echo", `{}`, 403, "AccessDeniedException", "json11:Echo")
	add(cloud.Fault{Kind: cloud.FaultDown, Region: labtest.Region})
	s.expect(t, "rest", "/echo", `{}`, 503, "ServiceUnavailable")
	s.region = "us-east-1"
	s.expect(t, "rest", "/echo", `{}`, 200)
}

// guard denies all but one action.
type guard struct{ cloud.Authorizer }

func (guard) Authorize(a cloud.Access) error {
	if a.Action == "json10:Echo" && a.Resource == "*" && a.Owner == labtest.Member && a.Context["aws:SourceIp"] == "127.0.0.1" {
		return nil
	}
	return &cloud.DeniedError{Who: a.Who.ARN, Action: a.Action, Resource: a.Resource, Reason: " in " + a.Context["aws:RequestedRegion"]}
}

func TestPermissionsAreAskedBeforeAnOperation(t *testing.T) {
	s := newServer(t, wire.Rate{})
	s.cloud.Access = guard{}
	s.expect(t, "json10", "Json10.Echo", `{}`, 200)
	s.expect(t, "json11", "Json11.Echo", `{}`, 403, "User: arn:aws:iam::222222222222:user/administrator is not authorized to perform: json11:Echo on resource: * in ap-northeast-1")
	s.expect(t, "query", "", "Action=Echo", 403, "<Code>AccessDenied</Code>", "in us-east-1")
}
