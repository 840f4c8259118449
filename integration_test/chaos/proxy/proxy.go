// Package proxy is a TCP proxy that misbehaves when it is told to. It stands
// between one peer and a broker, and cuts, stalls, delays and resets what goes
// through it, or closes one side and leaves the other in its belief.
package proxy

import (
	"context"
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

// A Side is one end of the proxy's connections.
type Side int

// The sides: Peer is who connects to the proxy, Broker is whom it connects to.
const (
	Peer Side = iota
	Broker
)

func (s Side) String() string { return [...]string{"peer", "broker"}[s] }

// A Proxy passes connections on to one address. Its methods are safe for
// concurrent use.
type Proxy struct {
	listener *net.TCPListener
	target   string
	ctx      context.Context // ends with Close
	stop     context.CancelFunc
	wg       sync.WaitGroup

	mu      sync.Mutex
	random  *rand.Rand
	pairs   map[*pair]struct{}
	refuse  bool             // new connections are reset at once
	stalled [2]chan struct{} // by the side that the bytes go to; nil: they flow. Closed by Heal.
	delay   time.Duration
	jitter  time.Duration
}

// Listen starts a proxy on a free port of this host, which passes on to target.
// The seed draws the jitter of delays.
func Listen(target string, seed uint64) (*Proxy, error) {
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, err
	}
	p := &Proxy{listener: l, target: target, random: rand.New(rand.NewPCG(seed, 0)), pairs: map[*pair]struct{}{}}
	p.ctx, p.stop = context.WithCancel(context.Background())
	p.wg.Go(p.accept)
	return p, nil
}

// Addr is where the proxy listens, as host:port.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Close closes everything, and returns when all is at rest.
func (p *Proxy) Close() {
	p.stop()
	p.listener.Close()
	for _, pr := range p.all() {
		pr.reset()
	}
	p.wg.Wait()
}

// Cut closes all connections, with a reset or in good order, and lets nobody
// through until Heal.
func (p *Proxy) Cut(reset bool) {
	p.mu.Lock()
	p.refuse = true
	p.mu.Unlock()
	for _, pr := range p.all() {
		if reset {
			pr.reset()
		} else {
			pr.close()
		}
	}
}

// Reset resets all connections (SO_LINGER 0), and returns how many. New
// ones are let through.
func (p *Proxy) Reset() (n int) {
	for _, pr := range p.all() {
		if pr.reset() {
			n++
		}
	}
	return n
}

// HalfOpen closes one side of all connections. The other side stays open and
// silent, and what it sends is taken and thrown away, until Heal. New
// connections are let through. It returns how many it has done that to.
func (p *Proxy) HalfOpen(closed Side) (n int) {
	for _, pr := range p.all() {
		if pr.halfOpen(closed) {
			n++
		}
	}
	return n
}

// Stall holds back all bytes that go to one side, of new connections too,
// until Heal. None is lost.
func (p *Proxy) Stall(to Side) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stalled[to] == nil {
		p.stalled[to] = make(chan struct{})
	}
}

// Delay makes all bytes come later, in both directions, by delay and up to
// jitter more, in their order, until Heal.
func (p *Proxy) Delay(delay, jitter time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay, p.jitter = delay, jitter
}

// Heal ends all that was done, and closes what was half-open.
func (p *Proxy) Heal() {
	p.mu.Lock()
	p.refuse, p.delay, p.jitter = false, 0, 0
	for to := range p.stalled {
		if p.stalled[to] != nil {
			close(p.stalled[to])
			p.stalled[to] = nil
		}
	}
	p.mu.Unlock()
	for _, pr := range p.all() {
		if pr.isHalf() {
			pr.close()
		}
	}
}

// Connections is how many connections there are that pass bytes on, and how
// many of which one side only is left.
func (p *Proxy) Connections() (whole, half int) {
	for _, pr := range p.all() {
		if pr.isHalf() {
			half++
		} else {
			whole++
		}
	}
	return whole, half
}

func (p *Proxy) all() []*pair {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := make([]*pair, 0, len(p.pairs))
	for pr := range p.pairs {
		list = append(list, pr)
	}
	return list
}

// accept takes connections until the listener is closed.
func (p *Proxy) accept() {
	for {
		c, err := p.listener.AcceptTCP()
		if err != nil {
			if p.ctx.Err() != nil {
				return
			}
			continue // the peer was gone before it was taken
		}
		p.wg.Go(func() { p.serve(c) })
	}
}

// serve passes one connection on to its end.
func (p *Proxy) serve(c *net.TCPConn) {
	if p.refuses() {
		reset(c)
		return
	}
	var dialer net.Dialer
	b, err := dialer.DialContext(p.ctx, "tcp", p.target)
	if err != nil {
		reset(c) // as the broker's own port would do
		return
	}
	pr := &pair{proxy: p, conns: [2]*net.TCPConn{c, b.(*net.TCPConn)}, gone: make(chan struct{})}
	if !p.add(pr) {
		pr.reset()
		return
	}
	pr.run()
	p.mu.Lock()
	delete(p.pairs, pr)
	p.mu.Unlock()
}

func (p *Proxy) refuses() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.refuse
}

// add reports whether the pair may live.
func (p *Proxy) add(pr *pair) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.refuse || p.ctx.Err() != nil {
		return false
	}
	p.pairs[pr] = struct{}{}
	return true
}

// due is when bytes that have been read now are to be sent.
func (p *Proxy) due(now time.Time) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	d := p.delay
	if p.jitter > 0 {
		d += time.Duration(p.random.Int64N(int64(p.jitter)))
	}
	return now.Add(d)
}

// gate is what bytes to a side must wait for; nil if they may pass.
func (p *Proxy) gate(to Side) <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stalled[to]
}
