package fleet

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/inspector2"
	inspectortypes "github.com/aws/aws-sdk-go-v2/service/inspector2/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/securityhub"

	"example.org/catchment/internal/org"
)

// Removal says what Destroy takes away besides the stacks.
type Removal struct {
	Bucket  bool // the bucket of findings, if it is empty
	Objects bool // with Bucket: all versions of all of its objects before
}

// A removal is one destroy, or the look before it.
type removal struct {
	*walk

	what   Removal
	stacks map[org.Cell]map[Part]*types.Stack // that are ours
}

// Doomed tells what Destroy would delete, and deletes nothing.
func (f *Fleet) Doomed(ctx context.Context, what Removal) (*Result, error) {
	return f.remove(ctx, what, true)
}

// Destroy deletes what Deploy has made, in the opposite order: the stacks that bear our tag, and what their other tags
// say was made by API calls for them. The bucket stays, with all that is in it, unless what says otherwise.
func (f *Fleet) Destroy(ctx context.Context, what Removal) (*Result, error) {
	return f.remove(ctx, what, false)
}

func (f *Fleet) remove(ctx context.Context, what Removal, dry bool) (*Result, error) {
	r := &removal{walk: &walk{Fleet: f, dry: dry, result: &Result{}}, what: what, stacks: make(map[org.Cell]map[Part]*types.Stack)}
	reached, err := f.org.Reach(ctx)
	if err != nil {
		return r.result, err
	}
	for _, one := range reached {
		if one.State == org.Ready {
			r.cells = append(r.cells, one.Cell)
		} else {
			r.result.Apart = append(r.result.Apart, one)
		}
	}
	defer r.result.sort()
	look := r.cells
	if !slices.Contains(look, f.bucketCell()) {
		look = append(slices.Clone(look), f.bucketCell())
	}
	var administrators, members []org.Cell
	for _, c := range r.cells {
		if c.Account == f.org.Administrator {
			administrators = append(administrators, c)
		} else {
			members = append(members, c)
		}
	}
	for _, step := range []func(){
		func() { each(ctx, f, look, r.find) },
		func() {
			each(ctx, f, administrators, func(ctx context.Context, c org.Cell) { r.stack(ctx, c, PartRegion) })
		},
		func() { each(ctx, f, administrators, r.code) },
		func() {
			each(ctx, f, administrators, func(ctx context.Context, c org.Cell) { r.stack(ctx, c, PartAggregator) })
		},
		func() { each(ctx, f, f.org.Regions, r.part) },
		func() { each(ctx, f, members, r.member) },
		func() { each(ctx, f, administrators, r.member) },
		func() { each(ctx, f, []org.Cell{f.bucketCell()}, r.bucket) },
	} {
		if step(); ctx.Err() != nil {
			return r.result, ctx.Err()
		}
	}
	return r.result, nil
}

// find looks for the stacks of a cell that are ours.
func (r *removal) find(ctx context.Context, c org.Cell) {
	parts := []Part{PartMember}
	if c.Account == r.org.Administrator {
		parts = append(parts, PartRegion, PartAggregator)
	}
	if c == r.bucketCell() {
		parts = append(parts, PartBucket)
	}
	s := r.session(c)
	found := make(map[Part]*types.Stack)
	for _, p := range parts {
		st, err := s.find(ctx, r.stackName(p))
		if err != nil {
			r.do(c, p, func() Outcome { return Outcome{Stack: r.stackName(p)}.failed(err) })
			continue
		}
		if st != nil && ours(st, p) {
			found[p] = st
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stacks[c] = found
}

func (r *removal) found(c org.Cell, p Part) *types.Stack {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stacks[c][p]
}

// stack deletes a stack, if there is one.
func (r *removal) stack(ctx context.Context, c org.Cell, p Part) {
	st := r.found(c, p)
	if st == nil {
		return
	}
	r.do(c, p, func() Outcome {
		out := Outcome{Stack: r.stackName(p)}
		s := r.session(c)
		var err error
		if out.Changes, err = s.deletions(ctx, st); err != nil {
			return out.failed(err)
		}
		if r.dry {
			out.State = Needed
			return out
		}
		if busy(st.StackStatus) {
			if _, err := s.wait(ctx, aws.ToString(st.StackId)); err != nil {
				return out.failed(err)
			}
		}
		out, gone := s.remove(ctx, st, nil, out)
		if !gone {
			return out
		}
		out.State = Done
		return out
	})
}

// code deletes the bucket of the function's code, with what we have put there.
func (r *removal) code(ctx context.Context, c org.Cell) {
	bucket := r.codeBucket(c)
	client := s3.NewFromConfig(r.config(c))
	if !r.tagged(ctx, client, bucket, c.Account, PartCode) {
		return
	}
	r.do(c, PartCode, func() Outcome {
		out := Outcome{Changes: []Change{{Action: ActionDelete, Type: typeBucket, Resource: bucket}}}
		if r.dry {
			out.State = Needed
			return out
		}
		if r.result.lost(c, PartRegion) {
			out.State, out.Reason = Skipped, "the stack that uses it is still there"
			return out
		}
		if err := empty(ctx, client, bucket, c.Account, keyPrefix); err != nil {
			return out.failed(err)
		}
		if _, err := client.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: &bucket, ExpectedBucketOwner: &c.Account}); err != nil {
			return out.failed(fmt.Errorf("delete bucket %s: %w", bucket, err))
		}
		out.State = Done
		return out
	})
}

