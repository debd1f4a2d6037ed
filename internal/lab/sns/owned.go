package sns

import (
	"context"
	"maps"
	"strconv"
	"strings"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/wire"
)

type shownSubscription struct {
	SubscriptionARN string `json:"SubscriptionArn"`
	Owner           string
	Protocol        string
	Endpoint        string
	TopicARN        string `json:"TopicArn"`
}

type listSubscriptionsOutput struct {
	Subscriptions []shownSubscription
	NextToken     string `json:",omitempty"`
}

// shownAs is the subscription in a list. Requires mu.
func (sub *subscription) shownAs() shownSubscription {
	arn := sub.arn
	if !sub.confirmed {
		arn = "PendingConfirmation"
	}
	return shownSubscription{arn, sub.owner, sub.protocol, sub.shownEndpoint(), sub.topic.arn}
}

func (s *Service) listSubscriptions(_ context.Context, c *wire.Call, in *tokenInput) (*listSubscriptionsOutput, error) {
	if err := s.authorize(c, "ListSubscriptions", c.ARN(serviceName, "*"), c.Account, nil); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []shownSubscription
	for _, t := range s.sorted() {
		for _, sub := range t.subscriptions {
			if sub.owner == c.Account && t.place.Region == c.Region {
				all = append(all, sub.shownAs())
			}
		}
	}
	return listed(all, in.NextToken)
}

type listByTopicInput struct {
	TopicARN  string `json:"TopicArn"`
	NextToken string
}

func (s *Service) listSubscriptionsByTopic(_ context.Context, c *wire.Call, in *listByTopicInput) (*listSubscriptionsOutput, error) {
	t, err := s.open(c, "TopicArn", in.TopicARN, "ListSubscriptionsByTopic")
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []shownSubscription
	for _, sub := range t.subscriptions {
		all = append(all, sub.shownAs())
	}
	return listed(all, in.NextToken)
}

func listed(all []shownSubscription, token string) (*listSubscriptionsOutput, error) {
	out, next, bad := page(all, token)
	if bad != nil {
		return nil, bad
	}
	return &listSubscriptionsOutput{out, next}, nil
}

// owned finds a subscription of the caller's.
func (s *Service) owned(c *wire.Call, arn, action string) (*subscription, error) {
	parsed, err := cloud.ParseARN(arn)
	if err != nil || parsed.Service != serviceName || strings.Count(arn, ":") != 6 {
		return nil, invalid("SubscriptionArn Reason: An ARN must have at least 6 elements")
	}
	s.mu.Lock()
	sub := s.subscriptions[arn]
	s.mu.Unlock()
	if sub == nil {
		return nil, failure(notFound, "Subscription does not exist")
	}
	return sub, s.authorizeOwner(c, sub, action)
}

func (s *Service) getSubscriptionAttributes(_ context.Context, c *wire.Call, in *subscriptionARN) (*attributesOutput, error) {
	sub, err := s.owned(c, in.ARN, "GetSubscriptionAttributes")
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[string]string{
		"SubscriptionArn": sub.arn, "TopicArn": sub.topic.arn, "Owner": sub.owner, "Protocol": sub.protocol, "Endpoint": sub.shownEndpoint(),
		"PendingConfirmation": strconv.FormatBool(!sub.confirmed), "ConfirmationWasAuthenticated": strconv.FormatBool(sub.authenticated),
		nameRaw: "false", "SubscriptionPrincipal": sub.topic.place.Global().ARN("iam", "root"),
	}
	if sub.filter != nil {
		out[nameFilterScope] = scopeAttributes
	}
	if sub.isHTTP() {
		out["EffectiveDeliveryPolicy"] = effectiveDelivery
	}
	maps.Copy(out, sub.attributes)
	return &attributesOutput{out}, nil
}

type setSubscriptionInput struct {
	SubscriptionARN string `json:"SubscriptionArn"`
	Name            string `json:"AttributeName"`
	Value           string `json:"AttributeValue"`
}

func (s *Service) setSubscriptionAttributes(_ context.Context, c *wire.Call, in *setSubscriptionInput) (*nothing, error) {
	sub, err := s.owned(c, in.SubscriptionARN, "SetSubscriptionAttributes")
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	changed := *sub
	changed.attributes = maps.Clone(sub.attributes)
	if bad := changed.set(in.Name, in.Value); bad != nil {
		return nil, bad
	}
	if changed.filter != nil && sub.filter == nil {
		if bad := sub.topic.roomForFilter(&changed); bad != nil {
			return nil, bad
		}
	}
	sub.attributes, sub.filter, sub.deadLetter, sub.schedule = changed.attributes, changed.filter, changed.deadLetter, changed.schedule
	return nil, nil
}
