package kept

import (
	"strings"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/wire"
)

const (
	kindGroup  = "group"
	kindStream = "stream"
)

// NewLogs makes CloudWatch Logs: groups and streams, without what would be in them.
func NewLogs(c *cloud.Cloud) *Service {
	s := newService(c, &wire.Service{Name: "logs", Protocols: []wire.Protocol{wire.JSON11}, Target: "Logs_20140328"})
	s.wire.Operations = map[string]wire.Operation{
		"CreateLogGroup":        do(s.createGroup),
		"DeleteLogGroup":        do(s.deleteGroup),
		"DescribeLogGroups":     do(s.describeGroups),
		"PutRetentionPolicy":    do(s.setGroup("retentionInDays")),
		"DeleteRetentionPolicy": do(s.setGroup("retentionInDays")),
		"AssociateKmsKey":       do(s.setGroup("kmsKeyId")),
		"DisassociateKmsKey":    do(s.setGroup("kmsKeyId")),
		"CreateLogStream":       do(s.createStream),
		"DeleteLogStream":       do(s.deleteStream),
		"DescribeLogStreams":    do(s.describeStreams),
	}
	return s
}

func noGroup() error {
	return wire.Errorf("ResourceNotFoundException", "The specified log group does not exist.")
}

func fullLogs() *wire.Error { return wire.Errorf("LimitExceededException", "Resource limit exceeded.") }

func (s *Service) createGroup(c *wire.Call, in record) (answer, error) {
	name := in.text("logGroupName")
	if name == "" || len(name) > 512 {
		return nil, wire.Errorf("InvalidParameterException", "1 validation error detected: Value at 'logGroupName' failed to satisfy constraint: "+
			"Member must have length from 1 to 512")
	}
	if _, there := s.get(c.Place, keyOf(kindGroup, name)); there {
		return nil, wire.Errorf("ResourceAlreadyExistsException", "The specified log group already exists")
	}
	arn := c.ARN("logs", "log-group:"+name)
	r := record{
		"logGroupName": name, "creationTime": s.cloud.Clock.Now().UnixMilli(), "metricFilterCount": 0, "storedBytes": 0, "arn": arn + ":*",
		"logGroupArn": arn, "logGroupClass": "STANDARD",
	}
	for _, member := range []string{"kmsKeyId", "logGroupClass"} {
		if in[member] != nil {
			r[member] = in[member]
		}
	}
	return nil, s.put(c.Place, keyOf(kindGroup, name), r, fullLogs())
}

func (s *Service) deleteGroup(c *wire.Call, in record) (answer, error) {
	if !s.drop(c.Place, keyOf(kindGroup, in.text("logGroupName"))) {
		return nil, noGroup()
	}
	return nil, nil
}

// setGroup sets one member of a group, or takes it away where the request has none.
func (s *Service) setGroup(member string) func(*wire.Call, record) (answer, error) {
	return func(c *wire.Call, in record) (answer, error) {
		key := keyOf(kindGroup, in.text("logGroupName"))
		r, there := s.get(c.Place, key)
		if !there {
			return nil, noGroup()
		}
		delete(r, member)
		if in[member] != nil {
			r[member] = in[member]
		}
		return nil, s.put(c.Place, key, r, fullLogs())
	}
}

func (s *Service) describeGroups(c *wire.Call, in record) (answer, error) {
	var all []record
	for _, r := range s.list(c.Place, keyOf(kindGroup, in.text("logGroupNamePrefix"))) {
		if strings.Contains(r.text("logGroupName"), in.text("logGroupNamePattern")) {
			all = append(all, r)
		}
	}
	some, next := page(all, in.text("nextToken"), in.number("limit"), 50)
	return answer{"logGroups": some, "nextToken": next}, nil
}

func streamKey(in record) string {
	return keyOf(kindGroup, in.text("logGroupName"), kindStream, in.text("logStreamName"))
}

func (s *Service) createStream(c *wire.Call, in record) (answer, error) {
	if _, there := s.get(c.Place, keyOf(kindGroup, in.text("logGroupName"))); !there {
		return nil, noGroup()
	}
	if _, there := s.get(c.Place, streamKey(in)); there {
		return nil, wire.Errorf("ResourceAlreadyExistsException", "The specified log stream already exists")
	}
	return nil, s.put(c.Place, streamKey(in), record{
		"logStreamName": in.text("logStreamName"), "creationTime": s.cloud.Clock.Now().UnixMilli(), "storedBytes": 0,
		"arn": c.ARN("logs", "log-group:"+in.text("logGroupName")+":log-stream:"+in.text("logStreamName")),
	}, fullLogs())
}

func (s *Service) deleteStream(c *wire.Call, in record) (answer, error) {
	if !s.drop(c.Place, streamKey(in)) {
		return nil, wire.Errorf("ResourceNotFoundException", "The specified log stream does not exist.")
	}
	return nil, nil
}

func (s *Service) describeStreams(c *wire.Call, in record) (answer, error) {
	if _, there := s.get(c.Place, keyOf(kindGroup, in.text("logGroupName"))); !there {
		return nil, noGroup()
	}
	all := s.list(c.Place, keyOf(kindGroup, in.text("logGroupName"), kindStream, in.text("logStreamNamePrefix")))
	some, next := page(all, in.text("nextToken"), in.number("limit"), 50)
	return answer{"logStreams": some, "nextToken": next}, nil
}
