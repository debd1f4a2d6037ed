package events_test

import (
	"encoding/json"
	"slices"
	"strings"

	"example.org/catchment/internal/lab/cloud"
)

// A guard knows as much of IAM as these tests need: roles with what they may do, and bus policies.
type guard struct {
	roles   map[string][]string // by ARN: actions
	members map[string]string   // organisation by account
}

func (g *guard) Assume(who cloud.Identity, role, _ string, _ map[string]string) (cloud.Identity, error) {
	if _, ok := g.roles[role]; !ok {
		return cloud.Identity{}, &cloud.DeniedError{Who: who.ARN, Action: "sts:AssumeRole", Resource: role}
	}
	a, err := cloud.ParseARN(role)
	return cloud.Identity{Kind: cloud.Session, ARN: role, Role: role, Account: a.Account}, err
}

func (g *guard) Authorize(a cloud.Access) error {
	denied := &cloud.DeniedError{Who: a.Who.ARN, Action: a.Action, Resource: a.Resource}
	if a.Who.Kind == cloud.Session && !slices.Contains(g.roles[a.Who.Role], a.Action) {
		return denied
	}
	if a.Who.Kind != cloud.Service && a.Who.Account == a.Owner {
		return nil
	}
	var policy struct {
		Statement []struct {
			Action, Principal any
			Condition         map[string]map[string]string
		}
	}
	if len(a.Policy) == 0 || json.Unmarshal(a.Policy, &policy) != nil {
		return denied
	}
	for _, st := range policy.Statement {
		if st.Action != a.Action {
			continue
		}
		principal, _ := json.Marshal(st.Principal)
		org, conditional := st.Condition["StringEquals"]["aws:PrincipalOrgID"]
		switch {
		case a.Who.Kind == cloud.Service:
			if strings.Contains(string(principal), a.Who.ARN) && st.Condition["ArnEquals"]["aws:SourceArn"] == a.Context["aws:SourceArn"] {
				return nil
			}
		case conditional && g.members[a.Who.Account] != org:
		case st.Principal == "*" || strings.Contains(string(principal), a.Who.Account):
			return nil
		}
	}
	return denied
}
