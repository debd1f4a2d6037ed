package push

import "time"

// Events are called, where not nil, as requests are answered. They must not block; many may be called at once.
type Events struct {
	Request      func(Request)      // every request, when it has been answered
	Refused      func(Refused)      // before Request, when the answer is not 200
	Subscription func(Subscription) // SNS has begun or ended to send a topic's messages
	Reloaded     func(Reloaded)     // a file has changed
	Server       func(line string)  // what net/http has to say: TLS handshakes, panics
}

// Request is one answered request.
type Request struct {
	Endpoint  string // events, sns, firehose; empty: none of them
	Key       string // the name of the API key it came with; empty: it needed none, or the key has no name
	Status    int
	Documents int   // handed over, broken ones included
	Bytes     int64 // of the body, as it came over the wire
	Duration  time.Duration
}

// Refused is why a request was not answered with 200.
type Refused struct {
	Endpoint string
	Reason   string // of a bounded set, for metrics: see doc/http-intake.md
	Err      error  // nil: the reason says it all. Never holds a document, a key or a signature
}

// Subscription is a topic whose subscription was confirmed, or has ended.
type Subscription struct {
	Topic string // ARN
	Ended bool
}

// Reloaded is a file that was read again because it had changed.
type Reloaded struct {
	File string
	Err  error // not nil: what was read before still holds
}

func (e Events) reloaded(file string, err error) {
	if e.Reloaded != nil {
		e.Reloaded(Reloaded{File: file, Err: err})
	}
}
