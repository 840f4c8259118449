package workercore

import (
	"container/heap"
	"time"

	"github.com/privateer-mq/privateer/internal/flat"
	"github.com/privateer-mq/privateer/protocol"
)

// The table: every request that this session holds or remembers, by id, in
// one list per state.
//
//	gated    unstarted, waiting for a round trip with the broker
//	waiting  unstarted, waiting for a free handler
//	running  its handler runs; or has been answered, and is all there is left
//	finished its reply waits for the broker's acknowledgement
//	kept     acknowledged, with its body, for a broker that asks again
//	idOnly   acknowledged, without its body
type table struct {
	entries map[protocol.ID]*entry
	times   timeHeap

	gated, waiting, running, finished, kept, idOnly entryList

	keptBytes int64 // bodies in kept
	active    int   // runs started, not answered
	stuck     int   // handlers answered, not returned
	unlisted  int   // ... and their entries in kept or idOnly, which no heartbeat lists
	unsent    int   // entries of finished whose reply could not be sent

	memory memory // of what is in kept and idOnly, but for stuck handlers
	spares []*entry
}

func newTable() table {
	return table{
		entries:  make(map[protocol.ID]*entry),
		gated:    entryList{state: protocol.Unstarted},
		waiting:  entryList{state: protocol.Unstarted},
		running:  entryList{state: protocol.Running},
		finished: entryList{state: protocol.Finished},
		kept:     entryList{state: protocol.Kept},
		idOnly:   entryList{state: protocol.IDOnly},
		memory:   newMemory(),
	}
}

const sparesMax = 256

// newEntry takes a spare one where there is one.
func (t *table) newEntry() *entry {
	n := len(t.spares)
	if n == 0 {
		return &entry{}
	}
	e := t.spares[n-1]
	t.spares = t.spares[:n-1]
	return e
}

// spare takes back an entry that is in no list.
func (t *table) spare(e *entry) {
	if len(t.spares) < sparesMax {
		*e = entry{}
		t.spares = append(t.spares, e)
	}
}

// ids counts all that are held or remembered.
func (t *table) ids() int { return len(t.entries) + t.memory.memos.Len() }

// held counts the entries that a heartbeat lists.
func (t *table) held() int { return t.gated.n + t.waiting.n + t.running.n + t.finished.n }

// remembered counts those that only READY lists.
func (t *table) remembered() int { return t.kept.n + t.idOnly.n + t.memory.memos.Len() }

// remembers reports whether e is one of those.
func (t *table) remembers(e *entry) bool { return e.in == &t.kept || e.in == &t.idOnly }

// insert takes a new entry into list.
func (s *Session) insert(e *entry, list *entryList, due time.Duration) {
	s.entries[e.ID] = e
	e.due = due
	list.push(e)
	heap.Push(&s.times, e)
}

// move puts e into another list and keeps the sums right.
func (s *Session) move(e *entry, to *entryList, due time.Duration) {
	s.leave(e)
	to.push(e)
	if to == &s.kept {
		s.keptBytes += e.bytes
	}
	if e.slot && s.remembers(e) {
		s.unlisted++
	}
	s.schedule(e, due)
}

// leave takes e out of its list.
func (s *Session) leave(e *entry) {
	if e.slot && s.remembers(e) {
		s.unlisted--
	}
	switch e.in {
	case &s.kept:
		s.keptBytes -= e.bytes
	case &s.finished:
		s.markSent(e)
	}
	e.in.remove(e)
}

func (s *Session) markSent(e *entry) {
	if e.unsent {
		e.unsent = false
		s.unsent--
	}
}

// remove takes e out of the table altogether.
func (s *Session) remove(e *entry) {
	s.leave(e)
	heap.Remove(&s.times, e.heapIndex)
	delete(s.entries, e.ID)
}

// forget drops what is known of e. While its handler has not returned the id
// must stay, or it could be started a second time beside it.
func (s *Session) forget(e *entry) {
	if !e.slot {
		s.remove(e)
		return
	}
	s.dropBody(e)
	s.move(e, &s.running, never)
}

func (s *Session) dropBody(e *entry) {
	if e.in == &s.kept {
		s.keptBytes -= e.bytes
	}
	e.reply, e.replyMeta, e.bytes = nil, nil, 0
}

// toIDOnly keeps e's id until its time.
func (s *Session) toIDOnly(e *entry) {
	s.dropBody(e)
	s.move(e, &s.idOnly, e.forgetAt)
	s.rest(e)
}

// toKept keeps e's reply for the retention time, and its id until forgetAt.
// The oldest bodies make room.
func (s *Session) toKept(now time.Duration, e *entry) {
	if e.bytes > s.cfg.RetainBytes {
		s.toIDOnly(e)
		return
	}
	m := &s.memory
	for s.keptBytes+m.bytes+e.bytes > s.cfg.RetainBytes || m.kept > 0 && m.replies.Bytes() > s.cfg.RetainBytes+repliesSlack {
		if m.kept > 0 {
			m.idOnly(m.oldest)
		} else {
			s.toIDOnly(s.kept.first)
		}
	}
	s.move(e, &s.kept, min(now+s.retention, e.forgetAt))
	s.rest(e)
}

// repliesSlack: pages that are begun, and those whose replies end in disorder.
const repliesSlack = 16 * flat.PageBytes

// fire does what is due by time in the table.
func (s *Session) fire(now time.Duration, out []Output) []Output {
	before := s.Credit()
	s.memory.fire(now)
	out = s.credited(now, before, out)
	for len(s.times) > 0 && s.times[0].due <= now {
		e := s.times[0]
		switch e.in {
		case &s.gated, &s.waiting:
			s.remove(e)
			out = s.decline(e.Fence, protocol.Expired, out)
		case &s.running:
			if e.held() { // the client says nothing, and nobody else
				out = s.answer(now, e, *e.stream.held, 0, out)
				break
			}
			out = s.taskOver(now, e, out)
		case &s.finished:
			out = append(out, Output{Kind: Report, Event: NeverTaken, Fence: e.Fence, Code: e.code})
			s.forget(e)
		case &s.kept:
			if now < e.forgetAt {
				s.toIDOnly(e)
			} else {
				s.forget(e)
			}
		case &s.idOnly:
			s.forget(e)
		}
	}
	return out
}
