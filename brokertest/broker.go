package brokertest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/privateer-mq/privateer/broker"
	"github.com/privateer-mq/privateer/client"
	"github.com/privateer-mq/privateer/internal/direct"
	"github.com/privateer-mq/privateer/internal/link"
)

const (
	awaitMax   = time.Minute      // WaitWorkers
	handlerMax = 10 * time.Second // Cleanup, for handlers to return
)

// made counts the brokers, to name their endpoints.
var made atomic.Uint64

// A Broker is a broker that runs within a test, and what was started beside it.
// Its methods are safe for concurrent use; those that can end the test with
// t.Fatal (New, Restart, WaitWorkers, and what makes clients and workers) are for
// the test's own goroutine.
type Broker struct {
	t           testing.TB
	cfg         broker.Config
	network     Network
	front, back string

	running sync.WaitGroup // goroutines of this package

	mu      sync.Mutex
	process *process // nil when killed
	last    *broker.Broker
	peers   uint64 // clients and workers ever made
	clients []io.Closer
	workers []*Worker
	closed  bool
}

// A process is one run of the broker or of a worker.
type process struct {
	*link.Process
	stop  context.CancelFunc // SIGTERM
	ended chan struct{}      // closed when Run has returned
	err   error              // after ended: what it returned
}

func (p *process) hasEnded() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// New starts a broker and returns when its endpoints are bound. The test's
// Cleanup closes the clients that were made of it, kills its workers and itself,
// and waits until all of their goroutines have ended.
//
// Within a testing/synctest bubble, call it within the bubble.
func New(t testing.TB, options ...Option) *Broker {
	t.Helper()
	n := made.Add(1)
	b := &Broker{t: t, front: fmt.Sprintf("mem://brokertest-%d-front", n), back: fmt.Sprintf("mem://brokertest-%d-back", n)}
	for _, o := range options {
		o(b)
	}
	t.Cleanup(b.close)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.start()
	return b
}

