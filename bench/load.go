package main

import (
	"slices"
	"time"
)

// A load is what clients saw in the measured time. Latencies are in µs.
type load struct {
	Done, Failed, Lost  uint64
	Seconds             float64
	P50, P99, P999, Max float64
	Error               string
}

// summarise sorts the latencies, in ns.
func (l *load) summarise(ns []uint64) {
	slices.Sort(ns)
	at := func(q float64) float64 { return float64(ns[min(int(q*float64(len(ns))), len(ns)-1)]) / 1e3 }
	l.P50, l.P99, l.P999, l.Max = at(.5), at(.99), at(.999), at(1)
}

// A run is one measurement of one broker.
type run struct {
	load
	Throughput float64 // requests a second
	CPU        float64 // µs of the broker a request, user and system
	ClientCPU  float64 // µs of the clients' process a request
	WorkerCPU  float64
	PeakRSS    float64 // MiB, of the broker

	Connections int     `json:",omitempty"` // at the broker; counted in scenarios that compare like with like
	Others      float64 // share of the machine's processor time that other programs or machines had
}

// Times of a run, but for the measured one.
const (
	warmup    = 700 * time.Millisecond
	startMax  = 20 * time.Second
	childLife = 5 * time.Minute // no child outlives it
)
