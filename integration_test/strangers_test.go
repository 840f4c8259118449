package integration

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pebbe/zmq4"

	"github.com/privateer-mq/privateer/client"
	"github.com/privateer-mq/privateer/protocol"
)

// Programs as they are out there, in many languages: each keeps to what it was
// written from, and to the habits of its language.

// cString is what is left of a frame in a program that keeps frames as C strings.
func cString(frame string) string {
	text, _, _ := strings.Cut(frame, "\x00")
	return text
}

// Workers in C++ keep the client's address as a C string: it comes back whole.
func TestAddressesAsCStrings(t *testing.T) {
	b := startBroker(t, slowBeat)
	c := dial(t, req, b.front)
	for _, v := range versions {
		w := newMDWorker(t, b.back, v, v.name)
		m := dial(t, dealer, b.front)
		m.mdAsk(v, v.name, "x")
		w.command(v.final, cString(w.takes("x")), "", "done")
		m.mdExpect(v, v.name, "done")
	}
	w := dial(t, dealer, b.back)
	w.speak(pppReady)
	c.speak("x")
	got := w.listenPast(pppHeartbeat)
	if len(got) != 3 || len(got[0]) > 255 {
		t.Fatalf("request %q", got)
	}
	w.speak(cString(got[0]), "", "done")
	c.expect("done")
	b.wantHealthy()
}

// listenPast waits for a message that is not one of these single frames.
func (p *peer) listenPast(skipped ...string) []string {
	p.t.Helper()
	for {
		if got := p.listen(); len(got) != 1 || !slices.Contains(skipped, got[0]) {
			return got
		}
	}
}

// Workers in PHP send no empty frame behind the address.
func TestRepliesWithoutDelimiter(t *testing.T) {
	b := startBroker(t, slowBeat)
	for _, v := range versions {
		w := newMDWorker(t, b.back, v, v.name)
		c := dial(t, dealer, b.front)
		for _, body := range []string{"one", "two"} {
			c.mdAsk(v, v.name, body)
			w.command(v.final, w.takes(body), "done", "", body)
			c.mdExpect(v, v.name, "done", "", body)
		}
	}
	c, w := dial(t, req, b.front), dial(t, dealer, b.back)
	w.speak(pppReady)
	c.speak("x")
	w.speak(w.listenPast(pppHeartbeat)[0], "done")
	c.expect("done")
	if n := b.log.seen("worker_lost") + b.log.seen("protocol_error"); n > 0 {
		t.Errorf("%d lines about losses and errors", n)
	}
	b.wantHealthy()
}

// Workers in C++, PHP, Lua and Tcl say READY and HEARTBEAT as words, and take the
// broker for dead that says HEARTBEAT otherwise. They are registered once, and
// live as long as they say so.
func TestPirateInWords(t *testing.T) {
	b := startBroker(t) // its patience without a heartbeat of theirs is some seconds
	w := dial(t, dealer, b.back)
	w.speak("READY")
	b.awaitWorkers(1)
	w.speak("HEARTBEAT")
	for range 3 {
		w.expect("HEARTBEAT")
		w.speak("HEARTBEAT")
	}
	c := dial(t, req, b.front)
	for _, body := range []string{"one", "two"} {
		c.speak(body)
		got := w.listenPast("HEARTBEAT")
		if len(got) != 3 || got[1] != "" || got[2] != body {
			t.Fatalf("request %q", got)
		}
		w.speak(got...)
		c.expect(body)
	}
	if n := b.log.seen("worker_lost") + b.log.seen("protocol_error"); n > 0 || b.log.seen("worker_ready") != 1 {
		t.Errorf("%d lines about losses and errors, %d about workers", n, b.log.seen("worker_ready"))
	}
	b.wantHealthy()
}

