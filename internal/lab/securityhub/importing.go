package securityhub

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/wire"
)

type importInput struct{ Findings []jsontext.Value }

type importError struct {
	ID           string `json:"Id"`
	ErrorCode    string
	ErrorMessage string
}

type importOutput struct {
	FailedCount    int
	SuccessCount   int
	FailedFindings []importError

	older int // of those that were taken: a newer version is there
}

// olderVersion stands for the code of an error that AWS does not have: it passes over what is older than what it has, and
// counts it as taken.
const olderVersion = "(older)"

// An arrival is a finding that is to be imported.
type arrival struct {
	raw     jsontext.Value
	finding *finding
	wrong   string // with the finding, in the service's words
}

func arrivals(in *importInput) []arrival {
	out := make([]arrival, 0, len(in.Findings))
	for _, raw := range in.Findings {
		f, wrong := readFinding(raw)
		out = append(out, arrival{raw, f, wrong})
	}
	return out
}

// batchImportFindings refuses the whole request where a finding's account or product is not the caller's to write for;
// what else is wrong with a finding is told beside those that were taken.
func (s *Service) batchImportFindings(_ context.Context, c *wire.Call, in *importInput) (*importOutput, error) {
	if len(c.Body) > maxBatchSize {
		return nil, invalidInput("The request is longer than %d bytes", maxBatchSize)
	}
	if n := len(in.Findings); n < 1 || n > maxBatch {
		return nil, invalidInput("Invalid parameter 'Findings'. data should have 1 to %d items", maxBatch)
	}
	batch := arrivals(in)
	if err := authorizeImport(c, batch); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	partner := slices.Contains(s.settings.Partners, c.Account)
	if _, err := s.subscribed(c.Place); err != nil && !partner {
		return nil, err
	}
	for _, a := range batch {
		if f := a.finding; f.ProductARN != "" {
			if err := mayImport(c, f, partner); err != nil {
				return nil, err
			}
		}
	}
	return s.takeAll(c.Place, batch), nil
}

// authorizeImport asks whether the caller may import for the products of a batch.
func authorizeImport(c *wire.Call, batch []arrival) error {
	var asked []string
	for _, a := range batch {
		arn := a.finding.ProductARN
		if arn == "" || slices.Contains(asked, arn) {
			continue
		}
		asked = append(asked, arn)
		if err := c.Authorize("securityhub:BatchImportFindings", arn, "", nil); err != nil {
			return err
		}
	}
	return nil
}

// mayImport tells whether the caller may import a finding of its account and product.
// https://docs.aws.amazon.com/securityhub/1.0/APIReference/API_BatchImportFindings.html
func mayImport(c *wire.Call, f *finding, partner bool) error {
	path, ok := pathOfProduct(c.Place, f.ProductARN)
	if !ok {
		return invalidInput("productArn: %q", f.ProductARN)
	}
	foreign := cloud.IsAccountID(f.AwsAccountID) && f.AwsAccountID != c.Account && !partner
	company, _, _ := strings.Cut(path, "/")
	unknown := findProduct(path) == nil && path != defaultProduct(c.Account)
	if foreign || unknown || company == "aws" {
		return accessDenied("User: %s is not authorized to perform: securityhub:BatchImportFindings on resource: %s", c.Who.ARN, f.ProductARN)
	}
	return nil
}

// defaultProduct is the path of an account's own product.
func defaultProduct(account string) string { return account + "/default" }

// pathOfProduct takes the path out of a product's ARN in a region: company/product.
func pathOfProduct(p cloud.Place, arn string) (string, bool) {
	parsed, err := cloud.ParseARN(arn)
	if err != nil || parsed.Partition != p.Partition || parsed.Service != "securityhub" || parsed.Region != p.Region {
		return "", false
	}
	path, ok := strings.CutPrefix(parsed.Resource, "product/")
	company, name, both := strings.Cut(path, "/")
	if !ok || !both || company == "" || name == "" || strings.Contains(name, "/") {
		return "", false
	}
	private := cloud.IsAccountID(company)
	return path, !private || parsed.Account == company
}

// takeAll imports findings in the region of a place. Requires mu.
func (s *Service) takeAll(at cloud.Place, batch []arrival) *importOutput {
	out := &importOutput{FailedFindings: []importError{}}
	for _, a := range batch {
		switch code, message := s.take(at, a); code {
		case olderVersion:
			out.older++
			out.SuccessCount++
		case "":
			out.SuccessCount++
		default:
			out.FailedFindings = append(out.FailedFindings, importError{a.finding.ID, code, message})
		}
	}
	out.FailedCount = len(out.FailedFindings)
	return out
}

