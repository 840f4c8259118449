//go:build race

package integration

// With the race detector pools let go of a part of what they hold, by chance.
const pooled = 1.5
