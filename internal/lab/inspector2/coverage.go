package inspector2

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/wire"
)

// Reasons of a coverage that the lab uses; AWS has more.
const (
	ReasonSuccessful = "SUCCESSFUL"
	ReasonPending    = "PENDING_INITIAL_SCAN"
	ReasonUnmanaged  = "UNMANAGED_EC2_INSTANCE"
	ReasonStopped    = "EC2_INSTANCE_STOPPED"
)

// A coverage is a resource and how it is scanned.
type coverage struct {
	account string
	// resource is as it was covered last, and shared with findings.
	resource *Resource
	reason   string
	scanned  time.Time // zero: never
}

func (c *coverage) kind() string {
	f := Finding{Type: PackageFinding, Resources: []Resource{*c.resource}}
	return f.kind()
}

// statusCode tells whether the resource is scanned.
func (c *coverage) statusCode() string {
	if c.reason == ReasonSuccessful || c.reason == ReasonPending {
		return "ACTIVE"
	}
	return "INACTIVE"
}

// Cover tells how a resource is scanned: one of the reasons. A change is an event Inspector2 Coverage. ErrNotEnabled
// where nothing is scanned.
func (s *Service) Cover(p cloud.Place, r *Resource, reason string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.cells[p]
	next := &coverage{account: p.Account, resource: r, reason: reason}
	if c == nil || c.statusOf(next.kind()) != enabled {
		return ErrNotEnabled
	}
	if before := c.covered[r.ID]; before != nil {
		next.scanned = before.scanned
		if before.reason == reason {
			before.resource = r
			return nil
		}
	}
	c.covered[r.ID] = next
	return s.emitCoverage(p, next)
}

// Scanned tells that a resource that is covered was scanned. The first time is an event Inspector2 Scan, with how many
// findings the resource has.
func (s *Service) Scanned(p cloud.Place, resource string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.cells[p]
	if c == nil || c.covered[resource] == nil {
		return ErrNotEnabled
	}
	cov := c.covered[resource]
	initial := cov.scanned.IsZero()
	cov.scanned = s.now()
	if !initial {
		return nil
	}
	var counts severityCounts
	for _, r := range c.order {
		f := r.current()
		if f.Resources[0].ID != resource || f.Status != Active {
			continue
		}
		counts.Total++
		switch f.Severity {
		case "CRITICAL":
			counts.Critical++
		case "HIGH":
			counts.High++
		case "MEDIUM":
			counts.Medium++
		}
	}
	return s.emitScan(p, cov.resource, counts)
}

type scanStatus struct {
	Code   string `json:"statusCode"`
	Reason string `json:"reason"`
}

type ec2Metadata struct {
	Tags     map[string]string `json:"tags"`
	AMI      string            `json:"amiId,omitempty"`
	Platform string            `json:"platform"`
}

type ecrMetadata struct {
	Tags []string `json:"tags"`
}

type lambdaMetadata struct {
	Tags    map[string]string `json:"functionTags"`
	Layers  []string          `json:"layers,omitempty"`
	Name    string            `json:"functionName"`
	Runtime string            `json:"runtime"`
}

type scanMetadata struct {
	EC2    *ec2Metadata    `json:"ec2,omitzero"`
	ECR    *ecrMetadata    `json:"ecrImage,omitzero"`
	Lambda *lambdaMetadata `json:"lambdaFunction,omitzero"`
}

// A coveredResource is a coverage in an answer: one for each type of scan.
type coveredResource struct {
	AccountID     string       `json:"accountId"`
	LastScannedAt wire.Epoch   `json:"lastScannedAt,omitzero"`
	ResourceID    string       `json:"resourceId"`
	Metadata      scanMetadata `json:"resourceMetadata"`
	ResourceType  string       `json:"resourceType"`
	ScanMode      string       `json:"scanMode,omitempty"`
	ScanStatus    scanStatus   `json:"scanStatus"`
	ScanType      string       `json:"scanType"`
}

