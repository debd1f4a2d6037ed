package cloudformation

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/wire"
)

// A kind is a type of resources: what it takes, and how it is made in the lab's services.
type kind struct {
	schema schema

	create func(ctx context.Context, j *job) error
	update func(ctx context.Context, j *job) error // nil: it cannot change
	remove func(ctx context.Context, j *job) error
	read   func(ctx context.Context, j *job) (map[string]any, error) // properties as they are, those that it knows; nil: drift is not checked
	stable func(ctx context.Context, j *job) (bool, error)           // after create and update; nil: at once
	gone   func(ctx context.Context, j *job) (bool, error)           // after remove; nil: at once
	lag    bool                                                      // it holds after the lag of policies

	// replace tells whether a change makes a new resource, beside what the schema says.
	replace func(before, after map[string]any) bool
}

// tagged tells whether resources of a type have tags, the stack's among them.
func (k *kind) tagged() bool { _, has := k.schema["Tags"]; return has }

// A schema names the properties of a type. A star after a name says that it is required; an exclamation mark, that a
// change of it makes a new resource.
type schema map[string]traits

type traits struct{ required, replaces bool }

func properties(names ...string) schema {
	out := make(schema, len(names))
	for _, name := range names {
		out[strings.TrimRight(name, "*!")] = traits{strings.Contains(name, "*"), strings.Contains(name, "!")}
	}
	return out
}

