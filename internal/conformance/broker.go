package conformance

import (
	"fmt"
	"time"

	"github.com/privateer-mq/privateer/internal/link"
	"github.com/privateer-mq/privateer/protocol"
)

// A brokerKit checks a broker.
type brokerKit struct {
	r         *run
	epoch     uint64        // as PONG says
	heartbeat time.Duration // as WELCOME says
	silence   time.Duration // liveness × heartbeat
	service   string        // of the check: each has one of its own
	sockets   []*socket     // of the check
	labourers []*labourer

	faults []string // of the broker's counting
	bad    []string // what did not parse
}

func playBroker(r *run) error {
	k := &brokerKit{r: r, heartbeat: time.Second, silence: 3 * time.Second}
	prefix := fmt.Sprintf("%s-%04x-", r.serviceOr("conformance"), random()>>48)
	n := 0
	play := func(s step[*brokerKit]) bool {
		n++
		k.service = fmt.Sprint(prefix, n)
		defer k.clear()
		return r.check(s.name, s.rule, s.want, func() error { return s.do(k) })
	}
	if !play(step[*brokerKit]{"ping", "6, 7", "PONG with the PING's number, sent_ms and instance, an epoch, and LIMITS", (*brokerKit).ping}) && k.epoch == 0 {
		return nil // nobody is there
	}
	for _, list := range [][]step[*brokerKit]{brokerFrontSteps, brokerLinkSteps, brokerRequestSteps, brokerAskSteps} {
		for _, s := range list {
			play(s)
		}
	}
	loss := &lossKit{brokerKit: k}
	k.service = prefix + "loss"
	for _, s := range brokerLossSteps {
		r.check(s.name, s.rule, s.want, func() error { return s.do(loss) })
	}
	k.clear()
	r.check("counting", "12.2, 12.3", "on every link, numbers without a hole, and no ack above what was sent", func() error { return all(k.faults) })
	r.check("form", "5, 6, 7, 8", "in the whole run, only messages that this document admits", func() error { return all(k.bad) })
	return nil
}

// clear ends what a check has connected.
func (k *brokerKit) clear() {
	for _, w := range k.labourers {
		w.leave()
	}
	k.labourers = nil
	for _, s := range k.sockets {
		k.r.shut(s)
	}
	k.sockets = nil
}

// client connects a client.
func (k *brokerKit) client() (*asker, error) { return k.newAsker(link.Dealer) }

// pair connects a client, and a worker of the check's service.
func (k *brokerKit) pair(credit uint32) (a *asker, w *labourer, err error) {
	if a, err = k.client(); err == nil {
		w, err = k.worker(credit)
	}
	return a, w, err
}

// held has a request asked for and handed out.
func (k *brokerKit) held(flags protocol.Flags) (a *asker, w *labourer, m protocol.Message, g *given, err error) {
	if a, w, err = k.pair(1); err != nil {
		return a, w, m, nil, err
	}
	m = a.request("held")
	m.Flags |= flags
	if err = a.tell(m); err == nil {
		g, err = w.wantRequest(0, m.ID, soon)
	}
	return a, w, m, g, err
}

// answered replies to what is held and looks at what its client gets.
func answered(a *asker, w *labourer, m *protocol.Message, g *given, body string) error {
	if err := w.reply(g, body); err != nil {
		return err
	}
	t, err := a.wantReply(m, soon, protocol.OK, protocol.Ran)
	if err == nil && joined(t.Body) != body {
		err = came("the body %q, not %q", t.Body, body)
	}
	return err
}

// ping asks the broker who it is.
func (k *brokerKit) ping() error {
	a, err := k.client()
	if err != nil {
		return err
	}
	m := protocol.Message{Command: protocol.Ping, Number: 5, SentMS: 77, Instance: a.instance}
	if err := a.send(nil, encode(protocol.FrontIn, &m)...); err != nil {
		return err
	}
	t := a.await(soon, func(t *told) bool { return t.Command == protocol.Pong })
	if t == nil {
		return came("no PONG within %v%s", soon, a.instead())
	}
	k.epoch = t.Epoch
	if v := t.Intervals; v != nil {
		k.adopt(v)
	}
	if t.Number != 5 || t.SentMS != 77 || t.Instance != a.instance {
		return came("PONG with number %d, sent_ms %d and instance %x", t.Number, t.SentMS, t.Instance)
	}
	return nil
}

// adopt takes over the broker's intervals.
func (k *brokerKit) adopt(v *protocol.Intervals) {
	k.heartbeat = time.Duration(v.HeartbeatMS) * time.Millisecond
	k.silence = time.Duration(v.Liveness) * k.heartbeat
}

