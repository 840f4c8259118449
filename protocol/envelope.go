package protocol

// envelopeFramesMax bounds the frames before the empty delimiter: a REQ with
// ZMQ_REQ_CORRELATE adds one, a chain of devices a few more.
const envelopeFramesMax = 8

// SplitEnvelope parts a message from a client into the opaque frames before
// the empty delimiter, which go back as they came, and the content behind it.
// ok is false when there is no delimiter in reach, or nothing behind it.
func SplitEnvelope(frames [][]byte) (envelope, content [][]byte, ok bool) {
	for i, f := range frames {
		if len(f) == 0 {
			return frames[:i:i], frames[i+1:], i+1 < len(frames)
		}
		if i == envelopeFramesMax {
			break
		}
	}
	return nil, nil, false
}
