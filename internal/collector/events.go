package collector

import "time"

// Events are called, where not nil, as the collector works. They must not block. None of them is told a finding's text;
// keys hold account and region only.
type Events struct {
	Recovered func(Recovered)    // once, when the journal was read
	Stored    func(ObjectStored) // an object is in the bucket
	Existed   func(key string)   // the object was there already, with other bytes: see the package comment
	Diverted  func(key, to string, err error)
	Lost      func(Lost)                                      // a record in the journal cannot be read any more
	Delayed   func(stage string, err error)                   // something waits, and is tried again: the disk is full
	Damaged   func(err error)                                 // a part of the journal or of the window of duplicates is left out
	Putting   func(key string, took time.Duration, err error) // every put that ended
}

// Recovered is what an earlier run has left to do.
type Recovered struct {
	Records    int64 // that are pending
	Rejections int64 // error records that are pending
	Batches    int   // of them, those that were sealed
	Bytes      int64 // of the journal
}

// An ObjectStored is an object that was put into the bucket.
type ObjectStored struct {
	Stream  string
	Key     string
	Records int
	Bytes   int64         // of its lines
	Size    int64         // of the object
	Waited  time.Duration // since the oldest record arrived
}

// A Lost says which record is lost, and where it was to go.
type Lost struct {
	Position string // in the journal
	Key      string // of the object that lacks it
	Err      error
}
