package integration

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/pebbe/zmq4"

	"github.com/privateer-mq/privateer/client"
	"github.com/privateer-mq/privateer/protocol"
)

// Whatever arrives at either port, the neighbours are served: a load runs on
// beside all kinds of garbage, each request once.
func TestGarbageOnBothPorts(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	b := startBroker(t, "--log-level=info")
	log := newRunLog(t)
	// Some of the garbage is a worker of the default service that says no more: the
	// neighbours have one of their own.
	workers := make([]*process, 2)
	for i := range workers {
		workers[i] = startWorker(t, log, workerConfig{Brokers: []string{b.back}, Services: []string{"default", "neighbours"}})
	}
	b.awaitWorkers(len(workers))
	began := time.Now()
	l := startLoad(t, newPipeline(t, client.Config{Brokers: []string{b.front}, MaxInFlight: 4}), 500, func(i int) client.Request {
		r := ask("sleep 4ms", fmt.Sprint("neighbour ", i))
		r.Service = "neighbours"
		return r
	})
	for _, port := range []string{b.front, b.back} {
		randomFrames(t, port, random)
		brokenHeaders(t, port)
		wrongSockets(t, port)
		noZeroMQ(t, port)
	}
	l.wantAll()
	b.wantHealthy()
	// The plain requests among the garbage are requests of the default service.
	all := log.read()
	for _, id := range l.ids {
		if len(all[id]) != 1 {
			t.Errorf("a neighbour ran %d times: %s", len(all[id]), describe(all[id]))
		}
	}
	lines, most := len(b.log.events("protocol_error")), int(time.Since(began)/time.Second)+2
	if lines == 0 || lines > most {
		t.Errorf("%d lines of log about garbage, want 1 to %d", lines, most)
	}
	for _, w := range workers { // others came and went among the garbage
		if n := w.log.seen("reconnecting") + w.log.seen("link reset"); n > 0 {
			t.Errorf("a neighbour lost its link %d times", n)
		}
	}
}

// randomFrames sends messages of random frames, some of them almost right.
func randomFrames(t *testing.T, port string, random *rand.Rand) {
	t.Helper()
	p := dial(t, dealer, port)
	for range 1000 {
		frames := make([][]byte, 1+random.IntN(6))
		for i := range frames {
			frames[i] = make([]byte, random.IntN(200))
			for j := range frames[i] {
				frames[i][j] = byte(random.Uint32())
			}
			switch random.IntN(4) {
			case 0:
				frames[i] = nil
			case 1:
				frames[i] = append([]byte("PRV1"), frames[i]...)
			case 2:
				frames[i] = append([]byte{'P', 'R', 'V', '1', byte(random.IntN(16))}, frames[i]...)
			}
		}
		p.send(frames...)
	}
	p.send(make([][]byte, 3000)...)
	p.send(append([][]byte{nil}, make([][]byte, 3000)...)...)
}

// brokenHeaders sends every header cut off at every length, and each with
// each of its bytes changed: those of the other port are among them.
func brokenHeaders(t *testing.T, port string) {
	t.Helper()
	p := dial(t, dealer, port)
	ready := protocol.Message{Command: protocol.Ready, Flags: protocol.Last, Link: 1, Seq: 1, Credit: 1, Instance: 7,
		Services: [][]byte{[]byte("garbage")}}
	for d, m := range map[protocol.Direction]protocol.Message{protocol.FrontIn: rawRequest("garbage"), protocol.BackIn: ready} {
		whole := protocol.AppendHeader(nil, d, &m)
		for i := range whole {
			p.send(nil, whole[:i])
			p.send(whole[:i])
		}
		for i := range whole {
			changed := bytes.Clone(whole)
			changed[i] ^= 0xff
			p.send(nil, changed)
			p.send(changed)
		}
	}
}

// wrongSockets connects each kind of ZeroMQ socket that has no business there.
func wrongSockets(t *testing.T, port string) {
	t.Helper()
	for _, kind := range []zmq4.Type{zmq4.PUB, zmq4.SUB, zmq4.PUSH, zmq4.PULL, zmq4.REP, zmq4.ROUTER, zmq4.PAIR, zmq4.REQ} {
		s := dial(t, kind, port).s
		_, _ = s.SendMessageDontwait("PRV1", "no business here") // some kinds cannot send
	}
}

