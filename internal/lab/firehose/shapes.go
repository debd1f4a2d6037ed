package firehose

import (
	"maps"
	"slices"

	"github.com/go-json-experiment/json/jsontext"

	"example.org/catchment/internal/lab/wire"
)

// The shapes of the API, named as botocore's model names them. Where AWS has three shapes for one thing (Configuration,
// Update, Description) there is one here.

type bufferingHints struct {
	SizeInMBs         *int `json:",omitzero"`
	IntervalInSeconds *int `json:",omitzero"`
}

type loggingOptions struct {
	Enabled       *bool   `json:",omitzero"`
	LogGroupName  *string `json:",omitzero"`
	LogStreamName *string `json:",omitzero"`
}

type kmsEncryption struct {
	AWSKMSKeyARN string
}

type encryptionConfig struct {
	NoEncryptionConfig  string         `json:",omitzero"`
	KMSEncryptionConfig *kmsEncryption `json:",omitzero"`
}

// s3Config is S3DestinationConfiguration and its kin.
type s3Config struct {
	RoleARN                  string            `json:",omitzero"`
	BucketARN                string            `json:",omitzero"`
	Prefix                   *string           `json:",omitzero"`
	ErrorOutputPrefix        *string           `json:",omitzero"`
	BufferingHints           *bufferingHints   `json:",omitzero"`
	CompressionFormat        string            `json:",omitzero"`
	EncryptionConfiguration  *encryptionConfig `json:",omitzero"`
	CloudWatchLoggingOptions *loggingOptions   `json:",omitzero"`
}

type parameter struct {
	ParameterName  string
	ParameterValue string
}

type processor struct {
	Type       string
	Parameters []parameter
}

type processingConfig struct {
	Enabled    *bool       `json:",omitzero"`
	Processors []processor `json:",omitempty"`
}

type retryOptions struct {
	DurationInSeconds *int `json:",omitzero"`
}

type partitioningConfig struct {
	Enabled      *bool         `json:",omitzero"`
	RetryOptions *retryOptions `json:",omitzero"`
}

type switchedConfig struct {
	Enabled *bool `json:",omitzero"`
}

// extendedS3 is ExtendedS3DestinationConfiguration and its kin.
type extendedS3 struct {
	s3Config
	ProcessingConfiguration           *processingConfig   `json:",omitzero"`
	S3BackupMode                      string              `json:",omitzero"`
	S3BackupConfiguration             *s3Config           `json:",omitzero"`
	S3BackupUpdate                    *s3Config           `json:",omitzero"`
	S3BackupDescription               *s3Config           `json:",omitzero"`
	DataFormatConversionConfiguration *switchedConfig     `json:",omitzero"`
	DynamicPartitioningConfiguration  *partitioningConfig `json:",omitzero"`
	FileExtension                     *string             `json:",omitzero"`
	CustomTimeZone                    *string             `json:",omitzero"`
}

type endpointConfig struct {
	URL       string  `json:"Url"`
	Name      string  `json:",omitzero"`
	AccessKey *string `json:",omitzero"`
}

type attribute struct {
	AttributeName  string
	AttributeValue string
}

type requestConfig struct {
	ContentEncoding  string      `json:",omitzero"`
	CommonAttributes []attribute `json:",omitempty"`
}

// httpConfig is HttpEndpointDestinationConfiguration and its kin.
type httpConfig struct {
	EndpointConfiguration       *endpointConfig   `json:",omitzero"`
	BufferingHints              *bufferingHints   `json:",omitzero"`
	CloudWatchLoggingOptions    *loggingOptions   `json:",omitzero"`
	RequestConfiguration        *requestConfig    `json:",omitzero"`
	ProcessingConfiguration     *processingConfig `json:",omitzero"`
	RoleARN                     string            `json:",omitzero"`
	RetryOptions                *retryOptions     `json:",omitzero"`
	S3BackupMode                string            `json:",omitzero"`
	S3Configuration             *s3Config         `json:",omitzero"`
	S3Update                    *s3Config         `json:",omitzero"`
	S3DestinationDescription    *s3Config         `json:",omitzero"`
	SecretsManagerConfiguration *switchedConfig   `json:",omitzero"`
}

type encryptionInput struct {
	KeyARN  string `json:",omitzero"`
	KeyType string
}

type tag struct {
	Key   string
	Value *string `json:",omitzero"`
}

// elsewhere are the sources and destinations that the lab does not have.
type elsewhere struct {
	KinesisStreamSourceConfiguration                   jsontext.Value `json:",omitzero"`
	MSKSourceConfiguration                             jsontext.Value `json:",omitzero"`
	DatabaseSourceConfiguration                        jsontext.Value `json:",omitzero"`
	RedshiftDestinationConfiguration                   jsontext.Value `json:",omitzero"`
	ElasticsearchDestinationConfiguration              jsontext.Value `json:",omitzero"`
	AmazonopensearchserviceDestinationConfiguration    jsontext.Value `json:",omitzero"`
	AmazonOpenSearchServerlessDestinationConfiguration jsontext.Value `json:",omitzero"`
	SplunkDestinationConfiguration                     jsontext.Value `json:",omitzero"`
	SnowflakeDestinationConfiguration                  jsontext.Value `json:",omitzero"`
	IcebergDestinationConfiguration                    jsontext.Value `json:",omitzero"`
	RedshiftDestinationUpdate                          jsontext.Value `json:",omitzero"`
	ElasticsearchDestinationUpdate                     jsontext.Value `json:",omitzero"`
	AmazonopensearchserviceDestinationUpdate           jsontext.Value `json:",omitzero"`
	AmazonOpenSearchServerlessDestinationUpdate        jsontext.Value `json:",omitzero"`
	SplunkDestinationUpdate                            jsontext.Value `json:",omitzero"`
	SnowflakeDestinationUpdate                         jsontext.Value `json:",omitzero"`
	IcebergDestinationUpdate                           jsontext.Value `json:",omitzero"`
}

