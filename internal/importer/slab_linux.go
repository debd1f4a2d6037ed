package importer

import "golang.org/x/sys/unix"

// newSlab takes memory from the system, outside of the garbage collector's: lines hold no pointers and live until the
// block pool ends, and beside them the heap is small. Large pages save most of the page faults. nil: there is none.
func newSlab(size int) []byte {
	b, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return nil
	}
	_ = unix.Madvise(b, unix.MADV_HUGEPAGE) // a wish
	return b
}

// freeSlab gives memory of newSlab back.
func freeSlab(b []byte) { _ = unix.Munmap(b) } // it was mapped here
