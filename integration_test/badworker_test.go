package integration

import (
	"fmt"
	"testing"
	"time"

	"github.com/privateer-mq/privateer/client"
	"github.com/privateer-mq/privateer/protocol"
)

// What a worker gets for a message that is refused: DISCONNECT, with the
// reason. Its neighbour is served.
func TestInvalidWorkersAreTold(t *testing.T) {
	b := startBroker(t)
	log := newRunLog(t)
	startWorkers(t, 1, b, log)
	neighbour := newClient(t, at(b))
	right := protocol.Message{Command: protocol.Ready, Flags: protocol.Last, Link: 1, Seq: 1, Credit: 1, Instance: 7}
	header := func(change func(m *protocol.Message)) []byte {
		m := right
		change(&m)
		return protocol.AppendHeader(nil, protocol.BackIn, &m)
	}
	service := func(name string) []byte {
		return header(func(m *protocol.Message) { m.Services = [][]byte{[]byte(name)} })
	}
	version := header(func(*protocol.Message) {})
	version[3] = '9'
	for _, bad := range []struct {
		name   string
		frames [][]byte
		reason protocol.Code
		word   string
	}{
		{"another version", [][]byte{version}, protocol.ReasonVersion, "version"},
		{"a client's command", [][]byte{header(func(m *protocol.Message) { m.Command = protocol.Request })}, protocol.ReasonInvalid, "REQUEST"},
		{"absurd credit", [][]byte{header(func(m *protocol.Message) { m.Credit = 1 << 31 })}, protocol.ReasonInvalid, "credit"},
		{"no instance", [][]byte{header(func(m *protocol.Message) { m.Instance = 0 })}, protocol.ReasonInvalid, ""},
		{"link 0", [][]byte{header(func(m *protocol.Message) { m.Link = 0 })}, protocol.ReasonInvalid, "link"},
		{"service not UTF-8", [][]byte{service("a\xffb")}, protocol.ReasonInvalid, "UTF-8"},
		{"service with a control character", [][]byte{service("a\x00b")}, protocol.ReasonInvalid, "control"},
		{"half an entry", [][]byte{header(func(*protocol.Message) {}), make([]byte, 47)}, protocol.ReasonInvalid, "entries"},
		{"an entry of id 0", [][]byte{header(func(*protocol.Message) {}), make([]byte, 48)}, protocol.ReasonInvalid, "zero"},
		{"a REPLY with id 0", [][]byte{header(func(m *protocol.Message) {
			m.Command, m.Code, m.Number, m.Epoch = protocol.Reply, protocol.OK, 1, 1
		})}, protocol.ReasonInvalid, "zero"},
		{"a heartbeat without a READY", [][]byte{header(func(m *protocol.Message) { m.Command = protocol.Heartbeat })}, protocol.ReasonUnknown, "READY"},
	} {
		t.Run(bad.name, func(t *testing.T) {
			p := dial(t, dealer, b.back)
			p.send(bad.frames...)
			p.wantDisconnect(bad.reason, bad.word)
			do(t, neighbour, ask("", "after "+bad.name))
			log.wantRuns("after "+bad.name, 1)
		})
	}
}

// A worker with credit 0 is alive, and is given nothing.
func TestCreditZero(t *testing.T) {
	b := startBroker(t)
	log := newRunLog(t)
	w := newRawWorker(t, b, 0, "default")
	startWorkers(t, 1, b, log)
	c := newClient(t, at(b))
	var ids []string
	for i := range 20 {
		ids = append(ids, do(t, c, ask("", fmt.Sprint("request ", i))).ID.String())
	}
	log.wantOnce(ids)
	w.heartbeat(1) // now it may
	w.heartbeat(1)
	g := newGate(t)
	busy := begin(testContext(t), c, ask(g.do(), "one"))
	other := begin(testContext(t), c, ask(g.do(), "two"))
	w.hear(protocol.BackOut, protocol.Request)
	g.open() // what it holds it never answers: its silence gives it back
	wantReply(t, outcome(t, busy), "one")
	wantReply(t, outcome(t, other), "two")
}

// READY with a link number used before is refused; with the next one it begins
// a new link, and what the worker held on the older one is handed out again.
func TestReadyTwice(t *testing.T) {
	b := startBroker(t)
	w := newRawWorker(t, b, 1, "default")
	w.link--
	w.ready(1, "default")
	w.wantDisconnect(protocol.ReasonReset, "READY")
	w.ready(1, "default")
	w.welcome()
	w.heartbeat(1)
	c := newClient(t, at(b))
	held := begin(testContext(t), c, ask("", "twice"))
	first := w.hear(protocol.BackOut, protocol.Request)
	w.ready(1, "default") // it lists nothing: so it never took the request
	w.welcome()
	w.heartbeat(1)
	again := w.hear(protocol.BackOut, protocol.Request)
	if again.ID != first.ID || again.Number != first.Number+1 || again.Flags.Has(protocol.MaybeRerun) {
		t.Errorf("attempt %d, flags %b, of %v; want attempt %d of %v", again.Number, again.Flags, again.ID, first.Number+1, first.ID)
	}
	w.ack++
	w.tell(protocol.Message{Command: protocol.Reply, Code: protocol.OK, ID: again.ID, Number: again.Number, Epoch: again.Epoch}, []byte("twice"))
	wantReply(t, outcome(t, held), "twice")
}

