//go:build !race

package integration

const pooled = 1
