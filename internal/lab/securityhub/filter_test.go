package securityhub

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"pgregory.net/rapid"

	"example.org/catchment/internal/lab/cloud"
)

// TestEveryFilterOfTheAPIIsThere holds the table against the model's names: 104 of them.
func TestEveryFilterOfTheAPIIsThere(t *testing.T) {
	b, err := os.ReadFile("testdata/filters.txt")
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]kind{
		"String": kindString, "Number": kindNumber, "Date": kindDate, "Map": kindMap, "Ip": kindIP, "Boolean": kindBool, "Keyword": kindKeyword,
	}
	n := 0
	for line := range strings.Lines(string(b)) {
		name, k, _ := strings.Cut(strings.TrimSpace(line), " ")
		n++
		if got := fields[name]; got.kind != kinds[k] || k == "" {
			t.Errorf("%s: got kind %d, want %s", name, got.kind, k)
		}
	}
	if n != len(fields) || n != 104 {
		t.Errorf("%d filters in the model, %d in the table", n, len(fields))
	}
}

// The reference walks the finding as Go values, and knows nothing of the table's quick ways.

func naiveValues(v any, path []string) []any {
	if list, ok := v.([]any); ok {
		var out []any
		for _, e := range list {
			out = append(out, naiveValues(e, path)...)
		}
		return out
	}
	if len(path) == 0 {
		if _, isObject := v.(map[string]any); isObject {
			return nil
		}
		return []any{v}
	}
	if o, ok := v.(map[string]any); ok && o[path[0]] != nil {
		return naiveValues(o[path[0]], path[1:])
	}
	return nil
}

func naiveStrings(values []any, filters []stringFilter) bool {
	anyPositive, hit := false, false
	for _, f := range filters {
		some := false
		for _, v := range values {
			s, _ := v.(string)
			some = some || s == f.Value && strings.HasSuffix("="+f.Comparison, "EQUALS") && !strings.HasPrefix(f.Comparison, "PREFIX") ||
				strings.HasPrefix(f.Comparison, "PREFIX") && strings.HasPrefix(s, f.Value)
		}
		switch {
		case strings.Contains(f.Comparison, "NOT") && some:
			return false
		case !strings.Contains(f.Comparison, "NOT"):
			anyPositive, hit = true, hit || some
		}
	}
	return !anyPositive || hit
}

func naiveNumbers(values []any, filters []numberFilter) bool {
	for _, v := range values {
		x, _ := v.(float64)
		for _, f := range filters {
			ok := true
			for _, c := range []struct {
				bound *float64
				holds func(float64) bool
			}{
				{f.Gte, func(b float64) bool { return x >= b }},
				{f.Lte, func(b float64) bool { return x <= b }},
				{f.Eq, func(b float64) bool { return x == b }},
				{f.Gt, func(b float64) bool { return x > b }},
				{f.Lt, func(b float64) bool { return x < b }},
			} {
				ok = ok && (c.bound == nil || c.holds(*c.bound))
			}
			if ok {
				return true
			}
		}
	}
	return false
}

func naiveDates(values []any, filters []dateFilter) bool {
	for _, v := range values {
		at, err := time.Parse(time.RFC3339, v.(string))
		for _, f := range filters {
			start, end := time.Time{}, at
			if f.Start != "" {
				start, _ = time.Parse(time.RFC3339, f.Start)
			}
			if f.End != "" {
				end, _ = time.Parse(time.RFC3339, f.End)
			}
			if err == nil && at.Compare(start) >= 0 && at.Compare(end) <= 0 {
				return true
			}
		}
	}
	return false
}

var (
	words = []string{"a", "ab", "abc", "b", "Inspector", "GuardDuty", "x y"}
	days  = []string{"2026-01-01T00:00:00Z", "2026-01-02T00:00:00.5Z", "2026-01-02T00:00:01Z", "2026-03-01T00:00:00+09:00"}
)

