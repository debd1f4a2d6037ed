package lab_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/securityhub"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"example.org/catchment/internal/lab"
	"example.org/catchment/internal/lab/cloud"
)

// A call is a request that no SDK would make.
type call struct {
	service, method, path, body string
	header                      map[string]string
	with                        func(c *aws.Credentials) // changes who signs
	unsigned                    bool
}

// signed sends a call as an account in a region.
func (w *world) signed(account, region string, c call) (status int, header http.Header, body []byte) {
	w.Helper()
	method := c.method
	if method == "" {
		method = http.MethodPost
	}
	r, err := http.NewRequestWithContext(w.Context(), method, w.url+c.path, strings.NewReader(c.body))
	must(w, err)
	for k, v := range c.header {
		r.Header.Set(k, v)
	}
	key := w.Cloud.Accounts.Credential(account)
	credentials := aws.Credentials{AccessKeyID: key.AccessKeyID, SecretAccessKey: key.SecretKey}
	if c.with != nil {
		c.with(&credentials)
	}
	if !c.unsigned {
		sum := sha256.Sum256([]byte(c.body))
		hash := hex.EncodeToString(sum[:])
		r.Header.Set("X-Amz-Content-Sha256", hash)
		must(w, v4.NewSigner().SignHTTP(w.Context(), credentials, r, hash, c.service, region, time.Now()))
	}
	response, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
	must(w, err)
	defer response.Body.Close()
	var b bytes.Buffer
	_, err = b.ReadFrom(response.Body)
	must(w, err)
	return response.StatusCode, response.Header, b.Bytes()
}

// errorOf reads an error in whatever shape it has.
func errorOf(t *testing.T, body []byte) (code, message string) {
	t.Helper()
	if strings.HasPrefix(string(body), "{") {
		var e map[string]any
		must(t, json.Unmarshal(body, &e))
		for _, name := range []string{"__type", "Code", "code"} {
			if text, ok := e[name].(string); ok && code == "" {
				code = text[strings.LastIndexByte(text, '#')+1:]
			}
		}
		for _, name := range []string{"message", "Message"} {
			if text, ok := e[name].(string); ok {
				message = text
			}
		}
		return code, message
	}
	var e struct {
		Code    string // of S3
		Message string
		Error   struct{ Code, Message string } // of Query
	}
	if err := xml.Unmarshal(body, &e); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	return e.Code + e.Error.Code, e.Message + e.Error.Message
}

type callRecord struct {
	Account, Region, Service, Operation, Who, Error, Message string
	Status                                                   int
}

// logged are the calls that were remembered, newest last.
func (w *world) logged(query string) []callRecord {
	w.Helper()
	var out struct{ Calls []callRecord }
	w.ask(http.MethodGet, "calls"+query, "", http.StatusOK, &out)
	return out.Calls
}

func target(name string) map[string]string {
	return map[string]string{"X-Amz-Target": name, "Content-Type": "application/x-amz-json-1.1"}
}

func form() map[string]string {
	return map[string]string{"Content-Type": "application/x-www-form-urlencoded"}
}

