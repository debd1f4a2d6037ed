package securityhub

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"strconv"

	"example.org/catchment/internal/lab/wire"
)

// A mark is where a list goes on.
type mark struct {
	query uint64 // of GetFindings: its number
	next  uint64 // how many results were given
}

// tokenSize is the bytes of a token: the mark, then a signature.
const tokenSize = 16 + 16

// seal makes a token that only the same caller can use, for the same operation and what it asks for.
func (s *Service) seal(c *wire.Call, asks []byte, m mark) string {
	b := make([]byte, 16, tokenSize)
	binary.BigEndian.PutUint64(b, m.query)
	binary.BigEndian.PutUint64(b[8:], m.next)
	return base64.RawURLEncoding.EncodeToString(append(b, s.sign(c, asks, b)...))
}

func (s *Service) sign(c *wire.Call, asks, b []byte) []byte {
	mac := hmac.New(sha256.New, s.secret)
	for _, part := range []string{c.Operation, c.Account, c.Region, c.Who.ARN, string(asks)} {
		mac.Write([]byte(strconv.Itoa(len(part)) + ":" + part))
	}
	mac.Write(b)
	return mac.Sum(nil)[:tokenSize-16]
}

// open reads a token that seal made.
func (s *Service) open(c *wire.Call, asks []byte, token string) (mark, error) {
	b, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || len(b) != tokenSize || !hmac.Equal(b[16:], s.sign(c, asks, b[:16])) {
		return mark{}, invalidInput("Invalid parameter 'NextToken'. The token was not given for this request")
	}
	return mark{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])}, nil
}

// pageOf cuts the page that MaxResults and NextToken of the query ask for.
func pageOf[T any](s *Service, c *wire.Call, all []T, most int) (page []T, next string, err error) {
	q := c.HTTP.URL.Query()
	limit := 0
	if text := q.Get("MaxResults"); text != "" {
		if limit, err = strconv.Atoi(text); err != nil || limit < 1 {
			return nil, "", invalidInput("Invalid parameter 'MaxResults'. data should be 1 to %d", most)
		}
	}
	return pageBy(s, c, all, most, limit, q.Get("NextToken"))
}

// pageBy cuts a page out of a list: at most limit, where 0 is most.
func pageBy[T any](s *Service, c *wire.Call, all []T, most, limit int, token string) (page []T, next string, err error) {
	if limit < 0 || limit > most {
		return nil, "", invalidInput("Invalid parameter 'MaxResults'. data should be 1 to %d", most)
	}
	if limit == 0 {
		limit = most
	}
	var m mark
	if token != "" {
		if m, err = s.open(c, nil, token); err != nil {
			return nil, "", err
		}
	}
	start := int(min(m.next, uint64(len(all)))) //nolint:gosec // it is at most the length of a list
	end := min(start+limit, len(all))
	if end < len(all) {
		next = s.seal(c, nil, mark{next: uint64(end)})
	}
	return all[start:end], next, nil
}
