package lambda

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"example.org/catchment/internal/lab/cloud"
)

// initTime is how long a process has until it asks for its first invocation.
// https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html
const initTime = 10 * time.Second

// An environment is a process that runs a function, with the Runtime API that it talks to.
type environment struct {
	function   *function
	generation int
	folder     string
	process    *exec.Cmd
	server     *http.Server
	next       chan *invocation
	asked      chan struct{} // closed when the process asks for the first time
	gone       chan struct{} // closed when the process has ended
	once       sync.Once
	end        sync.Once

	mu      sync.Mutex
	current *invocation // guarded by mu, like all below
	initErr []byte      // what the process said of its start
	exit    error
}

// An invocation is one event on its way through a process.
type invocation struct {
	id       string
	payload  []byte
	deadline time.Time // real time
	done     chan outcome
}

// An outcome is what a function answered.
type outcome struct {
	payload []byte
	failure string // Handled, Unhandled; empty: none
	ends    bool   // the process is not to be used again
}

// start makes an environment and starts its process. It does not wait for it.
func (s *Service) start(f *function, code []byte, set settings, generation int) (e *environment, err error) {
	folder, err := os.MkdirTemp("", "catchment-lambda-")
	if err != nil {
		return nil, fmt.Errorf("make a folder for function %s: %w", f.name, err)
	}
	defer func() {
		if err != nil {
			_ = os.RemoveAll(folder) // the first error is told
		}
	}()
	e = &environment{
		function: f, generation: generation, folder: folder, next: make(chan *invocation),
		asked: make(chan struct{}), gone: make(chan struct{}),
	}
	task := filepath.Join(e.folder, "task")
	if err = unpack(code, task); err != nil {
		return nil, fmt.Errorf("unpack function %s: %w", f.name, err)
	}
	var network net.ListenConfig
	listener, err := network.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for function %s: %w", f.name, err)
	}
	e.server = &http.Server{Handler: e.api(), ReadHeaderTimeout: 10 * time.Second}
	e.process = exec.Command(filepath.Join(task, bootstrap)) //nolint:gosec,noctx // running what was uploaded is what a function is; stop ends it
	e.process.Dir = task
	e.process.Env = s.variables(f, set, task, e.folder, listener.Addr().String())
	e.process.Stdout, e.process.Stderr = &f.log, &f.log
	ownGroup(e.process)
	e.process.WaitDelay = time.Second // for what it has started, which may hold its output open
	if err = e.process.Start(); err != nil {
		_ = listener.Close() // nothing was served
		return nil, fmt.Errorf("start function %s: %w", f.name, err)
	}
	s.running.Go(func() { _ = e.server.Serve(listener) }) // ends with ErrServerClosed
	s.running.Go(func() {
		exit := e.process.Wait()
		e.mu.Lock()
		e.exit = exit
		e.mu.Unlock()
		close(e.gone)
		_ = e.server.Close()       // nobody asks any more
		_ = os.RemoveAll(e.folder) // temporary
	})
	return e, nil
}

// variables are the process's environment: what Lambda sets, then the function's own.
// https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
func (s *Service) variables(f *function, set settings, task, folder, api string) []string {
	who := cloud.Identity{Kind: cloud.User, Account: f.at.Account, ARN: set.Role}
	if s.cloud.Access != nil {
		service := cloud.Identity{Kind: cloud.Service, ARN: principal, Account: f.at.Account}
		if session, err := s.cloud.Access.Assume(service, set.Role, f.name, nil); err == nil {
			who = session
		} else {
			who = cloud.Identity{Kind: cloud.Session, Account: f.at.Account, ARN: set.Role, Role: set.Role} // may do nothing
		}
	}
	key := s.cloud.Accounts.Issue(who)
	out := []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + folder, "TMPDIR=" + folder, "LANG=en_US.UTF-8", "TZ=:UTC",
		"AWS_LAMBDA_RUNTIME_API=" + api, "AWS_LAMBDA_FUNCTION_NAME=" + f.name, "AWS_LAMBDA_FUNCTION_VERSION=" + latest,
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE=" + strconv.Itoa(set.MemorySize), "AWS_LAMBDA_INITIALIZATION_TYPE=on-demand",
		"AWS_LAMBDA_LOG_GROUP_NAME=/aws/lambda/" + f.name, "_HANDLER=" + set.Handler, "LAMBDA_TASK_ROOT=" + task,
		"AWS_REGION=" + f.at.Region, "AWS_DEFAULT_REGION=" + f.at.Region, "AWS_ENDPOINT_URL=" + s.cloud.URL(),
		"AWS_ACCESS_KEY_ID=" + key.AccessKeyID, "AWS_SECRET_ACCESS_KEY=" + key.SecretKey, "AWS_SESSION_TOKEN=" + key.Token,
		"AWS_EC2_METADATA_DISABLED=true",
	}
	for name, value := range set.Environment.Variables {
		out = append(out, name+"="+value)
	}
	return out
}

