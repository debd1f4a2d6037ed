package inspector2

import (
	"testing"

	"example.org/catchment/internal/lab/cloud"
)

func TestErrorsHaveTheStatusOfTheAPIsModel(t *testing.T) {
	throttled := New(cloud.New(cloud.Options{})).Wire().Throttled
	for code, status := range map[string]int{
		invalid("x", "").Code: invalid("x", "").Status, denied("").Code: denied("").Status, notFound("").Code: notFound("").Status,
		conflict("", "", "").Code: conflict("", "", "").Status, overQuota("", "").Code: overQuota("", "").Status, throttled.Code: throttled.Status,
	} {
		want := map[string]int{
			"ValidationException":   400,
			"AccessDeniedException": 403, "ResourceNotFoundException": 404, "ConflictException": 409, "ServiceQuotaExceededException": 402,
			"ThrottlingException": 429,
		}
		if w, known := want[code]; !known || status != w {
			t.Errorf("%s has status %d, want %d", code, status, w)
		}
	}
	if got := throttled.Header["Retry-After"]; got != "1" {
		t.Errorf("Retry-After is %q", got)
	}
}
