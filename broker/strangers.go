package broker

import (
	"bytes"

	"github.com/rs/zerolog"

	"github.com/privateer-mq/privateer/internal/core"
	"github.com/privateer-mq/privateer/internal/link"
	"github.com/privateer-mq/privateer/protocol"
)

// Peers that need more than their messages: PPP workers, which take one frame of
// body; workers without heartbeats, whose connection says whether they live; and
// sockets that cannot be served, whose owners should learn why.

// manyFrames is what a client is told whose request is refused for PPPFrames.
const manyFrames = "its body is not one frame, and it came to a Paranoid Pirate worker, which takes one: see --ppp-frames"

// fits makes o, a message to a PPP worker, fit for it. It reports false where o is
// not to be sent.
func (l *loop) fits(o *core.Output, to *protocol.Origin) bool {
	switch {
	case o.Msg.Command == protocol.Heartbeat && to.Mute():
		l.vouch(o)
		return false
	case o.Msg.Command != protocol.Request || len(o.Msg.Body) == 1 || l.cfg.PPPFrames == Keep:
	case l.cfg.PPPFrames == Refuse:
		peer, msg := o.To, o.Msg // l.out may move
		l.out = l.core.Unfit(l.clock, peer, &msg, manyFrames, l.out)
		return false
	default:
		// A new slice: the link borrows large ones for ever.
		o.Msg.Body = [][]byte{bytes.Join(o.Msg.Body, nil)}
	}
	return true
}

// vouch answers o, a heartbeat to a worker that takes none: with one of its own
// where its connection stands, and otherwise as where it could not be sent.
func (l *loop) vouch(o *core.Output) {
	peer, msg := o.To, o.Msg // l.out may move
	if _, stands := l.mute[string(peer.ID)]; stands {
		l.out = l.core.Worker(l.clock, peer, &protocol.Message{Command: protocol.Heartbeat, Credit: 1}, l.out)
		return
	}
	l.out = l.core.Undeliverable(l.clock, core.Back, peer, &msg, true, l.out)
}

// greet looks at who has connected. A REP socket at the backend is a worker that
// says nothing of itself.
func (l *loop) greet(at protocol.Port, m *link.Message) {
	if named(m.Peer) {
		l.met[at][string(m.Peer)] = newID()
	}
	switch {
	case m.Socket == "REP" && at == protocol.BackPort && l.cfg.dialects.Has(protocol.PPP):
		o := protocol.REPWorker()
		l.mute[string(m.Peer)] = struct{}{}
		l.out = l.core.Worker(l.clock, core.Peer{ID: m.Peer, Port: at, Dialect: o.Dialect, Envelope: o.Envelope},
			&protocol.Message{Command: protocol.Ready, Credit: 1, Flags: protocol.Last}, l.out)
	case m.Socket == "REP" && at == protocol.BackPort:
		l.warn("a REP socket has connected to the backend, and --dialects has no ppp, which such a worker is of")
	case m.Socket == "REP":
		l.warn("a REP socket has connected to the frontend: it is a worker (the guide's rrworker); connect it to the backend")
	case m.Socket == "ROUTER":
		l.warn("a ROUTER socket has connected, and is not served: it names its peers by ids that this broker does not have " +
			"(the guide's flclient3, Freelance model three); use a REQ or DEALER client, or one of PRV1 with several brokers")
	}
}

// meet takes note of the READY of a worker without heartbeats.
func (l *loop) meet(at protocol.Port, m *link.Message) {
	if at != protocol.BackPort || len(m.Frames) != 2 || len(m.Frames[0]) != 0 || len(l.mute) >= l.cfg.MaxPeers {
		return
	}
	var ready protocol.Message
	if o, err := protocol.Read(at, m.Frames, l.cfg.dialects, &ready); err == nil && o.Mute() && ready.Command == protocol.Ready {
		l.mute[string(m.Peer)] = struct{}{}
	}
}

// part takes note of the end of a connection.
func (l *loop) part(at protocol.Port, m *link.Message) {
	if named(m.Peer) {
		delete(l.met[at], string(m.Peer))
	}
	if at == protocol.BackPort && m.Peer != nil {
		delete(l.mute, string(m.Peer))
	}
}

// named reports whether a peer has chosen its routing id. One that the link has
// made begins with a zero byte, and is new with each connection.
func named(peer []byte) bool { return len(peer) > 0 && peer[0] != 0 }

// stale reports whether o answers a request of an earlier connection with the same
// routing id. A client without ids cannot tell such a reply from that to its next
// request, unless its socket does (ZMQ_REQ_CORRELATE). The ids that are drawn here
// rise with time.
func (l *loop) stale(o *core.Output, to *protocol.Origin) bool {
	correlated := to.Dialect != protocol.MDP02 && len(to.Envelope) > 0 && len(to.Envelope[0]) > 0
	if to.Worker || to.Dialect == protocol.PRV1 || correlated || !named(o.To.ID) {
		return false
	}
	since, known := l.met[o.To.Port][string(o.To.ID)]
	return known && bytes.Compare(o.Msg.ID[:], since[:]) < 0
}

// wrongPeer is what is logged of who cannot be served.
const wrongPeer core.What = "wrong_peer"

// warn says so in the log, a line a second at most, and counts it.
func (l *loop) warn(why string) {
	if l.b.metrics != nil {
		l.b.metrics.errors.WithLabelValues("peer").Inc()
	}
	if l.cfg.Logger.GetLevel() > zerolog.WarnLevel {
		return
	}
	if l.warned.allow(wrongPeer, 0, l.now()) {
		l.cfg.Logger.Warn().Str("state", string(wrongPeer)).Str("reason", why).Msg(string(wrongPeer))
	}
}
