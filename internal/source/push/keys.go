package push

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// Lengths of a key, in bytes. Firehose sends up to 4,096.
const (
	minKey = 16
	maxKey = 4096
)

// An APIKey is known by its hash alone.
type APIKey struct {
	Name string // empty: it has none
	hash [sha256.Size]byte
}

// ParseKeys reads a keys file: one key a line, as "key" or "name:key". Blank lines and lines that start with # are
// comments. A name is letters, digits, dots, dashes and underscores; several keys may share one. A key has 16 to 4,096
// printable ASCII characters without white space; one that holds a colon needs a name. Errors give the line, never its text.
func ParseKeys(content []byte) ([]APIKey, error) {
	var keys []APIKey
	var errs []error
	number := 0
	for line := range bytes.Lines(content) {
		number++
		line = bytes.TrimSpace(line)
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		name, key, named := bytes.Cut(line, []byte{':'})
		if !named {
			name, key = nil, line
		}
		switch {
		case named && !validName(name):
			errs = append(errs, fmt.Errorf(
				"line %d: a name before ':' is 1 to 64 letters, digits, dots, dashes and underscores", number))
		case len(key) < minKey || len(key) > maxKey:
			errs = append(errs, fmt.Errorf("line %d: a key has %d to %d characters, not %d", number, minKey, maxKey, len(key)))
		case bytes.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }):
			errs = append(errs, fmt.Errorf("line %d: a key is printable ASCII without white space", number))
		default:
			keys = append(keys, APIKey{Name: string(name), hash: sha256.Sum256(key)})
		}
	}
	return keys, errors.Join(errs...)
}

func validName(name []byte) bool {
	if len(name) == 0 || len(name) > 64 {
		return false
	}
	return !bytes.ContainsFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '.' && r != '-' && r != '_'
	})
}

// A keyring is the keys of a file as it is now.
type keyring struct{ file reloading[[]APIKey] }

// newKeyring reads the file. It must hold a key; a file that is emptied later lets nobody in.
func newKeyring(file string, tell func(string, error)) (*keyring, error) {
	k := &keyring{reloading[[]APIKey]{
		files: []string{file},
		parse: func(contents [][]byte) ([]APIKey, error) { return ParseKeys(contents[0]) },
		tell:  tell,
	}}
	if err := k.file.load(); err != nil {
		return nil, err
	}
	if len(*k.file.get()) == 0 {
		return nil, fmt.Errorf("read %s: no key in it", file)
	}
	return k, nil
}

// A verdict is what a request's credentials are worth.
type verdict byte

const (
	keyMissing   verdict = iota // it has none
	keyAmbiguous                // a header that is a credential occurs twice
	keyWrong
	keyRight
)

// check looks at every credential of r. Its work depends on what the sender sent, not on the keys there are: each
// credential is hashed and compared with every key, in constant time.
func (k *keyring) check(r *http.Request) (name string, v verdict) {
	keys := *k.file.get()
	for _, header := range []string{"X-Api-Key", "X-Amz-Firehose-Access-Key", "Authorization"} {
		values := r.Header[header]
		switch {
		case len(values) == 0:
			continue
		case len(values) > 1:
			return "", keyAmbiguous
		}
		credential := values[0]
		if header == "Authorization" {
			credential = secretOf(credential)
		}
		v = max(v, keyWrong)
		hash := sha256.Sum256([]byte(credential))
		for i := range keys {
			if subtle.ConstantTimeCompare(hash[:], keys[i].hash[:]) == 1 {
				name, v = keys[i].Name, keyRight
			}
		}
	}
	return name, v
}

// secretOf returns the token of Bearer, or the password of Basic (any user name will do); empty where there is none.
func secretOf(authorization string) string {
	scheme, rest, _ := strings.Cut(authorization, " ")
	rest = strings.TrimLeft(rest, " ")
	switch {
	case strings.EqualFold(scheme, "Bearer"):
		return rest
	case strings.EqualFold(scheme, "Basic"):
		decoded, err := base64.StdEncoding.DecodeString(rest)
		if err != nil {
			return ""
		}
		_, password, _ := strings.Cut(string(decoded), ":")
		return password
	}
	return ""
}
