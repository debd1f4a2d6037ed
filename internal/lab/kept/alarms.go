package kept

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/wire"
)

// alarms are CloudWatch's. They have types, for the Query protocol.
type alarms struct {
	cloud *cloud.Cloud

	mu  sync.Mutex
	all map[cloud.Place]map[string]*alarm // guarded by mu; by name
}

type dimension struct{ Name, Value string }

// An alarmInput is what PutMetricAlarm takes.
type alarmInput struct {
	AlarmName                        string
	AlarmDescription                 string `json:",omitempty"`
	ActionsEnabled                   *bool  `json:",omitempty"`
	OKActions                        []string
	AlarmActions                     []string
	InsufficientDataActions          []string
	MetricName                       string `json:",omitempty"`
	Namespace                        string `json:",omitempty"`
	Statistic                        string `json:",omitempty"`
	ExtendedStatistic                string `json:",omitempty"`
	Dimensions                       []dimension
	Period                           int    `json:",omitzero"`
	Unit                             string `json:",omitempty"`
	EvaluationPeriods                int
	DatapointsToAlarm                int `json:",omitzero"`
	Threshold                        float64
	ComparisonOperator               string
	TreatMissingData                 string `json:",omitempty"`
	EvaluateLowSampleCountPercentile string `json:",omitempty"`
}

type alarm struct {
	alarmInput
	AlarmArn                           string
	AlarmConfigurationUpdatedTimestamp wire.Epoch
	StateValue                         string
	StateReason                        string
	StateUpdatedTimestamp              wire.Epoch
}

// NewAlarms makes CloudWatch: its alarms, which stay in the state INSUFFICIENT_DATA until SetAlarmState.
func NewAlarms(c *cloud.Cloud) *Service {
	a := &alarms{cloud: c, all: make(map[cloud.Place]map[string]*alarm)}
	s := newService(c, &wire.Service{
		Name: "monitoring", Prefix: "cloudwatch", Protocols: []wire.Protocol{wire.JSON10, wire.Query}, Target: "GraniteServiceVersion20100801",
		Version: "2010-08-01", Namespace: "http://monitoring.amazonaws.com/doc/2010-08-01/", Shapes: "com.amazonaws.cloudwatch",
		Operations: map[string]wire.Operation{
			"PutMetricAlarm": {Do: wire.Do(a.put)},
			"DescribeAlarms": {Do: wire.Do(a.describe)},
			"DeleteAlarms":   {Do: wire.Do(a.remove)},
			"SetAlarmState":  {Do: wire.Do(a.setState)},
		},
	})
	s.show = a.inspect
	return s
}

// inspect is the state, for people: alarms with their states, by account and region.
func (a *alarms) inspect() any {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := make(map[string]map[string]string)
	n := 0
	for p, all := range a.all {
		shown := make(map[string]string)
		for _, name := range slices.Sorted(maps.Keys(all)) {
			if n++; n <= maxInspected {
				shown[name] = all[name].StateValue
			}
		}
		out[p.Account+" "+p.Region] = shown
	}
	return out
}

type nothing struct{}

var operators = []string{
	"GreaterThanOrEqualToThreshold", "GreaterThanThreshold", "LessThanThreshold", "LessThanOrEqualToThreshold",
}

