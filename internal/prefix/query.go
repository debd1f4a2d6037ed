package prefix

import (
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/itchyny/gojq"
)

// MaxSteps bounds the work of one query on one record, in steps of the interpreter. Steps and not
// time: where a record goes must not depend on how busy the machine was.
const MaxSteps = 1_000_000

// A Query is a compiled jq expression: one value, or, if it is an object constructor, one for each
// of its names. It does not change and may be used by many goroutines.
//
// It has to have exactly one output. None counts as null; a second one rejects the record, because
// taking the first of, say, .Resources[].Region would be a choice that nobody made. Numbers keep
// the text that they have in the record, where jq 1.6 rounds integers beyond 2^53.
type Query struct {
	outputs []output   // of a query of plain paths; nil if it needs the interpreter
	code    *gojq.Code // of any other
	names   []string   // of an object constructor; nil for one value
}

// Names gives the names of an object constructor such as {account: .AwsAccountId}, in order, and
// nil for any other query.
func (q *Query) Names() []string { return q.names }

// Interpreted tells whether the query needs the jq interpreter, which first decodes the record:
// some ten times the cost of all else together. Plain paths, alternatives of them and texts, and
// objects of these do not.
func (q *Query) Interpreted() bool { return q.code != nil }

// CompileQuery reads a jq expression. An error is a *SyntaxError.
//
// Refused are the ways out of the record (input, env, now, debug, modules …), without which a
// record's place would depend on more than the record, and "*", with which a record could ask for
// a text as long as the memory.
func CompileQuery(src string) (*Query, error) {
	q, fault := compileQuery(src)
	if fault != nil {
		return nil, fault
	}
	return q, nil
}

func compileQuery(src string) (*Query, *SyntaxError) {
	refuse := func(offset int, problem, expected, hint string) *SyntaxError {
		return (&SyntaxError{Code: CodeQuery, Problem: problem, Expected: expected, Hint: hint}).at(src, offset)
	}
	ast, err := gojq.Parse(src)
	if err != nil {
		offset, problem := len(src), "jq: "+err.Error()
		var parse *gojq.ParseError
		if errors.As(err, &parse) {
			offset = max(0, parse.Offset-len(parse.Token))
		}
		return nil, refuse(offset, problem, "a jq query", "")
	}
	if problem, hint := forbidden(ast); problem != "" {
		return nil, refuse(0, problem, "", hint)
	}
	q := &Query{}
	object := constructed(ast)
	if object != nil {
		for _, kv := range object.KeyVals {
			name, ok := constantName(kv)
			switch {
			case !ok || !isKeyName(name):
				return nil, refuse(0, "name of a partition key that is not plain", "{name: query, …}", "")
			case slices.Contains(q.names, name):
				return nil, refuse(0, "name "+quote(name)+" given twice", "", "")
			case needsParentheses(kv.Val):
				return nil, refuse(0, "value of "+quote(name)+" without parentheses", name+": (…)",
					"jq 1.6, which Firehose runs, takes no operator there")
			}
			q.names = append(q.names, name)
		}
		if len(q.names) == 0 {
			return nil, refuse(0, "object without names", "{name: query, …}", "")
		}
	}
	if outputs, ok := plainOutputs(ast); ok {
		q.outputs = outputs
		return q, nil
	}
	q.code, err = gojq.Compile(ast)
	if err != nil {
		return nil, refuse(0, "jq: "+err.Error(), "", "")
	}
	return q, nil
}

// needsParentheses tells whether jq 1.6 would refuse v as the value of an object's member.
func needsParentheses(v *gojq.Query) bool {
	switch {
	case v == nil || v.Term != nil:
		return false
	case v.Op == gojq.OpPipe:
		return needsParentheses(v.Left) || needsParentheses(v.Right)
	}
	return true
}

// constructed gives the object constructor that makes the query's output, nil if there is none.
func constructed(q *gojq.Query) *gojq.Object {
	switch {
	case q.Term == nil && q.Op == gojq.OpPipe:
		return constructed(q.Right)
	case q.Term == nil || len(q.Term.SuffixList) > 0:
		return nil
	case q.Term.Type == gojq.TermTypeQuery:
		return constructed(q.Term.Query)
	}
	return q.Term.Object
}

