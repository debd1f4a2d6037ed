package config

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseLocation(t *testing.T) {
	for name, tt := range map[string]struct {
		text string
		want Location // zero: refused
	}{
		"a folder":                  {"./b/", Location{Folder: "b"}},
		"a folder from the root":    {"/var/lib/b", Location{Folder: "/var/lib/b"}},
		"a file URL":                {"file:///var/lib/my%20b", Location{Folder: "/var/lib/my b"}},
		"a bucket":                  {"s3://bucket", Location{Bucket: "bucket"}},
		"a bucket with a slash":     {"s3://bucket/", Location{Bucket: "bucket"}},
		"a prefix ends in a slash":  {"s3://bucket/a/b", Location{Bucket: "bucket", Prefix: "a/b/"}},
		"all parameters":            {"s3://b.c-1/?region=eu-west-1&endpoint=http%3A%2F%2Fx%3A9000&path_style=1", Location{Bucket: "b.c-1", Region: "eu-west-1", Endpoint: "http://x:9000", PathStyle: true}},
		"nothing":                   {"", Location{}},
		"another scheme":            {"gs://bucket", Location{}},
		"a file URL with a host":    {"file://host/x", Location{}},
		"a file URL without a path": {"file://", Location{}},
		"capitals":                  {"s3://Bucket", Location{}},
		"an underscore":             {"s3://my_bucket", Location{}},
		"too short":                 {"s3://ab", Location{}},
		"an address":                {"s3://10.0.0.1", Location{}},
		"dots beside each other":    {"s3://a..b", Location{}},
		"a dash at the end":         {"s3://bucket-", Location{}},
		"a user":                    {"s3://user@bucket", Location{}},
		"a port":                    {"s3://bucket:80", Location{}},
		"a fragment":                {"s3://bucket#x", Location{}},
		"an unknown parameter":      {"s3://bucket?regoin=eu-west-1", Location{}},
		"an endpoint with a user":   {"s3://bucket?endpoint=http://user:secret@x", Location{}},
		"an escape from the prefix": {"s3://bucket/%2e%2e/x", Location{}},
		"an empty part":             {"s3://bucket/a//b", Location{}},
		"a control character":       {"s3://bucket/a%00b", Location{}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ParseLocation(tt.text)
			if (err == nil) != (tt.want != Location{}) {
				t.Fatalf("got %+v, error %v", got, err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Fatalf("-want +got:\n%s", diff)
			}
			if err != nil {
				return
			}
			if again, err := ParseLocation(got.String()); err != nil || again != got {
				t.Errorf("%s reads as %+v (error %v), want %+v", got, again, err, got)
			}
		})
	}
}

func TestSplitQuery(t *testing.T) {
	for name, tt := range map[string]struct {
		query string
		want  map[string]string // nil: refused
	}{
		"one":                               {"{a: .x}", map[string]string{"a": ".x"}},
		"commas in brackets and strings":    {`{a:(.x | [1,2]), "b":{c:1,d:2}, c:"},\"{"}`, map[string]string{"a": "(.x | [1,2])", "b": "{c:1,d:2}", "c": `"},\"{"`}},
		"space around":                      {" { a : .x // .y , b : .z } ", map[string]string{"a": ".x // .y", "b": ".z"}},
		"no braces":                         {"a: .x", nil},
		"nothing":                           {"{}", nil},
		"a name only":                       {"{a}", nil},
		"a comma at the end":                {"{a: .x,}", nil},
		"a name that is computed":           {"{(.a): .x}", nil},
		"a bracket too many":                {"{a: .x)}", nil},
		"a bracket too few":                 {"{a: (.x}", nil},
		"a string without its end":          {`{a: "x}`, nil},
		"a name twice":                      {"{a: .x, a: .y}", nil},
		"a string that holds an expression": {`{a: "\(.x)"}`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := splitQuery(tt.query)
			if (err == nil) != (tt.want != nil) {
				t.Fatalf("got %v, error %v", got, err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestDidYouMean(t *testing.T) {
	known := []string{"bucket", "streams", "error_prefix", "age"}
	for name, tt := range map[string]struct{ word, want string }{
		"two letters swapped":     {"bukcet", "did you mean bucket?"},
		"one letter left out":     {"bcket", "did you mean bucket?"},
		"one letter too many":     {"buckket", "did you mean bucket?"},
		"another spelling":        {"errorPrefix", "did you mean error_prefix?"},
		"a singular":              {"stream", "did you mean streams?"},
		"something else":          {"source", ""},
		"a short word, too far":   {"aga2", ""},
		"nothing":                 {"", ""},
		"a word without an end":   {string(make([]byte, 1000)), ""},
		"the word in other cases": {"AGE", "did you mean age?"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := didYouMean(tt.word, known); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