// take imports one finding, and gives an error's code and message where it cannot. Requires mu.
func (s *Service) take(at cloud.Place, a arrival) (code, message string) {
	f := a.finding
	switch {
	case len(a.raw) > maxFinding:
		return "FindingSizeExceeded", fmt.Sprintf("The finding is larger than %d KB", maxFinding>>10)
	case a.wrong != "":
		return "InvalidInput", "Finding does not adhere to Amazon Finding Format. " + a.wrong + "."
	}
	h := s.hubs[cloud.Place{Partition: at.Partition, Account: f.AwsAccountID, Region: at.Region}]
	path, ok := pathOfProduct(at, f.ProductARN)
	switch {
	case !ok:
		return "InvalidInput", "Finding does not adhere to Amazon Finding Format. data.ProductArn is no product in " + at.Region + "."
	case h == nil || !h.on:
		return "InvalidAccess", "Account " + f.AwsAccountID + " is not subscribed to AWS Security Hub"
	case path != builtIn && path != defaultProduct(f.AwsAccountID) && !h.products[path]:
		return "InvalidAccess", "Account " + f.AwsAccountID + " has not enabled the product " + f.ProductARN
	}
	key := findingKey{f.ProductARN, f.ID}
	old := s.live(h, key)
	if old != nil {
		switch at := parseTime(f.UpdatedAt); {
		case at.Before(old.current().updated):
			return olderVersion, ""
		case at.Equal(old.current().updated):
			return "", "" // it is there
		}
	}
	if err := s.store(h, key, old, a, path); err != nil {
		return "InternalFailure", err.Error()
	}
	return "", ""
}

// store keeps a finding as its provider has sent it, completed, and announces it. Requires mu.
func (s *Service) store(h *hub, key findingKey, old *record, a arrival, path string) error {
	now := s.cloud.Clock.Now()
	compact := a.raw.Clone()
	if err := compact.Compact(); err != nil {
		return fmt.Errorf("finding %s: %w", key.id, err)
	}
	o, err := parseObject(compact)
	if err != nil {
		return fmt.Errorf("finding %s: %w", key.id, err)
	}
	var before object
	if old != nil {
		if before, err = parseObject(old.current().raw); err != nil {
			return fmt.Errorf("finding %s: %w", key.id, err)
		}
	}
	s.complete(h, &o, a.finding, path, now)
	if old == nil {
		shareFields(&o, nil, owned{})
	} else {
		shareFields(&o, before, old.owned)
		for _, name := range []string{"Note", "UserDefinedFields", "VerificationState", "Workflow", "WorkflowState"} {
			o.set(name, before.get(name))
		}
	}
	states(&o)
	v, err := newVersion(o.encode(), now)
	if err != nil {
		return fmt.Errorf("finding %s: %w", key.id, err)
	}
	r := s.put(h, key, old, v)
	if old != nil {
		r.remember(now, change{kind: byImport, who: key.product, updates: differences(before, o)})
	}
	return s.announce(r)
}

// complete fills in what Security Hub says of every finding itself. Requires mu.
func (s *Service) complete(h *hub, o *object, f *finding, path string, now time.Time) {
	name, company := f.ProductName, f.CompanyName // an account's own product may give them
	if p := findProduct(path); p != nil {
		name, company = p.name, p.company
	}
	if name == "" {
		name = "Default"
	}
	if company == "" {
		company = "Personal"
	}
	o.set("ProductName", text(name))
	o.set("CompanyName", text(company))
	o.set("Region", text(h.place.Region))
	if org, _ := s.cloud.Accounts.Organization(); org != "" {
		if account, ok := s.cloud.Accounts.Find(h.place.Account); ok {
			o.set("AwsAccountName", text(account.Name))
		}
	}
	fields := o.child("ProductFields")
	fields.set(hubFields+"FindingId", text(f.ProductARN+"/"+f.ID))
	fields.set(hubFields+"ProductName", text(name))
	fields.set(hubFields+"CompanyName", text(company))
	o.set("ProductFields", fields.encode())
	o.set("ProcessedAt", text(stamp(now)))
}