// TestACallThatIsNotThereIsAnsweredInTheServicesWayAndLogged asks each protocol for what it does not have.
func TestACallThatIsNotThereIsAnsweredInTheServicesWayAndLogged(t *testing.T) {
	w := newWorld(t)
	for name, tt := range map[string]struct {
		call                         call
		status                       int
		kind, code, operation, holds string
	}{
		"JSON":                               {call{service: "firehose", path: "/", body: "{}", header: target("Firehose_20150804.StealRecords")}, 400, "json", "UnknownOperationException", "StealRecords", ""},
		"JSON with another service's target": {call{service: "firehose", path: "/", body: "{}", header: target("AWSEvents.ListRules")}, 400, "json", "UnknownOperationException", "ListRules", ""},
		"REST":                               {call{service: "securityhub", path: "/findings/steal", body: "{}"}, 403, "json", "MissingAuthenticationToken", "", "POST /findings/steal"},
		"REST with another method":           {call{service: "securityhub", method: "PUT", path: "/findings", body: "{}"}, 403, "json", "MissingAuthenticationToken", "", "PUT /findings"},
		"Query":                              {call{service: "iam", path: "/", body: "Action=StealRole&Version=2010-05-08", header: form()}, 400, "xml", "InvalidAction", "StealRole", "StealRole"},
		"Query without an action":            {call{service: "sns", path: "/", body: "Version=2010-03-31", header: form()}, 400, "xml", "InvalidAction", "", ""},
		"S3":                                 {call{service: "s3", method: "GET", path: "/bucket?steal", body: ""}, 404, "xml", "NoSuchBucket", "", ""},
		"a service that is not there":        {call{service: "dynamodb", path: "/", body: "{}", header: target("DynamoDB_20120810.ListTables")}, 400, "json", "UnknownOperationException", "", `no service "dynamodb"`},
		"a service with a strange name":      {call{service: "x\"<y>", path: "/", body: "{}"}, 400, "json", "UnknownOperationException", "", ""},
		"nobody":                             {call{service: "firehose", path: "/", body: "{}", header: target("Firehose_20150804.ListDeliveryStreams"), unsigned: true}, 403, "json", "MissingAuthenticationToken", "ListDeliveryStreams", ""},
		"nobody in Query":                    {call{service: "iam", path: "/", body: "Action=ListRoles&Version=2010-05-08", header: form(), unsigned: true}, 403, "", "MissingAuthenticationToken", "", ""},
		"nobody in S3":                       {call{service: "s3", method: "GET", path: "/", unsigned: true}, 403, "xml", "AccessDenied", "ListBuckets", ""},
		"a body that is no JSON":             {call{service: "firehose", path: "/", body: "{", header: target("Firehose_20150804.ListDeliveryStreams")}, 400, "json", "SerializationException", "ListDeliveryStreams", ""},
		"a body of another type":             {call{service: "firehose", path: "/", body: `{"Limit":"ten"}`, header: target("Firehose_20150804.ListDeliveryStreams")}, 400, "json", "SerializationException", "ListDeliveryStreams", ""},
	} {
		t.Run(name, func(t *testing.T) {
			status, header, body := w.signed(w.admin, region, tt.call)
			code, message := errorOf(t, body)
			if status != tt.status || code != tt.code || !strings.Contains(message, tt.holds) || message == "" {
				t.Errorf("answered %d %s %q, want %d %s with %q", status, code, message, tt.status, tt.code, tt.holds)
			}
			if kind := header.Get("Content-Type"); !strings.Contains(kind, tt.kind) {
				t.Errorf("answered as %s, want %s", kind, tt.kind)
			}
			if header.Get("X-Amzn-Requestid") == "" {
				t.Error("the answer has no request id")
			}
			calls := w.logged("?errors=1")
			if len(calls) == 0 {
				t.Fatal("nothing is logged")
			}
			last := calls[len(calls)-1]
			if last.Error != tt.code || last.Status != tt.status || tt.operation != "" && last.Operation != tt.operation {
				t.Errorf("logged %+v", last)
			}
		})
	}
}

func TestTheLogTellsWhoAskedForWhat(t *testing.T) {
	w := newWorld(t)
	w.queue(w.member, second, "work", "")
	_, err := w.hub(w.admin, region).DescribeHub(t.Context(), &securityhub.DescribeHubInput{})
	if codeOf(t, err) != "InvalidAccessException" {
		t.Errorf("got %v", err)
	}
	want := callRecord{
		w.member, second, "sqs", "CreateQueue", w.arn("iam", "", w.member, "user/administrator"), "", "", 200,
	}
	if got := w.logged("?service=sqs"); len(got) != 1 || got[0] != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	for query, n := range map[string]int{"": 2, "?errors=1": 1, "?service=securityhub": 1, "?account=" + w.admin: 1, "?service=s3": 0, "?errors=1&service=sqs": 0} {
		if got := w.logged(query); len(got) != n {
			t.Errorf("%q gives %+v, want %d", query, got, n)
		}
	}
}

func TestWhoCannotSignIsLetInNowhere(t *testing.T) {
	w := newWorld(t)
	role := w.role(w.admin, "person", trusts(whoever(w.admin)), may("*", "*"))
	session := w.session(w.admin, role)
	as := func(c cloud.Credential) func(*aws.Credentials) {
		return func(a *aws.Credentials) {
			a.AccessKeyID, a.SecretAccessKey, a.SessionToken = c.AccessKeyID, c.SecretKey, c.Token
		}
	}
	list := call{service: "firehose", path: "/", body: "{}", header: target("Firehose_20150804.ListDeliveryStreams")}
	for name, tt := range map[string]struct {
		with func(*aws.Credentials)
		code string
	}{
		"the account's key":       {nil, ""},
		"another secret":          {func(c *aws.Credentials) { c.SecretAccessKey += "x" }, "InvalidSignatureException"},
		"another account's key":   {func(c *aws.Credentials) { c.AccessKeyID = w.Cloud.Accounts.Credential(w.member).AccessKeyID }, "InvalidSignatureException"},
		"a key of nobody":         {func(c *aws.Credentials) { c.AccessKeyID = "AKIAIOSFODNN7EXAMPLE" }, "UnrecognizedClientException"},
		"a session":               {as(session), ""},
		"a session without token": {func(c *aws.Credentials) { as(session)(c); c.SessionToken = "" }, "UnrecognizedClientException"},
		"a session's other token": {func(c *aws.Credentials) { as(session)(c); c.SessionToken += "x" }, "UnrecognizedClientException"},
	} {
		list.with = tt.with
		status, _, body := w.signed(w.admin, region, list)
		if code, _ := errorOf(t, body); code != tt.code || (status == 200) != (tt.code == "") {
			t.Errorf("%s: answered %d %s, want %q", name, status, body, tt.code)
		}
	}
	w.advance(time.Hour) // of the session
	list.with = as(session)
	if _, _, body := w.signed(w.admin, region, list); !strings.Contains(string(body), "ExpiredTokenException") {
		t.Errorf("a session that has expired: %s", body)
	}
	for service, want := range map[string]string{"iam": "ExpiredToken", "sts": "ExpiredToken"} {
		var err error
		if cfg := w.aws.As(session, region); service == "iam" {
			_, err = iam.NewFromConfig(cfg).ListRoles(t.Context(), &iam.ListRolesInput{})
		} else {
			_, err = sts.NewFromConfig(cfg).GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
		}
		if code := codeOf(t, err); code != want {
			t.Errorf("%s: a session that has expired is answered %s, want %s", service, code, want)
		}
	}
}

