// Package config reads catchment.yaml, the one file that says what catchment does.
//
// The file is read strictly: whatever is unknown, of the wrong type or impossible is an error, and all errors are
// reported at once, each with its path, its line and what was expected (FieldError). What may stand where is written
// once, in table.go; the decoder and the JSON Schema for editors are both made from that table.
package config

import "time"

// The words that a spec knows for its choices.
const (
	RecordFinding = "finding" // a line is a finding
	RecordEvent   = "event"   // a line is the whole event

	TimestampArrival = "arrival" // a prefix is evaluated at the arrival of the oldest record of the object
	TimestampEvent   = "event"   // a prefix is evaluated at the event's own time

	CompressionGzip = "gzip"
	CompressionZstd = "zstd"
	CompressionNone = "none"

	SSENone   = "none"    // ask for nothing: the bucket's own default applies
	SSEAES256 = "AES256"  // SSE-S3
	SSEKMS    = "aws:kms" // SSE-KMS, with Encryption.KMSKey or the account's own key

	ChecksumNone = "none" // send a checksum only where S3 demands one

	AckJournal = "journal" // when its events are in the journal
	AckStored  = "stored"  // when they are in the bucket

	ListenNone = "none" // Metrics.Listen: no listener
)

// A Spec is the whole of catchment.yaml. Every field has its value after Load: what the file leaves out is the
// default. Sizes are in bytes.
type Spec struct {
	Bucket       Bucket
	Streams      []Stream // at least one; names are unique
	Sources      []Source // may be empty: a spec for imports needs none
	Journal      Journal
	Duplicates   Duplicates
	Drain        Drain
	Metrics      Metrics
	Log          Log
	Organization *Organization // nil when the file has none
	Managed      *Managed      // nil when the file has none
}

// A Bucket is where objects go.
type Bucket struct {
	URL        string // see ParseLocation
	Encryption Encryption
	Checksum   string // crc32, crc32c, crc64nvme, sha256 or none: what S3 verifies an upload by
}

// Encryption is S3's encryption at rest.
type Encryption struct {
	SSE    string // SSENone, SSEAES256 or SSEKMS
	KMSKey string // key id, key ARN or alias; only with SSEKMS; empty: the account's own key for S3
}

// A Stream is a named pipeline from events to objects.
type Stream struct {
	Name          string
	Version       int               // at least 1; part of object names
	Pattern       []byte            // an EventBridge event pattern, as JSON
	Record        string            // RecordFinding or RecordEvent
	PartitionKeys map[string]string // name to jq
	Prefix        string            // a Firehose prefix expression
	ErrorPrefix   string            // a Firehose prefix expression
	TimeZone      string            // a name of the IANA time zone database
	Timestamp     string            // TimestampArrival or TimestampEvent
	Buffering     Buffering
	Compression   string // CompressionGzip, CompressionZstd or CompressionNone
	Level         int    // of compression: 1 (fast) to 9 (small); 0: the compressor's own choice
}

// Buffering says when a partition is due: at whichever comes first.
type Buffering struct {
	Size     int64         // bytes before compression
	Interval time.Duration // since the oldest record
}

// A Source is where events come from: exactly one of its fields is set.
type Source struct {
	HTTP *HTTPSource
	SQS  *SQSSource
}

// An HTTPSource takes events from EventBridge API destinations, SNS, Firehose's HTTP endpoint destination, or
// anything that can POST JSON.
type HTTPSource struct {
	Listen     string // host:port
	KeysFile   string // one API key a line; empty: no key is asked for, and Listen is a loopback address
	TLS        *TLS   // nil: plain HTTP
	MaxBody    int64  // bytes, before and after decompression
	Topics     []string
	RetryAfter time.Duration // what a sender is told under back-pressure

	SNSEndpoint string // of a lab on this machine, whose messages are let in instead of those of AWS; empty: AWS's own
}

// TLS names the files of a certificate.
type TLS struct {
	Cert string // PEM, the certificate first, then its chain
	Key  string // PEM
}

// An SQSSource takes events from a queue.
type SQSSource struct {
	QueueURL string
	Ack      string // AckJournal or AckStored: when a message is deleted
}

