package conformance

import (
	"github.com/privateer-mq/privateer/protocol"
)

// What a worker does with an id that it has met before, and with requests that
// must not be started.
var workerHandOverSteps = []step[*workerKit]{
	{"same-id-twice", "W9", "of two hand-overs of an id at once one run, and REPLY for the newer fence", (*workerKit).sameIDTwice},
	{"kept-again", "W9, W13", "an id whose reply was acknowledged, handed out again: the same REPLY with FROM_KEPT, under the new fence, no PROGRESS", (*workerKit).keptAgain},
	{"older-attempt", "W9", "an attempt older than the one held is discarded", (*workerKit).olderAttempt},
	{"replay-only", "W9", "REPLAY_ONLY of a kept id: REPLY with FROM_KEPT", (*workerKit).replayOnly},
	{"replay-only-unknown", "W9", "REPLAY_ONLY of an unknown id: REPLY GONE, no PROGRESS", (*workerKit).replayUnknown},
	{"expired", "W10", "remaining 0: REPLY EXPIRED, no PROGRESS", (*workerKit).expired},
	{"delay", "12.11, W9", "a message that was 5 s longer under way than others, with 2 s remaining: REPLY EXPIRED, no PROGRESS", (*workerKit).delayed},
	{"cancel-unknown", "W14", "CANCEL of what is not held: nothing, and the link stands", (*workerKit).cancelUnknown},
	{"cancel-finished", "W14", "CANCEL of what is finished: nothing; it stays finished", (*workerKit).cancelFinished},
}

func (k *workerKit) sameIDTwice() error {
	from, id := k.mark(), newID()
	k.hand(id, 1, 0, "once")
	k.hand(id, 2, 0, "once")
	if _, err := k.wantReply(from, id, 2, protocol.OK); err != nil {
		return err
	}
	k.r.pass(quiet/2 + 2*k.slow)
	runs := k.since(from, func(h *heard) bool { return replyOf(id)(h) && !h.Flags.Has(protocol.FromKept) })
	if len(runs) > 1 {
		return came("%d replies without FROM_KEPT", len(runs))
	}
	return nil
}

// kept brings about an id whose reply was acknowledged.
func (k *workerKit) kept() (protocol.ID, error) {
	h, err := k.run("kept")
	if err != nil {
		return protocol.ID{}, err
	}
	if k.inStep(soon) == nil {
		return h.ID, came("no HEARTBEAT")
	}
	return h.ID, nil
}

func (k *workerKit) keptAgain() error {
	id, err := k.kept()
	if err != nil {
		return err
	}
	from := k.mark()
	k.hand(id, 3, 0, "kept")
	return k.wantKept(from, id, 3)
}

// wantKept waits for a kept reply, to an id for which nothing runs.
func (k *workerKit) wantKept(from int, id protocol.ID, attempt uint32) error {
	h, err := k.wantReply(from, id, attempt, protocol.OK)
	switch {
	case err != nil:
		return err
	case !h.Flags.Has(protocol.FromKept):
		return came("REPLY without FROM_KEPT")
	case joined(h.Body) != "kept":
		return came("another body: %q", h.Body)
	}
	return k.notStarted(from, id)
}

func (k *workerKit) notStarted(from int, id protocol.ID) error {
	for _, h := range k.since(from, aboutID(id)) {
		if h.Command == protocol.Progress {
			return came("PROGRESS of %s", fenceText(h))
		}
	}
	return nil
}

func (k *workerKit) olderAttempt() error {
	from, id := k.mark(), newID()
	k.hand(id, 5, 0, "newer")
	if _, err := k.wantReply(from, id, 5, protocol.OK); err != nil {
		return err
	}
	from = k.mark()
	k.hand(id, 4, 0, "newer")
	return k.noWork(from, id, quiet)
}

func (k *workerKit) replayOnly() error {
	id, err := k.kept()
	if err != nil {
		return err
	}
	from := k.mark()
	k.hand(id, 2, protocol.ReplayOnly)
	return k.wantKept(from, id, 2)
}

