package clients

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"example.org/catchment/internal/lab"
)

// A scene is what a script's commands need.
type scene struct {
	ctx    context.Context //nolint:containedctx // testscript has none
	lab    *lab.Lab
	cli    *cli
	runner runner
	last   outcome
}

type sceneKey struct{}

func sceneOf(ts *testscript.TestScript) *scene { return ts.Value(sceneKey{}).(*scene) }

// setUp makes the variables of a script: the accounts, and the files that some commands take.
func setUp(e *testscript.Env, s *scene) error {
	e.Values[sceneKey{}] = s
	members := 0
	for _, a := range s.lab.Accounts() {
		if a.Role != "member" {
			e.Setenv(a.Role, a.ID)
			continue
		}
		members++
		e.Setenv("member"+strconv.Itoa(members), a.ID)
	}
	e.Setenv("LAB", s.lab.Cloud.URL())
	if err := s.become(e.Setenv, s.lab.Administrator(), "ap-northeast-1"); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	code, err := zipped("bootstrap", "#!/bin/sh\nexec '"+self+"'\n") // see TestMain
	if err != nil {
		return err
	}
	// v2 takes blobs as they are, as v1 does, and v1 does not read what is at a parameter that is a URL, as v2 does not.
	settings := "[default]\ncli_binary_format = raw-in-base64-out\ncli_follow_urlparam = false\n"
	for name, content := range map[string][]byte{
		"function.zip": code, "large.bin": bytes.Repeat([]byte("0123456789abcdef"), 20<<16), ".aws/config": []byte(settings),
	} {
		path := filepath.Join(e.WorkDir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(path, content, 0o600); err != nil {
			return err
		}
	}
	e.Setenv("HOME", e.WorkDir)
	// The lab's clock is not the machine's, and "aws s3 sync" compares.
	return filepath.WalkDir(e.WorkDir, func(path string, _ os.DirEntry, err error) error {
		return errors.Join(err, os.Chtimes(path, start, start))
	})
}

func zipped(name, text string) ([]byte, error) {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	h := &zip.FileHeader{Name: name, Method: zip.Deflate}
	h.SetMode(0o755)
	w, err := z.CreateHeader(h)
	if err == nil {
		_, err = io.WriteString(w, text)
	}
	if err == nil {
		err = z.Close()
	}
	return b.Bytes(), err
}

func (s *scene) become(set func(name, value string), account, region string) error {
	environment, err := s.lab.Environment(account, region)
	for _, name := range slices.Sorted(maps.Keys(environment)) {
		set(name, environment[name])
	}
	return err
}

func become(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 1 || len(args) > 2 {
		ts.Fatalf("usage: as ACCOUNT [REGION]")
	}
	region := ts.Getenv("AWS_REGION")
	if len(args) == 2 {
		region = args[1]
	}
	ts.Check(sceneOf(ts).become(ts.Setenv, args[0], region))
}

// variables are those that commands see.
var variables = []string{
	"PATH", "HOME", "AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_DEFAULT_REGION",
	"AWS_EC2_METADATA_DISABLED",
}

// variable is one in a text.
var variable = regexp.MustCompile(`\$\{(\w+)\}`)

func expand(ts *testscript.TestScript, text string) string {
	return variable.ReplaceAllStringFunc(text, func(name string) string { return ts.Getenv(name[2 : len(name)-1]) })
}

func runAWS(ts *testscript.TestScript, neg bool, args []string) {
	s := sceneOf(ts)
	for i := range args {
		args[i] = expand(ts, args[i])
	}
	if len(args) > 0 && s.cli.deaf(args[0]) {
		args = append([]string{"--endpoint-url", ts.Getenv("AWS_ENDPOINT_URL")}, args...)
	}
	env := map[string]string{"AWS_PAGER": "", "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUTF8": "1"}
	for _, name := range variables {
		if value := ts.Getenv(name); value != "" {
			env[name] = value
		}
	}
	out, err := s.runner.run(s.ctx, command{args, env, ts.MkAbs(".")})
	ts.Check(err)
	s.show(ts, out)
	if neg != (out.Status != 0) {
		ts.Fatalf("the exit status is %d", out.Status)
	}
}

// show makes an outcome that of the last command.
func (s *scene) show(ts *testscript.TestScript, out outcome) {
	s.last = out
	_, err := io.WriteString(ts.Stdout(), out.Stdout)
	ts.Check(err)
	_, err = io.WriteString(ts.Stderr(), out.Stderr)
	ts.Check(err)
}

func expectFailure(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: fails CODE OPERATION")
	}
	want := "An error occurred (" + args[0] + ") when calling the " + args[1] + " operation"
	last := sceneOf(ts).last
	// AWS CLI v2 and later v1 exit with 254 where the service refuses, early v1 with 255, and "aws s3" with 1.
	if !strings.Contains(last.Stderr, want) || !slices.Contains([]int{1, 254, 255}, last.Status) {
		ts.Fatalf("want status 254 and %q, got %d and %q", want, last.Status, last.Stderr)
	}
}

