package simtest_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/privateer-mq/privateer/protocol"
	"github.com/privateer-mq/privateer/simtest"
	"github.com/privateer-mq/privateer/worker"
)

// A ledger books payments. It is safe to run again: what it has done for an id
// is kept with that id, and in a real store written in the same transaction.
type ledger struct {
	balance int
	booked  map[protocol.ID]int
}

func (l *ledger) book(_ context.Context, r *worker.Request) ([]byte, error) {
	amount, done := l.booked[r.ID]
	if !done {
		if _, err := fmt.Sscan(string(r.Body()), &amount); err != nil {
			return nil, worker.Reject("no-amount", err.Error())
		}
		l.balance += amount
		l.booked[r.ID] = amount
	}
	return fmt.Appendf(nil, "booked %d", amount), nil
}

// A handler that is keyed by the request's id books each payment once, though
// workers die with payments half done and the broker hands them out again.
func ExampleRun() {
	t := example{} // in a test, its *testing.T
	var l ledger
	simtest.Run(t, simtest.Config{
		Handler:  worker.HandlerFunc(l.book),
		Requests: func(i int) simtest.Request { return simtest.Request{Service: "pay", Body: fmt.Appendf(nil, "%d", i+1)} },
		Reset:    func() { l = ledger{booked: map[protocol.ID]int{}} },
		Check: func(history []simtest.Outcome) error {
			sum := 0
			for _, o := range history {
				amount, done := l.booked[o.ID]
				switch {
				case o.Code == protocol.OK && !done:
					return o.Errorf("the client was told that it is booked, and it is not")
				case o.Certainty == protocol.NotStarted && done:
					return o.Errorf("the client was told that nothing was done, and it is booked")
				}
				sum += amount
			}
			if sum != l.balance {
				return fmt.Errorf("the balance is %d, and the payments make %d", l.balance, sum)
			}
			return nil
		},
	})
	fmt.Println("every payment was booked once")
	// Output: every payment was booked once
}

// What a handler forgets is found: this one adds to the balance whenever it is
// run, and runs again add twice.
func ExampleOutcome() {
	balance := 0
	found := false
	simtest.Run(silent{}, simtest.Config{
		Seed:    1,
		Handler: worker.HandlerFunc(func(context.Context, *worker.Request) ([]byte, error) { balance++; return []byte("booked"), nil }),
		Reset:   func() { balance = 0 },
		Check: func(history []simtest.Outcome) error {
			calls := 0
			for _, o := range history {
				if o.Code == protocol.OK && string(o.Body()) != "booked" {
					return o.Errorf("the reply is %q", o.Body())
				}
				calls += min(o.Calls, 1)
			}
			found = balance > calls
			if found {
				return fmt.Errorf("%d payments made a balance of %d", calls, balance)
			}
			return nil
		},
	})
	fmt.Println("a payment was booked twice:", found)
	// Output: a payment was booked twice: true
}

// A silent example goes on where a test would end.
type silent struct{ example }

func (silent) Fatalf(string, ...any) {}

// An example prints what a test would report.
type example struct{ testing.TB }

func (example) Helper()                   {}
func (example) Name() string              { return "Example" }
func (example) Failed() bool              { return false }
func (example) Logf(string, ...any)       {}
func (example) Fatalf(f string, a ...any) { fmt.Printf(f+"\n", a...) }
