package zmtplink_test

import (
	"strings"
	"testing"

	"github.com/privateer-mq/privateer/internal/link"
	"github.com/privateer-mq/privateer/internal/link/linktest"
	"github.com/privateer-mq/privateer/internal/link/zmtplink/zmtp"
)

// The end of a connection names its peer, behind all that it has sent; one that
// another connection with the same routing id has replaced does not.
func TestEventsNamePeers(t *testing.T) {
	router := openRouter(t, link.Options{Handover: true})
	first := join(t, router.Link.Addr(), "p")
	linktest.Until(t, "it is there", func() bool { return router.Count(link.Connected) == 1 }, router)
	second := join(t, router.Link.Addr(), "p")
	linktest.Until(t, "so is the other", func() bool { return router.Count(link.Connected) == 2 }, router)
	_ = first.Close()
	linktest.Until(t, "the first ends", func() bool { return router.Count(link.Disconnected) == 1 }, router)
	for range 100 {
		write(t, second, frame(zmtp.Last, "last words"))
	}
	_ = second.Close()
	linktest.Until(t, "the second ends", func() bool { return router.Count(link.Disconnected) == 2 }, router)
	var order []string
	for _, m := range router.Read {
		switch m.Kind {
		case link.Connected:
			order = append(order, "+"+string(m.Peer))
		case link.Disconnected:
			order = append(order, "-"+string(m.Peer))
		}
	}
	if got := strings.Join(order, " "); got != "+p +p - -p" {
		t.Errorf("events %s", got)
	}
	if last := router.Read[len(router.Read)-1]; len(router.Data()) != 100 || last.Kind != link.Disconnected {
		t.Errorf("%d messages, and then %v", len(router.Data()), last.Kind)
	}
}

func TestDisconnect(t *testing.T) {
	router := openRouter(t, link.Options{})
	nc := join(t, router.Link.Addr(), "revoked")
	other := join(t, router.Link.Addr(), "other")
	linktest.Until(t, "both are there", func() bool { return router.Count(link.Connected) == 2 }, router)
	cut := router.Link.(link.Disconnector)
	if cut.Disconnect([]byte("nobody")) || !cut.Disconnect([]byte("revoked")) || cut.Disconnect([]byte("revoked")) {
		t.Error("Disconnect does not say whether there was somebody")
	}
	linktest.ExpectError(t, router.TrySend("revoked", "x"), link.ErrUnreachable)
	ends(t, nc)
	linktest.Until(t, "its end is told", func() bool { return router.Count(link.Disconnected) == 1 }, router)
	if last := router.Read[len(router.Read)-1]; string(last.Peer) != "revoked" {
		t.Errorf("the end of %q", last.Peer)
	}
	router.Send("other", "still here")
	reads(t, other, frame(zmtp.Last, "still here"))
}

// PING is answered at once, whether or not anybody reads messages; what is
// unknown is passed over.
func TestPing(t *testing.T) {
	router := openRouter(t, link.Options{})
	nc := join(t, router.Link.Addr(), "p")
	write(t, nc, zmtp.AppendCommand(nil, "SOMETHING", []byte("else")))
	write(t, nc, zmtp.AppendCommand(nil, "PING", []byte{0, 100}, []byte("context")))
	reads(t, nc, zmtp.AppendCommand(nil, "PONG", []byte("context")))
}

// A peer of ZMTP 2.0, byte by byte as libzmq 3.2 sends it.
func TestOldPeer(t *testing.T) {
	router := openRouter(t, link.Options{})
	nc := dial(t, router.Link.Addr())
	write(t, nc, []byte("\xff\x00\x00\x00\x00\x00\x00\x00\x04\x7f"))
	reads(t, nc, []byte("\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f\x03"))
	write(t, nc, []byte("\x01\x05"))
	reads(t, nc, []byte("\x06\x00\x00"))
	write(t, nc, []byte("\x00\x03old"))
	write(t, nc, append(frame(zmtp.More, ""), frame(zmtp.Last, strings.Repeat("q", 300))...))
	linktest.Until(t, "its message comes", func() bool { return len(router.Data()) == 1 }, router)
	if m := router.Data()[0]; string(m.Peer) != "old" || len(m.Frames) != 2 || len(m.Frames[1]) != 300 {
		t.Fatalf("%q from %q", m.Frames, m.Peer)
	}
	router.Send("old", "", "a")
	reads(t, nc, append(frame(zmtp.More, ""), frame(zmtp.Last, "a")...))
	if p := router.Link.(link.Observed).Peers(nil); len(p) != 1 || p[0].Revision != "2.0" || p[0].SocketType != "DEALER" || p[0].Mechanism != "NULL" {
		t.Errorf("peers %+v", p)
	}
}

// A REP understands only what a DEALER or REQ sends: to it a Router is a DEALER.
func TestRepIsServed(t *testing.T) {
	router := openRouter(t, link.Options{})
	nc := dial(t, router.Link.Addr())
	peer, err := shake(nc, zmtp.Rep, "")
	if err != nil || peer.Type != zmtp.Dealer {
		t.Fatalf("it takes the Router for a %v (%v)", peer.Type, err)
	}
	linktest.Until(t, "it is there", func() bool { return router.Count(link.Connected) == 1 }, router)
	id := router.Read[0].Peer
	if router.Read[0].Socket != "REP" {
		t.Errorf("it is told of as a %q", router.Read[0].Socket)
	}
	router.Send(string(id), "", "request")
	reads(t, nc, append(frame(zmtp.More, ""), frame(zmtp.Last, "request")...))
}

func TestPeers(t *testing.T) {
	router := openRouter(t, link.Options{})
	nc := join(t, router.Link.Addr(), "p")
	write(t, nc, frame(zmtp.Last, "12345"))
	linktest.Until(t, "it comes", func() bool { return len(router.Data()) == 1 }, router)
	router.Send("p", "123")
	reads(t, nc, frame(zmtp.Last, "123"))
	peers := router.Link.(link.Observed).Peers(nil)
	if len(peers) != 1 {
		t.Fatalf("%d peers", len(peers))
	}
	p := peers[0]
	if string(p.Peer) != "p" || p.Address != nc.LocalAddr().String() || p.Revision != "3.1" || p.MessagesIn != 1 || p.MessagesOut != 1 || p.Since.IsZero() {
		t.Errorf("%+v", p)
	}
	// Greeting and READY, and a frame of seven or five bytes.
	if p.BytesIn < 64+30+7 || p.BytesIn > 150 || p.BytesOut < 64+30+5 || p.BytesOut > 150 || p.ToSend != 0 {
		t.Errorf("%+v", p)
	}
	if st := stats(router); st.Connections != 1 || st.Accepted != 1 || st.Handshakes != 0 {
		t.Errorf("%+v", st)
	}
}
