package config

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
)

// ParseQueueURL reads the URL of a queue, as a spec has it.
func ParseQueueURL(s string) (*SQSSource, error) {
	out := &SQSSource{Ack: AckJournal}
	if !queueURL.matches(s) {
		return nil, fmt.Errorf("%q: expected %s", s, queueURL.want)
	}
	out.QueueURL = s
	return out, nil
}

var queueHost = regexp.MustCompile(`^(?:sqs\.([a-z0-9-]+)|([a-z0-9-]+)\.queue)\.amazonaws\.`)

// QueueRegion is the region that the URL of a queue names; empty where it names none.
func QueueRegion(queue string) string {
	u, err := url.Parse(queue)
	if err != nil {
		return ""
	}
	m := queueHost.FindStringSubmatch(strings.ToLower(u.Host))
	if m == nil {
		return ""
	}
	return m[1] + m[2]
}
