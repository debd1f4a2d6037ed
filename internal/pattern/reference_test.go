package pattern

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/big"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// This is a second matcher, written to be compared with the first: it decodes the event, lists its leaves and tries all
// combinations of them. It knows no scanner, no automaton and no jumping over elements.

// A refLeaf is a leaf of a decoded event: nil, bool, string or json.Number, with the elements it is below by array.
type refLeaf struct {
	value   any
	element map[int]int
}

type refEvent map[string][]refLeaf

func flatten(event []byte) refEvent {
	out := refEvent{}
	d := json.NewDecoder(bytes.NewReader(event))
	d.UseNumber()
	arrays := 0
	var value func(path []string, element map[int]int)
	value = func(path []string, element map[int]int) {
		t, err := d.Token()
		if err != nil {
			panic(err)
		}
		switch t {
		case json.Delim('{'):
			for d.More() {
				key, _ := d.Token()
				value(append(slices.Clone(path), key.(string)), element)
			}
			_, _ = d.Token()
		case json.Delim('['):
			id := arrays
			arrays++
			for i := 0; d.More(); i++ {
				// Only objects and arrays are members of an array; look at what comes.
				rest, _ := peek(d, event)
				below := map[int]int{}
				for k, v := range element {
					below[k] = v
				}
				if rest == '{' || rest == '[' {
					below[id] = i
				}
				value(path, below)
			}
			_, _ = d.Token()
		default:
			name := strings.Join(path, ".")
			out[name] = append(out[name], refLeaf{t, element})
		}
	}
	value(nil, map[int]int{})
	return out
}

func peek(d *json.Decoder, event []byte) (byte, int) {
	for i := d.InputOffset(); ; i++ {
		if !bytes.ContainsRune([]byte(" ,:\n\t"), rune(event[i])) {
			return event[i], int(i)
		}
	}
}

// A refRule is one combination: alternatives by path.
type refRule map[string][]json.RawMessage

// refRules expands a pattern that is known to be valid.
func refRules(pattern []byte, plainOr bool) []refRule {
	rules := []refRule{{}}
	var object func(raw json.RawMessage, path string)
	object = func(raw json.RawMessage, path string) {
		d := json.NewDecoder(bytes.NewReader(raw))
		_, _ = d.Token()
		for d.More() {
			key, _ := d.Token()
			var v json.RawMessage
			if err := d.Decode(&v); err != nil {
				panic(err)
			}
			name := strings.TrimPrefix(path+"."+key.(string), ".")
			switch {
			case key == "$or" && !plainOr:
				var alternatives []json.RawMessage
				_ = json.Unmarshal(v, &alternatives)
				before, after := rules, []refRule(nil)
				for _, a := range alternatives {
					rules = nil
					for _, r := range before {
						c := refRule{}
						for k, v := range r {
							c[k] = v
						}
						rules = append(rules, c)
					}
					object(a, path)
					after = append(after, rules...)
				}
				rules = after
			case v[0] == '{':
				object(v, name)
			default:
				var values []json.RawMessage
				_ = json.Unmarshal(v, &values)
				for _, r := range rules {
					r[name] = values
				}
			}
		}
	}
	object(pattern, "")
	return rules
}

func refMatch(pattern, event []byte) bool {
	leaves := flatten(event)
	for _, rule := range refRules(pattern, false) {
		var names []string
		for name := range rule {
			names = append(names, name)
		}
		slices.Sort(names)
		if refChoose(rule, names, leaves, nil) {
			return true
		}
	}
	return false
}

func consistent(chosen []refLeaf, l refLeaf) bool {
	for _, c := range chosen {
		for array, i := range c.element {
			if k, ok := l.element[array]; ok && k != i {
				return false
			}
		}
	}
	return true
}

func refChoose(rule refRule, names []string, leaves refEvent, chosen []refLeaf) bool {
	if len(names) == 0 {
		return true
	}
	alternatives := rule[names[0]]
	there := false
	for _, l := range leaves[names[0]] {
		if !consistent(chosen, l) {
			continue
		}
		there = true
		if refAny(alternatives, l.value) && refChoose(rule, names[1:], leaves, append(slices.Clone(chosen), l)) {
			return true
		}
	}
	for _, a := range alternatives {
		if compact(a) == `{"exists":false}` && !there {
			return refChoose(rule, names[1:], leaves, chosen)
		}
	}
	return false
}

