package cloud_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.org/catchment/internal/lab/cloud"
)

// A box takes deliveries and keeps them.
type box struct {
	resource cloud.Resource
	missing  bool
	fail     error
	got      []cloud.Delivery
}

func (b *box) Resource(arn string) (cloud.Resource, error) {
	if b.missing {
		return cloud.Resource{}, fmt.Errorf("%s: %w", arn, cloud.ErrNoResource)
	}
	return b.resource, nil
}

func (b *box) Receive(_ context.Context, d *cloud.Delivery) ([]byte, error) {
	if b.fail != nil {
		return nil, b.fail
	}
	kept := *d
	kept.Body = append([]byte(nil), d.Body...)
	b.got = append(b.got, kept)
	return []byte("taken"), nil
}

// A judge notes what it is asked, and denies what contains a text.
type judge struct {
	deny  string
	asked []string
	last  cloud.Access
}

func (j *judge) Authorize(a cloud.Access) error {
	line := a.Who.ARN + " " + a.Action + " " + a.Resource
	j.asked = append(j.asked, line)
	j.last = a
	if j.deny != "" && strings.Contains(line, j.deny) {
		return &cloud.DeniedError{Who: a.Who.ARN, Action: a.Action, Resource: a.Resource, Reason: " because so"}
	}
	return nil
}

func (j *judge) Assume(who cloud.Identity, role, session string, conditions map[string]string) (cloud.Identity, error) {
	j.asked = append(j.asked, who.ARN+" assumes "+role+" with "+conditions["sts:ExternalId"])
	if j.deny != "" && strings.Contains(role, j.deny) {
		return cloud.Identity{}, &cloud.DeniedError{Who: who.ARN, Action: "sts:AssumeRole", Resource: role}
	}
	return cloud.Identity{Kind: cloud.Session, ARN: role + "/" + session, Account: "111111111111", Role: role}, nil
}

type world struct {
	*cloud.Cloud
	queue, keys, bucket *box
	judge               *judge
}

func newWorld(options ...func(*cloud.Options)) *world {
	o := cloud.Options{Seed: 1, Start: start}
	for _, f := range options {
		f(&o)
	}
	w := &world{
		Cloud: cloud.New(o), queue: &box{resource: cloud.Resource{Owner: here.Account, Policy: []byte(`{"queue":1}`)}},
		keys:   &box{resource: cloud.Resource{Owner: "222222222222", Policy: []byte(`{"key":1}`)}},
		bucket: &box{resource: cloud.Resource{Owner: "333333333333", Region: "eu-west-2"}}, judge: &judge{},
	}
	w.Access = w.judge
	w.Receivers.Register("sqs", w.queue)
	w.Receivers.Register("kms", w.keys)
	w.Receivers.Register("s3", w.bucket)
	return w
}

// letter is a delivery to the queue.
func letter() *cloud.Delivery {
	return &cloud.Delivery{
		Source: here.ARN("events", "rule/r"), From: "events.amazonaws.com", Account: here.Account, Action: "sqs:SendMessage",
		Target: here.ARN("sqs", "work"), Body: []byte("12345678"),
	}
}

// wantFailure checks the code of a DeliveryError, and a text in it; code "": there is none.
func wantFailure(t *testing.T, err error, code, text string, retry bool) {
	t.Helper()
	if code == "" {
		if err != nil {
			t.Errorf("got error %v", err)
		}
		return
	}
	e, ok := errors.AsType[*cloud.DeliveryError](err)
	if !ok || e.Code != code || !strings.Contains(e.Error(), text) || e.Retry != retry {
		t.Errorf("got %v, want %s with %q, another try helps: %v", err, code, text, retry)
	}
}

var key = cloud.Place{Partition: "aws", Account: "222222222222", Region: "eu-west-1"}.ARN("kms", "key/k")

