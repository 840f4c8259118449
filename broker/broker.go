package broker

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/privateer-mq/privateer/internal/adminpage"
	"github.com/privateer-mq/privateer/internal/core"
	"github.com/privateer-mq/privateer/internal/link"
	"github.com/privateer-mq/privateer/internal/link/transport"
	"github.com/privateer-mq/privateer/protocol"
)

// ErrNotRunning is returned by methods that need a running broker.
var ErrNotRunning = errors.New("broker: not running")

// ErrNoDeadLetter is returned by Requeue and Drop for an id they do not know.
var ErrNoDeadLetter = errors.New("broker: no dead letter with that id")

// ErrNoRoom is returned by Requeue while the queue is full, or the broker drains: the
// dead letter stays where it is.
var ErrNoRoom = errors.New("broker: the queue is full, or the broker is shutting down")

// A Broker is one broker. Its methods are safe for concurrent use. Run may be
// called once.
type Broker struct {
	cfg    Config
	ran    atomic.Bool
	ready  chan struct{} // closed when both ports are bound
	drains chan struct{} // closed when Run has been told to end
	done   chan struct{} // closed when the loop turns no more
	asks   chan func(*loop)
	host   atomic.Pointer[link.Host]
	addrs  atomic.Pointer[[2]string]

	// For the admin listener.
	admin    atomic.Pointer[admin]
	metrics  *metrics     // nil where there is no listener
	page     http.Handler // what it shows at /
	started  time.Time
	epoch    atomic.Uint64
	ticked   atomic.Int64 // when the loop turned last, since started
	stopping atomic.Bool
	drain    context.CancelFunc
}

// New returns a broker, or an error that names the field of cfg that is out
// of bounds. Nothing is bound before Run.
func New(cfg Config) (*Broker, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	b := &Broker{cfg: cfg, ready: make(chan struct{}), drains: make(chan struct{}), done: make(chan struct{}), asks: make(chan func(*loop), 64)}
	if cfg.Admin != "" {
		b.metrics, b.page = newMetrics(b), adminpage.Handler()
	}
	return b, nil
}

// Run binds the ports and serves until ctx is done; then it drains: nothing
// new is taken (DRAINING), what is held may finish within Config.DrainTimeout,
// the workers are told. It returns nil after that, and an error if a port
// could not be bound.
func (b *Broker) Run(ctx context.Context) error {
	if b.ran.Swap(true) {
		return errors.New("broker: Run was called before; make a new Broker")
	}
	over := sync.OnceFunc(func() { close(b.done) })
	defer over()
	ctx, b.drain = context.WithCancel(ctx)
	defer b.drain()
	l, err := b.open()
	if err != nil {
		return err
	}
	defer b.admin.Load().close() // last of all
	stopping := context.AfterFunc(ctx, func() {
		b.stopping.Store(true)
		close(b.drains)
	})
	defer stopping()
	stop := context.AfterFunc(ctx, l.host.Wake)
	defer stop()
	err = l.run(ctx)
	over() // who asks is refused now: there is nobody to answer, though some have yet to be told
	return errors.Join(err, l.close())
}

// open binds both ports.
func (b *Broker) open() (*loop, error) {
	endpoints := append(append([]string(nil), b.cfg.Frontends...), b.cfg.Backends...)
	host, _, err := transport.For(b.cfg.Transport, nil, endpoints...)
	if err != nil {
		return nil, fmt.Errorf("broker: %w", err)
	}
	options := func(endpoints []string) link.Options {
		return link.Options{Role: link.Router, Endpoints: endpoints, SendMax: socketQueue, RecvMax: socketQueue,
			FrameBytesMax: max(b.cfg.MaxMessage+spareFrame, listFrameMax), Linger: linger, Lend: true,
			IPCMode: b.cfg.IPCMode, PeerBytesMax: b.cfg.MaxPeerBytes, LinkBytesMax: b.cfg.MaxLinkBytes / 2}
	}
	o := options(b.cfg.Frontends)
	o.Monitor = transport.Name(b.cfg.Transport) != "libzmq" // which cannot name whose connection it is about
	front, err := host.Open(o)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("broker: frontend: %w", err), host.Close())
	}
	o = options(b.cfg.Backends)
	o.Handover, o.Monitor = true, true
	o.SendMax = protocol.CreditMax + socketQueue // credit is the bound
	back, err := host.Open(o)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("broker: backend: %w", err), host.Close())
	}
	start := time.Now()
	l := &loop{b: b, cfg: &b.cfg, host: host, ports: [2]link.Link{front, back}, start: start, epoch: randomEpoch(), drops: map[core.What]uint64{},
		mute: map[string]struct{}{}, met: [2]map[string]protocol.ID{{}, {}},
		waits: failing{what: "waiting for messages"}, reads: [2]failing{{what: "reading at the front"}, {what: "reading at the back"}}}
	b.started = start
	b.epoch.Store(l.epoch)
	if b.cfg.Admin != "" {
		l.recorder = newRecorder(b.cfg.RecorderSteps)
	}
	a, err := openAdmin(b)
	if err != nil {
		return nil, errors.Join(err, host.Close())
	}
	b.admin.Store(a)
	l.decide()
	b.host.Store(&host)
	b.addrs.Store(&[2]string{front.Addr(), back.Addr()})
	close(b.ready)
	l.announce(front.Addr(), back.Addr())
	return l, nil
}

