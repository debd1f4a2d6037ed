package prefix_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.org/catchment/internal/prefix"
)

// defaultPrefix is the one of the default stream.
const defaultPrefix = "AWSLogs/!{partitionKeyFromQuery:account}/Inspector/!{partitionKeyFromQuery:region}/!{timestamp:yyyy/MM/dd/HH}/"

var defaultKeys = []string{"account", "region"}

func mustCompile(tb testing.TB, expr string, o prefix.Options) *prefix.Expression {
	tb.Helper()
	e, err := prefix.Compile(expr, o)
	if err != nil {
		tb.Fatalf("compile %s: %v", expr, err)
	}
	return e
}

func instant(tb testing.TB, text string) time.Time {
	tb.Helper()
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		tb.Fatal(err)
	}
	return at
}

// eval evaluates and finishes.
func eval(tb testing.TB, e *prefix.Expression, at string, keys ...string) string {
	tb.Helper()
	got, err := e.Append(nil, instant(tb, at), keys)
	if err != nil {
		tb.Fatalf("append: %v", err)
	}
	return prefix.Finish(string(got), [16]byte{1})
}

func TestExpressions(t *testing.T) {
	const at = "2018-08-27T10:30:05.123Z"
	for name, tt := range map[string]struct {
		expr    string
		options prefix.Options
		keys    []string
		want    string
	}{
		"the default prefix": {
			defaultPrefix,
			prefix.Options{Keys: defaultKeys},
			[]string{"111111111111", "us-east-1"},
			"AWSLogs/111111111111/Inspector/us-east-1/2018/08/27/10/",
		},
		"nothing gets the default timestamp":       {"", prefix.Options{}, nil, "2018/08/27/10/"},
		"text gets it without a slash":             {"myFirehosePrefix", prefix.Options{}, nil, "myFirehosePrefix2018/08/27/10/"},
		"text that ends in a slash":                {"myFirehosePrefix/", prefix.Options{}, nil, "myFirehosePrefix/2018/08/27/10/"},
		"keys without a timestamp get it too":      {"!{partitionKeyFromQuery:k}/", prefix.Options{Keys: []string{"k"}}, []string{"v"}, "v/2018/08/27/10/"},
		"the appended timestamp has the time zone": {"a/", prefix.Options{TimeZone: "Asia/Tokyo"}, nil, "a/2018/08/27/19/"},
		"hive style": {
			"year=!{timestamp:yyyy}/month=!{timestamp:MM}/day=!{timestamp:dd}/hour=!{timestamp:HH}/",
			prefix.Options{},
			nil,
			"year=2018/month=08/day=27/hour=10/",
		},
		"quoted text in a pattern": {"!{timestamp:'year='yyyy'/month='MM'/day='dd'/hour='HH}/", prefix.Options{}, nil, "year=2018/month=08/day=27/hour=10/"},
		"one key twice": {
			"!{partitionKeyFromQuery:b}/!{partitionKeyFromQuery:a}/!{partitionKeyFromQuery:b}/!{timestamp:yyyy}/",
			prefix.Options{Keys: []string{"a", "b"}},
			[]string{"B", "A"},
			"B/A/B/2018/",
		},
		"the same name from a query and from Lambda are two keys": {
			"!{partitionKeyFromQuery:k}/!{partitionKeyFromLambda:k}/!{timestamp:yyyy}/",
			prefix.Options{Keys: []string{"k"}, LambdaKeys: []string{"k"}},
			[]string{"q", "l"},
			"q/l/2018/",
		},
		"an error prefix without expressions stays as it is": {"errors/", prefix.Options{Error: true}, nil, "errors/"},
		"an exclamation mark and braces by themselves":       {"a!b{c}/!{timestamp:yyyy}/", prefix.Options{}, nil, "a!b{c}/2018/"},
		"dots within names":   {".a/b../...!{timestamp:yyyy}/", prefix.Options{}, nil, ".a/b../...2018/"},
		"no slash at the end": {"a/!{timestamp:yyyy}-", prefix.Options{}, nil, "a/2018-"},
		"the zone's name":     {"!{timestamp:VV}/!{timestamp:z}/", prefix.Options{}, nil, "UTC/UTC/"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := eval(t, mustCompile(t, tt.expr, tt.options), at, tt.keys...); got != tt.want {
				t.Errorf("%s: got %s, want %s", tt.expr, got, tt.want)
			}
		})
	}
}

