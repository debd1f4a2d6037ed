package inspector

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// AWS documents 500 as the most of a page, but the shapes of the answers hold 100. The lab takes the one and gives the
// other: who counts on full pages is wrong on both.
const (
	defaultPage = 10
	maxPage     = 500
	fullPage    = 100
)

// A paging is what all lists are asked with.
type paging struct {
	NextToken  string `json:"nextToken"`
	MaxResults *int   `json:"maxResults"`
}

// A numbered thing has a place in the order of making.
type numbered interface{ order() uint64 }

// byNumber gives the values of a map in the order of their making.
func byNumber[T numbered](all map[string]T) []T {
	return slices.SortedFunc(maps.Values(all), func(a, b T) int { return cmp.Compare(a.order(), b.order()) })
}

// page cuts one page out of a list that is in order. Its token names the last thing that was given, so nothing is left out
// or given twice where things come and go between two pages.
func page[T numbered](operation string, in paging, all []T, full int) (out []T, next string, err error) {
	limit := defaultPage
	if in.MaxResults != nil {
		limit = *in.MaxResults
	}
	if limit < 1 || limit > maxPage {
		return nil, "", invalid("INVALID_MAX_RESULTS", "maxResults %d: expected 1 to %d", limit, maxPage)
	}
	limit = min(limit, full)
	if in.NextToken != "" {
		after, ok := readToken(operation, in.NextToken)
		if !ok {
			return nil, "", invalid("INVALID_PAGINATION_TOKEN", "nextToken is not one that %s gave", operation)
		}
		i, _ := slices.BinarySearchFunc(all, after+1, func(x T, n uint64) int { return cmp.Compare(x.order(), n) })
		all = all[i:]
	}
	if len(all) <= limit {
		return all, "", nil
	}
	return all[:limit], makeToken(operation, all[limit-1].order()), nil
}

func makeToken(operation string, n uint64) string {
	sum := sha256.Sum256([]byte(operation + strconv.FormatUint(n, 36)))
	return strconv.FormatUint(n, 36) + "-" + hex.EncodeToString(sum[:8])
}

func readToken(operation, token string) (uint64, bool) {
	number, _, _ := strings.Cut(token, "-")
	n, err := strconv.ParseUint(number, 36, 63)
	return n, err == nil && makeToken(operation, n) == token
}

// like tells whether a name matches a pattern, in which * stands for anything. An empty pattern matches all.
func like(pattern, name string) bool {
	if pattern == "" {
		return true
	}
	part := strings.Split(pattern, "*")
	if len(part) == 1 {
		return pattern == name
	}
	name, ok := strings.CutPrefix(name, part[0])
	if !ok {
		return false
	}
	for _, p := range part[1 : len(part)-1] {
		i := strings.Index(name, p)
		if i < 0 {
			return false
		}
		name = name[i+len(p):]
	}
	return strings.HasSuffix(name, part[len(part)-1])
}

// anyOf tells whether a filter lets a value through: an empty one lets all.
func anyOf(filter []string, value string) bool {
	return len(filter) == 0 || slices.Contains(filter, value)
}

// arnsOf gives the ARNs of things.
func arnsOf[T interface{ name() string }](list []T) []string {
	out := make([]string, 0, len(list))
	for _, x := range list {
		out = append(out, x.name())
	}
	return out
}
