// Package firehose is the lab's Amazon Data Firehose.
//
// It has delivery streams that take records by Direct PUT, process them (de-aggregation, a Lambda function, partition
// keys, a delimiter), buffer them and deliver them to S3 or to an HTTP endpoint, with what failed and, where it is asked
// for, with a backup of what came in.
//
// What happens later is a task of the cloud's clock: that a stream becomes ACTIVE, that a buffer is full or has waited
// long enough, each try of a delivery. A batch keeps its object's key over its tries, so that a try which arrived though
// it was thought lost leaves one object.
//
// Where it differs from AWS:
//
//   - Values of partition keys that prefix.CheckValue refuses (slashes, control characters, "..") go to the error prefix.
//     AWS would take a slash, and a finding could so choose its folder. So do records that give a wanted field twice.
//   - A record sent before the stream is ACTIVE is refused with ServiceUnavailableException: another try helps.
//   - What cannot be taken apart stays whole: from where a record stops being JSON objects, its rest is one record. So
//     does a record with more than 500 in it.
//   - Whatever a function does wrong in its answer fails all records of that call at once; only calls that fail are
//     tried again. AWS's documents do not say more, and error records of AWS show one attempt and four.
//   - A HTTP endpoint may be at http:// and at any port if it is a loopback address. A 413 sends the batch to the error
//     prefix without another try, where one page of AWS's says that it is lost. The answer is waited for in real time,
//     and the lab's clock has no other task meanwhile: 10 seconds, where AWS waits 3 minutes.
//   - Error records are compressed as the data are. Codes of errors that AWS does not document are the lab's:
//     DynamicPartitioning.ActivePartitionExceeded, DynamicPartitioning.DeliveryFailed.
//   - There are no ZIP and Snappy, no format conversion, no decompression, no sources and destinations but these.
//
// https://docs.aws.amazon.com/firehose/latest/APIReference/API_Operations.html,
// https://docs.aws.amazon.com/firehose/latest/dev/what-is-this-service.html
package firehose

import (
	"bytes"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"example.org/catchment/internal/encode"
	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/wire"
)

// Codes of the service's errors.
const (
	invalidArgument        = "InvalidArgumentException"
	invalidKMSResource     = "InvalidKMSResourceException"
	limitExceeded          = "LimitExceededException"
	resourceInUse          = "ResourceInUseException"
	resourceNotFound       = "ResourceNotFoundException"
	serviceUnavailable     = "ServiceUnavailableException"
	concurrentModification = "ConcurrentModificationException"
)

// principal is what Firehose is to IAM.
const principal = "firehose.amazonaws.com"

// Settings of the service. Zero fields mean what their comments say.
type Settings struct {
	ActivePartitions int           // of a stream with dynamic partitioning; 0: 500, AWS's default quota
	Streams          int           // of an account in a region; 0: AWS's quota of the region
	PendingBytes     int64         // of records that are not delivered, in all streams; beyond it puts are throttled. 0: 1 GiB
	Creation         time.Duration // until a stream is ACTIVE, is gone, or its encryption has changed; 0: 5 s
	ResponseTimeout  time.Duration // of an HTTP endpoint, in real time; 0: 10 s
	FunctionTimeout  time.Duration // of a Lambda function, in real time; 0: 5 minutes, AWS's limit
	Client           *http.Client  // asks HTTP endpoints; nil: one that trusts the machine's certificates
}

// A Service is Data Firehose.
type Service struct {
	cloud    *cloud.Cloud
	settings Settings
	client   *http.Client

	compressor *encode.Compressor // for tasks

	mu      sync.Mutex
	streams map[cloud.Place]map[string]*stream // guarded by mu, like all below
	pending int64                              // bytes of records that are not delivered
	deleted counts                             // of streams that are gone
}

// New makes the service with AWS's settings.
func New(c *cloud.Cloud) *Service { return NewWith(c, Settings{}) }

// NewWith makes the service with other settings.
func NewWith(c *cloud.Cloud, set Settings) *Service {
	if set.ActivePartitions == 0 {
		set.ActivePartitions = 500
	}
	if set.PendingBytes == 0 {
		set.PendingBytes = 1 << 30
	}
	if set.Creation == 0 {
		set.Creation = 5 * time.Second
	}
	if set.ResponseTimeout == 0 {
		set.ResponseTimeout = 10 * time.Second
	}
	if set.FunctionTimeout == 0 {
		set.FunctionTimeout = 5 * time.Minute
	}
	compressor, err := encode.NewCompressor(encode.Gzip, encode.DefaultGzipLevel)
	if err != nil {
		panic("firehose: " + err.Error()) // constants
	}
	s := &Service{
		cloud: c, settings: set, client: newClient(set.Client), streams: make(map[cloud.Place]map[string]*stream),
		deleted: counts{Failures: make(map[string]int)}, compressor: compressor,
	}
	c.Receivers.Register("firehose", s)
	return s
}

