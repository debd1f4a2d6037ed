package cloudformation

import (
	"context"
	"maps"
	"slices"
	"strings"
)

func securityKinds() map[string]*kind {
	return map[string]*kind{
		"AWS::SecurityHub::Hub": {
			schema: properties("AutoEnableControls", "ControlFindingGenerator", "EnableDefaultStandards", "Tags"),
			create: createHub, update: configureHub, read: readHub,
			remove: func(ctx context.Context, j *job) error { return j.do(ctx, "securityhub", "DisableSecurityHub", nil) },
		},
		"AWS::SecurityHub::ProductSubscription": {
			schema: properties("ProductArn*!"),
			create: func(ctx context.Context, j *job) error {
				out, err := j.call(ctx, "securityhub", "EnableImportFindingsForProduct", j.pick("ProductArn"))
				if err != nil {
					return err
				}
				j.physical = textOf(out["ProductSubscriptionArn"])
				j.attrs = map[string]any{"ProductSubscriptionArn": j.physical}
				return nil
			},
			remove: func(ctx context.Context, j *job) error {
				return j.do(ctx, "securityhub", "DisableImportFindingsForProduct", map[string]any{"ProductSubscriptionArn": j.physical})
			},
			read: readProduct,
		},
		"AWS::SecurityHub::FindingAggregator": {
			schema: properties("RegionLinkingMode*", "Regions"),
			create: createAggregator,
			update: func(ctx context.Context, j *job) error {
				in := j.pick("RegionLinkingMode", "Regions")
				in["FindingAggregatorArn"] = j.physical
				return j.do(ctx, "securityhub", "UpdateFindingAggregator", in)
			},
			remove: func(ctx context.Context, j *job) error {
				return j.do(ctx, "securityhub", "DeleteFindingAggregator", map[string]any{"FindingAggregatorArn": j.physical})
			},
			read: func(ctx context.Context, j *job) (map[string]any, error) {
				return j.call(ctx, "securityhub", "GetFindingAggregator", map[string]any{"FindingAggregatorArn": j.physical})
			},
		},
		"AWS::SecurityHub::DelegatedAdmin": {
			schema: properties("AdminAccountId*!"),
			create: createAdmin, read: readAdmin,
			remove: func(ctx context.Context, j *job) error {
				return j.do(ctx, "securityhub", "DisableOrganizationAdminAccount", j.pick("AdminAccountId"))
			},
		},
		"AWS::SecurityHub::OrganizationConfiguration": {
			schema: properties("AutoEnable*", "AutoEnableStandards", "ConfigurationType"),
			create: func(ctx context.Context, j *job) error {
				j.physical = j.place.Account
				j.attrs = map[string]any{"OrganizationConfigurationIdentifier": j.physical, "Status": "ENABLED", "MemberAccountLimitReached": "false"}
				return configureOrganization(ctx, j)
			},
			update: configureOrganization,
			remove: func(ctx context.Context, j *job) error {
				return j.do(ctx, "securityhub", "UpdateOrganizationConfiguration", map[string]any{"AutoEnable": false, "AutoEnableStandards": "NONE"})
			},
			read: func(ctx context.Context, j *job) (map[string]any, error) {
				out, err := j.call(ctx, "securityhub", "DescribeOrganizationConfiguration", nil)
				if err != nil {
					return nil, err
				}
				out["ConfigurationType"] = object(out["OrganizationConfiguration"])["ConfigurationType"]
				return out, nil
			},
		},
		"AWS::InspectorV2::Filter": {
			schema: properties("Name*", "FilterAction*", "FilterCriteria*", "Description", "Tags"),
			create: createFilter, update: updateFilter, read: readFilter,
			remove: func(ctx context.Context, j *job) error {
				return j.do(ctx, "inspector2", "DeleteFilter", map[string]any{"arn": j.physical})
			},
		},
	}
}

func createHub(ctx context.Context, j *job) error {
	in := j.pick("EnableDefaultStandards", "ControlFindingGenerator")
	if tags := j.tagMap(); len(tags) > 0 {
		in["Tags"] = tags
	}
	if err := j.do(ctx, "securityhub", "EnableSecurityHub", in); err != nil {
		return err
	}
	j.physical = j.place.ARN("securityhub", "hub/default")
	j.attrs = map[string]any{"ARN": j.physical}
	if out, err := j.call(ctx, "securityhub", "DescribeHub", nil); err == nil {
		j.attrs["SubscribedAt"] = out["SubscribedAt"]
	}
	if j.props["AutoEnableControls"] == nil {
		return nil
	}
	return configureHub(ctx, j)
}

