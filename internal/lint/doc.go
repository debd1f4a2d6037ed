// Package lint holds the rules of this repository that are tests: who may import whom, why we depend on what.
package lint
