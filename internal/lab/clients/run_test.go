package clients

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// A command is one of the AWS CLI.
type command struct {
	Args []string          `json:"args"`
	Env  map[string]string `json:"env"`
	Dir  string            `json:"dir"`
}

// An outcome is what a command printed, and its exit status.
type outcome struct {
	Status int    `json:"status"`
	Stdout string `json:"stdout"`
	Stderr string `json:"stderr"`
}

// A runner runs commands of one CLI.
type runner interface {
	run(ctx context.Context, c command) (outcome, error)
}

// processes starts the program for each command, as a shell does.
type processes struct{ *cli }

func (p processes) run(ctx context.Context, c command) (outcome, error) {
	cmd := exec.CommandContext(ctx, p.path, c.Args...)
	cmd.Dir = c.Dir
	for name, value := range c.Env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err := cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return outcome{exit.ExitCode(), out.String(), errOut.String()}, nil
	}
	return outcome{0, out.String(), errOut.String()}, err
}

// A resident is the CLI's Python, which runs one command after the other: testdata/cli.py.
type resident struct {
	mu     sync.Mutex
	to     *json.Encoder
	from   *json.Decoder
	errOut *bytes.Buffer
}

func (f *resident) run(_ context.Context, c command) (outcome, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.to.Encode(c); err != nil {
		return outcome{}, fmt.Errorf("%w: %s", err, f.errOut)
	}
	var out outcome
	if err := f.from.Decode(&out); err != nil {
		return outcome{}, fmt.Errorf("%w: %s", err, f.errOut)
	}
	return out, nil
}

// newRunner gives a runner of a CLI for one script of a folder, which runs one command at a time.
func newRunner(t *testing.T, c *cli, folder string) runner {
	t.Helper()
	if c.python == "" || os.Getenv("CATCHMENT_CLIENTS") == "processes" || filepath.Base(folder) == "processes" {
		return processes{c}
	}
	cmd := exec.CommandContext(t.Context(), c.python, filepath.Join("testdata", "cli.py"))
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "PYTHONDONTWRITEBYTECODE=1", "PYTHONUTF8=1"}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	f := &resident{to: json.NewEncoder(in), from: json.NewDecoder(bufio.NewReader(out)), errOut: new(bytes.Buffer)}
	cmd.Stderr = f.errOut
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close() // it ends then
		_, _ = io.Copy(io.Discard, out)
		_ = cmd.Wait()
	})
	return f
}
