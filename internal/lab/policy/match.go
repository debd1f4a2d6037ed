package policy

import "strings"

// A glob is a pattern with its variables filled in: letters, and the two wildcards.
type glob []rune

// The wildcards, which no text has.
const (
	anyText   rune = -1 // *
	anyLetter rune = -2 // ?
)

// compile makes a glob. Variables are filled in with vars, and what they bring is no wildcard. ok is false where a
// variable has no value: then the pattern fits nothing.
func compile(pattern string, variables bool, vars func(key string) (string, bool)) (g glob, ok bool) {
	for pattern != "" {
		at := strings.IndexAny(pattern, "*?$")
		if at < 0 {
			return append(g, []rune(pattern)...), true
		}
		g = append(g, []rune(pattern[:at])...)
		letter := pattern[at]
		pattern = pattern[at+1:]
		switch {
		case letter == '*':
			g = append(g, anyText)
		case letter == '?':
			g = append(g, anyLetter)
		case !variables || !strings.HasPrefix(pattern, "{") || !strings.Contains(pattern, "}"):
			g = append(g, rune(letter))
		default:
			inner, rest, _ := strings.Cut(pattern[1:], "}")
			value, known := fill(inner, vars)
			if !known {
				return nil, false
			}
			g, pattern = append(g, []rune(value)...), rest
		}
	}
	return g, true
}

// fill gives what ${inner} stands for. https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html
func fill(inner string, vars func(string) (string, bool)) (string, bool) {
	if inner == "*" || inner == "?" || inner == "$" {
		return inner, true
	}
	key, rest, hasDefault := strings.Cut(inner, ",")
	if value, ok := vars(strings.TrimSpace(key)); ok {
		return value, true
	}
	rest = strings.TrimSpace(rest)
	if hasDefault && len(rest) >= 2 && rest[0] == '\'' && rest[len(rest)-1] == '\'' {
		return rest[1 : len(rest)-1], true
	}
	return "", false
}

// match tells whether a text is of the pattern. It takes at most as many steps as the product of their lengths.
func (g glob) match(text []rune) bool {
	at, i := 0, 0
	star, from := -1, 0 // where the last * stands, and from where in text it is tried
	for i < len(text) {
		switch {
		case at < len(g) && g[at] == anyText:
			star, from = at, i
			at++
		case at < len(g) && (g[at] == anyLetter || g[at] == text[i]):
			at++
			i++
		case star >= 0:
			from++
			at, i = star+1, from
		default:
			return false
		}
	}
	for at < len(g) && g[at] == anyText {
		at++
	}
	return at == len(g)
}

// literal is the pattern's text where wildcards are letters like others.
func (g glob) literal() string {
	var b strings.Builder
	for _, r := range g {
		switch r {
		case anyText:
			b.WriteByte('*')
		case anyLetter:
			b.WriteByte('?')
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// matchARN compares the six parts of ARNs one by one, so that a * does not reach over a colon, but in the last.
func (g glob) matchARN(text string) bool {
	parts := strings.SplitN(text, ":", 6)
	if len(parts) < 6 {
		return len(g) == 1 && g[0] == anyText
	}
	if len(g) == 1 && g[0] == anyText {
		return true
	}
	for i, part := range parts {
		piece := g
		if i < 5 {
			end := -1
			for j, r := range g {
				if r == ':' {
					end = j
					break
				}
			}
			if end < 0 {
				return false
			}
			piece, g = g[:end], g[end+1:]
		}
		if !piece.match([]rune(part)) {
			return false
		}
	}
	return true
}

// matchAction compares an action, by letters of either case.
func matchAction(pattern, action string) bool {
	g, _ := compile(strings.ToLower(pattern), false, nil)
	return g.match([]rune(strings.ToLower(action)))
}
