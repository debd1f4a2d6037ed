// Package kms is the lab's Key Management Service: symmetric keys with their policies.
//
// Encrypt, Decrypt and GenerateDataKey are AES-GCM with the encryption context as additional data, so that what AWS would
// not decrypt is not decrypted here. The material follows from the lab's seed: it keeps no secret. Asymmetric and HMAC
// keys, grants, rotation and multi-Region keys are not there.
//
// https://docs.aws.amazon.com/kms/latest/APIReference/API_Operations.html
package kms

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/wire"
)

// A Service is KMS of all accounts and regions.
type Service struct {
	cloud *cloud.Cloud

	mu     sync.Mutex
	places map[cloud.Place]*store // guarded by mu
}

// A store is what an account has in a region.
type store struct {
	keys    map[string]*key   // by id
	aliases map[string]*alias // by name with alias/
}

// A key is one key. It is guarded by the service's mutex.
type key struct {
	place       cloud.Place
	id          string
	arn         string
	description string
	manager     string // managerCustomer or managerAWS
	created     time.Time
	state       string
	deletion    time.Time // of a key that is pending deletion
	policy      cloud.Lagged[[]byte]
	material    [32]byte
}

// An alias is another name of a key.
type alias struct {
	name, target     string
	created, changed time.Time
}

// What a key is.
const (
	stateEnabled    = "Enabled"
	stateDisabled   = "Disabled"
	statePending    = "PendingDeletion"
	managerCustomer = "CUSTOMER"
	managerAWS      = "AWS"
)

// New makes the service, and registers it for the ARNs of keys and aliases.
func New(c *cloud.Cloud) *Service {
	s := &Service{cloud: c, places: make(map[cloud.Place]*store)}
	c.Receivers.Register("kms", s)
	return s
}

var _ cloud.Receiver = (*Service)(nil)

type nothing struct{}

// Wire is the service as it is on the wire.
func (s *Service) Wire() *wire.Service {
	self := func(do func(context.Context, *wire.Call) (any, error)) wire.Operation {
		return wire.Operation{Do: do, Self: true}
	}
	return &wire.Service{
		Name: "kms", Protocols: []wire.Protocol{wire.JSON11}, Target: "TrentService",
		Operations: map[string]wire.Operation{
			"CreateKey":                       {Do: wire.Do(s.createKey)},
			"ListKeys":                        {Do: wire.Do(s.listKeys)},
			"ListAliases":                     {Do: wire.Do(s.listAliases)},
			"DescribeKey":                     self(wire.Do(s.describeKey)),
			"GetKeyPolicy":                    self(wire.Do(s.getKeyPolicy)),
			"PutKeyPolicy":                    self(wire.Do(s.putKeyPolicy)),
			"ListKeyPolicies":                 self(wire.Do(s.listKeyPolicies)),
			"CreateAlias":                     self(wire.Do(s.createAlias)),
			"DeleteAlias":                     self(wire.Do(s.deleteAlias)),
			"ScheduleKeyDeletion":             self(wire.Do(s.scheduleKeyDeletion)),
			"CancelKeyDeletion":               self(wire.Do(s.cancelKeyDeletion)),
			"DisableKey":                      self(wire.Do(s.disableKey)),
			"EnableKey":                       self(wire.Do(s.enableKey)),
			"GenerateDataKey":                 self(wire.Do(s.generateDataKey)),
			"GenerateDataKeyWithoutPlaintext": self(wire.Do(s.generateDataKeyWithoutPlaintext)),
			"Encrypt":                         self(wire.Do(s.encrypt)),
			"Decrypt":                         self(wire.Do(s.decrypt)),
		},
	}
}

// maxInspected is how many keys Inspect shows.
const maxInspected = 500

