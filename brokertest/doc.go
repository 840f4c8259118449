// Package brokertest runs a real broker within a test of yours, with real
// clients and workers, and lets you kill, freeze and restart any of them.
//
// [New] starts a broker.Broker over memory links, without sockets and ports, and
// the test's Cleanup ends it:
//
//	func TestShout(t *testing.T) {
//		b := brokertest.New(t)
//		b.Worker("shout", worker.HandlerFunc(shout))
//		reply, err := b.Client().Do(t.Context(), client.Request{Service: "shout", Body: []byte("hello")})
//		...
//	}
//
// Nothing in it is imitated: the loops of the broker, the worker and the client
// are the ones that run in production. Only the wire is another one: mem://
// endpoints, which connect the loops of one process. [Broker.Endpoints] names
// them, for clients and workers of your own making.
//
// # Faults
//
// Each worker, and the broker, stands for a process of its own:
//
//	what you call      what happens to the process   what the others see
//	-----------------  ----------------------------  -------------------------------------------
//	Worker.Stop        SIGTERM                       it drains, and says good-bye
//	Worker.Kill        SIGKILL                       its connection ends, and not a word is said
//	Worker.Freeze      SIGSTOP                       the connection stands, and nothing comes
//	Worker.Thaw        SIGCONT                       it goes on where it stood
//	Worker.Restart     killed, and started again     a new worker, which knows nothing
//
// and for [Broker.Kill], [Broker.Freeze], [Broker.Thaw] and [Broker.Restart]
// likewise. What cannot be done to a goroutine is said there: handlers are not
// killed with their worker, but their contexts end; they run on while it is
// frozen. [WithNetwork] makes the connections slow or lossy, from a seed.
//
// # Virtual time
//
// Within a bubble of testing/synctest all of this happens in virtual time: a
// worker that is frozen for a minute costs no time, and every moment is exact.
// Call New within the bubble. When the bubble's function returns, the Cleanup
// has ended every goroutine of this package; synctest itself would fail the test
// over one that is left.
//
//	func TestFrozenWorker(t *testing.T) {
//		synctest.Test(t, func(t *testing.T) {
//			b := brokertest.New(t)
//			...
//		})
//	}
//
// Brokers of several tests may run at the same time: each has endpoints of its
// own.
package brokertest
