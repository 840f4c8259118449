package core

import (
	"bytes"
	"encoding/binary"
	"slices"
	"time"

	"github.com/privateer-mq/privateer/protocol"
)

// What a request keeps of its messages is copied into its slab: the routing id
// of the first asker, the end-to-end fields, and a body of small frames, each
// behind its length. Three slices in their place would bring a queued request over
// the bound of TestMemoryOfAQueuedRequest.

const (
	slabMax   = 1<<16 - 1 // places in it are numbers of 16 bits
	framesMax = 255       // of a body in it
)

// room prepares the slab for a first message, so that it is made once.
func (r *request) room(from Peer, m *protocol.Message) {
	need := len(from.ID) + len(m.Meta)
	if bodyFits(m.Body) {
		for _, f := range m.Body {
			need += len(f) + binary.MaxVarintLen16
		}
	}
	r.slab = slices.Grow(r.slab, need)
}

// bodyFits reports whether a body is for the slab.
func bodyFits(body [][]byte) bool {
	size := 0
	for _, f := range body {
		if len(f) >= LentMax {
			return false
		}
		size += len(f)
	}
	return size <= slabMax/2 && len(body) <= framesMax
}

// pack makes a slab of what is of use, for an asker at peer: of a request that is asked
// for from ever new sockets the old one has all their routing ids.
func (r *request) pack(peer []byte) {
	meta, body := r.meta(), r.slab[r.bodyAt:]
	if r.frames == 0 {
		body = nil
	}
	body = body[:bodyLen(body, r.frames)]
	slab := make([]byte, 0, len(peer)+len(meta)+len(body))
	r.peerAt, r.peerLen, r.metaAt, r.bodyAt = 0, uint8(len(peer)), uint16(len(peer)), uint16(len(peer)+len(meta))
	r.slab = append(append(append(slab, peer...), meta...), body...)
}

// setContent keeps a body and its fields.
func (r *request) setContent(body [][]byte, meta protocol.Meta) {
	if len(r.slab)+len(meta) > slabMax {
		r.pack(r.peerID())
	}
	r.metaAt, r.metaLen = uint16(len(r.slab)), uint16(len(meta))
	r.slab = append(r.slab, meta...)
	if !bodyFits(body) {
		r.special().body = cloneFrames(body)
		return
	}
	r.bodyAt, r.frames = uint16(len(r.slab)), uint8(len(body))
	for _, f := range body {
		r.slab = append(binary.AppendUvarint(r.slab, uint64(len(f))), f...)
	}
}

// meta is what setContent has kept.
func (r *request) meta() protocol.Meta {
	if r.metaLen == 0 {
		return nil
	}
	at, end := int(r.metaAt), int(r.metaAt)+int(r.metaLen)
	return protocol.Meta(r.slab[at:end:end])
}

// content is the body that setContent has kept. The list is valid until the
// next Tick.
func (c *Core) content(r *request) [][]byte {
	if r.body != nil || r.frames == 0 {
		return r.body
	}
	begin := len(c.lists)
	rest := r.slab[r.bodyAt:]
	for range r.frames {
		n, used := binary.Uvarint(rest)
		end := used + int(n)
		c.lists = append(c.lists, rest[used:end:end])
		rest = rest[end:]
	}
	return c.lists[begin:len(c.lists):len(c.lists)]
}

// peerID is the routing id of the first asker.
func (r *request) peerID() []byte {
	at, end := int(r.peerAt), int(r.peerAt)+int(r.peerLen)
	return r.slab[at:end:end]
}

// first is the route of the first asker.
func (r *request) first() route {
	p := Peer{ID: r.peerID(), Port: r.port, Dialect: r.dialect, Envelope: r.envelope}
	if r.bare {
		p.Envelope = bare
	}
	return route{instance: r.instance, try: r.try, peer: p, interest: r.interest}
}

// bare is the envelope of most clients: a delimiter and nothing before it.
var bare = [][]byte{{}}

func isBare(envelope [][]byte) bool { return len(envelope) == 1 && len(envelope[0]) == 0 }

// setFirst makes rt the first asker's.
func (r *request) setFirst(rt route) {
	r.instance, r.try, r.port, r.dialect, r.interest = rt.instance, rt.try, rt.peer.Port, rt.peer.Dialect, rt.interest
	if !bytes.Equal(r.peerID(), rt.peer.ID) {
		if id := rt.peer.ID; len(r.slab)+len(id) > min(cap(r.slab), slabMax) {
			r.pack(id)
		} else {
			r.peerAt, r.peerLen = uint16(len(r.slab)), uint8(len(id))
			r.slab = append(r.slab, id...)
		}
	}
	e := rt.peer.Envelope
	r.bare = isBare(e)
	switch {
	case !r.bare && e != nil:
		r.special().envelope = cloneFrames(e)
	case r.envelope != nil:
		r.special().envelope = nil
	}
}

// bodyLen is how long so many frames are, with their lengths.
func bodyLen(b []byte, frames uint8) (n int) {
	for range frames {
		size, used := binary.Uvarint(b[n:])
		n += used + int(size)
	}
	return n
}

// route is where an instance hears of r.
func (r *request) route(instance uint64) (rt route, ok bool) {
	if r.try != 0 && r.instance == instance {
		return r.first(), true
	}
	for _, rt := range r.others {
		if rt.instance == instance {
			return rt, true
		}
	}
	return route{}, false
}

// setInterest is until when all that have asked want r: after one, all do.
func (r *request) setInterest(until time.Duration) {
	r.interest = until
	for i := range r.others { // not nothing's: it has none
		r.others[i].interest = until
	}
}

// setRoute notes where an instance hears of r. Where there are too many, the
// one that has asked first, and does not own the id, hears nothing more; full
// reports that.
func (r *request) setRoute(rt route) (full bool) {
	if r.try == 0 || r.instance == rt.instance {
		r.setFirst(rt)
		return false
	}
	own := rt
	own.peer.ID, own.peer.Envelope = clone(rt.peer.ID), cloneFrames(rt.peer.Envelope)
	s := r.special()
	for i := range s.others {
		if s.others[i].instance == rt.instance {
			s.others[i] = own
			return false
		}
	}
	switch {
	case len(s.others) < routesMax-1:
		s.others = append(s.others, own)
		return false
	case r.instance != r.owner:
		r.setFirst(rt)
	default:
		copy(s.others, s.others[1:])
		s.others[len(s.others)-1] = own
	}
	return true
}