func drawFinding(t *rapid.T) map[string]any {
	word := rapid.SampledFrom(words)
	resource := rapid.Custom(func(t *rapid.T) any {
		return map[string]any{
			"Type": word.Draw(t, "type"), "Id": word.Draw(t, "resource"), "Tags": map[string]any{word.Draw(t, "tag"): word.Draw(t, "tagged")},
		}
	})
	f := map[string]any{
		"ProductName": word.Draw(t, "product"), "Title": word.Draw(t, "title"), "RecordState": word.Draw(t, "state"),
		"Types": rapid.SliceOfN(rapid.Map(word, func(s string) any { return s }), 0, 3).Draw(t, "types"), "UpdatedAt": rapid.SampledFrom(days).Draw(t, "updated"), "CreatedAt": rapid.SampledFrom(days).Draw(t, "created"),
		"Severity":  map[string]any{"Normalized": float64(rapid.IntRange(0, 3).Draw(t, "severity"))},
		"Resources": rapid.SliceOfN(resource, 0, 3).Draw(t, "resources"),
	}
	if rapid.Bool().Draw(t, "has confidence") {
		f["Confidence"] = float64(rapid.IntRange(0, 3).Draw(t, "confidence"))
	}
	return f
}

func drawStrings(t *rapid.T) []stringFilter {
	comparisons := rapid.SampledFrom([][]string{
		{"EQUALS", "PREFIX"}, {"NOT_EQUALS", "PREFIX_NOT_EQUALS"}, {"PREFIX", "NOT_EQUALS", "PREFIX_NOT_EQUALS"},
	}).Draw(t, "comparisons")
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) stringFilter {
		return stringFilter{rapid.SampledFrom(words).Draw(t, "value"), rapid.SampledFrom(comparisons).Draw(t, "comparison")}
	}), 1, 4).Draw(t, "strings")
}

func drawNumbers(t *rapid.T) []numberFilter {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) numberFilter {
		bound := func(name string, always bool) *float64 {
			if !always && rapid.Bool().Draw(t, name+" missing") {
				return nil
			}
			x := float64(rapid.IntRange(0, 6).Draw(t, name)) / 2
			return &x
		}
		switch rapid.IntRange(0, 2).Draw(t, "bounds") {
		case 0:
			return numberFilter{Eq: bound("eq", true)}
		case 1:
			return numberFilter{Gte: bound("gte", true), Lte: bound("lte", false)}
		}
		return numberFilter{Gt: bound("gt", false), Lt: bound("lt", true)}
	}), 1, 3).Draw(t, "numbers")
}

func drawDates(t *rapid.T) []dateFilter {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) dateFilter {
		d := dateFilter{Start: rapid.SampledFrom(days).Draw(t, "start")}
		if rapid.Bool().Draw(t, "has end") {
			d.End = rapid.SampledFrom(days).Draw(t, "end")
		}
		if rapid.Bool().Draw(t, "no start") && d.End != "" {
			d.Start = ""
		}
		return d
	}), 1, 3).Draw(t, "dates")
}

