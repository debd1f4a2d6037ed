package template

import "strings"

// quoteColons puts plain scalars that hold colons into quotes where they are in a flow collection: {aws:SourceArn: x} and
// {Ref: !Sub AWS::Region}. The YAML parser would take them apart at the colon, which is an indicator only with a space
// after it. Templates of AWS's own documentation are full of them.
func quoteColons(body string) string {
	q := quoter{in: body}
	for q.at < len(q.in) {
		q.line()
	}
	return q.out.String()
}

type quoter struct {
	in  string
	at  int
	out strings.Builder
}

func (q *quoter) take(n int) {
	n = min(n, len(q.in)-q.at)
	q.out.WriteString(q.in[q.at : q.at+n])
	q.at += n
}

// rest is what is left of the line, without its end.
func (q *quoter) rest() string {
	rest, _, _ := strings.Cut(q.in[q.at:], "\n")
	return rest
}

func spaces(s string) int { return len(s) - len(strings.TrimLeft(s, " \t")) }

// line copies one line in block context, and what it begins: a flow collection, a quoted or a literal scalar.
func (q *quoter) line() {
	indent := spaces(q.rest())
	q.take(indent)
	for {
		q.take(spaces(q.rest()))
		rest := q.rest()
		switch {
		case rest == "" || rest[0] == '#':
			q.take(len(rest) + 1)
			return
		case rest[0] == '\'' || rest[0] == '"':
			q.quoted()
		case rest[0] == '{' || rest[0] == '[':
			q.flow()
		case rest[0] == '|' || rest[0] == '>':
			q.literal(indent)
			return
		case rest[0] == '!':
			q.take(len(strings.FieldsFunc(rest, func(r rune) bool { return r == ' ' || r == '\t' })[0]))
		case strings.HasPrefix(rest, "- "):
			if after := strings.TrimLeft(rest[2:], " "); after != "" && after[0] != '|' && after[0] != '>' {
				indent += len(rest) - len(after)
			}
			q.take(2)
		case rest[0] == ':' && (len(rest) == 1 || rest[1] == ' '):
			q.take(1)
		default:
			q.plain(rest)
		}
	}
}

// plain copies a plain scalar in block context: up to the colon of a key, a comment or the end of the line.
func (q *quoter) plain(rest string) {
	end := len(rest)
	for _, mark := range []string{": ", " #"} {
		if i := strings.Index(rest, mark); i >= 0 && i < end {
			end = i
		}
	}
	if end == len(rest) && strings.HasSuffix(rest, ":") {
		end--
	}
	q.take(max(end, 1))
}

// literal copies a block scalar: its header and the lines that are deeper than its parent.
func (q *quoter) literal(indent int) {
	q.take(len(q.rest()) + 1)
	for q.at < len(q.in) {
		rest := q.rest()
		if strings.TrimSpace(rest) != "" && spaces(rest) <= indent {
			return
		}
		q.take(len(rest) + 1)
	}
}

// quoted copies a quoted scalar.
func (q *quoter) quoted() {
	quote := q.in[q.at]
	for i := q.at + 1; i < len(q.in); i++ {
		switch {
		case quote == '"' && q.in[i] == '\\':
			i++
		case q.in[i] == quote && quote == '\'' && i+1 < len(q.in) && q.in[i+1] == quote:
			i++
		case q.in[i] == quote:
			q.take(i + 1 - q.at)
			return
		}
	}
	q.take(len(q.in) - q.at)
}

// flow copies a flow collection, with quotes around what needs them.
func (q *quoter) flow() {
	for depth := 0; q.at < len(q.in); {
		c := q.in[q.at]
		switch {
		case c == '{' || c == '[':
			depth++
			q.take(1)
		case c == '}' || c == ']':
			depth--
			q.take(1)
			if depth <= 0 {
				return
			}
		case c == '\'' || c == '"':
			q.quoted()
		case c == '#' && strings.ContainsRune(" \t\n", rune(q.in[q.at-1])):
			q.take(len(q.rest()))
		case c == '!':
			n := strings.IndexAny(q.in[q.at:], " \t\n,]}[{")
			if n < 0 {
				n = len(q.in) - q.at
			}
			q.take(n)
		case strings.IndexByte(" \t\r\n,:", c) >= 0:
			q.take(1)
		default:
			q.word()
		}
	}
}

// word copies a plain scalar in a flow collection.
func (q *quoter) word() {
	rest := q.rest()
	end := len(rest)
	for i := range len(rest) {
		last := i+1 == len(rest)
		if strings.IndexByte(",[]{}", rest[i]) >= 0 || rest[i] == ':' && (last || strings.IndexByte(" ,]}", rest[i+1]) >= 0) ||
			rest[i] == ' ' && !last && rest[i+1] == '#' {
			end = i
			break
		}
	}
	text := strings.TrimRight(rest[:end], " \t\r")
	if !strings.Contains(text, ":") {
		q.take(max(end, 1))
		return
	}
	q.out.WriteString("'" + strings.ReplaceAll(text, "'", "''") + "'" + rest[len(text):end])
	q.at += end
}
