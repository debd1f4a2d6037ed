package firehose

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"example.org/catchment/internal/lab/wire"
)

// constraints collects what in a request is outside of the API's model, and says it as AWS does: all at once, in a
// ValidationException. What the service itself refuses is an InvalidArgumentException.
type constraints struct{ broken []string }

func (c *constraints) fail(value, at, format string, args ...any) {
	if value != "" {
		value = " " + value
	}
	c.broken = append(c.broken, fmt.Sprintf("Value%s at '%s' failed to satisfy constraint: Member must %s", value, at, fmt.Sprintf(format, args...)))
}

// quoted is a value as the messages show it, clipped.
func quoted(s string) string {
	const most = 256
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "..."
	}
	return "'" + s + "'"
}

func (c *constraints) present(at string, ok bool) {
	if !ok {
		c.fail("null", at, "not be null")
	}
}

// A textRule is what the model says of a text.
type textRule struct {
	least, most int
	pattern     *regexp.Regexp // of the whole text; nil: any
	shown       string         // the pattern as AWS writes it
}

func rule(least, most int, pattern string) textRule {
	if pattern == "" {
		return textRule{least: least, most: most}
	}
	return textRule{least, most, regexp.MustCompile(`^(?:` + pattern + `)$`), pattern}
}

// Rules of the model, by shape.
var (
	streamName    = rule(1, 64, `[a-zA-Z0-9_.-]+`)
	roleARN       = rule(1, 512, `arn:.*:iam::\d{12}:role/[a-zA-Z_0-9+=,.@\-_/]+`)
	bucketARN     = rule(1, 2048, `arn:.*:s3:::[\w\.\-]{1,255}`)
	keyARN        = rule(1, 512, `arn:.*:kms:[a-zA-Z0-9\-]+:\d{12}:(key|alias)/[a-zA-Z_0-9+=,.@\-_/]+`)
	expression    = rule(0, 1024, "")
	fileExtension = rule(0, 128, `^$|\.[0-9a-z!\-_.*'()]+`)
	timeZone      = rule(0, 50, `^$|[a-zA-Z/_]+`)
	logGroup      = rule(0, 512, `[\.\-_/#A-Za-z0-9]*`)
	logStream     = rule(0, 512, `[^:*]*`)
	versionID     = rule(1, 50, `[0-9]+`)
	destinationID = rule(1, 100, `[a-zA-Z0-9-]+`)
	tagKey        = rule(1, 128, `[\p{L}\p{Z}\p{N}_.:\/=+\-@%]*`)
	tagValue      = rule(0, 256, `[\p{L}\p{Z}\p{N}_.:\/=+\-@%]*`)
	parameterText = rule(1, 5120, "")
	endpointURL   = rule(1, 1000, "")
	endpointName  = rule(1, 256, "")
	accessKey     = rule(0, 4096, "")
	attributeName = rule(1, 256, "")
	attributeText = rule(0, 1024, "")
)

func (c *constraints) text(at, value string, r textRule) {
	n := utf8.RuneCountInString(value)
	switch {
	case n < r.least:
		c.fail(quoted(value), at, "have length greater than or equal to %d", r.least)
	case n > r.most:
		c.fail(quoted(value), at, "have length less than or equal to %d", r.most)
	case r.pattern != nil && !r.pattern.MatchString(value):
		c.fail(quoted(value), at, "satisfy regular expression pattern: %s", r.shown)
	}
}

func (c *constraints) maybeText(at string, value *string, r textRule) {
	if value != nil {
		c.text(at, *value, r)
	}
}

// required is text, or null where there is none.
func (c *constraints) required(at, value string, r textRule) {
	if value == "" {
		c.present(at, false)
		return
	}
	c.text(at, value, r)
}

func (c *constraints) number(at string, value *int, least, most int) {
	switch {
	case value == nil:
	case *value < least:
		c.fail(fmt.Sprintf("'%d'", *value), at, "have value greater than or equal to %d", least)
	case *value > most:
		c.fail(fmt.Sprintf("'%d'", *value), at, "have value less than or equal to %d", most)
	}
}

// oneOf takes a value out of a set, or none.
func (c *constraints) oneOf(at, value string, set ...string) {
	if value != "" && !slices.Contains(set, value) {
		c.fail(quoted(value), at, "satisfy enum value set: [%s]", strings.Join(set, ", "))
	}
}

// count bounds how many there are of something.
func (c *constraints) count(at string, n, least, most int) {
	switch {
	case n < least:
		c.fail("", at, "have length greater than or equal to %d", least)
	case n > most:
		c.fail("", at, "have length less than or equal to %d", most)
	}
}

// maxBroken is how many are shown.
const maxBroken = 10

func (c *constraints) err() error {
	n := len(c.broken)
	if n == 0 {
		return nil
	}
	errorWord := "error"
	if n > 1 {
		errorWord = "errors"
	}
	return wire.Errorf("ValidationException", "%d validation %s detected: %s", n, errorWord, strings.Join(c.broken[:min(n, maxBroken)], "; "))
}
