package kept

import (
	"maps"
	"strings"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/wire"
)

const (
	kindWorkGroup = "workgroup"
	kindQuery     = "query"
)

// NewAthena makes Athena: workgroups and named queries. None of them runs.
func NewAthena(c *cloud.Cloud) *Service {
	s := newService(c, &wire.Service{Name: "athena", Protocols: []wire.Protocol{wire.JSON11}, Target: "AmazonAthena"})
	s.wire.Operations = map[string]wire.Operation{
		"CreateWorkGroup":  do(s.createWorkGroup),
		"GetWorkGroup":     do(s.getWorkGroup),
		"UpdateWorkGroup":  do(s.updateWorkGroup),
		"DeleteWorkGroup":  do(s.deleteWorkGroup),
		"ListWorkGroups":   do(s.listWorkGroups),
		"CreateNamedQuery": do(s.createQuery),
		"UpdateNamedQuery": do(s.updateQuery),
		"GetNamedQuery":    do(s.getQuery),
		"DeleteNamedQuery": do(s.deleteQuery),
		"ListNamedQueries": do(s.listQueries),
	}
	return s
}

func invalid(format string, args ...any) *wire.Error {
	return wire.Errorf("InvalidRequestException", format, args...)
}

func noWorkGroup(name string) error { return invalid("WorkGroup %s is not found.", name) }

// primary is the workgroup that each account has.
const primary = "primary"

func (s *Service) workGroup(c *wire.Call, name string) (record, error) {
	r, there := s.get(c.Place, keyOf(kindWorkGroup, name))
	switch {
	case there:
		return r, nil
	case name == primary:
		return record{"Name": primary, "State": "ENABLED", "Configuration": record{}}, nil
	}
	return nil, noWorkGroup(name)
}

func (s *Service) createWorkGroup(c *wire.Call, in record) (answer, error) {
	name := in.text("Name")
	if name == "" || len(name) > 128 {
		return nil, invalid("Name: expected 1 to 128 letters")
	}
	if _, err := s.workGroup(c, name); err == nil {
		return nil, invalid("WorkGroup is already created")
	}
	r := in.without("Tags")
	r["State"], r["CreationTime"] = "ENABLED", wire.Epoch{Time: s.cloud.Clock.Now()}
	if r["Configuration"] == nil {
		r["Configuration"] = record{}
	}
	return nil, s.put(c.Place, keyOf(kindWorkGroup, name), r, invalid("too many workgroups"))
}

func (s *Service) getWorkGroup(c *wire.Call, in record) (answer, error) {
	r, err := s.workGroup(c, in.text("WorkGroup"))
	if err != nil {
		return nil, err
	}
	return answer{"WorkGroup": r}, nil
}

func (s *Service) updateWorkGroup(c *wire.Call, in record) (answer, error) {
	r, err := s.workGroup(c, in.text("WorkGroup"))
	if err != nil {
		return nil, err
	}
	for _, member := range []string{"Description", "State"} {
		if in[member] != nil {
			r[member] = in[member]
		}
	}
	configuration := r.object("Configuration").without()
	if configuration == nil {
		configuration = record{}
	}
	for name, v := range in.object("ConfigurationUpdates") {
		if short, ok := strings.CutSuffix(name, "Updates"); ok { // ResultConfigurationUpdates
			was, _ := configuration[short].(map[string]any)
			merged := maps.Clone(was)
			if merged == nil {
				merged = map[string]any{}
			}
			change, _ := v.(map[string]any)
			maps.Copy(merged, change)
			configuration[short] = merged
			continue
		}
		configuration[name] = v
	}
	r["Configuration"] = map[string]any(configuration)
	return nil, s.put(c.Place, keyOf(kindWorkGroup, in.text("WorkGroup")), r, invalid("too many workgroups"))
}

func (s *Service) deleteWorkGroup(c *wire.Call, in record) (answer, error) {
	name := in.text("WorkGroup")
	recursive, _ := in["RecursiveDeleteOption"].(bool)
	queries := s.queriesOf(c, name)
	if len(queries) > 0 && !recursive {
		return nil, invalid("WorkGroup %s is not empty", name)
	}
	if !s.drop(c.Place, keyOf(kindWorkGroup, name)) {
		return nil, noWorkGroup(name)
	}
	for _, r := range queries {
		s.drop(c.Place, keyOf(kindQuery, r.text("NamedQueryId")))
	}
	return nil, nil
}

func (s *Service) listWorkGroups(c *wire.Call, in record) (answer, error) {
	var all []record
	for _, r := range s.list(c.Place, keyOf(kindWorkGroup, "")) {
		all = append(all, r.without("Configuration"))
	}
	some, next := page(all, in.text("NextToken"), in.number("MaxResults"), 50)
	return answer{"WorkGroups": some, "NextToken": next}, nil
}

func (s *Service) queriesOf(c *wire.Call, workGroup string) []record {
	var out []record
	for _, r := range s.list(c.Place, keyOf(kindQuery, "")) {
		if r.text("WorkGroup") == workGroup {
			out = append(out, r)
		}
	}
	return out
}

func (s *Service) createQuery(c *wire.Call, in record) (answer, error) {
	for _, member := range []string{"Name", "Database", "QueryString"} {
		if in.text(member) == "" {
			return nil, invalid("%s is missing", member)
		}
	}
	r := in.without("ClientRequestToken")
	if r.text("WorkGroup") == "" {
		r["WorkGroup"] = primary
	}
	if _, err := s.workGroup(c, r.text("WorkGroup")); err != nil {
		return nil, err
	}
	id := s.cloud.UUID("named query")
	r["NamedQueryId"] = id
	return answer{"NamedQueryId": id}, s.put(c.Place, keyOf(kindQuery, id), r, invalid("too many queries"))
}

func (s *Service) query(c *wire.Call, in record) (record, error) {
	r, there := s.get(c.Place, keyOf(kindQuery, in.text("NamedQueryId")))
	if !there {
		return nil, invalid("NamedQuery %s was not found", in.text("NamedQueryId"))
	}
	return r, nil
}

func (s *Service) updateQuery(c *wire.Call, in record) (answer, error) {
	r, err := s.query(c, in)
	if err != nil {
		return nil, err
	}
	maps.Copy(r, in)
	return nil, s.put(c.Place, keyOf(kindQuery, in.text("NamedQueryId")), r, invalid("too many queries"))
}

func (s *Service) getQuery(c *wire.Call, in record) (answer, error) {
	r, err := s.query(c, in)
	if err != nil {
		return nil, err
	}
	return answer{"NamedQuery": r}, nil
}

func (s *Service) deleteQuery(c *wire.Call, in record) (answer, error) {
	if _, err := s.query(c, in); err != nil {
		return nil, err
	}
	s.drop(c.Place, keyOf(kindQuery, in.text("NamedQueryId")))
	return nil, nil
}

func (s *Service) listQueries(c *wire.Call, in record) (answer, error) {
	group := in.text("WorkGroup")
	if group == "" {
		group = primary
	}
	some, next := page(s.queriesOf(c, group), in.text("NextToken"), in.number("MaxResults"), 50)
	ids := []string{}
	for _, r := range some {
		ids = append(ids, r.text("NamedQueryId"))
	}
	return answer{"NamedQueryIds": ids, "NextToken": next}, nil
}
