package lab_test

import (
	"encoding/json"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/firehose"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/google/go-cmp/cmp"

	"example.org/catchment/internal/lab"
	"example.org/catchment/internal/lab/labtest"
)

type clockState struct {
	Now     time.Time
	Pending int
	Next    time.Time
}

func TestTheClockIsShownAndMoved(t *testing.T) {
	w := newWorld(t)
	var c clockState
	w.ask(http.MethodGet, "clock", "", http.StatusOK, &c)
	if !c.Now.Equal(labtest.Start) {
		t.Errorf("it shows %v, want %v", c.Now, labtest.Start)
	}
	w.enable(w.admin, region)
	w.stream(w.admin, region, "findings", w.role(w.admin, "storing", trusts(service("firehose")), may("s3:PutObject", "*")), w.bucket(w.admin, region, "lake"))
	before := w.Cloud.Clock.Now()
	_, err := w.firehose(w.admin, region).PutRecord(t.Context(), &firehose.PutRecordInput{DeliveryStreamName: aws.String("findings"), Record: record("x")})
	must(t, err)
	w.ask(http.MethodGet, "clock", "", http.StatusOK, &c)
	if c.Pending == 0 || !c.Next.Equal(before.Add(time.Minute)) {
		t.Errorf("%d tasks wait, the first for %v; want that of the buffer at %v", c.Pending, c.Next, before.Add(time.Minute))
	}
	w.ask(http.MethodPost, "clock", `{"advance":"1m30s"}`, http.StatusOK, &c)
	if !c.Now.Equal(before.Add(90*time.Second)) || len(w.objects(w.admin, region, "lake", "data/")) != 1 {
		t.Errorf("it shows %v, and the bucket has %d objects", c.Now, len(w.objects(w.admin, region, "lake", "")))
	}
	for _, advance := range []string{`"-1s"`, `"soon"`, `"8785h"`, `""`, `5`, `null`} {
		w.ask(http.MethodPost, "clock", `{"advance":`+advance+`}`, http.StatusBadRequest, nil)
	}
	if got := w.Cloud.Clock.Now(); !got.Equal(c.Now) {
		t.Errorf("what was refused moved it to %v", got)
	}
}

