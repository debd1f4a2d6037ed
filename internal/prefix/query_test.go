package prefix_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"github.com/itchyny/gojq"
	"pgregory.net/rapid"

	"example.org/catchment/internal/prefix"
	"example.org/catchment/internal/scan"
)

// selectFrom runs keys on a document that is the record.
func selectFrom(tb testing.TB, keys *prefix.Keys, doc string) ([]string, error) {
	tb.Helper()
	paths := scan.NewPaths()
	b := keys.Bind(paths)
	var d scan.Document
	if _, err := d.Scan([]byte(doc), paths); err != nil {
		tb.Fatalf("scan %s: %v", doc, err)
	}
	values, err := b.NewSelector().Select(&d, 0)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, v := range values {
		out = append(out, string(v))
	}
	return out, nil
}

func mustKeys(tb testing.TB, query string) *prefix.Keys {
	tb.Helper()
	keys, err := prefix.CompileKeys([]string{"k"}, map[string]string{"k": query})
	if err != nil {
		tb.Fatalf("compile %s: %v", query, err)
	}
	return keys
}

func TestQueries(t *testing.T) {
	const doc = `{"AwsAccountId":"111111111111","Region":null,"region":"us-east-1","n":12345678901234567890,"f":1.0,"e":"",
		"yes":true,"no":false,"o":{"x":{"y":"deep"}},"ProductFields":{"aws/securityhub/ProductName":"Inspector","a.b":"dotted"},
		"a":{"b":"nested"},"a.b":"flat","list":[{"Id":"first"},{"Id":"second"},[["inner"]]],"esc":"\u00e9\n","time":"2026-11-23T01:02:03Z"}`
	for name, tt := range map[string]struct {
		query       string
		want        string
		code        prefix.Code // instead of want
		interpreted bool
	}{
		"a key":                            {".AwsAccountId", "111111111111", "", false},
		"keys":                             {".o.x.y", "deep", "", false},
		"keys over a pipe":                 {".o | .x | .y", "deep", "", false},
		"keys in parentheses":              {"((.o).x.y)", "deep", "", false},
		"a quoted key":                     {`.ProductFields."aws/securityhub/ProductName"`, "Inspector", "", false},
		"a key in brackets":                {`.ProductFields["aws/securityhub/ProductName"]`, "Inspector", "", false},
		"a key in brackets first":          {`.["region"]`, "us-east-1", "", false},
		"an element":                       {".list[1].Id", "second", "", false},
		"an element of an element":         {".list[2][0][0]", "inner", "", false},
		"an element by a fraction":         {".list[1.5].Id", "second", "", true},
		"no such element":                  {".list[7].Id", "", prefix.CodeKeyNull, false},
		"an element from the end":          {".list[-2].Id", "second", "", true},
		"a dotted key is not two keys":     {".a.b", "nested", "", false},
		"a dotted key":                     {`."a.b"`, "flat", "", true},
		"a dotted key below a key":         {`.ProductFields."a.b"`, "dotted", "", true},
		"an alternative for null":          {".Region // .region", "us-east-1", "", false},
		"an alternative for what is false": {".no // .region", "us-east-1", "", false},
		"a text as the last alternative":   {`.Region // .missing // "none"`, "none", "", false},
		"alternatives in parentheses":      {`(.Region // .missing) // (.region // "none")`, "us-east-1", "", false},
		"the last alternative is false":    {".missing // .no", "false", "", false},
		"the last alternative is null":     {".no // .missing", "", prefix.CodeKeyNull, false},
		"a large number keeps its digits":  {".n", "12345678901234567890", "", false},
		"a number keeps its text":          {".f", "1.0", "", false},
		"true":                             {".yes", "true", "", false},
		"false":                            {".no", "false", "", false},
		"an escaped text":                  {".esc", "é\n", "", false},
		"an empty text":                    {".e", "", "", false},
		"null":                             {".Region", "", prefix.CodeKeyNull, false},
		"missing":                          {".missing.further[0]", "", prefix.CodeKeyNull, false},
		"an object":                        {".o", "", prefix.CodeKeyType, false},
		"an array":                         {".list", "", prefix.CodeKeyType, false},
		"the record":                       {".", "", prefix.CodeKeyType, false},
		"a key of a text":                  {".region.x", "", prefix.CodeKeyQuery, false},
		"a key of a text is not passed":    {`.region.x // "none"`, "", prefix.CodeKeyQuery, false},
		"a key of an array":                {".list.Id", "", prefix.CodeKeyQuery, false},
		"an element of an object":          {".o[0]", "", prefix.CodeKeyQuery, false},
		"an element of a text":             {".region[0]", "", prefix.CodeKeyQuery, false},
		"a large number, interpreted":      {".n | .", "12345678901234567890", "", false},
		"a large number with arithmetic":   {".n + 1", "12345678901234567891", "", true},
		"a number, interpreted":            {"(.f | select(true))", "1.0", "", true},
		"a part of a text":                 {`.time | split("T") | .[0]`, "2026-11-23", "", true},
		"a part of a text by slice":        {`.time[0:4]`, "2026", "", true},
		"a text of parts":                  {`"\(.AwsAccountId)-\(.region)"`, "111111111111-us-east-1", "", true},
		"Firehose's own example":           {`.time | fromdate | strftime("%Y")`, "2026", "", true},
		"no output":                        {"empty", "", prefix.CodeKeyNull, true},
		"two outputs":                      {".list[0,1].Id", "", prefix.CodeKeyOutputs, true},
		"an optional key":                  {".region.x?", "", prefix.CodeKeyNull, true},
		"an error":                         {`error("x")`, "", prefix.CodeKeyQuery, true},
		"not a number":                     {"nan", "", prefix.CodeKeyNull, true},
		"a loop without end":               {"def f: f; f", "", prefix.CodeKeySteps, true},
		"a loop over a range":              {"[range(1e12)] | length", "", prefix.CodeKeySteps, true},
		"a stream without end":             {"last(repeat(1))", "", prefix.CodeKeySteps, true},
		"an end after the first output":    {"1, (def f: f; f)", "", prefix.CodeKeySteps, true},
	} {
		t.Run(name, func(t *testing.T) {
			keys := mustKeys(t, tt.query)
			if keys.Interpreted() != tt.interpreted {
				t.Errorf("%s: interpreted is %v", tt.query, keys.Interpreted())
			}
			got, err := selectFrom(t, keys, doc)
			var fault *prefix.RecordError
			switch {
			case tt.code == "" && (err != nil || got[0] != tt.want):
				t.Errorf("%s: got %q and %v, want %q", tt.query, got, err, tt.want)
			case tt.code != "" && (!errors.As(err, &fault) || fault.Code != tt.code || fault.Key != "k"):
				t.Errorf("%s: got %q and %v, want %s", tt.query, got, err, tt.code)
			}
			if err != nil && strings.Contains(err.Error(), "us-east-1") {
				t.Errorf("the error quotes the record: %v", err)
			}
		})
	}
}