func TestKeysStandInTheOrderOfTheirFirstUse(t *testing.T) {
	e := mustCompile(t, "!{partitionKeyFromQuery:b}!{partitionKeyFromLambda:b}!{partitionKeyFromQuery:a}!{partitionKeyFromQuery:b}",
		prefix.Options{Keys: []string{"a", "b"}, LambdaKeys: []string{"b"}})
	if diff := cmp.Diff([]string{"b", prefix.LambdaKey + "b", "a"}, e.Keys()); diff != "" {
		t.Errorf("Keys (-want +got):\n%s", diff)
	}
}

func TestRefusals(t *testing.T) {
	keys := prefix.Options{Keys: defaultKeys}
	for name, tt := range map[string]struct {
		expr    string
		options prefix.Options
		code    prefix.Code
		column  int
		text    string // part of the message
	}{
		"an expression without its end":        {"a/!{timestamp:yyyy", prefix.Options{}, prefix.CodeSyntax, 3, "without its"},
		"an expression without a colon":        {"a/!{timestamp}", prefix.Options{}, prefix.CodeSyntax, 3, "colon"},
		"an expression inside another":         {"!{timestamp:!{timestamp:yyyy}}", prefix.Options{}, prefix.CodePattern, 14, "reserved character"},
		"an unknown namespace":                 {"é!{time:yyyy}", prefix.Options{}, prefix.CodeNamespace, 4, "expected timestamp, firehose"},
		"a namespace in the wrong case":        {"!{Timestamp:yyyy}", prefix.Options{}, prefix.CodeNamespace, 3, "did you mean timestamp?"},
		"an unknown value of firehose":         {"!{firehose:randomString}", prefix.Options{}, prefix.CodeNamespace, 12, "did you mean random-string?"},
		"an unknown letter":                    {"!{timestamp:yyyy/MM/ddTHH}/", prefix.Options{}, prefix.CodePattern, 23, `quotes: 'T'`},
		"too many letters":                     {"!{timestamp:yyyy/MM/ddd}/", prefix.Options{}, prefix.CodePattern, 21, "at most 2"},
		"an open quote":                        {"!{timestamp:'year=yyyy}/", prefix.Options{}, prefix.CodePattern, 13, "closing"},
		"an empty pattern":                     {"!{timestamp:}", prefix.Options{}, prefix.CodePattern, 13, "empty"},
		"a closing bracket alone":              {"!{timestamp:yyyy]}", prefix.Options{}, prefix.CodePattern, 17, "without"},
		"a reserved character":                 {"!{timestamp:yyyy#}", prefix.Options{}, prefix.CodePattern, 17, "reserved"},
		"a zone's name outside UTC":            {"!{timestamp:z}", prefix.Options{TimeZone: "Asia/Tokyo"}, prefix.CodePattern, 13, "XXX"},
		"padding":                              {"!{timestamp:ppH}", prefix.Options{}, prefix.CodePattern, 13, "leading zeros"},
		"an error type outside error prefixes": {"!{firehose:error-output-type}/", prefix.Options{}, prefix.CodeErrorType, 1, "error_prefix"},
		"an error prefix without error type":   {"errors/!{timestamp:yyyy}/", prefix.Options{Error: true}, prefix.CodeErrorType, 26, "!{firehose:error-output-type}"},
		"a key in an error prefix":             {"!{firehose:error-output-type}/!{partitionKeyFromQuery:account}", prefix.Options{Error: true, Keys: defaultKeys}, prefix.CodeKeyInErrorPrefix, 31, "error"},
		"an undefined key":                     {"a/!{partitionKeyFromQuery:Region}/", keys, prefix.CodeKeyUndefined, 27, "one of account, region (did you mean region?)"},
		"a key that is defined for Lambda":     {"!{partitionKeyFromQuery:k}", prefix.Options{LambdaKeys: []string{"k"}}, prefix.CodeKeyUndefined, 25, "not defined"},
		"a key that is not used":               {"a/!{partitionKeyFromQuery:region}/", keys, prefix.CodeKeyUnused, 35, `"account"`},
		"a key without a name":                 {"!{partitionKeyFromQuery:}", keys, prefix.CodeKeyName, 25, "letters"},
		"a key that is a path":                 {"!{partitionKeyFromQuery:a/b}", keys, prefix.CodeKeyName, 25, "letters"},
		"a leading slash":                      {"/a/", prefix.Options{}, prefix.CodeSegment, 1, "leading slash"},
		"two slashes":                          {"a//b/", prefix.Options{}, prefix.CodeSegment, 3, "empty segment"},
		"two slashes over an expression":       {"!{timestamp:yyyy/}/", prefix.Options{}, prefix.CodeSegment, 19, "empty segment"},
		"a folder above":                       {"a/../b/", prefix.Options{}, prefix.CodeSegment, 3, "segment"},
		"a folder above out of parts":          {"a/.!{timestamp:'.'}/", prefix.Options{}, prefix.CodeSegment, 3, "segment"},
		"a folder above at the end":            {"!{timestamp:yyyy/}..", prefix.Options{}, prefix.CodeSegment, 0, "segment"},
		"this folder":                          {"./a/", prefix.Options{}, prefix.CodeSegment, 1, "segment"},
		"a control character":                  {"a\n/", prefix.Options{}, prefix.CodeLiteral, 2, "control character"},
		"a control character in a pattern":     {"a/!{timestamp:yyyy\x00}", prefix.Options{}, prefix.CodeLiteral, 19, "control character"},
		"text that turns the reading around":   {"a\u202e/", prefix.Options{}, prefix.CodeLiteral, 2, `\u202e`},
		"a backslash":                          {`a\b/`, prefix.Options{}, prefix.CodeLiteral, 2, "backslash"},
		"broken UTF-8":                         {"a\xff/", prefix.Options{}, prefix.CodeLiteral, 2, "UTF-8"},
		"a long segment":                       {strings.Repeat("x", 256) + "/", prefix.Options{}, prefix.CodeSegment, 1, "256 bytes"},
		"over 1,024 characters":                {strings.Repeat("é/", 513), prefix.Options{}, prefix.CodeExpressionLength, 1, "1024"},
		"an unknown zone":                      {"a/", prefix.Options{TimeZone: "Asia/Tokio"}, prefix.CodeTimeZone, 1, "unknown time zone"},
		"a zone that Firehose does not take":   {"a/", prefix.Options{TimeZone: "America/Port-au-Prince"}, prefix.CodeTimeZone, 1, `"-"`},
		"a zone with digits":                   {"a/", prefix.Options{TimeZone: "Etc/GMT+9"}, prefix.CodeTimeZone, 1, `"+"`},
		"the machine's own zone":               {"a/", prefix.Options{TimeZone: "Local"}, prefix.CodeTimeZone, 1, "not an IANA name"},
		"a long zone":                          {"a/", prefix.Options{TimeZone: strings.Repeat("a", 51)}, prefix.CodeTimeZone, 1, "50 characters"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := prefix.Compile(tt.expr, tt.options)
			var fault *prefix.SyntaxError
			if !errors.As(err, &fault) {
				t.Fatalf("compile %q: got %v, want a SyntaxError", tt.expr, err)
			}
			if fault.Code != tt.code || tt.column > 0 && fault.Column != tt.column || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("compile %q: got %s %v, want %s in column %d with %q", tt.expr, fault.Code, err, tt.code, tt.column, tt.text)
			}
		})
	}
}