// The guide's PPP workers throw away what is not of three frames: what another
// client asks must not put them out of work.
func TestFramesForPirates(t *testing.T) {
	bodies := [][]string{{"a", "b"}, {}, {"a", "", "b", ""}, {"one"}}
	for how, wants := range map[string][]string{"join": {"ab", "", "ab", "one"}, "refuse": {"one"}, "keep": nil} {
		t.Run(how, func(t *testing.T) {
			b := startBroker(t, slowBeat, "--ppp-frames="+how)
			w := dial(t, dealer, b.back)
			w.speak(pppReady)
			b.awaitWorkers(1)
			c := newClient(t, at(b))
			for _, body := range bodies {
				frames := [][]byte{}
				for _, f := range body {
					frames = append(frames, []byte(f))
				}
				done := begin(testContext(t), c, client.Request{Service: "default", Frames: frames})
				if how == "refuse" && len(body) != 1 {
					e := wantError(t, outcome(t, done).err, client.ErrInvalid, protocol.NotStarted)
					if !strings.Contains(e.Message, "--ppp-frames") {
						t.Errorf("%q: %v", body, e)
					}
					continue
				}
				want := body
				if how == "join" || how == "refuse" {
					want, wants = wants[:1], wants[1:]
				}
				got := w.listenPast(pppHeartbeat)
				if len(got) != 2+len(want) || !slices.Equal(got[2:], want) {
					t.Fatalf("%q comes as %q", body, got)
				}
				w.speak(got[0], "", "done")
				wantReply(t, outcome(t, done), "done")
			}
			b.wantHealthy()
		})
	}
}

// Clients of Majordomo 0.2 as there are, of which none keeps to RFC 18: each is
// served, and answered as it expects.
func TestMajordomoClientsAsTheyAre(t *testing.T) {
	b := startBroker(t, slowBeat)
	w := newMDWorker(t, b.back, mdp02, "echo")
	b.awaitWorkers(1)
	zproto := func(command string) string { return "\xaa\xa4" + command + "\x06MDPC02" + command + "\x04echo" }
	for _, c := range []struct {
		name           string
		ask, part, end []string // what comes before the body; no part: it hears all at the end
	}{
		{"majortomo", []string{"", "MDPC02", "\x02", "echo"}, []string{"", "MDPC02", "\x03"}, []string{"", "MDPC02", "\x04"}},
		{"without a command", []string{"", "MDPC02", "echo"}, nil, []string{"", "MDPC02", "echo"}},
		{"zproto", []string{zproto("\x01")}, []string{zproto("\x02")}, []string{zproto("\x03")}},
	} {
		p := dial(t, dealer, b.front)
		p.speak(append(slices.Clone(c.ask), c.name, "and more")...)
		got := w.await(mdRequest)
		if len(got) != 4 || got[2] != c.name || got[3] != "and more" {
			t.Fatalf("%s: request %q", c.name, got)
		}
		w.command(mdPartial, got[0], "", "part")
		w.command(w.final, got[0], "", "end", "")
		if c.part == nil {
			p.expect(append(slices.Clone(c.end), "part", "end", "")...)
			continue
		}
		p.expect(append(slices.Clone(c.part), "part")...)
		p.expect(append(slices.Clone(c.end), "end", "")...)
	}
	b.wantHealthy()
}

