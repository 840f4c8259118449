// Package bench measures a broker: how many requests a second are answered, and
// how long each takes.
//
// A closed loop keeps a number of requests in the air, so it slows down when
// the broker does: it finds the highest throughput, and flatters the latencies.
// An open loop sends at a rate, whatever comes back, and counts each latency
// from when its request should have been sent: a stall shows in all requests
// that it would have held up (no coordinated omission).
package bench

import (
	"cmp"
	"context"
	"sync"
	"time"

	"github.com/privateer-mq/privateer/client"
)

// An Asker sends a request and waits for its outcome, as client.Pipeline does.
type Asker interface {
	Do(context.Context, client.Request) (client.Reply, error)
}

// Config says what is measured.
type Config struct {
	Service  string
	Body     []byte
	Rate     int           // requests a second, all askers together; 0 is a closed loop
	Window   int           // closed loop: requests in the air, for each asker
	Warmup   time.Duration // not measured
	Duration time.Duration
	// InFlight bounds the requests in the air of an open loop, all askers
	// together. At the bound they are sent late, and counted from when they
	// were due. Default InFlightMax.
	InFlight int
	// Progress is told what the last second was like. May be nil. Not called
	// concurrently.
	Progress func(Second)
}

// InFlightMax is the default of Config.InFlight.
const InFlightMax = 100_000

// A run is one measurement.
type run struct {
	ctx    context.Context
	cfg    Config
	askers []Asker
	begin  time.Time
	rec    *recorder
	asking sync.WaitGroup
}

// Run measures, for cfg.Warmup + cfg.Duration and the time that the last
// requests take. When ctx ends it ends early, and what is under way is
// withdrawn and counted as unfinished.
func Run(ctx context.Context, askers []Asker, cfg Config) *Result {
	cfg.InFlight = cmp.Or(cfg.InFlight, InFlightMax)
	begin := time.Now()
	from := begin.Add(cfg.Warmup)
	r := &run{ctx: ctx, cfg: cfg, askers: askers, begin: begin, rec: newRecorder(from, from.Add(cfg.Duration))}
	stop := context.AfterFunc(ctx, func() { r.rec.stop(time.Now()) })
	defer stop()
	over := make(chan struct{})
	reported := make(chan struct{})
	go func() {
		defer close(reported)
		r.progress(over)
	}()
	if cfg.Rate > 0 {
		r.open()
	} else {
		r.closed()
	}
	r.asking.Wait()
	close(over)
	<-reported
	if ctx.Err() != nil {
		r.rec.stop(time.Now())
	}
	return r.rec.result(&cfg, len(askers))
}

// closed lets each asker keep a window of requests in the air.
func (r *run) closed() {
	for _, a := range r.askers {
		for range r.cfg.Window {
			r.asking.Go(func() {
				for r.ctx.Err() == nil {
					now := time.Now()
					if !now.Before(r.rec.planned) {
						return
					}
					r.rec.due(now, now)
					r.ask(a, now)
				}
			})
		}
	}
}

// open sends each request when it is due, and those that could not be sent then
// as soon as they can.
func (r *run) open() {
	places := make(chan struct{}, r.cfg.InFlight)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for i := 0; ; i++ {
		due := r.begin.Add(dueAfter(i, r.cfg.Rate))
		if !due.Before(r.rec.planned) {
			return
		}
		if wait := time.Until(due); wait > 0 {
			timer.Reset(wait)
			select {
			case <-timer.C:
			case <-r.ctx.Done():
				return
			}
		}
		select {
		case places <- struct{}{}:
		case <-r.ctx.Done():
			r.unsent(i)
			return
		}
		r.rec.due(due, time.Now())
		r.asking.Go(func() {
			r.ask(r.askers[i%len(r.askers)], due)
			<-places
		})
	}
}

// dueAfter is when request i is due, after the beginning.
func dueAfter(i, rate int) time.Duration {
	return time.Duration(i/rate)*time.Second + time.Duration(i%rate)*time.Second/time.Duration(rate)
}

// unsent counts what was due before the run was stopped, from request i on.
func (r *run) unsent(i int) {
	now := time.Now()
	for ; ; i++ {
		due := r.begin.Add(dueAfter(i, r.cfg.Rate))
		if due.After(now) || !due.Before(r.rec.planned) {
			return
		}
		r.rec.due(due, now)
	}
}

// ask sends one request, which was due then.
func (r *run) ask(a Asker, due time.Time) {
	_, err := a.Do(r.ctx, client.Request{Service: r.cfg.Service, Body: r.cfg.Body})
	if err != nil && r.ctx.Err() != nil {
		return // withdrawn: it stays unfinished
	}
	r.rec.done(due, time.Now(), err)
}

// progress reports each second until over.
func (r *run) progress(over <-chan struct{}) {
	if r.cfg.Progress == nil {
		return
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			r.cfg.Progress(r.rec.second(now.Sub(r.begin)))
		case <-over:
			return
		}
	}
}
