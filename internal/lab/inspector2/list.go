package inspector2

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/wire"
)

// maxToken is the most of a token, in characters.
const maxToken = 1_000_000

// A token says after what a list goes on. It is good for the query that it was given to, asked by the same account in
// the same region.
type token struct {
	Query string `json:"q"`
	Sort  string `json:"s"` // what the last one of the page before was sorted by
	Key   string `json:"k"` // its name
}

func bind(query string, c *wire.Call) string {
	sum := sha256.Sum256([]byte(c.Account + "/" + c.Region + "/" + query))
	return hex.EncodeToString(sum[:8])
}

func (t token) write(query string, c *wire.Call) string {
	t.Query = bind(query, c)
	b, err := marshal(t)
	if err != nil {
		return "" // three texts can be written
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

// readToken reads the token of a query; the empty one is before everything.
func readToken(text, query string, c *wire.Call) (token, error) {
	var t token
	if text == "" {
		return t, nil
	}
	if len(text) > maxToken {
		return t, invalid("nextToken", "%d characters: expected at most %d", len(text), maxToken)
	}
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err == nil {
		err = json.Unmarshal(b, &t)
	}
	if err != nil || t.Query != bind(query, c) {
		return t, invalid("nextToken", "was not given for this query")
	}
	return t, nil
}

type sortCriteria struct {
	Field string `json:"field"`
	Order string `json:"sortOrder"`
}

type listFindingsInput struct {
	MaxResults     *int           `json:"maxResults"`
	NextToken      string         `json:"nextToken"`
	FilterCriteria jsontext.Value `json:"filterCriteria"`
	SortCriteria   *sortCriteria  `json:"sortCriteria"`
}

type listFindingsOutput struct {
	Findings  []*Finding `json:"findings"`
	NextToken string     `json:"nextToken,omitempty"`
}

// severities in the order in which they are sorted.
var severities = []string{"UNTRIAGED", "INFORMATIONAL", "LOW", "MEDIUM", "HIGH", "CRITICAL"}

// first gives the first text of a field of a finding.
func first(name string) func(*Finding) string {
	of := findingFields.text[name]
	return func(f *Finding) string { return strings.Join(of(f), " ") }
}

func firstDate(name string) func(*Finding) string {
	of := findingFields.dates[name]
	return func(f *Finding) string {
		for _, t := range of(f) {
			return fmt.Sprintf("%020d", t.UnixMilli())
		}
		return ""
	}
}

func firstNumber(name string) func(*Finding) string {
	of := findingFields.numbers[name]
	return func(f *Finding) string {
		for _, n := range of(f) {
			return fmt.Sprintf("%015.6f", n)
		}
		return ""
	}
}

// sortKeys give texts that sort as the fields of SortCriteria do. There is none for updatedAt.
var sortKeys = map[string]func(*Finding) string{
	"AWS_ACCOUNT_ID": first("awsAccountId"), "FINDING_TYPE": first("findingType"), "FINDING_STATUS": first("findingStatus"),
	"RESOURCE_TYPE": first("resourceType"), "ECR_IMAGE_REPOSITORY_NAME": first("ecrImageRepositoryName"),
	"ECR_IMAGE_REGISTRY": first("ecrImageRegistry"), "NETWORK_PROTOCOL": first("networkProtocol"), "COMPONENT_TYPE": first("componentType"),
	"VULNERABILITY_ID": first("vulnerabilityId"), "VULNERABILITY_SOURCE": first("vulnerabilitySource"), "VENDOR_SEVERITY": first("vendorSeverity"),
	"FIRST_OBSERVED_AT": firstDate("firstObservedAt"), "LAST_OBSERVED_AT": firstDate("lastObservedAt"),
	"ECR_IMAGE_PUSHED_AT": firstDate("ecrImagePushedAt"),
	"INSPECTOR_SCORE":     firstNumber("inspectorScore"), "EPSS_SCORE": firstNumber("epssScore"),
	"SEVERITY": func(f *Finding) string { return fmt.Sprint(slices.Index(severities, f.Severity)) },
}

// listFindings answers 25 findings at most, though maxResults may be 100: so does AWS.
func (s *Service) listFindings(_ context.Context, c *wire.Call, in *listFindingsInput) (*listFindingsOutput, error) {
	most, err := limit(in.MaxResults, 100)
	if err != nil {
		return nil, err
	}
	page := maxPage
	if s.PageSize > 0 {
		page = min(page, s.PageSize)
	}
	most = min(most, page)
	matches, criteria, err := findingFields.compile(in.FilterCriteria)
	if err != nil {
		return nil, err
	}
	query := string(criteria)
	if in.SortCriteria != nil {
		if sortKeys[in.SortCriteria.Field] == nil {
			return nil, invalid("sortCriteria.field", "%q: no field that findings can be sorted by", in.SortCriteria.Field)
		}
		if err := oneOf("sortCriteria.sortOrder", in.SortCriteria.Order, "ASC", "DESC"); err != nil {
			return nil, err
		}
		query += in.SortCriteria.Field + in.SortCriteria.Order
	}
	after, err := readToken(in.NextToken, query, c)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []*Finding
	if in.SortCriteria == nil {
		found = s.inOrder(c.Place, matches, after, most+1)
	} else {
		found = s.sorted(c.Place, matches, *in.SortCriteria, after, most+1)
	}
	out := &listFindingsOutput{Findings: found}
	if len(found) > most {
		out.Findings = found[:most]
		last := found[most-1]
		next := token{Key: last.ARN, Sort: last.AccountID}
		if in.SortCriteria != nil {
			next.Sort = sortKeys[in.SortCriteria.Field](last)
		}
		out.NextToken = next.write(query, c)
	}
	return out, nil
}

// inOrder gives the first n findings (0: all) after a token by account and ARN, without looking at those before. Requires mu.
func (s *Service) inOrder(p cloud.Place, matches predicate[*Finding], after token, n int) []*Finding {
	now, lag := s.now(), s.cloud.Lag.Findings
	var out []*Finding
	for _, place := range s.sees(p) {
		c := s.cells[place]
		if c == nil || place.Account < after.Sort {
			continue
		}
		start := 0
		if place.Account == after.Sort && after.Key != "" {
			i, found := c.find(after.Key)
			if found {
				i++
			}
			start = i
		}
		for _, r := range c.order[start:] {
			if f := r.shown(now, lag); f != nil && !r.expired(now) && matches(f) {
				if out = append(out, f); len(out) == n {
					return out
				}
			}
		}
	}
	return out
}

// sorted is inOrder for another order. Requires mu.
func (s *Service) sorted(p cloud.Place, matches predicate[*Finding], by sortCriteria, after token, n int) []*Finding {
	key := sortKeys[by.Field]
	sign := 1
	if by.Order == "DESC" {
		sign = -1
	}
	type item struct {
		key string
		f   *Finding
	}
	compare := func(a item, key, arn string) int {
		return cmp.Or(sign*strings.Compare(a.key, key), strings.Compare(a.f.ARN, arn))
	}
	now, lag := s.now(), s.cloud.Lag.Findings
	var all []item
	for _, place := range s.sees(p) {
		c := s.cells[place]
		if c == nil {
			continue
		}
		for _, r := range c.order {
			f := r.shown(now, lag)
			if f == nil || r.expired(now) || !matches(f) {
				continue
			}
			x := item{key(f), f}
			if after.Key == "" || compare(x, after.Sort, after.Key) > 0 {
				all = append(all, x)
			}
		}
	}
	slices.SortFunc(all, func(a, b item) int { return compare(a, b.key, b.f.ARN) })
	var out []*Finding
	for _, x := range all[:min(n, len(all))] {
		out = append(out, x.f)
	}
	return out
}

type detailsInput struct {
	ARNs []string `json:"findingArns"`
}

type findingDetail struct {
	ARN           string   `json:"findingArn"`
	RiskScore     int      `json:"riskScore"`
	ReferenceURLs []string `json:"referenceUrls"`
	CWEs          []string `json:"cwes"`
	EPSSScore     float64  `json:"epssScore"`
}

type detailsError struct {
	ARN     string `json:"findingArn"`
	Code    string `json:"errorCode"`
	Message string `json:"errorMessage"`
}

type detailsOutput struct {
	Details []findingDetail `json:"findingDetails"`
	Errors  []detailsError  `json:"errors"`
}

func (s *Service) batchGetFindingDetails(_ context.Context, c *wire.Call, in *detailsInput) (*detailsOutput, error) {
	if len(in.ARNs) < 1 || len(in.ARNs) > 10 {
		return nil, invalid("findingArns", "%d ARNs: expected 1 to 10", len(in.ARNs))
	}
	for _, arn := range in.ARNs {
		if err := checkLength("findingArns", arn, 1, 100); err != nil {
			return nil, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	out := new(detailsOutput)
	places := s.sees(c.Place)
	for _, arn := range in.ARNs {
		f, code, message := s.detailed(places, arn)
		if f == nil {
			out.Errors = append(out.Errors, detailsError{arn, code, message})
			continue
		}
		d := findingDetail{ARN: arn, RiskScore: int(f.Score * 10)}
		if f.Package != nil {
			d.ReferenceURLs = f.Package.ReferenceURLs
		}
		if f.Code != nil {
			d.CWEs = f.Code.CWEs
		}
		if f.EPSS != nil {
			d.EPSSScore = f.EPSS.Score
		}
		out.Details = append(out.Details, d)
	}
	return out, nil
}

// detailed finds a finding that is visible from places, or the code and message of the error. Requires mu.
func (s *Service) detailed(places []cloud.Place, name string) (*Finding, string, string) {
	arn, err := cloud.ParseARN(name)
	if err != nil || arn.Service != "inspector2" {
		return nil, "INVALID_INPUT", "this is no ARN of a finding"
	}
	if !slices.Contains(places, arn.Place()) {
		return nil, "ACCESS_DENIED", "the finding is of another account or region"
	}
	now := s.now()
	if c := s.cells[arn.Place()]; c != nil {
		if i, ok := c.find(name); ok && !c.order[i].expired(now) {
			if f := c.order[i].shown(now, s.cloud.Lag.Findings); f != nil {
				return f, "", ""
			}
		}
	}
	return nil, "FINDING_DETAILS_NOT_FOUND", "the finding does not exist"
}
