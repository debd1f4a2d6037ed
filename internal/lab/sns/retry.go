package sns

import (
	"errors"
	"math"
	"time"

	"github.com/go-json-experiment/json"
)

// A schedule says when a delivery is tried again.
// https://docs.aws.amazon.com/sns/latest/dg/sns-message-delivery-retries.html
type schedule struct {
	noDelay, minDelay, backOff, maxDelay int // how many tries there are in each phase
	least, most                          time.Duration
	linear                               bool // how the delay grows while it backs off; else exponentially
}

var (
	// httpSchedule is that of the endpoints that customers run: 50 tries.
	httpSchedule = schedule{3, 2, 10, 35, 10 * time.Second, 10 * time.Minute, false}
	// managedSchedule is that of AWS's own: 100,015 tries over 23 days.
	managedSchedule = schedule{3, 2, 10, 100_000, time.Second, 20 * time.Second, false}
)

// effectiveDelivery is httpSchedule as an attribute shows it.
const effectiveDelivery = `{"http":{"defaultHealthyRetryPolicy":{"minDelayTarget":10,"maxDelayTarget":600,"numRetries":50,` +
	`"numNoDelayRetries":3,"numMinDelayRetries":2,"numMaxDelayRetries":35,"backoffFunction":"exponential"},"disableSubscriptionOverrides":false}}`

func scheduleOf(protocol string) schedule {
	if protocol == protocolHTTP || protocol == protocolHTTPS {
		return httpSchedule
	}
	return managedSchedule
}

// delay tells how long to wait before try n again, from 0; ok is false where there is none.
func (s schedule) delay(n int) (d time.Duration, ok bool) {
	if n < s.noDelay {
		return 0, true
	}
	if n -= s.noDelay; n < s.minDelay {
		return s.least, true
	}
	if n -= s.minDelay; n < s.backOff {
		part := float64(n+1) / float64(s.backOff+1)
		if s.linear {
			return s.least + time.Duration(float64(s.most-s.least)*part), true
		}
		return time.Duration(float64(s.least) * math.Pow(float64(s.most)/float64(s.least), part)), true
	}
	n -= s.backOff
	return s.most, n < s.maxDelay
}

// A retryPolicy is the part of a delivery policy that is about tries. Times are in seconds.
type retryPolicy struct {
	Least    int    `json:"minDelayTarget"`
	Most     int    `json:"maxDelayTarget"`
	All      int    `json:"numRetries"`
	NoDelay  int    `json:"numNoDelayRetries"`
	MinDelay int    `json:"numMinDelayRetries"`
	MaxDelay int    `json:"numMaxDelayRetries"`
	Function string `json:"backoffFunction"`
}

// Limits of a delivery policy.
const (
	maxTries    = 100
	maxInterval = 3600 // seconds
)

var errDeliveryPolicy = errors.New("expected a policy with delays of 1 to 3600 seconds and at most 100 tries")

// readDeliveryPolicy reads the delivery policy of a topic or a subscription; an empty one is the default.
func readDeliveryPolicy(text string, ofTopic bool) (schedule, error) {
	if text == "" {
		return httpSchedule, nil
	}
	start := retryPolicy{Least: 20, Most: 20, All: 3, Function: "linear"}
	var document struct {
		Healthy *retryPolicy `json:"healthyRetryPolicy"`
		HTTP    struct {
			Healthy *retryPolicy `json:"defaultHealthyRetryPolicy"`
		} `json:"http"`
	}
	document.Healthy = &start
	if ofTopic {
		document.Healthy, document.HTTP.Healthy = nil, &start
	}
	if err := json.Unmarshal([]byte(text), &document); err != nil {
		return schedule{}, errDeliveryPolicy
	}
	p := start
	backOff := p.All - p.NoDelay - p.MinDelay - p.MaxDelay
	known := p.Function == "linear" || p.Function == "arithmetic" || p.Function == "geometric" || p.Function == "exponential"
	if p.Least < 1 || p.Most < p.Least || p.Most > maxInterval || p.All > maxTries || p.NoDelay < 0 || p.MinDelay < 0 || p.MaxDelay < 0 || backOff < 0 || !known {
		return schedule{}, errDeliveryPolicy
	}
	return schedule{
		p.NoDelay, p.MinDelay, backOff, p.MaxDelay, time.Duration(p.Least) * time.Second, time.Duration(p.Most) * time.Second,
		p.Function == "linear" || p.Function == "arithmetic",
	}, nil
}
