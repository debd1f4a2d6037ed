package inspector_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/inspector"
	"github.com/aws/aws-sdk-go-v2/service/inspector/types"
	"github.com/google/go-cmp/cmp"

	"example.org/catchment/internal/lab/cloud"
)

// keysOf gives the keys of a JSON object.
func keysOf(t *testing.T, b []byte) []string {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatal(err)
	}
	var out []string
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

func sample(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (l *lab) subscribe(t *testing.T, template string, events ...types.InspectorEvent) {
	t.Helper()
	for _, e := range events {
		in := &inspector.SubscribeToEventInput{ResourceArn: &template, Event: e, TopicArn: aws.String(topic)}
		if _, err := l.SubscribeToEvent(t.Context(), in); err != nil {
			t.Fatal(err)
		}
	}
}

func TestNotificationsHaveTheShapesOfTheSamples(t *testing.T) {
	l := newLab(t)
	l.service.SetAssessor(stub(4))
	template := l.template(t, "web", cve, practices)
	l.subscribe(t, template, "ASSESSMENT_RUN_STARTED", "ASSESSMENT_RUN_COMPLETED", "ASSESSMENT_RUN_STATE_CHANGED", "FINDING_REPORTED", "OTHER")
	arn := l.finished(t, template)
	by := make(map[string][]map[string]string)
	bodies := make(map[string][]byte)
	for _, d := range l.sns.all() {
		var m map[string]string
		if err := json.Unmarshal(d.Body, &m); err != nil {
			t.Fatal(err)
		}
		if d.Target != topic || d.Action != "sns:Publish" || d.As != "arn:aws:iam::406045910587:root" || m["run"] != arn || m["template"] != template {
			t.Errorf("delivery %+v of %s", d, d.Body)
		}
		by[m["event"]] = append(by[m["event"]], m)
		bodies[m["event"]] = d.Body
	}
	if n := []int{len(by["ASSESSMENT_RUN_STARTED"]), len(by["ASSESSMENT_RUN_COMPLETED"]), len(by["ASSESSMENT_RUN_STATE_CHANGED"]), len(by["FINDING_REPORTED"])}; !slices.Equal(n, []int{1, 1, 9, 4}) {
		t.Errorf("got %v notifications", n)
	}
	for event, file := range map[string]string{
		"ASSESSMENT_RUN_STARTED":   "sns-message-inspector-classic-run-started.json",
		"ASSESSMENT_RUN_COMPLETED": "sns-message-inspector-classic-run-completed.json",
	} {
		if diff := cmp.Diff(keysOf(t, sample(t, file)), keysOf(t, bodies[event])); diff != "" {
			t.Errorf("%s (-sample +got):\n%s", event, diff)
		}
	}
	if got, want := by["ASSESSMENT_RUN_COMPLETED"][0]["findingsCount"], "{"+cve+"=2, "+practices+"=2}"; got != want {
		t.Errorf("findingsCount is %s, want %s", got, want)
	}
	if got := by["ASSESSMENT_RUN_STATE_CHANGED"][3]["newstate"]; got != "COLLECTING_DATA" {
		t.Errorf("newstate is %q", got)
	}
	if got := by["FINDING_REPORTED"][0]["finding"]; got != l.findings(t, arn)[0] {
		t.Errorf("finding is %q", got)
	}
	if got := by["ASSESSMENT_RUN_STARTED"][0]["time"]; !regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$`).MatchString(got) {
		t.Errorf("time is %q", got)
	}
	for _, n := range l.run(t, arn).Notifications {
		if *n.Error || n.SnsPublishStatusCode != types.AssessmentRunNotificationSnsStatusCodeSuccess || *n.SnsTopicArn != topic {
			t.Errorf("notification %+v", n)
		}
	}
}

// An authorizer lets in whom a policy names.
type authorizer struct{ cloud.Authorizer }

func (authorizer) Authorize(a cloud.Access) error {
	if a.Policy == nil || bytes.Contains(a.Policy, []byte(a.Who.ARN)) {
		return nil
	}
	return &cloud.DeniedError{Who: a.Who.ARN, Action: a.Action, Resource: a.Resource}
}

func TestARunRemembersHowPublishingWent(t *testing.T) {
	for name, test := range map[string]struct {
		spoil func(*receiver)
		want  types.AssessmentRunNotificationSnsStatusCode
	}{
		"the topic lets the region's account of AWS publish": {
			func(r *receiver) { r.policy = []byte(`{"AWS":"arn:aws:iam::406045910587:root"}`) }, types.AssessmentRunNotificationSnsStatusCodeSuccess,
		},
		"the topic lets another region's account publish": {
			func(r *receiver) { r.policy = []byte(`{"AWS":"arn:aws:iam::316112463485:root"}`) }, types.AssessmentRunNotificationSnsStatusCodeAccessDenied,
		},
		"the topic is gone": {func(r *receiver) { r.missing = true }, types.AssessmentRunNotificationSnsStatusCodeTopicDoesNotExist},
		"SNS fails":         {func(r *receiver) { r.fails = errors.New("broken") }, types.AssessmentRunNotificationSnsStatusCodeInternalError},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			l.cloud.Access = authorizer{}
			template := l.template(t, "web", cve)
			l.subscribe(t, template, "ASSESSMENT_RUN_STARTED")
			l.sns.set(test.spoil)
			got := l.run(t, l.finished(t, template)).Notifications
			if len(got) != 1 || got[0].SnsPublishStatusCode != test.want || *got[0].Error != (test.want != "SUCCESS") {
				t.Errorf("got %+v, want %s", got, test.want)
			}
		})
	}
}

func TestARunRemembersItsNewestFiftyNotifications(t *testing.T) {
	l := newLab(t)
	l.service.SetAssessor(stub(70))
	template := l.template(t, "web", cve)
	l.subscribe(t, template, "ASSESSMENT_RUN_COMPLETED", "FINDING_REPORTED")
	got := l.run(t, l.finished(t, template)).Notifications
	if len(got) != 50 || got[49].Event != "ASSESSMENT_RUN_COMPLETED" {
		t.Errorf("got %d notifications, want 50 with the last one", len(got))
	}
	if n := len(l.sns.all()); n != 71 {
		t.Errorf("%d were sent, want all 71", n)
	}
}

func TestEventBridgeLearnsTheARNOfTheRunAtEachState(t *testing.T) {
	l := newLab(t)
	arn := l.finished(t, l.template(t, "web", cve))
	got := l.events.all()
	if len(got) != 9 {
		t.Fatalf("%d events, want one for each of the 9 states", len(got))
	}
	var e struct {
		Source    string
		Resources []string
		Detail    map[string]string
	}
	if err := json.Unmarshal(got[8].Body, &e); err != nil {
		t.Fatal(err)
	}
	if e.Source != "aws.inspector" || !slices.Equal(e.Resources, []string{arn}) || e.Detail["assessmentRunArn"] != arn || e.Detail["state"] != "COMPLETED" {
		t.Errorf("the last event is %s", got[8].Body)
	}
	if got[8].Target != "arn:aws:events:ap-northeast-1:111111111111:event-bus/default" {
		t.Errorf("it goes to %s", got[8].Target)
	}
}