func (a *alarms) put(_ context.Context, c *wire.Call, in *alarmInput) (*nothing, error) {
	switch {
	case in.AlarmName == "" || len(in.AlarmName) > 255:
		return nil, wire.Errorf("ValidationError", "AlarmName: expected 1 to 255 letters")
	case !slices.Contains(operators, in.ComparisonOperator):
		return nil, wire.Errorf("ValidationError", "1 validation error detected: Value '%.100s' at 'comparisonOperator' failed to satisfy constraint: "+
			"Member must satisfy enum value set: %v", in.ComparisonOperator, operators)
	case in.EvaluationPeriods < 1:
		return nil, wire.Errorf("ValidationError", "1 validation error detected: Value '%d' at 'evaluationPeriods' failed to satisfy constraint: "+
			"Member must have value greater than or equal to 1", in.EvaluationPeriods)
	case in.MetricName == "" || in.Namespace == "" || in.Period < 1 || in.Statistic == "" && in.ExtendedStatistic == "":
		return nil, wire.Errorf("ValidationError", "MetricName, Namespace, Period and Statistic or ExtendedStatistic are needed: the lab has no metric math")
	}
	on := true
	if in.ActionsEnabled == nil {
		in.ActionsEnabled = &on
	}
	now := wire.Epoch{Time: a.cloud.Clock.Now()}
	next := &alarm{*in, c.ARN("cloudwatch", "alarm:"+in.AlarmName), now, "INSUFFICIENT_DATA", "Unchecked: Initial alarm creation", now}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.all[c.Place] == nil {
		a.all[c.Place] = make(map[string]*alarm)
	}
	if old := a.all[c.Place][in.AlarmName]; old != nil {
		next.StateValue, next.StateReason, next.StateUpdatedTimestamp = old.StateValue, old.StateReason, old.StateUpdatedTimestamp
	} else if len(a.all[c.Place]) >= maxRecords {
		return nil, wire.Errorf("LimitExceeded", "The quota for alarms for this customer has already been reached.")
	}
	a.all[c.Place][in.AlarmName] = next
	return nil, nil
}

type describeInput struct {
	AlarmNames      []string
	AlarmNamePrefix string
	StateValue      string
	MaxRecords      int
	NextToken       string
}

type describeOutput struct {
	MetricAlarms    []alarm
	CompositeAlarms []nothing
	NextToken       string `json:",omitempty"`
}

// maxAlarms is the most of a page of DescribeAlarms.
const maxAlarms = 100

func (a *alarms) describe(_ context.Context, c *wire.Call, in *describeInput) (*describeOutput, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	var all []alarm
	for _, name := range slices.Sorted(maps.Keys(a.all[c.Place])) {
		one := a.all[c.Place][name]
		if (len(in.AlarmNames) == 0 || slices.Contains(in.AlarmNames, name)) && strings.HasPrefix(name, in.AlarmNamePrefix) &&
			(in.StateValue == "" || in.StateValue == one.StateValue) {
			all = append(all, *one)
		}
	}
	size := maxAlarms
	if in.MaxRecords > 0 {
		size = min(in.MaxRecords, maxAlarms)
	}
	start, err := strconv.Atoi(in.NextToken)
	if in.NextToken != "" && (err != nil || start < 0) {
		return nil, wire.Errorf("InvalidNextToken", "The next token specified is invalid.")
	}
	start = min(start, len(all))
	end := min(start+size, len(all))
	out := &describeOutput{MetricAlarms: all[start:end]}
	if end < len(all) {
		out.NextToken = strconv.Itoa(end)
	}
	return out, nil
}

type namesInput struct{ AlarmNames []string }

// remove takes alarms away. One that is not there is an error, and then none goes.
func (a *alarms) remove(_ context.Context, c *wire.Call, in *namesInput) (*nothing, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, name := range in.AlarmNames {
		if a.all[c.Place][name] == nil {
			return nil, wire.StatusErrorf(http.StatusNotFound, "ResourceNotFound", "Alarm %s was not found", name)
		}
	}
	for _, name := range in.AlarmNames {
		delete(a.all[c.Place], name)
	}
	return nil, nil
}

type stateInput struct{ AlarmName, StateValue, StateReason string }

func (a *alarms) setState(_ context.Context, c *wire.Call, in *stateInput) (*nothing, error) {
	if !slices.Contains([]string{"OK", "ALARM", "INSUFFICIENT_DATA"}, in.StateValue) {
		return nil, wire.Errorf("ValidationError", "StateValue %.40q: expected OK, ALARM or INSUFFICIENT_DATA", in.StateValue)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	one := a.all[c.Place][in.AlarmName]
	if one == nil {
		return nil, wire.StatusErrorf(http.StatusNotFound, "ResourceNotFound", "Alarm %.255s was not found", in.AlarmName)
	}
	one.StateValue, one.StateReason, one.StateUpdatedTimestamp = in.StateValue, in.StateReason, wire.Epoch{Time: a.cloud.Clock.Now()}
	return nil, nil
}
