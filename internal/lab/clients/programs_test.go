package clients

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// A cli is an AWS CLI that is installed here.
type cli struct {
	path         string
	version      string // such as 2.9.19
	major, minor int
	python       string // that runs it; empty where it is no script of Python
}

func (c *cli) String() string { return "AWS CLI " + c.version }

// deaf tells whether the CLI does not read AWS_ENDPOINT_URL for a service, so that --endpoint-url has to be said. CLI v1
// sets an endpoint of its own for SQS, whatever the environment says.
func (c *cli) deaf(service string) bool {
	return c.major == 1 && (c.minor < 29 || service == "sqs") || c.major == 2 && c.minor < 13
}

// A python is one that has boto3.
type python struct {
	path    string
	version string // of botocore
}

// missing skips a test, or fails it where the programs have to be there.
func missing(t *testing.T, what, variable string) {
	t.Helper()
	message := "NOT RUN: the tests by " + what + " did not run: install it (Debian: apt-get install awscli python3-boto3) or name it in " + variable
	if os.Getenv("CATCHMENT_REQUIRE_AWS_CLI") == "1" {
		t.Fatal(message)
	}
	t.Skip(message)
}

// candidates are the programs of a name that a variable lists, else those in PATH.
func candidates(variable, name string) []string {
	if list := os.Getenv(variable); list != "" {
		return filepath.SplitList(list)
	}
	var out []string
	for _, folder := range filepath.SplitList(os.Getenv("PATH")) {
		path, err := exec.LookPath(filepath.Join(folder, name))
		if err != nil || !filepath.IsAbs(path) {
			continue
		}
		if resolved, err := filepath.EvalSymlinks(folder); err == nil { // /bin is /usr/bin
			path = filepath.Join(resolved, name)
		}
		if !slices.Contains(out, path) {
			out = append(out, path)
		}
	}
	return out
}

var cliVersion = regexp.MustCompile(`^aws-cli/((\d+)\.(\d+)\.\d+)`)

// installed finds the programs once: starting one takes a second.
var installed = sync.OnceValue(func() (found struct {
	clis    []*cli
	pythons []*python
},
) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	for _, path := range candidates("CATCHMENT_AWS_CLI", "aws") {
		out, err := exec.CommandContext(ctx, path, "--version").CombinedOutput() // old ones say it on stderr
		m := cliVersion.FindStringSubmatch(string(out))
		if err != nil || m == nil || slices.ContainsFunc(found.clis, func(c *cli) bool { return c.version == m[1] }) {
			continue
		}
		major, _ := strconv.Atoi(m[2]) // digits
		minor, _ := strconv.Atoi(m[3])
		path = behind(ctx, path)
		found.clis = append(found.clis, &cli{path: path, version: m[1], major: major, minor: minor, python: interpreter(path)})
	}
	paths := candidates("CATCHMENT_BOTO3_PYTHON", "python3")
	if os.Getenv("CATCHMENT_BOTO3_PYTHON") == "" {
		for _, c := range found.clis {
			paths = append(paths, c.python)
		}
	}
	for _, path := range slices.Compact(paths) {
		if path == "" {
			continue
		}
		ask := exec.CommandContext(ctx, path, "-c", "import boto3, botocore; print(botocore.__version__)")
		ask.Dir = os.TempDir() // not beside modules of other versions
		out, err := ask.Output()
		version := strings.TrimSpace(string(out))
		if err == nil && !slices.ContainsFunc(found.pythons, func(p *python) bool { return p.version == version }) {
			found.pythons = append(found.pythons, &python{path, version})
		}
	}
	return found
})

// behind finds the program that a script of pyenv starts; another is itself. That script takes longer than the program.
func behind(ctx context.Context, path string) string {
	if !strings.Contains(path, "pyenv") {
		return path
	}
	out, err := exec.CommandContext(ctx, "pyenv", "which", filepath.Base(path)).Output()
	if found := strings.TrimSpace(string(out)); err == nil && found != "" {
		return found
	}
	return path
}

// interpreter finds the Python that a script names; empty: it is no such script.
func interpreter(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	first, _ := bufio.NewReader(f).ReadString('\n') // what there is
	words := strings.Fields(strings.TrimPrefix(first, "#!"))
	switch {
	case !strings.HasPrefix(first, "#!") || len(words) == 0:
		return ""
	case strings.Contains(filepath.Base(words[0]), "python"):
		return words[0]
	case filepath.Base(words[0]) == "env" && len(words) == 2 && strings.HasPrefix(words[1], "python"):
		found, err := exec.LookPath(words[1])
		if err != nil {
			return ""
		}
		return found
	}
	return ""
}
