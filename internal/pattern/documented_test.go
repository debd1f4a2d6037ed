package pattern

import (
	"strings"
	"testing"
)

// What AWS's guide and the engine's own page say of the language, a sentence at a time. The random cases of TestConformance
// have the engine's answers; these say which fact they are about. https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-event-patterns.html
func TestTheLanguageIsAsDocumented(t *testing.T) {
	for name, tt := range map[string]struct {
		pattern, event string
		want           any
	}{
		"fields are joined by and":                             {`{"a":["1"],"b":["2"]}`, `{"a":"1","b":"3"}`, false},
		"values of a field are joined by or":                   {`{"a":["1","2"]}`, `{"a":"2"}`, true},
		"fields that the pattern does not name do not count":   {`{"a":["1"]}`, `{"a":"1","b":"2"}`, true},
		"names of fields have a case":                          {`{"A":["1"]}`, `{"a":"1"}`, false},
		"strings have a case":                                  {`{"a":["x"]}`, `{"a":"X"}`, false},
		"names with slashes are names":                         {`{"aws/securityhub/ProductName":["x"]}`, `{"aws/securityhub/ProductName":"x"}`, true},
		"a dotted name is a path":                              {`{"a.b":["x"]}`, `{"a":{"b":"x"}}`, true},
		"a path is a dotted name":                              {`{"a":{"b":["x"]}}`, `{"a.b":"x"}`, true},
		"any value of an array will do":                        {`{"a":["x"]}`, `{"a":["y","x"]}`, true},
		"arrays of objects need no index":                      {`{"f":{"s":{"l":["x"]}}}`, `{"f":[{"s":{"l":"y"}},{"s":{"l":"x"}}]}`, true},
		"two fields below an array are of one element":         {`{"f":{"a":["1"],"b":["2"]}}`, `{"f":[{"a":"1"},{"b":"2"}]}`, false},
		"true is no text":                                      {`{"a":["true"]}`, `{"a":true}`, false},
		"null is null":                                         {`{"a":[null]}`, `{"a":null}`, true},
		"null is not the empty text":                           {`{"a":[null]}`, `{"a":""}`, false},
		"the empty text is itself":                             {`{"a":[""]}`, `{"a":""}`, true},
		"the empty text is not null":                           {`{"a":[""]}`, `{"a":null}`, false},
		"prefix":                                               {`{"a":[{"prefix":"ab"}]}`, `{"a":"abc"}`, true},
		"an empty prefix is any text":                          {`{"a":[{"prefix":""}]}`, `{"a":"x"}`, true},
		"an empty prefix is a text":                            {`{"a":[{"prefix":""}]}`, `{"a":1}`, false},
		"prefix in any case":                                   {`{"a":[{"prefix":{"equals-ignore-case":"AB"}}]}`, `{"a":"abc"}`, true},
		"suffix":                                               {`{"a":[{"suffix":".png"}]}`, `{"a":"x.png"}`, true},
		"suffix in any case":                                   {`{"a":[{"suffix":{"equals-ignore-case":".PNG"}}]}`, `{"a":"x.png"}`, true},
		"equals-ignore-case is the whole text":                 {`{"a":[{"equals-ignore-case":"abc"}]}`, `{"a":"ABCD"}`, false},
		"a star is nothing too":                                {`{"a":[{"wildcard":"a*b"}]}`, `{"a":"ab"}`, true},
		"an escaped star is a star":                            {`{"a":[{"wildcard":"a\\*"}]}`, `{"a":"ab"}`, false},
		"anything-but one":                                     {`{"a":[{"anything-but":"x"}]}`, `{"a":"y"}`, true},
		"anything-but several":                                 {`{"a":[{"anything-but":["x","y"]}]}`, `{"a":"y"}`, false},
		"anything-but numbers":                                 {`{"a":[{"anything-but":[1,2]}]}`, `{"a":3}`, true},
		"anything-but a prefix":                                {`{"a":[{"anything-but":{"prefix":"x"}}]}`, `{"a":"xy"}`, false},
		"anything-but a list of suffixes":                      {`{"a":[{"anything-but":{"suffix":["x","y"]}}]}`, `{"a":"ay"}`, false},
		"anything-but in any case":                             {`{"a":[{"anything-but":{"equals-ignore-case":"x"}}]}`, `{"a":"X"}`, false},
		"anything-but a wildcard":                              {`{"a":[{"anything-but":{"wildcard":"*x*"}}]}`, `{"a":"axb"}`, false},
		"anything-but needs the field":                         {`{"a":[{"anything-but":"x"}]}`, `{"b":"y"}`, false},
		"anything-but holds where any value of an array does":  {`{"a":[{"anything-but":"x"}]}`, `{"a":["x","y"]}`, true},
		"numeric from a bound to another":                      {`{"a":[{"numeric":[">",0,"<=",5]}]}`, `{"a":5}`, true},
		"numeric outside of its bounds":                        {`{"a":[{"numeric":[">",0,"<=",5]}]}`, `{"a":0}`, false},
		"numeric takes no text":                                {`{"a":[{"numeric":["=",5]}]}`, `{"a":"5"}`, false},
		"numeric beyond the range of the former guide":         {`{"a":[{"numeric":[">",5.0e9]}]}`, `{"a":6000000000}`, true},
		"numbers in another form are the same":                 {`{"a":[300]}`, `{"a":300.0}`, true},
		"cidr":                                                 {`{"a":[{"cidr":"10.0.0.0/24"}]}`, `{"a":"10.0.0.255"}`, true},
		"cidr of IPv6":                                         {`{"a":[{"cidr":"2001:db8::/32"}]}`, `{"a":"2001:db8::1"}`, true},
		"exists":                                               {`{"a":[{"exists":true}]}`, `{"a":"x"}`, true},
		"null exists":                                          {`{"a":[{"exists":true}]}`, `{"a":null}`, true},
		"an empty array does not exist":                        {`{"a":[{"exists":false}]}`, `{"a":[]}`, true},
		"an object does not exist as a value":                  {`{"a":[{"exists":false}]}`, `{"a":{"b":1}}`, true},
		"absent or a value":                                    {`{"a":[{"exists":false},"x"]}`, `{"a":"x"}`, true},
		"absent or a value, absent":                            {`{"a":[{"exists":false},"x"]}`, `{}`, true},
		"absent or a value, another value":                     {`{"a":[{"exists":false},"x"]}`, `{"a":"y"}`, false},
		"$or":                                                  {`{"$or":[{"a":["1"]},{"b":["2"]}]}`, `{"b":"2"}`, true},
		"$or beside fields":                                    {`{"c":["3"],"$or":[{"a":["1"]},{"b":["2"]}]}`, `{"b":"2"}`, false},
		"$or in $or":                                           {`{"$or":[{"$or":[{"a":["1"]},{"b":["2"]}]},{"c":["3"]}]}`, `{"b":"2"}`, true},
		"$or of one is a field's name that cannot be":          {`{"$or":[{"a":["1"]}]}`, `{}`, "invalid"},
		"two stars in a row":                                   {`{"a":[{"wildcard":"a**"}]}`, `{}`, "invalid"},
		"anything-but of two kinds":                            {`{"a":[{"anything-but":["x",1]}]}`, `{}`, "invalid"},
		"anything-but of nothing":                              {`{"a":[{"anything-but":[]}]}`, `{}`, "invalid"},
		"anything-but an empty prefix":                         {`{"a":[{"anything-but":{"prefix":""}}]}`, `{}`, "invalid"},
		"an operator that the engine reserves and has not yet": {`{"a":[{"regex":"x"}]}`, `{}`, "invalid"},
		"another reserved one":                                 {`{"a":[{"date-after":"2026-01-01"}]}`, `{}`, "invalid"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := answer(t, []byte(tt.pattern), []byte(tt.event)); got != tt.want {
				t.Errorf("got %v, want %v\npattern: %s\nevent: %s", got, tt.want, tt.pattern, tt.event)
			}
		})
	}
}

// The patterns that the two versions of Inspector are told apart by.
func TestPatternsTellTheVersionsOfInspectorApart(t *testing.T) {
	const fields = `{"detail":{"findings":{"ProductFields":{"aws/securityhub/ProductName":["Inspector"],"aws/inspector/ProductVersion":[VERSION]}}}}`
	event := func(version string) []byte {
		return []byte(`{"detail":{"findings":[{"ProductFields":{"aws/securityhub/ProductName":"Inspector"` + version + `}}]}}`)
	}
	v2, classic := event(`,"aws/inspector/ProductVersion":"2"`), event("")
	for version, want := range map[string][2]any{`"2"`: {true, false}, `{"exists":false}`: {false, true}} {
		p := []byte(strings.Replace(fields, "VERSION", version, 1))
		if got := [2]any{answer(t, p, v2), answer(t, p, classic)}; got != want {
			t.Errorf("%s: got %v for version 2 and Classic, want %v", version, got, want)
		}
	}
}
