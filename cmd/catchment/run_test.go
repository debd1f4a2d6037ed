package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/rogpeppe/go-internal/testscript"

	"example.org/catchment/internal/source/push"
)

// scriptCommands are what scripts can do beside running programs.
var scriptCommands = map[string]func(ts *testscript.TestScript, neg bool, args []string){
	// waitfor FILE waits until another process has written it.
	"waitfor": func(ts *testscript.TestScript, _ bool, args []string) {
		if err := waitForFile(context.Background(), ts.MkAbs(args[0])); err != nil {
			ts.Fatalf("waitfor %s: %v", args[0], err)
		}
	},
	// ask-lab READY-FILE METHOD QUESTION [BODY] asks the lab that has written READY-FILE.
	"ask-lab": func(ts *testscript.TestScript, neg bool, args []string) {
		var ready labReady
		ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &ready))
		body := ""
		if len(args) > 3 {
			body = args[3]
		}
		r, err := http.NewRequestWithContext(context.Background(), args[1], ready.URL+"/_lab/"+args[2], strings.NewReader(body))
		ts.Check(err)
		r.Header.Set("Content-Type", "application/json")
		answer, err := http.DefaultClient.Do(r)
		ts.Check(err)
		defer answer.Body.Close()
		_, err = io.Copy(ts.Stdout(), answer.Body)
		ts.Check(err)
		if (answer.StatusCode != http.StatusOK) != neg {
			ts.Fatalf("ask-lab: answered %s", answer.Status)
		}
	},
	// lab-environment READY-FILE makes the programs that follow talk to the lab, as its administrator.
	"lab-environment": func(ts *testscript.TestScript, _ bool, args []string) {
		for name, value := range labEnvironment(ts, args[0]) {
			ts.Setenv(name, value)
		}
	},
	// make-queue READY-FILE NAME makes a queue in the lab; its URL is in $NAME then.
	"make-queue": func(ts *testscript.TestScript, _ bool, args []string) {
		out, err := labQueues(ts, args[0]).CreateQueue(context.Background(), &sqs.CreateQueueInput{QueueName: aws.String(args[1])})
		ts.Check(err)
		ts.Setenv(args[1], aws.ToString(out.QueueUrl))
	},
	// send READY-FILE URL FILE sends a file to a queue.
	"send": func(ts *testscript.TestScript, _ bool, args []string) {
		_, err := labQueues(ts, args[0]).SendMessage(context.Background(), &sqs.SendMessageInput{
			QueueUrl: aws.String(args[1]), MessageBody: aws.String(ts.ReadFile(args[2])),
		})
		ts.Check(err)
	},
	// make-topic READY-FILE NAME makes an SNS topic in the lab; its ARN is in $NAME then.
	"make-topic": func(ts *testscript.TestScript, _ bool, args []string) {
		out, err := sns.NewFromConfig(labConfig(ts, args[0])).CreateTopic(context.Background(), &sns.CreateTopicInput{Name: aws.String(args[1])})
		ts.Check(err)
		ts.Setenv(args[1], aws.ToString(out.TopicArn))
	},
	// subscribe READY-FILE TOPIC COLLECTOR-FILE subscribes the collector that has written COLLECTOR-FILE, and waits until it
	// has confirmed that.
	"subscribe": func(ts *testscript.TestScript, _ bool, args []string) {
		client := sns.NewFromConfig(labConfig(ts, args[0]))
		var where listening
		ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[2])), &where))
		to := strings.TrimSuffix(where.Events[0], push.PathEvents) + push.PathSNS
		_, err := client.Subscribe(context.Background(), &sns.SubscribeInput{TopicArn: aws.String(args[1]), Protocol: aws.String("http"), Endpoint: aws.String(to)})
		ts.Check(err)
		ts.Check(poll(context.Background(), func(ctx context.Context) (bool, error) {
			out, err := client.GetTopicAttributes(ctx, &sns.GetTopicAttributesInput{TopicArn: aws.String(args[1])})
			return err == nil && out.Attributes["SubscriptionsConfirmed"] == "1", err
		}))
	},
	// publish READY-FILE TOPIC FILE publishes a file.
	"publish": func(ts *testscript.TestScript, _ bool, args []string) {
		_, err := sns.NewFromConfig(labConfig(ts, args[0])).Publish(context.Background(), &sns.PublishInput{
			TopicArn: aws.String(args[1]), Message: aws.String(ts.ReadFile(args[2])),
		})
		ts.Check(err)
	},
	// drained READY-FILE URL waits until nothing is in a queue.
	"drained": func(ts *testscript.TestScript, _ bool, args []string) {
		ts.Check(waitUntilDrained(context.Background(), labQueues(ts, args[0]), args[1]))
	},
	// pending READY-FILE waits until the collector that has written READY-FILE has a record pending.
	"pending": func(ts *testscript.TestScript, _ bool, args []string) {
		var where listening
		ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &where))
		ts.Check(poll(context.Background(), func(ctx context.Context) (bool, error) {
			state, err := fetchState(ctx, where.Metrics)
			return err == nil && state.Pending.Records > 0, err
		}))
	},
	// hurry READY-FILE moves the clock of the frozen lab that has written READY-FILE, until the script ends.
	"hurry": func(ts *testscript.TestScript, _ bool, args []string) {
		var ready labReady
		ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &ready))
		ctx, stop := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() {
			defer close(done)
			hurry(ctx, ready.URL)
		}()
		ts.Defer(func() { stop(); <-done })
	},
	// account READY-FILE ROLE makes the following programs the first account of that role: management, administrator, member.
	"account": func(ts *testscript.TestScript, _ bool, args []string) {
		var ready labReady
		ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &ready))
		for _, a := range ready.Accounts {
			if a.Role == args[1] {
				for name, value := range map[string]string{
					"AWS_ENDPOINT_URL": ready.URL, "AWS_ACCESS_KEY_ID": a.AccessKeyID, "AWS_SECRET_ACCESS_KEY": a.SecretAccessKey,
					"AWS_EC2_METADATA_DISABLED": "true", "AWS_REGION": ready.Regions[0], strings.ToUpper(args[1]): a.ID,
				} {
					ts.Setenv(name, value)
				}
				return
			}
		}
		ts.Fatalf("account: the lab has no %s", args[1])
	},
	// envsubst FROM TO puts the values of $NAMES into a file.
	"envsubst": func(ts *testscript.TestScript, _ bool, args []string) {
		text := os.Expand(ts.ReadFile(args[0]), ts.Getenv)
		ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(text), 0o600))
	},
	// post READY-FILE FILE sends a file to the collector that has written READY-FILE.
	"post": func(ts *testscript.TestScript, neg bool, args []string) {
		var where listening
		ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &where))
		answer, err := http.Post(where.Events[0], "application/json", bytes.NewReader([]byte(ts.ReadFile(args[1]))))
		ts.Check(err)
		defer answer.Body.Close()
		_, err = io.Copy(ts.Stdout(), answer.Body)
		ts.Check(err)
		if (answer.StatusCode != http.StatusOK) != neg {
			ts.Fatalf("post: answered %s", answer.Status)
		}
	},
}

