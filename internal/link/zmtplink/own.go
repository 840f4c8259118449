package zmtplink

import (
	"slices"

	"github.com/privateer-mq/privateer/internal/link"
)

// A smallMessage is a message that the owner may keep, in one piece of memory.
type smallMessage struct {
	frames [smallFrames][]byte
	bytes  [smallBytes]byte
}

const (
	smallFrames = 4
	smallBytes  = 256 - 4*24 // a size class of Go's
)

// own copies what is lent, all small frames of a message into one place.
func (s *socket) own(list []link.Message) {
	for i := range list {
		frames := list[i].Frames
		size := 0
		for _, f := range frames {
			if len(f) < link.LentMax {
				size += len(f)
			}
		}
		if frames == nil {
			continue
		}
		own, place := [][]byte(nil), []byte(nil)
		if len(frames) <= smallFrames && size <= smallBytes {
			small := new(smallMessage)
			own, place = small.frames[:len(frames)], small.bytes[:0]
		} else {
			own, place = make([][]byte, len(frames)), make([]byte, 0, size)
		}
		for j, f := range frames {
			if len(f) >= link.LentMax {
				own[j] = f
				continue
			}
			begin := len(place)
			place = append(place, f...)
			own[j] = place[begin:len(place):len(place)]
		}
		list[i].Frames = own
		list[i].Peer = slices.Clone(list[i].Peer)
	}
	for i := range s.lent {
		s.lent[i].Release()
	}
	s.lent = s.lent[:0]
}
