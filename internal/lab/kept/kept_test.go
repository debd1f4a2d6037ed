package kept_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/kept"
	"example.org/catchment/internal/lab/labtest"
	"example.org/catchment/internal/lab/wire"
)

// A lab is the services, asked from inside.
type lab struct {
	t     *testing.T
	cloud *cloud.Cloud
	all   []*kept.Service
}

func newLab(t *testing.T) *lab {
	t.Helper()
	l := &lab{t: t, cloud: labtest.NewCloud(t)}
	l.all = kept.All(l.cloud)
	var on []*wire.Service
	for _, s := range l.all {
		on = append(on, s.Wire())
	}
	wire.NewServer(l.cloud, on...)
	return l
}

// ask gives the answer as JSON, or an error's code.
func (l *lab) ask(service, operation, body string) string {
	l.t.Helper()
	who := l.cloud.Accounts.Credential(labtest.Administrator).Who
	at := l.cloud.Accounts.Place(labtest.Administrator, labtest.Region)
	out, err := l.cloud.API.Call(l.t.Context(), who, at, service, operation, []byte(body))
	if e, ok := errors.AsType[*wire.Error](err); ok {
		return e.Code
	}
	if err != nil {
		l.t.Fatal(err)
	}
	return string(out)
}

func TestWhatIsKeptIsAskedForChangedAndDeleted(t *testing.T) {
	const (
		alarm = `"AlarmName":"a","Namespace":"n","MetricName":"m","Statistic":"Sum","Period":60,"EvaluationPeriods":1,"Threshold":1`
		table = `"DatabaseName":"Db","TableInput":{"Name":"T","Parameters":{"k":"v"}}`
	)
	l := newLab(t)
	for i, step := range []struct{ service, operation, body, want string }{
		{"logs", "CreateLogGroup", `{"logGroupName":""}`, "InvalidParameterException"},
		{"logs", "PutRetentionPolicy", `{"logGroupName":"g","retentionInDays":3}`, "ResourceNotFoundException"},
		{"logs", "CreateLogGroup", `{"logGroupName":"g"}`, "{}"},
		{"logs", "CreateLogGroup", `{"logGroupName":"g"}`, "ResourceAlreadyExistsException"},
		{"logs", "PutRetentionPolicy", `{"logGroupName":"g","retentionInDays":3}`, "{}"},
		{"logs", "DescribeLogGroups", `{"logGroupNamePrefix":"g"}`, `"retentionInDays":3`},
		{"logs", "CreateLogStream", `{"logGroupName":"h","logStreamName":"s"}`, "ResourceNotFoundException"},
		{"logs", "CreateLogStream", `{"logGroupName":"g","logStreamName":"s"}`, "{}"},
		{"logs", "CreateLogStream", `{"logGroupName":"g","logStreamName":"s"}`, "ResourceAlreadyExistsException"},
		{"logs", "DescribeLogStreams", `{"logGroupName":"g"}`, `"logStreamName":"s"`},
		{"logs", "DeleteLogGroup", `{"logGroupName":"g"}`, "{}"},
		{"logs", "DescribeLogStreams", `{"logGroupName":"g"}`, "ResourceNotFoundException"},
		{"logs", "DeleteLogGroup", `{"logGroupName":"g"}`, "ResourceNotFoundException"},

		{"glue", "CreateTable", `{` + table + `}`, "EntityNotFoundException"},
		{"glue", "CreateDatabase", `{"DatabaseInput":{"Name":"Db"}}`, "{}"},
		{"glue", "CreateDatabase", `{"DatabaseInput":{"Name":"db"}}`, "AlreadyExistsException"},
		{"glue", "CreateDatabase", `{"DatabaseInput":{}}`, "InvalidInputException"},
		{"glue", "CreateTable", `{` + table + `}`, "{}"},
		{"glue", "GetTable", `{"DatabaseName":"db","Name":"t"}`, `"Parameters":{"k":"v"}`},
		{"glue", "UpdateTable", strings.Replace(`{`+table+`}`, `"v"`, `"w"`, 1), "{}"},
		{"glue", "GetTables", `{"DatabaseName":"db"}`, `"Parameters":{"k":"w"}`},
		{"glue", "UpdateDatabase", `{"Name":"db","DatabaseInput":{"Description":"d"}}`, "{}"},
		{"glue", "GetDatabases", `{}`, `"Description":"d"`},
		{"glue", "DeleteTable", `{"DatabaseName":"db","Name":"t"}`, "{}"},
		{"glue", "DeleteTable", `{"DatabaseName":"db","Name":"t"}`, "EntityNotFoundException"},
		{"glue", "DeleteDatabase", `{"Name":"db"}`, "{}"},
		{"glue", "GetDatabase", `{"Name":"db"}`, "EntityNotFoundException"},

		{"athena", "GetWorkGroup", `{"WorkGroup":"primary"}`, `"Name":"primary"`},
		{"athena", "GetWorkGroup", `{"WorkGroup":"w"}`, "InvalidRequestException"},
		{"athena", "CreateWorkGroup", `{"Name":"w","Configuration":{"ResultConfiguration":{"OutputLocation":"s3://a/"}}}`, "{}"},
		{"athena", "CreateWorkGroup", `{"Name":"w"}`, "InvalidRequestException"},
		{"athena", "UpdateWorkGroup", `{"WorkGroup":"w","State":"DISABLED","ConfigurationUpdates":{"ResultConfigurationUpdates":{"OutputLocation":"s3://b/"}}}`, "{}"},
		{"athena", "GetWorkGroup", `{"WorkGroup":"w"}`, `"OutputLocation":"s3://b/"`},
		{"athena", "CreateNamedQuery", `{"Name":"q","Database":"d","QueryString":"SELECT 1","WorkGroup":"w"}`, "NamedQueryId"},
		{"athena", "ListNamedQueries", `{"WorkGroup":"w"}`, "NamedQueryIds"},
		{"athena", "DeleteWorkGroup", `{"WorkGroup":"w"}`, "InvalidRequestException"},
		{"athena", "DeleteWorkGroup", `{"WorkGroup":"w","RecursiveDeleteOption":true}`, "{}"},
		{"athena", "ListWorkGroups", `{}`, `"WorkGroups":[]`},

		{"monitoring", "PutMetricAlarm", `{` + alarm + `,"ComparisonOperator":"Near"}`, "ValidationError"},
		{"monitoring", "PutMetricAlarm", `{` + alarm + `,"ComparisonOperator":"GreaterThanThreshold"}`, "{}"},
		{"monitoring", "DescribeAlarms", `{"AlarmNames":["a"]}`, `"StateValue":"INSUFFICIENT_DATA"`},
		{"monitoring", "SetAlarmState", `{"AlarmName":"a","StateValue":"ALARM","StateReason":"r"}`, "{}"},
		{"monitoring", "DescribeAlarms", `{"StateValue":"ALARM"}`, `"StateReason":"r"`},
		{"monitoring", "SetAlarmState", `{"AlarmName":"b","StateValue":"ALARM","StateReason":"r"}`, "ResourceNotFound"},
		{"monitoring", "DeleteAlarms", `{"AlarmNames":["a","b"]}`, "ResourceNotFound"},
		{"monitoring", "DeleteAlarms", `{"AlarmNames":["a"]}`, "{}"},
		{"monitoring", "DescribeAlarms", `{}`, `"MetricAlarms":[]`},
	} {
		if got := l.ask(step.service, step.operation, step.body); !strings.Contains(got, step.want) || step.want == "{}" && got != "{}" {
			t.Errorf("step %d, %s %s: got %s, want %s", i, step.operation, step.body, got, step.want)
		}
	}
	for _, s := range l.all {
		if _, err := json.Marshal(s.Inspect()); err != nil {
			t.Errorf("%s cannot be shown: %v", s.Wire().Name, err)
		}
	}
}

func TestListsComeInPages(t *testing.T) {
	l := newLab(t)
	for _, name := range []string{"a", "b", "c"} {
		l.ask("logs", "CreateLogGroup", `{"logGroupName":"`+name+`"}`)
	}
	if got := l.ask("logs", "DescribeLogGroups", `{"limit":2}`); !strings.Contains(got, `"nextToken":"2"`) || strings.Contains(got, `"logGroupName":"c"`) {
		t.Errorf("the first page is %s", got)
	}
	if got := l.ask("logs", "DescribeLogGroups", `{"limit":2,"nextToken":"2"}`); strings.Contains(got, "nextToken") || !strings.Contains(got, `"logGroupName":"c"`) {
		t.Errorf("the second page is %s", got)
	}
}