// A Simple Pirate worker has a REQ socket, says READY once and nothing but replies
// after that; the guide's rrworker has a REP socket and says nothing at all. They
// are served, outlive any silence, and lose what they hold with their connection.
func TestWorkersWithoutHeartbeats(t *testing.T) {
	for _, c := range []struct {
		name, ready string
		kind        zmq4.Type
	}{{"REQ, READY as a byte", "\x01", req}, {"REQ, READY as a word", "READY", req}, {"REP", "", rep}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if c.kind == rep && transport == "libzmq" {
				t.Log("libzmq does not say what a peer is: docs/interop.md tells")
				return
			}
			flags := []string{"--heartbeat=20ms"} // so that a silence of a second is a long one
			if transport == "libzmq" {
				flags = append(flags, "--lease=2s") // it does not say whose connection has ended
			}
			b := startBroker(t, flags...)
			hire := func(n int) *peer {
				w := dial(t, c.kind, b.back)
				if c.ready != "" {
					w.speak(c.ready)
				}
				b.awaitWorkers(n)
				return w
			}
			w, plain := hire(1), dial(t, req, b.front)
			for _, body := range []string{"one", "two"} {
				plain.speak(body)
				got := w.listen()
				if got[len(got)-1] != body {
					t.Fatalf("request %q", got)
				}
				got[len(got)-1] = "done " + body
				w.speak(got...)
				plain.expect("done " + body)
			}
			if frames, ok := w.recv(time.Second); ok { // three times what the broker waits for whom it does not know
				t.Fatalf("got %q, want nothing", frames)
			}
			w.must(w.s.SetRcvtimeo(patience))
			plain.speak("held")
			w.listen()
			w.must(w.s.Close())
			w = hire(2)
			got := w.listen() // held has come to the other one
			w.speak(got...)
			plain.expect("held")
			if b.wantHealthy(); transport == "libzmq" {
				return
			}
			b.awaitLost(1)
			w.must(w.s.Close())
			b.awaitLost(2) // an idle one
			if lost := b.log.seen("worker_lost"); lost != 2 {
				t.Errorf("%d workers were lost, want the two that have gone", lost)
			}
			b.wantHealthy()
		})
	}
}

// The client of the guide's asyncsrv has a DEALER socket and sends no empty frame.
func TestDealerWithoutDelimiter(t *testing.T) {
	b := startBroker(t, slowBeat)
	w := dial(t, dealer, b.back)
	w.speak(pppReady)
	b.awaitWorkers(1)
	c := dial(t, dealer, b.front)
	c.speak("request #1")
	c.speak("request #2")
	for _, body := range []string{"request #1", "request #2"} {
		got := w.listenPast(pppHeartbeat)
		if len(got) != 3 || got[2] != body {
			t.Fatalf("request %q", got)
		}
		w.speak(got...)
		c.expect(body)
	}
	b.wantHealthy()
}

// Who cannot be served is named in the log.
func TestStrangersAreNamed(t *testing.T) {
	if transport == "libzmq" {
		t.Log("libzmq does not say what a peer is: docs/interop.md tells")
		return
	}
	b := startBroker(t)
	for _, c := range []struct {
		kind     zmq4.Type
		endpoint string
		word     string
	}{{rep, b.front, "rrworker"}, {zmq4.ROUTER, b.front, "flclient3"}, {zmq4.ROUTER, b.back, "flclient3"}} {
		n := len(b.log.events("wrong_peer"))
		eventually(t, patience, "the log has a line about it", func() bool { // a line a second at most
			dial(t, c.kind, c.endpoint)
			time.Sleep(silence)
			lines := b.log.events("wrong_peer")
			return len(lines) > n && strings.Contains(lines[len(lines)-1].Reason, c.word)
		})
	}
	b.wantHealthy()
}

// A client that keeps its routing id over its sockets does not get the reply to the
// request of the socket before. Where the socket itself knows what it has asked
// (ZMQ_REQ_CORRELATE), it is left to that.
func TestFixedRoutingID(t *testing.T) {
	if transport == "libzmq" {
		t.Log("libzmq does not say who has connected: docs/interop.md tells")
		return
	}
	b := startBroker(t, slowBeat)
	w := newMDWorker(t, b.back, mdp01, "default")
	b.awaitWorkers(1)
	for _, frames := range [][]string{nil, {"MDPC01", "default"}} {
		for i := range 5 {
			asked, next := fmt.Sprint("first ", i), fmt.Sprint("second ", i)
			c := dialAs(t, req, b.front, "c1")
			c.speak(append(slices.Clone(frames), asked)...)
			address := w.takes(asked)
			c.must(c.s.Close())
			c = dialAs(t, req, b.front, "c1")
			n := b.log.seen("accepted")
			c.speak(append(slices.Clone(frames), next)...)
			eventually(t, patience, "the second request is there", func() bool { return b.log.seen("accepted") > n })
			w.command(w.final, address, "", "of the first")
			w.command(w.final, w.takes(next), "", "of the second")
			c.expect(append(slices.Clone(frames), "of the second")...)
			c.must(c.s.Close())
		}
	}
	b.wantHealthy()
}