// Ready is closed once both ports are bound.
func (b *Broker) Ready() <-chan struct{} { return b.ready }

// Draining is closed once the broker begins to drain: Run's context is done, or
// the admin listener was asked to. It is not closed where Run ends by an error.
func (b *Broker) Draining() <-chan struct{} { return b.drains }

// Addrs are the endpoints bound last, for clients and for workers, with the
// port filled in where 0 was asked for. Empty before Ready.
func (b *Broker) Addrs() (frontend, backend string) {
	if a := b.addrs.Load(); a != nil {
		return a[0], a[1]
	}
	return "", ""
}

// AdminAddr is where the admin listener is bound, with the port filled in where
// 0 was asked for; empty where there is none, and before Ready.
func (b *Broker) AdminAddr() string {
	if a := b.admin.Load(); a != nil {
		return a.listener.Addr().String()
	}
	return ""
}

// ask runs f on the loop and waits for it.
func (b *Broker) ask(f func(*loop)) error {
	host := b.host.Load()
	if host == nil {
		return ErrNotRunning
	}
	answered := make(chan struct{})
	select {
	case b.asks <- func(l *loop) { f(l); close(answered) }:
	case <-b.done:
		return ErrNotRunning
	}
	(*host).Wake()
	select {
	case <-answered:
		return nil
	case <-b.done:
	}
	select { // it may have been answered in the last turn
	case <-answered:
		return nil
	default:
		return ErrNotRunning
	}
}

// A DeadLetter is a request that was given up after it had lost too many
// workers or used up its retries.
type DeadLetter struct {
	ID      protocol.ID
	Service string
	Code    protocol.Code // of the outcome its client got
	Reason  string
	Frames  [][]byte  // must not be changed
	Attempt int       // hand-overs in all
	Workers []string  // instances of the workers it was lost with, oldest first
	Since   time.Time // when it was given up
}

// DeadLetters lists the dead letters, oldest first. The caller owns the slice. It
// blocks until the broker's loop has answered, as Requeue, Drop and Stats do: for
// a turn. Error: ErrNotRunning.
func (b *Broker) DeadLetters() ([]DeadLetter, error) {
	var all []DeadLetter
	err := b.ask(func(l *loop) {
		for _, d := range l.core.DeadLetters() {
			letter := DeadLetter{ID: d.ID, Service: d.Service, Code: d.Code, Reason: d.Reason, Frames: d.Body,
				Attempt: int(d.Attempt), Since: l.start.Add(d.At)}
			for _, w := range d.Workers {
				letter.Workers = append(letter.Workers, workerName(w))
			}
			all = append(all, letter)
		}
	})
	return all, err
}

// Requeue queues a dead letter again, under the new id it returns: its outcome
// is kept for whoever asks by that id. Errors: ErrNotRunning, ErrNoDeadLetter,
// ErrNoRoom.
func (b *Broker) Requeue(id protocol.ID) (protocol.ID, error) {
	fresh := newID()
	found, queued := false, false
	if err := b.ask(func(l *loop) {
		info, _ := l.core.Find(l.now(), id)
		found = info.Dead
		if l.out, queued = l.core.RequeueDead(l.now(), id, fresh, l.out); queued {
			l.recorder.buried(id)
		}
		l.deliver()
	}); err != nil {
		return protocol.ID{}, err
	}
	switch {
	case !found:
		return protocol.ID{}, ErrNoDeadLetter
	case !queued:
		return protocol.ID{}, ErrNoRoom
	}
	return fresh, nil
}

// Drop forgets a dead letter. Errors: ErrNotRunning, ErrNoDeadLetter.
func (b *Broker) Drop(id protocol.ID) error {
	found := false
	if err := b.ask(func(l *loop) {
		if found = l.core.DropDead(id); found {
			l.recorder.buried(id)
		}
	}); err != nil {
		return err
	}
	if !found {
		return ErrNoDeadLetter
	}
	return nil
}

// randomEpoch draws the number of this start. It is never 0, which on the wire
// means "no epoch known".
func randomEpoch() uint64 {
	var b [8]byte
	for {
		if _, err := rand.Read(b[:]); err != nil {
			panic("broker: no randomness: " + err.Error())
		}
		if e := binary.BigEndian.Uint64(b[:]); e != 0 {
			return e
		}
	}
}

func newID() protocol.ID {
	id, err := uuid.NewV7()
	if err != nil {
		panic("broker: no randomness: " + err.Error())
	}
	return protocol.ID(id)
}

func workerName(instance uint64) string { return fmt.Sprintf("%016x", instance) }

// What a port lends and what the core copies is one rule.
var _ = [1]struct{}{}[core.LentMax-link.LentMax]