// newClient makes a client that follows no redirects and sees answers as they were sent.
func newClient(base *http.Client) *http.Client {
	out := &http.Client{}
	if base != nil {
		*out = *base
	}
	transport, ok := out.Transport.(*http.Transport)
	if !ok {
		transport, ok = http.DefaultTransport.(*http.Transport)
	}
	if ok && (out.Transport == nil || out.Transport == http.RoundTripper(transport)) {
		transport = transport.Clone()
		transport.DisableCompression = true
		out.Transport = transport
	}
	out.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return out
}

// Wire is the service as it is on the wire. Control-plane operations have AWS's 5 calls a second.
func (s *Service) Wire() *wire.Service {
	control := wire.Rate{PerSecond: 5, Burst: 5}
	operations := map[string]wire.Operation{
		"CreateDeliveryStream":          {Do: wire.Do(s.create)},
		"DescribeDeliveryStream":        {Do: wire.Do(s.describe)},
		"UpdateDestination":             {Do: wire.Do(s.update)},
		"DeleteDeliveryStream":          {Do: wire.Do(s.remove)},
		"TagDeliveryStream":             {Do: wire.Do(s.tag)},
		"UntagDeliveryStream":           {Do: wire.Do(s.untag)},
		"ListTagsForDeliveryStream":     {Do: wire.Do(s.listTags)},
		"StartDeliveryStreamEncryption": {Do: wire.Do(s.startEncryption)},
		"StopDeliveryStreamEncryption":  {Do: wire.Do(s.stopEncryption)},
		"ListDeliveryStreams":           {Do: wire.Do(s.list)},
		"PutRecord":                     {Do: wire.Do(s.put)},
		"PutRecordBatch":                {Do: wire.Do(s.putBatch)},
	}
	for name, op := range operations {
		if name != "ListDeliveryStreams" {
			op.Resource = streamOf
		}
		if !strings.HasPrefix(name, "PutRecord") {
			op.Rate = control
		}
		operations[name] = op
	}
	return &wire.Service{Name: "firehose", Protocols: []wire.Protocol{wire.JSON11}, Target: "Firehose_20150804", Operations: operations}
}

// streamOf is the ARN of the stream that a request names. It reads no further than the name: a batch may be long.
func streamOf(c *wire.Call) string {
	d := jsontext.NewDecoder(bytes.NewReader(c.Body), jsontext.AllowInvalidUTF8(true))
	if t, err := d.ReadToken(); err != nil || t.Kind() != '{' {
		return "*"
	}
	for d.PeekKind() == '"' {
		key, err := d.ReadToken()
		if err != nil {
			return "*"
		}
		if key.String() != "DeliveryStreamName" {
			if d.SkipValue() != nil {
				return "*"
			}
			continue
		}
		var name string
		if json.UnmarshalDecode(d, &name) != nil || name == "" {
			return "*"
		}
		return streamARN(c.Place, name)
	}
	return "*"
}

func streamARN(at cloud.Place, name string) string { return at.ARN("firehose", "deliverystream/"+name) }

// A stream is a delivery stream.
type stream struct {
	at          cloud.Place
	name, arn   string
	status      string
	created     time.Time
	updated     time.Time
	version     int
	destination destination
	plan        *plan
	tags        map[string]string
	encryption  encryption

	sequence   uint64
	open       map[target]*batch   // that take records
	batches    map[*batch]struct{} // that hold records that are not delivered
	partitions map[string]int      // with dynamic partitioning: batches by evaluated prefix
	throughput throughput
	counts     counts
}

// An encryption is how a stream encrypts what it keeps. The lab keeps the setting and encrypts nothing.
type encryption struct {
	status, keyType, keyARN string
	changes                 []time.Time // of the last day
}

// States of a stream.
const (
	statusCreating = "CREATING"
	statusActive   = "ACTIVE"
	statusDeleting = "DELETING"
)

// find looks a stream up. Requires that mu is held.
func (s *Service) find(at cloud.Place, name string) (*stream, error) {
	if st := s.streams[at][name]; st != nil {
		return st, nil
	}
	return nil, wire.Errorf(resourceNotFound, "Firehose %s under account %s not found.", name, at.Account)
}

// all gives the streams, by account, region and name. Requires that mu is held.
func (s *Service) all() []*stream {
	var out []*stream
	for _, byName := range s.streams {
		out = slices.AppendSeq(out, maps.Values(byName))
	}
	slices.SortFunc(out, func(a, b *stream) int { return strings.Compare(a.at.Account+a.arn, b.at.Account+b.arn) })
	return out
}
