package conformance

import (
	"time"

	"github.com/privateer-mq/privateer/protocol"
)

// A clientKit checks a client.
type clientKit struct {
	*frontend
	process Process
	first   *asked
	busy    time.Duration // from a REPLY to the next request, at most so far
}

// requestMax is how long a client may take until it asks, or asks again.
const requestMax = 15 * time.Second

func playClient(r *run) error {
	k := &clientKit{frontend: newFrontend(r)}
	var err error
	if k.s, k.process, err = r.bind(r.cfg.Frontend, false, k.take); err != nil {
		return err
	}
	if !r.check("envelope", "4", "the empty frame before the header, and at most 8 frames before that", k.comes) && len(k.asked) == 0 {
		return nil // nobody came
	}
	for _, list := range [][]step[*clientKit]{clientAskSteps, clientReplySteps} {
		for _, s := range list {
			r.check(s.name, s.rule, s.want, func() error { return s.do(k) })
		}
	}
	r.check("ids", "C1", "an id of its own for each request, none of them zero", k.ids)
	r.check("instance", "C2", "an instance that is not 0, the same in every message", func() error { return all(k.strange) })
	r.check("after-the-outcome", "C9", "nothing more is asked under an id that has its outcome", func() error { return all(k.late) })
	r.check("form", "5, 6, 7, 8", "only messages that this document admits", func() error { return all(k.bad) })
	return nil
}

// comes waits for the first request.
func (k *clientKit) comes() error {
	a := k.next(arrival)
	switch {
	case a == nil && k.naked > 0:
		return came("%d messages without an envelope", k.naked)
	case a == nil && len(k.bad) > 0:
		return all(k.bad)
	case a == nil:
		return came("no request came in time")
	}
	first := *a
	k.first = &first
	if k.naked > 0 {
		return came("%d messages without an envelope", k.naked)
	}
	return nil
}

// ids looks at all ids.
func (k *clientKit) ids() error {
	tries := map[protocol.ID]uint32{}
	for i := range k.asked {
		a := &k.asked[i]
		if a.Number == 1 && tries[a.ID] > 0 {
			return came("try 1 of %v a second time", a.ID)
		}
		tries[a.ID] = a.Number
	}
	if len(tries) < 2 {
		return skipped("only %d requests came", len(tries))
	}
	return nil
}

// The first try, and silence.
var clientAskSteps = []step[*clientKit]{
	{"first-try", "C3, C4", "try 1, without MAYBE_SENT", (*clientKit).firstTry},
	{"first-epoch", "C5", "first_epoch 0 where no epoch was heard, and the one heard where one was", (*clientKit).firstEpoch},
	{"remaining", "C6", "remaining_ms above 0, and less in a later try", (*clientKit).remaining},
	{"service", "5", "a service with a valid name, the one asked for", (*clientKit).service},
	{"silence", "C3, C4, C11", "after silence another try: the next number, MAYBE_SENT", (*clientKit).silence},
	{"same-request", "C1", "after silence another try: the same id, service, body and AT_MOST_ONCE", (*clientKit).same},
	{"first-epoch-frozen", "C5", "the same first_epoch in a later try, though another epoch was heard between", (*clientKit).frozen},
}

func (k *clientKit) firstTry() error {
	a, err := k.begin()
	if err != nil {
		return err
	}
	k.finish(a)
	answered := k.r.now()
	if k.next(requestMax) != nil {
		k.busy = k.r.now() - answered
	}
	if a.Number != 1 || a.Flags.Has(protocol.MaybeSent) {
		return came("try %d, MAYBE_SENT %v", a.Number, a.Flags.Has(protocol.MaybeSent))
	}
	return nil
}

func (k *clientKit) firstEpoch() error {
	if k.first.Epoch != 0 && k.first.Epoch != k.epoch {
		return came("%x in the very first request", k.first.Epoch)
	}
	a, err := k.begin() // the client has heard a REPLY by now
	if err != nil {
		return err
	}
	k.finish(a)
	switch {
	case a.Epoch == k.epoch:
		return nil
	case a.Instance != k.first.Instance:
		return skipped("the client is another with each request")
	}
	return came("%x, where %x was heard", a.Epoch, k.epoch)
}

// retried lets a try go unanswered and waits for the next.
func (k *clientKit) retried() (a, b *asked, err error) {
	if a, err = k.begin(); err != nil {
		return nil, nil, err
	}
	b, moved := k.again(a, requestMax)
	switch {
	case b != nil:
		k.finish(b)
		return a, b, nil
	case moved:
		k.over[a.ID] = true
		return a, nil, came("another request at once: it does not ask again")
	}
	return a, nil, came("no other try within %v", requestMax)
}

func (k *clientKit) remaining() error {
	a, b, err := k.retried()
	switch {
	case a == nil:
		return err
	case a.RemainingMS == 0:
		return came("remaining_ms 0 in try %d", a.Number)
	case b == nil:
		return skipped("no second try of this id came")
	case b.RemainingMS >= a.RemainingMS:
		return came("%d ms in try %d, %d ms in try %d", a.RemainingMS, a.Number, b.RemainingMS, b.Number)
	}
	return nil
}

func (k *clientKit) service() error {
	if want := k.r.cfg.Service; want != "" && string(k.first.Service) != want {
		return came("%q, not %q", k.first.Service, want)
	}
	return nil // Parse has looked at its form
}

func (k *clientKit) silence() error {
	a, err := k.begin()
	if err != nil {
		return err
	}
	b, moved := k.again(a, requestMax)
	switch {
	case b == nil && moved:
		return came("another request at once: it does not ask again")
	case b == nil:
		return came("no other try within %v", requestMax)
	}
	k.finish(b)
	if b.Number != a.Number+1 || b.unmarked {
		return came("try %d after try %d, MAYBE_SENT %v", b.Number, a.Number, !b.unmarked)
	}
	return nil
}

func (k *clientKit) same() error {
	a, err := k.begin()
	if err != nil {
		return err
	}
	b, moved := k.again(a, requestMax)
	if b == nil {
		return came("no other try (another request: %v)", moved)
	}
	k.finish(b)
	switch amo := protocol.AtMostOnce; {
	case b.ID != a.ID:
		return came("try %d under another id", b.Number)
	case string(b.Service) != string(a.Service):
		return came("service %q after %q", b.Service, a.Service)
	case !sameFrames(b.Body, a.Body):
		return came("the body %q after %q", b.Body, a.Body)
	case b.Flags.Has(amo) != a.Flags.Has(amo):
		return came("AT_MOST_ONCE %v after %v", b.Flags.Has(amo), a.Flags.Has(amo))
	}
	return nil
}

// frozen tells the client of another epoch by a refusal.
func (k *clientKit) frozen() error {
	a, err := k.begin()
	if err != nil {
		return err
	}
	k.epoch = random()
	k.answer(a, protocol.Message{Code: protocol.Overloaded, RetryAfterMS: 1,
		Flags: protocol.Retryable.WithCertainty(protocol.NotStarted)})
	b, moved := k.again(a, requestMax)
	switch {
	case b == nil && moved:
		k.over[a.ID] = true
		return skipped("it takes OVERLOADED for the outcome, as it may")
	case b == nil:
		return came("no other try within %v", requestMax)
	}
	k.finish(b)
	if b.Epoch != a.Epoch {
		return came("%x after %x", b.Epoch, a.Epoch)
	}
	return nil
}
