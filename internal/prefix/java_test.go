package prefix_test

import (
	"bufio"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"example.org/catchment/internal/prefix"
)

// lines reads a table of testdata that Timestamps.java wrote.
func lines(t *testing.T, name string) []string {
	t.Helper()
	f, err := os.Open("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var out []string
	s := bufio.NewScanner(f)
	for s.Scan() {
		out = append(out, s.Text())
	}
	if err := s.Err(); err != nil || len(out) == 0 {
		t.Fatalf("%s: %d lines, %v", name, len(out), err)
	}
	return out
}

// TestTimestampsAgreeWithJava compares every letter with what OpenJDK printed: around New Year
// over a 19 year cycle of weekdays, at changes of offset, in years below 1 and above 9999.
func TestTimestampsAgreeWithJava(t *testing.T) {
	rows := lines(t, "timestamps.tsv")
	fields := strings.Split(rows[0], "|")
	expr := "!{timestamp:" + rows[0] + "}"
	if n := len(expr); n > prefix.MaxExpression {
		t.Fatalf("pattern has %d characters", n)
	}
	for _, row := range rows[1:] {
		cell := strings.SplitN(row, "\t", 4)
		sec, errSec := strconv.ParseInt(cell[0], 10, 64)
		nano, errNano := strconv.ParseInt(cell[1], 10, 64)
		if errSec != nil || errNano != nil {
			t.Fatalf("row %q", row)
		}
		at := time.Unix(sec, nano)
		want := strings.Split(cell[3], "|")
		for i, f := range fields {
			// One field at a time: all together are over 512 characters.
			e, err := prefix.Compile("<!{timestamp:"+f+"}>", prefix.Options{TimeZone: cell[2]})
			if err != nil {
				t.Fatalf("%s in %s: %v", f, cell[2], err)
			}
			got, err := e.Append(nil, at, nil)
			if err != nil {
				t.Fatalf("%s in %s: %v", f, cell[2], err)
			}
			if string(got) != "<"+want[i]+">" {
				t.Errorf("%s at %s in %s: got %s, want <%s>", f, at.UTC().Format(time.RFC3339Nano), cell[2], got, want[i])
			}
		}
	}
}

// TestLettersAgreeWithJava compares which counts of which characters are patterns at all.
func TestLettersAgreeWithJava(t *testing.T) {
	// Refused here: p pads with spaces, B and v differ between versions. Y over 19 letters is of
	// no use. A backslash is a pattern, but no text of ours; "/" and "." make bad segments alone.
	skip := "pBv\\/."
	for _, row := range lines(t, "letters.tsv") {
		c, counts, _ := strings.Cut(row, "\t")
		if strings.Contains(skip, c) {
			continue
		}
		taken := make(map[string]bool)
		for _, n := range strings.Fields(counts) {
			taken[n] = true
		}
		for n := 1; n <= 21; n++ {
			want := taken[strconv.Itoa(n)]
			if c == "Y" && n > 19 {
				want = false
			}
			_, err := prefix.Compile("a!{timestamp:"+strings.Repeat(c, n)+"}", prefix.Options{})
			if c == "}" && n > 0 {
				want = false // ends the expression: what is before it is an empty pattern
			}
			if (err == nil) != want {
				t.Errorf("%d × %s: got %v, want valid %v", n, c, err, want)
			}
		}
	}
}
