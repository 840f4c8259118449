package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"github.com/privateer-mq/privateer/protocol"
)

// A tally adds up outcomes, however many, in bounded memory.
type tally struct {
	requests int
	byCode   [protocol.Unreachable + 1]int
	took     latencies
	worst    outcome // of the first outcome that has the worst certainty
}

func newTally() *tally { return &tally{} }

// badness orders outcomes: what may have run is worst, for nobody knows
// whether to send it again; what did not start can be sent again at no risk.
func badness(o outcome) int {
	switch {
	case o.code == protocol.OK || o.code == protocol.CodeNone:
		return 0
	case o.certainty == protocol.NotStarted:
		return 1
	case o.certainty == protocol.Ran:
		return 2
	}
	return 3
}

func (t *tally) add(o outcome) {
	t.requests++
	if int(o.code) < len(t.byCode) {
		t.byCode[o.code]++
	}
	t.took.add(o.took)
	if badness(o) > badness(t.worst) {
		t.worst = o
	}
}

// write writes the totals, one line.
func (t *tally) write(w io.Writer, asJSON bool) error {
	p50, p99 := milliseconds(t.took.quantile(0.50)), milliseconds(t.took.quantile(0.99))
	if asJSON {
		outcomes := make(map[string]int)
		for c := protocol.OK; c <= protocol.Unreachable; c++ {
			outcomes[c.String()] = t.byCode[c]
		}
		return json.NewEncoder(w).Encode(map[string]any{"totals": map[string]any{
			"requests": t.requests, "outcomes": outcomes, "p50_ms": p50, "p99_ms": p99,
		}})
	}
	var b strings.Builder
	fmt.Fprintf(&b, "totals: requests=%d", t.requests)
	for c := protocol.OK; c <= protocol.Unreachable; c++ {
		fmt.Fprintf(&b, " %s=%d", strings.ToLower(c.String()), t.byCode[c])
	}
	_, err := fmt.Fprintf(w, "%s p50_ms=%.1f p99_ms=%.1f\n", b.String(), p50, p99)
	return err
}

// latencies is a histogram of times whose buckets grow by 2%.
type latencies struct {
	n       int
	buckets [1600]int // up to years, in microseconds
}

const bucketGrowth = 1.02

func (l *latencies) add(d time.Duration) {
	i := int(math.Log1p(float64(max(0, d.Microseconds()))) / math.Log(bucketGrowth))
	l.buckets[min(i, len(l.buckets)-1)]++
	l.n++
}

// quantile is a time that the share q of all did not exceed, within 2%.
func (l *latencies) quantile(q float64) time.Duration {
	rank, seen := int(math.Ceil(q*float64(l.n))), 0
	for i, c := range l.buckets {
		if seen += c; c > 0 && seen >= rank {
			return time.Duration(math.Expm1(float64(i+1)*math.Log(bucketGrowth))) * time.Microsecond
		}
	}
	return 0
}
