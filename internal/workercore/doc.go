// Package workercore is the worker's half of the conversation between a worker
// and one broker: registration, numbered links, heartbeats, what is held and
// remembered, credit, and the orderly end. It is pure: no socket, goroutine,
// clock, randomness or log. Time and random numbers come in as arguments, what
// is to be done goes out as a list of Outputs, and so every state change can be
// replayed from a script (testdata).
//
// # The link
//
//	closed   no socket; waits for openAt
//	opening  a socket was asked for
//	joining  READY is said, or still to be said
//	joined   WELCOME came
//	leaving  DISCONNECT is said
//	ended    nothing more
//
//	state    input                            → state    outputs
//	closed   Tick at openAt                   → opening  Open
//	opening  Opened                           → joining  READY in parts
//	opening  OpenFailed                       → closed   (back-off)
//	joining  READY could not be sent          → joining  READY at Connected, or after a heartbeat
//	joining  Connected, not the first         → joining  READY, next link
//	joining  WELCOME, message 1 of this link  → joined   HEARTBEAT, unacknowledged replies
//	joining  other messages of this link      → joining  Drop; counted as received
//	joining  liveness over since READY        → closed   Close (back-off)
//	joined   every heartbeat                  → joined   HEARTBEAT, replies not sent so far
//	joined   Connected, not the first         → joined   HEARTBEAT
//	joined   a gap in the broker's numbers    → joining  READY, next link
//	joined   ack of what was never sent       → joining  READY, next link
//	joined   nothing heard for liveness       → closed   Close (back-off)
//	joined   nothing acknowledged for liveness→ closed   Close (back-off)
//	any      DISCONNECT unknown, reset; ours  → joining  READY, next link; at most 4 a heartbeat
//	any      DISCONNECT shutdown; ours        → closed   Close (back-off)
//	any      DISCONNECT invalid, version, full→ closed   Close; the longest back-off
//	any      message of another link          → same     Drop
//	any      number received before           → same     Drop
//	joined   message of another epoch         → joined   Drop; counted as received
//	draining, nothing runs, all acknowledged:
//	joined                                    → leaving  DISCONNECT, again every heartbeat
//	joining                                   → ended    DISCONNECT, Close, Done
//	closed                                    → ended    Done
//	leaving  DISCONNECT naming our link       → ended    Close, Done
//	draining, nothing runs, liveness over     → ended    DISCONNECT, Close, Done
//
// The back-off is a fresh socket after a random time up to a bound that
// doubles from 100 ms to the reconnect maximum. A WELCOME resets it.
//
// # A request
//
//	none      nothing is known of the id
//	unstarted waits for a free handler; or first for a round trip with the
//	          broker, when this process stood still or the link is new
//	running   its handler runs
//	finished  its reply is not yet acknowledged
//	kept      acknowledged; reply and id remembered
//	id-only   acknowledged, or withdrawn; the id remembered
//
//	state     input                          → state     outputs
//	none      hand-over                      → unstarted
//	none      hand-over, no time left        → none      REPLY EXPIRED
//	none      hand-over, draining, no room   → none      REPLY HANDED_BACK
//	none      hand-over, within a hold       → none      REPLY HANDED_BACK
//	none      hand-over REPLAY_ONLY          → none      REPLY GONE
//	unstarted a handler is free              → running   Start
//	unstarted the deadline passes            → none      REPLY EXPIRED
//	unstarted CANCEL of its fence            → none      REPLY HANDED_BACK
//	unstarted Drain, Hold                    → none      REPLY HANDED_BACK
//	unstarted hand-over                      → unstarted the new fence
//	running   hand-over                      → running   the new fence; PROGRESS
//	running   hand-over, context over        → running   REPLY HANDED_BACK with the new fence
//	running   CANCEL of its fence            → running   CancelRun
//	running   20 ms since its start          → running   PROGRESS, unless it went out before
//	running   Progress                       → running   PROGRESS, 4 a heartbeat at most
//	running   handler returns                → finished  REPLY; GONE for a withdrawn run, unless OK
//	running   task time-out                  → finished  CancelRun, REPLY TIMEOUT; slot stays taken
//	running   drain time-out                 → finished  CancelRun, REPLY HANDED_BACK started; slot too
//	running   WELCOME, a part is too large   → finished  CancelRun, REPLY FAILED; slot stays taken
//	finished  new WELCOME                    → finished  REPLY
//	finished  acknowledged, final            → kept
//	finished  acknowledged, withdrawn        → id-only
//	finished  acknowledged, else; superseded → none
//	finished  hand-over, final               → finished  REPLY FROM_KEPT with the new fence
//	finished  hand-over, withdrawn           → finished  REPLY GONE
//	finished  hand-over, else                → as none
//	finished  nobody acknowledges in time    → none
//	kept      hand-over                      → finished  REPLY FROM_KEPT with the new fence
//	kept      hand-over, the list is full    → kept      REPLY FROM_KEPT with the new fence
//	kept      retention over, no room        → id-only
//	id-only   hand-over                      → id-only   REPLY GONE
//	kept, id-only: the deadline + a heartbeat, and the retention, are over → none
//
// After a Hold there is no credit until its end, and then for one request, until a
// handler has returned that asked for none.
//
// A reply that is over the limits of the broker becomes FAILED when it is sent.
//
// Final are OK, FAILED and TIMEOUT; of a run that the broker cancelled only
// OK. An id whose handler has been answered for and has not returned does not
// become none: it is listed as running, its context cancelled, until then.
// Nothing of this depends on the link: losing the broker cancels nothing.
package workercore