// TestABodyThatWasChangedOnTheWayIsRefused signs one body and sends another.
func TestABodyThatWasChangedOnTheWayIsRefused(t *testing.T) {
	w := newWorld(t)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.url+"/", strings.NewReader(`{"Limit":1}`))
	must(t, err)
	for k, v := range target("Firehose_20150804.ListDeliveryStreams") {
		r.Header.Set(k, v)
	}
	sum := sha256.Sum256([]byte(`{"Limit":2}`))
	key := w.Cloud.Accounts.Credential(w.admin)
	must(t, v4.NewSigner().SignHTTP(context.Background(), aws.Credentials{AccessKeyID: key.AccessKeyID, SecretAccessKey: key.SecretKey}, r, hex.EncodeToString(sum[:]), "firehose", region, time.Now()))
	if status, body := w.send(r); status != http.StatusForbidden || !strings.Contains(string(body), "InvalidSignatureException") {
		t.Errorf("answered %d %s", status, body)
	}
}

// TestLinksOfSNSNeedNoSignature as they are in mails and messages.
func TestLinksOfSNSNeedNoSignature(t *testing.T) {
	w := newWorld(t)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.url+"/?"+url.Values{
		"Action": {"ConfirmSubscription"}, "TopicArn": {w.arn("sns", region, w.admin, "none")}, "Token": {"x"},
	}.Encode(), http.NoBody)
	must(t, err)
	status, body := w.send(r)
	if code, _ := errorOf(t, body); status != http.StatusNotFound || code != "NotFound" {
		t.Errorf("answered %d %s", status, body)
	}
}

// TestNamesOfStrangersFillNoMemory sends operations, services and keys that are as long as requests may be.
func TestNamesOfStrangersFillNoMemory(t *testing.T) {
	w := newWorld(t, func(o *lab.Options) { o.Quotas = true })
	long := strings.Repeat("x", 500_000)
	for name, c := range map[string]call{
		"an action in a form":   {service: "iam", path: "/", body: "Action=" + long + "&Version=2010-05-08", header: form()},
		"an action of no rate":  {service: "sqs", path: "/", body: "Action=" + long, header: form()},
		"a target":              {service: "firehose", path: "/", body: "{}", header: target("Firehose_20150804." + long)},
		"a service":             {service: long, path: "/", body: "{}"},
		"a path":                {service: "securityhub", path: "/" + long, body: "{}"},
		"an object":             {service: "s3", method: "GET", path: "/bucket/" + long},
		"a method":              {service: "s3", method: strings.ToUpper(long[:1000]), path: "/bucket"},
		"a key that is none":    {service: "firehose", path: "/", body: "{}", header: target("Firehose_20150804.List"), with: func(c *aws.Credentials) { c.AccessKeyID = long }},
		"a session's token":     {service: "firehose", path: "/", body: "{}", header: target("Firehose_20150804.List"), with: func(c *aws.Credentials) { c.SessionToken = long }},
		"the name of a stream":  {service: "firehose", path: "/", body: `{"DeliveryStreamName":"` + long + `"}`, header: target("Firehose_20150804.DescribeDeliveryStream")},
		"a message to nowhere":  {service: "sqs", path: "/", body: `{"QueueUrl":"` + long + `","MessageBody":"x"}`, header: target("AmazonSQS.SendMessage")},
		"a role that is nobody": {service: "sts", path: "/", body: "Action=AssumeRole&RoleSessionName=test&RoleArn=" + long, header: form()},
	} {
		status, _, body := w.signed(w.admin, region, c)
		if status < 400 || len(body) > 5_000 && c.service != "s3" { // which tells for what the error is
			t.Errorf("%s: answered %d with %d bytes", name, status, len(body))
		}
	}
	for _, c := range w.logged("") {
		if n := len(c.Account + c.Region + c.Service + c.Operation + c.Who + c.Error + c.Message); n > 6*256+1024 {
			t.Errorf("%d bytes are kept of a call", n)
		}
	}
}
