package policy_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"example.org/catchment/internal/lab/policy"
)

// statements draws statements of a resource's policy that are often about one request.
func statements(effect string) *rapid.Generator[string] {
	pick := func(values ...string) *rapid.Generator[string] { return rapid.SampledFrom(values) }
	return rapid.Custom(func(t *rapid.T) string {
		return fmt.Sprintf(`{"Effect":%q,%s,%s,%s%s}`, effect,
			pick(`"Action":"*"`, `"Action":"sqs:Send*"`, `"Action":"s3:*"`, `"NotAction":"s3:*"`, `"NotAction":"sqs:*"`).Draw(t, "action"),
			pick(`"Resource":"*"`, `"Resource":"`+queue+`"`, `"NotResource":"arn:aws:s3:::*"`, `"Resource":"arn:aws:s3:::x"`).Draw(t, "resource"),
			pick(`"Principal":"*"`, `"Principal":{"AWS":"222222222222"}`, `"Principal":{"AWS":"`+role+`"}`, `"Principal":{"AWS":"`+sess+`"}`,
				`"NotPrincipal":{"AWS":"111111111111"}`, `"Principal":{"Service":"events.amazonaws.com"}`).Draw(t, "principal"),
			pick(``, `,"Condition":{"StringEquals":{"lab:k":"v"}}`, `,"Condition":{"StringNotEquals":{"lab:k":"v"}}`,
				`,"Condition":{"Null":{"lab:none":"true"}}`).Draw(t, "condition"))
	})
}

func evaluate(t *rapid.T, list []string) policy.Verdict {
	p, err := policy.Parse(policy.Resource, []byte(`{"Version":"2012-10-17","Statement":[`+strings.Join(list, ",")+`]}`))
	if err != nil {
		t.Fatal(err)
	}
	return p.Evaluate(request(session, "lab:k", "v"))
}

func TestAllowingMoreTakesNothingAwayAndADenyStays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list := rapid.SliceOfN(rapid.OneOf(statements("Allow"), statements("Deny")), 1, 5).Draw(t, "list")
		before := evaluate(t, list)
		after := evaluate(t, append(list[:len(list):len(list)], statements("Allow").Draw(t, "more")))
		if after.Granted < before.Granted || after.Denied != before.Denied {
			t.Errorf("%+v became %+v", before, after)
		}
		denied := evaluate(t, append(list[:len(list):len(list)], statements("Deny").Draw(t, "deny")))
		if denied.Granted != before.Granted || before.Denied && !denied.Denied {
			t.Errorf("%+v became %+v", before, denied)
		}
		if all := `{"Effect":"Deny","Principal":"*","Action":"*","Resource":"*"}`; !evaluate(t, append(list[:len(list):len(list)], all)).Denied {
			t.Error("a deny of everything does not deny")
		}
		if shuffled := evaluate(t, rapid.Permutation(list).Draw(t, "order")); shuffled != before {
			t.Errorf("in another order %+v is %+v", before, shuffled)
		}
	})
}

func TestAWildcardFitsAsARegularExpressionDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pattern := "s:" + rapid.StringOfN(rapid.SampledFrom([]rune("ab*?")), 1, 12, -1).Draw(t, "pattern")
		action := "s:" + rapid.StringOfN(rapid.SampledFrom([]rune("ab")), 0, 12, -1).Draw(t, "action")
		p, err := policy.Parse(policy.Identity, fmt.Appendf(nil, `{"Statement":{"Effect":"Allow","Action":%q,"Resource":"*"}}`, pattern))
		if err != nil {
			t.Fatal(err)
		}
		got := p.Evaluate(&policy.Request{Action: action, Resource: "*"}).Granted != policy.NoGrant
		if want := fits(pattern, action); got != want {
			t.Errorf("%s fits %s: got %v, want %v", pattern, action, got, want)
		}
	})
}

// fits is the plain definition of a wildcard.
func fits(pattern, text string) bool {
	switch {
	case pattern == "":
		return text == ""
	case pattern[0] == '*':
		return fits(pattern[1:], text) || text != "" && fits(pattern, text[1:])
	}
	return text != "" && (pattern[0] == '?' || pattern[0] == text[0]) && fits(pattern[1:], text[1:])
}

func TestManyWildcardsTakeNotForever(t *testing.T) {
	pattern := "sqs:" + strings.Repeat("*a", 1000) + "b"
	p := parse(t, policy.Identity, allow(`"Action":"`+pattern+`","Resource":"*"`))
	start := time.Now()
	if p.Evaluate(&policy.Request{Action: "sqs:" + strings.Repeat("a", 2000), Resource: "*"}).Granted != policy.NoGrant {
		t.Error("it fits")
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(uint8(1), allow(`"Action":["s3:Get*","sqs:*"],"Resource":"arn:aws:s3:::${aws:PrincipalAccount, 'x'}/*"`))
	f.Add(uint8(2), allow(`"Principal":{"AWS":["111111111111"],"Service":"events.amazonaws.com"},"Action":"sqs:*","Resource":"*",`+
		`"Condition":{"ForAnyValue:ArnLike":{"aws:SourceArn":["arn:aws:events:*:*:rule/*"]},"NumericLessThan":{"lab:n":5},"Null":{"lab:k":true}}`))
	f.Add(uint8(3), allow(`"Principal":"*","Action":"sts:AssumeRole","Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}`))
	f.Fuzz(func(t *testing.T, kind uint8, text string) {
		p, err := policy.Parse(policy.Kind(kind%3+1), []byte(text))
		if err != nil {
			return
		}
		for _, who := range []policy.Principal{{}, user, session, events} {
			r := request(who, "aws:SourceArn", rule, "lab:n", "7", "aws:SourceIp", "192.0.2.7")
			if first := p.Evaluate(r); first != p.Evaluate(r) {
				t.Errorf("the same question has two answers")
			}
		}
	})
}
