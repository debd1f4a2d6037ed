package sqs

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"
)

// Bounds of one call, attempts of the SDK included: a connection that says nothing must not hold messages for ever.
const (
	waitSeconds = 20 // SQS's most for one long poll
	receiveTime = (waitSeconds + 25) * time.Second
	callTime    = 30 * time.Second
)

type queue struct {
	client *sqs.Client
	url    string
}

var awsHost = regexp.MustCompile(`(?i)(?:^|\.)(?:amazonaws\.(?:com|com\.cn|eu)|api\.aws)$`)

// Open gives the queue at a URL. Nothing is asked yet. It takes the permissions sqs:ReceiveMessage, sqs:DeleteMessage
// and sqs:ChangeMessageVisibility, and kms:Decrypt where the queue has a key of its own. Where cfg names no endpoint,
// and the URL is not one of AWS's public ones, the queue is asked at its own host: a VPC endpoint, or another
// implementation of SQS.
func Open(cfg aws.Config, at string) Queue {
	client := sqs.NewFromConfig(cfg, func(o *sqs.Options) {
		u, err := url.Parse(at)
		if err != nil || o.BaseEndpoint != nil {
			return
		}
		if host := u.Hostname(); !awsHost.MatchString(host) || vpcEndpoint.MatchString(host) {
			o.BaseEndpoint = aws.String(u.Scheme + "://" + u.Host)
		}
	})
	return &queue{client, at}
}

var vpcEndpoint = regexp.MustCompile(`(?i)\.vpce\.`)

// Check is Queue. SQS looks at permissions before it looks at the receipt, which is none.
func (q *queue) Check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	const none = "none"
	_, err := q.client.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: aws.String(q.url), ReceiptHandle: aws.String(none)})
	if err := q.unlessReceipt("delete from", err); err != nil {
		return err
	}
	_, err = q.client.ChangeMessageVisibility(ctx, &sqs.ChangeMessageVisibilityInput{
		QueueUrl: aws.String(q.url), ReceiptHandle: aws.String(none), VisibilityTimeout: 0,
	})
	return q.unlessReceipt("hold messages of", err)
}

// unlessReceipt is the error of a call, unless it is about the receipt.
func (q *queue) unlessReceipt(doing string, err error) error {
	if err == nil || gone(codeOf(err)) {
		return nil
	}
	return q.classify(doing, err)
}

// Receive is Queue.
func (q *queue) Receive(ctx context.Context, visibility time.Duration) ([]Message, error) {
	ctx, cancel := context.WithTimeout(ctx, receiveTime)
	defer cancel()
	out, err := q.client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
		QueueUrl: aws.String(q.url), MaxNumberOfMessages: maxBatch, WaitTimeSeconds: waitSeconds, VisibilityTimeout: seconds(visibility),
	})
	if err != nil {
		return nil, q.classify("receive from", err)
	}
	messages := make([]Message, len(out.Messages))
	for i, m := range out.Messages {
		messages[i] = Message{aws.ToString(m.MessageId), aws.ToString(m.ReceiptHandle), []byte(aws.ToString(m.Body))}
	}
	return messages, nil
}

func seconds(d time.Duration) int32 {
	return int32(min(max(d, 0), 12*time.Hour) / time.Second)
}

func codeOf(err error) string {
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		return api.ErrorCode()
	}
	return ""
}

// classify tells what will not get better by itself from the rest.
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/CommonErrors.html
func (q *queue) classify(doing string, err error) error {
	code := codeOf(err)
	err = fmt.Errorf("%s %s: %w", doing, q.url, err)
	switch code {
	case "AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist", "InvalidAddress", "UnsupportedOperation",
		"AWS.SimpleQueueService.UnsupportedOperation", "AccessDenied", "AccessDeniedException", "InvalidClientTokenId",
		"UnrecognizedClientException", "SignatureDoesNotMatch", "InvalidSignatureException", "InvalidSecurity",
		"KmsAccessDenied", "KmsDisabled", "KmsNotFound", "KMS.AccessDeniedException", "KMS.DisabledException", "KMS.NotFoundException":
		return fmt.Errorf("%w: %w", ErrNoQueue, err)
	}
	return err
}

// gone tells whether a code says that a receipt does not count any more. A FIFO queue says so with InvalidParameterValue.
func gone(code string) bool {
	switch code {
	case "ReceiptHandleIsInvalid", "MessageNotInflight", "AWS.SimpleQueueService.MessageNotInflight", "InvalidParameterValue",
		"InvalidParameterValueException":
		return true
	}
	return false
}

// Delete is Queue.
func (q *queue) Delete(ctx context.Context, messages []Message) []error {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	var entries []types.DeleteMessageBatchRequestEntry
	for i, m := range messages {
		entries = append(entries, types.DeleteMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), ReceiptHandle: aws.String(m.Receipt)})
	}
	out, err := q.client.DeleteMessageBatch(ctx, &sqs.DeleteMessageBatchInput{QueueUrl: aws.String(q.url), Entries: entries})
	if err != nil {
		return all(len(messages), q.classify("delete from", err))
	}
	return q.answers("delete from", len(messages), out.Failed)
}

// Extend is Queue.
func (q *queue) Extend(ctx context.Context, messages []Message, visibility time.Duration) []error {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	var entries []types.ChangeMessageVisibilityBatchRequestEntry
	for i, m := range messages {
		entries = append(entries, types.ChangeMessageVisibilityBatchRequestEntry{
			Id: aws.String(strconv.Itoa(i)), ReceiptHandle: aws.String(m.Receipt), VisibilityTimeout: seconds(visibility),
		})
	}
	out, err := q.client.ChangeMessageVisibilityBatch(ctx, &sqs.ChangeMessageVisibilityBatchInput{QueueUrl: aws.String(q.url), Entries: entries})
	if err != nil {
		return all(len(messages), q.classify("hold messages of", err))
	}
	return q.answers("hold messages of", len(messages), out.Failed)
}

func all(n int, err error) []error {
	out := make([]error, n)
	for i := range out {
		out[i] = err
	}
	return out
}

// answers are what a batch says of each message: it names those that failed.
func (q *queue) answers(doing string, n int, failed []types.BatchResultErrorEntry) []error {
	out := make([]error, n)
	for _, f := range failed {
		i, err := strconv.Atoi(aws.ToString(f.Id))
		if err != nil || i < 0 || i >= n {
			continue
		}
		code := aws.ToString(f.Code)
		out[i] = fmt.Errorf("%s %s: %s: %s", doing, q.url, code, aws.ToString(f.Message))
		if gone(code) {
			out[i] = fmt.Errorf("%w: %w", ErrGone, out[i])
		}
	}
	return out
}
