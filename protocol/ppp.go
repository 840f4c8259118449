package protocol

import "encoding/binary"

// The Paranoid Pirate Protocol, RFC 6: READY is one frame 0x01, HEARTBEAT one
// frame 0x02; a request or reply is [client address][empty][body …]. A PPP
// worker has no ids, no lists and a credit of 1.
const (
	pppReady     = 0x01
	pppHeartbeat = 0x02
)

// tokenBytes is the size of the address that stands for a client towards a
// PPP worker: attempt, epoch, request id. The client's own routing id never
// leaves the broker, and a reply is matched to its exact attempt. The attempt
// comes first because the id is the client's choice: it could begin with PRV1.
const tokenBytes = 28

// ParsePPP reads a message of a PPP worker into m as the PRV1 message that
// means the same: READY, HEARTBEAT or REPLY (OK). m.Body aliases frames. ok is
// false, and m zero, when it is none; it is never true of a PRV header.
func ParsePPP(frames [][]byte, m *Message) (ok bool) {
	m.clear()
	switch {
	case len(frames) == 0 || Sniff(frames[0]):
		return false
	case len(frames) == 1 && len(frames[0]) == 1 && frames[0][0] == pppReady:
		m.Command, m.Credit, m.Flags = Ready, 1, Last
		return true
	case len(frames) == 1 && len(frames[0]) == 1 && frames[0][0] == pppHeartbeat:
		m.Command, m.Credit = Heartbeat, 1
		return true
	case len(frames) >= 2 && len(frames[1]) == 0 && len(frames)-2 <= FramesMax:
		return parseToken(frames, m)
	}
	return false
}

// parseToken reads [address][empty][body …]; the second frame has been looked at.
func parseToken(frames [][]byte, m *Message) bool {
	if len(frames[0]) != tokenBytes {
		return false
	}
	be, token := binary.BigEndian, frames[0]
	number, epoch, id := be.Uint32(token), be.Uint64(token[4:]), ID(token[12:])
	if number == 0 || epoch == 0 || id.IsZero() {
		return false
	}
	m.Command, m.Code, m.ID, m.Number, m.Epoch, m.Body = Reply, OK, id, number, epoch, frames[2:len(frames):len(frames)]
	return true
}

// appendToken appends the address that stands for m's client.
func appendToken(buf []byte, m *Message) []byte {
	buf = binary.BigEndian.AppendUint32(buf, m.Number)
	buf = binary.BigEndian.AppendUint64(buf, m.Epoch)
	return append(buf, m.ID[:]...)
}

// AppendPPP appends the frames that tell m to a PPP worker: a REQUEST or a
// HEARTBEAT. Of the other commands PPP has none; nothing is appended then.
// The frames alias buf and m.Body.
func AppendPPP(frames [][]byte, buf []byte, m *Message) ([][]byte, []byte) {
	start := len(buf)
	switch m.Command {
	case Request:
		buf = appendToken(buf, m)
		frames = append(frames, buf[start:len(buf):len(buf)], nil)
		return append(frames, m.Body...), buf
	case Heartbeat:
		buf = append(buf, pppHeartbeat)
		return append(frames, buf[start:len(buf):len(buf)]), buf
	}
	return frames, buf
}
