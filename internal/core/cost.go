package core

import (
	"encoding/binary"

	"github.com/privateer-mq/privateer/protocol"
)

// What a request takes here, in bytes, is counted when it is taken and as its askers
// change, and the same is taken off at its end (r.size): a body of empty frames, fields
// without a body and the envelopes of those who ask cost memory as bodies do. A request
// of the usual form, which has one frame and one asker with a short routing id, costs
// requestCost and its body.
const (
	requestCost   = 300                   // TestMemoryOfAQueuedRequest
	rareCost      = 256                   // a rare
	routeCost     = 176                   // of another asker: its route, in a list that grows twofold, and a short id
	frameCost     = 40                    // of a frame that is kept by itself: its slice, and what a small one is rounded up by
	slabFrameCost = binary.MaxVarintLen16 // of one in the slab
	shortID       = 16                    // a routing id that is part of requestCost
	deadCost      = 300                   // of a dead letter
	lossCost      = 8                     // of a worker it names
)

// framesCost is what frames take that are kept each by itself.
func framesCost(frames [][]byte) int64 { return bodyBytes(frames) + frameCost*int64(len(frames)) }

// contentCost is what setContent keeps.
func contentCost(body [][]byte, meta protocol.Meta) int64 {
	if !bodyFits(body) {
		return int64(len(meta)) + rareCost + framesCost(body)
	}
	return int64(len(meta)) + bodyBytes(body) + slabFrameCost*int64(max(len(body)-1, 0))
}

// firstCost is what the route of the first asker takes beside its request.
func firstCost(p *Peer) (n int64) {
	if n = int64(max(len(p.ID)-shortID, 0)); p.Envelope != nil && !isBare(p.Envelope) {
		n += rareCost + framesCost(p.Envelope)
	}
	return n
}

// otherCost is what the route of another one takes.
func otherCost(p *Peer) int64 { return routeCost + int64(len(p.ID)) + framesCost(p.Envelope) }

// routesCost is what all that ask for r take.
func (r *request) routesCost() (n int64) {
	if r.envelope != nil { // and it is not bare
		n = rareCost + framesCost(r.envelope)
	}
	n += int64(max(int(r.peerLen)-shortID, 0))
	if len(r.others) > 0 {
		n += rareCost
	}
	for i := range r.others {
		n += otherCost(&r.others[i].peer)
	}
	return n
}

// growth is how much more r takes, at most, when that instance asks from there.
func (r *request) growth(instance uint64, from *Peer) int64 {
	switch {
	case r.try == 0:
		return firstCost(from)
	case r.instance == instance:
		first := r.first()
		return firstCost(from) - firstCost(&first.peer)
	case len(r.others) == 0:
		return otherCost(from) + rareCost
	}
	for i := range r.others {
		if r.others[i].instance == instance {
			return otherCost(from) - otherCost(&r.others[i].peer)
		}
	}
	return otherCost(from)
}

// deadLetterCost is what a dead letter takes.
func deadLetterCost(d *DeadLetter) int64 {
	return deadCost + framesCost(d.Body) + int64(len(d.meta)+len(d.Reason)+lossCost*len(d.Workers))
}

// count notes that r takes so much more, or less.
func (c *Core) count(r *request, bytes int64) {
	r.size = uint32(int64(r.size) + bytes)
	c.queueBytes += bytes
}

// roomForBody reports whether one more request may be here that takes so much.
func (c *Core) roomForBody(cost int64) bool { return c.bodies < c.cfg.MaxQueue && c.roomFor(cost) }

func (c *Core) roomFor(bytes int64) bool { return c.queueBytes+bytes <= c.cfg.MaxQueueBytes }
