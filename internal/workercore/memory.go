package workercore

import (
	"time"

	"github.com/privateer-mq/privateer/internal/flat"
	"github.com/privateer-mq/privateer/protocol"
)

// The memory is what is known of requests that are over and acknowledged: each
// id until its deadline and longer, and its reply for a while. There are a few
// hundred times as many as are held, so nothing in here is a pointer, which the
// garbage collector would follow again and again. What is asked for again
// becomes an entry of the table while it is.
type memory struct {
	byID    flat.Index
	memos   flat.Records[memo]
	replies flat.Pages
	list    [][]byte // meta and frames of one
	bytes   int64    // of replies, without what pages waste

	oldest, newest flat.Ref // among those with a reply
	kept           int

	heads  map[uint64]flat.Ref // by the step in which something is due
	step   uint64              // what was due before it is done
	behind bool                // more is due than one call does
}

// A memo is one remembered request.
type memo struct {
	id           protocol.ID
	epoch        uint64
	digest       uint64
	deadline     time.Duration
	forgetAt     time.Duration
	due          time.Duration
	run          uint64 // of a reply in parts
	at           flat.Place
	attempt      uint32
	parts        uint32
	size         uint32   // of the reply
	earlier      flat.Ref // due in the same step
	later        flat.Ref
	older, newer flat.Ref // among those with a reply
	flags        protocol.Flags
	replyFlags   protocol.Flags
	code         protocol.Code
	kept         bool // with its reply
	cancelled    bool
	withdrawn    bool
}

const (
	memoStep  = 64 * time.Millisecond
	memosDone = 256 // in one call
)

func newMemory() memory {
	return memory{heads: map[uint64]flat.Ref{}}
}

func (m *memory) fence(x *memo) Fence { return Fence{x.id, x.attempt, x.epoch} }

// rest makes a memo of e, if all that is left of e is to be remembered.
func (s *Session) rest(e *entry) {
	if !s.remembers(e) || e.slot {
		return
	}
	kept, m := e.in == &s.kept, &s.memory
	due := e.due
	s.remove(e)
	ref, x := m.memos.Add()
	*x = memo{id: e.ID, epoch: e.Epoch, attempt: e.Attempt, digest: e.digest, deadline: e.deadline, forgetAt: e.forgetAt, due: due,
		run: e.end.Run, parts: e.end.Part, flags: e.flags, replyFlags: e.replyFlags, code: e.code,
		kept: kept, cancelled: e.cancelled, withdrawn: e.withdrawn}
	m.byID.Put(x.id, ref)
	if kept {
		m.keep(ref, x, e)
	}
	m.schedule(ref, x)
	s.spare(e)
}

// keep keeps e's reply for x.
func (m *memory) keep(ref flat.Ref, x *memo, e *entry) {
	x.size = uint32(e.bytes)
	m.bytes += e.bytes
	m.list = append(append(m.list[:0], e.replyMeta), e.reply...)
	x.at = m.replies.Put(ref, m.list...)
	clear(m.list)
	if x.older = m.newest; x.older != 0 {
		m.memos.Get(x.older).newer = ref
	} else {
		m.oldest = ref
	}
	m.newest = ref
	m.kept++
}

// dropReply lets go of x's reply.
func (m *memory) dropReply(x *memo) {
	if !x.kept {
		return
	}
	if x.older != 0 {
		m.memos.Get(x.older).newer = x.newer
	} else {
		m.oldest = x.newer
	}
	if x.newer != 0 {
		m.memos.Get(x.newer).older = x.older
	} else {
		m.newest = x.older
	}
	m.replies.Drop(x.at)
	m.bytes -= int64(x.size)
	m.kept--
	x.older, x.newer, x.at, x.size, x.kept = 0, 0, flat.Place{}, 0, false
	m.replies.Tidy(func(owner flat.Ref, to flat.Place) { m.memos.Get(owner).at = to })
}

