package cloudformation

import (
	"context"
	"maps"
	"slices"

	"example.org/catchment/internal/lab/cloud"
)

func eventKinds() map[string]*kind {
	return map[string]*kind{
		"AWS::Events::Rule": {
			schema: properties("Name!", "EventBusName!", "Description", "EventPattern", "RoleArn", "ScheduleExpression", "State", "Targets", "Tags"),
			create: createRule, update: updateRule, remove: removeRule, read: readRule,
		},
		"AWS::Events::EventBus": {
			schema: properties("Name*!", "EventSourceName!", "Description", "KmsKeyIdentifier", "DeadLetterConfig", "LogConfig", "Policy", "Tags"),
			create: createBus, update: updateBus, remove: removeBus, read: readBus,
		},
		"AWS::Events::EventBusPolicy": {
			schema: properties("EventBusName!", "StatementId*!", "Statement", "Action", "Principal", "Condition"),
			create: putBusPolicy, update: putBusPolicy, remove: removeBusPolicy, read: readBusPolicy,
		},
	}
}

func createRule(ctx context.Context, j *job) error {
	name := j.name("Name", 64)
	if err := j.do(ctx, "events", "DescribeRule", withBus(j, map[string]any{"Name": name})); err == nil {
		return alreadyExists("events", name)
	}
	if err := putRule(ctx, j, name); err != nil {
		return err
	}
	j.physical = name
	if bus := j.text("EventBusName"); bus != "" && bus != "default" {
		j.physical = lastPart(bus) + "|" + name
	}
	return putTargets(ctx, j, name, nil)
}

func withBus(j *job, in map[string]any) map[string]any {
	if bus := j.text("EventBusName"); bus != "" {
		in["EventBusName"] = bus
	}
	return in
}

func putRule(ctx context.Context, j *job, name string) error {
	in := withBus(j, j.pick("Description", "RoleArn", "ScheduleExpression", "State"))
	in["Name"] = name
	if pattern := document(j.props["EventPattern"]); pattern != "" {
		in["EventPattern"] = pattern
	}
	if tags := j.allTags(); len(tags) > 0 && j.before == nil {
		in["Tags"] = tags
	}
	out, err := j.call(ctx, "events", "PutRule", in)
	if err != nil {
		return err
	}
	j.attrs = map[string]any{"Arn": out["RuleArn"]}
	return nil
}

// ruleName is the name in a rule's physical id.
func ruleName(j *job) string {
	for i := range len(j.physical) {
		if j.physical[i] == '|' {
			return j.physical[i+1:]
		}
	}
	return j.physical
}

// putTargets makes a rule's targets what the properties say, from those of before.
func putTargets(ctx context.Context, j *job, name string, before []any) error {
	var stale []string
	for _, v := range before {
		id := textOf(object(v)["Id"])
		if !slices.ContainsFunc(j.list("Targets"), func(t any) bool { return textOf(object(t)["Id"]) == id }) {
			stale = append(stale, id)
		}
	}
	if len(stale) > 0 {
		if err := j.do(ctx, "events", "RemoveTargets", withBus(j, map[string]any{"Rule": name, "Ids": stale})); err != nil && !isGone(err) {
			return err
		}
	}
	var targets []any
	for _, v := range j.list("Targets") {
		t := maps.Clone(object(v))
		for _, member := range []string{"Input"} {
			if _, single := t[member].(string); t[member] != nil && !single {
				t[member] = jsonText(t[member])
			}
		}
		targets = append(targets, t)
	}
	if len(targets) == 0 {
		return nil
	}
	out, err := j.call(ctx, "events", "PutTargets", withBus(j, map[string]any{"Rule": name, "Targets": targets}))
	if err != nil {
		return err
	}
	for _, v := range listOf(out["FailedEntries"]) {
		return validation("Target %s: %s", textOf(object(v)["TargetId"]), textOf(object(v)["ErrorMessage"]))
	}
	return nil
}

func updateRule(ctx context.Context, j *job) error {
	if err := putRule(ctx, j, ruleName(j)); err != nil {
		return err
	}
	if !j.changed("Targets") {
		return nil
	}
	return putTargets(ctx, j, ruleName(j), listOf(j.before["Targets"]))
}

func removeRule(ctx context.Context, j *job) error {
	name := ruleName(j)
	var ids []string
	for _, v := range j.list("Targets") {
		ids = append(ids, textOf(object(v)["Id"]))
	}
	if len(ids) > 0 {
		if err := j.do(ctx, "events", "RemoveTargets", withBus(j, map[string]any{"Rule": name, "Ids": ids})); err != nil {
			return err
		}
	}
	return j.do(ctx, "events", "DeleteRule", withBus(j, map[string]any{"Name": name}))
}

func readRule(ctx context.Context, j *job) (map[string]any, error) {
	name := ruleName(j)
	out, err := j.call(ctx, "events", "DescribeRule", withBus(j, map[string]any{"Name": name}))
	if err != nil {
		return nil, err
	}
	have := map[string]any{"State": out["State"], "Description": out["Description"], "ScheduleExpression": out["ScheduleExpression"], "RoleArn": out["RoleArn"]}
	have["EventPattern"] = parsed(textOf(out["EventPattern"]))
	if out, err = j.call(ctx, "events", "ListTargetsByRule", withBus(j, map[string]any{"Rule": name})); err != nil {
		return nil, err
	}
	have["Targets"] = inOrderOf(j.list("Targets"), listOf(out["Targets"]), "Id")
	return have, nil
}