// What a broker answers at its front, without a worker.
var brokerFrontSteps = []step[*brokerKit]{
	{"version-front", "17", "PRV2 with a whole header: REPLY INVALID, not-started, in version 1, with its id, number and instance, and a text", (*brokerKit).versionFront},
	{"unknown-command-front", "6, 17", "an unknown command: REPLY INVALID, not-started", refusedFront(func(f [][]byte) [][]byte { return poke(f, commandByte, 20) })},
	{"other-side-front", "6, 17", "READY at the front: REPLY INVALID, not-started", refusedFront(func(f [][]byte) [][]byte {
		return poke(f, commandByte, byte(protocol.Ready))
	})},
	{"retry-unmarked", "7, 17", "a REQUEST with try 2 and without MAYBE_SENT: REPLY INVALID, not-started", refusedFront(func(f [][]byte) [][]byte {
		return poke(f, 27, 2)
	})},
	{"cut-off", "17", "a header of 30 bytes: REPLY INVALID, not-started", refusedFront(func(f [][]byte) [][]byte { return [][]byte{f[0][:30]} })},
	{"expired-at-once", "C6", "a REQUEST with remaining 0: REPLY EXPIRED, not-started", (*brokerKit).expiredAtOnce},
	{"expired", "3", "nobody takes it until its deadline: REPLY EXPIRED, not-started", (*brokerKit).expired},
	{"no-wait", "3, 5", "NO_WAIT without a worker: REPLY NO_SERVICE, not-started", (*brokerKit).noWait},
	{"cancel-unknown", "B9", "CANCEL of an unknown id: REPLY CANCELLED, maybe-started", (*brokerKit).cancelUnknown},
	{"cancel-queued", "B9, 3", "CANCEL of what waits: REPLY CANCELLED, not-started", (*brokerKit).cancelQueued},
	{"no-envelope", "4", "a header without the empty frame before it is dropped, and the socket is served on", (*brokerKit).noEnvelope},
}

// refusedFront sends a REQUEST, changed, and wants INVALID.
func refusedFront(change func([][]byte) [][]byte) func(*brokerKit) error {
	return func(k *brokerKit) error {
		_, err := k.refused(change)
		return err
	}
}

func (k *brokerKit) refused(change func([][]byte) [][]byte) (*told, error) {
	a, err := k.client()
	if err != nil {
		return nil, err
	}
	m := a.request("refused")
	m.Instance = a.instance
	if err := a.send(nil, change(encode(protocol.FrontIn, &m))...); err != nil {
		return nil, err
	}
	t := a.await(soon, func(t *told) bool { return t.Command == protocol.Reply })
	switch {
	case t == nil:
		return nil, came("no REPLY within %v%s", soon, a.instead())
	case t.Code != protocol.Invalid || t.Flags.Certainty() != protocol.NotStarted:
		return nil, came("%s", described(&t.Message))
	case t.Meta.Get(protocol.MetaErrorText) == "":
		return nil, came("INVALID without a text")
	case t.ID != m.ID && !t.ID.IsZero():
		return nil, came("INVALID with another id than the message had")
	}
	return t, nil
}

func (k *brokerKit) versionFront() error {
	t, err := k.refused(func(f [][]byte) [][]byte { return poke(f, versionByte, '2') })
	switch {
	case err != nil:
		return err
	case t.ID.IsZero() || t.Number != 1 || t.Instance == 0:
		return came("INVALID with id %v, number %d, instance %x", t.ID, t.Number, t.Instance)
	}
	return nil
}

// ask sends a request, changed, and wants a REPLY.
func (k *brokerKit) ask(d time.Duration, code protocol.Code, certainty protocol.Certainty, change func(*protocol.Message)) error {
	a, err := k.client()
	if err != nil {
		return err
	}
	m := a.request("asked")
	change(&m)
	if err := a.tell(m); err != nil {
		return err
	}
	_, err = a.wantReply(&m, d, code, certainty)
	return err
}

func (k *brokerKit) expiredAtOnce() error {
	return k.ask(soon, protocol.Expired, protocol.NotStarted, func(m *protocol.Message) { m.RemainingMS = 0 })
}

func (k *brokerKit) expired() error {
	return k.ask(soon+quiet, protocol.Expired, protocol.NotStarted, func(m *protocol.Message) { m.RemainingMS = 200 })
}

func (k *brokerKit) noWait() error {
	return k.ask(soon, protocol.NoService, protocol.NotStarted, func(m *protocol.Message) { m.Flags |= protocol.NoWait })
}

func (k *brokerKit) cancelUnknown() error {
	return k.ask(soon, protocol.Cancelled, protocol.MaybeStarted, func(m *protocol.Message) {
		*m = protocol.Message{Command: protocol.Cancel, ID: m.ID, Number: 1, RemainingMS: 1000}
	})
}

func (k *brokerKit) cancelQueued() error {
	a, err := k.client()
	if err != nil {
		return err
	}
	m := a.request("withdrawn")
	if err := a.tell(m); err != nil {
		return err
	}
	k.r.pass(quiet / 3)
	if err := a.tell(cancelOf(m)); err != nil {
		return err
	}
	_, err = a.wantReply(&m, soon, protocol.Cancelled, protocol.NotStarted)
	return err
}

// cancelOf makes the CANCEL of a request.
func cancelOf(m protocol.Message) protocol.Message {
	return protocol.Message{Command: protocol.Cancel, ID: m.ID, Number: m.Number, RemainingMS: m.RemainingMS}
}

func (k *brokerKit) noEnvelope() error {
	a, err := k.client()
	if err != nil {
		return err
	}
	m := protocol.Message{Command: protocol.Ping, Number: 1, Instance: a.instance}
	if err := k.sendSoon(a.s, encode(protocol.FrontIn, &m)); err != nil {
		return err
	}
	m.Number = 2
	if err := a.tell(m); err != nil {
		return err
	}
	t := a.await(soon, func(t *told) bool { return t.Command == protocol.Pong })
	switch {
	case t == nil:
		return came("no PONG to the PING after it")
	case t.Number != 2 || len(a.heard) > 1:
		return came("an answer to it: %s", described(&a.heard[0].Message))
	}
	return nil
}
