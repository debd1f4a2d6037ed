package ways

import (
	"testing"
)

func TestTheArticlesTwoProblemsAreSolvedInAllFourCombinations(t *testing.T) {
	w := newWorld(t, small(1))
	b := newBuilder(w)
	ways := []*way{b.build(partitionsDelimiter), b.build(partitionsLambda), b.build(accountsDelimiter), b.build(accountsLambda)}
	b.active()
	w.live()
	w.expect(ways...)
	t.Logf("%v: %d versions of findings", w, len(w.truth()))
}

func TestAllWaysBringTheSameLinesToTheSamePlaces(t *testing.T) {
	w := newWorld(t, small(2))
	b := newBuilder(w)
	ways := []*way{b.build(partitionsDelimiter), b.build(queueCollector), b.build(pushCollector), b.build(endpointCollector), b.build(queueLambda)}
	b.active()
	w.live()
	w.expect(ways...)
	t.Logf("%v: %d versions of findings", w, len(w.truth()))
}
