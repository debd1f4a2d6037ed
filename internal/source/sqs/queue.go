package sqs

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"
)

// waitSeconds is SQS's most for one long poll.
const waitSeconds = 20

// maxBatch is SQS's most of messages in one call.
const maxBatch = 10

type queue struct {
	client *sqs.Client
	url    string
}

// Open gives the queue at a URL. Nothing is asked yet. It takes the permissions sqs:ReceiveMessage, sqs:DeleteMessage
// and sqs:ChangeMessageVisibility.
func Open(cfg aws.Config, url string) Queue { return &queue{sqs.NewFromConfig(cfg), url} }

// Receive is Queue.
func (q *queue) Receive(ctx context.Context, visibility time.Duration) ([]Message, error) {
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
	return int32(min(max(d, 0), 12*time.Hour) / time.Second) //nolint:gosec // at most 43,200
}

// classify tells what will not get better by itself from the rest.
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/CommonErrors.html
func (q *queue) classify(doing string, err error) error {
	err = fmt.Errorf("%s %s: %w", doing, q.url, err)
	var api smithy.APIError
	if errors.As(err, &api) {
		switch api.ErrorCode() {
		case "AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist", "AccessDenied", "AccessDeniedException", "InvalidAddress",
			"InvalidClientTokenId", "UnrecognizedClientException", "SignatureDoesNotMatch", "InvalidSignatureException":
			return errors.Join(ErrNoQueue, err)
		}
	}
	return err
}

// Delete is Queue.
func (q *queue) Delete(ctx context.Context, messages []Message) error {
	var entries []types.DeleteMessageBatchRequestEntry
	for i, m := range messages {
		entries = append(entries, types.DeleteMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), ReceiptHandle: aws.String(m.Receipt)})
	}
	out, err := q.client.DeleteMessageBatch(ctx, &sqs.DeleteMessageBatchInput{QueueUrl: aws.String(q.url), Entries: entries})
	if err != nil {
		return q.classify("delete from", err)
	}
	return q.failures("delete from", out.Failed)
}

// Extend is Queue.
func (q *queue) Extend(ctx context.Context, messages []Message, visibility time.Duration) error {
	var entries []types.ChangeMessageVisibilityBatchRequestEntry
	for i, m := range messages {
		entries = append(entries, types.ChangeMessageVisibilityBatchRequestEntry{
			Id: aws.String(strconv.Itoa(i)), ReceiptHandle: aws.String(m.Receipt), VisibilityTimeout: seconds(visibility),
		})
	}
	out, err := q.client.ChangeMessageVisibilityBatch(ctx, &sqs.ChangeMessageVisibilityBatchInput{QueueUrl: aws.String(q.url), Entries: entries})
	if err != nil {
		return q.classify("hold messages of", err)
	}
	return q.failures("hold messages of", out.Failed)
}

// failures tells of what failed in a batch. A receipt that is too old is none: the message is another worker's then.
func (q *queue) failures(doing string, failed []types.BatchResultErrorEntry) error {
	for _, f := range failed {
		if code := aws.ToString(f.Code); code != "ReceiptHandleIsInvalid" && code != "MessageNotInflight" && code != "InvalidParameterValue" {
			return fmt.Errorf("%s %s: %d messages: %s: %s", doing, q.url, len(failed), code, aws.ToString(f.Message))
		}
	}
	return nil
}