// check tells, in AWS's words, which properties a type does not have, and which are missing.
func (s schema) check(logical string, have map[string]any) error {
	var wrong []string
	for _, name := range slices.Sorted(maps.Keys(have)) {
		if _, known := s[name]; !known {
			wrong = append(wrong, fmt.Sprintf("#: extraneous key [%s] is not permitted", name))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s)) {
		if _, there := have[name]; s[name].required && !there {
			wrong = append(wrong, fmt.Sprintf("#: required key [%s] not found", name))
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	return validation("Properties validation failed for resource %s with message:\n[%s]", logical, strings.Join(wrong, ", "))
}

// A job is work on one resource, as somebody.
type job struct {
	service  *Service
	who      cloud.Identity
	place    cloud.Place
	stack    *stack
	tags     []tag // of the stack
	logical  string
	kind     string
	physical string
	props    map[string]any // that are wanted
	before   map[string]any // that were; update only
	attrs    map[string]any
	takes    bool // what is there already, under the name that the template gives, becomes the stack's
}

// A handlerError is what a service answered to a handler.
type handlerError struct {
	service string
	err     *wire.Error
}

func (e *handlerError) Error() string {
	name := e.service
	if name != "" {
		name = strings.ToUpper(name[:1]) + name[1:]
	}
	return fmt.Sprintf("%s (Service: %s, Status Code: %d)", e.err.Message, name, cmp.Or(e.err.Status, http.StatusBadRequest))
}

func (e *handlerError) Unwrap() error { return e.err }

// code is the one of CloudFormation's handler error codes that fits.
// https://docs.aws.amazon.com/cloudformation-cli/latest/userguide/resource-type-test-contract-errors.html
func (e *handlerError) code() string {
	code := e.err.Code
	has := func(parts ...string) bool {
		return slices.ContainsFunc(parts, func(p string) bool { return strings.Contains(code, p) })
	}
	switch {
	case has("AccessDenied") || e.err.Status == http.StatusForbidden:
		return "AccessDenied"
	case has("AlreadyExists", "AlreadyOwnedByYou", "QueueNameExists", "QueueAlreadyExists", "ResourceInUse", "ResourceConflict"):
		return "AlreadyExists"
	case has("NotFound", "NoSuch", "NonExistent", "DoesNotExist"):
		return "NotFound"
	case has("Limit", "TooMany"):
		return "ServiceLimitExceeded"
	case has("Throttl", "SlowDown"):
		return "Throttling"
	case e.err.Status >= http.StatusInternalServerError:
		return "ServiceInternalError"
	}
	return "InvalidRequest"
}

// isGone tells whether an error says that the resource is not there.
func isGone(err error) bool {
	e, ok := errors.AsType[*handlerError](err)
	return ok && (e.code() == "NotFound" || strings.Contains(e.err.Message, "is not subscribed to AWS Security Hub"))
}

// retries is how often a call that is throttled is made again. No time passes between: a task of the clock cannot wait.
const retries = 4

// call asks one of the lab's services.
func (j *job) call(ctx context.Context, service, operation string, in map[string]any) (map[string]any, error) {
	if in == nil {
		in = map[string]any{}
	}
	body, err := json.Marshal(in, json.Deterministic(true))
	if err != nil {
		return nil, fmt.Errorf("%s:%s: %w", service, operation, err)
	}
	answer, err := j.service.cloud.API.Call(ctx, j.who, j.place, service, operation, body)
	for range retries {
		if e, ok := errors.AsType[*wire.Error](err); !ok || !strings.Contains(e.Code, "Throttl") {
			break
		}
		answer, err = j.service.cloud.API.Call(ctx, j.who, j.place, service, operation, body)
	}
	if err != nil {
		if e, ok := errors.AsType[*wire.Error](err); ok {
			return nil, &handlerError{service, e}
		}
		return nil, fmt.Errorf("%s:%s: %w", service, operation, err)
	}
	out := make(map[string]any)
	if len(answer) > 0 {
		if err := json.Unmarshal(answer, &out); err != nil {
			return nil, fmt.Errorf("%s:%s: %w", service, operation, err)
		}
	}
	return out, nil
}

// do is call where the answer does not matter.
func (j *job) do(ctx context.Context, service, operation string, in map[string]any) error {
	_, err := j.call(ctx, service, operation, in)
	return err
}

// text is a property that is a single value; empty where it is not there.
func (j *job) text(name string) string { return textOf(j.props[name]) }

func textOf(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case bool:
		return strconv.FormatBool(v)
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return ""
}

// list is a property that is a list.
func (j *job) list(name string) []any {
	list, _ := j.props[name].([]any)
	return list
}

func object(v any) map[string]any {
	m, _ := v.(map[string]any)
	return m
}

// pick takes some of the properties, under the same names.
func (j *job) pick(names ...string) map[string]any {
	out := make(map[string]any)
	for _, name := range names {
		if v, there := j.props[name]; there {
			out[name] = v
		}
	}
	return out
}

// changed tells whether an update changes a property.
func (j *job) changed(names ...string) bool {
	return slices.ContainsFunc(names, func(name string) bool { return !same(j.before[name], j.props[name]) })
}

// name is the property that names the resource, or a name made of the stack's, the logical id and chance.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-properties-name.html
func (j *job) name(property string, longest int) string {
	if given := j.text(property); given != "" {
		return given
	}
	const letters = 12
	random := strings.ToUpper(j.service.cloud.Letters("physical name", letters))
	stem := j.stack.name + "-" + j.logical
	if most := longest - letters - 1; len(stem) > most {
		half := most / 2
		stem = stem[:half] + stem[len(stem)-(most-half):]
	}
	return stem + "-" + random
}

// allTags are the stack's tags with the resource's own.
func (j *job) allTags() []any {
	all := make(map[string]string)
	for _, t := range j.tags {
		all[t.Key] = t.Value
	}
	for _, v := range j.list("Tags") {
		all[textOf(object(v)["Key"])] = textOf(object(v)["Value"])
	}
	var out []any
	for _, key := range slices.Sorted(maps.Keys(all)) {
		out = append(out, map[string]any{"Key": key, "Value": all[key]})
	}
	return out
}

// tagMap is allTags as a map. Tags that are a map in the template are one, too.
func (j *job) tagMap() map[string]any {
	out := make(map[string]any)
	for _, v := range j.allTags() {
		out[textOf(object(v)["Key"])] = textOf(object(v)["Value"])
	}
	for key, value := range object(j.props["Tags"]) {
		out[key] = textOf(value)
	}
	return out
}

// document is a policy as text: templates write it as an object, or as JSON in a text.
func document(v any) string {
	if text, ok := v.(string); ok {
		return text
	}
	return jsonText(v)
}

// jsonText is a value as JSON; empty for nil.
func jsonText(v any) string {
	if v == nil {
		return ""
	}
	if m, ok := v.(map[string]any); ok && m == nil {
		return ""
	}
	b, err := json.Marshal(v, json.Deterministic(true))
	if err != nil {
		return "" // a template's values come from JSON
	}
	return string(b)
}

// parsed reads JSON, such as a policy that a service gave as text; the text itself where it is none.
func parsed(text string) any {
	var v any
	if json.Unmarshal([]byte(text), &v) != nil {
		return text
	}
	return v
}

// alreadyExists is what a handler says of a name that is taken, where the service would take it for the same resource.
func alreadyExists(service, name string) error {
	return &handlerError{service, wire.StatusErrorf(http.StatusConflict, "AlreadyExists", "Resource of this name already exists: %s", name)}
}

// lastPart is what follows the last slash.
func lastPart(s string) string { return s[strings.LastIndexByte(s, '/')+1:] }

// alreadyGone says that a part of something that is there is not.
func alreadyGone(service, name string) error {
	return &handlerError{service, wire.StatusErrorf(http.StatusNotFound, "NotFound", "Resource %s was not found", name)}
}

// missing is an error that says, by a part of its message, that the resource is not there, in that form. Athena has one
// code for everything.
func missing(err error, part string) error {
	e, ok := errors.AsType[*handlerError](err)
	if ok && strings.Contains(e.err.Message, part) {
		return &handlerError{e.service, wire.StatusErrorf(http.StatusNotFound, "NotFound", "%s", e.err.Message)}
	}
	return err
}