func TestFiltersAgreeWithAReference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := drawFinding(t)
		filters := make(map[string]jsontext.Value)
		want := true
		for _, name := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{
			"ProductName", "Title", "RecordState", "Type", "ResourceType", "UpdatedAt", "CreatedAt", "SeverityNormalized", "Confidence", "ResourceTags",
		}), 0, 4, rapid.ID).Draw(t, "names") {
			path := fields[name].path
			values := naiveValues(f, path)
			switch fields[name].kind {
			case kindNumber:
				in := drawNumbers(t)
				filters[name], want = encoded(in), want && naiveNumbers(values, in)
			case kindDate:
				in := drawDates(t)
				filters[name], want = encoded(in), want && naiveDates(values, in)
			case kindMap:
				negative := rapid.Bool().Draw(t, "negative")
				in := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) mapFilter {
					return mapFilter{rapid.SampledFrom(words).Draw(t, "key"), rapid.SampledFrom(words).Draw(t, "value"), map[bool]string{true: "NOT_EQUALS", false: "EQUALS"}[negative]}
				}), 1, 3).Draw(t, "maps")
				hit := false
				for _, one := range in {
					for _, v := range naiveValues(f, append(slices.Clone(path), one.Key)) {
						hit = hit || v == one.Value
					}
				}
				filters[name], want = encoded(in), want && hit != negative
			case kindString, kindIP, kindBool, kindKeyword:
				in := drawStrings(t)
				filters[name], want = encoded(in), want && naiveStrings(values, in)
			}
		}
		compiled, err := compile(filters, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		raw, err := json.Marshal(f, json.Deterministic(true))
		if err != nil {
			t.Fatal(err)
		}
		v, err := newVersion(raw, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		if got := compiled.match(&record{hub: &hub{}}, v); got != want {
			t.Fatalf("got %v, want %v: %s for %v", got, want, raw, slices.Collect(maps.Values(filters)))
		}
	})
}

func TestFiltersOfEachKindMatch(t *testing.T) {
	now := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	raw := jsontext.Value(`{"Id":"f","UpdatedAt":"2026-11-12T00:00:00Z","Sample":true,"Network":{"SourceIpV4":"10.1.2.3","SourcePort":22},` +
		`"ProductFields":{"aws/inspector/ProductVersion":"2"},"Vulnerabilities":[{"ExploitAvailable":"NO","FixAvailable":"YES"},{"FixAvailable":"NO"}],` +
		`"Resources":[{"Type":"AwsEc2Instance","Details":{"AwsEc2Instance":{"IpV6Addresses":["2001:db8::1"]},"Other":{"k":"v"}}}],` +
		`"Note":{"Text":"Known Risk"},"FindingProviderFields":{"Severity":{"Label":"LOW"},"Types":["Effects"]}}`)
	v, err := newVersion(raw, now)
	if err != nil {
		t.Fatal(err)
	}
	r := &record{key: findingKey{"p", "f"}, hub: &hub{place: cloud.Place{Account: "111111111111", Region: "us-east-1"}}}
	for text, want := range map[string]bool{
		`{"AwsAccountId":[{"Value":"111111111111","Comparison":"EQUALS"}]}`:                                  true,
		`{"Region":[{"Value":"us-","Comparison":"PREFIX"}]}`:                                                 true,
		`{"Region":[{"Value":"us-","Comparison":"PREFIX"},{"Value":"us-east-1","Comparison":"NOT_EQUALS"}]}`: false,
		`{"Sample":[{"Value":true}]}`:                                                                        true,
		`{"Sample":[{"Value":false}]}`:                                                                       false,
		`{"NetworkSourceIpV4":[{"Cidr":"10.0.0.0/8"}]}`:                                                      true,
		`{"NetworkSourceIpV4":[{"Cidr":"10.1.2.3"}]}`:                                                        true,
		`{"NetworkSourceIpV4":[{"Cidr":"10.1.2.4/32"}]}`:                                                     false,
		`{"ResourceAwsEc2InstanceIpV6Addresses":[{"Cidr":"2001:db8::/32"}]}`:                                 true,
		`{"NetworkSourcePort":[{"Gte":22,"Lt":23}]}`:                                                         true,
		`{"ProductFields":[{"Key":"aws/inspector/ProductVersion","Value":"2","Comparison":"EQUALS"}]}`:       true,
		`{"ProductFields":[{"Key":"aws/inspector/ProductVersion","Value":"2","Comparison":"NOT_EQUALS"}]}`:   false,
		`{"ProductFields":[{"Key":"no/such","Value":"2","Comparison":"NOT_EQUALS"}]}`:                        true,
		`{"ResourceDetailsOther":[{"Key":"k","Value":"v","Comparison":"EQUALS"}]}`:                           true,
		`{"VulnerabilitiesFixAvailable":[{"Value":"NO","Comparison":"EQUALS"}]}`:                             true,
		`{"VulnerabilitiesExploitAvailable":[{"Value":"YES","Comparison":"EQUALS"}]}`:                        false,
		`{"NoteText":[{"Value":"Known","Comparison":"PREFIX"}]}`:                                             true,
		`{"Keyword":[{"Value":"known risk"}]}`:                                                               true,
		`{"Keyword":[{"Value":"SourcePort"}]}`:                                                               false,
		`{"FindingProviderFieldsSeverityLabel":[{"Value":"LOW","Comparison":"EQUALS"}]}`:                     true,
		`{"FindingProviderFieldsTypes":[{"Value":"Eff","Comparison":"PREFIX"}]}`:                             true,
		`{"UpdatedAt":[{"DateRange":{"Value":10,"Unit":"DAYS"}}]}`:                                           true,
		`{"UpdatedAt":[{"DateRange":{"Value":9,"Unit":"DAYS","Comparison":"WITHIN"}}]}`:                      false,
		`{"UpdatedAt":[{"DateRange":{"Value":9,"Unit":"DAYS","Comparison":"OLDER_THAN"}}]}`:                  true,
		`{"UpdatedAt":[{"Start":"2026-11-12T00:00:00Z","End":"2026-11-12T00:00:00Z"}]}`:                      true,
		`{"UpdatedAt":[{"End":"2026-11-11T23:59:59.999Z"}]}`:                                                 false,
		`{"Confidence":[{"Gte":0}]}`:                                                                         false,
		`{"CompanyName":[{"Value":"x","Comparison":"NOT_EQUALS"}]}`:                                          true,
		`{}`: true,
	} {
		var in map[string]jsontext.Value
		if err := json.Unmarshal([]byte(text), &in); err != nil {
			t.Fatal(err)
		}
		f, err := compile(in, now)
		if err != nil {
			t.Errorf("%s: %v", text, err)
		} else if got := f.match(r, v); got != want {
			t.Errorf("%s: got %v", text, got)
		}
	}
}

