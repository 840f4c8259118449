package core

import (
	"fmt"
	"math/bits"
	"time"

	"github.com/privateer-mq/privateer/protocol"
)

// The ledger is what is remembered of finished requests. Millions of them may
// be: 30 seconds at 100,000 a second are three. So nothing here is a pointer,
// which the garbage collector would follow again and again: a record is named
// by its number, and replies are kept in pages (replies.go).
type ledger struct {
	byID   map[protocol.ID]ref
	peak   int // of byID since it was made: a map never shrinks
	chunks []*chunk
	holes  []uint32 // numbers of chunks that were given back
	roomy  []uint32 // chunks with room, the last one is used first
	must   calendar // ids that must be remembered, by when that ends
	may    calendar // ... that are, while there is room
	kept   replies
}

// A ref is the number of a record; 0 is none.
type ref uint32

const (
	chunkSize = 1024
	peakMin   = 1 << 16 // smaller maps are left as they are
)

type chunk struct {
	records [chunkSize]finished
	free    []uint16 // records not in use
}

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

	self     ref
	at       place // of its reply
	lingers  bool  // it is in may, otherwise in must
	bucket   uint16
	earlier  ref // in its bucket
	later    ref
	keptPrev ref // among those whose reply is kept, oldest first
	keptNext ref
}

func newLedger() ledger {
	return ledger{byID: map[protocol.ID]ref{}}
}

func (l *ledger) size() int { return len(l.byID) }

// get is the record of that number.
func (l *ledger) get(r ref) *finished {
	return &l.chunks[(r-1)/chunkSize].records[(r-1)%chunkSize]
}

// find returns nil if the id is not known. The record is valid until it is
// removed.
func (l *ledger) find(id protocol.ID) *finished {
	if r := l.byID[id]; r != 0 {
		return l.get(r)
	}
	return nil
}

// add makes room for a record and fills it with f.
func (l *ledger) add(f finished) *finished {
	if len(l.roomy) == 0 {
		l.roomy = append(l.roomy, l.newChunk())
	}
	n := l.roomy[len(l.roomy)-1]
	c := l.chunks[n]
	i := c.free[len(c.free)-1]
	if c.free = c.free[:len(c.free)-1]; len(c.free) == 0 {
		l.roomy = l.roomy[:len(l.roomy)-1]
	}
	f.self = ref(n*chunkSize + uint32(i) + 1)
	c.records[i] = f
	l.byID[f.id] = f.self
	l.peak = max(l.peak, len(l.byID))
	return &c.records[i]
}

func (l *ledger) newChunk() uint32 {
	c := &chunk{free: make([]uint16, chunkSize)}
	for i := range c.free {
		c.free[i] = uint16(chunkSize - 1 - i)
	}
	if n := len(l.holes); n > 0 {
		number := l.holes[n-1]
		l.holes = l.holes[:n-1]
		l.chunks[number] = c
		return number
	}
	l.chunks = append(l.chunks, c)
	return uint32(len(l.chunks) - 1)
}

// remove forgets f, which is in no calendar and has no reply.
func (l *ledger) remove(f *finished) {
	delete(l.byID, f.id)
	l.byID, l.peak = shrunk(l.byID, l.peak)
	n := uint32(f.self-1) / chunkSize
	c := l.chunks[n]
	i := uint16((f.self - 1) % chunkSize)
	c.records[i] = finished{}
	if c.free = append(c.free, i); len(c.free) == 1 {
		l.roomy = append(l.roomy, n)
	}
	if len(c.free) < chunkSize || len(l.roomy) == 1 {
		return
	}
	for i, other := range l.roomy { // it is near the end: records end in about the order in which they began
		if other == n {
			l.roomy = append(l.roomy[:i], l.roomy[i+1:]...)
			break
		}
	}
	l.chunks[n] = nil
	l.holes = append(l.holes, n)
}

// shrunk makes a map that was once large, and is not any more, anew.
func shrunk[V any](m map[protocol.ID]V, peak int) (map[protocol.ID]V, int) {
	if peak < peakMin || len(m) > peak/64 {
		return m, peak
	}
	small := make(map[protocol.ID]V, 2*len(m))
	for id, v := range m { // any order: it is a map again
		small[id] = v
	}
	return small, len(small)
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
	records, free := 0, 0
	for _, c := range l.chunks {
		if c != nil {
			records += chunkSize
			free += len(c.free)
		}
	}
	if records-free != len(l.byID) || l.must.size+l.may.size != len(l.byID) {
		return 0, fmt.Errorf("ledger: %d ids, %d records, %d and %d in the calendars", len(l.byID), records-free, l.must.size, l.may.size)
	}
	for id, r := range l.byID {
		if f := l.get(r); f.id != id || f.self != r {
			return 0, fmt.Errorf("ledger: %v is filed under %v", f.id, id)
		}
	}
	listed := 0
	for _, k := range []*calendar{&l.must, &l.may} {
		for word, set := range k.used {
			for ; set != 0; set &= set - 1 {
				b := word*64 + bits.TrailingZeros64(set)
				for r := k.heads[b]; r != 0; r = l.get(r).later {
					if f := l.get(r); int(f.bucket) != b || f.lingers != (k == &l.may) {
						return 0, fmt.Errorf("ledger: %v is in the wrong bucket or calendar", f.id)
					}
					listed++
				}
			}
		}
	}
	live, prev := map[uint32]int{}, ref(0)
	for r := l.kept.oldest; r != 0; prev, r = r, l.get(r).keptNext {
		f := l.get(r)
		if f.keptPrev != prev || f.at.bytes == 0 {
			return 0, fmt.Errorf("ledger: %v is not where its reply is kept", f.id)
		}
		live[f.at.page]++
		bytes += int64(f.at.size)
	}
	for i, p := range l.kept.pages {
		if n := live[l.kept.first+uint32(i)]; (p == nil) != (n == 0) || (p != nil && p.live != n) {
			return 0, fmt.Errorf("ledger: page %d holds %d replies", i, n)
		}
	}
	if listed != len(l.byID) || l.kept.newest != prev {
		return 0, fmt.Errorf("ledger: %d of %d in the buckets", listed, len(l.byID))
	}
	return bytes, nil
}
