package inspector_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSecurityHubGetsFindingsInTheShapeOfTheSample(t *testing.T) {
	l := newLab(t)
	template := l.template(t, "web", cve, cis, reachability, practices)
	l.finished(t, template)
	var want map[string]any
	if err := json.Unmarshal(sample(t, "asff-inspector-classic.json"), &want); err != nil {
		t.Fatal(err)
	}
	first := make(map[string]map[string]any)
	seen := false
	for _, d := range l.hub.all() {
		if d.Target != "arn:aws:securityhub:ap-northeast-1:111111111111:product-subscription/aws/inspector" || !d.Trusted ||
			d.From != "inspector.amazonaws.com" || d.Action != "securityhub:BatchImportFindings" {
			t.Errorf("delivery %+v", d)
		}
		var request struct{ Findings []map[string]any }
		if err := json.Unmarshal(d.Body, &request); err != nil {
			t.Fatal(err)
		}
		for _, f := range request.Findings {
			first[f["Id"].(string)] = f
			if f["GeneratorId"] == reachability && f["Types"].([]any)[0] == want["Types"].([]any)[0] {
				seen = true
				compareShapes(t, want, f)
			}
		}
	}
	if !seen {
		t.Fatal("no finding of Network Reachability came")
	}
	l.hub.set(func(r *receiver) { r.got = nil })
	l.finished(t, template)
	for _, d := range l.hub.all() {
		var request struct{ Findings []map[string]any }
		_ = json.Unmarshal(d.Body, &request)
		for _, f := range request.Findings {
			before := first[f["Id"].(string)]
			if before == nil || before["CreatedAt"] != f["CreatedAt"] || before["UpdatedAt"].(string) >= f["UpdatedAt"].(string) {
				t.Errorf("the second run's finding %v does not bring the first one's up to date", f["Id"])
			}
		}
	}
}

// compareShapes asks that each member of the sample is in what we got. Attributes differ by rule.
func compareShapes(t *testing.T, want, got map[string]any) {
	t.Helper()
	for k := range want {
		if _, ok := got[k]; !ok {
			t.Errorf("%s is missing", k)
		}
	}
	fields := got["ProductFields"].(map[string]any)
	for k := range want["ProductFields"].(map[string]any) {
		if _, ok := fields[k]; !ok && !strings.HasPrefix(k, "attributes/") {
			t.Errorf("ProductFields lacks %s", k)
		}
	}
	if fields["attributes/PORT"] != "22" || fields["aws/securityhub/ProductName"] != "Inspector" {
		t.Errorf("ProductFields are %v", fields)
	}
	if fields["aws/securityhub/FindingId"] != got["ProductArn"].(string)+"/"+got["Id"].(string) {
		t.Errorf("FindingId is %v", fields["aws/securityhub/FindingId"])
	}
	if !regexp.MustCompile(`^inspector/ap-northeast-1/111111111111/[0-9a-f]{40}$`).MatchString(got["Id"].(string)) {
		t.Errorf("Id is %v", got["Id"])
	}
	if diff := cmp.Diff(want["Severity"], got["Severity"]); diff != "" {
		t.Errorf("Severity (-sample +got):\n%s", diff)
	}
	details := func(f map[string]any) map[string]any {
		return f["Resources"].([]any)[0].(map[string]any)["Details"].(map[string]any)["AwsEc2Instance"].(map[string]any)
	}
	for k := range details(want) {
		if _, ok := details(got)[k]; !ok {
			t.Errorf("AwsEc2Instance lacks %s", k)
		}
	}
}

func TestSecurityHubGetsAtMostAHundredFindingsAtOnce(t *testing.T) {
	l := newLab(t)
	l.service.SetAssessor(stub(450))
	l.finished(t, l.template(t, "web", cve))
	total := 0
	for _, d := range l.hub.all() {
		var request struct{ Findings []json.RawMessage }
		if err := json.Unmarshal(d.Body, &request); err != nil {
			t.Fatal(err)
		}
		if len(request.Findings) > 100 {
			t.Errorf("%d findings at once", len(request.Findings))
		}
		total += len(request.Findings)
	}
	if total != 450 {
		t.Errorf("%d findings in all, want 450", total)
	}
}