func (c *coverage) answer(scanType string) *coveredResource {
	r := c.resource
	out := &coveredResource{
		AccountID: c.account, LastScannedAt: wire.Epoch{Time: c.scanned}, ResourceID: r.ID, ResourceType: r.Type,
		ScanStatus: scanStatus{c.statusCode(), c.reason}, ScanType: scanType,
	}
	switch d := r.Details; {
	case d.Instance != nil:
		platform := "LINUX"
		if strings.HasPrefix(d.Instance.Platform, "WINDOWS") {
			platform = "WINDOWS"
		}
		out.Metadata.EC2, out.ScanMode = &ec2Metadata{r.Tags, d.Instance.ImageID, platform}, "EC2_SSM_AGENT_BASED"
	case d.Image != nil:
		out.Metadata.ECR = &ecrMetadata{d.Image.Tags}
	case d.Function != nil:
		out.Metadata.Lambda = &lambdaMetadata{r.Tags, d.Function.Layers, d.Function.Name, d.Function.Runtime}
	}
	return out
}

func ofCovered(of func(*coveredResource) string) func(*coveredResource) []string {
	return func(c *coveredResource) []string { return one(of(c)) }
}

// coverageFields are those of CoverageFilterCriteria that the lab's resources have.
var coverageFields = fields[*coveredResource]{
	comparisons: []string{"EQUALS", "NOT_EQUALS"},
	text: map[string]func(*coveredResource) []string{
		"scanStatusCode":   ofCovered(func(c *coveredResource) string { return c.ScanStatus.Code }),
		"scanStatusReason": ofCovered(func(c *coveredResource) string { return c.ScanStatus.Reason }),
		"accountId":        ofCovered(func(c *coveredResource) string { return c.AccountID }),
		"resourceId":       ofCovered(func(c *coveredResource) string { return c.ResourceID }),
		"resourceType":     ofCovered(func(c *coveredResource) string { return c.ResourceType }),
		"scanType":         ofCovered(func(c *coveredResource) string { return c.ScanType }),
		"scanMode":         ofCovered(func(c *coveredResource) string { return c.ScanMode }),

		"ecrRepositoryName": ofCovered(repositoryOf),
		"ecrImageTags": func(c *coveredResource) []string {
			if c.Metadata.ECR == nil {
				return nil
			}
			return c.Metadata.ECR.Tags
		},
		"lambdaFunctionName": ofCovered(func(c *coveredResource) string {
			if c.Metadata.Lambda == nil {
				return ""
			}
			return c.Metadata.Lambda.Name
		}),
		"lambdaFunctionRuntime": ofCovered(func(c *coveredResource) string {
			if c.Metadata.Lambda == nil {
				return ""
			}
			return c.Metadata.Lambda.Runtime
		}),
	},
	dates: map[string]func(*coveredResource) []time.Time{
		"lastScannedAt": func(c *coveredResource) []time.Time { return dates(c.LastScannedAt.Time) },
	},
	tags: map[string]func(*coveredResource) []map[string]string{
		"ec2InstanceTags": func(c *coveredResource) []map[string]string {
			if c.Metadata.EC2 == nil {
				return nil
			}
			return []map[string]string{c.Metadata.EC2.Tags}
		},
		"lambdaFunctionTags": func(c *coveredResource) []map[string]string {
			if c.Metadata.Lambda == nil {
				return nil
			}
			return []map[string]string{c.Metadata.Lambda.Tags}
		},
	},
}

// repositoryOf takes the repository out of an image's ARN.
func repositoryOf(c *coveredResource) string {
	_, rest, _ := strings.Cut(c.ResourceID, ":repository/")
	name, _, _ := strings.Cut(rest, "/sha256:")
	return name
}

type coverageInput struct {
	FilterCriteria jsontext.Value `json:"filterCriteria"`
	GroupBy        string         `json:"groupBy"`
	MaxResults     *int           `json:"maxResults"`
	NextToken      string         `json:"nextToken"`
}

type listCoverageOutput struct {
	Resources []*coveredResource `json:"coveredResources"`
	NextToken string             `json:"nextToken,omitempty"`
}