func compact(raw json.RawMessage) string {
	var b bytes.Buffer
	_ = json.Compact(&b, raw)
	return b.String()
}

func decode(raw json.RawMessage) any {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		panic(err)
	}
	return v
}

func refAny(alternatives []json.RawMessage, value any) bool {
	var wild []string // before the first star of the wildcards so far
	numeric := false
	for _, raw := range alternatives {
		s := compact(raw)
		_, number := decode(raw).(json.Number)
		numeric = numeric || number && refNumber(s) != nil || strings.HasPrefix(s, `{"numeric"`) || regexp.MustCompile(`^\{"anything-but":\[?[-0-9]`).MatchString(s)
	}
	for _, raw := range alternatives {
		if refOne(decode(raw), value, &wild, numeric) {
			return true
		}
	}
	return false
}

// refNumber is the value of a number that is its double's shortest spelling, else nil.
func refNumber(s string) *big.Rat {
	exact, ok := new(big.Rat).SetString(s)
	f, err := strconv.ParseFloat(s, 64)
	if !ok || err != nil {
		return nil
	}
	shortest, _ := new(big.Rat).SetString(strconv.FormatFloat(f, 'g', -1, 64))
	if shortest.Cmp(exact) != 0 {
		return nil
	}
	return exact
}

func refOne(want, value any, wild *[]string, numeric bool) bool {
	text, isText := value.(string)
	number, isNumber := value.(json.Number)
	switch w := want.(type) {
	case nil, bool:
		return want == value
	case json.Number:
		if !isNumber {
			return false
		}
		a, b := refNumber(string(w)), refNumber(string(number))
		return a != nil && b != nil && a.Cmp(b) == 0 || a == nil && b == nil && w == number
	case string:
		if low := refDigits(w); low != "" {
			return refInRange(low, low, value, numeric)
		}
		return isText && w == text
	}
	for op, arg := range want.(map[string]any) {
		switch op {
		case "exists":
			return arg == true
		case "numeric":
			return isNumber && refNumeric(arg.([]any), refNumber(string(number)))
		case "cidr":
			low, high := refBlock(arg.(string))
			return refInRange(low, high, value, numeric)
		case "anything-but":
			inner, nested := arg.(map[string]any)
			nestedOp := ""
			for k, v := range inner {
				nestedOp, arg = k, v
			}
			list, ok := arg.([]any)
			if !ok {
				list = []any{arg}
			}
			hit := false
			for _, e := range list {
				switch {
				case nested:
					hit = refOne(map[string]any{nestedOp: e}, value, wild, numeric) || hit
				case isText:
					hit = hit || e == text
				case isNumber:
					n, _ := e.(json.Number)
					a, b := refNumber(string(n)), refNumber(string(number))
					hit = hit || a != nil && b != nil && a.Cmp(b) == 0
				}
			}
			return !hit
		default:
			re := refRegexp(op, arg, wild)
			return isText && re.MatchString(text)
		}
	}
	panic("no operator")
}

func refNumeric(terms []any, n *big.Rat) bool {
	for i := 0; n != nil && i < len(terms); i += 2 {
		bound := refNumber(string(terms[i+1].(json.Number)))
		c := n.Cmp(bound)
		op := terms[i].(string)
		holds := c == 0 && strings.Contains(op, "=") || c < 0 && op[0] == '<' || c > 0 && op[0] == '>'
		if !holds {
			return false
		}
	}
	return n != nil
}

func refDigits(s string) string {
	if regexp.MustCompile(`^\d+\.\d+\.\d+\.\d+$`).MatchString(s) {
		s = regexp.MustCompile(`\b0+(\d)`).ReplaceAllString(s, "$1")
	} else if !regexp.MustCompile(`^[0-9a-fA-F:]*:[0-9a-fA-F:]*$`).MatchString(s) {
		return ""
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		return ""
	}
	return fmt.Sprintf("%X", a.Unmap().AsSlice())
}

