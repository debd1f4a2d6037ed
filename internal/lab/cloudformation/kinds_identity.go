package cloudformation

import (
	"context"
	"maps"
	"net/url"
	"slices"
)

func identityKinds() map[string]*kind {
	return map[string]*kind{
		"AWS::IAM::Role": {
			schema: properties("RoleName!", "Path!", "AssumeRolePolicyDocument*", "Description", "MaxSessionDuration", "ManagedPolicyArns", "Policies",
				"PermissionsBoundary", "Tags"),
			create: createRole, update: updateRole, remove: removeRole, read: readRole, lag: true,
		},
		"AWS::IAM::Policy": {
			schema: properties("PolicyName*", "PolicyDocument*", "Roles", "Users", "Groups"),
			create: createInline, update: updateInline, remove: removeInline, read: readInline, lag: true,
		},
		"AWS::IAM::ManagedPolicy": {
			schema: properties("ManagedPolicyName!", "Path!", "Description!", "PolicyDocument*", "Roles", "Users", "Groups"),
			create: createManaged, update: updateManaged, remove: removeManaged, read: readManaged, lag: true,
		},
		"AWS::KMS::Key": {
			schema: properties("KeyPolicy", "Description", "EnableKeyRotation", "Enabled", "KeySpec!", "KeyUsage!", "MultiRegion!", "PendingWindowInDays",
				"RotationPeriodInDays", "Tags"),
			create: createKey, update: updateKey, read: readKey,
			remove: func(ctx context.Context, j *job) error {
				in := j.pick("PendingWindowInDays")
				in["KeyId"] = j.physical
				return j.do(ctx, "kms", "ScheduleKeyDeletion", in)
			},
		},
		"AWS::KMS::Alias": {
			schema: properties("AliasName*!", "TargetKeyId*"),
			create: createAlias,
			update: func(ctx context.Context, j *job) error {
				if err := removeAlias(ctx, j); err != nil {
					return err
				}
				return createAlias(ctx, j)
			},
			remove: removeAlias,
		},
	}
}

func createRole(ctx context.Context, j *job) error {
	in := j.pick("Path", "Description", "MaxSessionDuration", "PermissionsBoundary")
	in["RoleName"], in["AssumeRolePolicyDocument"] = j.name("RoleName", 64), document(j.props["AssumeRolePolicyDocument"])
	if tags := j.allTags(); len(tags) > 0 {
		in["Tags"] = tags
	}
	out, err := j.call(ctx, "iam", "CreateRole", in)
	if err != nil {
		return err
	}
	role := object(out["Role"])
	j.physical = textOf(role["RoleName"])
	j.attrs = map[string]any{"Arn": role["Arn"], "RoleId": role["RoleId"]}
	return grant(ctx, j, nil)
}

// inline are the inline policies of a role's properties, by name.
func inline(props map[string]any) map[string]string {
	out := make(map[string]string)
	for _, v := range listOf(props["Policies"]) {
		out[textOf(object(v)["PolicyName"])] = document(object(v)["PolicyDocument"])
	}
	return out
}

func texted(v any) []string {
	var out []string
	for _, element := range listOf(v) {
		out = append(out, textOf(element))
	}
	return out
}

// grant makes a role's policies what its properties say, from those that they said before.
func grant(ctx context.Context, j *job, before map[string]any) error {
	have, want := inline(before), inline(j.props)
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if have[name] == want[name] {
			continue
		}
		if err := j.do(ctx, "iam", "PutRolePolicy", map[string]any{"RoleName": j.physical, "PolicyName": name, "PolicyDocument": want[name]}); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(have)) {
		if _, stays := want[name]; stays {
			continue
		}
		if err := j.do(ctx, "iam", "DeleteRolePolicy", map[string]any{"RoleName": j.physical, "PolicyName": name}); err != nil && !isGone(err) {
			return err
		}
	}
	return attach(ctx, j, j.physical, texted(before["ManagedPolicyArns"]), texted(j.props["ManagedPolicyArns"]))
}

func attach(ctx context.Context, j *job, role string, have, want []string) error {
	for _, arn := range want {
		if !slices.Contains(have, arn) {
			if err := j.do(ctx, "iam", "AttachRolePolicy", map[string]any{"RoleName": role, "PolicyArn": arn}); err != nil {
				return err
			}
		}
	}
	for _, arn := range have {
		if !slices.Contains(want, arn) {
			if err := j.do(ctx, "iam", "DetachRolePolicy", map[string]any{"RoleName": role, "PolicyArn": arn}); err != nil && !isGone(err) {
				return err
			}
		}
	}
	return nil
}

