package ways

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsretry "github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	eventtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/firehose"
	firehosetypes "github.com/aws/aws-sdk-go-v2/service/firehose/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"

	"example.org/catchment/internal/batch"
	"example.org/catchment/internal/collector"
	"example.org/catchment/internal/disk"
	"example.org/catchment/internal/document"
	"example.org/catchment/internal/duplicate"
	"example.org/catchment/internal/encode"
	labsqs "example.org/catchment/internal/lab/sqs"
	"example.org/catchment/internal/pipeline"
	"example.org/catchment/internal/source"
	"example.org/catchment/internal/source/push"
	"example.org/catchment/internal/source/sqs"
	"example.org/catchment/internal/store"
	"example.org/catchment/internal/store/s3"
)

// A worker is what catchment run is made of: sources, a journal, and a store in the lab's S3.
type worker struct {
	o         collector.Options
	queues    []string // names
	open      func() []*sqs.Source
	fail      func(http.ResponseWriter) http.ResponseWriter // of a push source, see flaky
	collector *collector.Collector
	sources   []*sqs.Source
	cancel    context.CancelFunc
	ended     chan error
}

// seconds writes a number for an API that wants text.
func seconds(n int32) string { return strconv.Itoa(int(n)) }

// worker makes a worker that stores into a way's bucket. With events its folders are by the events' own times, and its
// clock is the real one; else they are by the arrival in the lab's time.
func (b *builder) worker(v *way, events bool) *worker {
	b.t.Helper()
	b.bucket(v.name)
	v.repeat = false
	stream := pipeline.DefaultStream()
	o := collector.Options{
		Streams: []collector.Stream{{Name: stream.Name, Version: 1, Compression: encode.Gzip, Limits: batch.Limits{Bytes: 64 << 10, Age: 15 * time.Minute}}},
		FS:      new(disk.Mem), Dir: "journal",
		Duplicates: duplicate.Options{Count: 100_000, Age: 24 * time.Hour},
		Now:        b.lab.Cloud.Clock.Now,
	}
	if events {
		stream.Timestamp, o.Now, o.Streams[0].Limits.Age, o.Stays = pipeline.TimestampEvent, nil, 5*time.Millisecond, true
		v.by = byEvent
	}
	compiled, err := pipeline.Compile([]pipeline.Stream{stream})
	b.must(err)
	o.NewRouter = func() collector.Router { return compiled.NewRouter() }
	cfg := b.config(b.regions[0])
	cfg.Retryer = func() aws.Retryer { return awsretry.NewStandard() }
	o.Store = store.Retry(s3.Open(cfg, s3.Options{Bucket: v.name}), store.RetryPolicy{Initial: 10 * time.Millisecond, KeepTrying: true})
	k := &worker{o: o, ended: make(chan error, 1)}
	b.workers = append(b.workers, k)
	b.t.Cleanup(func() {
		if k.cancel != nil {
			k.stop(b.world)
		}
	})
	return k
}

// run starts it, with a time that it has to store what is pending when it is to stop.
func (k *worker) run(w *world, grace time.Duration) {
	w.t.Helper()
	var err error
	k.collector, err = collector.Open(k.o)
	w.must(err)
	k.sources = nil
	if k.open != nil {
		k.sources = k.open()
	}
	var sources []source.Source
	for _, s := range k.sources {
		w.must(s.Check(w.t.Context()))
		sources = append(sources, s)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(w.t.Context()))
	k.cancel = cancel
	go func() { k.ended <- k.collector.Run(ctx, grace, sources...) }()
}

// stop ends it as SIGTERM does, and looks at its account. It gives how many records it has left in the journal.
func (k *worker) stop(w *world) int64 {
	w.t.Helper()
	k.cancel()
	k.cancel = nil
	if err := <-k.ended; err != nil {
		w.t.Error(err)
	}
	s := k.collector.Stats()
	if s.Lost > 0 || s.Received+s.Recovered != s.Stored+s.RejectedTotal()+s.Filtered+s.Duplicate+s.Pending.Records {
		w.t.Errorf("the worker's account does not balance: %+v", s)
	}
	if err := k.collector.Close(); err != nil {
		w.t.Error(err)
	}
	return s.Pending.Records
}

