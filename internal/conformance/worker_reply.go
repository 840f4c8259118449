package conformance

import (
	"time"

	"github.com/privateer-mq/privateer/protocol"
)

// What a worker does with a request and its reply.
var workerReplySteps = []step[*workerKit]{
	{"echo", "W9, W12", "REPLY OK with the fence of the hand-over, the body, and no flag", (*workerKit).echo},
	{"body-frames", "2", "the body's frames as they came: three, one of them empty", (*workerKit).bodyFrames},
	{"progress", "W11", "PROGRESS with the fence of a handler that runs for a while, before the REPLY", (*workerKit).progress},
	{"finished-listed", "W7, W12", "a reply that is not acknowledged is listed as finished, under its fence", (*workerKit).finishedListed},
	{"entry-fields", "9", "the entry has the digest, AT_MOST_ONCE and the rest of the deadline", (*workerKit).entryFields},
	{"ack-of-another-fence", "W12", "an ack of another attempt changes nothing: listed as finished", (*workerKit).otherAck},
	{"acked-not-listed", "W7, W13", "a reply that was acknowledged is not in HEARTBEAT any more", (*workerKit).ackedNotListed},
	{"kept-in-ready", "W3, W13", "READY lists an acknowledged reply as kept, or as id-only", (*workerKit).keptInReady},
	{"reply-again", "W4, W12", "READY lists the reply as finished, and it comes again after WELCOME", (*workerKit).replyAgain},
	{"over-the-limit", "W12", "a reply over the WELCOME's limit becomes FAILED, with a text", (*workerKit).overTheLimit},
}

func (k *workerKit) echo() error {
	for n := range 3 { // its best time, for a busy machine is no slow handler
		from := k.r.now()
		h, err := k.run("echo this")
		switch {
		case err != nil:
			return err
		case joined(h.Body) != "echo this":
			return came("the body %q", h.Body)
		case h.Flags != 0:
			return came("flags %b", h.Flags)
		}
		if took := h.at - from; n == 0 || took < k.slow {
			k.slow = took
		}
		if k.slow < slowMin {
			break
		}
	}
	return nil
}

func (k *workerKit) bodyFrames() error {
	h, err := k.run("one", "", "three")
	switch {
	case err != nil:
		return err
	case sameFrames(h.Body, frames("onethree")):
		return skipped("its handler joins the frames")
	case !sameFrames(h.Body, frames("one", "", "three")):
		return came("the body %q", h.Body)
	}
	return nil
}

func (k *workerKit) progress() error {
	if k.slow < slowMin {
		return skipped(overAtOnce)
	}
	from := k.mark()
	reply, err := k.run("progress")
	if err != nil {
		return err
	}
	switch first := k.since(from, aboutID(reply.ID))[0]; {
	case first.Command != protocol.Progress:
		return came("the REPLY without PROGRESS before it")
	case first.Number != reply.Number || first.Epoch != reply.Epoch:
		return came("PROGRESS of %s", fenceText(first))
	}
	return nil
}

// finished brings about a reply that is not acknowledged.
func (k *workerKit) finished() (*heard, error) {
	k.acking = false
	return k.run("not acknowledged")
}

func (k *workerKit) finishedListed() error {
	h, err := k.finished()
	if err != nil {
		return err
	}
	for range 2 {
		list, err := k.list()
		if err != nil {
			return err
		}
		if err := wantEntry(list, &h.Message, protocol.Finished); err != nil {
			return err
		}
	}
	k.acknowledge(&h.Message, 0)
	return nil
}

func (k *workerKit) entryFields() error {
	k.acking = false
	from, id := k.mark(), newID()
	m := k.request(id, 1, protocol.AtMostOnce, "at most once")
	k.tell(m)
	h, err := k.wantReply(from, id, 1, protocol.OK)
	if err != nil {
		return err
	}
	list, err := k.list()
	if err != nil {
		return err
	}
	k.acknowledge(&h.Message, 0)
	switch e := entryOf(list, id); {
	case e == nil:
		return skipped("it is not listed: see finished-listed")
	case e.Digest != m.Digest:
		return came("digest %x, not %x", e.Digest, m.Digest)
	case !e.Flags.Has(protocol.AtMostOnce):
		return came("an entry without AT_MOST_ONCE")
	case e.RemainingMS == 0 || e.RemainingMS > m.RemainingMS:
		return came("remaining %d of %d ms", e.RemainingMS, m.RemainingMS)
	}
	return nil
}

func (k *workerKit) otherAck() error {
	h, err := k.finished()
	if err != nil {
		return err
	}
	k.acknowledge(&h.Message, 1)
	list, err := k.list()
	if err != nil {
		return err
	}
	k.acknowledge(&h.Message, 0)
	return wantEntry(list, &h.Message, protocol.Finished)
}

func (k *workerKit) ackedNotListed() error {
	h, err := k.run("acknowledged")
	if err != nil {
		return err
	}
	list, err := k.list()
	switch {
	case err != nil:
		return err
	case entryOf(list, h.ID) != nil:
		return came("an entry of it: %s", entryOf(list, h.ID).State)
	}
	return nil
}

func (k *workerKit) keptInReady() error {
	reply, err := k.run("kept")
	if err != nil {
		return err
	}
	if _, err := k.list(); err != nil { // it has the ack
		return err
	}
	h, err := k.nextLink(protocol.ReasonUnknown, k.number)
	if err != nil {
		return err
	}
	return wantEntry(h.Entries, &reply.Message, protocol.Kept, protocol.IDOnly)
}

func (k *workerKit) replyAgain() error {
	first, err := k.finished()
	if err != nil {
		return err
	}
	h, err := k.nextLink(protocol.ReasonUnknown, k.number)
	if err != nil {
		return err
	}
	if err := wantEntry(h.Entries, &first.Message, protocol.Finished); err != nil {
		return err
	}
	return k.again(first, 0)
}

// again waits for a reply that was given before, on the present link.
func (k *workerKit) again(first *heard, from int) error {
	number := k.number
	h := k.await(from, soon, func(h *heard) bool { return replyOf(first.ID)(h) && h.Link == number })
	switch {
	case h == nil:
		return came("no REPLY after WELCOME, within %v", soon)
	case h.Number != first.Number || h.Epoch != first.Epoch:
		return came("REPLY of %s, not %s", fenceText(h), fenceText(first))
	case h.Code != first.Code || joined(h.Body) != joined(first.Body):
		return came("another reply: %s with the body %q", described(&h.Message), h.Body)
	}
	k.acknowledge(&first.Message, 0)
	return nil
}

func (k *workerKit) overTheLimit() error {
	k.limits.MessageBytesMax = 64
	if _, err := k.nextLink(protocol.ReasonUnknown, k.number); err != nil {
		return err
	}
	if k.inStep(soon) == nil {
		return came("no HEARTBEAT after WELCOME")
	}
	from, id := k.mark(), newID()
	k.hand(id, 1, 0, string(make([]byte, 1000)))
	h, err := k.wantReply(from, id, 1, protocol.Failed)
	switch {
	case err != nil:
		return err
	case h.Meta.Get(protocol.MetaErrorText) == "":
		return came("FAILED without a text")
	}
	return nil
}

// noWork waits a moment in which nothing may be said of an id.
func (k *workerKit) noWork(from int, id protocol.ID, d time.Duration) error {
	if h := k.await(from, d, aboutID(id)); h != nil {
		return came("%s of %s", described(&h.Message), fenceText(h))
	}
	return nil
}
