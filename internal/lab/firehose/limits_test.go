package firehose

import (
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
