package inspector

import (
	"regexp"
	"strings"
	"time"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/wire"
)

// Each exception of Inspector carries whether the same call may be tried again at once, which helps against none of these,
// and most of them a code that says more.
func exception(kind, code, format string, args ...any) *wire.Error {
	e := wire.Errorf(kind, format, args...)
	e.Fields = map[string]any{"canRetry": false}
	if code != "" {
		e.Fields["errorCode"] = code
	}
	return e
}

func invalid(code, format string, args ...any) *wire.Error {
	return exception("InvalidInputException", code, format, args...)
}

func exceeded(code, format string, args ...any) *wire.Error {
	return exception("LimitExceededException", code, format, args...)
}

// inProgress says which runs are in the way.
func inProgress(arns []string) *wire.Error {
	e := exception("AssessmentRunInProgressException", "", "the action cannot be done while assessment runs are in progress: %s", arns[0])
	e.Fields["assessmentRunArns"] = arns[:min(len(arns), maxDescribed)]
	e.Fields["assessmentRunArnsTruncated"] = len(arns) > maxDescribed
	return e
}

// A kind is a kind of thing that has an ARN.
type kind struct {
	name string // as in the codes of errors
	form *regexp.Regexp
}

// The forms of the resources of ARNs. AWS's page prints colons between the parts; everything live has slashes.
const (
	idForm       = `0-[0-9A-Za-z]{8}`
	targetForm   = `target/` + idForm
	templateForm = targetForm + `/template/` + idForm
	runForm      = templateForm + `/run/` + idForm
	findingForm  = runForm + `/finding/` + idForm
)

func newKind(name, form string) *kind { return &kind{name, regexp.MustCompile(`^` + form + `$`)} }

// The kinds of things.
var (
	kindTarget   = newKind("ASSESSMENT_TARGET", targetForm)
	kindTemplate = newKind("ASSESSMENT_TEMPLATE", templateForm)
	kindRun      = newKind("ASSESSMENT_RUN", runForm)
	kindFinding  = newKind("FINDING", findingForm)
	kindGroup    = newKind("RESOURCE_GROUP", `resourcegroup/`+idForm)
	kindPackage  = newKind("RULES_PACKAGE", `rulespackage/`+idForm)
)

func (k *kind) words() string { return strings.ToLower(strings.ReplaceAll(k.name, "_", " ")) }

// maxARN is how long an ARN may be.
const maxARN = 300

// The codes of items that failed while the others did not.
const (
	failInvalid   = "INVALID_ARN"
	failDuplicate = "DUPLICATE_ARN"
	failMissing   = "ITEM_DOES_NOT_EXIST"
	failDenied    = "ACCESS_DENIED"
	failLimit     = "LIMIT_EXCEEDED"
	failInternal  = "INTERNAL_ERROR"
)

// check tells what is wrong with the form and the owner of an ARN: failInvalid, failDenied or nothing. Rules packages
// belong to AWS: theirs is any account.
func (k *kind) check(p cloud.Place, arn string) string {
	parsed, err := cloud.ParseARN(arn)
	switch {
	case err != nil, len(arn) > maxARN, parsed.Service != "inspector", parsed.Partition != p.Partition, !k.form.MatchString(parsed.Resource),
		!cloud.IsAccountID(parsed.Account):
		return failInvalid
	case parsed.Account != p.Account && k != kindPackage:
		return failDenied
	}
	return ""
}

// find looks a thing up by its ARN, for operations that are about one.
func find[T any](p cloud.Place, k *kind, arn string, all map[string]T) (T, error) {
	x, ok := all[arn]
	if ok {
		return x, nil
	}
	switch k.check(p, arn) {
	case failInvalid:
		return x, invalid("INVALID_"+k.name+"_ARN", "%q is not the ARN of an %s", clip(arn, maxARN), k.words())
	case failDenied:
		return x, exception("AccessDeniedException", "ACCESS_DENIED_TO_"+k.name, "You do not have permission to access %s", arn)
	}
	return x, exception("NoSuchEntityException", k.name+"_DOES_NOT_EXIST", "The %s %s does not exist", k.words(), arn)
}

// A failedItem says why a part of a call failed.
type failedItem struct {
	FailureCode string `json:"failureCode"`
	Retryable   bool   `json:"retryable"`
}

// maxDescribed is the most of things that can be described at once.
const maxDescribed = 10

// describe looks things up by their ARNs. They come in no certain order. A thing that is asked for twice fails: the map of
// failures has one entry for an ARN, and so has the answer. Requires s.mu.
func describe[T any](s *Service, p cloud.Place, k *kind, arns []string, all map[string]T) (found []T, failed map[string]failedItem, err error) {
	if len(arns) < 1 || len(arns) > maxDescribed {
		return nil, nil, invalid("INVALID_NUMBER_OF_"+k.name+"_ARNS", "%d %s ARNs: expected 1 to %d", len(arns), k.words(), maxDescribed)
	}
	failed = make(map[string]failedItem)
	times := make(map[string]int)
	for _, arn := range arns {
		times[arn]++
	}
	for _, arn := range arns {
		x, ok := all[arn]
		code := k.check(p, arn)
		switch {
		case times[arn] > 1:
			failed[arn] = failedItem{failDuplicate, false}
		case code != "":
			failed[arn] = failedItem{code, false}
		case !ok:
			failed[arn] = failedItem{failMissing, false}
		case s.flake():
			failed[arn] = failedItem{s.flakyCode(), true}
		default:
			found = append(found, x)
		}
	}
	b := s.cloud.Chance("inspector order")
	for i := len(found) - 1; i > 0; i-- {
		j := int(b[i]) % (i + 1)
		found[i], found[j] = found[j], found[i]
	}
	return found, failed, nil
}

