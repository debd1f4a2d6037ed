package population

import (
	"fmt"
	"slices"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/inspector"
)

// An assessor tells runs of Inspector Classic what is wrong with the hosts of a population: the same that Inspector 2 says
// at that time, and some that only Classic looked for.
type assessor struct{ p *Population }

var (
	_ inspector.Assessor = assessor{}
	_ inspector.Fleet    = assessor{}
)

// A condition is an issue of a host at present.
type condition struct {
	host  *asset
	issue int
}

// hosts gives the hosts of a place that a run takes, and what is wrong with them. Requires mu.
func (a assessor) hosts(place cloud.Place, run inspector.Run) (hosts []*asset, wrong []condition) {
	p := a.p
	if p.isEmpty(place) {
		return nil, nil
	}
	c, started := p.cells[place], true
	if c == nil {
		c, started = p.settle(place), false
	}
	now := p.cloud.Clock.Now()
	for _, x := range c.assets {
		if x.resource.Details.Instance == nil || x.born.After(now) || !x.dies.After(now) || !chosen(x, run.Tags) {
			continue
		}
		hosts = append(hosts, x)
		if !started {
			for _, issue := range p.issues(place, x) {
				wrong = append(wrong, condition{x, issue})
			}
		}
	}
	if started {
		for _, m := range c.open() {
			if x := c.assets[m.slot]; slices.Contains(hosts, x) {
				wrong = append(wrong, condition{x, m.issue})
			}
		}
	}
	return hosts, wrong
}

// chosen tells whether a host has one of the tags of a resource group.
func chosen(x *asset, tags []inspector.Attribute) bool {
	if len(tags) == 0 {
		return true
	}
	return slices.ContainsFunc(tags, func(t inspector.Attribute) bool {
		v, ok := x.resource.Tags[t.Key]
		return ok && (t.Value == "" || t.Value == v)
	})
}

// Agents makes an assessor an inspector.Fleet.
func (a assessor) Agents(place cloud.Place, run inspector.Run) []string {
	a.p.mu.Lock()
	defer a.p.mu.Unlock()
	hosts, _ := a.hosts(place, run)
	var out []string
	for _, h := range hosts {
		out = append(out, h.resource.ID)
	}
	return out
}

// Assess makes an assessor an inspector.Assessor.
func (a assessor) Assess(place cloud.Place, run inspector.Run) []inspector.Finding {
	a.p.mu.Lock()
	defer a.p.mu.Unlock()
	hosts, wrong := a.hosts(place, run)
	var out []inspector.Finding
	for _, pack := range run.RulesPackages {
		switch pack.Name {
		case inspector.NameCVE:
			for _, w := range wrong {
				if w.issue < firstPort {
					out = append(out, a.vulnerable(w, pack))
				}
			}
		case inspector.NameReachability:
			for _, w := range wrong {
				if w.issue >= firstPort && w.issue < firstFlaw {
					out = append(out, a.reachable(w, pack))
				}
			}
		default:
			for _, h := range hosts {
				out = append(out, a.practices(place, h, pack)...)
			}
		}
	}
	return out
}

func (a assessor) about(h *asset, pack inspector.RulesPackage) inspector.Finding {
	d := h.resource.Details.Instance
	asset := &inspector.AssetAttributes{SchemaVersion: 1, AgentID: h.resource.ID, AMIID: d.ImageID, IPv4Addresses: d.IPv4}
	for _, k := range []string{"Name", "Env", "Owner", "備考", "Note"} {
		if v, ok := h.resource.Tags[k]; ok {
			asset.Tags = append(asset.Tags, inspector.Attribute{Key: k, Value: v})
		}
	}
	return inspector.Finding{
		ServiceAttributes: inspector.ServiceAttributes{RulesPackageARN: pack.ARN}, AssetType: "ec2-instance", AssetAttributes: asset, Confidence: 10,
		Attributes: []inspector.Attribute{{Key: "INSTANCE_ID", Value: h.resource.ID}},
	}
}

