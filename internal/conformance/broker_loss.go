package conformance

import (
	"time"

	"github.com/privateer-mq/privateer/protocol"
)

// What a broker does when a worker is lost. Silence takes its time, so all of
// these look at one loss.
var brokerLossSteps = []step[*lossKit]{
	{"redelivery", "B14, B4", "what a silent worker held is handed to another after liveness: the next attempt, with MAYBE_RERUN", (*lossKit).redelivery},
	{"at-most-once", "B4, 3", "at-most-once work of a silent worker: REPLY WORKER_LOST, maybe-started, and never handed out again", (*lossKit).atMostOnce},
	{"late-reply", "B6", "a late REPLY of the older attempt is used", (*lossKit).lateReply},
	{"superseded", "B6", "... and the other attempt is cancelled: CANCEL superseded", (*lossKit).superseded},
}

// A lossKit has a worker that went silent with two requests, one of them
// at-most-once, and another worker that comes then.
type lossKit struct {
	*brokerKit
	a              *asker
	silent, second *labourer
	m, once        protocol.Message
	first, again   *given // hand-overs of m
	silentAt       time.Duration
	used           bool // the late reply was
}

// lose has the worker go silent.
func (k *lossKit) lose() error {
	var err error
	if k.a, k.silent, err = k.pair(2); err != nil {
		return err
	}
	k.m, k.once = k.a.request("held"), k.a.request("at most once")
	k.once.Flags |= protocol.AtMostOnce
	for _, m := range []protocol.Message{k.m, k.once} {
		if err := k.a.tell(m); err != nil {
			return err
		}
		g, err := k.silent.wantRequest(0, m.ID, soon)
		if err != nil {
			return err
		}
		if m.ID == k.m.ID {
			k.first = g
		}
	}
	k.silent.mute, k.silentAt = true, k.r.now()
	k.second, err = k.worker(2)
	return err
}

func (k *lossKit) redelivery() error {
	if err := k.lose(); err != nil {
		return err
	}
	g, err := k.second.wantRequest(0, k.m.ID, k.silence+k.heartbeat+soon)
	switch {
	case err != nil:
		return err
	case g.at-k.silentAt < k.silence/2:
		return came("REQUEST after %v", (g.at - k.silentAt).Round(time.Millisecond))
	}
	k.again = g
	if g.Number <= k.first.Number || !g.Flags.Has(protocol.MaybeRerun) {
		return came("attempt %d after attempt %d, MAYBE_RERUN %v", g.Number, k.first.Number, g.Flags.Has(protocol.MaybeRerun))
	}
	return nil
}

func (k *lossKit) atMostOnce() error {
	if k.silentAt == 0 {
		return skipped("nothing was lost: see redelivery")
	}
	_, err := k.a.wantReply(&k.once, k.silence+k.heartbeat+soon, protocol.WorkerLost, protocol.MaybeStarted)
	switch {
	case err != nil:
		return err
	case k.second.await(0, quiet, handed(k.once.ID)) != nil:
		return came("the REPLY, and a REQUEST at another worker")
	}
	return nil
}

// lateReply has the silent worker come back and reply.
func (k *lossKit) lateReply() error {
	if k.again == nil {
		return skipped("nothing was handed out again: see redelivery")
	}
	w := k.silent
	w.mute, w.list = false, w.list[:1]
	w.list[0].State = protocol.Finished
	if err := w.ready(); err != nil {
		return err
	}
	if err := w.welcome(); err != nil {
		return err
	}
	if err := w.heartbeat(); err != nil {
		return err
	}
	if err := w.reply(k.first, "late, but first"); err != nil {
		return err
	}
	t, err := k.a.wantReply(&k.m, soon, protocol.OK, protocol.Ran)
	switch {
	case err != nil:
		return err
	case joined(t.Body) != "late, but first" || t.Attempt != k.first.Number:
		return came("the body %q of attempt %d", t.Body, t.Attempt)
	}
	k.used = true
	return nil
}

func (k *lossKit) superseded() error {
	if !k.used {
		return skipped("no late reply was used: see late-reply")
	}
	switch c := k.second.await(0, soon, cancels(k.again)); {
	case c == nil:
		return came("no CANCEL at the other worker within %v", soon)
	case c.Code != protocol.ReasonSuperseded:
		return came("%s at the other worker", described(&c.Message))
	}
	return nil
}
