package events_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/google/go-cmp/cmp"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/labtest"
)

func sample(tb testing.TB, name string) []byte {
	tb.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func here() cloud.Place {
	return cloud.Place{Partition: "aws", Account: labtest.Administrator, Region: labtest.Region}
}

// send delivers an event to a rule with one target, and gives what the target got.
func sendTo(t *testing.T, change func(*types.Target), event []byte) string {
	t.Helper()
	w := newWorld(t)
	x := target("1", queue("q"))
	change(&x)
	w.rule("r", `{"source":[{"prefix":""}]}`, x)
	w.from(here(), event)
	got := w.sink.bodies("q")
	if len(got) != 1 {
		t.Fatalf("got %d events, want 1", len(got))
	}
	return got[0]
}

func TestATargetGetsTheEventByteByByte(t *testing.T) {
	for _, name := range []string{"event-securityhub-imported.json", "event-inspector2-finding-ec2-package-2024.json", "event-inspector2-coverage.json"} {
		t.Run(name, func(t *testing.T) {
			event := sample(t, name)
			if diff := cmp.Diff(string(event), sendTo(t, func(*types.Target) {}, event)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

const small = `{"version":"0","id":"i-1","detail-type":"Type \"x\"","source":"a","account":"111111111111","time":"2026-11-22T13:14:15Z",` +
	`"region":"ap-northeast-1","detail":{"s":"say \"hi\" \u00e9\n","n":1.50,"t":true,"z":null,"o":{"k":"v"},"l":[{"x":1},{"x":[2,3]}],` +
	`"aws/securityhub/ProductName":"Inspector","a.b":7,"e":""}}`

func TestAnInputPathSendsAPartOfTheEvent(t *testing.T) {
	for path, want := range map[string]string{
		`$`:                                    small,
		`$.detail.n`:                           `1.50`,
		`$.detail.s`:                           `"say \"hi\" \u00e9\n"`,
		`$.detail.o`:                           `{"k":"v"}`,
		`$.detail.l[0]`:                        `{"x":1}`,
		`$.detail.l[1].x[1]`:                   `3`,
		`$.detail.l[*].x`:                      `[1,[2,3]]`,
		`$.detail.l.*.x[0]`:                    `[2]`,
		`$.detail['a.b']`:                      `7`,
		`$["detail"]["o"]["k"]`:                `"v"`,
		`$.detail-type`:                        `"Type \"x\""`,
		`$.detail.l[2]`:                        `null`,
		`$.detail.n.x`:                         `null`,
		`$.resources`:                          `null`,
		`$.detail.gone`:                        `null`,
		`$.detail.z`:                           `null`,
		`$.detail.none[*]`:                     `[]`,
		`$.detail.l`:                           `[{"x":1},{"x":[2,3]}]`,
		`$.detail.e`:                           `""`,
		`$.detail.t`:                           `true`,
		`$.detail.aws/securityhub/ProductName`: `"Inspector"`,
	} {
		t.Run(path, func(t *testing.T) {
			if got := sendTo(t, func(x *types.Target) { x.InputPath = &path }, []byte(small)); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
	var event struct {
		Detail struct{ Findings []json.RawMessage }
	}
	if err := json.Unmarshal(sample(t, "event-securityhub-imported.json"), &event); err != nil {
		t.Fatal(err)
	}
	got := sendTo(t, func(x *types.Target) { x.InputPath = aws.String("$.detail.findings[0]") }, sample(t, "event-securityhub-imported.json"))
	var have, want any
	if err := json.Unmarshal([]byte(got), &have); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(event.Detail.Findings[0], &want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, have); diff != "" {
		t.Error(diff)
	}
}

func TestAnInputIsSentAsItIs(t *testing.T) {
	if got := sendTo(t, func(x *types.Target) { x.Input = aws.String(` {"a" : 1}`) }, []byte(small)); got != ` {"a" : 1}` {
		t.Errorf("got %s", got)
	}
}

func TestAnInputTransformerFillsItsTemplate(t *testing.T) {
	paths := map[string]string{
		"s": "$.detail.s", "n": "$.detail.n", "o": "$.detail.o", "gone": "$.detail.gone", "z": "$.detail.z", "type": "$.detail-type",
		"all": "$.detail.l[*].x", "e": "$.detail.e",
	}
	before, _, _ := strings.Cut(small, `,"detail":`)
	head := before + "}"
	for sentence, test := range map[string]struct{ template, want string }{
		"text in quotes":                        {`"<type> has <n>"`, `"Type \"x\" has 1.50"`},
		"text of several lines":                 {"\"a <n>\"\n\"b <s>\"", "\"a 1.50\"\n\"b say \\\"hi\\\" \\u00e9\\n\""},
		"JSON with strings outside of quotes":   {`{"v": <s>, "n":<n>}`, `{"v": "say \"hi\" \u00e9\n", "n":1.50}`},
		"JSON with a string inside of quotes":   {`{"v":"it: <s>!"}`, `{"v":"it: say \"hi\" \u00e9\n!"}`},
		"an object outside of quotes":           {`{"v":<o>}`, `{"v":{"k":"v"}}`},
		"an object inside of quotes":            {`{"v":"<o>"}`, `{"v":"{\"k\":\"v\"}"}`},
		"an array":                              {`[<all>]`, `[[1,[2,3]]]`},
		"what is missing outside of quotes":     {`{"v":<gone>}`, `{"v":""}`},
		"what is missing inside of quotes":      {`{"v":"[<gone>]"}`, `{"v":"[]"}`},
		"null":                                  {`{"v":<z>,"w":"<z>"}`, `{"v":null,"w":"null"}`},
		"an empty string":                       {`{"v":<e>,"w":"<e>"}`, `{"v":"","w":""}`},
		"escaped quotes around a variable":      {`"state \"<n>\""`, `"state \"1.50\""`},
		"a backslash at the end of a string":    {`{"a":"\\","b":<n>}`, `{"a":"\\","b":1.50}`},
		"angle brackets that are no variable":   {`"1 < 2 > <n>"`, `"1 < 2 > 1.50"`},
		"no variable":                           {`{"fixed":true}`, `{"fixed":true}`},
		"the rule":                              {`"<aws.events.rule-arn> <aws.events.rule-name>"`, `"arn:aws:events:ap-northeast-1:111111111111:rule/r r"`},
		"the time of ingestion":                 {`{"t":<aws.events.event.ingestion-time>}`, `{"t":"2026-11-22T13:14:15Z"}`},
		"the event without its detail":          {`{"e":<aws.events.event>}`, `{"e":` + head + `}`},
		"the whole event":                       {`{"e":<aws.events.event.json>}`, `{"e":` + small + `}`},
		"the event without its detail as texts": {`"<aws.events.event>"`, quoted(head)},
	} {
		t.Run(sentence, func(t *testing.T) {
			if got := sendTo(t, transform(test.template, paths), []byte(small)); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

func quoted(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}
