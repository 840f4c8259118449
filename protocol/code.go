package protocol

// A Code is the second byte of meaning of a message: the outcome in a REPLY,
// the reason in a CANCEL or DISCONNECT, the priority in a client's REQUEST.
type Code uint8

// The outcomes, in a REPLY. The first group reaches clients, the second only
// brokers. UNREACHABLE is made by the client itself and never on the wire.
const (
	CodeNone    Code = 0
	OK          Code = 1  // the worker's reply
	Failed      Code = 2  // the handler returned an error, or its retries are used up
	Timeout     Code = 3  // over the task timeout, or the lease ended with no attempts left
	Expired     Code = 4  // the deadline passed
	Cancelled   Code = 5  // the client withdrew it
	WorkerLost  Code = 6  // the worker died or went silent, and no attempts are left
	Gone        Code = 7  // it ran, but its reply is no longer kept; it is not run again
	NoService   Code = 8  // nobody serves that service, and the caller asked not to wait
	Overloaded  Code = 9  // queue or id table full; carries retry-after
	DrainingNow Code = 10 // this broker is shutting down; try another
	Denied      Code = 11 // not allowed
	Invalid     Code = 12 // malformed, unknown version, over a limit, or the id was seen with other content
	Unknown     Code = 13 // nobody can tell what became of it
	Unreachable Code = 14 // client side only: nothing ever left this process

	Retry      Code = 32 // worker → broker: hand it out again later
	HandedBack Code = 33 // worker → broker: not done here, hand it to another (flag Started)
)

var codeNames = map[Code]string{
	OK: "OK", Failed: "FAILED", Timeout: "TIMEOUT", Expired: "EXPIRED", Cancelled: "CANCELLED",
	WorkerLost: "WORKER_LOST", Gone: "GONE", NoService: "NO_SERVICE", Overloaded: "OVERLOADED",
	DrainingNow: "DRAINING", Denied: "DENIED", Invalid: "INVALID", Unknown: "UNKNOWN",
	Unreachable: "UNREACHABLE", Retry: "RETRY", HandedBack: "HANDED_BACK",
}

func (c Code) String() string {
	if s, ok := codeNames[c]; ok {
		return s
	}
	return "CODE(" + itoa(int(c)) + ")"
}

// Outcome reports whether c may be the code of a broker's REPLY to a client.
func (c Code) Outcome() bool { return c >= OK && c <= Unknown }

// certainties holds the certainties that each outcome can have, as bits. A
// refusal is maybe-started where the broker knows the id from a worker's claim.
var certainties = [...]uint8{
	OK: 1 << Ran, Failed: 1 << Ran, Gone: 1 << Ran,
	Timeout:    1<<Ran | 1<<MaybeStarted,
	WorkerLost: 1 << MaybeStarted, Unknown: 1 << MaybeStarted,
	Expired: 1<<NotStarted | 1<<MaybeStarted, Cancelled: 1<<NotStarted | 1<<MaybeStarted,
	NoService: 1<<NotStarted | 1<<MaybeStarted, Overloaded: 1<<NotStarted | 1<<MaybeStarted,
	DrainingNow: 1<<NotStarted | 1<<MaybeStarted, Denied: 1<<NotStarted | 1<<MaybeStarted,
	Invalid: 1<<NotStarted | 1<<MaybeStarted,
}

// Admits reports whether a broker's REPLY with code c may carry certainty k.
func (c Code) Admits(k Certainty) bool {
	return int(c) < len(certainties) && certainties[c]&(1<<k) != 0
}

// Final reports whether c may be the code of a worker's REPLY that ends a
// request and answers a later hand-over of its id.
func (c Code) Final() bool { return c == OK || c == Failed || c == Timeout }

// fromWorker reports whether c may be the code of a worker's REPLY.
func (c Code) fromWorker() bool {
	return c.Final() || c == Retry || c == HandedBack || c == Gone || c == Expired
}

// Priorities, the Code of a client's REQUEST.
const (
	PriorityNormal Code = 0
	PriorityHigh   Code = 1
	PriorityLow    Code = 2
)

// Reasons of a CANCEL from the broker to a worker.
const (
	ReasonWithdrawn  Code = 1 // the client withdrew it: keep the id, the reply is not wanted
	ReasonExpired    Code = 2 // its deadline passed
	ReasonLease      Code = 3 // its lease ended; it may be handed to another
	ReasonSuperseded Code = 4 // another attempt has finished
	ReasonUnwanted   Code = 5 // its client has not asked again in its time; it may, and another may be handed it
)

// Reasons of a DISCONNECT.
const (
	ReasonUnknown  Code = 1 // "I do not know this link: say READY"
	ReasonShutdown Code = 2 // going away in good order
	ReasonInvalid  Code = 3 // the peer broke the protocol; the error text says how
	ReasonVersion  Code = 4 // the peer speaks a version unknown here
	ReasonFull     Code = 5 // too many peers or services
	ReasonReset    Code = 6 // messages were lost or unacknowledged: start a new link
)

var reasonNames = map[Command]map[Code]string{
	Cancel: {ReasonWithdrawn: "withdrawn", ReasonExpired: "expired", ReasonLease: "lease over",
		ReasonSuperseded: "superseded", ReasonUnwanted: "not asked for again"},
	Disconnect: {ReasonUnknown: "unknown: say READY", ReasonShutdown: "shutting down", ReasonInvalid: "invalid",
		ReasonVersion: "unknown version", ReasonFull: "full", ReasonReset: "link reset"},
	Request: {PriorityNormal: "normal", PriorityHigh: "high", PriorityLow: "low"},
}

// CodeName is the name of code in a message with command cmd.
// A number that has none is CODE(n).
func CodeName(cmd Command, code Code) string {
	if s, ok := reasonNames[cmd][code]; ok {
		return s
	}
	return code.String()
}
