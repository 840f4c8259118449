package sim

import (
	"fmt"
	"slices"
	"time"

	"github.com/privateer-mq/privateer/internal/clientcore"
	"github.com/privateer-mq/privateer/internal/core"
	"github.com/privateer-mq/privateer/internal/link"
	"github.com/privateer-mq/privateer/protocol"
)

// A clientSeat is one place where a client runs.
type clientSeat struct {
	number  int
	path    path
	face    clientcore.Face
	process *clientProcess
}

// A clientProcess is one client: its machine, and what package client's loop
// does around it.
type clientProcess struct {
	process
	seat     *clientSeat
	instance uint64
	machine  *clientcore.Machine
	socks    []*clientSocket // oldest first
	commands []func()        // what callers want of its next turn
	open     map[uint64]*call
	keys     uint64
	out      []clientcore.Output
	frames   [][]byte
	buf      []byte
	knows    uint64 // the newest epoch it has heard
}

type clientSocket struct {
	*socket
	link clientcore.LinkID
}

func (w *world) startClient(seat *clientSeat) {
	w.oracle.clients++
	p := &clientProcess{process: w.newProcess(fmt.Sprintf("c%c", instanceName(w.oracle.clients))), seat: seat,
		instance: uint64(instanceName(w.oracle.clients)), open: map[uint64]*call{}}
	p.machine = clientcore.New(clientcore.Config{Face: seat.face, Brokers: 1, Instance: p.instance, CallsMax: 10_000})
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
	p.commands = append(p.commands, func() {
		q := c.request
		c.started, c.frozenAt = p.w.now, max(p.frozen, p.slow)
		c.deadline = p.w.now + c.budget
		spec := clientcore.Call{Key: c.key, ID: q.id, FromCaller: c.fromCaller, Service: q.service, Body: q.body, Meta: q.meta,
			AtMostOnce: q.once, NoWait: c.noWait, Finish: c.finish, Priority: c.priority,
			Window: q.window, Timeout: c.timeout, Retries: c.retries, Deadline: p.clock() + c.budget, Jitter: p.w.random.Uint64()}
		p.open[c.key] = c
		p.w.oracle.asks(c)
		p.out = p.machine.Start(spec, p.out)
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
	p.commands = append(p.commands, func() {
		if c.outcome == nil {
			c.pulled = true
			p.out = p.machine.Withdraw(c.key, p.out)
		}
	})
	p.wake()
}

// runTurn is package client's loop: it reads, decides and does, and may stand
// still in between.
func (p *clientProcess) runTurn() {
	in := make([][]packet, len(p.socks))
	for i, s := range p.socks {
		in[i] = s.read()
	}
	socks, empty := slices.Clone(p.socks), !p.unread()
	p.seam(0, true, func() {
		p.decide(socks, in, empty)
		p.seam(1, len(p.out) > 0, func() {
			if p.stood() > p.w.plan.core.Heartbeat {
				p.w.oracle.saw(seenStopBeforeAsking)
			}
			p.do()
			p.turned(p.unread() || len(p.commands) > 0)
		})
	})
}

// unread reports whether something waits to be read.
func (p *clientProcess) unread() bool {
	for _, s := range p.socks {
		if len(s.inbox) > 0 && !p.isSlow() {
			return true
		}
	}
	return false
}

func (p *clientProcess) decide(socks []*clientSocket, in [][]packet, empty bool) {
	p.stood()
	p.out = p.machine.Turn(p.clock(), p.out)
	for i, s := range socks {
		for j := range in[i] {
			if in[i][j].kind == link.Data {
				p.read(s, &in[i][j])
			}
		}
		for j := range in[i] {
			switch in[i][j].kind {
			case link.Connected:
				p.out = p.machine.Connected(s.link, p.out)
			case link.Disconnected:
				p.out = p.machine.Disconnected(s.link, p.out)
			}
		}
	}
	commands := p.commands
	p.commands = nil
	for _, f := range commands {
		f()
	}
	p.out = p.machine.End(empty, p.out)
	if p.w.looks() {
		p.w.oracle.checked(gMachines)
		if err := p.machine.Check(); err != nil {
			p.w.fail("machines: the calls' invariants at %s: %v", p.name, err)
		}
	}
}

func (p *clientProcess) read(s *clientSocket, in *packet) {
	frames := in.frames
	if s.role == link.Req {
		if !s.awaiting {
			return // REQ throws away what it has not asked for
		}
		s.awaiting = false
		frames = frames[1:] // it takes the empty one off
	}
	p.knows = in.msg.Epoch
	p.w.oracle.clientReads(p, in.msg)
	var err error
	if p.out, err = p.machine.Read(s.link, frames, p.out); err != nil {
		p.w.fail("machines: %s cannot read what the broker says: %v", p.name, err)
	}
}

// do is package client's loop.do.
func (p *clientProcess) do() {
	out := p.out
	for i := 0; i < len(out); i++ { // it grows while it is walked
		switch o := out[i]; o.Kind {
		case clientcore.Open:
			p.openSocket(o.Link)
		case clientcore.Close:
			p.closeSocket(o.Link)
		case clientcore.Send:
			if p.machine.Wanted(o) {
				out = p.machine.Sent(o, p.send(&o), out)
			}
		case clientcore.Part:
			c := p.open[o.Key]
			p.w.oracle.takesPart(c, o.Part)
			p.consume(c)
		case clientcore.Complete:
			c := p.open[o.Key]
			delete(p.open, o.Key)
			p.w.oracle.completed(c, o.Outcome)
		case clientcore.Event:
			p.w.oracle.clientNotes(p, &o)
		}
	}
	clear(out)
	p.out = out[:0]
}

func (p *clientProcess) openSocket(id clientcore.LinkID) {
	role := link.Req
	if p.seat.face == clientcore.Dealer {
		role = link.Dealer
	}
	s := p.w.net.open(&socket{owner: &p.process, path: &p.seat.path, side: core.Front, role: role, client: p,
		id: p.w.routingID(), name: p.name, min: 100 * time.Millisecond, max: 5 * time.Second})
	p.socks = append(p.socks, &clientSocket{s, id})
}

func (p *clientProcess) closeSocket(id clientcore.LinkID) {
	for i, s := range p.socks {
		if s.link == id {
			s.close()
			p.socks = append(p.socks[:i], p.socks[i+1:]...)
			return
		}
	}
}

// send encodes and sends; a REQ socket writes the empty frame itself.
func (p *clientProcess) send(o *clientcore.Output) bool {
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