func TestFaultsAreShownAsTheyWereAskedFor(t *testing.T) {
	w := newWorld(t)
	var first, second struct{ ID string }
	const asked = `{"kind":"delay","service":"firehose","action":"PutRecordBatch","from":"events.amazonaws.com","target":"findings",` +
		`"account":"111111111111","region":"eu-west-1","share":0.5,"times":7,"delay":"5m","for":"5m"}`
	w.ask(http.MethodPost, "faults", asked, http.StatusOK, &first)
	w.ask(http.MethodPost, "faults", `{"kind":"down"}`, http.StatusOK, &second)
	w.advance(time.Minute)
	var got []map[string]any
	w.ask(http.MethodGet, "faults", "", http.StatusOK, &got)
	want := []map[string]any{
		{
			"id": first.ID, "kind": "delay", "service": "firehose", "action": "PutRecordBatch", "from": "events.amazonaws.com", "target": "findings",
			"account": "111111111111", "region": "eu-west-1", "share": 0.5, "times": 7.0, "delay": "5m0s", "for": "4m0s",
		},
		{"id": second.ID, "kind": "down"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	w.ask(http.MethodDelete, "faults/"+first.ID, "", http.StatusOK, &got)
	if len(got) != 1 {
		t.Errorf("after one is taken away: %v", got)
	}
	w.ask(http.MethodDelete, "faults/"+first.ID, "", http.StatusNotFound, nil)
	w.ask(http.MethodDelete, "faults", "", http.StatusOK, &got)
	if len(got) != 0 {
		t.Errorf("after all are: %v", got)
	}
}

func TestWhatCannotBeIsRefusedWithWhatWasExpected(t *testing.T) {
	w := newWorld(t)
	for body, want := range map[string]string{
		`{"kind":"gremlins"}`:                            "expected one of drop, duplicate, delay",
		`{"kind":"drop","shares":1}`:                     "shares",
		`{"kind":"drop","share":1.5}`:                    "share 1.5: expected 0 to 1",
		`{"kind":"drop","times":-1}`:                     "times -1: expected 0 or more",
		`{"kind":"drop","times":"1"}`:                    "times",
		`{"kind":"delay"}`:                               "delay 0: expected a time",
		`{"kind":"delay","delay":"soon"}`:                `delay \"soon\": expected a time such as`,
		`{"kind":"drop","for":"0s"}`:                     `for \"0s\": expected a time such as`,
		`{"kind":"drop","for":"-1h"}`:                    `for \"-1h\": expected a time such as`,
		`{"kind":"drop","service":"s4"}`:                 `service \"s4\": expected one of `,
		`{"kind":"drop","region":"eu-west-9"}`:           `region \"eu-west-9\": expected a region of partition aws`,
		`{"kind":"drop","region":"cn-north-1"}`:          `region \"cn-north-1\": expected a region of partition aws`,
		`{"kind":"drop","account":"1"}`:                  `account \"1\": expected 12 digits`,
		`{"kind":"drop"}{"kind":"down"}`:                 "after top-level value",
		`{"kind":"drop","kind":"down"}`:                  "duplicate",
		`[]`:                                             "read the request",
		`{`:                                              "read the request",
		"":                                               "content type: expected application/json",
		`{"kind":"` + strings.Repeat("x", 2<<20) + `"}`:  "too large",
		`{"kind":"drop","target":"` + "\xff\xfe" + `"}`:  "UTF-8",
		strings.Repeat(`{"kind":`, 20_000) + "1":         "read the request",
		`{"kind":"drop","service":"sqs\u0000\u001b[2J"}`: `service`,
	} {
		status := http.StatusBadRequest
		switch {
		case body == "":
			status = http.StatusForbidden
		case len(body) > 1<<20:
			status = http.StatusRequestEntityTooLarge
		}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.url+"/_lab/faults", strings.NewReader(body))
		must(t, err)
		if body != "" {
			r.Header.Set("Content-Type", "application/json; charset=utf-8")
		}
		got, answer := w.send(r)
		if got != status || !strings.Contains(string(answer), want) || !json.Valid(answer) {
			t.Errorf("%.80s: answered %d %.300s, want %d with %s", body, got, answer, status, want)
		}
	}
	if got := w.Faults(); len(got) != 0 {
		t.Errorf("taken all the same: %+v", got)
	}
}

// TestWebPagesCannotAsk sends what a browser would on behalf of a page: the lab's own questions have no other protection.
func TestWebPagesCannotAsk(t *testing.T) {
	w := newWorld(t)
	port := w.url[strings.LastIndex(w.url, ":"):]
	questions := []string{"clock", "faults", "calls", "state", "state/s3", "accounts", "environment", "environment?format=shell"}
	for _, host := range []string{"evil.example" + port, "evil.example", "localhost.evil.example" + port, "127.0.0.1.evil.example" + port, "lab" + port, "[evil]" + port} {
		for _, q := range questions {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.url+"/_lab/"+q, http.NoBody)
			must(t, err)
			r.Host = host
			if got, answer := w.send(r); got != http.StatusForbidden && got != http.StatusBadRequest || strings.Contains(string(answer), "AKIA") {
				t.Errorf("host %s, %s: answered %d %.100s", host, q, got, answer)
			}
		}
	}
	for _, host := range []string{"localhost" + port, "127.0.0.1" + port, "[::1]" + port, "localhost", "127.0.0.1"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.url+"/_lab/clock", http.NoBody)
		must(t, err)
		r.Host = host
		if got, answer := w.send(r); got != http.StatusOK {
			t.Errorf("host %s: answered %d %s", host, got, answer)
		}
	}
	// What a form or a simple fetch of another page can send without asking first.
	for _, kind := range []string{"", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/jsonx", "text/plain; application/json"} {
		for _, q := range []string{"clock", "faults", "flush", "findings"} {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.url+"/_lab/"+q, strings.NewReader(`{"advance":"1h","kind":"down"}`))
			must(t, err)
			r.Header.Set("Content-Type", kind)
			if got, answer := w.send(r); got != http.StatusForbidden {
				t.Errorf("%s as %q: answered %d %s", q, kind, got, answer)
			}
		}
	}
	if !w.Cloud.Clock.Now().Equal(labtest.Start) || len(w.Faults()) != 0 {
		t.Error("something was done all the same")
	}
}

