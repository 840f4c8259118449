package core

import (
	"fmt"
	"math/bits"
	"time"

	"github.com/privateer-mq/privateer/internal/flat"
	"github.com/privateer-mq/privateer/protocol"
)

// The ledger is what is remembered of finished requests. Millions of them may
// be: 30 seconds at 100,000 a second are three. So nothing here is a pointer,
// which the garbage collector would follow again and again: a record is named
// by its number, and replies are kept in pages (replies.go).
type ledger struct {
	byID    flat.Index
	records flat.Records[finished]
	must    calendar // ids that must be remembered, by when that ends
	may     calendar // ... that are, while there is room
	kept    replies
}

// A ref is the number of a record; 0 is none.
type ref = flat.Ref

// finished is what is remembered of a request that has its outcome: the id
// until its deadline and a heartbeat, so that no try of it that is still on
// the way can start it again; after that, up to the replay window, while there
// is room. The reply goes earlier where all of them together are too large.
type finished struct {
	id        protocol.ID
	digest    uint64 // 0: not known
	deadline  time.Duration
	until     time.Duration // end of the replay window
	stream    protocol.Stream
	attempt   uint32
	code      protocol.Code
	certainty protocol.Certainty
	retryable bool
	bodyGone  bool

	// A worker has finished it and keeps the reply, as its READY says (keeper.go).
	keeper        uint32 // number of the listing; 0: none, it is over here
	second        uint32 // of another worker that has finished it, too; 0: none
	secondAttempt uint32
	secondRan     bool // ... and only knows that it ran
	once          bool // at-most-once

	self     ref
	at       flat.Place // of its reply
	bodied   bool       // it has a body
	lingers  bool       // it is in may, otherwise in must
	bucket   uint16
	earlier  ref // in its bucket
	later    ref
	keptPrev ref // among those whose reply is kept, oldest first; or of its listing
	keptNext ref
}

func (l *ledger) size() int { return l.byID.Len() }

// get is the record of that number.
func (l *ledger) get(r ref) *finished { return l.records.Get(r) }

// find returns nil if the id is not known. The record is valid until it is
// removed.
func (l *ledger) find(id protocol.ID) *finished {
	if r := l.byID.Get(id); r != 0 {
		return l.get(r)
	}
	return nil
}

// add makes room for a record and fills it with f.
func (l *ledger) add(f finished) *finished {
	r, x := l.records.Add()
	f.self = r
	*x = f
	l.byID.Put(f.id, r)
	return x
}

// remove forgets f, which is in no calendar and has no reply.
func (l *ledger) remove(f *finished) {
	l.byID.Remove(f.id)
	l.records.Remove(f.self)
}

// A calendar holds records by when something is due, in steps of 8 ms. One
// that is due further away than it reaches is looked at again on the way.
type calendar struct {
	tick  uint64 // all up to here were taken
	size  int
	heads [calendarSteps]ref
	used  [calendarSteps / 64]uint64      // a bit for each step that has a record
	words [calendarSteps / 64 / 64]uint64 // a bit for each word of used that is not 0
}

const (
	calendarSteps = 1 << 14 // of 8 ms: 131 s
	calendarStep  = 8 * time.Millisecond
)

// put notes f for due, or for a moment before.
func (k *calendar) put(l *ledger, f *finished, now, due time.Duration) {
	k.turn(now)
	tick := min(max(uint64((due+calendarStep-1)/calendarStep), k.tick+1), k.tick+calendarSteps-1)
	f.bucket = uint16(tick % calendarSteps)
	head := &k.heads[f.bucket]
	f.earlier, f.later = 0, *head
	if *head != 0 {
		l.get(*head).earlier = f.self
	}
	*head = f.self
	k.used[f.bucket/64] |= 1 << (f.bucket % 64)
	k.words[f.bucket/64/64] |= 1 << (f.bucket / 64 % 64)
	k.size++
}

// turn moves the calendar on, as far as nothing in it is passed over: it
// reaches further then.
func (k *calendar) turn(now time.Duration) {
	to := uint64(now / calendarStep)
	if r, tick := k.first(); r != 0 {
		to = min(to, tick-1)
	}
	k.tick = max(k.tick, to)
}

