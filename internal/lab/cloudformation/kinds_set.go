package cloudformation

import (
	"context"
	"maps"
	"slices"
)

func setKinds() map[string]*kind {
	return map[string]*kind{
		"AWS::CloudFormation::StackSet": {
			schema: properties("StackSetName*!", "PermissionModel*!", "AdministrationRoleARN", "ExecutionRoleName", "AutoDeployment", "CallAs!", "Capabilities",
				"Description", "ManagedExecution", "OperationPreferences", "Parameters", "StackInstancesGroup", "TemplateBody", "TemplateURL", "Tags"),
			create: createSetResource, update: updateSetResource, remove: removeSetResource, stable: setIsStill, gone: setIsGone, read: readSetResource,
		},
	}
}

func withCaller(j *job, in map[string]any) map[string]any {
	if v := j.props["CallAs"]; v != nil {
		in["CallAs"] = v
	}
	return in
}

func setProperties(j *job) map[string]any {
	in := withCaller(j, j.pick("StackSetName", "AdministrationRoleARN", "ExecutionRoleName", "AutoDeployment", "Capabilities", "Description",
		"ManagedExecution", "Parameters", "TemplateBody", "TemplateURL"))
	if tags := j.allTags(); len(tags) > 0 {
		in["Tags"] = tags
	}
	return in
}

func createSetResource(ctx context.Context, j *job) error {
	in := setProperties(j)
	in["PermissionModel"] = j.text("PermissionModel")
	out, err := j.call(ctx, prefix, "CreateStackSet", in)
	if err != nil {
		return err
	}
	j.physical = textOf(out["StackSetId"])
	j.attrs = map[string]any{"StackSetId": j.physical}
	return addGroups(ctx, j, nil)
}

// addGroups makes instances of the groups that were not there before.
func addGroups(ctx context.Context, j *job, before []any) error {
	return j.groups(ctx, "CreateStackInstances", j.list("StackInstancesGroup"), before)
}

// groups asks for an operation on the instances of groups, but those that are among others.
func (j *job) groups(ctx context.Context, operation string, groups, others []any) error {
	for _, v := range groups {
		if slices.ContainsFunc(others, func(o any) bool { return same(o, v) }) {
			continue
		}
		in := withCaller(j, maps.Clone(object(v)))
		in["StackSetName"] = j.text("StackSetName")
		if j.text("PermissionModel") == selfManaged {
			in["Accounts"] = object(in["DeploymentTargets"])["Accounts"]
			delete(in, "DeploymentTargets")
		}
		if p := j.props["OperationPreferences"]; p != nil {
			in["OperationPreferences"] = p
		}
		if operation == "DeleteStackInstances" {
			in["RetainStacks"] = false
		}
		if err := j.do(ctx, prefix, operation, in); err != nil {
			return err
		}
	}
	return nil
}

// updateSetResource changes the StackSet. Its groups are changed when that is done: see setIsStill.
func updateSetResource(ctx context.Context, j *job) error {
	if j.changed("StackInstancesGroup") && len(j.list("StackInstancesGroup")) > 0 {
		if err := addGroups(ctx, j, listOf(j.before["StackInstancesGroup"])); err != nil {
			return err
		}
		return j.groups(ctx, "DeleteStackInstances", listOf(j.before["StackInstancesGroup"]), j.list("StackInstancesGroup"))
	}
	return j.do(ctx, prefix, "UpdateStackSet", setProperties(j))
}

// lastOperations gives the operations of a resource's StackSet, newest first.
func lastOperations(ctx context.Context, j *job) ([]any, error) {
	out, err := j.call(ctx, prefix, "ListStackSetOperations", withCaller(j, map[string]any{"StackSetName": j.text("StackSetName")}))
	return listOf(out["Summaries"]), err
}

func setIsStill(ctx context.Context, j *job) (bool, error) {
	all, err := lastOperations(ctx, j)
	if err != nil {
		return false, err
	}
	for i, v := range all {
		switch textOf(object(v)["Status"]) {
		case runningText:
			return false, nil
		case failedState:
			if i == 0 {
				return false, validation("Stack set operation [%s] was unexpectedly stopped or failed", textOf(object(v)["OperationId"]))
			}
		}
	}
	return true, nil
}

func removeSetResource(ctx context.Context, j *job) error {
	return j.groups(ctx, "DeleteStackInstances", j.list("StackInstancesGroup"), nil)
}

func setIsGone(ctx context.Context, j *job) (bool, error) {
	still, err := setIsStill(ctx, j)
	if isGone(err) {
		return true, nil
	}
	if err != nil || !still {
		return false, err
	}
	err = j.do(ctx, prefix, "DeleteStackSet", withCaller(j, map[string]any{"StackSetName": j.text("StackSetName")}))
	return err == nil, err
}

func readSetResource(ctx context.Context, j *job) (map[string]any, error) {
	out, err := j.call(ctx, prefix, "DescribeStackSet", withCaller(j, map[string]any{"StackSetName": j.text("StackSetName")}))
	if err != nil {
		return nil, err
	}
	set := object(out["StackSet"])
	return map[string]any{"PermissionModel": set["PermissionModel"], "TemplateBody": set["TemplateBody"], "Description": set["Description"]}, nil
}
