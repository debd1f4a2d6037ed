package kms

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"time"

	"example.org/catchment/internal/lab/policy"
	"example.org/catchment/internal/lab/wire"
)

// Limits of keys. https://docs.aws.amazon.com/kms/latest/developerguide/limits.html
const (
	maxKeys        = 100_000
	maxPolicy      = 32_768 // bytes
	maxDescription = 8192
	minWindow      = 7 // days
	maxWindow      = 30
	maxPage        = 1000
	defaultPage    = 100
)

type metadata struct {
	AWSAccountID          string `json:"AWSAccountId"`
	KeyID                 string `json:"KeyId"`
	ARN                   string `json:"Arn"`
	CreationDate          wire.Epoch
	Enabled               bool
	Description           string
	KeyUsage              string
	KeyState              string
	DeletionDate          wire.Epoch `json:",omitzero"`
	Origin                string
	KeyManager            string
	CustomerMasterKeySpec string
	KeySpec               string
	EncryptionAlgorithms  []string
	MultiRegion           bool
}

// The one kind of key that the lab has.
const (
	onlySpec  = "SYMMETRIC_DEFAULT"
	onlyUsage = "ENCRYPT_DECRYPT"
)

// view is a key as it is shown. Requires s.mu.
func (k *key) view() metadata {
	return metadata{
		AWSAccountID: k.place.Account, KeyID: k.id, ARN: k.arn, CreationDate: wire.Epoch{Time: k.created}, Enabled: k.state == stateEnabled,
		Description: k.description, KeyUsage: onlyUsage, KeyState: k.state, DeletionDate: wire.Epoch{Time: k.deletion}, Origin: "AWS_KMS",
		KeyManager: k.manager, CustomerMasterKeySpec: onlySpec, KeySpec: onlySpec, EncryptionAlgorithms: []string{onlySpec},
	}
}

type createKeyInput struct {
	Policy                         string
	Description                    string
	KeyUsage                       string
	KeySpec                        string
	CustomerMasterKeySpec          string
	Origin                         string
	MultiRegion                    bool
	BypassPolicyLockoutSafetyCheck bool
}

type keyOutput struct{ KeyMetadata metadata }

func (s *Service) createKey(_ context.Context, c *wire.Call, in *createKeyInput) (*keyOutput, error) {
	for _, one := range [][2]string{
		{in.KeyUsage, onlyUsage}, {in.KeySpec, onlySpec}, {in.CustomerMasterKeySpec, onlySpec}, {in.Origin, "AWS_KMS"},
	} {
		if one[0] != "" && one[0] != one[1] {
			return nil, wire.Errorf("UnsupportedOperationException", "the lab's KMS has no keys of %.40s: only of %s", one[0], one[1])
		}
	}
	if in.MultiRegion {
		return nil, wire.Errorf("UnsupportedOperationException", "the lab's KMS has no multi-Region keys")
	}
	if len(in.Description) > maxDescription {
		return nil, validation("the description has more than %d letters", maxDescription)
	}
	k := s.newKey(c.Place, in.Description, managerCustomer)
	document := []byte(in.Policy)
	if in.Policy == "" {
		document = []byte(`{"Version":"2012-10-17","Id":"key-default-1","Statement":[{"Sid":"Enable IAM User Permissions","Effect":"Allow",` +
			`"Principal":{"AWS":"` + c.Global().ARN("iam", "root") + `"},"Action":"kms:*","Resource":"*"}]}`)
	} else if err := s.checkPolicy(c, k, document, in.BypassPolicyLockoutSafetyCheck); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.at(c.Place)
	if len(st.keys) >= maxKeys {
		return nil, wire.Errorf("LimitExceededException", "the account has %d keys in this region", maxKeys)
	}
	// A new key's policy holds at once: there was none before that others could see.
	k.policy.Set(k.created.Add(-s.cloud.Lag.Policies), s.cloud.Lag.Policies, document)
	st.keys[k.id] = k
	return &keyOutput{k.view()}, nil
}

// checkPolicy refuses a policy that is malformed, or that its author could not change again.
func (s *Service) checkPolicy(c *wire.Call, k *key, document []byte, bypass bool) error {
	if len(document) > maxPolicy {
		return wire.Errorf("LimitExceededException", "the key policy has %d bytes: at most %d are taken", len(document), maxPolicy)
	}
	if err := policy.Validate(document); err != nil {
		return wire.Errorf("MalformedPolicyDocumentException", "%v", err)
	}
	if bypass {
		return nil
	}
	if err := s.authorize(c, k, "PutKeyPolicy", document, nil); err != nil {
		return wire.Errorf("MalformedPolicyDocumentException", "The new key policy will not allow you to update the key policy in the future.")
	}
	return nil
}

type keyInput struct {
	KeyID string `json:"KeyId"`
}

func (s *Service) describeKey(_ context.Context, c *wire.Call, in *keyInput) (*keyOutput, error) {
	k, err := s.permitted(c, in.KeyID, "DescribeKey", nil)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return &keyOutput{k.view()}, nil
}

type listInput struct {
	KeyID  string `json:"KeyId"`
	Limit  *int
	Marker string
}

type keyEntry struct {
	KeyID  string `json:"KeyId"`
	KeyARN string `json:"KeyArn"`
}

type listKeysOutput struct {
	Keys       []keyEntry
	NextMarker string `json:",omitempty"`
	Truncated  bool
}

func (s *Service) listKeys(_ context.Context, c *wire.Call, in *listInput) (*listKeysOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.at(c.Place)
	var all []keyEntry
	for _, id := range slices.Sorted(maps.Keys(st.keys)) {
		if k := s.find(c.Place, "key/"+id); k != nil {
			all = append(all, keyEntry{k.id, k.arn})
		}
	}
	all, next, err := page(all, in)
	if err != nil {
		return nil, err
	}
	return &listKeysOutput{all, next, next != ""}, nil
}

