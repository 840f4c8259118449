package conformance

import (
	"time"

	"github.com/privateer-mq/privateer/protocol"
)

// What a worker does when it loses its broker.
var workerLossSteps = []step[*workerKit]{
	{"broker-silent", "W6, W2", "a fresh socket with a new routing id, and READY with a higher link and the same instance", (*workerKit).brokerSilent},
	{"silent-keeps-replies", "W6, W12", "a finished reply survives that: listed in READY, and sent again after WELCOME", (*workerKit).silentKeeps},
	{"not-acknowledged", "W6", "the same when the broker talks, but acknowledges nothing", (*workerKit).notAcknowledged},
	{"broker-restart", "W4, W12", "after WELCOME with another epoch: HEARTBEAT with that, and the finished reply under its own fence", (*workerKit).restart},
	{"restart-hand-over", "W9", "an id kept from an earlier epoch, handed out by the new broker as attempt 1: FROM_KEPT under the new fence", (*workerKit).restartHandOver},
}

// freshSocket waits for READY on another socket than the present one.
func (k *workerKit) freshSocket() (*heard, error) {
	from, number, instance, peer := k.mark(), k.number, k.instance, string(k.peer)
	silence := time.Duration(k.intervals.Liveness*k.intervals.HeartbeatMS) * time.Millisecond
	wait := silence + time.Duration(k.intervals.ReconnectMaxMS)*time.Millisecond + soon
	ready := func(h *heard) bool { return h.Command == protocol.Ready && h.Flags.Has(protocol.Last) }
	h := k.await(from, wait, func(h *heard) bool { return ready(h) && h.peer != peer })
	switch {
	case h == nil && len(k.since(from, ready)) > 0:
		return nil, came("READY under the same routing id")
	case h == nil:
		return nil, came("no READY within %v", wait)
	case h.Link <= number:
		return nil, came("READY of link %d after link %d", h.Link, number)
	case h.Instance != instance:
		return nil, came("READY with another instance")
	}
	return h, nil
}

// comeBack answers the READY on the fresh socket.
func (k *workerKit) comeBack() {
	k.usually()
	if !k.up {
		k.welcome()
	}
}

func (k *workerKit) brokerSilent() error {
	k.silent()
	_, err := k.freshSocket()
	k.comeBack()
	return err
}

func (k *workerKit) silentKeeps() error {
	first, err := k.finished()
	if err != nil {
		return err
	}
	k.silent()
	h, err := k.freshSocket()
	if err != nil {
		return err
	}
	from := k.mark()
	k.comeBack()
	if err := wantEntry(h.Entries, &first.Message, protocol.Finished); err != nil {
		return err
	}
	return k.again(first, from)
}

func (k *workerKit) notAcknowledged() error {
	k.frozen, k.welcoming = true, false
	_, err := k.freshSocket()
	k.comeBack()
	return err
}

func (k *workerKit) restart() error {
	first, err := k.finished()
	if err != nil {
		return err
	}
	old := k.epoch
	k.epoch = random()
	from := k.mark()
	h, err := k.nextLink(protocol.ReasonUnknown, k.number)
	if err != nil {
		return err
	}
	if h.Epoch != old {
		return came("READY with epoch %x, not that of the last WELCOME", h.Epoch)
	}
	number := k.number
	if h := k.await(from, soon, func(h *heard) bool { return h.Command == protocol.Heartbeat && h.Link == number }); h == nil || h.Epoch != k.epoch {
		return came("no HEARTBEAT with the new epoch")
	}
	return k.again(first, from)
}

func (k *workerKit) restartHandOver() error {
	id, err := k.kept()
	if err != nil {
		return err
	}
	k.epoch = random()
	if _, err := k.nextLink(protocol.ReasonUnknown, k.number); err != nil {
		return err
	}
	if k.inStep(soon) == nil {
		return came("no HEARTBEAT after WELCOME")
	}
	from := k.mark()
	k.hand(id, 1, 0, "kept")
	return k.wantKept(from, id, 1)
}