// tagged tells whether a bucket is there, of that account, and has our tag.
func (f *Fleet) tagged(ctx context.Context, client *s3.Client, bucket, owner string, p Part) bool {
	out, err := client.GetBucketTagging(ctx, &s3.GetBucketTaggingInput{Bucket: &bucket, ExpectedBucketOwner: &owner})
	if err != nil {
		return false
	}
	return slices.ContainsFunc(out.TagSet, func(t s3types.Tag) bool {
		return aws.ToString(t.Key) == tagPart && aws.ToString(t.Value) == string(p) || p == PartBucket && aws.ToString(t.Key) == "catchment" && aws.ToString(t.Value) == f.Name
	})
}

// empty deletes all versions of all objects under a prefix, 1,000 at a time.
func empty(ctx context.Context, client *s3.Client, bucket, owner, prefix string) error {
	for {
		page, err := client.ListObjectVersions(ctx, &s3.ListObjectVersionsInput{Bucket: &bucket, Prefix: &prefix, ExpectedBucketOwner: &owner})
		if err != nil {
			return fmt.Errorf("list what is in %s: %w", bucket, err)
		}
		var gone []s3types.ObjectIdentifier
		for _, v := range page.Versions {
			gone = append(gone, s3types.ObjectIdentifier{Key: v.Key, VersionId: v.VersionId})
		}
		for _, v := range page.DeleteMarkers {
			gone = append(gone, s3types.ObjectIdentifier{Key: v.Key, VersionId: v.VersionId})
		}
		if len(gone) == 0 {
			return nil
		}
		out, err := client.DeleteObjects(ctx, &s3.DeleteObjectsInput{
			Bucket: &bucket, ExpectedBucketOwner: &owner, Delete: &s3types.Delete{Objects: gone, Quiet: aws.Bool(true)},
		})
		if err != nil {
			return fmt.Errorf("empty %s: %w", bucket, err)
		}
		if len(out.Errors) > 0 {
			e := out.Errors[0]
			return fmt.Errorf("empty %s: %s: %s: %s", bucket, aws.ToString(e.Key), aws.ToString(e.Code), aws.ToString(e.Message))
		}
	}
}

// part ends the memberships of a region that we have made, and the delegation.
func (r *removal) part(ctx context.Context, region string) {
	admin := r.administrator(region)
	if !r.ready(admin) {
		return
	}
	var accounts []string
	for _, c := range r.cells {
		if st := r.found(c, PartMember); c.Region == region && c != admin && st != nil && tagOf(st, tagMembership) == madeHere {
			accounts = append(accounts, c.Account)
		}
	}
	st := r.found(admin, PartMember)
	delegated := st != nil && tagOf(st, tagDelegation) == madeHere
	now, err := r.members(ctx, admin)
	accounts = slices.DeleteFunc(accounts, func(id string) bool { return err == nil && now[id] == "" })
	if len(accounts) > 0 && err == nil && !r.dry {
		err = r.disassociate(ctx, admin, accounts)
	}
	for _, id := range accounts {
		r.do(org.Cell{Account: id, Region: region}, PartMembership, func() Outcome {
			out := Outcome{State: Done, Changes: []Change{{Action: ActionDelete, Type: "SecurityHub::Member", Resource: id}}}
			if err != nil {
				return out.failed(err)
			}
			if r.dry {
				out.State = Needed
			}
			return out
		})
	}
	if delegated {
		r.do(admin, PartDelegation, func() Outcome { return r.undelegate(ctx, admin) })
	}
}

