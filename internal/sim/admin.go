package sim

import (
	"time"

	"github.com/privateer-mq/privateer/internal/core"
)

// What operators do to the broker: between two turns of its loop, as the admin
// listener does it.

// acts plans them. A service that is paused goes on before the calm begins.
func (w *world) acts() {
	for range 3 + w.more.IntN(8) {
		kind, at := w.more.IntN(8), time.Duration(w.more.Int64N(int64(w.plan.calm)))
		d := min(time.Duration(w.more.Int64N(int64(5*time.Second))), w.plan.calm-at)
		n := w.more.Int()
		w.at(at, func() { w.act(kind, n, d) })
	}
}

func (w *world) act(kind, n int, d time.Duration) {
	switch kind {
	case 0, 1:
		service := w.plan.services[n%len(w.plan.services)]
		w.operate(func(b *broker) { b.pause(service, true) })
		w.after(d, func() { w.operate(func(b *broker) { b.pause(service, false) }) })
	case 2, 3:
		w.operate(func(b *broker) { b.withdraw(n) })
	case 4:
		if n%4 > 0 {
			w.operate(func(b *broker) { b.withdraw(n) })
			return
		}
		service := w.plan.services[n/4%len(w.plan.services)]
		w.operate(func(b *broker) { b.withdrawAll(service) })
	case 5:
		w.operate((*broker).dropDead)
	case 6:
		w.operate((*broker).requeueDead)
	case 7:
		w.operate(func(b *broker) { b.look(n) })
	}
}

// operate lets the broker do that in its next turn, if there is one.
func (w *world) operate(do func(b *broker)) {
	if b := w.broker; b != nil && !b.draining {
		b.orders = append(b.orders, do)
		b.wake()
	}
}

// obey does what operators want.
func (b *broker) obey() {
	orders := b.orders
	b.orders = nil
	for _, do := range orders {
		do(b)
	}
}

func (b *broker) pause(service string, paused bool) {
	out, ok := b.core.Pause(b.now, service, paused, b.out)
	b.w.script("pause %s %t (%t)", service, paused, ok)
	if ok {
		b.w.oracle.line(service).paused = paused
	}
	b.told(out)
}

// withdraw ends one of the open requests.
func (b *broker) withdraw(n int) {
	o := &b.w.oracle
	var open []*request
	for _, q := range o.requests {
		if q.open {
			open = append(open, q)
		}
	}
	if len(open) == 0 {
		return
	}
	q := open[n%len(open)]
	q.operated = true
	out, ok := b.core.Withdraw(b.now, q.id, b.out)
	b.w.script("cancel %s", q.name)
	b.told(out)
	if !ok || q.open {
		b.w.fail("notes: an operator cancels %s, and it goes on", q.name)
	}
	o.saw(seenOperator)
}

// withdrawAll ends all open requests of a service.
func (b *broker) withdrawAll(service string) {
	o := &b.w.oracle
	for _, q := range o.requests {
		q.operated = q.operated || q.open && q.service == service
	}
	withdrawal := core.Withdrawal{Service: service}
	for done := false; !done; {
		var out []core.Output
		out, done = b.core.WithdrawSome(b.now, &withdrawal, b.out)
		b.told(out)
	}
	b.w.script("cancel all of %s (%d)", service, withdrawal.Ended)
	if left, _ := b.core.Requests(b.now, core.Query{Service: service}); len(left) > 0 {
		b.w.fail("notes: an operator cancels all of %s, and %d go on", service, len(left))
	}
	o.saw(seenOperator)
}

func (b *broker) dropDead() {
	for _, d := range b.core.DeadLetters()[:min(1, b.w.oracle.dead)] {
		if !b.core.DropDead(d.ID) {
			b.w.fail("notes: a dead letter cannot be dropped")
		}
		b.w.oracle.dead--
	}
}

// requeueDead queues the oldest dead letter again, under a new id, for nobody.
func (b *broker) requeueDead() {
	w, o := b.w, &b.w.oracle
	for _, d := range b.core.DeadLetters()[:min(1, o.dead)] {
		old := o.request(d.ID)
		q := o.newRequest(d.Service)
		q.once, q.body, q.meta, q.deed, q.rank, q.requeued = old.once, old.body, old.meta, old.deed, old.rank, true
		q.wanted = w.now + w.plan.core.DefaultDeadline
		q.mine = q.wanted
		out, ok := b.core.RequeueDead(b.now, d.ID, q.id, b.out)
		w.script("requeue %s as %s (%t)", old.name, q.name, ok)
		if !ok {
			o.requests = o.requests[:len(o.requests)-1]
			delete(o.byID, q.id)
			return
		}
		o.dead--
		b.told(out)
		o.saw(seenRequeuedDead)
	}
}

// look holds what operators are shown against what is known here.
func (b *broker) look(n int) {
	o := &b.w.oracle
	if got := len(b.core.Workers(b.now)); got != len(o.back) {
		b.w.fail("notes: %d workers are shown, and there are %d", got, len(o.back))
	}
	q := o.requests[n%len(o.requests)]
	info, found := b.core.Find(b.now, q.id)
	switch held := found && info.State == "assigned"; {
	case q.open && !found, q.open && info.State == "done":
		b.w.fail("notes: %s is open, and shown as %+v", q.name, info)
	case held != (q.holds != nil):
		b.w.fail("notes: %s is held: %t, and shown as %+v", q.name, q.holds != nil, info)
	}
}