func TestRefusedQueries(t *testing.T) {
	for name, tt := range map[string]struct {
		query  string
		column int
		text   string
	}{
		"no query":                         {"", 1, "jq"},
		"a fault in the middle":            {".a | | .b", 6, "jq"},
		"an open bracket":                  {".a[0", 5, "jq"},
		"an unknown function":              {"frobnicate", 1, "frobnicate"},
		"input":                            {"input", 1, "function input"},
		"input deep inside":                {"if .a then [.b, {c: inputs}] else . end", 1, "function inputs"},
		"input in a function":              {"def f: input; f", 1, "function input"},
		"the environment":                  {"env.HOME", 1, "function env"},
		"the environment as a variable":    {"$ENV.HOME", 1, "function $ENV"},
		"the clock":                        {"now", 1, "function now"},
		"debug":                            {".a | debug", 1, "function debug"},
		"halt":                             {"halt", 1, "function halt"},
		"the machine's time zone":          {".t | localtime", 1, "function localtime"},
		"a module":                         {`import "a" as a; .x`, 1, "module"},
		"an included module":               {`include "a"; .x`, 1, "module"},
		"text times a number":              {".t * .n", 1, "operator *"},
		"text times a number, assigned":    {".t *= 5", 1, "operator *="},
		"an object that Firehose refuses":  {`{a: .x // "d"}`, 1, "parentheses"},
		"an operator after a pipe":         {`{a: .x | .y // "d"}`, 1, "parentheses"},
		"a name that is computed":          {"{(.k): .v}", 1, "not plain"},
		"a name that is no key name":       {`{"a/b": .v}`, 1, "not plain"},
		"a name given twice":               {"{a: .x, a: .y}", 1, "twice"},
		"an object without names":          {"{}", 1, "without names"},
		"a variable that does not exist":   {"$__prog_args", 1, "__prog_args"},
		"a place within the source (line)": {"$__loc__", 1, "__loc__"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := prefix.CompileQuery(tt.query)
			var fault *prefix.SyntaxError
			if !errors.As(err, &fault) || fault.Code != prefix.CodeQuery || fault.Column != tt.column || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("%s: got %v, want column %d with %q", tt.query, err, tt.column, tt.text)
			}
		})
	}
}

