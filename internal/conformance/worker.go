package conformance

import (
	"fmt"
	"time"

	"github.com/privateer-mq/privateer/protocol"
)

// A workerKit checks a worker.
type workerKit struct {
	*backend
	process Process
	service string
	slow    time.Duration // how long its handler takes, once that is known
}

// replyMax is how long an echo may take.
const replyMax = 5 * time.Second

func playWorker(r *run) error {
	k := &workerKit{backend: &backend{r: r, epoch: random()}, service: r.serviceOr("default")}
	k.usually()
	var err error
	if k.s, k.process, err = r.bind(r.cfg.Backend, true, k.take); err != nil {
		return err
	}
	k.s.due = k.due
	k.welcoming = false
	if !r.check("ready", "W3, 12.1", "READY in form: seq 1, ack 0, part 0 with LAST, an instance, a link, credit, the service, no entries", k.ready) &&
		k.number == 0 {
		return nil // nobody came
	}
	r.check("heartbeat-after-welcome", "W1, W4", "HEARTBEAT at once after WELCOME: seq 2, ack 1, epoch and link of the WELCOME", k.heartbeatAfterWelcome)
	for _, list := range [][]step[*workerKit]{workerLinkSteps, workerReplySteps, workerHandOverSteps, workerHeldSteps, workerLossSteps} {
		for _, s := range list {
			r.check(s.name, s.rule, s.want, func() error {
				if err := k.settle(); err != nil {
					return err
				}
				return s.do(k)
			})
		}
	}
	r.check("counting", "12.2, 12.3, 12.4", "in the whole run, numbers without a hole, no ack above what was sent, links that rise", func() error {
		return all(k.faults)
	})
	r.check("form", "5, 6, 7, 8", "in the whole run, only messages that this document admits", func() error { return all(k.bad) })
	r.check("drain", "W16", "after SIGTERM, HEARTBEAT with DRAINING and credit 0, then DISCONNECT shutting down", k.drain)
	return nil
}

// all makes one error of a list of faults.
func all(faults []string) error {
	switch n := len(faults); {
	case n > 1:
		return came("%s (and %d more)", faults[0], n-1)
	case n == 1:
		return came("%s", faults[0])
	}
	return nil
}

// ready waits for the worker, and looks at its first READY.
func (k *workerKit) ready() error {
	k.r.wait(arrival, func() bool { return len(k.heard) > 0 })
	h := k.await(0, soon, func(h *heard) bool { return h.Command == protocol.Ready })
	switch {
	case h == nil && len(k.bad) > 0:
		return all(k.bad)
	case h == nil:
		return came("no READY in time")
	}
	offers := len(h.Services) == 0 && k.service == "default"
	for _, s := range h.Services {
		offers = offers || string(s) == k.service
	}
	if !offers && k.r.cfg.Service == "" && len(h.Services) > 0 {
		k.service, offers = string(h.Services[0]), true
	}
	switch {
	case !offers:
		return came("READY with the services %q, without %q", h.Services, k.service)
	case h.Seq != 1 || h.Ack != 0 || h.Part != 0 || !h.Flags.Has(protocol.Last):
		return came("READY with seq %d, ack %d, part %d, LAST %v", h.Seq, h.Ack, h.Part, h.Flags.Has(protocol.Last))
	case h.Epoch != 0:
		return came("READY with epoch %x before any WELCOME", h.Epoch)
	case h.Credit == 0:
		return came("READY with credit 0")
	case len(h.Entries) > 0:
		return came("READY with %d entries", len(h.Entries))
	}
	return nil
}

// heartbeatAfterWelcome announces a slow rhythm, so that "at once" is not it.
func (k *workerKit) heartbeatAfterWelcome() error {
	k.usually()
	k.intervals.HeartbeatMS = 2000
	from := k.mark()
	if k.sent == 0 {
		k.welcome()
	}
	h := k.await(from, soon/2, func(h *heard) bool { return h.Command == protocol.Heartbeat })
	switch {
	case h == nil:
		return came("none within %v, with heartbeat_ms 2000", soon/2)
	case h.Link != k.number || h.Epoch != k.epoch:
		return came("HEARTBEAT of link %d and epoch %x, after WELCOME to link %d with epoch %x", h.Link, h.Epoch, k.number, k.epoch)
	case h.Seq != 2 || h.Ack != 1:
		return came("HEARTBEAT with seq %d and ack %d", h.Seq, h.Ack)
	}
	return nil
}

// hand hands a request out.
func (k *workerKit) hand(id protocol.ID, attempt uint32, flags protocol.Flags, body ...string) {
	k.tell(k.request(id, attempt, flags, body...))
}

func (k *workerKit) request(id protocol.ID, attempt uint32, flags protocol.Flags, body ...string) protocol.Message {
	return protocol.Message{Command: protocol.Request, ID: id, Number: attempt, Epoch: k.epoch, Flags: flags,
		RemainingMS: 10_000, Service: []byte(k.service), Body: frames(body...), Digest: 0x0123456789abcdef}
}

