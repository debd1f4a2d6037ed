package lint

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "example.org/catchment/"

// may lists, for each package, the packages of this module that it may import outside of tests. A package that is not
// listed may import none; "*" is all. Data flows one way: see ARCHITECTURE.md.
var may = map[string]string{
	"cmd/catchment":             "*",
	"cmd/catchment-lambda":      "internal/function",
	"cmd/catchment-lambda/pack": "",

	"internal/assembly": "internal/config internal/encode internal/pipeline internal/store internal/store/dir internal/store/s3",
	"internal/function": "internal/assembly internal/config internal/handler internal/store",
	"internal/handler":  "internal/batch internal/document internal/encode internal/pipeline internal/prefix internal/store",

	"internal/batch":             "",
	"internal/config":            "",
	"internal/disk":              "",
	"internal/duplicate":         "internal/disk",
	"internal/encode":            "",
	"internal/lint":              "",
	"internal/org":               "",
	"internal/fleet":             "internal/org internal/template",
	"internal/scan":              "",
	"internal/store":             "",
	"internal/template":          "",
	"internal/web":               "",
	"internal/document":          "internal/scan",
	"internal/finding":           "internal/scan",
	"internal/pattern":           "internal/scan",
	"internal/prefix":            "internal/scan",
	"internal/journal":           "internal/disk",
	"internal/pipeline":          "internal/document internal/finding internal/pattern internal/prefix internal/scan",
	"internal/source":            "internal/document",
	"internal/source/files":      "internal/store",
	"internal/source/push":       "internal/document internal/scan internal/source",
	"internal/source/sqs":        "internal/document internal/source",
	"internal/source/sourcetest": "internal/document internal/source",
	"internal/store/dir":         "internal/store",
	"internal/store/mem":         "internal/store",
	"internal/store/s3":          "internal/store",
	"internal/store/storetest":   "internal/store",
	"internal/importer": "internal/batch internal/document internal/duplicate internal/encode internal/pipeline " +
		"internal/prefix internal/store",
	"internal/lab": "internal/lab/account internal/lab/cloud internal/lab/cloudformation internal/lab/events internal/lab/firehose internal/lab/iam internal/lab/inspector " +
		"internal/lab/inspector2 internal/lab/kept internal/lab/kms internal/lab/lambda internal/lab/organizations internal/lab/population internal/lab/s3 " +
		"internal/lab/securityhub internal/lab/sns internal/lab/sqs internal/lab/sts internal/lab/wire",
	"internal/lab/clients":                 "",
	"internal/lab/cloud":                   "",
	"internal/lab/policy":                  "",
	"internal/lab/wire":                    "internal/lab/cloud",
	"internal/lab/labtest":                 "internal/lab/cloud internal/lab/wire",
	"internal/lab/account":                 "internal/lab/cloud internal/lab/wire",
	"internal/lab/cloudformation":          "internal/lab/cloud internal/lab/cloudformation/template internal/lab/wire",
	"internal/lab/cloudformation/template": "",
	"internal/lab/kept":                    "internal/lab/cloud internal/lab/wire",
	"internal/lab/iam":                     "internal/lab/cloud internal/lab/policy internal/lab/wire",
	"internal/lab/inspector":               "internal/lab/cloud internal/lab/wire",
	"internal/lab/inspector2":              "internal/lab/cloud internal/lab/wire",
	"internal/lab/organizations":           "internal/lab/cloud internal/lab/wire",
	"internal/lab/s3":                      "internal/lab/cloud internal/lab/policy internal/lab/wire",
	"internal/lab/securityhub":             "internal/lab/cloud internal/lab/wire",
	"internal/lab/sns":                     "internal/lab/cloud internal/lab/policy internal/lab/wire",
	"internal/lab/sqs":                     "internal/lab/cloud internal/lab/policy internal/lab/wire",
	"internal/lab/lambda":                  "internal/lab/cloud internal/lab/policy internal/lab/wire",
	"internal/lab/events":                  "internal/lab/cloud internal/lab/policy internal/lab/wire internal/pattern internal/scan",
	"internal/lab/firehose": "internal/batch internal/document internal/encode internal/lab/cloud internal/lab/wire internal/prefix " +
		"internal/scan",
	"internal/lab/population": "internal/lab/cloud internal/lab/inspector internal/lab/inspector2",
	"internal/lab/sts":        "internal/lab/cloud internal/lab/policy internal/lab/wire",
	"internal/lab/kms":        "internal/lab/cloud internal/lab/policy internal/lab/wire",
	"internal/lab/ways":       "",
	"internal/collector": "internal/batch internal/disk internal/document internal/duplicate internal/encode internal/journal " +
		"internal/pipeline internal/prefix internal/source internal/store",
}

// sdk lists the packages that may import the AWS SDK outside of tests.
var sdk = []string{"cmd/catchment", "internal/assembly", "internal/function", "internal/source/sqs", "internal/store/s3", "internal/lab/labtest", "internal/org", "internal/fleet"}

type goPackage struct {
	ImportPath string
	Imports    []string
	GoFiles    []string
	Doc        string
}

func packages(t *testing.T) []goPackage {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports,GoFiles,Doc", "../../...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []goPackage
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	if len(all) < 10 {
		t.Fatalf("go list found %d packages: this test would prove nothing", len(all))
	}
	return all
}

func TestPackagesImportOnlyWhatTheirRoomAllows(t *testing.T) {
	for _, p := range packages(t) {
		name := strings.TrimPrefix(p.ImportPath, module)
		allowed, listed := may[name]
		if !listed {
			t.Errorf("%s is not in the table of imports_test.go: a new room needs a row", name)
		}
		for _, imported := range p.Imports {
			other, ours := strings.CutPrefix(imported, module)
			if ours && allowed != "*" && !slices.Contains(strings.Fields(allowed), other) {
				t.Errorf("%s imports %s, which the table in imports_test.go does not allow", name, other)
			}
			if strings.HasPrefix(imported, "github.com/aws/") && !slices.Contains(sdk, name) {
				t.Errorf("%s imports %s: only %s may know the AWS SDK", name, imported, strings.Join(sdk, " and "))
			}
		}
	}
}

func TestEveryPackageSaysInOneSentenceWhatItIs(t *testing.T) {
	for _, p := range packages(t) {
		if len(p.GoFiles) > 0 && p.Doc == "" {
			t.Errorf("%s has no package comment", p.ImportPath)
		}
	}
}