// idOnly lets go of the reply, and remembers the id until its time.
func (m *memory) idOnly(ref flat.Ref) {
	x := m.memos.Get(ref)
	m.dropReply(x)
	m.unschedule(x)
	x.due = x.forgetAt
	m.schedule(ref, x)
}

func (m *memory) forget(ref flat.Ref) {
	x := m.memos.Get(ref)
	m.dropReply(x)
	m.unschedule(x)
	m.byID.Remove(x.id)
	m.memos.Remove(ref)
}

func stepOf(due time.Duration) uint64 { return uint64((due + memoStep - 1) / memoStep) }

// schedule notes when something is due for x: in the step that ends then, or in
// the next one.
func (m *memory) schedule(ref flat.Ref, x *memo) {
	x.due = max(x.due, time.Duration(m.step)*memoStep)
	head := m.heads[stepOf(x.due)]
	if x.earlier, x.later = 0, head; head != 0 {
		m.memos.Get(head).earlier = ref
	}
	m.heads[stepOf(x.due)] = ref
}

func (m *memory) unschedule(x *memo) {
	switch {
	case x.earlier != 0:
		m.memos.Get(x.earlier).later = x.later
	case x.later != 0:
		m.heads[stepOf(x.due)] = x.later
	default:
		delete(m.heads, stepOf(x.due))
	}
	if x.later != 0 {
		m.memos.Get(x.later).earlier = x.earlier
	}
}

// next is when something may be due next.
func (m *memory) next() time.Duration { return time.Duration(m.step) * memoStep }

// fire does what is due, as far as it may in one call.
func (m *memory) fire(now time.Duration) {
	left := memosDone
	for m.behind = false; time.Duration(m.step)*memoStep <= now; m.step++ {
		for ref := m.heads[m.step]; ref != 0; ref = m.heads[m.step] {
			if left--; left < 0 {
				m.behind = true
				return
			}
			if x := m.memos.Get(ref); x.kept && now < x.forgetAt {
				m.idOnly(ref)
			} else {
				m.forget(ref)
			}
		}
		if len(m.heads) == 0 {
			m.step = uint64(now / memoStep)
		}
	}
}

// known is the entry of an id, of which there may be a memo only.
func (s *Session) known(id protocol.ID) *entry {
	if e := s.entries[id]; e != nil {
		return e
	}
	m := &s.memory
	ref := m.byID.Get(id)
	if ref == 0 {
		return nil
	}
	x := m.memos.Get(ref)
	e := s.newEntry()
	e.Fence, e.flags, e.digest = m.fence(x), x.flags, x.digest
	e.deadline, e.forgetAt = x.deadline, x.forgetAt
	e.code, e.replyFlags, e.end = x.code, x.replyFlags, protocol.Stream{Run: x.run, Part: x.parts}
	e.cancelled, e.withdrawn = x.cancelled, x.withdrawn
	list, due := &s.idOnly, x.due
	if x.kept {
		list = &s.kept
		parts := m.replies.Get(x.at)
		e.replyMeta = append(protocol.Meta(nil), parts[0]...)
		for _, p := range parts[1:] {
			e.reply = append(e.reply, append([]byte(nil), p...))
		}
		e.bytes = int64(x.size)
		s.keptBytes += e.bytes
	}
	m.forget(ref)
	s.insert(e, list, due)
	return e
}

// entries appends the memos: those with a reply from the oldest on, then the others.
func (m *memory) entries(now time.Duration, entries []protocol.Entry) []protocol.Entry {
	add := func(x *memo, state protocol.State) {
		entries = append(entries, protocol.Entry{ID: x.id, Attempt: x.attempt, Epoch: x.epoch, State: state, Digest: x.digest,
			RemainingMS: msOf(x.deadline - now), Flags: (x.flags & protocol.AtMostOnce).With(protocol.CtxCancelled, x.cancelled)})
	}
	for ref := m.oldest; ref != 0; ref = m.memos.Get(ref).newer {
		add(m.memos.Get(ref), protocol.Kept)
	}
	for _, x := range m.memos.All {
		if !x.kept {
			add(x, protocol.IDOnly)
		}
	}
	return entries
}