// replyOf picks the replies of an id.
func replyOf(id protocol.ID) func(*heard) bool {
	return func(h *heard) bool { return h.Command == protocol.Reply && h.ID == id }
}

// aboutID picks what says that a request is known: PROGRESS, REPLY.
func aboutID(id protocol.ID) func(*heard) bool {
	return func(h *heard) bool {
		return h.ID == id && (h.Command == protocol.Reply || h.Command == protocol.Progress)
	}
}

// wantReply waits for the reply to a hand-over.
func (k *workerKit) wantReply(from int, id protocol.ID, attempt uint32, code protocol.Code) (*heard, error) {
	h := k.await(from, replyMax, func(h *heard) bool { return replyOf(id)(h) && h.Number == attempt })
	switch {
	case h == nil:
		other := k.since(from, replyOf(id))
		if len(other) > 0 {
			return nil, came("REPLY of attempt %d, none of attempt %d", other[0].Number, attempt)
		}
		return nil, came("no REPLY within %v", replyMax)
	case h.Code != code:
		return nil, came("%s, not %v", described(&h.Message), code)
	case h.Epoch != k.epoch:
		return nil, came("REPLY with epoch %x, not that of the hand-over", h.Epoch)
	}
	return h, nil
}

// run hands a new request out and waits for its reply.
func (k *workerKit) run(body ...string) (*heard, error) {
	from, id := k.mark(), newID()
	k.hand(id, 1, 0, body...)
	return k.wantReply(from, id, 1, protocol.OK)
}

// list is the list of a heartbeat that has seen all that was sent so far.
func (k *workerKit) list() ([]protocol.Entry, error) {
	h := k.inStep(soon)
	if h == nil {
		return nil, came("no HEARTBEAT that acknowledges the broker's")
	}
	return h.Entries, nil
}

// entryOf is the entry of an id, nil if there is none.
func entryOf(list []protocol.Entry, id protocol.ID) *protocol.Entry {
	for i := range list {
		if list[i].ID == id {
			return &list[i]
		}
	}
	return nil
}

// wantEntry looks for an entry under the fence of a message, in one of states.
func wantEntry(list []protocol.Entry, m *protocol.Message, states ...protocol.State) error {
	e := entryOf(list, m.ID)
	if e == nil {
		return came("a list of %d without the request", len(list))
	}
	if e.Attempt != m.Number || e.Epoch != m.Epoch {
		return came("the request listed under attempt %d of epoch %x, not %d of %x", e.Attempt, e.Epoch, m.Number, m.Epoch)
	}
	for _, s := range states {
		if e.State == s {
			return nil
		}
	}
	return came("the request listed as %s", e.State)
}

// nextLink makes the worker say READY, and returns that. It is answered as the
// kit answers at the moment.
func (k *workerKit) nextLink(reason protocol.Code, named uint32) (*heard, error) {
	from, number := k.mark(), k.number
	k.disconnect(reason, named)
	h := k.await(from, soon, func(h *heard) bool { return h.Command == protocol.Ready && h.Flags.Has(protocol.Last) })
	if h == nil {
		return nil, came("no READY within %v", soon)
	}
	if h.Link != number+1 {
		return nil, came("READY of link %d after link %d", h.Link, number)
	}
	return h, nil
}

// drain ends the worker, if the kit has started it.
func (k *workerKit) drain() error {
	if k.process == nil {
		return skipped("the kit has not started the worker")
	}
	if err := k.settle(); err != nil {
		return err
	}
	from := k.mark()
	k.process.Signal(sigterm)
	over := func() bool {
		select {
		case <-k.process.Done():
			return true
		default:
			return false
		}
	}
	bye := func(h *heard) bool { return h.Command == protocol.Disconnect }
	k.r.wait(replyMax, func() bool { return over() || len(k.since(from, bye)) > 0 })
	k.r.step()
	left := k.since(from, bye)
	draining := k.since(from, func(h *heard) bool {
		return h.Command == protocol.Heartbeat && h.Flags.Has(protocol.Draining)
	})
	switch {
	case len(left) == 0 && len(draining) == 0 && over():
		return skipped("it ends without draining")
	case len(left) == 0:
		return came("no DISCONNECT within %v", replyMax)
	case left[0].Code != protocol.ReasonShutdown:
		return came("%s", described(&left[0].Message))
	case len(draining) == 0 || draining[0].Credit != 0:
		return came("DISCONNECT without a HEARTBEAT with DRAINING and credit 0 before it")
	}
	k.disconnect(protocol.ReasonShutdown, k.number)
	if !k.r.wait(soon+time.Second, over) {
		return came("DISCONNECT, but it does not end when it is answered")
	}
	return nil
}

// fenceText names a hand-over.
func fenceText(h *heard) string { return fmt.Sprintf("attempt %d of epoch %x", h.Number, h.Epoch) }
