package scan

// findStops makes the masks of b, which is whole blocks, at most a window of them and at least one.
func findStops(masks *[window]uint64, b []byte) { findStopsSSE2(masks, &b[0], len(b)/block) }

// findStopsSSE2 needs what every amd64 processor has.
//
//go:noescape
func findStopsSSE2(masks *[window]uint64, b *byte, blocks int)
