package lab_test

import (
	"bytes"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	eventtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	firehosetypes "github.com/aws/aws-sdk-go-v2/service/firehose/types"
	"github.com/aws/aws-sdk-go-v2/service/securityhub"
	"github.com/google/go-cmp/cmp"

	"example.org/catchment/internal/lab"
	"example.org/catchment/internal/lab/population"
)

// A day is what is left of half a day in a lab.
type day struct {
	objects map[string]string
	state   string
	calls   []callRecord
	request string // id of the last one; ids count the requests
}

// measured is what real time or the address puts into the state.
var measured = regexp.MustCompile(`"initMillis": [0-9.e+]+|http://127\.0\.0\.1:\d+`)

// liveADay builds way A with a function and faults on the way, and lets things happen.
func liveADay(t *testing.T, seed uint64) day {
	t.Helper()
	w := newWorld(t, func(o *lab.Options) {
		o.Seed, o.Life = seed, true
		o.Population.Hosts, o.Population.Noise = population.Spread{Min: 2, Max: 4}, population.Spread{Min: 2, Max: 3}
		o.Population.Rates.Scan = 3 * time.Hour
	})
	w.secure()
	_, err := w.hub(w.admin, region).CreateFindingAggregator(t.Context(), &securityhub.CreateFindingAggregatorInput{RegionLinkingMode: aws.String("ALL_REGIONS")})
	must(t, err)
	bucket, worker := w.bucket(w.admin, region, "lake"), w.worker()
	role := w.role(w.admin, "storing", trusts(service("firehose")), may("s3:PutObject", bucket+"/*"), may("lambda:InvokeFunction", worker))
	stream := w.stream(w.admin, region, "findings", role, bucket, func(s *firehosetypes.ExtendedS3DestinationConfiguration) {
		s.CompressionFormat = firehosetypes.CompressionFormatGzip
		s.ProcessingConfiguration = &firehosetypes.ProcessingConfiguration{Enabled: aws.Bool(true), Processors: []firehosetypes.Processor{{
			Type:       firehosetypes.ProcessorTypeLambda,
			Parameters: []firehosetypes.ProcessorParameter{{ParameterName: firehosetypes.ProcessorParameterNameLambdaArn, ParameterValue: &worker}},
		}}}
	})
	sending := w.role(w.admin, "sending", trusts(service("events")), may("firehose:PutRecord", stream))
	w.rule(w.admin, region, "", "findings", imported, eventtypes.Target{Id: aws.String("1"), Arn: &stream, RoleArn: &sending})
	for _, f := range []string{
		`{"kind":"duplicate","from":"events.amazonaws.com","share":0.1}`, `{"kind":"throttle","service":"firehose","action":"PutRecord","share":0.2}`,
		`{"kind":"delay","service":"events","share":0.1,"delay":"7m"}`, `{"kind":"down","service":"s3","from":"firehose.amazonaws.com","share":0.3}`,
	} {
		w.fault(f)
	}
	for range 4 {
		w.advance(3 * time.Hour)
	}
	w.ask(http.MethodPost, "flush", "{}", http.StatusOK, nil)

	out := day{objects: w.objects(w.admin, region, "lake", ""), calls: w.logged("")}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.url+"/_lab/state", http.NoBody)
	must(t, err)
	_, state := w.send(r)
	out.state = measured.ReplaceAllString(string(state), "(measured)")
	_, header, _ := w.signed(w.admin, region, call{service: "sqs", path: "/", body: "{}", header: target("AmazonSQS.ListQueues")})
	out.request = header.Get("X-Amzn-Requestid")
	return out
}

func TestTheSameSeedDoesTheSameToTheByte(t *testing.T) {
	one, again, other := liveADay(t, 7), liveADay(t, 7), liveADay(t, 8)
	if n := len(one.objects); n < 20 {
		t.Fatalf("%d objects: this test would prove nothing", n)
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(one.objects)), slices.Sorted(maps.Keys(again.objects))); diff != "" {
		t.Errorf("keys of objects (-one +again):\n%s", diff)
	}
	for key, body := range one.objects {
		if !bytes.Equal([]byte(body), []byte(again.objects[key])) {
			t.Errorf("object %s is another one", key)
		}
	}
	if diff := cmp.Diff(strings.Split(one.state, "\n"), strings.Split(again.state, "\n")); diff != "" {
		t.Errorf("state (-one +again):\n%s", diff)
	}
	if diff := cmp.Diff(one.calls, again.calls); diff != "" {
		t.Errorf("calls (-one +again):\n%s", diff)
	}
	if one.request != again.request || one.request == "" {
		t.Errorf("the id of the last request is %s and %s", one.request, again.request)
	}
	if cmp.Equal(one.objects, other.objects) || one.state == other.state || one.request == other.request || cmp.Equal(one.calls, other.calls) {
		t.Errorf("another seed does the same")
	}
	if fmt.Sprint(len(other.objects)) == "0" {
		t.Error("another seed does nothing")
	}
}
