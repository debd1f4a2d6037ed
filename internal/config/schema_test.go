package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"pgregory.net/rapid"
)

const schemaFile = "../../doc/catchment.schema.json"

func TestSchemaInTheDocumentsIsTheDecoders(t *testing.T) {
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(schemaFile, Schema(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(Schema()), string(got)); diff != "" {
		t.Errorf("UPDATE=1 go test writes it anew; -want +got:\n%s", diff)
	}
}

func compileSchema(tb testing.TB) *jsonschema.Schema {
	tb.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema()))
	if err != nil {
		tb.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("catchment.json", doc); err != nil {
		tb.Fatal(err)
	}
	s, err := c.Compile("catchment.json")
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// plain is v as a JSON Schema validator sees it: variables are not expanded.
func (v *value) plain() any {
	switch v.kind {
	case boolKind:
		return v.text == "true"
	case numberKind:
		return json.Number(v.text)
	case textKind:
		if v.env != "" {
			return "${" + v.env + "}"
		}
		return v.text
	case listKind:
		all := make([]any, len(v.items))
		for i, item := range v.items {
			all[i] = item.plain()
		}
		return all
	case objectKind:
		all := make(map[string]any, len(v.members))
		for _, m := range v.members {
			all[m.name] = m.value.plain()
		}
		return all
	case nullKind:
	}
	return nil
}

// answers gives what the schema and the decoder say about a spec; ok is false when the spec is no good YAML, of which
// the schema knows nothing. Rules beyond the table (rules.go) are not asked: a schema cannot say them.
func answers(s *jsonschema.Schema, spec string) (schema, decoder error, ok bool) {
	root, r := parse("f", []byte(spec), lookup)
	if root == nil || len(r.faults) > 0 {
		return nil, nil, false
	}
	schema = s.Validate(root.plain())
	specNode(Default()).decode(r, root, "")
	if len(r.faults) > 0 {
		decoder = Errors(r.faults)
	}
	return schema, decoder, true
}

// byDesign are the specs of testdata/faults.txtar about which schema and decoder differ: the value of a variable is
// unknown to an editor.
var byDesign = map[string]bool{
	"a variable whose value is not what is expected, which is not shown": true,
}

func TestSchemaAgreesOnBadSpecs(t *testing.T) {
	s := compileSchema(t)
	archive, err := txtar.ParseFile("testdata/faults.txtar")
	if err != nil {
		t.Fatal(err)
	}
	asked := 0
	for _, f := range archive.Files {
		if strings.HasSuffix(f.Name, ": says") || byDesign[f.Name] {
			continue
		}
		schema, decoder, ok := answers(s, string(f.Data))
		if !ok {
			continue
		}
		asked++
		if (schema == nil) != (decoder == nil) {
			t.Errorf("%s:\nschema:  %v\ndecoder: %v", f.Name, schema, decoder)
		}
	}
	if asked < 25 {
		t.Errorf("only %d specs were compared", asked)
	}
}

func TestSchemaAcceptsGoodSpecs(t *testing.T) {
	s := compileSchema(t)
	for name, spec := range map[string]string{
		"the template":             string(Template()),
		"the sketch of the design": sketch,
		"the shortest":             minimal,
		"all of it":                everything,
		"variables": `{bucket: {url: "${BUCKET}"}, duplicates: {count: "${COUNT}"},
			streams: [{name: s, prefix: p/, pattern: {account: ["${ACCOUNT}"]}}]}`,
	} {
		schema, decoder, ok := answers(s, strings.ReplaceAll(spec, "\t", " "))
		if !ok || schema != nil || decoder != nil {
			t.Errorf("%s (YAML: %v):\nschema:  %v\ndecoder: %v", name, ok, schema, decoder)
		}
	}
}

// everything uses every field of the table.
const everything = `{
"bucket": {"url": "s3://bucket/x?endpoint=http://127.0.0.1:9000&path_style=true", "checksum": "crc32c",
  "encryption": {"sse": "aws:kms", "kms_key": "arn:aws:kms:eu-west-1:111111111111:key/0000-1111"}},
"streams": [{"name": "a.b-c_D", "version": 3, "pattern": {"source": ["x"], "a": [{"numeric": [">", 1.5]}, null, true]},
  "record": "event", "partition_keys": {"k": ".a", "l-1": "(.b // .c) | tostring"},
  "prefix": "x/!{partitionKeyFromQuery:k}/!{partitionKeyFromQuery:l-1}/", "error_prefix": "e/", "time_zone": "Asia/Tokyo",
  "timestamp": "event", "buffering": {"size": "128MiB", "interval": "1h30m10s"}, "compression": "zstd", "compression_level": 9},
  {"name": "b", "pattern": {}, "partition_keys": "{a: .b}", "prefix": "!{partitionKeyFromQuery:a}/"}],
"sources": [{"http": {"listen": "[::1]:65535", "keys_file": "k", "tls": {"cert": "c", "key": "k"}, "max_body": "1GiB",
  "topics": ["arn:aws-us-gov:sns:us-gov-west-1:111111111111:t.fifo"], "retry_after": "250ms"}},
  {"sqs": {"queue_url": "https://sqs.eu-west-1.amazonaws.com/111111111111/q"}}],
"journal": {"path": "/var/lib/j", "max_size": "2TiB", "segment_size": "999MiB"},
"duplicates": {"count": 0, "age": "1s"}, "drain": {"grace": "1ms"}, "metrics": {"listen": "none"},
"log": {"format": "json", "level": "debug"},
"organization": {"administrator": "000000000001", "accounts": ["000000000002"], "regions": ["eusc-de-east-1"], "role": "r"},
"managed": {"partitioning": "stream-per-account", "newline": "lambda", "topology": "aggregated"}
}`

// TestSchemaAgreesOnMutations changes good specs at random places, by what stands elsewhere and by what is tempting.
func TestSchemaAgreesOnMutations(t *testing.T) {
	s := compileSchema(t)
	seeds := []string{everything, everything, sketch, string(Template())}
	agreed := map[bool]int{}
	rapid.Check(t, func(t *rapid.T) {
		root, r := parse("f", []byte(rapid.SampledFrom(seeds).Draw(t, "seed")), lookup)
		if len(r.faults) > 0 {
			t.Fatal(Errors(r.faults))
		}
		doc := root.plain()
		for range rapid.IntRange(1, 2).Draw(t, "mutations") {
			doc = mutate(t, doc, 0)
		}
		text, err := json.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		schema, decoder, ok := answers(s, string(text))
		if !ok {
			return
		}
		if (schema == nil) != (decoder == nil) {
			t.Fatalf("%s\nschema:  %v\ndecoder: %v", text, schema, decoder)
		}
		agreed[schema == nil]++
	})
	if agreed[true] == 0 || agreed[false] == 0 {
		t.Errorf("good and bad specs met: %v, want both", agreed)
	}
}

// mutate replaces, removes, renames, doubles or adds something in doc, or in a part of it.
func mutate(t *rapid.T, doc any, depth int) any {
	deeper := rapid.IntRange(0, 5).Draw(t, "deeper") > 0
	switch doc := doc.(type) {
	case map[string]any:
		names := slices.Sorted(maps.Keys(doc))
		if len(names) == 0 {
			break
		}
		name := names[rapid.IntRange(0, len(names)-1).Draw(t, "field")]
		if deeper {
			doc[name] = mutate(t, doc[name], depth+1)
			return doc
		}
		switch rapid.IntRange(0, 3).Draw(t, "change") {
		case 0:
			delete(doc, name)
		case 1:
			doc[rapid.SampledFrom(fieldNames).Draw(t, "name")] = doc[name]
			delete(doc, name)
		case 2:
			doc[rapid.SampledFrom(fieldNames).Draw(t, "name")] = tempting(t)
		default:
			doc[name] = tempting(t)
		}
		return doc
	case []any:
		if len(doc) > 0 && deeper {
			i := rapid.IntRange(0, len(doc)-1).Draw(t, "item")
			doc[i] = mutate(t, doc[i], depth+1)
			return doc
		}
		switch {
		case len(doc) > 0 && rapid.Bool().Draw(t, "double"):
			return append(doc, doc[0])
		case rapid.Bool().Draw(t, "add"):
			return append(doc, tempting(t))
		default:
			return []any{}
		}
	}
	return tempting(t)
}

var fieldNames = []string{
	"", "name", "url", "size", "interval", "http", "sqs", "listen", "prefix", "pattern", "streams", "version", "Name",
	"kms_key", "account", "a b", "x.y", "count", "age", "tls", "cert", "key", "sse", "role", "accounts", "regions",
}

func tempting(t *rapid.T) any {
	return rapid.OneOf(
		rapid.SampledFrom([]any{
			"", " ", "a", "all", "none", "gzip", "GZIP", "finding", "event", "text", "true", "no", "1", "0", "012345678901",
			"64MiB", "64 MiB", "0MiB", "1B", "1KiB", "9999999999MiB", "1GiB", "5m", "0s", "1h1m1s", "1m1h", "-5m", "1000000s",
			":80", "127.0.0.1:80", ":65536", "[::1]:1", "x:080", "s3://bucket", "s3://b", "s3://bucket/a//b", "s3://bucket?x=y",
			"s3://bucket?region=eu-west-1", "file:///x", "file://x/y", "./x", "a:b", "a:/b", "$", "$$", "a$", "$x", "${", "x${",
			"${}", "${1}", "UTC", "Asia/Tokyo", "Local", "+1", "eu-west-1", "eu-west", "alias/x", "p/", "é", "\t", "\n", "\u2028",
			strings.Repeat("a", 64), strings.Repeat("a", 65), strings.Repeat("é", 1024), strings.Repeat("é", 1025),
			"crc32", "aws:kms", "AES256", "arrival", "info", "dynamic", "native", "per-region", "{a: .b}",
			"arn:aws:sns:eu-west-1:111111111111:t", "https://sqs.eu-west-1.amazonaws.com/111111111111/q",
		}),
		rapid.SampledFrom([]any{nil, true, false, map[string]any{}, []any{}, []any{nil}, []any{"eu-west-1", "eu-west-1"}}),
		rapid.SampledFrom([]any{
			json.Number("0"), json.Number("1"), json.Number("-1"), json.Number("9"), json.Number("10"), json.Number("1.0"),
			json.Number("1.5"), json.Number("1e3"), json.Number("1e-3"), json.Number("-0"), json.Number("0e9"),
			json.Number("1000000000"), json.Number("1000000001"), json.Number("1e30"), json.Number("1e-400"),
			json.Number("12345678901234567890"), json.Number("10e-1"), json.Number("0.99999999999999999999"),
		}),
		rapid.Map(rapid.StringMatching(`[a-zA-Z0-9:/.$\{\}_-]{0,12}`), func(s string) any { return s }),
	).Draw(t, "tempting")
}

// FuzzLoad: what loads is of the schema; what does not has a line and a column within the file, and a reason.
func FuzzLoad(f *testing.F) {
	f.Add(string(Template()))
	f.Add(sketch)
	f.Add(everything)
	archive, err := txtar.ParseFile("testdata/faults.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range archive.Files {
		if !strings.HasSuffix(file.Name, ": says") {
			f.Add(string(file.Data))
		}
	}
	s := compileSchema(f)
	f.Fuzz(func(t *testing.T, spec string) {
		_, err := Load("f", []byte(spec), Options{Lookup: lookup})
		if err == nil {
			if schema, decoder, ok := answers(s, spec); !ok || schema != nil || decoder != nil {
				t.Errorf("loads, but (YAML: %v)\nschema:  %v\ndecoder: %v", ok, schema, decoder)
			}
			return
		}
		lines := strings.Count(spec, "\n") + 1
		faults, ok := errors.AsType[Errors](err)
		if !ok {
			t.Fatalf("got %T, want Errors", err)
		}
		for _, fault := range faults {
			if fault.Line < 1 || fault.Line > lines || fault.Column < 1 || fault.Want == "" && fault.Err == nil {
				t.Errorf("no place or no reason (%d lines): %+v", lines, fault)
			}
		}
	})
}
