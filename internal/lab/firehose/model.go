package firehose

import (
	"fmt"
	"strings"
)

// Enumerations of the model.
var (
	compressions   = []string{"UNCOMPRESSED", "GZIP", "ZIP", "Snappy", "HADOOP_SNAPPY"}
	processorTypes = []string{"RecordDeAggregation", "Decompression", "CloudWatchLogProcessing", "Lambda", "MetadataExtraction", "AppendDelimiterToRecord"}
	parameterNames = []string{
		"LambdaArn", "NumberOfRetries", "MetadataExtractionQuery", "JsonParsingEngine", "RoleArn", "BufferSizeInMBs",
		"BufferIntervalInSeconds", "SubRecordType", "Delimiter", "CompressionFormat", "DataMessageExtraction",
	}
	streamTypes = []string{"DirectPut", "KinesisStreamAsSource", "MSKAsSource", "DatabaseAsSource"}
	keyTypes    = []string{"AWS_OWNED_CMK", "CUSTOMER_MANAGED_CMK"}
)

// Bounds of the model.
const (
	maxInterval     = 900  // seconds
	maxRetry        = 7200 // seconds
	maxS3Size       = 128  // MiB
	maxEndpointSize = 64   // MiB
	maxAttributes   = 50
	maxTags         = 50
)

func (c *constraints) s3(at string, s *s3Config, whole bool) {
	if whole || s.RoleARN != "" {
		c.required(at+".roleARN", s.RoleARN, roleARN)
	}
	if whole || s.BucketARN != "" {
		c.required(at+".bucketARN", s.BucketARN, bucketARN)
	}
	c.maybeText(at+".prefix", s.Prefix, expression)
	c.maybeText(at+".errorOutputPrefix", s.ErrorOutputPrefix, expression)
	c.hints(at, s.BufferingHints, maxS3Size)
	c.oneOf(at+".compressionFormat", s.CompressionFormat, compressions...)
	if e := s.EncryptionConfiguration; e != nil {
		c.oneOf(at+".encryptionConfiguration.noEncryptionConfig", e.NoEncryptionConfig, noEncryption)
		if e.KMSEncryptionConfig != nil {
			c.required(at+".encryptionConfiguration.kMSEncryptionConfig.aWSKMSKeyARN", e.KMSEncryptionConfig.AWSKMSKeyARN, keyARN)
		}
	}
	c.logging(at, s.CloudWatchLoggingOptions)
}

func (c *constraints) hints(at string, h *bufferingHints, maxSize int) {
	if h != nil {
		c.number(at+".bufferingHints.sizeInMBs", h.SizeInMBs, 1, maxSize)
		c.number(at+".bufferingHints.intervalInSeconds", h.IntervalInSeconds, 0, maxInterval)
	}
}

func (c *constraints) logging(at string, l *loggingOptions) {
	if l != nil {
		c.maybeText(at+".cloudWatchLoggingOptions.logGroupName", l.LogGroupName, logGroup)
		c.maybeText(at+".cloudWatchLoggingOptions.logStreamName", l.LogStreamName, logStream)
	}
}

func (c *constraints) processing(at string, p *processingConfig) {
	if p == nil {
		return
	}
	for i, processor := range p.Processors {
		here := fmt.Sprintf("%s.processingConfiguration.processors.%d.member", at, i+1)
		c.present(here+".type", processor.Type != "")
		c.oneOf(here+".type", processor.Type, processorTypes...)
		for k, parameter := range processor.Parameters {
			there := fmt.Sprintf("%s.parameters.%d.member", here, k+1)
			c.present(there+".parameterName", parameter.ParameterName != "")
			c.oneOf(there+".parameterName", parameter.ParameterName, parameterNames...)
			c.text(there+".parameterValue", parameter.ParameterValue, parameterText)
			c.notBlank(there+".parameterValue", parameter.ParameterValue)
		}
	}
}

// notBlank is the model's pattern ^(?!\s*$).+, which Go's regular expressions do not have.
func (c *constraints) notBlank(at, value string) {
	if value != "" && strings.TrimSpace(value) == "" {
		c.fail(quoted(value), at, `satisfy regular expression pattern: ^(?!\s*$).+`)
	}
}

