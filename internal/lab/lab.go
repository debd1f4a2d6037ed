// Package lab is AWS in this process: an organisation of accounts and regions, served at one address.
//
// It speaks AWS's own protocols, so that the official SDKs, the AWS CLI and catchment itself work against it unchanged:
// AWS_ENDPOINT_URL points them to it, and the access key says which account they are. What it holds is in memory; what
// happens in it follows from the seed and from what is asked of it. doc/lab.md lists the services and where they differ
// from AWS.
//
//	SDK, CLI ──HTTP──▶ wire ──▶ the services:  securityhub inspector inspector2 events firehose lambda sns sqs s3 iam …
//	                                │   ▲
//	                       Deliver, │   │ Receive        each hop: does the target exist, is it permitted, does it go wrong
//	                       Emit     ▼   │
//	                             cloud (accounts, clock, faults, permissions)
package lab

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"example.org/catchment/internal/lab/account"
	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/cloudformation"
	"example.org/catchment/internal/lab/events"
	"example.org/catchment/internal/lab/firehose"
	"example.org/catchment/internal/lab/iam"
	"example.org/catchment/internal/lab/inspector"
	"example.org/catchment/internal/lab/inspector2"
	"example.org/catchment/internal/lab/kept"
	"example.org/catchment/internal/lab/kms"
	"example.org/catchment/internal/lab/lambda"
	"example.org/catchment/internal/lab/organizations"
	"example.org/catchment/internal/lab/population"
	"example.org/catchment/internal/lab/s3"
	"example.org/catchment/internal/lab/securityhub"
	"example.org/catchment/internal/lab/sns"
	"example.org/catchment/internal/lab/sqs"
	"example.org/catchment/internal/lab/sts"
	"example.org/catchment/internal/lab/wire"
)

// Options of a Lab. Zero fields mean what their comments say.
type Options struct {
	cloud.Options

	Population population.Options
	// Standalone accounts are in no organisation: Security Hub's members have to be invited, as in the article.
	Standalone bool
	// Life makes hosts come and go and findings with them as time passes; else there is only what is asked for.
	Life bool
}

// A Lab is AWS in this process.
type Lab struct {
	Cloud      *cloud.Cloud
	Population *population.Population

	S3          *s3.Service
	SecurityHub *securityhub.Service
	Inspector   *inspector.Service
	Inspector2  *inspector2.Service
	Events      *events.Service
	Firehose    *firehose.Service
	Lambda      *lambda.Service
	SQS         *sqs.Service
	SNS         *sns.Service
	IAM         *iam.Service

	options    Options
	org        population.Org
	server     *wire.Server
	inspectors map[string]func() any
	operations map[string][]string
}

// A service is what all of the lab's services are.
type service interface {
	Wire() *wire.Service
	Inspect() any
}

// New makes a lab with its accounts. Its clock stands still until Serve.
func New(o Options) (*Lab, error) {
	l := &Lab{options: o, Cloud: cloud.New(o.Options), inspectors: make(map[string]func() any), operations: make(map[string][]string)}
	c := l.Cloud
	l.S3, l.SecurityHub, l.Inspector, l.Inspector2 = s3.New(c), securityhub.New(c), inspector.New(c), inspector2.New(c)
	l.Events, l.Firehose, l.Lambda, l.SQS, l.SNS, l.IAM = events.New(c), firehose.New(c), lambda.New(c), sqs.New(c), sns.New(c), iam.New(c)
	c.Access = l.IAM
	l.Lambda.Code = l.code
	orgs := organizations.New(c)
	var on []*wire.Service
	all := []service{
		account.New(c), cloudformation.New(c), l.Events, l.Firehose, l.IAM, l.Inspector, l.Inspector2, kms.New(c), l.Lambda, orgs, l.S3, l.SecurityHub, l.SNS,
		l.SQS, sts.New(c),
	}
	for _, s := range kept.All(c) {
		all = append(all, s)
	}
	for _, s := range all {
		w := s.Wire()
		on = append(on, w)
		l.inspectors[w.Name] = s.Inspect
		l.operations[w.Name] = slices.Sorted(slices.Values(slices.AppendSeq(slices.Clone(w.Names), maps.Keys(w.Operations))))
	}
	l.server = wire.NewServer(c, on...)
	if err := l.populate(orgs); err != nil {
		return nil, err
	}
	return l, nil
}

// code reads a function's code from the lab's S3, as whoever makes the function.
func (l *Lab) code(_ context.Context, who cloud.Identity, bucket, key string) ([]byte, error) {
	arn := cloud.ARN{Partition: l.Cloud.Partition, Service: "s3", Resource: bucket + "/" + key}.String()
	resource, err := l.S3.Resource(arn)
	if err != nil {
		return nil, fmt.Errorf("s3://%s/%s: %w", bucket, key, err)
	}
	err = l.Cloud.Authorize(cloud.Access{Who: who, Action: "s3:GetObject", Resource: arn, Owner: resource.Owner, Policy: resource.Policy})
	if err != nil {
		return nil, err
	}
	for name, body := range l.S3.Objects(bucket, key) {
		if name == key {
			return body, nil
		}
	}
	return nil, fmt.Errorf("s3://%s/%s: %w", bucket, key, errMissing)
}

