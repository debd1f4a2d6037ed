package fleet_test

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/securityhub"

	"example.org/catchment/internal/fleet"
	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/labtest"
	"example.org/catchment/internal/org"
	"example.org/catchment/internal/template"
)

func TestACellThatFailsIsNamedAndTheOthersGoOn(t *testing.T) {
	for name, tt := range map[string]struct {
		fault    cloud.Fault
		part     fleet.Part
		resource string
		reason   string
		failed   int // outcomes that are not done
	}{
		"Security Hub is denied": {
			cloud.Fault{Kind: cloud.FaultDeny, Service: "securityhub", Action: "EnableSecurityHub"},
			fleet.PartMember,
			"Hub (AWS::SecurityHub::Hub)", "AccessDenied", 3, // with Inspector and the membership
		},
		"CloudFormation is denied": {
			cloud.Fault{Kind: cloud.FaultDeny, Service: "cloudformation", Action: "CreateChangeSet"}, fleet.PartMember, "", "AccessDenied", 3,
		},
		"Inspector is denied": {
			cloud.Fault{Kind: cloud.FaultDeny, Service: "inspector2", Action: "Enable"}, fleet.PartInspector, "", "AccessDenied", 1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 3, false, "us-east-1", "eu-west-1")
			f := w.fleet(t)
			at := org.Cell{Account: w.management(), Region: "eu-west-1"}
			tt.fault.Account, tt.fault.Region = at.Account, at.Region
			id, err := w.Cloud.Faults.Add(tt.fault)
			if err != nil {
				t.Fatal(err)
			}
			first := w.deploy(t, f)
			i := slices.IndexFunc(first.Outcomes, func(o fleet.Outcome) bool { return o.State == fleet.Failed })
			if i < 0 {
				t.Fatal("nothing failed")
			}
			if o := first.Outcomes[i]; o.Cell != at || o.Part != tt.part || o.Resource != tt.resource || !strings.Contains(o.Reason, tt.reason) {
				t.Errorf("got %+v", o)
			}
			if n := len(first.Outcomes) - first.Count(fleet.Done); n != tt.failed || first.Failed() == 0 {
				t.Errorf("%d outcomes are not done, want %d:\n%s", n, tt.failed, failures(first))
			}
			w.Cloud.Faults.Remove(id)
			second := w.deploy(t, f)
			if bad := failures(second); bad != "" || second.Count(fleet.Done) != tt.failed {
				t.Errorf("%d mended, want %d:\n%s", second.Count(fleet.Done), tt.failed, bad)
			}
			w.flow(t, 1)
		})
	}
}

func TestAPipelineThatFailsIsNamedWithItsResource(t *testing.T) {
	w := newWorld(t, 2, false, "us-east-1", "eu-west-1")
	f := w.fleet(t)
	if _, err := w.Cloud.Faults.Add(cloud.Fault{Kind: cloud.FaultDeny, Service: "firehose", Action: "CreateDeliveryStream", Region: "us-east-1"}); err != nil {
		t.Fatal(err)
	}
	first := w.deploy(t, f)
	want := "/us-east-1 region failed: Stream1 (AWS::KinesisFirehose::DeliveryStream): "
	if bad := failures(first); strings.Count(bad, "\n") != 1 || !strings.Contains(bad, want) || !strings.Contains(bad, "AccessDenied") {
		t.Errorf("got %swant %q in it, and nothing else", bad, want)
	}
	w.Cloud.Faults.Clear()
	if bad := failures(w.deploy(t, f)); bad != "" {
		t.Error(bad)
	}
	w.flow(t, 1)
}

