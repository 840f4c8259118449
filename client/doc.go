// Package client sends requests to a broker and waits for their one outcome:
// with a time-out, retries on a fresh socket under the same id, several brokers
// tried in turn, and an error that says whether the work may have run.
//
// A [Client] has one request under way per REQ socket, and a pool of those: the
// Lazy Pirate. A [Pipeline] has many requests under way over one DEALER socket
// per broker, and alone takes replies in parts. In all else they are alike: they keep
// the same promises, return the same errors and have the same methods.
//
// [Ask] and [AskStream] send and return values instead of bytes. [WithRetries]
// asks again, under a new id, what was certainly not started. Config.Hooks are
// told of connections, retries and outcomes.
//
// # May it have run?
//
// Every outcome but OK is an [*Error]. Its Certainty answers the question from
// the outcome alone; asking again under a new id can run the work a second
// time unless it is not-started.
//
//	errors.Is       what happened                                    may it have run?
//	--------------  -----------------------------------------------  -----------------------
//	(nil)           the worker's reply                               it ran
//	ErrFailed       the handler returned an error                    it ran
//	ErrTimeout      over the task time-out, or its lease ended       it ran, or may have
//	ErrExpired      the deadline passed                              no, or it may have
//	ErrCancelled    it was withdrawn                                 no, or it may have
//	ErrWorkerLost   the worker died or went silent                   it may have
//	ErrGone         it ran, but its reply is no longer kept          it ran
//	ErrNoService    nobody serves it, and NoWait was set             no
//	ErrOverloaded   the broker is full; see RetryAfter               no
//	ErrDraining     the broker is shutting down                      no
//	ErrDenied       not allowed                                      no
//	ErrInvalid      malformed, over a limit, or its id seen before   no
//	ErrUnknown      no answer within the whole budget                it may have
//	ErrUnreachable  nothing ever left this process                   no
//	ErrClosed       the client was closed meanwhile                  no, or it may have
//	ErrReply        Ask, AskStream: the reply is no such value       it ran, or may have
//	ErrRestarted    AskStream: the reply began again; withdrawn      it ran, or may have
//	ErrRetryBudget  WithRetries asks no more; beside one of these    as that one says
//
// Each "no" becomes "it may have" when an earlier try of the request was not
// answered so, and when the id was given by the caller: then somebody may have
// sent it before. A context that is cancelled is an ErrCancelled, and
// context.Canceled as well; one whose deadline passes is always an ErrExpired, and
// context.DeadlineExceeded as well, whoever noticed it first and whatever the Code.
//
// # Time
//
// A request's whole budget is its deadline. No call returns later than its
// deadline + one heartbeat (1 s, unless the broker says otherwise) + 250 ms;
// one whose context ends returns within 250 ms of that. A try waits Timeout,
// the last one for the rest of the budget. Ten seconds without an answer are
// reason enough to ask again in any case.
//
// # Several brokers
//
// Brokers do not know of each other. A request that was sent to one and is then
// sent to another may run at both; Reply and Error say so (FailedOver). It
// happens only if the first one cannot be reached, refuses, cuts it off three
// times in a row, or is silent. An at-most-once request that may have been sent never moves.
package client
