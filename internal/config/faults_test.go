package config

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

// TestFaults loads the specs of testdata/faults.txtar, each of which is wrong, and compares what is said about them:
// a file "NAME" is followed by its "NAME: says". UPDATE=1 rewrites what they say; read the difference.
func TestFaults(t *testing.T) {
	const name = "testdata/faults.txtar"
	archive, err := txtar.ParseFile(name)
	if err != nil {
		t.Fatal(err)
	}
	says := make(map[string]string)
	for _, f := range archive.Files {
		if spec, ok := strings.CutSuffix(f.Name, ": says"); ok {
			says[spec] = string(f.Data)
		}
	}
	out := &txtar.Archive{Comment: archive.Comment}
	for _, f := range archive.Files {
		if strings.HasSuffix(f.Name, ": says") {
			continue
		}
		text := ""
		t.Run(f.Name, func(t *testing.T) {
			spec := strings.NewReplacer("<TAB>", "\t", "<BELL>", "\a", "<LATIN1>", "\xe9").Replace(string(f.Data))
			_, err := Load("f", []byte(spec), Options{Lookup: lookup})
			var all Errors
			if !errors.As(err, &all) || len(all) == 0 {
				t.Fatalf("got %v, want Errors", err)
			}
			text = err.Error() + "\n"
			if os.Getenv("UPDATE") == "" {
				if diff := cmp.Diff(says[f.Name], text); diff != "" {
					t.Errorf("-want +got:\n%s", diff)
				}
			}
		})
		out.Files = append(out.Files, f, txtar.File{Name: f.Name + ": says", Data: []byte(text)})
	}
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(name, txtar.Format(out), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
