//go:build !race

package ways

const cases = 4
