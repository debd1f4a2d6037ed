package lab

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"example.org/catchment/internal/lab/inspector2"
	"example.org/catchment/internal/lab/organizations"
	"example.org/catchment/internal/lab/population"
)

// populate makes the accounts, and the organisation that they are in.
func (l *Lab) populate(orgs *organizations.Service) error {
	o := l.options.Population
	o.Seed = l.options.Seed
	if !l.options.Life {
		o.Empty = 1
	}
	p, err := population.New(l.Cloud, o)
	if err != nil {
		return err
	}
	l.Population, l.org = p, p.Org
	if err := p.SeedAccounts(); err != nil {
		return err
	}
	if !l.options.Standalone {
		if err := l.organize(orgs); err != nil {
			return fmt.Errorf("make the organisation: %w", err)
		}
	}
	if !l.options.Life {
		return p.Start(l.Inspector2, nil) // Classic finds hosts of its own
	}
	return p.Start(l.Inspector2, l.Inspector)
}

// organize puts the accounts into units.
func (l *Lab) organize(orgs *organizations.Service) error {
	if _, err := orgs.Create(l.org.Management); err != nil {
		return err
	}
	ids := map[string]string{"": orgs.Root()}
	for _, u := range l.org.Units {
		parent := ""
		if i := strings.LastIndexByte(u.Path, '/'); i >= 0 {
			parent = u.Path[:i]
		}
		id, err := orgs.AddOU(ids[parent], u.Name)
		if err != nil {
			return err
		}
		ids[u.Path] = id
	}
	for _, m := range l.org.Accounts {
		if err := orgs.Place(m.ID, ids[m.Unit]); err != nil {
			return err
		}
	}
	return nil
}

// OpenFindings makes new findings of Inspector in an account and region now, and gives how many. Inspector has to be
// enabled there.
func (l *Lab) OpenFindings(ctx context.Context, account, region string, n int) (int, error) {
	opened, err := l.Population.Burst(l.Cloud.Accounts.Place(account, region), n)
	if errors.Is(err, inspector2.ErrNotEnabled) {
		return opened, fmt.Errorf("Inspector is not enabled in account %s, region %s", account, region) //nolint:staticcheck // a name
	}
	if err != nil {
		return opened, err
	}
	return opened, l.Cloud.Clock.Settle(ctx)
}
