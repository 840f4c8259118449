package protocol

// What is kept of a client's envelope goes back with each reply, so it has
// bounds: a REQ with ZMQ_REQ_CORRELATE adds one frame, a chain of devices a
// few more, and a routing id is at most 255 bytes.
const (
	envelopeFramesMax     = 8
	envelopeFrameBytesMax = 255
)

// SplitEnvelope parts a message from a client into the opaque frames before
// the empty delimiter, which go back as they came, and the content behind it.
// Both alias frames. ok is false when there is no delimiter in reach, nothing
// behind it, a frame before it that is no routing id, or a PRV header there:
// its sender forgot the delimiter, and an empty body frame only looks like it.
func SplitEnvelope(frames [][]byte) (envelope, content [][]byte, ok bool) {
	for i, f := range frames {
		if len(f) == 0 {
			if i+1 == len(frames) {
				break
			}
			return frames[:i:i], frames[i+1 : len(frames) : len(frames)], true
		}
		if i == envelopeFramesMax || len(f) > envelopeFrameBytesMax || Sniff(f) {
			break
		}
	}
	return nil, nil, false
}