// restart stops it without time for anything, and starts it again on the same journal.
func (k *worker) restart(w *world) {
	w.t.Helper()
	k.stop(w)
	k.run(w, time.Nanosecond)
}

// drain waits until the worker's queues are empty. Messages that it has let go of without having deleted them become
// visible again as the lab's time passes.
func (k *worker) drain(w *world) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	for look := time.NewTicker(2 * time.Millisecond); ; {
		visible, left := k.left(w)
		if left == 0 {
			look.Stop()
			return
		}
		if visible == 0 && !slices.ContainsFunc(k.sources, func(s *sqs.Source) bool { return s.Stats().Held > 0 }) {
			w.must(w.lab.Cloud.Clock.Advance(w.t.Context(), 30*time.Second))
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			for _, s := range k.sources {
				w.t.Logf("%+v", s.Stats())
			}
			w.t.Fatalf("%d messages are left in the queues %v: %+v", left, k.queues, k.collector.Stats())
		}
	}
}

// left counts messages.
func (k *worker) left(w *world) (visible, all int) {
	for _, q := range w.lab.SQS.Inspect().([]labsqs.QueueState) {
		if slices.Contains(k.queues, q.Name) {
			visible += q.Visible
			all += q.Visible + q.InFlight + q.Delayed
		}
	}
	return visible, all
}

// queue makes a queue that takes what a rule of the same name sends, and gives its URL and ARN.
func (b *builder) queue(region, name string) (url, arn string) {
	b.t.Helper()
	arn = b.arn("sqs", region, b.administrator, name)
	out, err := awssqs.NewFromConfig(b.config(region)).CreateQueue(b.t.Context(), &awssqs.CreateQueueInput{
		QueueName: aws.String(name), Attributes: map[string]string{"Policy": policy(
			`{"Effect":"Allow","Principal":{"Service":"events.amazonaws.com"},"Action":"sqs:SendMessage","Resource":"` + arn + `",` +
				`"Condition":{"ArnEquals":{"aws:SourceArn":"` + b.arn("events", region, b.administrator, "rule/"+name) + `"}}}`)},
	})
	b.must(err)
	return aws.ToString(out.QueueUrl), arn
}

// queueToCollector is rule → SQS → catchment run. The worker of the second half of the seeds acknowledges only what is in
// the bucket.
func (b *builder) queueToCollector(v *way) {
	b.t.Helper()
	stored := b.seed%2 == 0
	k := b.worker(v, stored)
	if !stored {
		v.late = b.step + 10*time.Minute // drain moves the clock
	}
	k.queues = []string{v.name}
	var queues []sqs.Queue
	for _, region := range b.regions {
		url, arn := b.queue(region, v.name)
		b.rule(region, v.name, pipeline.DefaultPattern, eventtypes.Target{Arn: aws.String(arn)})
		cfg := b.config(region)
		cfg.Retryer = func() aws.Retryer { return awsretry.NewStandard() }
		queues = append(queues, sqs.Open(cfg, url))
	}
	k.open = func() (sources []*sqs.Source) {
		for _, q := range queues {
			sources = append(sources, sqs.New(sqs.Options{Queue: q, Stored: stored, Receivers: 2}))
		}
		return sources
	}
	k.run(b.world, time.Minute)
}

const accessKey = "a-key-of-more-than-16-characters"

// listen makes a push source that hands over to a worker, and gives its address.
func (b *builder) listen(k *worker) string {
	b.t.Helper()
	keys := filepath.Join(b.t.TempDir(), "keys")
	b.must(os.WriteFile(keys, []byte(accessKey+"\n"), 0o600))
	from, err := push.New(push.Options{KeysFile: keys})
	b.must(err)
	handler := from.Handler(func(ctx context.Context, docs []document.Document) error { return k.collector.Deliver(ctx, docs) })
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if k.fail != nil {
			if rw = k.fail(rw); rw == nil {
				return
			}
		}
		handler.ServeHTTP(rw, r)
	}))
	b.t.Cleanup(server.Close)
	return server.URL
}

