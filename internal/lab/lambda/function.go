package lambda

import (
	"archive/zip"
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/wire"
)

// A function is one function with its code.
type function struct {
	at       cloud.Place
	name     string
	settings settings
	code     []byte // the zip
	sha      string
	revision string
	modified string
	policy   []statement

	idle         []*environment // guarded by Service.mu, like all below
	environments int            // idle and busy
	generation   int            // of code and settings: environments of an older one are not used again
	state        FunctionState
	log          logTail
}

func (f *function) arn() string { return f.at.ARN("lambda", "function:"+f.name) }

// retire takes the environments that are idle away, and makes the busy ones the last of their kind. Requires Service.mu.
func (f *function) retire() []*environment {
	f.generation++
	idle := f.idle
	f.idle = nil
	f.environments -= len(idle)
	return idle
}

type environmentVariables struct {
	Variables map[string]string `json:",omitempty"`
}

type deadLetterConfig struct {
	TargetArn string `json:",omitempty"`
}

// settings are what CreateFunction and UpdateFunctionConfiguration take.
type settings struct {
	Runtime          string
	Role             string
	Handler          string
	Description      string
	Timeout          int
	MemorySize       int
	Environment      environmentVariables
	DeadLetterConfig *deadLetterConfig
	Architectures    []string
}

type codeInput struct {
	ZipFile  []byte
	S3Bucket string
	S3Key    string
}

type createInput struct {
	settings `json:",inline"`

	FunctionName string
	Code         codeInput
	PackageType  string
	Publish      bool
}

// configuration is what the API says of a function.
type configuration struct {
	FunctionName     string
	FunctionArn      string
	Runtime          string
	Role             string
	Handler          string
	CodeSize         int64
	CodeSha256       string
	Description      string
	Timeout          int
	MemorySize       int
	LastModified     string
	Version          string
	RevisionID       string                `json:"RevisionId"`
	Environment      *environmentVariables `json:",omitempty"`
	DeadLetterConfig *deadLetterConfig     `json:",omitempty"`
	Architectures    []string
	PackageType      string
	State            string
	LastUpdateStatus string
}

func (f *function) describe() *configuration {
	out := &configuration{
		FunctionName: f.name, FunctionArn: f.arn(), Runtime: f.settings.Runtime, Role: f.settings.Role, Handler: f.settings.Handler,
		CodeSize: int64(len(f.code)), CodeSha256: f.sha, Description: f.settings.Description, Timeout: f.settings.Timeout,
		MemorySize: f.settings.MemorySize, LastModified: f.modified, Version: latest, RevisionID: f.revision,
		DeadLetterConfig: f.settings.DeadLetterConfig, Architectures: f.settings.Architectures, PackageType: "Zip",
		State: "Active", LastUpdateStatus: "Successful",
	}
	if len(f.settings.Environment.Variables) > 0 {
		out.Environment = &f.settings.Environment
	}
	return out
}

