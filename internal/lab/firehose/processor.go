package firehose

import (
	"encoding/base64"
	"strconv"
	"strings"
	"time"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/wire"
	"example.org/catchment/internal/prefix"
	"example.org/catchment/internal/scan"
)

// A splitting is how a record is taken apart into those that are in it. The zero splitting leaves it whole.
type splitting struct {
	json      bool
	delimiter []byte
}

// A transform is a function that records go through.
type transform struct {
	arn, role string
	retries   int
	size      int // of its buffer, bytes
	interval  time.Duration
}

// Bounds and defaults of processors. https://docs.aws.amazon.com/firehose/latest/dev/data-transformation.html
const (
	maxProcessors     = 5
	defaultRetries    = 3
	maxRetries        = 300
	defaultLambdaSize = 1.0 // MB
	minLambdaSize     = 0.2
	maxLambdaSize     = 3.0
	defaultLambdaWait = 60 // s
)

// compileProcessors reads the steps of processing. role is the destination's.
func (p *plan) compileProcessors(c *processingConfig, role string, partitioned bool, at cloud.Place) error {
	if c == nil || !on(c.Enabled) {
		return nil
	}
	if n := len(c.Processors); n < 1 || n > maxProcessors {
		return wire.Errorf(invalidArgument, "A maximum of %d and a minimum of 1 processor needs to be supplied when processing is enabled.", maxProcessors)
	}
	seen := make(map[string]bool)
	for _, each := range c.Processors {
		if seen[each.Type] {
			return wire.Errorf(invalidArgument, "Cannot have more than 1 %s processor.", each.Type)
		}
		seen[each.Type] = true
		values := make(map[string]string)
		for _, parameter := range each.Parameters {
			values[parameter.ParameterName] = parameter.ParameterValue
		}
		var err error
		switch each.Type {
		case "RecordDeAggregation":
			err = p.compileSplitting(values)
		case "Lambda":
			p.transform, err = compileTransform(values, role, at)
		case "MetadataExtraction":
			err = p.compileQuery(values, partitioned)
		case "AppendDelimiterToRecord":
			p.delimiter = []byte("\n")
			if d, given := values["Delimiter"]; given {
				p.delimiter = []byte(unescaped.Replace(d))
			}
		default:
			err = wire.Errorf(invalidArgument, "The lab's Firehose does not have the processor %s.", each.Type)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// unescaped reads a delimiter: a backslash with a letter reaches the service as two characters.
var unescaped = strings.NewReplacer(`\\`, `\`, `\n`, "\n", `\r`, "\r", `\t`, "\t")

func (p *plan) compileSplitting(values map[string]string) error {
	switch values["SubRecordType"] {
	case "JSON":
		p.split.json = true
		return nil
	case "DELIMITED":
		coded, given := values["Delimiter"]
		if !given {
			return wire.Errorf(invalidArgument, "Delimiter should be present for DELIMITED")
		}
		delimiter, err := base64.StdEncoding.DecodeString(coded)
		if err != nil || len(delimiter) == 0 {
			return wire.Errorf(invalidArgument, "Delimiter for DELIMITED has to be a base64 encoded string")
		}
		p.split.delimiter = delimiter
		return nil
	}
	return wire.Errorf(invalidArgument, "SubRecordType has to be one of JSON, DELIMITED")
}

func compileTransform(values map[string]string, role string, at cloud.Place) (*transform, error) {
	out := &transform{
		arn: values["LambdaArn"], role: values["RoleArn"], retries: defaultRetries, size: defaultLambdaSize * mebibyte,
		interval: defaultLambdaWait * time.Second,
	}
	if out.arn == "" {
		return nil, wire.Errorf(invalidArgument, "LambdaArn is required when Lambda processor is used.")
	}
	if arn, err := cloud.ParseARN(out.arn); err != nil || arn.Service != "lambda" || arn.Partition != at.Partition || !strings.HasPrefix(arn.Resource, "function:") {
		return nil, wire.Errorf(invalidArgument, "LambdaArn %s is not the ARN of a function.", quoted(out.arn))
	}
	if out.role == "" {
		out.role = role
	} else if !roleARN.pattern.MatchString(out.role) {
		return nil, wire.Errorf(invalidArgument, "RoleArn %s is not the ARN of a role.", quoted(out.role))
	}
	if given, ok := values["NumberOfRetries"]; ok {
		n, err := strconv.Atoi(given)
		if err != nil || n < 0 || n > maxRetries {
			return nil, wire.Errorf(invalidArgument, "Number of retries for lambda must be between 0 and %d.", maxRetries)
		}
		out.retries = n
	}
	size, sized := values["BufferSizeInMBs"]
	wait, timed := values["BufferIntervalInSeconds"]
	if sized != timed {
		return nil, wire.Errorf(invalidArgument, "Both BufferSizeInMBs and BufferIntervalInSeconds are required to configure buffering for lambda processor.")
	}
	if sized {
		n, err := strconv.ParseFloat(size, 64)
		if err != nil || !(n >= minLambdaSize && n <= maxLambdaSize) {
			return nil, wire.Errorf(invalidArgument, "BufferSizeInMBs for lambda processor must be between 0.2 and 3.")
		}
		out.size = int(n * mebibyte)
		s, err := strconv.Atoi(wait)
		if err != nil || s < 0 || s > maxInterval {
			return nil, wire.Errorf(invalidArgument, "BufferIntervalInSeconds for lambda processor must be between 0 and %d.", maxInterval)
		}
		out.interval = time.Duration(s) * time.Second
	}
	return out, nil
}

func (p *plan) compileQuery(values map[string]string, partitioned bool) error {
	if !partitioned {
		return wire.Errorf(invalidArgument, "MetadataExtractionProcessor can only be present when Dynamic Partitioning is enabled.")
	}
	source := values["MetadataExtractionQuery"]
	if source == "" {
		return wire.Errorf(invalidArgument, "MetaDataExtraction Query is required when MetadataExtraction processor is used.")
	}
	if values["JsonParsingEngine"] != "JQ-1.6" {
		return wire.Errorf(invalidArgument, "MetaDataExtraction JSON Parsing Engine has to be one of JQ-1.6")
	}
	compiled, err := prefix.CompileObject(nil, source)
	if err != nil {
		return wire.Errorf(invalidArgument, "MetaDataExtraction JQ Query is not valid: %v", err)
	}
	p.keys = &keys{source: source, inQuery: compiled.Names()}
	return nil
}

// keys find a record's partition. They are for one goroutine at a time: they remember what they work with.
type keys struct {
	source     string // MetadataExtractionQuery; empty: there is none
	inQuery    []string
	fromLambda []string

	order     []place // of the values that the prefix wants
	paths     *scan.Paths
	binding   *prefix.Binding
	selector  *prefix.Selector
	evaluator *prefix.Evaluator
	document  scan.Document
	values    [][]byte
}

// A place says where a value comes from: from the query, or, where it has a name, from the function.
type place struct {
	query int
	name  string
}

// bind makes the keys ready for the prefix that wants them in this order.
func (k *keys) bind(e *prefix.Expression) error {
	var ofQuery []string
	for _, name := range e.Keys() {
		if lambda, is := strings.CutPrefix(name, prefix.LambdaKey); is {
			k.order = append(k.order, place{name: lambda})
			continue
		}
		k.order = append(k.order, place{query: len(ofQuery)})
		ofQuery = append(ofQuery, name)
	}
	k.evaluator = e.NewEvaluator()
	k.values = make([][]byte, len(k.order))
	if k.source == "" {
		return nil
	}
	compiled, err := prefix.CompileObject(ofQuery, k.source)
	if err != nil {
		return wire.Errorf(invalidArgument, "MetaDataExtraction JQ Query is not valid: %v", err)
	}
	k.paths = scan.NewPaths()
	k.binding = compiled.Bind(k.paths)
	k.selector = k.binding.NewSelector()
	return nil
}
