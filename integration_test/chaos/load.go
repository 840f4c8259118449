package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/privateer-mq/privateer/client"
	"github.com/privateer-mq/privateer/integration_test/chaos/history"
)

// A load asks for requests at a fixed rate, whatever becomes of them, and
// writes down what does.
type load struct {
	asker   asker
	history *history.Writer
	name    string
	every   time.Duration
	random  *rand.Rand // of the goroutine that draws requests
	drawn   int

	under sync.WaitGroup // requests without an outcome
	end   context.CancelFunc
	ended chan struct{}
}

func newLoad(a asker, w *history.Writer, name string, rate int, seed uint64) *load {
	return &load{asker: a, history: w, name: name, every: time.Second / time.Duration(rate),
		random: rand.New(rand.NewPCG(seed, 0))}
}

// A question is one request that was drawn.
type question struct {
	order
	class    string
	deadline time.Duration
	withdraw time.Duration // after that its context is cancelled; 0: not
	body     []byte
}

const paddingMax = 2048 // bytes

// draw draws the next request of a load.
func (l *load) draw() question {
	q := question{class: history.Generous, deadline: generousTime}
	q.Once = l.drawn%8 == 7
	switch n := l.random.IntN(100); {
	case n < 85:
		q.Work = between(l.random, 0, 50*ms)
	case n < 95:
		q.Work, q.Progress = between(l.random, 50*ms, 300*ms), true
	default:
		q.Work = between(l.random, 300*ms, 1000*ms)
	}
	switch l.random.IntN(12) {
	case 0:
		q.class, q.deadline = history.Short, between(l.random, 50*ms, 600*ms)
	case 1:
		q.class, q.withdraw = history.Withdrawn, between(l.random, 1*ms, 400*ms)
	}
	l.seal(&q)
	return q
}

// seal names a request and makes its body.
func (l *load) seal(q *question) {
	l.drawn++
	q.Key = fmt.Sprintf("%s-%d", l.name, l.drawn)
	padding := make([]byte, l.random.IntN(paddingMax))
	for i := range padding {
		padding[i] = byte(l.random.Uint32())
	}
	q.body = q.encode(padding)
}

// begin starts the load.
func (l *load) begin(ctx context.Context) {
	running, end := context.WithCancel(ctx)
	l.end, l.ended = end, make(chan struct{})
	go func() {
		defer close(l.ended)
		// A tick that this process missed, because it was frozen, is not made
		// up for.
		tick := time.NewTicker(l.every)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				q := l.draw()
				l.under.Go(func() { l.ask(ctx, q) })
			case <-running.Done():
				return
			}
		}
	}()
}

// stop ends the load, and returns when every request has its outcome.
func (l *load) stop() {
	if l.end != nil {
		l.end()
		<-l.ended
	}
	l.under.Wait()
}

// burst asks for n requests at once, and returns when each has its outcome.
func (l *load) burst(ctx context.Context, class string, n int) {
	for range n {
		q := question{class: class, deadline: probeTime, order: order{Work: between(l.random, 20*ms, 50*ms)}}
		l.seal(&q)
		l.under.Go(func() { l.ask(ctx, q) })
	}
	l.under.Wait()
}

// ask asks for one request and waits for its outcome.
func (l *load) ask(ctx context.Context, q question) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	l.history.Add(history.Event{Kind: history.Submit, Key: q.Key, Class: q.class, Once: q.Once, Span: int64(q.deadline), Want: digest(q.body)})
	if q.withdraw > 0 {
		timer := time.AfterFunc(q.withdraw, func() {
			l.history.Add(history.Event{Kind: history.Cancel, Key: q.Key})
			cancel()
		})
		defer timer.Stop()
	}
	reply, err := l.asker.Do(ctx, client.Request{Service: service, Body: q.body, Deadline: q.deadline, AtMostOnce: q.Once})
	o := history.Event{Kind: history.Outcome, Key: q.Key, ID: reply.ID.String(), Code: "OK", Tries: reply.Tries, Attempt: reply.Attempt, Got: string(reply.Body())}
	var e *client.Error
	switch {
	case errors.As(err, &e):
		o.ID, o.Code, o.Certainty, o.Tries, o.Attempt, o.How = e.ID.String(), e.Code.String(), e.Certainty.String(), e.Tries, e.Attempt, e.Error()
	case err != nil: // none is promised but *client.Error
		o.Code, o.How = "?", err.Error()
	}
	l.history.Add(o)
}