// Journal is the durable log between accepted and stored.
type Journal struct {
	Path        string // a folder
	MaxSize     int64  // bytes; beyond it sources are told to wait
	SegmentSize int64  // bytes; at most MaxSize
}

// Duplicates is the window in which a repeated event is recognised: the last Count events, and no older than Age.
type Duplicates struct {
	Count int // 0: repeated events are not looked for
	Age   time.Duration
}

// Drain is what happens at shutdown.
type Drain struct {
	Grace time.Duration // how long to go on storing; the rest waits in the journal for the next start
}

// Metrics is the listener for /metrics, /healthz and /readyz.
type Metrics struct {
	Listen string // host:port, or ListenNone
}

// Log is how catchment writes its log, on standard error.
type Log struct {
	Format string // text or json
	Level  string // debug, info, warn or error
}

// An Organization is the accounts and regions that findings come from.
type Organization struct {
	Administrator string   // the account that administers Security Hub
	Accounts      []string // nil: all of the organization
	Regions       []string
	Role          string // assumed in each account
}

// Managed is how the pipeline looks when AWS runs it.
type Managed struct {
	Partitioning string // dynamic or stream-per-account
	Newline      string // native or lambda
	Topology     string // per-region or aggregated
}

// Default returns what an empty spec means: the findings of Inspector that Security Hub relays, by account and
// region, from HTTP on this machine into the folder "bucket". The caller may change it.
func Default() *Spec {
	http := defaultHTTPSource()
	http.Listen = "127.0.0.1:8480"
	return &Spec{
		Bucket:     Bucket{URL: "bucket", Encryption: Encryption{SSE: SSENone}, Checksum: "crc32"},
		Streams:    []Stream{defaultInspectorStream()},
		Sources:    []Source{{HTTP: http}},
		Journal:    Journal{Path: "journal", MaxSize: 10 << 30, SegmentSize: 64 << 20},
		Duplicates: Duplicates{Count: 2_000_000, Age: 24 * time.Hour},
		Drain:      Drain{Grace: 25 * time.Second},
		Metrics:    Metrics{Listen: "127.0.0.1:8481"},
		Log:        Log{Format: "text", Level: "info"},
	}
}

// The default stream, word for word as in the design.
const (
	defaultPattern = `{"source":["aws.securityhub"],"detail-type":["Security Hub Findings - Imported"],` +
		`"detail":{"findings":{"ProductFields":{"aws/securityhub/ProductName":["Inspector"]}}}}`
	defaultPrefix = "AWSLogs/!{partitionKeyFromQuery:account}/Inspector/!{partitionKeyFromQuery:region}/" +
		"!{timestamp:yyyy/MM/dd/HH}/"
	defaultErrorPrefix = "errors/!{firehose:error-output-type}/!{timestamp:yyyy/MM/dd/HH}/"
)

// defaultKeys are the partition keys that a prefix may use without defining them.
func defaultKeys() map[string]string {
	return map[string]string{"account": ".AwsAccountId", "region": ".Region"}
}

func defaultInspectorStream() Stream {
	s := defaultStream()
	s.Name = "inspector"
	s.Pattern = []byte(defaultPattern)
	s.Prefix = defaultPrefix
	s.PartitionKeys = defaultKeys()
	return s
}

// defaultStream is what a stream of the file starts from. Name, pattern and prefix have no default there: a stream
// that leaves one of them out would quietly take or overwrite what belongs to another.
func defaultStream() Stream {
	return Stream{
		Version:     1,
		Record:      RecordFinding,
		ErrorPrefix: defaultErrorPrefix,
		TimeZone:    "UTC",
		Timestamp:   TimestampArrival,
		Buffering:   Buffering{Size: 64 << 20, Interval: 5 * time.Minute},
		Compression: CompressionGzip,
	}
}

func defaultHTTPSource() *HTTPSource {
	return &HTTPSource{
		MaxBody:    64 << 20, // what Firehose sends at most
		RetryAfter: 5 * time.Second,
	}
}

func defaultOrganization() *Organization {
	return &Organization{Role: "OrganizationAccountAccessRole"}
}

func defaultManaged() *Managed {
	return &Managed{Partitioning: "dynamic", Newline: "native", Topology: "per-region"}
}
