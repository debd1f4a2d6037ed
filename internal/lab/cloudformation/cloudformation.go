// Package cloudformation is the lab's AWS CloudFormation: stacks, change sets and StackSets.
//
// What a template asks for is made in the lab's own services, through their public operations, as the caller or in the
// stack's role: permissions count, and a resource that somebody changes behind the stack's back has drifted. Work goes in
// waves on the lab's clock: what needs nothing that is not there yet is made together, a second each.
//
// # What is different
//
// Only the resource types in kinds are there. Change sets import nothing, and say whether a resource of the stack would
// change, not which properties of others follow from that. Macros, transforms, rules, nested stacks, parameters of
// Systems Manager, notifications, resource signals, timeouts and stack policies are not there, or kept and not gone by.
// An account that moves into a unit gets the unit's StackSets only if it joins the organisation there.
//
// https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_Operations.html
package cloudformation

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/wire"
)

// A Service is CloudFormation of all accounts and regions.
type Service struct {
	cloud *cloud.Cloud

	mu    sync.Mutex
	cells map[cloud.Place]*cell // guarded by mu, like all that hangs on it
}

// A cell is what there is in one account and region. Deleted stacks stay, under their ids.
type cell struct {
	stacks map[string]*stack // by name, those that are not deleted
	byID   map[string]*stack // all
	order  []*stack          // in the order of their making
	sets   map[string]*stackSet
	drifts map[string]*detection
}

// maxStacks is the quota of an account in a region. maxDeleted is how many deleted ones are remembered: the newest.
const (
	maxStacks  = 2000
	maxDeleted = 1000
)

// step is how long the work on a resource takes.
const step = time.Second

// New makes the service with no stacks.
func New(c *cloud.Cloud) *Service {
	s := &Service{cloud: c, cells: make(map[cloud.Place]*cell)}
	c.Accounts.Watch(s.joined)
	return s
}

// at gives what there is at a place. Requires mu.
func (s *Service) at(p cloud.Place) *cell {
	c := s.cells[p]
	if c == nil {
		c = &cell{
			stacks: make(map[string]*stack), byID: make(map[string]*stack), sets: make(map[string]*stackSet), drifts: make(map[string]*detection),
		}
		s.cells[p] = c
	}
	return c
}

// prefix is that of ARNs and of permissions.
const prefix = "cloudformation"

// Wire is the service as it is on the wire.
func (s *Service) Wire() *wire.Service {
	operations := s.stackOperations()
	maps.Copy(operations, s.setOperations())
	return &wire.Service{
		Name: prefix, Protocols: []wire.Protocol{wire.Query}, Version: "2010-05-15",
		Namespace: "http://cloudformation.amazonaws.com/doc/2010-05-15/", Operations: operations,
	}
}

func (s *Service) stackOperations() map[string]wire.Operation {
	of := resourceOfStack
	return map[string]wire.Operation{
		"CancelUpdateStack":                 {Resource: of, Do: wire.Do(s.cancelUpdate)},
		"ContinueUpdateRollback":            {Resource: of, Do: wire.Do(s.continueRollback)},
		"CreateChangeSet":                   {Resource: of, Do: wire.Do(s.createChangeSet)},
		"CreateStack":                       {Resource: of, Do: wire.Do(s.createStack)},
		"DeleteChangeSet":                   {Resource: of, Do: wire.Do(s.deleteChangeSet)},
		"DeleteStack":                       {Resource: of, Do: wire.Do(s.deleteStack)},
		"DescribeChangeSet":                 {Resource: of, Do: wire.Do(s.describeChangeSet)},
		"DescribeStackDriftDetectionStatus": {Do: wire.Do(s.describeDetection)},
		"DescribeStackEvents":               {Resource: of, Do: wire.Do(s.describeEvents)},
		"DescribeStackResource":             {Resource: of, Do: wire.Do(s.describeResource)},
		"DescribeStackResourceDrifts":       {Resource: of, Do: wire.Do(s.describeDrifts)},
		"DescribeStackResources":            {Resource: of, Do: wire.Do(s.describeResources)},
		"DescribeStacks":                    {Resource: of, Do: wire.Do(s.describeStacks)},
		"DetectStackDrift":                  {Resource: of, Do: wire.Do(s.detectDrift)},
		"DetectStackResourceDrift":          {Resource: of, Do: wire.Do(s.detectResourceDrift)},
		"ExecuteChangeSet":                  {Resource: of, Do: wire.Do(s.executeChangeSet)},
		"GetStackPolicy":                    {Resource: of, Do: wire.Do(s.getPolicy)},
		"GetTemplate":                       {Resource: of, Do: wire.Do(s.getTemplate)},
		"GetTemplateSummary":                {Do: wire.Do(s.templateSummary)},
		"ListChangeSets":                    {Resource: of, Do: wire.Do(s.listChangeSets)},
		"ListExports":                       {Do: wire.Do(s.listExports)},
		"ListImports":                       {Do: wire.Do(s.listImports)},
		"ListStackResources":                {Resource: of, Do: wire.Do(s.listResources)},
		"ListStacks":                        {Do: wire.Do(s.listStacks)},
		"SetStackPolicy":                    {Resource: of, Do: wire.Do(s.setPolicy)},
		"UpdateStack":                       {Resource: of, Do: wire.Do(s.updateStack)},
		"UpdateTerminationProtection":       {Resource: of, Do: wire.Do(s.updateProtection)},
		"ValidateTemplate":                  {Do: wire.Do(s.validateTemplate)},
	}
}

// resourceOfStack is what the permission of a call is about: the stack, by its name or id.
func resourceOfStack(c *wire.Call) string {
	name := c.HTTP.Form.Get("StackName")
	switch {
	case strings.HasPrefix(name, "arn:"):
		return name
	case name == "":
		return "*"
	}
	return c.ARN(prefix, "stack/"+name+"/*")
}

// maxInspected is how many stacks Inspect shows.
const maxInspected = 2000

type stackView struct {
	Name      string            `json:"name"`
	Account   string            `json:"account"`
	Region    string            `json:"region"`
	Status    string            `json:"status"`
	Reason    string            `json:"reason,omitempty"`
	Drift     string            `json:"drift"`
	Resources map[string]string `json:"resources,omitempty"` // type, status and physical id
	Outputs   map[string]string `json:"outputs,omitempty"`
}

// Inspect is the state, for people: the stacks that are not deleted, by account, region and name.
func (s *Service) Inspect() any {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := []stackView{}
	for _, p := range s.places() {
		for _, name := range slices.Sorted(maps.Keys(s.cells[p].stacks)) {
			if len(out) == maxInspected {
				return out
			}
			st := s.cells[p].stacks[name]
			v := stackView{
				Name: name, Account: p.Account, Region: p.Region, Status: st.status, Reason: st.reason, Drift: st.drift,
				Resources: make(map[string]string), Outputs: make(map[string]string),
			}
			for logical, r := range st.resources {
				v.Resources[logical] = r.kind + " " + r.status + " " + r.physical
			}
			for _, o := range st.outputs {
				v.Outputs[o.OutputKey] = o.OutputValue
			}
			out = append(out, v)
		}
	}
	return out
}

// places are the places with cells, by account and region. Requires mu.
func (s *Service) places() []cloud.Place {
	return slices.SortedFunc(maps.Keys(s.cells), func(a, b cloud.Place) int {
		if n := strings.Compare(a.Account, b.Account); n != 0 {
			return n
		}
		return strings.Compare(a.Region, b.Region)
	})
}

func validation(format string, args ...any) error {
	return wire.Errorf("ValidationError", format, args...)
}