// classicSeverity is Classic's word and number of a CVSS score.
func classicSeverity(score float64) (string, float64) {
	switch {
	case score >= 7:
		return inspector.SeverityHigh, 9
	case score >= 4:
		return inspector.SeverityMedium, 6
	case score > 0:
		return inspector.SeverityLow, 3
	}
	return inspector.SeverityInformational, 0
}

func (a assessor) vulnerable(w condition, pack inspector.RulesPackage) inspector.Finding {
	v := &catalogue[w.issue]
	f := a.about(w.host, pack)
	name := v.name + "-0:" + v.has
	f.ID, f.Title = v.id, "Instance "+w.host.resource.ID+" is vulnerable to "+v.id
	f.Description, f.Recommendation = v.text, "Update the package "+name+" by the means of the operating system."
	f.Severity, f.NumericSeverity = classicSeverity(v.score)
	f.Attributes = append(f.Attributes, inspector.Attribute{Key: "package_name", Value: name},
		inspector.Attribute{Key: "CVSS3_SCORE", Value: fmt.Sprint(v.score)}, inspector.Attribute{Key: "CVSS3_VECTOR", Value: "CVSS:3.1/" + v.vector})
	return f
}

func (a assessor) reachable(w condition, pack inspector.RulesPackage) inspector.Finding {
	x := ports[w.issue-firstPort]
	f := a.about(w.host, pack)
	f.ID = "Recognized port reachable from internet"
	f.Title = fmt.Sprintf("On instance %s, %s port %d is reachable from the internet", w.host.resource.ID, x.protocol, x.number)
	f.Description, f.Recommendation = "The port can be reached through an Internet gateway.", "Restrict access by the security group."
	f.Severity, f.NumericSeverity = classicSeverity(map[string]float64{"HIGH": 7, "MEDIUM": 5, "LOW": 2}[x.severity])
	f.Attributes = append(f.Attributes, inspector.Attribute{Key: "PORT", Value: fmt.Sprint(x.number)},
		inspector.Attribute{Key: "PROTOCOL", Value: x.protocol}, inspector.Attribute{Key: "REACHABILITY_TYPE", Value: "Internet"})
	return f
}

// A practice is a rule that only Classic had.
type practice struct{ pack, id, title, text, advice, severity string }

var practices = []practice{
	{inspector.NamePractices, "Disable root login over SSH", "Instance %s lets root log in over SSH.", "The rule looks at the settings of the SSH daemon.", "Set PermitRootLogin to no.", inspector.SeverityMedium},
	{inspector.NamePractices, "Enable Address Space Layout Randomization", "ASLR is not enabled on instance %s.", "The rule looks at a setting of the kernel.", "Set kernel.randomize_va_space to 2.", inspector.SeverityMedium},
	{inspector.NameCIS, "1.1.1.1 Ensure mounting of cramfs filesystems is disabled", "Instance %s does not comply with 1.1.1.1", "A file system that nobody uses is one that nobody looks after.", "Add install cramfs /bin/true to modprobe.d.", inspector.SeverityHigh},
	{inspector.NameCIS, "4.2.3 Ensure permissions on all logfiles are configured", "Instance %s does not comply with 4.2.3", "Logs that all may read tell attackers what is seen of them.", "Take the rights of others from /var/log.", inspector.SeverityHigh},
}

func (a assessor) practices(place cloud.Place, h *asset, pack inspector.RulesPackage) []inspector.Finding {
	d := a.p.throw("practices", place.Account, place.Region, h.slot, h.generation)
	var out []inspector.Finding
	for _, rule := range practices {
		if d.chance(0.5) && rule.pack == pack.Name {
			f := a.about(h, pack)
			f.ID, f.Title, f.Description, f.Recommendation = rule.id, fmt.Sprintf(rule.title, h.resource.ID), rule.text, rule.advice
			f.Severity, f.NumericSeverity = rule.severity, map[string]float64{inspector.SeverityHigh: 9, inspector.SeverityMedium: 6}[rule.severity]
			out = append(out, f)
		}
	}
	return out
}
