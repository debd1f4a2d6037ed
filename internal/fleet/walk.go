package fleet

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"

	"example.org/catchment/internal/org"
	"example.org/catchment/internal/template"
)

// Plan tells what Deploy would do, and does nothing. Its error is that ctx has ended: all else is told of the cells that
// it concerns.
func (f *Fleet) Plan(ctx context.Context) (*Result, error) { return f.walk(ctx, true) }

// Deploy makes everything as it is to be. What fails in a cell does not stop the others. When ctx ends, what is under way
// is brought to its end and nothing new is begun; then the error is ctx's.
func (f *Fleet) Deploy(ctx context.Context) (*Result, error) { return f.walk(ctx, false) }

// A walk is one plan or deploy.
type walk struct {
	*Fleet

	dry    bool
	cells  []org.Cell // in which one can work
	result *Result

	mu      sync.Mutex
	regions map[string]*regionState // guarded by mu: by region; what there was before anything was made
}

func (f *Fleet) walk(ctx context.Context, dry bool) (*Result, error) {
	w := &walk{Fleet: f, dry: dry, result: &Result{}, regions: make(map[string]*regionState)}
	reached, err := f.org.Reach(ctx)
	if err != nil {
		return w.result, err
	}
	for _, r := range reached {
		if r.State == org.Ready {
			w.cells = append(w.cells, r.Cell)
		} else {
			w.result.Apart = append(w.result.Apart, r)
		}
	}
	defer w.result.sort()
	var key string
	for _, step := range []func(){
		func() { key = w.bucket(ctx) },
		func() { each(ctx, f, f.org.Regions, w.look) },
		func() { each(ctx, f, w.cells, w.member) },
		func() { each(ctx, f, f.org.Regions, w.membership) },
		func() { w.aggregator(ctx) },
		func() {
			each(ctx, f, f.pipelines(), func(ctx context.Context, region string) { w.region(ctx, region, key) })
		},
		func() { each(ctx, f, w.stale(), w.prune) },
	} {
		if step(); ctx.Err() != nil {
			return w.result, ctx.Err()
		}
	}
	return w.result, nil
}

// do runs the work on a part of a cell, and keeps and tells what came of it.
func (w *walk) do(c org.Cell, p Part, work func() Outcome) Outcome {
	w.tell(Event{c, p, "started", nil})
	out := work()
	out.Cell, out.Part = c, p
	w.result.add(out)
	w.tell(Event{c, p, string(out.State), &out})
	return out
}

func (w *walk) ready(c org.Cell) bool { return slices.Contains(w.cells, c) }

// bucket makes the bucket's stack, and gives the ARN of its key.
func (w *walk) bucket(ctx context.Context) (key string) {
	c := w.bucketCell()
	running := context.WithoutCancel(ctx)
	out := w.do(c, PartBucket, func() Outcome {
		text, err := template.Bucket(w.Template)
		if err != nil {
			return Outcome{}.failed(err)
		}
		return w.apply(running, stack{
			cell: c, part: PartBucket, template: text, take: true,
			parameters: w.parameters(PartBucket, map[string]string{
				"BucketName": w.BucketName, "AdministratorAccount": w.org.Administrator, "OrganizationId": w.org.Organization.ID,
				"Encryption": w.Encryption,
			}),
		}, w.dry)
	})
	if out.State == Done || out.State == Unchanged || w.dry {
		if st, err := w.session(c).find(running, w.stackName(PartBucket)); err == nil && st != nil {
			return outputOf(st, "KeyArn")
		}
	}
	return ""
}

// region makes a pipeline: the function's code, if the template asks for it, then the stack.
func (w *walk) region(ctx context.Context, region, key string) {
	c := w.administrator(region)
	if !w.ready(c) {
		return
	}
	own := map[string]string{"BucketName": w.BucketName, "KeyArn": key}
	skip := ""
	if w.result.lost(w.bucketCell(), PartBucket) {
		skip = "the bucket's stack is missing"
	}
	if w.Template.Newline == template.NewlineLambda && skip == "" {
		code := w.do(c, PartCode, func() Outcome { return w.code(ctx, c, own) })
		if code.State == Failed {
			skip = "the function's code is missing"
		}
	}
	w.do(c, PartRegion, func() Outcome {
		if skip != "" {
			return Outcome{Stack: w.stackName(PartRegion), State: Skipped, Reason: skip}
		}
		text, err := template.Region(w.Template)
		if err != nil {
			return Outcome{}.failed(err)
		}
		return w.apply(ctx, stack{cell: c, part: PartRegion, template: text, parameters: w.parameters(PartRegion, own)}, w.dry)
	})
}

// aggregator makes the finding aggregator, with topology aggregated and more than one region.
func (w *walk) aggregator(ctx context.Context) {
	c := w.administrator(w.Home())
	if w.Topology != Aggregated || len(w.org.Regions) < 2 || !w.ready(c) {
		return
	}
	running := context.WithoutCancel(ctx)
	w.do(c, PartAggregator, func() Outcome {
		if w.result.lost(c, PartMember) {
			return Outcome{State: Skipped, Reason: "Security Hub is not on"}
		}
		return w.aggregate(running, c)
	})
}

// stale are the administrator's cells that have no pipeline in this topology.
func (w *walk) stale() []org.Cell {
	var out []org.Cell
	for _, region := range w.org.Regions {
		if c := w.administrator(region); !slices.Contains(w.pipelines(), region) && w.ready(c) {
			out = append(out, c)
		}
	}
	return out
}

// prune deletes a pipeline that another topology left: with it the bucket would get findings twice.
func (w *walk) prune(ctx context.Context, c org.Cell) {
	s := w.session(c)
	name := w.stackName(PartRegion)
	st, err := s.find(ctx, name)
	if err == nil && (st == nil || !ours(st, PartRegion)) {
		return
	}
	w.do(c, PartRegion, func() Outcome {
		out := Outcome{Stack: name}
		if err != nil {
			return out.failed(err)
		}
		if out.Changes, err = s.deletions(ctx, st); err != nil {
			return out.failed(err)
		}
		switch why := w.refusal(out.Changes); {
		case w.dry:
			out.State = Needed
		case why != "":
			out.State, out.Reason = Refused, why
		default:
			done := false
			if out, done = s.remove(ctx, st, nil, out); done {
				out.State = Done
			}
		}
		return out
	})
}

// deletions are the changes of deleting a stack.
func (s *session) deletions(ctx context.Context, st *types.Stack) ([]Change, error) {
	resources, err := s.resources(ctx, value(st.StackName))
	if err != nil {
		return nil, err
	}
	var out []Change
	for _, name := range sortedNames(resources) {
		r := resources[name]
		if r.ResourceStatus == types.ResourceStatusDeleteComplete {
			continue
		}
		c := Change{Action: ActionDelete, Type: value(r.ResourceType), Resource: name, Physical: value(r.PhysicalResourceId)}
		c.Danger = danger(ActionDelete, c.Type, true)
		out = append(out, c)
	}
	return out, nil
}

func sortedNames[V any](m map[string]V) []string {
	var out []string
	for name := range m {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

func (c Change) String() string {
	return fmt.Sprintf("%s %s (%s)", c.Action, c.Resource, c.Type)
}

// Expected is about how many outcomes a deploy has: for a bar that shows how far it is.
func (f *Fleet) Expected() int {
	cells, pipelines := len(f.org.Accounts)*len(f.org.Regions), len(f.pipelines())
	n := 1 + 2*cells + cells - len(f.org.Regions) + pipelines
	if f.Template.Newline == template.NewlineLambda {
		n += pipelines
	}
	return n
}
