package kept

import (
	"strings"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/wire"
)

const (
	kindDatabase = "database"
	kindTable    = "table"
)

// NewGlue makes Glue's catalogue: databases and tables.
func NewGlue(c *cloud.Cloud) *Service {
	s := newService(c, &wire.Service{Name: "glue", Protocols: []wire.Protocol{wire.JSON11}, Target: "AWSGlue"})
	s.wire.Operations = map[string]wire.Operation{
		"CreateDatabase": do(s.putDatabase(true)),
		"UpdateDatabase": do(s.putDatabase(false)),
		"GetDatabase":    do(s.getDatabase),
		"GetDatabases":   do(s.getDatabases),
		"DeleteDatabase": do(s.deleteDatabase),
		"CreateTable":    do(s.putTable(true)),
		"UpdateTable":    do(s.putTable(false)),
		"GetTable":       do(s.getTable),
		"GetTables":      do(s.getTables),
		"DeleteTable":    do(s.deleteTable),
	}
	return s
}

func notFound(what, name string) error {
	return wire.Errorf("EntityNotFoundException", "%s %s not found.", what, name)
}

func fullGlue() *wire.Error {
	return wire.Errorf("ResourceNumberLimitExceededException", "Number of resources is beyond the limit")
}

// low is how Glue keeps names.
func low(name string) string { return strings.ToLower(name) }

// entered checks an input's name, and whether it is there as the operation wants it.
func (s *Service) entered(c *wire.Call, what, name, key string, create bool) (record, error) {
	if name == "" || len(name) > 255 {
		return nil, wire.Errorf("InvalidInputException", "%s name: expected 1 to 255 letters", what)
	}
	old, there := s.get(c.Place, key)
	switch {
	case create && there:
		return nil, wire.Errorf("AlreadyExistsException", "%s already exists.", what)
	case !create && !there:
		return nil, notFound(what, name)
	}
	return old, nil
}

func (s *Service) putDatabase(create bool) func(*wire.Call, record) (answer, error) {
	return func(c *wire.Call, in record) (answer, error) {
		input := in.object("DatabaseInput")
		name := low(input.text("Name"))
		if !create {
			name = low(in.text("Name"))
		}
		key := keyOf(kindDatabase, name)
		old, err := s.entered(c, "Database", name, key, create)
		if err != nil {
			return nil, err
		}
		r := input.without()
		r["Name"], r["CatalogId"], r["CreateTime"] = name, c.Account, wire.Epoch{Time: s.cloud.Clock.Now()}
		if !create {
			r["CreateTime"] = old["CreateTime"]
		}
		return nil, s.put(c.Place, key, r, fullGlue())
	}
}

func (s *Service) getDatabase(c *wire.Call, in record) (answer, error) {
	r, there := s.get(c.Place, keyOf(kindDatabase, low(in.text("Name"))))
	if !there {
		return nil, notFound("Database", in.text("Name"))
	}
	return answer{"Database": r}, nil
}

func (s *Service) getDatabases(c *wire.Call, in record) (answer, error) {
	some, next := page(s.list(c.Place, keyOf(kindDatabase, "")), in.text("NextToken"), in.number("MaxResults"), 100)
	return answer{"DatabaseList": some, "NextToken": next}, nil
}

// deleteDatabase deletes its tables with it.
func (s *Service) deleteDatabase(c *wire.Call, in record) (answer, error) {
	if !s.drop(c.Place, keyOf(kindDatabase, low(in.text("Name")))) {
		return nil, notFound("Database", in.text("Name"))
	}
	return nil, nil
}

func tableKey(in record, name string) string {
	return keyOf(kindDatabase, low(in.text("DatabaseName")), kindTable, low(name))
}

func (s *Service) putTable(create bool) func(*wire.Call, record) (answer, error) {
	return func(c *wire.Call, in record) (answer, error) {
		if _, there := s.get(c.Place, keyOf(kindDatabase, low(in.text("DatabaseName")))); !there {
			return nil, notFound("Database", in.text("DatabaseName"))
		}
		input := in.object("TableInput")
		name := low(input.text("Name"))
		key := tableKey(in, name)
		old, err := s.entered(c, "Table", name, key, create)
		if err != nil {
			return nil, err
		}
		now := wire.Epoch{Time: s.cloud.Clock.Now()}
		r := input.without()
		r["Name"], r["DatabaseName"], r["CatalogId"], r["CreateTime"], r["UpdateTime"] = name, low(in.text("DatabaseName")), c.Account, now, now
		if !create {
			r["CreateTime"] = old["CreateTime"]
		}
		return nil, s.put(c.Place, key, r, fullGlue())
	}
}

func (s *Service) getTable(c *wire.Call, in record) (answer, error) {
	r, there := s.get(c.Place, tableKey(in, in.text("Name")))
	if !there {
		return nil, notFound("Entity", in.text("Name"))
	}
	return answer{"Table": r}, nil
}

func (s *Service) getTables(c *wire.Call, in record) (answer, error) {
	if _, there := s.get(c.Place, keyOf(kindDatabase, low(in.text("DatabaseName")))); !there {
		return nil, notFound("Database", in.text("DatabaseName"))
	}
	some, next := page(s.list(c.Place, tableKey(in, "")), in.text("NextToken"), in.number("MaxResults"), 100)
	return answer{"TableList": some, "NextToken": next}, nil
}

func (s *Service) deleteTable(c *wire.Call, in record) (answer, error) {
	if !s.drop(c.Place, tableKey(in, in.text("Name"))) {
		return nil, notFound("Table", in.text("Name"))
	}
	return nil, nil
}
