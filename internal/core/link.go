package core

import (
	"time"

	"github.com/privateer-mq/privateer/protocol"
)

// How far a worker's link has come.
type linkState uint8

const (
	joining  linkState = iota + 1 // some parts of READY are here
	welcomed                      // WELCOME is out, not yet acknowledged: no credit
	up                            // both sides have heard each other
	gapped                        // messages were lost: only REPLY is taken until READY
	silent                        // lost: what it held is handed on; late replies are still welcome
)

// A worker is one instance of a worker process, over all its links.
type worker struct {
	peer     Peer
	instance uint64
	legacy   bool                 // does not speak PRV1
	going    bool                 // what it holds is being taken from it
	info     *protocol.WorkerInfo // what it says of itself; nil: nothing
	state    linkState
	timer    timer // the next heartbeat to it, or judgement on it

	link      uint32
	seqIn     uint32           // last message taken, contiguous
	seqOut    uint32           // last message sent
	acked     uint32           // last message of ours that it has acknowledged
	part      uint32           // READY: parts taken
	names     [][]byte         // services of a READY whose last part has not come
	entries   []protocol.Entry // ... and what of its list waits for that
	partBytes int              // ... and what both take
	active    int              // unstarted, running and finished entries of READY, over its parts
	untaken   int              // entries for which there was no room, since READY began

	heardAt   time.Duration // running time of its last message
	unackedAt time.Duration // running time since when something of ours is unacknowledged
	beatAt    time.Duration // when the next heartbeat goes out
	suspectAt time.Duration // running time since when something could not be sent to it; 0: all could
	goneAt    time.Duration // running time since when it is not connected, as far as we know; 0: it is
	probeAt   time.Duration // suspected: when it is probed next

	credit      int
	draining    bool
	servings    []*serving
	resting     list[*serving]   // servings found without credit
	runs        list[*request]   // assigned to it
	kept        list[*request]   // finished there, the reply not asked for yet
	fetching    list[*request]   // finished there, the reply asked for
	listing     *listing         // what else it keeps, by its last READY; nil: nothing
	nextListing *listing         // ... and by the parts of READY that have come
	ghosts      map[fence]ghost  // attempts it still lists that are no longer of use
	taken       map[fence]uint32 // replies that ended nothing, until a list lacks them: the last list that named them
	lists       uint32           // lists taken so far
	acks        []protocol.Acked
	rhythm      time.Duration // legacy: between two heartbeats of it; 0: not known yet
	beatSeen    time.Duration // legacy: running time of the last one; 0: work may have delayed the next
	beatsBusy   bool          // legacy: it sends heartbeats while it works

	lone     *request // it holds a request that must be alone
	reserved *service // it is given nothing until a lone request of this service
	dirty    bool
}

// A ghost is an attempt that a worker may still be busy with and that this
// broker has no use for. It takes a slot until the worker says that it is over.
type ghost struct {
	seq    uint32        // of its hand-over; 0: known from a list
	cancel protocol.Code // reason of the CANCEL sent for it, repeated while it is listed
	listed bool
	noRoom bool          // it could not be taken up from a list: the next list tries again
	until  time.Duration // legacy, which has no lists: the slot is free again then, in running time
}

// takes reports whether w may be handed anything.
func (w *worker) takes(c *Core) bool {
	return w.state == up && !w.draining && w.suspectAt == 0 && (c.running()-w.heardAt < c.patience(w) || c.now < c.judgeAfter)
}

// spare is what is left of w's credit.
func (w *worker) spare(c *Core) int {
	if !w.takes(c) {
		return 0
	}
	return w.credit - w.runs.size - len(w.ghosts)
}

// free is how many requests w may be handed now, lone ones aside.
func (w *worker) free(c *Core) int {
	if w.reserved != nil || w.lone != nil {
		return 0
	}
	return w.spare(c)
}

// runsStill reports whether w is busy with an abandoned attempt of r.
func (w *worker) runsStill(r *request) bool {
	for f := range w.ghosts { // any order: the answer does not depend on it
		if f.id == r.id {
			return true
		}
	}
	return false
}

