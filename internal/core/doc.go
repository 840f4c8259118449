// Package core is the broker's state machine. It decides everything a broker
// decides, and does nothing: messages and the time go in, an ordered list of
// outputs comes out. It has no socket, goroutine, clock, randomness or log, so
// that every decision can be replayed from a script; testdata holds such
// scripts, one story each.
//
// # The life of a request
//
//	none ──► queued ──► assigned ──► done ──► forgotten
//
// and the ways beside the straight one. Every transition that may happen, and
// what causes it:
//
//	from      to        cause
//	none      queued    a first sending
//	none      waiting   MAYBE_SENT to an earlier broker, in the recovery window
//	none      assigned  a worker lists what is not known here
//	none      kept      somebody asks for what a READY has listed as a kept reply
//	none      done      MAYBE_SENT, at-most-once, after the recovery window: UNKNOWN
//	queued    assigned  a worker has credit, or lists it
//	queued    backoff   the only free worker still runs an abandoned attempt of it
//	queued    kept      READY lists a kept reply
//	queued    done      deadline, cancel, end of interest, id-only on a list
//	backoff   queued    its time has come
//	backoff   waiting   the same, in the recovery window after a claim
//	backoff   assigned  a worker lists it
//	backoff   kept      READY lists a kept reply
//	backoff   done      deadline, cancel, end of interest, a late reply
//	waiting   queued    the recovery window ends
//	waiting   assigned  a worker lists it
//	waiting   kept      READY lists a kept reply
//	waiting   done      deadline, cancel, end of interest; window's end, at-most-once
//	assigned  assigned  another worker lists it, and this one's run was cancelled before a restart
//	assigned  waiting   adopted, and given back in the recovery window: another worker may have it
//	assigned  queued    worker lost, lease over, handed back, never taken, link reset
//	assigned  backoff   its handler asks for a retry, or it is handed back not started
//	assigned  orphan    as for queued, while its body is not known here; or nobody asks for its parts
//	assigned  kept      READY lists a kept reply
//	assigned  done      REPLY, deadline, cancel, end of interest, no attempts left
//	kept      kept      the worker that kept the reply is lost, and another one keeps one too
//	kept      queued    the worker that kept the reply is lost
//	kept      waiting   the same, in the recovery window: another worker may have it
//	kept      assigned  the same, while another worker runs it still
//	kept      orphan    the same, while its body is not known here
//	kept      done      the kept REPLY, or GONE; deadline: GONE, if nobody has asked; cancel
//	orphan    queued    a retry brings the body
//	orphan    waiting   the same, in the recovery window after a claim
//	orphan    assigned  a worker lists it
//	orphan    kept      READY lists a kept reply
//	orphan    done      deadline, cancel, end of interest, a late reply; nobody has asked again
//
// # The life of a worker's link
//
//	joining ──► welcomed ──► up ──► gapped ──► joining …
//	   all parts      WELCOME         messages        READY with
//	   of READY       acknowledged    were lost       the next number
//
// Only a link that is up has credit. A worker that is silent for liveness, or
// whose connection is gone for longer than a grace, loses what it holds.
//
// # Order
//
// A call first changes the state, then hands out what can be handed out
// (settle): nothing else dispatches. No output depends on the order of a map.
package core