func TestAnErrorPrefixIsGivenItsKind(t *testing.T) {
	e := mustCompile(t, "errors/!{firehose:error-output-type}/!{timestamp:yyyy/MM/dd/HH}/", prefix.Options{Error: true, Keys: defaultKeys})
	if len(e.Keys()) != 0 {
		t.Errorf("Keys: got %v, want none", e.Keys())
	}
	for _, kind := range []string{"processing-failed", "format-conversion-failed"} {
		f, err := e.Failed(kind)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := eval(t, f, "2018-08-27T10:30:00Z"), "errors/"+kind+"/2018/08/27/10/"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if _, err := e.Failed(".."); err == nil {
		t.Error(`Failed(".."): no error`)
	}
}

func TestEvaluatedLength(t *testing.T) {
	segments := strings.Repeat(strings.Repeat("x", 99)+"/", 5) // 500
	for name, tt := range map[string]struct {
		expr string
		ok   bool
	}{
		"512 characters":                   {segments + "!{timestamp:yyyy/MM/dd}1/", true},
		"513 characters":                   {segments + "!{timestamp:yyyy/MM/dd}12/", false},
		"a random string counts 11":        {segments + "!{firehose:random-string}!{timestamp:''}", true},
		"a random string counts 11, over":  {segments + "!{firehose:random-string}x!{timestamp:''}", false},
		"512 characters are more bytes":    {strings.Repeat(strings.Repeat("é", 99)+"/", 5) + "!{timestamp:yyyy/MM/dd}1/", true},
		"a segment of 255 bytes":           {strings.Repeat("x", 251) + "!{timestamp:yyyy}/", true},
		"a segment of 256 bytes":           {strings.Repeat("x", 252) + "!{timestamp:yyyy}/", false},
		"100 bytes before the object name": {"a/" + strings.Repeat("x", 96) + "!{timestamp:yyyy}", true},
		"101 bytes before the object name": {"a/" + strings.Repeat("x", 97) + "!{timestamp:yyyy}", false},
	} {
		t.Run(name, func(t *testing.T) {
			e := mustCompile(t, tt.expr, prefix.Options{})
			dst := []byte("before")
			got, err := e.Append(dst, instant(t, "2018-08-27T10:30:00Z"), nil)
			var fault *prefix.RecordError
			if tt.ok && err != nil {
				t.Errorf("append: %v", err)
			}
			if !tt.ok && (!errors.As(err, &fault) || fault.Code != prefix.CodePrefixLength || string(got) != "before") {
				t.Errorf("append: got %q and %v, want %s", got, err, prefix.CodePrefixLength)
			}
		})
	}
}

func TestRandomStrings(t *testing.T) {
	e := mustCompile(t, "!{firehose:random-string}/!{timestamp:yyyy}/!{firehose:random-string}/", prefix.Options{})
	raw, err := e.Append(nil, instant(t, "2018-08-27T10:30:00Z"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if string(raw) != "\x00/2018/\x00/" {
		t.Fatalf("evaluated: got %q", raw)
	}
	seen := make(map[string]bool)
	for i := range 100 {
		seed := [16]byte{byte(i)}
		got := prefix.Finish(string(raw), seed)
		if again := prefix.Finish(string(raw), seed); again != got {
			t.Fatalf("the same seed: %s, then %s", got, again)
		}
		parts := strings.Split(got, "/")
		for _, p := range []string{parts[0], parts[2]} {
			if len(p) != 11 || strings.Trim(p, "0123456789abcdefghijklmnopqrstuvwxyz") != "" || seen[p] {
				t.Errorf("random string %q of %s", p, got)
			}
			seen[p] = true
		}
	}
	if got, want := prefix.Finish("\x00", [16]byte{}), prefix.Finish("\x00/\x00", [16]byte{}); !strings.HasPrefix(want, got) {
		t.Errorf("the first string depends on what follows: %s, %s", got, want)
	}
}

// TestEvaluatorForgetsInTime walks an evaluator back and forth through changes of offset and
// compares it with an evaluation that remembers nothing.
func TestEvaluatorForgetsInTime(t *testing.T) {
	for _, zone := range []string{"UTC", "Asia/Kolkata", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia"} {
		for _, pattern := range []string{"yyyy/MM/dd/HH", "yyyy/MM/dd", "HH:mm", "mm/yyyy", "ss", "SSS", "a", "XXX", "'text'", "VV"} {
			e := mustCompile(t, "a/!{timestamp:"+pattern+"}/", prefix.Options{TimeZone: zone})
			v := e.NewEvaluator()
			for _, start := range []string{
				"2024-03-10T05:00:00Z", "2024-11-03T04:00:00Z", "2024-04-06T13:00:00Z",
				"2011-12-30T08:00:00Z", "1969-12-31T22:00:00Z",
			} {
				at := instant(t, start)
				for step := range 400 {
					at = at.Add(time.Duration(step%7-2) * 113 * time.Second).Add(time.Duration(step) * time.Millisecond)
					want, _ := e.Append(nil, at, nil)
					got, err := v.Append(nil, at, nil)
					if err != nil || string(got) != string(want) {
						t.Fatalf("%s in %s at %s: got %s %v, want %s", pattern, zone, at, got, err, want)
					}
					from, until := e.Window(at)
					for _, edge := range []time.Time{from, until.Add(-1)} {
						if from.IsZero() || until.IsZero() || !from.Before(until) {
							continue
						}
						if same, _ := e.Append(nil, edge, nil); string(same) != string(want) {
							t.Fatalf("%s in %s: %s at %s, but %s at the edge %s of its window", pattern, zone, want, at, same, edge)
						}
					}
				}
			}
		}
	}
}

func TestWindow(t *testing.T) {
	at := instant(t, "2024-11-03T05:59:59.5Z")
	for name, tt := range map[string]struct {
		expr, zone, from, until string
	}{
		"an hour":                            {"!{timestamp:HH}", "", "2024-11-03T05:00:00Z", "2024-11-03T06:00:00Z"},
		"an hour that starts at half past":   {"!{timestamp:HH}", "Asia/Kolkata", "2024-11-03T05:30:00Z", "2024-11-03T06:30:00Z"},
		"a day that ends with summer time":   {"!{timestamp:dd}", "America/New_York", "2024-11-03T04:00:00Z", "2024-11-03T06:00:00Z"},
		"a second":                           {"!{timestamp:ss}", "", "2024-11-03T05:59:59Z", "2024-11-03T06:00:00Z"},
		"text alone is the same at any time": {"!{timestamp:'x'}", "America/New_York", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			from, until := mustCompile(t, tt.expr, prefix.Options{TimeZone: tt.zone}).Window(at)
			want := [2]time.Time{}
			if tt.from != "" {
				want = [2]time.Time{instant(t, tt.from), instant(t, tt.until)}
			}
			if !from.Equal(want[0]) || !until.Equal(want[1]) {
				t.Errorf("got %s to %s, want %s", from.UTC(), until.UTC(), want)
			}
		})
	}
}

func TestDoubts(t *testing.T) {
	for name, tt := range map[string]struct {
		expr, want string // want: how the remark starts; empty for none
	}{
		"the default":                   {"!{timestamp:yyyy/MM/dd/HH}/", ""},
		"the default timestamp":         {"a/", ""},
		"a year of weeks with its week": {"!{timestamp:YYYY/'W'ww}/", ""},
		"a year of weeks with a month":  {"!{timestamp:YYYY/MM/dd/HH}/", "Y is"},
		"a day of the year for a day":   {"!{timestamp:yyyy/MM/DD}/", "D is"},
		"minutes for a month":           {"!{timestamp:yyyy/mm/dd}/", "m is"},
		"half a day":                    {"!{timestamp:yyyy/MM/dd/hh}/", "h and K"},
		"fractions for seconds":         {"!{timestamp:HHmmSS}/", "S is"},
		"fractions of a second":         {"!{timestamp:HHmmssSSS}/", "a prefix that"},
	} {
		t.Run(name, func(t *testing.T) {
			got := strings.Join(mustCompile(t, tt.expr, prefix.Options{}).Doubts(), "; ")
			if (got == "") != (tt.want == "") || !strings.HasPrefix(got, tt.want) {
				t.Errorf("%s: got %q, want %q", tt.expr, got, tt.want)
			}
		})
	}
}
