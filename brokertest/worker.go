package brokertest

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/privateer-mq/privateer/internal/link"
	"github.com/privateer-mq/privateer/worker"
)

// ErrKilled is the cause with which the context of a handler ends when its
// worker is killed: context.Cause(ctx).
var ErrKilled = errors.New("brokertest: the worker was killed")

// A Worker is a worker.Worker that runs within a test, and that can be started
// again. Its methods are safe for concurrent use, and a handler may call those
// of its own worker, but for Stop, which waits for handlers.
type Worker struct {
	b       *Broker
	cfg     worker.Config
	handler worker.Handler

	mu  sync.Mutex
	run *run // the newest one
}

// A run is a worker from its start to its end.
type run struct {
	process
	worker  *worker.Worker
	handler worker.Handler
	leaving atomic.Bool   // it was killed or stopped
	back    chan struct{} // has room for one: a handler has returned

	mu       sync.Mutex
	killed   bool
	running  map[*worker.Request]context.CancelCauseFunc
	returned uint64 // handlers
}

// Worker starts a worker that serves service with h, one request at a time. It
// does not wait until the worker has joined the broker: a request waits for it
// anyhow, and so does Broker.WaitWorkers. The Cleanup kills it.
func (b *Broker) Worker(service string, h worker.Handler) *Worker {
	b.t.Helper()
	return b.WorkerConfig(worker.Config{Services: []string{service}}, h)
}

// WorkerConfig is Worker with a configuration, whose Brokers are not used. One
// that is out of bounds ends the test.
func (b *Broker) WorkerConfig(cfg worker.Config, h worker.Handler) *Worker {
	b.t.Helper()
	cfg.Services = slices.Clone(cfg.Services)
	b.mu.Lock()
	defer b.mu.Unlock()
	cfg.Brokers = []string{b.back + b.query()}
	w := &Worker{b: b, cfg: cfg, handler: h}
	w.start()
	b.workers = append(b.workers, w)
	return w
}

// start starts the worker, with b.mu held.
func (w *Worker) start() {
	w.b.t.Helper()
	w.b.mustBeOpen()
	r := &run{process: process{Process: link.NewProcess(), ended: make(chan struct{})}, handler: w.handler,
		back: make(chan struct{}, 1), running: map[*worker.Request]context.CancelCauseFunc{}}
	cfg := w.cfg
	cfg.Brokers = []string{r.Endpoint(w.cfg.Brokers[0])}
	var h worker.Handler
	if w.handler != nil { // New has an error for that
		h = worker.Wrap(w.handler, r.Handle) // which offers what that offers
	}
	made, err := worker.New(cfg, h)
	if err != nil {
		r.Process.Kill()
		w.b.t.Fatalf("brokertest: %v", err)
		return
	}
	r.worker = made
	ctx, stop := context.WithCancel(context.Background())
	r.stop = stop
	w.mu.Lock()
	w.run = r
	w.mu.Unlock()
	w.b.running.Go(func() {
		r.err = made.Run(ctx)
		if r.err != nil && !r.leaving.Load() {
			w.b.t.Errorf("brokertest: a worker of %q has ended by itself: %v", cfg.Services, r.err)
		}
		close(r.ended)
		for r.handlersReturned() < made.Stats().Started {
			<-r.back
		}
	})
}

// Handle is the worker's handler: the user's, with a context that ends when the
// worker is killed.
func (r *run) Handle(ctx context.Context, q *worker.Request) ([][]byte, error) {
	ctx, cancel := r.enter(ctx, q)
	defer cancel(nil)
	defer r.leave(q)
	return r.handler.Handle(ctx, q)
}

func (r *run) enter(ctx context.Context, q *worker.Request) (context.Context, context.CancelCauseFunc) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.killed { // ctx has ended, or is about to, for a reason that comes of that
		ctx, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
		cancel(ErrKilled)
		return ctx, cancel
	}
	ctx, cancel := context.WithCancelCause(ctx)
	r.running[q] = cancel
	return ctx, cancel
}

func (r *run) leave(q *worker.Request) {
	r.mu.Lock()
	delete(r.running, q)
	r.returned++
	r.mu.Unlock()
	select {
	case r.back <- struct{}{}:
	default: // the one before was not taken yet
	}
}

func (r *run) handlersReturned() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.returned
}

// endContexts ends the contexts of all handlers.
func (r *run) endContexts() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.killed = true
	for _, cancel := range r.running {
		cancel(ErrKilled)
	}
}

func (w *Worker) newest() *run {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.run
}

// Kill ends the worker as SIGKILL does: at this instant its connection ends, and
// it neither reads nor sends any more. The broker is told nothing; it finds out
// from the connection, and hands on what the worker held after a grace of 50 ms.
//
// A goroutine cannot be killed: the contexts of running handlers end, with the
// cause ErrKilled, and whatever they return reaches nobody. What they do before
// that, they do, as a process that was killed a moment later. Kill does not wait
// for them; the Cleanup does. It has no effect on a worker that has ended.
func (w *Worker) Kill() {
	r := w.newest()
	r.leaving.Store(true)
	r.Freeze() // so that no handler that hears of it can answer
	r.endContexts()
	r.end()
}

// Freeze stops the worker as SIGSTOP does: it neither reads nor sends, starts no
// handler, and its clock runs on. Its connection stands, so that the broker finds
// out by its silence only, after liveness (3 s).
//
// Handlers that run already go on, as goroutines of their own, and end when they
// end; what they return stays in the worker until Thaw. It has no effect on a
// worker that is frozen or has ended.
func (w *Worker) Freeze() { w.newest().Freeze() }

// Thaw lets a frozen worker go on, as SIGCONT does: it reads what has come in
// meanwhile, and finds out from the clock that it stood still.
func (w *Worker) Thaw() { w.newest().Thaw() }

// Stop ends the worker as SIGTERM does, and returns what its Run returned: it
// takes nothing new, hands back what has not been started, gives running handlers
// worker.Config.DrainTimeout (10 s) to finish, and waits for the broker to have
// their replies, which it says within a heartbeat. A frozen worker is thawed
// first. Of a worker that has ended it returns the same again.
func (w *Worker) Stop() error {
	r := w.newest()
	r.leaving.Store(true)
	r.Thaw()
	r.stop()
	<-r.ended
	return r.err
}

// Restart starts the worker again, as another process with the same
// configuration and handler. One that still runs is killed first.
func (w *Worker) Restart() {
	w.b.t.Helper()
	w.Kill()
	w.b.mu.Lock()
	defer w.b.mu.Unlock()
	if w.newest().hasEnded() { // nobody else was faster
		w.start()
	}
}

// Running reports whether the worker runs, frozen or not: it was neither killed
// nor has it ended its drain.
func (w *Worker) Running() bool { return !w.newest().hasEnded() }

// Stats returns the counters since the worker was started last.
func (w *Worker) Stats() worker.Stats { return w.newest().worker.Stats() }
