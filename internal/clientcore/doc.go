// Package clientcore is the client's state machine: what to send to which broker
// and when, and what outcome to report. It is pure: no socket, goroutine,
// clock, randomness or log. Time, jitter and ids come in as arguments; what is
// to be done comes out as values, in order. Both faces of the client share it:
// REQ, where each ask has a link of its own, and DEALER, one link per broker.
//
// Words beyond the glossary: an ask is one message that waits for an answer on
// a link (a REQUEST, a PING or a CANCEL). A REQUEST that the link has taken is
// a try, and has a number; one that the link refused has not left, and its
// number is used for the next. Retries counts tries that ended in silence or
// in a refusal, not the numbers.
//
// # Life of a call
//
//	          ┌──────────── rested ─────────────┐
//	          ▼                                 │
//	Start ─► asking ── silence, cut, refusal ─► resting
//	  │       │  ▲                              ▲
//	  │       │  └── PONG ── pinging ── silence ┘
//	  │       │                ▲
//	  └───────┼── must know ───┘
//	          ├── answer, or the end of the budget ─► done
//	          └── withdrawn ─► withdrawing ── answer, or 250 ms ─► done
//
// # Transitions
//
//	phase        event                          what happens
//	-----------  -----------------------------  ------------------------------------------------
//	(none)       Start                          bad request: INVALID. At-most-once and the epoch
//	                                            not known, or a body over 64 KiB and the limits not
//	                                            known: PING → pinging. Else REQUEST → asking
//	asking       the link did not take it       not left; offered again when the link connects and
//	                                            after 1, 2, 4 … 50 ms. After a while: a fresh link,
//	                                            next broker; neither numbered nor counted
//	asking       the link took it               a try: numbered; the first freezes every first_epoch
//	asking       timeout                        counted → resting (next ask: see Where to ask)
//	asking       10 s without an answer         → resting; the same try goes on, not counted
//	asking       disconnect                     a new try, same broker, not counted → resting
//	asking       connected again                the same, for what was taken since the disconnect: it may have
//	                                            gone into the old connection
//	asking       OVERLOADED, NO_SERVICE         counted; none left: that is the outcome. Else resting
//	             (the caller would wait)        for at least retry-after
//	asking       EXPIRED, not started, long     as OVERLOADED: the broker stood still, and takes that
//	             before the deadline            off every time it reads then
//	asking       DRAINING                       not counted; next broker at once, the same one later
//	asking       any other REPLY                that is the outcome
//	asking       deadline + heartbeat + 250 ms  UNKNOWN, and CANCEL; UNREACHABLE if nothing has left
//	                                            (then at the deadline); the refusal if all tries
//	                                            were refused
//	pinging      PONG                           → asking, same broker
//	pinging      silence or disconnect          next broker; → resting. Not counted
//	resting      rested                         → asking or pinging
//	any          Withdraw                       all tries known not started: CANCELLED. Else CANCEL to
//	                                            every broker asked → withdrawing
//	withdrawing  REPLY                          what ran is the outcome at once; anything else when
//	                                            every CANCEL is answered
//	withdrawing  250 ms                         CANCELLED, maybe started; CANCEL is repeated behind it
//	any          Close                          CANCELLED and Closed, at once; one CANCEL behind it
//
// # Where to ask
//
// Calls start at the broker that answered last. A call moves to the next broker
// in turn when its own refuses, cannot be connected to, cuts it off three times
// in a row, or is silent. But a try that timed out may simply be slow work, and
// another broker would run it a second time. So the broker is first asked
// whether it lives: with a PING over REQ; over DEALER the ACCEPTED tells, which
// comes after 20 ms, or at once for a try that is not the first. An
// at-most-once request that may have been sent never moves.
//
// # Certainty
//
// A try that left stays open until it is answered not-started by the broker it
// went to. An outcome is not-started only if no try is open and the id did not
// come from the caller; else it is raised to maybe-started.
//
// # Pauses
//
// A turn that comes more than a heartbeat late (the process was stopped) gives
// every wait the gap back and judges nobody for one more heartbeat, in which
// the answers that wait in the sockets are read. Deadlines are not moved.
//
// The heartbeat is the broker's where its PONG names one, else 1 s.
package clientcore
