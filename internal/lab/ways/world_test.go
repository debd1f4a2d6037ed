package ways

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/inspector2"
	inspector2types "github.com/aws/aws-sdk-go-v2/service/inspector2/types"
	"github.com/aws/aws-sdk-go-v2/service/securityhub"
	hubtypes "github.com/aws/aws-sdk-go-v2/service/securityhub/types"

	"example.org/catchment/internal/lab"
	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/labtest"
	"example.org/catchment/internal/lab/population"
)

// A scene says what a world is like.
type scene struct {
	seed     uint64
	accounts int
	regions  []string
	span     time.Duration // of life
	step     time.Duration // by which the clock is moved; queues are empty after each
	hosts    population.Spread
}

// small is a scene for tests of one thing.
func small(seed uint64) scene {
	return scene{
		seed: seed, accounts: 2, regions: []string{"ap-northeast-1", "us-east-1"}, span: 8 * time.Hour, step: time.Hour,
		hosts: population.Spread{Min: 1, Max: 1},
	}
}

// A world is a lab in which an organisation lives: Inspector and Security Hub are on everywhere, and the members have
// accepted the administrator's invitation.
type world struct {
	*scene

	t             *testing.T
	lab           *lab.Lab
	aws           *labtest.Server
	administrator string
	accounts      []string // the administrator first
	delayed       [3]bool  // by basis: it is late by a fault
	doubled       bool     // a fault makes things come twice
	code          []byte   // of functions
	workers       []*worker
	restarts      func() bool // whether to restart a worker now; nil: never
	told          sync.Once   // what has happened
}

