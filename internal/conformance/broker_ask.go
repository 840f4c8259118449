package conformance

import (
	"github.com/privateer-mq/privateer/protocol"
)

// What a broker does when a client asks again, or withdraws.
var brokerAskSteps = []step[*brokerKit]{
	{"retry-finished", "B5", "another try of a finished id gets the same REPLY, to that try, and no worker hears of it", (*brokerKit).retryFinished},
	{"retry-running", "B5, B8", "another try of an id that runs joins it: no second REQUEST, REPLY to the newest try", (*brokerKit).retryRunning},
	{"other-body", "C1, 3", "another body under a known id: REPLY INVALID, not-started; the request goes on", (*brokerKit).otherBody},
	{"other-flag", "C1, 3", "another AT_MOST_ONCE under a known id: REPLY INVALID, not-started", (*brokerKit).otherFlag},
	{"cancel-running", "B9, B7", "CANCEL of what runs: REPLY CANCELLED, maybe-started, and CANCEL withdrawn at the worker", (*brokerKit).cancelRunning},
	{"cancel-repeated", "B7", "CANCEL at the worker is repeated at a HEARTBEAT that still lists its fence", (*brokerKit).cancelRepeated},
	{"cancel-not-owner", "B9", "CANCEL by another client: REPLY CANCELLED, maybe-started, and the request goes on", (*brokerKit).cancelNotOwner},
	{"cancel-before", "B9", "a REQUEST that its own CANCEL has overtaken starts nothing", (*brokerKit).cancelBefore},
	{"claim", "B13, B12", "a running request that READY lists, of an earlier epoch, is not handed out when its client asks, and its reply is used", (*brokerKit).claim},
	{"kept-fetched", "B13, B3", "a kept reply that READY lists is fetched with REPLAY_ONLY, though credit is 0, when its client asks", (*brokerKit).keptFetched},
	{"id-only", "B13, 3", "an id that READY lists as id-only: REPLY GONE, ran", (*brokerKit).idOnly},
}

func (k *brokerKit) retryFinished() error {
	a, w, m, g, err := k.held(0)
	if err != nil {
		return err
	}
	if err := answered(a, w, &m, g, "the reply"); err != nil {
		return err
	}
	from := len(w.got)
	again := retry(m)
	if err := a.tell(again); err != nil {
		return err
	}
	t, err := a.wantReply(&again, soon, protocol.OK, protocol.Ran)
	switch {
	case err != nil:
		return err
	case joined(t.Body) != "the reply" || t.Attempt != g.Number:
		return came("the body %q of attempt %d", t.Body, t.Attempt)
	case w.await(from, quiet, handed(m.ID)) != nil:
		return came("the REPLY, and a REQUEST at the worker")
	}
	return nil
}

func (k *brokerKit) retryRunning() error {
	a, err := k.client()
	if err != nil {
		return err
	}
	w, err := k.worker(2)
	if err != nil {
		return err
	}
	m := a.request("joined")
	if err := a.tell(m); err != nil {
		return err
	}
	g, err := w.wantRequest(0, m.ID, soon)
	if err != nil {
		return err
	}
	from := len(w.got)
	again := retry(m)
	if err := a.tell(again); err != nil {
		return err
	}
	if w.await(from, quiet, handed(m.ID)) != nil {
		return came("a second REQUEST at the worker")
	}
	return answered(a, w, &again, g, "once")
}

// refusedAgain asks again with something changed, while the first try runs.
func (k *brokerKit) refusedAgain(change func(*protocol.Message)) error {
	a, w, m, g, err := k.held(0)
	if err != nil {
		return err
	}
	again := retry(m)
	change(&again)
	if err := a.tell(again); err != nil {
		return err
	}
	if _, err := a.wantReply(&again, soon, protocol.Invalid, protocol.NotStarted); err != nil {
		return err
	}
	return answered(a, w, &m, g, "unharmed")
}

func (k *brokerKit) otherBody() error {
	return k.refusedAgain(func(m *protocol.Message) { m.Body = frames("another body") })
}

func (k *brokerKit) otherFlag() error {
	return k.refusedAgain(func(m *protocol.Message) { m.Flags |= protocol.AtMostOnce })
}

// cancelled has a request cancelled that is held.
func (k *brokerKit) cancelled() (*labourer, *given, error) {
	a, w, m, g, err := k.held(0)
	if err != nil {
		return w, g, err
	}
	if err := a.tell(cancelOf(m)); err != nil {
		return w, g, err
	}
	_, err = a.wantReply(&m, soon, protocol.Cancelled, protocol.MaybeStarted)
	return w, g, err
}

// cancels picks the CANCELs of a hand-over.
func cancels(g *given) func(*given) bool {
	return func(c *given) bool {
		return c.Command == protocol.Cancel && c.ID == g.ID && c.Number == g.Number && c.Epoch == g.Epoch
	}
}

