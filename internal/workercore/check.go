package workercore

import (
	"errors"
	"fmt"

	"github.com/privateer-mq/privateer/internal/flat"
	"github.com/privateer-mq/privateer/protocol"
)

// Check verifies what must always hold; tests call it after every step. It
// takes time in proportion to what is remembered.
func (s *Session) Check() error {
	c := &s.counters
	var sum struct {
		n, active, stuck, unlisted, unsent int
		bytes                              int64
	}
	for _, l := range [...]*entryList{&s.gated, &s.waiting, &s.running, &s.finished, &s.kept, &s.idOnly} {
		n := 0
		for e := l.first; e != nil; e = e.next {
			n++
			if err := s.checkEntry(e, l); err != nil {
				return fmt.Errorf("%s in %s: %w", e.ID, l.state, err)
			}
			switch {
			case e.slot && e.answered:
				sum.stuck++
				if s.remembers(e) {
					sum.unlisted++
				}
			case e.slot, e.held():
				sum.active++
			}
			if e.unsent {
				sum.unsent++
			}
			if l == &s.kept {
				sum.bytes += e.bytes
			}
		}
		if n != l.n {
			return fmt.Errorf("list of %s: %d entries, counted %d", l.state, n, l.n)
		}
		sum.n += n
	}
	switch {
	case sum.n != len(s.entries) || sum.n != len(s.times):
		return fmt.Errorf("%d entries in lists, %d by id, %d by time", sum.n, len(s.entries), len(s.times))
	case sum.active != s.active || sum.stuck != s.stuck || sum.unlisted != s.unlisted || sum.unsent != s.unsent || sum.bytes != s.keptBytes:
		return fmt.Errorf("active %d, stuck %d, unsent %d, kept bytes %d; counted %+v",
			s.active, s.stuck, s.unsent, s.keptBytes, sum)
	case s.keptBytes+s.memory.bytes > s.cfg.RetainBytes:
		return fmt.Errorf("kept %d bytes of %d allowed", s.keptBytes+s.memory.bytes, s.cfg.RetainBytes)
	case s.held() > protocol.EntriesMax:
		return fmt.Errorf("%d entries held", s.held())
	case s.ids() > s.cfg.IDsMax:
		return fmt.Errorf("%d ids of %d allowed", s.ids(), s.cfg.IDsMax)
	case c.acked > c.sent:
		return fmt.Errorf("acknowledged %d of %d sent", c.acked, c.sent)
	case s.phase == joined && (c.broken || c.received == 0 || c.sent == 0):
		return fmt.Errorf("joined on link %+v", *c)
	case s.draining && s.gated.n+s.waiting.n > 0:
		return errors.New("draining with unstarted requests")
	case s.gated.n > 0 && s.phase == joined && !s.gateWant && s.gateSeq == 0:
		return errors.New("gated requests wait for nothing")
	}
	return s.memory.check()
}

// check walks all that is remembered.
func (m *memory) check() error {
	listed, kept, bytes, before := 0, 0, int64(0), flat.Ref(0)
	for step, ref := range m.heads { // any order: nothing is put out
		if step < m.step {
			return fmt.Errorf("memory: step %d was passed over", step)
		}
		for earlier := flat.Ref(0); ref != 0; listed++ {
			x := m.memos.Get(ref)
			if stepOf(x.due) != step || x.earlier != earlier || m.byID.Get(x.id) != ref {
				return fmt.Errorf("memory: %s is in the wrong step, or not what is filed under its id", x.id)
			}
			ref, earlier = x.later, ref
		}
	}
	for ref := m.oldest; ref != 0; before, ref = ref, m.memos.Get(ref).newer {
		x := m.memos.Get(ref)
		if !x.kept || x.older != before {
			return fmt.Errorf("memory: %s is not in its place among those with a reply", x.id)
		}
		kept++
		bytes += int64(x.size)
	}
	if n := m.memos.Len(); n != m.byID.Len() || n != listed || kept != m.kept || bytes != m.bytes || m.newest != before {
		return fmt.Errorf("memory: %d memos, %d by id, %d by time; %d of %d with a reply, %d of %d bytes", n, m.byID.Len(), listed, kept, m.kept, bytes, m.bytes)
	}
	return nil
}

func (s *Session) checkEntry(e *entry, l *entryList) error {
	replied := l == &s.finished || l == &s.kept
	switch {
	case s.entries[e.ID] != e:
		return errors.New("not the one by this id")
	case e.in != l:
		return errors.New("believes to be in another list")
	case e.heapIndex >= len(s.times) || s.times[e.heapIndex] != e:
		return errors.New("not where it should be by time")
	case e.slot && (l == &s.gated || l == &s.waiting):
		return errors.New("a handler runs for an unstarted request")
	case l == &s.running && !e.slot && !e.held():
		return errors.New("running without a handler")
	case l != &s.running && e.stream != nil:
		return errors.New("a reply in parts, and nothing runs")
	case e.stream != nil && (e.stream.sent < e.stream.base || e.stream.sent > e.stream.made()):
		return fmt.Errorf("parts %d to %d, %d sent", e.stream.base, e.stream.made(), e.stream.sent)
	case replied && e.code == protocol.CodeNone:
		return errors.New("no reply")
	case replied && e.slot && !e.answered:
		return errors.New("answered, and the handler does not count as such")
	case l == &s.kept && !e.final():
		return errors.New("kept, but may not answer")
	case e.unsent && l != &s.finished:
		return errors.New("unsent reply of an entry that waits for nothing")
	}
	return nil
}
