package prefix

import (
	"unicode"
	"unicode/utf8"
)

// MaxValue bounds the value of a partition key, in bytes. File systems end a name at 255;
// what stands beside the value in its segment is counted by MaxSegment.
const MaxValue = 200

// CheckValue tells why v can be no part of an object key, or "" if it can. It is what stands
// between a finding's text and the bucket: whoever writes a finding must not choose another
// account's folder, a folder above, or a name that a reader shows differently from what it is.
func CheckValue[T ~string | ~[]byte](v T) Code {
	switch {
	case len(v) == 0:
		return CodeKeyEmpty
	case len(v) > MaxValue:
		return CodeKeyLength
	case v[0] == '.' && (len(v) == 1 || len(v) == 2 && v[1] == '.'):
		return CodeKeyDots
	}
	for i := range len(v) {
		switch c := v[i]; {
		case c >= utf8.RuneSelf:
			return checkRunes(string(v))
		case c == '/':
			return CodeKeySlash
		case c == '\\':
			return CodeKeyBackslash
		case c < ' ' || c == 0x7f:
			return CodeKeyControl
		}
	}
	if v[0] == ' ' || v[len(v)-1] == ' ' {
		return CodeKeySpace
	}
	return ""
}

// checkRunes is CheckValue for text beyond ASCII; v is neither empty nor dots nor too long.
func checkRunes(v string) Code {
	for i, r := range v {
		switch {
		case r == '/':
			return CodeKeySlash
		case r == '\\':
			return CodeKeyBackslash
		case unicode.IsControl(r), r == '\u2028', r == '\u2029':
			return CodeKeyControl
		case r == utf8.RuneError, r&0xfffe == 0xfffe, r >= 0xfdd0 && r <= 0xfdef:
			// U+FFFD is what a decoder writes for bytes that it gave up: two broken values
			// would become one partition. Noncharacters break S3's listings, which are XML.
			return CodeKeyEncoding
		case unicode.Is(unicode.Cf, r):
			return CodeKeyInvisible
		case unicode.IsSpace(r) && (i == 0 || i+utf8.RuneLen(r) == len(v)):
			return CodeKeySpace
		}
	}
	return ""
}
