package conformance

import (
	"github.com/privateer-mq/privateer/internal/link"
	"github.com/privateer-mq/privateer/protocol"
)

// What a broker does with a request and its reply.
var brokerRequestSteps = []step[*brokerKit]{
	{"credit-after-ack", "B3", "no REQUEST before WELCOME was acknowledged, and one then", (*brokerKit).creditAfterAck},
	{"credit", "B3", "with credit 2 two of four requests, and one more when one is answered", (*brokerKit).credit},
	{"request", "7, 2", "REQUEST to the worker: attempt 1, the epoch, the service, remaining, the body's frames, no MAYBE_RERUN", (*brokerKit).request},
	{"reply", "7, 3", "REPLY OK, ran, with the try, the instance, the epoch, the attempt and the body's frames", (*brokerKit).reply},
	{"ack", "B6", "the REPLY is acknowledged under its fence, not as superseded", (*brokerKit).ack},
	{"ack-again", "B6", "a REPLY that was taken before is acknowledged again", (*brokerKit).ackAgain},
	{"failed", "3, 8", "a worker's FAILED: REPLY FAILED, ran, with its text and code", (*brokerKit).failed},
	{"handed-back", "3, B4", "HANDED_BACK without STARTED: handed out again, without MAYBE_RERUN", (*brokerKit).handedBack},
	{"fence", "1, B6", "a REPLY of an attempt that never was is no outcome, and is acknowledged", (*brokerKit).fence},
	{"fields", "8", "unknown end-to-end fields reach the worker and the client as they were, a hop-by-hop one does not", (*brokerKit).fields},
	{"envelope", "4", "an envelope of three frames goes back as it came", (*brokerKit).envelope},
	{"plain-req", "18", "a REQ that knows nothing of PRV1 asks the default service, and gets the reply's body", (*brokerKit).plain},
}

func (k *brokerKit) creditAfterAck() error {
	a, err := k.client()
	if err != nil {
		return err
	}
	m := a.request("wait for it")
	if err := a.tell(m); err != nil {
		return err
	}
	w, err := k.newLabourer(1, k.service)
	if err != nil {
		return err
	}
	if err := w.ready(); err != nil {
		return err
	}
	if err := w.welcome(); err != nil {
		return err
	}
	if w.await(0, min(quiet, k.silence/2), handed(m.ID)) != nil {
		return came("a REQUEST before that")
	}
	if err := w.heartbeat(); err != nil {
		return err
	}
	g, err := w.wantRequest(0, m.ID, soon)
	if err != nil {
		return err
	}
	return answered(a, w, &m, g, "here")
}

func (k *brokerKit) credit() error {
	a, w, err := k.pair(2)
	if err != nil {
		return err
	}
	for range 4 {
		if err := a.tell(a.request("one of four")); err != nil {
			return err
		}
	}
	count := func() (n int, last *given) {
		for i := range w.got {
			if w.got[i].Command == protocol.Request {
				n++
				last = &w.got[i]
			}
		}
		return n, last
	}
	for want := 2; want <= 4; want++ {
		k.r.wait(soon, func() bool { n, _ := count(); return n >= want })
		k.r.pass(quiet / 2)
		n, last := count()
		if n != want {
			return came("%d requests after %d replies", n, want-2)
		}
		if err := w.reply(last, "one"); err != nil {
			return err
		}
	}
	return nil
}

func (k *brokerKit) request() error {
	a, w, err := k.pair(1)
	if err != nil {
		return err
	}
	m := a.request("one", "", "three")
	if err := a.tell(m); err != nil {
		return err
	}
	g, err := w.wantRequest(0, m.ID, soon)
	switch {
	case err != nil:
		return err
	case g.Number != 1 || g.Flags.Has(protocol.MaybeRerun):
		return came("attempt %d, MAYBE_RERUN %v", g.Number, g.Flags.Has(protocol.MaybeRerun))
	case g.Epoch != k.epoch || string(g.Service) != k.service:
		return came("epoch %x, service %q", g.Epoch, g.Service)
	case g.RemainingMS == 0 || g.RemainingMS > m.RemainingMS:
		return came("remaining %d of %d ms", g.RemainingMS, m.RemainingMS)
	case !sameFrames(g.Body, m.Body):
		return came("the body %q", g.Body)
	}
	return answered(a, w, &m, g, "taken")
}

func (k *brokerKit) reply() error {
	a, w, m, g, err := k.held(0)
	if err != nil {
		return err
	}
	if err := w.reply(g, "", "two"); err != nil {
		return err
	}
	t, err := a.wantReply(&m, soon, protocol.OK, protocol.Ran)
	switch {
	case err != nil:
		return err
	case t.Attempt != g.Number:
		return came("ATTEMPT %d, not %d", t.Attempt, g.Number)
	case !sameFrames(t.Body, frames("", "two")):
		return came("the body %q", t.Body)
	}
	return nil
}

func (k *brokerKit) ack() error {
	a, w, m, g, err := k.held(0)
	if err != nil {
		return err
	}
	if err := answered(a, w, &m, g, "acknowledge this"); err != nil {
		return err
	}
	ack, err := w.wantAck(g, soon+k.heartbeat)
	if err == nil && ack.Superseded {
		err = came("an ack as superseded")
	}
	return err
}

func (k *brokerKit) ackAgain() error {
	a, w, m, g, err := k.held(0)
	if err != nil {
		return err
	}
	if err := answered(a, w, &m, g, "twice"); err != nil {
		return err
	}
	for range 2 {
		if _, err := w.wantAck(g, soon+k.heartbeat); err != nil {
			return err
		}
		delete(w.acked, g.ID)
		if err := w.reply(g, "twice"); err != nil {
			return err
		}
	}
	return nil
}

