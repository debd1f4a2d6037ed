//go:build !amd64

package scan

// findStops makes the masks of b, which is whole blocks, at most a window of them and at least one.
func findStops(masks *[window]uint64, b []byte) { findStopsOfAny(masks, b) }
