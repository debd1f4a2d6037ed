package cloudformation

import (
	"context"
	"maps"
	"slices"
	"strings"
)

// revertDrift is the DeploymentMode of a change set that also takes back what was changed behind the stack's back.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/drift-aware-change-sets.html
const revertDrift = "REVERT_DRIFT"

// A liveState is how a resource is that is not as its stack has made it.
type liveState struct {
	gone       bool
	properties map[string]any // those that differ
}

// live looks at all resources of a stack, as far as they can be read, and tells of those that differ.
func (w *worker) live(ctx context.Context) map[string]liveState {
	out := make(map[string]liveState)
	for _, r := range w.stack.sorted() {
		w.look(ctx, r)
		switch r.drift {
		case gone:
			out[r.logical] = liveState{gone: true}
		case modified:
			state := liveState{properties: make(map[string]any)}
			for _, d := range r.differences {
				name, _, _ := strings.Cut(strings.TrimPrefix(d.PropertyPath, "/"), "/")
				state.properties[name] = r.actual[name]
			}
			out[r.logical] = state
		}
	}
	return out
}

// as is a copy of the stack with its resources as they are: what is gone has no id, and will be made again.
func (st *stack) as(live map[string]liveState) *stack {
	if len(live) == 0 {
		return st
	}
	out := *st
	out.resources = maps.Clone(st.resources)
	for _, name := range slices.Sorted(maps.Keys(live)) {
		r, there := st.resources[name]
		if !there {
			continue
		}
		now := *r
		if live[name].gone {
			now.physical = ""
		} else {
			now.properties = maps.Clone(r.properties)
			maps.Copy(now.properties, live[name].properties)
		}
		out.resources[name] = &now
	}
	return &out
}
