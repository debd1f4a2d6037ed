package config

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
)

// ParseQueueURL reads the URL of a queue, as a spec has it.
func ParseQueueURL(s string) (*SQSSource, error) {
	if !queueURL.matches(s) {
		return nil, fmt.Errorf("%q: expected %s", s, queueURL.want)
	}
	return &SQSSource{QueueURL: s, Ack: AckJournal}, nil
}

// queueHost is what SQS calls itself: its endpoints of today, FIPS, dual stack, VPC endpoints, and the names of 2008.
// https://docs.aws.amazon.com/general/latest/gr/sqs-service.html
var queueHost = regexp.MustCompile(`^(?:(?:[a-z0-9-]+\.)?sqs(?:-fips)?\.([a-z0-9-]+)(?:\.vpce)?\.(?:amazonaws\.|api\.)|([a-z0-9-]+)\.queue\.amazonaws\.)`)

// QueueRegion is the region that the URL of a queue names; empty where it names none.
func QueueRegion(queue string) string {
	u, err := url.Parse(queue)
	if err != nil {
		return ""
	}
	m := queueHost.FindStringSubmatch(strings.ToLower(u.Hostname()))
	if m == nil {
		return ""
	}
	return m[1] + m[2]
}