// wantRefusal waits for a reply to what must not be started.
func (k *workerKit) wantRefusal(from int, id protocol.ID, code protocol.Code) error {
	if _, err := k.wantReply(from, id, 1, code); err != nil {
		return err
	}
	return k.notStarted(from, id)
}

func (k *workerKit) replayUnknown() error {
	from, id := k.mark(), newID()
	k.hand(id, 1, protocol.ReplayOnly)
	return k.wantRefusal(from, id, protocol.Gone)
}

func (k *workerKit) expired() error {
	from, m := k.mark(), k.request(newID(), 1, 0, "too late")
	m.RemainingMS = 0
	k.tell(m)
	return k.wantRefusal(from, m.ID, protocol.Expired)
}

func (k *workerKit) delayed() error {
	from, m := k.mark(), k.request(newID(), 1, 0, "too late")
	m.RemainingMS = 2000
	m.SentMS = k.r.stamp() - 5000
	k.tell(m)
	return k.wantRefusal(from, m.ID, protocol.Expired)
}

func (k *workerKit) cancel(id protocol.ID, attempt uint32, reason protocol.Code) {
	k.tell(protocol.Message{Command: protocol.Cancel, Code: reason, ID: id, Number: attempt, Epoch: k.epoch})
}

func (k *workerKit) cancelUnknown() error {
	from, number, id := k.mark(), k.number, newID()
	k.cancel(id, 1, protocol.ReasonWithdrawn)
	if h := k.inStep(soon); h == nil || h.Link != number {
		return came("the link is given up")
	}
	return k.noWork(from, id, 0)
}

func (k *workerKit) cancelFinished() error {
	h, err := k.finished()
	if err != nil {
		return err
	}
	from := k.mark()
	k.cancel(h.ID, h.Number, protocol.ReasonSuperseded)
	list, err := k.list()
	if err != nil {
		return err
	}
	if err := k.noWork(from, h.ID, quiet/2); err != nil {
		return err
	}
	k.acknowledge(&h.Message, 0)
	return wantEntry(list, &h.Message, protocol.Finished)
}

// What a worker does with a request that waits or runs. An echo is over at
// once, so these need a slow handler, or luck.
var workerHeldSteps = []step[*workerKit]{
	{"unstarted-waits", "W5", "what READY lists as unstarted is not started before a HEARTBEAT of the new link is acknowledged, and then it is", (*workerKit).unstartedWaits},
	{"cancel-unstarted", "W14", "CANCEL of what is unstarted: REPLY HANDED_BACK with CTX_CANCELLED, no PROGRESS", (*workerKit).cancelUnstarted},
	{"running-listed", "W7", "a request that runs is listed as running, under its fence", (*workerKit).runningListed},
	{"running-again", "W9", "a running id handed out again is not started again, takes the new fence, and is answered once", (*workerKit).runningAgain},
	{"cancel-running", "W14", "CANCEL of what runs: REPLY with CTX_CANCELLED", (*workerKit).cancelRunning},
	{"withdrawn", "W13, W14", "a run ended by CANCEL withdrawn is GONE (or OK) with CTX_CANCELLED, and so when it is handed out again", (*workerKit).withdrawn},
}

// slowMin is how long a handler must take for what is seen while it runs.
const slowMin = beat

const overAtOnce = "its handler is over at once; give it one that takes 300 ms"

// start starts a request that takes a while.
func (k *workerKit) start() (from int, id protocol.ID, err error) {
	if k.slow < slowMin {
		return 0, id, skipped(overAtOnce)
	}
	from, id = k.mark(), newID()
	k.hand(id, 1, 0, "runs")
	if k.await(from, soon, aboutID(id)) == nil {
		return from, id, came("no PROGRESS within %v", soon)
	}
	return from, id, nil
}

