package config

import (
	"fmt"
	"strings"
	"testing"
)

// TestBounds loads what costs a YAML reader far more than it costs the writer. Each is refused for its bound, at once.
func TestBounds(t *testing.T) {
	bomb := minimal + "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n"
	for i := 1; i < 12; i++ {
		bomb += fmt.Sprintf("a%d: &a%d [%s*a%d]\n", i, i, strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 9), i-1)
	}
	var indented strings.Builder
	for i := range 200 {
		indented.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	for name, tt := range map[string]struct{ spec, want string }{
		"aliases of aliases":        {bomb, "at most 100000 values, aliases included"},
		"brackets":                  {"a: " + strings.Repeat("[", 1<<14), "at most 64 lists and objects within each other"},
		"braces":                    {strings.Repeat("{a: ", 1<<14), "at most 64 lists and objects within each other"},
		"dashes on one line":        {strings.Repeat("- ", 1<<14), "at most 64 lists and objects within each other"},
		"anchors on one line":       {"a: " + strings.Repeat("&a ", 1<<12), "at most 64 lists and objects within each other"},
		"indentation":               {indented.String(), "64 within each other"},
		"fields":                    {strings.Repeat("a: 1\n", 20_000), "at most 10000 fields"},
		"documents":                 {strings.Repeat("--- a\n", 10_000), "one YAML document"},
		"items":                     {"a: [" + strings.Repeat("1, ", 110_000) + "]", "at most 100000 values"},
		"bytes":                     {minimal + strings.Repeat("#", 1<<20), "a file of at most 1048576 bytes"},
		"accounts, more than exist": {minimal + "organization: {administrator: \"111111111111\", regions: [eu-west-1], accounts: [" + strings.Repeat("1,", 50_001) + "]}", "at most 50000"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Load("f", []byte(tt.spec), Options{})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				text := fmt.Sprint(err)
				t.Errorf("got %.300s, want something with %q", text, tt.want)
			}
			if said := strings.Count(fmt.Sprint(err), "\n"); said > 100 {
				t.Errorf("%d faults are reported for one mistake", said)
			}
		})
	}
}

// TestTheLargestHonestSpec is far beyond any use, and loads.
func TestTheLargestHonestSpec(t *testing.T) {
	var spec strings.Builder
	spec.WriteString(minimal + "organization:\n  administrator: \"111111111111\"\n  regions: [eu-west-1]\n  accounts:\n")
	for i := range 20_000 {
		fmt.Fprintf(&spec, "    - \"%012d\"\n", i)
	}
	spec.WriteString("streams:\n")
	for i := range 1000 {
		fmt.Fprintf(&spec, "  - {name: s%d, pattern: {source: [x]}, prefix: p%d/}\n", i, i)
	}
	s, err := Load("f", []byte(spec.String()), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Streams) != 1000 || len(s.Organization.Accounts) != 20_000 {
		t.Errorf("%d streams, %d accounts", len(s.Streams), len(s.Organization.Accounts))
	}
}
