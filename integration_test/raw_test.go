package integration

import (
	"strings"
	"testing"
	"time"

	"github.com/pebbe/zmq4"

	"github.com/privateer-mq/privateer/protocol"
)

const (
	req    = zmq4.REQ
	dealer = zmq4.DEALER
	rep    = zmq4.REP
)

// A peer is a bare ZeroMQ socket, used by the test's goroutine alone.
type peer struct {
	t *testing.T
	s *zmq4.Socket
}

// dial connects a bare socket, which waits up to patience for a message.
func dial(t *testing.T, kind zmq4.Type, endpoint string) *peer {
	t.Helper()
	return dialAs(t, kind, endpoint, "")
}

// dialAs is dial, with a routing id.
func dialAs(t *testing.T, kind zmq4.Type, endpoint, id string) *peer {
	t.Helper()
	s, err := zmq4.NewSocket(kind)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	p := &peer{t, s}
	p.must(s.SetLinger(0))
	p.must(s.SetRcvtimeo(patience))
	p.must(s.SetSndtimeo(patience))
	if id != "" {
		p.must(s.SetIdentity(id))
	}
	p.must(s.Connect(endpoint))
	return p
}

func (p *peer) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

// send sends frames as one message.
func (p *peer) send(frames ...[]byte) {
	p.t.Helper()
	_, err := p.s.SendMessage(frames)
	p.must(err)
}

// recv waits up to d for a message.
func (p *peer) recv(d time.Duration) (frames [][]byte, ok bool) {
	p.t.Helper()
	p.must(p.s.SetRcvtimeo(d))
	frames, err := p.s.RecvMessageBytes(0)
	return frames, err == nil
}

// say sends a PRV1 message. A DEALER on the front has to send the delimiter
// itself.
func (p *peer) say(d protocol.Direction, m protocol.Message, body ...[]byte) {
	p.t.Helper()
	m.Body = body
	frames, _ := protocol.AppendFrames(nil, nil, d, &m)
	if kind, err := p.s.GetType(); err == nil && kind == zmq4.DEALER && d == protocol.FrontIn {
		frames = append([][]byte{nil}, frames...)
	}
	p.send(frames...)
}

// hear waits for a PRV1 message with one of the commands, and skips others.
func (p *peer) hear(d protocol.Direction, want ...protocol.Command) protocol.Message {
	p.t.Helper()
	for end := time.Now().Add(patience); ; {
		frames, ok := p.recv(max(time.Until(end), time.Millisecond))
		if !ok {
			p.t.Fatalf("no %v within %v", want, patience)
		}
		if len(frames) > 1 && len(frames[0]) == 0 {
			frames = frames[1:]
		}
		var m protocol.Message
		if err := protocol.Parse(d, frames, &m); err != nil {
			p.t.Fatalf("%v: %q", err, frames)
		}
		for _, w := range want {
			if m.Command == w {
				return m
			}
		}
	}
}

// wantInvalid waits for a REPLY INVALID, not-started, whose text has word in it.
func (p *peer) wantInvalid(word string) {
	p.t.Helper()
	m := p.hear(protocol.FrontOut, protocol.Reply)
	text := m.Meta.Get(protocol.MetaErrorText)
	if m.Code != protocol.Invalid || m.Flags.Certainty() != protocol.NotStarted || !strings.Contains(text, word) {
		p.t.Errorf("answer %v %v %q, want INVALID, not-started, with %q in its text", m.Code, m.Flags.Certainty(), text, word)
	}
}

// wantDisconnect waits for a DISCONNECT with that reason.
func (p *peer) wantDisconnect(reason protocol.Code, word string) {
	p.t.Helper()
	m := p.hear(protocol.BackOut, protocol.Disconnect)
	text := m.Meta.Get(protocol.MetaErrorText)
	if m.Code != reason || !strings.Contains(text, word) {
		p.t.Errorf("DISCONNECT %s %q, want %s with %q in its text", protocol.CodeName(m.Command, m.Code), text,
			protocol.CodeName(m.Command, reason), word)
	}
}

// rawRequest is a client's REQUEST.
func rawRequest(service string) protocol.Message {
	return protocol.Message{Command: protocol.Request, ID: newID(), Number: 1, RemainingMS: 30_000, Instance: 1,
		Service: []byte(service)}
}

// A rawWorker speaks PRV1 by hand, on one link.
type rawWorker struct {
	*peer
	instance  uint64
	link, seq uint32
	epoch     uint64
	ack       uint32
}

// newRawWorker says READY for the services and waits for the WELCOME, which it
// acknowledges with a heartbeat.
func newRawWorker(t *testing.T, b *brokerProcess, credit uint32, services ...string) *rawWorker {
	t.Helper()
	w := &rawWorker{peer: dial(t, dealer, b.back), instance: uint64(time.Now().UnixNano())}
	w.ready(credit, services...)
	w.welcome()
	w.heartbeat(credit)
	return w
}

// ready says READY on the next link.
func (w *rawWorker) ready(credit uint32, services ...string) {
	w.t.Helper()
	w.link++
	w.seq, w.ack = 1, 0
	m := protocol.Message{Command: protocol.Ready, Flags: protocol.Last, Link: w.link, Seq: 1, Credit: credit, Instance: w.instance}
	for _, s := range services {
		m.Services = append(m.Services, []byte(s))
	}
	w.say(protocol.BackIn, m)
}

func (w *rawWorker) welcome() {
	w.t.Helper()
	m := w.hear(protocol.BackOut, protocol.Welcome)
	w.epoch, w.ack = m.Epoch, 1
	if m.Link != w.link || m.Seq != 1 {
		w.t.Errorf("WELCOME of link %d, message %d; want %d, 1", m.Link, m.Seq, w.link)
	}
}

// heartbeat says that the worker holds nothing.
func (w *rawWorker) heartbeat(credit uint32) {
	w.t.Helper()
	w.tell(protocol.Message{Command: protocol.Heartbeat, Credit: credit, Epoch: w.epoch})
}

// tell sends the next message of the link.
func (w *rawWorker) tell(m protocol.Message, body ...[]byte) {
	w.t.Helper()
	w.seq++
	m.Link, m.Seq, m.Ack = w.link, w.seq, w.ack
	w.say(protocol.BackIn, m, body...)
}
