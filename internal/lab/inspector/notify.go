package inspector

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/wire"
)

// What there are notifications of.
const (
	eventStarted   = "ASSESSMENT_RUN_STARTED"
	eventCompleted = "ASSESSMENT_RUN_COMPLETED"
	eventState     = "ASSESSMENT_RUN_STATE_CHANGED"
	eventFinding   = "FINDING_REPORTED"
	eventOther     = "OTHER" // can be subscribed to and never happens
)

var inspectorEvents = []string{eventStarted, eventCompleted, eventState, eventFinding, eventOther}

// A subscription has a topic told of an event of a template's runs.
type subscription struct {
	n            uint64
	event, topic string
	made         wire.Epoch
}

// A notification is what became of one that was sent.
type notification struct {
	Date                 wire.Epoch `json:"date"`
	Event                string     `json:"event"`
	Message              string     `json:"message,omitempty"` // up to 1,000 characters
	Error                bool       `json:"error"`
	SNSTopicARN          string     `json:"snsTopicArn,omitempty"`
	SNSPublishStatusCode string     `json:"snsPublishStatusCode,omitempty"`
}

// How publishing to SNS went.
const (
	publishSuccess  = "SUCCESS"
	publishNoTopic  = "TOPIC_DOES_NOT_EXIST"
	publishDenied   = "ACCESS_DENIED"
	publishInternal = "INTERNAL_ERROR"
)

// maxNotifications is how many notifications a run remembers: the newest.
const maxNotifications = 50

// A message is the text that a topic gets: JSON. newstate is not confirmed by any source, the others are.
type message struct {
	Template      string `json:"template"`
	FindingsCount string `json:"findingsCount,omitempty"`
	Run           string `json:"run"`
	Time          string `json:"time"`
	Event         string `json:"event"`
	Target        string `json:"target"`
	NewState      string `json:"newstate,omitempty"`
	Finding       string `json:"finding,omitempty"`
}

// tellState tells of a run's new state. Requires s.mu.
func (s *Service) tellState(r *run) {
	_, _ = s.cloud.Emit(r.place, cloud.Event{ // texts always marshal
		Source: "aws.inspector", DetailType: "Inspector Assessment Run State Change", Resources: []string{r.arn},
		Detail: map[string]any{
			"assessmentRunArn": r.arn, "assessmentTemplateArn": r.template.arn, "assessmentTargetArn": r.template.target.arn, "state": r.state,
		},
	})
	s.tell(r, message{Event: eventState, NewState: r.state})
	switch r.state {
	case stateCollecting:
		s.tell(r, message{Event: eventStarted})
	case stateCompleted, stateCompletedWithE:
		s.tell(r, message{Event: eventCompleted, FindingsCount: s.findingsCount(r)})
	}
}

