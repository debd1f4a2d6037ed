package finding

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.org/catchment/internal/scan"
)

// seen is all that a view tells of a finding.
type seen struct {
	Format    string `json:"format"`
	ID        string `json:"id"`
	Version   string `json:"version"`
	UpdatedAt string `json:"updatedAt"`
	Account   string `json:"account"`
	Region    string `json:"region"`
	Product   string `json:"product"`
	Severity  string `json:"severity"`
	Title     string `json:"title"`
}

func see(v *View, eventRegion string) seen {
	s := seen{
		Format: v.Format.String(), ID: string(v.ID()), Version: string(v.Version()), UpdatedAt: "none",
		Product: string(v.Product()), Severity: string(v.Severity()), Title: string(v.Title()),
	}
	if t, ok := v.UpdatedAt(); ok {
		s.UpdatedAt = t.Format(time.RFC3339Nano)
	}
	if account, err := v.Account(); err != nil {
		s.Account = "error: " + err.Error()
	} else {
		s.Account = string(account)
	}
	if region, err := v.Region([]byte(eventRegion)); err != nil {
		s.Region = "error: " + err.Error()
	} else {
		s.Region = string(region)
	}
	return s
}

// bare views a finding that is a document by itself.
func bare(t *testing.T, raw string) *View {
	t.Helper()
	paths := scan.NewPaths()
	fields := NewFields(paths)
	doc := new(scan.Document)
	n, err := doc.Scan([]byte(raw), paths)
	if err != nil {
		t.Fatalf("%s: %v", raw, err)
	}
	v := new(View)
	fields.View(v, doc, 0, int32(n), 0)
	return v
}

// findings finds the findings of a sample: those of an event, of a page (its example may hold it as output), or the
// document itself. wrapped says that they have no event around them.
func findings(t *testing.T, raw []byte) (all []json.RawMessage, eventRegion string, wrapped bool) {
	t.Helper()
	var top struct {
		DetailType string `json:"detail-type"`
		Region     string `json:"region"`
		Detail     json.RawMessage
		Output     json.RawMessage
		Findings   []json.RawMessage
	}
	if err := json.Unmarshal(raw, &top); err != nil {
		t.Fatal(err)
	}
	switch {
	case top.DetailType != "":
		var detail struct{ Findings []json.RawMessage }
		if err := json.Unmarshal(top.Detail, &detail); err != nil {
			t.Fatal(err)
		}
		if detail.Findings == nil {
			detail.Findings = []json.RawMessage{top.Detail}
		}
		return detail.Findings, top.Region, true
	case top.Output != nil:
		return findings(t, top.Output)
	case top.Findings != nil:
		return top.Findings, "", false
	}
	return []json.RawMessage{raw}, "", false
}

func checkGolden(t *testing.T, name string, got []byte) {
	t.Helper()
	if os.Getenv("UPDATE") == "1" {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got); UPDATE=1 rewrites it:\n%s", name, diff)
	}
}

