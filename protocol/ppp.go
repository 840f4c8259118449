package protocol

import "encoding/binary"

// The Paranoid Pirate Protocol, RFC 6: READY is one frame 0x01, HEARTBEAT one
// frame 0x02; a request or reply is [client address][empty][body …]. A PPP
// worker has no ids, no lists and a credit of 1.
const (
	pppReady     = 0x01
	pppHeartbeat = 0x02
)

// ParsePPP reads a message of a PPP worker into m as the PRV1 message that
// means the same: READY, HEARTBEAT or REPLY (OK). ok is false when it is none.
func ParsePPP(frames [][]byte, m *Message) (ok bool) {
	*m = Message{}
	switch {
	case len(frames) == 1 && len(frames[0]) == 1 && frames[0][0] == pppReady:
		m.Command, m.Credit, m.Flags = Ready, 1, Last
		return true
	case len(frames) == 1 && len(frames[0]) == 1 && frames[0][0] == pppHeartbeat:
		m.Command = Heartbeat
		return true
	case len(frames) >= 2 && len(frames[0]) == tokenBytes && len(frames[1]) == 0:
		m.Command, m.Code = Reply, OK
		copy(m.ID[:], frames[0])
		m.Number = binary.BigEndian.Uint32(frames[0][16:])
		m.Epoch = binary.BigEndian.Uint64(frames[0][20:])
		m.Body = frames[2:]
		return !m.ID.IsZero() && m.Number != 0
	}
	return false
}

// tokenBytes is the size of the address that stands for a client towards a
// PPP worker: request id, attempt, epoch. The client's own routing id never
// leaves the broker, and a reply is matched to its exact attempt.
const tokenBytes = 28

// AppendPPP appends the frames that tell m to a PPP worker: a REQUEST or a
// HEARTBEAT. Of the other commands PPP has none; nothing is appended then.
func AppendPPP(frames [][]byte, buf []byte, m *Message) ([][]byte, []byte) {
	switch m.Command {
	case Request:
		start := len(buf)
		buf = append(buf, m.ID[:]...)
		buf = binary.BigEndian.AppendUint32(buf, m.Number)
		buf = binary.BigEndian.AppendUint64(buf, m.Epoch)
		frames = append(frames, buf[start:len(buf):len(buf)], nil)
		return append(frames, m.Body...), buf
	case Heartbeat:
		buf = append(buf, pppHeartbeat)
		return append(frames, buf[len(buf)-1:len(buf):len(buf)]), buf
	}
	return frames, buf
}
