package source_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"example.org/catchment/internal/source"
)

func TestBusyIsErrBusyHoweverItIsWrapped(t *testing.T) {
	full := errors.New("journal is full")
	err := fmt.Errorf("deliver: %w", &source.Busy{RetryAfter: time.Second, Err: full})
	if !errors.Is(err, source.ErrBusy) {
		t.Errorf("%v is not ErrBusy", err)
	}
	if !errors.Is(err, full) {
		t.Errorf("%v does not hold its cause", err)
	}
	var busy *source.Busy
	if !errors.As(err, &busy) || busy.RetryAfter != time.Second {
		t.Errorf("%v does not hold the *Busy", err)
	}
	if errors.Is(full, source.ErrBusy) {
		t.Error("any error is ErrBusy")
	}
}