// unstarted brings about a request that READY lists as unstarted: the worker
// reads it together with a gap. That takes luck. The new link has a long
// liveness, and acknowledges nothing after READY.
func (k *workerKit) unstarted() (id protocol.ID, from int, err error) {
	for range 8 {
		if err := k.settle(); err != nil {
			return id, 0, err
		}
		k.intervals.Liveness, k.frozen, k.beating = 10, true, false
		id, from = newID(), k.mark()
		k.hand(id, 1, 0, "unstarted")
		k.sent++ // lost
		k.heartbeat()
		h := k.await(from, soon, func(h *heard) bool { return h.Command == protocol.Ready })
		if h == nil {
			return id, 0, skipped("no READY after a gap: see gap")
		}
		k.beating = true
		if e := entryOf(h.Entries, id); e != nil && e.State == protocol.Unstarted {
			return id, k.mark(), nil
		}
		k.frozen = false
		k.await(from, replyMax, replyOf(id))
	}
	return id, 0, skipped("it starts what it reads too soon to be seen unstarted")
}

func (k *workerKit) unstartedWaits() error {
	id, from, err := k.unstarted()
	if err != nil {
		return err
	}
	if err := k.noWork(from, id, quiet); err != nil {
		return err
	}
	k.frozen, k.ack = false, k.received
	_, err = k.wantReply(from, id, 1, protocol.OK)
	return err
}

func (k *workerKit) cancelUnstarted() error {
	id, from, err := k.unstarted()
	if err != nil {
		return err
	}
	k.cancel(id, 1, protocol.ReasonLease)
	h, err := k.wantReply(from, id, 1, protocol.HandedBack)
	switch {
	case err != nil:
		return err
	case !h.Flags.Has(protocol.CtxCancelled) || h.Flags.Has(protocol.Started):
		return came("HANDED_BACK with the flags %b", h.Flags)
	}
	k.frozen, k.ack = false, k.received
	return k.notStarted(from, id)
}

func (k *workerKit) runningListed() error {
	from, id, err := k.start()
	if err != nil {
		return err
	}
	list, err := k.list()
	if err != nil {
		return err
	}
	if err := wantEntry(list, &protocol.Message{ID: id, Number: 1, Epoch: k.epoch}, protocol.Running); err != nil {
		return err
	}
	_, err = k.wantReply(from, id, 1, protocol.OK)
	return err
}

func (k *workerKit) runningAgain() error {
	from, id, err := k.start()
	if err != nil {
		return err
	}
	k.hand(id, 2, 0, "runs")
	list, err := k.list()
	if err != nil {
		return err
	}
	if err := wantEntry(list, &protocol.Message{ID: id, Number: 2, Epoch: k.epoch}, protocol.Running); err != nil {
		return err
	}
	if _, err := k.wantReply(from, id, 2, protocol.OK); err != nil {
		return err
	}
	k.r.pass(2 * k.slow)
	if n := len(k.since(from, replyOf(id))); n != 1 {
		return came("%d replies", n)
	}
	return nil
}

func (k *workerKit) cancelRunning() error {
	from, id, err := k.start()
	if err != nil {
		return err
	}
	k.cancel(id, 1, protocol.ReasonLease)
	h := k.await(from, replyMax, replyOf(id))
	switch {
	case h == nil:
		return came("no REPLY within %v", replyMax)
	case !h.Flags.Has(protocol.CtxCancelled):
		return came("%s without CTX_CANCELLED", described(&h.Message))
	}
	return nil
}

func (k *workerKit) withdrawn() error {
	from, id, err := k.start()
	if err != nil {
		return err
	}
	k.cancel(id, 1, protocol.ReasonWithdrawn)
	h := k.await(from, replyMax, replyOf(id))
	switch {
	case h == nil:
		return came("no REPLY within %v", replyMax)
	case h.Code == protocol.OK:
		return skipped("it ran to its end all the same")
	case h.Code != protocol.Gone || !h.Flags.Has(protocol.CtxCancelled):
		return came("%s, CTX_CANCELLED %v", described(&h.Message), h.Flags.Has(protocol.CtxCancelled))
	}
	if _, err := k.list(); err != nil { // it has the ack
		return err
	}
	from = k.mark()
	k.hand(id, 2, 0, "runs")
	if h := k.await(from, soon, aboutID(id)); h == nil || h.Command != protocol.Reply || h.Code != protocol.Gone {
		return came("no REPLY GONE to the next hand-over")
	}
	return nil
}
