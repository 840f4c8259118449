package conformance

import (
	"bytes"
	"time"

	"github.com/privateer-mq/privateer/protocol"
)

// What a client makes of answers.
var clientReplySteps = []step[*clientKit]{
	{"reply-to-older-try", "C9", "a REPLY to an older try ends the request", (*clientKit).olderTry},
	{"unknown-field", "8", "a REPLY with unknown extension fields of both kinds ends the request", (*clientKit).unknownField},
	{"instance-0", "C9", "a REPLY with instance 0 ends the request", (*clientKit).instance0},
	{"error-reply", "3", "a REPLY FAILED, ran, ends the request", (*clientKit).failed},
	{"other-id", "C9", "a REPLY for another id is not taken", wrong(func(_ *asked, m *protocol.Message) { m.ID = newID() })},
	{"other-instance", "C9", "a REPLY for another instance is not taken", wrong(func(_ *asked, m *protocol.Message) { m.Instance++ })},
	{"try-never-sent", "C9", "a REPLY to a try that was never sent is not taken", wrong(func(a *asked, m *protocol.Message) { m.Number = a.Number + 90 })},
	{"impossible-certainty", "3", "a REPLY OK that says not-started is refused", wrong(func(_ *asked, m *protocol.Message) {
		m.Flags = m.Flags.WithCertainty(protocol.NotStarted)
	})},
	{"partial", "7, 22", "a REPLY with PARTIAL is refused", wrong(func(_ *asked, m *protocol.Message) { m.Flags |= protocol.Partial })},
	{"other-version", "17", "a REPLY in PRV2 is dropped", mangled(func(f [][]byte) [][]byte { return poke(f, versionByte, '2') })},
	{"unknown-command", "6, 17", "an unknown command is dropped", mangled(func(f [][]byte) [][]byte { return poke(f, commandByte, 20) })},
	{"garbage", "17", "a message that is no header is dropped", mangled(func([][]byte) [][]byte { return frames("no header at all") })},
	{"cut-off", "17", "a REPLY that is cut off in its header is dropped", mangled(func(f [][]byte) [][]byte {
		return [][]byte{bytes.Clone(f[0][:40])}
	})},
	{"overloaded", "C9", "after OVERLOADED no other try before RETRY_AFTER, 400 ms", (*clientKit).overloaded},
	{"accepted", "C15", "ACCEPTED, twice, ends nothing", (*clientKit).accepted},
	{"expired-early", "C16", "EXPIRED, not-started, before its own deadline: it asks again", (*clientKit).expiredEarly},
}

// wantOver waits until the client goes on to another request, or ends.
func (k *clientKit) wantOver(a *asked) error {
	k.answered[a.ID] = true
	b, moved := k.ended(a, requestMax)
	switch {
	case b != nil:
		return came("try %d of the same request", b.Number)
	case !moved:
		return came("nothing more within %v", requestMax)
	}
	k.over[a.ID] = true
	return nil
}

// ended is again, and takes the end of the process for going on.
func (k *clientKit) ended(a *asked, d time.Duration) (b *asked, moved bool) {
	end := k.r.now() + d
	for b == nil && !moved && k.r.now() < end && !k.r.over() {
		b, moved = k.again(a, min(d, quiet))
		if k.process != nil {
			select {
			case <-k.process.Done():
				return b, true
			default:
			}
		}
	}
	return b, moved
}

func (k *clientKit) olderTry() error {
	a, err := k.begin()
	if err != nil {
		return err
	}
	b, _ := k.again(a, requestMax)
	switch {
	case b == nil:
		return skipped("it does not ask again: see silence")
	case b.ID != a.ID:
		k.finish(b)
		return skipped("it asks again under another id: see same-request")
	}
	m := good(b)
	m.Number = a.Number
	k.send(b, m)
	return k.wantOver(b)
}

func (k *clientKit) unknownField() error {
	a, err := k.begin()
	if err != nil {
		return err
	}
	m := good(a)
	m.ID, m.Number, m.Instance, m.Epoch = a.ID, a.Number, a.Instance, k.epoch
	m.Meta = m.Meta.Append(200, "unknown")
	f := encode(protocol.FrontOut, &m)
	f[0] = insert(f[0], 77, "odd")
	k.raw(a, f...)
	return k.wantOver(a)
}

func (k *clientKit) instance0() error {
	a, err := k.begin()
	if err != nil {
		return err
	}
	m := good(a)
	m.ID, m.Number, m.Epoch = a.ID, a.Number, k.epoch
	k.raw(a, encode(protocol.FrontOut, &m)...)
	return k.wantOver(a)
}

