// Package simtest finds out whether a worker.Handler copes with being run
// again. It plays the handler in a simulated world, with the broker, workers and
// clients as they are in production, and faults drawn from a seed: processes are
// killed, frozen and cut off, messages get lost, clients give up. Then it asks
// what became of the requests: see [Run].
//
// # How a run goes
//
// A run takes a drawn time, from nothing to some seconds. At a drawn moment of
// it the handler is called, for real: all that it does is done at that moment,
// and what it returned is sent when the run ends. So a worker may be killed
// before its handler was called; after that and before the reply was sent; and
// after that, with the reply lost on the way. Where the broker cannot tell, the
// request is run again (or not, if it is at most once). One run in twelve takes
// its worker along, beside all other faults.
//
// The handler is given what a worker gives it. An error, worker.Retry,
// worker.Reject and a panic mean the same as in production. Where the context of
// a run ends before its handler was called, the handler is mostly called at once,
// with that context, and now and then at its time, as one that does not look: it
// may do its work all the same, or give up.
//
// # What is not simulated
//
// The handler's own time: it takes none. A context never ends during a call, and
// one that waits for it waits for ever. Request.Deadline is as far away from
// time.Now as the deadline is in the simulation. Request.Progress does nothing;
// half of the runs are drawn to report progress all the time. No sockets, no
// headers of requests, one broker, and no plain REQ or PPP peers.
//
// # Concurrency and determinism
//
// Neither the handler nor any function of a Config is ever called while another
// one runs, so a store kept for the test needs no lock. A seed always goes the same way if the handler
// does: if it does not ask the clock or a random source, or share its store with
// another test. Seeds cost a few milliseconds each, and the handler's time.
package simtest