func expectJSON(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: json TEXT")
	}
	var want, got any
	if err := json.Unmarshal([]byte(expand(ts, args[0])), &want); err != nil {
		ts.Fatalf("what is wanted: %v", err)
	}
	if err := json.Unmarshal([]byte(sceneOf(ts).last.Stdout), &got); err != nil {
		ts.Fatalf("what was printed: %v", err)
	}
	if problem := differs("", want, got); problem != "" {
		ts.Fatalf("%s", problem)
	}
}

// differs tells where a value has not at least what is wanted; empty: it has.
func differs(at string, want, got any) string {
	switch want := want.(type) {
	case map[string]any:
		object, ok := got.(map[string]any)
		if !ok {
			return fmt.Sprintf("%s: want an object, got %v", at, got)
		}
		for _, name := range slices.Sorted(maps.Keys(want)) {
			value, there := object[name]
			if !there {
				return fmt.Sprintf("%s.%s is not there", at, name)
			}
			if problem := differs(at+"."+name, want[name], value); problem != "" {
				return problem
			}
		}
		return ""
	case []any:
		list, ok := got.([]any)
		if !ok || len(list) != len(want) {
			return fmt.Sprintf("%s: want a list of %d, got %v", at, len(want), got)
		}
		for i := range want {
			if problem := differs(at+"."+strconv.Itoa(i), want[i], list[i]); problem != "" {
				return problem
			}
		}
		return ""
	case string:
		if want == "*" {
			if got == nil || got == "" {
				return at + " is empty"
			}
			return ""
		}
	}
	if want != got {
		return fmt.Sprintf("%s: want %v, got %v", at, want, got)
	}
	return ""
}

func keep(ts *testscript.TestScript, _ bool, args []string) {
	printed := sceneOf(ts).last.Stdout
	switch len(args) {
	case 1:
		ts.Setenv(args[0], strings.TrimSpace(printed))
		return
	case 2:
	default:
		ts.Fatalf("usage: keep NAME [PATH]")
	}
	var v any
	ts.Check(json.Unmarshal([]byte(printed), &v))
	for _, part := range strings.Split(args[1], ".") {
		switch in := v.(type) {
		case map[string]any:
			v = in[part]
		case []any:
			i, err := strconv.Atoi(part)
			if err != nil || i >= len(in) {
				ts.Fatalf("%s: no element %s", args[1], part)
			}
			v = in[i]
		}
	}
	if v == nil {
		ts.Fatalf("%s is not there", args[1])
	}
	ts.Setenv(args[0], fmt.Sprint(v))
}

func askLab(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 || len(args) > 3 {
		ts.Fatalf("usage: lab METHOD PATH [JSON]")
	}
	body := ""
	if len(args) == 3 {
		body = expand(ts, args[2])
	}
	ask(ts, neg, args[0], ts.Getenv("LAB")+args[1], body)
}

func fetch(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: fetch URL")
	}
	ask(ts, neg, http.MethodGet, args[0], "")
}

func ask(ts *testscript.TestScript, neg bool, method, url, body string) {
	s := sceneOf(ts)
	r, err := http.NewRequestWithContext(s.ctx, method, url, strings.NewReader(body))
	ts.Check(err)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	answer, err := new(http.Client).Do(r)
	ts.Check(err)
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	ts.Check(err)
	s.show(ts, outcome{Stdout: string(b)})
	if neg != (answer.StatusCode >= http.StatusMultipleChoices) {
		ts.Fatalf("the status is %s", answer.Status)
	}
}

func fill(ts *testscript.TestScript, _ bool, args []string) {
	for _, name := range args {
		ts.Check(os.WriteFile(ts.MkAbs(name), []byte(expand(ts, ts.ReadFile(name))), 0o600))
	}
}