func updateRole(ctx context.Context, j *job) error {
	if j.changed("AssumeRolePolicyDocument") {
		in := map[string]any{"RoleName": j.physical, "PolicyDocument": document(j.props["AssumeRolePolicyDocument"])}
		if err := j.do(ctx, "iam", "UpdateAssumeRolePolicy", in); err != nil {
			return err
		}
	}
	if j.changed("Description", "MaxSessionDuration") {
		in := j.pick("MaxSessionDuration")
		in["RoleName"], in["Description"] = j.physical, j.text("Description")
		if err := j.do(ctx, "iam", "UpdateRole", in); err != nil {
			return err
		}
	}
	if tags := j.allTags(); len(tags) > 0 {
		if err := j.do(ctx, "iam", "TagRole", map[string]any{"RoleName": j.physical, "Tags": tags}); err != nil {
			return err
		}
	}
	return grant(ctx, j, j.before)
}

func removeRole(ctx context.Context, j *job) error {
	before := j.props
	j.props = nil
	err := grant(ctx, j, before)
	j.props = before
	if err != nil {
		return err
	}
	return j.do(ctx, "iam", "DeleteRole", map[string]any{"RoleName": j.physical})
}

// unescaped is a policy as IAM gives it, in RFC 3986's form.
func unescaped(v any) any {
	text, err := url.PathUnescape(textOf(v))
	if err != nil {
		return v
	}
	return parsed(text)
}

func readRole(ctx context.Context, j *job) (map[string]any, error) {
	named := map[string]any{"RoleName": j.physical}
	out, err := j.call(ctx, "iam", "GetRole", named)
	if err != nil {
		return nil, err
	}
	role := object(out["Role"])
	have := map[string]any{
		"AssumeRolePolicyDocument": unescaped(role["AssumeRolePolicyDocument"]), "Description": role["Description"], "MaxSessionDuration": role["MaxSessionDuration"],
	}
	if out, err = j.call(ctx, "iam", "ListAttachedRolePolicies", named); err != nil {
		return nil, err
	}
	attached := make(map[string]bool)
	for _, v := range listOf(out["AttachedPolicies"]) {
		attached[textOf(object(v)["PolicyArn"])] = true
	}
	arns := []any{}
	for _, arn := range texted(j.props["ManagedPolicyArns"]) { // in the template's order
		if attached[arn] {
			arns = append(arns, arn)
		}
	}
	have["ManagedPolicyArns"] = arns
	policies := []any{}
	for _, v := range listOf(j.props["Policies"]) {
		name := textOf(object(v)["PolicyName"])
		out, err := j.call(ctx, "iam", "GetRolePolicy", map[string]any{"RoleName": j.physical, "PolicyName": name})
		if err == nil {
			policies = append(policies, map[string]any{"PolicyName": name, "PolicyDocument": unescaped(out["PolicyDocument"])})
		} else if !isGone(err) {
			return nil, err
		}
	}
	have["Policies"] = policies
	return have, nil
}

func createInline(ctx context.Context, j *job) error {
	j.physical = j.name("", 64)
	return putInline(ctx, j)
}

func putInline(ctx context.Context, j *job) error {
	if j.props["Users"] != nil || j.props["Groups"] != nil {
		return validation("the lab's IAM attaches policies to roles only, not to Users and Groups")
	}
	for _, role := range texted(j.props["Roles"]) {
		in := map[string]any{"RoleName": role, "PolicyName": j.text("PolicyName"), "PolicyDocument": document(j.props["PolicyDocument"])}
		if err := j.do(ctx, "iam", "PutRolePolicy", in); err != nil {
			return err
		}
	}
	return nil
}

func updateInline(ctx context.Context, j *job) error {
	for _, role := range texted(j.before["Roles"]) {
		if slices.Contains(texted(j.props["Roles"]), role) && !j.changed("PolicyName") {
			continue
		}
		if err := j.do(ctx, "iam", "DeleteRolePolicy", map[string]any{"RoleName": role, "PolicyName": textOf(j.before["PolicyName"])}); err != nil && !isGone(err) {
			return err
		}
	}
	return putInline(ctx, j)
}

func removeInline(ctx context.Context, j *job) error {
	for _, role := range texted(j.props["Roles"]) {
		if err := j.do(ctx, "iam", "DeleteRolePolicy", map[string]any{"RoleName": role, "PolicyName": j.text("PolicyName")}); err != nil && !isGone(err) {
			return err
		}
	}
	return nil
}

func readInline(ctx context.Context, j *job) (map[string]any, error) {
	roles := texted(j.props["Roles"])
	if len(roles) == 0 {
		return nil, nil
	}
	out, err := j.call(ctx, "iam", "GetRolePolicy", map[string]any{"RoleName": roles[0], "PolicyName": j.text("PolicyName")})
	if err != nil {
		return nil, err
	}
	return map[string]any{"PolicyDocument": unescaped(out["PolicyDocument"])}, nil
}

