package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAListIsReadInYAMLAndJSONAlike(t *testing.T) {
	for name, text := range map[string]string{
		"yaml": "# some\n- kind: drop\n  share: 0.50\n- {quoted: \"012\", loud: true}\n",
		"json": `[{"kind": "drop", "share": 0.50}, {"quoted": "012", "loud": true}]`,
	} {
		list, err := ReadList("f", "faults", []byte(text))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var got []string
		for _, entries := range list {
			for _, e := range entries {
				got = append(got, e.Name+"="+e.Text)
			}
			got = append(got, ";")
		}
		if diff := cmp.Diff("kind=drop share=0.50 ; quoted=012 loud=true ;", strings.Join(got, " ")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestAnEntryKnowsItsPlace(t *testing.T) {
	list, err := ReadList("f.yaml", "faults", []byte("- a: 1\n- a: 2\n  b: \"x\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	b, a := &list[1][1], &list[1][0]
	all := Sorted([]*FieldError{b.Wrong("y"), a.Wrong("3")})
	if got, want := all.Error(), "f.yaml:2:6: [1].a: 2: want 3\nf.yaml:3:6: [1].b: \"x\": want y"; got != want {
		t.Errorf("got %s", got)
	}
}

func TestWhatIsNoListOfObjectsIsRefused(t *testing.T) {
	for text, want := range map[string]string{
		"":                    "f:1:1: want a list of faults, but the file is empty",
		"# nothing\n":         "f:1:1: want a list of faults, but the file is empty",
		"a: 1":                "f:1:1: want a list of faults",
		"- 1":                 "f:1:3: [0]: 1: want an object with named fields",
		"- {}":                "f:1:3: [0]: want an object with named fields, but it has none",
		"- a: [1]":            "f:1:6: [0].a: want a text or a number",
		"- a: {b: 1}":         "f:1:6: [0].a: want a text or a number",
		"- a:":                "f:1:3: [0].a: want a text or a number",
		"- a: 1\n  a: 2":      "f:2:3: [0].a: want each field once (it stands in line 1 already)",
		"- a: ${HOME}":        "f:1:6: [0].a: ${HOME}: want",
		"- a: 012":            "f:1:6: [0].a: 012: want a value that every YAML reader understands alike",
		"- a: 1\n---\n- b: 2": "f:3:1: want one YAML document in the file",
		"[{":                  "f:1:",
	} {
		list, err := ReadList("f", "faults", []byte(text))
		if err == nil || !strings.HasPrefix(err.Error(), want) || list != nil {
			t.Errorf("%q: got %v, %v; want %s", text, list, err, want)
		}
	}
}
