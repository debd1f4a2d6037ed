package push

import (
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
)

// A topic is an SNS topic that is let in.
type topic struct {
	arn    string
	host   string   // of SNS in the topic's region
	origin string   // where certificates and confirmations come from, and from nowhere else: https:// and host
	signer []string // names that SNS's certificate may be issued to there
}

// A partition of AWS, with the domain of its endpoints and the form of its regions. The form matters: a host like
// sns.s3-us-west-2.amazonaws.com is a bucket that anyone may own.
type partition struct {
	name   string
	suffix string
	region *regexp.Regexp
}

// partitions are those of the AWS SDKs' endpoint tables.
var partitions = []partition{
	{"aws", "amazonaws.com", regexp.MustCompile(`^[a-z]{2}-[a-z]+-[0-9]{1,2}$`)},
	{"aws-cn", "amazonaws.com.cn", regexp.MustCompile(`^cn-[a-z]+-[0-9]{1,2}$`)},
	{"aws-us-gov", "amazonaws.com", regexp.MustCompile(`^us-gov-[a-z]+-[0-9]{1,2}$`)},
	{"aws-iso", "c2s.ic.gov", regexp.MustCompile(`^us-iso-[a-z]+-[0-9]{1,2}$`)},
	{"aws-iso-b", "sc2s.sgov.gov", regexp.MustCompile(`^us-isob-[a-z]+-[0-9]{1,2}$`)},
	{"aws-iso-e", "cloud.adc-e.uk", regexp.MustCompile(`^eu-isoe-[a-z]+-[0-9]{1,2}$`)},
	{"aws-iso-f", "csp.hci.ic.gov", regexp.MustCompile(`^us-isof-[a-z]+-[0-9]{1,2}$`)},
	{"aws-eusc", "amazonaws.eu", regexp.MustCompile(`^eusc-[a-z]{2}-[a-z]+-[0-9]{1,2}$`)},
}

var (
	accountForm = regexp.MustCompile(`^[0-9]{12}$`)
	topicForm   = regexp.MustCompile(`^[A-Za-z0-9_-]{1,256}(\.fifo)?$`)
)

// parseTopics reads ARNs. Their SNS is at endpoint, where that is not empty.
func parseTopics(arns []string, endpoint string) (map[string]topic, error) {
	if endpoint != "" {
		if err := checkEndpoint(endpoint); err != nil {
			return nil, err
		}
	}
	topics := make(map[string]topic, len(arns))
	for _, arn := range arns {
		t, err := parseTopic(arn)
		if err != nil {
			return nil, err
		}
		if endpoint != "" {
			t.origin = endpoint
		}
		topics[arn] = t
	}
	return topics, nil
}

// checkEndpoint refuses what is not an address of this machine, written as one: a name could come to mean another.
func checkEndpoint(endpoint string) error {
	u, err := url.Parse(endpoint)
	if err == nil && endpoint == "http://"+u.Host && u.Port() != "" {
		if ip, err := netip.ParseAddr(u.Hostname()); err == nil && ip.IsLoopback() && ip.Zone() == "" {
			return nil
		}
	}
	return fmt.Errorf("SNS endpoint %q: expected a loopback address such as http://127.0.0.1:4599", endpoint)
}

func parseTopic(arn string) (topic, error) {
	parts := strings.Split(arn, ":")
	if len(parts) != 6 || parts[0] != "arn" || parts[2] != "sns" || !accountForm.MatchString(parts[4]) || !topicForm.MatchString(parts[5]) {
		return topic{}, fmt.Errorf("topic %q: expected arn:PARTITION:sns:REGION:ACCOUNT:NAME", arn)
	}
	name, region := parts[1], parts[3]
	for _, p := range partitions {
		if p.name != name {
			continue
		}
		if !p.region.MatchString(region) {
			return topic{}, fmt.Errorf("topic %q: partition %s has no region %q", arn, name, region)
		}
		host := "sns." + region + "." + p.suffix
		return topic{arn: arn, host: host, origin: "https://" + host, signer: []string{
			host,
			"sns." + p.suffix,
			"sns-signing." + region + "." + p.suffix,
			"sns-" + region + "." + p.suffix,
			"sns-us-gov-west-1." + p.suffix, // signs for both GovCloud regions
		}}, nil
	}
	return topic{}, fmt.Errorf("topic %q: unknown partition %q", arn, name)
}

// certificatePath is where SNS keeps its certificates.
var certificatePath = regexp.MustCompile(`^/SimpleNotificationService-[0-9A-Za-z]{1,64}\.pem$`)

// ownsCertificate tells whether address is that of a signing certificate at this topic's endpoint.
func (t topic) ownsCertificate(address string) bool {
	path, ok := strings.CutPrefix(address, t.origin)
	return ok && certificatePath.MatchString(path)
}