func (k *brokerKit) failed() error {
	a, w, m, g, err := k.held(0)
	if err != nil {
		return err
	}
	reply := replyTo(g, protocol.Failed)
	reply.Meta = protocol.ErrorMeta("it went wrong").Append(protocol.MetaErrorCode, "E7")
	if err := w.tell(reply); err != nil {
		return err
	}
	t, err := a.wantReply(&m, soon, protocol.Failed, protocol.Ran)
	switch {
	case err != nil:
		return err
	case t.Meta.Get(protocol.MetaErrorText) != "it went wrong" || t.Meta.Get(protocol.MetaErrorCode) != "E7":
		return came("the text %q and the code %q", t.Meta.Get(protocol.MetaErrorText), t.Meta.Get(protocol.MetaErrorCode))
	}
	return nil
}

func (k *brokerKit) handedBack() error {
	a, w, m, g, err := k.held(0)
	if err != nil {
		return err
	}
	from := len(w.got)
	w.forget(protocol.Acked{ID: g.ID, Attempt: g.Number, Epoch: g.Epoch})
	if err := w.tell(replyTo(g, protocol.HandedBack)); err != nil {
		return err
	}
	again, err := wantAgain(w, from, g, soon+2*k.heartbeat)
	if err != nil {
		return err
	}
	return answered(a, w, &m, again, "done here")
}

// fence looks at the attempt alone: another epoch may be an earlier broker's,
// and its reply is used.
func (k *brokerKit) fence() error {
	a, w, m, g, err := k.held(0)
	if err != nil {
		return err
	}
	never := *g
	never.Number += 7
	if err := w.tell(replyTo(&never, protocol.OK, "never was")); err != nil {
		return err
	}
	if t := a.await(quiet, answers(&m)); t != nil {
		return came("%s with the body %q", described(&t.Message), t.Body)
	}
	if _, err := w.wantAck(&never, soon+k.heartbeat); err != nil {
		return err
	}
	return answered(a, w, &m, g, "the right one")
}

func (k *brokerKit) fields() error {
	a, w, err := k.pair(1)
	if err != nil {
		return err
	}
	m := a.request("fields")
	m.Instance = a.instance
	m.Meta = protocol.Meta(nil).AppendHeader("key", "value").Append(protocol.MetaTrace, "trace").Append(200, "unknown")
	f := encode(protocol.FrontIn, &m)
	f[0] = insert(f[0], 77, "hop")
	if err := a.send(nil, f...); err != nil {
		return err
	}
	g, err := w.wantRequest(0, m.ID, soon)
	switch {
	case err != nil:
		return err
	case string(g.Meta) != string(m.Meta):
		return came("the fields %q at the worker, not %q", g.Meta, m.Meta)
	}
	reply := replyTo(g, protocol.OK)
	reply.Meta = protocol.Meta(nil).Append(201, "unknown too")
	w.seq++
	reply.Link, reply.Seq, reply.Ack, reply.SentMS = w.link, w.seq, w.ack, k.r.stamp()
	f = encode(protocol.BackIn, &reply)
	f[0] = insert(f[0], 77, "hop")
	if err := k.sendSoon(w.s, f); err != nil {
		return err
	}
	t, err := a.wantReply(&m, soon, protocol.OK, protocol.Ran)
	if err == nil && string(t.Meta) != string(reply.Meta) {
		err = came("the fields %q at the client, not %q", t.Meta, reply.Meta)
	}
	return err
}

func (k *brokerKit) envelope() error {
	a, w, err := k.pair(1)
	if err != nil {
		return err
	}
	m := a.request("envelope")
	m.Instance = a.instance
	envelope := frames("first", "\x00\x01", "third")
	if err := a.send(envelope, encode(protocol.FrontIn, &m)...); err != nil {
		return err
	}
	g, err := w.wantRequest(0, m.ID, soon)
	if err != nil {
		return err
	}
	if err := w.reply(g, "back"); err != nil {
		return err
	}
	t, err := a.wantReply(&m, soon, protocol.OK, protocol.Ran)
	if err == nil && !sameFrames(t.envelope, envelope) {
		err = came("the envelope %q", t.envelope)
	}
	return err
}

// plain asks without PRV1. The worker names no service: that is the default one.
func (k *brokerKit) plain() error {
	w, err := k.newLabourer(1)
	if err != nil {
		return err
	}
	if err := w.ready(); err != nil {
		return err
	}
	if err := w.welcome(); err != nil {
		return err
	}
	if err := w.heartbeat(); err != nil {
		return err
	}
	a, err := k.newAsker(link.Req)
	if err != nil {
		return err
	}
	if err := k.sendSoon(a.s, frames("plain", "body")); err != nil {
		return err
	}
	g := w.await(0, soon, isCommand(protocol.Request))
	switch {
	case g == nil && len(a.raw) > 0:
		return skipped("another worker serves the default service here")
	case g == nil:
		return came("no REQUEST at the worker within %v", soon)
	case !sameFrames(g.Body, frames("plain", "body")):
		return came("the body %q at the worker", g.Body)
	}
	if err := w.reply(g, "and", "back"); err != nil {
		return err
	}
	if !k.r.wait(soon, func() bool { return len(a.raw) > 0 }) {
		return came("no answer within %v", soon)
	}
	if !sameFrames(a.raw[0], frames("and", "back")) {
		return came("the answer %q", a.raw[0])
	}
	return nil
}
