package inspector2_test

import (
	"maps"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/inspector2"
	"example.org/catchment/internal/lab/labtest"
	"example.org/catchment/internal/lab/wire"
)

func sample(t *testing.T, name string) map[string]any {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	var out map[string]any
	if err := json.Unmarshal(b, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func at(t *testing.T, text string) wire.Epoch {
	t.Helper()
	when, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		t.Fatal(err)
	}
	return wire.Epoch{Time: when}
}

// elsewhere is a stage with one account in one region, with everything enabled.
func elsewhere(t *testing.T, start, account, region string) (*stage, cloud.Place) {
	t.Helper()
	s := newStage(t, func(o *cloud.Options) { o.Start = at(t, start).Time })
	if err := s.cloud.Accounts.Add(cloud.Account{ID: account}); err != nil {
		t.Fatal(err)
	}
	p := s.cloud.Accounts.Place(account, region)
	if err := s.service.Activate(p, inspector2.EC2, inspector2.ECR, inspector2.Lambda); err != nil {
		t.Fatal(err)
	}
	return s, p
}

// same replaces texts of got by those of want where they may differ: ids.
func rename(v any, from, to string) any {
	switch v := v.(type) {
	case string:
		return strings.ReplaceAll(v, from, to)
	case []any:
		for i := range v {
			v[i] = rename(v[i], from, to)
		}
	case map[string]any:
		for k := range maps.Clone(v) {
			v[k] = rename(v[k], from, to)
		}
	}
	return v
}

func text(m map[string]any, path ...string) string {
	var v any = m
	for _, k := range path {
		if list, ok := v.([]any); ok {
			v = list[0]
		}
		v = v.(map[string]any)[k]
	}
	s, _ := v.(string)
	return s
}

func TestAnInstanceInSecurityHubLooksLikeTheSample(t *testing.T) {
	want := sample(t, "asff-inspector-v2-ec2.json")
	s, p := elsewhere(t, "2023-03-01T08:06:17Z", "111111111111", "us-east-1")
	const vector = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H"
	f := &inspector2.Finding{
		Type: inspector2.PackageFinding, Title: text(want, "Title"), Description: text(want, "Description"), Severity: "CRITICAL", Status: inspector2.Active,
		FixAvailable: "YES", Score: 10,
		ScoreDetails: &inspector2.ScoreDetails{Adjusted: inspector2.AdjustedCVSS{
			Adjustments: []inspector2.Adjustment{}, CVSSSource: "NVD", ScoreSource: "NVD", Score: 10, Vector: vector, Version: "3.1",
		}},
		Remediation: &inspector2.Remediation{Recommendation: inspector2.Recommendation{Text: "None Provided"}},
		Package: &inspector2.PackageVulnerability{
			ID: "CVE-2022-3643", Source: "NVD", SourceURL: "https://nvd.nist.gov/vuln/detail/CVE-2022-3643", VendorSeverity: "CRITICAL",
			VendorCreatedAt: at(t, "2022-12-07T01:15:00Z"), VendorUpdatedAt: at(t, "2023-01-10T19:41:00Z"),
			CVSS: []inspector2.CVSS{{BaseScore: 10, Vector: vector, Source: "NVD", Version: "3.1"}},
			ReferenceURLs: []string{
				"https://xenbits.xenproject.org/xsa/advisory-423.txt", "https://lists.debian.org/debian-lts-announce/2022/12/msg00031.html",
				"https://lists.debian.org/debian-lts-announce/2022/12/msg00034.html",
			},
			Packages: []inspector2.VulnerablePackage{{
				Name: "kernel", Version: "4.14.301", Release: "224.520.amzn2", Arch: "X86_64", PackageManager: "OS",
				FixedInVersion: "0:5.10.162-141.675.amzn2", Remediation: "yum update kernel",
			}},
		},
		Resources: []inspector2.Resource{{
			Type: inspector2.Instance, ID: "i-11111111111111111", Partition: "aws", Region: "us-east-1",
			Details: inspector2.Details{Instance: &inspector2.InstanceDetails{
				Type: "c6i.large", ImageID: "ami-11111111111111111", IPv4: []string{"11.1.11.111"}, Platform: "AMAZON_LINUX_2",
				ProfileARN: "arn:aws:iam::111111111111:instance-profile/...2022021512482163910000000f",
				VPCID:      "vpc-11111111111111111", SubnetID: "subnet-11111111111111111", LaunchedAt: at(t, "2023-03-01T08:04:12Z"),
			}},
		}},
	}
	arn, err := s.service.Report(p, f)
	if err != nil {
		t.Fatal(err)
	}
	labtest.Settle(t, s.cloud)
	got := s.hub.bodies(t)[0]["Findings"].([]any)[0]
	rename(got, arn, text(want, "Id"))
	rename(got, ":instance/i-", ":i-") // the sample's publisher has lost it; newer samples have it
	if diff := cmp.Diff(any(want), got); diff != "" {
		t.Errorf("in Security Hub (-sample +got):\n%s", diff)
	}
}

func TestAnImageInSecurityHubLooksLikeTheSample(t *testing.T) {
	want := sample(t, "asff-inspector-v2-ecr.json")
	s, p := elsewhere(t, "2023-08-23T14:00:39Z", "123456789012", "eu-central-1")
	const vector, digest = "CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:U/C:N/I:N/A:H", "sha256:af965ef68c78374a5f987fce98c0ddfa45801df2395bf012c50b863e65978d74"
	f := &inspector2.Finding{
		Type: inspector2.PackageFinding, Title: text(want, "Title"), Description: text(want, "Description"), Severity: "MEDIUM", Status: inspector2.Active,
		FixAvailable: "YES", ExploitAvailable: "NO", EPSS: &inspector2.EPSS{Score: 0.0014}, Score: 6.5,
		ScoreDetails: &inspector2.ScoreDetails{Adjusted: inspector2.AdjustedCVSS{CVSSSource: "NVD", ScoreSource: "NVD", Score: 6.5, Vector: vector, Version: "3.1"}},
		Remediation:  &inspector2.Remediation{Recommendation: inspector2.Recommendation{Text: text(want, "Remediation", "Recommendation", "Text")}},
		Package: &inspector2.PackageVulnerability{
			ID: "CVE-2023-2650", Source: "DEBIAN_CVE", SourceURL: "https://security-tracker.debian.org/tracker/CVE-2023-2650",
			VendorSeverity: "not yet assigned", CVSS: []inspector2.CVSS{{BaseScore: 6.5, Vector: vector, Source: "NVD", Version: "3.1"}},
			ReferenceURLs: []string{"https://bugs.debian.org/cgi-bin/bugreport.cgi?bug=null"},
			Packages: []inspector2.VulnerablePackage{{
				Name: "openssl", Version: "1.1.1n", Release: "0+deb11u4", Arch: "AMD64", PackageManager: "OS", FixedInVersion: "0:1.1.1n-0+deb11u5",
				Remediation: "apt-get update && apt-get upgrade", LayerHash: "sha256:d5fad00d4eb04c332a8728ee7642bff8fb9cd3cec653ca301ab69a4ca075a757",
			}},
		},
		Resources: []inspector2.Resource{{
			Type: inspector2.Image, ID: "arn:aws:ecr:eu-central-1:123456789012:repository/repo-os/" + digest, Partition: "aws", Region: "eu-central-1",
			Details: inspector2.Details{Image: &inspector2.ImageDetails{
				Registry: "123456789012", Repository: "repo-os", Architecture: "amd64", Hash: digest, Tags: []string{"2023-08-23"},
				PushedAt: at(t, "2023-08-23T14:00:14Z"), Platform: "DEBIAN_11",
			}},
		}},
	}
	if _, err := s.service.Report(p, f); err != nil {
		t.Fatal(err)
	}
	labtest.Advance(t, s.cloud, at(t, "2023-08-30T21:11:07Z").Sub(s.cloud.Clock.Now()))
	arn, err := s.service.Report(p, f)
	if err != nil {
		t.Fatal(err)
	}
	labtest.Settle(t, s.cloud)
	got := s.hub.bodies(t)[1]["Findings"].([]any)[0]
	rename(got, arn, text(want, "Id"))
	if diff := cmp.Diff(any(want), got); diff != "" {
		t.Errorf("in Security Hub (-sample +got):\n%s", diff)
	}
}

// sampleInstance is the instance of the samples of events.
func sampleInstance(t *testing.T, launched string) inspector2.Resource {
	t.Helper()
	return inspector2.Resource{
		Type: inspector2.Instance, ID: "i-12345678901234567", Partition: "aws", Region: "eu-central-1",
		Details: inspector2.Details{Instance: &inspector2.InstanceDetails{
			ProfileARN: "arn:aws:iam::123456789012:instance-profile/AmazonSSMRoleForInstancesQuickSetup", ImageID: "ami-02ff980600c693b38",
			IPv4: []string{"192.0.2.10", "203.0.113.20"}, LaunchedAt: at(t, launched), Platform: "UBUNTU_22_04", SubnetID: "subnet-12345678",
			Type: "t2.small", VPCID: "vpc-12345678",
		}},
	}
}

func TestAnEventLooksLikeTheSampleOfAPackage(t *testing.T) {
	want := sample(t, "event-inspector2-finding-ec2-package-2024.json")
	s, p := elsewhere(t, "2024-09-04T16:59:44.356Z", "123456789012", "eu-central-1")
	detail := want["detail"].(map[string]any)
	const low = "CVSS:3.1/AV:L/AC:L/PR:L/UI:R/S:U/C:L/I:L/A:L"
	f := &inspector2.Finding{
		Type: inspector2.PackageFinding, Title: text(detail, "title"), Description: text(detail, "description"), Severity: "MEDIUM", Status: inspector2.Active,
		EPSS: &inspector2.EPSS{Score: 0.00043}, ExploitAvailable: "NO", FixAvailable: "YES", Score: 4.8,
		ScoreDetails: &inspector2.ScoreDetails{Adjusted: inspector2.AdjustedCVSS{
			Adjustments: []inspector2.Adjustment{}, CVSSSource: "UBUNTU_CVE", ScoreSource: "UBUNTU_CVE", Score: 4.8, Vector: low, Version: "3.1",
		}},
		Remediation: &inspector2.Remediation{Recommendation: inspector2.Recommendation{Text: "None Provided"}},
		Package: &inspector2.PackageVulnerability{
			ID: "CVE-2024-29069", Source: "UBUNTU_CVE", SourceURL: text(detail, "packageVulnerabilityDetails", "sourceUrl"), VendorSeverity: "medium",
			VendorCreatedAt: at(t, "2024-07-25T20:15:00Z"), Related: []string{"USN-6940-1"},
			ReferenceURLs: []string{"https://www.cve.org/CVERecord?id=CVE-2024-29069", "https://ubuntu.com/security/notices/USN-6940-1"},
			CVSS: []inspector2.CVSS{
				{BaseScore: 4.8, Vector: low, Source: "UBUNTU_CVE", Version: "3.1"},
				{BaseScore: 7.3, Vector: "CVSS:3.1/AV:L/AC:L/PR:L/UI:R/S:U/C:H/I:H/A:H", Source: "NVD", Version: "3.1"},
			},
			Packages: []inspector2.VulnerablePackage{{
				Arch: "ALL", FixedInVersion: "0:2.63+22.04ubuntu0.1", Name: "snapd", PackageManager: "OS",
				Remediation: "apt-get update && apt-get upgrade", Version: "2.63",
			}},
		},
		Resources: []inspector2.Resource{sampleInstance(t, "2024-09-04T16:57:40Z")},
	}
	for _, when := range []string{"2024-09-04T16:59:44.356Z", "2024-09-04T16:59:44.476Z", "2024-09-04T17:00:36.951Z"} {
		labtest.Advance(t, s.cloud, at(t, when).Sub(s.cloud.Clock.Now()))
		if when == "2024-09-04T17:00:36.951Z" {
			f = closed(f)
		}
		arn, err := s.service.Report(p, f)
		if err != nil {
			t.Fatal(err)
		}
		rename(want, "arn:aws:inspector2:eu-central-1:123456789012:finding/{{FINDING_ID}}", arn)
	}
	labtest.Settle(t, s.cloud)
	got := s.bus.bodies(t)[2]
	got["id"] = want["id"]
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("event (-sample +got):\n%s", diff)
	}
}

