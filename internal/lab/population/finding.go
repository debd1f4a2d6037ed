package population

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/inspector2"
)

// Issues are numbered: the catalogue's first, then ports, then flaws of code.
const (
	firstPort = 1000
	firstFlaw = 2000
)

// issues lists what is wrong with an asset, or will be. It follows from the asset alone.
func (p *Population) issues(place cloud.Place, a *asset) []int {
	d := p.throw("issues", place.Account, place.Region, a.slot, a.generation)
	var out []int
	share := 0.08 + 0.35*d.share()
	for i := range catalogue {
		// The throw comes first, so that which ones an asset has does not depend on the others.
		if d.chance(share) && slices.Contains(a.managers, catalogue[i].manager) && !a.unmanaged {
			out = append(out, i)
		}
	}
	if a.resource.Details.Instance != nil {
		for i := range ports {
			if d.chance(0.12) {
				out = append(out, firstPort+i)
			}
		}
	}
	if f := a.resource.Details.Function; f != nil {
		for i := range flaws {
			language, _, _ := strings.Cut(flaws[i].id, "/")
			matches := language == "python" && strings.HasPrefix(f.Runtime, "PYTHON") || language == "javascript" && strings.HasPrefix(f.Runtime, "NODEJS")
			if d.chance(0.15) && matches {
				out = append(out, firstFlaw+i)
			}
		}
	}
	return out
}

// shared is what many findings have in common, made once: at 1,000 accounts most findings differ in little.
type shared struct {
	packages     map[packageKey]*inspector2.PackageVulnerability
	scores       map[scoreKey]*inspector2.ScoreDetails
	chances      map[scoreKey]*inspector2.EPSS
	flaws        map[int]*inspector2.CodeVulnerability
	fixIt        *inspector2.Remediation
	noFix        *inspector2.Remediation
	restrict     *inspector2.Remediation
	exploitation *inspector2.Exploitability
}

type packageKey struct {
	issue    int
	platform *platform
	layer    string
	kind     string // of resource
	fix      bool
}

type scoreKey struct {
	issue int
	more  uint8
}

func advice(text string) *inspector2.Remediation {
	return &inspector2.Remediation{Recommendation: inspector2.Recommendation{Text: text}}
}

func newShared() *shared {
	return &shared{
		packages: make(map[packageKey]*inspector2.PackageVulnerability), scores: make(map[scoreKey]*inspector2.ScoreDetails),
		chances: make(map[scoreKey]*inspector2.EPSS), flaws: make(map[int]*inspector2.CodeVulnerability),
		fixIt: advice("Update the packages to the versions that are named as fixed."), noFix: advice("None Provided"),
		restrict: advice("Restrict access by the security groups and network ACLs of the path."),
	}
}

// finding makes what Inspector says of an issue of an asset; Status is for the caller to set.
func (p *Population) finding(place cloud.Place, a *asset, issue int, st findingState) *inspector2.Finding {
	f := &inspector2.Finding{Resources: []inspector2.Resource{a.resource}, Status: inspector2.Active}
	switch {
	case issue >= firstFlaw:
		p.codeFinding(f, issue)
	case issue >= firstPort:
		p.networkFinding(f, place, a, ports[issue-firstPort])
	default:
		p.packageFinding(f, a, issue, st)
	}
	return f
}

func (p *Population) packageFinding(f *inspector2.Finding, a *asset, issue int, st findingState) {
	v := &catalogue[issue]
	f.Type, f.Title, f.Description = inspector2.PackageFinding, v.id+" - "+v.name, v.text
	f.Package = p.packages(a, issue, st.fix)
	f.FixAvailable, f.Remediation = "YES", p.shared.fixIt
	if v.noFixYet && !st.fix {
		f.FixAvailable, f.Remediation = "NO", p.shared.noFix
		if len(f.Package.Packages) > 1 {
			f.FixAvailable = "PARTIAL"
		}
	}
	f.ExploitAvailable = "NO"
	if st.exploit || v.epss > 0.5 {
		f.ExploitAvailable = "YES"
		if p.shared.exploitation == nil {
			p.shared.exploitation = &inspector2.Exploitability{LastKnownExploitAt: inspector2.Time{Time: p.from.Add(-36 * time.Hour).Truncate(time.Second)}}
		}
		f.Exploitability = p.shared.exploitation
	}
	score := p.score(issue, st.worse)
	f.Score, f.ScoreDetails, f.Severity = score.Adjusted.Score, score, severityOf(score.Adjusted.Score)
	f.EPSS = p.chance(issue, st.likely)
}

