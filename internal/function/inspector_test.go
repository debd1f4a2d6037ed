package function_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/google/go-cmp/cmp"

	"example.org/catchment/internal/function"
	"example.org/catchment/internal/handler"
)

// answering is Inspector Classic that says the same to everything.
func answering(t *testing.T, status int, body string) (a handler.Assessments, asked *string) {
	t.Helper()
	asked = new(string)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body) // what is asked is compared
		*asked = r.Header.Get("X-Amz-Target") + " " + string(b)
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(server.Close)
	return function.Assessments(aws.Config{
		Region: "us-east-1", BaseEndpoint: aws.String(server.URL), Credentials: credentials.NewStaticCredentialsProvider("AKID", "secret", ""),
	}, "eu-west-1"), asked
}

func TestFindingsKeepTheirBytes(t *testing.T) {
	const a = `{"arn":"A", "numericSeverity":6.0,"new field":{"x":[1e2,"\u003c<"]}, "title":"1","title":"2"}`
	api, asked := answering(t, http.StatusOK, `{"findings":[`+a+`,{"title":"without ARN"}],`+
		`"failedItems":{"B":{"failureCode":"ACCESS_DENIED","retryable":false},"C":{"failureCode":"INTERNAL_ERROR","retryable":true}}}`)
	described, failed, err := api.Describe(t.Context(), []string{"A", "B", "C"})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string][]byte{"A": []byte(a), "": []byte(`{"title":"without ARN"}`)}, described); diff != "" {
		t.Errorf("described (-want +got):\n%s", diff)
	}
	want := map[string]*handler.ItemError{"B": {Code: "ACCESS_DENIED"}, "C": {Code: "INTERNAL_ERROR", Retry: true}}
	if diff := cmp.Diff(want, failed); diff != "" {
		t.Errorf("failed (-want +got):\n%s", diff)
	}
	if *asked != `InspectorService.DescribeFindings {"findingArns":["A","B","C"]}` {
		t.Errorf("asked %s", *asked)
	}
}

func TestAnswersThatAreNoneAreErrors(t *testing.T) {
	for name, tt := range map[string]struct {
		status int
		body   string
		want   string
	}{
		"a refusal":                   {http.StatusBadRequest, `{"__type":"AccessDeniedException","message":"no","errorCode":"ACCESS_DENIED_TO_FINDING","canRetry":false}`, "AccessDeniedException"},
		"a body that is cut off":      {http.StatusOK, `{"findings":[{"arn":"A"`, ""},
		"findings that are no list":   {http.StatusOK, `{"findings":{"arn":"A"},"failedItems":{}}`, ""},
		"a finding that is no object": {http.StatusOK, `{"findings":["A"],"failedItems":{}}`, ""},
	} {
		api, _ := answering(t, tt.status, tt.body)
		if described, _, err := api.Describe(t.Context(), []string{"A"}); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %s, error %v; want %q", name, described, err, tt.want)
		}
	}
	api, _ := answering(t, http.StatusBadRequest, `{"__type":"InvalidInputException","message":"no","errorCode":"INVALID_ASSESSMENT_RUN_ARN","canRetry":false}`)
	if _, err := api.Run(t.Context(), "x"); err == nil || !strings.Contains(err.Error(), "InvalidInputException") {
		t.Errorf("a run: %v", err)
	}
	if _, _, err := api.List(t.Context(), "x", "y"); err == nil || !strings.Contains(err.Error(), "InvalidInputException") {
		t.Errorf("a list: %v", err)
	}
}