func (k *calendar) remove(l *ledger, f *finished) {
	if f.earlier != 0 {
		l.get(f.earlier).later = f.later
	} else if k.heads[f.bucket] = f.later; f.later == 0 {
		if k.used[f.bucket/64] &^= 1 << (f.bucket % 64); k.used[f.bucket/64] == 0 {
			k.words[f.bucket/64/64] &^= 1 << (f.bucket / 64 % 64)
		}
	}
	if f.later != 0 {
		l.get(f.later).earlier = f.earlier
	}
	f.earlier, f.later = 0, 0
	k.size--
}

// first is a record that is due first, and the tick.
func (k *calendar) first() (ref, uint64) {
	if k.size == 0 {
		return 0, 0
	}
	from := (k.tick + 1) % calendarSteps
	at, ok := k.from(from)
	if !ok {
		at, _ = k.from(0) // in the next round
	}
	return k.heads[at], k.tick + 1 + (at-from+calendarSteps)%calendarSteps
}

// from is the first step not before from, in this round, that has a record.
func (k *calendar) from(from uint64) (step uint64, ok bool) {
	word := from / 64
	if set := k.used[word] &^ (1<<(from%64) - 1); set != 0 {
		return word*64 + uint64(bits.TrailingZeros64(set)), true
	}
	word++
	for n, mask := word/64, uint64(1)<<(word%64)-1; n < uint64(len(k.words)); n, mask = n+1, 0 {
		if set := k.words[n] &^ mask; set != 0 {
			word = n*64 + uint64(bits.TrailingZeros64(set))
			return word*64 + uint64(bits.TrailingZeros64(k.used[word])), true
		}
	}
	return 0, false
}

// next is when the first one is due.
func (k *calendar) next() (time.Duration, bool) {
	r, tick := k.first()
	return time.Duration(tick) * calendarStep, r != 0
}

// due takes one record that is due out, or returns nil.
func (k *calendar) due(l *ledger, now time.Duration) *finished {
	r, tick := k.first()
	if r == 0 || tick > uint64(now/calendarStep) {
		k.turn(now)
		return nil
	}
	k.tick = tick - 1 // others of the same step may follow
	f := l.get(r)
	k.remove(l, f)
	return f
}

// check walks everything, for tests. It returns the bytes of the bodies kept.
func (l *ledger) check() (bytes int64, err error) {
	if l.records.Len() != l.size() || l.must.size+l.may.size != l.size() {
		return 0, fmt.Errorf("ledger: %d ids, %d records, %d and %d in the calendars", l.size(), l.records.Len(), l.must.size, l.may.size)
	}
	listed := 0
	for _, k := range []*calendar{&l.must, &l.may} {
		n, err := k.check(l, k == &l.may)
		if err != nil {
			return 0, err
		}
		listed += n
	}
	prev := ref(0)
	for r := l.kept.oldest; r != 0; prev, r = r, l.get(r).keptNext {
		f := l.get(r)
		if f.keptPrev != prev || f.at.None() {
			return 0, fmt.Errorf("ledger: %v is not where its reply is kept", f.id)
		}
		bytes += l.kept.takes(f)
	}
	if listed != l.size() || l.kept.newest != prev {
		return 0, fmt.Errorf("ledger: %d of %d in the buckets", listed, l.size())
	}
	return bytes, nil
}

// check walks the records of one calendar, and counts them. Each is the one
// that is filed under its id: so where as many are counted as there are ids,
// every id is filed rightly.
func (k *calendar) check(l *ledger, lingers bool) (n int, err error) {
	for group, words := range k.words {
		for ; words != 0; words &= words - 1 {
			word := group*64 + bits.TrailingZeros64(words)
			for set := k.used[word]; set != 0; set &= set - 1 {
				b := word*64 + bits.TrailingZeros64(set)
				for r := k.heads[b]; r != 0; r = l.get(r).later {
					f := l.get(r)
					switch {
					case int(f.bucket) != b || f.lingers != lingers:
						return 0, fmt.Errorf("ledger: %v is in the wrong bucket or calendar", f.id)
					case f.self != r || l.byID.Get(f.id) != r:
						return 0, fmt.Errorf("ledger: %v is not what is filed under its id", f.id)
					}
					n++
				}
			}
		}
	}
	return n, nil
}
