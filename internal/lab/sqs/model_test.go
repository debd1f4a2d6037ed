package sqs

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"example.org/catchment/internal/lab/cloud"
)

var testPlace = cloud.Place{Partition: "aws", Account: "111111111111", Region: "ap-northeast-1"}

func newTestQueue(fifo bool) (*Service, *queue) {
	s := New(cloud.New(cloud.Options{Seed: 1, Start: time.Date(2026, 11, 22, 13, 14, 15, 0, time.UTC)}))
	q := newQueue(testPlace, "a", 1, s.cloud.Clock.Now())
	q.settings = newSettings(fifo)
	s.queues[queueKey{testPlace, "a"}] = q
	return s, q
}

// A modelMessage is a message in a queue that is a plain list.
type modelMessage struct {
	body, handle  string
	sent, visible time.Time
	inFlight      bool
	receives      int
}

type model struct {
	messages []*modelMessage
	now      time.Time
}

func (m *model) settle(retention time.Duration) {
	m.messages = slices.DeleteFunc(m.messages, func(x *modelMessage) bool { return !x.sent.Add(retention).After(m.now) })
	for _, x := range m.messages {
		x.inFlight = x.inFlight && x.visible.After(m.now)
	}
}

func (m *model) take(n int, hide time.Duration) (out []*modelMessage) {
	for _, x := range m.messages {
		if len(out) < n && !x.visible.After(m.now) {
			x.visible, x.inFlight = m.now.Add(hide), true
			x.receives++
			out = append(out, x)
		}
	}
	return out
}

func TestAQueueIsLikeAPlainList(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, q := newTestQueue(false)
		q.settings.retention = 3600
		m := &model{now: s.cloud.Clock.Now()}
		settle := func() { m.settle(time.Hour) }
		handles := []string{}
		seconds := rapid.IntRange(0, 900)
		t.Repeat(map[string]func(*rapid.T){
			"send": func(t *rapid.T) {
				delay := seconds.Draw(t, "delay")
				body := fmt.Sprint(q.next)
				if _, err := s.send(q, &sending{MessageBody: body, DelaySeconds: &delay}, "me"); err != nil {
					t.Fatal(err)
				}
				m.messages = append(m.messages, &modelMessage{body: body, sent: m.now, visible: m.now.Add(time.Duration(delay) * time.Second)})
			},
			"receive": func(t *rapid.T) {
				n, hide := rapid.IntRange(1, 10).Draw(t, "n"), seconds.Draw(t, "hide")
				got, _, err := s.receive(q, &receiveMessageInput{Max: &n, Visibility: &hide, Names: []string{nameAll}}, false)
				if err != nil {
					t.Fatal(err)
				}
				settle()
				want := m.take(n, time.Duration(hide)*time.Second)
				if len(got) != len(want) {
					t.Fatalf("received %d messages, want %d", len(got), len(want))
				}
				for i, x := range got {
					if x.Body != want[i].body || x.Attributes[nameReceives] != fmt.Sprint(want[i].receives) {
						t.Fatalf("message %d is %s (%s), want %s (%d)", i, x.Body, x.Attributes[nameReceives], want[i].body, want[i].receives)
					}
					want[i].handle = x.ReceiptHandle
					handles = append(handles, x.ReceiptHandle)
				}
			},
			"delete": func(t *rapid.T) {
				if len(handles) == 0 {
					t.Skip()
				}
				h := rapid.SampledFrom(handles).Draw(t, "handle")
				if err := s.delete(q, h); err != nil {
					t.Fatal(err)
				}
				m.messages = slices.DeleteFunc(m.messages, func(x *modelMessage) bool { return x.handle == h })
			},
			"change": func(t *rapid.T) {
				if len(handles) == 0 {
					t.Skip()
				}
				h, hide := rapid.SampledFrom(handles).Draw(t, "handle"), seconds.Draw(t, "hide")
				err := s.changeVisibility(q, visibilityChange{h, &hide})
				settle()
				i := slices.IndexFunc(m.messages, func(x *modelMessage) bool { return x.handle == h && x.inFlight })
				if (err == nil) != (i >= 0) {
					t.Fatalf("error %v, in flight %v", err, i >= 0)
				}
				if i >= 0 {
					m.messages[i].visible = m.now.Add(time.Duration(hide) * time.Second)
				}
			},
			"advance": func(t *rapid.T) {
				d := time.Duration(rapid.IntRange(1, 1200).Draw(t, "seconds")) * time.Second
				m.now = m.now.Add(d)
				if err := s.cloud.Clock.Advance(t.Context(), d); err != nil {
					t.Fatal(err)
				}
			},
			"": func(t *rapid.T) {
				settle()
				var visible, inFlight int
				for _, x := range m.messages {
					if x.inFlight {
						inFlight++
					} else if !x.visible.After(m.now) {
						visible++
					}
				}
				got := q.shown(m.now)
				if got[nameVisible] != fmt.Sprint(visible) || got[nameInFlight] != fmt.Sprint(inFlight) || got[nameDelayed] != fmt.Sprint(len(m.messages)-visible-inFlight) {
					t.Fatalf("counts %v; want %d visible, %d in flight of %d", got, visible, inFlight, len(m.messages))
				}
			},
		})
	})
}