// A reply that was never asked for reaches nobody. It is acknowledged, so that
// its worker forgets it, and the worker is served on.
func TestReplyNeverAskedFor(t *testing.T) {
	b := startBroker(t)
	log := newRunLog(t)
	w := newRawWorker(t, b, 0, "default")
	startWorkers(t, 1, b, log)
	g := newGate(t)
	held := begin(testContext(t), newClient(t, at(b)), ask(g.do(), "mine"))
	id, err := protocol.ParseID(log.awaitStart("mine", 1).id)
	if err != nil {
		t.Fatal(err)
	}
	replies := []protocol.Message{
		{Command: protocol.Reply, Code: protocol.OK, ID: newID(), Number: 1, Epoch: w.epoch},     // of no request
		{Command: protocol.Reply, Code: protocol.OK, ID: id, Number: 7, Epoch: w.epoch},          // of an attempt that never was
		{Command: protocol.Reply, Code: protocol.Failed, ID: newID(), Number: 1, Epoch: w.epoch}, // and an error
	}
	for _, m := range replies {
		w.tell(m, []byte("forged"))
	}
	acked := map[protocol.ID]bool{}
	for end := time.Now().Add(patience); len(acked) < len(replies) && time.Now().Before(end); {
		for _, a := range w.hear(protocol.BackOut, protocol.Heartbeat, protocol.Ack).Acks {
			if !a.Superseded {
				t.Errorf("%v is acknowledged as wanted", a.ID)
			}
			acked[a.ID] = true
		}
		w.ack++
		w.heartbeat(0)
	}
	if len(acked) != len(replies) {
		t.Errorf("%d of %d replies were acknowledged", len(acked), len(replies))
	}
	g.open()
	reply := wantReply(t, outcome(t, held), "mine")
	log.wantOnce([]string{reply.ID.String()})
}

// A reply over the limit becomes an error that says so.
func TestTooBigReply(t *testing.T) {
	b := startBroker(t, "--max-message=100KiB")
	w := start(t, "privateer worker", nil, binary, "worker", "--broker", b.back, "--", "head", "-c", "200000", "/dev/zero")
	b.awaitWorkers(1)
	c := newClient(t, at(b))
	e := wantError(t, outcome(t, begin(testContext(t), c, ask("", "x"))).err, client.ErrFailed, protocol.Ran)
	if e.Message == "" || !w.alive() {
		t.Errorf("error %v, worker alive %v", e, w.alive())
	}
}

// The 1,001st name of a service is refused, to a client and to a worker. The
// names in use go on, and a name that nobody uses any more makes room.
func TestTooManyServices(t *testing.T) {
	b := startBroker(t)
	log := newRunLog(t)
	p := newPipeline(t, at(b))
	l := startLoad(t, p, 1000, func(i int) client.Request {
		return client.Request{Service: fmt.Sprint("service ", i), Body: fmt.Appendf(nil, "request %d", i), Deadline: time.Minute}
	})
	eventually(t, patience, "1,000 names are in use", func() bool { return b.log.seen("accepted") == 1000 })
	withBoth(t, func(t *testing.T, newAsker func(client.Config) asker) {
		a := outcome(t, begin(testContext(t), newAsker(at(b)), client.Request{Service: "one too many", Body: []byte("over")}))
		wantError(t, a.err, client.ErrInvalid, protocol.NotStarted)
	})
	w := &rawWorker{peer: dial(t, dealer, b.back), instance: 7}
	w.ready(1, "one too many") // names that clients have made up keep no worker out
	w.welcome()
	w.tell(protocol.Message{Command: protocol.Disconnect, Code: protocol.ReasonShutdown, Epoch: w.epoch})
	eventually(t, patience, "it has left", func() bool { return b.log.seen("worker_left") > 0 })
	for i := range 4 {
		var names []string
		for j := range 250 {
			names = append(names, fmt.Sprint("service ", 250*i+j))
		}
		startWorker(t, log, workerConfig{Brokers: []string{b.back}, Services: names, Concurrency: 4})
	}
	l.wantAll()
	log.wantOnce(l.ids)
	log.wantRuns("over", 0)
}