// inOrderOf puts the elements of a list in the order in which a template has them, by a member; others follow.
func inOrderOf(written, have []any, member string) []any {
	rank := func(v any) int {
		i := slices.IndexFunc(written, func(w any) bool { return same(object(w)[member], object(v)[member]) })
		if i < 0 {
			return len(written)
		}
		return i
	}
	out := slices.Clone(have)
	slices.SortStableFunc(out, func(a, b any) int { return rank(a) - rank(b) })
	if out == nil {
		return []any{}
	}
	return out
}

func createBus(ctx context.Context, j *job) error {
	in := j.pick("Name", "EventSourceName", "Description", "KmsKeyIdentifier", "DeadLetterConfig", "LogConfig")
	if tags := j.allTags(); len(tags) > 0 {
		in["Tags"] = tags
	}
	out, err := j.call(ctx, "events", "CreateEventBus", in)
	if err != nil {
		return err
	}
	j.physical = j.text("Name")
	j.attrs = map[string]any{"Arn": out["EventBusArn"], "Name": j.physical}
	return putWholePolicy(ctx, j)
}

func putWholePolicy(ctx context.Context, j *job) error {
	if policy := document(j.props["Policy"]); policy != "" {
		return j.do(ctx, "events", "PutPermission", map[string]any{"EventBusName": j.physical, "Policy": policy})
	}
	return nil
}

func updateBus(ctx context.Context, j *job) error {
	in := j.pick("Description", "KmsKeyIdentifier", "DeadLetterConfig", "LogConfig")
	in["Name"] = j.physical
	if err := j.do(ctx, "events", "UpdateEventBus", in); err != nil {
		return err
	}
	if j.changed("Policy") && j.props["Policy"] == nil {
		return j.do(ctx, "events", "RemovePermission", map[string]any{"EventBusName": j.physical, "RemoveAllPermissions": true})
	}
	return putWholePolicy(ctx, j)
}

func removeBus(ctx context.Context, j *job) error {
	return j.do(ctx, "events", "DeleteEventBus", map[string]any{"Name": j.physical})
}

func readBus(ctx context.Context, j *job) (map[string]any, error) {
	out, err := j.call(ctx, "events", "DescribeEventBus", map[string]any{"Name": j.physical})
	if err != nil {
		return nil, err
	}
	have := map[string]any{"Description": out["Description"], "KmsKeyIdentifier": out["KmsKeyIdentifier"], "DeadLetterConfig": out["DeadLetterConfig"]}
	if text := textOf(out["Policy"]); text != "" {
		have["Policy"] = parsed(text)
	}
	return have, nil
}

func busOf(j *job) string {
	if bus := j.text("EventBusName"); bus != "" {
		return lastPart(bus)
	}
	return "default"
}

func putBusPolicy(ctx context.Context, j *job) error {
	bus, id := busOf(j), j.text("StatementId")
	j.physical = bus + "|" + id
	if j.props["Statement"] == nil {
		in := j.pick("StatementId", "Action", "Principal", "Condition")
		in["EventBusName"] = bus
		return j.do(ctx, "events", "PutPermission", in)
	}
	statement := maps.Clone(object(j.props["Statement"]))
	statement["Sid"] = id
	if statement["Resource"] == nil {
		statement["Resource"] = cloud.Place{Partition: j.place.Partition, Account: j.place.Account, Region: j.place.Region}.ARN("events", "event-bus/"+bus)
	}
	others, err := busStatements(ctx, j, bus)
	if err != nil {
		return err
	}
	others = slices.DeleteFunc(others, func(v any) bool { return textOf(object(v)["Sid"]) == id })
	policy := jsonText(map[string]any{"Version": "2012-10-17", "Statement": append(others, statement)})
	return j.do(ctx, "events", "PutPermission", map[string]any{"EventBusName": bus, "Policy": policy})
}

// busStatements are the statements of a bus's policy.
func busStatements(ctx context.Context, j *job, bus string) ([]any, error) {
	out, err := j.call(ctx, "events", "DescribeEventBus", map[string]any{"Name": bus})
	if err != nil {
		return nil, err
	}
	return listOf(object(parsed(textOf(out["Policy"])))["Statement"]), nil
}

func removeBusPolicy(ctx context.Context, j *job) error {
	return j.do(ctx, "events", "RemovePermission", map[string]any{"EventBusName": busOf(j), "StatementId": j.text("StatementId")})
}

func readBusPolicy(ctx context.Context, j *job) (map[string]any, error) {
	statements, err := busStatements(ctx, j, busOf(j))
	if err != nil {
		return nil, err
	}
	for _, v := range statements {
		if textOf(object(v)["Sid"]) == j.text("StatementId") {
			return map[string]any{"Statement": v}, nil
		}
	}
	return nil, alreadyGone("events", j.physical)
}
