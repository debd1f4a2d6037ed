package lint

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// behaviour is what we know of AWS, with the tests that show it.
const behaviour = "../../doc/aws-behaviour.md"

// A tested is the name of a test as the document writes it: the package below internal (or cmd/…), the function, and
// the key of a subtest or nothing.
type tested struct{ folder, function, key string }

var testedForm = regexp.MustCompile("`((?:[a-z0-9-]+/)*[a-z0-9-]+)\\.((?:Test|Fuzz)\\w+)(?:/([^`]+))?`")

// rows gives the cells of the document's tables of four columns.
func rows(text string) [][]string {
	var out [][]string
	for line := range strings.Lines(text) {
		cells := strings.Split(strings.TrimSpace(line), " | ")
		if len(cells) != 4 || !strings.HasPrefix(cells[0], "| ") || !strings.HasSuffix(cells[3], " |") || cells[0] == "| §" {
			continue
		}
		cells[0], cells[3] = strings.TrimPrefix(cells[0], "| "), strings.TrimSuffix(cells[3], " |")
		out = append(out, cells)
	}
	return out
}

// functions reads the tests of a folder: by name the texts that stand in each, and under no name those of the variables
// that stand outside of functions, such as tables.
func functions(t *testing.T, folder string) map[string][]string {
	t.Helper()
	out := make(map[string][]string)
	names, err := filepath.Glob(filepath.Join(folder, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Recv == nil {
					out[d.Name.Name] = textsOf(d)
				}
			case *ast.GenDecl:
				out[""] = append(out[""], textsOf(d)...)
			}
		}
	}
	return out
}

// textsOf are the string literals in a piece of source.
func textsOf(n ast.Node) []string {
	out := []string{}
	ast.Inspect(n, func(n ast.Node) bool {
		if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			if s, err := strconv.Unquote(lit.Value); err == nil {
				out = append(out, s)
			}
		}
		return true
	})
	return out
}

func folderOf(name string) string {
	if strings.HasPrefix(name, "cmd/") {
		return filepath.Join("..", "..", name)
	}
	return filepath.Join("..", name)
}

func TestEachFactOfAWSNamesATestThatThereIsOrSaysWhyThereIsNone(t *testing.T) {
	text, err := os.ReadFile(behaviour)
	if err != nil {
		t.Fatal(err)
	}
	all := rows(string(text))
	if len(all) < 200 {
		t.Errorf("found %d facts, there were 200 and more: are the tables as they were?", len(all))
	}
	for _, row := range all {
		if !testedForm.MatchString(row[3]) && !strings.HasPrefix(row[3], "not modelled: ") {
			t.Errorf("%s %s: names no test, nor does it say why it is not modelled", row[0], row[1])
		}
	}
	read := make(map[string]map[string][]string)
	for _, m := range testedForm.FindAllStringSubmatch(string(text), -1) {
		name := tested{m[1], m[2], m[3]}
		if read[name.folder] == nil {
			read[name.folder] = functions(t, folderOf(name.folder))
		}
		texts, ok := read[name.folder][name.function]
		switch {
		case !ok:
			t.Errorf("%s: there is no such test", m[0])
		case name.key != "" && !slices.Contains(texts, name.key) && !slices.Contains(read[name.folder][""], name.key):
			t.Errorf("%s: the test has no text %q", m[0], name.key)
		}
	}
}

func TestEachServiceOfTheLabHasItsFacts(t *testing.T) {
	text, err := os.ReadFile(behaviour)
	if err != nil {
		t.Fatal(err)
	}
	names, err := filepath.Glob("../lab/*/*.go")
	if err != nil || len(names) == 0 {
		t.Fatalf("found %d files of the lab: %v", len(names), err)
	}
	services := make(map[string]bool)
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(name, "_test.go") && strings.Contains(string(b), ") Wire() *wire.Service {") {
			services[filepath.Base(filepath.Dir(name))] = true
		}
	}
	if len(services) < 14 {
		t.Fatalf("found %d services: this test would prove nothing", len(services))
	}
	for name := range services {
		if !strings.Contains(string(text), "`lab/"+name) {
			t.Errorf("lab/%s is a service, and doc/aws-behaviour.md says nothing of it", name)
		}
	}
}

// TestEachSampleIsListedWithItsTest looks at the real payloads that the tests are fed with.
func TestEachSampleIsListedWithItsTest(t *testing.T) {
	text, err := os.ReadFile(behaviour)
	if err != nil {
		t.Fatal(err)
	}
	listed := make(map[string]string)
	for _, m := range regexp.MustCompile("(?m)^\\| `([\\w.-]+\\.json)` \\| (.+) \\|$").FindAllStringSubmatch(string(text), -1) {
		listed[m[1]] = m[2]
	}
	var samples []string
	for _, folder := range []string{"../finding/testdata/samples", "../pipeline/testdata/samples"} {
		names, err := filepath.Glob(folder + "/*.json")
		if err != nil || len(names) == 0 {
			t.Fatalf("found %d samples in %s: %v", len(names), folder, err)
		}
		for _, name := range names {
			samples = append(samples, filepath.Base(name))
		}
	}
	for _, name := range samples {
		if !testedForm.MatchString(listed[name]) {
			t.Errorf("doc/aws-behaviour.md does not say which test is fed with %s", name)
		}
	}
	for name := range listed {
		if !slices.Contains(samples, name) {
			t.Errorf("doc/aws-behaviour.md lists %s, which is no sample", name)
		}
	}
}
