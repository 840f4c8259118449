package conformance

import (
	"fmt"
	"time"

	"github.com/privateer-mq/privateer/internal/link"
	"github.com/privateer-mq/privateer/protocol"
)

// A labourer is a worker of the broker under test. It holds what it is handed
// until the script answers.
type labourer struct {
	k        *brokerKit
	s        *socket
	instance uint64
	services []string
	credit   uint32

	link, seq, received uint32
	ack                 uint32
	mute                bool // it says nothing of itself
	joined              bool
	beatAt              time.Duration
	list                []protocol.Entry
	got                 []given
	acked               map[protocol.ID][]protocol.Acked
}

// A given is one message to a worker.
type given struct {
	protocol.Message
	at  time.Duration
	bad error
}

// newLabourer connects a worker, which says nothing yet.
func (k *brokerKit) newLabourer(credit uint32, services ...string) (*labourer, error) {
	w := &labourer{k: k, instance: random(), services: services, credit: credit, acked: map[protocol.ID][]protocol.Acked{}}
	var err error
	w.s, err = k.r.open(link.Options{Role: link.Dealer, Endpoints: []string{k.r.cfg.Backend}, Identity: routingID(),
		FrameBytesMax: frameBytesMax, Linger: linger}, w.take)
	if err != nil {
		return nil, err
	}
	w.s.due = w.due
	k.sockets = append(k.sockets, w.s)
	k.labourers = append(k.labourers, w)
	return w, nil
}

// worker connects a worker of the check's service and brings its link up.
func (k *brokerKit) worker(credit uint32) (*labourer, error) {
	w, err := k.newLabourer(credit, k.service)
	if err != nil {
		return nil, err
	}
	if err := w.ready(); err != nil {
		return nil, err
	}
	if err := w.welcome(); err != nil {
		return nil, err
	}
	return w, w.heartbeat()
}

// ready says READY on the next link, with the list as it is.
func (w *labourer) ready() error {
	w.link++
	w.seq, w.received, w.ack, w.joined = 1, 0, 0, false
	m := protocol.Message{Command: protocol.Ready, Flags: protocol.Last, Link: w.link, Seq: 1, Credit: w.credit,
		Instance: w.instance, Entries: w.list, Epoch: w.k.epoch, SentMS: w.k.r.stamp()}
	for _, s := range w.services {
		m.Services = append(m.Services, []byte(s))
	}
	return w.k.sendSoon(w.s, encode(protocol.BackIn, &m))
}

// welcome waits for WELCOME on the present link. It is not acknowledged yet.
func (w *labourer) welcome() error {
	if !w.k.r.wait(soon, func() bool { return w.joined }) {
		return came("no WELCOME within %v%s", soon, w.instead())
	}
	return nil
}

// take takes what the broker says.
func (w *labourer) take(in link.Message) {
	g := given{at: w.k.r.now()}
	if g.bad = protocol.Parse(protocol.BackOut, in.Frames, &g.Message); g.bad != nil {
		w.k.bad = append(w.k.bad, g.bad.Error())
	}
	w.got = append(w.got, g)
	if g.bad != nil || g.Command == protocol.Disconnect || g.Link != w.link {
		return
	}
	if g.Seq != w.received+1 {
		w.k.faults = append(w.k.faults, fmt.Sprintf("%s with seq %d after seq %d", g.Command, g.Seq, w.received))
	}
	if g.Ack > w.seq {
		w.k.faults = append(w.k.faults, fmt.Sprintf("%s with ack %d when %d had been sent", g.Command, g.Ack, w.seq))
	}
	w.received = max(w.received, g.Seq)
	w.ack = w.received
	switch g.Command {
	case protocol.Welcome:
		w.joined = true
	case protocol.Request:
		w.list = append(w.list, protocol.Entry{ID: g.ID, Attempt: g.Number, Epoch: g.Epoch, State: protocol.Running,
			Flags: g.Flags & protocol.AtMostOnce, RemainingMS: g.RemainingMS, Digest: g.Digest})
	}
	for _, a := range g.Acks {
		w.acked[a.ID] = append(w.acked[a.ID], a)
		w.forget(a)
	}
}

// forget takes what was acknowledged off the list.
func (w *labourer) forget(a protocol.Acked) {
	for i := range w.list {
		if w.list[i].ID == a.ID && w.list[i].Attempt == a.Attempt && w.list[i].Epoch == a.Epoch {
			w.list = append(w.list[:i:i], w.list[i+1:]...)
			return
		}
	}
}