// start starts the broker, with b.mu held.
func (b *Broker) start() {
	b.t.Helper()
	b.mustBeOpen()
	p := &process{Process: link.NewProcess(), ended: make(chan struct{})}
	cfg := b.cfg
	cfg.Frontends, cfg.Backends = []string{p.Endpoint(b.front)}, []string{p.Endpoint(b.back)}
	made, err := broker.New(cfg)
	if err != nil {
		p.Process.Kill()
		b.t.Fatalf("brokertest: %v", err)
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	p.stop = stop
	b.running.Go(func() {
		p.err = made.Run(ctx)
		close(p.ended)
	})
	select {
	case <-made.Ready():
		b.process, b.last = p, made
	case <-p.ended:
		p.end()
		b.t.Fatalf("brokertest: %v", p.err)
	}
}

// end kills p and waits until it has ended.
func (p *process) end() {
	p.Process.Kill()
	p.stop()
	<-p.ended
}

// close is New's Cleanup.
func (b *Broker) close() {
	b.t.Helper()
	b.mu.Lock()
	clients, workers := b.clients, b.workers
	b.clients, b.workers, b.closed = nil, nil, true
	b.mu.Unlock()
	b.Thaw() // or clients would wait for its answer
	for _, c := range clients {
		if err := c.Close(); err != nil {
			b.t.Errorf("brokertest: closing a client: %v", err)
		}
	}
	for _, w := range workers {
		w.Kill()
	}
	b.Kill()
	all := make(chan struct{})
	go func() {
		b.running.Wait()
		close(all)
	}()
	patience := time.NewTimer(handlerMax)
	defer patience.Stop()
	select {
	case <-all:
	case <-patience.C:
		b.t.Errorf("brokertest: a handler has not returned %v after its worker was killed: it must return when its context ends", handlerMax)
	}
}

// Endpoints are the broker's, for clients and for workers of your own making:
// Config.Brokers of package client and of package worker. They stay the same
// when the broker is restarted. Such clients and workers are not ended by the
// Cleanup, and see none of WithNetwork's faults.
func (b *Broker) Endpoints() (front, back string) { return b.front, b.back }

// Broker returns the broker.Broker that runs, or ran last: for its dead letters,
// say. Restart makes another one.
func (b *Broker) Broker() *broker.Broker {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.last
}

// Stats asks the broker how things stand; a killed one says nothing, and ends
// the test. It blocks while the broker is frozen.
func (b *Broker) Stats() broker.Stats {
	b.t.Helper()
	s, err := b.Broker().Stats()
	if err != nil {
		b.t.Fatalf("brokertest: Stats: %v", err)
	}
	return s
}

// Client returns a client of the broker, with the default configuration. The
// Cleanup closes it.
func (b *Broker) Client() *client.Client {
	b.t.Helper()
	return b.ClientConfig(client.Config{})
}

// ClientConfig is Client with a configuration, whose Brokers are not used. One
// that is out of bounds ends the test.
func (b *Broker) ClientConfig(cfg client.Config) *client.Client {
	b.t.Helper()
	return connect(b, cfg, client.New)
}

// Pipeline returns a pipeline to the broker, with the default configuration.
// The Cleanup closes it.
func (b *Broker) Pipeline() *client.Pipeline {
	b.t.Helper()
	return b.PipelineConfig(client.Config{})
}

// PipelineConfig is Pipeline with a configuration, whose Brokers are not used.
// One that is out of bounds ends the test.
func (b *Broker) PipelineConfig(cfg client.Config) *client.Pipeline {
	b.t.Helper()
	return connect(b, cfg, client.NewPipeline)
}

// connect makes a client of either kind.
func connect[C io.Closer](b *Broker, cfg client.Config, open func(client.Config) (C, error)) C {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.mustBeOpen()
	cfg.Brokers = []string{b.front + b.query()}
	c, err := open(cfg)
	if err != nil {
		b.t.Fatalf("brokertest: %v", err)
		return c
	}
	b.clients = append(b.clients, c)
	return c
}

// mustBeOpen ends the test where the Cleanup has begun: what is made or started
// now would be left behind. b.mu is held.
func (b *Broker) mustBeOpen() {
	b.t.Helper()
	if b.closed {
		b.t.Fatalf("brokertest: the test is over: nothing can be started any more")
	}
}

// query is what the next client or worker adds to its endpoint, with b.mu held.
func (b *Broker) query() string {
	b.peers++
	return b.network.query(b.peers)
}

// Kill ends the broker as SIGKILL does: its connections end at this instant, and
// nobody is told why. What it held is gone with it; clients ask again, under the
// same ids, and workers keep what they run and have finished. It returns when the
// broker has ended, and has no effect on one that is killed.
func (b *Broker) Kill() {
	b.mu.Lock()
	p := b.process
	b.process = nil
	b.mu.Unlock()
	if p != nil {
		p.end()
	}
}

// Restart starts the broker again, on the same endpoints, with an empty memory
// and a new epoch. One that still runs is killed first. What may have been sent
// before waits for the workers' claims until the recovery window has passed
// (broker.Config.RecoveryWindow: 8 s with the default heartbeat).
func (b *Broker) Restart() {
	b.t.Helper()
	b.Kill()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.process == nil { // nobody else was faster
		b.start()
	}
}

// Freeze stops the broker as SIGSTOP does: it neither reads nor sends, and its
// clock runs on. Until Thaw, Stats and everything else that asks it blocks. It
// has no effect on a broker that is frozen or killed.
func (b *Broker) Freeze() { b.each(func(p *process) { p.Freeze() }) }

// Thaw lets a frozen broker go on, as SIGCONT does.
func (b *Broker) Thaw() { b.each(func(p *process) { p.Thaw() }) }

func (b *Broker) each(f func(*process)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.process != nil {
		f(b.process)
	}
}

// WaitWorkers blocks until the broker knows exactly n live workers of service: n
// have joined, or all but n are known to be lost or have said good-bye. A frozen
// worker counts until its silence has lasted for liveness (3 s). The test ends
// if that has not come within a minute.
func (b *Broker) WaitWorkers(service string, n int) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), awaitMax)
	defer cancel()
	var live atomic.Int64
	err := direct.AwaitWorkers(ctx, b.Broker(), service, func(now int) bool {
		live.Store(int64(now))
		return now == n
	})
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		b.t.Fatalf("brokertest: %d live workers of %s after %v; want %d", live.Load(), service, awaitMax, n)
	case err != nil:
		b.t.Fatalf("brokertest: waiting for workers of %s: %v", service, err)
	}
}
