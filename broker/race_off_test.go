//go:build !race

package broker

// allocationsMost are allowed for a request.
const allocationsMost = 0.25
