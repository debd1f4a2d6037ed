package cloudformation

import (
	"context"
	"maps"
)

func keptKinds() map[string]*kind {
	out := logKinds()
	maps.Copy(out, glueKinds())
	maps.Copy(out, athenaKinds())
	out["AWS::CloudWatch::Alarm"] = &kind{
		schema: properties("AlarmName!", "AlarmDescription", "ActionsEnabled", "OKActions", "AlarmActions", "InsufficientDataActions", "MetricName", "Namespace",
			"Statistic", "ExtendedStatistic", "Dimensions", "Period", "Unit", "EvaluationPeriods*", "DatapointsToAlarm", "Threshold",
			"ComparisonOperator*", "TreatMissingData", "EvaluateLowSampleCountPercentile", "Tags"),
		create: func(ctx context.Context, j *job) error {
			name := j.name("AlarmName", 255)
			if have, err := describeAlarm(ctx, j, name); err == nil && have != nil {
				return alreadyExists("monitoring", name)
			}
			if err := putAlarm(ctx, j, name); err != nil {
				return err
			}
			j.physical = name
			j.attrs = map[string]any{"Arn": j.place.ARN("cloudwatch", "alarm:"+name)}
			return nil
		},
		update: func(ctx context.Context, j *job) error { return putAlarm(ctx, j, j.physical) },
		remove: func(ctx context.Context, j *job) error {
			return j.do(ctx, "monitoring", "DeleteAlarms", map[string]any{"AlarmNames": []string{j.physical}})
		},
		read: func(ctx context.Context, j *job) (map[string]any, error) {
			have, err := describeAlarm(ctx, j, j.physical)
			if err == nil && have == nil {
				return nil, alreadyGone("monitoring", j.physical)
			}
			return have, err
		},
	}
	out["AWS::CloudFormation::WaitConditionHandle"] = &kind{
		schema: properties(),
		create: func(_ context.Context, j *job) error {
			j.physical = j.service.cloud.URL() + "/_waitcondition/" + j.service.cloud.UUID("wait condition")
			return nil
		},
		remove: func(context.Context, *job) error { return nil },
	}
	return out
}

func putAlarm(ctx context.Context, j *job, name string) error {
	in := maps.Clone(j.props)
	delete(in, "Tags")
	in["AlarmName"] = name
	return j.do(ctx, "monitoring", "PutMetricAlarm", in)
}

// describeAlarm gives nil where there is none.
func describeAlarm(ctx context.Context, j *job, name string) (map[string]any, error) {
	out, err := j.call(ctx, "monitoring", "DescribeAlarms", map[string]any{"AlarmNames": []string{name}})
	if err != nil {
		return nil, err
	}
	for _, v := range listOf(out["MetricAlarms"]) {
		return object(v), nil
	}
	return nil, nil
}

