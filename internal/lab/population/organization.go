package population

import (
	"fmt"
	"strings"
)

// An Org is an organisation: its units, and its accounts in them.
type Org struct {
	Units         []Unit // parents before children
	Accounts      []Member
	Management    string // account id
	Administrator string // of Security Hub and Inspector: the account security-tooling
	LogArchive    string // where the bucket is
}

// A Unit is an organisational unit.
type Unit struct {
	Path string // Workloads/Prod
	Name string // Prod
}

// A Member is an account of the organisation.
type Member struct {
	ID    string
	Name  string
	Email string
	Unit  string // path; empty: the root
	Env   string // prod, test, dev, shared
}

var units = []string{
	"Security", "Infrastructure", "Workloads", "Workloads/Prod", "Workloads/Test", "Sandbox", "PolicyStaging", "Suspended",
}

// fixed are the accounts that each organisation starts with.
var fixed = []Member{
	{Name: "management", Env: "shared"},
	{Name: "log-archive", Unit: "Security", Env: "shared"},
	{Name: "security-tooling", Unit: "Security", Env: "shared"},
	{Name: "network", Unit: "Infrastructure", Env: "shared"},
	{Name: "shared-services", Unit: "Infrastructure", Env: "shared"},
}

// Teams and products whose accounts fill the organisation.
var (
	teams    = []string{"payments", "search", "catalog", "checkout", "ledger", "identity", "mobile", "data", "ml", "billing", "claims", "logistics"}
	products = []string{"api", "web", "batch", "stream", "store", "admin", "edge", "reports"}
)

// Organization makes the organisation of the options: it follows from Seed and Accounts alone. With fewer than 3 accounts
// one account has several of the roles.
func Organization(o Options) Org {
	o = o.withDefaults()
	p := &Population{Options: o}
	org := Org{}
	for _, path := range units {
		org.Units = append(org.Units, Unit{path, path[strings.LastIndex(path, "/")+1:]})
	}
	taken := make(map[string]bool, o.Accounts)
	for i := range o.Accounts {
		m := p.member(i)
		d := p.throw("account", i)
		for m.ID == "" || taken[m.ID] {
			m.ID = fmt.Sprintf("%012d", 100_000_000_000+d.next()%900_000_000_000)
		}
		taken[m.ID] = true
		m.Email = "aws+" + m.Name + "@example.com"
		org.Accounts = append(org.Accounts, m)
	}
	last := len(org.Accounts) - 1
	org.Management = org.Accounts[0].ID
	org.LogArchive = org.Accounts[min(1, last)].ID
	org.Administrator = org.Accounts[min(2, last)].ID
	return org
}

// member gives the account of a number without its id.
func (p *Population) member(i int) Member {
	if i < len(fixed) {
		return fixed[i]
	}
	n := i - len(fixed)
	d := p.throw("member", i)
	name := teams[n%len(teams)] + "-" + products[n/len(teams)%len(products)]
	if round := n / (len(teams) * len(products)); round > 0 {
		name += fmt.Sprintf("-%d", round+1)
	}
	switch x := d.below(10); {
	case x < 4:
		return Member{Name: name + "-prod", Unit: "Workloads/Prod", Env: "prod"}
	case x < 7:
		return Member{Name: name + "-test", Unit: "Workloads/Test", Env: "test"}
	case x < 9:
		return Member{Name: "sandbox-" + name, Unit: "Sandbox", Env: "dev"}
	}
	return Member{Name: name + "-dev", Unit: "Workloads/Test", Env: "dev"}
}