func samples(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/samples/*.json")
	if err != nil || len(files) < 30 {
		t.Fatalf("%d samples, %v", len(files), err)
	}
	return files
}

// TestSamples views every finding of every sample. What is no finding at all, such as a scan event, is seen as unknown.
func TestSamples(t *testing.T) {
	for _, file := range samples(t) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			all, region, _ := findings(t, raw)
			var got []seen
			for _, f := range all {
				got = append(got, see(bare(t, string(f)), region))
			}
			b, err := json.MarshalIndent(got, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			checkGolden(t, filepath.Join("testdata/views", filepath.Base(file)), append(b, '\n'))
		})
	}
}

// TestViewInEvent views findings inside a scanned event: the same as each by itself, and fields of one never pass for
// another's.
func TestViewInEvent(t *testing.T) {
	raw, err := os.ReadFile("testdata/samples/asff-getfindings-inspector-v2-ec2-all.json")
	if err != nil {
		t.Fatal(err)
	}
	all, _, _ := findings(t, raw)
	var elements []string
	for _, f := range all {
		elements = append(elements, string(f))
	}
	event := `{"Region":"xx-none-9","AwsAccountId":"999999999999","detail":{"AwsAccountId":"888888888888","findings":[` + strings.Join(elements, ",") + `]}}`
	paths := scan.NewPaths()
	whole := paths.Add("detail", "findings")
	fields := NewFields(paths, "detail", "findings")
	var doc scan.Document
	if _, err := doc.Scan([]byte(event), paths); err != nil {
		t.Fatal(err)
	}
	var v View // one for all: nothing of the last finding stays
	n := 0
	for _, h := range doc.Hits {
		if int(h.Path) != whole || h.Kind != scan.Object {
			continue
		}
		fields.View(&v, &doc, h.Start, h.End, h.Pos)
		if diff := cmp.Diff(see(bare(t, elements[n]), "eu-west-1"), see(&v, "eu-west-1")); diff != "" {
			t.Errorf("finding %d (-bare +in the event):\n%s", n, diff)
		}
		n++
	}
	if n != len(all) {
		t.Errorf("%d findings of %d", n, len(all))
	}
}

// TestSpoofing gives the account, the region and the rest where no reader may look for them.
func TestSpoofing(t *testing.T) {
	const good = `"Id":"i","ProductArn":"arn:aws:securityhub:us-east-1::product/aws/inspector"`
	for name, tt := range map[string]struct{ in, account, region string }{
		"nothing":                               {`{` + good + `}`, "error: the finding has no account", "us-east-1"},
		"in a resource":                         {`{` + good + `,"Resources":[{"AwsAccountId":"111122223333","Id":"x","Details":{"AwsAccountId":"111122223333","Region":"eu-west-1"}}]}`, "error: the finding has no account", "us-east-1"},
		"in product fields":                     {`{` + good + `,"ProductFields":{"AwsAccountId":"111122223333","Region":"eu-west-1"}}`, "error: the finding has no account", "us-east-1"},
		"in another case":                       {`{` + good + `,"awsaccountid":"111122223333","region":"eu-west-1"}`, "error: the finding has no account", "us-east-1"},
		"an inspector field in an ASFF finding": {`{` + good + `,"awsAccountId":"111122223333"}`, "error: the finding has no account", "us-east-1"},
		"in an array":                           {`{` + good + `,"AwsAccountId":["111122223333"],"Region":["eu-west-1"]}`, `error: the finding's account is "([\"111122223333\"])", expected twelve digits`, `error: the finding's region is "[\"eu-west-1\"]", expected a region such as us-east-1`},
		"as a number":                           {`{` + good + `,"AwsAccountId":111122223333,"Region":1}`, `error: the finding's account is "(111122223333)", expected twelve digits`, `error: the finding's region is "1", expected a region such as us-east-1`},
		"as an object":                          {`{` + good + `,"AwsAccountId":{"AwsAccountId":"111122223333"},"Region":{}}`, `error: the finding's account is "({\"AwsAccountId\":\"111122223333\"})", expected twelve digits`, `error: the finding's region is "{}", expected a region such as us-east-1`},
		"null is nothing":                       {`{` + good + `,"AwsAccountId":null,"Region":null}`, "error: the finding has no account", "us-east-1"},
		"a dotted key":                          {`{` + good + `,"Severity.Label":"LOW","Resources.Region":"eu-west-1","cloud.account.uid":"111122223333"}`, "error: the finding has no account", "us-east-1"},
		"an escaped key is the key":             {`{` + good + `,"\u0041wsAccountId":"1111\u0032222\u0033333","Reg\u0069on":"eu\u002dwest-1"}`, "111122223333", "eu-west-1"},
		"a path":                                {`{` + good + `,"AwsAccountId":"../../etc","Region":"../../../tmp/evil"}`, `error: the finding's account is "../../etc", expected twelve digits`, `error: the finding's region is "../../../tmp/evil", expected a region such as us-east-1`},
		"digits and a newline":                  {`{` + good + `,"AwsAccountId":"111122223333\n","Region":"us-east-1\u0000"}`, `error: the finding's account is "111122223333\n", expected twelve digits`, `error: the finding's region is "us-east-1\x00", expected a region such as us-east-1`},
		"wide digits":                           {`{` + good + `,"AwsAccountId":"１１１１２２２２３３３３"}`, `error: the finding's account is "\uff11\uff11\uff11\uff11\uff12\uff12\uff12\uff12\uff13\uff13\uff13\uff13", expected twelve digits`, "us-east-1"},
		"a long value is clipped":               {`{` + good + `,"AwsAccountId":"` + strings.Repeat("1", 300) + `"}`, `error: the finding's account is "` + strings.Repeat("1", 64) + `\u2026", expected twelve digits`, "us-east-1"},
		"an account in the region's ARN is not it": {`{"Id":"i","ProductArn":"arn:aws:securityhub:us-east-1:111122223333:product/111122223333/default"}`, "error: the finding has no account", "us-east-1"},
	} {
		t.Run(name, func(t *testing.T) {
			got := see(bare(t, tt.in), "")
			if got.Account != tt.account || got.Region != tt.region {
				t.Errorf("account %s\n   want %s\n region %s\n   want %s", got.Account, tt.account, got.Region, tt.region)
			}
		})
	}
}

func TestDottedEvent(t *testing.T) {
	paths := scan.NewPaths()
	whole := paths.Add("detail", "findings")
	fields := NewFields(paths, "detail", "findings")
	var doc scan.Document
	if _, err := doc.Scan([]byte(`{"detail.findings":[{"AwsAccountId":"111122223333","Id":"x","Region":"us-east-1"}]}`), paths); err != nil {
		t.Fatal(err)
	}
	for _, h := range doc.Hits {
		if int(h.Path) != whole || h.Kind != scan.Object {
			continue
		}
		var v View
		fields.View(&v, &doc, h.Start, h.End, h.Pos)
		if _, err := v.Account(); v.Format != Unknown || err == nil {
			t.Errorf("a finding below a dotted key is seen as %v", v.Format)
		}
	}
}

func TestRegionFallBacks(t *testing.T) {
	const asff = `"Id":"i","AwsAccountId":"111122223333"`
	const v2 = `"awsAccountId":"111122223333","findingArn":"arn:aws:inspector2:us-east-2:111122223333:finding/x"`
	const ocsf = `"class_uid":2002,"finding_info":{"uid":"u"}`
	for name, tt := range map[string]struct{ in, event, want string }{
		"ASFF: its own":                               {`{` + asff + `,"Region":"us-west-1","Resources":[{"Region":"us-west-2"}]}`, "eu-west-1", "us-west-1"},
		"ASFF: the first resource's":                  {`{` + asff + `,"Resources":[{"Region":"us-west-2"},{"Region":"us-east-1"}]}`, "eu-west-1", "us-west-2"},
		"ASFF: the first resource that has one":       {`{` + asff + `,"Resources":[{},{"Region":"us-east-1"}]}`, "eu-west-1", "us-east-1"},
		"ASFF: an empty one is none":                  {`{` + asff + `,"Region":"","Resources":[{"Region":"us-west-2"}]}`, "eu-west-1", "us-west-2"},
		"ASFF: the product ARN's":                     {`{` + asff + `,"Resources":[{"Region":"N/A"}],"ProductArn":"arn:aws:securityhub:ap-south-1::product/a/b"}`, "eu-west-1", "ap-south-1"},
		"ASFF: a resource of another cloud":           {`{` + asff + `,"Resources":[{"Region":"eastus"}],"ProductArn":"arn:aws:securityhub:ap-south-1::product/a/b"}`, "eu-west-1", "ap-south-1"},
		"ASFF: the event's":                           {`{` + asff + `,"ProductArn":"arn:aws:securityhub:::product/a/b"}`, "eu-west-1", "eu-west-1"},
		"ASFF: none at all":                           {`{` + asff + `}`, "", "error: the finding has no region"},
		"ASFF: one that is none is not replaced":      {`{` + asff + `,"Region":"mars","Resources":[{"Region":"us-west-2"}]}`, "eu-west-1", `error: the finding's region is "mars", expected a region such as us-east-1`},
		"ASFF: China":                                 {`{` + asff + `,"ProductArn":"arn:aws-cn:securityhub:cn-north-1::product/a/b"}`, "", "cn-north-1"},
		"ASFF: GovCloud":                              {`{` + asff + `,"ProductArn":"arn:aws-us-gov:securityhub:us-gov-west-1::product/a/b"}`, "", "us-gov-west-1"},
		"ASFF: European Sovereign Cloud":              {`{` + asff + `,"ProductArn":"arn:aws-eusc:securityhub:eusc-de-east-1::product/a/b"}`, "", "eusc-de-east-1"},
		"Inspector v2: its ARN's, not the resource's": {`{` + v2 + `,"resources":[{"region":"eastus"}],"Region":"us-west-1"}`, "eu-west-1", "us-east-2"},
		"Inspector v2: the event's":                   {`{"awsAccountId":"111122223333","findingArn":"x"}`, "eu-west-1", "eu-west-1"},
		"Inspector Classic: its ARN's":                {`{"arn":"arn:aws:inspector:us-west-2:123456789012:target/x"}`, "eu-west-1", "us-west-2"},
		"OCSF: the cloud's":                           {`{` + ocsf + `,"cloud":{"region":"us-west-1"},"resources":[{"region":"us-west-2"}]}`, "eu-west-1", "us-west-1"},
		"OCSF: the first of the resources'":           {`{` + ocsf + `,"resources":[{"region":"us-west-2"},{"region":"us-east-1"}],"resource":{"region":"sa-east-1"}}`, "eu-west-1", "us-west-2"},
		"OCSF: the resource's":                        {`{` + ocsf + `,"resource":{"region":"sa-east-1"}}`, "eu-west-1", "sa-east-1"},
		"OCSF: the product's":                         {`{` + ocsf + `,"metadata":{"product":{"uid":"arn:aws:securityhub:ap-south-1::product/a/b"}}}`, "eu-west-1", "ap-south-1"},
		"OCSF: the event's":                           {`{` + ocsf + `}`, "eu-west-1", "eu-west-1"},
		"OCSF: one that is none is not replaced":      {`{` + ocsf + `,"cloud":{"region":7}}`, "eu-west-1", `error: the finding's region is "7", expected a region such as us-east-1`},
	} {
		t.Run(name, func(t *testing.T) {
			if got := see(bare(t, tt.in), tt.event).Region; got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestAccounts(t *testing.T) {
	for name, tt := range map[string]struct{ in, want string }{
		"ASFF":                            {`{"Id":"i","AwsAccountId":"000000000001"}`, "000000000001"},
		"Inspector v2":                    {`{"awsAccountId":"111122223333","findingArn":"arn:aws:inspector2:us-east-2:444455556666:finding/x"}`, "111122223333"},
		"Inspector v2: its ARN's":         {`{"findingArn":"arn:aws:inspector2:us-east-2:444455556666:finding/x"}`, "444455556666"},
		"Inspector v2: its own is broken": {`{"awsAccountId":"x","findingArn":"arn:aws:inspector2:us-east-2:444455556666:finding/x"}`, `error: the finding's account is "x", expected twelve digits`},
		"Inspector Classic, GovCloud":     {`{"arn":"arn:aws-us-gov:inspector:us-gov-west-1:123456789012:target/x"}`, "123456789012"},
		"OCSF":                            {`{"class_uid":2002,"finding_info":{"uid":"u"},"cloud":{"account":{"uid":"111122223333"}}}`, "111122223333"},
		"OCSF without":                    {`{"class_uid":2002,"finding_info":{"uid":"u"},"AwsAccountId":"111122223333"}`, "error: the finding has no account"},
		"an empty one":                    {`{"Id":"i","AwsAccountId":""}`, `error: the finding's account is "", expected twelve digits`},
	} {
		t.Run(name, func(t *testing.T) {
			v := bare(t, tt.in)
			if got := see(v, "").Account; got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			var place *PlaceError
			if _, err := v.Account(); err != nil && !errors.As(err, &place) {
				t.Errorf("%T is no *PlaceError", err)
			}
		})
	}
}

func TestSeverity(t *testing.T) {
	for name, tt := range map[string]struct{ in, want string }{
		"a label":                   {`{"Id":"i","AwsAccountId":"1","Severity":{"Label":"HIGH","Normalized":1}}`, "HIGH"},
		"in mixed case":             {`{"arn":"arn:aws:inspector:us-west-2:123456789012:target/x","severity":"Medium"}`, "MEDIUM"},
		"0":                         {`{"Severity":{"Normalized":0}}`, "INFORMATIONAL"},
		"1":                         {`{"Severity":{"Normalized":1}}`, "LOW"},
		"39.5":                      {`{"Severity":{"Normalized":39.5}}`, "LOW"},
		"40":                        {`{"Severity":{"Normalized":40}}`, "MEDIUM"},
		"70.0":                      {`{"Severity":{"Normalized":70.0}}`, "HIGH"},
		"90":                        {`{"Severity":{"Normalized":90}}`, "CRITICAL"},
		"100":                       {`{"Severity":{"Normalized":1e2}}`, "CRITICAL"},
		"101":                       {`{"Severity":{"Normalized":101}}`, ""},
		"negative":                  {`{"Severity":{"Normalized":-1}}`, ""},
		"no number":                 {`{"Severity":{"Normalized":"70"}}`, ""},
		"the provider's own":        {`{"FindingProviderFields":{"Severity":{"Label":"LOW"}}}`, "LOW"},
		"OCSF, by its id":           {`{"class_uid":2002,"severity_id":5}`, "CRITICAL"},
		"OCSF, other":               {`{"class_uid":2002,"severity_id":99}`, ""},
		"a list":                    {`{"Severity":[{"Label":"LOW"}]}`, ""},
		"nothing":                   {`{}`, ""},
		"a label that is no string": {`{"Severity":{"Label":{"x":1},"Normalized":70}}`, "HIGH"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := string(bare(t, tt.in).Severity()); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestFallBackTimes(t *testing.T) {
	const old, newer = `"2024-01-01T00:00:00Z"`, `"2025-01-01T00:00:00Z"`
	for name, tt := range map[string]struct{ in, version, updated string }{
		"updated-at":                    {`{"CreatedAt":` + old + `,"UpdatedAt":` + newer + `}`, "2025-01-01T00:00:00Z", "2025-01-01T00:00:00Z"},
		"one that is not understood":    {`{"CreatedAt":` + old + `,"UpdatedAt":"yesterday"}`, "yesterday", "2024-01-01T00:00:00Z"},
		"one that is empty":             {`{"UpdatedAt":"","lastObservedAt":` + newer + `}`, "2025-01-01T00:00:00Z", "2025-01-01T00:00:00Z"},
		"a native finding without":      {`{"findingArn":"x","firstObservedAt":` + old + `,"lastObservedAt":` + newer + `}`, "2025-01-01T00:00:00Z", "2025-01-01T00:00:00Z"},
		"OCSF: epoch milliseconds":      {`{"class_uid":1,"time":1706307554000}`, "1706307554000", "2024-01-26T22:19:14Z"},
		"OCSF: the text has the offset": {`{"class_uid":1,"time":1,"finding_info":{"modified_time_dt":"2024-01-26T17:19:14.000-05:00"}}`, "2024-01-26T17:19:14.000-05:00", "2024-01-26T22:19:14Z"},
		"Classic: epoch seconds":        {`{"updatedAt":1583825759.119}`, "1583825759.119", "2020-03-10T07:35:59.119Z"},
		"of a kind that no time is":     {`{"UpdatedAt":{"a":1},"updatedAt":[1],"time":true}`, "", "none"},
		"no time at all":                {`{}`, "", "none"},
	} {
		t.Run(name, func(t *testing.T) {
			got := see(bare(t, tt.in), "")
			if got.Version != tt.version || got.UpdatedAt != tt.updated {
				t.Errorf("version %q, updated %s, want %q, %s", got.Version, got.UpdatedAt, tt.version, tt.updated)
			}
		})
	}
}
