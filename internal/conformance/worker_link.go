package conformance

import (
	"syscall"
	"time"

	"github.com/privateer-mq/privateer/protocol"
)

const sigterm = syscall.SIGTERM

// What a worker does about its link.
var workerLinkSteps = []step[*workerKit]{
	{"heartbeat-rhythm", "W1", "HEARTBEAT every 100 ms, as WELCOME says", (*workerKit).rhythm},
	{"ack", "12.3", "each message acknowledged, in the order of their numbers", (*workerKit).acks},
	{"gap", "W5, 12.5", "READY of the next link after a gap, on the same socket, and no ack over the gap", (*workerKit).gap},
	{"repetition", "12.5", "a REQUEST whose seq was used before is discarded", (*workerKit).repetition},
	{"disconnect-unknown", "W5, 7", "READY of the next link on the same socket: same instance, epoch of the last WELCOME, ack 0", (*workerKit).disconnectUnknown},
	{"disconnect-reset", "W5", "READY of the next link after DISCONNECT link reset", func(k *workerKit) error {
		_, err := k.nextLink(protocol.ReasonReset, k.number)
		return err
	}},
	{"disconnect-link-0", "12.7", "READY of the next link: link 0 in DISCONNECT stands for the present one", func(k *workerKit) error {
		_, err := k.nextLink(protocol.ReasonUnknown, 0)
		return err
	}},
	{"disconnect-other-link", "12.7", "a DISCONNECT that names another link is ignored", (*workerKit).disconnectOther},
	{"refusal-other-link", "12.7", "before WELCOME, a DISCONNECT full that names another link is ignored", (*workerKit).refusalOther},
	{"disconnect-shutting-down", "W5", "READY of the next link within reconnect_max_ms (200) and a little", func(k *workerKit) error {
		_, err := k.nextLink(protocol.ReasonShutdown, k.number)
		return err
	}},
	{"other-epoch", "12.7, 12.4", "a REQUEST of another epoch is discarded, yet counted", (*workerKit).otherEpoch},
	{"garbage", "17, 12.4", "no header, PRV2, and an unknown command are dropped and not counted; the link stands", (*workerKit).garbage},
	{"unknown-field", "8", "REQUEST with unknown extension fields of both kinds is answered OK", (*workerKit).unknownField},
	{"unknown-flag", "5", "REQUEST with flags that it does not have is answered OK", (*workerKit).unknownFlag},
}

func (k *workerKit) rhythm() error {
	from, began := k.mark(), k.r.now()
	k.r.pass(time.Second)
	beats := k.since(from, func(h *heard) bool { return h.Command == protocol.Heartbeat })
	gap, last := time.Duration(0), began
	for _, h := range beats {
		gap, last = max(gap, h.at-last), h.at
	}
	switch {
	case len(beats) < 5 || len(beats) > 40:
		return came("%d in a second", len(beats))
	case gap > 4*beat:
		return came("none for %v", gap.Round(time.Millisecond))
	}
	return nil
}

// acks sends a few messages and looks at how they are acknowledged.
func (k *workerKit) acks() error {
	from, before := k.mark(), k.sent
	for range 3 {
		k.heartbeat()
	}
	want := k.sent
	if k.await(from, soon, func(h *heard) bool { return h.Ack >= want && h.Link == k.number }) == nil {
		return came("no ack of seq %d within %v", want, soon)
	}
	last := uint32(0)
	for _, h := range k.since(from, func(h *heard) bool { return h.Link == k.number && h.Command != protocol.Ready }) {
		if h.Ack < last || h.Ack+1 < before {
			return came("ack %d after ack %d", h.Ack, max(last, before))
		}
		last = h.Ack
	}
	return nil
}

func (k *workerKit) gap() error {
	k.beating = false
	from, number, peer, seen := k.mark(), k.number, string(k.peer), k.sent
	k.sent++ // lost
	k.heartbeat()
	h := k.await(from, soon, func(h *heard) bool {
		return h.Command == protocol.Ready || h.Link == number && h.Ack > seen
	})
	switch {
	case h == nil:
		return came("no READY within %v", soon)
	case h.Command != protocol.Ready:
		return came("%s with ack %d, when %d was never sent", h.Command, h.Ack, seen+1)
	case h.peer != peer:
		return came("READY on another socket")
	case h.Link != number+1:
		return came("READY of link %d after link %d", h.Link, number)
	}
	return nil
}