func TestObjectConstructors(t *testing.T) {
	const doc = `{"AwsAccountId":"1","region":"r","detail":{"findings":[{"AwsAccountId":"2","Region":"s"}]}}`
	for name, tt := range map[string]struct {
		query       string
		order, want []string
		interpreted bool
	}{
		"its own order":          {"{account:.AwsAccountId,region:(.Region // .region)}", nil, []string{"1", "r"}, false},
		"the prefix's order":     {"{account:.AwsAccountId,region:(.Region // .region)}", []string{"region", "account"}, []string{"r", "1"}, false},
		"one that is not used":   {"{account:.AwsAccountId,other:.missing}", []string{"account"}, []string{"1"}, false},
		"short names":            {`{region, "AwsAccountId"}`, nil, []string{"r", "1"}, false},
		"below a path":           {".detail.findings[0] | {account:.AwsAccountId,region:(.Region // .region)}", nil, []string{"2", "s"}, false},
		"a text below a path":    {`.region | {a:"x"}`, nil, []string{"x"}, true},
		"with parts interpreted": {`{account:.AwsAccountId,up:(.region|ascii_upcase)}`, nil, []string{"1", "R"}, true},
		"after a definition":     {`def up: ascii_upcase; {a:(.region|up)}`, nil, []string{"R"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			keys, err := prefix.CompileObject(tt.order, tt.query)
			if err != nil {
				t.Fatal(err)
			}
			got, err := selectFrom(t, keys, doc)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" || keys.Interpreted() != tt.interpreted {
				t.Errorf("interpreted %v, values (-want +got):\n%s", keys.Interpreted(), diff)
			}
		})
	}
	if _, err := prefix.CompileObject([]string{"b"}, "{a:.x}"); err == nil {
		t.Error("a key without a query: no error")
	}
	if _, err := prefix.CompileObject(nil, ".x"); err == nil {
		t.Error("no object: no error")
	}
}

func TestAllFaultsOfKeysAtOnce(t *testing.T) {
	_, err := prefix.CompileKeys([]string{"a", "b", "c", "d"}, map[string]string{"a": ".x |", "b": "now", "d": "{x:.y}"})
	for _, text := range []string{"partition key a: column 5", "partition key b: ", "partition key c has no query", "partition key d: "} {
		if err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("got %v, want it to hold %q", err, text)
		}
	}
}

func TestTheInterpreterRefusesFieldsGivenTwice(t *testing.T) {
	got, err := selectFrom(t, mustKeys(t, ".a + .b"), `{"a":"1","b":"2","c":{"d":1,"\u0064":2}}`)
	var fault *prefix.RecordError
	if !errors.As(err, &fault) || fault.Code != prefix.CodeKeyQuery {
		t.Errorf("got %q and %v, want %s", got, err, prefix.CodeKeyQuery)
	}
}

// names and indices are few, so that random paths meet random documents.
var names = []string{"a", "b", "é/y"}

func genValue(depth int) *rapid.Generator[any] {
	leaf := rapid.SampledFrom([]any{
		nil, true, false, "", "text", "é\n\"\\", json.Number("0"), json.Number("1.50"), json.Number("12345678901234567890"), json.Number("1e3"),
	})
	if depth == 0 {
		return leaf
	}
	return rapid.Custom(func(t *rapid.T) any {
		switch rapid.IntRange(0, 5).Draw(t, "kind") {
		case 0:
			return leaf.Draw(t, "leaf")
		case 1, 2:
			return rapid.SliceOfN(genValue(depth-1), 0, 3).Draw(t, "array")
		default:
			return rapid.MapOfN(rapid.SampledFrom(names), genValue(depth-1), 2, 3).Draw(t, "object")
		}
	})
}

// genPath mostly follows the record, and sometimes goes where it does not lead.
func genPath(record any) *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		out, at := "", record
		for i := range rapid.IntRange(1, 5).Draw(t, "steps") {
			object, isObject := at.(map[string]any)
			array, isArray := at.([]any)
			stray := rapid.IntRange(0, 7).Draw(t, "stray") == 0
			if !stray && !isObject && !isArray && i > 0 {
				break
			}
			dot := map[bool]string{true: ".", false: ""}[i == 0]
			if isArray != stray {
				index := rapid.IntRange(0, 2).Draw(t, "index")
				out += fmt.Sprintf("%s[%d]", dot, index)
				at = nil
				if index < len(array) {
					at = array[index]
				}
				continue
			}
			name := rapid.SampledFrom(names).Draw(t, "name")
			out += rapid.SampledFrom([]string{
				fmt.Sprintf("%s[%q]", dot, name), fmt.Sprintf(".%q", name), map[bool]string{true: "", false: " | "}[i == 0] + fmt.Sprintf(".%q", name),
			}).Draw(t, "form")
			at = object[name]
		}
		return out
	})
}

func genQuery(record any) *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		parts := rapid.SliceOfN(genPath(record), 1, 3).Draw(t, "alternatives")
		for i := range parts {
			parts[i] = "(" + parts[i] + ")"
		}
		if rapid.Bool().Draw(t, "text") {
			parts = append(parts, `"text // é"`)
		}
		return strings.Join(parts, " // ")
	})
}

