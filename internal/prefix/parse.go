package prefix

import (
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

type tokenKind uint8

const (
	tokenLiteral tokenKind = iota
	tokenField
	tokenKey
	tokenRandom
	tokenErrorType
)

// A token is one part of an expression, in order.
type token struct {
	kind   tokenKind
	text   string // of a literal
	field  field
	key    int // index into Expression.keys
	offset int // in the expression
}

// A parser builds an Expression from its text.
type parser struct {
	text    string
	options Options
	zone    *time.Location
	expr    *Expression

	timestamps, expressions int
	errorTypes              int
}

func quote(s string) string { return strconv.Quote(s) }

func (p *parser) fault(code Code, offset int, problem, expected, hint string) *SyntaxError {
	e := &SyntaxError{Code: code, Problem: problem, Expected: expected, Hint: hint}
	return e.at(p.text, offset)
}

func (p *parser) add(t token) { p.expr.tokens = append(p.expr.tokens, t) }

// addLiteral adds text after a look at its characters.
func (p *parser) addLiteral(text string, offset int) *SyntaxError {
	for i, r := range text {
		switch {
		case r == utf8.RuneError, r&0xfffe == 0xfffe:
			return p.fault(CodeLiteral, offset+i, "text that is not clean UTF-8", "", "")
		case unicode.IsControl(r), r == '\u2028', r == '\u2029', unicode.Is(unicode.Cf, r):
			return p.fault(CodeLiteral, offset+i, "control character "+strconv.QuoteRuneToASCII(r), "visible text", "")
		case r == '\\':
			return p.fault(CodeLiteral, offset+i, "backslash", `"/" between the parts of a prefix`, "")
		}
	}
	if text != "" {
		p.add(token{kind: tokenLiteral, text: text, offset: offset})
	}
	return nil
}

// parse reads text[from:].
func (p *parser) parse(from int) *SyntaxError {
	for i := from; i < len(p.text); {
		n := strings.Index(p.text[i:], "!{")
		if n < 0 {
			return p.addLiteral(p.text[i:], i)
		}
		if n > 0 {
			if err := p.addLiteral(p.text[i:i+n], i); err != nil {
				return err
			}
		}
		i += n
		end := strings.IndexByte(p.text[i:], '}')
		if end < 0 {
			return p.fault(CodeSyntax, i, `"!{" without its "}"`, "!{namespace:value}",
				`"!{" stands for nothing else in a prefix`)
		}
		if err := p.parseExpression(p.text[i+2:i+end], i); err != nil {
			return err
		}
		i += end + 1
	}
	return nil
}

// parseExpression reads what stands between "!{" and "}"; offset is that of the "!".
func (p *parser) parseExpression(body string, offset int) *SyntaxError {
	p.expressions++
	namespace, value, ok := strings.Cut(body, ":")
	if !ok {
		return p.fault(CodeSyntax, offset, "expression "+quote("!{"+body+"}")+" without a colon", "!{namespace:value}", "")
	}
	inside := offset + len("!{") + len(namespace) + len(":")
	switch namespace {
	case "timestamp":
		p.timestamps++
		if value == "" {
			return p.fault(CodePattern, inside, "empty timestamp pattern", "a pattern such as yyyy/MM/dd/HH", "")
		}
		return p.parsePattern(value, inside)
	case "firehose":
		return p.parseFirehose(value, offset, inside)
	case "partitionKeyFromQuery":
		return p.parseKey(value, value, p.options.Keys, offset, inside)
	case "partitionKeyFromLambda":
		return p.parseKey(value, LambdaKey+value, p.options.LambdaKeys, offset, inside)
	}
	return p.fault(CodeNamespace, offset+2, "unknown namespace "+quote(namespace),
		"timestamp, firehose, partitionKeyFromQuery or partitionKeyFromLambda",
		nearest(namespace, "timestamp", "firehose", "partitionKeyFromQuery", "partitionKeyFromLambda"))
}

func (p *parser) parseFirehose(value string, offset, inside int) *SyntaxError {
	switch value {
	case "random-string":
		p.add(token{kind: tokenRandom, offset: offset})
	case "error-output-type":
		if !p.options.Error {
			return p.fault(CodeErrorType, offset, "error-output-type in a prefix that is not the error prefix",
				"", "put it into error_prefix")
		}
		p.errorTypes++
		p.add(token{kind: tokenErrorType, offset: offset})
	default:
		return p.fault(CodeNamespace, inside, "unknown value "+quote(value)+" of firehose",
			"random-string or error-output-type", nearest(value, "random-string", "error-output-type"))
	}
	return nil
}

// parseKey adds the partition key name, known as id among all keys of the expression.
func (p *parser) parseKey(name, id string, defined []string, offset, inside int) *SyntaxError {
	if p.options.Error {
		return p.fault(CodeKeyInErrorPrefix, offset, "partition key in an error prefix", "",
			"what is rejected may have no key; split errors by error-output-type and timestamp")
	}
	if !isKeyName(name) {
		return p.fault(CodeKeyName, inside, "partition key "+quote(name), `a name of letters, digits, "_", "-" and "."`, "")
	}
	if !slices.Contains(defined, name) {
		expected := "a defined key"
		if len(defined) > 0 {
			expected = "one of " + strings.Join(slices.Sorted(slices.Values(defined)), ", ")
		}
		return p.fault(CodeKeyUndefined, inside, "partition key "+quote(name)+" is not defined", expected,
			nearest(name, defined...))
	}
	index := slices.Index(p.expr.keys, id)
	if index < 0 {
		index = len(p.expr.keys)
		p.expr.keys = append(p.expr.keys, id)
	}
	p.add(token{kind: tokenKey, key: index, offset: offset})
	return nil
}

func isKeyName(name string) bool {
	for i := range len(name) {
		c := name[i]
		if !isLetter(c) && (c < '0' || c > '9') && c != '_' && c != '-' && c != '.' {
			return false
		}
	}
	return name != ""
}

// nearest gives a hint if one of the words is given in another case or without its punctuation.
func nearest(got string, words ...string) string {
	plain := strings.NewReplacer("-", "", "_", "", " ", "").Replace
	for _, w := range words {
		if strings.EqualFold(plain(got), plain(w)) {
			return "did you mean " + w + "?"
		}
	}
	return ""
}

// checkSegments refuses what an evaluated prefix must not hold between its slashes. A part that
// is not literal is never empty and never "." or ".." by itself, so literals alone decide.
func (p *parser) checkSegments() *SyntaxError {
	segment, pure, start, first := "", true, -1, true
	refuse := func(final bool) *SyntaxError {
		switch {
		case !pure:
		case segment == "" && final:
		case segment == "" && first:
			return p.fault(CodeSegment, start, "leading slash", "a prefix that starts with a name", "object keys have no root")
		case segment == "":
			return p.fault(CodeSegment, start, "empty segment", "one slash", "")
		case segment == ".", segment == "..":
			return p.fault(CodeSegment, start, "segment "+quote(segment), "a name", "")
		case len(segment) > MaxSegment:
			return p.fault(CodeSegment, start, "segment of "+strconv.Itoa(len(segment))+" bytes",
				"at most "+strconv.Itoa(MaxSegment), "")
		}
		return nil
	}
	for _, t := range p.expr.tokens {
		if start < 0 {
			start = t.offset
		}
		if t.kind != tokenLiteral {
			pure = false
			continue
		}
		for i := range len(t.text) {
			if start < 0 {
				start = t.offset + i
			}
			if t.text[i] != '/' {
				segment += t.text[i : i+1]
				continue
			}
			if err := refuse(false); err != nil {
				return err
			}
			segment, pure, start, first = "", true, -1, false
		}
	}
	return refuse(true)
}