func createManaged(ctx context.Context, j *job) error {
	in := j.pick("Path", "Description")
	in["PolicyName"], in["PolicyDocument"] = j.name("ManagedPolicyName", 128), document(j.props["PolicyDocument"])
	out, err := j.call(ctx, "iam", "CreatePolicy", in)
	if err != nil {
		return err
	}
	j.physical = textOf(object(out["Policy"])["Arn"])
	j.attrs = map[string]any{"PolicyArn": j.physical, "PolicyId": object(out["Policy"])["PolicyId"]}
	return attachTo(ctx, j, nil, texted(j.props["Roles"]))
}

func attachTo(ctx context.Context, j *job, have, want []string) error {
	for _, role := range want {
		if err := attach(ctx, j, role, nil, []string{j.physical}); err != nil {
			return err
		}
	}
	for _, role := range have {
		if !slices.Contains(want, role) {
			if err := attach(ctx, j, role, []string{j.physical}, nil); err != nil {
				return err
			}
		}
	}
	return nil
}

// updateManaged makes the policy anew: the lab's IAM has one version of each.
func updateManaged(ctx context.Context, j *job) error {
	if !j.changed("PolicyDocument") {
		return attachTo(ctx, j, texted(j.before["Roles"]), texted(j.props["Roles"]))
	}
	arn, after := j.physical, j.props
	j.props = j.before
	err := removeManaged(ctx, j)
	j.props = after
	if err != nil {
		return err
	}
	in := j.pick("Path", "Description")
	in["PolicyName"], in["PolicyDocument"] = lastPart(arn), document(j.props["PolicyDocument"])
	if err := j.do(ctx, "iam", "CreatePolicy", in); err != nil {
		return err
	}
	return attachTo(ctx, j, nil, texted(j.props["Roles"]))
}

func removeManaged(ctx context.Context, j *job) error {
	if err := attachTo(ctx, j, texted(j.props["Roles"]), nil); err != nil {
		return err
	}
	return j.do(ctx, "iam", "DeletePolicy", map[string]any{"PolicyArn": j.physical})
}

func readManaged(ctx context.Context, j *job) (map[string]any, error) {
	out, err := j.call(ctx, "iam", "GetPolicyVersion", map[string]any{"PolicyArn": j.physical, "VersionId": "v1"})
	if err != nil {
		return nil, err
	}
	return map[string]any{"PolicyDocument": unescaped(object(out["PolicyVersion"])["Document"])}, nil
}

func createKey(ctx context.Context, j *job) error {
	in := j.pick("Description", "KeySpec", "KeyUsage", "MultiRegion")
	if policy := document(j.props["KeyPolicy"]); policy != "" {
		in["Policy"] = policy
	}
	out, err := j.call(ctx, "kms", "CreateKey", in)
	if err != nil {
		return err
	}
	key := object(out["KeyMetadata"])
	j.physical = textOf(key["KeyId"])
	j.attrs = map[string]any{"Arn": key["Arn"], "KeyId": key["KeyId"]}
	if enabled, given := j.props["Enabled"].(bool); given && !enabled {
		return j.do(ctx, "kms", "DisableKey", map[string]any{"KeyId": j.physical})
	}
	return nil
}

func updateKey(ctx context.Context, j *job) error {
	if policy := document(j.props["KeyPolicy"]); policy != "" && j.changed("KeyPolicy") {
		if err := j.do(ctx, "kms", "PutKeyPolicy", map[string]any{"KeyId": j.physical, "PolicyName": "default", "Policy": policy}); err != nil {
			return err
		}
	}
	if !j.changed("Enabled") {
		return nil
	}
	operation := "EnableKey"
	if enabled, given := j.props["Enabled"].(bool); given && !enabled {
		operation = "DisableKey"
	}
	return j.do(ctx, "kms", operation, map[string]any{"KeyId": j.physical})
}

func readKey(ctx context.Context, j *job) (map[string]any, error) {
	out, err := j.call(ctx, "kms", "DescribeKey", map[string]any{"KeyId": j.physical})
	if err != nil {
		return nil, err
	}
	have := map[string]any{"Enabled": object(out["KeyMetadata"])["Enabled"], "Description": object(out["KeyMetadata"])["Description"]}
	if out, err = j.call(ctx, "kms", "GetKeyPolicy", map[string]any{"KeyId": j.physical, "PolicyName": "default"}); err != nil {
		return nil, err
	}
	have["KeyPolicy"] = parsed(textOf(out["Policy"]))
	return have, nil
}

func createAlias(ctx context.Context, j *job) error {
	target := textOf(j.props["TargetKeyId"])
	if err := j.do(ctx, "kms", "CreateAlias", map[string]any{"AliasName": j.text("AliasName"), "TargetKeyId": target}); err != nil {
		return err
	}
	j.physical = j.text("AliasName")
	return nil
}

func removeAlias(ctx context.Context, j *job) error {
	return j.do(ctx, "kms", "DeleteAlias", map[string]any{"AliasName": j.physical})
}
