// Package direct is the door through which the packages for users' tests reach
// what has no public name: simtest calls a handler as package worker does,
// without a worker around it, and brokertest waits for a broker's workers.
package direct

import (
	"context"
	"time"

	"github.com/privateer-mq/privateer/internal/workercore"
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
var Call func(handler any, x *workercore.Run, deadline time.Time, over workercore.Cause) workercore.Result

// AwaitWorkers blocks until enough, given the number of live workers of service
// at broker, a *broker.Broker, says true. It is asked at the end of each turn of
// the broker's loop, on the loop's goroutine. Errors: ctx's cause, and
// broker.ErrNotRunning.
//
// Package broker sets it when it is initialised.
var AwaitWorkers func(ctx context.Context, broker any, service string, enough func(live int) bool) error
