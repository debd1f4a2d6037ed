package lab

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"example.org/catchment/internal/lab/cloud"
)

// A Fault is a cloud.Fault as people write it: in questions to the lab, and in the file of "catchment lab --faults".
type Fault struct {
	ID      string          `json:"id,omitzero"` // given by the lab
	Kind    cloud.FaultKind `json:"kind"`
	Service string          `json:"service,omitzero"`
	Action  string          `json:"action,omitzero"`
	From    string          `json:"from,omitzero"`
	Target  string          `json:"target,omitzero"`
	Account string          `json:"account,omitzero"`
	Region  string          `json:"region,omitzero"`
	Share   float64         `json:"share,omitzero"`
	Times   int             `json:"times,omitzero"`
	Delay   string          `json:"delay,omitzero"` // such as 90s
	For     string          `json:"for,omitzero"`   // how long, in lab time
}

// Faults are those of the present.
func (l *Lab) Faults() []Fault {
	out := []Fault{}
	now := l.Cloud.Clock.Now()
	for _, f := range l.Cloud.Faults.List() {
		r := Fault{
			ID: f.ID, Kind: f.Kind, Service: f.Service, Action: f.Action, From: f.From, Target: f.Target, Account: f.Account, Region: f.Region,
			Share: f.Share, Times: f.Times,
		}
		if f.Delay > 0 {
			r.Delay = f.Delay.String()
		}
		if !f.Until.IsZero() {
			r.For = max(f.Until.Sub(now), 0).String()
		}
		out = append(out, r)
	}
	return out
}

// AddFault makes something go wrong from now on, and gives the fault's id. Its errors are *cloud.FaultErrors.
func (l *Lab) AddFault(f Fault) (string, error) {
	if err := l.checkFault(f); err != nil {
		return "", err
	}
	fault := cloud.Fault{
		Kind: f.Kind, Service: f.Service, Action: f.Action, From: f.From, Target: f.Target, Account: f.Account, Region: f.Region,
		Share: f.Share, Times: f.Times,
	}
	if f.Delay != "" {
		delay, err := time.ParseDuration(f.Delay)
		if err != nil {
			return "", &cloud.FaultError{Field: "delay", Value: strconv.Quote(f.Delay), Want: "a time such as 90s or 5m"}
		}
		fault.Delay = delay
	}
	if f.For != "" {
		lasts, err := time.ParseDuration(f.For)
		if err != nil || lasts <= 0 {
			return "", &cloud.FaultError{Field: "for", Value: strconv.Quote(f.For), Want: "a time such as 90s or 5m"}
		}
		fault.Until = l.Cloud.Clock.Now().Add(lasts)
	}
	return l.Cloud.Faults.Add(fault)
}

// endpoints are the services of occasions that are none of AWS's: what SNS posts to.
var endpoints = []string{"http", "https"}

// checkFault finds names that nothing in the lab has: such a fault would never happen.
func (l *Lab) checkFault(f Fault) error {
	if f.Service != "" && l.inspectors[f.Service] == nil && !slices.Contains(endpoints, f.Service) {
		known := slices.Concat(slices.Collect(maps.Keys(l.inspectors)), endpoints)
		slices.Sort(known)
		return &cloud.FaultError{Field: "service", Value: strconv.Quote(f.Service), Want: "one of " + strings.Join(known, ", ")}
	}
	if f.Account != "" && !cloud.IsAccountID(f.Account) {
		return &cloud.FaultError{Field: "account", Value: strconv.Quote(f.Account), Want: "12 digits"}
	}
	if r, known := cloud.FindRegion(f.Region); f.Region != "" && (!known || r.Partition != l.Cloud.Partition) {
		return &cloud.FaultError{Field: "region", Value: strconv.Quote(f.Region), Want: "a region of partition " + l.Cloud.Partition}
	}
	return nil
}

func (l *Lab) askFault(r *http.Request) (any, error) {
	var in Fault
	if err := read(r, &in); err != nil {
		return nil, err
	}
	id, err := l.AddFault(in)
	if err != nil {
		return nil, err
	}
	return map[string]string{"id": id}, nil
}