func TestAnEventLooksLikeTheSampleOfANetworkPath(t *testing.T) {
	want := sample(t, "event-inspector2-finding-ec2-network-2024.json")
	s, p := elsewhere(t, "2024-09-05T13:06:56.334Z", "123456789012", "eu-central-1")
	detail := want["detail"].(map[string]any)
	f := &inspector2.Finding{
		Type: inspector2.NetworkFinding, Title: text(detail, "title"), Description: text(detail, "description"), Severity: "MEDIUM", Status: inspector2.Active,
		Remediation: &inspector2.Remediation{Recommendation: inspector2.Recommendation{Text: text(detail, "remediation", "recommendation", "text")}},
		Network: &inspector2.NetworkReachability{
			Protocol: "TCP", Ports: inspector2.PortRange{Begin: 22, End: 22},
			Path: inspector2.NetworkPath{Steps: []inspector2.Step{
				{ID: "igw-261bab4d", Type: "AWS::EC2::InternetGateway"},
				{ID: "acl-171b527d", Type: "AWS::EC2::NetworkAcl"},
				{ID: "sg-0d34debf87410f2d9", Type: "AWS::EC2::SecurityGroup"},
				{ID: "eni-094ad651219472857", Type: "AWS::EC2::NetworkInterface"},
				{ID: "i-12345678901234567", Type: "AWS::EC2::Instance"},
			}},
		},
		Resources: []inspector2.Resource{sampleInstance(t, "2024-09-04T17:41:24Z")},
	}
	arn, err := s.service.Report(p, f)
	if err != nil {
		t.Fatal(err)
	}
	labtest.Settle(t, s.cloud)
	got := s.bus.bodies(t)[0]
	got["id"] = want["id"]
	rename(want, "arn:aws:inspector2:eu-central-1:123456789012:finding/{{FINDING_ID}}", arn)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("event (-sample +got):\n%s", diff)
	}
	hub := s.hub.bodies(t)[0]["Findings"].([]any)[0].(map[string]any)
	if kind := hub["Types"].([]any)[0]; kind != "Software and Configuration Checks/AWS Security Best Practices/Network Reachability" {
		t.Errorf("type in Security Hub %q", kind)
	}
}
