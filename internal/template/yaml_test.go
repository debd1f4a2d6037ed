package template

import (
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// TestWhateverTextComesBackAsItWas: a prefix, a pattern or a description may hold anything.
func TestWhateverTextComesBackAsItWas(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{
			"", " ", "yes", "No", "null", "~", "1", "1.5", "0x1f", "1e3", "- a", "a: b", "a #b", "# a", "'", `"`, `\n`, "!Ref x", "&a", "*a", "{a}", "[a]",
			"a:", "%", "@", "`", "|", ">", "2026-11-24", "a\nb", "\t", "\u0085", "\u2028", "é", "${AWS::Region}", "!{timestamp:yyyy}", "=", "<<", ".", "...", "---",
		})).Draw(t, "text")
		name := rapid.StringMatching(`[A-Za-z/._-]{1,8}`).Draw(t, "name")
		b := render(object(name, text, "list", list(text, object(name, text, "more", text), list(text)), "deep", object("er", object(name, text))))
		var got map[string]any
		if err := yaml.Unmarshal(b, &got); err != nil {
			t.Fatalf("%v:\n%s", err, b)
		}
		want := map[string]any{
			name: text, "list": []any{text, map[string]any{name: text, "more": text}, []any{text}}, "deep": map[string]any{"er": map[string]any{name: text}},
		}
		if name == "list" || name == "deep" || name == "more" {
			t.Skip("a name twice")
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%s\n%s", diff, b)
		}
	})
}