// shareFields sets the fields that providers give in FindingProviderFields and customers change at the top: what a
// customer has changed stays as it was before.
// https://docs.aws.amazon.com/securityhub/latest/userguide/finding-update-batchimportfindings.html
func shareFields(o *object, before object, own owned) {
	provider := o.child("FindingProviderFields")
	for _, field := range []struct {
		name  string
		owned bool
	}{{"Types", own.types}, {"Confidence", own.confidence}, {"Criticality", own.criticality}, {"RelatedFindings", own.related}} {
		given := provider.get(field.name)
		if given == nil {
			given = o.get(field.name)
			if given != nil {
				provider.set(field.name, given)
			}
		}
		if field.owned {
			given = before.get(field.name)
		}
		o.set(field.name, given)
	}
	top, theirs := o.child("Severity"), provider.child("Severity")
	var v, p severity
	_ = json.Unmarshal(top.encode(), &v) // readFinding has seen that it decodes, here and below
	_ = json.Unmarshal(theirs.encode(), &p)
	if theirs != nil {
		p.complete()
		v.Label = p.Label
		if p.Original != "" {
			v.Original = p.Original
		}
	}
	v.complete()
	top.set("Label", text(v.Label))
	top.set("Normalized", number(int(*v.Normalized)))
	top.set("Original", text(v.Original))
	theirs.set("Label", text(v.Label))
	theirs.set("Original", text(v.Original))
	provider.set("Severity", theirs.encode())
	if own.severity {
		o.set("Severity", before.get("Severity"))
	} else {
		o.set("Severity", top.encode())
	}
	o.set("FindingProviderFields", provider.encode())
}

// states sets what a finding starts with.
func states(o *object) {
	workflow := o.child("Workflow")
	if workflow.get("Status") == nil {
		workflow.set("Status", text("NEW"))
		o.set("Workflow", workflow.encode())
	}
	for _, d := range [][2]string{{"WorkflowState", "NEW"}, {"RecordState", "ACTIVE"}} {
		if o.get(d[0]) == nil {
			o.set(d[0], text(d[1]))
		}
	}
}

// Resource is cloud.Receiver: it knows the product subscriptions.
func (s *Service) Resource(arn string) (cloud.Resource, error) {
	parsed, err := cloud.ParseARN(arn)
	if err != nil {
		return cloud.Resource{}, fmt.Errorf("%w: %w", cloud.ErrNoResource, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.subscription(parsed); !ok {
		return cloud.Resource{}, fmt.Errorf("product subscription %s: %w", arn, cloud.ErrNoResource)
	}
	return cloud.Resource{Owner: parsed.Account}, nil
}

// subscription gives the product that an ARN names a subscription of, where it is enabled. Requires mu.
func (s *Service) subscription(arn cloud.ARN) (path string, ok bool) {
	path, ok = strings.CutPrefix(arn.Resource, "product-subscription/")
	h := s.hubs[arn.Place()]
	return path, ok && h != nil && h.on && (path == builtIn || h.products[path])
}

// Receive is cloud.Receiver: it takes {"Findings":[…]} from another service, such as Inspector, for the subscription of its
// product (aws/inspector) in an account and region. It answers what BatchImportFindings answers, and Older. Where Security
// Hub is not on or the product is not enabled it takes nothing and answers nothing, as AWS's services see it.
func (s *Service) Receive(_ context.Context, d *cloud.Delivery) ([]byte, error) {
	arn, err := cloud.ParseARN(d.Target)
	if err != nil {
		return nil, fmt.Errorf("import findings: %w", err)
	}
	if !d.Trusted {
		return nil, fmt.Errorf("import findings for %s: %s is no service with an integration", d.Target, d.From)
	}
	if len(d.Body) > maxBatchSize {
		return nil, fmt.Errorf("import findings for %s: %d bytes, over %d", d.Target, len(d.Body), maxBatchSize)
	}
	var in importInput
	if err := json.Unmarshal(d.Body, &in); err != nil {
		return nil, fmt.Errorf("import findings for %s: %w", d.Target, err)
	}
	if n := len(in.Findings); n > maxBatch {
		return nil, fmt.Errorf("import findings for %s: %d of them, over %d", d.Target, n, maxBatch)
	}
	batch := arrivals(&in)
	s.mu.Lock()
	defer s.mu.Unlock()
	path, ok := s.subscription(arn)
	if !ok {
		return nil, nil
	}
	for i, a := range batch {
		if wrong := a.wrong; wrong == "" && a.finding.AwsAccountID != arn.Account {
			batch[i].wrong = "data.AwsAccountId should be " + arn.Account
		} else if wrong == "" && a.finding.ProductARN != productARN(arn.Place(), path) {
			batch[i].wrong = "data.ProductArn should be " + productARN(arn.Place(), path)
		}
	}
	out := s.takeAll(arn.Place(), batch)
	return json.Marshal(handedOver{*out, out.older})
}

// handedOver is what a service learns of the findings that it has handed over: also what AWS tells nobody.
type handedOver struct {
	importOutput `json:",inline"`

	Older int `json:",omitzero"` // of those that were taken: a newer version was there
}
