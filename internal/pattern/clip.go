package pattern

// maxShown is how many characters of a foreign value a message shows.
const maxShown = 80

// clip shortens text for a message.
func clip(s string) string {
	n := 0
	for i := range s {
		if n == maxShown {
			return s[:i] + "…"
		}
		n++
	}
	return s
}
