package core

import "github.com/privateer-mq/privateer/protocol"

// READY, which registers a worker, in parts.

// readyPart takes one part of a READY, which begins a new link.
func (c *Core) readyPart(from Peer, m *protocol.Message, known *worker) {
	w := c.workers[m.Instance]
	if from.legacy() {
		w = known
	}
	switch {
	case w != nil && from.legacy() && from.Dialect != protocol.PPP: // RFC 7: a worker says READY once
		c.lose(w, "it said READY twice")
		c.disconnect(from, 0, protocol.ReasonInvalid, "READY twice")
		return
	case w != nil && w.legacy != from.legacy(): // its number is one that this broker has given
		c.drop(DropMalformed, protocol.ID{})
		c.disconnect(from, m.Link, protocol.ReasonInvalid, "READY with an instance that is in use: draw it at random")
		return
	case c.leaving:
		c.disconnect(from, m.Link, protocol.ReasonShutdown, "this broker is shutting down")
		return
	case w == nil && len(c.workers) >= c.cfg.MaxPeers:
		c.event(Event{What: EventRefused, Reason: "too many workers"})
		c.disconnect(from, m.Link, protocol.ReasonFull, "this broker's limit of "+itoa(c.cfg.MaxPeers)+" workers is reached")
		return
	case w == nil:
		w = c.newWorker(from, m)
	case !from.legacy() && (m.Link < w.link || m.Link == w.link && (w.state != joining || m.Part != w.part)):
		c.drop(DropStaleLink, protocol.ID{})
		c.disconnect(from, m.Link, protocol.ReasonReset, "READY with a link number used before: say READY with the next")
		return
	}
	if known != nil && known != w { // the socket now speaks for another instance
		c.lose(known, "its socket says READY for another instance")
	}
	if m.Link != w.link || w.state != joining {
		c.newLink(w, from, m.Link)
	}
	if m.Part != w.part || (!from.legacy() && m.Seq != w.seqIn+1) {
		c.drop(DropGap, protocol.ID{})
		c.disconnect(from, m.Link, protocol.ReasonReset, "a part of READY was lost: say READY")
		return
	}
	if m.Part == 0 {
		w.info = m.Info
	}
	w.part++
	w.seqIn = m.Seq
	w.heardAt = c.running()
	for i := range m.Entries {
		if m.Entries[i].State <= protocol.Finished {
			w.active++
		}
	}
	switch {
	case len(w.names)+len(m.Services) > protocol.ServicesMax:
		c.turnAway(w, protocol.ReasonInvalid, "its READY names more than "+itoa(protocol.ServicesMax)+" services")
	case w.active > protocol.EntriesMax:
		c.turnAway(w, protocol.ReasonInvalid, "its READY lists more than "+itoa(protocol.EntriesMax)+" unstarted, running and finished requests")
	case m.Flags.Has(protocol.Last):
		w.names = append(w.names, m.Services...)
		c.ready(w, m)
	case !c.takePart(w, m):
		c.turnAway(w, protocol.ReasonFull, "this broker has no room for the parts of more READYs at a time")
	}
}

// partsMax bounds what is kept of parts of READYs whose last one has not come, all
// workers together, in bytes.
const partsMax = 64 << 20

const entryBytes = 64 // of a protocol.Entry

// takePart takes a part of READY that is not the last one. What w keeps, or knows to
// have run, counts at once. What it holds waits until all services are known that it
// serves, and with it what may be of one that it has not named yet. It reports false
// if there is no room for that.
func (c *Core) takePart(w *worker, m *protocol.Message) bool {
	for _, s := range m.Services { // they outlive their frames
		if !c.takesPart(w, 24+len(s)) {
			return false
		}
		w.names = append(w.names, append([]byte(nil), s...))
	}
	for i := range m.Entries {
		e := &m.Entries[i]
		r := c.requests[e.ID]
		switch {
		case e.State > protocol.Finished && (r == nil || w.mayHold(r)):
			c.claim(w, e)
		case e.State > protocol.Finished && len(w.entries)-w.active >= protocol.EntriesMax: // of services that it does not serve
			c.noRoom(w, e, c.claimedUntil(e))
		case !c.takesPart(w, entryBytes):
			return false
		default:
			w.entries = append(w.entries, *e)
		}
	}
	return true
}

func (c *Core) takesPart(w *worker, bytes int) bool {
	if c.partBytes+bytes > partsMax {
		return false
	}
	c.partBytes += bytes
	w.partBytes += bytes
	return true
}