// tell sends m to w with the next number of its link, and returns that number.
func (c *Core) tell(w *worker, m protocol.Message) uint32 {
	if w.legacy {
		c.send(Back, w.peer, m)
		return 0
	}
	w.seqOut++
	if w.acked+1 == w.seqOut {
		w.unackedAt = c.running()
	}
	m.Link, m.Seq, m.Ack = w.link, w.seqOut, w.seqIn
	c.send(Back, w.peer, m)
	return w.seqOut
}

// disconnect tells a peer that the link it named is over, and why. Link 0: the
// number could not be read.
func (c *Core) disconnect(to Peer, linkNo uint32, reason protocol.Code, text string) {
	c.send(Back, to, protocol.Message{Command: protocol.Disconnect, Code: reason, Link: linkNo,
		Epoch: c.cfg.Epoch, Meta: protocol.ErrorMeta(text)})
}

// fromWorker sorts a message of a worker by what is known of its link.
func (c *Core) fromWorker(from Peer, m *protocol.Message) {
	w := c.peers[from.key()]
	if m.Command == protocol.Ready {
		c.readyPart(from, m, w)
		return
	}
	if from.legacy() {
		c.fromLegacy(from, m, w)
		return
	}
	switch {
	case w == nil || w.state == joining || w.legacy || m.Link > w.link:
		c.drop(DropUnknownWorker, m.ID)
		c.disconnect(from, m.Link, protocol.ReasonUnknown, "this broker does not know the link: say READY")
		return
	case m.Link < w.link:
		if m.Command == protocol.Reply { // numbers of an older link say nothing here
			c.reply(w, m)
			return
		}
		c.drop(DropStaleLink, m.ID)
		return
	case w.state == silent:
		c.drop(DropUnknownWorker, m.ID)
		c.disconnect(from, m.Link, protocol.ReasonUnknown, "silent for too long: say READY")
		return
	}
	c.heard(w)
	if !c.inOrder(w, m) {
		return
	}
	switch m.Command {
	case protocol.Heartbeat:
		c.heartbeat(w, m)
	case protocol.Reply:
		c.reply(w, m)
	case protocol.Progress:
		c.progress(w, m)
	case protocol.Disconnect:
		c.leave(w, m)
	}
}

// heard: w lives.
func (c *Core) heard(w *worker) {
	w.heardAt = c.running()
	if w.suspectAt != 0 {
		w.suspectAt, w.goneAt = 0, 0
		c.regain(w)
	}
}

// inOrder checks the message's number and takes its acknowledgement. It
// reports whether the message is to be acted on.
func (c *Core) inOrder(w *worker, m *protocol.Message) bool {
	switch {
	case m.Command == protocol.Disconnect: // outside the count, and welcome on any link
		return true
	case w.state == gapped, m.Seq > w.seqIn+1:
		again := w.state == gapped
		if !again {
			c.resetLink(w, "messages of the worker were lost")
		}
		if m.Command == protocol.Reply {
			c.reply(w, m)
			return false
		}
		c.drop(DropGap, m.ID)
		if again && m.Command == protocol.Heartbeat { // the reset may have been lost
			c.disconnect(w.peer, w.link, protocol.ReasonReset, "messages of the worker were lost: say READY")
		}
		return false
	case m.Seq <= w.seqIn:
		c.drop(DropDuplicate, m.ID)
		return false
	}
	w.seqIn = m.Seq
	if m.Ack > w.seqOut {
		c.resetLink(w, "the worker acknowledged what was never sent")
		return false
	}
	if m.Ack > w.acked {
		w.acked = m.Ack
		w.unackedAt = c.running()
		if w.state == welcomed {
			w.state = up
			c.live(w, +1)
			c.regain(w)
		}
	}
	return true
}

// resetLink: numbers no longer match. The worker is told to start anew; what
// it holds stays its own until it has said READY or is lost.
func (c *Core) resetLink(w *worker, why string) {
	c.counters.LinkResets++
	c.event(Event{What: EventLinkReset, Worker: w.instance, Reason: why})
	c.setState(w, gapped)
	c.disconnect(w.peer, w.link, protocol.ReasonReset, why+": say READY")
}

// setState keeps the count of live workers of each service.
func (c *Core) setState(w *worker, s linkState) {
	if w.state == up && s != up {
		c.live(w, -1)
	}
	w.state = s
}

func (c *Core) live(w *worker, by int) {
	for _, o := range w.servings {
		o.s.live += by
	}
}