func configureHub(ctx context.Context, j *job) error {
	in := j.pick("AutoEnableControls", "ControlFindingGenerator")
	if len(in) == 0 {
		return nil
	}
	return j.do(ctx, "securityhub", "UpdateSecurityHubConfiguration", in)
}

func readHub(ctx context.Context, j *job) (map[string]any, error) {
	return j.call(ctx, "securityhub", "DescribeHub", nil)
}

func readProduct(ctx context.Context, j *job) (map[string]any, error) {
	in := map[string]any{}
	for {
		out, err := j.call(ctx, "securityhub", "ListEnabledProductsForImport", in)
		if err != nil {
			return nil, err
		}
		if slices.Contains(texted(out["ProductSubscriptions"]), j.physical) {
			return map[string]any{}, nil
		}
		if in["NextToken"] = out["NextToken"]; textOf(out["NextToken"]) == "" {
			return nil, alreadyGone("securityhub", j.physical)
		}
	}
}

func createAggregator(ctx context.Context, j *job) error {
	out, err := j.call(ctx, "securityhub", "CreateFindingAggregator", j.pick("RegionLinkingMode", "Regions"))
	if err != nil {
		return err
	}
	j.physical = textOf(out["FindingAggregatorArn"])
	j.attrs = map[string]any{"FindingAggregatorArn": j.physical, "FindingAggregationRegion": out["FindingAggregationRegion"]}
	return nil
}

func createAdmin(ctx context.Context, j *job) error {
	if err := j.do(ctx, "securityhub", "EnableOrganizationAdminAccount", j.pick("AdminAccountId")); err != nil {
		return err
	}
	j.physical = j.text("AdminAccountId") + "/" + j.place.Region
	j.attrs = map[string]any{"DelegatedAdminIdentifier": j.physical, "Status": "ENABLED"}
	return nil
}

func readAdmin(ctx context.Context, j *job) (map[string]any, error) {
	out, err := j.call(ctx, "securityhub", "ListOrganizationAdminAccounts", nil)
	if err != nil {
		return nil, err
	}
	for _, v := range listOf(out["AdminAccounts"]) {
		if same(object(v)["AccountId"], j.props["AdminAccountId"]) {
			return map[string]any{"AdminAccountId": object(v)["AccountId"]}, nil
		}
	}
	return nil, alreadyGone("securityhub", j.physical)
}

func configureOrganization(ctx context.Context, j *job) error {
	in := j.pick("AutoEnable", "AutoEnableStandards")
	if v := j.props["ConfigurationType"]; v != nil {
		in["OrganizationConfiguration"] = map[string]any{"ConfigurationType": v}
	}
	return j.do(ctx, "securityhub", "UpdateOrganizationConfiguration", in)
}

// lowered gives names of members a small first letter, as Inspector's API has them.
func lowered(v any) any { return renamed(v, strings.ToLower) }

// raised is the opposite of lowered.
func raised(v any) any { return renamed(v, strings.ToUpper) }

func renamed(v any, first func(string) string) any {
	switch v := v.(type) {
	case []any:
		out := make([]any, len(v))
		for i, element := range v {
			out[i] = renamed(element, first)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, member := range v {
			if key != "" {
				key = first(key[:1]) + key[1:]
			}
			out[key] = renamed(member, first)
		}
		return out
	}
	return v
}

func filterInput(j *job) map[string]any {
	in := map[string]any{"name": j.text("Name"), "action": j.text("FilterAction"), "filterCriteria": lowered(j.props["FilterCriteria"])}
	if d := j.text("Description"); d != "" {
		in["description"] = d
	}
	return in
}

func createFilter(ctx context.Context, j *job) error {
	in := filterInput(j)
	if tags := j.tagMap(); len(tags) > 0 {
		in["tags"] = tags
	}
	out, err := j.call(ctx, "inspector2", "CreateFilter", in)
	if err != nil {
		return err
	}
	j.physical = textOf(out["arn"])
	j.attrs = map[string]any{"Arn": j.physical}
	return nil
}

func updateFilter(ctx context.Context, j *job) error {
	in := filterInput(j)
	in["filterArn"] = j.physical
	return j.do(ctx, "inspector2", "UpdateFilter", in)
}

func readFilter(ctx context.Context, j *job) (map[string]any, error) {
	out, err := j.call(ctx, "inspector2", "ListFilters", map[string]any{"arns": []string{j.physical}})
	if err != nil {
		return nil, err
	}
	for _, v := range listOf(out["filters"]) {
		f := maps.Clone(object(v))
		return map[string]any{
			"Name": f["name"], "FilterAction": f["action"], "Description": f["description"], "FilterCriteria": raised(f["criteria"]),
		}, nil
	}
	return nil, alreadyGone("inspector2", j.physical)
}
