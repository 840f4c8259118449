package conformance

import (
	"fmt"
	"time"

	"github.com/privateer-mq/privateer/internal/link"
	"github.com/privateer-mq/privateer/protocol"
)

// An asker is a client of the broker under test: a DEALER, unless it is plain.
type asker struct {
	k        *brokerKit
	s        *socket
	instance uint64
	heard    []told
	raw      [][][]byte // what came, as it came
}

// A told is one message to a client.
type told struct {
	protocol.Message
	at       time.Duration
	envelope [][]byte
	bad      error
}

// newAsker connects a client.
func (k *brokerKit) newAsker(role link.Role) (*asker, error) {
	a := &asker{k: k, instance: random()}
	var err error
	a.s, err = k.r.open(link.Options{Role: role, Endpoints: []string{k.r.cfg.Frontend}, Identity: routingID(),
		FrameBytesMax: frameBytesMax, Linger: linger}, a.take)
	if err != nil {
		return nil, err
	}
	k.sockets = append(k.sockets, a.s)
	return a, nil
}

func (a *asker) take(in link.Message) {
	a.raw = append(a.raw, in.Frames)
	envelope, content, ok := protocol.SplitEnvelope(in.Frames)
	t := told{at: a.k.r.now(), envelope: envelope}
	switch {
	case !ok:
		t.bad = fmt.Errorf("a message without an envelope: %.20q", in.Frames)
	default:
		t.bad = protocol.Parse(protocol.FrontOut, content, &t.Message)
	}
	if t.bad != nil && protocol.Sniff(content0(content)) {
		a.k.bad = append(a.k.bad, t.bad.Error())
	}
	a.heard = append(a.heard, t)
}

func content0(content [][]byte) []byte {
	if len(content) == 0 {
		return nil
	}
	return content[0]
}

// send sends frames behind an envelope, as soon as there is a connection.
func (a *asker) send(envelope [][]byte, content ...[]byte) error {
	all := append(append(append([][]byte(nil), envelope...), nil), content...)
	return a.k.sendSoon(a.s, all)
}

// tell sends a message.
func (a *asker) tell(m protocol.Message) error {
	m.Instance, m.SentMS = a.instance, a.k.r.stamp()
	return a.send(nil, encode(protocol.FrontIn, &m)...)
}

// request makes a first try.
func (a *asker) request(body ...string) protocol.Message {
	return protocol.Message{Command: protocol.Request, ID: newID(), Number: 1, Epoch: a.k.epoch, RemainingMS: 15_000,
		Service: []byte(a.k.service), Body: frames(body...)}
}

// retry makes the next try of a request.
func retry(m protocol.Message) protocol.Message {
	m.Number++
	m.Flags |= protocol.MaybeSent
	return m
}

// await waits for a message that is wanted, from the first that came on.
func (a *asker) await(d time.Duration, wanted func(*told) bool) (t *told) {
	next := 0
	a.k.r.wait(d, func() bool {
		for ; next < len(a.heard); next++ {
			if a.heard[next].bad == nil && wanted(&a.heard[next]) {
				t = &a.heard[next]
				return true
			}
		}
		return false
	})
	return t
}

// answers picks the replies to one try.
func answers(m *protocol.Message) func(*told) bool {
	return func(t *told) bool {
		return t.Command == protocol.Reply && t.ID == m.ID && t.Number == m.Number
	}
}

// wantReply waits for the REPLY to a try, which must have this code and certainty.
func (a *asker) wantReply(m *protocol.Message, d time.Duration, code protocol.Code, certainty protocol.Certainty) (*told, error) {
	t := a.await(d, answers(m))
	switch {
	case t == nil:
		return nil, came("no REPLY within %v%s", d, a.instead())
	case t.Code != code || t.Flags.Certainty() != certainty:
		return nil, came("%s", described(&t.Message))
	case t.Instance != a.instance:
		return nil, came("REPLY with instance %x, not the client's", t.Instance)
	case t.Epoch != a.k.epoch:
		return nil, came("REPLY with epoch %x, where PONG had %x", t.Epoch, a.k.epoch)
	}
	return t, nil
}

// instead is what a client heard last, in brackets.
func (a *asker) instead() string {
	if len(a.heard) == 0 {
		return ""
	}
	last := &a.heard[len(a.heard)-1]
	if last.bad != nil {
		return " (but: " + last.bad.Error() + ")"
	}
	return fmt.Sprintf(" (but: %s to try %d)", described(&last.Message), last.Number)
}

// sendSoon sends as soon as there is a connection.
func (k *brokerKit) sendSoon(s *socket, all [][]byte) error {
	var err error
	if !k.r.wait(soon, func() bool { err = s.Send(nil, all...); return err == nil }) {
		return came("nothing: no connection to the broker (%v)", err)
	}
	return nil
}
