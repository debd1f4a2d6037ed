package events_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/google/go-cmp/cmp"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/events"
	"example.org/catchment/internal/lab/labtest"
)

// An endpoint is what an API destination calls.
type endpoint struct {
	*httptest.Server
	mu     sync.Mutex
	got    []*http.Request
	bodies []string
	times  []time.Time // of the lab
	answer func(w http.ResponseWriter, try int)
}

func serve(t *testing.T, c *cloud.Cloud, answer func(w http.ResponseWriter, try int)) *endpoint {
	t.Helper()
	e := &endpoint{answer: answer}
	e.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		e.mu.Lock()
		e.got, e.bodies, e.times = append(e.got, r), append(e.bodies, string(body)), append(e.times, c.Clock.Now())
		try := len(e.got)
		e.mu.Unlock()
		if e.answer != nil {
			e.answer(w, try)
		}
	}))
	t.Cleanup(e.Close)
	return e
}

func apiKey(name, value string) *types.CreateConnectionAuthRequestParameters {
	return &types.CreateConnectionAuthRequestParameters{ApiKeyAuthParameters: &types.CreateConnectionApiKeyAuthRequestParameters{ApiKeyName: &name, ApiKeyValue: &value}}
}

// destination makes an API destination with a connection, and gives its ARN.
func (w *world) destination(url string, auth types.ConnectionAuthorizationType, parameters *types.CreateConnectionAuthRequestParameters, rate *int32) string {
	w.Helper()
	con, err := w.client().CreateConnection(w.Context(), &eventbridge.CreateConnectionInput{Name: aws.String("con"), AuthorizationType: auth, AuthParameters: parameters})
	if err != nil {
		w.Fatal(err)
	}
	d, err := w.client().CreateApiDestination(w.Context(), &eventbridge.CreateApiDestinationInput{
		Name: aws.String("api"), ConnectionArn: con.ConnectionArn, InvocationEndpoint: &url, HttpMethod: types.ApiDestinationHttpMethodPost,
		InvocationRateLimitPerSecond: rate,
	})
	if err != nil {
		w.Fatal(err)
	}
	return *d.ApiDestinationArn
}

func toAPI(arn string) types.Target {
	x := target("1", arn)
	x.RoleArn = role(labtest.Administrator, "call")
	return x
}

func TestAnAPIDestinationGetsTheEventByHTTP(t *testing.T) {
	for sentence, test := range map[string]struct {
		auth       types.ConnectionAuthorizationType
		parameters *types.CreateConnectionAuthRequestParameters
		header     http.Header
	}{
		"with a key": {types.ConnectionAuthorizationTypeApiKey, apiKey("X-Api-Key", "secret"), http.Header{"X-Api-Key": {"secret"}}},
		"with a name and a password": {
			types.ConnectionAuthorizationTypeBasic, &types.CreateConnectionAuthRequestParameters{
				BasicAuthParameters: &types.CreateConnectionBasicAuthRequestParameters{Username: aws.String("me"), Password: aws.String("secret")},
			}, http.Header{"Authorization": {"Basic bWU6c2VjcmV0"}},
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			w := newWorld(t)
			e := serve(t, w.cloud, nil)
			test.parameters.InvocationHttpParameters = &types.ConnectionHttpParameters{
				HeaderParameters:      []types.ConnectionHeaderParameter{{Key: aws.String("X-Con"), Value: aws.String("1")}},
				QueryStringParameters: []types.ConnectionQueryStringParameter{{Key: aws.String("con"), Value: aws.String("a b")}},
			}
			x := toAPI(w.destination(e.URL+"/in/*?fixed=1", test.auth, test.parameters, nil))
			x.HttpParameters = &types.HttpParameters{
				PathParameterValues: []string{"part one"}, HeaderParameters: map[string]string{"X-Rule": "2", "Connection": "keep-alive"},
				QueryStringParameters: map[string]string{"rule": "3"},
			}
			w.rule("r", everything, x)
			w.from(here(), []byte(small))
			if len(e.got) != 1 {
				t.Fatalf("got %d requests", len(e.got))
			}
			r := e.got[0]
			if r.Method != http.MethodPost || r.URL.EscapedPath() != "/in/part%20one" || r.URL.RawQuery != "con=a+b&fixed=1&rule=3" || e.bodies[0] != small {
				t.Errorf("got %s %s with %s", r.Method, r.URL, e.bodies[0])
			}
			want := http.Header{
				"User-Agent": {"Amazon/EventBridge/ApiDestinations"}, "Content-Type": {"application/json; charset=utf-8"}, "Range": {"bytes=0-1048575"},
				"Accept-Encoding": {"gzip,deflate"}, "Connection": {"close"}, "Content-Length": {strconv.Itoa(len(small))}, "X-Con": {"1"}, "X-Rule": {"2"},
			}
			for key, value := range test.header {
				want[key] = value
			}
			if diff := cmp.Diff(want, r.Header); diff != "" {
				t.Error(diff)
			}
			if m := w.metrics("r"); m.FailedInvocations != 0 || m.Retries != 0 {
				t.Errorf("got %+v", m)
			}
		})
	}
}

