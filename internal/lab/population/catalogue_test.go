package population

import (
	"testing"
	"time"
)

func TestTheCatalogueIsSound(t *testing.T) {
	severities, seen := make(map[string]int), make(map[string]bool)
	managers := map[string]int{"OS": 0, "JAR": 0, "PYTHONPKG": 0, "NODEPKG": 0, "GOBINARY": 0}
	for _, v := range catalogue {
		_, err := time.Parse(time.DateOnly, v.created)
		_, known := managers[v.manager]
		if err != nil || !known || v.score <= 0 || v.score > 10 || v.epss < 0 || v.epss > 1 || v.text == "" || len(v.text) > 1024 || v.has == v.fixed {
			t.Errorf("%+v", v)
		}
		if seen[v.id+v.name] {
			t.Errorf("%s of %s is there twice", v.id, v.name)
		}
		seen[v.id+v.name] = true
		managers[v.manager]++
		severities[severityOf(v.score)]++
	}
	for _, s := range []string{"CRITICAL", "HIGH", "MEDIUM", "LOW"} {
		if severities[s] < 3 {
			t.Errorf("%d of severity %s", severities[s], s)
		}
	}
	for m, n := range managers {
		if n < 4 {
			t.Errorf("%d of %s", n, m)
		}
	}
	if len(catalogue) < 60 {
		t.Errorf("%d entries", len(catalogue))
	}
}

func TestDiceAreFairAndRepeatable(t *testing.T) {
	p := &Population{Options: Options{Seed: 1}}
	d, again := p.throw("a", 1), p.throw("a", 1)
	sum, wait := 0.0, time.Duration(0)
	for range 10_000 {
		x := d.share()
		if y := again.share(); x != y || x < 0 || x >= 1 {
			t.Fatal(x, y)
		}
		sum += x
		w := d.wait(time.Hour)
		again.next()
		wait += w
	}
	if mean := sum / 10_000; mean < 0.48 || mean > 0.52 {
		t.Errorf("mean %v", mean)
	}
	if mean := wait / 10_000; mean < 55*time.Minute || mean > 65*time.Minute {
		t.Errorf("mean wait %v", mean)
	}
	if p.throw("a", 1).next() == p.throw("a", 2).next() || p.throw("ab", "c").next() == p.throw("a", "bc").next() {
		t.Error("other words give the same")
	}
}
