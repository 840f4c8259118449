package integration

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/privateer-mq/privateer/client"
	"github.com/privateer-mq/privateer/protocol"
)

// slowBeat keeps the peers that are played by hand alive, which send no
// heartbeats, for longer than any test takes.
const slowBeat = "--heartbeat=2s"

// Clients and workers of either version meet, whichever port each is at.
func TestMajordomoOnEitherPort(t *testing.T) {
	b := startBroker(t)
	ports := map[string]string{"front": b.front, "back": b.back}
	for _, v := range versions {
		for port, endpoint := range ports {
			startMDWorker(t, endpoint, v.name, "echo "+v.name+" "+port, "--heartbeat", heartbeat.String())
		}
	}
	b.awaitWorkers(4)
	for _, v := range versions {
		for port, endpoint := range ports {
			c := dial(t, dealer, endpoint)
			for _, of := range versions {
				for at := range ports {
					service, body := "echo "+of.name+" "+at, "from the "+port+" in "+v.name
					c.mdAsk(v, service, body, "", "three frames")
					c.mdExpect(v, service, body, "", "three frames")
				}
			}
		}
	}
	b.wantHealthy()
	if n := b.log.seen("worker_lost") + b.log.seen("requeued") + b.log.seen("protocol_error"); n > 0 {
		t.Errorf("%d lines of log about losses and errors", n)
	}
}

// What a client gets that breaks its dialect: nothing. What a worker gets:
// DISCONNECT, if it is clear that it is one. Each is counted, and none matters
// to others.
func TestBrokenMajordomo(t *testing.T) {
	b := startBroker(t, slowBeat, "--default-service=echo")
	startMDWorker(t, b.back, "0.2", "echo")
	b.awaitWorkers(1)
	text := func(frames ...string) []string { return frames }
	broken := []struct {
		name    string
		frames  []string
		told    []string // the answer
		uncount bool     // no error of the protocol
	}{
		{"version 3", text("", "MDPC03", "echo", "x"), nil, false},
		{"version 3 without an empty frame", text("MDPC03", "\x01", "echo", "x"), nil, false},
		{"another role", text("", "MDPX01", "echo", "x"), nil, false},
		{"no number", text("", "MDPC0X", "echo", "x"), nil, false},
		{"a zero byte behind it", text("", "MDPC01\x00", "echo", "x"), nil, false},
		{"small letters", text("", "mdpc01", "echo", "x"), nil, false},
		{"0.1 without an empty frame", text("MDPC01", "echo", "x"), nil, false},
		{"a worker of 0.1 without an empty frame", text("MDPW01", "\x01", "echo"), nil, false},
		{"no service name, 0.1", text("", "MDPC01", "", "x"), nil, false},
		{"no service name, 0.2", text("MDPC02", "\x01", "", "x"), nil, false},
		{"no body", text("", "MDPC01", "echo"), nil, false},
		{"a header alone", text("", "MDPC01"), nil, false},
		{"a worker's header alone", text("MDPW02"), nil, false},
		{"an unknown command of a client", text("MDPC02", "\x09", "echo", "x"), nil, false},
		{"READY without a service", text("MDPW02", "\x01"), text("MDPW02", "\x06"), false},
		{"READY for no name", text("", "MDPW01", "\x01", ""), text("", "MDPW01", "\x05"), false},
		{"READY for two", text("", "MDPW01", "\x01", "echo", "other"), text("", "MDPW01", "\x05"), false},
		{"an unknown command of a worker", text("MDPW02", "\x09"), text("MDPW02", "\x06"), false},
		{"a reply to no address", text("MDPW02", "\x04", "nobody", "", "x"), text("MDPW02", "\x06"), false},
		{"a heartbeat before READY, 0.1", text("", "MDPW01", "\x04"), text("", "MDPW01", "\x05"), true},
		{"a heartbeat before READY, 0.2", text("MDPW02", "\x05"), text("MDPW02", "\x06"), true},
		{"a reply before READY", text("", "MDPW01", "\x03", strings.Repeat("a", 56), "", "x"), text("", "MDPW01", "\x05"), true},
		{"DISCONNECT before READY", text("", "MDPW01", "\x05"), nil, true},
		{"READY for a name of the broker's own, 0.1", text("", "MDPW01", "\x01", "mmi.service"), text("", "MDPW01", "\x05"), true},
		{"READY for a name of the broker's own, 0.2", text("MDPW02", "\x01", "mmi.mine"), text("MDPW02", "\x06"), true},
	}
	counted := 0
	for port, endpoint := range map[string]string{"front": b.front, "back": b.back} {
		var silent []*peer
		for _, bad := range broken {
			p := dial(t, dealer, endpoint)
			p.speak(bad.frames...)
			if bad.told == nil {
				silent = append(silent, p)
			} else if got := p.listen(); !slices.Equal(got, bad.told) {
				t.Errorf("%s, %s: got %q, want %q", port, bad.name, got, bad.told)
			}
			if !bad.uncount {
				counted++
			}
		}
		for _, p := range silent {
			if frames, ok := p.recv(silence / 10); ok {
				t.Errorf("%s: an answer: %q", port, frames)
			}
		}
	}
	pirate := dial(t, dealer, b.front) // PPP has no place at the front
	pirate.speak(pppReady)
	pirate.speak(pppHeartbeat)
	counted += 2
	wantProtocolErrors(t, b, counted)
	if n := b.log.seen("worker_ready"); n != 1 {
		t.Errorf("%d workers have registered, want the one", n)
	}
	c := dial(t, dealer, b.front)
	c.mdAsk(mdp01, "echo", "a good one")
	c.mdExpect(mdp01, "echo", "a good one")
	b.wantHealthy()
}

