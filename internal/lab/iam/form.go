package iam

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/wire"
)

// The longest of texts, as IAM's model has them.
const (
	maxRoleName    = 64
	maxPolicyName  = 128
	maxPath        = 512
	maxDescription = 1000
	maxTagKey      = 128
	maxTagValue    = 256
	maxPage        = 1000
	defaultPage    = 100
)

var (
	nameForm = regexp.MustCompile(`^[\w+=,.@-]+$`)
	pathForm = regexp.MustCompile(`^(/|/[\x21-\x7e]+/)$`)
)

func malformed(err error) error { return wire.Errorf("MalformedPolicyDocument", "%v", err) }

func noEntity(format string, args ...any) error {
	return wire.StatusErrorf(http.StatusNotFound, "NoSuchEntity", format, args...)
}

func conflict(code, format string, args ...any) error {
	return wire.StatusErrorf(http.StatusConflict, code, format, args...)
}

func limit(quota string, n int) error {
	return conflict("LimitExceeded", "Cannot exceed quota for %s: %d", quota, n)
}

// maxShown is how much of a wrong value an error repeats.
const maxShown = 100

func validation(member, value, constraint string) error {
	if len(value) > maxShown {
		value = value[:maxShown] + "…"
	}
	return wire.Errorf("ValidationError", "1 validation error detected: Value '%s' at '%s' failed to satisfy constraint: %s",
		strings.ToValidUTF8(value, "�"), member, constraint)
}

func checkAll(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func isName(member, value string, longest int) error {
	switch {
	case value == "":
		return validation(member, value, "Member must have length greater than or equal to 1")
	case len(value) > longest:
		return validation(member, value, fmt.Sprintf("Member must have length less than or equal to %d", longest))
	case !nameForm.MatchString(value):
		return validation(member, value, `Member must satisfy regular expression pattern: [\w+=,.@-]+`)
	}
	return nil
}

func isPath(value string) error {
	if len(value) > maxPath || !pathForm.MatchString(value) {
		return validation("path", value, `Member must satisfy regular expression pattern: (\u002F)|(\u002F[\u0021-\u007E]+\u002F)`)
	}
	return nil
}

func isDescription(value string) error {
	if len(value) > maxDescription {
		return validation("description", value, fmt.Sprintf("Member must have length less than or equal to %d", maxDescription))
	}
	return nil
}

func isSession(seconds int32) error {
	switch {
	case seconds < defaultSession:
		return validation("maxSessionDuration", strconv.Itoa(int(seconds)), "Member must have value greater than or equal to 3600")
	case seconds > maxSession:
		return validation("maxSessionDuration", strconv.Itoa(int(seconds)), "Member must have value less than or equal to 43200")
	}
	return nil
}

func isARN(value string) error {
	arn, err := cloud.ParseARN(value)
	if err != nil || arn.Service != "iam" || !strings.HasPrefix(arn.Resource, "policy/") {
		return wire.Errorf("InvalidInput", "ARN %.100s is not valid.", value)
	}
	return nil
}

// withoutSpace is the length of a document as IAM's quotas count it.
func withoutSpace(document string) int {
	n := 0
	for _, r := range document {
		if !unicode.IsSpace(r) {
			n++
		}
	}
	return n
}

// escape is how policies stand in answers: RFC 3986.
func escape(document string) string { return strings.ReplaceAll(url.QueryEscape(document), "+", "%20") }

type tag struct{ Key, Value string }

func tagList(tags map[string]string) []tag {
	var out []tag
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		out = append(out, tag{key, tags[key]})
	}
	return out
}

func addTags(to map[string]string, tags []tag) error {
	for _, t := range tags {
		if t.Key == "" || len(t.Key) > maxTagKey || len(t.Value) > maxTagValue {
			return validation("tags", t.Key, fmt.Sprintf("a key has 1 to %d letters and a value at most %d", maxTagKey, maxTagValue))
		}
		if strings.HasPrefix(t.Key, "aws:") {
			return wire.Errorf("InvalidInput", "Tag keys that start with aws: are reserved: %s", t.Key)
		}
		to[t.Key] = t.Value
	}
	if len(to) > maxTags {
		return conflict("LimitExceeded", "The number of tags has reached the maximum limit of %d.", maxTags)
	}
	return nil
}

// page gives one page of a list, and the marker of the next; empty where it is the last.
func page[T any](all []T, in *listInput) ([]T, string, error) {
	size, start := defaultPage, 0
	if in.MaxItems != nil {
		if size = *in.MaxItems; size < 1 || size > maxPage {
			return nil, "", validation("maxItems", strconv.Itoa(size), fmt.Sprintf("Member must have value from 1 to %d", maxPage))
		}
	}
	if in.Marker != "" {
		var err error
		if start, err = strconv.Atoi(in.Marker); err != nil || start < 0 {
			return nil, "", wire.Errorf("ValidationError", "Invalid Marker.")
		}
	}
	start = min(start, len(all))
	end := min(start+size, len(all))
	if end == len(all) {
		return all[start:], "", nil
	}
	return all[start:end], strconv.Itoa(end), nil
}

// What the permissions of an operation are about.

func (s *Service) roleARN(c *wire.Call) string {
	name := c.HTTP.Form.Get("RoleName")
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.directory(c.Account).roles[strings.ToLower(name)]; r != nil {
		return r.arn
	}
	return c.Global().ARN("iam", "role/"+name)
}

func (s *Service) newRoleARN(c *wire.Call) string {
	return c.Global().ARN("iam", "role"+formPath(c)+c.HTTP.Form.Get("RoleName"))
}

func newPolicyARN(c *wire.Call) string {
	return c.Global().ARN("iam", "policy"+formPath(c)+c.HTTP.Form.Get("PolicyName"))
}

func formPath(c *wire.Call) string {
	if path := c.HTTP.Form.Get("Path"); path != "" {
		return path
	}
	return "/"
}

func policyARN(c *wire.Call) string { return c.HTTP.Form.Get("PolicyArn") }

func userARN(c *wire.Call) string { return c.Global().ARN("iam", "user/"+administrator) }
