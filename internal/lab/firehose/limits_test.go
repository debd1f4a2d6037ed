package firehose

import (
	"errors"
	"strings"
	"testing"
	"time"

	"example.org/catchment/internal/lab/cloud"
)

func TestQuotasFollowTheRegion(t *testing.T) {
	s := New(cloud.New(cloud.Options{}))
	for region, want := range map[string]struct {
		streams  int
		records  float64
		requests float64
		bytes    float64
	}{
		"us-east-1": {5000, 500_000, 2000, 5 << 20}, "us-west-2": {5000, 500_000, 2000, 5 << 20}, "eu-west-1": {5000, 500_000, 2000, 5 << 20},
		"us-east-2": {5000, 100_000, 1000, 1 << 20}, "ap-northeast-1": {5000, 100_000, 1000, 1 << 20},
		"eu-central-1": {2000, 100_000, 1000, 1 << 20}, "af-south-1": {500, 100_000, 1000, 1 << 20},
	} {
		l := limits(region)
		if s.streamQuota(region) != want.streams || l.records != want.records || l.requests != want.requests || l.bytes != want.bytes {
			t.Errorf("%s: got %d streams, %+v", region, s.streamQuota(region), l)
		}
	}
}

func TestBackOffDoublesUpToTwoMinutes(t *testing.T) {
	s := New(cloud.New(cloud.Options{Seed: 1}))
	for attempts, want := range map[int]time.Duration{
		1: time.Second, 2: 2 * time.Second, 7: 64 * time.Second, 8: 120 * time.Second, 300: 120 * time.Second,
	} {
		for range 50 {
			if got := s.backOff(attempts); got < want*85/100 || got > want*115/100+1 {
				t.Errorf("after %d attempts %v, want %v ± 15 %%", attempts, got, want)
			}
		}
	}
}

func TestABatchIsFullBeforeItsRequestIsTooLong(t *testing.T) {
	for name, test := range map[string]struct {
		batch batch
		most  int
	}{
		"a function takes 6 MB":    {batch{target: target{stage: toFunction}, plan: &plan{transform: &transform{}}}, 6 << 20},
		"an endpoint takes 64 MiB": {batch{target: target{stage: toData}, plan: &plan{endpoint: &endpoint{}}}, 64 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			b := &test.batch
			if b.full(test.most + 1) {
				t.Error("a record has no room in a batch that is empty")
			}
			b.records = []record{{}}
			b.coded = test.most - envelope - 100
			if b.full(100) || !b.full(101) {
				t.Errorf("with room for 100 bytes: 100 fit %v, 101 fit %v", !b.full(100), !b.full(101))
			}
		})
	}
}

func TestARequestIsNotLongerThanItIsCounted(t *testing.T) {
	c := cloud.New(cloud.Options{Start: time.Unix(0, 0)})
	if err := c.Accounts.Add(cloud.Account{ID: "111111111111"}); err != nil {
		t.Fatal(err)
	}
	s := New(c)
	at := c.Accounts.Place("111111111111", "us-east-1")
	p := &plan{endpoint: &endpoint{size: 1 << 20, interval: time.Hour}, transform: &transform{size: 1 << 20, interval: time.Hour}}
	st := &stream{at: at, arn: streamARN(at, strings.Repeat("x", 64)), plan: p, open: make(map[target]*batch), batches: make(map[*batch]struct{})}
	for i := range 300 {
		for _, to := range []stage{toData, toFunction} {
			s.add(st, p, target{stage: to}, record{sequence: uint64(i), arrival: time.UnixMilli(1e13), data: make([]byte, i)})
		}
	}
	posted := st.open[target{stage: toData}]
	if n := len(posted.requestBody(c.UUID("x"), 1e13)); n > envelope+posted.coded {
		t.Errorf("an endpoint gets %d bytes, counted are %d", n, envelope+posted.coded)
	}
	invoked := st.open[target{stage: toFunction}]
	body, err := s.request(invoked)
	if err != nil || len(body) > envelope+invoked.coded {
		t.Errorf("a function gets %d bytes, counted are %d; %v", len(body), envelope+invoked.coded, err)
	}
}

func TestFailuresOfS3HaveAWSsCodes(t *testing.T) {
	deliver := func(code string, err error) error { return &cloud.DeliveryError{Code: code, Err: err} }
	for want, err := range map[string]error{
		"S3.AccessDenied":              deliver(cloud.CodeNoPermissions, &cloud.DeniedError{Action: "s3:PutObject"}),
		"S3.KMS.AccessDeniedException": deliver(cloud.CodeNoPermissions, &cloud.DeniedError{Action: "kms:GenerateDataKey"}),
		"S3.KMS.NotFoundException":     deliver(cloud.CodeNoPermissions, cloud.ErrNoResource),
		"S3.NoSuchBucket":              deliver(cloud.CodeNoResource, cloud.ErrNoResource),
		"S3.SlowDown":                  deliver(cloud.CodeThrottling, errors.New("rate")),
		"InternalError":                deliver(cloud.CodeInternal, errors.New("down")),
	} {
		if got := storeFailure(err); got.code != want {
			t.Errorf("got %s, want %s", got.code, want)
		}
	}
}
