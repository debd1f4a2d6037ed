package events

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"example.org/catchment/internal/lab/wire"
)

// The ways of authorization. OAuth the lab does not do.
const (
	authBasic  = "BASIC"
	authOAuth  = "OAUTH_CLIENT_CREDENTIALS"
	authAPIKey = "API_KEY"
)

// maxConnections is the quota of connections, and of API destinations, of an account in a region.
const maxConnections = 3000

// connectionAuthorized is the state of all of the lab's connections: nothing happens behind the scenes.
const connectionAuthorized = "AUTHORIZED"

// A connection says how an API destination's requests are authorized.
type connection struct {
	name, arn, secret string
	description       string
	auth              string
	parameters        authParameters
	created, modified time.Time
}

type authParameters struct {
	BasicAuthParameters      *basicAuth            `json:",omitzero"`
	APIKeyAuthParameters     *apiKeyAuth           `json:"ApiKeyAuthParameters,omitzero"`
	OAuthParameters          *struct{}             `json:",omitzero"`
	InvocationHTTPParameters *invocationParameters `json:"InvocationHttpParameters,omitzero"`
}

type basicAuth struct {
	Username string
	Password string `json:",omitzero"`
}

type apiKeyAuth struct {
	APIKeyName  string `json:"ApiKeyName"`
	APIKeyValue string `json:"ApiKeyValue,omitzero"`
}

type invocationParameters struct {
	HeaderParameters      []parameter `json:",omitzero"`
	QueryStringParameters []parameter `json:",omitzero"`
	BodyParameters        []parameter `json:",omitzero"`
}

type parameter struct {
	Key           string
	Value         string `json:",omitzero"`
	IsValueSecret bool
}

type connectionInput struct {
	Name              string
	Description       string
	AuthorizationType string
	AuthParameters    *authParameters
}

type connectionOutput struct {
	ConnectionArn      string
	Name               string `json:",omitzero"`
	Description        string `json:",omitzero"`
	ConnectionState    string
	AuthorizationType  string          `json:",omitzero"`
	SecretArn          string          `json:",omitzero"`
	AuthParameters     *authParameters `json:",omitzero"`
	CreationTime       wire.Epoch
	LastModifiedTime   wire.Epoch
	LastAuthorizedTime wire.Epoch `json:",omitzero"`
}

var authForm = form(`[ \t]*[^\x00-\x1F:\x7F]+([ \t]+[^\x00-\x1F:\x7F]+)*[ \t]*`)

func (in *connectionInput) check() error {
	var c checks
	c.required(in.Name, "name", 64, nameForm)
	c.text(in.Description, "description", 512, nil)
	c.oneOf(in.AuthorizationType, "authorizationType", authBasic, authOAuth, authAPIKey)
	if p := in.AuthParameters; p != nil {
		p.check(&c)
	}
	return c.err()
}

func (p *authParameters) check(c *checks) {
	const at = "authParameters."
	if p.BasicAuthParameters != nil {
		c.required(p.BasicAuthParameters.Username, at+"basicAuthParameters.username", 512, authForm)
		c.checkSecret(p.BasicAuthParameters.Password, at+"basicAuthParameters.password")
	}
	if p.APIKeyAuthParameters != nil {
		c.required(p.APIKeyAuthParameters.APIKeyName, at+"apiKeyAuthParameters.apiKeyName", 512, headerForm)
		c.checkSecret(p.APIKeyAuthParameters.APIKeyValue, at+"apiKeyAuthParameters.apiKeyValue")
	}
	if more := p.InvocationHTTPParameters; more != nil {
		c.count(len(more.HeaderParameters), at+"invocationHttpParameters.headerParameters", 0, 100)
		c.count(len(more.QueryStringParameters), at+"invocationHttpParameters.queryStringParameters", 0, 100)
		for _, h := range more.HeaderParameters {
			checkPairs(c, at+"invocationHttpParameters.", map[string]string{h.Key: h.Value}, nil)
		}
		for _, q := range more.QueryStringParameters {
			checkPairs(c, at+"invocationHttpParameters.", nil, map[string]string{q.Key: q.Value})
		}
	}
}

// checkSecret is required without the value in the message.
func (c *checks) checkSecret(value, at string) {
	var inner checks
	if inner.required(value, at, 512, authForm); len(inner) > 0 {
		c.add("***", at, "Member must have 1 to 512 characters, none of them a control character or a colon")
	}
}

// fits tells what is wrong with an authorization as a whole.
func (p *authParameters) fits(auth string) error {
	switch {
	case auth == authOAuth || p != nil && p.OAuthParameters != nil:
		return invalid("AuthorizationType %s: the lab's connections do BASIC and API_KEY.", authOAuth)
	case p == nil || auth == authBasic && p.BasicAuthParameters == nil || auth == authAPIKey && p.APIKeyAuthParameters == nil:
		return invalid("Parameter AuthParameters is not valid. Reason: it has nothing for AuthorizationType %s.", auth)
	case p.InvocationHTTPParameters != nil && len(p.InvocationHTTPParameters.BodyParameters) > 0:
		return invalid("BodyParameters: the lab's connections add headers and query parameters only.")
	}
	return nil
}