func (c *constraints) extended(at string, e *extendedS3, whole bool) {
	c.s3(at, &e.s3Config, whole)
	c.processing(at, e.ProcessingConfiguration)
	c.oneOf(at+".s3BackupMode", e.S3BackupMode, "Disabled", "Enabled")
	if e.S3BackupConfiguration != nil {
		c.s3(at+".s3BackupConfiguration", e.S3BackupConfiguration, true)
	}
	if e.S3BackupUpdate != nil {
		c.s3(at+".s3BackupUpdate", e.S3BackupUpdate, false)
	}
	if d := e.DynamicPartitioningConfiguration; d != nil && d.RetryOptions != nil {
		c.number(at+".dynamicPartitioningConfiguration.retryOptions.durationInSeconds", d.RetryOptions.DurationInSeconds, 0, maxRetry)
	}
	c.maybeText(at+".fileExtension", e.FileExtension, fileExtension)
	c.maybeText(at+".customTimeZone", e.CustomTimeZone, timeZone)
}

func (c *constraints) endpoint(at string, h *httpConfig, whole bool) {
	if e := h.EndpointConfiguration; e != nil {
		c.required(at+".endpointConfiguration.url", e.URL, endpointURL)
		if e.Name != "" {
			c.text(at+".endpointConfiguration.name", e.Name, endpointName)
			c.notBlank(at+".endpointConfiguration.name", e.Name)
		}
		c.maybeText(at+".endpointConfiguration.accessKey", e.AccessKey, accessKey)
	} else if whole {
		c.present(at+".endpointConfiguration", false)
	}
	c.hints(at, h.BufferingHints, maxEndpointSize)
	c.logging(at, h.CloudWatchLoggingOptions)
	if r := h.RequestConfiguration; r != nil {
		c.oneOf(at+".requestConfiguration.contentEncoding", r.ContentEncoding, "NONE", "GZIP")
		c.count(at+".requestConfiguration.commonAttributes", len(r.CommonAttributes), 0, maxAttributes)
		for i, a := range r.CommonAttributes {
			here := fmt.Sprintf("%s.requestConfiguration.commonAttributes.%d.member", at, i+1)
			c.required(here+".attributeName", a.AttributeName, attributeName)
			c.notBlank(here+".attributeName", a.AttributeName)
			c.text(here+".attributeValue", a.AttributeValue, attributeText)
		}
	}
	c.processing(at, h.ProcessingConfiguration)
	if h.RoleARN != "" {
		c.text(at+".roleARN", h.RoleARN, roleARN)
	}
	if h.RetryOptions != nil {
		c.number(at+".retryOptions.durationInSeconds", h.RetryOptions.DurationInSeconds, 0, maxRetry)
	}
	c.oneOf(at+".s3BackupMode", h.S3BackupMode, "FailedDataOnly", "AllData")
	switch {
	case h.S3Configuration != nil:
		c.s3(at+".s3Configuration", h.S3Configuration, true)
	case whole:
		c.present(at+".s3Configuration", false)
	}
	if h.S3Update != nil {
		c.s3(at+".s3Update", h.S3Update, false)
	}
}

func (c *constraints) encryption(at string, e *encryptionInput) {
	if e == nil {
		return
	}
	c.present(at+".keyType", e.KeyType != "")
	c.oneOf(at+".keyType", e.KeyType, keyTypes...)
	if e.KeyARN != "" {
		c.text(at+".keyARN", e.KeyARN, keyARN)
	}
}

func (c *constraints) tags(tags []tag) {
	for i, t := range tags {
		here := fmt.Sprintf("tags.%d.member", i+1)
		c.tagKey(here+".key", t.Key)
		c.maybeText(here+".value", t.Value, tagValue)
	}
}

// tagKey also refuses AWS's own, which the model's pattern does with (?!aws:).
func (c *constraints) tagKey(at, key string) {
	c.required(at, key, tagKey)
	if strings.HasPrefix(key, "aws:") {
		c.fail(quoted(key), at, "satisfy regular expression pattern: ^(?!aws:)%s$", tagKey.shown)
	}
}
