package policy_test

import (
	"strings"
	"testing"

	"example.org/catchment/internal/lab/policy"
)

const (
	queue = "arn:aws:sqs:ap-northeast-1:111111111111:findings"
	role  = "arn:aws:iam::222222222222:role/lab/writer"
	sess  = "arn:aws:sts::222222222222:assumed-role/writer/lab"
	rule  = "arn:aws:events:ap-northeast-1:111111111111:rule/inspector"
)

func service(name string) policy.Principal { return policy.Principal{Service: name} }

var (
	events  = service("events.amazonaws.com")
	user    = policy.Principal{ARN: "arn:aws:iam::111111111111:user/administrator", Account: "111111111111"}
	session = policy.Principal{ARN: sess, Role: role, Account: "222222222222"}
)

func request(who policy.Principal, pairs ...string) *policy.Request {
	r := &policy.Request{Who: who, Action: "sqs:SendMessage", Resource: queue}
	for i := 0; i < len(pairs); i += 2 {
		r.Set(pairs[i], pairs[i+1])
	}
	return r
}

func parse(t *testing.T, kind policy.Kind, text string) *policy.Policy {
	t.Helper()
	p, err := policy.Parse(kind, []byte(text))
	if err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return p
}

// allow is a statement with further elements.
func allow(elements string) string {
	return `{"Version":"2012-10-17","Statement":{"Effect":"Allow",` + elements + `}}`
}

func TestAResourcesPolicyLetsInWhomItNames(t *testing.T) {
	const rest = `"Action":"sqs:SendMessage","Resource":"` + queue + `"`
	for name, test := range map[string]struct {
		principal string
		who       policy.Principal
		want      policy.Grant
	}{
		"everyone by a star":                  {`"*"`, session, policy.ToRole},
		"everyone by AWS star":                {`{"AWS":"*"}`, user, policy.ToRole},
		"nobody known is everyone too":        {`"*"`, policy.Principal{}, policy.ToRole},
		"a service is everyone too":           {`"*"`, events, policy.ToPrincipal},
		"an account by its id":                {`{"AWS":"222222222222"}`, session, policy.ToAccount},
		"an account by its root":              {`{"AWS":["333333333333","arn:aws:iam::222222222222:root"]}`, session, policy.ToAccount},
		"another account":                     {`{"AWS":"222222222222"}`, user, policy.NoGrant},
		"a session's role":                    {`{"AWS":"` + role + `"}`, session, policy.ToRole},
		"a session":                           {`{"AWS":"` + sess + `"}`, session, policy.ToPrincipal},
		"a session, with its account first":   {`{"AWS":["222222222222","` + role + `","` + sess + `"]}`, session, policy.ToPrincipal},
		"a user":                              {`{"AWS":"arn:aws:iam::111111111111:user/administrator"}`, user, policy.ToPrincipal},
		"a user of the same name elsewhere":   {`{"AWS":"arn:aws:iam::333333333333:user/administrator"}`, user, policy.NoGrant},
		"a service":                           {`{"Service":["sns.amazonaws.com","events.amazonaws.com"]}`, events, policy.ToPrincipal},
		"another service":                     {`{"Service":"sns.amazonaws.com"}`, events, policy.NoGrant},
		"an account is no service":            {`{"AWS":"111111111111"}`, events, policy.NoGrant},
		"nobody known is in no account":       {`{"AWS":"222222222222"}`, policy.Principal{}, policy.NoGrant},
		"who is federated":                    {`{"Federated":"accounts.google.com"}`, session, policy.NoGrant},
		"the role that AWS put an id in for":  {`{"AWS":"AROAEXAMPLEEXAMPLE123"}`, session, policy.NoGrant},
		"a role of that name without a path":  {`{"AWS":"arn:aws:iam::222222222222:role/writer"}`, session, policy.NoGrant},
		"a service of a region in the former": {`{"Service":"states.ap-northeast-1.amazonaws.com"}`, events, policy.NoGrant},
	} {
		t.Run(name, func(t *testing.T) {
			p := parse(t, policy.Resource, allow(`"Principal":`+test.principal+`,`+rest))
			if got := p.Evaluate(request(test.who)); got.Granted != test.want || got.Denied {
				t.Errorf("got %+v, want grant %d", got, test.want)
			}
		})
	}
	not := parse(t, policy.Resource, allow(`"NotPrincipal":{"AWS":"222222222222"},`+rest))
	if not.Evaluate(request(session)).Granted != policy.NoGrant || not.Evaluate(request(user)).Granted != policy.ToRole {
		t.Error("NotPrincipal lets in whom it names, or not all others")
	}
}

