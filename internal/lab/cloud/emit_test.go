package cloud_test

import (
	"context"
	"testing"
	"time"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/labtest"
)

// A bus counts the events that reach it.
type bus struct{ events int }

func (b *bus) Resource(string) (cloud.Resource, error) { return cloud.Resource{}, nil }

func (b *bus) Receive(context.Context, *cloud.Delivery) ([]byte, error) {
	b.events++
	return nil, nil
}

func TestAnEventThatABusDoesNotTakeIsTriedAgainForADay(t *testing.T) {
	for name, test := range map[string]struct {
		fault cloud.Fault
		want  int
	}{
		"the bus is throttled twice":      {cloud.Fault{Kind: cloud.FaultThrottle, Times: 2}, 1},
		"the bus is away for 20 hours":    {cloud.Fault{Kind: cloud.FaultDown, Until: labtest.Start.Add(20 * time.Hour)}, 1},
		"the bus is away for two days":    {cloud.Fault{Kind: cloud.FaultDown, Until: labtest.Start.Add(48 * time.Hour)}, 0},
		"the event is lost, nobody knows": {cloud.Fault{Kind: cloud.FaultDrop}, 0},
		"the bus does not let the hub in": {cloud.Fault{Kind: cloud.FaultDeny, Times: 1}, 0},
		"the event comes twice":           {cloud.Fault{Kind: cloud.FaultDuplicate}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			c := labtest.NewCloud(t)
			b := &bus{}
			c.Receivers.Register("events", b)
			if _, err := c.Faults.Add(test.fault); err != nil {
				t.Fatal(err)
			}
			at := c.Accounts.Place(labtest.Administrator, labtest.Region)
			if _, err := c.Emit(at, cloud.Event{Source: "aws.securityhub", DetailType: "x", Detail: struct{}{}}); err != nil {
				t.Fatal(err)
			}
			labtest.Advance(t, c, 72*time.Hour)
			if b.events != test.want {
				t.Errorf("%d events arrived, want %d", b.events, test.want)
			}
		})
	}
}
