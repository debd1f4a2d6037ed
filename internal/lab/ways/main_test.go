package ways

import (
	"archive/zip"
	"bytes"
	"context"
	"fmt"
	"os"
	"testing"

	"example.org/catchment/internal/function"
)

// TestMain lets the lab's functions be this very program, as the demo's are catchment itself.
func TestMain(m *testing.M) {
	if function.Invoked() {
		fmt.Fprintln(os.Stderr, function.Start(context.Background()))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// functionZip is the code of a function: it starts this program.
func functionZip(t *testing.T) []byte {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, err := z.Create("bootstrap")
	if err == nil {
		_, err = fmt.Fprintf(w, "#!/bin/sh\nexec '%s'\n", self)
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
