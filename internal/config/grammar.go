package config

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// A grammar is the form of a text. It is either a choice of words or a regular expression, so that a JSON Schema can
// say the same; whatever needs more than that is in rules.go.
type grammar struct {
	want  string
	words []string
	form  *regexp.Regexp
	most  int                      // characters; 0: what form says
	hint  func(text string) string // may be nil
}

func (g grammar) matches(text string) bool {
	if g.words != nil {
		return slices.Contains(g.words, text)
	}
	return g.form.MatchString(text) && (g.most == 0 || utf8.RuneCountInString(text) <= g.most)
}

func form(want, expression string) grammar {
	return grammar{want: want, form: regexp.MustCompile("^(?:" + expression + ")$")}
}

func limited(g grammar, characters int) grammar {
	g.most = characters
	return g
}

func words(words ...string) grammar {
	last := len(words) - 1
	want := words[last]
	if last > 0 {
		want = strings.Join(words[:last], ", ") + " or " + want
	}
	return grammar{
		want:  want,
		words: words,
		hint:  func(text string) string { return didYouMean(text, words) },
	}
}

// noVariable is any text without ${, as one that is left there is a variable that would not be expanded.
const noVariable = `(?:[^$\x00-\x1f]|\$+[^${\x00-\x1f])*\$*`

var (
	streamName  = form("1 to 64 letters, digits, or _ . -", `[a-zA-Z0-9_.-]{1,64}`)
	keyName     = form("a name of 1 to 64 letters, digits, or _ . -", `[a-zA-Z0-9_.-]{1,64}`)
	filePath    = limited(form("a path", `(?:[^$\x00-\x1f]|\$+[^${\x00-\x1f])`+noVariable), 4096)
	expression  = limited(form("a Firehose prefix expression of at most 1024 characters", noVariable), 1024)
	jqProgram   = limited(form("a jq expression of at most 5120 characters", `(?:[^$\x00-\x08\x0b-\x1f]|\$+[^${\x00-\x1f])+\$*`), 5120)
	timeZone    = form("a name of the IANA time zone database, such as Asia/Tokyo", `[A-Za-z][A-Za-z/_]{0,49}`)
	account     = form("an account id: 12 digits, in quotes", `[0-9]{12}`)
	region      = form("a region, such as eu-west-1", `[a-z]{2,4}(?:-[a-z]+)+-[0-9]{1,2}`)
	roleName    = form("the name of an IAM role", `[a-zA-Z0-9_+=,.@-]{1,64}`)
	topic       = form("the ARN of an SNS topic", `arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[a-zA-Z0-9_-]{1,256}(?:\.fifo)?`)
	snsEndpoint = form("the address of a lab on this machine, such as http://127.0.0.1:4599", `http://(?:127\.0\.0\.1|\[::1\]):`+portForm)
	queueURL    = form("the URL of an SQS queue", `https?://[a-zA-Z0-9.:-]+/[0-9]{12}/[a-zA-Z0-9_-]{1,80}(?:\.fifo)?`)
	kmsKey      = limited(form("a KMS key: its id, its ARN, or alias/NAME", `[a-zA-Z0-9:/_-]+`), 2048)
	bucketURL   = limited(form("s3://BUCKET[/PREFIX], file:///FOLDER, or a folder", bucketForm), 4096)
	allAccounts = grammar{want: "all, or a list of account ids", words: []string{"all"}}

	listenForm  = `(?:[a-zA-Z0-9.-]*|\[[0-9a-fA-F:.]+\]):` + portForm
	listen      = form("HOST:PORT, such as 127.0.0.1:8480", listenForm)
	listenOrNot = form("HOST:PORT, such as 127.0.0.1:8481, or none", `none|`+listenForm)
)

const (
	portForm = `(?:0|[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])`

	// A bucket of S3 with a prefix that needs no escapes, a file URL, or a path without a scheme.
	bucketForm = `s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](?:/[a-zA-Z0-9!_.*'()=/-]*)?` +
		`(?:\?(?:region|endpoint|path_style)=[^&#$\s]+(?:&(?:region|endpoint|path_style)=[^&#$\s]+)*)?` +
		`|file:///[^$\x00-\x1f?#]+` +
		`|(?:[^$:\x00-\x1f]|\$+[^$:{\x00-\x1f])(?:[^$:\x00-\x1f]|:[^$/\x00-\x1f]|\$+[^$:{\x00-\x1f])*`
)