func refBlock(s string) (low, high string) {
	p := netip.MustParsePrefix(s)
	b := p.Addr().AsSlice()
	low = fmt.Sprintf("%X", b)
	n := new(big.Int).SetBytes(b)
	for i := range p.Addr().BitLen() - p.Bits() {
		n.SetBit(n, i, 1)
	}
	return low, fmt.Sprintf("%0*X", len(low), n)
}

// refInRange looks for the shortest beginning of the digits that decides.
func refInRange(low, high string, value any, numeric bool) bool {
	var digits string
	switch v := value.(type) {
	case string:
		digits = refDigits(v)
	case json.Number:
		if digits = string(v); numeric && refNumber(digits) != nil {
			return false
		}
	}
	for k := range min(len(digits), len(low)) {
		v := digits[:k+1]
		if strings.Trim(v, "0123456789ABCDEF") != "" {
			return false
		}
		if v > low[:k+1] && v < high[:k+1] || k+1 == len(low) && v >= low && v <= high {
			return true
		}
	}
	return false
}

// refRegexp translates an operator on strings. wild collects what wildcards have before their first star: text that
// ignores case and stands behind one of them may be torn open, see the comment on folded.
func refRegexp(op string, arg any, wild *[]string) *regexp.Regexp {
	if m, ok := arg.(map[string]any); ok {
		op, arg = op+"-fold", m["equals-ignore-case"]
	}
	s := arg.(string)
	switch op {
	case "prefix":
		return regexp.MustCompile(`(?s)^` + regexp.QuoteMeta(s))
	case "suffix":
		return regexp.MustCompile(`(?s)` + regexp.QuoteMeta(s) + `$`)
	case "wildcard":
		var b, head strings.Builder
		stars := 0
		for i := 0; i < len(s); i++ {
			switch s[i] {
			case '*':
				stars++
				b.WriteString(`.*`)
				continue
			case '\\':
				i++
			}
			_, size := utf8.DecodeRuneInString(s[i:])
			b.WriteString(regexp.QuoteMeta(s[i : i+size]))
			if stars == 0 {
				head.WriteString(s[i : i+size])
			}
			i += size - 1
		}
		if stars > 0 {
			*wild = append(*wild, head.String())
		}
		return regexp.MustCompile(`(?s)^` + b.String() + `$`)
	}
	var parts []string
	runes := []rune(s)
	n := len(runes)
	if op == "equals-ignore-case" {
		n++
	}
	for i := range runes {
		k := i
		if op == "suffix-fold" {
			k = len(runes) - 1 - i
		}
		var before string
		for _, r := range runes[:i] {
			before += string(r)
		}
		if op == "suffix-fold" {
			before = ""
			for j := len(runes) - 1; j > k; j-- {
				before += string(runes[j])
			}
		}
		part := refFold(runes[k])
		caseless := !strings.ContainsFunc(before, func(r rune) bool { return strings.Contains(refFold(r), "|") })
		if slices.Contains(*wild, before) && caseless && strings.Contains(part, "|") && i+1 < n {
			part = `(?:\C+|.+)`
		}
		parts = append(parts, part)
	}
	if op == "suffix-fold" {
		slices.Reverse(parts)
	}
	all := strings.ReplaceAll(strings.Join(parts, ""), `(?:\C+|.+)`, `.+`)
	switch op {
	case "prefix-fold":
		return regexp.MustCompile(`(?s)^` + all)
	case "suffix-fold":
		return regexp.MustCompile(`(?s)` + all + `$`)
	default:
		return regexp.MustCompile(`(?s)^` + all + `$`)
	}
}

func refFold(r rune) string {
	lower, upper := string(unicode.ToLower(r)), string(unicode.ToUpper(r))
	if r == 'ß' {
		upper = "SS"
	}
	if lower == upper {
		return regexp.QuoteMeta(lower)
	}
	return "(?:" + lower + "|" + upper + ")"
}
