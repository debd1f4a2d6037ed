package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"example.org/catchment/internal/config"
	"example.org/catchment/internal/pattern"
	"example.org/catchment/internal/prefix"
)

// specChecks are what package config does not know: whether patterns, jq and prefixes can be compiled.
func specChecks() []config.Check { return []config.Check{checkStreams} }

func checkStreams(spec *config.Spec, report func(config.Fault)) {
	for i := range spec.Streams {
		s, path := &spec.Streams[i], config.Item("streams", i)
		if len(s.Pattern) > 0 { // else it is missing, which is reported
			checkPattern(s.Pattern, config.Field(path, "pattern"), report)
		}
		keys := slices.Sorted(maps.Keys(s.PartitionKeys))
		for _, name := range keys {
			if _, err := prefix.CompileKeys([]string{name}, s.PartitionKeys); err != nil {
				checkExpression(err, config.Field(config.Field(path, "partition_keys"), name), report)
			}
		}
		if _, err := prefix.Compile(s.Prefix, prefix.Options{TimeZone: s.TimeZone, Keys: keys}); err != nil {
			checkExpression(err, config.Field(path, "prefix"), report)
		}
		if _, err := prefix.Compile(s.ErrorPrefix, prefix.Options{Error: true, TimeZone: s.TimeZone}); err != nil {
			checkExpression(err, config.Field(path, "error_prefix"), report)
		}
	}
}

// checkPattern reports a pattern's fault at its line in the spec: what the compiler calls $.detail.x[0] is a path of
// the spec too.
func checkPattern(text []byte, path string, report func(config.Fault)) {
	_, err := pattern.Compile(text)
	if err == nil {
		return
	}
	if fault, ok := errors.AsType[*pattern.SyntaxError](err); ok {
		path += strings.TrimPrefix(fault.Path, "$")
		err = errors.New(fault.Reason)
	}
	report(config.Fault{Path: path, Err: err})
}

// checkExpression reports a fault of a prefix or of jq, unless config reports it itself, at a better place.
func checkExpression(err error, path string, report func(config.Fault)) {
	fault, ok := errors.AsType[*prefix.SyntaxError](err)
	if !ok {
		report(config.Fault{Path: path, Err: err})
		return
	}
	if slices.Contains([]prefix.Code{prefix.CodeKeyUndefined, prefix.CodeKeyUnused, prefix.CodeTimeZone}, fault.Code) {
		return
	}
	report(config.Fault{
		Path: path, Err: fmt.Errorf("column %d: %s", fault.Column, fault.Problem), Want: fault.Expected, Hint: fault.Hint,
	})
}
