// Package zmtplink is the link in Go: it speaks ZMTP to every ZeroMQ peer over
// tcp:// and ipc:// endpoints, without libzmq and without cgo.
//
// Each connection has one goroutine, which waits in Go's netpoller, reads and
// parses. The owner's goroutine takes messages out of queues and writes to the
// sockets itself; only what does not fit there waits for another goroutine. The
// owner of Routers reads, too, where it can (see poller), and no goroutine is left.
// Everything that waits has a bound (see link.Options).
//
// Locks: host.mu before socket.mu before conn.way; poller.mu and memory.mu are the
// innermost; socket.mu and outgoing.mu are never held together. Nothing is called
// back, and nothing waits, under a lock.
package zmtplink

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/privateer-mq/privateer/internal/link"
	"github.com/privateer-mq/privateer/internal/link/endpoint"
)

const (
	handshakeTimeout = 5 * time.Second // a peer that connects and says nothing
	closeGrace       = time.Second     // beyond the longest Linger, for goroutines to end
)

// host implements link.Host.
type host struct {
	arrived   func()
	handshake time.Duration // for one, at most
	askEach   time.Duration // between two looks at who holds a routing id
	memory    memory
	ready     atomic.Int64 // links that have something to read
	poller    *poller      // nil: each connection has a goroutine
	resolver  *net.Resolver

	woken    atomic.Bool // Wake was called and no Wait returned for it yet
	sleeping atomic.Bool // the owner waits for signal
	signal   chan struct{}
	timer    *time.Timer // the owner's, for Wait; nil until it first blocks

	running sync.WaitGroup // goroutines

	mu      sync.Mutex // of what follows
	sockets []*socket
	linger  time.Duration // the longest of any link so far
	idle    map[string]idle
	closed  bool
}

// New returns a host.
//
// arrived, if not nil, is called when a link may have something to read that
// was not there before. It is called by the goroutine that has read it, one for
// each connection, with no lock held: it may use the host and its links, if it
// makes sure that one goroutine at a time does. It should return soon, for its
// connection is not read meanwhile. Wait and Wake work with and without it.
func New(arrived func()) link.Host {
	h := &host{arrived: arrived, handshake: handshakeTimeout, askEach: askEach, resolver: newResolver(), signal: make(chan struct{}, 1), idle: map[string]idle{}}
	if arrived == nil {
		h.poller = newPoller()
	}
	return h
}

// Open makes a link. tcp://address:0 and tcp://address:* bind any free port;
// Addr then tells which.
func (h *host) Open(o link.Options) (link.Link, error) {
	o, err := o.Checked()
	if err != nil {
		return nil, err
	}
	targets := make([]endpoint.Target, len(o.Endpoints))
	for i, given := range o.Endpoints {
		if targets[i], err = endpoint.Parse(o.Role, given); err != nil {
			return nil, err
		}
	}
	o.Endpoints, o.Identity = slices.Clone(o.Endpoints), slices.Clone(o.Identity)
	if len(o.Identity) > 0 && o.Identity[0] == 0 {
		return nil, fmt.Errorf("open %s link: Identity begins with a zero byte, as only the ids do that a ROUTER makes", o.Role)
	}
	s := newSocket(h, o)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, fmt.Errorf("%s %s: %w", o.Role.Verb(), o.Endpoints[0], link.ErrClosed)
	}
	if o.Role == link.Router {
		if err := s.bind(targets); err != nil {
			return nil, err
		}
	} else {
		s.addr = targets[0].Given
		h.running.Add(1)
		go s.connect(targets[0])
	}
	h.sockets = append(h.sockets, s)
	h.linger = max(h.linger, o.Linger)
	return s, nil
}

// forget takes a closed link off the list.
func (h *host) forget(s *socket) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sockets = slices.DeleteFunc(h.sockets, func(other *socket) bool { return other == s })
}

// tell lets the owner know that there is something to read.
func (h *host) tell() {
	if h.arrived != nil {
		h.arrived()
	}
	h.ring()
}

// ring makes a waiting owner look again. It never blocks.
func (h *host) ring() {
	if !h.sleeping.Load() {
		return // it looks before it sleeps
	}
	if h.poller != nil {
		h.poller.ring()
		return
	}
	select {
	case h.signal <- struct{}{}:
	default: // a signal that nobody has taken yet serves for this one too
	}
}

// Wake implements link.Host.
func (h *host) Wake() {
	h.woken.Store(true)
	h.ring()
}

// Recycle implements link.Host. It is safe for any goroutine.
func (h *host) Recycle(frames [][]byte) { h.memory.recycle(frames) }

// Wait implements link.Host.
func (h *host) Wait(d time.Duration) error {
	if h.isClosed() {
		return link.ErrClosed
	}
	if h.poller != nil {
		h.lookFor(d)
		return nil
	}
	if h.woken.Swap(false) || h.ready.Load() > 0 || d <= 0 {
		return nil
	}
	if h.timer == nil {
		h.timer = time.NewTimer(d)
	} else {
		h.timer.Reset(d)
	}
	defer h.timer.Stop()
	for {
		h.sleeping.Store(true)
		if h.woken.Swap(false) || h.ready.Load() > 0 {
			h.sleeping.Store(false)
			return nil
		}
		select {
		case <-h.signal:
		case <-h.timer.C:
			h.sleeping.Store(false)
			return nil
		}
	}
}

// lookFor is Wait with a poller. It always looks: that is how what has come is
// read.
func (h *host) lookFor(d time.Duration) {
	if d > 0 {
		h.sleeping.Store(true)
	}
	if h.woken.Swap(false) || h.ready.Load() > 0 || h.poller.pending.Load() {
		d = 0
	}
	h.poller.look(max(d, 0))
	h.sleeping.Store(false)
	h.woken.Store(false)
}

// lookAgain looks once more, if there was no look since the one that seen is the
// number of, or the last one may have left a connection out that has something to
// read. It reports whether it did.
func (h *host) lookAgain(seen uint64) bool {
	p := h.poller
	if p == nil || p.looks != seen && !p.unread {
		return false
	}
	p.look(0)
	return true
}

// looks is the number of the last look.
func (h *host) looks() uint64 {
	if h.poller == nil {
		return 0
	}
	return h.poller.looks
}

func (h *host) isClosed() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.closed
}

// Close implements link.Host.
func (h *host) Close() error {
	h.mu.Lock()
	closed, sockets, linger := h.closed, slices.Clone(h.sockets), h.linger
	h.closed = true
	h.mu.Unlock()
	if closed {
		return nil
	}
	var errs []error
	for _, s := range sockets {
		errs = append(errs, s.Close())
	}
	ended := make(chan struct{})
	go func() {
		h.running.Wait()
		close(ended)
	}()
	guard := time.NewTimer(linger + closeGrace)
	defer guard.Stop()
	select {
	case <-ended:
		if h.poller != nil {
			h.poller.close()
		}
	case <-guard.C: // and their descriptors stay open
		errs = append(errs, fmt.Errorf("connections did not end within %v", linger+closeGrace))
	}
	return errors.Join(errs...)
}
