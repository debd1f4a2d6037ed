package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"example.org/catchment/internal/config"
	"example.org/catchment/internal/lab"
	"example.org/catchment/internal/lab/cloud"
)

// addFaults makes the faults of a file happen from the start: a list in YAML or JSON, each in the words of /_lab/faults.
// All that is wrong is told at once, with its place.
func addFaults(l *lab.Lab, name string) error {
	data, err := os.ReadFile(name) //nolint:gosec // the user's own choice
	if err != nil {
		return fmt.Errorf("read faults: %w", err)
	}
	list, err := config.ReadList(name, "faults", data)
	if err != nil {
		return err
	}
	var wrong []*config.FieldError
	for i, entries := range list {
		f, bad := faultOf(entries)
		if len(bad) == 0 {
			if _, err := l.AddFault(f); err != nil {
				bad = append(bad, place(entries, i, err))
			}
		}
		wrong = append(wrong, bad...)
	}
	if len(wrong) > 0 {
		return config.Sorted(wrong)
	}
	return nil
}

// faultOf reads one fault.
func faultOf(entries []config.Entry) (f lab.Fault, wrong []*config.FieldError) {
	texts := map[string]*string{
		"service": &f.Service, "action": &f.Action, "from": &f.From, "target": &f.Target, "account": &f.Account, "region": &f.Region,
		"delay": &f.Delay, "for": &f.For,
	}
	for i := range entries {
		e := &entries[i]
		var err error
		switch to := texts[e.Name]; {
		case to != nil:
			*to = e.Text
		case e.Name == "kind":
			f.Kind = cloud.FaultKind(e.Text)
		case e.Name == "share":
			f.Share, err = strconv.ParseFloat(e.Text, 64)
		case e.Name == "times":
			f.Times, err = strconv.Atoi(e.Text)
		default:
			wrong = append(wrong, e.Wrong("one of kind, service, action, from, target, account, region, share, times, delay, for"))
		}
		if err != nil {
			wrong = append(wrong, e.Wrong("a number"))
		}
	}
	return f, wrong
}

// place tells where in the file the field is that a fault was refused for: the fault's first where it has none.
func place(entries []config.Entry, i int, err error) *config.FieldError {
	e, ok := errors.AsType[*cloud.FaultError](err)
	if !ok {
		return entries[0].Wrong(err.Error())
	}
	for j := range entries {
		if entries[j].Name == e.Field {
			return entries[j].Wrong(e.Want)
		}
	}
	out := entries[0].Wrong(e.Want)
	out.Path, out.Value = config.Field(config.Item("", i), e.Field), ""
	return out
}