func (r *removal) disassociate(ctx context.Context, admin org.Cell, accounts []string) error {
	client := securityhub.NewFromConfig(r.config(admin))
	for some := range slices.Chunk(accounts, maxDetails) {
		if _, err := client.DisassociateMembers(ctx, &securityhub.DisassociateMembersInput{AccountIds: some}); err != nil {
			return fmt.Errorf("part from the members: %w", err)
		}
		if _, err := client.DeleteMembers(ctx, &securityhub.DeleteMembersInput{AccountIds: some}); err != nil {
			return fmt.Errorf("delete the members: %w", err)
		}
	}
	return nil
}

func (r *removal) undelegate(ctx context.Context, admin org.Cell) Outcome {
	out := Outcome{Changes: []Change{{Action: ActionDelete, Type: "SecurityHub::OrganizationAdmin", Resource: admin.Account}}}
	if r.dry {
		out.State = Needed
		return out
	}
	if r.org.Caller != r.org.Organization.Management {
		return out.failed(errors.New("only the organization's management account can end what it began: run destroy as that"))
	}
	is, _, err := r.delegation(ctx, admin)
	if err != nil {
		return out.failed(err)
	}
	if is {
		client := securityhub.NewFromConfig(r.config(org.Cell{Account: r.org.Caller, Region: admin.Region}))
		if _, err := client.DisableOrganizationAdminAccount(ctx, &securityhub.DisableOrganizationAdminAccountInput{AdminAccountId: &admin.Account}); err != nil {
			return out.failed(err)
		}
	}
	out.State = Done
	return out
}

// member turns Inspector off where we have turned it on, and deletes the stack that remembers it.
func (r *removal) member(ctx context.Context, c org.Cell) {
	st := r.found(c, PartMember)
	if st == nil {
		return
	}
	if tagOf(st, tagInspector) == madeHere {
		out := r.do(c, PartInspector, func() Outcome { return r.disableInspector(ctx, c) })
		if out.State == Failed {
			return // the stack stays, for it remembers
		}
	}
	r.stack(ctx, c, PartMember)
}

func (r *removal) disableInspector(ctx context.Context, c org.Cell) Outcome {
	out := Outcome{Changes: []Change{{Action: ActionDelete, Type: "Inspector2::Activation", Resource: strings.Join(r.Inspector, ", ")}}}
	on, err := r.inspectorOn(ctx, c)
	switch {
	case err != nil:
		return out.failed(err)
	case !on:
		out.State = Unchanged
		return out
	case r.dry:
		out.State = Needed
		return out
	}
	in := &inspector2.DisableInput{}
	for _, as := range []org.Cell{c, r.administrator(c.Region)} {
		if as != c {
			in.AccountIds = []string{c.Account}
		}
		done, err := inspector2.NewFromConfig(r.config(as)).Disable(ctx, in)
		if err != nil {
			return out.failed(err)
		}
		if len(done.FailedAccounts) == 0 {
			out.State = Done
			return out
		}
		bad := done.FailedAccounts[0]
		if out.Reason == "" {
			out.State, out.Reason = Failed, string(bad.ErrorCode)+": "+aws.ToString(bad.ErrorMessage)
		}
		if bad.ErrorCode != inspectortypes.ErrorCodeAccessDenied {
			break
		}
	}
	return out
}

// bucket deletes the bucket's stack, which leaves the bucket, and the bucket where that was asked for.
func (r *removal) bucket(ctx context.Context, c org.Cell) {
	r.stack(ctx, c, PartBucket)
	if !r.what.Bucket || r.result.lost(c, PartBucket) {
		return
	}
	client := s3.NewFromConfig(r.config(c))
	if !r.tagged(ctx, client, r.BucketName, c.Account, PartBucket) {
		return
	}
	r.do(c, PartBucket, func() Outcome {
		out := Outcome{Changes: []Change{{Action: ActionDelete, Type: typeBucket, Resource: r.BucketName, Danger: dangerBucketDelete}}}
		if r.what.Objects {
			out.Changes[0].Danger += " AND EVERYTHING IN IT"
		}
		if r.dry {
			out.State = Needed
			return out
		}
		if r.what.Objects {
			if err := empty(ctx, client, r.BucketName, c.Account, ""); err != nil {
				return out.failed(err)
			}
		}
		if _, err := client.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: &r.BucketName, ExpectedBucketOwner: &c.Account}); err != nil {
			return out.failed(fmt.Errorf("delete bucket %s: %w", r.BucketName, err))
		}
		out.State = Done
		return out
	})
}