func TestPathsThatAreNoneLeadNowhere(t *testing.T) {
	w := newWorld(t)
	for path, want := range map[string]int{
		"/_lab/state/none":              http.StatusNotFound,
		"/_lab/state/..%2f..%2fetc":     http.StatusNotFound,
		"/_lab/state/s3/../../accounts": http.StatusTemporaryRedirect,
		"/_lab/nothing":                 http.StatusNotFound,
		"/_lab/faults/fault-1/more":     http.StatusNotFound,
		"/_lab/calls/1":                 http.StatusNotFound,
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.url+path, http.NoBody)
		must(t, err)
		response, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
		must(t, err)
		must(t, response.Body.Close())
		if response.StatusCode != want && (want != http.StatusTemporaryRedirect || response.StatusCode/100 != 3) {
			t.Errorf("%s: answered %d, want %d", path, response.StatusCode, want)
		}
	}
	for question, method := range map[string]string{"clock": http.MethodDelete, "faults": http.MethodPut, "flush": http.MethodGet, "state": http.MethodPost} {
		r, err := http.NewRequestWithContext(t.Context(), method, w.url+"/_lab/"+question, http.NoBody)
		must(t, err)
		if got, _ := w.send(r); got != http.StatusMethodNotAllowed {
			t.Errorf("%s %s: answered %d", method, question, got)
		}
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.url+"/_lab/", http.NoBody)
	must(t, err)
	if status, text := w.send(r); status != http.StatusOK || !strings.Contains(string(text), "POST   /_lab/faults") {
		t.Errorf("what can be asked: answered %d %s", status, text)
	}
}

func TestTheStateOfEachServiceIsOneJSONObjectOrList(t *testing.T) {
	w := newWorld(t, func(o *lab.Options) { o.Life = true })
	w.secure()
	w.advance(3 * time.Hour)
	url, _ := w.queue(w.admin, region, "work", "")
	_, err := w.sqs(w.admin, region).SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: &url, MessageBody: aws.String("\U0001F989 \"'<&\u2028")})
	must(t, err)
	var all map[string]json.RawMessage
	w.ask(http.MethodGet, "state", "", http.StatusOK, &all)
	for _, name := range []string{"account", "events", "firehose", "iam", "inspector", "inspector2", "kms", "lambda", "organizations", "s3", "securityhub", "sns", "sqs", "sts"} {
		if _, ok := all[name]; !ok {
			t.Errorf("nothing is told of %s", name)
		}
	}
	for name, state := range all {
		var one json.RawMessage
		w.ask(http.MethodGet, "state/"+name, "", http.StatusOK, &one)
		if kind := strings.TrimSpace(string(one))[0]; kind != '{' && kind != '[' {
			t.Errorf("the state of %s is %.50s", name, one)
		}
		if diff := cmp.Diff(compact(t, state), compact(t, one)); diff != "" {
			t.Errorf("the state of %s is another one alone (-all +alone):\n%s", name, diff)
		}
	}
}

func compact(t *testing.T, raw json.RawMessage) string {
	t.Helper()
	var v any
	must(t, json.Unmarshal(raw, &v))
	b, err := json.Marshal(v)
	must(t, err)
	return string(b)
}

