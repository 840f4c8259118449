package sim

import (
	"fmt"
	"time"

	"github.com/privateer-mq/privateer/internal/calls"
	"github.com/privateer-mq/privateer/internal/core"
	"github.com/privateer-mq/privateer/internal/link"
	"github.com/privateer-mq/privateer/protocol"
)

// A clientSeat is one place where a client runs.
type clientSeat struct {
	number  int
	path    path
	face    calls.Face
	process *clientProcess
}

// A clientProcess is one client: its machine, and what package client's loop
// does around it.
type clientProcess struct {
	process
	seat     *clientSeat
	instance uint64
	machine  *calls.Machine
	socks    []*clientSocket // oldest first
	commands []func(now time.Duration)
	open     map[uint64]*call
	keys     uint64
	out      []calls.Output
	frames   [][]byte
	buf      []byte
	knows    uint64 // the newest epoch it has heard
}

type clientSocket struct {
	*socket
	link calls.LinkID
}

func (w *world) startClient(seat *clientSeat) {
	w.oracle.clients++
	p := &clientProcess{process: w.newProcess(fmt.Sprintf("c%c", instanceName(w.oracle.clients))), seat: seat,
		instance: uint64(instanceName(w.oracle.clients)), open: map[uint64]*call{}}
	p.machine = calls.New(calls.Config{Face: seat.face, Brokers: 1, Instance: p.instance, CallsMax: 10_000})
	p.turn, p.deadline = p.runTurn, p.machine.Deadline
	seat.process = p
}

// ask starts a call; withdrawn after a while where the plan says so.
func (p *clientProcess) ask(c *call) {
	if !p.alive {
		return
	}
	p.keys++
	c.key, c.client = p.keys, p
	c.request.calls = append(c.request.calls, c)
	p.commands = append(p.commands, func(now time.Duration) {
		q := c.request
		c.started, c.frozenAt = p.w.now, p.frozen
		c.deadline = p.w.now + c.budget
		spec := calls.Call{Key: c.key, ID: q.id, FromCaller: c.fromCaller, Service: q.service, Body: q.body,
			AtMostOnce: q.once, NoWait: c.noWait, Finish: c.finish, Priority: c.priority,
			Window: q.window, Timeout: c.timeout, Retries: c.retries, Deadline: now + c.budget, Jitter: p.w.random.Uint64()}
		p.open[c.key] = c
		p.w.oracle.asks(c)
		p.do(p.machine.Start(now, spec, p.out))
	})
	if c.withdrawn > 0 {
		p.w.after(c.withdrawn, func() { p.withdraw(c) })
	}
	p.wake()
}

func (p *clientProcess) withdraw(c *call) {
	if !p.alive || c.outcome != nil {
		return
	}
	p.commands = append(p.commands, func(now time.Duration) {
		if c.outcome == nil {
			c.pulled = true
			p.do(p.machine.Withdraw(now, c.key, p.out))
		}
	})
	p.wake()
}

// runTurn is package client's loop.run, once.
func (p *clientProcess) runTurn() {
	for _, s := range append([]*clientSocket(nil), p.socks...) {
		in := s.read()
		for i := range in {
			if in[i].kind == link.Data && !s.closed {
				p.read(s, &in[i])
			}
		}
		for i := range in {
			switch {
			case s.closed:
			case in[i].kind == link.Connected:
				p.do(p.machine.Connected(p.clock(), s.link, p.out))
			case in[i].kind == link.Disconnected:
				p.do(p.machine.Disconnected(p.clock(), s.link, p.out))
			}
		}
	}
	commands := p.commands
	p.commands = nil
	for _, f := range commands {
		f(p.clock())
	}
	p.do(p.machine.Tick(p.clock(), p.out))
	if err := p.machine.Check(); err != nil {
		p.w.fail("the calls' invariants at %s: %v", p.name, err)
	}
}

func (p *clientProcess) read(s *clientSocket, in *packet) {
	frames := in.frames
	if s.role == link.Req {
		if !s.awaiting {
			return // REQ throws away what it has not asked for
		}
		s.awaiting = false
	}
	_, content, ok := protocol.SplitEnvelope(frames)
	var msg protocol.Message
	if !ok || protocol.Parse(protocol.FrontOut, content, &msg) != nil {
		p.w.fail("%s cannot read what the broker says", p.name)
		return
	}
	p.knows = msg.Epoch
	p.w.oracle.clientReads(p, &msg)
	p.do(p.machine.Receive(p.clock(), s.link, &msg, p.out))
}

// do is package client's loop.do.
func (p *clientProcess) do(out []calls.Output) {
	for i := 0; i < len(out); i++ { // it grows while it is walked
		switch o := out[i]; o.Kind {
		case calls.Open:
			p.openSocket(o.Link)
		case calls.Close:
			p.closeSocket(o.Link)
		case calls.Send:
			if p.machine.Wanted(o) {
				out = p.machine.Sent(p.clock(), o, p.send(&o), out)
			}
		case calls.Part:
			c := p.open[o.Key]
			p.w.oracle.takesPart(c, o.Part)
			p.consume(c)
		case calls.Complete:
			c := p.open[o.Key]
			delete(p.open, o.Key)
			p.w.oracle.completed(c, o.Outcome)
		case calls.Event:
			p.w.oracle.clientNotes(p, &o)
		}
	}
	clear(out)
	p.out = out[:0]
}

func (p *clientProcess) openSocket(id calls.LinkID) {
	role := link.Req
	if p.seat.face == calls.Dealer {
		role = link.Dealer
	}
	s := p.w.net.open(&socket{owner: &p.process, path: &p.seat.path, side: core.Front, role: role, client: p,
		id: p.w.routingID(), name: p.name, min: 100 * time.Millisecond, max: 5 * time.Second})
	p.socks = append(p.socks, &clientSocket{s, id})
}

func (p *clientProcess) closeSocket(id calls.LinkID) {
	for i, s := range p.socks {
		if s.link == id {
			s.close()
			p.socks = append(p.socks[:i], p.socks[i+1:]...)
			return
		}
	}
}

// send encodes and sends; a REQ socket writes the empty frame itself.
func (p *clientProcess) send(o *calls.Output) bool {
	for _, s := range p.socks {
		if s.link != o.Link {
			continue
		}
		p.frames, p.buf = protocol.AppendFrames(append(p.frames[:0], nil), p.buf[:0], protocol.FrontIn, o.Message)
		ok := s.send(p.frames, o.Message)
		if ok {
			p.w.oracle.clientSends(p, o.Message)
		}
		return ok
	}
	return false
}

// die is kill -9.
func (p *clientProcess) die() {
	p.alive = false
	for _, s := range p.socks {
		s.close()
	}
	p.socks = nil
	p.w.oracle.clientEnded(p)
}