// score is a vulnerability's after it was raised some times.
func (p *Population) score(issue int, worse uint8) *inspector2.ScoreDetails {
	key := scoreKey{issue, worse}
	s := p.shared.scores[key]
	if s == nil {
		v := &catalogue[issue]
		score := math.Round(min(10, v.score+0.9*float64(worse))*10) / 10
		s = &inspector2.ScoreDetails{Adjusted: inspector2.AdjustedCVSS{
			Adjustments: []inspector2.Adjustment{}, CVSSSource: "NVD", ScoreSource: "NVD", Score: score, Vector: "CVSS:3.1/" + v.vector, Version: "3.1",
		}}
		if worse > 0 {
			s.Adjusted.Adjustments = append(s.Adjusted.Adjustments, inspector2.Adjustment{Metric: "Attack Complexity", Reason: "An attack has become easier."})
		}
		p.shared.scores[key] = s
	}
	return s
}

func (p *Population) chance(issue int, likely uint8) *inspector2.EPSS {
	key := scoreKey{issue, likely}
	e := p.shared.chances[key]
	if e == nil {
		e = &inspector2.EPSS{Score: math.Round(min(1, catalogue[issue].epss*math.Pow(1.3, float64(likely)))*1e5) / 1e5}
		p.shared.chances[key] = e
	}
	return e
}

// packages is what a package finding says of the vulnerability on an asset.
func (p *Population) packages(a *asset, issue int, fix bool) *inspector2.PackageVulnerability {
	v := &catalogue[issue]
	key := packageKey{issue, a.platform, a.layer, a.resource.Type, fix || !v.noFixYet}
	if a.resource.Details.Function == nil || len(a.resource.Details.Function.Layers) == 0 {
		if out := p.shared.packages[key]; out != nil {
			return out
		}
	}
	out := &inspector2.PackageVulnerability{
		ID: v.id, Source: "NVD", SourceURL: "https://nvd.nist.gov/vuln/detail/" + v.id, VendorSeverity: severityOf(v.score), Related: []string{},
		CVSS: []inspector2.CVSS{{BaseScore: v.score, Vector: "CVSS:3.1/" + v.vector, Source: "NVD", Version: "3.1"}},
	}
	if created, err := time.Parse(time.DateOnly, v.created); err == nil {
		out.VendorCreatedAt = inspector2.Time{Time: created}
		out.VendorUpdatedAt = inspector2.Time{Time: created.Add(51*24*time.Hour + 3*time.Hour)}
	}
	if v.related != "" {
		out.Related = []string{v.related}
	}
	if strings.HasPrefix(v.id, "GHSA-") {
		out.Source, out.SourceURL = "GITHUB", "https://github.com/advisories/"+v.id
	}
	out.ReferenceURLs = []string{"https://www.cve.org/CVERecord?id=" + v.id}
	if v.manager == "OS" && a.platform != nil {
		out.Source, out.SourceURL = a.platform.source, a.platform.url+v.id
		if out.Source != "NVD" {
			out.VendorSeverity = strings.ToLower(out.VendorSeverity)
		}
	}
	out.Packages = p.vulnerablePackages(a, v, key.fix)
	if a.resource.Details.Function == nil || len(a.resource.Details.Function.Layers) == 0 {
		p.shared.packages[key] = out
	}
	return out
}

// siblings are packages that are made of the same source, and so have its vulnerabilities.
var siblings = map[string][]string{"kernel": {"kernel-devel"}, "openssl": {"openssl-libs"}, "glibc": {"glibc-common"}, "ncurses": {"ncurses-libs"}, "gnupg2": {"dirmngr"}}

