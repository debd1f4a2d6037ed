package config

import (
	"errors"
	"fmt"
	"strings"
)

// splitQuery takes apart the way in which Firehose has partition keys: one jq object, {name: expression, ...}. What
// is in an expression is not looked at, except for its brackets and strings.
func splitQuery(query string) (map[string]string, error) {
	inner, ok := strings.CutPrefix(strings.TrimSpace(query), "{")
	if ok {
		inner, ok = strings.CutSuffix(inner, "}")
	}
	if !ok {
		return nil, errors.New("no object in braces")
	}
	parts, err := splitTop(inner)
	if err != nil {
		return nil, err
	}
	keys := make(map[string]string, len(parts))
	for _, part := range parts {
		name, expression, ok := strings.Cut(part, ":")
		name, expression = strings.Trim(strings.TrimSpace(name), `"`), strings.TrimSpace(expression)
		if !ok || expression == "" {
			return nil, fmt.Errorf("%s has no value", shown(strings.TrimSpace(part)))
		}
		if !keyName.matches(name) {
			return nil, fmt.Errorf("%s is not %s", shown(name), keyName.want)
		}
		if _, twice := keys[name]; twice {
			return nil, fmt.Errorf("key %s is given twice", name)
		}
		keys[name] = expression
	}
	return keys, nil
}

// splitTop splits at the commas that stand in no bracket and no string.
func splitTop(s string) ([]string, error) {
	var parts []string
	var closers []byte
	start, inString := 0, false
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case inString && c == '\\' && i+1 < len(s) && s[i+1] == '(':
			return nil, errors.New(`\(...) in a string: write the keys one by one`)
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '(':
			closers = append(closers, ')')
		case c == '[':
			closers = append(closers, ']')
		case c == '{':
			closers = append(closers, '}')
		case c == ')' || c == ']' || c == '}':
			if len(closers) == 0 || closers[len(closers)-1] != c {
				return nil, fmt.Errorf("unexpected %q", c)
			}
			closers = closers[:len(closers)-1]
		case c == ',' && len(closers) == 0:
			parts = append(parts, s[start:i])
			start = i + 1
		}
	}
	if inString || len(closers) > 0 {
		return nil, errors.New("a bracket or a string has no end")
	}
	return append(parts, s[start:]), nil
}
