package events

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"example.org/catchment/internal/scan"
)

// A jsonPath names a value in an event: dots, indexes from 0, names in brackets, and stars for all members.
// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-transform-target-input.html
type jsonPath struct {
	steps []pathStep
	many  bool // it has a star, and gives an array
}

type pathStep struct {
	key   string
	index int // of an array; -1: key counts; allMembers: a star
}

const (
	byKey      = -1
	allMembers = -2
)

// maxSteps bounds the work that a path makes, which can take 256 characters.
const maxSteps = 64

func parsePath(text string) (jsonPath, error) {
	var p jsonPath
	rest, ok := strings.CutPrefix(text, "$")
	if !ok {
		return p, fmt.Errorf("path %q: expected $ at the start", clip(text))
	}
	for rest != "" {
		var step pathStep
		var err error
		if step, rest, err = nextStep(rest); err != nil {
			return p, fmt.Errorf("path %q: %w", clip(text), err)
		}
		p.steps = append(p.steps, step)
		p.many = p.many || step.index == allMembers
		if len(p.steps) > maxSteps {
			return p, fmt.Errorf("path %q: more than %d steps", clip(text), maxSteps)
		}
	}
	return p, nil
}

func nextStep(rest string) (pathStep, string, error) {
	if dotted, ok := strings.CutPrefix(rest, "."); ok {
		end := strings.IndexAny(dotted, ".[")
		if end < 0 {
			end = len(dotted)
		}
		switch name := dotted[:end]; name {
		case "":
			return pathStep{}, "", fmt.Errorf("a name is missing after a dot")
		case "*":
			return pathStep{"", allMembers}, dotted[end:], nil
		default:
			return pathStep{name, byKey}, dotted[end:], nil
		}
	}
	inside, ok := strings.CutPrefix(rest, "[")
	if !ok {
		return pathStep{}, "", fmt.Errorf("expected a dot or a bracket")
	}
	if inside != "" && (inside[0] == '\'' || inside[0] == '"') {
		end := strings.Index(inside[1:], inside[:1]+"]")
		if end < 1 {
			return pathStep{}, "", fmt.Errorf("a name in brackets does not end")
		}
		return pathStep{inside[1 : 1+end], byKey}, inside[1+end+2:], nil
	}
	number, rest, ok := strings.Cut(inside, "]")
	if number == "*" && ok {
		return pathStep{"", allMembers}, rest, nil
	}
	n, err := strconv.ParseUint(number, 10, 31)
	if err != nil || !ok {
		return pathStep{}, "", fmt.Errorf("expected an index in brackets")
	}
	return pathStep{"", int(n)}, rest, nil
}

// find gives the value as compact JSON; nil: there is none. A path with a star always gives an array.
func (p *jsonPath) find(doc []byte) []byte {
	if !p.many {
		values := walk(doc, p.steps, nil)
		if len(values) == 0 {
			return nil
		}
		return scan.AppendCompact(nil, values[0])
	}
	out := []byte{'['}
	for i, v := range walk(doc, p.steps, nil) {
		if i > 0 {
			out = append(out, ',')
		}
		out = scan.AppendCompact(out, v)
	}
	return append(out, ']')
}

// walk appends the values below steps. Of a member that an object has twice the first counts.
func walk(doc []byte, steps []pathStep, found [][]byte) [][]byte {
	if len(steps) == 0 {
		return append(found, doc)
	}
	step := steps[0]
	members(doc, func(key string, index int, value []byte) bool {
		hit := step.index == allMembers || step.index == index && index >= 0 || step.index == byKey && index < 0 && step.key == key
		if hit {
			found = walk(value, steps[1:], found)
		}
		return !hit || step.index == allMembers
	})
	return found
}

// members calls do with each member of an object (index -1) or array, until it returns false. doc is valid JSON.
func members(doc []byte, do func(key string, index int, value []byte) bool) {
	d := jsontext.NewDecoder(bytes.NewBuffer(doc), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	start, err := d.ReadToken()
	if err != nil || start.Kind() != jsontext.KindBeginObject && start.Kind() != jsontext.KindBeginArray {
		return
	}
	isObject := start.Kind() == jsontext.KindBeginObject
	for i := 0; ; i++ {
		if kind := d.PeekKind(); kind == jsontext.KindEndObject || kind == jsontext.KindEndArray || kind == jsontext.KindInvalid {
			return
		}
		key, index := "", i
		if isObject {
			name, err := d.ReadToken()
			if err != nil {
				return
			}
			key, index = name.String(), -1
		}
		value, err := d.ReadValue()
		if err != nil || !do(key, index, value) {
			return
		}
	}
}