// due sends heartbeats, once the first has gone out.
func (w *labourer) due(now time.Duration) {
	if w.mute || w.beatAt == 0 || !w.joined || now < w.beatAt {
		return
	}
	_ = w.heartbeat() // a broker that is gone shows
}

// heartbeat says what the worker holds.
func (w *labourer) heartbeat() error {
	w.beatAt = w.k.r.now() + w.k.heartbeat/2
	return w.tell(protocol.Message{Command: protocol.Heartbeat, Epoch: w.k.epoch, Credit: w.credit, Entries: w.list})
}

// tell sends the next message of the link.
func (w *labourer) tell(m protocol.Message) error {
	w.seq++
	return w.send(m, w.link, w.seq)
}

func (w *labourer) send(m protocol.Message, number, seq uint32) error {
	m.Link, m.Seq, m.Ack, m.SentMS = number, seq, w.ack, w.k.r.stamp()
	return w.k.sendSoon(w.s, encode(protocol.BackIn, &m))
}

// replyTo makes the reply to a hand-over.
func replyTo(g *given, code protocol.Code, body ...string) protocol.Message {
	return protocol.Message{Command: protocol.Reply, Code: code, ID: g.ID, Number: g.Number, Epoch: g.Epoch, Body: frames(body...)}
}

// reply answers a hand-over.
func (w *labourer) reply(g *given, body ...string) error {
	for i := range w.list {
		if w.list[i].ID == g.ID {
			w.list[i].State = protocol.Finished
		}
	}
	return w.tell(replyTo(g, protocol.OK, body...))
}

// await waits for a message that is wanted, the from-th or a later one.
func (w *labourer) await(from int, d time.Duration, wanted func(*given) bool) (g *given) {
	w.k.r.wait(d, func() bool {
		for ; from < len(w.got); from++ {
			if w.got[from].bad == nil && wanted(&w.got[from]) {
				copied := w.got[from]
				g = &copied
				return true
			}
		}
		return false
	})
	return g
}

func isCommand(c protocol.Command) func(*given) bool {
	return func(g *given) bool { return g.Command == c }
}

// handed picks the hand-overs of an id.
func handed(id protocol.ID) func(*given) bool {
	return func(g *given) bool { return g.Command == protocol.Request && g.ID == id }
}

// wantRequest waits for a request to be handed out.
func (w *labourer) wantRequest(from int, id protocol.ID, d time.Duration) (*given, error) {
	g := w.await(from, d, handed(id))
	if g == nil {
		return nil, came("no REQUEST at the worker within %v%s", d, w.instead())
	}
	return g, nil
}

// wantAck waits for a reply to be acknowledged.
func (w *labourer) wantAck(g *given, d time.Duration) (*protocol.Acked, error) {
	var found *protocol.Acked
	w.k.r.wait(d, func() bool {
		for _, a := range w.acked[g.ID] {
			if a.Attempt == g.Number && a.Epoch == g.Epoch {
				found = &a
			}
		}
		return found != nil
	})
	if found == nil {
		return nil, came("no ack of the REPLY within %v", d)
	}
	return found, nil
}

// wantDisconnect waits for a DISCONNECT.
func (w *labourer) wantDisconnect(from int, reason protocol.Code, number uint32) error {
	g := w.await(from, soon, isCommand(protocol.Disconnect))
	switch {
	case g == nil:
		return came("no DISCONNECT within %v%s", soon, w.instead())
	case g.Code != reason:
		return came("%s", described(&g.Message))
	case g.Link != number:
		return came("%s naming link %d, not %d", described(&g.Message), g.Link, number)
	}
	return nil
}

// instead is what the worker heard last, in brackets.
func (w *labourer) instead() string {
	if len(w.got) == 0 {
		return ""
	}
	last := &w.got[len(w.got)-1]
	if last.bad != nil {
		return " (but: " + last.bad.Error() + ")"
	}
	return " (the last message: " + described(&last.Message) + ")"
}

// leave ends the link in good order.
func (w *labourer) leave() {
	if w.joined && !w.mute && !w.s.over {
		_ = w.send(protocol.Message{Command: protocol.Disconnect, Code: protocol.ReasonShutdown, Epoch: w.k.epoch}, w.link, 0)
	}
}