func unpack(code []byte, folder string) error {
	z, err := zip.NewReader(bytes.NewReader(code), int64(len(code)))
	if err != nil {
		return err
	}
	for _, file := range z.File {
		to := filepath.Join(folder, filepath.FromSlash(file.Name))
		if !isLocal(file.Name) {
			return fmt.Errorf("the name %q leads out of the folder", file.Name)
		}
		if strings.HasSuffix(file.Name, "/") {
			continue
		}
		if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
			return err
		}
		b, err := readZipFile(file)
		if err != nil {
			return err
		}
		if err := os.WriteFile(to, b, 0o700); err != nil { //nolint:gosec // it is to be run
			return err
		}
	}
	return nil
}

// stop ends the process and waits for it. Twice is once.
func (e *environment) stop() {
	e.end.Do(func() { killGroup(e.process.Process) })
	<-e.gone
}

// The Runtime API. https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
func (e *environment) api() http.Handler {
	const root = "/2018-06-01/runtime/"
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+root+"invocation/next", e.serveNext)
	mux.HandleFunc("POST "+root+"invocation/{id}/response", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(io.LimitReader(r.Body, maxPayload+1))
		if err != nil {
			http.Error(w, "{}", http.StatusBadRequest)
			return
		}
		out := outcome{payload: body}
		status := http.StatusAccepted
		if len(body) > maxPayload {
			out = failed("Function.ResponseSizeTooLarge", "Response payload size exceeded maximum allowed payload size (%d bytes).", maxPayload)
			out.ends = true // the runtime takes the refusal for a fault of its own
			status = http.StatusRequestEntityTooLarge
		}
		e.answered(w, r.PathValue("id"), out, status)
	})
	mux.HandleFunc("POST "+root+"invocation/{id}/error", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(io.LimitReader(r.Body, maxPayload)) // half of an error is one
		e.answered(w, r.PathValue("id"), outcome{payload: body, failure: "Unhandled"}, http.StatusAccepted)
	})
	mux.HandleFunc("POST "+root+"init/error", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(io.LimitReader(r.Body, maxPayload)) // half of an error is one
		e.mu.Lock()
		e.initErr = body
		e.mu.Unlock()
		w.WriteHeader(http.StatusAccepted)
	})
	return mux
}

func (e *environment) serveNext(w http.ResponseWriter, r *http.Request) {
	e.once.Do(func() { close(e.asked) })
	var in *invocation
	select {
	case in = <-e.next:
	case <-r.Context().Done():
		return
	}
	e.mu.Lock()
	e.current = in
	e.mu.Unlock()
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Lambda-Runtime-Aws-Request-Id", in.id)
	h.Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(in.deadline.UnixMilli(), 10))
	h.Set("Lambda-Runtime-Invoked-Function-Arn", e.function.arn())
	h.Set("Lambda-Runtime-Trace-Id", "Root=1-"+in.id[:8]+"-"+strings.ReplaceAll(in.id, "-", "")[8:])
	_, _ = w.Write(in.payload) // a process that is gone is noticed by its end
}

// answered hands an outcome to whoever waits for it; an answer to anything but the current invocation is refused.
func (e *environment) answered(w http.ResponseWriter, id string, out outcome, status int) {
	e.mu.Lock()
	in := e.current
	if in == nil || in.id != id {
		e.mu.Unlock()
		http.Error(w, `{"errorMessage":"no such invocation","errorType":"InvalidRequestID"}`, http.StatusBadRequest)
		return
	}
	e.current = nil
	e.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, `{"status":"OK"}`) // see serveNext
	in.done <- out
}

// do runs one invocation in the environment. Whoever calls it has the environment for itself. healthy is false where the
// process must not be used again.
func (e *environment) do(ctx context.Context, in *invocation, timeout time.Duration) (out outcome, healthy bool) {
	ready := time.NewTimer(initTime)
	defer ready.Stop()
	select {
	case <-e.asked:
	case <-e.gone:
		return e.ended(), false
	case <-ready.C:
		return failed("Sandbox.Timedout", "the function did not ask for its first invocation within %v", initTime), false
	case <-ctx.Done():
		return failed("Sandbox.Cancelled", "%v", ctx.Err()), false
	}
	in.deadline = time.Now().Add(timeout)
	limit := time.NewTimer(timeout)
	defer limit.Stop()
	next := e.next
	for {
		select {
		case next <- in:
			next = nil // sent once
		case out = <-in.done:
			return out, !out.ends
		case <-e.gone:
			return e.ended(), false
		case <-limit.C:
			return failed("Sandbox.Timedout", "RequestId: %s Error: Task timed out after %.2f seconds", in.id, timeout.Seconds()), false
		case <-ctx.Done():
			return failed("Sandbox.Cancelled", "%v", ctx.Err()), false
		}
	}
}

// ended is the outcome of an invocation whose process is gone.
func (e *environment) ended() outcome {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.initErr) > 0 {
		return outcome{payload: e.initErr, failure: "Unhandled"}
	}
	cause := "exit status 0"
	if exit, ok := errors.AsType[*exec.ExitError](e.exit); ok {
		cause = exit.String()
	}
	return failed("Runtime.ExitError", "Runtime exited with error: %s", cause)
}
