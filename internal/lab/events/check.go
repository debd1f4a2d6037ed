package events

import (
	"context"
	"encoding/base64"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"example.org/catchment/internal/lab/wire"
)

// checks gathers what is wrong with the members of a request, in the words of AWS's request validation.
type checks []string

func (c *checks) add(value, at, format string, args ...any) {
	*c = append(*c, fmt.Sprintf("Value '%s' at '%s' failed to satisfy constraint: %s", clip(value), at, fmt.Sprintf(format, args...)))
}

// text checks a text that may be missing: its length in characters, and its form where re is not nil.
func (c *checks) text(value, at string, most int, re *regexp.Regexp) {
	if value == "" {
		return
	}
	if utf8.RuneCountInString(value) > most {
		c.add(value, at, "Member must have length less than or equal to %d", most)
	}
	if re != nil && !re.MatchString(value) {
		form := strings.TrimSuffix(strings.TrimPrefix(re.String(), "^(?:"), ")$")
		c.add(value, at, "Member must satisfy regular expression pattern: %s", form)
	}
}

// required checks a text that must be there.
func (c *checks) required(value, at string, most int, re *regexp.Regexp) {
	if value == "" {
		*c = append(*c, fmt.Sprintf("Value null at '%s' failed to satisfy constraint: Member must not be null", at))
		return
	}
	c.text(value, at, most, re)
}

func (c *checks) number(value *int, at string, least, most int) {
	switch {
	case value == nil:
	case *value < least:
		c.add(fmt.Sprint(*value), at, "Member must have value greater than or equal to %d", least)
	case *value > most:
		c.add(fmt.Sprint(*value), at, "Member must have value less than or equal to %d", most)
	}
}

func (c *checks) count(n int, at string, least, most int) {
	switch {
	case n < least:
		c.add("[]", at, "Member must have length greater than or equal to %d", least)
	case n > most:
		c.add(fmt.Sprintf("%d members", n), at, "Member must have length less than or equal to %d", most)
	}
}

func (c *checks) oneOf(value, at string, all ...string) {
	if value != "" && !slices.Contains(all, value) {
		c.add(value, at, "Member must satisfy enum value set: [%s]", strings.Join(all, ", "))
	}
}

// err is the ValidationException, or nil.
func (c checks) err() error {
	if len(c) == 0 {
		return nil
	}
	plural := ""
	if len(c) > 1 {
		plural = "s"
	}
	return wire.Errorf("ValidationException", "%d validation error%s detected: %s", len(c), plural, strings.Join(c, "; "))
}

func invalid(format string, args ...any) error {
	return wire.Errorf("ValidationException", format, args...)
}

// tooMany is what AWS answers where a quota is reached.
func tooMany() error {
	return wire.Errorf("LimitExceededException", "The requested resource exceeds the maximum number allowed.")
}

// clip keeps what a request holds short in messages.
func clip(s string) string {
	const most = 500
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

func form(re string) *regexp.Regexp { return regexp.MustCompile("^(?:" + re + ")$") }

// The forms of names. https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_Types.html
var (
	nameForm   = form(`[\.\-_A-Za-z0-9]+`)
	busForm    = form(`[/\.\-_A-Za-z0-9]+`)
	busARNForm = form(`(arn:aws[\w-]*:events:[a-z]+-[a-z]+-[\w-]+:[0-9]{12}:event-bus\/)?[/\.\-_A-Za-z0-9]+`)
)

// maxPage is the most that a list gives at once, and what it gives where it is not told.
const maxPage = 100

// page cuts a page out of what a list has, which is in the order of its names.
func page[T any](all []T, name func(T) string, limit *int, token string) (some []T, next string, err error) {
	var c checks
	c.number(limit, "limit", 1, maxPage)
	if err := c.err(); err != nil {
		return nil, "", err
	}
	start := 0
	if token != "" {
		after, err := base64.RawURLEncoding.DecodeString(token)
		if err != nil {
			return nil, "", invalid("Parameter NextToken is not valid. Reason: it is not one that was given.")
		}
		start = len(all)
		if i := slices.IndexFunc(all, func(x T) bool { return name(x) > string(after) }); i >= 0 {
			start = i
		}
	}
	end := min(len(all), start+maxPage)
	if limit != nil {
		end = min(len(all), start+*limit)
	}
	if end < len(all) {
		next = base64.RawURLEncoding.EncodeToString([]byte(name(all[end-1])))
	}
	return all[start:end], next, nil
}

// lag does something after a time, under s.mu. Without a time it does it at once: the caller has s.mu.
func (s *Service) lag(d time.Duration, do func()) {
	if d == 0 {
		do()
		return
	}
	s.cloud.Clock.After(d, func(context.Context) {
		s.mu.Lock()
		defer s.mu.Unlock()
		do()
	})
}
