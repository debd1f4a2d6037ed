package cloud_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.org/catchment/internal/lab/cloud"
)

const (
	one = "111111111111"
	two = "222222222222"
)

func withAccounts(t *testing.T, o cloud.Options) *cloud.Cloud {
	t.Helper()
	o.Start = start
	c := cloud.New(o)
	for _, id := range []string{two, one} {
		if err := c.Accounts.Add(cloud.Account{ID: id}); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func TestAnAccountHasANameAndAnAddress(t *testing.T) {
	c := withAccounts(t, cloud.Options{})
	if diff := cmp.Diff([]string{one, two}, c.Accounts.IDs()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	got, ok := c.Accounts.Find(one)
	if want := (cloud.Account{ID: one, Name: "account-" + one, Email: "aws+" + one + "@example.com"}); !ok || !cmp.Equal(want, got) {
		t.Errorf("got %+v", got)
	}
	if _, ok := c.Accounts.Find("333333333333"); ok {
		t.Error("an account that is none is found")
	}
	for _, id := range []string{"", "1", "11111111111a", "1111111111111"} {
		if err := c.Accounts.Add(cloud.Account{ID: id}); err == nil {
			t.Errorf("an account %q is taken", id)
		}
	}
}

func TestAnOptInRegionIsAnAccountsToEnable(t *testing.T) {
	c := withAccounts(t, cloud.Options{})
	c.Accounts.SetRegion(one, "me-south-1", true)
	c.Accounts.SetRegion(one, "af-south-1", true)
	c.Accounts.SetRegion(one, "af-south-1", true)
	c.Accounts.SetRegion("999999999999", "af-south-1", true) // nobody's
	for _, tt := range []struct {
		account, region string
		want            bool
	}{
		{one, "us-east-1", true},
		{two, "us-east-1", true},
		{one, "af-south-1", true},
		{two, "af-south-1", false},
		{one, "cn-north-1", false}, // another partition
		{one, "eu-nowhere-1", false},
		{one, "", false},
		{"999999999999", "af-south-1", false},
		{"999999999999", "us-east-1", false},
	} {
		if got := c.Accounts.Enabled(tt.account, tt.region); got != tt.want {
			t.Errorf("%s in %q: %v", tt.account, tt.region, got)
		}
	}
	a, _ := c.Accounts.Find(one)
	if diff := cmp.Diff([]string{"af-south-1", "me-south-1"}, a.Regions); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	a.Regions[0] = "changed" // a copy
	c.Accounts.SetRegion(one, "af-south-1", false)
	if a, _ = c.Accounts.Find(one); !slices.Equal(a.Regions, []string{"me-south-1"}) {
		t.Errorf("got %v", a.Regions)
	}
}

func TestAnAccountsKeyFollowsFromTheSeed(t *testing.T) {
	key := func(seed uint64, account string) cloud.Credential {
		return withAccounts(t, cloud.Options{Seed: seed}).Accounts.Credential(account)
	}
	a := key(1, one)
	if !cmp.Equal(a, key(1, one)) {
		t.Error("it is another one after a restart")
	}
	if a.SecretKey == key(2, one).SecretKey || a.SecretKey == key(1, two).SecretKey || len(a.SecretKey) != 40 || len(a.AccessKeyID) != 20 {
		t.Errorf("got %+v", a)
	}
	if want := "arn:aws:iam::" + one + ":user/administrator"; a.Who.ARN != want || a.Who.Kind != cloud.User || a.Who.Account != one {
		t.Errorf("it stands for %+v", a.Who)
	}
	c := withAccounts(t, cloud.Options{Seed: 1})
	if got, ok := c.Accounts.FindKey(a.AccessKeyID); !ok || !cmp.Equal(got, a) {
		t.Errorf("found %+v, %v", got, ok)
	}
	for _, id := range []string{"", "AKIALABS", "AKIALABS999999999999", "ASIA0000000000000000"} {
		if _, ok := c.Accounts.FindKey(id); ok {
			t.Errorf("key %q is found", id)
		}
	}
}

func TestTemporaryCredentialsAreOfWhomTheyWereIssuedFor(t *testing.T) {
	c := withAccounts(t, cloud.Options{})
	who := cloud.Identity{Kind: cloud.Session, ARN: "session", Account: one}
	forever, hour := c.Accounts.Issue(who), c.Accounts.IssueUntil(who, start.Add(time.Hour))
	if forever.AccessKeyID == hour.AccessKeyID || !strings.HasPrefix(hour.AccessKeyID, "ASIA") || hour.Token == "" || !forever.Expires.IsZero() {
		t.Errorf("got %+v and %+v", forever, hour)
	}
	for _, want := range []cloud.Credential{forever, hour} {
		if got, ok := c.Accounts.FindKey(want.AccessKeyID); !ok || !cmp.Equal(got, want) {
			t.Errorf("found %+v, %v", got, ok)
		}
	}
}

// Who makes sessions all day long does not fill the memory: what expired a day ago is forgotten once there are many.
func TestCredentialsThatExpiredLongAgoAreForgotten(t *testing.T) {
	c := withAccounts(t, cloud.Options{})
	forever := c.Accounts.Issue(cloud.Identity{Account: one})
	old := c.Accounts.IssueUntil(cloud.Identity{Account: one}, start)
	for range 10_000 {
		c.Accounts.IssueUntil(cloud.Identity{Account: one}, start.Add(time.Hour))
	}
	if _, ok := c.Accounts.FindKey(old.AccessKeyID); !ok {
		t.Error("what expired just now is forgotten")
	}
	if err := c.Clock.Advance(t.Context(), 24*time.Hour+1); err != nil {
		t.Fatal(err)
	}
	late := c.Accounts.IssueUntil(cloud.Identity{Account: one}, start.Add(48*time.Hour))
	for want, keys := range map[bool][]string{true: {forever.AccessKeyID, late.AccessKeyID}, false: {old.AccessKeyID}} {
		for _, id := range keys {
			if _, ok := c.Accounts.FindKey(id); ok != want {
				t.Errorf("%s is known: %v, want %v", id, ok, want)
			}
		}
	}
}

func TestWhoWatchesHearsOfAccountsThatJoin(t *testing.T) {
	c := withAccounts(t, cloud.Options{})
	if id, management := c.Accounts.Organization(); id != "" || management != "" {
		t.Errorf("an organisation %s of %s is there at first", id, management)
	}
	c.Accounts.SetOrganization("o-exampleorg1", one)
	if id, management := c.Accounts.Organization(); id != "o-exampleorg1" || management != one {
		t.Errorf("got %s of %s", id, management)
	}
	var heard []string
	for i := range 2 {
		c.Accounts.Watch(func(id string) { heard = append(heard, fmt.Sprint(i, id)) })
	}
	c.Accounts.Joined(two)
	if len(heard) != 0 {
		t.Error("they heard before the clock's next task")
	}
	if err := c.Clock.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"0" + two, "1" + two}, heard); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if p := c.Accounts.Place(one, "eu-west-1"); p != (cloud.Place{Partition: "aws", Account: one, Region: "eu-west-1"}) {
		t.Errorf("got %+v", p)
	}
}