var (
	roleARN      = regexp.MustCompile(`^arn:(aws[a-zA-Z-]*)?:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+$`)
	variableName = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9_]+$`)
)

// reserved are the variables that Lambda sets itself.
var reserved = []string{
	"_HANDLER", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
	"AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_RUNTIME_API", "LAMBDA_TASK_ROOT",
}

// check tells what is wrong with settings, and fills what was left out.
func (s *settings) check() error {
	s.Timeout = cmp.Or(s.Timeout, 3)
	s.MemorySize = cmp.Or(s.MemorySize, 128)
	if len(s.Architectures) == 0 {
		s.Architectures = []string{"x86_64"}
	}
	switch {
	case s.Runtime != "provided.al2023" && s.Runtime != "provided.al2":
		return invalid("Value %s at 'runtime': the lab runs provided.al2023 and provided.al2", s.Runtime)
	case !roleARN.MatchString(s.Role):
		return wire.Errorf("ValidationException", "Value %q at 'role' failed to satisfy constraint: Member must be the ARN of a role", s.Role)
	case s.Timeout < 1 || s.Timeout > maxTimeout:
		return wire.Errorf("ValidationException", "Value %d at 'timeout': expected 1 to %d", s.Timeout, maxTimeout)
	case s.MemorySize < 128 || s.MemorySize > 10240:
		return wire.Errorf("ValidationException", "Value %d at 'memorySize': expected 128 to 10240", s.MemorySize)
	case len(s.Architectures) != 1 || s.Architectures[0] != "x86_64" && s.Architectures[0] != "arm64":
		return wire.Errorf("ValidationException", "Value %v at 'architectures': expected x86_64 or arm64", s.Architectures)
	}
	size := 0
	for name, value := range s.Environment.Variables {
		if !variableName.MatchString(name) || slices.Contains(reserved, name) {
			return invalid("Lambda was unable to configure your environment variables because the environment variables you have provided contains reserved keys that are currently not supported for modification. Reserved keys used in this request: %s", name)
		}
		size += len(name) + len(value)
	}
	if size > 4096 {
		return invalid("Lambda was unable to configure your environment variables because the environment variables you have provided exceeded the 4KB limit.")
	}
	return nil
}

func (s *Service) create(ctx context.Context, c *wire.Call, in *createInput) (*configuration, error) {
	at, name, err := parseName(c.Place, in.FunctionName)
	if err != nil {
		return nil, err
	}
	if in.PackageType != "" && in.PackageType != "Zip" {
		return nil, invalid("PackageType %q: the lab takes Zip", in.PackageType)
	}
	if err := in.check(); err != nil {
		return nil, err
	}
	if in.Handler == "" {
		in.Handler = "bootstrap"
	}
	code, err := s.read(ctx, c, in.Code)
	if err != nil {
		return nil, err
	}
	if err := s.mayPass(c, in.Role); err != nil {
		return nil, err
	}
	if err := s.assumable(at, in.Role, name); err != nil {
		return nil, err
	}
	f := &function{at: at, name: name, settings: in.settings}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.functions[at][name] != nil {
		return nil, &wire.Error{
			Code: "ResourceConflictException", Status: http.StatusConflict, Message: "Function already exist: " + name,
			Fields: map[string]any{"Type": "User"},
		}
	}
	s.change(f, code)
	if s.functions[at] == nil {
		s.functions[at] = make(map[string]*function)
	}
	s.functions[at][name] = f
	c.Status = http.StatusCreated
	return f.describe(), nil
}

// mayPass asks whether the caller may pass a role on to Lambda.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_passrole.html
func (s *Service) mayPass(c *wire.Call, role string) error {
	return s.cloud.Authorize(cloud.Access{
		Who: c.Who, Action: "iam:PassRole", Resource: role, Context: map[string]string{"iam:PassedToService": principal},
	})
}

// assumable tells whether Lambda may work in a role.
func (s *Service) assumable(at cloud.Place, role, session string) error {
	if s.cloud.Access == nil {
		return nil
	}
	who := cloud.Identity{Kind: cloud.Service, ARN: principal, Account: at.Account}
	if _, err := s.cloud.Access.Assume(who, role, session, nil); err != nil {
		return invalid("The role defined for the function cannot be assumed by Lambda.")
	}
	return nil
}

// principal is the name that Lambda acts under.
const principal = "lambda.amazonaws.com"

// change gives a function code, and makes it another revision. Requires that mu is held.
func (s *Service) change(f *function, code []byte) {
	if code != nil {
		sum := sha256.Sum256(code)
		f.code, f.sha = code, base64.StdEncoding.EncodeToString(sum[:])
	}
	f.revision = s.cloud.UUID("revision")
	f.modified = s.cloud.Clock.Now().UTC().Format("2006-01-02T15:04:05.000+0000")
}

// read gets a function's code, and looks whether it can be run.
func (s *Service) read(ctx context.Context, c *wire.Call, in codeInput) ([]byte, error) {
	code := in.ZipFile
	if in.S3Bucket != "" {
		if s.Code == nil {
			return nil, invalid("Error occurred while GetObject. the lab has no S3")
		}
		var err error
		if code, err = s.Code(ctx, c.Who, in.S3Bucket, in.S3Key); err != nil {
			return nil, invalid("Error occurred while GetObject. %v", err)
		}
	} else if len(code) > maxZip {
		return nil, wire.StatusErrorf(http.StatusRequestEntityTooLarge, "RequestEntityTooLargeException", "Request must be smaller than %d bytes", maxZip)
	}
	if err := checkZip(code); err != nil {
		return nil, invalid("Could not unzip uploaded file. Please check your file, then try to upload again: %v", err)
	}
	return code, nil
}

// checkZip looks whether code can be unpacked, and holds an executable named bootstrap.
func checkZip(code []byte) error {
	z, err := zip.NewReader(bytes.NewReader(code), int64(len(code)))
	if err != nil {
		return err
	}
	found, total := false, uint64(0)
	for _, file := range z.File {
		if !isLocal(file.Name) {
			return fmt.Errorf("the name %q leads out of the folder", file.Name)
		}
		total += file.UncompressedSize64
		found = found || file.Name == bootstrap
	}
	switch {
	case total > maxUnzipped:
		return fmt.Errorf("unzipped size must be smaller than %d bytes", maxUnzipped)
	case !found:
		return errors.New("it has no file named bootstrap at its root")
	}
	return nil
}

const bootstrap = "bootstrap"

// isLocal tells whether a name in a zip stays in the folder that it is unpacked to.
func isLocal(name string) bool {
	clean := path.Clean(name)
	return name != "" && !path.IsAbs(name) && clean != ".." && !strings.HasPrefix(clean, "../") && !strings.Contains(name, `\`)
}

// readZipFile reads a file of a zip, at most its announced size.
func readZipFile(file *zip.File) ([]byte, error) {
	r, err := file.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(io.LimitReader(r, maxUnzipped))
}

type nameInput struct{}

func (s *Service) lookup(c *wire.Call) (*function, error) {
	return s.find(c.Place, c.Path["FunctionName"])
}

type getOutput struct {
	Configuration *configuration
	Code          struct {
		RepositoryType string
		Location       string
	}
}

func (s *Service) get(_ context.Context, c *wire.Call, _ *nameInput) (*getOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, err := s.lookup(c)
	if err != nil {
		return nil, err
	}
	out := &getOutput{Configuration: f.describe()}
	out.Code.RepositoryType = "S3"
	return out, nil
}

func (s *Service) configuration(_ context.Context, c *wire.Call, _ *nameInput) (*configuration, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, err := s.lookup(c)
	if err != nil {
		return nil, err
	}
	return f.describe(), nil
}

type listOutput struct {
	Functions  []*configuration
	NextMarker string `json:",omitempty"`
}

// maxList is the most functions of a page.
const maxList = 50

func (s *Service) list(_ context.Context, c *wire.Call, _ *nameInput) (*listOutput, error) {
	limit, marker := maxList, c.HTTP.URL.Query().Get("Marker")
	if text := c.HTTP.URL.Query().Get("MaxItems"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > 10_000 {
			return nil, wire.Errorf("ValidationException", "MaxItems %q: expected 1 to 10000", text)
		}
		limit = min(n, maxList)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	out := &listOutput{}
	for _, name := range slices.Sorted(maps.Keys(s.functions[c.Place])) {
		switch {
		case name <= marker && marker != "":
		case len(out.Functions) == limit:
			out.NextMarker = out.Functions[limit-1].FunctionName
			return out, nil
		default:
			out.Functions = append(out.Functions, s.functions[c.Place][name].describe())
		}
	}
	return out, nil
}

type updateCodeInput struct {
	codeInput `json:",inline"`

	Architectures []string
	RevisionID    string `json:"RevisionId"`
}

func (s *Service) updateCode(ctx context.Context, c *wire.Call, in *updateCodeInput) (*configuration, error) {
	code, err := s.read(ctx, c, in.codeInput)
	if err != nil {
		return nil, err
	}
	return s.update(c, in.RevisionID, func(f *function) error {
		s.change(f, code)
		if len(in.Architectures) == 1 {
			f.settings.Architectures = in.Architectures
		}
		return nil
	})
}

// update changes a function, and ends the environments that run it as it was.
func (s *Service) update(c *wire.Call, revision string, change func(*function) error) (*configuration, error) {
	s.mu.Lock()
	f, err := s.lookup(c)
	if err == nil && revision != "" && revision != f.revision {
		err = wire.StatusErrorf(http.StatusPreconditionFailed, "PreconditionFailedException",
			"The RevisionId provided does not match the latest RevisionId. Call the GetFunction API to retrieve the latest RevisionId")
	}
	if err == nil {
		err = change(f)
	}
	if err != nil {
		s.mu.Unlock()
		return nil, err
	}
	out, old := f.describe(), f.retire()
	s.mu.Unlock()
	for _, e := range old {
		e.stop()
	}
	return out, nil
}

type updateConfigurationInput struct {
	Runtime, Role, Handler, Description *string
	Timeout, MemorySize                 *int
	Environment                         *environmentVariables
	DeadLetterConfig                    *deadLetterConfig
	RevisionID                          string `json:"RevisionId"`
}

func (s *Service) updateConfiguration(_ context.Context, c *wire.Call, in *updateConfigurationInput) (*configuration, error) {
	return s.update(c, in.RevisionID, func(f *function) error {
		next := f.settings
		for from, to := range map[*string]*string{in.Runtime: &next.Runtime, in.Role: &next.Role, in.Handler: &next.Handler, in.Description: &next.Description} {
			if from != nil {
				*to = *from
			}
		}
		if in.Timeout != nil {
			next.Timeout = *in.Timeout
		}
		if in.MemorySize != nil {
			next.MemorySize = *in.MemorySize
		}
		if in.Environment != nil {
			next.Environment = *in.Environment
		}
		if in.DeadLetterConfig != nil {
			next.DeadLetterConfig = in.DeadLetterConfig
		}
		if err := next.check(); err != nil {
			return err
		}
		f.settings = next
		s.change(f, nil)
		return nil
	})
}

func (s *Service) remove(_ context.Context, c *wire.Call, _ *nameInput) (*nameInput, error) {
	s.mu.Lock()
	f, err := s.lookup(c)
	if err != nil {
		s.mu.Unlock()
		return nil, err
	}
	delete(s.functions[f.at], f.name)
	old := f.retire()
	s.mu.Unlock()
	for _, e := range old {
		e.stop()
	}
	c.Status = http.StatusNoContent
	return nil, nil
}