// labEnvironment is what the lab that has written a file says to export.
func labEnvironment(ts *testscript.TestScript, file string) map[string]string {
	var ready labReady
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(file)), &ready))
	r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, ready.URL+"/_lab/environment", nil)
	ts.Check(err)
	answer, err := new(http.Client).Do(r)
	ts.Check(err)
	defer answer.Body.Close()
	out := map[string]string{}
	ts.Check(json.NewDecoder(answer.Body).Decode(&out))
	return out
}

func labConfig(ts *testscript.TestScript, file string) aws.Config {
	e := labEnvironment(ts, file)
	return aws.Config{
		Region: e["AWS_REGION"], BaseEndpoint: aws.String(e["AWS_ENDPOINT_URL"]),
		Credentials: credentials.NewStaticCredentialsProvider(e["AWS_ACCESS_KEY_ID"], e["AWS_SECRET_ACCESS_KEY"], ""),
	}
}

func labQueues(ts *testscript.TestScript, file string) *sqs.Client {
	return sqs.NewFromConfig(labConfig(ts, file))
}

// waitUntilDrained waits until a queue has no messages, whether they are visible or not.
func waitUntilDrained(ctx context.Context, client *sqs.Client, url string) error {
	return poll(ctx, func(ctx context.Context) (bool, error) {
		out, err := client.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: aws.String(url), AttributeNames: []types.QueueAttributeName{
			types.QueueAttributeNameApproximateNumberOfMessages, types.QueueAttributeNameApproximateNumberOfMessagesNotVisible,
		}})
		if err != nil {
			return false, fmt.Errorf("wait until %s is drained: %w", url, err)
		}
		for _, n := range out.Attributes {
			if n != "0" {
				return false, nil
			}
		}
		return true, nil
	})
}

// hurry moves a lab's clock by a second, again and again.
func hurry(ctx context.Context, url string) {
	for ctx.Err() == nil {
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/_lab/clock", strings.NewReader(`{"advance":"1s"}`))
		if err != nil {
			return
		}
		r.Header.Set("Content-Type", "application/json")
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			return // the lab has ended
		}
		_, _ = io.Copy(io.Discard, answer.Body)
		answer.Body.Close()
		select {
		case <-ctx.Done():
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// waitForFile waits for what another process is to write.
func waitForFile(ctx context.Context, name string) error {
	return poll(ctx, func(context.Context) (bool, error) {
		_, err := os.Stat(name)
		return err == nil, nil
	})
}

// poll asks until the answer is yes: there is nothing to be told by.
func poll(ctx context.Context, ask func(context.Context) (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		if yes, err := ask(ctx); yes || err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