func constantName(kv *gojq.ObjectKeyVal) (string, bool) {
	switch {
	case kv.KeyString != nil:
		return kv.KeyString.Str, kv.KeyString.Queries == nil
	case kv.KeyQuery != nil:
		return "", false
	}
	return kv.Key, true
}

// sideDoors are the functions whose answer does not follow from the record alone, or that reach
// out of the program.
var sideDoors = []string{
	"input", "inputs", "debug", "stderr", "env", "$ENV", "now", "halt", "halt_error", "localtime",
	"strflocaltime", "input_filename", "input_line_number", "get_search_list", "modulemeta",
}

// forbidden looks through the whole syntax tree, whatever nodes it has.
func forbidden(ast *gojq.Query) (problem, hint string) {
	walk(reflect.ValueOf(ast), func(node any) {
		switch n := node.(type) {
		case *gojq.Func:
			if slices.Contains(sideDoors, n.Name) {
				problem, hint = "jq function "+n.Name, "a partition key follows from the record alone"
			}
		case *gojq.Import:
			problem, hint = "jq module", "write the query out"
		case *gojq.Query:
			if n.Op == gojq.OpMul || n.Op == gojq.OpUpdateMul {
				problem, hint = "jq operator "+n.Op.String(), "numbers can be divided: / 0.001"
			}
		}
	})
	return problem, hint
}

func walk(v reflect.Value, visit func(node any)) {
	switch kind := v.Kind(); {
	case kind == reflect.Pointer && !v.IsNil():
		visit(v.Interface())
		walk(v.Elem(), visit)
	case kind == reflect.Struct:
		for i := range v.NumField() {
			walk(v.Field(i), visit)
		}
	case kind == reflect.Slice:
		for i := range v.Len() {
			walk(v.Index(i), visit)
		}
	}
}

// Keys are the partition keys of one stream, in the order in which its prefix wants them. They do
// not change and may be used by many goroutines.
type Keys struct {
	names   []string
	queries []keyQuery
}

// A keyQuery is a query with the places of its outputs in the order of the keys.
type keyQuery struct {
	*Query
	places []int
}

// CompileKeys compiles one query a key. order is Expression.Keys. All faults are reported at once,
// each a *SyntaxError wrapped with its key's name.
func CompileKeys(order []string, queries map[string]string) (*Keys, error) {
	keys := &Keys{names: order}
	var faults []error
	for i, name := range order {
		src, ok := queries[name]
		if !ok {
			faults = append(faults, fmt.Errorf("partition key %s has no query", name))
			continue
		}
		q, fault := compileQuery(src)
		if fault == nil && q.names != nil {
			fault = (&SyntaxError{Code: CodeQuery, Problem: "an object", Expected: "a query for one value"}).at(src, 0)
		}
		if fault != nil {
			faults = append(faults, fmt.Errorf("partition key %s: %w", name, fault))
			continue
		}
		keys.queries = append(keys.queries, keyQuery{q, []int{i}})
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	return keys, nil
}

// CompileObject compiles a query in the shape of Firehose's MetadataExtractionQuery: one object
// constructor for all keys. order is Expression.Keys, nil for the constructor's own.
func CompileObject(order []string, src string) (*Keys, error) {
	q, fault := compileQuery(src)
	if fault == nil && q.names == nil {
		fault = (&SyntaxError{Code: CodeQuery, Problem: "no object", Expected: "{name: query, …}"}).at(src, 0)
	}
	if fault != nil {
		return nil, fault
	}
	if order == nil {
		order = q.names
	}
	keys := &Keys{names: order, queries: []keyQuery{{q, make([]int, len(q.names))}}}
	for i, name := range q.names {
		keys.queries[0].places[i] = slices.Index(order, name)
	}
	for _, name := range order {
		if !slices.Contains(q.names, name) {
			return nil, fmt.Errorf("partition key %s has no query", name)
		}
	}
	return keys, nil
}

// Names gives the keys in order.
func (k *Keys) Names() []string { return k.names }

// Interpreted tells whether any of the queries needs the jq interpreter.
func (k *Keys) Interpreted() bool {
	return slices.ContainsFunc(k.queries, func(q keyQuery) bool { return q.Interpreted() })
}
