package template

// Member is the template for each account in each region: Security Hub is on, and takes Inspector's findings. Inspector
// itself has no resource type that turns it on: catchment does so by its API.
func Member(o Options) ([]byte, error) {
	if _, err := o.withDefaults(); err != nil {
		return nil, err
	}
	parameters := object(
		"SecurityHub", words("Whether this stack turns Security Hub on; present: it is on already.", "create", "create", "present"),
		"InspectorIntegration", words("Whether this stack lets Inspector's findings in; present: they come already.", "create", "create", "present"),
	)
	conditions := object("MakeHub", equals(ref("SecurityHub"), "create"), "MakeIntegration", equals(ref("InspectorIntegration"), "create"))
	resources := object(
		"Hub", object("Type", "AWS::SecurityHub::Hub", "Condition", "MakeHub", "Properties", object(
			"EnableDefaultStandards", false, "Tags", object("catchment", sub("${AWS::StackName}")),
		)),
		"Integration", object(
			"Type", "AWS::SecurityHub::ProductSubscription", "Condition", "MakeIntegration",
			"DependsOn", "Hub", // which CloudFormation passes over where there is none to make
			"Properties", object("ProductArn", sub("arn:${AWS::Partition}:securityhub:${AWS::Region}::product/aws/inspector")),
		),
	)
	return assemble("catchment: Security Hub on, with Inspector's findings", parameters, conditions, resources, nil)
}
