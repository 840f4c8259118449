//go:build race

package broker

// The race detector lets pools forget, and a slow machine more of them.
const allocationsMost = 0.8