// findingsCount is the number of findings by rules package, as AWS prints it: a map as text, which is no JSON.
func (s *Service) findingsCount(r *run) string {
	counts := make(map[string]int)
	for _, arn := range r.findings {
		counts[s.at(r.place).findings[arn].ServiceAttributes.RulesPackageARN]++
	}
	var parts []string
	for _, p := range r.packages {
		parts = append(parts, fmt.Sprintf("%s=%d", p.ARN, counts[p.ARN]))
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

// tellFindings tells of findings that were made, and hands them to Security Hub. Requires s.mu.
func (s *Service) tellFindings(here *place, r *run, made []*stored) {
	for _, f := range made {
		s.tell(r, message{Event: eventFinding, Finding: f.ARN})
	}
	s.integrate(here, r, made)
}

// tell publishes a message to the topics that are subscribed to its event, as AWS's account of the region. The run
// remembers how it went. Requires s.mu.
func (s *Service) tell(r *run, m message) {
	m.Template, m.Target, m.Run, m.Time = r.template.arn, r.template.target.arn, r.arn, wire.ISO(s.cloud.Clock.Now())
	for _, sub := range r.template.subscriptions {
		if sub.event != m.Event {
			continue
		}
		body, err := json.Marshal(m)
		if err != nil {
			continue // texts always marshal
		}
		s.cloud.DeliverLater(&cloud.Delivery{
			Source: r.template.arn, From: principal, Account: r.place.Account, As: publisher(r.place.Partition, r.place.Region),
			Action: "sns:Publish", Target: sub.topic, Body: body,
		}, func(_ context.Context, _ []byte, err error) { s.note(r, m.Event, sub.topic, err) })
	}
}

func (s *Service) note(r *run, event, topic string, err error) {
	n := notification{Date: s.now(), Event: event, SNSTopicARN: topic, SNSPublishStatusCode: publishSuccess}
	if err != nil {
		n.Error, n.Message, n.SNSPublishStatusCode = true, clip(err.Error(), 1000), publishInternal
		if failure, ok := errors.AsType[*cloud.DeliveryError](err); ok {
			switch failure.Code {
			case cloud.CodeNoResource:
				n.SNSPublishStatusCode = publishNoTopic
			case cloud.CodeNoPermissions:
				n.SNSPublishStatusCode = publishDenied
			}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r.notifications = append(r.notifications, n)
	if len(r.notifications) > maxNotifications {
		r.notifications = slices.Delete(r.notifications, 0, 1)
	}
}

type subscribeInput struct {
	ResourceARN string `json:"resourceArn"`
	Event       string `json:"event"`
	TopicARN    string `json:"topicArn"`
}

// aim finds the template and checks the rest. A topic is a standard one of the run's region; it may be another account's.
// Requires s.mu.
func (s *Service) aim(c *wire.Call, in *subscribeInput) (*template, error) {
	if err := oneOf("INVALID_EVENT", "event", in.Event, inspectorEvents); err != nil {
		return nil, err
	}
	topic, err := cloud.ParseARN(in.TopicARN)
	if err != nil || len(in.TopicARN) > maxARN || topic.Service != "sns" || topic.Partition != c.Partition || topic.Region != c.Region ||
		!cloud.IsAccountID(topic.Account) || strings.HasSuffix(topic.Resource, ".fifo") || strings.Contains(topic.Resource, ":") {
		return nil, invalid("INVALID_SNS_TOPIC_ARN", "%q is not the ARN of a standard topic in %s", clip(in.TopicARN, maxARN), c.Region)
	}
	return s.resource(c, in.ResourceARN)
}

// subscribeToEvent asks for the topic to exist, and not whether it lets Inspector publish: that shows when a run tells.
// The same subscription again changes nothing.
func (s *Service) subscribeToEvent(_ context.Context, c *wire.Call, in *subscribeInput) (*nothing, error) {
	_, missing := s.cloud.Receivers.Resource(in.TopicARN)
	s.mu.Lock()
	defer s.mu.Unlock()
	t, err := s.aim(c, in)
	if err != nil {
		return nil, err
	}
	if missing != nil {
		return nil, exception("NoSuchEntityException", "SNS_TOPIC_DOES_NOT_EXIST", "The SNS topic %s does not exist", in.TopicARN)
	}
	if slices.ContainsFunc(t.subscriptions, in.is) {
		return nil, nil
	}
	if len(t.subscriptions) >= maxSubscriptions {
		return nil, exceeded("EVENT_SUBSCRIPTION_LIMIT_EXCEEDED", "the assessment template has %d subscriptions", maxSubscriptions)
	}
	t.subscriptions = append(t.subscriptions, subscription{s.number(), in.Event, in.TopicARN, s.now()})
	return nil, nil
}

func (in *subscribeInput) is(s subscription) bool {
	return s.event == in.Event && s.topic == in.TopicARN
}

// unsubscribeFromEvent of what is not subscribed does nothing.
func (s *Service) unsubscribeFromEvent(_ context.Context, c *wire.Call, in *subscribeInput) (*nothing, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, err := s.aim(c, in)
	if err != nil {
		return nil, err
	}
	t.subscriptions = slices.DeleteFunc(slices.Clone(t.subscriptions), in.is)
	return nil, nil
}

type listEventSubscriptionsInput struct {
	ResourceARN string `json:"resourceArn"`
	paging
}

type eventSubscription struct {
	Event        string     `json:"event"`
	SubscribedAt wire.Epoch `json:"subscribedAt"`
}

// A topicSubscription is what one topic is told of one template's runs.
type topicSubscription struct {
	n                  uint64
	ResourceARN        string              `json:"resourceArn"`
	TopicARN           string              `json:"topicArn"`
	EventSubscriptions []eventSubscription `json:"eventSubscriptions"`
}

func (t topicSubscription) order() uint64 { return t.n }

type listEventSubscriptionsOutput struct {
	Subscriptions []topicSubscription `json:"subscriptions"`
	NextToken     string              `json:"nextToken,omitempty"`
}

func (s *Service) listEventSubscriptions(_ context.Context, c *wire.Call, in *listEventSubscriptionsInput) (*listEventSubscriptionsOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	templates := byNumber(s.at(c.Place).templates)
	if in.ResourceARN != "" {
		t, err := s.resource(c, in.ResourceARN)
		if err != nil {
			return nil, err
		}
		templates = []*template{t}
	}
	var all []topicSubscription
	for _, t := range templates {
		first := len(all)
		for _, sub := range t.subscriptions {
			i := slices.IndexFunc(all[first:], func(x topicSubscription) bool { return x.TopicARN == sub.topic })
			if i < 0 {
				i = len(all) - first
				all = append(all, topicSubscription{n: sub.n, ResourceARN: t.arn, TopicARN: sub.topic})
			}
			x := &all[first+i]
			x.EventSubscriptions = append(x.EventSubscriptions, eventSubscription{sub.event, sub.made})
		}
	}
	slices.SortFunc(all, func(a, b topicSubscription) int { return cmp.Compare(a.n, b.n) })
	list, next, err := page(c.Operation, in.paging, all, maxSubscriptions)
	if err != nil {
		return nil, err
	}
	return &listEventSubscriptionsOutput{list, next}, nil
}