func TestADeliveryArrivesWhereTheTargetIsAndLetsItIn(t *testing.T) {
	for name, tt := range map[string]struct {
		change     func(w *world, d *cloud.Delivery)
		code, text string
		asked      []string
	}{
		"the target's policy lets the service in": {func(*world, *cloud.Delivery) {}, "", "", []string{
			"events.amazonaws.com sqs:SendMessage arn:aws:sqs:eu-west-1:111111111111:work",
		}},
		"the target's policy does not": {func(w *world, _ *cloud.Delivery) { w.judge.deny = "sqs:SendMessage" }, cloud.CodeNoPermissions, "because so", []string{
			"events.amazonaws.com sqs:SendMessage arn:aws:sqs:eu-west-1:111111111111:work",
		}},
		"a role does it": {func(_ *world, d *cloud.Delivery) { d.Role, d.ExternalID = "role", "ext" }, "", "", []string{
			"events.amazonaws.com assumes role with ext", "role/lab sqs:SendMessage arn:aws:sqs:eu-west-1:111111111111:work",
		}},
		"a role that does not trust": {func(w *world, d *cloud.Delivery) { d.Role, w.judge.deny = "role", "role" }, cloud.CodeNoPermissions, "sts:AssumeRole on resource: role", []string{
			"events.amazonaws.com assumes role with ",
		}},
		"an account of AWS's own does it": {func(_ *world, d *cloud.Delivery) { d.As = "arn:aws:iam::444444444444:root" }, "", "", []string{
			"arn:aws:iam::444444444444:root sqs:SendMessage arn:aws:sqs:eu-west-1:111111111111:work",
		}},
		"an account that is none": {func(_ *world, d *cloud.Delivery) { d.As = "root" }, cloud.CodeNoPermissions, "is no ARN", nil},
		"the target has a key": {func(w *world, _ *cloud.Delivery) { w.queue.resource.Key = key }, "", "", []string{
			"events.amazonaws.com sqs:SendMessage arn:aws:sqs:eu-west-1:111111111111:work", "events.amazonaws.com kms:GenerateDataKey " + key,
			"events.amazonaws.com kms:Decrypt " + key,
		}},
		"the key lets nobody make data keys": {func(w *world, _ *cloud.Delivery) { w.queue.resource.Key, w.judge.deny = key, "GenerateDataKey" }, cloud.CodeNoPermissions, "kms:GenerateDataKey", []string{
			"events.amazonaws.com sqs:SendMessage arn:aws:sqs:eu-west-1:111111111111:work", "events.amazonaws.com kms:GenerateDataKey " + key,
		}},
		"the key lets nobody decrypt": {func(w *world, _ *cloud.Delivery) { w.queue.resource.Key, w.judge.deny = key, "Decrypt" }, cloud.CodeNoPermissions, "kms:Decrypt", []string{
			"events.amazonaws.com sqs:SendMessage arn:aws:sqs:eu-west-1:111111111111:work", "events.amazonaws.com kms:GenerateDataKey " + key,
			"events.amazonaws.com kms:Decrypt " + key,
		}},
		"the key is asked for by an alias": {func(w *world, _ *cloud.Delivery) {
			w.queue.resource.Key, w.keys.resource.ARN = "arn:aws:kms:eu-west-1:222222222222:alias/a", key
		}, "", "", []string{
			"events.amazonaws.com sqs:SendMessage arn:aws:sqs:eu-west-1:111111111111:work", "events.amazonaws.com kms:GenerateDataKey " + key,
			"events.amazonaws.com kms:Decrypt " + key,
		}},
		"the key is gone": {func(w *world, _ *cloud.Delivery) { w.queue.resource.Key, w.keys.missing = key, true }, cloud.CodeNoPermissions, "does not exist", []string{
			"events.amazonaws.com sqs:SendMessage arn:aws:sqs:eu-west-1:111111111111:work",
		}},
		"the key is no ARN": {func(w *world, _ *cloud.Delivery) { w.queue.resource.Key = "k" }, cloud.CodeNoPermissions, "is no ARN", []string{
			"events.amazonaws.com sqs:SendMessage arn:aws:sqs:eu-west-1:111111111111:work",
		}},
		"the target is gone":             {func(w *world, _ *cloud.Delivery) { w.queue.missing = true }, cloud.CodeNoResource, "does not exist", nil},
		"the target is no ARN":           {func(_ *world, d *cloud.Delivery) { d.Target = "work" }, cloud.CodeNoResource, "is no ARN", nil},
		"the target is of no service":    {func(_ *world, d *cloud.Delivery) { d.Target = here.ARN("mq", "work") }, cloud.CodeNoResource, `no service "mq"`, nil},
		"a service's own event is taken": {func(w *world, d *cloud.Delivery) { d.Trusted, w.queue.missing, w.judge.deny = true, true, "sqs" }, "", "", nil},
		"it breaks there":                {func(w *world, _ *cloud.Delivery) { w.queue.fail = errors.New("broken") }, cloud.CodeInternal, "broken", []string{"events.amazonaws.com sqs:SendMessage arn:aws:sqs:eu-west-1:111111111111:work"}},
		"it goes meanwhile":              {func(w *world, _ *cloud.Delivery) { w.queue.fail = fmt.Errorf("x: %w", cloud.ErrNoResource) }, cloud.CodeNoResource, "x", []string{"events.amazonaws.com sqs:SendMessage arn:aws:sqs:eu-west-1:111111111111:work"}},
	} {
		t.Run(name, func(t *testing.T) {
			w, d := newWorld(), letter()
			tt.change(w, d)
			answer, err := w.Deliver(t.Context(), d)
			wantFailure(t, err, tt.code, tt.text, false)
			if arrived := len(w.queue.got) == 1 && string(answer) == "taken"; arrived != (tt.code == "") {
				t.Errorf("%d arrived, answered %q", len(w.queue.got), answer)
			}
			if diff := cmp.Diff(tt.asked, w.judge.asked); diff != "" {
				t.Errorf("what permissions it took (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWhatTheServicesSayOfAFailureStays(t *testing.T) {
	w := newWorld()
	w.queue.fail = &cloud.DeliveryError{Code: "QUEUE_FULL", Err: errors.New("full"), Retry: true}
	_, err := w.Deliver(t.Context(), letter())
	wantFailure(t, err, "QUEUE_FULL", "full", true)
	if !errors.Is(err, w.queue.fail) {
		t.Errorf("got %v, want the very error", err)
	}
}

func TestConditionKeysFollowFromTheDelivery(t *testing.T) {
	w, d := newWorld(), letter()
	w.queue.resource.Context = map[string]string{"sqs:x": "y"}
	w.queue.resource.Key, w.queue.resource.KeyContext = key, map[string]string{"kms:EncryptionContextKeys": "aws:sqs:arn"}
	if _, err := w.Deliver(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{ // sqs:x is of the queue's action alone
		"aws:SourceArn": d.Source, "aws:SourceAccount": here.Account, "kms:ViaService": "sqs.eu-west-1.amazonaws.com",
		"kms:EncryptionContextKeys": "aws:sqs:arn",
	}
	if diff := cmp.Diff(want, w.judge.last.Context); diff != "" {
		t.Errorf("of the key (-want +got):\n%s", diff)
	}
	if w.judge.last.Owner != "222222222222" || string(w.judge.last.Policy) != `{"key":1}` {
		t.Errorf("the key is asked as %+v", w.judge.last)
	}
}

func TestAKeyIsAskedForByWhoWantsIt(t *testing.T) {
	w := newWorld()
	who := cloud.Identity{Kind: cloud.User, ARN: "me", Account: here.Account}
	if err := w.PermitKeyWith(who, key, "kms:Decrypt", map[string]string{"kms:ViaService": "s3"}); err != nil || w.judge.last.Context["kms:ViaService"] != "s3" {
		t.Errorf("got %v, asked %+v", err, w.judge.last)
	}
	w.judge.deny = "kms:"
	if _, denied := errors.AsType[*cloud.DeniedError](w.PermitKey(who, key, "kms:Decrypt")); !denied {
		t.Error("who may not is let in")
	}
	w.keys.missing = true
	if err := w.PermitKey(who, key, "kms:Decrypt"); !errors.Is(err, cloud.ErrNoResource) {
		t.Errorf("got %v for a key that is not there", err)
	}
	if err := cloud.New(cloud.Options{}).PermitKey(who, key, "kms:Decrypt"); err != nil {
		t.Errorf("a cloud without keys says %v", err)
	}
}

func TestACloudWithoutAnAuthorizerAllowsAll(t *testing.T) {
	w, d := newWorld(), letter()
	w.Access = nil
	d.Role, w.queue.resource.Key = "role", key
	if _, err := w.Deliver(t.Context(), d); err != nil || len(w.queue.got) != 1 {
		t.Errorf("got %v, %d arrived", err, len(w.queue.got))
	}
}

func TestEachFaultHasItsEffectOnAHop(t *testing.T) {
	for name, tt := range map[string]struct {
		fault      cloud.Fault
		code, text string
		retry      bool
		bodies     []string
	}{
		"drop":      {cloud.Fault{Kind: cloud.FaultDrop}, "", "", false, nil},
		"duplicate": {cloud.Fault{Kind: cloud.FaultDuplicate}, "", "", false, []string{"12345678", "12345678"}},
		"delay":     {cloud.Fault{Kind: cloud.FaultDelay, Delay: time.Minute}, cloud.CodeTimeout, "no answer in time", true, nil},
		"throttle":  {cloud.Fault{Kind: cloud.FaultThrottle}, cloud.CodeThrottling, "rate exceeded", true, nil},
		"deny":      {cloud.Fault{Kind: cloud.FaultDeny}, cloud.CodeNoPermissions, "a fault of the lab", false, nil},
		"corrupt":   {cloud.Fault{Kind: cloud.FaultCorrupt}, "", "", false, []string{"1234"}},
		"down":      {cloud.Fault{Kind: cloud.FaultDown}, cloud.CodeInternal, "does not answer", true, nil},
	} {
		t.Run(name, func(t *testing.T) {
			w, d := newWorld(), letter()
			if _, err := w.Faults.Add(tt.fault); err != nil {
				t.Fatal(err)
			}
			_, err := w.Deliver(t.Context(), d)
			wantFailure(t, err, tt.code, tt.text, tt.retry)
			var got []string
			for _, one := range w.queue.got {
				got = append(got, string(one.Body))
			}
			if diff := cmp.Diff(tt.bodies, got); diff != "" {
				t.Errorf("what arrived (-want +got):\n%s", diff)
			}
			if string(d.Body) != "12345678" {
				t.Errorf("what was handed over is changed to %q", d.Body)
			}
		})
	}
}

func TestADeliveryForLaterIsATask(t *testing.T) {
	w, d := newWorld(), letter()
	var told []string
	done := func(_ context.Context, answer []byte, err error) {
		told = append(told, fmt.Sprintf("%s %v", answer, err))
	}
	w.DeliverLater(d, done)
	w.DeliverLater(d, nil)
	bad := letter()
	bad.Target = "work"
	w.DeliverLater(bad, done)
	if len(w.queue.got) != 0 {
		t.Error("it arrived before the clock's next task")
	}
	if err := w.Clock.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(w.queue.got) != 2 || len(told) != 2 || told[0] != "taken <nil>" || !strings.Contains(told[1], cloud.CodeNoResource) {
		t.Errorf("%d arrived, told %q", len(w.queue.got), told)
	}
}

func TestADelayMakesALaterDeliveryLate(t *testing.T) {
	w := newWorld()
	if _, err := w.Faults.Add(cloud.Fault{Kind: cloud.FaultDelay, Delay: time.Minute, Times: 1}); err != nil {
		t.Fatal(err)
	}
	w.DeliverLater(letter(), nil)
	w.DeliverLater(letter(), nil)
	for _, step := range []struct {
		advance time.Duration
		arrived int
	}{{0, 1}, {59 * time.Second, 1}, {time.Second, 2}} {
		if err := w.Clock.Advance(t.Context(), step.advance); err != nil {
			t.Fatal(err)
		}
		if got := len(w.queue.got); got != step.arrived {
			t.Errorf("%d arrived, want %d", got, step.arrived)
		}
	}
}

// A bucket's ARN says neither region nor account, and both count for faults.
func TestABucketIsInItsRegionForFaults(t *testing.T) {
	for name, tt := range map[string]struct {
		fault cloud.Fault
		want  bool
	}{
		"its region is down":   {cloud.Fault{Kind: cloud.FaultDown, Region: "eu-west-2"}, true},
		"another one is":       {cloud.Fault{Kind: cloud.FaultDown, Region: "eu-west-1"}, false},
		"its owner is denied":  {cloud.Fault{Kind: cloud.FaultDown, Account: "333333333333"}, true},
		"another account is":   {cloud.Fault{Kind: cloud.FaultDown, Account: "111111111111"}, false},
		"the bucket is named":  {cloud.Fault{Kind: cloud.FaultDown, Target: ":::lake/"}, true},
		"its service is named": {cloud.Fault{Kind: cloud.FaultDown, Service: "s3"}, true},
	} {
		w := newWorld()
		if _, err := w.Faults.Add(tt.fault); err != nil {
			t.Fatal(err)
		}
		d := letter()
		d.Action, d.Target = "s3:PutObject", "arn:aws:s3:::lake/key"
		_, err := w.Deliver(t.Context(), d)
		if (err != nil) != tt.want {
			t.Errorf("%s: got %v", name, err)
		}
		w.bucket.missing = true
		if _, err = w.Deliver(t.Context(), d); err == nil {
			t.Errorf("%s: a bucket that is not there takes it", name)
		}
	}
}

func TestResourcesAreFoundByTheServiceInTheirARN(t *testing.T) {
	w := newWorld()
	if r, err := w.Receivers.Resource(here.ARN("sqs", "work")); err != nil || r.Owner != here.Account {
		t.Errorf("got %+v, %v", r, err)
	}
	for _, arn := range []string{"work", here.ARN("mq", "work")} {
		if _, err := w.Receivers.Resource(arn); !errors.Is(err, cloud.ErrNoResource) {
			t.Errorf("%s: got %v", arn, err)
		}
	}
}

// A chooser is a box that looks at the delivery too.
type chooser struct{ box }

func (c *chooser) ResourceFor(d *cloud.Delivery) (cloud.Resource, error) {
	return cloud.Resource{Owner: d.Attributes["owner"]}, nil
}

func TestAReceiverMayLookAtTheDelivery(t *testing.T) {
	w, d := newWorld(), letter()
	w.Receivers.Register("sqs", &chooser{})
	d.Attributes = map[string]string{"owner": "555555555555"}
	if _, err := w.Deliver(t.Context(), d); err != nil || w.judge.last.Owner != "555555555555" {
		t.Errorf("got %v, asked %+v", err, w.judge.last)
	}
}

func TestAnOwnerIsTheCallerWhereNoneIsSaid(t *testing.T) {
	w := newWorld()
	if err := w.Authorize(cloud.Access{Who: cloud.Identity{Account: "1"}}); err != nil || w.judge.last.Owner != "1" {
		t.Errorf("got %v, asked %+v", err, w.judge.last)
	}
}