func (k *workerKit) repetition() error {
	from, id := k.mark(), newID()
	k.sent--
	k.hand(id, 1, 0, "repeated")
	if k.await(from, quiet, aboutID(id)) != nil {
		return came("it is run")
	}
	if k.inStep(soon) == nil {
		return came("the link is given up")
	}
	return nil
}

func (k *workerKit) disconnectUnknown() error {
	instance, peer, began := k.instance, string(k.peer), k.r.now()
	h, err := k.nextLink(protocol.ReasonUnknown, k.number)
	switch {
	case err != nil:
		return err
	case h.peer != peer:
		return came("READY on another socket")
	case h.Instance != instance:
		return came("READY with another instance")
	case h.Epoch != k.epoch:
		return came("READY with epoch %x, where WELCOME had %x", h.Epoch, k.epoch)
	case h.Seq != 1 || h.Ack != 0:
		return came("READY with seq %d, ack %d", h.Seq, h.Ack)
	case h.at-began > soon/2:
		return came("READY only after %v", h.at-began)
	}
	return nil
}

func (k *workerKit) disconnectOther() error {
	from, number := k.mark(), k.number
	k.disconnect(protocol.ReasonUnknown, number+7)
	if h := k.await(from, quiet, func(h *heard) bool { return h.Command == protocol.Ready }); h != nil {
		return came("READY of link %d", h.Link)
	}
	if k.inStep(soon) == nil {
		return came("no HEARTBEAT on the link any more")
	}
	return nil
}

func (k *workerKit) refusalOther() error {
	k.welcoming = false
	if _, err := k.nextLink(protocol.ReasonUnknown, k.number); err != nil {
		return err
	}
	from, number := k.mark(), k.number
	k.disconnect(protocol.ReasonFull, number+7)
	k.welcome()
	if k.await(from, soon/4, func(h *heard) bool { return h.Link == number && h.Command == protocol.Heartbeat }) == nil {
		return came("no HEARTBEAT after the WELCOME that followed: the link is given up")
	}
	return nil
}

func (k *workerKit) otherEpoch() error {
	from, m := k.mark(), k.request(newID(), 1, 0, "another epoch")
	m.Epoch++
	k.tell(m)
	seq, number := k.sent, k.number
	if k.await(from, soon, func(h *heard) bool { return h.Link == number && h.Ack >= seq }) == nil {
		return came("no ack of it within %v", soon)
	}
	list, err := k.list()
	switch {
	case err != nil:
		return err
	case len(k.since(from, aboutID(m.ID))) > 0 || k.await(from, quiet, aboutID(m.ID)) != nil:
		return came("%s of it", k.since(from, aboutID(m.ID))[0].Command)
	case entryOf(list, m.ID) != nil:
		return came("an entry of it")
	}
	return nil
}

func (k *workerKit) garbage() error {
	number, from := k.number, k.mark()
	m := protocol.Message{Command: protocol.Heartbeat, Epoch: k.epoch, Link: k.number, Seq: k.sent + 1, Ack: k.ack}
	k.send(frames("no header"))
	k.send(frames("", "x", ""))
	k.send(frames("PRV1"))
	k.send(poke(encode(protocol.BackOut, &m), versionByte, '2'))
	k.send(poke(encode(protocol.BackOut, &m), commandByte, 20))
	k.send(poke(encode(protocol.BackOut, &m), commandByte, byte(protocol.Ready)))
	k.send(append(encode(protocol.BackOut, &m), make([]byte, 35))) // not a whole ack
	if h := k.inStep(soon); h == nil || h.Link != number {
		return came("the link is given up")
	}
	if list := k.since(from, func(h *heard) bool { return h.Command == protocol.Ready || h.Command == protocol.Disconnect }); len(list) > 0 {
		return came("%s", list[0].Command)
	}
	return nil
}

func (k *workerKit) unknownField() error {
	from, m := k.mark(), k.request(newID(), 1, 0, "fields")
	m.Meta = m.Meta.Append(200, "unknown")
	k.sent++
	m.Link, m.Seq, m.Ack = k.number, k.sent, k.ack
	f := encode(protocol.BackOut, k.stamped(&m))
	f[0] = insert(f[0], 77, "odd")
	k.send(f)
	_, err := k.wantReply(from, m.ID, 1, protocol.OK)
	return err
}

func (k *workerKit) unknownFlag() error {
	from, id := k.mark(), newID()
	k.hand(id, 1, protocol.Draining|protocol.Last|protocol.NoWait, "flags")
	_, err := k.wantReply(from, id, 1, protocol.OK)
	return err
}