// leaveUnread is the end of what takePart began.
func (c *Core) leaveUnread(w *worker) {
	c.partBytes -= w.partBytes
	w.names, w.entries, w.partBytes = nil, nil, 0
}

// turnAway: w may not register.
func (c *Core) turnAway(w *worker, reason protocol.Code, why string) {
	c.event(Event{What: EventRefused, Worker: w.instance, Reason: why})
	c.disconnect(w.peer, w.link, reason, why)
	c.lose(w, why)
}

func (c *Core) newWorker(from Peer, m *protocol.Message) *worker {
	w := &worker{instance: m.Instance, legacy: from.legacy()}
	if w.legacy {
		for c.legacySeq++; c.workers[c.legacySeq] != nil; c.legacySeq++ { // somebody has drawn it
		}
		w.instance = c.legacySeq
	}
	w.timer.owner = w
	c.workers[w.instance] = w
	return w
}

// newLink: w starts to count anew, perhaps on another socket.
func (c *Core) newLink(w *worker, from Peer, linkNo uint32) {
	if w.peer.ID != nil && c.peers[w.peer.key()] == w {
		delete(c.peers, w.peer.key())
	}
	c.leaveUnread(w)
	c.setState(w, joining)
	w.peer = from
	w.peer.ID, w.peer.Envelope = clone(from.ID), cloneFrames(from.Envelope)
	c.peers[from.key()] = w
	w.link, w.seqIn, w.seqOut, w.acked, w.part = linkNo, 0, 0, 0, 0
	w.unackedAt, w.suspectAt, w.goneAt = 0, 0, 0
	w.acks = w.acks[:0]
	c.beginReady(w)
	c.wheel.set(&w.timer, c.due(c.running()+c.patience(w)))
}

// beginReady begins the list of a READY, which comes in parts. Each is compared with
// what is known as it comes; what the list lacks is judged after the last one.
// Numbers of the older link say nothing now.
func (c *Core) beginReady(w *worker) {
	w.lists++
	w.active, w.untaken = 0, 0
	for _, l := range []*list[*request]{&w.runs, &w.kept, &w.fetching} {
		for r := l.head; r != nil; r = r.home.next {
			r.run.seq = 0
		}
	}
	for f, g := range w.ghosts { // any order: nothing is put out
		g.seq, g.listed = 0, false
		w.ghosts[f] = g
	}
}

// ready: the last part of READY is here. WELCOME goes out before anything else;
// then what the worker holds is reconciled with what is known of it.
func (c *Core) ready(w *worker, m *protocol.Message) {
	names, held := w.names, w.entries
	c.leaveUnread(w)
	for _, s := range names {
		if isMMI(s) {
			c.turnAway(w, protocol.ReasonInvalid, "the service names that begin with mmi. are the broker's own")
			return
		}
	}
	if why := c.serve(w, names); why != "" {
		c.turnAway(w, protocol.ReasonFull, why)
		return
	}
	w.credit = int(m.Credit)
	w.draining = m.Flags.Has(protocol.Draining)
	w.beatAt = c.nextBeat()
	c.event(Event{What: EventWorkerReady, Worker: w.instance, Info: w.info, Service: w.servings[0].s.name})
	if w.legacy {
		for w.runs.head != nil { // it has no lists: READY says that it holds nothing
			c.charge(w.runs.head, w, "its worker started anew", false)
		}
		clear(w.ghosts)
		w.beatSeen, w.rhythm, w.beatsBusy = max(c.running(), 1), 0, false
		w.state = up
		c.live(w, +1)
		c.regain(w)
	} else {
		c.setState(w, welcomed)
		c.tell(w, protocol.Message{Command: protocol.Welcome, Epoch: c.cfg.Epoch, Limits: c.limits(),
			Intervals: c.intervals(), RememberMax: uint32(min(c.cfg.MaxIDs, 1<<32-1))})
		c.claimAll(w, held)
		c.claimAll(w, m.Entries)
		c.endKept(w)
		c.endList(w)
		if w.untaken > 0 {
			c.event(Event{What: EventNoRoom, Worker: w.instance,
				Reason: "no room for " + itoa(w.untaken) + " of the requests that it has taken or finished; the table of ids has " + itoa(c.cfg.MaxIDs)})
		}
	}
	c.wheel.set(&w.timer, w.beatAt)
}