// unit is one of size, with the most digits that a number of it may have: a bound that a regular expression can say.
type unit struct {
	name   string
	bytes  int64
	digits int
}

var (
	bytesUnit = unit{"B", 1, 12}
	kibUnit   = unit{"KiB", 1 << 10, 9}
	mibUnit   = unit{"MiB", 1 << 20, 6}
	gibUnit   = unit{"GiB", 1 << 30, 4}
	tibUnit   = unit{"TiB", 1 << 40, 2}
)

var (
	batchSize   = sizeForm("64MiB", bytesUnit, kibUnit, mibUnit, gibUnit)
	bodySize    = sizeForm("64MiB", unit{"KiB", 1 << 10, 7}, unit{"MiB", 1 << 20, 4}, unit{"GiB", 1 << 30, 1})
	journalSize = sizeForm("10GiB", mibUnit, gibUnit, tibUnit)
	segmentSize = sizeForm("64MiB", unit{"MiB", 1 << 20, 3}) // a position in a segment has 32 bits
)

func sizeForm(example string, units ...unit) grammar {
	forms := make([]string, len(units))
	names := make([]string, len(units))
	for i, u := range units {
		forms[i] = fmt.Sprintf("[1-9][0-9]{0,%d}%s", u.digits-1, u.name)
		names[i] = u.name
	}
	g := form("a size above zero in "+strings.Join(names, ", ")+", such as "+example, strings.Join(forms, "|"))
	g.hint = func(text string) string {
		switch {
		case onlyDigits.MatchString(text):
			return "give a unit"
		case strings.ContainsAny(text, ". "):
			return "a whole number and its unit, without a space"
		case otherUnits.MatchString(text) && !ownUnits.MatchString(text):
			return "units are powers of 1024: KiB, MiB, GiB"
		default:
			return ""
		}
	}
	return g
}

var (
	ownUnits    = regexp.MustCompile(`^[0-9]+([KMGT]i)?B$`)
	otherUnits  = regexp.MustCompile(`(?i)^[0-9]+[kmgt]?i?b?$`)
	onlyDigits  = regexp.MustCompile(`^-?[0-9]+(\.[0-9]+)?$`)
	leadingZero = regexp.MustCompile(`(^|[a-z])0`)
)

// parseSize reads a size of one of the grammars above.
func parseSize(text string) int64 {
	for _, u := range []unit{kibUnit, mibUnit, gibUnit, tibUnit, bytesUnit} { // B last: the others end in it
		if digits, ok := strings.CutSuffix(text, u.name); ok {
			n, _ := strconv.ParseInt(digits, 10, 64) // digits only, by the grammar
			return n * u.bytes
		}
	}
	return 0
}

// FormatSize writes bytes in the largest unit that divides them, as the file has it.
func FormatSize(bytes int64) string {
	for _, u := range []unit{tibUnit, gibUnit, mibUnit, kibUnit} {
		if bytes >= u.bytes && bytes%u.bytes == 0 {
			return strconv.FormatInt(bytes/u.bytes, 10) + u.name
		}
	}
	return strconv.FormatInt(bytes, 10) + "B"
}

// duration is hours, minutes, seconds, milliseconds, in this order: each above zero, so that the whole is.
var duration = func() grammar {
	n := func(unit string) string { return "[1-9][0-9]{0,5}" + unit }
	g := form("a duration above zero, such as 30s, 5m or 1h30m",
		n("h")+"(?:"+n("m")+")?(?:"+n("s")+")?|"+n("m")+"(?:"+n("s")+")?|"+n("s")+"|"+n("ms"))
	g.hint = func(text string) string {
		switch {
		case onlyDigits.MatchString(text):
			return "give a unit: s, m or h"
		case strings.HasSuffix(text, "d"):
			return "write days as hours: 1d is 24h"
		case leadingZero.MatchString(text):
			return "leave out what is zero"
		default:
			return ""
		}
	}
	return g
}()

// parseDuration reads a text of the grammar duration.
func parseDuration(text string) time.Duration {
	d, _ := time.ParseDuration(text) // by the grammar
	return d
}

// FormatDuration writes d without the parts that are zero: 5m, not 5m0s.
func FormatDuration(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