func (k *brokerKit) cancelRunning() error {
	w, g, err := k.cancelled()
	if err != nil {
		return err
	}
	switch c := w.await(0, soon, cancels(g)); {
	case c == nil:
		return came("no CANCEL at the worker within %v", soon)
	case c.Code != protocol.ReasonWithdrawn:
		return came("%s at the worker", described(&c.Message))
	}
	return nil
}

func (k *brokerKit) cancelRepeated() error {
	w, g, err := k.cancelled()
	if err != nil {
		return err
	}
	if w.await(0, soon, cancels(g)) == nil {
		return skipped("no CANCEL at the worker: see cancel-running")
	}
	from := len(w.got)
	if err := w.heartbeat(); err != nil {
		return err
	}
	if w.await(from, soon, cancels(g)) == nil {
		return came("no second CANCEL within %v", soon)
	}
	return nil
}

func (k *brokerKit) cancelNotOwner() error {
	a, w, m, g, err := k.held(0)
	if err != nil {
		return err
	}
	other, err := k.client()
	if err != nil {
		return err
	}
	if err := other.tell(cancelOf(m)); err != nil {
		return err
	}
	if _, err := other.wantReply(&m, soon, protocol.Cancelled, protocol.MaybeStarted); err != nil {
		return err
	}
	if w.await(0, quiet/2, cancels(g)) != nil {
		return came("a CANCEL at the worker")
	}
	return answered(a, w, &m, g, "unharmed")
}

func (k *brokerKit) cancelBefore() error {
	a, w, err := k.pair(1)
	if err != nil {
		return err
	}
	m := a.request("overtaken")
	if err := a.tell(cancelOf(m)); err != nil {
		return err
	}
	if err := a.tell(m); err != nil {
		return err
	}
	if w.await(0, quiet, handed(m.ID)) != nil {
		return came("a REQUEST at the worker")
	}
	return nil
}

// claimed has a worker say READY with an entry of an earlier epoch, and a
// client ask for its request.
func (k *brokerKit) claimed(credit uint32, state protocol.State) (a *asker, w *labourer, m protocol.Message, err error) {
	if a, err = k.client(); err != nil {
		return nil, nil, m, err
	}
	m = retry(a.request("from before"))
	m.Epoch = k.epoch ^ 2
	if w, err = k.newLabourer(credit, k.service); err != nil {
		return a, nil, m, err
	}
	w.list = []protocol.Entry{{ID: m.ID, Attempt: 3, Epoch: m.Epoch, State: state, RemainingMS: 10_000,
		Digest: protocol.Digest(m.ID, m.Service, m.Flags, m.Body)}}
	if err = w.ready(); err != nil {
		return a, w, m, err
	}
	if err = w.welcome(); err != nil {
		return a, w, m, err
	}
	if state > protocol.Finished { // not for HEARTBEAT
		w.list = nil
	}
	if err = w.heartbeat(); err == nil {
		err = a.tell(m)
	}
	return a, w, m, err
}

func (k *brokerKit) claim() error {
	a, w, m, err := k.claimed(2, protocol.Running)
	if err != nil {
		return err
	}
	if g := w.await(0, quiet, handed(m.ID)); g != nil {
		return came("REQUEST with attempt %d", g.Number)
	}
	g := &given{Message: protocol.Message{ID: m.ID, Number: 3, Epoch: m.Epoch}}
	if err := answered(a, w, &m, g, "from before"); err != nil {
		return err
	}
	_, err = w.wantAck(g, soon+k.heartbeat)
	return err
}

func (k *brokerKit) keptFetched() error {
	a, w, m, err := k.claimed(0, protocol.Kept)
	if err != nil {
		return err
	}
	g, err := w.wantRequest(0, m.ID, soon)
	switch {
	case err != nil:
		return err
	case !g.Flags.Has(protocol.ReplayOnly):
		return came("REQUEST without REPLAY_ONLY")
	}
	reply := replyTo(g, protocol.OK, "kept")
	reply.Flags = protocol.FromKept
	if err := w.tell(reply); err != nil {
		return err
	}
	t, err := a.wantReply(&m, soon, protocol.OK, protocol.Ran)
	if err == nil && joined(t.Body) != "kept" {
		err = came("the body %q", t.Body)
	}
	return err
}

func (k *brokerKit) idOnly() error {
	a, w, m, err := k.claimed(1, protocol.IDOnly)
	if err != nil {
		return err
	}
	if _, err = a.wantReply(&m, soon, protocol.Gone, protocol.Ran); err != nil {
		return err
	}
	if w.await(0, quiet/3, handed(m.ID)) != nil {
		return came("the REPLY, and a REQUEST at the worker")
	}
	return nil
}