// Inspect is the state, for people: the keys with their states, aliases and policies.
func (s *Service) Inspect() any {
	type keyView struct {
		ARN     string   `json:"arn"`
		State   string   `json:"state"`
		Aliases []string `json:"aliases,omitempty"`
		Policy  string   `json:"policy"`
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	out := []keyView{}
	for _, st := range s.places {
		for _, k := range st.keys {
			out = append(out, keyView{k.arn, k.state, st.namesOf(k.id), string(k.policy.Last())})
		}
	}
	slices.SortFunc(out, func(a, b keyView) int { return strings.Compare(a.ARN, b.ARN) })
	return out[:min(len(out), maxInspected)]
}

// Resource tells about a key, by its ARN or that of an alias. A key that cannot be used is an error.
func (s *Service) Resource(arn string) (cloud.Resource, error) {
	name, err := cloud.ParseARN(arn)
	if err != nil {
		return cloud.Resource{}, err
	}
	if name.Service != "kms" {
		return cloud.Resource{}, fmt.Errorf("%s is no key: %w", arn, cloud.ErrNoResource)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.find(name.Place(), name.Resource)
	switch {
	case k == nil:
		return cloud.Resource{}, cloud.ErrNoResource
	case k.state == stateDisabled:
		return cloud.Resource{}, fmt.Errorf("KMS.DisabledException: %s is disabled", k.arn)
	case k.state == statePending:
		return cloud.Resource{}, fmt.Errorf("KMS.KMSInvalidStateException: %s is pending deletion", k.arn)
	}
	return cloud.Resource{Owner: k.place.Account, Policy: s.policyOf(k), ARN: k.arn}, nil
}

// Receive is refused: nothing is delivered to a key.
func (s *Service) Receive(_ context.Context, d *cloud.Delivery) ([]byte, error) {
	return nil, fmt.Errorf("%s takes no deliveries", d.Target)
}

// policyOf is a key's policy as it holds now. Requires s.mu.
func (s *Service) policyOf(k *key) []byte {
	return k.policy.Seen(s.cloud.Clock.Now(), s.cloud.Lag.Policies)
}

// at is what a place has. Requires s.mu.
func (s *Service) at(p cloud.Place) *store {
	st := s.places[p]
	if st == nil {
		st = &store{keys: make(map[string]*key), aliases: make(map[string]*alias)}
		s.places[p] = st
	}
	return st
}

// awsAlias starts the names of the keys that AWS manages for a service. They come into being when they are first used.
const awsAlias = "alias/aws/"

// find looks a key up by key/ID or alias/NAME; nil where there is none. Requires s.mu.
func (s *Service) find(p cloud.Place, resource string) *key {
	if _, exists := s.cloud.Accounts.Find(p.Account); !exists || !s.cloud.Accounts.Enabled(p.Account, p.Region) {
		return nil
	}
	st := s.at(p)
	id, isKey := strings.CutPrefix(resource, "key/")
	if !isKey {
		a := st.aliases[resource]
		if a == nil && awsServices[strings.TrimPrefix(resource, awsAlias)] && strings.HasPrefix(resource, awsAlias) {
			a = s.addAWS(p, st, resource)
		}
		if a == nil {
			return nil
		}
		id = a.target
	}
	k := st.keys[id]
	if k != nil && k.state == statePending && !s.cloud.Clock.Now().Before(k.deletion) {
		delete(st.keys, id)
		maps.DeleteFunc(st.aliases, func(_ string, a *alias) bool { return a.target == id })
		return nil
	}
	return k
}

// awsServices are those whose own key the lab makes when it is first asked for.
var awsServices = map[string]bool{
	"events": true, "firehose": true, "kinesis": true, "lambda": true, "s3": true, "sns": true, "sqs": true, "secretsmanager": true,
}

// addAWS makes the key that AWS manages for a service. Everybody of the account may use it, and no service principal; AWS
// asks besides that they come through the service. Requires s.mu.
func (s *Service) addAWS(p cloud.Place, st *store, name string) *alias {
	now := s.cloud.Clock.Now()
	k := s.newKey(p, "Default key that protects my data when no other key is defined", managerAWS)
	k.policy.Set(now.Add(-s.cloud.Lag.Policies), s.cloud.Lag.Policies, []byte(`{"Version":"2012-10-17","Id":"auto-`+strings.TrimPrefix(name, awsAlias)+
		`","Statement":[{"Sid":"Allow access for all principals in the account that are authorized to use the service","Effect":"Allow",`+
		`"Principal":{"AWS":"*"},"Action":["kms:Encrypt","kms:Decrypt","kms:ReEncrypt*","kms:GenerateDataKey*","kms:DescribeKey"],`+
		`"Resource":"*","Condition":{"StringEquals":{"kms:CallerAccount":"`+p.Account+`"}}},{"Effect":"Allow","Principal":{"AWS":"`+
		p.Global().ARN("iam", "root")+`"},"Action":["kms:Describe*","kms:Get*","kms:List*"],"Resource":"*"}]}`))
	st.keys[k.id] = k
	a := &alias{name, k.id, now, now}
	st.aliases[name] = a
	return a
}

// newKey makes a key without a policy.
func (s *Service) newKey(p cloud.Place, description, manager string) *key {
	id := s.cloud.UUID("kms key")
	return &key{
		place: p, id: id, arn: p.ARN("kms", "key/"+id), description: description, manager: manager, created: s.cloud.Clock.Now(),
		state: stateEnabled, material: s.cloud.Chance("kms material"),
	}
}

// lookup finds the key that a call names: by id, key ARN, alias or alias ARN. Requires s.mu.
func (s *Service) lookup(c *wire.Call, id string) (*key, error) {
	p, resource := c.Place, "key/"+id
	switch {
	case strings.HasPrefix(id, "alias/"):
		resource = id
	case strings.HasPrefix(id, "arn:"):
		arn, err := cloud.ParseARN(id)
		if err != nil || arn.Service != "kms" || !strings.HasPrefix(arn.Resource, "key/") && !strings.HasPrefix(arn.Resource, "alias/") {
			return nil, wire.Errorf("InvalidArnException", "Invalid arn %.200s", id)
		}
		if arn.Region != c.Region || arn.Partition != c.Partition {
			return nil, wire.Errorf("NotFoundException", "Invalid arn %s", arn.Region)
		}
		p, resource = arn.Place(), arn.Resource
	}
	k := s.find(p, resource)
	switch {
	case k != nil:
		return k, nil
	case strings.HasPrefix(resource, "alias/"):
		return nil, wire.Errorf("NotFoundException", "Alias %.300s is not found.", p.ARN("kms", resource))
	}
	return nil, wire.Errorf("NotFoundException", "Key '%.300s' does not exist", p.ARN("kms", resource))
}

// permitted finds a key, and asks whether the caller may do something with it.
func (s *Service) permitted(c *wire.Call, id, action string, more map[string]string) (*key, error) {
	s.mu.Lock()
	k, err := s.lookup(c, id)
	var policy []byte
	if err == nil {
		policy = s.policyOf(k)
	}
	s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return k, s.authorize(c, k, action, policy, more)
}

func (s *Service) authorize(c *wire.Call, k *key, action string, policy []byte, more map[string]string) error {
	conditions := c.Conditions()
	maps.Copy(conditions, more)
	return s.cloud.Authorize(cloud.Access{
		Who: c.Who, Action: "kms:" + action, Resource: k.arn, Owner: k.place.Account, Policy: policy, Context: conditions,
	})
}

func (st *store) namesOf(id string) []string {
	var out []string
	for name, a := range st.aliases {
		if a.target == id {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}
