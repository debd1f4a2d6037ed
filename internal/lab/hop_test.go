package lab_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	eventtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
)

// A hop is one way from a service to another, built with all the policies that it takes.
type hop struct {
	pieces  []piece
	send    func()         // something on the way
	arrived func() int     // how much has arrived in all
	refused func() string  // what tells of what was refused last; empty: nothing
	shows   map[string]any // what has to be in it, by the piece that is missing; "": by default. A func() checks for itself
}

// A piece is a policy, or a part of one, without which the hop is denied.
type piece struct {
	name string
	take func() // it away
}

// TestEachHopIsDeniedWhereOnePolicyIsMissing builds each hop, sees that something arrives, takes one policy away, and sees
// that the next does not, and where it shows.
func TestEachHopIsDeniedWhereOnePolicyIsMissing(t *testing.T) {
	for name, build := range map[string]func(w *world) hop{
		"EventBridge to a queue":                               eventsToQueue,
		"EventBridge to an encrypted queue":                    eventsToEncryptedQueue,
		"EventBridge to a queue of another account":            eventsToForeignQueue,
		"EventBridge to a topic":                               eventsToTopic,
		"EventBridge to an encrypted topic":                    eventsToEncryptedTopic,
		"EventBridge to a function":                            eventsToFunction,
		"EventBridge to a delivery stream":                     eventsToStream,
		"EventBridge to a bus of another account":              eventsToForeignBus,
		"SNS to a queue":                                       topicToQueue,
		"SNS to an encrypted queue":                            topicToEncryptedQueue,
		"SNS to a function":                                    topicToFunction,
		"Firehose to a bucket":                                 streamToBucket,
		"Firehose to a bucket of another account":              streamToForeignBucket,
		"Firehose with a key of its own to a bucket":           streamWithKey,
		"Firehose to a bucket with a key of another account":   streamToEncryptedForeignBucket,
		"Firehose to a function":                               streamToFunction,
		"Inspector Classic to a topic":                         classicToTopic,
		"a function's queue":                                   queueToFunction,
		"a function's encrypted queue":                         encryptedQueueToFunction,
		"a role of the same account":                           assumeOwn,
		"a role of another account":                            assumeForeign,
		"what a role does in another account's bucket":         roleInForeignBucket,
		"code of a function in another account's bucket":       codeInForeignBucket,
		"a function that is called by somebody of its account": callFunction,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first := build(newWorld(t))
			for i, p := range first.pieces {
				t.Run("without "+p.name, func(t *testing.T) {
					h := build(newWorld(t))
					h.deniedWithout(t, i)
				})
			}
		})
	}
}

func (h *hop) deniedWithout(t *testing.T, i int) {
	t.Helper()
	if why := h.refused(); h.arrived() != 0 || why != "" {
		t.Fatalf("before the first: %d have arrived, refused %q", h.arrived(), why)
	}
	h.send()
	if why := h.refused(); h.arrived() != 1 || why != "" {
		t.Fatalf("with all policies %d have arrived, refused %q", h.arrived(), why)
	}
	h.pieces[i].take()
	h.send()
	if got := h.arrived(); got != 1 {
		t.Errorf("it arrives all the same")
	}
	want, ok := h.shows[h.pieces[i].name]
	if !ok {
		want = h.shows[""]
	}
	if got := h.refused(); !strings.Contains(got, fmt.Sprint(want)) {
		t.Errorf("refused %q, want %q in it", got, want)
	}
}

// counter makes a function that counts what it is given, over all its calls.
func counter(take func() int) func() int {
	total := 0
	return func() int {
		total += take()
		return total
	}
}

// deadLetters makes a queue for what EventBridge cannot deliver, and tells of the last one.
func (w *world) deadLetters(rule string) (config *eventtypes.DeadLetterConfig, last func() string) {
	w.Helper()
	arn := w.arn("sqs", region, w.admin, "dead")
	url, _ := w.queue(w.admin, region, "dead", policy(allow(service("events"), "sqs:SendMessage", arn, when("ArnEquals", "aws:SourceArn", rule))))
	text := ""
	return &eventtypes.DeadLetterConfig{Arn: &arn}, func() string {
		for _, m := range w.messages(w.admin, region, url) {
			text = aws.ToString(m.MessageAttributes["ERROR_CODE"].StringValue) + " " + aws.ToString(m.MessageAttributes["ERROR_MESSAGE"].StringValue) +
				" " + aws.ToString(m.MessageAttributes["RETRY_ATTEMPTS"].StringValue)
		}
		return text
	}
}