// noZeroMQ sends what is no ZeroMQ at all.
func noZeroMQ(t *testing.T, port string) {
	t.Helper()
	address := strings.TrimPrefix(port, "tcp://")
	for _, text := range []string{"", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f", strings.Repeat("\x00", 1<<20), "\xff"} {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(conn, text) // it may be cut off
		if len(text) > 1 {
			_ = conn.Close()
			continue
		}
		t.Cleanup(func() { _ = conn.Close() }) // and one that just stays
	}
}

// What a client gets for a message that is refused: an answer.
func TestInvalidRequestsAreAnswered(t *testing.T) {
	b := startBroker(t)
	log := newRunLog(t)
	startWorkers(t, 1, b, log)
	neighbour := newClient(t, at(b))
	header := func(change func(m *protocol.Message)) []byte {
		m := rawRequest("default")
		change(&m)
		return protocol.AppendHeader(nil, protocol.FrontIn, &m)
	}
	right := header(func(*protocol.Message) {})
	poked := func(at int, with ...byte) []byte {
		return append(append(bytes.Clone(right[:at]), with...), right[at+len(with):]...)
	}
	for _, bad := range []struct {
		name   string
		frames [][]byte
		word   string // of the answer's text
	}{
		{"cut off", [][]byte{right[:30]}, "shorter"},
		{"another version", [][]byte{poked(3, '2')}, "version"},
		{"unknown command", [][]byte{poked(4, 17)}, "command"},
		{"a worker's command", [][]byte{header(func(m *protocol.Message) { m.Command = protocol.Ready })}, "READY"},
		{"a broker's command", [][]byte{header(func(m *protocol.Message) { m.Command = protocol.Welcome })}, "WELCOME"},
		{"unknown priority", [][]byte{poked(5, 99)}, ""},
		{"id all zero", [][]byte{header(func(m *protocol.Message) { m.ID = protocol.ID{} })}, "zero"},
		{"try 0", [][]byte{header(func(m *protocol.Message) { m.Number = 0 })}, ""},
		{"a second try that says it is the first", [][]byte{header(func(m *protocol.Message) { m.Number = 2 })}, ""},
		{"no instance", [][]byte{header(func(m *protocol.Message) { m.Instance = 0 })}, "instance"},
		{"service not UTF-8", [][]byte{header(func(m *protocol.Message) { m.Service = []byte("a\xffb") })}, "UTF-8"},
		{"service with a control character", [][]byte{header(func(m *protocol.Message) { m.Service = []byte("a\nb") })}, "control"},
		{"service name over its frame", [][]byte{poked(56, 255)}, "service"},
		{"service name of 300 bytes", [][]byte{header(func(m *protocol.Message) { m.Service = make([]byte, 300) })}, "service"},
		{"a field over its frame", [][]byte{append(bytes.Clone(right), 128, 255, 255)}, ""},
		{"1,025 body frames", append([][]byte{right}, make([][]byte, 1025)...), "1024"},
		{"a CANCEL with a body", [][]byte{header(func(m *protocol.Message) { m.Command = protocol.Cancel }), []byte("body")}, "body"},
	} {
		t.Run(bad.name, func(t *testing.T) {
			p := dial(t, req, b.front)
			p.send(bad.frames...)
			p.wantInvalid(bad.word)
			do(t, neighbour, ask("", "after "+bad.name))
			log.wantRuns("after "+bad.name, 1)
		})
	}
	// The client library refuses the same before it is sent.
	for _, service := range []string{"", "a\nb", "a\xffb", strings.Repeat("x", 256)} {
		_, err := neighbour.Do(testContext(t), client.Request{Service: service, Body: []byte("x")})
		wantError(t, err, client.ErrInvalid, protocol.NotStarted)
	}
	if n := len(log.of("x")); n > 0 {
		t.Errorf("%d of them ran", n)
	}
}
