package config

import "testing"

func TestParseQueueURL(t *testing.T) {
	for name, tt := range map[string]struct {
		url, region string // region is that of the URL
		bad         bool
	}{
		"of today":                {"https://sqs.eu-west-1.amazonaws.com/111111111111/q", "eu-west-1", false},
		"a FIFO queue":            {"https://sqs.ap-northeast-1.amazonaws.com/111111111111/q-1_x.fifo", "ap-northeast-1", false},
		"GovCloud":                {"https://sqs.us-gov-west-1.amazonaws.com/111111111111/q", "us-gov-west-1", false},
		"China":                   {"https://sqs.cn-north-1.amazonaws.com.cn/111111111111/q", "cn-north-1", false},
		"FIPS":                    {"https://sqs-fips.us-east-1.amazonaws.com/111111111111/q", "us-east-1", false},
		"dual stack":              {"https://sqs.us-east-1.api.aws/111111111111/q", "us-east-1", false},
		"a VPC endpoint":          {"https://vpce-0a1b-2c3d.sqs.eu-west-1.vpce.amazonaws.com/111111111111/q", "eu-west-1", false},
		"an old name":             {"https://eu-west-1.queue.amazonaws.com/111111111111/q", "eu-west-1", false},
		"the oldest name":         {"https://queue.amazonaws.com/111111111111/q", "", false},
		"capitals":                {"https://SQS.EU-WEST-1.AMAZONAWS.COM/111111111111/q", "eu-west-1", false},
		"another implementation":  {"http://127.0.0.1:4599/111111111111/q", "", false},
		"a name that looks alike": {"https://notsqs.eu-west-1.example.org/111111111111/q", "", false},

		"an ARN":                {"arn:aws:sqs:eu-west-1:111111111111:q", "", true},
		"no account":            {"https://sqs.eu-west-1.amazonaws.com/q", "", true},
		"a short account":       {"https://sqs.eu-west-1.amazonaws.com/11111111111/q", "", true},
		"no name":               {"https://sqs.eu-west-1.amazonaws.com/111111111111/", "", true},
		"a name with a dot":     {"https://sqs.eu-west-1.amazonaws.com/111111111111/q.x", "", true},
		"something behind":      {"https://sqs.eu-west-1.amazonaws.com/111111111111/q?x=1", "", true},
		"a user":                {"https://user:secret@sqs.eu-west-1.amazonaws.com/111111111111/q", "", true},
		"another scheme":        {"sqs://sqs.eu-west-1.amazonaws.com/111111111111/q", "", true},
		"nothing":               {"", "", true},
		"a newline at the end":  {"https://sqs.eu-west-1.amazonaws.com/111111111111/q\n", "", true},
		"no scheme":             {"sqs.eu-west-1.amazonaws.com/111111111111/q", "", true},
		"a space in its middle": {"https://sqs.eu-west-1.amazonaws.com/111111111111/q q", "", true},
	} {
		got, err := ParseQueueURL(tt.url)
		if (err != nil) != tt.bad || err == nil && *got != (SQSSource{QueueURL: tt.url, Ack: AckJournal}) {
			t.Errorf("%s: got %+v, error %v", name, got, err)
		}
		if region := QueueRegion(tt.url); !tt.bad && region != tt.region {
			t.Errorf("%s: region %q, want %q", name, region, tt.region)
		}
	}
	if region := QueueRegion("http://%"); region != "" {
		t.Errorf("a URL that is none is in region %q", region)
	}
}