func TestWhatAnEndpointsAnswerMeans(t *testing.T) {
	for sentence, test := range map[string]struct {
		status     int
		retryAfter string
		tries      int
		pause      time.Duration // at least, before the second try
	}{
		"200":                               {200, "", 1, 0},
		"202":                               {202, "", 1, 0},
		"301 is not followed":               {301, "", 1, 0},
		"400 is final":                      {400, "", 1, 0},
		"404 is final":                      {404, "10", 1, 0},
		"429 is tried again":                {429, "", 2, 0},
		"500 is tried again":                {500, "", 2, 0},
		"503 with seconds":                  {503, "20", 2, 20 * time.Second},
		"503 with a date of the lab's time": {503, labtest.Start.Add(25 * time.Second).Format(http.TimeFormat), 2, 25 * time.Second},
		"503 that asks to stop":             {503, "-1", 1, 0},
	} {
		t.Run(sentence, func(t *testing.T) {
			w := newWorld(t)
			e := serve(t, w.cloud, func(w http.ResponseWriter, try int) {
				w.Header().Set("Location", "/elsewhere")
				if try > 1 {
					return
				}
				if test.retryAfter != "" {
					w.Header().Set("Retry-After", test.retryAfter)
				}
				w.WriteHeader(test.status)
			})
			x := toAPI(w.destination(e.URL, types.ConnectionAuthorizationTypeApiKey, apiKey("k", "v"), nil))
			x.DeadLetterConfig = &types.DeadLetterConfig{Arn: aws.String(queue("dlq"))}
			w.rule("r", everything, x)
			w.from(here(), []byte(small))
			labtest.Advance(t, w.cloud, time.Minute)
			if len(e.got) != test.tries {
				t.Fatalf("got %d requests, want %d", len(e.got), test.tries)
			}
			if test.tries == 2 && e.times[1].Sub(e.times[0]) < test.pause {
				t.Errorf("tried again after %v, want %v", e.times[1].Sub(e.times[0]), test.pause)
			}
			dead := w.sink.take("dlq")
			if wantDead := test.tries == 1 && test.status >= 300; (len(dead) == 1) != wantDead {
				t.Errorf("got %d dead letters", len(dead))
			} else if wantDead && !strings.Contains(dead[0].Attributes["ERROR_MESSAGE"], strconv.Itoa(test.status)) {
				t.Errorf("got %v", dead[0].Attributes)
			}
		})
	}
}

// slow never answers in time.
type slow struct{}

func (slow) RoundTrip(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

func TestAnEndpointThatDoesNotAnswerIsTriedAgain(t *testing.T) {
	w := newWorldIn(t, labtest.NewCloud(t), func(o *events.Options) { o.Client = &http.Client{Transport: slow{}, Timeout: time.Millisecond} })
	x := toAPI(w.destination("https://example.com/?key=secret", types.ConnectionAuthorizationTypeApiKey, apiKey("k", "v"), nil))
	x.DeadLetterConfig, x.RetryPolicy = &types.DeadLetterConfig{Arn: aws.String(queue("dlq"))}, &types.RetryPolicy{MaximumRetryAttempts: aws.Int32(1)}
	w.rule("r", everything, x)
	w.from(here(), []byte(small))
	labtest.Advance(t, w.cloud, time.Minute)
	got := w.sink.take("dlq")
	if len(got) != 1 || got[0].Attributes["ERROR_CODE"] != "TIMEOUT" || got[0].Attributes["RETRY_ATTEMPTS"] != "1" || strings.Contains(got[0].Attributes["ERROR_MESSAGE"], "secret") {
		t.Errorf("got %+v", got)
	}
}

func TestTheInvocationRateDelaysWhatIsBeyondIt(t *testing.T) {
	w := newWorld(t)
	e := serve(t, w.cloud, nil)
	w.rule("r", everything, toAPI(w.destination(e.URL, types.ConnectionAuthorizationTypeApiKey, apiKey("k", "v"), aws.Int32(3))))
	for range 8 {
		w.from(here(), []byte(small))
	}
	for i, want := range []int{3, 6, 8, 8} {
		labtest.Settle(t, w.cloud)
		if len(e.got) != want {
			t.Errorf("got %d requests after %d s, want %d", len(e.got), i, want)
		}
		labtest.Advance(t, w.cloud, time.Second)
	}
}

func TestADestinationWithoutItsConnectionTakesNothing(t *testing.T) {
	w := newWorld(t)
	e := serve(t, w.cloud, nil)
	api := w.destination(e.URL, types.ConnectionAuthorizationTypeApiKey, apiKey("k", "v"), nil)
	w.rule("r", everything, toAPI(api))
	if _, err := w.client().DeleteConnection(t.Context(), &eventbridge.DeleteConnectionInput{Name: aws.String("con")}); err != nil {
		t.Fatal(err)
	}
	d, err := w.client().DescribeApiDestination(t.Context(), &eventbridge.DescribeApiDestinationInput{Name: aws.String("api")})
	if err != nil || d.ApiDestinationState != types.ApiDestinationStateInactive {
		t.Errorf("got %v, %v", d, err)
	}
	w.from(here(), []byte(small))
	if m := w.metrics("r"); m.FailedInvocations != 1 || len(e.got) != 0 {
		t.Errorf("got %+v", m)
	}
	if _, err := w.client().DeleteApiDestination(t.Context(), &eventbridge.DeleteApiDestinationInput{Name: aws.String("api")}); err != nil {
		t.Fatal(err)
	}
	w.from(here(), []byte(small))
	if m := w.metrics("r"); m.FailedInvocations != 2 {
		t.Errorf("got %+v", m)
	}
}
