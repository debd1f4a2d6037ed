//go:build !race

package population_test

const slower = 1
