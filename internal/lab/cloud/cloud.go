// Package cloud is the ground that the lab's services stand on: accounts, regions, time, chance, and what one service
// hands to another.
//
// # Order
//
// Everything that happens later (an event on its way, a buffer that fills, a retry) is a task of the Clock, and tasks run
// one after the other, in the order of their times and then of their making. So a lab whose clock is moved by hand does
// the same for the same seed. Requests from outside come when they come; what they set off are tasks.
//
// A service keeps its state under one mutex of its own and never holds it while it calls Deliver, which goes into other
// services. Emit, DeliverLater and Clock.At only make tasks and may be called under it.
package cloud

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// Options of a Cloud. Zero fields mean what their comments say.
type Options struct {
	Seed      uint64    // of everything that is left to chance
	Partition string    // empty: aws
	Start     time.Time // what the clock shows at first; zero: now
	Quotas    bool      // calls beyond AWS's rates are refused
	Lag       Lag
}

// Lag is how long it takes until others see a change: AWS is eventually consistent. Zero: at once.
type Lag struct {
	Findings time.Duration `json:"findings"` // until GetFindings and ListFindings show a change
	Rules    time.Duration `json:"rules"`    // until a rule that was put matches
	Policies time.Duration `json:"policies"` // until a role's or a resource's policy holds
}

// A Cloud is one organisation's part of AWS.
type Cloud struct {
	Options
	Clock     *Clock
	Faults    *Faults
	Accounts  *Accounts
	Calls     *Calls
	Receivers *Receivers

	// Access decides who may do what. nil: everybody everything. It is set before the first request and not changed.
	Access Authorizer

	// API and Requests ask the lab's own services, as somebody. The wire server sets them before the first request.
	API      API
	Requests Requester

	mu    sync.Mutex
	url   string            // guarded by mu
	count map[string]uint64 // guarded by mu: how many ids of a kind were given
}

// New makes a cloud with no accounts in it. Its clock stands still until Clock.Run.
func New(o Options) *Cloud {
	if o.Partition == "" {
		o.Partition = PartitionAWS
	}
	if o.Start.IsZero() {
		o.Start = time.Now().UTC().Truncate(time.Second)
	}
	c := &Cloud{Options: o, Clock: newClock(o.Start), count: make(map[string]uint64)}
	c.Faults = newFaults(c)
	c.Accounts = newAccounts(c)
	c.Calls = &Calls{}
	c.Receivers = &Receivers{cloud: c, by: make(map[string]Receiver)}
	return c
}

// An API answers calls of one service to another that AWS makes over the public API: with the caller's permissions.
type API interface {
	// Call asks for an operation of a service, by its signing name, with a JSON body. Its errors are those that a client
	// would see. The body holds all parameters of the operation as its model names them, those of a REST path and of its
	// query included; services of the Query protocol take JSON here, too.
	Call(ctx context.Context, who Identity, at Place, service, operation string, body []byte) ([]byte, error)
}

// A Requester is for services that are asked by methods, paths and headers of HTTP: S3.
type Requester interface {
	// Request sends a request that nobody has signed, as somebody, from a place. An answer that is an error of the service
	// is an answer, not an error.
	Request(ctx context.Context, who Identity, at Place, service string, r *http.Request) (*http.Response, error)
}

// SetURL says at which address the lab is served: http://127.0.0.1:4599.
func (c *Cloud) SetURL(url string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.url = url
}

// URL is the address that the lab is served at, without a slash at the end; empty before it is.
func (c *Cloud) URL() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.url
}

// Chance gives 32 bytes that follow from the seed, from kind and from how often this kind was asked for.
func (c *Cloud) Chance(kind string) [32]byte {
	c.mu.Lock()
	n := c.count[kind]
	c.count[kind]++
	c.mu.Unlock()
	var seed [16]byte
	binary.BigEndian.PutUint64(seed[:], c.Seed)
	binary.BigEndian.PutUint64(seed[8:], n)
	return sha256.Sum256(append(seed[:], kind...))
}

// UUID gives the next id of a kind in the form of a version 4 UUID.
func (c *Cloud) UUID(kind string) string {
	b := c.Chance(kind)
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:16])
}

// Hex gives the next id of a kind as n lower-case hexadecimal digits, at most 64.
func (c *Cloud) Hex(kind string, n int) string {
	b := c.Chance(kind)
	return hex.EncodeToString(b[:])[:n]
}

// letters are those that AWS's short ids (0-gHP9oWNT, o-exampleorgid) are made of.
const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

// Letters gives the next id of a kind as n letters and digits, at most 32.
func (c *Cloud) Letters(kind string, n int) string {
	b := c.Chance(kind)
	for i := range b {
		b[i] = letters[int(b[i])%len(letters)]
	}
	return string(b[:n])
}
