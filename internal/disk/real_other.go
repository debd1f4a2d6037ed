//go:build !linux

package disk

import "os"

// syncData is fsync, which on macOS asks the drive to flush as well.
func syncData(f *os.File) error { return f.Sync() }