func TestTheEnvironmentIsWhatAShellHasToExport(t *testing.T) {
	w := newWorld(t)
	var got map[string]string
	w.ask(http.MethodGet, "environment?account="+w.member+"&region="+second, "", http.StatusOK, &got)
	key := w.Cloud.Accounts.Credential(w.member)
	want := map[string]string{
		"AWS_ENDPOINT_URL": w.url, "AWS_ACCESS_KEY_ID": key.AccessKeyID, "AWS_SECRET_ACCESS_KEY": key.SecretKey,
		"AWS_REGION": second, "AWS_DEFAULT_REGION": second, "AWS_EC2_METADATA_DISABLED": "true",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.url+"/_lab/environment?format=shell", http.NoBody)
	must(t, err)
	_, lines := w.send(r)
	out, err := exec.CommandContext(t.Context(), "sh", "-c", `eval "$1"; echo "$AWS_ENDPOINT_URL $AWS_ACCESS_KEY_ID $AWS_SECRET_ACCESS_KEY $AWS_REGION"`, "sh", string(lines)).Output()
	must(t, err)
	key = w.Cloud.Accounts.Credential(w.admin)
	if got, want := string(out), strings.Join([]string{w.url, key.AccessKeyID, key.SecretKey, region}, " ")+"\n"; got != want {
		t.Errorf("the shell has %s, want %s", got, want)
	}
	for _, query := range []string{"?account=999999999999", "?region=af-south-1", "?region=eu-nowhere-1", "?account=x'%3Btouch%20x"} {
		w.ask(http.MethodGet, "environment"+query, "", http.StatusNotFound, nil)
	}
}

func TestAccountsComeWithTheirKeys(t *testing.T) {
	w := newWorld(t, func(o *lab.Options) { o.Population.Accounts = 5 })
	var got []lab.AccountState
	w.ask(http.MethodGet, "accounts", "", http.StatusOK, &got)
	roles := make(map[string]int)
	for _, a := range got {
		roles[a.Role]++
		key := w.Cloud.Accounts.Credential(a.ID)
		if a.AccessKeyID != key.AccessKeyID || a.SecretAccessKey != key.SecretKey || !slices.Equal(a.Regions, w.Regions()) || a.Name == "" || !strings.Contains(a.Email, "@") {
			t.Errorf("got %+v", a)
		}
	}
	if diff := cmp.Diff(map[string]int{"administrator": 1, "management": 1, "member": 3}, roles); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestFindingsAreOpenedWhereInspectorIs(t *testing.T) {
	w := newWorld(t)
	w.enable(w.admin, region)
	w.open(w.admin, region, 7)
	if got := len(w.findings(w.admin, region)); got != 7 {
		t.Errorf("Security Hub shows %d findings, want 7", got)
	}
	for body, status := range map[string]int{
		`{"account":"` + w.admin + `","region":"us-east-1","count":1}`:      http.StatusBadRequest, // Inspector is not enabled there
		`{"account":"999999999999","region":"eu-west-1","count":1}`:         http.StatusNotFound,
		`{"account":"` + w.admin + `","region":"eu-nowhere-1","count":1}`:   http.StatusNotFound,
		`{"account":"` + w.admin + `","region":"eu-west-1","count":0}`:      http.StatusBadRequest,
		`{"account":"` + w.admin + `","region":"eu-west-1","count":100001}`: http.StatusBadRequest,
	} {
		w.ask(http.MethodPost, "findings", body, status, nil)
	}
}

func TestFlushDeliversWhatFirehoseBuffers(t *testing.T) {
	w := newWorld(t)
	w.stream(w.admin, region, "findings", w.role(w.admin, "storing", trusts(service("firehose")), may("s3:PutObject", "*")), w.bucket(w.admin, region, "lake"))
	_, err := w.firehose(w.admin, region).PutRecord(t.Context(), &firehose.PutRecordInput{DeliveryStreamName: aws.String("findings"), Record: record("x")})
	must(t, err)
	before := w.Cloud.Clock.Now()
	w.ask(http.MethodPost, "flush", `{}`, http.StatusOK, nil)
	if n := len(w.objects(w.admin, region, "lake", "data/")); n != 1 || !w.Cloud.Clock.Now().Equal(before) {
		t.Errorf("%d objects at %v, want one at %v", n, w.Cloud.Clock.Now(), before)
	}
}