// flake draws whether an item fails that need not. Requires s.mu.
func (s *Service) flake() bool {
	if s.flaky <= 0 {
		return false
	}
	b := s.cloud.Chance("inspector flaky")
	return float64(uint64(b[0])<<8|uint64(b[1]))/(1<<16) < s.flaky
}

func (s *Service) flakyCode() string {
	if b := s.cloud.Chance("inspector flaky code"); b[0]&1 == 0 {
		return failLimit
	}
	return failInternal
}

// text checks the length of a text, in characters.
func text(code, what, s string, least, most int) error {
	if n := len([]rune(s)); n < least || n > most {
		return invalid(code, "%s has %d characters: expected %d to %d", what, n, least, most)
	}
	return nil
}

// count checks how many of something there are.
func count(code, what string, n, least, most int) error {
	if n < least || n > most {
		return invalid(code, "%d %s: expected %d to %d", n, what, least, most)
	}
	return nil
}

// An Attribute is a key with a value: what a rule found, what a user adds to a finding, a tag.
type Attribute struct {
	Key   string `json:"key"`             // 1 to 128 characters
	Value string `json:"value,omitempty"` // up to 256
}

const (
	maxKey   = 128
	maxValue = 256
)

// pairs checks attributes or tags: their number, keys and values. what is as in the codes: TAG or USER_ATTRIBUTE.
func pairs(what string, list []Attribute, least int) error {
	words := strings.ToLower(strings.ReplaceAll(what, "_", " "))
	if err := count("INVALID_NUMBER_OF_"+what+"S", words+"s", len(list), least, maxPairs); err != nil {
		return err
	}
	seen := make(map[string]bool)
	for _, a := range list {
		if err := text("INVALID_"+what+"_KEY", "the key of a "+words, a.Key, 1, maxKey); err != nil {
			return err
		}
		if err := text("INVALID_"+what+"_VALUE", "the value of a "+words, a.Value, 0, maxValue); err != nil {
			return err
		}
		if seen[a.Key] {
			return invalid("INVALID_"+what+"_KEY", "the key %q is given twice", a.Key)
		}
		seen[a.Key] = true
	}
	return nil
}

// oneOf checks a text that is one of a list.
func oneOf(code, what, s string, list []string) error {
	for _, x := range list {
		if x == s {
			return nil
		}
	}
	return invalid(code, "%s %q: expected one of %s", what, clip(s, maxKey), strings.Join(list, ", "))
}

// locale checks the only language that there is.
func locale(s string) error {
	if s == "" {
		return nil
	}
	return oneOf("INVALID_LOCALE", "locale", s, []string{"EN_US"})
}

// clip shortens a text to at most n bytes, between characters.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xc0 == 0x80 {
		n--
	}
	return s[:n]
}

// A timeRange is a time from and to, both included; either may be missing.
type timeRange struct {
	BeginDate wire.Epoch `json:"beginDate"`
	EndDate   wire.Epoch `json:"endDate"`
}

func (r *timeRange) check(code string) error {
	if r != nil && !r.BeginDate.IsZero() && !r.EndDate.IsZero() && r.EndDate.Before(r.BeginDate.Time) {
		return invalid(code, "the range ends before it begins")
	}
	return nil
}

// holds tells whether a time is in the range; one that is not set is in none.
func (r *timeRange) holds(t time.Time) bool {
	if r == nil {
		return true
	}
	return !t.IsZero() && !t.Before(r.BeginDate.Time) && (r.EndDate.IsZero() || !t.After(r.EndDate.Time))
}

// A durationRange is a number of seconds from and to; 0: missing.
type durationRange struct {
	MinSeconds int `json:"minSeconds"`
	MaxSeconds int `json:"maxSeconds"`
}

// The shortest and the longest run, in seconds.
const (
	minDuration = 180
	maxDuration = 86_400
)

func (r *durationRange) check(code string) error {
	if r == nil {
		return nil
	}
	for _, n := range []int{r.MinSeconds, r.MaxSeconds} {
		if n != 0 && (n < minDuration || n > maxDuration) {
			return invalid(code, "%d seconds: expected %d to %d", n, minDuration, maxDuration)
		}
	}
	if r.MaxSeconds != 0 && r.MaxSeconds < r.MinSeconds {
		return invalid(code, "the range ends before it begins")
	}
	return nil
}

func (r *durationRange) holds(seconds int) bool {
	return r == nil || seconds >= r.MinSeconds && (r.MaxSeconds == 0 || seconds <= r.MaxSeconds)
}