// eventsTo makes a rule with a target whose dead letters tell what was refused.
func (w *world) eventsTo(target, role string, pieces ...piece) hop {
	w.Helper()
	config, last := w.deadLetters(w.arn("events", region, w.admin, "rule/r"))
	to := eventtypes.Target{Id: aws.String("1"), Arn: &target, DeadLetterConfig: config}
	if role != "" {
		to.RoleArn = &role
	}
	w.rule(w.admin, region, "", "r", ours, to)
	return hop{
		pieces: pieces, send: func() { w.put(w.admin, region, `{}`) }, refused: last,
		shows: map[string]any{"": "NO_PERMISSIONS"},
	}
}

func eventsToQueue(w *world) hop {
	arn := w.arn("sqs", region, w.admin, "work")
	rule := w.arn("events", region, w.admin, "rule/r")
	let := allow(service("events"), "sqs:SendMessage", arn, when("ArnEquals", "aws:SourceArn", rule))
	url, _ := w.queue(w.admin, region, "work", policy(let))
	h := w.eventsTo(arn, "",
		piece{"the queue's policy", func() { w.setQueue(w.admin, region, url, "Policy", "") }},
		piece{"this rule in the queue's policy", func() {
			w.setQueue(w.admin, region, url, "Policy", policy(allow(service("events"), "sqs:SendMessage", arn, when("ArnEquals", "aws:SourceArn", rule+"2"))))
		}},
		piece{"the action in the queue's policy", func() {
			w.setQueue(w.admin, region, url, "Policy", policy(allow(service("events"), "sqs:ReceiveMessage", arn)))
		}},
		piece{"peace: a deny wins", func() {
			w.setQueue(w.admin, region, url, "Policy", policy(let, strings.Replace(allow(`"AWS":"*"`, "sqs:SendMessage", arn), "Allow", "Deny", 1)))
		}},
	)
	h.arrived = counter(func() int { return len(w.messages(w.admin, region, url)) })
	return h
}

func eventsToEncryptedQueue(w *world) hop {
	arn := w.arn("sqs", region, w.admin, "work")
	use := func(action string) string { return allow(service("events"), action, "*") }
	key := w.key(w.admin, region, use("kms:GenerateDataKey"), use("kms:Decrypt"))
	url, _ := w.queue(w.admin, region, "work", policy(allow(service("events"), "sqs:SendMessage", arn)), "KmsMasterKeyId", key)
	h := w.eventsTo(arn, "",
		piece{"the queue's policy", func() { w.setQueue(w.admin, region, url, "Policy", "") }},
		piece{"the key's policy", func() { w.setKey(w.admin, region, key) }},
		piece{"kms:Decrypt", func() { w.setKey(w.admin, region, key, use("kms:GenerateDataKey")) }},
		piece{"kms:GenerateDataKey", func() { w.setKey(w.admin, region, key, use("kms:Decrypt")) }},
	)
	h.shows["the key's policy"], h.shows["kms:Decrypt"], h.shows["kms:GenerateDataKey"] = "kms:GenerateDataKey", "kms:Decrypt", "kms:GenerateDataKey"
	h.arrived = counter(func() int { return len(w.messages(w.admin, region, url)) })
	return h
}

func eventsToForeignQueue(w *world) hop {
	arn := w.arn("sqs", region, w.member, "work")
	role := w.role(w.admin, "sender", trusts(service("events")), may("sqs:SendMessage", arn))
	url, _ := w.queue(w.member, region, "work", policy(allow(whoever(role), "sqs:SendMessage", arn)))
	h := w.eventsTo(arn, role,
		piece{"the queue's policy", func() { w.setQueue(w.member, region, url, "Policy", "") }},
		piece{"the role's policy", func() { w.disarm(w.admin, "sender") }},
		piece{"the role's trust", func() { w.distrust(w.admin, "sender") }},
	)
	h.shows["the role's trust"] = "sts:AssumeRole"
	h.arrived = counter(func() int { return len(w.messages(w.member, region, url)) })
	return h
}

// A topicState is a topic as the lab shows it.
type topicState struct {
	Account, Region, Name                     string
	Published, Delivered, Failed, FilteredOut int
	Subscriptions                             []struct{ LastError string }
}

func (w *world) topicState(name string) topicState {
	w.Helper()
	var all []topicState
	w.ask(http.MethodGet, "state/sns", "", http.StatusOK, &all)
	i := slices.IndexFunc(all, func(s topicState) bool { return s.Name == name })
	if i < 0 {
		w.Fatalf("no topic %s in %v", name, all)
	}
	return all[i]
}

