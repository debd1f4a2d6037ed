package securityhub

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/securityhub"
	"github.com/aws/aws-sdk-go-v2/service/securityhub/types"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/labtest"
)

func TestAnAdministratorHasElevenThousandMembersAtMost(t *testing.T) {
	c := labtest.NewCloud(t)
	s := New(c)
	client := sdk.NewFromConfig(labtest.Serve(t, c, s.Wire()).Config(labtest.Administrator, labtest.Region))
	h := s.switchOn(c.Accounts.Place(labtest.Administrator, labtest.Region), false)
	for i := range 10_999 { // as if they had been made fifty at a time
		id := fmt.Sprintf("4%011d", i)
		h.members[id] = &relation{admin: labtest.Administrator, member: id}
	}
	create := func(ids ...string) error {
		in := &sdk.CreateMembersInput{}
		for _, id := range ids {
			in.AccountDetails = append(in.AccountDetails, types.AccountDetails{AccountId: &id})
		}
		_, err := client.CreateMembers(t.Context(), in)
		return err
	}
	if err := create(labtest.Member); err != nil {
		t.Fatal(err)
	}
	if err := create(labtest.Member); err != nil {
		t.Errorf("one that is there: %v", err)
	}
	if err := c.Accounts.Add(cloud.Account{ID: "333333333333"}); err != nil {
		t.Fatal(err)
	}
	if err := create("333333333333"); err == nil || !strings.Contains(err.Error(), "LimitExceededException") {
		t.Errorf("an 11,001st member: %v", err)
	}
}

// recorded keeps an answer as it was on the wire.
type recorded struct {
	client sdk.HTTPClient
	got    *http.Response
	body   string
}

func (r *recorded) Do(request *http.Request) (*http.Response, error) {
	answer, err := r.client.Do(request)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(answer.Body)
	r.got, r.body = answer, string(b)
	answer.Body = io.NopCloser(strings.NewReader(r.body))
	return answer, err
}

func TestAnErrorHasItsTypeInAHeaderAndItsMessageInTheBody(t *testing.T) {
	c := labtest.NewCloud(t)
	config := labtest.Serve(t, c, New(c).Wire()).Config(labtest.Administrator, labtest.Region)
	r := &recorded{client: config.HTTPClient}
	config.HTTPClient = r
	_, err := sdk.NewFromConfig(config).DescribeHub(t.Context(), &sdk.DescribeHubInput{HubArn: aws.String("x")})
	if err == nil {
		t.Fatal("the hub is there")
	}
	if r.got.StatusCode != http.StatusUnauthorized || r.got.Header.Get("X-Amzn-Errortype") != "InvalidAccessException" ||
		!strings.Contains(r.body, `"Code":"InvalidAccessException"`) || !strings.Contains(r.body, `"Message":"`) {
		t.Errorf("got %d, %v, %s", r.got.StatusCode, r.got.Header, r.body)
	}
}

func TestAProductFieldsNameHasAtMost128Characters(t *testing.T) {
	for n, right := range map[int]bool{128: true, 129: false} {
		pairs := map[string]string{strings.Repeat("k", n): "v"}
		f := &finding{ProductFields: pairs}
		u := &finding{UserDefinedFields: pairs}
		if (f.checkFields() == "") != right || (u.checkFields() == "") != right {
			t.Errorf("%d characters: %q, %q", n, f.checkFields(), u.checkFields())
		}
	}
}
