package template_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"example.org/catchment/internal/lab/cloudformation/template"
)

func many(n int, format string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

const one = "Resources: {A: {Type: T}}\n"

func TestTemplatesAreRefusedInTheWordsOfAWS(t *testing.T) {
	deep := strings.Repeat("[", 200) + strings.Repeat("]", 200)
	for name, c := range map[string]struct{ body, want string }{
		"a list":                          {"- a", "Template format error: unsupported structure."},
		"nothing":                         {"", "Template format error: unsupported structure."},
		"no resources":                    {"Description: x", "Template format error: At least one Resources member must be defined."},
		"no YAML":                         {"A: [b", "Template format error: YAML not well-formed. (line 1, column 4)"},
		"no JSON":                         {"{\n \"A\": ]", "Template format error: JSON not well-formed. (line 2, column 7)"},
		"an alias":                        {"A: &x b\nC: *x", "Template error: YAML aliases are not allowed in CloudFormation templates"},
		"a hill of brackets":              {"A: " + deep, "Template format error: a template has at most 64 levels"},
		"too long":                        {strings.Repeat("#", 1<<20+1), "Template may not exceed 1048576 bytes in size."},
		"a section of another name":       {one + "Stuff: {}", "Invalid template property or properties [Stuff]"},
		"another version":                 {one + "AWSTemplateFormatVersion: 2011-01-01", "Template format error: unsupported value for AWSTemplateFormatVersion."},
		"a long description":              {one + "Description: " + strings.Repeat("x", 1025), "Template format error: Description length must be less than or equal to 1024."},
		"no type":                         {"Resources: {A: {}}", "Template format error: [/Resources/A] Every Resources object must contain a Type member."},
		"a name with a dash":              {"Resources: {A-B: {Type: T}}", "Template format error: Resource name A-B is non alphanumeric."},
		"a member of another name":        {"Resources: {A: {Type: T, Colour: red}}", "Invalid template resource property 'Colour'"},
		"more than 500 resources":         {"Resources:\n" + many(501, "  A%d: {Type: T}\n"), "Template format error: Number of resources, 501, is greater than maximum allowed, 500"},
		"more than 200 parameters":        {one + "Parameters:\n" + many(201, "  P%d: {Type: String}\n"), "Template format error: Number of parameters, 201, is greater than maximum allowed, 200"},
		"more than 200 outputs":           {one + "Outputs:\n" + many(201, "  O%d: {Value: x}\n"), "Template format error: Number of outputs, 201, is greater than maximum allowed, 200"},
		"a reference to nothing":          {"Resources: {A: {Type: T, Properties: {P: !Ref B}}}", "Template format error: Unresolved resource dependencies [B] in the Resources block of the template"},
		"a substitution of nothing":       {"Resources: {A: {Type: T, Properties: {P: !Sub 'x ${B} ${!C}'}}}", "Template format error: Unresolved resource dependencies [B] in the Resources block of the template"},
		"an output of nothing":            {one + "Outputs: {O: {Value: !Ref B}}", "Template format error: Unresolved resource dependencies [B] in the Outputs block of the template"},
		"a dependency on nothing":         {"Resources: {A: {Type: T, DependsOn: [B, C]}}", "Template format error: Unresolved resource dependencies [B, C] in the Resources block of the template"},
		"an attribute of nothing":         {"Resources: {A: {Type: T, Properties: {P: !GetAtt B.Arn}}}", "Template error: instance of Fn::GetAtt references undefined resource B"},
		"a condition that is not there":   {"Resources: {A: {Type: T, Condition: C}}", "Template format error: Unresolved condition dependency C in the Resources block of the template"},
		"a mapping that is not there":     {"Resources: {A: {Type: T, Properties: {P: !FindInMap [M, a, b]}}}", "Template error: Mapping named 'M' is not present in the 'Mappings' section of template."},
		"a ring of two":                   {"Resources: {A: {Type: T, DependsOn: B}, B: {Type: T, Properties: {P: !Ref A}}, C: {Type: T, DependsOn: A}}", "Circular dependency between resources: [A, B]"},
		"a ring of one":                   {"Resources: {A: {Type: T, Properties: {P: !GetAtt A.Arn}}}", "Circular dependency between resources: [A]"},
		"a ring of conditions":            {one + "Conditions: {A: !Not [Condition: B], B: !Not [Condition: A]}", "Template format error: Circular dependency between conditions: [A, B]"},
		"a join of one":                   {"Resources: {A: {Type: T, Properties: {P: !Join [a]}}}", "Template error: every Fn::Join object requires two parameters, (1) a string delimiter and (2) a list of strings to be joined or a function that returns a list of strings (such as Fn::GetAZs) to be joined."},
		"a choice of two":                 {"Resources: {A: {Type: T, Properties: {P: !If [a, b]}}}", "Template error: Fn::If requires a list argument with three elements"},
		"a function that is not there":    {"Resources: {A: {Type: T, Properties: {P: {'Fn::Cidr': x}}}}", "Template error: the lab's CloudFormation has no function Fn::Cidr"},
		"a policy of another name":        {"Resources: {A: {Type: T, DeletionPolicy: Never}}", "Template format error: Unrecognized DeletionPolicy Never for resource A"},
		"an output without a value":       {one + "Outputs: {O: {Description: x}}", "Template format error: [/Outputs/O] Every Outputs member must contain a Value object"},
		"an export without a name":        {one + "Outputs: {O: {Value: x, Export: {}}}", "Template format error: Output O is malformed. The Name field of every Export member must be specified."},
		"a parameter without a type":      {one + "Parameters: {P: {Default: x}}", "Template format error: [/Parameters/P] Every Parameters object must contain a Type member."},
		"a parameter of another type":     {one + "Parameters: {P: {Type: 'AWS::SSM::Parameter::Value<String>'}}", "Template format error: Unrecognized parameter type: AWS::SSM::Parameter::Value<String>"},
		"a parameter with another member": {one + "Parameters: {P: {Type: String, Colour: red}}", "Invalid template parameter property 'Colour'"},
		"a transform":                     {one + "Transform: AWS::Serverless-2016-10-31", "Template format error: the lab's CloudFormation has no Transform"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := template.Parse(c.body)
			e, ok := errors.AsType[*template.Error](err)
			if !ok || e.Message != c.want {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}

func TestArgumentsAreHeldAgainstTheParameters(t *testing.T) {
	body := one + `
Parameters:
  Text: {Type: String, MinLength: 2, MaxLength: 4, AllowedPattern: "[a-z]*"}
  Number: {Type: Number, MinValue: 1, MaxValue: 9, Default: 5}
  Choice: {Type: String, AllowedValues: [a, b], Default: a}
  List: {Type: CommaDelimitedList, Default: "x, y"}
  Told: {Type: String, Default: good, AllowedPattern: good, ConstraintDescription: it has to be good}
`
	parsed, err := template.Parse(body)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		given map[string]string
		want  string
	}{
		"one is missing":          {nil, "Parameters: [Text] must have values"},
		"one is not there":        {map[string]string{"Text": "ab", "Other": ""}, "Parameters: [Other] do not exist in the template"},
		"too short":               {map[string]string{"Text": "a"}, "Parameter 'Text' must contain at least 2 characters"},
		"too long":                {map[string]string{"Text": "abcde"}, "Parameter 'Text' must contain at most 4 characters"},
		"far too long":            {map[string]string{"Text": strings.Repeat("a", 4097)}, "Parameter 'Text' must be no longer than 4096 bytes"},
		"against the pattern":     {map[string]string{"Text": "AB"}, "Parameter 'Text' must match pattern [a-z]*"},
		"no number":               {map[string]string{"Text": "ab", "Number": "x"}, "Parameter 'Number' must be a number."},
		"too small":               {map[string]string{"Text": "ab", "Number": "0"}, "Parameter 'Number' must be a number not less than 1"},
		"too big":                 {map[string]string{"Text": "ab", "Number": "10"}, "Parameter 'Number' must be a number not greater than 9"},
		"none of the values":      {map[string]string{"Text": "ab", "Choice": "c"}, "Parameter 'Choice' must be one of AllowedValues"},
		"with words of its own":   {map[string]string{"Text": "ab", "Told": "bad"}, "Parameter 'Told' failed to satisfy constraint: it has to be good"},
		"all are as they must be": {map[string]string{"Text": "ab"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parsed.Arguments(c.given)
			if got := fmt.Sprint(err); err == nil && c.want != "" || err != nil && got != c.want {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}

// evaluate gives what the output O of a template is.
func evaluate(t *testing.T, value string) (any, error) {
	t.Helper()
	parsed, err := template.Parse(`
Parameters:
  P: {Type: String, Default: p}
  L: {Type: CommaDelimitedList, Default: "x,y"}
Mappings:
  M: {a: {b: found}}
Conditions:
  Yes: !Equals [!Ref P, p]
  No: !And [Condition: Yes, !Not [!Condition Yes]]
Resources:
  A: {Type: T, Properties: {V: ` + value + `}}
  B: {Type: T}
`)
	if err != nil {
		t.Fatal(err)
	}
	arguments, err := parsed.Arguments(nil)
	if err != nil {
		t.Fatal(err)
	}
	s := &template.Scope{
		Template: parsed, Arguments: arguments, Pseudo: map[string]any{template.Region: "here-1", template.AccountID: "012345678901"},
		Ref:       func(name string) (any, error) { return "ref of " + name, nil },
		Attribute: func(name, attribute string) (any, error) { return attribute + " of " + name, nil },
		Import:    func(name string) (string, error) { return "import of " + name, nil },
		Zones:     func(region string) []string { return []string{region + "a"} },
	}
	out, err := s.Evaluate(parsed.Resources["A"].Properties)
	m, _ := out.(map[string]any)
	return m["V"], err
}

func TestFunctionsGiveWhatTheyStandFor(t *testing.T) {
	for value, want := range map[string]any{
		"!Ref P":                                   "p",
		"!Ref L":                                   []any{"x", "y"},
		"!Ref B":                                   "ref of B",
		"!Ref AWS::AccountId":                      "012345678901",
		"{Ref: AWS::Region}":                       "here-1",
		"!GetAtt B.Some.Arn":                       "Some.Arn of B",
		`{"Fn::GetAtt": [B, Arn]}`:                 "Arn of B",
		`!Sub "${P} ${B} ${B.Arn} ${!P} $P"`:       "p ref of B Arn of B ${P} $P",
		`!Sub ["${V} ${P}", {V: !Ref B}]`:          "ref of B p",
		`!Join ["-", [a, !Ref P, 1]]`:              "a-p-1",
		`!Join ["-", !Ref L]`:                      "x-y",
		`!Select [1, !Ref L]`:                      "y",
		`!Split [",", "a,b,"]`:                     []any{"a", "b", ""},
		`!If [Yes, a, b]`:                          "a",
		`!If [No, a, b]`:                           "b",
		`!If [No, a, !Ref AWS::NoValue]`:           nil,
		`[a, !If [No, b, !Ref AWS::NoValue]]`:      []any{"a"},
		`!FindInMap [M, a, b]`:                     "found",
		`!ImportValue x`:                           "import of x",
		`{"Fn::Base64": x}`:                        "eA==",
		`!GetAZs ""`:                               []any{"here-1a"},
		`{aws:SourceArn: x, s3:a: "b, c"}`:         map[string]any{"aws:SourceArn": "x", "s3:a": "b, c"},
		`012345678901`:                             "012345678901",
		`2012-10-17`:                               "2012-10-17",
		`{Condition: {Bool: {a: "true"}}, B: 1.5}`: map[string]any{"Condition": map[string]any{"Bool": map[string]any{"a": "true"}}, "B": 1.5},
	} {
		t.Run(value, func(t *testing.T) {
			got, err := evaluate(t, value)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
	for value, want := range map[string]string{
		"!FindInMap [M, a, c]": "Template error: Unable to get mapping for M::a::c",
		"!Select [2, !Ref L]":  "Template error: Fn::Select cannot select nonexistent value at index 2",
		"!Sub '${L}'":          "Template error: variable L in Fn::Sub expression does not resolve to a string",
	} {
		if _, err := evaluate(t, value); err == nil || err.Error() != want {
			t.Errorf("%s: got %v, want %s", value, err, want)
		}
	}
}

func TestNoTextMakesTheReaderPanic(t *testing.T) {
	part := rapid.SampledFrom([]string{
		"A", ":", ": ", "\n", "  ", "- ", "{", "}", "[", "]", ",", "!Ref ", "!Sub ", "'", `"`, "|", ">", "#", "&a ", "*a", "Resources:\n", "Type: T", "x:y", "\\", "0",
	})
	rapid.Check(t, func(t *rapid.T) {
		body := strings.Join(rapid.SliceOfN(part, 0, 40).Draw(t, "parts"), "")
		_, err := template.Parse(body)
		if _, ours := errors.AsType[*template.Error](err); err != nil && !ours {
			t.Errorf("%q: %v", body, err)
		}
	})
}

func TestBothNotationsMeanTheSame(t *testing.T) {
	a, err := template.Parse(`{"Resources":{"A":{"Type":"T","Properties":{"P":{"Fn::Sub":"x"},"N":1,"B":true,"L":[null]}}}}`)
	if err != nil {
		t.Fatal(err)
	}
	b, err := template.Parse("Resources:\n  A:\n    Type: T\n    Properties:\n      P: !Sub x\n      N: 1\n      B: true\n      L: [null]\n")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(a.Resources["A"].Properties, b.Resources["A"].Properties); diff != "" {
		t.Error(diff)
	}
}