// standalone accounts are in no organization: each has a role that lets the administrator in.
func standalone(t *testing.T, w *world, o *org.Options) {
	t.Helper()
	o.Role, o.ExternalID, o.Accounts = "catchment-deploy", "kept-between-us", w.Cloud.Accounts.IDs()
	trust := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + w.Administrator() + `"},"Action":"sts:AssumeRole",` +
		`"Condition":{"StringEquals":{"sts:ExternalId":"kept-between-us"}}}]}`
	for _, id := range o.Accounts {
		client := iam.NewFromConfig(w.server.Config(id, "us-east-1"))
		if _, err := client.CreateRole(t.Context(), &iam.CreateRoleInput{RoleName: &o.Role, AssumeRolePolicyDocument: &trust}); err != nil {
			t.Fatal(err)
		}
		if _, err := client.AttachRolePolicy(t.Context(), &iam.AttachRolePolicyInput{
			RoleName: &o.Role, PolicyArn: aws.String("arn:aws:iam::aws:policy/AdministratorAccess"),
		}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAccountsOfNoOrganizationAreInvitedAndAccept(t *testing.T) {
	w := newWorld(t, 3, true, "us-east-1", "eu-west-1")
	f := w.fleet(t, func(o *org.Options, _ *fleet.Options) { standalone(t, w, o) })
	first := w.deploy(t, f)
	if bad := failures(first); bad != "" {
		t.Fatal(bad)
	}
	for _, region := range w.regions {
		members, err := securityhub.NewFromConfig(w.server.Config(w.Administrator(), region)).ListMembers(t.Context(), &securityhub.ListMembersInput{})
		if err != nil || len(members.Members) != 2 || members.Members[0].InvitedAt == nil {
			t.Errorf("%s: %v, %+v", region, err, members)
		}
	}
	w.flow(t, 2)
	if second := w.deploy(t, f); second.Count(fleet.Unchanged) != len(second.Outcomes) {
		t.Errorf("a second one: %+v", needed(second))
	}
	gone, err := f.Destroy(t.Context(), fleet.Removal{})
	if err != nil || failures(gone) != "" {
		t.Errorf("destroy: %v\n%s", err, failures(gone))
	}
	w.nothingLeft(t)
}

// nothingLeft tells of anything but the bucket that a deploy has made and a destroy left.
func (w *world) nothingLeft(t *testing.T) {
	t.Helper()
	labtest.Advance(t, w.Cloud, 2*60e9)
	for _, account := range w.Cloud.Accounts.IDs() {
		for _, region := range w.regions {
			cfg := w.server.Config(account, region)
			if _, err := securityhub.NewFromConfig(cfg).DescribeHub(t.Context(), &securityhub.DescribeHubInput{}); err == nil {
				t.Errorf("%s/%s: Security Hub is on", account, region)
			}
			if w.Inspector2.Enabled(w.Cloud.Accounts.Place(account, region), "EC2") {
				t.Errorf("%s/%s: Inspector is on", account, region)
			}
		}
	}
	if objects := len(collect(w.S3.Objects(bucketName, ""))); objects == 0 {
		t.Error("the bucket's objects are gone")
	}
}

func TestWhatWasThereBeforeStays(t *testing.T) {
	w := newWorld(t, 2, false, "us-east-1")
	member := w.management()
	hub := securityhub.NewFromConfig(w.server.Config(member, "us-east-1"))
	if _, err := hub.EnableSecurityHub(t.Context(), &securityhub.EnableSecurityHubInput{}); err != nil {
		t.Fatal(err)
	}
	if err := w.Inspector2.Activate(w.Cloud.Accounts.Place(member, "us-east-1"), "EC2"); err != nil {
		t.Fatal(err)
	}
	f := w.fleet(t)
	if bad := failures(w.deploy(t, f)); bad != "" {
		t.Fatal(bad)
	}
	w.flow(t, 1)
	doomed, err := f.Doomed(t.Context(), fleet.Removal{})
	if err != nil || named(doomed, fleet.Needed, fleet.PartMember, "delete Hub") && doomed.Outcomes[0].Account == member {
		t.Errorf("%v %+v", err, doomed.Outcomes)
	}
	gone, err := f.Destroy(t.Context(), fleet.Removal{})
	if err != nil || failures(gone) != "" {
		t.Errorf("destroy: %v\n%s", err, failures(gone))
	}
	if _, err := hub.DescribeHub(t.Context(), &securityhub.DescribeHubInput{}); err != nil {
		t.Errorf("its Security Hub was there before, and is off: %v", err)
	}
	if !w.Inspector2.Enabled(w.Cloud.Accounts.Place(member, "us-east-1"), "EC2") {
		t.Error("its Inspector was there before, and is off")
	}
	if len(collect(w.S3.Objects(bucketName, ""))) == 0 {
		t.Error("the bucket's objects are gone")
	}
	gone, err = f.Destroy(t.Context(), fleet.Removal{Bucket: true})
	if err != nil || !strings.Contains(failures(gone), "BucketNotEmpty") {
		t.Errorf("a bucket with findings was deleted: %v %s", err, failures(gone))
	}
	if bad := failures(w.deploy(t, f)); bad != "" {
		t.Errorf("deploy takes the bucket over again: %s", bad)
	}
	w.flow(t, 1)
	gone, err = f.Destroy(t.Context(), fleet.Removal{Bucket: true, Objects: true})
	if err != nil || failures(gone) != "" || len(collect(w.S3.Objects(bucketName, ""))) > 0 {
		t.Errorf("told twice: %v %s", err, failures(gone))
	}
}

func TestOneRegionGetsAllWithAnAggregator(t *testing.T) {
	w := newWorld(t, 3, false, "us-east-1", "eu-west-1")
	aggregated := func(_ *org.Options, o *fleet.Options) { o.Topology = fleet.Aggregated }
	if bad := failures(w.deploy(t, w.fleet(t))); bad != "" {
		t.Fatal(bad)
	}
	// The other topology would leave the pipeline of eu-west-1: findings would come twice.
	f := w.fleet(t, aggregated)
	first := w.deploy(t, f)
	if bad := failures(first); !strings.Contains(bad, "eu-west-1 region refused: : Stream1: DELETES A FIREHOSE") || strings.Count(bad, "\n") != 1 {
		t.Errorf("got %s", bad)
	}
	f = w.fleet(t, aggregated, func(_ *org.Options, o *fleet.Options) { o.AllowStream = true })
	if bad := failures(w.deploy(t, f)); bad != "" {
		t.Fatal(bad)
	}
	w.flow(t, 2)
	if second := w.deploy(t, f); second.Count(fleet.Unchanged) != len(second.Outcomes) {
		t.Errorf("a second one: %+v", needed(second))
	}
	gone, err := f.Destroy(t.Context(), fleet.Removal{})
	if err != nil || failures(gone) != "" || !named(gone, fleet.Done, fleet.PartAggregator, "delete Aggregator") {
		t.Errorf("destroy: %v\n%s", err, failures(gone))
	}
	w.nothingLeft(t)
}

func TestTheFunctionsCodeIsUploadedInEachRegion(t *testing.T) {
	w := newWorld(t, 2, false, "us-east-1", "eu-west-1")
	lambda := func(zip []byte) *fleet.Fleet {
		return w.fleet(t, func(_ *org.Options, o *fleet.Options) {
			o.Template.Newline, o.FunctionZip, o.Encryption = template.NewlineLambda, zip, "aws:kms"
		})
	}
	if bad := failures(w.deploy(t, lambda(nil))); !strings.Contains(bad, "give --function-zip FILE") {
		t.Errorf("without code: %s", bad)
	}
	zip, err := os.ReadFile("testdata/empty.zip")
	if err != nil {
		t.Fatal(err)
	}
	if bad := failures(w.deploy(t, lambda(zip))); bad != "" {
		t.Fatal(bad)
	}
	for _, again := range [][]byte{zip, nil} { // without a zip it keeps what it has
		if second := w.deploy(t, lambda(again)); second.Count(fleet.Unchanged) != len(second.Outcomes) {
			t.Errorf("a second one: %+v", needed(second))
		}
	}
	gone, err := lambda(nil).Destroy(t.Context(), fleet.Removal{})
	if err != nil || failures(gone) != "" || !named(gone, fleet.Done, fleet.PartCode, "delete catchment-code-") {
		t.Errorf("destroy: %v\n%s", err, failures(gone))
	}
}

func TestALongTemplateLiesInABucket(t *testing.T) {
	if testing.Short() {
		t.Skip("deploys rules and streams for 15 accounts")
	}
	w := newWorld(t, 15, false, "us-east-1") // rules and streams for 15 accounts: more than 51,200 bytes
	each := func(_ *org.Options, o *fleet.Options) { o.Template.Partitioning = template.StreamPerAccount }
	f := w.fleet(t, each)
	if bad := failures(w.deploy(t, f)); bad != "" {
		t.Fatal(bad)
	}
	w.flow(t, 1)
	if second := w.deploy(t, f); second.Count(fleet.Unchanged) != len(second.Outcomes) {
		t.Errorf("a second one: %+v", needed(second))
	}
	if planned, err := f.Plan(t.Context()); err != nil || planned.Count(fleet.Unchanged) != len(planned.Outcomes) {
		t.Errorf("plan: %v, %+v", err, needed(planned))
	}
	changed := w.fleet(t, each, func(_ *org.Options, o *fleet.Options) { o.Template.Streams[0].Gzip = false })
	if planned, err := changed.Plan(t.Context()); err != nil || !named(planned, fleet.Needed, fleet.PartRegion, "change catchment-region") {
		t.Errorf("plan: %v, %+v", err, needed(planned))
	}
	if third := w.deploy(t, changed); !named(third, fleet.Done, fleet.PartRegion, "change Stream1A") {
		t.Errorf("a third one: %+v", needed(third))
	}
	if gone, err := f.Destroy(t.Context(), fleet.Removal{}); err != nil || failures(gone) != "" || !named(gone, fleet.Done, fleet.PartCode, "delete catchment-code-") {
		t.Errorf("destroy: %v\n%s", err, failures(gone))
	}
	w.nothingLeft(t)
}

func TestAnInterruptLetsWhatRunsEndAndTheNextDeployGoesOn(t *testing.T) {
	w := newWorld(t, 3, false, "us-east-1", "eu-west-1")
	ctx, stop := context.WithCancel(t.Context())
	done := 0
	f := w.fleet(t, func(_ *org.Options, o *fleet.Options) {
		o.Parallel = 2
		o.Report = func(e fleet.Event) {
			if e.Done != nil {
				if done++; done == 3 {
					stop()
				}
			}
		}
	})
	first, err := f.Deploy(ctx)
	if !errors.Is(err, context.Canceled) || failures(first) != "" || len(first.Outcomes) < 3 || len(first.Outcomes) > 8 {
		t.Errorf("%v, %d outcomes:\n%s", err, len(first.Outcomes), failures(first))
	}
	f = w.fleet(t)
	if bad := failures(w.deploy(t, f)); bad != "" {
		t.Error(bad)
	}
	w.flow(t, 1)
}

func TestWhatIsNoAccountsFaultIsReported(t *testing.T) {
	w := newWorld(t, 3, false, "us-east-1", "af-south-1")
	other := w.management()
	for _, id := range w.Cloud.Accounts.IDs() {
		w.Cloud.Accounts.SetRegion(id, "af-south-1", id != other)
	}
	first := w.deploy(t, w.fleet(t))
	if bad := failures(first); bad != "" || first.Failed() != 0 {
		t.Errorf("%d failed: %s", first.Failed(), bad)
	}
	want := org.Reach{Cell: org.Cell{Account: other, Region: "af-south-1"}, State: org.NotEnabled, Reason: "the account has not enabled the region"}
	if len(first.Apart) != 1 || first.Apart[0] != want {
		t.Errorf("got %+v", first.Apart)
	}
	// The same in another account, whose role is gone, is a failure: its findings do not come.
	member := slices.DeleteFunc(w.Cloud.Accounts.IDs(), func(id string) bool { return id == other || id == w.Administrator() })[0]
	client := iam.NewFromConfig(w.server.Config(member, "us-east-1"))
	if _, err := client.UpdateAssumeRolePolicy(t.Context(), &iam.UpdateAssumeRolePolicyInput{
		RoleName: aws.String(role), PolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"sts:AssumeRole"}]}`),
	}); err != nil {
		t.Fatal(err)
	}
	second := w.deploy(t, w.fleet(t))
	if second.Failed() != 2 || len(second.Apart) != 3 || failures(second) != "" {
		t.Errorf("%d failed, %+v", second.Failed(), second.Apart)
	}
}

func TestInspectorIsTurnedOnByItsAdministratorWhereOnlyThatMay(t *testing.T) {
	w := newWorld(t, 3, false, "us-east-1")
	w.Inspector2.Delegate("us-east-1", w.Administrator())
	for _, id := range w.Cloud.Accounts.IDs() {
		if id != w.Administrator() {
			w.Inspector2.Join(id)
		}
	}
	f := w.fleet(t)
	if bad := failures(w.deploy(t, f)); bad != "" {
		t.Fatal(bad)
	}
	w.flow(t, 1)
	if gone, err := f.Destroy(t.Context(), fleet.Removal{}); err != nil || !strings.Contains(failures(gone), "DISASSOCIATE_ALL_MEMBERS") {
		t.Errorf("destroy: %v\n%s", err, failures(gone)) // those memberships were there before: they are not ours to end
	}
}

func TestAnotherAdministratorOfTheOrganizationIsNotReplaced(t *testing.T) {
	w := newWorld(t, 3, false, "us-east-1")
	var other string
	for _, id := range w.Cloud.Accounts.IDs() {
		if id != w.Administrator() && id != w.management() {
			other = id
		}
	}
	if _, err := securityhub.NewFromConfig(w.server.Config(w.management(), "us-east-1")).EnableOrganizationAdminAccount(t.Context(),
		&securityhub.EnableOrganizationAdminAccountInput{AdminAccountId: &other}); err != nil {
		t.Fatal(err)
	}
	bad := failures(w.deploy(t, w.fleet(t)))
	if want := "the organization's administrator of Security Hub is account " + other + ", not " + w.Administrator(); strings.Count(bad, want) != 2 ||
		strings.Count(bad, "\n") != 2 {
		t.Errorf("got %s, want %q for both members", bad, want)
	}
}

// TestTwentyAccountsInFiveRegions is how managed mode is judged: from nothing, and then nothing to do.
func TestTwentyAccountsInFiveRegions(t *testing.T) {
	if testing.Short() {
		t.Skip("deploys 100 cells")
	}
	w := newWorld(t, 20, false, "us-east-1", "eu-west-1", "ap-northeast-1", "us-west-2", "eu-central-1")
	f := w.fleet(t)
	began := w.Cloud.Clock.Now()
	first := w.deploy(t, f)
	if bad := failures(first); bad != "" || first.Count(fleet.Done) != len(first.Outcomes) {
		t.Fatalf("%d of %d done:\n%s", first.Count(fleet.Done), len(first.Outcomes), bad)
	}
	t.Logf("deployed in %v of the lab's time", w.Cloud.Clock.Now().Sub(began))
	w.flow(t, 1)
	t.Logf("%v", w.Cloud.Clock.Now().Sub(began))
	if second := w.deploy(t, f); second.Count(fleet.Unchanged) != len(second.Outcomes) {
		t.Errorf("a second one: %+v", needed(second))
	}
	gone, err := f.Destroy(t.Context(), fleet.Removal{})
	if err != nil || failures(gone) != "" {
		t.Errorf("destroy: %v\n%s", err, failures(gone))
	}
	w.nothingLeft(t)
}
