package firehose

import (
	"slices"
	"strings"
	"time"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/wire"
	"example.org/catchment/internal/prefix"
)

// A destination is what a stream delivers to, as it was asked for, with the defaults filled in. One of the two is set.
type destination struct {
	s3   *extendedS3
	http *httpConfig
}

// A plan is a destination made ready. It does not change, apart from what its keys remember: a batch goes where the plan
// says that was in force when it was opened.
type plan struct {
	version   int
	main      *sink // where the data go; of an HTTP endpoint: where goes what failed
	backup    *sink // where the records go as they came in; nil: nowhere
	endpoint  *endpoint
	split     splitting
	transform *transform // nil: none
	keys      *keys      // nil: no dynamic partitioning
	delimiter []byte     // behind each record
	retry     time.Duration
}

// A sink is a place in a bucket.
type sink struct {
	role, bucket string
	key          string             // ARN of a KMS key; empty: what the bucket says
	prefix       *prefix.Expression // of data
	failed       map[string]*prefix.Expression
	zone         *time.Location
	size         int           // of a buffer, bytes
	interval     time.Duration // of a buffer
	gzip         bool
	extension    string
}

// Kinds of what goes to an error prefix.
// https://docs.aws.amazon.com/firehose/latest/dev/s3-prefixes.html, https://docs.aws.amazon.com/firehose/latest/dev/buffering.html
const (
	processingFailed  = "processing-failed"
	endpointFailed    = "http-endpoint-failed"
	partitionExceeded = "activePartitionExceeded"
)

const (
	noEncryption = "NoEncryption"
	mebibyte     = 1 << 20
)

// Defaults. Those of an HTTP endpoint are the API model's; the guide's table has 60 s.
const (
	defaultSize        = 5   // MiB
	defaultInterval    = 300 // s
	partitionedSize    = 128 // MiB, with dynamic partitioning
	defaultRetry       = 300 // s
	minPartitionedSize = 64
	minPartitionedWait = 60
	minBackupWait      = 60
)

// reading says in what words AWS tells of an expression that is none.
var reading = map[prefix.Code]string{
	prefix.CodeSyntax:           "Invalid expression usage in %s",
	prefix.CodeNamespace:        "Invalid keyword or conversion character used in the value of the expression in %s",
	prefix.CodePattern:          "Invalid conversion character used in the value of the expression in %s",
	prefix.CodeKeyInErrorPrefix: "Dynamic Partitioning Namespaces can't be part of an error prefix expression (%s)",
	prefix.CodeKeyUnused:        "MetaDataExtraction JQ Query can't contain keys that are not present in the S3 Prefix expression (%s)",
	prefix.CodeKeyUndefined:     "S3 Prefix can't contain keys that are not defined by a processor (%s)",
	prefix.CodeTimeZone:         "CustomTimeZone is not a valid time zone (%s)",
}

// compileExpression reads a prefix; name is that of its parameter.
func compileExpression(name, text string, o prefix.Options) (*prefix.Expression, error) {
	e, err := prefix.Compile(text, o)
	if err == nil {
		return e, nil
	}
	said := "Invalid %s"
	if syntax, ok := err.(*prefix.SyntaxError); ok { //nolint:errorlint // Compile's errors are of this type, not wrapped
		switch {
		case syntax.Code == prefix.CodeErrorType && o.Error:
			said = "%s must contain at least one occurrence of !{firehose:error-output-type}"
		case syntax.Code == prefix.CodeErrorType:
			said = "%s must not contain any occurrence of !{firehose:error-output-type}"
		case reading[syntax.Code] != "":
			said = reading[syntax.Code]
		}
	}
	return nil, wire.Errorf(invalidArgument, said+": %v", name, err)
}

