package securityhub_test

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/securityhub"
	"github.com/aws/aws-sdk-go-v2/service/securityhub/types"

	"example.org/catchment/internal/lab/labtest"
)

func TestTheHistoryOfAFindingHasItsChangesTheNewestFirst(t *testing.T) {
	l, ctx := newLab(t), t.Context()
	l.enable(region, admin)
	c := l.client(admin, region)
	id := &types.AwsSecurityFindingIdentifier{Id: aws.String("f"), ProductArn: aws.String(defaultProduct(admin, region))}
	l.importAll(admin, region, own(admin, region, "f", labtest.Start))
	labtest.Advance(t, l.cloud, time.Hour)
	_, err := c.BatchUpdateFindings(ctx, &sdk.BatchUpdateFindingsInput{FindingIdentifiers: []types.AwsSecurityFindingIdentifier{*id}, Workflow: &types.WorkflowUpdate{Status: "NOTIFIED"}})
	must(t, err)
	labtest.Advance(t, l.cloud, time.Hour)
	l.importAll(admin, region, own(admin, region, "f", labtest.Start.Add(time.Second), func(f *types.AwsSecurityFinding) { f.Title = aws.String("new") }))
	var got []types.FindingHistoryRecord
	pages := sdk.NewGetFindingHistoryPaginator(c, &sdk.GetFindingHistoryInput{FindingIdentifier: id, MaxResults: aws.Int32(2)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		must(t, err)
		got = append(got, page.Records...)
	}
	if len(got) != 3 || got[0].UpdateSource.Type != "BATCH_IMPORT_FINDINGS" || got[1].UpdateSource.Type != "BATCH_UPDATE_FINDINGS" || !*got[2].FindingCreated || *got[0].FindingCreated {
		t.Fatalf("%+v", got)
	}
	if u := got[0].Updates; len(u) != 1 || *u[0].UpdatedField != "Title" || *u[0].NewValue != `"new"` || !got[1].UpdateTime.Equal(labtest.Start.Add(time.Hour)) {
		t.Errorf("%+v at %v", u, got[1].UpdateTime)
	}
	out, err := c.GetFindingHistory(ctx, &sdk.GetFindingHistoryInput{FindingIdentifier: id, StartTime: aws.Time(labtest.Start.Add(time.Minute)), EndTime: aws.Time(labtest.Start.Add(90 * time.Minute))})
	must(t, err)
	if len(out.Records) != 1 || *out.Records[0].Updates[0].UpdatedField != "Workflow" {
		t.Errorf("between: %+v", out.Records)
	}
	_, err = c.GetFindingHistory(ctx, &sdk.GetFindingHistoryInput{FindingIdentifier: &types.AwsSecurityFindingIdentifier{Id: aws.String("g"), ProductArn: id.ProductArn}})
	refused(t, err, "InvalidInputException", 400)
	_, err = c.GetFindingHistory(ctx, &sdk.GetFindingHistoryInput{FindingIdentifier: id, MaxResults: aws.Int32(101)})
	refused(t, err, "InvalidInputException", 400)
}
