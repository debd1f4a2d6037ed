package sqs

import (
	"context"
	"encoding/base64"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"example.org/catchment/internal/lab/wire"
)

type nothing struct{}

type createQueueInput struct {
	QueueName  string
	Attributes map[string]string `query:"Attribute,flat,key=Name,value=Value"`
	Tags       map[string]string `json:"tags" query:"Tag,flat,key=Key,value=Value"`
}

type queueURLOutput struct {
	QueueURL string `json:"QueueUrl"`
}

// reuseAfter is how long the name of a deleted queue is not free.
const reuseAfter = time.Minute

var queueName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,80}$`)

func (s *Service) createQueue(_ context.Context, c *wire.Call, in *createQueueInput) (*queueURLOutput, error) {
	base, dotted := strings.CutSuffix(in.QueueName, ".fifo")
	fifo := in.Attributes[nameFIFO] == "true"
	switch value, given := in.Attributes[nameFIFO]; {
	case in.QueueName == "":
		return nil, missing("QueueName")
	case given && value != "true" && value != "false":
		return nil, badAttribute(nameFIFO)
	case given && !fifo:
		return nil, unknownAttribute(nameFIFO)
	case fifo && (!dotted || !queueName.MatchString(base) || len(in.QueueName) > 80):
		return nil, failure(invalidParameterValue, "The name of a FIFO queue can only include alphanumeric characters, hyphens, or underscores, "+
			"must end with .fifo suffix and be 1 to 80 in length.")
	case !fifo && !queueName.MatchString(in.QueueName):
		return nil, failure(invalidParameterValue, "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length.")
	}
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	err := s.cloud.Authorize(accessTo(c, "CreateQueue", c.ARN(serviceName, in.QueueName)))
	if err != nil {
		return nil, denied(err)
	}
	attributes := maps.Clone(in.Attributes)
	delete(attributes, nameFIFO)
	key := queueKey{c.Place, in.QueueName}
	now := s.cloud.Clock.Now()

	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.queues[key]
	start := newSettings(fifo)
	if old != nil {
		start = old.settings
	}
	wanted, bad := s.change(c.Place, in.QueueName, start, attributes)
	if bad != nil {
		return nil, bad
	}
	if old != nil {
		return &queueURLOutput{urlOf(c, old)}, old.same(wanted, attributes, in.Tags)
	}
	if at, deleted := s.deleted[key]; deleted && now.Sub(at) < reuseAfter {
		return nil, failure(queueDeletedRecently, "You must wait 60 seconds after deleting a queue before you can create another with the same name.")
	}
	delete(s.deleted, key)
	s.made++
	q := newQueue(c.Place, in.QueueName, s.made, now)
	q.settings = wanted
	maps.Copy(q.tags, in.Tags)
	s.queues[key] = q
	return &queueURLOutput{urlOf(c, q)}, nil
}

// same tells that the queue is as it is wanted, or an error. Requires mu.
func (q *queue) same(wanted settings, attributes, tags map[string]string) error {
	have, want := q.settings.shown(), wanted.shown()
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		if have[name] != want[name] {
			return failure(queueNameExists, "A queue already exists with the same name and a different value for attribute %s", name)
		}
	}
	if len(tags) > 0 && !q.sameTags(tags) {
		return failure(queueNameExists, "A queue already exists with the same name and a different value for tags")
	}
	return nil
}

type queueInput struct {
	QueueURL string `json:"QueueUrl"`
}

func (s *Service) deleteQueue(_ context.Context, c *wire.Call, in *queueInput) (*nothing, error) {
	q, err := s.own(c, in.QueueURL, "DeleteQueue")
	if err != nil {
		return nil, err
	}
	now := s.cloud.Clock.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.deleted, func(_ queueKey, at time.Time) bool { return now.Sub(at) >= reuseAfter })
	if !q.gone {
		q.gone = true
		delete(s.queues, queueKey{q.place, q.name})
		s.deleted[queueKey{q.place, q.name}] = now
		q.purge()
		q.ring()
	}
	return nil, nil
}

func (s *Service) purgeQueue(_ context.Context, c *wire.Call, in *queueInput) (*nothing, error) {
	q, err := s.open(c, in.QueueURL, "PurgeQueue")
	if err != nil {
		return nil, err
	}
	now := s.cloud.Clock.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !q.purged.IsZero() && now.Sub(q.purged) < reuseAfter {
		return nil, failure(purgeInProgress, "Only one PurgeQueue operation on %s is allowed every 60 seconds.", q.name)
	}
	q.purged = now
	q.purge()
	return nil, nil
}

type getQueueURLInput struct {
	QueueName string
	Owner     string `json:"QueueOwnerAWSAccountId"`
}

func (s *Service) getQueueURL(_ context.Context, c *wire.Call, in *getQueueURLInput) (*queueURLOutput, error) {
	if in.QueueName == "" {
		return nil, missing("QueueName")
	}
	owner := in.Owner
	if owner == "" {
		owner = c.Account
	}
	q, err := s.open(c, "/"+owner+"/"+in.QueueName, "GetQueueUrl")
	if err != nil {
		return nil, err
	}
	return &queueURLOutput{urlOf(c, q)}, nil
}

type listQueuesInput struct {
	Prefix     string `json:"QueueNamePrefix"`
	NextToken  string
	MaxResults *int
}

type listQueuesOutput struct {
	QueueURLs []string `json:"QueueUrls,omitempty" query:"QueueUrl,flat"`
	NextToken string   `json:",omitempty"`
}

// maxListed is the most of a page of queues.
const maxListed = 1000

func (s *Service) listQueues(_ context.Context, c *wire.Call, in *listQueuesInput) (*listQueuesOutput, error) {
	if err := s.cloud.Authorize(accessTo(c, "ListQueues", c.ARN(serviceName, "*"))); err != nil {
		return nil, denied(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	urls, next, err := s.page(c, in.MaxResults, in.NextToken, func(q *queue) bool {
		return q.place == c.Place && strings.HasPrefix(q.name, in.Prefix)
	})
	if err != nil {
		return nil, err
	}
	return &listQueuesOutput{urls, next}, nil
}

type listSourcesInput struct {
	QueueURL   string `json:"QueueUrl"`
	NextToken  string
	MaxResults *int
}

type listSourcesOutput struct {
	QueueURLs []string `json:"queueUrls" query:"QueueUrl,flat"`
	NextToken string   `json:",omitempty"`
}

func (s *Service) listDeadLetterSourceQueues(_ context.Context, c *wire.Call, in *listSourcesInput) (*listSourcesOutput, error) {
	target, err := s.open(c, in.QueueURL, "ListDeadLetterSourceQueues")
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	urls, next, bad := s.page(c, in.MaxResults, in.NextToken, func(q *queue) bool { return q.settings.deadLetter == target.arn })
	if bad != nil {
		return nil, bad
	}
	return &listSourcesOutput{urls, next}, nil
}

// page gives the addresses of queues after a token, which holds the name of the last one before. Requires mu.
func (s *Service) page(c *wire.Call, limit *int, token string, match func(*queue) bool) (urls []string, next string, bad *wire.Error) {
	most := maxListed
	if limit != nil {
		most = *limit
	}
	if most < 1 || most > maxListed {
		return nil, "", badValue(most, "MaxResults", "Must be between 1 and 1000, if provided.")
	}
	if token != "" && limit == nil {
		return nil, "", failure(invalidParameterValue, "MaxResults is a mandatory parameter when you provide a value for NextToken.")
	}
	after, err := base64.URLEncoding.DecodeString(token)
	if err != nil {
		return nil, "", badValue(token, "NextToken", "Invalid or expired next token.")
	}
	last := ""
	for _, q := range s.sorted() {
		if q.name <= string(after) || !match(q) {
			continue
		}
		if len(urls) == most {
			// Without MaxResults there is no more than the first page.
			if limit != nil {
				next = base64.URLEncoding.EncodeToString([]byte(last))
			}
			break
		}
		urls = append(urls, urlOf(c, q))
		last = q.name
	}
	return urls, next, nil
}

type getQueueAttributesInput struct {
	QueueURL       string   `json:"QueueUrl"`
	AttributeNames []string `query:"AttributeName,flat"`
}

type getQueueAttributesOutput struct {
	Attributes map[string]string `json:",omitempty" query:"Attribute,flat,key=Name,value=Value"`
}

func (s *Service) getQueueAttributes(_ context.Context, c *wire.Call, in *getQueueAttributesInput) (*getQueueAttributesOutput, error) {
	q, err := s.open(c, in.QueueURL, "GetQueueAttributes")
	if err != nil {
		return nil, err
	}
	for _, name := range in.AttributeNames {
		if !known(name) {
			return nil, unknownAttribute(name)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	all := q.shown(s.cloud.Clock.Now())
	if !slices.Contains(in.AttributeNames, nameAll) {
		maps.DeleteFunc(all, func(name, _ string) bool { return !slices.Contains(in.AttributeNames, name) })
	}
	return &getQueueAttributesOutput{all}, nil
}

type setQueueAttributesInput struct {
	QueueURL   string            `json:"QueueUrl"`
	Attributes map[string]string `query:"Attribute,flat,key=Name,value=Value"`
}

func (s *Service) setQueueAttributes(_ context.Context, c *wire.Call, in *setQueueAttributesInput) (*nothing, error) {
	q, err := s.own(c, in.QueueURL, "SetQueueAttributes")
	if err != nil {
		return nil, err
	}
	if len(in.Attributes) == 0 {
		return nil, missing("Attribute.Name")
	}
	if _, given := in.Attributes[nameFIFO]; given {
		return nil, failure(invalidAttributeValue, "Invalid value for the parameter FifoQueue. Reason: Modifying queue type is not supported.")
	}
	now := s.cloud.Clock.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	to, bad := s.change(q.place, q.name, q.settings, in.Attributes)
	if bad != nil {
		return nil, bad
	}
	q.set(to, now)
	return nil, nil
}
