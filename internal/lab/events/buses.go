package events

import (
	"context"
	"maps"
	"slices"
	"strings"

	"example.org/catchment/internal/lab/wire"
)

// maxBuses is the quota of an account in a region.
const maxBuses = 100

type deadLetterConfig struct {
	Arn string `json:",omitzero"`
}

type logConfig struct {
	IncludeDetail string `json:",omitzero"`
	Level         string `json:",omitzero"`
}

type eventBusInput struct {
	Name             string
	EventSourceName  string
	Description      string
	KmsKeyIdentifier string
	DeadLetterConfig *deadLetterConfig
	LogConfig        *logConfig
	Tags             []tag
}

type eventBusOutput struct {
	Name             string            `json:",omitzero"`
	Arn              string            `json:",omitzero"`
	EventBusArn      string            `json:",omitzero"` // of CreateEventBus
	Description      string            `json:",omitzero"`
	KmsKeyIdentifier string            `json:",omitzero"`
	DeadLetterConfig *deadLetterConfig `json:",omitzero"`
	LogConfig        *logConfig        `json:",omitzero"`
	Policy           string            `json:",omitzero"`
	CreationTime     wire.Epoch        `json:",omitzero"`
	LastModifiedTime wire.Epoch        `json:",omitzero"`
}

func (in *eventBusInput) check() error {
	var c checks
	c.text(in.Description, "description", 512, nil)
	c.text(in.KmsKeyIdentifier, "kmsKeyIdentifier", 2048, nil)
	if in.LogConfig != nil {
		c.oneOf(in.LogConfig.Level, "logConfig.level", "OFF", "ERROR", "INFO", "TRACE")
		c.oneOf(in.LogConfig.IncludeDetail, "logConfig.includeDetail", "NONE", "FULL")
	}
	if in.DeadLetterConfig != nil {
		c.text(in.DeadLetterConfig.Arn, "deadLetterConfig.arn", 1600, nil)
	}
	return c.err()
}

func (s *Service) createEventBus(_ context.Context, c *wire.Call, in *eventBusInput) (*eventBusOutput, error) {
	var check checks
	check.required(in.Name, "name", 256, busForm)
	if err := check.err(); err != nil {
		return nil, err
	}
	if err := in.check(); err != nil {
		return nil, err
	}
	tags, err := newTags(nil, in.Tags)
	switch {
	case err != nil:
		return nil, err
	case in.EventSourceName != "":
		return nil, wire.Errorf("ResourceNotFoundException", "Event source %s does not exist.", clip(in.EventSourceName))
	case strings.Contains(in.Name, "/"):
		return nil, invalid("Event bus name must not contain '/'.")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	here := s.at(c.Place)
	if in.Name == defaultBus || here.buses[in.Name] != nil {
		return nil, wire.Errorf("ResourceAlreadyExistsException", "Event bus %s already exists.", in.Name)
	}
	s.bus(c.Place, defaultBus)
	if len(here.buses) > maxBuses {
		return nil, tooMany()
	}
	b := s.addBus(c.Place, in.Name, s.now())
	b.tags = tags
	b.description, b.key, b.deadLetter, b.log = in.Description, in.KmsKeyIdentifier, in.DeadLetterConfig, in.LogConfig
	return &eventBusOutput{
		EventBusArn: b.arn, Description: b.description, KmsKeyIdentifier: b.key, DeadLetterConfig: b.deadLetter, LogConfig: b.log,
	}, nil
}

// updateEventBus resets what is omitted, like all of EventBridge's updates.
func (s *Service) updateEventBus(_ context.Context, c *wire.Call, in *eventBusInput) (*eventBusOutput, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.findBus(c.Place, in.Name)
	if err != nil {
		return nil, err
	}
	b.description, b.key, b.deadLetter, b.log = in.Description, in.KmsKeyIdentifier, in.DeadLetterConfig, in.LogConfig
	b.modified = s.now()
	out := b.shown()
	out.Policy, out.CreationTime, out.LastModifiedTime = "", wire.Epoch{}, wire.Epoch{}
	return out, nil
}

type busNameInput struct{ Name string }

func (s *Service) deleteEventBus(_ context.Context, c *wire.Call, in *busNameInput) (*nothing, error) {
	var check checks
	check.required(in.Name, "name", 256, busForm)
	if err := check.err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if in.Name == defaultBus {
		return nil, invalid("Cannot delete event bus default.")
	}
	b := s.at(c.Place).buses[in.Name]
	if b == nil {
		return nil, nil // AWS is content, too
	}
	if len(b.rules) > 0 {
		return nil, invalid("Event bus %s cannot be deleted since it has rules.", b.name)
	}
	delete(s.at(c.Place).buses, in.Name)
	return nil, nil
}

func (b *bus) shown() *eventBusOutput {
	return &eventBusOutput{
		Name: b.name, Arn: b.arn, Description: b.description, KmsKeyIdentifier: b.key, DeadLetterConfig: b.deadLetter,
		LogConfig: b.log, Policy: string(b.policy.text()), CreationTime: wire.Epoch{Time: b.created}, LastModifiedTime: wire.Epoch{Time: b.modified},
	}
}

func (s *Service) describeEventBus(_ context.Context, c *wire.Call, in *busNameInput) (*eventBusOutput, error) {
	var check checks
	check.text(in.Name, "name", 1600, busARNForm)
	if err := check.err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.findBus(c.Place, in.Name)
	if err != nil {
		return nil, err
	}
	return b.shown(), nil
}

type listInput struct {
	NamePrefix      string
	EventBusName    string // of rules
	ConnectionArn   string // of API destinations
	ConnectionState string
	NextToken       string
	Limit           *int
}

type listEventBusesOutput struct {
	EventBuses []*eventBusOutput
	NextToken  string `json:",omitzero"`
}

func (s *Service) listEventBuses(_ context.Context, c *wire.Call, in *listInput) (*listEventBusesOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bus(c.Place, defaultBus)
	here := s.at(c.Place)
	var all []*eventBusOutput
	for _, name := range slices.Sorted(maps.Keys(here.buses)) {
		if strings.HasPrefix(name, in.NamePrefix) {
			shown := here.buses[name].shown()
			shown.KmsKeyIdentifier, shown.DeadLetterConfig, shown.LogConfig = "", nil, nil
			all = append(all, shown)
		}
	}
	some, next, err := page(all, func(b *eventBusOutput) string { return b.Name }, in.Limit, in.NextToken)
	if err != nil {
		return nil, err
	}
	return &listEventBusesOutput{some, next}, nil
}
