package broker

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/privateer-mq/privateer/internal/core"
	"github.com/privateer-mq/privateer/protocol"
)

// The stories of requests that ended without OK are kept beside the ring of steps,
// so that thousands of requests later one can still ask what became of them: of
// each outcome and service the newest, and of each dead letter while it is kept. A
// flood of one kind pushes out its own kind only.
const (
	storySteps  = 16   // of one story: its first, and its newest
	kindStories = 16   // of one outcome of one service
	kindsMax    = 16   // services of one outcome
	storiesDead = 1000 // of dead letters: their stories
)

// A story is what happened to one request that ended without OK.
type story struct {
	at              time.Duration
	id              protocol.ID
	service, reason string
	code            protocol.Code
	steps           []step
	last            uint64 // number of its last step
}

// A kind is a ring of the newest stories of one outcome of one service.
type kind struct {
	stories []story
	next    int
	newest  time.Duration
}

// Stories are those that are kept.
type stories struct {
	kinds [16]map[string]*kind // by outcome and service
	dead  map[protocol.ID]story
	dying protocol.ID // becomes a dead letter with its next step
}

// add keeps a story. Its steps are copied.
func (s *stories) add(st story) {
	if st.id == s.dying {
		s.dying = protocol.ID{}
		if s.dead == nil {
			s.dead = map[protocol.ID]story{}
		}
		own := st
		own.steps = slices.Clone(st.steps)
		if len(s.dead) < storiesDead {
			s.dead[st.id] = own
		}
	}
	kinds := &s.kinds[st.code%16]
	if *kinds == nil {
		*kinds = map[string]*kind{}
	}
	k := (*kinds)[st.service]
	if k == nil {
		if len(*kinds) == kindsMax {
			dropLeast(st.at, *kinds)
		}
		k = &kind{}
		(*kinds)[st.service] = k
	}
	k.newest = st.at
	if len(k.stories) < kindStories {
		st.steps = slices.Clone(st.steps)
		k.stories = append(k.stories, st)
		return
	}
	old := &k.stories[k.next]
	st.steps = append(old.steps[:0], st.steps...) // its memory is used again
	*old = st
	k.next = (k.next + 1) % kindStories
}

// staleAfter is when a kind has no better right to its place than one story alone.
const staleAfter = time.Hour

// dropLeast makes room for one more kind: for names that were made up each has one
// story, and does not push out those of a service.
func dropLeast(now time.Duration, kinds map[string]*kind) {
	weight := func(k *kind) int {
		if now-k.newest > staleAfter {
			return 0
		}
		return len(k.stories)
	}
	least, found := "", false
	for service, k := range kinds {
		l := kinds[least]
		if !found || cmp.Or(cmp.Compare(weight(k), weight(l)), cmp.Compare(k.newest, l.newest), strings.Compare(service, least)) < 0 {
			least, found = service, true
		}
	}
	delete(kinds, least)
}

// buried: a dead letter is no longer kept.
func (s *stories) buried(id protocol.ID) { delete(s.dead, id) }

// of is the story of one request.
func (s *stories) of(id protocol.ID) (st story, ok bool) {
	if st, ok = s.dead[id]; ok {
		return st, true
	}
	for _, kinds := range &s.kinds {
		for _, k := range kinds {
			for i := range k.stories {
				if k.stories[i].id == id && (!ok || k.stories[i].last > st.last) {
					st, ok = k.stories[i], true
				}
			}
		}
	}
	return st, ok
}

// newest lists those of all kinds, newest first: not those that are kept as dead
// letters alone.
func (s *stories) newest() []story {
	var all []story
	for _, kinds := range &s.kinds {
		for _, k := range kinds {
			all = append(all, k.stories...)
		}
	}
	slices.SortFunc(all, func(a, b story) int {
		return cmp.Or(cmp.Compare(b.at, a.at), slices.Compare(b.id[:], a.id[:]))
	})
	return all
}

// endsStory reports whether e ends a request without OK.
func endsStory(e *core.Event) bool {
	return e.Code != protocol.OK && (e.What == core.EventFinished || e.What == core.EventRefused) && !unasked(e)
}

// unasked reports whether e is the end of a request that nobody has asked for
// since this broker's start, by no worker's word: it was known from a list of what
// a worker remembers, and is forgotten in time. After a restart there are many.
func unasked(e *core.Event) bool {
	return e.What == core.EventFinished && e.Service == "" && !e.Code.Final()
}