// check refuses what the lab does not have, by its name.
func (e *elsewhere) check() error {
	given := map[string]jsontext.Value{
		"source Kinesis stream": e.KinesisStreamSourceConfiguration, "source MSK": e.MSKSourceConfiguration,
		"source database":        e.DatabaseSourceConfiguration,
		"destination Redshift":   slices.Concat(e.RedshiftDestinationConfiguration, e.RedshiftDestinationUpdate),
		"destination OpenSearch": slices.Concat(e.AmazonopensearchserviceDestinationConfiguration, e.AmazonopensearchserviceDestinationUpdate),
		"destination OpenSearch Serverless": slices.Concat(e.AmazonOpenSearchServerlessDestinationConfiguration,
			e.AmazonOpenSearchServerlessDestinationUpdate),
		"destination Elasticsearch": slices.Concat(e.ElasticsearchDestinationConfiguration, e.ElasticsearchDestinationUpdate),
		"destination Splunk":        slices.Concat(e.SplunkDestinationConfiguration, e.SplunkDestinationUpdate),
		"destination Snowflake":     slices.Concat(e.SnowflakeDestinationConfiguration, e.SnowflakeDestinationUpdate),
		"destination Iceberg":       slices.Concat(e.IcebergDestinationConfiguration, e.IcebergDestinationUpdate),
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if value := given[name]; len(value) > 0 && value.Kind() != 'n' {
			return wire.Errorf(invalidArgument, "The lab's Firehose does not have the %s: it has Direct PUT, S3 and HTTP endpoints.", name)
		}
	}
	return nil
}

type createInput struct {
	DeliveryStreamName                         string
	DeliveryStreamType                         string
	DirectPutSourceConfiguration               *struct{ ThroughputHintInMBs *int }
	DeliveryStreamEncryptionConfigurationInput *encryptionInput
	S3DestinationConfiguration                 *s3Config
	ExtendedS3DestinationConfiguration         *extendedS3
	HTTPEndpointDestinationConfiguration       *httpConfig `json:"HttpEndpointDestinationConfiguration"`
	Tags                                       []tag
	elsewhere
}

type createOutput struct {
	DeliveryStreamARN string
}

type updateInput struct {
	DeliveryStreamName             string
	CurrentDeliveryStreamVersionID string `json:"CurrentDeliveryStreamVersionId"`
	DestinationID                  string `json:"DestinationId"`
	S3DestinationUpdate            *s3Config
	ExtendedS3DestinationUpdate    *extendedS3
	HTTPEndpointDestinationUpdate  *httpConfig `json:"HttpEndpointDestinationUpdate"`
	elsewhere
}

type nameInput struct {
	DeliveryStreamName string
}

type describeInput struct {
	DeliveryStreamName          string
	Limit                       *int
	ExclusiveStartDestinationID *string `json:"ExclusiveStartDestinationId"`
}

type failureDescription struct {
	Type    string
	Details string
}

type encryptionDescription struct {
	KeyARN             string              `json:",omitzero"`
	KeyType            string              `json:",omitzero"`
	Status             string              `json:",omitzero"`
	FailureDescription *failureDescription `json:",omitzero"`
}

type destinationDescription struct {
	DestinationID                      string      `json:"DestinationId"`
	S3DestinationDescription           *s3Config   `json:",omitzero"`
	ExtendedS3DestinationDescription   *extendedS3 `json:",omitzero"`
	HTTPEndpointDestinationDescription *httpConfig `json:"HttpEndpointDestinationDescription,omitzero"`
}

type streamDescription struct {
	DeliveryStreamName                    string
	DeliveryStreamARN                     string
	DeliveryStreamStatus                  string
	DeliveryStreamEncryptionConfiguration encryptionDescription
	DeliveryStreamType                    string
	VersionID                             string `json:"VersionId"`
	CreateTimestamp                       wire.Epoch
	LastUpdateTimestamp                   wire.Epoch `json:",omitzero"`
	Destinations                          []destinationDescription
	HasMoreDestinations                   bool
}

type describeOutput struct {
	DeliveryStreamDescription streamDescription
}

type listInput struct {
	Limit                            *int
	DeliveryStreamType               string
	ExclusiveStartDeliveryStreamName string
}

type listOutput struct {
	DeliveryStreamNames    []string
	HasMoreDeliveryStreams bool
}

type tagInput struct {
	DeliveryStreamName string
	Tags               []tag
}

type untagInput struct {
	DeliveryStreamName string
	TagKeys            []string
}

type listTagsInput struct {
	DeliveryStreamName   string
	ExclusiveStartTagKey string
	Limit                *int
}

type listTagsOutput struct {
	Tags        []tag
	HasMoreTags bool
}

type startEncryptionInput struct {
	DeliveryStreamName                         string
	DeliveryStreamEncryptionConfigurationInput *encryptionInput
}

type recordInput struct {
	Data []byte
}

type putInput struct {
	DeliveryStreamName string
	Record             *recordInput
}

type putOutput struct {
	RecordID  string `json:"RecordId"`
	Encrypted bool
}

type putBatchInput struct {
	DeliveryStreamName string
	Records            []recordInput
}

type putEntry struct {
	RecordID     string `json:"RecordId,omitzero"`
	ErrorCode    string `json:",omitzero"`
	ErrorMessage string `json:",omitzero"`
}

type putBatchOutput struct {
	FailedPutCount   int
	Encrypted        bool
	RequestResponses []putEntry
}

type nothing struct{}