// Handler answers requests to AWS, and those to the lab itself.
func (l *Lab) Handler() http.Handler {
	control, certificate := l.control(), l.SNS.CertificateHandler()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasPrefix(r.URL.Path, controlPath):
			control.ServeHTTP(w, r)
		case strings.HasPrefix(r.URL.Path, "/SimpleNotificationService-") && strings.HasSuffix(r.URL.Path, ".pem"):
			certificate.ServeHTTP(w, r)
		default:
			l.server.ServeHTTP(w, r)
		}
	})
}

// A door counts who is in, and lets nobody in any more once it is shut.
type door struct {
	mu   sync.RWMutex
	shut bool // guarded by mu
	in   sync.WaitGroup
}

func (d *door) enter() bool {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if !d.shut {
		d.in.Add(1)
	}
	return !d.shut
}

// close waits until all have left.
func (d *door) close() {
	d.mu.Lock()
	d.shut = true
	d.mu.Unlock()
	d.in.Wait()
}

// Serve answers at a listener until ctx is done. With live, the clock goes with the real time meanwhile; without, it is
// moved by who asks. When it returns, all requests and the processes of functions have ended. A lab is served once.
func (l *Lab) Serve(ctx context.Context, listener net.Listener, live bool) error {
	l.Cloud.SetURL("http://" + listener.Addr().String())
	handler, guests := l.Handler(), &door{}
	server := &http.Server{
		ReadHeaderTimeout: time.Minute, BaseContext: func(net.Listener) context.Context { return ctx },
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if guests.enter() {
				defer guests.in.Done()
				handler.ServeHTTP(w, r)
			}
		}),
	}
	clock := make(chan struct{})
	running, stop := context.WithCancel(ctx)
	go func() {
		defer close(clock)
		if live {
			l.Cloud.Clock.Run(running)
		}
	}()
	end := context.AfterFunc(ctx, func() { _ = server.Close() }) // whoever waits for a message waits in vain
	err := server.Serve(listener)
	end()
	stop()
	_ = server.Close() // in case the listener failed
	guests.close()
	l.Lambda.Close()
	<-clock
	if ctx.Err() == nil {
		return fmt.Errorf("serve the lab: %w", err)
	}
	return nil
}

// Flush makes Firehose deliver what it buffers, and lets happen what comes of it now.
func (l *Lab) Flush(ctx context.Context) error {
	if err := l.Cloud.Clock.Settle(ctx); err != nil {
		return err
	}
	if err := l.Firehose.Flush(ctx); err != nil {
		return fmt.Errorf("flush Firehose: %w", err)
	}
	return l.Cloud.Clock.Settle(ctx)
}

// Operations are those that each service answers, by its signing name.
func (l *Lab) Operations() map[string][]string { return l.operations }

// An AccountState is an account with its own access key.
type AccountState struct {
	ID              string   `json:"id"`
	Name            string   `json:"name"`
	Email           string   `json:"email"`
	Role            string   `json:"role"` // management, administrator or member
	Regions         []string `json:"regions"`
	AccessKeyID     string   `json:"accessKeyId"`
	SecretAccessKey string   `json:"secretAccessKey"`
}

// Administrator is the account that Security Hub is to be administered from.
func (l *Lab) Administrator() string { return l.org.Administrator }

// Regions are those that the population lives in.
func (l *Lab) Regions() []string { return l.Population.Regions }

// Accounts are the accounts, in the order of their ids.
func (l *Lab) Accounts() []AccountState {
	out := []AccountState{}
	for _, id := range l.Cloud.Accounts.IDs() {
		a, ok := l.Cloud.Accounts.Find(id)
		if !ok {
			continue
		}
		key := l.Cloud.Accounts.Credential(id)
		s := AccountState{ID: id, Name: a.Name, Email: a.Email, Role: "member", AccessKeyID: key.AccessKeyID, SecretAccessKey: key.SecretKey}
		switch id {
		case l.org.Administrator:
			s.Role = "administrator"
		case l.org.Management:
			s.Role = "management"
		}
		for _, region := range l.Population.Regions {
			if l.Cloud.Accounts.Enabled(id, region) {
				s.Regions = append(s.Regions, region)
			}
		}
		out = append(out, s)
	}
	return out
}

// Environment is what a shell has to export to be an account in a region; both may be empty: the administrator's first.
func (l *Lab) Environment(id, region string) (map[string]string, error) {
	if id == "" {
		id = l.org.Administrator
	}
	if region == "" {
		region = l.Population.Regions[0]
	}
	if !l.Cloud.Accounts.Enabled(id, region) {
		return nil, fmt.Errorf("account %q in region %q: %w", id, region, errMissing)
	}
	key := l.Cloud.Accounts.Credential(id)
	return map[string]string{
		"AWS_ENDPOINT_URL": l.Cloud.URL(), "AWS_ACCESS_KEY_ID": key.AccessKeyID, "AWS_SECRET_ACCESS_KEY": key.SecretKey,
		"AWS_REGION": region, "AWS_DEFAULT_REGION": region, "AWS_EC2_METADATA_DISABLED": "true",
	}, nil
}