// pushToCollector is rule → API destination → catchment run.
func (b *builder) pushToCollector(v *way) {
	b.t.Helper()
	k := b.worker(v, false)
	url := b.listen(k)
	for _, region := range b.regions {
		client := eventbridge.NewFromConfig(b.config(region))
		con, err := client.CreateConnection(b.t.Context(), &eventbridge.CreateConnectionInput{
			Name: aws.String(v.name), AuthorizationType: eventtypes.ConnectionAuthorizationTypeApiKey,
			AuthParameters: &eventtypes.CreateConnectionAuthRequestParameters{ApiKeyAuthParameters: &eventtypes.CreateConnectionApiKeyAuthRequestParameters{
				ApiKeyName: aws.String("X-Api-Key"), ApiKeyValue: aws.String(accessKey),
			}},
		})
		b.must(err)
		to, err := client.CreateApiDestination(b.t.Context(), &eventbridge.CreateApiDestinationInput{
			Name: aws.String(v.name), ConnectionArn: con.ConnectionArn, HttpMethod: eventtypes.ApiDestinationHttpMethodPost,
			InvocationEndpoint: aws.String(url + push.PathEvents),
		})
		b.must(err)
		b.rule(region, v.name, pipeline.DefaultPattern, eventtypes.Target{Arn: to.ApiDestinationArn, RoleArn: aws.String(b.eventsRole)})
	}
	k.run(b.world, time.Minute)
}

// endpointToCollector is rule → Firehose → its HTTP endpoint destination → catchment run.
func (b *builder) endpointToCollector(v *way) {
	b.t.Helper()
	k := b.worker(v, false)
	v.late = time.Duration(b.interval) * time.Second
	url := b.listen(k)
	for _, region := range b.regions {
		_, err := firehose.NewFromConfig(b.config(region)).CreateDeliveryStream(b.t.Context(), &firehose.CreateDeliveryStreamInput{
			DeliveryStreamName: aws.String(v.name), DeliveryStreamType: firehosetypes.DeliveryStreamTypeDirectPut,
			HttpEndpointDestinationConfiguration: &firehosetypes.HttpEndpointDestinationConfiguration{
				EndpointConfiguration: &firehosetypes.HttpEndpointConfiguration{Url: aws.String(url + push.PathFirehose), AccessKey: aws.String(accessKey)},
				BufferingHints:        &firehosetypes.HttpEndpointBufferingHints{SizeInMBs: aws.Int32(1), IntervalInSeconds: aws.Int32(b.interval)},
				RequestConfiguration:  &firehosetypes.HttpEndpointRequestConfiguration{ContentEncoding: firehosetypes.ContentEncodingGzip},
				RetryOptions:          &firehosetypes.HttpEndpointRetryOptions{DurationInSeconds: aws.Int32(7200)},
				RoleARN:               aws.String(b.firehoseRole),
				S3Configuration: &firehosetypes.S3DestinationConfiguration{
					BucketARN: aws.String(b.arn("s3", "", "", v.name)), RoleARN: aws.String(b.firehoseRole), Prefix: aws.String("errors/endpoint/"),
					ErrorOutputPrefix: aws.String(pipeline.DefaultErrorPrefix), CompressionFormat: firehosetypes.CompressionFormatGzip,
				},
			},
		})
		b.must(err)
		b.rule(region, v.name, pipeline.DefaultPattern, eventtypes.Target{
			Arn: aws.String(b.arn("firehose", region, b.administrator, "deliverystream/"+v.name)), RoleArn: aws.String(b.eventsRole),
		})
	}
	k.run(b.world, time.Minute)
}

// queueToLambda is rule → SQS → Lambda → S3.
func (b *builder) queueToLambda(v *way) {
	b.t.Helper()
	b.makeFunction()
	for _, region := range b.regions {
		_, arn := b.queue(region, v.name)
		b.rule(region, v.name, pipeline.DefaultPattern, eventtypes.Target{Arn: aws.String(arn)})
		_, err := lambda.NewFromConfig(b.config(region)).CreateEventSourceMapping(b.t.Context(), &lambda.CreateEventSourceMappingInput{
			FunctionName: aws.String(functionName), EventSourceArn: aws.String(arn), BatchSize: aws.Int32(10),
			FunctionResponseTypes: []lambdatypes.FunctionResponseType{lambdatypes.FunctionResponseTypeReportBatchItemFailures},
		})
		b.must(err)
	}
}
