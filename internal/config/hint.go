package config

import "strings"

// didYouMean returns a hint that names the word which name was likely meant to be, or nothing.
func didYouMean(name string, known []string) string {
	best, distance := "", 3
	for _, word := range known {
		if squeezed(name) == squeezed(word) {
			return meaning(word)
		}
		if d := edits(name, word); d < distance && d <= len(word)/3 {
			best, distance = word, d
		}
	}
	if best == "" {
		return ""
	}
	return meaning(best)
}

var separators = strings.NewReplacer("-", "", "_", "", ".", "")

func meaning(word string) string { return "did you mean " + word + "?" }

// squeezed forgets what people mix up: capitals, dashes, underscores and a plural.
func squeezed(s string) string {
	return strings.TrimSuffix(separators.Replace(strings.ToLower(s)), "s")
}

// edits counts the insertions, deletions, replacements and swaps of neighbours that make b of a. Long words, which
// are no misspelling of ours, count as far away.
func edits(a, b string) int {
	const far = 64
	if len(a) > far || len(b) > far {
		return far
	}
	rows := [3][]int{make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)}
	for j := range rows[1] {
		rows[1][j] = j
	}
	for i := range len(a) {
		before, last, row := rows[0], rows[1], rows[2]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(last[j]+cost, last[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		rows = [3][]int{last, row, before}
	}
	return rows[1][len(b)]
}
