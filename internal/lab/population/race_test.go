//go:build race

package population_test

// slower is how much more time a test may take under the race detector.
const slower = 10