// jq is the reference: it decodes the document and runs the query.
func jq(t *rapid.T, query string, record any) (any, error) {
	ast, err := gojq.Parse(query)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	v, ok := ast.Run(record).Next()
	if !ok {
		t.Fatalf("%s: no output", query)
	}
	if err, isErr := v.(error); isErr {
		return nil, err
	}
	return v, nil
}

// indexesText tells whether the library took a character out of a text, which jq 1.6 and we refuse.
func indexesText(query string) bool {
	return strings.Contains(query, "[0]") || strings.Contains(query, "[1]") || strings.Contains(query, "[2]")
}

// TestPlainQueriesAnswerAsTheInterpreterDoes compares captured paths with jq on the decoded record,
// where the record is the document and where it is one finding of several in an event.
func TestPlainQueriesAnswerAsTheInterpreterDoes(t *testing.T) {
	answered, refused := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		record := genValue(4).Draw(t, "record")
		query := genQuery(record).Draw(t, "query")
		keys, err := prefix.CompileKeys([]string{"k"}, map[string]string{"k": query})
		if err != nil {
			t.Fatalf("compile %s: %v", query, err)
		}
		if keys.Interpreted() {
			t.Fatalf("%s is interpreted", query)
		}
		raw, err := gojq.Marshal(record)
		if err != nil {
			t.Fatal(err)
		}
		var want string
		var code prefix.Code
		v, err := jq(t, query, record)
		switch v := v.(type) {
		case string:
			want = v
		case nil:
			code = prefix.CodeKeyNull
		case map[string]any, []any:
			code = prefix.CodeKeyType
		default:
			b, _ := gojq.Marshal(v)
			want = string(b)
		}
		if err != nil {
			code = prefix.CodeKeyQuery
		}
		other := `{"a":{"b":"other"},"b":["other"]}`
		for doc, base := range map[string][]string{
			string(raw): nil,
			`{"detail":{"findings":[` + other + `,` + string(raw) + `,` + other + `]},"a":"event"}`: {"detail", "findings"},
		} {
			paths := scan.NewPaths()
			binding := keys.Bind(paths, base...)
			var d scan.Document
			if _, err := d.Scan([]byte(doc), paths); err != nil {
				t.Fatalf("scan %s: %v", doc, err)
			}
			root := slices.IndexFunc(d.Hits, func(h scan.Hit) bool {
				return int(h.Path) == binding.Root() && string(d.Raw(h)) == string(raw) && (base == nil || h.Pos != 0)
			})
			got, err := binding.NewSelector().Select(&d, root)
			var fault *prefix.RecordError
			if errors.As(err, &fault) && fault.Code == prefix.CodeKeyQuery && code != fault.Code && indexesText(query) {
				continue
			}
			switch {
			case code == "" && (err != nil || string(got[0]) != want):
				t.Fatalf("%s on %s: got %q and %v, want %q", query, doc, got, err, want)
			case code != "" && (fault == nil || fault.Code != code):
				t.Fatalf("%s on %s: got %q and %v, want %s", query, doc, got, err, code)
			}
			if code == "" {
				answered++
			} else {
				refused++
			}
		}
	})
	t.Logf("%d answers, %d refusals", answered, refused)
	if answered < 5 || refused < 5 {
		t.Errorf("%d answers and %d refusals: the generator tests little", answered, refused)
	}
}

// FuzzDecode compares what the interpreter is given with what the standard library decodes.
func FuzzDecode(f *testing.F) {
	f.Add(`{"a":[1,-2.5e+3,"x\"\\\u00e9\ud83d\ude00\ud800",true,false,null,{},[]],"":{"b":" , ] } "}}`)
	f.Add(" [ 1 , { \"a\" : 2 } ]\n")
	f.Add(`{"a":1,"\u0061":2}`)
	keys := mustKeys(f, "tojson")
	paths := scan.NewPaths()
	selector := keys.Bind(paths).NewSelector()
	f.Fuzz(func(t *testing.T, doc string) {
		var d scan.Document
		n, err := d.Scan([]byte(doc), paths)
		if err != nil {
			return
		}
		got, err := selector.Select(&d, 0)
		decoder := json.NewDecoder(strings.NewReader(doc[:n]))
		decoder.UseNumber()
		var want any
		if err := decoder.Decode(&want); err != nil {
			t.Fatalf("%q: %v", doc, err)
		}
		text, _ := gojq.Marshal(want)
		once := jsontext.Value(doc[:n]).IsValid(jsontext.AllowInvalidUTF8(true))
		if (err == nil) != once {
			t.Errorf("%q: got %v, but no field given twice is %v", doc, err, once)
		}
		if err == nil && string(got[0]) != string(text) {
			t.Errorf("%q: got %s, want %s", doc, got[0], text)
		}
	})
}
