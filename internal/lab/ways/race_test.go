//go:build race

package ways

const cases = 2 // each takes several times as long
