package lint

import (
	"bufio"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Bounds on what one has to hold in one's head at once.
const (
	maxFile     = 500 // lines
	maxFunction = 80  // lines
	maxMethods  = 5   // of an interface
)

// goFiles yields the module's Go files.
func goFiles(t *testing.T) []string {
	t.Helper()
	var names []string
	err := filepath.WalkDir("../..", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "testdata" || len(d.Name()) > 2 && strings.HasPrefix(d.Name(), ".")) {
			return filepath.SkipDir
		}
		if strings.HasSuffix(name, ".go") {
			names = append(names, name)
		}
		return nil
	})
	if err != nil || len(names) < 50 {
		t.Fatalf("found %d Go files: %v", len(names), err)
	}
	return names
}

func TestFilesFunctionsAndInterfacesAreShort(t *testing.T) {
	for _, name := range goFiles(t) {
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		if n := files.File(file.Pos()).LineCount(); n > maxFile {
			t.Errorf("%s has %d lines, over %d: split it by verb", name, n, maxFile)
		}
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				if lines := files.Position(n.End()).Line - files.Position(n.Pos()).Line + 1; lines > maxFunction {
					t.Errorf("%s: %s has %d lines, over %d", files.Position(n.Pos()), n.Name.Name, lines, maxFunction)
				}
			case *ast.InterfaceType:
				if n.Methods.NumFields() > maxMethods {
					t.Errorf("%s: an interface of %d methods, over %d", files.Position(n.Pos()), n.Methods.NumFields(), maxMethods)
				}
			}
			return true
		})
	}
}

func TestEveryDirectDependencyHasItsReason(t *testing.T) {
	text, err := os.ReadFile("../../doc/dependencies.md")
	if err != nil {
		t.Fatal(err)
	}
	var reasons []string
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\| .{10,} \\|$").FindAllStringSubmatch(string(text), -1) {
		reasons = append(reasons, m[1])
	}
	mod, err := os.Open("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	defer mod.Close()
	var direct []string
	for s := bufio.NewScanner(mod); s.Scan(); {
		fields := strings.Fields(strings.TrimPrefix(strings.TrimSpace(s.Text()), "require "))
		if len(fields) == 2 && strings.HasPrefix(fields[1], "v") {
			direct = append(direct, fields[0])
		}
	}
	slices.Sort(direct)
	slices.Sort(reasons)
	for _, d := range direct {
		if !slices.Contains(reasons, d) {
			t.Errorf("doc/dependencies.md has no reason for %s", d)
		}
	}
	for _, r := range reasons {
		if !slices.Contains(direct, r) {
			t.Errorf("doc/dependencies.md gives a reason for %s, which go.mod does not require directly", r)
		}
	}
}

// TestEveryCommandHasAScript asks for one that succeeds and one that does not, in cmd/catchment/testdata/script.
func TestEveryCommandHasAScript(t *testing.T) {
	scripts, err := filepath.Glob("../../cmd/catchment/testdata/script/*.txtar")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("found %d scripts: %v", len(scripts), err)
	}
	var all strings.Builder
	for _, name := range scripts {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(b)
		all.WriteByte('\n')
	}
	list, err := os.ReadFile("../../cmd/catchment/commands.go")
	if err != nil {
		t.Fatal(err)
	}
	commands := regexp.MustCompile(`new(\w+)Command\(`).FindAllStringSubmatch(string(list), -1)
	if len(commands) == 0 {
		t.Fatal("commands.go lists no commands")
	}
	for _, c := range commands {
		name := strings.ToLower(c[1])
		for _, start := range []string{`(?m)^exec catchment ` + name + `\b`, `(?m)^! exec catchment ` + name + `\b`} {
			if !regexp.MustCompile(start).MatchString(all.String()) {
				t.Errorf("no script has a line that starts with %q", strings.TrimPrefix(start, "(?m)^"))
			}
		}
	}
}

// TestWordsThatSayNothing keeps out names and phrases that explain nothing.
func TestWordsThatSayNothing(t *testing.T) {
	names := regexp.MustCompile(`/(util|utils|common|helper|helpers|manager|misc)(/|\.go$|_)`)
	for _, name := range goFiles(t) {
		if names.MatchString(filepath.ToSlash(name)) {
			t.Errorf("%s: the name does not say what is in it", name)
		}
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(b), `Errorf("`+`failed to`) {
			t.Errorf("%s: an error says the operation and its object, not that it failed", name)
		}
		if !strings.HasSuffix(name, "_test.go") && strings.Contains(string(b), `"`+`arn:aws:`) {
			t.Errorf("%s: an ARN is built for the right partition, never typed", name)
		}
	}
}