func eventsToTopic(w *world) hop {
	arn := w.arn("sns", region, w.admin, "news")
	let := policy(allow(service("events"), "sns:Publish", arn))
	w.topic(w.admin, region, "news", map[string]string{"Policy": let})
	h := w.eventsTo(arn, "",
		piece{"the service in the topic's policy", func() {
			w.setTopic(w.admin, region, arn, "Policy", policy(allow(service("s3"), "sns:Publish", arn)))
		}},
	)
	h.arrived = func() int { return w.topicState("news").Published }
	return h
}

func eventsToEncryptedTopic(w *world) hop {
	arn := w.arn("sns", region, w.admin, "news")
	use := func(action string) string { return allow(service("events"), action, "*") }
	key := w.key(w.admin, region, use("kms:GenerateDataKey*"), use("kms:Decrypt"))
	w.topic(w.admin, region, "news", map[string]string{"Policy": policy(allow(service("events"), "sns:Publish", arn)), "KmsMasterKeyId": key})
	h := w.eventsTo(arn, "",
		piece{"the key's policy", func() { w.setKey(w.admin, region, key) }},
		piece{"kms:Decrypt", func() { w.setKey(w.admin, region, key, use("kms:GenerateDataKey*")) }},
	)
	h.shows[""] = "kms:"
	h.arrived = func() int { return w.topicState("news").Published }
	return h
}

// invocations is how often a function was called, with success.
func (w *world) invocations(arn string) int {
	w.Helper()
	var all []struct {
		ARN                 string
		Invocations, Errors int
	}
	w.ask(http.MethodGet, "state/lambda", "", http.StatusOK, &all)
	for _, f := range all {
		if f.ARN == arn {
			return f.Invocations - f.Errors
		}
	}
	w.Fatalf("no function %s in %v", arn, all)
	return 0
}

func (w *world) worker() (arn string) {
	w.Helper()
	return w.function(w.admin, region, "worker", w.role(w.admin, "worker", trusts(service("lambda"))))
}

func eventsToFunction(w *world) hop {
	arn, rule := w.worker(), w.arn("events", region, w.admin, "rule/r")
	w.permitFunction(w.admin, region, "worker", "events.amazonaws.com", rule)
	h := w.eventsTo(arn, "",
		piece{"the function's policy", func() { w.forbidFunction(w.admin, region, "worker") }},
		piece{"this rule in the function's policy", func() {
			w.forbidFunction(w.admin, region, "worker")
			w.permitFunction(w.admin, region, "worker", "events.amazonaws.com", rule+"2")
		}},
	)
	h.arrived = func() int { return w.invocations(arn) }
	return h
}

func eventsToStream(w *world) hop {
	storing := w.role(w.admin, "storing", trusts(service("firehose")), may("s3:PutObject", w.arn("s3", "", "", "lake/*")))
	arn := w.stream(w.admin, region, "findings", storing, w.bucket(w.admin, region, "lake"))
	role := w.role(w.admin, "sender", trusts(service("events"), when("StringEquals", "aws:SourceAccount", w.admin)), may("firehose:PutRecord", arn))
	h := w.eventsTo(arn, role,
		piece{"the role's policy", func() { w.disarm(w.admin, "sender") }},
		piece{"this stream in the role's policy", func() { w.permitRole(w.admin, "sender", may("firehose:PutRecord", arn+"2")) }},
		piece{"the role's trust", func() { w.distrust(w.admin, "sender") }},
	)
	h.shows["the role's trust"] = "sts:AssumeRole"
	h.arrived = func() int { return w.streamState().Metrics.IncomingRecords }
	return h
}

func eventsToForeignBus(w *world) hop {
	w.rule(w.member, region, "", "arrivals", ours, eventtypes.Target{Id: aws.String("1"), Arn: aws.String(w.arn("sqs", region, w.member, "work"))})
	arn := w.arn("sqs", region, w.member, "work")
	url, _ := w.queue(w.member, region, "work", policy(allow(service("events"), "sqs:SendMessage", arn)))
	bus := w.arn("events", region, w.member, "event-bus/default")
	w.letIntoBus(w.member, bus, whoever(w.admin))
	role := w.role(w.admin, "sender", trusts(service("events")), may("events:PutEvents", bus))
	h := w.eventsTo(bus, role,
		piece{"the bus's policy", func() { w.letIntoBus(w.member, bus, whoever(w.accounts[1])) }},
		piece{"the role's policy", func() { w.disarm(w.admin, "sender") }},
		piece{"the role's trust", func() { w.distrust(w.admin, "sender") }},
	)
	h.shows["the role's trust"] = "sts:AssumeRole"
	h.arrived = counter(func() int { return len(w.messages(w.member, region, url)) })
	return h
}