func (k *clientKit) failed() error {
	a, err := k.begin()
	if err != nil {
		return err
	}
	k.answer(a, protocol.Message{Code: protocol.Failed, Flags: protocol.Flags(0).WithCertainty(protocol.Ran), Attempt: 1,
		Meta: protocol.ErrorMeta("the conformance kit says so")})
	return k.wantOver(a)
}

// wrong answers with a REPLY that must not be taken.
func wrong(change func(*asked, *protocol.Message)) func(*clientKit) error {
	return func(k *clientKit) error {
		return k.notTaken(func(a *asked) [][]byte {
			m := good(a)
			m.ID, m.Number, m.Instance, m.Epoch = a.ID, a.Number, a.Instance, k.epoch
			change(a, &m)
			return encode(protocol.FrontOut, &m)
		})
	}
}

// mangled answers with what is no REPLY.
func mangled(change func([][]byte) [][]byte) func(*clientKit) error {
	return func(k *clientKit) error {
		return k.notTaken(func(a *asked) [][]byte {
			m := good(a)
			m.ID, m.Number, m.Instance, m.Epoch = a.ID, a.Number, a.Instance, k.epoch
			return change(encode(protocol.FrontOut, &m))
		})
	}
}

// notTaken answers with what must not be taken, and then, to the same try and
// to any other, with the outcome. A client that goes on before that took it.
func (k *clientKit) notTaken(answer func(*asked) [][]byte) error {
	a, err := k.begin()
	if err != nil {
		return err
	}
	k.raw(a, answer(a)...)
	b, moved := k.ended(a, max(quiet, 3*k.busy))
	if b == nil && moved {
		k.over[a.ID] = true
		return came("the next request: it was taken")
	}
	if b == nil {
		b = a
	}
	return k.concluded(b)
}

// concluded gives a try its outcome, and every other that comes, and waits
// until the client goes on.
func (k *clientKit) concluded(a *asked) error {
	k.answered[a.ID] = true
	k.ok(k.newest(a))
	if !k.goesOn() {
		return came("nothing more within %v, though the outcome followed", requestMax)
	}
	return nil
}

// goesOn waits for another request.
func (k *clientKit) goesOn() bool {
	end := k.r.now() + requestMax
	for k.r.now() < end && !k.r.over() {
		if n := k.next(quiet); n != nil {
			return true
		}
		if k.process != nil {
			select {
			case <-k.process.Done():
				return true
			default:
			}
		}
	}
	return false
}

func (k *clientKit) overloaded() error {
	a, err := k.begin()
	if err != nil {
		return err
	}
	const wait = 400
	said := k.r.now()
	k.answer(a, protocol.Message{Code: protocol.Overloaded, RetryAfterMS: wait,
		Flags: protocol.Retryable.WithCertainty(protocol.NotStarted)})
	b, moved := k.ended(a, requestMax)
	switch {
	case b == nil && moved:
		k.over[a.ID] = true
		return skipped("it takes OVERLOADED for the outcome, as it may")
	case b == nil:
		return came("nothing more within %v", requestMax)
	}
	k.finish(b)
	if waited := (b.at - said) / time.Millisecond; waited < wait-5 {
		return came("try %d after %d ms", b.Number, waited)
	}
	return nil
}

func (k *clientKit) accepted() error {
	a, err := k.begin()
	if err != nil {
		return err
	}
	if !a.Flags.Has(protocol.CanTakeMore) {
		k.finish(a)
		return skipped("it does not set CAN_TAKE_MORE")
	}
	k.send(a, protocol.Message{Command: protocol.Accepted})
	k.send(a, protocol.Message{Command: protocol.Accepted})
	b, moved := k.again(a, quiet)
	switch {
	case b == nil && moved:
		return came("the next request: it was taken for the outcome")
	case b == nil:
		b = a
	}
	return k.concluded(b)
}

func (k *clientKit) expiredEarly() error {
	a, err := k.begin()
	if err != nil {
		return err
	}
	k.answer(a, protocol.Message{Code: protocol.Expired, Flags: protocol.Retryable.WithCertainty(protocol.NotStarted)})
	b, moved := k.ended(a, requestMax)
	switch {
	case b == nil && moved:
		k.over[a.ID] = true
		return skipped("it takes it for the outcome; that it asks again is a SHOULD")
	case b == nil:
		return came("nothing more within %v", requestMax)
	}
	k.finish(b)
	if b.Number != a.Number+1 {
		return came("try %d after try %d", b.Number, a.Number)
	}
	return nil
}
