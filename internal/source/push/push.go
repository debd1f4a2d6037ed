// Package push takes events that senders POST: EventBridge API destinations, SNS, Firehose's HTTP endpoint destination.
//
// An answer of 200 means that Deliver has returned nil: what was sent is on disk. Any other answer means that nothing
// is promised and the sender is to send all of it again.
//
// Nothing is read before it is known to fit: a body's length, and the bytes of all bodies held at once, have bounds,
// before and after decompression. A sender that is slower than Timeouts allows is cut off.
//
// No finding, key or signature occurs in an answer, in an Events call or in an error of this package.
package push

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"example.org/catchment/internal/document"
	"example.org/catchment/internal/source"
)

// The paths that the handler answers.
const (
	PathEvents   = "/events"   // EventBridge API destinations, and any sender of JSON: one document or many
	PathSNS      = "/sns"      // SNS HTTP and HTTPS subscriptions
	PathFirehose = "/firehose" // Firehose's HTTP endpoint destination
)

// largestBody bounds Options.MaxBody, in bytes.
const largestBody = 1 << 30

// Options say what to listen to and what to let in. Zero fields mean what their comments say.
type Options struct {
	Listener net.Listener // Run serves it and closes it

	// KeysFile holds the API keys, see ParseKeys. It is read again when it changes. Empty: no key is asked for, which
	// New accepts for a loopback or unix listener only, unless Insecure is set.
	KeysFile string
	Insecure bool

	CertFile, KeyFile string // PEM; both or none. They are read again when they change. None: plain HTTP.

	MaxBody        int64         // bytes of a body, before and after decompression; 0: 64 MiB, what Firehose sends at most; 1 GiB at most
	MaxHeld        int64         // bytes of bodies held at once; 0, or less than one request may need: twice MaxBody
	MaxDocument    int           // bytes of a document; 0: document.DefaultMaxDocument
	MaxConnections int           // open at once; more wait to be accepted. 0: 1024
	RetryAfter     time.Duration // told to senders that are to try again, unless Deliver knows better; 0: 5 s

	Topics   []string // ARNs of the SNS topics whose messages are let in and whose subscriptions are confirmed
	SNS      SNS
	Timeouts Timeouts
	Events   Events
}

// SNS says how SNS's signatures are verified.
type SNS struct {
	Client *http.Client   // fetches certificates and confirms subscriptions; never follows redirects. nil: one of its own
	Roots  *x509.CertPool // that SNS's certificate chains end in; nil: the system's
	MaxAge time.Duration  // of a message's Timestamp; 0: 75 minutes: SNS retries for an hour at most

	// Endpoint is where a lab on this machine is, such as http://127.0.0.1:4599: a loopback address, and the listener has
	// to be at one too. Then certificates and confirmations come from there and no longer from AWS, a certificate needs
	// nobody to vouch for it, and a Timestamp may be of any time. Signatures are checked as always.
	Endpoint string
}

// Timeouts say when a slow sender is cut off.
type Timeouts struct {
	Header   time.Duration // for the TLS handshake, and again for the header; 0: 10 s
	Body     time.Duration // that a body may take however short it is; 0: 10 s
	BodyRate int64         // bytes a second that a body must keep up with beyond that; 0: 64 KiB
	Idle     time.Duration // between requests; 0: 90 s
	Answer   time.Duration // for the sender to take the answer; 0: 10 s
	Shutdown time.Duration // for requests to end once Run's context is done; 0: 10 s
}

// ErrNoKeys says that anyone who reaches the listener could hand in events.
var ErrNoKeys = errors.New("no keys file is configured and the listener is not a loopback address")

// A Source is an HTTP listener. It implements source.Source.
type Source struct {
	o      Options
	keys   *keyring // nil: no key is asked for
	certs  *certificates
	held   *budget // bytes of bodies
	public *budget // the part of them that may belong to senders not yet known to be genuine
	topics map[string]topic
	signer *signers
	gate   gate
	bufs   sync.Pool // *buffer
	batch  sync.Pool // *batch
	gzips  sync.Pool // *gzip.Reader
	fire   sync.Pool // *firehoseRecords
}

var _ source.Source = (*Source)(nil)

