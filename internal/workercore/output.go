package workercore

import (
	"time"

	"github.com/privateer-mq/privateer/protocol"
)

// A Fence names one hand-over of a request.
type Fence struct {
	ID      protocol.ID
	Attempt uint32
	Epoch   uint64
}

// A Kind says what an Output asks for.
type Kind uint8

// The kinds of Output.
const (
	// Open: open a fresh socket to the broker, then call Opened or OpenFailed.
	Open Kind = iota + 1
	// Close: close the socket. What it still holds is not wanted.
	Close
	// Send: call Stamp with Message; if that says true send it, then call Sent.
	Send
	// Start: start the handler for Run; call Finished when it returns.
	Start
	// CancelRun: cancel the context of the run with Fence.ID, for Cause.
	CancelRun
	// PartTaken: the handler of the run with Fence.ID may make another part.
	PartTaken
	// PartRefused: the part it made last cannot be sent, for Text.
	PartRefused
	// Report: something changed that is worth a log line or a counter: Event.
	Report
	// Drop: a message was discarded, for Reason. Count it.
	Drop
	// Done: this session has ended; it wants no more calls. Count replies of
	// it were never acknowledged.
	Done
)

// An Output is one thing for the loop to do. Outputs are carried out in
// order. Only the fields that its Kind names are set.
type Output struct {
	Kind    Kind
	Broker  int               // whose session wants it
	Message *protocol.Message // Send
	Run     *Run              // Start
	Fence   Fence             // Start, CancelRun, and Report about one attempt
	Cause   Cause             // CancelRun
	Event   Event             // Report
	Reason  Reason            // Drop
	Code    protocol.Code     // Report of Answered (outcome) or Refused (reason)
	Text    string            // Report: what happened, where words say more
	For     time.Duration     // Report: Paused, Reconnecting: how long
	Count   int               // Done
}

// A Run is what a handler needs to know.
type Run struct {
	Fence
	Service    string
	Frames     [][]byte
	Meta       protocol.Meta
	MaybeRerun bool
	Deadline   time.Duration // on the clock that is passed in
	Waited     time.Duration // in the broker's queue, and since then here
}

// A Cause says why a run's context is cancelled.
type Cause uint8

// The causes.
const (
	CauseWithdrawn   Cause = Cause(protocol.ReasonWithdrawn)  // the client withdrew it
	CauseExpired     Cause = Cause(protocol.ReasonExpired)    // the broker says that its deadline passed
	CauseLease       Cause = Cause(protocol.ReasonLease)      // its lease ended
	CauseSuperseded  Cause = Cause(protocol.ReasonSuperseded) // another attempt has finished
	CauseUnwanted    Cause = Cause(protocol.ReasonUnwanted)   // its client has not asked again
	CauseTaskTimeout Cause = 16                               // it ran longer than the task time-out
	CauseDrain       Cause = 17                               // the drain time-out came
	CauseRestart     Cause = 18                               // its reply must start again, in another run
	CauseNoCredit    Cause = 19                               // its client takes no parts any longer
	CauseTooLarge    Cause = 20                               // the broker does not take its parts any longer
)

func (c Cause) String() string {
	switch c {
	case CauseTaskTimeout:
		return "task time-out"
	case CauseDrain:
		return "drain time-out"
	case CauseRestart:
		return "its reply must start again"
	case CauseNoCredit:
		return "its client takes no parts any longer"
	case CauseTooLarge:
		return "a part of its reply is over the broker's limit"
	}
	return protocol.CodeName(protocol.Cancel, protocol.Code(c))
}

// An Event is a change of state that somebody may want to hear of.
type Event uint8

// The events.
const (
	Joining      Event = iota + 1 // READY goes out on a new link
	Joined                        // WELCOME: the link stands
	LinkReset                     // the link is given up for a new one on the same socket; Text says why
	Reconnecting                  // the socket is given up; Text says why, For the wait
	Refused                       // the broker wants no such worker: Code, Text
	Paused                        // this process stood still for For
	Answered                      // an attempt was answered with Code
	Replayed                      // a kept reply answered a hand-over
	TaskOver                      // the task time-out came; the handler is told to stop
	ReturnedLate                  // a handler returned that had been answered before
	Unanswerable                  // the handler's reply could not be sent as it was; Text says why
	TableFull                     // the id table is full: no credit
	NeverTaken                    // a reply was not acknowledged in its time, and is forgotten
	DrainStarted                  // no new work; what runs may finish
	DrainOver                     // the drain time-out came; what runs is handed back
)

var eventNames = [...]string{
	Joining: "joining", Joined: "joined", LinkReset: "link reset", Reconnecting: "reconnecting",
	Refused: "refused", Paused: "paused", Answered: "answered", Replayed: "replayed",
	TaskOver: "task time-out", ReturnedLate: "returned late", Unanswerable: "unanswerable",
	TableFull: "id table full", NeverTaken: "reply never taken", DrainStarted: "drain started",
	DrainOver: "drain time-out",
}

func (e Event) String() string { return eventNames[e] }

// A Reason says why a message was discarded.
type Reason uint8

// The reasons.
const (
	DropOtherLink     Reason = iota // it belongs to another link
	DropBeforeWelcome               // it came before WELCOME
	DropOtherEpoch                  // it is from a broker that is no more
	DropRepeated                    // its number was received before
	DropBadWelcome                  // WELCOME where none belongs
	DropUnknownCancel               // CANCEL of an attempt that is not held
	DropUnknownAck                  // acknowledgement of a reply that is not waiting for one
	DropOverCredit                  // a hand-over with no room for it; it was handed back
	DropOtherService                // a hand-over for a service not offered; it was handed back
	DropUnknownCredit               // CREDIT of a run that is not under way
	DropOldAttempt                  // a hand-over older than the one held
	DropMalformed                   // it could not be parsed (the loop counts these)
	ReasonCount                     // how many reasons there are
)

var reasonNames = [ReasonCount]string{
	DropOtherLink: "other-link", DropBeforeWelcome: "before-welcome", DropOtherEpoch: "other-epoch",
	DropRepeated: "repeated", DropBadWelcome: "bad-welcome", DropUnknownCancel: "unknown-cancel",
	DropUnknownAck: "unknown-ack", DropOverCredit: "over-credit", DropOtherService: "other-service",
	DropUnknownCredit: "unknown-credit", DropOldAttempt: "old-attempt", DropMalformed: "malformed",
}

func (r Reason) String() string { return reasonNames[r] }

func report(e Event, text string) Output { return Output{Kind: Report, Event: e, Text: text} }

func drop(r Reason) Output { return Output{Kind: Drop, Reason: r} }
