package cloudformation

import (
	"context"
	"maps"
	"slices"
	"strings"
)

func lambdaKinds() map[string]*kind {
	return map[string]*kind{
		"AWS::Lambda::Function": {
			schema: properties("FunctionName!", "Code*", "Role*", "Runtime", "Handler", "Description", "Timeout", "MemorySize", "Environment", "Architectures",
				"DeadLetterConfig", "LoggingConfig", "PackageType!", "ReservedConcurrentExecutions", "Tags"),
			create: createFunction, update: updateFunction, remove: removeFunction, read: readFunction,
		},
		"AWS::Lambda::Permission": {
			schema: properties("Action*!", "FunctionName*!", "Principal*!", "SourceArn!", "SourceAccount!", "PrincipalOrgID!"),
			create: func(ctx context.Context, j *job) error {
				in := j.pick("Action", "FunctionName", "Principal", "SourceArn", "SourceAccount", "PrincipalOrgID")
				in["StatementId"] = j.name("", 64)
				j.physical = textOf(in["StatementId"])
				return j.do(ctx, "lambda", "AddPermission", in)
			},
			remove: func(ctx context.Context, j *job) error {
				return j.do(ctx, "lambda", "RemovePermission", map[string]any{"FunctionName": j.text("FunctionName"), "StatementId": j.physical})
			},
			read: readPermission,
		},
		"AWS::Lambda::EventSourceMapping": {
			schema: properties("EventSourceArn*!", "FunctionName*", "BatchSize", "Enabled", "FunctionResponseTypes", "MaximumBatchingWindowInSeconds"),
			create: createMapping, update: updateMapping, read: readMapping,
			remove: func(ctx context.Context, j *job) error {
				return j.do(ctx, "lambda", "DeleteEventSourceMapping", map[string]any{"UUID": j.physical})
			},
		},
	}
}

var functionSettings = []string{
	"Role", "Runtime", "Handler", "Description", "Timeout", "MemorySize", "Environment", "DeadLetterConfig", "LoggingConfig",
}

func createFunction(ctx context.Context, j *job) error {
	in := j.pick(append([]string{"Code", "Architectures", "PackageType"}, functionSettings...)...)
	in["FunctionName"] = j.name("FunctionName", 64)
	if tags := j.tagMap(); len(tags) > 0 {
		in["Tags"] = tags
	}
	out, err := j.call(ctx, "lambda", "CreateFunction", in)
	if err != nil {
		return err
	}
	j.physical = textOf(out["FunctionName"])
	j.attrs = map[string]any{"Arn": out["FunctionArn"]}
	return nil
}

func updateFunction(ctx context.Context, j *job) error {
	if j.changed("Code", "Architectures") {
		in := maps.Clone(object(j.props["Code"]))
		in["FunctionName"] = j.physical
		if v := j.props["Architectures"]; v != nil {
			in["Architectures"] = v
		}
		if err := j.do(ctx, "lambda", "UpdateFunctionCode", in); err != nil {
			return err
		}
	}
	if !j.changed(functionSettings...) {
		return nil
	}
	in := j.pick(functionSettings...)
	in["FunctionName"] = j.physical
	for name, reset := range map[string]any{"Description": "", "Environment": map[string]any{}, "Timeout": 3, "MemorySize": 128} {
		if _, was := j.before[name]; was && in[name] == nil {
			in[name] = reset
		}
	}
	return j.do(ctx, "lambda", "UpdateFunctionConfiguration", in)
}

func removeFunction(ctx context.Context, j *job) error {
	return j.do(ctx, "lambda", "DeleteFunction", map[string]any{"FunctionName": j.physical})
}

func readFunction(ctx context.Context, j *job) (map[string]any, error) {
	out, err := j.call(ctx, "lambda", "GetFunctionConfiguration", map[string]any{"FunctionName": j.physical})
	if err != nil {
		return nil, err
	}
	have := make(map[string]any)
	for _, name := range []string{"Role", "Runtime", "Handler", "Description", "Timeout", "MemorySize", "Architectures", "Environment", "DeadLetterConfig"} {
		have[name] = out[name]
	}
	return have, nil
}

func readPermission(ctx context.Context, j *job) (map[string]any, error) {
	out, err := j.call(ctx, "lambda", "GetPolicy", map[string]any{"FunctionName": j.text("FunctionName")})
	if err != nil {
		return nil, err
	}
	for _, v := range listOf(object(parsed(textOf(out["Policy"])))["Statement"]) {
		if textOf(object(v)["Sid"]) == j.physical {
			return map[string]any{"Action": object(v)["Action"]}, nil
		}
	}
	return nil, alreadyGone("lambda", j.physical)
}

func createMapping(ctx context.Context, j *job) error {
	out, err := j.call(ctx, "lambda", "CreateEventSourceMapping",
		j.pick("EventSourceArn", "FunctionName", "BatchSize", "Enabled", "FunctionResponseTypes", "MaximumBatchingWindowInSeconds"))
	if err != nil {
		return err
	}
	j.physical = textOf(out["UUID"])
	j.attrs = map[string]any{"Id": out["UUID"]}
	return nil
}

func updateMapping(ctx context.Context, j *job) error {
	in := j.pick("FunctionName", "BatchSize", "Enabled", "FunctionResponseTypes", "MaximumBatchingWindowInSeconds")
	in["UUID"] = j.physical
	return j.do(ctx, "lambda", "UpdateEventSourceMapping", in)
}

func readMapping(ctx context.Context, j *job) (map[string]any, error) {
	out, err := j.call(ctx, "lambda", "GetEventSourceMapping", map[string]any{"UUID": j.physical})
	if err != nil {
		return nil, err
	}
	have := map[string]any{"BatchSize": out["BatchSize"], "FunctionResponseTypes": out["FunctionResponseTypes"]}
	have["Enabled"] = slices.Contains([]string{"Enabled", "Enabling", "Creating"}, textOf(out["State"]))
	if !strings.HasPrefix(j.text("FunctionName"), "arn:") {
		return have, nil
	}
	have["FunctionName"] = out["FunctionArn"]
	return have, nil
}
