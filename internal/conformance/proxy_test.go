package conformance

import (
	"testing"
	"time"

	"github.com/privateer-mq/privateer/internal/link"
	"github.com/privateer-mq/privateer/protocol"
)

// A proxy stands between a peer that connects and one that binds, and makes
// the peer under test break a rule: it changes what passes.
type proxy struct {
	host   link.Host
	in     link.Link
	to     string
	out    map[string]link.Link // by the peer's routing id
	change func(up bool, frames [][]byte) [][]byte
	quit   chan struct{}
	done   chan struct{}
	unsent []parcel
}

// A parcel waits for a connection.
type parcel struct {
	l      link.Link
	frames [][]byte
}

// startProxy binds from and connects to to. Both are mem:// endpoints.
func startProxy(t *testing.T, from, to string, change func(up bool, frames [][]byte) [][]byte) {
	t.Helper()
	p := &proxy{host: link.NewMemory(), to: to, out: map[string]link.Link{}, change: change, quit: make(chan struct{}), done: make(chan struct{})}
	var err error
	if p.in, err = p.host.Open(link.Options{Role: link.Router, Endpoints: []string{from}, Handover: true}); err != nil {
		t.Fatal(err)
	}
	go p.run()
	t.Cleanup(func() {
		close(p.quit)
		p.host.Wake()
		<-p.done
		_ = p.host.Close()
	})
}

func (p *proxy) run() {
	defer close(p.done)
	for {
		select {
		case <-p.quit:
			return
		default:
		}
		p.turn()
		if p.host.Wait(5*time.Millisecond) != nil {
			return
		}
	}
}

func (p *proxy) turn() {
	up, _ := p.in.Recv(nil, batch)
	for _, m := range up {
		l := p.out[string(m.Peer)]
		if l == nil {
			var err error
			l, err = p.host.Open(link.Options{Role: link.Dealer, Endpoints: []string{p.to}, Identity: m.Peer, ReconnectMin: time.Millisecond})
			if err != nil {
				return
			}
			p.out[string(m.Peer)] = l
		}
		p.unsent = append(p.unsent, parcel{l, p.change(true, m.Frames)})
	}
	for len(p.unsent) > 0 && p.unsent[0].l.Send(nil, p.unsent[0].frames...) == nil {
		p.unsent = p.unsent[1:]
	}
	for peer, l := range p.out {
		down, _ := l.Recv(nil, batch)
		for _, m := range down {
			_ = p.in.Send([]byte(peer), p.change(false, m.Frames)...) // it may be gone
		}
	}
}

// changed makes a change of one of the messages of a side: the front has an
// envelope, the back has none.
func changed(front bool, edit func(up bool, m *protocol.Message)) func(bool, [][]byte) [][]byte {
	return func(up bool, all [][]byte) [][]byte {
		d := map[[2]bool]protocol.Direction{{true, true}: protocol.FrontIn, {true, false}: protocol.FrontOut,
			{false, true}: protocol.BackIn, {false, false}: protocol.BackOut}[[2]bool{front, up}]
		var envelope [][]byte
		content := all
		if front {
			e, c, ok := protocol.SplitEnvelope(all)
			if !ok {
				return all
			}
			envelope, content = append(append(envelope, e...), nil), c
		}
		var m protocol.Message
		if protocol.Parse(d, content, &m) != nil {
			return all
		}
		edit(up, &m)
		return append(envelope, encode(d, &m)...)
	}
}

// heartbeatOf takes the place of a message that is not to be sent, so that the
// count of the link goes on.
func heartbeatOf(m *protocol.Message, epoch uint64) protocol.Message {
	return protocol.Message{Command: protocol.Heartbeat, Epoch: epoch, Credit: 1, Link: m.Link, Seq: m.Seq, Ack: m.Ack, SentMS: m.SentMS}
}
