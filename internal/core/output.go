package core

import (
	"time"

	"github.com/privateer-mq/privateer/protocol"
)

// A Side is a role: what a peer is to this broker.
type Side uint8

// The sides.
const (
	Front Side = iota // clients
	Back              // workers
)

// A Peer is where a message came from or goes to. The loop translates; the
// core only knows whether it speaks PRV1. If not it is legacy: a client's ids
// are the broker's own, and a worker has no lists or acknowledgements.
type Peer struct {
	ID       []byte        // routing id
	Port     protocol.Port // the socket it is connected to
	Dialect  protocol.Dialect
	Envelope [][]byte // what an answer begins with; nil: none is possible
}

func (p *Peer) legacy() bool { return p.Dialect != protocol.PRV1 }

// A peerKey names a peer among those of both sockets.
type peerKey struct {
	port protocol.Port
	id   string
}

func (p *Peer) key() peerKey { return peerKey{p.Port, string(p.ID)} }

// OutputKind says what is to be done.
type OutputKind uint8

// The kinds of Output. A durable broker will have one more, Persist; then no
// Send may leave before the Persist ahead of it is on disk, which is why
// outputs come in one ordered list.
const (
	Send OutputKind = iota // send Msg to To, on Side
	Drop                   // something was not used: count it under Event.What
	Note                   // a change of state, to be logged or counted
)

// An Output is one thing for the loop to do.
type Output struct {
	Kind  OutputKind
	Side  Side
	To    Peer
	Msg   protocol.Message
	Event Event
}

// What names an event or the reason of a drop: a stable label.
type What string

// Events, in the life of a request.
const (
	EventAccepted   What = "accepted"
	EventHandedOut  What = "handed_out"
	EventStarted    What = "started"
	EventRequeued   What = "requeued"
	EventFinished   What = "finished"
	EventReplayed   What = "replayed"
	EventJoined     What = "joined"
	EventRefused    What = "refused"
	EventForgotten  What = "forgotten" // nobody asks for it any more: as if it had never been asked for
	EventAdopted    What = "adopted"
	EventKept       What = "kept" // a worker has finished it and keeps the reply
	EventRescued    What = "late_reply_used"
	EventDeadLetter What = "dead_letter"
	EventRerun      What = "maybe_rerun"
)

// Events, in the life of a worker or the broker.
const (
	EventWorkerReady   What = "worker_ready"
	EventWorkerLost    What = "worker_lost"
	EventWorkerLeft    What = "worker_left"
	EventWorkerSuspect What = "worker_suspect"
	EventLinkReset     What = "link_reset"
	EventStopped       What = "broker_was_stopped"
	EventWindowOver    What = "recovery_window_over"
	EventDraining      What = "draining"
	EventPaused        What = "service_paused"
	EventResumed       What = "service_resumed"
	EventProtocol      What = "protocol_error"
	EventNoRoom        What = "no_room_for_claims" // of what a worker has taken or finished, not all could be noted
)

// Reasons of a drop.
const (
	DropClientGone     What = "client_gone"     // an answer for a client that is not connected
	DropLateReply      What = "late_reply"      // the request is done already, or forgotten
	DropStaleLink      What = "stale_link"      // a message of an older link
	DropDuplicate      What = "duplicate"       // a message number seen before
	DropUnknownWorker  What = "unknown_worker"  // a message of a worker that never said READY
	DropUnknownRequest What = "unknown_request" // a reply never asked for
	DropOtherService   What = "other_service"   // a reply or claim of what its worker does not serve
	DropGap            What = "after_gap"       // messages were lost before it
	DropStaleCredit    What = "stale_credit"    // CREDIT for what no worker holds, or by an earlier try
	DropUnasked        What = "part_not_asked"  // a part for a client that takes none
	DropSilent         What = "no_error_in_dialect"
	DropWorkerGone     What = "worker_gone"     // a message for a worker that is not connected
	DropWorkerFull     What = "worker_full"     // its queue is full
	DropReplayBody     What = "replay_body"     // a kept reply made room for newer ones
	DropDeadLetter     What = "dead_letter"     // a dead letter made room for a newer one
	DropStaleTry       What = "stale_try"       // a try that a later one had overtaken
	DropCancelledTry   What = "cancelled_try"   // a try that its own cancel had overtaken
	DropForeignCancel  What = "foreign_cancel"  // a cancel by a client that does not own the id
	DropMalformed      What = "malformed"       // refused by the parser
	DropTombstone      What = "tombstone_full"  // no room to remember a cancel, or that a forgotten request has run
	DropOverBound      What = "over_bound"      // a claim, reply, route, acknowledgement or client's clock for which there was no room
	DropUnlisted       What = "lost_on_the_way" // a hand-over that its worker never took
)

// An Event is one change of state, or one drop.
type Event struct {
	What    What
	ID      protocol.ID
	Service string
	Worker  uint64               // instance
	Info    *protocol.WorkerInfo // of a worker that comes or goes; nil: it says nothing
	Attempt uint32
	Code    protocol.Code
	Took    time.Duration // handed out, finished: since it was accepted
	Behind  int           // accepted: requests of its service that wait already
	Reason  string        // constant text, or the text of a protocol error
}

func (c *Core) event(e Event) { c.out = append(c.out, Output{Kind: Note, Event: e}) }

func (c *Core) drop(why What, id protocol.ID) {
	c.out = append(c.out, Output{Kind: Drop, Event: Event{What: why, ID: id}})
}

func (c *Core) send(side Side, to Peer, m protocol.Message) {
	c.out = append(c.out, Output{Kind: Send, Side: side, To: to, Msg: m})
}
