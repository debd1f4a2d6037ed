package main_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"example.org/catchment/internal/lab/cloud"
	labfirehose "example.org/catchment/internal/lab/firehose"
	labiam "example.org/catchment/internal/lab/iam"
	labinspector "example.org/catchment/internal/lab/inspector"
	"example.org/catchment/internal/lab/labtest"
	lablambda "example.org/catchment/internal/lab/lambda"
	labs3 "example.org/catchment/internal/lab/s3"
	labsns "example.org/catchment/internal/lab/sns"
	labsqs "example.org/catchment/internal/lab/sqs"
)

// pack makes a zip the way that doc/lambda.md says.
func pack(ctx context.Context, arch, out string, more ...string) error {
	args := append([]string{"run", "./pack", "-arch", arch, "-o", out}, more...)
	if b, err := exec.CommandContext(ctx, "go", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, b)
	}
	return nil
}

// own is the zip for this machine, made once.
var own = sync.OnceValues(func() ([]byte, error) {
	folder, err := os.MkdirTemp("", "catchment-lambda-test-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(folder)
	out := filepath.Join(folder, "own.zip")
	if err := pack(context.Background(), runtime.GOARCH, out); err != nil {
		return nil, err
	}
	return os.ReadFile(out)
})

const (
	functionName = "catchment"
	bucketName   = "aws-logs-inspector-" + labtest.Administrator
	queueName    = "findings"
	functionARN  = "arn:aws:lambda:" + labtest.Region + ":" + labtest.Administrator + ":function:" + functionName
)

// policy is that of doc/lambda.md for a trigger.
func policy(tb testing.TB, trigger string) string {
	tb.Helper()
	text, err := os.ReadFile("../../doc/lambda.md")
	if err != nil {
		tb.Fatal(err)
	}
	found := regexp.MustCompile("(?s)<!-- policy: " + trigger + " -->\n```json\n(.*?)```").FindSubmatch(text)
	if found == nil {
		tb.Fatalf("doc/lambda.md has no policy for %s", trigger)
	}
	return strings.NewReplacer("REGION", labtest.Region, "ACCOUNT", labtest.Administrator, "FUNCTION", functionName, "QUEUE", queueName, "BUCKET", bucketName).
		Replace(string(found[1]))
}

// without takes an action out of a policy.
func without(tb testing.TB, document, action string) string {
	tb.Helper()
	out := regexp.MustCompile(`"`+action+`"(, )?`).ReplaceAllString(document, "")
	out = strings.ReplaceAll(out, ", ]", "]")
	if out == document || !json.Valid([]byte(out)) {
		tb.Fatalf("%s cannot be taken out of %s", action, document)
	}
	return out
}

// A lab is what is around a function: each hop asks for its permission.
type lab struct {
	*labtest.Server
	cloud     *cloud.Cloud
	s3        *labs3.Service
	lambda    *lablambda.Service
	inspector *labinspector.Service
}

// newLab makes a lab with a bucket.
func newLab(tb testing.TB) *lab {
	tb.Helper()
	if runtime.GOOS != "linux" {
		tb.Skip("the lab runs the very binary that Lambda gets: on linux only")
	}
	c := labtest.NewCloud(tb)
	access := labiam.New(c)
	c.Access = access
	l := &lab{cloud: c, s3: labs3.New(c), lambda: lablambda.New(c), inspector: labinspector.New(c)}
	l.Server = labtest.Serve(tb, c, access.Wire(), l.s3.Wire(), l.lambda.Wire(), l.inspector.Wire(), labsqs.New(c).Wire(), labsns.New(c).Wire(), labfirehose.New(c).Wire())
	c.SetURL(l.URL)
	tb.Cleanup(l.lambda.Close)
	if err := l.s3.CreateBucket(cloud.Place{Partition: cloud.PartitionAWS, Account: labtest.Administrator, Region: labtest.Region}, bucketName); err != nil {
		tb.Fatal(err)
	}
	return l
}

func (l *lab) config() aws.Config { return l.Config(labtest.Administrator, labtest.Region) }

// role makes a role for a service, with a policy.
func (l *lab) role(tb testing.TB, name, service, document string) string {
	tb.Helper()
	client := iam.NewFromConfig(l.config())
	out, err := client.CreateRole(context.Background(), &iam.CreateRoleInput{RoleName: &name, AssumeRolePolicyDocument: aws.String(
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"` + service + `"},"Action":"sts:AssumeRole"}]}`)})
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := client.PutRolePolicy(context.Background(), &iam.PutRolePolicyInput{RoleName: &name, PolicyName: &name, PolicyDocument: &document}); err != nil {
		tb.Fatal(err)
	}
	return *out.Role.Arn
}

// function makes the function, in a role with a policy.
func (l *lab) function(tb testing.TB, name, document string, variables map[string]string) *lambda.Client {
	tb.Helper()
	code, err := own()
	if err != nil {
		tb.Fatal(err)
	}
	client := lambda.NewFromConfig(l.config())
	_, err = client.CreateFunction(context.Background(), &lambda.CreateFunctionInput{
		FunctionName: &name, Role: aws.String(l.role(tb, name, "lambda.amazonaws.com", document)), Runtime: types.RuntimeProvidedal2023, Handler: aws.String("bootstrap"),
		Code: &types.FunctionCode{ZipFile: code}, Timeout: aws.Int32(60), Environment: &types.Environment{Variables: variables},
	})
	if err != nil {
		tb.Fatal(err)
	}
	return client
}

// invoke invokes a function and waits for its answer.
func invoke(tb testing.TB, client *lambda.Client, name, event string) (answer string, failed bool) {
	tb.Helper()
	out, err := client.Invoke(context.Background(), &lambda.InvokeInput{FunctionName: &name, Payload: []byte(event)})
	if err != nil {
		tb.Fatal(err)
	}
	return string(out.Payload), out.FunctionError != nil
}

// lines are those of all objects below a prefix, sorted.
func (l *lab) lines(tb testing.TB, prefix string) (all []string) {
	tb.Helper()
	for key, body := range l.s3.Objects(bucketName, prefix) {
		if bytes.HasPrefix(body, []byte{0x1f, 0x8b}) {
			z, err := gzip.NewReader(bytes.NewReader(body))
			if err != nil {
				tb.Fatalf("%s: %v", key, err)
			}
			if body, err = io.ReadAll(z); err != nil {
				tb.Fatalf("%s: %v", key, err)
			}
		}
		all = append(all, strings.Split(strings.TrimSuffix(string(body), "\n"), "\n")...)
	}
	slices.Sort(all)
	return all
}

func (l *lab) log() string {
	var all []string
	for _, f := range l.lambda.Inspect().([]lablambda.FunctionState) {
		all = append(all, f.Log...)
	}
	return strings.Join(all, "\n")
}

// finding is one that the default pattern matches.
func finding(account, region, id string) string {
	return `{"Id":"` + id + `","ProductArn":"arn:aws:securityhub:us-east-1::product/aws/inspector","AwsAccountId":"` + account + `","Region":"` + region +
		`","ProductFields":{"aws/securityhub/ProductName":"Inspector"}}`
}

// imported is the event in which Security Hub sends it.
func imported(finding string) string {
	return `{"version":"0","id":"e","source":"aws.securityhub","detail-type":"Security Hub Findings - Imported","account":"` + labtest.Administrator +
		`","time":"2026-11-22T10:20:30Z","region":"us-west-2","resources":[],"detail":{"findings":[` + finding + `]}}`
}
