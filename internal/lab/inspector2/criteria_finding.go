package inspector2

import (
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

type portRangeFilter struct {
	Begin *int `json:"beginInclusive"`
	End   *int `json:"endInclusive"`
}

type packageFilter struct {
	Name        *stringFilter `json:"name"`
	Version     *stringFilter `json:"version"`
	Epoch       *numberFilter `json:"epoch"`
	Release     *stringFilter `json:"release"`
	Arch        *stringFilter `json:"architecture"`
	LayerHash   *stringFilter `json:"sourceLayerHash"`
	LambdaLayer *stringFilter `json:"sourceLambdaLayerArn"`
	FilePath    *stringFilter `json:"filePath"`
}

// one gives a text, or nothing where it is empty.
func one(s string) []string {
	if s == "" {
		return nil
	}
	return []string{s}
}

// each gathers what a finding's resources have.
func each[D, V any](pick func(*Resource) *D, of func(*D) []V) func(*Finding) []V {
	return func(f *Finding) []V {
		var out []V
		for i := range f.Resources {
			if d := pick(&f.Resources[i]); d != nil {
				out = append(out, of(d)...)
			}
		}
		return out
	}
}

func instanceOf(r *Resource) *InstanceDetails { return r.Details.Instance }
func imageOf(r *Resource) *ImageDetails       { return r.Details.Image }
func functionOf(r *Resource) *FunctionDetails { return r.Details.Function }
func itself(r *Resource) *Resource            { return r }
func dates(t time.Time) []time.Time           { return []time.Time{t} }
func strings1(f func(*Finding) string) textOf { return func(x *Finding) []string { return one(f(x)) } }

type textOf = func(*Finding) []string

// ofPackage is a text of package findings.
func ofPackage(of func(*PackageVulnerability) []string) textOf {
	return func(f *Finding) []string {
		if f.Package == nil {
			return nil
		}
		return of(f.Package)
	}
}

func ofCode(of func(*CodeVulnerability) []string) textOf {
	return func(f *Finding) []string {
		if f.Code == nil {
			return nil
		}
		return of(f.Code)
	}
}

func ofSteps(of func(Step) string) textOf {
	return func(f *Finding) []string {
		var out []string
		if f.Network != nil {
			for _, step := range f.Network.Path.Steps {
				out = append(out, of(step))
			}
		}
		return out
	}
}

var findingComparisons = []string{"EQUALS", "PREFIX", "NOT_EQUALS"}

// findingFields are the 46 fields of FilterCriteria.
// https://docs.aws.amazon.com/inspector/v2/APIReference/API_FilterCriteria.html
var findingFields = fields[*Finding]{
	comparisons: findingComparisons,
	text: map[string]textOf{
		"findingArn":             strings1(func(f *Finding) string { return f.ARN }),
		"awsAccountId":           strings1(func(f *Finding) string { return f.AccountID }),
		"findingType":            strings1(func(f *Finding) string { return f.Type }),
		"severity":               strings1(func(f *Finding) string { return f.Severity }),
		"findingStatus":          strings1(func(f *Finding) string { return f.Status }),
		"title":                  strings1(func(f *Finding) string { return f.Title }),
		"fixAvailable":           strings1(func(f *Finding) string { return f.FixAvailable }),
		"exploitAvailable":       strings1(func(f *Finding) string { return f.ExploitAvailable }),
		"resourceType":           each(itself, func(r *Resource) []string { return one(r.Type) }),
		"resourceId":             each(itself, func(r *Resource) []string { return one(r.ID) }),
		"ec2InstanceImageId":     each(instanceOf, func(d *InstanceDetails) []string { return one(d.ImageID) }),
		"ec2InstanceVpcId":       each(instanceOf, func(d *InstanceDetails) []string { return one(d.VPCID) }),
		"ec2InstanceSubnetId":    each(instanceOf, func(d *InstanceDetails) []string { return one(d.SubnetID) }),
		"ecrImageArchitecture":   each(imageOf, func(d *ImageDetails) []string { return one(d.Architecture) }),
		"ecrImageRegistry":       each(imageOf, func(d *ImageDetails) []string { return one(d.Registry) }),
		"ecrImageRepositoryName": each(imageOf, func(d *ImageDetails) []string { return one(d.Repository) }),
		"ecrImageTags":           each(imageOf, func(d *ImageDetails) []string { return d.Tags }),
		"ecrImageHash":           each(imageOf, func(d *ImageDetails) []string { return one(d.Hash) }),
		"lambdaFunctionName":     each(functionOf, func(d *FunctionDetails) []string { return one(d.Name) }),
		"lambdaFunctionLayers":   each(functionOf, func(d *FunctionDetails) []string { return d.Layers }),
		"lambdaFunctionRuntime":  each(functionOf, func(d *FunctionDetails) []string { return one(d.Runtime) }),

		"lambdaFunctionExecutionRoleArn": each(functionOf, func(d *FunctionDetails) []string { return one(d.RoleARN) }),

		"vulnerabilityId":        ofPackage(func(p *PackageVulnerability) []string { return one(p.ID) }),
		"vulnerabilitySource":    ofPackage(func(p *PackageVulnerability) []string { return one(p.Source) }),
		"vendorSeverity":         ofPackage(func(p *PackageVulnerability) []string { return one(p.VendorSeverity) }),
		"relatedVulnerabilities": ofPackage(func(p *PackageVulnerability) []string { return p.Related }),

		"networkProtocol": func(f *Finding) []string {
			if f.Network == nil {
				return nil
			}
			return one(f.Network.Protocol)
		},
		"componentId":   ofSteps(func(s Step) string { return s.ID }),
		"componentType": ofSteps(func(s Step) string { return s.Type }),

		"codeVulnerabilityDetectorName": ofCode(func(c *CodeVulnerability) []string { return one(c.DetectorName) }),
		"codeVulnerabilityDetectorTags": ofCode(func(c *CodeVulnerability) []string { return c.DetectorTags }),
		"codeVulnerabilityFilePath":     ofCode(func(c *CodeVulnerability) []string { return one(c.File.Path) }),

		// The lab scans no code repositories: nothing has these.
		"codeRepositoryProjectName":  func(*Finding) []string { return nil },
		"codeRepositoryProviderType": func(*Finding) []string { return nil },
	},
	dates: map[string]func(*Finding) []time.Time{
		"firstObservedAt":              func(f *Finding) []time.Time { return dates(f.FirstObservedAt.Time) },
		"lastObservedAt":               func(f *Finding) []time.Time { return dates(f.LastObservedAt.Time) },
		"updatedAt":                    func(f *Finding) []time.Time { return dates(f.UpdatedAt.Time) },
		"ecrImagePushedAt":             each(imageOf, func(d *ImageDetails) []time.Time { return dates(d.PushedAt.Time) }),
		"ecrImageLastInUseAt":          each(imageOf, func(d *ImageDetails) []time.Time { return dates(d.LastInUseAt.Time) }),
		"lambdaFunctionLastModifiedAt": each(functionOf, func(d *FunctionDetails) []time.Time { return dates(d.LastModifiedAt.Time) }),
	},
	numbers: map[string]func(*Finding) []float64{
		"inspectorScore": func(f *Finding) []float64 {
			if f.ScoreDetails == nil {
				return nil
			}
			return []float64{f.Score}
		},
		"epssScore": func(f *Finding) []float64 {
			if f.EPSS == nil {
				return nil
			}
			return []float64{f.EPSS.Score}
		},
		"ecrImageInUseCount": each(imageOf, func(d *ImageDetails) []float64 { return []float64{float64(d.InUseCount)} }),
	},
	tags: map[string]func(*Finding) []map[string]string{
		"resourceTags": each(itself, func(r *Resource) []map[string]string { return []map[string]string{r.Tags} }),
	},
	other: map[string]func(jsontext.Value) (predicate[*Finding], error){
		"portRange":          compilePortRange,
		"vulnerablePackages": compilePackage,
	},
}

// compilePortRange makes a filter that matches findings whose open ports lie within it.
func compilePortRange(raw jsontext.Value) (predicate[*Finding], error) {
	const at = "filterCriteria.portRange"
	var p portRangeFilter
	if err := json.Unmarshal(raw, &p); err != nil {
		return nil, invalid(at, "the filter has members of other types")
	}
	for _, port := range []*int{p.Begin, p.End} {
		if port != nil && (*port < 0 || *port > 65535) {
			return nil, invalid(at, "port %d: expected 0 to 65535", *port)
		}
	}
	return func(f *Finding) bool {
		return f.Network != nil && (p.Begin == nil || f.Network.Ports.Begin >= *p.Begin) && (p.End == nil || f.Network.Ports.End <= *p.End)
	}, nil
}

// compilePackage makes a filter that matches findings one of whose packages has all that it names.
func compilePackage(raw jsontext.Value) (predicate[*Finding], error) {
	const at = "filterCriteria.vulnerablePackages"
	var p packageFilter
	if err := json.Unmarshal(raw, &p); err != nil {
		return nil, invalid(at, "the filter has members of other types")
	}
	type part struct {
		filter *stringFilter
		of     func(*VulnerablePackage) string
	}
	parts := []part{
		{p.Name, func(v *VulnerablePackage) string { return v.Name }},
		{p.Version, func(v *VulnerablePackage) string { return v.Version }},
		{p.Release, func(v *VulnerablePackage) string { return v.Release }},
		{p.Arch, func(v *VulnerablePackage) string { return v.Arch }},
		{p.LayerHash, func(v *VulnerablePackage) string { return v.LayerHash }},
		{p.LambdaLayer, func(v *VulnerablePackage) string { return v.LambdaLayer }},
		{p.FilePath, func(v *VulnerablePackage) string { return v.FilePath }},
	}
	for _, part := range parts {
		if part.filter != nil {
			if err := checkText(at, *part.filter, findingComparisons); err != nil {
				return nil, err
			}
		}
	}
	matches := func(v *VulnerablePackage) bool {
		for _, part := range parts {
			if part.filter != nil && !matchText([]stringFilter{*part.filter}, one(part.of(v))) {
				return false
			}
		}
		return p.Epoch == nil || p.Epoch.match(float64(v.Epoch))
	}
	return func(f *Finding) bool {
		if f.Package == nil {
			return false
		}
		for i := range f.Package.Packages {
			if matches(&f.Package.Packages[i]) {
				return true
			}
		}
		return false
	}, nil
}