// page gives one page of a list, and the marker of the next; empty where it is the last.
func page[T any](all []T, in *listInput) ([]T, string, error) {
	size, start := defaultPage, 0
	if in.Limit != nil {
		if size = *in.Limit; size < 1 || size > maxPage {
			return nil, "", validation("Limit %d: expected 1 to %d", size, maxPage)
		}
	}
	if in.Marker != "" {
		var err error
		if start, err = strconv.Atoi(in.Marker); err != nil || start < 0 {
			return nil, "", wire.Errorf("InvalidMarkerException", "the marker is not one that was given")
		}
	}
	start = min(start, len(all))
	end := min(start+size, len(all))
	if end == len(all) {
		return all[start:], "", nil
	}
	return all[start:end], strconv.Itoa(end), nil
}

func validation(format string, args ...any) error {
	return wire.Errorf("ValidationException", "1 validation error detected: "+format, args...)
}

// policyName is the name of the one policy that a key has.
const policyName = "default"

type policyInput struct {
	KeyID                          string `json:"KeyId"`
	PolicyName                     string
	Policy                         string
	BypassPolicyLockoutSafetyCheck bool
}

func (in *policyInput) check() error {
	if in.PolicyName != "" && in.PolicyName != policyName {
		return wire.Errorf("NotFoundException", "No such policy exists: %.100s", in.PolicyName)
	}
	return nil
}

type policyOutput struct{ Policy, PolicyName string }

func (s *Service) getKeyPolicy(_ context.Context, c *wire.Call, in *policyInput) (*policyOutput, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	k, err := s.permitted(c, in.KeyID, "GetKeyPolicy", nil)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return &policyOutput{string(k.policy.Last()), policyName}, nil
}

func (s *Service) putKeyPolicy(_ context.Context, c *wire.Call, in *policyInput) (*nothing, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	k, err := s.permitted(c, in.KeyID, "PutKeyPolicy", nil)
	if err != nil {
		return nil, err
	}
	if err := s.checkPolicy(c, k, []byte(in.Policy), in.BypassPolicyLockoutSafetyCheck); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	k.policy.Set(s.cloud.Clock.Now(), s.cloud.Lag.Policies, []byte(in.Policy))
	return nil, nil
}

type listPoliciesOutput struct {
	PolicyNames []string
	Truncated   bool
}

func (s *Service) listKeyPolicies(_ context.Context, c *wire.Call, in *keyInput) (*listPoliciesOutput, error) {
	if _, err := s.permitted(c, in.KeyID, "ListKeyPolicies", nil); err != nil {
		return nil, err
	}
	return &listPoliciesOutput{PolicyNames: []string{policyName}}, nil
}

type scheduleInput struct {
	KeyID               string `json:"KeyId"`
	PendingWindowInDays *int
}

type scheduleOutput struct {
	KeyID               string `json:"KeyId"`
	DeletionDate        wire.Epoch
	KeyState            string
	PendingWindowInDays int
}

func (s *Service) scheduleKeyDeletion(_ context.Context, c *wire.Call, in *scheduleInput) (*scheduleOutput, error) {
	days := maxWindow
	if in.PendingWindowInDays != nil {
		if days = *in.PendingWindowInDays; days < minWindow || days > maxWindow {
			return nil, validation("PendingWindowInDays %d: expected %d to %d", days, minWindow, maxWindow)
		}
	}
	k, err := s.permitted(c, in.KeyID, "ScheduleKeyDeletion", nil)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := k.isNot(statePending); err != nil {
		return nil, err
	}
	k.state, k.deletion = statePending, s.cloud.Clock.Now().Add(time.Duration(days)*24*time.Hour)
	return &scheduleOutput{k.arn, wire.Epoch{Time: k.deletion}, k.state, days}, nil
}

// isNot refuses a key that is in a state. Requires s.mu.
func (k *key) isNot(state string) error {
	switch {
	case k.state != state:
		return nil
	case state == stateDisabled:
		return wire.Errorf("DisabledException", "%s is disabled.", k.arn)
	}
	return wire.Errorf("KMSInvalidStateException", "%s is pending deletion.", k.arn)
}

// usable refuses a key that cannot be used now. Requires s.mu.
func (k *key) usable() error {
	if err := k.isNot(statePending); err != nil {
		return err
	}
	return k.isNot(stateDisabled)
}

func (s *Service) cancelKeyDeletion(_ context.Context, c *wire.Call, in *keyInput) (*keyInput, error) {
	k, err := s.permitted(c, in.KeyID, "CancelKeyDeletion", nil)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if k.state != statePending {
		return nil, wire.Errorf("KMSInvalidStateException", "%s is not pending deletion.", k.arn)
	}
	k.state, k.deletion = stateDisabled, time.Time{}
	return &keyInput{k.arn}, nil
}

func (s *Service) disableKey(_ context.Context, c *wire.Call, in *keyInput) (*nothing, error) {
	return s.setState(c, in, "DisableKey", stateDisabled)
}

func (s *Service) enableKey(_ context.Context, c *wire.Call, in *keyInput) (*nothing, error) {
	return s.setState(c, in, "EnableKey", stateEnabled)
}

func (s *Service) setState(c *wire.Call, in *keyInput, action, state string) (*nothing, error) {
	k, err := s.permitted(c, in.KeyID, action, nil)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := k.isNot(statePending); err != nil {
		return nil, err
	}
	k.state = state
	return nil, nil
}