func newWorld(t *testing.T, s scene) *world {
	t.Helper()
	l, err := lab.New(lab.Options{
		Options: cloud.Options{Seed: s.seed, Start: labtest.Start}, Standalone: true, Life: true,
		Population: population.Options{
			Accounts: s.accounts, Regions: s.regions, Span: s.span, Record: true,
			Hosts: s.hosts, Images: population.Spread{Max: 1}, Functions: population.Spread{Max: 1}, Noise: population.Spread{Min: 2, Max: 3},
			Rates: population.Rates{Settle: 20 * time.Minute, Scan: s.span / 4, Fix: s.span, Life: 2 * s.span, Change: 0.5, Reopen: 0.5},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	var network net.ListenConfig
	listener, err := network.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	served := make(chan error)
	go func() { served <- l.Serve(ctx, listener, false) }()
	t.Cleanup(func() {
		stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	url := "http://" + listener.Addr().String()
	l.Cloud.SetURL(url)
	w := &world{scene: &s, t: t, lab: l, aws: labtest.At(t, l.Cloud, url), administrator: l.Administrator(), code: functionZip(t)}
	w.accounts = []string{w.administrator}
	for _, a := range l.Accounts() {
		if a.ID != w.administrator {
			w.accounts = append(w.accounts, a.ID)
		}
	}
	for _, region := range w.regions {
		w.enable(region)
		w.join(region)
	}
	return w
}

// must ends the test with what went wrong.
func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// config is what the SDK needs to be the administrator in a region.
func (w *world) config(region string) aws.Config { return w.aws.Config(w.administrator, region) }

func (w *world) arn(service, region, account, resource string) string {
	return cloud.Place{Partition: w.lab.Cloud.Partition, Account: account, Region: region}.ARN(service, resource)
}

// enable turns Inspector and Security Hub on. Other products report to it by themselves.
func (w *world) enable(region string) {
	w.t.Helper()
	for _, account := range w.accounts {
		cfg := w.aws.Config(account, region)
		_, err := inspector2.NewFromConfig(cfg).Enable(w.t.Context(), &inspector2.EnableInput{
			ResourceTypes: []inspector2types.ResourceScanType{inspector2types.ResourceScanTypeEc2, inspector2types.ResourceScanTypeEcr, inspector2types.ResourceScanTypeLambda},
		})
		w.must(err)
		hub := securityhub.NewFromConfig(cfg)
		_, err = hub.EnableSecurityHub(w.t.Context(), &securityhub.EnableSecurityHubInput{EnableDefaultStandards: aws.Bool(false)})
		w.must(err)
		_, err = hub.EnableImportFindingsForProduct(w.t.Context(), &securityhub.EnableImportFindingsForProductInput{
			ProductArn: aws.String(w.arn("securityhub", region, "", "product/aws/inspector")),
		})
		w.must(err)
	}
}

// join makes all accounts members of the administrator's.
func (w *world) join(region string) {
	w.t.Helper()
	ctx, members := w.t.Context(), w.accounts[1:]
	admin := securityhub.NewFromConfig(w.config(region))
	var details []hubtypes.AccountDetails
	for _, m := range members {
		details = append(details, hubtypes.AccountDetails{AccountId: aws.String(m), Email: aws.String("security+" + m + "@example.com")})
	}
	_, err := admin.CreateMembers(ctx, &securityhub.CreateMembersInput{AccountDetails: details})
	w.must(err)
	_, err = admin.InviteMembers(ctx, &securityhub.InviteMembersInput{AccountIds: members})
	w.must(err)
	for _, m := range members {
		hub := securityhub.NewFromConfig(w.aws.Config(m, region))
		got, err := hub.ListInvitations(ctx, &securityhub.ListInvitationsInput{})
		w.must(err)
		if len(got.Invitations) != 1 {
			w.t.Fatalf("account %s in %s has %d invitations", m, region, len(got.Invitations))
		}
		_, err = hub.AcceptAdministratorInvitation(ctx, &securityhub.AcceptAdministratorInvitationInput{
			AdministratorId: got.Invitations[0].AccountId, InvitationId: got.Invitations[0].InvitationId,
		})
		w.must(err)
	}
}

// role makes a role of the administrator's account that a service may assume, and gives its ARN.
func (w *world) role(name, service string, statements ...string) string {
	w.t.Helper()
	client := iam.NewFromConfig(w.config(w.regions[0]))
	_, err := client.CreateRole(w.t.Context(), &iam.CreateRoleInput{
		RoleName: aws.String(name), AssumeRolePolicyDocument: aws.String(policy(`{"Effect":"Allow","Principal":{"Service":"` + service + `"},"Action":"sts:AssumeRole"}`)),
	})
	w.must(err)
	_, err = client.PutRolePolicy(w.t.Context(), &iam.PutRolePolicyInput{
		RoleName: aws.String(name), PolicyName: aws.String(name), PolicyDocument: aws.String(policy(statements...)),
	})
	w.must(err)
	return w.arn("iam", "", w.administrator, "role/"+name)
}

func policy(statements ...string) string {
	return `{"Version":"2012-10-17","Statement":[` + strings.Join(statements, ",") + `]}`
}

func allow(resource string, actions ...string) string {
	return `{"Effect":"Allow","Action":["` + strings.Join(actions, `","`) + `"],"Resource":"` + resource + `"}`
}

// pass moves the clock by steps, and has what waits for a worker taken after each.
func (w *world) pass(d time.Duration) {
	w.t.Helper()
	for end := w.lab.Cloud.Clock.Now().Add(d); ; {
		left := end.Sub(w.lab.Cloud.Clock.Now())
		if left <= 0 {
			return
		}
		w.must(w.lab.Cloud.Clock.Advance(w.t.Context(), min(left, w.step)))
		for _, worker := range w.workers {
			worker.drain(w)
			if w.restarts != nil && w.restarts() {
				worker.restart(w)
			}
		}
	}
}

// live lets the organisation live its span, and then lets arrive what is still on its way.
func (w *world) live() {
	w.t.Helper()
	w.pass(w.span)
	w.must(w.lab.Population.Err())
	w.pass(rest)
	for _, worker := range w.workers {
		if left := worker.stop(w); left == 0 {
			continue
		}
		worker.run(w, time.Minute)
		if left := worker.stop(w); left > 0 {
			w.t.Errorf("a worker has left %d records in its journal", left)
		}
	}
	w.must(w.lab.Flush(w.t.Context()))
}

// rest is longer than any delay, outage, pause between tries, or buffer, one after the other.
const rest = 5 * time.Hour

// fault makes something go wrong until the end of the test.
func (w *world) fault(f cloud.Fault) {
	w.t.Helper()
	_, err := w.lab.Cloud.Faults.Add(f)
	w.must(err)
	switch f.Kind {
	case cloud.FaultDuplicate:
		w.doubled = true
	case cloud.FaultDelay, cloud.FaultThrottle, cloud.FaultDown:
		w.delayed[byArrival] = true
		w.delayed[byEvent] = w.delayed[byEvent] || f.From == fromInspector
	case cloud.FaultDrop, cloud.FaultDeny, cloud.FaultCorrupt:
	}
}

func (w *world) String() string {
	return fmt.Sprintf("seed %d: %d accounts in %s, %v in steps of %v", w.seed, len(w.accounts), strings.Join(w.regions, " and "), w.span, w.step)
}
