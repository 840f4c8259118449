package bench

import (
	"errors"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/privateer-mq/privateer/client"
)

// What a histogram can tell apart: microseconds, up to an hour, within 0.1%.
const (
	latencyMax = time.Hour
	figures    = 3
)

func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(1, latencyMax.Microseconds(), figures)
}

// A recorder adds up what was due within the measured time. Safe for concurrent
// use.
type recorder struct {
	from    time.Time // what is due before is warm-up
	planned time.Time // end of the sending, if it is not stopped

	mu       sync.Mutex
	to       time.Time // planned, or when it was stopped
	all      *hdrhistogram.Histogram
	requests int64 // due within the measured time
	ended    int64 // of these
	ok       int64 // of these
	answered int64 // OK within the measured time, whenever they were due
	errors   map[string]int64
	late     time.Duration // longest time that a request was sent after it was due

	last   *hdrhistogram.Histogram // of this second, warm-up included
	failed int64                   // of this second
	inAir  int64
}

func newRecorder(from, to time.Time) *recorder {
	return &recorder{from: from, planned: to, to: to, all: newHistogram(), last: newHistogram(), errors: make(map[string]int64)}
}

// stop ends the measured time early.
func (r *recorder) stop(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now.Before(r.to) {
		r.to = now
	}
}

// due counts a request that should be sent at due and is sent now.
func (r *recorder) due(due, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.inAir++
	if !due.Before(r.from) {
		r.requests++
		r.late = max(r.late, now.Sub(due))
	}
}

// done counts its outcome. Only replies that are OK have a latency.
func (r *recorder) done(due, now time.Time, err error) {
	took := min(max(now.Sub(due), 0), latencyMax).Microseconds()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.inAir--
	measured := !due.Before(r.from)
	if measured {
		r.ended++
	}
	if err != nil {
		r.failed++
		if measured {
			r.errors[codeOf(err)]++
		}
		return
	}
	_ = r.last.RecordValue(took) // it is within the bounds
	if measured {
		r.ok++
		_ = r.all.RecordValue(took)
	}
	if !now.Before(r.from) && now.Before(r.to) {
		r.answered++
	}
}

func codeOf(err error) string {
	var e *client.Error
	if errors.As(err, &e) {
		return e.Code.String()
	}
	return "OTHER"
}

// A Second is what the last second was like.
type Second struct {
	Elapsed  time.Duration
	Warmup   bool
	OK       int64
	Errors   int64
	P50, P99 time.Duration // of what was answered OK in it
	InAir    int64         // sent, no outcome yet
}

// second takes what has come since the last call.
func (r *recorder) second(elapsed time.Duration) Second {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := Second{
		Elapsed: elapsed, Warmup: time.Now().Before(r.from), OK: r.last.TotalCount(), Errors: r.failed,
		P50: at(r.last, 50), P99: at(r.last, 99), InAir: r.inAir,
	}
	r.last.Reset()
	r.failed = 0
	return s
}

func at(h *hdrhistogram.Histogram, percentile float64) time.Duration {
	if h.TotalCount() == 0 {
		return 0
	}
	return time.Duration(h.ValueAtPercentile(percentile)) * time.Microsecond
}

// result is all of it.
func (r *recorder) result(cfg *Config, clients int) *Result {
	r.mu.Lock()
	defer r.mu.Unlock()
	res := &Result{
		Service: cfg.Service, Size: len(cfg.Body), Clients: clients, Window: cfg.Window, Rate: cfg.Rate,
		Warmup: cfg.Warmup, Measured: max(r.to.Sub(r.from), 0), Stopped: r.to.Before(r.planned),
		Requests: r.requests, OK: r.ok, Unfinished: r.requests - r.ended, Errors: r.errors, LateMax: r.late,
		P50: at(r.all, 50), P90: at(r.all, 90), P99: at(r.all, 99), P999: at(r.all, 99.9), P9999: at(r.all, 99.99), Max: at(r.all, 100),
	}
	if cfg.Rate > 0 {
		res.Window = 0
	}
	if r.all.TotalCount() > 0 {
		res.Mean = time.Duration(r.all.Mean() * float64(time.Microsecond))
	}
	if s := res.Measured.Seconds(); s > 0 {
		res.Throughput = float64(r.answered) / s
	}
	return res
}
