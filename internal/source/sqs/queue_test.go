package sqs

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/google/go-cmp/cmp"

	"example.org/catchment/internal/document"
	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/iam"
	"example.org/catchment/internal/lab/labtest"
	labsqs "example.org/catchment/internal/lab/sqs"
)

func TestAQueueThatIsNotThereOrNotForUs(t *testing.T) {
	c := labtest.NewCloud(t)
	server := labtest.Serve(t, c, labsqs.New(c).Wire())
	c.Access = iam.New(c)
	admin := server.Config(labtest.Administrator, labtest.Region)
	made, err := sqs.NewFromConfig(admin).CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("q")})
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		cfg aws.Config
		url string
		bad bool
	}{
		"ours":                    {admin, *made.QueueUrl, false},
		"no such queue":           {admin, *made.QueueUrl + "2", true},
		"another account's":       {server.Config(labtest.Member, labtest.Region), *made.QueueUrl, true},
		"in another region":       {server.Config(labtest.Administrator, "eu-west-1"), *made.QueueUrl, true},
		"with an unknown key":     {server.As(cloud.Credential{AccessKeyID: "AKIALABS000000000009", SecretKey: "x"}, labtest.Region), *made.QueueUrl, true},
		"with a signature of ANY": {server.As(cloud.Credential{AccessKeyID: c.Accounts.Credential(labtest.Administrator).AccessKeyID, SecretKey: "x"}, labtest.Region), *made.QueueUrl, true},
	} {
		t.Run(name, func(t *testing.T) {
			q := Open(tt.cfg, tt.url)
			if err := New(Options{Queue: q}).Check(t.Context()); errors.Is(err, ErrNoQueue) != tt.bad || err != nil != tt.bad {
				t.Errorf("check gives %v", err)
			}
			if !tt.bad {
				return
			}
			_, err := q.Receive(t.Context(), time.Minute)
			if !errors.Is(err, ErrNoQueue) || !strings.Contains(err.Error(), tt.url) {
				t.Errorf("receiving gives %v", err)
			}
			for _, answers := range [][]error{
				q.Delete(t.Context(), []Message{{Receipt: "x"}}), q.Extend(t.Context(), []Message{{Receipt: "x"}}, time.Minute),
			} {
				if len(answers) != 1 || !errors.Is(answers[0], ErrNoQueue) {
					t.Errorf("answers %v", answers)
				}
			}
			s := New(Options{Queue: q})
			if err := s.Run(t.Context(), func(context.Context, []document.Document) error { return nil }); !errors.Is(err, ErrNoQueue) {
				t.Errorf("running ends with %v", err)
			}
		})
	}
}

func TestReceiptsOfTheLab(t *testing.T) {
	for name, attributes := range map[string]map[string]string{"standard": nil, "FIFO": {"FifoQueue": "true", "ContentBasedDeduplication": "true"}} {
		t.Run(name, func(t *testing.T) {
			cfg, client, url := labQueue(t, attributes)
			for i := range 3 {
				in := &sqs.SendMessageInput{QueueUrl: aws.String(url), MessageBody: aws.String(`{"n":` + strconv.Itoa(i) + `}`)}
				if attributes != nil {
					in.MessageGroupId = aws.String("g" + strconv.Itoa(i))
				}
				if _, err := client.SendMessage(t.Context(), in); err != nil {
					t.Fatal(err)
				}
			}
			q := Open(cfg, url)
			got, err := q.Receive(t.Context(), time.Minute)
			if err != nil || len(got) != 3 || got[0].ID == "" || string(got[0].Body) != `{"n":0}` {
				t.Fatalf("received %v, error %v", got, err)
			}
			messages := append([]Message{{ID: "x", Receipt: "no receipt"}}, got...)
			want := []bool{true, false, false, false} // gone
			is := func(answers []error) (out []bool) {
				for _, err := range answers {
					out = append(out, errors.Is(err, ErrGone))
					if err != nil && !errors.Is(err, ErrGone) {
						t.Error(err)
					}
				}
				return out
			}
			if diff := cmp.Diff(want, is(q.Extend(t.Context(), messages, 2*time.Minute))); diff != "" {
				t.Errorf("extended (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(want[:2], is(q.Delete(t.Context(), messages[:2]))); diff != "" {
				t.Errorf("deleted (-want +got):\n%s", diff)
			}
			is(q.Extend(t.Context(), got[1:], 0))
			again, err := q.Receive(t.Context(), time.Minute)
			if err != nil || len(again) != 2 {
				t.Fatalf("received again %v, error %v", again, err)
			}
			if diff := cmp.Diff([]bool{true, true}, is(q.Extend(t.Context(), got[1:], time.Minute))); diff != "" {
				t.Errorf("old receipts (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSeconds(t *testing.T) {
	for d, want := range map[time.Duration]int32{
		-time.Second: 0, 0: 0, time.Second: 1, time.Minute + 500*time.Millisecond: 60, 12 * time.Hour: 43200, 13 * time.Hour: 43200,
	} {
		if got := seconds(d); got != want {
			t.Errorf("%v is %d seconds, want %d", d, got, want)
		}
	}
}

// Which host is asked follows from the URL, unless an endpoint is configured.
func TestWhereAQueueIs(t *testing.T) {
	asked := ""
	for name, tt := range map[string]struct{ url, endpoint, want string }{
		"AWS":                     {"https://sqs.eu-west-1.amazonaws.com/111111111111/q", "", "sqs.eu-west-1.amazonaws.com"},
		"China":                   {"https://sqs.cn-north-1.amazonaws.com.cn/111111111111/q", "", "sqs.eu-west-1.amazonaws.com"},
		"an old name":             {"https://eu-west-1.queue.amazonaws.com/111111111111/q", "", "sqs.eu-west-1.amazonaws.com"},
		"dual stack":              {"https://sqs.eu-west-1.api.aws/111111111111/q", "", "sqs.eu-west-1.amazonaws.com"},
		"a VPC endpoint":          {"https://vpce-1.sqs.eu-west-1.vpce.amazonaws.com/111111111111/q", "", "vpce-1.sqs.eu-west-1.vpce.amazonaws.com"},
		"another implementation":  {"http://127.0.0.1:9324/111111111111/q", "", "127.0.0.1:9324"},
		"looks like AWS":          {"https://sqs.eu-west-1.amazonaws.com.example.org/111111111111/q", "", "sqs.eu-west-1.amazonaws.com.example.org"},
		"an endpoint is set":      {"https://sqs.eu-west-1.amazonaws.com/111111111111/q", "http://127.0.0.1:1", "127.0.0.1:1"},
		"an endpoint is set, too": {"http://127.0.0.1:9324/111111111111/q", "http://127.0.0.1:1", "127.0.0.1:1"},
	} {
		cfg := aws.Config{
			Region: "eu-west-1", Credentials: aws.AnonymousCredentials{}, Retryer: func() aws.Retryer { return aws.NopRetryer{} },
			HTTPClient: hosts(func(host string) { asked = host }),
		}
		if tt.endpoint != "" {
			cfg.BaseEndpoint = aws.String(tt.endpoint)
		}
		asked = ""
		_, _ = Open(cfg, tt.url).Receive(t.Context(), time.Minute)
		if asked != tt.want {
			t.Errorf("%s: asked %q, want %q", name, asked, tt.want)
		}
	}
}

// hosts is a client that notes whom it is to ask, and asks nobody.
type hosts func(host string)

func (h hosts) Do(r *http.Request) (*http.Response, error) {
	h(r.URL.Host)
	return nil, errors.New("nobody is asked")
}
