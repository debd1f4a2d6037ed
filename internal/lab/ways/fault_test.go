package ways

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"example.org/catchment/internal/lab/cloud"
)

var allWays = []string{
	partitionsDelimiter, partitionsLambda, accountsDelimiter, accountsLambda, queueCollector, pushCollector, endpointCollector, queueLambda, wholeEvents,
}

func (b *builder) buildAll() []*way {
	b.t.Helper()
	var ways []*way
	for _, name := range allWays {
		ways = append(ways, b.build(name))
	}
	b.active()
	return ways
}

// count tells how many problems there are of each kind.
func count(problems []problem) map[string]int {
	out := make(map[string]int)
	for _, p := range problems {
		out[p.kind]++
	}
	return out
}

// This is the test of the tests: the n-th way loses n events, which it and no other has to be told of by name.
func TestAWayThatLosesEventsIsFoundOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t, small(6))
	b := newBuilder(w)
	ways := b.buildAll()
	for i, v := range ways {
		w.fault(cloud.Fault{Kind: cloud.FaultDrop, From: fromEvents, Target: v.name, Times: i + 1})
	}
	w.live()
	truth, lost := w.truth(), make(map[string]bool)
	names := make(map[string]bool)
	for ver := range truth {
		names[ver.String()] = true
	}
	for i, v := range ways {
		problems := w.check(v, w.hold(v), truth)
		if got := count(problems); len(got) != 1 || got[missing] != i+1 {
			t.Errorf("%s: %v, want %d missing", v.name, got, i+1)
		}
		for _, p := range problems {
			lost[p.what] = true
			if !names[p.what] {
				t.Errorf("%s misses %q, which nobody knows", v.name, p.what)
			}
		}
	}
	if len(lost) < len(ways) {
		t.Errorf("only %d versions were lost", len(lost))
	}
}

func TestEventsThatTheBusLosesAreMissedOnAllWays(t *testing.T) {
	t.Parallel()
	w := newWorld(t, small(7))
	b := newBuilder(w)
	ways := []*way{b.build(partitionsDelimiter), b.build(queueCollector)}
	b.active()
	w.fault(cloud.Fault{Kind: cloud.FaultDrop, From: fromHub, Service: "events", Account: w.administrator, Share: 0.2})
	w.live()
	truth := w.truth()
	first := w.check(ways[0], w.hold(ways[0]), truth)
	second := w.check(ways[1], w.hold(ways[1]), truth)
	if n := count(first)[missing]; n == 0 || n != len(first) || !slices.EqualFunc(first, second, func(a, b problem) bool { return a.what == b.what }) {
		t.Errorf("one way is wrong by %v, the other by %v", count(first), count(second))
	}
}

// Of one event each way gets half. It is kept under the error prefix, and nothing else is the worse for it. A stream that
// neither looks into records nor has a function that does stores it as it came: what reads the bucket sees a broken line.
func TestHalfAnEventIsKeptAsAnErrorRecordAndHarmsNoOther(t *testing.T) {
	t.Parallel()
	w := newWorld(t, small(8))
	b := newBuilder(w)
	ways := b.buildAll()
	for _, v := range ways {
		w.fault(cloud.Fault{Kind: cloud.FaultCorrupt, From: fromEvents, Target: v.name, Times: 1, Share: 0.2})
	}
	w.live()
	truth, texts := w.truth(), make(map[string]string)
	for _, v := range ways {
		for ver, lines := range w.hold(v).lines {
			texts[ver.String()] = lines[0].text
		}
	}
	for _, v := range ways {
		h := w.hold(v)
		problems := w.check(v, h, truth)
		want := refused
		if v.name == accountsDelimiter {
			want = broken
		}
		if got := count(problems); len(got) != 2 || got[missing] != 1 || got[want] != 1 {
			t.Errorf("%s: %v, want one missing and one %s: %v", v.name, got, want, problems)
			continue
		}
		if want == broken {
			continue
		}
		text := texts[problems[0].what] // as another way has it
		raw := string(h.errors[0].RawData)
		if _, of, event := strings.Cut(raw, `"findings":[`); event {
			raw = of
		}
		if len(raw) < 100 || !strings.HasPrefix(text, raw) {
			t.Errorf("%s: the error record holds\n%s\nwhich is no part of\n%s", v.name, raw, text)
		}
	}
}

// All that AWS promises is "at least once". What comes through catchment is there once.
func TestWhatComesTwiceIsTwiceInTheBucketOnlyWhereNobodyRemembers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, small(9))
	b := newBuilder(w)
	ways := b.buildAll()
	w.fault(cloud.Fault{Kind: cloud.FaultDuplicate, From: fromHub, Service: "events"})
	w.live()
	ways = append(ways, b.imported(ways[0]), b.imported(ways[8]))
	w.expect(ways...)
	for _, v := range ways {
		times := make(map[int]int)
		for _, lines := range w.hold(v).lines {
			times[len(lines)]++
		}
		switch {
		case !v.repeat && times[1] == len(w.truth()):
		case v.repeat && v.name != queueLambda && times[2] == len(w.truth()):
		case v.name == queueLambda && times[1]+times[2] == len(w.truth()): // a batch of messages may hold both
		default:
			t.Errorf("%s holds so many versions so many times: %v", v.name, fmt.Sprint(times))
		}
	}
}
