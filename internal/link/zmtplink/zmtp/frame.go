package zmtp

import "encoding/binary"

// The flags of a frame.
const (
	flagMore    = 1
	flagLong    = 2
	flagCommand = 4
	flagsKnown  = flagMore | flagLong | flagCommand
)

// Flags for AppendHeader.
const (
	More = flagMore // another frame of the message follows
	Last = 0
)

// HeaderBytesMax is the longest header of a frame.
const HeaderBytesMax = 9

// AppendHeader appends what precedes a body of size bytes.
func AppendHeader(dst []byte, flags byte, size int) []byte {
	if size <= 255 {
		return append(dst, flags, byte(size))
	}
	dst = append(dst, flags|flagLong)
	return binary.BigEndian.AppendUint64(dst, uint64(size))
}
