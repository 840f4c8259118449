package core

import (
	"github.com/privateer-mq/privateer/internal/flat"
	"github.com/privateer-mq/privateer/protocol"
)

// LentMax: slices of a message of so many bytes or more belong to the Core,
// and are not copied where they are kept.
const LentMax = 4096

// replies keeps what finished requests are answered with when they are asked
// for again: meta and body, one behind the other.
type replies struct {
	pages  flat.Pages
	list   [][]byte // meta and frames of one
	oldest ref
	newest ref
}

// put keeps the reply of f.
func (k *replies) put(l *ledger, f *finished, meta protocol.Meta, body [][]byte) {
	if len(meta) == 0 && len(body) == 0 {
		return
	}
	f.bodied = bodyBytes(body) > 0
	k.list = append(append(k.list[:0], meta), body...)
	if flat.Whole(k.list...) {
		for i, b := range k.list {
			k.list[i] = clone(b)
		}
	}
	f.at = k.pages.Put(f.self, k.list...)
	clear(k.list)
	f.keptPrev, f.keptNext = k.newest, 0
	if k.newest != 0 {
		l.get(k.newest).keptNext = f.self
	} else {
		k.oldest = f.self
	}
	k.newest = f.self
}

// cost is what a reply takes when it is kept.
func (k *replies) cost(meta protocol.Meta, body [][]byte) int64 {
	k.list = append(append(k.list[:0], meta), body...)
	cost := flat.Cost(k.list...)
	clear(k.list)
	return cost
}

// takes is what the reply of f takes.
func (k *replies) takes(f *finished) int64 {
	if f.at.None() {
		return 0
	}
	return k.pages.Takes(f.at)
}

// get is the reply of f, to be sent before the next one is put.
func (k *replies) get(f *finished) (meta protocol.Meta, body [][]byte) {
	if f.at.None() {
		return nil, nil
	}
	list := k.pages.Get(f.at)
	return list[0], list[1:]
}

// drop lets go of the reply of f. It returns the body if that was not copied.
func (k *replies) drop(l *ledger, f *finished) (whole [][]byte) {
	if f.at.None() {
		return nil
	}
	if f.keptPrev != 0 {
		l.get(f.keptPrev).keptNext = f.keptNext
	} else {
		k.oldest = f.keptNext
	}
	if f.keptNext != 0 {
		l.get(f.keptNext).keptPrev = f.keptPrev
	} else {
		k.newest = f.keptPrev
	}
	whole = k.pages.Drop(f.at)
	f.keptPrev, f.keptNext, f.at, f.bodied = 0, 0, flat.Place{}, false
	k.pages.Tidy(func(owner ref, to flat.Place) { l.get(owner).at = to })
	if whole == nil {
		return nil
	}
	return whole[1:]
}

// empty is what is kept of an empty frame, which keeps no memory of its message.
var empty = []byte{}

// clone and cloneFrames copy what is lent, and nothing else.
func clone(b []byte) []byte {
	switch {
	case len(b) == 0:
		return empty
	case len(b) >= LentMax:
		return b
	}
	return append(make([]byte, 0, len(b)), b...)
}

func cloneFrames(frames [][]byte) [][]byte {
	if frames == nil {
		return nil
	}
	own := make([][]byte, len(frames))
	for i, f := range frames {
		own[i] = clone(f)
	}
	return own
}
