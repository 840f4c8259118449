// Package direct is the door through which package simtest calls a handler as
// package worker does, without a worker around it. Both import it.
package direct

import (
	"time"

	"github.com/privateer-mq/privateer/internal/session"
)

// Call calls handler, a worker.Handler, for x and returns what a broker would
// be told, as after every other run: of an error, Retry, Reject and a panic,
// too. It returns when the handler has.
//
// deadline is what the handler is told, on the wall clock. Its context does not
// end while it runs; it has ended before for the cause over, unless that is 0.
// Progress does nothing.
//
// Package worker sets it when it is initialised.
var Call func(handler any, x *session.Run, deadline time.Time, over session.Cause) session.Result
