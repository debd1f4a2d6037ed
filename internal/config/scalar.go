package config

import (
	"fmt"
	"regexp"
	"strings"
)

// A plain is what a scalar without quotes stands for.
type plain uint8

const (
	plainText plain = iota
	plainNull
	plainBool
	plainNumber   // as JSON writes it
	plainDoubtful // a text for some readers of YAML, a number or a boolean for others
)

var (
	nullWords   = regexp.MustCompile(`^(|~|null|Null|NULL)$`)
	boolWords   = regexp.MustCompile(`^(true|True|TRUE|false|False|FALSE)$`)
	jsonNumbers = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?$`)
	// Booleans of YAML 1.1; octal, hexadecimal, binary and base 60; numbers with a plus, underscores, or without
	// digits on one side of the point. An account id such as 012345678901 is among them.
	doubtfulWords = regexp.MustCompile(`^(` +
		`[yYnN]|yes|Yes|YES|no|No|NO|on|On|ON|off|Off|OFF|` +
		`[-+]?0[0-9_]+|[-+]?0[xX][0-9a-fA-F_]+|[-+]?0[oO][0-7_]+|[-+]?0[bB][01_]+|` +
		`[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?|` +
		`[-+]?(\.[0-9][0-9_]*|[0-9][0-9_]*(\.[0-9_]*)?)([eE][-+]?[0-9]+)?|` +
		`[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))$`)
)

func resolve(text string) plain {
	switch {
	case nullWords.MatchString(text):
		return plainNull
	case boolWords.MatchString(text):
		return plainBool
	case jsonNumbers.MatchString(text):
		return plainNumber
	case doubtfulWords.MatchString(text):
		return plainDoubtful
	default:
		return plainText
	}
}

// quote returns text in quotes for YAML.
func quote(text string) string {
	if strings.ContainsAny(text, "\"\\\n\t") {
		return "'" + strings.ReplaceAll(text, "'", "''") + "'"
	}
	return `"` + text + `"`
}

const variablePattern = `\$\{[A-Za-z_][A-Za-z0-9_]*\}`

var (
	wholeVariable = regexp.MustCompile(`^` + variablePattern + `$`)
	anyVariable   = regexp.MustCompile(variablePattern)
)

// expand replaces a text that is ${NAME} as a whole by the variable's value. That value stays a text, whatever it
// holds: it is not read as YAML. Other uses of ${ are errors here or, outside of patterns, in the table.
func (r *reader) expand(v *value, path string) {
	switch {
	case wholeVariable.MatchString(v.text):
		variable := v.text[2 : len(v.text)-1]
		text, set := r.lookup(variable)
		if !set {
			v.bad = true
			r.fault(v.line, v.column, path, v.text, "a variable of the environment that is set",
				fmt.Sprintf("set %s, or write the value here", variable))
			return
		}
		v.env, v.text = variable, text
	case anyVariable.MatchString(v.text):
		v.bad = true
		r.fault(v.line, v.column, path, shown(v.text), "a variable as the whole value",
			fmt.Sprintf("%s cannot be a part of a longer text; put all of it into the variable",
				anyVariable.FindString(v.text)))
	}
}

// printed is the value for an error message. What came from the environment is not shown: it may be a secret.
func (v *value) printed() string {
	switch {
	case v.env != "":
		return "${" + v.env + "}"
	case v.kind == nullKind:
		return "null"
	case v.kind == textKind:
		return shown(v.text)
	case v.kind == listKind:
		return "a list"
	case v.kind == objectKind:
		return "an object"
	default:
		return v.text
	}
}