// wantProtocolErrors wants n messages to have been refused. The log has a line a
// second, which says how many were left out: the last one is seen with the next.
func wantProtocolErrors(t *testing.T, b *brokerProcess, n int) {
	t.Helper()
	p, sent, got := dial(t, dealer, b.front), 0, 0
	eventually(t, patience, "the log tells of errors of the protocol", func() bool {
		p.speak("", "MDPC99", "one more")
		sent++
		got = 0
		lines := b.log.events("protocol_error")
		for _, e := range lines {
			got += max(1, e.Suppressed) // a line, or what stands for so many
		}
		return got >= n && len(lines) >= 2 && time.Since(lines[len(lines)-1].Time) < time.Second/2
	})
	if got < n || got > n+sent {
		t.Errorf("%d errors of the protocol in the log, want %d to %d", got, n, n+sent)
	}
}

// A worker that says READY twice, or for another service, is disconnected, and
// what it holds goes to another.
func TestMajordomoReadyTwice(t *testing.T) {
	b := startBroker(t, slowBeat)
	for _, v := range versions {
		for _, second := range []string{"other", "same"} {
			service := "same " + v.name + second
			again := service
			if second == "other" {
				again = "other"
			}
			w := newMDWorker(t, b.back, v, service)
			c := dial(t, dealer, b.front)
			c.mdAsk(v, service, "held")
			w.takes("held")
			w.command(mdReady, again)
			if rest := w.await(v.disconnect); len(rest) > 0 {
				t.Errorf("DISCONNECT with %q", rest)
			}
			w = newMDWorker(t, b.back, v, service)
			w.command(v.final, w.takes("held"), "", "done")
			c.mdExpect(v, service, "done")
		}
	}
	b.wantHealthy()
}

// A body that looks like the header of a dialect that is not spoken is a body.
func TestBodiesLikeHeaders(t *testing.T) {
	b := startBroker(t, "--dialects=plain,ppp", "--default-deadline=10s", "--ppp-frames=keep")
	startPPWorker(t, b.back, "--heartbeat", heartbeat.String())
	b.awaitWorkers(1)
	m := rawRequest("echo")
	header := string(protocol.AppendHeader(nil, protocol.FrontIn, &m))
	for _, body := range [][]string{{"MDPC01"}, {"MDPC01", "echo", "x"}, {"MDPC02", "\x01", "echo", "x"}, {"MDPX99"}, {header}, {"PRV1"}, {"PRV1", ""}} {
		p := dial(t, req, b.front)
		p.speak(body...)
		p.expect(body...)
	}
	if n := b.log.seen("protocol_error"); n > 0 {
		t.Errorf("%d errors of the protocol", n)
	}
	// And nobody who speaks another dialect is served.
	p := dial(t, dealer, b.back)
	p.speak("", "MDPW01", mdReady, "default")
	p.expectNothing()
	if n := b.log.seen("worker_ready"); n != 1 {
		t.Errorf("%d workers have registered", n)
	}
}