// visible gives what is covered and matches, by account, resource and type of scan. Requires mu.
func (s *Service) visible(p cloud.Place, matches predicate[*coveredResource]) []*coveredResource {
	var out []*coveredResource
	for _, place := range s.sees(p) {
		c := s.look(place)
		for _, id := range slices.Sorted(maps.Keys(c.covered)) {
			scanTypes := []string{"PACKAGE"}
			if c.covered[id].resource.Type == Instance {
				scanTypes = []string{"NETWORK", "PACKAGE"}
			}
			for _, scanType := range scanTypes {
				if x := c.covered[id].answer(scanType); matches(x) {
					out = append(out, x)
				}
			}
		}
	}
	return out
}

func (s *Service) listCoverage(_ context.Context, c *wire.Call, in *coverageInput) (*listCoverageOutput, error) {
	most, err := limit(in.MaxResults, 200)
	if err != nil {
		return nil, err
	}
	matches, criteria, err := coverageFields.compile(in.FilterCriteria)
	if err != nil {
		return nil, err
	}
	query := "coverage " + string(criteria)
	after, err := readToken(in.NextToken, query, c)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	out := new(listCoverageOutput)
	key := func(x *coveredResource) string { return x.AccountID + " " + x.ResourceID + " " + x.ScanType }
	for _, x := range s.visible(c.Place, matches) {
		if key(x) <= after.Key {
			continue
		}
		if len(out.Resources) == most {
			out.NextToken = token{Key: key(out.Resources[most-1])}.write(query, c)
			break
		}
		out.Resources = append(out.Resources, x)
	}
	return out, nil
}

type groupCount struct {
	Count    int    `json:"count"`
	GroupKey string `json:"groupKey"`
}

type coverageStatistics struct {
	Counts    []groupCount `json:"countsByGroup,omitempty"`
	NextToken string       `json:"nextToken,omitempty"`
	Total     int          `json:"totalCounts"`
}

// maxGroups is the most groups of an answer.
const maxGroups = 5

// listCoverageStatistics counts. The model of the API gives a group no value but the name of the key, so the counts of
// the groups are told apart by their order alone: that of the values.
func (s *Service) listCoverageStatistics(_ context.Context, c *wire.Call, in *coverageInput) (*coverageStatistics, error) {
	groups := map[string]func(*coveredResource) string{
		"SCAN_STATUS_CODE":    func(x *coveredResource) string { return x.ScanStatus.Code },
		"SCAN_STATUS_REASON":  func(x *coveredResource) string { return x.ScanStatus.Reason },
		"ACCOUNT_ID":          func(x *coveredResource) string { return x.AccountID },
		"RESOURCE_TYPE":       func(x *coveredResource) string { return x.ResourceType },
		"ECR_REPOSITORY_NAME": repositoryOf,
	}
	if in.GroupBy != "" {
		if err := oneOf("groupBy", in.GroupBy, slices.Sorted(maps.Keys(groups))...); err != nil {
			return nil, err
		}
	}
	matches, criteria, err := coverageFields.compile(in.FilterCriteria)
	if err != nil {
		return nil, err
	}
	query := "statistics " + in.GroupBy + string(criteria)
	after, err := readToken(in.NextToken, query, c)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.visible(c.Place, matches)
	out := &coverageStatistics{Total: len(all)}
	if in.GroupBy == "" {
		return out, nil
	}
	counts := make(map[string]int)
	for _, x := range all {
		counts[groups[in.GroupBy](x)]++
	}
	values := slices.Sorted(maps.Keys(counts))
	start := 0
	if after.Key != "" {
		start, _ = strconv.Atoi(after.Key)
	}
	start = min(max(start, 0), len(values))
	for _, v := range values[start:min(start+maxGroups, len(values))] {
		out.Counts = append(out.Counts, groupCount{counts[v], in.GroupBy})
	}
	if start+maxGroups < len(values) {
		out.NextToken = token{Key: strconv.Itoa(start + maxGroups)}.write(query, c)
	}
	return out, nil
}
