package lab_test

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.org/catchment/internal/lab"
)

const page = "../../doc/lab.md"

// TestTheDocumentListsWhatTheLabAnswers keeps the table of doc/lab.md equal to the services. UPDATE=1 rewrites it.
func TestTheDocumentListsWhatTheLabAnswers(t *testing.T) {
	l, err := lab.New(lab.Options{})
	must(t, err)
	text, err := os.ReadFile(page)
	must(t, err)
	const head = "| service | operations |\n|---|---|\n"
	before, rest, ok := strings.Cut(string(text), head)
	if !ok {
		t.Fatalf("%s has no table of operations", page)
	}
	table, after, _ := strings.Cut(rest, "\n\n")
	var want strings.Builder
	operations := l.Operations()
	for _, service := range slices.Sorted(maps.Keys(operations)) {
		if len(operations[service]) == 0 {
			t.Errorf("%s answers nothing", service)
		}
		fmt.Fprintf(&want, "| `%s` | %s |\n", service, strings.Join(operations[service], ", "))
	}
	if os.Getenv("UPDATE") != "" {
		must(t, os.WriteFile(page, []byte(before+head+want.String()+"\n"+after), 0o644))
		return
	}
	if diff := cmp.Diff(strings.Split(want.String(), "\n"), strings.Split(table+"\n", "\n")); diff != "" {
		t.Errorf("the table of operations (-want +documented):\n%s\nUPDATE=1 go test -run TestTheDocument ./internal/lab rewrites it", diff)
	}
}

// TestTheDocumentTellsOfEveryQuestionAndFlag looks for each of them in doc/lab.md.
func TestTheDocumentTellsOfEveryQuestionAndFlag(t *testing.T) {
	text, err := os.ReadFile(page)
	must(t, err)
	control, err := os.ReadFile("control.go")
	must(t, err)
	questions := regexp.MustCompile(`(?m)(?:handle|mux.HandleFunc)\("(GET|POST|DELETE) /_lab/([a-z]+)`).FindAllStringSubmatch(string(control), -1)
	if len(questions) < 10 {
		t.Fatalf("%d questions: this test would prove nothing", len(questions))
	}
	for _, q := range questions {
		if !strings.Contains(string(text), q[1]+" "+q[2]) {
			t.Errorf("%s has no word of %s %s", page, q[1], q[2])
		}
	}
	command, err := os.ReadFile("../../cmd/catchment/lab.go")
	must(t, err)
	flags := regexp.MustCompile(`f\.\w+Var\(&o\.\w+, "([a-z-]+)"`).FindAllStringSubmatch(string(command), -1)
	if len(flags) < 10 {
		t.Fatalf("%d flags: this test would prove nothing", len(flags))
	}
	for _, f := range flags {
		if !strings.Contains(string(text), "--"+f[1]) {
			t.Errorf("%s has no word of --%s", page, f[1])
		}
	}
}