// A FIFO queue never hands out a message before an earlier one of its group is deleted.
func TestFIFONeverOvertakes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, q := newTestQueue(true)
		q.settings.contentDedup = true
		alive := make(map[string][]string) // bodies by group, in order
		flying := make(map[string]received)
		t.Repeat(map[string]func(*rapid.T){
			"send": func(t *rapid.T) {
				group := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "group")
				body := fmt.Sprintf("%s %d", group, q.next)
				if _, err := s.send(q, &sending{MessageBody: body, GroupID: group}, "me"); err != nil {
					t.Fatal(err)
				}
				alive[group] = append(alive[group], body)
			},
			"receive": func(t *rapid.T) {
				n := rapid.IntRange(1, 10).Draw(t, "n")
				got, _, err := s.receive(q, &receiveMessageInput{Max: &n}, false)
				if err != nil {
					t.Fatal(err)
				}
				seen := make(map[string]int)
				for _, x := range got {
					group := x.Body[:1]
					if want := alive[group][seen[group]]; x.Body != want {
						t.Fatalf("received %q, want %q first", x.Body, want)
					}
					seen[group]++
				}
				for body := range flying {
					if seen[body[:1]] > 0 {
						t.Fatalf("received of group %s while %q is in flight", body[:1], body)
					}
				}
				for _, x := range got {
					flying[x.Body] = x
				}
				if free := 3 - len(got); len(got) == 0 && free > 0 {
					for group, bodies := range alive {
						busy := slices.ContainsFunc(bodies, func(b string) bool { _, ok := flying[b]; return ok })
						if len(bodies) > 0 && !busy {
							t.Fatalf("received nothing though group %s waits", group)
						}
					}
				}
			},
			"delete": func(t *rapid.T) {
				for _, body := range slices.Sorted(keys(flying)) {
					if !rapid.Bool().Draw(t, body) {
						continue
					}
					if err := s.delete(q, flying[body].ReceiptHandle); err != nil {
						t.Fatal(err)
					}
					delete(flying, body)
					alive[body[:1]] = slices.DeleteFunc(alive[body[:1]], func(b string) bool { return b == body })
				}
			},
			"advance": func(t *rapid.T) {
				if err := s.cloud.Clock.Advance(t.Context(), 31*time.Second); err != nil {
					t.Fatal(err)
				}
				clear(flying)
			},
		})
	})
}

func keys(m map[string]received) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

func TestTheMostMessagesInFlight(t *testing.T) {
	s, q := newTestQueue(false)
	for i := range maxInFlight + 2 {
		if _, err := s.send(q, &sending{MessageBody: fmt.Sprint(i)}, "me"); err != nil {
			t.Fatal(err)
		}
	}
	n, got := 10, 0
	var last received
	for range maxInFlight / 10 {
		out, _, err := s.receive(q, &receiveMessageInput{Max: &n}, false)
		if err != nil {
			t.Fatal(err)
		}
		got += len(out)
		last = out[0]
	}
	if got != maxInFlight {
		t.Fatalf("received %d", got)
	}
	if _, _, err := s.receive(q, &receiveMessageInput{}, false); err == nil || err.Code != overLimit {
		t.Errorf("error %v, want OverLimit", err)
	}
	if out, _, err := s.receive(q, &receiveMessageInput{}, true); err != nil || len(out) != 0 {
		t.Errorf("a receive that waits got %d messages, error %v; want to wait", len(out), err)
	}
	if err := s.delete(q, last.ReceiptHandle); err != nil {
		t.Fatal(err)
	}
	if out, _, err := s.receive(q, &receiveMessageInput{Max: &n}, false); err != nil || len(out) != 1 {
		t.Errorf("received %d messages, error %v; want the one that there is room for", len(out), err)
	}
}

// The first is one that AWS gave, as the tests of its SDK for JavaScript hold it; that of bytes was computed by hand from
// AWS's description of the form.
func TestChecksumOfAttributes(t *testing.T) {
	for want, attributes := range map[string]map[string]attribute{
		"":                                 nil,
		"235c5c510d26fb653d073faed50ae77c": {"timestamp": {DataType: "Number", StringValue: "1493147359900"}},
		"dbdafc6755cea9e8925faf9e6a917917": {"b": {DataType: "Binary.png", BinaryValue: []byte{0, 255}}, "a": {DataType: "String", StringValue: "é"}},
	} {
		if got := md5OfAttributes(attributes); got != want {
			t.Errorf("%v: %s, want %s", attributes, got, want)
		}
	}
}

func TestTexts(t *testing.T) {
	for s, want := range map[string]bool{
		"\t\n\r ~": true, "\ud7ff\ue000\ufffd\U00010000\U0010ffff": true, "\x00": false, "\x1f": false, "\ufffe": false, "\uffff": false, "\x80": false, strings.Repeat("é", 100): true,
	} {
		if validText(s) != want {
			t.Errorf("%q: want %v", s, want)
		}
	}
	for s, want := range map[string]bool{
		"0": true, "-1.5": true, "+.5": true, "1e125": true, "1e-127": true, "1e127": false, "1e-140": false, "": false, "x": false, "1e": false, "0x10": false, "NaN": false,
	} {
		if isNumber(s) != want {
			t.Errorf("number %q: want %v", s, want)
		}
	}
}