// compileSink reads what AWS and the lab want of a place in a bucket. keys are those of dynamic partitioning.
func (p *plan) compileSink(s *s3Config, extension, zone string, keys *keys, now time.Time) (*sink, error) {
	out := &sink{
		role: s.RoleARN, bucket: s.BucketARN, size: *s.BufferingHints.SizeInMBs * mebibyte,
		interval: time.Duration(*s.BufferingHints.IntervalInSeconds) * time.Second, failed: make(map[string]*prefix.Expression),
	}
	switch s.CompressionFormat {
	case "UNCOMPRESSED":
	case "GZIP":
		out.gzip, out.extension = true, ".gz"
	default:
		return nil, wire.Errorf(invalidArgument, "The lab's Firehose does not have the CompressionFormat %s: it has UNCOMPRESSED and GZIP.", s.CompressionFormat)
	}
	if extension != "" {
		out.extension = extension
	}
	if k := s.EncryptionConfiguration.KMSEncryptionConfig; k != nil {
		out.key = k.AWSKMSKeyARN
	}
	options := prefix.Options{TimeZone: zone}
	if keys != nil {
		options.Keys, options.LambdaKeys = keys.inQuery, keys.fromLambda
	}
	prefixText := text(s.Prefix)
	var err error
	if out.prefix, err = compileExpression("Prefix", prefixText, options); err != nil {
		return nil, err
	}
	if out.zone, err = time.LoadLocation(zone); err != nil {
		return nil, wire.Errorf(invalidArgument, "CustomTimeZone %s: %v", quoted(zone), err)
	}
	errorText := text(s.ErrorOutputPrefix)
	if errorText == "" {
		if strings.Contains(prefixText, "!{") {
			return nil, wire.Errorf(invalidArgument, "ErrorOutputPrefix cannot be null or empty when Prefix contains expressions")
		}
		// Rule 5 of the page on prefixes; the slash between the type and the date is as its table shows it.
		errorText = prefixText + "!{firehose:error-output-type}/" + prefix.DefaultTimestamp
	}
	failed, err := compileExpression("ErrorOutputPrefix", errorText, prefix.Options{Error: true, TimeZone: zone})
	if err != nil {
		return nil, err
	}
	for _, kind := range []string{processingFailed, endpointFailed, partitionExceeded} {
		if out.failed[kind], err = failed.Failed(kind); err != nil {
			return nil, wire.Errorf(invalidArgument, "ErrorOutputPrefix: %v", err)
		}
	}
	return out, out.measure(now)
}

// measure evaluates what can be evaluated without a record, for its length.
func (s *sink) measure(now time.Time) error {
	if len(s.prefix.Keys()) == 0 {
		if _, err := s.prefix.Append(nil, now, nil); err != nil {
			return wire.Errorf(invalidArgument, "Length of evaluated prefix cannot be greater than %d: %v", prefix.MaxEvaluated, err)
		}
	}
	for _, kind := range []string{processingFailed, endpointFailed, partitionExceeded} {
		if _, err := s.failed[kind].Append(nil, now, nil); err != nil {
			return wire.Errorf(invalidArgument, "Length of evaluated ErrorOutputPrefix cannot be greater than %d: %v", prefix.MaxEvaluated, err)
		}
	}
	return nil
}

// compile makes a destination ready and fills its defaults in. Its errors are the service's.
func (d *destination) compile(version int, at cloud.Place, now time.Time) (*plan, error) {
	p := &plan{version: version}
	if d.http != nil {
		return p, p.compileHTTP(d.http, at, now)
	}
	return p, p.compileS3(d.s3, at, now)
}

func (p *plan) compileS3(e *extendedS3, at cloud.Place, now time.Time) error {
	own(&e.S3BackupConfiguration)
	own(&e.DynamicPartitioningConfiguration)
	if d := e.DataFormatConversionConfiguration; d != nil && (d.Enabled == nil || *d.Enabled) {
		return wire.Errorf(invalidArgument, "The lab's Firehose does not have data format conversion.")
	}
	partitioned := e.DynamicPartitioningConfiguration != nil && on(e.DynamicPartitioningConfiguration.Enabled)
	if err := e.fill(partitioned); err != nil {
		return err
	}
	if err := p.compileProcessors(e.ProcessingConfiguration, e.RoleARN, partitioned, at); err != nil {
		return err
	}
	if err := p.partition(e, partitioned); err != nil {
		return err
	}
	var err error
	if p.main, err = p.compileSink(&e.s3Config, text(e.FileExtension), text(e.CustomTimeZone), p.keys, now); err != nil {
		return err
	}
	if p.keys != nil {
		if err = p.keys.bind(p.main.prefix); err != nil {
			return err
		}
	}
	if e.S3BackupMode != "Enabled" {
		return nil
	}
	backup := e.S3BackupConfiguration
	if backup == nil {
		return wire.Errorf(invalidArgument, "S3 backup destination configuration is required when enabling S3 backup.")
	}
	p.backup, err = p.compileBackup(backup, text(e.FileExtension), now)
	return err
}

// compileBackup reads the place for the records as they come in. Dynamic partitioning is not for it.
func (p *plan) compileBackup(s *s3Config, extension string, now time.Time) (*sink, error) {
	if err := s.fill(defaultSize, defaultInterval); err != nil {
		return nil, err
	}
	if *s.BufferingHints.IntervalInSeconds < minBackupWait {
		return nil, wire.Errorf(invalidArgument, "BufferingHints.IntervalInSeconds must be at least %d seconds for the S3 backup bucket.", minBackupWait)
	}
	if strings.Contains(text(s.Prefix), "!{partitionKeyFrom") {
		return nil, errNotPartitioned
	}
	return p.compileSink(s, extension, "", nil, now)
}

var errNotPartitioned = wire.Errorf(invalidArgument,
	"Dynamic Partitioning Namespaces can only be part of a prefix expression when Dynamic Partitioning is enabled.")