// The broker tells who is served, as long as it is so.
func TestMMI(t *testing.T) {
	b := startBroker(t)
	w := startMDWorker(t, b.back, "0.1", "echo", "--heartbeat", heartbeat.String(), "--delay", "1h")
	b.awaitWorkers(1)
	old, newer, prv1 := dial(t, dealer, b.front), dial(t, dealer, b.front), newClient(t, at(b))
	want := func(service, body, code string) {
		t.Helper()
		old.mdAsk(mdp01, service, body)
		newer.mdAsk(mdp02, service, body)
		reply, err := prv1.Do(testContext(t), client.Request{Service: service, Body: []byte(body)})
		if err != nil {
			t.Fatal(err)
		}
		if string(reply.Body()) != code {
			t.Errorf("%s %q: %q, want %s", service, body, reply.Body(), code)
		}
		old.mdExpect(mdp01, service, code)
		newer.mdExpect(mdp02, service, code)
	}
	want("mmi.service", "echo", "200")
	want("mmi.service", "nobody", "404")
	want("mmi.service", "mmi.service", "404") // no worker's
	want("mmi.other", "echo", "501")
	want("mmi.", "echo", "501")
	held := dial(t, req, b.front)
	held.speak("MDPC01", "echo", "held")
	eventually(t, patience, "the worker has a request", func() bool { return b.log.seen("handed_out") == 1 })
	want("mmi.service", "echo", "200") // busy, and live
	w.kill()
	b.awaitLost(1)
	want("mmi.service", "echo", "404") // in spite of the request that waits for it
	startMDWorker(t, b.front, "0.2", "echo", "--heartbeat", heartbeat.String())
	b.awaitWorkers(2)
	want("mmi.service", "echo", "200")
	held.expect("MDPC01", "echo", "held")
	if n := b.log.seen("accepted"); n > 1 {
		t.Errorf("%d questions to the broker were taken for requests", n-1)
	}
}

// awaitLost waits until n workers were lost, in all.
func (b *brokerProcess) awaitLost(n int) {
	b.t.Helper()
	eventually(b.t, patience, fmt.Sprintf("%d workers are lost", n), func() bool { return b.log.seen("worker_lost") >= n })
}

// A client whose dialect has no errors hears nothing of one, or a text.
func TestLegacyErrors(t *testing.T) {
	for _, how := range []string{"silent", "text"} {
		t.Run(how, func(t *testing.T) {
			b := startBroker(t, "--default-deadline=500ms", "--legacy-errors="+how)
			plain, old, newer := dial(t, req, b.front), dial(t, dealer, b.front), dial(t, dealer, b.front)
			plain.speak("x")
			old.mdAsk(mdp01, "echo", "x")
			newer.mdAsk(mdp02, "echo", "x")
			eventually(t, patience, "the requests expire", func() bool { return b.log.seen("finished") == 3 })
			for _, c := range []struct {
				peer  *peer
				start []string
			}{{plain, nil}, {old, []string{"", "MDPC01", "echo"}}, {newer, []string{"MDPC02", "\x03", "echo"}}} {
				if how == "silent" {
					c.peer.expectNothing()
					continue
				}
				got := c.peer.listen()
				if len(got) != len(c.start)+1 || !slices.Equal(got[:len(got)-1], c.start) ||
					!strings.HasPrefix(got[len(got)-1], "PRIVATEER-ERROR EXPIRED not-started: ") {
					t.Errorf("got %q", got)
				}
			}
		})
	}
}

// A worker that was registered with a broker that was killed is told by the new
// one to begin again. It does, and serves.
func TestMajordomoWorkerOutlivesBroker(t *testing.T) {
	for _, v := range versions {
		t.Run(v.name, func(t *testing.T) {
			b := startBrokerAt(t, fixedEndpoint(t), fixedEndpoint(t))
			p := startMDWorker(t, b.back, v.name, "echo", "--heartbeat", "1s") // outlasts the restart
			b.awaitWorkers(1)
			w := newMDWorker(t, b.front, v, "by hand")
			b.awaitWorkers(2)
			b.restart()
			w.command(v.heartbeat)
			w.await(v.disconnect)
			w = newMDWorker(t, b.front, v, "by hand") // on a new socket
			b.awaitWorkers(2)                         // the process, too
			if !strings.Contains(p.log.tail(), "the broker disconnects this worker") {
				t.Errorf("the worker was not told by DISCONNECT:\n%s", p.log.tail())
			}
			c := dial(t, dealer, b.front)
			c.mdAsk(v, "echo", "to the process")
			c.mdExpect(v, "echo", "to the process")
			c.mdAsk(v, "by hand", "to the test")
			w.command(v.final, w.takes("to the test"), "", "done")
			c.mdExpect(v, "by hand", "done")
			b.wantHealthy()
		})
	}
}