func (s *Service) createConnection(_ context.Context, c *wire.Call, in *connectionInput) (*connectionOutput, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	if err := in.AuthParameters.fits(in.AuthorizationType); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	here := s.at(c.Place)
	if here.connections[in.Name] != nil {
		return nil, wire.Errorf("ResourceAlreadyExistsException", "Connection %s already exists.", in.Name)
	}
	if len(here.connections) >= maxConnections {
		return nil, tooMany()
	}
	id := s.cloud.UUID("connection")
	con := &connection{
		name: in.Name, arn: c.ARN("events", "connection/"+in.Name+"/"+id),
		secret:      c.ARN("secretsmanager", "secret:events!connection/"+in.Name+"/"+id+"-"+s.cloud.Letters("secret", 6)),
		description: in.Description, auth: in.AuthorizationType, parameters: *in.AuthParameters, created: s.now(), modified: s.now(),
	}
	here.connections[in.Name] = con
	out := con.brief()
	out.LastAuthorizedTime = wire.Epoch{} // this answer alone has no such member
	return out, nil
}

func (con *connection) brief() *connectionOutput {
	return &connectionOutput{
		ConnectionArn: con.arn, ConnectionState: connectionAuthorized, CreationTime: wire.Epoch{Time: con.created},
		LastModifiedTime: wire.Epoch{Time: con.modified}, LastAuthorizedTime: wire.Epoch{Time: con.modified},
	}
}

// withoutSecrets is what DescribeConnection shows.
func (p authParameters) withoutSecrets() *authParameters {
	if p.BasicAuthParameters != nil {
		p.BasicAuthParameters = &basicAuth{Username: p.BasicAuthParameters.Username}
	}
	if p.APIKeyAuthParameters != nil {
		p.APIKeyAuthParameters = &apiKeyAuth{APIKeyName: p.APIKeyAuthParameters.APIKeyName}
	}
	if more := p.InvocationHTTPParameters; more != nil {
		hide := func(all []parameter) []parameter {
			all = slices.Clone(all)
			for i := range all {
				if all[i].IsValueSecret {
					all[i].Value = ""
				}
			}
			return all
		}
		p.InvocationHTTPParameters = &invocationParameters{hide(more.HeaderParameters), hide(more.QueryStringParameters), nil}
	}
	return &p
}

func (s *Service) findConnection(c *wire.Call, name string) (*connection, error) {
	if con := s.at(c.Place).connections[name]; con != nil {
		return con, nil
	}
	return nil, wire.Errorf("ResourceNotFoundException", "Connection '%s' does not exist.", clip(name))
}

func (s *Service) describeConnection(_ context.Context, c *wire.Call, in *connectionInput) (*connectionOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	con, err := s.findConnection(c, in.Name)
	if err != nil {
		return nil, err
	}
	out := con.brief()
	out.Name, out.Description, out.AuthorizationType, out.SecretArn = con.name, con.description, con.auth, con.secret
	out.AuthParameters = con.parameters.withoutSecrets()
	return out, nil
}

// updateConnection keeps what is omitted.
func (s *Service) updateConnection(_ context.Context, c *wire.Call, in *connectionInput) (*connectionOutput, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	con, err := s.findConnection(c, in.Name)
	if err != nil {
		return nil, err
	}
	auth, parameters := con.auth, con.parameters
	if in.AuthorizationType != "" {
		auth = in.AuthorizationType
	}
	if in.AuthParameters != nil {
		parameters = *in.AuthParameters
	}
	if err := parameters.fits(auth); err != nil {
		return nil, err
	}
	if in.Description != "" {
		con.description = in.Description
	}
	con.auth, con.parameters, con.modified = auth, parameters, s.now()
	return con.brief(), nil
}

type listConnectionsOutput struct {
	Connections []*connectionOutput
	NextToken   string `json:",omitzero"`
}

func (s *Service) listConnections(_ context.Context, c *wire.Call, in *listInput) (*listConnectionsOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	here := s.at(c.Place)
	var all []*connectionOutput
	for _, name := range slices.Sorted(maps.Keys(here.connections)) {
		if strings.HasPrefix(name, in.NamePrefix) && (in.ConnectionState == "" || in.ConnectionState == connectionAuthorized) {
			shown := here.connections[name].brief()
			shown.Name, shown.AuthorizationType = name, here.connections[name].auth
			all = append(all, shown)
		}
	}
	some, next, err := page(all, func(o *connectionOutput) string { return o.Name }, in.Limit, in.NextToken)
	if err != nil {
		return nil, err
	}
	return &listConnectionsOutput{some, next}, nil
}

// deleteConnection leaves API destinations without authorization: their deliveries fail.
func (s *Service) deleteConnection(_ context.Context, c *wire.Call, in *connectionInput) (*connectionOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	con, err := s.findConnection(c, in.Name)
	if err != nil {
		return nil, err
	}
	delete(s.at(c.Place).connections, in.Name)
	out := con.brief()
	out.ConnectionState = "DELETING"
	return out, nil
}