func TestActionsAndResourcesAreMatchedWithWildcards(t *testing.T) {
	for name, test := range map[string]struct {
		statement string
		want      bool
	}{
		"the very action":              {`"Action":"sqs:SendMessage","Resource":"*"`, true},
		"an action in other case":      {`"Action":"SQS:sendmessage","Resource":"*"`, true},
		"all actions":                  {`"Action":"*","Resource":"*"`, true},
		"all of the service":           {`"Action":"sqs:*","Resource":"*"`, true},
		"a part and one letter":        {`"Action":["s3:*","sqs:Send?essage"],"Resource":"*"`, true},
		"one letter too few":           {`"Action":"sqs:SendMessag??","Resource":"*"`, false},
		"another action":               {`"Action":"sqs:ReceiveMessage","Resource":"*"`, false},
		"all actions but others":       {`"NotAction":"iam:*","Resource":"*"`, true},
		"all actions but this":         {`"NotAction":["iam:*","sqs:Send*"],"Resource":"*"`, false},
		"the very resource":            {`"Action":"*","Resource":"` + queue + `"`, true},
		"a resource in other case":     {`"Action":"*","Resource":"arn:aws:sqs:ap-northeast-1:111111111111:Findings"`, false},
		"queues of an account":         {`"Action":"*","Resource":"arn:aws:sqs:*:111111111111:*"`, true},
		"queues of another account":    {`"Action":"*","Resource":"arn:aws:sqs:*:222222222222:*"`, false},
		"all resources but others":     {`"Action":"*","NotResource":"arn:aws:s3:::*"`, true},
		"all resources but this":       {`"Action":"*","NotResource":"arn:aws:sqs:*"`, false},
		"a variable":                   {`"Action":"*","Resource":"arn:aws:sqs:*:${aws:PrincipalAccount}:${lab:name}"`, true},
		"a variable that has no value": {`"Action":"*","Resource":"arn:aws:sqs:*:${aws:Missing}:*"`, false},
		"a variable with a default":    {`"Action":"*","Resource":"arn:aws:sqs:*:*:${aws:Missing, 'findings'}"`, true},
		"a star that is a letter":      {`"Action":"*","Resource":"arn:aws:sqs:*:*:find${*}"`, false},
		"a value is no wildcard":       {`"Action":"*","Resource":"arn:aws:sqs:*:*:${lab:star}"`, false},
	} {
		t.Run(name, func(t *testing.T) {
			p := parse(t, policy.Identity, allow(test.statement))
			r := request(session, "aws:principalaccount", "111111111111", "lab:Name", "findings", "lab:star", "*")
			if got := p.Evaluate(r); (got.Granted == policy.ToAnyIdentity) != test.want {
				t.Errorf("got %+v, want %v", got, test.want)
			}
		})
	}
	old := strings.Replace(allow(`"Action":"*","Resource":"arn:aws:sqs:*:${aws:PrincipalAccount}:*"`), "2012", "2008", 1)
	if parse(t, policy.Identity, old).Evaluate(request(session, "aws:PrincipalAccount", "111111111111")).Granted != policy.NoGrant {
		t.Error("the language of 2008 has variables")
	}
	if parse(t, policy.Resource, allow(`"Principal":"*","Action":"sqs:*","Resource":"findings"`)).Evaluate(request(user)).Granted == policy.NoGrant {
		t.Error("a queue's policy cannot name the queue by its name alone")
	}
}

