package main_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"

	lablambda "example.org/catchment/internal/lab/lambda"
)

// transformation is an invocation by Firehose.
var transformation = `{"invocationId":"i","deliveryStreamArn":"arn:aws:firehose:us-east-1:111111111111:deliverystream/inspector","region":"us-east-1","records":[` +
	`{"recordId":"r","approximateArrivalTimestamp":1795353255000,"data":"` + base64.StdEncoding.EncodeToString([]byte(imported(finding("222222222222", "eu-west-1", "1")))) + `"}]}`

// BenchmarkColdStart starts the very binary that Lambda gets, through its Runtime API: init is from the start of the
// process to its asking for the first invocation. What AWS adds, placing and unpacking the code, is not in it.
func BenchmarkColdStart(b *testing.B) {
	for _, tt := range []struct {
		name      string
		variables map[string]string
	}{
		{"transforms", nil},
		{"has a bucket", map[string]string{"CATCHMENT_BUCKET": "s3://" + bucketName}},
	} {
		b.Run(tt.name, func(b *testing.B) {
			l := newLab(b)
			name := strings.ReplaceAll(tt.name, " ", "-")
			functions := l.function(b, name, policy(b, "sqs"), tt.variables)
			var took []float64
			for b.Loop() {
				_, err := functions.UpdateFunctionConfiguration(context.Background(), &lambda.UpdateFunctionConfigurationInput{
					FunctionName: &name, Description: aws.String(fmt.Sprint(len(took))), // a new process
				})
				if err != nil {
					b.Fatal(err)
				}
				if answer, failed := invoke(b, functions, name, transformation); failed {
					b.Fatal(answer)
				}
				took = append(took, l.lambda.Inspect().([]lablambda.FunctionState)[0].InitMillis)
			}
			slices.Sort(took)
			b.ReportMetric(took[0], "fastest-init-ms")
			b.ReportMetric(took[len(took)/2], "median-init-ms")
			b.ReportMetric(took[len(took)-1], "slowest-init-ms")
		})
	}
}

// BenchmarkTransformation is a warm invocation with a thousand findings, over the Runtime API.
func BenchmarkTransformation(b *testing.B) {
	l := newLab(b)
	functions := l.function(b, functionName, policy(b, "firehose"), nil)
	record := transformation[strings.Index(transformation, `{"recordId"`) : len(transformation)-2]
	event := strings.Replace(transformation, record, strings.TrimSuffix(strings.Repeat(record+",", 1000), ","), 1)
	b.SetBytes(int64(len(event)))
	for b.Loop() {
		if answer, failed := invoke(b, functions, functionName, event); failed {
			b.Fatal(answer)
		}
	}
}
