package securityhub

import (
	"maps"
	"slices"
	"strings"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/wire"
)

// A product is a finding provider that Security Hub has an integration with.
type product struct {
	path    string // end of its ARN: aws/inspector
	name    string // ProductName of its findings
	company string // CompanyName
	about   string
}

// products are the integrations that the lab knows: those of AWS's services and some of others.
// https://docs.aws.amazon.com/securityhub/latest/userguide/securityhub-internal-providers.html
var products = []product{
	{"aws/access-analyzer", "IAM Access Analyzer", "AWS", "Resources that are shared with others"},
	{"aws/config", "Config", "AWS", "Evaluations of configuration rules"},
	{"aws/firewall-manager", "Firewall Manager", "AWS", "Resources without the protection that a policy asks for"},
	{"aws/guardduty", "GuardDuty", "Amazon", "Threats"},
	{"aws/health", "Health", "AWS", "Security events of AWS"},
	{"aws/inspector", "Inspector", "Amazon", "Vulnerabilities of instances, images and functions"},
	{"aws/macie", "Macie", "Amazon", "Sensitive data in buckets"},
	{"aws/securityhub", "Security Hub", "AWS", "Checks of controls"},
	{"aws/ssm-patch-manager", "Systems Manager Patch Manager", "AWS", "Instances that miss patches"},
	{"aquasecurity/aquasecurity", "Aqua Security", "Aqua Security", "Images and their vulnerabilities"},
	{"aqua-security/kube-bench", "Kube-bench", "Aqua Security", "Checks of Kubernetes"},
	{"cloud-custodian/cloud-custodian", "Cloud Custodian", "Cloud Custodian", "Rules for resources"},
	{"prowler/prowler", "Prowler", "Prowler", "Checks of accounts"},
	{"tenable/tenable-io", "Tenable.io", "Tenable", "Vulnerabilities of hosts"},
}

// builtIn is the product that needs no subscription: Security Hub itself.
const builtIn = "aws/securityhub"

// automaticProducts are those that EnableSecurityHub subscribes to, where the settings do not say.
var automaticProducts = func() []string {
	var paths []string
	for _, p := range products {
		if strings.HasPrefix(p.path, "aws/") && p.path != "aws/inspector" && p.path != builtIn {
			paths = append(paths, p.path)
		}
	}
	return paths
}()

func findProduct(path string) *product {
	for i := range products {
		if products[i].path == path {
			return &products[i]
		}
	}
	return nil
}

// productARN is the ARN of a product in a region.
func productARN(p cloud.Place, path string) string {
	return cloud.Place{Partition: p.Partition, Region: p.Region}.ARN("securityhub", "product/"+path)
}

func subscriptionARN(p cloud.Place, path string) string {
	return p.ARN("securityhub", "product-subscription/"+path)
}

type productSubscription struct {
	ProductSubscriptionARN string `json:"ProductSubscriptionArn"`
}

type productInput struct {
	ProductARN string `json:"ProductArn"`
}

func (s *Service) enableImportFindingsForProduct(c *wire.Call, h *hub, in *productInput) (*productSubscription, error) {
	path, ok := strings.CutPrefix(in.ProductARN, productARN(c.Place, ""))
	if !ok || findProduct(path) == nil {
		return nil, invalidInput("ProductArn %q: no such product in %s", in.ProductARN, c.Region)
	}
	if path == builtIn || h.products[path] {
		return nil, conflict("Product %s is already enabled for account %s", in.ProductARN, c.Account)
	}
	h.products[path] = true
	return &productSubscription{subscriptionARN(c.Place, path)}, nil
}

type subscriptionList struct {
	ProductSubscriptions []string
	NextToken            string `json:",omitempty"`
}

func (s *Service) listEnabledProductsForImport(c *wire.Call, h *hub, _ *nothing) (*subscriptionList, error) {
	paths := slices.Sorted(maps.Keys(h.products))
	page, next, err := pageOf(s, c, paths, 100)
	if err != nil {
		return nil, err
	}
	out := &subscriptionList{NextToken: next}
	for _, path := range page {
		out.ProductSubscriptions = append(out.ProductSubscriptions, subscriptionARN(c.Place, path))
	}
	return out, nil
}

func (s *Service) disableImportFindingsForProduct(c *wire.Call, h *hub, _ *nothing) (*nothing, error) {
	arn := c.Path["ProductSubscriptionArn"]
	if parsed, err := cloud.ParseARN(arn); err != nil || parsed.Service != "securityhub" {
		return nil, invalidInput("ProductSubscriptionArn %q is not the ARN of a subscription", arn)
	}
	path, ok := strings.CutPrefix(arn, subscriptionARN(c.Place, ""))
	if !ok || !h.products[path] {
		return nil, notFound("Product subscription %s is not found", arn)
	}
	delete(h.products, path)
	return &nothing{}, nil
}

type productOutput struct {
	ProductARN       string `json:"ProductArn"`
	ProductName      string
	CompanyName      string
	Description      string
	Categories       []string
	IntegrationTypes []string
}

type productList struct {
	Products  []productOutput
	NextToken string `json:",omitempty"`
}

func (s *Service) describeProducts(c *wire.Call, _ *hub, _ *nothing) (*productList, error) {
	all := products
	if asked := c.HTTP.URL.Query().Get("ProductArn"); asked != "" {
		path, ok := strings.CutPrefix(asked, productARN(c.Place, ""))
		p := findProduct(path)
		if !ok || p == nil {
			return nil, invalidInput("ProductArn %q: no such product in %s", asked, c.Region)
		}
		all = []product{*p}
	}
	page, next, err := pageOf(s, c, all, 100)
	if err != nil {
		return nil, err
	}
	out := &productList{NextToken: next}
	for _, p := range page {
		out.Products = append(out.Products, productOutput{
			productARN(c.Place, p.path), p.name, p.company, p.about, nil, []string{"SEND_FINDINGS_TO_SECURITY_HUB"},
		})
	}
	return out, nil
}