func TestConditionsHoldAsTheGuideSays(t *testing.T) {
	r := request(events, "aws:SourceArn", rule, "aws:SourceAccount", "111111111111", "aws:SecureTransport", "true", "lab:n", "7",
		"aws:CurrentTime", "2026-11-22T13:14:15Z", "aws:SourceIp", "192.0.2.7", "lab:text", "Ab", "lab:bytes", "aGk=")
	r.Context["lab:many"] = []string{"a", "b"}
	for condition, want := range map[string]bool{
		`"StringEquals":{"aws:sourceaccount":"111111111111"}`:                                              true,
		`"StringEquals":{"aws:SourceAccount":["222222222222","111111111111"]}`:                             true,
		`"StringEquals":{"aws:SourceAccount":"111111111111","lab:text":"other"}`:                           false,
		`"StringEquals":{"aws:SourceAccount":"11111111111*"}`:                                              false,
		`"StringEquals":{"aws:SourceAccount":"${aws:SourceAccount}"}`:                                      true,
		`"StringEquals":{"lab:none":"x"}`:                                                                  false,
		`"StringEqualsIfExists":{"lab:none":"x"}`:                                                          true,
		`"StringNotEquals":{"lab:none":"x"}`:                                                               true,
		`"StringNotEquals":{"lab:text":["x","Ab"]}`:                                                        false,
		`"StringEqualsIgnoreCase":{"lab:text":"AB"}`:                                                       true,
		`"StringNotEqualsIgnoreCase":{"lab:text":"AB"}`:                                                    false,
		`"StringLike":{"lab:text":"?b*"}`:                                                                  true,
		`"StringNotLike":{"lab:text":["x*","A*"]}`:                                                         false,
		`"ArnEquals":{"aws:SourceArn":"` + rule + `"}`:                                                     true,
		`"ArnLike":{"aws:SourceArn":"arn:aws:events:*:111111111111:rule/*"}`:                               true,
		`"ArnLike":{"aws:SourceArn":"arn:aws:*:rule/inspector"}`:                                           false,
		`"ArnLike":{"aws:SourceArn":"arn:aws:*:*:*:*"}`:                                                    true,
		`"ArnNotLike":{"aws:SourceArn":"arn:aws:events:*:111111111111:rule/*"}`:                            false,
		`"ArnNotEquals":{"aws:SourceArn":"arn:aws:events:*:222222222222:rule/*"}`:                          true,
		`"ArnLike":{"lab:text":"*"}`:                                                                       true,
		`"Bool":{"aws:SecureTransport":"false"}`:                                                           false,
		`"Bool":{"aws:SecureTransport":true}`:                                                              true,
		`"BoolIfExists":{"aws:MultiFactorAuthPresent":"true"}`:                                             true,
		`"Null":{"lab:none":"true"}`:                                                                       true,
		`"Null":{"lab:text":true}`:                                                                         false,
		`"Null":{"lab:text":"false"}`:                                                                      true,
		`"NumericEquals":{"lab:n":7.0}`:                                                                    true,
		`"NumericNotEquals":{"lab:n":7}`:                                                                   false,
		`"NumericLessThan":{"lab:n":7}`:                                                                    false,
		`"NumericLessThanEquals":{"lab:n":[1,7]}`:                                                          true,
		`"NumericGreaterThan":{"lab:n":"6.9"}`:                                                             true,
		`"NumericGreaterThanEquals":{"lab:n":8}`:                                                           false,
		`"NumericLessThan":{"lab:text":8}`:                                                                 false,
		`"DateLessThan":{"aws:CurrentTime":"2026-11-23"}`:                                                  true,
		`"DateGreaterThan":{"aws:CurrentTime":"2026-11-22T13:14:15Z"}`:                                     false,
		`"DateGreaterThanEquals":{"aws:CurrentTime":"2026-11-22T13:14:15Z"}`:                               true,
		`"DateEquals":{"aws:CurrentTime":"1795353255"}`:                                                    true,
		`"DateNotEquals":{"aws:CurrentTime":"2026"}`:                                                       true,
		`"DateLessThanEquals":{"aws:CurrentTime":"2026-11"}`:                                               false,
		`"IpAddress":{"aws:SourceIp":["203.0.113.0/24","192.0.2.0/24"]}`:                                   true,
		`"IpAddress":{"aws:SourceIp":"192.0.2.7"}`:                                                         true,
		`"NotIpAddress":{"aws:SourceIp":"192.0.2.0/29"}`:                                                   false,
		`"IpAddress":{"lab:text":"0.0.0.0/0"}`:                                                             false,
		`"BinaryEquals":{"lab:bytes":"aGk="}`:                                                              true,
		`"ForAllValues:StringEquals":{"lab:many":["a","b","c"]}`:                                           true,
		`"ForAllValues:StringEquals":{"lab:many":["a"]}`:                                                   false,
		`"ForAllValues:StringEquals":{"lab:none":["a"]}`:                                                   true,
		`"ForAnyValue:StringLike":{"lab:many":["b*"]}`:                                                     true,
		`"ForAnyValue:StringEquals":{"lab:none":["a"]}`:                                                    false,
		`"ForAnyValue:StringNotEquals":{"lab:many":["a"]}`:                                                 true,
		`"ForAllValues:StringNotEquals":{"lab:many":["a"]}`:                                                false,
		`"ForAnyValue:StringNotEquals":{"lab:none":["a"]}`:                                                 false,
		`"StringEquals":{"aws:SourceAccount":"111111111111"},"ArnLike":{"aws:SourceArn":"arn:aws:s3:::*"}`: false,
	} {
		t.Run(condition, func(t *testing.T) {
			p := parse(t, policy.Resource, allow(`"Principal":"*","Action":"sqs:*","Resource":"*","Condition":{`+condition+`}`))
			if got := p.Evaluate(r).Granted != policy.NoGrant; got != want {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
}

func TestAPolicyThatIsWrongIsRefusedWithTheReason(t *testing.T) {
	const ok = `"Effect":"Allow","Action":"sqs:*","Resource":"*"`
	one := func(statement string) string { return `{"Version":"2012-10-17","Statement":[{` + statement + `}]}` }
	for name, test := range map[string]struct {
		kind policy.Kind
		text string
		want string
	}{
		"no JSON":                        {policy.Identity, `{`, "Syntax errors"},
		"a list":                         {policy.Identity, `[]`, "Syntax errors"},
		"no statements":                  {policy.Identity, `{"Version":"2012-10-17","Statement":[]}`, "1 to 1000 statements"},
		"too many statements":            {policy.Identity, `{"Statement":[` + strings.Repeat(`{},`, 1000) + `{}]}`, "got 1001"},
		"a version that is none":         {policy.Identity, `{"Version":"2026-01-01","Statement":{` + ok + `}}`, "valid version"},
		"an element that is none":        {policy.Identity, one(ok + `,"Actions":"*"`), "Actions"},
		"an element twice":               {policy.Identity, one(ok + `,"Effect":"Deny"`), "duplicate"},
		"an effect that is none":         {policy.Identity, one(`"Effect":"allow","Action":"sqs:*","Resource":"*"`), "neither Allow nor Deny"},
		"no actions":                     {policy.Identity, one(`"Effect":"Allow","Resource":"*"`), "must contain actions"},
		"Action and NotAction":           {policy.Identity, one(ok + `,"NotAction":"s3:*"`), "both Action and NotAction"},
		"an action without its service":  {policy.Identity, one(`"Effect":"Allow","Action":"SendMessage","Resource":"*"`), "prefaced by a vendor"},
		"an action of any service":       {policy.Identity, one(`"Effect":"Allow","Action":"*:Send","Resource":"*"`), "prefaced by a vendor"},
		"no resources":                   {policy.Identity, one(`"Effect":"Allow","Action":"sqs:*"`), "must contain resources"},
		"a resource that is no ARN":      {policy.Identity, one(`"Effect":"Allow","Action":"*","Resource":"findings"`), "must be in ARN format"},
		"an ARN that is too short":       {policy.Identity, one(`"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:bucket"`), "too few parts"},
		"a principal of an identity":     {policy.Identity, one(ok + `,"Principal":"*"`), "should not specify a principal"},
		"a Sid with a space":             {policy.Identity, one(ok + `,"Sid":"a b"`), "alpha-numeric"},
		"a Sid twice":                    {policy.Identity, `{"Statement":[{` + ok + `,"Sid":"A"},{` + ok + `,"Sid":"A"}]}`, "unique"},
		"nobody in a resource's policy":  {policy.Resource, one(ok), "Missing required field Principal"},
		"a principal that is none":       {policy.Resource, one(ok + `,"Principal":"me"`), "Invalid principal"},
		"no principals":                  {policy.Resource, one(ok + `,"Principal":{"AWS":[]}`), "names nobody"},
		"a principal of an unknown kind": {policy.Resource, one(ok + `,"Principal":{"User":"*"}`), "Invalid principal"},
		"an account that is too short":   {policy.Resource, one(ok + `,"Principal":{"AWS":"1111"}`), `"AWS":"1111"`},
		"a role with a wildcard":         {policy.Resource, one(ok + `,"Principal":{"AWS":"arn:aws:iam::111111111111:role/*"}`), "Invalid principal"},
		"a service that is none":         {policy.Resource, one(ok + `,"Principal":{"Service":"events"}`), "Invalid principal"},
		"Principal and NotPrincipal":     {policy.Resource, one(ok + `,"Principal":"*","NotPrincipal":"*"`), "both Principal"},
		"a resource of a trust policy":   {policy.Trust, one(ok + `,"Principal":"*"`), "prohibited field Resource"},
		"an operator that is none":       {policy.Identity, one(ok + `,"Condition":{"StringIs":{"aws:a":"b"}}`), "no operator"},
		"NullIfExists":                   {policy.Identity, one(ok + `,"Condition":{"NullIfExists":{"aws:a":"true"}}`), "no operator"},
		"a key without its service":      {policy.Identity, one(ok + `,"Condition":{"StringEquals":{"a":"b"}}`), "prefaced by a vendor"},
		"a condition without values":     {policy.Identity, one(ok + `,"Condition":{"StringEquals":{"aws:a":[]}}`), "no values"},
		"a condition on an object":       {policy.Identity, one(ok + `,"Condition":{"StringEquals":{"aws:a":{}}}`), "neither a text"},
		"too long":                       {policy.Identity, strings.Repeat(" ", 200<<10), "bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := policy.Parse(test.kind, []byte(test.text))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want something with %q", err, test.want)
			}
		})
	}
	if err := policy.Validate([]byte(one(ok + `,"Principal":"*","Sid":"a b"`))); err != nil {
		t.Errorf("a resource's policy may have any Sid: %v", err)
	}
	if err := policy.Validate([]byte(one(ok))); err == nil {
		t.Error("a resource's policy without a principal is taken")
	}
}