// BenchmarkGetFindings is the first page of an administrator with 100,000 findings in 1,000 members.
func BenchmarkGetFindings(b *testing.B) {
	c := cloud.New(cloud.Options{})
	s := New(c)
	admin := c.Accounts.Place("111111111111", "us-east-1")
	s.switchOn(admin, false)
	for i := range 1000 {
		p := c.Accounts.Place(fmt.Sprintf("3%011d", i), "us-east-1")
		h := s.switchOn(p, false)
		rel := &relation{admin: admin.Account, member: p.Account}
		s.hubs[admin].members[p.Account] = rel
		s.associate(h, rel)
		for j := range 100 {
			raw := jsontext.Value(fmt.Sprintf(`{"Id":"f-%d-%d","UpdatedAt":"2026-01-%02dT00:00:%02dZ","ProductName":"Inspector","Severity":{"Normalized":%d},"Filler":"%s"}`,
				i, j, j%28+1, i%60, j, strings.Repeat("x", 2000)))
			v, err := newVersion(raw, c.Clock.Now())
			if err != nil {
				b.Fatal(err)
			}
			s.put(h, findingKey{"p", fmt.Sprintf("f-%d-%d", i, j)}, nil, v)
		}
	}
	filters := map[string]jsontext.Value{"ProductName": jsontext.Value(`[{"Value":"Inspector","Comparison":"EQUALS"}]`)}
	f, err := compile(filters, c.Clock.Now())
	if err != nil {
		b.Fatal(err)
	}
	order, err := compileSort([]sortCriterion{{"UpdatedAt", "asc"}})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if q := s.ask(admin, f, order, c.Clock.Now()); len(q.records) != 100_000 {
			b.Fatal(len(q.records))
		}
	}
}
