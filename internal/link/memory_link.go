package link

import (
	"container/heap"
	"fmt"
	"slices"
	"time"
)

// eventsMax bounds the unread Connected and Disconnected of one link; further
// ones are dropped, since the reader learns nothing new from them.
const eventsMax = 1000

// memoryLink implements Link. Every field that changes after Open is guarded
// by network's lock.
type memoryLink struct {
	host    *memoryHost
	options Options
	addr    string
	names   []string
	faults  faults
	stream  uint64 // which of the host's random streams is this link's

	inbox  inbox
	held   Failures // of what was Put
	events int      // entries of inbox that are events
	closed bool

	wires []*wire          // Router: every connection, oldest first
	peers map[string]*wire // Router: those that can be sent to, by routing id

	wire      *wire         // Dealer, Req: the connection; nil while there is none
	retryAt   time.Time     // Dealer, Req: next attempt to connect
	retryWait time.Duration // Dealer, Req: wait after the next failed attempt
	attempts  uint64        // Dealer, Req: connections made so far
	gaveUp    bool          // Dealer, Req: will not connect again
	awaiting  bool          // Req: a request was sent and its reply not yet read
}

// bind takes the link's names, all or none.
func (l *memoryLink) bind() error {
	for i, name := range l.names {
		if network.bound[name] != nil || slices.Contains(l.names[:i], name) {
			return fmt.Errorf("bind %s: the name is already bound in this process: close the link that holds it, or choose another name", l.options.Endpoints[i])
		}
	}
	for _, name := range l.names {
		network.bound[name] = l
	}
	l.peers = map[string]*wire{}
	return nil
}

// connecting reports whether the link still looks for its router.
func (l *memoryLink) connecting() bool {
	return l.options.Role != Router && l.wire == nil && !l.closed && !l.gaveUp
}

// connect attempts to connect if it is time to.
func (l *memoryLink) connect(now time.Time) {
	if !l.connecting() || now.Before(l.retryAt) {
		return
	}
	if router := network.bound[l.names[0]]; router != nil {
		l.retryWait = l.options.ReconnectMin
		join(l, router, now)
		return
	}
	l.retryAt = now.Add(l.retryWait)
	l.retryWait = min(2*l.retryWait, max(l.options.ReconnectMax, l.options.ReconnectMin))
}

// due says when the first entry can be read; ok is false without one.
func (l *memoryLink) due(now time.Time) (at time.Time, ok bool) {
	for len(l.inbox) > 0 {
		e := l.inbox[0]
		if !l.vanished(e, now) {
			return e.due, true
		}
		l.pop()
	}
	return time.Time{}, false
}

// vanished reports whether e will never be read: its connection took it along,
// or it is a reply that this Req link does not await, which REQ discards.
func (l *memoryLink) vanished(e *entry, now time.Time) bool {
	if e.kind != Data {
		return false
	}
	unasked := l.options.Role == Req && !l.awaiting && !e.due.After(now)
	return unasked || (e.wire.broken && e.due.After(e.wire.keepUntil))
}

// pop takes the first entry off the inbox.
func (l *memoryLink) pop() *entry {
	e := heap.Pop(&l.inbox).(*entry)
	if e.kind == Data {
		e.wire.unread[e.to]--
	} else {
		l.events--
	}
	return e
}

// notify reports a change of a connection to the link's owner, if it asked.
func (l *memoryLink) notify(kind Kind, now time.Time) {
	if l.closed {
		return
	}
	if l.options.Monitor && l.events < eventsMax {
		l.events++
		l.inbox.add(&entry{kind: kind, due: now})
	}
	l.host.ring() // also without a monitor: a next attempt may be due earlier
}

// Recv implements Link. Messages of several peers come in the order in which
// they arrived. On a Req link, what is no reply to its request is discarded.
func (l *memoryLink) Recv(dst []Message, limit int) ([]Message, error) {
	l.host.enter()
	defer network.Unlock()
	if l.closed {
		return dst, ErrClosed
	}
	now := time.Now()
	l.connect(now)
	for range limit {
		for {
			at, ok := l.due(now)
			if !ok || at.After(now) {
				return dst, nil
			}
			if m, ok := l.message(l.pop()); ok {
				dst = append(dst, m)
				break
			}
		}
	}
	return dst, nil
}

// message makes what the caller sees of an entry. ok is false for a reply
// without its delimiter, which REQ discards.
func (l *memoryLink) message(e *entry) (m Message, ok bool) {
	m = Message{Kind: e.kind, Frames: e.frames}
	if e.kind != Data {
		return m, true
	}
	switch l.options.Role {
	case Router:
		m.Peer = []byte(e.wire.id)
	case Req:
		if len(m.Frames) < 2 || len(m.Frames[0]) != 0 {
			return m, false
		}
		m.Frames = m.Frames[1:]
		l.awaiting = false
	case Dealer:
	}
	return m, true
}

// Send implements Link. Besides the interface's errors it returns ErrClosed,
// ErrNoFrames, and on a Req link ErrAwaitingReply.
func (l *memoryLink) Send(peer []byte, frames ...[]byte) error {
	l.host.enter()
	defer network.Unlock()
	w, to, err := l.route(peer, frames)
	if err != nil {
		return err
	}
	now := time.Now()
	if w.unread[to] >= l.options.SendMax+w.end(to).options.RecvMax {
		return ErrFull
	}
	if l.options.Role == Req {
		l.due(now) // discards replies that came before the question
		l.awaiting = true
		frames = slices.Insert(slices.Clone(frames), 0, []byte{})
	}
	w.carry(to, frames, now)
	return nil
}

// Put implements Link: it sends at once.
func (l *memoryLink) Put(peer []byte, frames ...[]byte) {
	err := l.held.First()
	if err == nil || l.options.Role == Router {
		err = l.Send(peer, frames...)
	}
	l.held.Note(err)
}

// Flush implements Link.
func (l *memoryLink) Flush(failed func(number int, err error)) { l.held.Report(failed) }

// route finds the connection that a message goes out on, and its direction.
func (l *memoryLink) route(peer []byte, frames [][]byte) (*wire, side, error) {
	switch {
	case l.closed:
		return nil, 0, ErrClosed
	case len(frames) == 0:
		return nil, 0, ErrNoFrames
	case l.awaiting:
		return nil, 0, ErrAwaitingReply
	case l.options.Role == Router:
		if w := l.peers[string(peer)]; w != nil {
			return w, dealerSide, nil
		}
		return nil, 0, ErrUnreachable
	case l.wire == nil:
		return nil, 0, ErrUnreachable
	}
	return l.wire, routerSide, nil
}

// Addr implements Link.
func (l *memoryLink) Addr() string { return l.addr }

// Close implements Link. It never blocks: messages under way that arrive
// within Linger are still delivered, the others are lost.
func (l *memoryLink) Close() error {
	l.host.enter()
	defer network.Unlock()
	l.close(time.Now())
	return nil
}

func (l *memoryLink) close(now time.Time) {
	if l.closed {
		return
	}
	l.closed = true
	for _, name := range l.names {
		if network.bound[name] == l {
			delete(network.bound, name)
		}
	}
	if l.wire != nil {
		l.wire.hangUp(now, now.Add(l.options.Linger))
	}
	for _, w := range slices.Clone(l.wires) {
		w.hangUp(now, now.Add(l.options.Linger))
	}
	l.inbox = nil
	l.host.links = slices.DeleteFunc(l.host.links, func(other *memoryLink) bool { return other == l })
}
