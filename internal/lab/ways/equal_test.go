package ways

import (
	"testing"
)

func TestTheArticlesTwoProblemsAreSolvedInAllFourCombinations(t *testing.T) {
	t.Parallel()
	s := small(1)
	s.accounts = 3
	w := newWorld(t, s)
	b := newBuilder(w)
	ways := []*way{b.build(partitionsDelimiter), b.build(partitionsLambda), b.build(accountsDelimiter), b.build(accountsLambda)}
	b.active()
	w.live()
	w.expect(ways...)
}

func TestAQueueAndCatchmentRunBringWhatFirehoseBrings(t *testing.T) {
	t.Parallel()
	for name, seed := range map[string]uint64{"acknowledged in the journal": 3, "acknowledged in the bucket": 4} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, small(seed))
			b := newBuilder(w)
			ways := []*way{b.build(partitionsDelimiter), b.build(queueCollector)}
			b.active()
			w.live()
			w.expect(ways...)
		})
	}
}

func TestAnImportBringsWhatWasDelivered(t *testing.T) {
	t.Parallel()
	w := newWorld(t, small(5))
	b := newBuilder(w)
	ways := []*way{b.build(partitionsDelimiter), b.build(wholeEvents)}
	b.active()
	w.live()
	ways = append(ways, b.imported(ways[0]), b.imported(ways[1]))
	w.expect(ways...)
}
