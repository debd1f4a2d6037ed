package prefix_test

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"example.org/catchment/internal/prefix"
)

func TestCheckValue(t *testing.T) {
	for name, tt := range map[string]struct {
		value string
		want  prefix.Code
	}{
		"an account":                       {"111111111111", ""},
		"a product":                        {"Systems Manager Patch Manager (3rd party)", ""},
		"an ARN":                           {"arn:aws:ec2:us-east-1:1:instance", ""},
		"another script":                   {"脆弱性 診断", ""},
		"three dots":                       {"...", ""},
		"a dot first":                      {".hidden", ""},
		"200 bytes":                        {strings.Repeat("x", 200), ""},
		"an expression is only text":       {"!{timestamp:yyyy}", ""},
		"nothing":                          {"", prefix.CodeKeyEmpty},
		"201 bytes":                        {strings.Repeat("x", 201), prefix.CodeKeyLength},
		"201 bytes of another script":      {strings.Repeat("脆", 67), prefix.CodeKeyLength},
		"this folder":                      {".", prefix.CodeKeyDots},
		"the folder above":                 {"..", prefix.CodeKeyDots},
		"a path":                           {"a/b", prefix.CodeKeySlash},
		"a path to another account":        {"../222222222222", prefix.CodeKeySlash},
		"a path beside another script":     {"é/b", prefix.CodeKeySlash},
		"a path of Windows":                {`..\b`, prefix.CodeKeyBackslash},
		"a path of Windows beside another": {`é\b`, prefix.CodeKeyBackslash},
		"a newline":                        {"a\nb", prefix.CodeKeyControl},
		"NUL, which stands for random":     {"a\x00b", prefix.CodeKeyControl},
		"DEL":                              {"a\x7f", prefix.CodeKeyControl},
		"C1":                               {"a\u0085", prefix.CodeKeyControl},
		"a line separator":                 {"a\u2028b", prefix.CodeKeyControl},
		"a paragraph separator":            {"a\u2029b", prefix.CodeKeyControl},
		"text turned around":               {"a\u202egnp", prefix.CodeKeyInvisible},
		"a byte order mark":                {"\ufeffa", prefix.CodeKeyInvisible},
		"a space of no width":              {"11\u200b1", prefix.CodeKeyInvisible},
		"a space first":                    {" a", prefix.CodeKeySpace},
		"a space last":                     {"a ", prefix.CodeKeySpace},
		"a wide space last":                {"é\u3000", prefix.CodeKeySpace},
		"a wide space first":               {"\u00a0é", prefix.CodeKeySpace},
		"broken UTF-8":                     {"a\xc3", prefix.CodeKeyEncoding},
		"half a surrogate pair, decoded":   {"a\ufffd", prefix.CodeKeyEncoding},
		"half a surrogate pair, encoded":   {"\xed\xa0\x80", prefix.CodeKeyEncoding},
		"a noncharacter":                   {"a\uffff", prefix.CodeKeyEncoding},
		"a noncharacter of another plane":  {"a\U0001fffe", prefix.CodeKeyEncoding},
	} {
		t.Run(name, func(t *testing.T) {
			if got := prefix.CheckValue(tt.value); got != tt.want {
				t.Errorf("text: got %q, want %q", got, tt.want)
			}
			if got := prefix.CheckValue([]byte(tt.value)); got != tt.want {
				t.Errorf("bytes: got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestRecordErrorsAreSentences(t *testing.T) {
	for want, err := range map[string]*prefix.RecordError{
		"partition key account is empty":                                       {Code: prefix.CodeKeyEmpty, Key: "account"},
		"partition key region is null or missing":                              {Code: prefix.CodeKeyNull, Key: "region"},
		"partition key k is longer than 200 bytes":                             {Code: prefix.CodeKeyLength, Key: "k", Err: errors.New("secret")},
		"prefix is longer than 512 characters, or a part of it than 255 bytes": {Code: prefix.CodePrefixLength},
	} {
		if err.Error() != want {
			t.Errorf("got %q, want %q", err.Error(), want)
		}
	}
}

// FuzzAppend checks that whatever a finding says, it is refused or it stays within the segments
// that the template gives it.
func FuzzAppend(f *testing.F) {
	f.Add("111111111111", "us-east-1")
	f.Add("..", "a/b")
	f.Add("é\u202e", "\x00")
	f.Add(".", "!{timestamp:yyyy}")
	const expr = "A/.!{partitionKeyFromQuery:account}/!{partitionKeyFromQuery:account}!{partitionKeyFromQuery:region}/!{firehose:random-string}/!{timestamp:yyyy/MM}/"
	e, err := prefix.Compile(expr, prefix.Options{Keys: defaultKeys})
	if err != nil {
		f.Fatal(err)
	}
	v := e.NewEvaluator()
	at := instant(f, "2026-11-23T01:02:03Z")
	f.Fuzz(func(t *testing.T, account, region string) {
		got, err := v.AppendBytes([]byte("before"), at, [][]byte{[]byte(account), []byte(region)})
		if err != nil {
			var fault *prefix.RecordError
			if !errors.As(err, &fault) || fault.Code == "" || string(got) != "before" {
				t.Fatalf("got %q and %v", got, err)
			}
			return
		}
		out := prefix.Finish(strings.TrimPrefix(string(got), "before"), [16]byte{})
		segments := strings.Split(out, "/")
		if len(segments) != 7 || segments[0] != "A" || segments[1] != "."+account || segments[2] != account+region ||
			segments[4] != "2026" || segments[5] != "11" || segments[6] != "" {
			t.Errorf("%q, %q became %q", account, region, out)
		}
		for _, s := range segments[:6] {
			if s == "" || s == "." || s == ".." || len(s) > prefix.MaxSegment {
				t.Errorf("%q, %q gave the segment %q", account, region, s)
			}
		}
		if !utf8.ValidString(out) || utf8.RuneCountInString(out) > prefix.MaxEvaluated || strings.ContainsAny(out, "\x00\n\r\\") {
			t.Errorf("%q, %q became %q", account, region, out)
		}
	})
}

// FuzzCompile checks that whatever compiles also evaluates to a prefix without bad segments, and
// that a refusal points into the expression.
func FuzzCompile(f *testing.F) {
	f.Add(defaultPrefix)
	f.Add("!{timestamp:'..'yyyy[}/é!{firehose:random-string}")
	f.Add("a/.!{timestamp:'.'}/")
	f.Add("!{timestamp:VV/HHmmss.SSS''XXX}")
	at := instant(f, "2026-11-23T01:02:03Z")
	f.Fuzz(func(t *testing.T, expr string) {
		e, err := prefix.Compile(expr, prefix.Options{Keys: []string{"account", "region"}, TimeZone: "Asia/Tokyo"})
		if err != nil {
			var fault *prefix.SyntaxError
			if !errors.As(err, &fault) || fault.Offset < 0 || fault.Offset > len(expr)+len(prefix.DefaultTimestamp) || fault.Problem == "" {
				t.Errorf("%q: %#v", expr, err)
			}
			return
		}
		got, err := e.Append(nil, at, []string{"1", "2"})
		if err != nil {
			return
		}
		out := prefix.Finish(string(got), [16]byte{})
		if !utf8.ValidString(out) || strings.ContainsAny(out, "\x00\n\\") || utf8.RuneCountInString(out) > prefix.MaxEvaluated {
			t.Errorf("%q became %q", expr, out)
		}
		segments := strings.Split(out, "/")
		for i, s := range segments {
			if s == "." || s == ".." || s == "" && i < len(segments)-1 {
				t.Errorf("%q became %q", expr, out)
			}
		}
	})
}
