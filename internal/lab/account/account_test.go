package account_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/account"
	"github.com/aws/aws-sdk-go-v2/service/account/types"

	labaccount "example.org/catchment/internal/lab/account"
	"example.org/catchment/internal/lab/labtest"
)

func TestListRegionsShowsWhatAnAccountMayUse(t *testing.T) {
	c := labtest.NewCloud(t)
	client := account.NewFromConfig(labtest.Serve(t, c, labaccount.New(c).Wire()).Config(labtest.Administrator, "us-east-1"))
	usable := func() map[string]bool {
		got := make(map[string]bool)
		pages := account.NewListRegionsPaginator(client, &account.ListRegionsInput{
			MaxResults:              aws.Int32(7),
			RegionOptStatusContains: []types.RegionOptStatus{types.RegionOptStatusEnabled, types.RegionOptStatusEnabledByDefault},
		})
		for pages.HasMorePages() {
			page, err := pages.NextPage(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range page.Regions {
				got[*r.RegionName] = true
			}
		}
		return got
	}
	if got := usable(); len(got) != 17 || got["af-south-1"] {
		t.Errorf("got %d regions, af-south-1 %v; want the 17 that are enabled by default", len(got), got["af-south-1"])
	}
	if _, err := client.EnableRegion(t.Context(), &account.EnableRegionInput{RegionName: aws.String("af-south-1")}); err != nil {
		t.Fatal(err)
	}
	if got := usable(); len(got) != 18 || !got["af-south-1"] {
		t.Errorf("got %d regions after enabling af-south-1, want 18 with it", len(got))
	}
	if _, err := client.EnableRegion(t.Context(), &account.EnableRegionInput{RegionName: aws.String("us-east-1")}); err == nil {
		t.Error("us-east-1 could be enabled, though it is by default")
	}
}
