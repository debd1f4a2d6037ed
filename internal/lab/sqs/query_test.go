package sqs_test

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"example.org/catchment/internal/lab/labtest"
)

// query sends a form to a path, as clients did before SQS spoke JSON: boto3 up to 1.28, AWS CLI up to 2.13.
func (l *lab) query(path, form string) (status int, body string) {
	l.t.Helper()
	r, err := http.NewRequestWithContext(l.t.Context(), http.MethodPost, l.server.URL+path, strings.NewReader(form+"&Version=2012-11-05"))
	if err != nil {
		l.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	config := l.server.Config(labtest.Administrator, labtest.Region)
	credentials, err := config.Credentials.Retrieve(l.t.Context())
	if err != nil {
		l.t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(form + "&Version=2012-11-05"))
	if err := v4.NewSigner().SignHTTP(l.t.Context(), credentials, r, hex.EncodeToString(sum[:]), "sqs", labtest.Region, time.Now()); err != nil {
		l.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		l.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		l.t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// between is what stands between two texts.
func between(s, from, to string) string {
	_, s, _ = strings.Cut(s, from)
	s, _, _ = strings.Cut(s, to)
	return s
}

func TestQueryProtocol(t *testing.T) {
	l := newLab(t)
	want := func(path, form string, status int, parts ...string) string {
		t.Helper()
		got, body := l.query(path, form)
		if got != status {
			t.Errorf("%s: status %d, want %d: %s", form, got, status, body)
		}
		for _, p := range parts {
			if !strings.Contains(body, p) {
				t.Errorf("%s: %s is not in %s", form, p, body)
			}
		}
		return body
	}
	address := l.server.URL + "/111111111111/a"
	escaped := url.QueryEscape(address)
	want("/", "Action=CreateQueue&QueueName=a&Attribute.1.Name=DelaySeconds&Attribute.1.Value=0&Attribute.2.Name=VisibilityTimeout&Attribute.2.Value=5&Tag.1.Key=k&Tag.1.Value=v",
		200, `<CreateQueueResponse xmlns="http://queue.amazonaws.com/doc/2012-11-05/"><CreateQueueResult><QueueUrl>`+address+"</QueueUrl>")
	want("/", "Action=GetQueueUrl&QueueName=a", 200, "<QueueUrl>"+address+"</QueueUrl>")
	want("/", "Action=ListQueues", 200, "<ListQueuesResult><QueueUrl>"+address+"</QueueUrl></ListQueuesResult>")
	want("/", "Action=ListQueueTags&QueueUrl="+escaped, 200, "<Tag><Key>k</Key><Value>v</Value></Tag>")
	// The old clients send to the queue's own address, some without QueueUrl.
	want("/111111111111/a", "Action=GetQueueAttributes&AttributeName.1=VisibilityTimeout", 200,
		"<GetQueueAttributesResult><Attribute><Name>VisibilityTimeout</Name><Value>5</Value></Attribute></GetQueueAttributesResult>")
	want("/111111111111/a", "Action=SendMessage&MessageBody=%3Ca%3E%26%0A&MessageAttribute.1.Name=n&MessageAttribute.1.Value.DataType=Number&MessageAttribute.1.Value.StringValue=1",
		200, "<MD5OfMessageBody>", "<MD5OfMessageAttributes>", "<MessageId>")
	body := want("/111111111111/a", "Action=ReceiveMessage&QueueUrl="+escaped+"&AttributeName.1=All&MessageAttributeName.1=All&MaxNumberOfMessages=10&WaitTimeSeconds=0", 200,
		"<Body>&lt;a&gt;&amp;&#xA;</Body>", "<Attribute><Name>ApproximateReceiveCount</Name><Value>1</Value></Attribute>",
		"<MessageAttribute><Name>n</Name><Value><StringValue>1</StringValue><DataType>Number</DataType></Value></MessageAttribute>")
	handle := url.QueryEscape(between(body, "<ReceiptHandle>", "</ReceiptHandle>"))
	want("/111111111111/a", "Action=ChangeMessageVisibility&VisibilityTimeout=9&ReceiptHandle="+handle, 200)
	want("/111111111111/a", "Action=DeleteMessageBatch&DeleteMessageBatchRequestEntry.1.Id=1&DeleteMessageBatchRequestEntry.1.ReceiptHandle="+handle, 200,
		"<DeleteMessageBatchResultEntry><Id>1</Id></DeleteMessageBatchResultEntry>")
	want("/111111111111/a", "Action=SendMessageBatch&SendMessageBatchRequestEntry.1.Id=x&SendMessageBatchRequestEntry.1.MessageBody=b&SendMessageBatchRequestEntry.2.Id=y&SendMessageBatchRequestEntry.2.MessageBody=", 200,
		"<SendMessageBatchResultEntry><Id>x</Id><MessageId>", "<BatchResultErrorEntry><Id>y</Id><SenderFault>true</SenderFault><Code>MissingParameter</Code>")
	want("/", "Action=ReceiveMessage&QueueUrl="+escaped+"x", 400, "<Type>Sender</Type><Code>AWS.SimpleQueueService.NonExistentQueue</Code>")
	want("/111111111111/a", "Action=SendMessageBatch", 400, "<Code>AWS.SimpleQueueService.EmptyBatchRequest</Code>")
	want("/", "Action=CreateQueue&QueueName=a&Attribute.1.Name=VisibilityTimeout&Attribute.1.Value=6", 400, "<Code>QueueAlreadyExists</Code>")
	want("/", "Action=Fly", 400, "<Code>InvalidAction</Code>")
	want("/111111111111/a", "Action=PurgeQueue", 200)
	want("/111111111111/a", "Action=PurgeQueue", 403, "<Code>AWS.SimpleQueueService.PurgeQueueInProgress</Code>")
	want("/111111111111/a", "Action=DeleteQueue", 200, "<DeleteQueueResponse")
	want("/", "Action=SendMessage&MessageBody=x", 400, "<Code>MissingParameter</Code>")
}

// The code that clients of the JSON protocol know from before is in a header; the shape is in the body.
func TestErrorsInJSON(t *testing.T) {
	l := newLab(t)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, l.server.URL, strings.NewReader(`{"QueueUrl":"http://x/111111111111/none"}`))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-amz-json-1.0")
	r.Header.Set("X-Amz-Target", "AmazonSQS.ReceiveMessage")
	credentials, err := l.server.Config(labtest.Administrator, labtest.Region).Credentials.Retrieve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(`{"QueueUrl":"http://x/111111111111/none"}`))
	if err := v4.NewSigner().SignHTTP(t.Context(), credentials, r, hex.EncodeToString(sum[:]), "sqs", labtest.Region, time.Now()); err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	want := `{"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"The specified queue does not exist."}`
	if got := resp.Header.Get("X-Amzn-Query-Error"); string(b) != want || got != "AWS.SimpleQueueService.NonExistentQueue;Sender" || resp.StatusCode != http.StatusBadRequest ||
		resp.Header.Get("Content-Type") != "application/x-amz-json-1.0" {
		t.Errorf("status %d, header %q, body %s", resp.StatusCode, got, b)
	}
}
