package events_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"pgregory.net/rapid"

	"example.org/catchment/internal/lab/labtest"
)

var words = []any{"a", "b", "ab", "", nil, true, 1, 2.5}

// value draws what stands in a detail: leaves, arrays and objects of few names.
func value(t *rapid.T, depth int) any {
	kind := rapid.IntRange(0, 3).Draw(t, "kind")
	switch {
	case depth > 0 && kind == 1:
		out := make(map[string]any)
		for range rapid.IntRange(0, 3).Draw(t, "members") {
			out[rapid.SampledFrom([]string{"x", "y", "z"}).Draw(t, "key")] = value(t, depth-1)
		}
		return out
	case depth > 0 && kind == 2:
		out := []any{}
		for range rapid.IntRange(0, 3).Draw(t, "elements") {
			out = append(out, value(t, depth-1))
		}
		return out
	}
	return rapid.SampledFrom(words).Draw(t, "word")
}

func alternative(t *rapid.T) any {
	switch rapid.IntRange(0, 5).Draw(t, "operator") {
	case 0:
		return map[string]any{"exists": rapid.Bool().Draw(t, "exists")}
	case 1:
		return map[string]any{"prefix": "a"}
	case 2:
		return map[string]any{"anything-but": []any{"a"}}
	case 3:
		return map[string]any{"numeric": []any{">", 1}}
	}
	return rapid.SampledFrom(words).Draw(t, "word")
}

func fields(t *rapid.T, depth int) map[string]any {
	out := make(map[string]any)
	for range rapid.IntRange(1, 2).Draw(t, "fields") {
		key := rapid.SampledFrom([]string{"x", "y", "z"}).Draw(t, "key")
		if depth > 0 && rapid.Bool().Draw(t, "deeper") {
			out[key] = fields(t, depth-1)
			continue
		}
		out[key] = []any{alternative(t), alternative(t)}
	}
	return out
}

// TestATargetGetsAnEventIffTestEventPatternSaysSo puts random events to random rules.
func TestATargetGetsAnEventIffTestEventPatternSaysSo(t *testing.T) {
	w := newWorld(t)
	c := w.client()
	rapid.Check(t, func(t *rapid.T) {
		encode := func(v any) string {
			b, err := json.Marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			return string(b)
		}
		rules := rapid.IntRange(1, 3).Draw(t, "rules")
		patterns := make([]string, rules)
		for i := range patterns {
			patterns[i] = encode(map[string]any{"detail": fields(t, 2)})
			name := fmt.Sprint("r", i)
			if _, err := c.PutRule(w.Context(), &eventbridge.PutRuleInput{Name: &name, EventPattern: &patterns[i]}); err != nil {
				t.Fatal(err)
			}
			if _, err := c.PutTargets(w.Context(), &eventbridge.PutTargetsInput{Rule: &name, Targets: []types.Target{target("1", queue(name))}}); err != nil {
				t.Fatal(err)
			}
		}
		members := make(map[string]any)
		for range rapid.IntRange(0, 3).Draw(t, "members") {
			members[rapid.SampledFrom([]string{"x", "y", "z"}).Draw(t, "key")] = value(t, 3)
		}
		detail := encode(members)
		out, err := c.PutEvents(w.Context(), &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{entry(detail)}})
		if err != nil || out.FailedEntryCount != 0 {
			t.Fatal(err, out)
		}
		labtest.Settle(w, w.cloud)
		for i, pattern := range patterns {
			event := fmt.Sprintf(`{"id":"1","account":"111111111111","source":"example.app","time":"2026-11-22T13:14:15Z","region":"ap-northeast-1",`+
				`"resources":[],"detail-type":"Example","detail":%s}`, detail)
			said, err := c.TestEventPattern(w.Context(), &eventbridge.TestEventPatternInput{EventPattern: &pattern, Event: aws.String(event)})
			if err != nil {
				t.Fatal(err)
			}
			if got := w.sink.take(fmt.Sprint("r", i)); len(got) != map[bool]int{true: 1}[said.Result] {
				t.Fatalf("pattern %s, detail %s: arrived %d times, TestEventPattern says %v", pattern, detail, len(got), said.Result)
			}
		}
		for i := rules; i < 3; i++ {
			name := fmt.Sprint("r", i)
			_, _ = c.DisableRule(w.Context(), &eventbridge.DisableRuleInput{Name: &name})
			w.sink.take(name)
		}
	})
}

func TestAPathFindsWhatWasPutThere(t *testing.T) {
	w := newWorld(t)
	rapid.Check(t, func(t *rapid.T) {
		keys := rapid.SliceOfN(rapid.StringMatching(`[a-zA-Z_/\-]{1,8}`), 1, 6).Draw(t, "keys")
		want := rapid.SampledFrom([]string{`"v"`, `1.0`, `{"a":[]}`, `[1,2]`, `null`}).Draw(t, "value")
		detail, path := want, ""
		for _, key := range slices.Backward(keys) {
			if rapid.Bool().Draw(t, "array") {
				detail, path = `{`+quoted(key)+`:[0,`+detail+`]}`, "."+key+"[1]"+path
			} else {
				detail, path = `{"other":1,`+quoted(key+"x")+`:2,`+quoted(key)+`:`+detail+`}`, "."+key+path
			}
		}
		if slices.Contains(keys, "other") {
			t.Skip("the first of two names counts")
		}
		x := target("1", queue("q"))
		x.InputPath = aws.String("$.detail" + path)
		w.rule("r", `{"source":["example.app"]}`, x)
		w.put(detail)
		if got := w.sink.bodies("q"); len(got) != 1 || got[0] != want {
			t.Fatalf("%s in %s: got %q, want %s", *x.InputPath, detail, got, want)
		}
	})
}
