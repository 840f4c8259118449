package link

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// network is all the memory links of the process. One lock guards every link,
// wire and queue: the links of two hosts share their queues, and nothing is
// done under the lock but moving pointers.
var network = struct {
	sync.Mutex
	bound     map[string]*memoryLink // routers by name
	alive     map[uint64]*Process    // by number
	processes uint64                 // ever made
}{bound: map[string]*memoryLink{}, alive: map[uint64]*Process{}}

// generated counts the routing ids given to peers that bring none.
var generated atomic.Uint32

// memoryHost implements Host for mem:// endpoints.
//
// It has no goroutine. Whatever is due at a time (a delayed message, a next
// attempt to connect) is done by the owner inside Wait, Recv and Send, which
// is why it runs in virtual time within a synctest bubble.
type memoryHost struct {
	signal chan struct{} // one slot: "look again"
	woken  atomic.Bool   // Wake was called and no Wait returned for it yet
	timer  *time.Timer   // the owner's, for Wait; nil until it first blocks

	// Guarded by network's lock.
	links   []*memoryLink
	opened  uint64   // links ever opened, to give each its own random numbers
	process *Process // nil for a host that nobody kills or freezes
	closed  bool
}

// NewMemory returns a Host for mem://name endpoints, which connect the loops
// of one process. It behaves as ZeroMQ does (ROUTER with MANDATORY, DEALER
// and REQ with IMMEDIATE), with two differences: one owner's inactivity delays
// its own reconnecting, and messages of several peers are read in the order in
// which they arrived.
//
// Routers own their names within the process; a dealer may be opened first and
// keeps trying. A connecting endpoint may ask for seeded faults:
//
//	mem://name?seed=1&loss=0.01&delay=5ms&dup=0.01&cut=0.001
//
// loss, dup and cut are probabilities per message and direction: a message
// vanishes, arrives twice, or breaks the connection with everything unread on
// it. delay is how long each message is under way; their order is kept. The
// n-th link that a host opens draws the same faults in every run; give each
// host its own seed. A key "process" makes the host one of that Process.
//
// Inside a testing/synctest bubble, call NewMemory within the bubble.
func NewMemory() Host {
	return &memoryHost{signal: make(chan struct{}, 1)}
}

// Open makes a link. A Router owns its names from here on; the others make
// their first attempt to connect in the next Wait or Recv.
func (h *memoryHost) Open(o Options) (Link, error) {
	o, err := o.Checked()
	if err != nil {
		return nil, err
	}
	l := &memoryLink{host: h, options: o, addr: o.Endpoints[len(o.Endpoints)-1]}
	l.options.Identity = slices.Clone(o.Identity)
	for _, endpoint := range o.Endpoints {
		name, f, err := parseMemory(o.Role, endpoint)
		if err != nil {
			return nil, err
		}
		l.names, l.faults = append(l.names, name), f
		if o.Role == Router {
			l.addr = memoryScheme + name
		}
	}

	h.enter()
	defer network.Unlock()
	if h.closed {
		return nil, fmt.Errorf("%s %s: %w", o.Role.Verb(), l.addr, ErrClosed)
	}
	if l.faults.process != 0 {
		if err := h.join(l.faults.process); err != nil {
			return nil, fmt.Errorf("%s %s: %w", o.Role.Verb(), l.addr, err)
		}
	}
	if o.Role == Router {
		if err := l.bind(); err != nil {
			return nil, err
		}
	} else {
		l.retryAt, l.retryWait = time.Now(), o.ReconnectMin
	}
	l.stream = h.opened
	h.opened++
	h.links = append(h.links, l)
	return l, nil
}

// Recycle implements Host: what is sent is copied once, and is not written over.
func (h *memoryHost) Recycle([][]byte) {}

// Wait implements Host. In virtual time it returns at the very instant at
// which something is to be read, or at which d has passed.
func (h *memoryHost) Wait(d time.Duration) error {
	end := time.Now().Add(max(d, 0))
	for {
		now, ready, next, err := h.look()
		if err != nil {
			return err
		}
		if h.woken.Swap(false) || ready || !now.Before(end) {
			return nil
		}
		if next.IsZero() || next.After(end) {
			next = end
		}
		h.sleep(next.Sub(now))
	}
}

// look does what is due now on every link. It reports whether something can
// be read, and if not, when something next becomes due (zero: never).
func (h *memoryHost) look() (now time.Time, ready bool, next time.Time, err error) {
	h.enter()
	defer network.Unlock()
	now = time.Now()
	if h.closed {
		return now, false, next, ErrClosed
	}
	for _, l := range h.links {
		l.connect(now)
		due, any := l.due(now)
		if any && !due.After(now) {
			return now, true, now, nil
		}
		if any && (next.IsZero() || due.Before(next)) {
			next = due
		}
		if l.connecting() && (next.IsZero() || l.retryAt.Before(next)) {
			next = l.retryAt
		}
	}
	return now, false, next, nil
}

// sleep blocks for d or until the next signal.
func (h *memoryHost) sleep(d time.Duration) {
	if h.timer == nil {
		h.timer = time.NewTimer(d)
	} else {
		h.timer.Reset(d)
	}
	select {
	case <-h.signal:
		h.timer.Stop()
	case <-h.timer.C:
	}
}

// ring makes the owner look again. It never blocks.
func (h *memoryHost) ring() {
	select {
	case h.signal <- struct{}{}:
	default: // a signal that nobody has taken yet serves for this one too
	}
}

// Wake implements Host.
func (h *memoryHost) Wake() {
	h.woken.Store(true)
	h.ring()
}

// Close implements Host. It never blocks.
func (h *memoryHost) Close() error {
	h.enter()
	defer network.Unlock()
	h.close(time.Now(), true)
	return nil
}

// close closes the links and the host. Without linger, what is under way is lost.
func (h *memoryHost) close(now time.Time, linger bool) {
	h.closed = true
	for _, l := range slices.Clone(h.links) {
		if !linger {
			l.options.Linger = 0
		}
		l.close(now)
	}
	if h.process != nil {
		h.process.hosts = slices.DeleteFunc(h.process.hosts, func(other *memoryHost) bool { return other == h })
	}
}