// partition checks what dynamic partitioning wants beside the keys, and its absence.
func (p *plan) partition(e *extendedS3, partitioned bool) error {
	named := strings.Contains(text(e.Prefix), "!{partitionKeyFrom")
	if !partitioned {
		if named {
			return errNotPartitioned
		}
		return nil
	}
	if *e.BufferingHints.SizeInMBs < minPartitionedSize {
		return wire.Errorf(invalidArgument, "BufferingHints.SizeInMBs must be at least %d when Dynamic Partitioning is enabled.", minPartitionedSize)
	}
	if *e.BufferingHints.IntervalInSeconds < minPartitionedWait {
		return wire.Errorf(invalidArgument, "BufferingHints.IntervalInSeconds must be at least %d seconds when Dynamic Partitioning is enabled.", minPartitionedWait)
	}
	if p.keys == nil && p.transform == nil {
		return wire.Errorf(invalidArgument, "Processing Configuration with a MetadataExtraction or a Lambda processor is required when Dynamic Partitioning is enabled.")
	}
	if !named {
		return wire.Errorf(invalidArgument, "S3 Prefix should contain Dynamic Partitioning namespaces when Dynamic Partitioning is enabled")
	}
	if text(e.ErrorOutputPrefix) == "" {
		return wire.Errorf(invalidArgument, "ErrorOutputPrefix cannot be null or empty when Prefix contains expressions")
	}
	if p.keys == nil {
		p.keys = &keys{}
	}
	p.keys.fromLambda = lambdaKeys(text(e.Prefix))
	if len(p.keys.fromLambda) > 0 && p.transform == nil {
		return wire.Errorf(invalidArgument, "Lambda processor should be present when S3 Prefix has partitionKeyFromLambda namespace.")
	}
	if n := len(p.keys.inQuery) + len(p.keys.fromLambda); n > maxKeys {
		return wire.Errorf(invalidArgument, "Dynamic Partitioning takes at most %d partition keys; there are %d.", maxKeys, n)
	}
	p.retry = seconds(e.DynamicPartitioningConfiguration.RetryOptions)
	return nil
}

// maxKeys is how many partition keys a stream may have.
const maxKeys = 50

// lambdaKeys are the keys from Lambda that a prefix uses. They are defined nowhere else.
func lambdaKeys(text string) []string {
	var out []string
	for _, part := range strings.Split(text, "!{partitionKeyFromLambda:")[1:] {
		name, _, ended := strings.Cut(part, "}")
		if ended && !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out
}

// fill sets the defaults of what was not said.
func (e *extendedS3) fill(partitioned bool) error {
	size := defaultSize
	if partitioned {
		size = partitionedSize
	}
	if err := e.s3Config.fill(size, defaultInterval); err != nil {
		return err
	}
	if e.S3BackupMode == "" {
		e.S3BackupMode = "Disabled"
	}
	if d := e.DynamicPartitioningConfiguration; d != nil && d.RetryOptions == nil {
		d.RetryOptions = &retryOptions{}
	}
	if d := e.DynamicPartitioningConfiguration; d != nil && d.RetryOptions.DurationInSeconds == nil {
		d.RetryOptions.DurationInSeconds = new(defaultRetry)
	}
	return nil
}

func (s *s3Config) fill(size, interval int) error {
	var err error
	if s.BufferingHints, err = s.BufferingHints.fill(size, interval); err != nil {
		return err
	}
	if s.CompressionFormat == "" {
		s.CompressionFormat = "UNCOMPRESSED"
	}
	if s.EncryptionConfiguration == nil {
		s.EncryptionConfiguration = &encryptionConfig{NoEncryptionConfig: noEncryption}
	}
	if e := s.EncryptionConfiguration; (e.NoEncryptionConfig == "") == (e.KMSEncryptionConfig == nil) {
		return wire.Errorf(invalidArgument, "Exactly one of NoEncryptionConfig or KMSEncryptionConfig must be specified")
	}
	if s.CloudWatchLoggingOptions == nil {
		s.CloudWatchLoggingOptions = &loggingOptions{Enabled: new(bool)}
	}
	return nil
}

func (h *bufferingHints) fill(size, interval int) (*bufferingHints, error) {
	switch {
	case h == nil || h.SizeInMBs == nil && h.IntervalInSeconds == nil:
		return &bufferingHints{new(size), new(interval)}, nil
	case h.SizeInMBs == nil || h.IntervalInSeconds == nil:
		return nil, wire.Errorf(invalidArgument, "BufferingHints: if you specify a value for one of SizeInMBs and IntervalInSeconds, you must also specify one for the other.")
	}
	return h, nil
}

// own makes what p points to the caller's, which fills defaults in: after an update it is part of two destinations.
func own[T any](p **T) {
	if *p != nil {
		*p = new(**p)
	}
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func on(b *bool) bool { return b != nil && *b }

// seconds is how long to try again.
func seconds(r *retryOptions) time.Duration {
	if r == nil || r.DurationInSeconds == nil {
		return defaultRetry * time.Second
	}
	return time.Duration(*r.DurationInSeconds) * time.Second
}
