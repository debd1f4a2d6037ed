package clients

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"slices"
	"testing"

	"example.org/catchment/internal/lab"
)

// A verdict is what testdata/run.py says of a check, or at the end what was called.
type verdict struct {
	Name   string   `json:"name"`
	Error  string   `json:"error"`
	Shapes []string `json:"shapes"`
	Called []string `json:"called"`
	Known  []string `json:"known"` // by this botocore
}

// boto runs modules of testdata with a Python and makes each of their checks a test. It gives what was called at the end,
// such as "sqs SendMessage".
func boto(t *testing.T, p *python, l *lab.Lab, modules ...string) verdict {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), p.path, append([]string{"run.py"}, modules...)...)
	cmd.Dir = "testdata"
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "TMPDIR=" + t.TempDir(), "PYTHONDONTWRITEBYTECODE=1", "PYTHONUTF8=1",
		"AWS_ENDPOINT_URL=" + l.Cloud.URL(), "AWS_EC2_METADATA_DISABLED=true",
	}
	var errOut bytes.Buffer
	cmd.Stderr = &errOut
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var end verdict
	checks, ended := 0, false
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var v verdict
		if err := json.Unmarshal(lines.Bytes(), &v); err != nil {
			t.Errorf("%v: %s", err, lines.Text())
			continue
		}
		if v.Name == "" {
			end, ended = v, true
			continue
		}
		checks++
		t.Run(v.Name, func(t *testing.T) {
			if v.Error != "" {
				t.Error(v.Error)
			}
			for _, s := range v.Shapes {
				t.Errorf("against botocore's model: %s", s)
			}
		})
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v: %s", err, errOut.String())
	}
	if checks == 0 || !ended {
		t.Error("nothing was checked")
	}
	return end
}

// TestBoto3AgreesWithTheLab runs the checks of testdata with each boto3 that is here. Its models decide of the shapes of
// answers.
func TestBoto3AgreesWithTheLab(t *testing.T) {
	pythons := installed().pythons
	if len(pythons) == 0 {
		missing(t, "boto3", "CATCHMENT_BOTO3_PYTHON")
	}
	for name, test := range map[string]struct {
		standalone bool // as in the article
		everything bool
		modules    []string
	}{
		"each operation":                          {everything: true, modules: []string{"ground", "messaging", "store", "security", "stacks"}},
		"both ways of the article":                {standalone: true, modules: []string{"article"}},
		"the check of shapes finds what is wrong": {modules: []string{"shapes_check"}},
	} {
		for _, p := range pythons {
			t.Run(name+", botocore "+p.version, func(t *testing.T) {
				t.Parallel()
				end := boto(t, p, serve(t, test.standalone), test.modules...)
				for _, operation := range operations(t) {
					if test.everything && slices.Contains(end.Known, operation) && !slices.Contains(end.Called, operation) {
						t.Errorf("%s was not called: testdata needs a check of it", operation)
					}
				}
			})
		}
	}
}
