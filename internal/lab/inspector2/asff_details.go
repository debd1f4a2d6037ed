package inspector2

import (
	"strconv"
	"strings"
)

// set adds a member unless its text is empty.
func set(o object, name, value string) {
	if value != "" {
		o[name] = value
	}
}

func (d *InstanceDetails) asff() object {
	out := object{"IpV4Addresses": d.IPv4, "LaunchedAt": d.LaunchedAt}
	set(out, "Type", d.Type)
	set(out, "ImageId", d.ImageID)
	set(out, "IamInstanceProfileArn", d.ProfileARN)
	set(out, "VpcId", d.VPCID)
	set(out, "SubnetId", d.SubnetID)
	set(out, "KeyName", d.KeyName)
	if len(d.IPv6) > 0 {
		out["IpV6Addresses"] = d.IPv6
	}
	return out
}

func (d *ImageDetails) asff() object {
	out := object{
		"RegistryId": d.Registry, "RepositoryName": d.Repository, "ImageDigest": d.Hash, "ImagePublishedAt": d.PushedAt,
	}
	set(out, "Architecture", d.Architecture)
	if len(d.Tags) > 0 {
		out["ImageTags"] = d.Tags
	}
	return out
}

func (d *FunctionDetails) asff() object {
	out := object{
		"FunctionName": d.Name, "Runtime": runtimeName(d.Runtime), "CodeSha256": d.CodeSHA256, "Version": d.Version, "Role": d.RoleARN,
		"LastModified": d.LastModifiedAt,
	}
	set(out, "PackageType", titled(d.PackageType))
	if len(d.Architectures) > 0 {
		var lower []string
		for _, a := range d.Architectures {
			lower = append(lower, strings.ToLower(a))
		}
		out["Architectures"] = lower
	}
	if len(d.Layers) > 0 {
		var layers []object
		for _, arn := range d.Layers {
			layers = append(layers, object{"Arn": arn})
		}
		out["Layers"] = layers
	}
	if d.VPC != nil {
		out["VpcConfig"] = object{"SubnetIds": d.VPC.SubnetIDs, "SecurityGroupIds": d.VPC.SecurityGroupIDs, "VpcId": d.VPC.VPCID}
	}
	return out
}

// runtimeName turns Inspector's PYTHON_3_11 into Lambda's python3.11.
func runtimeName(s string) string {
	name, version, found := strings.Cut(strings.ToLower(s), "_")
	if !found {
		return name
	}
	return name + strings.ReplaceAll(version, "_", ".")
}

// titled turns ZIP into Zip.
func titled(s string) string {
	if len(s) < 2 {
		return s
	}
	return s[:1] + strings.ToLower(s[1:])
}

func (f *Finding) vulnerability() object {
	v := f.Package
	var packages []object
	for _, p := range v.Packages {
		one := object{"Name": p.Name, "Version": p.Version, "Epoch": strconv.Itoa(p.Epoch)}
		set(one, "Release", p.Release)
		set(one, "Architecture", p.Arch)
		set(one, "PackageManager", p.PackageManager)
		set(one, "FilePath", p.FilePath)
		set(one, "FixedInVersion", p.FixedInVersion)
		set(one, "Remediation", p.Remediation)
		set(one, "SourceLayerHash", p.LayerHash)
		set(one, "SourceLayerArn", p.LambdaLayer)
		packages = append(packages, one)
	}
	vendor := object{"Name": v.Source}
	set(vendor, "Url", v.SourceURL)
	set(vendor, "VendorSeverity", v.VendorSeverity)
	if !v.VendorCreatedAt.IsZero() {
		vendor["VendorCreatedAt"] = v.VendorCreatedAt
	}
	if !v.VendorUpdatedAt.IsZero() {
		vendor["VendorUpdatedAt"] = v.VendorUpdatedAt
	}
	out := object{"Id": v.ID, "VulnerablePackages": packages, "Vendor": vendor}
	if scores := f.asffScores(); len(scores) > 0 {
		out["Cvss"] = scores
	}
	if len(v.Related) > 0 {
		out["RelatedVulnerabilities"] = v.Related
	}
	if len(v.ReferenceURLs) > 0 {
		out["ReferenceUrls"] = v.ReferenceURLs
	}
	set(out, "FixAvailable", f.FixAvailable)
	set(out, "ExploitAvailable", f.ExploitAvailable)
	if f.EPSS != nil {
		out["EpssScore"] = f.EPSS.Score
	}
	if f.Exploitability != nil {
		out["LastKnownExploitAt"] = f.Exploitability.LastKnownExploitAt
	}
	return out
}

// asffScores are the scores that others gave, and then the adjusted one.
func (f *Finding) asffScores() []object {
	var out []object
	for _, c := range f.Package.CVSS {
		out = append(out, object{"Version": c.Version, "BaseScore": c.BaseScore, "BaseVector": c.Vector, "Source": c.Source})
	}
	if f.ScoreDetails == nil {
		return out
	}
	a := f.ScoreDetails.Adjusted
	adjusted := object{"Version": a.Version, "BaseScore": a.Score, "BaseVector": a.Vector, "Source": a.CVSSSource}
	if a.Adjustments != nil {
		adjustments := []object{}
		for _, x := range a.Adjustments {
			adjustments = append(adjustments, object{"Metric": x.Metric, "Reason": x.Reason})
		}
		adjusted["Adjustments"] = adjustments
	}
	return append(out, adjusted)
}