func logKinds() map[string]*kind {
	return map[string]*kind{
		"AWS::Logs::LogGroup": {
			schema: properties("LogGroupName!", "RetentionInDays", "KmsKeyId", "LogGroupClass!", "Tags"),
			create: func(ctx context.Context, j *job) error {
				name := j.name("LogGroupName", 512)
				in := map[string]any{"logGroupName": name}
				for property, member := range map[string]string{"KmsKeyId": "kmsKeyId", "LogGroupClass": "logGroupClass"} {
					if v := j.props[property]; v != nil {
						in[member] = v
					}
				}
				if tags := j.tagMap(); len(tags) > 0 {
					in["tags"] = tags
				}
				if err := j.do(ctx, "logs", "CreateLogGroup", in); err != nil {
					return err
				}
				j.physical = name
				j.attrs = map[string]any{"Arn": j.place.ARN("logs", "log-group:"+name+":*")}
				return retainLogs(ctx, j)
			},
			update: retainLogs,
			remove: func(ctx context.Context, j *job) error {
				return j.do(ctx, "logs", "DeleteLogGroup", map[string]any{"logGroupName": j.physical})
			},
			read: func(ctx context.Context, j *job) (map[string]any, error) {
				out, err := j.call(ctx, "logs", "DescribeLogGroups", map[string]any{"logGroupNamePrefix": j.physical})
				if err != nil {
					return nil, err
				}
				for _, v := range listOf(out["logGroups"]) {
					if group := object(v); textOf(group["logGroupName"]) == j.physical {
						return map[string]any{"RetentionInDays": group["retentionInDays"], "KmsKeyId": group["kmsKeyId"]}, nil
					}
				}
				return nil, alreadyGone("logs", j.physical)
			},
		},
		"AWS::Logs::LogStream": {
			schema: properties("LogGroupName*!", "LogStreamName!"),
			create: func(ctx context.Context, j *job) error {
				name := j.name("LogStreamName", 512)
				j.physical = name
				err := j.do(ctx, "logs", "CreateLogStream", map[string]any{"logGroupName": j.text("LogGroupName"), "logStreamName": name})
				if err != nil {
					j.physical = ""
				}
				return err
			},
			remove: func(ctx context.Context, j *job) error {
				return j.do(ctx, "logs", "DeleteLogStream", map[string]any{"logGroupName": j.text("LogGroupName"), "logStreamName": j.physical})
			},
		},
	}
}

func retainLogs(ctx context.Context, j *job) error {
	if !j.changed("RetentionInDays") {
		return nil
	}
	if v := j.props["RetentionInDays"]; v != nil {
		return j.do(ctx, "logs", "PutRetentionPolicy", map[string]any{"logGroupName": j.physical, "retentionInDays": v})
	}
	return j.do(ctx, "logs", "DeleteRetentionPolicy", map[string]any{"logGroupName": j.physical})
}

func glueKinds() map[string]*kind {
	return map[string]*kind{
		"AWS::Glue::Database": {
			schema: properties("CatalogId*!", "DatabaseInput*", "DatabaseName!"),
			create: func(ctx context.Context, j *job) error {
				input := maps.Clone(object(j.props["DatabaseInput"]))
				if input["Name"] == nil {
					input["Name"] = j.name("DatabaseName", 255)
				}
				if err := j.do(ctx, "glue", "CreateDatabase", map[string]any{"CatalogId": j.text("CatalogId"), "DatabaseInput": input}); err != nil {
					return err
				}
				j.physical = textOf(input["Name"])
				return nil
			},
			update: func(ctx context.Context, j *job) error {
				return j.do(ctx, "glue", "UpdateDatabase", map[string]any{"Name": j.physical, "DatabaseInput": j.props["DatabaseInput"]})
			},
			remove: func(ctx context.Context, j *job) error {
				return j.do(ctx, "glue", "DeleteDatabase", map[string]any{"Name": j.physical})
			},
			read: func(ctx context.Context, j *job) (map[string]any, error) {
				out, err := j.call(ctx, "glue", "GetDatabase", map[string]any{"Name": j.physical})
				if err != nil {
					return nil, err
				}
				return map[string]any{"DatabaseInput": out["Database"]}, nil
			},
			replace: renamedInput("DatabaseInput"),
		},
		"AWS::Glue::Table": {
			schema: properties("CatalogId*!", "DatabaseName*!", "TableInput*"),
			create: func(ctx context.Context, j *job) error {
				input := maps.Clone(object(j.props["TableInput"]))
				if input["Name"] == nil {
					input["Name"] = j.name("", 255)
				}
				if err := j.do(ctx, "glue", "CreateTable", map[string]any{"DatabaseName": j.text("DatabaseName"), "TableInput": input}); err != nil {
					return err
				}
				j.physical = textOf(input["Name"])
				return nil
			},
			update: func(ctx context.Context, j *job) error {
				input := maps.Clone(object(j.props["TableInput"]))
				input["Name"] = j.physical
				return j.do(ctx, "glue", "UpdateTable", map[string]any{"DatabaseName": j.text("DatabaseName"), "TableInput": input})
			},
			remove: func(ctx context.Context, j *job) error {
				return j.do(ctx, "glue", "DeleteTable", map[string]any{"DatabaseName": j.text("DatabaseName"), "Name": j.physical})
			},
			read: func(ctx context.Context, j *job) (map[string]any, error) {
				out, err := j.call(ctx, "glue", "GetTable", map[string]any{"DatabaseName": j.text("DatabaseName"), "Name": j.physical})
				if err != nil {
					return nil, err
				}
				return map[string]any{"TableInput": out["Table"]}, nil
			},
			replace: renamedInput("TableInput"),
		},
	}
}

