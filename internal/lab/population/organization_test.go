package population_test

import (
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/population"
)

func TestAnOrganizationHasUnitsAndAccounts(t *testing.T) {
	org := population.Organization(population.Options{Seed: 1, Accounts: 1000})
	paths := make(map[string]bool)
	for _, u := range org.Units {
		if i := strings.LastIndex(u.Path, "/"); i >= 0 && !paths[u.Path[:i]] {
			t.Errorf("unit %s comes before its parent", u.Path)
		}
		paths[u.Path] = true
	}
	ids, names, emails := make(map[string]bool), make(map[string]bool), make(map[string]bool)
	for _, m := range org.Accounts {
		if !cloud.IsAccountID(m.ID) || m.Unit != "" && !paths[m.Unit] || m.Env == "" {
			t.Errorf("account %+v", m)
		}
		ids[m.ID], names[m.Name], emails[m.Email] = true, true, true
	}
	if len(ids) != 1000 || len(names) != 1000 || len(emails) != 1000 {
		t.Errorf("%d ids, %d names, %d addresses of 1000 accounts", len(ids), len(names), len(emails))
	}
	if org.Accounts[2].Name != "security-tooling" || org.Administrator != org.Accounts[2].ID || org.Management == org.Administrator {
		t.Errorf("administrator %s, accounts %+v", org.Administrator, org.Accounts[:3])
	}
	if diff := cmp.Diff(org, population.Organization(population.Options{Seed: 1, Accounts: 1000})); diff != "" {
		t.Errorf("a second one differs:\n%s", diff)
	}
	small := population.Organization(population.Options{Seed: 1, Accounts: 3})
	if diff := cmp.Diff(org.Accounts[:3], small.Accounts); diff != "" {
		t.Errorf("a smaller one has other accounts:\n%s", diff)
	}
	other := population.Organization(population.Options{Seed: 2, Accounts: 3})
	if cmp.Equal(small.Accounts, other.Accounts) {
		t.Error("another seed gives the same accounts")
	}
}

// twentyRegions are 20 regions, four of them opt-in.
var twentyRegions = []string{
	"us-east-1", "us-east-2", "us-west-1", "us-west-2", "ap-south-1", "ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-southeast-1",
	"ap-southeast-2", "ca-central-1", "eu-central-1", "eu-west-1", "eu-west-2", "eu-west-3", "eu-north-1", "af-south-1", "ap-east-1", "eu-south-1", "me-south-1",
}

// large is an organisation of 1,000 accounts in 20 regions that is mostly empty, as such are.
var large = population.Options{
	Seed: 1, Accounts: 1000, Regions: twentyRegions, Empty: 0.6, Hosts: population.Spread{Min: 0, Max: 2}, Images: population.Spread{Min: 0, Max: 1},
	Functions: population.Spread{Min: 0, Max: 1}, Noise: population.Spread{Min: 0, Max: 2}, Rates: population.Rates{Settle: 10 * time.Hour},
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// The bounds leave room for a slow machine: on the one it was written on it takes half a second.
func TestAThousandAccountsInTwentyRegionsAreBuiltFast(t *testing.T) {
	if testing.Short() {
		t.Skip("builds 20,000 cells")
	}
	var w *world
	var before uint64
	took := time.Hour
	for range 3 { // the machine may be busy with something else
		before = heap()
		begin := time.Now()
		w = newWorld(t, large)
		w.start(t)
		if took = min(took, time.Since(begin)); took < 2*time.Second {
			break
		}
	}
	cells := 0
	for range w.Cells() {
		cells++
	}
	perCell := (heap() - before) / uint64(cells)
	t.Logf("%d cells in %v, %d bytes each before their first moment", cells, took, perCell)
	if cells < 17_500 || cells > 18_500 { // 16 regions, and half of 4
		t.Errorf("%d cells", cells)
	}
	if took > 2*time.Second*slower || perCell > 4<<10 {
		t.Errorf("built in %v, want 2 s; %d bytes a cell, want 4 KB", took, perCell)
	}
	if w.hub.n != 0 {
		t.Errorf("%d findings before the first moment", w.hub.n)
	}
}

// BenchmarkDay is one day of 1,000 accounts in 20 regions: events made, findings handed over and memory kept.
func BenchmarkDay(b *testing.B) {
	for b.Loop() {
		before := heap()
		w := newWorld(b, large)
		w.start(b)
		begin := time.Now()
		w.step(b, 24*time.Hour)
		took := time.Since(begin)
		b.ReportMetric(float64(w.hub.n)/took.Seconds(), "findings/s")
		b.ReportMetric(float64(w.hub.n), "findings")
		b.ReportMetric(float64(heap()-before)/(1<<20), "MB")
		runtime.KeepAlive(w)
	}
}