// New reads the files that o names and checks all of it.
func New(o Options) (*Source, error) {
	o = o.withDefaults()
	if o.MaxBody > largestBody {
		return nil, fmt.Errorf("bodies of up to %d bytes: expected %d at most", o.MaxBody, int64(largestBody))
	}
	s := &Source{o: o, held: newBudget(o.MaxHeld), public: newBudget(o.MaxHeld / 4)}
	if o.KeysFile == "" && !o.Insecure && o.Listener != nil && !local(o.Listener.Addr()) {
		return nil, fmt.Errorf("listen on %s: %w", o.Listener.Addr(), ErrNoKeys)
	}
	var err error
	if o.KeysFile != "" {
		if s.keys, err = newKeyring(o.KeysFile, o.Events.reloaded); err != nil {
			return nil, err
		}
	}
	if (o.CertFile == "") != (o.KeyFile == "") {
		return nil, errors.New("TLS needs both a certificate file and a key file")
	}
	if o.CertFile != "" {
		if s.certs, err = newCertificates(o.CertFile, o.KeyFile, o.Events.reloaded); err != nil {
			return nil, err
		}
	}
	if o.SNS.Endpoint != "" && o.Listener != nil && !local(o.Listener.Addr()) {
		return nil, fmt.Errorf("listen on %s: an SNS endpoint is set, so only a loopback address will do", o.Listener.Addr())
	}
	if s.topics, err = parseTopics(o.Topics, o.SNS.Endpoint); err != nil {
		return nil, err
	}
	s.signer = newSigners(o.SNS)
	s.bufs.New = func() any { return new(buffer) }
	s.batch.New = func() any { return newBatch(document.Options{MaxDocument: o.MaxDocument}) }
	s.fire.New = func() any { return new(firehoseRecords) }
	return s, nil
}

func (o Options) withDefaults() Options {
	setDefault(&o.MaxBody, 64<<20)
	// A Firehose body is held together with its decoded records, three quarters of its size.
	o.MaxHeld = max(o.MaxHeld, 2*o.MaxBody)
	setDefault(&o.MaxConnections, 1024)
	setDefault(&o.RetryAfter, 5*time.Second)
	setDefault(&o.SNS.MaxAge, 75*time.Minute)
	setDefault(&o.Timeouts.Header, 10*time.Second)
	setDefault(&o.Timeouts.Body, 10*time.Second)
	setDefault(&o.Timeouts.BodyRate, 64<<10)
	setDefault(&o.Timeouts.Idle, 90*time.Second)
	setDefault(&o.Timeouts.Answer, 10*time.Second)
	setDefault(&o.Timeouts.Shutdown, 10*time.Second)
	return o
}

func setDefault[T int | int64 | time.Duration](field *T, value T) {
	if *field <= 0 {
		*field = value
	}
}

// local tells whether only programs on this machine can reach addr.
func local(addr net.Addr) bool {
	switch a := addr.(type) {
	case *net.TCPAddr:
		return a.IP.IsLoopback()
	case *net.UnixAddr:
		return true
	}
	return false
}

// Handler answers requests, for a server other than Run's: one that bounds headers and their time. Bodies are bounded
// and timed here.
func (s *Source) Handler(deliver source.Deliver) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.serve(w, r, deliver) })
}

func (s *Source) serve(w http.ResponseWriter, r *http.Request, deliver source.Deliver) {
	x := exchange{s: s, w: w, r: r, started: time.Now(), deliver: deliver}
	// Whatever the answer, a body that trickles in must not hold the connection: also not one that is only thrown away.
	x.deadline(x.started.Add(s.o.Timeouts.Body))
	if !s.gate.enter() {
		x.refuseFor(&refusal{status: http.StatusServiceUnavailable, reason: "stopping", expected: "catchment is stopping; try again"})
		return
	}
	defer s.gate.leave()
	switch r.URL.Path {
	case PathEvents:
		x.endpoint = "events"
	case PathSNS:
		x.endpoint = "sns"
	case PathFirehose:
		x.endpoint = "firehose"
	default:
		x.refuse(http.StatusNotFound, Refused{Reason: "path"},
			"no such path; expected "+PathEvents+", "+PathSNS+" or "+PathFirehose)
		return
	}
	switch {
	case r.Method != http.MethodPost:
		w.Header().Set("Allow", http.MethodPost)
		x.refuse(http.StatusMethodNotAllowed, Refused{Reason: "method"}, "expected POST")
	case s.keys == nil && fromBrowser(r):
		// Without keys the listener trusts this machine, and a page in a browser on this machine is not to be trusted.
		x.refuse(http.StatusForbidden, Refused{Reason: "browser"}, "requests from a browser need an API key")
	case x.endpoint == "events":
		x.events()
	case x.endpoint == "sns":
		x.sns()
	default:
		x.firehose()
	}
}

func fromBrowser(r *http.Request) bool {
	return r.Header["Origin"] != nil || r.Header["Sec-Fetch-Site"] != nil
}

// A gate counts who is inside, and once it is closed lets nobody in.
type gate struct {
	mu     sync.Mutex
	inside int           // guarded by mu
	empty  chan struct{} // not nil: the gate is closed; itself closed when nobody is inside any more. Guarded by mu
}

func (g *gate) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.empty != nil {
		return false
	}
	g.inside++
	return true
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.inside--; g.inside == 0 && g.empty != nil {
		close(g.empty)
	}
}

// close lets nobody in any more; the channel it returns is closed once nobody is inside. It is called once.
func (g *gate) close() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.empty = make(chan struct{})
	if g.inside == 0 {
		close(g.empty)
	}
	return g.empty
}

// detach is the context that requests run in: it outlives ctx until cancel, so that what has begun can end.
func detach(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithCancel(context.WithoutCancel(ctx))
}