// renamedInput tells whether the Name in an input changes.
func renamedInput(property string) func(before, after map[string]any) bool {
	return func(before, after map[string]any) bool {
		return !same(object(before[property])["Name"], object(after[property])["Name"])
	}
}

func athenaKinds() map[string]*kind {
	return map[string]*kind{
		"AWS::Athena::WorkGroup": {
			schema: properties("Name*!", "Description", "State", "WorkGroupConfiguration", "RecursiveDeleteOption", "Tags"),
			create: func(ctx context.Context, j *job) error {
				in := j.pick("Name", "Description")
				if v := j.props["WorkGroupConfiguration"]; v != nil {
					in["Configuration"] = v
				}
				if err := j.do(ctx, "athena", "CreateWorkGroup", in); err != nil {
					return err
				}
				j.physical = j.text("Name")
				if j.text("State") != "DISABLED" {
					return nil
				}
				return j.do(ctx, "athena", "UpdateWorkGroup", map[string]any{"WorkGroup": j.physical, "State": "DISABLED"})
			},
			update: func(ctx context.Context, j *job) error {
				in := j.pick("Description", "State")
				in["WorkGroup"] = j.physical
				updates := maps.Clone(object(j.props["WorkGroupConfiguration"]))
				if v, there := updates["ResultConfiguration"]; there {
					delete(updates, "ResultConfiguration")
					updates["ResultConfigurationUpdates"] = v
				}
				if updates != nil {
					in["ConfigurationUpdates"] = updates
				}
				return j.do(ctx, "athena", "UpdateWorkGroup", in)
			},
			remove: func(ctx context.Context, j *job) error {
				in := j.pick("RecursiveDeleteOption")
				in["WorkGroup"] = j.physical
				return missing(j.do(ctx, "athena", "DeleteWorkGroup", in), "is not found")
			},
			read: func(ctx context.Context, j *job) (map[string]any, error) {
				out, err := j.call(ctx, "athena", "GetWorkGroup", map[string]any{"WorkGroup": j.physical})
				if err != nil {
					return nil, missing(err, "is not found")
				}
				group := object(out["WorkGroup"])
				return map[string]any{"State": group["State"], "Description": group["Description"], "WorkGroupConfiguration": group["Configuration"]}, nil
			},
		},
		"AWS::Athena::NamedQuery": {
			schema: properties("Name!", "Database*!", "QueryString*!", "Description!", "WorkGroup!"),
			create: func(ctx context.Context, j *job) error {
				in := j.pick("Database", "QueryString", "Description", "WorkGroup")
				in["Name"] = j.name("Name", 128)
				out, err := j.call(ctx, "athena", "CreateNamedQuery", in)
				if err != nil {
					return err
				}
				j.physical = textOf(out["NamedQueryId"])
				j.attrs = map[string]any{"NamedQueryId": j.physical}
				return nil
			},
			remove: func(ctx context.Context, j *job) error {
				return missing(j.do(ctx, "athena", "DeleteNamedQuery", map[string]any{"NamedQueryId": j.physical}), "was not found")
			},
			read: func(ctx context.Context, j *job) (map[string]any, error) {
				out, err := j.call(ctx, "athena", "GetNamedQuery", map[string]any{"NamedQueryId": j.physical})
				if err != nil {
					return nil, missing(err, "was not found")
				}
				return object(out["NamedQuery"]), nil
			},
		},
	}
}
