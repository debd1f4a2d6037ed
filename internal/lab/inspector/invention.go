package inspector

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"

	"example.org/catchment/internal/lab/cloud"
)

// An invention is the assessor that the service has by itself: three hosts for each choice of tags, with what is wrong with
// them. All follows from the seed, the place and the tags, so the next run finds the same.
type invention struct{ seed uint64 }

const inventedHosts = 3

// draw gives 32 bytes that follow from the seed and the words.
func (v invention) draw(words ...string) [32]byte {
	b := binary.BigEndian.AppendUint64(nil, v.seed)
	return sha256.Sum256(append(b, strings.Join(words, "\x00")...))
}

func (v invention) hosts(p cloud.Place, tags []Attribute) []AssetAttributes {
	var out []AssetAttributes
	for i := range inventedHosts {
		b := v.draw("host", p.Partition, p.Account, p.Region, fmt.Sprint(tags), fmt.Sprint(i))
		digits := hex.EncodeToString(b[:])
		private := fmt.Sprintf("172.31.%d.%d", b[20]&15, b[21]%250+4)
		public := fmt.Sprintf("203.0.113.%d", b[22]%250+4) // documentation addresses
		dns := fmt.Sprintf("ip-%s.%s.compute.internal", strings.ReplaceAll(private, ".", "-"), p.Region)
		host := AssetAttributes{
			SchemaVersion: 1, AgentID: "i-0" + digits[:16], AMIID: "ami-0" + digits[16:32], Hostname: dns, IPv4Addresses: []string{private},
			Tags: append([]Attribute{{"Name", fmt.Sprintf("host-%d", i+1)}}, without(tags, "Name")...),
			NetworkInterfaces: []NetworkInterface{{
				NetworkInterfaceID: "eni-0" + digits[32:48], SubnetID: "subnet-0" + digits[48:64], VPCID: "vpc-" + hex.EncodeToString(b[4:8]),
				PrivateDNSName: dns, PrivateIPAddress: private, PrivateIPAddresses: []PrivateAddress{{dns, private}}, PublicIP: public,
				SecurityGroups: []SecurityGroup{{"web", "sg-0" + digits[8:24]}},
			}},
		}
		if i == 0 {
			host.AutoScalingGroup = "web"
		}
		out = append(out, host)
	}
	return out
}

// Agents makes an invention a Fleet.
func (v invention) Agents(p cloud.Place, run Run) []string {
	var out []string
	for _, h := range v.hosts(p, run.Tags) {
		out = append(out, h.AgentID)
	}
	return out
}

// An inventedRule is something that may be wrong with a host. %s in its texts is the instance.
type inventedRule struct {
	in, id, title, description, recommendation string
	severity                                   string
	score                                      float64
	attributes                                 []Attribute
}

var inventedRules = []inventedRule{
	{
		NameCVE, "CVE-2026-10001", "Instance %s is vulnerable to CVE-2026-10001",
		"A use after free in a network filter of the kernel lets a local user raise privileges.",
		"Use the operating system's update feature to update the package kernel-0:6.1.90-99.170.", SeverityHigh, 9,
		[]Attribute{{"package_name", "kernel-0:6.1.90-99.170"}, {"CVSS3_SCORE", "7.8"}, {"CVSS3_VECTOR", "CVSS:3.1/AV:L/AC:L/PR:L/UI:N/S:U/C:H/I:H/A:H"}},
	},
	{
		NameCVE, "CVE-2026-10002", "Instance %s is vulnerable to CVE-2026-10002",
		"A TLS library reads beyond the end of a certificate, which lets a peer stop the process.",
		"Use the operating system's update feature to update the package openssl-libs-1:3.0.8-1.", SeverityMedium, 6,
		[]Attribute{{"package_name", "openssl-libs-1:3.0.8-1"}, {"CVSS3_SCORE", "5.9"}, {"CVSS3_VECTOR", "CVSS:3.1/AV:N/AC:H/PR:N/UI:N/S:U/C:N/I:N/A:H"}},
	},
	{
		NameCIS, "1.1.3 Ensure nodev option set on /tmp partition", "Instance %s is not compliant with rule 1.1.3 Ensure nodev option set on /tmp partition",
		"The mount option keeps users from making device files on the partition.", "Add nodev to the options of /tmp in /etc/fstab.", SeverityHigh, 9,
		[]Attribute{{"BENCHMARK_ID", "xccdf_org.cisecurity.benchmarks"}},
	},
	{
		NameReachability, "Recognized port reachable from internet", "On instance %s, TCP port 22 which is associated with 'SSH' is reachable from the internet",
		"The port can be reached from the internet through a security group and an internet gateway.",
		"Edit the security group to remove access from the internet on port 22.", SeverityMedium, 6,
		[]Attribute{{"PORT", "22"}, {"PROTOCOL", "TCP"}, {"PORT_GROUP_NAME", "SSH"}, {"REACHABILITY_TYPE", "Internet"}, {"RULE_TYPE", "RecognizedPortNoAgent"}},
	},
	{
		NamePractices, "Disable root login over SSH", "Instance %s is configured to allow users to log in with root credentials over SSH.",
		"The rule looks whether the SSH daemon lets root log in.",
		"Set PermitRootLogin to 'no' in /etc/ssh/sshd_config, and restart sshd.", SeverityMedium, 6, nil,
	},
	{
		NamePractices, "Configure Password Minimum Length", "No password minimum length is configured on instance %s.",
		"The rule looks for a minimum length of passwords.", "Set minlen in /etc/security/pwquality.conf.", SeverityLow, 3, nil,
	},
}

// Assess makes an invention an Assessor.
func (v invention) Assess(p cloud.Place, run Run) []Finding {
	hosts := v.hosts(p, run.Tags)
	var out []Finding
	for _, pack := range run.RulesPackages {
		before := len(out)
		for _, h := range hosts {
			for _, rule := range inventedRules {
				if b := v.draw("rule", h.AgentID, rule.id); rule.in == pack.Name && b[0]%4 != 0 {
					out = append(out, rule.at(h, pack))
				}
			}
		}
		if len(out) == before {
			out = append(out, nothingFound(pack))
		}
	}
	return out
}

func (r *inventedRule) at(h AssetAttributes, pack RulesPackage) Finding {
	return Finding{
		ServiceAttributes: ServiceAttributes{RulesPackageARN: pack.ARN}, AssetType: "ec2-instance", AssetAttributes: &h, ID: r.id,
		Title: fmt.Sprintf(r.title, h.AgentID), Description: r.description, Recommendation: r.recommendation, Severity: r.severity,
		NumericSeverity: r.score, Confidence: 10, Attributes: append([]Attribute{{"INSTANCE_ID", h.AgentID}}, r.attributes...),
	}
}

// nothingFound is what a rules package reports that found nothing.
func nothingFound(pack RulesPackage) Finding {
	return Finding{
		ServiceAttributes: ServiceAttributes{RulesPackageARN: pack.ARN}, AssetType: "ec2-instance",
		AssetAttributes: &AssetAttributes{SchemaVersion: 1, IPv4Addresses: []string{}}, ID: "No potential security issues found",
		Title: "No potential security issues found", Description: "The assessment found no potential security issues.",
		Recommendation: "No remediation needed.", Severity: SeverityInformational, Confidence: 10,
	}
}