func (p *Population) vulnerablePackages(a *asset, v *vulnerability, fix bool) []inspector2.VulnerablePackage {
	one := inspector2.VulnerablePackage{Name: v.name, Version: v.has, PackageManager: v.manager}
	if v.manager != "OS" {
		one.FilePath = libraryPath(a, v)
		one.Remediation = "Update " + v.name + " to " + v.fixed + " or later"
		if fix {
			one.FixedInVersion = v.fixed
		}
		one.LayerHash = a.layer
		if f := a.resource.Details.Function; f != nil && len(f.Layers) > 0 {
			one.LambdaLayer = f.Layers[0]
		}
		return []inspector2.VulnerablePackage{one}
	}
	n := 1 + int(v.score*10)%40
	one.Arch, one.LayerHash = a.platform.arch, a.layer
	one.Release = fmt.Sprintf(a.platform.release, n)
	out := []inspector2.VulnerablePackage{one}
	for _, name := range siblings[v.name] {
		one.Name = name
		out = append(out, one)
	}
	for i := range out {
		out[i].Remediation = a.platform.update
		if strings.Contains(a.platform.update, "%s") {
			out[i].Remediation = fmt.Sprintf(a.platform.update, out[i].Name)
		}
		if fix || i > 0 { // without a fix of the package itself, one of a sibling makes it PARTIAL
			out[i].FixedInVersion = "0:" + v.fixed + "-" + fmt.Sprintf(a.platform.fixed, n+1)
		}
	}
	return out
}

// libraryPath is where a library lies in an asset.
func libraryPath(a *asset, v *vulnerability) string {
	root := map[string]string{inspector2.Instance: "opt/app/", inspector2.Image: "app/", inspector2.Function: ""}[a.resource.Type]
	last := v.name[strings.LastIndexAny(v.name, ":/")+1:]
	switch v.manager {
	case "JAR":
		return root + "lib/" + last + "-" + v.has + ".jar"
	case "PYTHONPKG":
		return root + "site-packages/" + v.name + "-" + v.has + ".dist-info/METADATA"
	case "NODEPKG":
		return root + "node_modules/" + v.name + "/package.json"
	}
	return root + "bin/server"
}

func (p *Population) networkFinding(f *inspector2.Finding, place cloud.Place, a *asset, x port) {
	d := p.throw("path", place.Account, place.Region, a.slot, a.generation)
	vpc := p.throw("vpc path", a.resource.Details.Instance.VPCID)
	gateway, acl, group, card := "igw-0"+vpc.hex(16), "acl-0"+vpc.hex(16), "sg-0"+d.hex(16), "eni-0"+d.hex(16)
	f.Type, f.Severity = inspector2.NetworkFinding, x.severity
	f.Title = fmt.Sprintf("Port %d is reachable from an Internet Gateway - %s", x.number, x.protocol)
	f.Description = fmt.Sprintf("Of the instance %s the port range %d-%d can be reached from the Internet gateway %s through the network interface %s.",
		a.resource.ID, x.number, x.number, gateway, card)
	f.Remediation = p.shared.restrict
	f.Network = &inspector2.NetworkReachability{
		Protocol: x.protocol, Ports: inspector2.PortRange{Begin: x.number, End: x.number},
		Path: inspector2.NetworkPath{Steps: []inspector2.Step{
			{ID: gateway, Type: "AWS::EC2::InternetGateway"},
			{ID: acl, Type: "AWS::EC2::NetworkAcl"},
			{ID: group, Type: "AWS::EC2::SecurityGroup"},
			{ID: card, Type: "AWS::EC2::NetworkInterface"},
			{ID: a.resource.ID, Type: "AWS::EC2::Instance"},
		}},
	}
}

func (p *Population) codeFinding(f *inspector2.Finding, issue int) {
	x := flaws[issue-firstFlaw]
	code := p.shared.flaws[issue]
	if code == nil {
		code = &inspector2.CodeVulnerability{
			CWEs: []string{x.cwe}, DetectorID: x.id, DetectorName: x.name, DetectorTags: []string{"security", "owasp-top10"},
			File: inspector2.CodeFile{Name: x.file, Path: x.file, StartLine: 10 + issue%90, EndLine: 14 + issue%90}, RuleID: "rule-" + fmt.Sprint(issue),
		}
		p.shared.flaws[issue] = code
	}
	f.Type, f.Title, f.Description, f.Severity = inspector2.CodeFinding, x.cwe+" - "+x.name, x.text, x.severity
	f.Remediation, f.Code = p.shared.noFix, code
}
