package cloud

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// An Account is one AWS account. Its place in an organisation is kept by the service Organizations.
type Account struct {
	ID      string
	Name    string
	Email   string
	Regions []string // opt-in regions that it has enabled
}

// A Credential is an access key with whom it stands for.
type Credential struct {
	AccessKeyID string
	SecretKey   string
	Token       string // of temporary credentials
	Who         Identity
	Expires     time.Time // lab time; zero: never
}

// Accounts are the accounts of the cloud with their access keys.
type Accounts struct {
	cloud *Cloud

	mu         sync.Mutex
	accounts   map[string]*Account   // guarded by mu, like all below
	temporary  map[string]Credential // by access key id
	management string
	orgID      string
	watchers   []func(accountID string)
}

func newAccounts(c *Cloud) *Accounts {
	return &Accounts{cloud: c, accounts: make(map[string]*Account), temporary: make(map[string]Credential)}
}

// Add makes an account. The same id again replaces it.
func (a *Accounts) Add(account Account) error {
	if !IsAccountID(account.ID) {
		return fmt.Errorf("account %q: expected 12 digits", account.ID)
	}
	if account.Name == "" {
		account.Name = "account-" + account.ID
	}
	if account.Email == "" {
		account.Email = "aws+" + account.ID + "@example.com"
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.accounts[account.ID] = &account
	return nil
}

// Find looks an account up.
func (a *Accounts) Find(id string) (Account, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	account, ok := a.accounts[id]
	if !ok {
		return Account{}, false
	}
	out := *account
	out.Regions = slices.Clone(account.Regions)
	return out, true
}

// IDs are the ids of all accounts, in order.
func (a *Accounts) IDs() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Sorted(maps.Keys(a.accounts))
}

// SetRegion enables an opt-in region for an account, or takes it away.
func (a *Accounts) SetRegion(id, region string, enabled bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	account := a.accounts[id]
	if account == nil {
		return
	}
	account.Regions = slices.DeleteFunc(account.Regions, func(r string) bool { return r == region })
	if enabled {
		account.Regions = append(account.Regions, region)
		slices.Sort(account.Regions)
	}
}

// Enabled tells whether there is such an account, and it may use a region.
func (a *Accounts) Enabled(id, region string) bool {
	r, known := FindRegion(region)
	if !known || r.Partition != a.cloud.Partition {
		return false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	account := a.accounts[id]
	return account != nil && (!r.OptIn || slices.Contains(account.Regions, region))
}

// SetOrganization says which organisation the accounts are in, for aws:PrincipalOrgID. The service Organizations calls it.
func (a *Accounts) SetOrganization(id, management string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.orgID, a.management = id, management
}

// Organization gives the organisation's id and its management account; empty where there is none.
func (a *Accounts) Organization() (id, management string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.orgID, a.management
}

// Watch has f called, as a task, for each account that joins the organisation from now on. Services call it in New.
func (a *Accounts) Watch(f func(accountID string)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.watchers = append(a.watchers, f)
}

// Joined says that an account has joined the organisation. The service Organizations calls it.
func (a *Accounts) Joined(accountID string) {
	a.mu.Lock()
	watchers := slices.Clone(a.watchers)
	a.mu.Unlock()
	for _, f := range watchers {
		a.cloud.Clock.Go(func(context.Context) { f(accountID) })
	}
}

// Place is an account in a region of this cloud.
func (a *Accounts) Place(account, region string) Place {
	return Place{a.cloud.Partition, account, region}
}

// keyPrefix starts the ids of the accounts' own access keys; the account's number follows.
const keyPrefix = "AKIALABS"

// Credential gives an account's own access key: it stands for the account's administrator, who may do everything in it.
// It follows from the seed, so that exported variables stay right over a restart of the lab.
func (a *Accounts) Credential(account string) Credential {
	mac := hmac.New(sha256.New, []byte("lab"+strconv.FormatUint(a.cloud.Seed, 10)))
	mac.Write([]byte(account))
	secret := base64.StdEncoding.EncodeToString(mac.Sum(nil))[:40]
	return Credential{
		AccessKeyID: keyPrefix + account, SecretKey: secret,
		Who: Identity{
			Kind: User, Account: account, ID: "AIDALABS" + account,
			ARN: Place{a.cloud.Partition, account, ""}.ARN("iam", "user/administrator"),
		},
	}
}

// Issue makes temporary credentials for somebody that do not expire, for what runs in the lab itself: Lambda's functions.
func (a *Accounts) Issue(who Identity) Credential { return a.IssueUntil(who, time.Time{}) }

// Beyond manyCredentials, those that expired longer than forgetExpired ago are forgotten.
const (
	manyCredentials = 10_000
	forgetExpired   = 24 * time.Hour
)

// IssueUntil makes temporary credentials for somebody that hold until a time of the lab's clock, as STS does.
func (a *Accounts) IssueUntil(who Identity, expires time.Time) Credential {
	b := a.cloud.Chance("credential")
	c := Credential{
		AccessKeyID: "ASIA" + strings.ToUpper(a.cloud.Hex("access key", 16)),
		SecretKey:   base64.StdEncoding.EncodeToString(b[:])[:40],
		Token:       "lab/" + a.cloud.Hex("session token", 64), Who: who, Expires: expires,
	}
	forget := a.cloud.Clock.Now().Add(-forgetExpired)
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.temporary) >= manyCredentials {
		maps.DeleteFunc(a.temporary, func(_ string, old Credential) bool { return !old.Expires.IsZero() && old.Expires.Before(forget) })
	}
	a.temporary[c.AccessKeyID] = c
	return c
}

// FindKey looks an access key up.
func (a *Accounts) FindKey(id string) (Credential, bool) {
	if account, ok := strings.CutPrefix(id, keyPrefix); ok {
		if _, exists := a.Find(account); !exists {
			return Credential{}, false
		}
		return a.Credential(account), true
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	c, ok := a.temporary[id]
	return c, ok
}
